"""What view models read from: ports that the pipeline implements and tests can stand in for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from app.domain.broker_health import BrokerHealth
from app.domain.health import FeedEvent, FeedHealth
from app.domain.ids import Market, Venue
from app.domain.units import DEPTHS_PCT
from app.indicators.formulas import Convention, Line
from app.indicators.groups import SubjectMarket
from app.indicators.window import CoverageArray, DepthWindow, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """One order book as a screen sees it.

    Levels are best first: price and qty float64 [k], since int64 [k] (UTC ns from which the level is unconfirmed, 0:
    confirmed), index 0 bid and 1 ask of each pair. best, known_to_pct: float64 [2] (NaN: no such side; known_to_pct is
    how far from the best price the side is proven, 100 for a complete bid side, inf for a complete ask side).
    usd, coins, threshold, unconfirmed (share 0..1): float64 [2, 7]; coverage: uint8 [2, 7]. bucket_pct: float64 [2, 7],
    size in percent of the best price of the buckets a band was summed from, 0: single prices.
    state is a plain word ("live", "waiting for snapshot", ...), reason a sentence when it is not live. age_ns: time
    since the last diff or quote (None: never). sampled_ns: UTC ns the figures belong to.
    """

    market: Market
    symbol: str
    state: str
    reason: str
    live: bool
    price: tuple[FloatArray, FloatArray]
    qty: tuple[FloatArray, FloatArray]
    since: tuple[IntArray, IntArray]
    best: FloatArray
    known_to_pct: FloatArray
    usd: FloatArray
    coins: FloatArray
    threshold: FloatArray
    unconfirmed: FloatArray
    coverage: CoverageArray
    tick_size: str | None
    last_update_id: int
    sampled_ns: int
    age_ns: int | None
    event_ns: int | None = None
    """Venue time (UTC ns) of the first update that the newest sample takes in; None: it took in nothing new."""
    bucket_pct: FloatArray = field(default_factory=lambda: np.zeros((2, len(DEPTHS_PCT))))
    counters: dict[str, int] = field(default_factory=dict)


class BookSource(Protocol):
    """Order books, read only."""

    def symbols(self, market: Market) -> Sequence[str]:
        """Return the market's symbols, most important first."""
        ...

    def book_revision(self, market: Market, symbol: str) -> int:
        """Return a number that moves whenever the view of that book may have changed."""
        ...

    def book(self, market: Market, symbol: str, levels: int) -> BookView | None:
        """Return the book with at most `levels` rows per side, or None for an unknown symbol."""
        ...

    def watch_book(self, market: Market, symbol: str) -> None:
        """Sample this symbol every 50 ms while it is on screen (counted; pair with `unwatch_book`)."""
        ...

    def unwatch_book(self, market: Market, symbol: str) -> None:
        """Undo one `watch_book`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a number is what it is. All texts are plain and ready to show or copy.

    facts: (name, value) pairs: formula, inputs, thresholds, update ids, coverage. contributors: header and rows, the
    largest first. excluded: (symbol, reason).
    """

    title: str
    formula: str
    facts: tuple[tuple[str, str], ...]
    contributor_header: tuple[str, ...]
    contributors: tuple[tuple[str, ...], ...]
    excluded: tuple[tuple[str, str], ...]


class SeriesSource(Protocol):
    """Depth over time of groups and coins."""

    def venues(self) -> Sequence[Venue]:
        """Return the venues whose books are measured."""
        ...

    def pairs(self) -> Sequence[str]:
        """Return the coins that can be picked, most important first."""
        ...

    def series_revision(self, key: SubjectMarket) -> int:
        """Return a number that moves with every new tick of the subject."""
        ...

    def live(self, key: SubjectMarket, since_ms: int = 0) -> DepthWindow:
        """Return the last two minutes of ticks, or those of them at or after `since_ms`."""
        ...

    def event_ns(self, key: SubjectMarket) -> int | None:
        """Return the venue's time (UTC ns) of what the newest sample newly contains, None when nothing is new."""
        ...

    async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int) -> DepthWindow:
        """Return stored minutes with start_ms <= ts_ms < end_ms; raise StorageError when the store is away."""
        ...

    def watch_series(self, key: SubjectMarket) -> None:
        """Sample the subject at the fast cadence while it is on screen (counted)."""
        ...

    def unwatch_series(self, key: SubjectMarket) -> None:
        """Undo one `watch_series`."""
        ...

    def explain(self, key: SubjectMarket, line: Line, ts_ms: int | None, convention: Convention) -> Explanation:
        """Explain a value at a moment (None: now). Moments older than the ticks are explained from stored sums."""
        ...


class StatusSource(Protocol):
    """Health of every feed and the event log."""

    def feeds(self) -> Sequence[FeedHealth]:
        """Return the live counters of each feed (objects that change in place)."""
        ...

    def brokers(self) -> Sequence[BrokerHealth]:
        """Return the live state of each way to a broker that is switched on (objects that change in place)."""
        ...

    def events(self) -> Sequence[FeedEvent]:
        """Return the newest events, oldest first, at most some thousands."""
        ...

    def events_revision(self) -> int:
        """Return a number that moves with every new event."""
        ...

    def notes(self) -> Sequence[str]:
        """Return sentences that must stay on screen while they hold (storage away, disk full, ...)."""
        ...

    def pause_snapshots(self, feed: str) -> None:
        """Stop taking further snapshots of that feed until resumed."""
        ...

    def resume_snapshots(self, feed: str) -> None:
        """Go on taking snapshots."""
        ...

    def cancel_snapshots(self, feed: str) -> None:
        """Drop the queue: only books that break or come on screen are asked for."""
        ...
