"""What the program needs of one symbol's book, however its venue brings it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from app.books.depth import DepthTable
from app.books.side import FloatArray, IntArray


class BookState(IntEnum):
    """Whether the book may be read."""

    WAITING = 0
    POLLED = 1
    LIVE = 2


@dataclass(slots=True)
class BookCounters:
    """What happened to a book; every drop, gap and resync is counted."""

    applied: int = 0
    gaps: int = 0
    resyncs: int = 0
    dropped: int = 0
    crossed: int = 0
    contradicted: int = 0
    checked: int = 0
    snapshots: int = 0
    refused_snapshots: int = 0


class Keeper(Protocol):
    """Keeps one book in step with its venue. Times are UTC ns.

    A venue's own keeper has further methods that take its updates; those are called by the venue's intake only.
    """

    @property
    def state(self) -> BookState:
        """Whether the book may be read."""
        ...

    @property
    def counters(self) -> BookCounters:
        """What happened to the book so far; changes in place."""
        ...

    @property
    def last_id(self) -> int:
        """The venue's id of the newest update, -1 without one."""
        ...

    @property
    def loaded_ns(self) -> int:
        """When the last snapshot was taken in, 0: never."""
        ...

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book waits for a snapshot."""
        ...

    def on_up(self, now_ns: int) -> None:
        """The book's stream begins."""
        ...

    def on_down(self, now_ns: int) -> None:
        """The stream ended: the book may not be read until it is in step again."""
        ...

    def invalidate(self, now_ns: int) -> None:
        """Distrust the book (crossed, or contradicted by a quote) and wait for a snapshot."""
        ...

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none), whatever the state."""
        ...

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write volume, coverage and reach of every band into the book's row of the table."""
        ...

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and since when unconfirmed (UTC ns, 0: confirmed) of one side, best first."""
        ...

    def crossed(self) -> bool:
        """Tell whether best bid > best ask, after dropping what proven prices refute."""
        ...

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time; return how many."""
        ...
