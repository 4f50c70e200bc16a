"""Keep one complete book in step: a deep snapshot on request plus a stream of numbered deltas (Bybit's full book).

The rules are those of Bybit's "Full Order Book Synchronization Procedure" (v5, websocket/public/full-ob). Deltas carry
two numbers: `u` counts by one and begins anew at 1 when the service restarts or the instrument changes, `seq` is the
matching engine's and never decreases. Deltas are kept until a snapshot comes; the snapshot's two numbers have to agree
with those of the deltas, or it belongs to another life of the service and is asked for again. Diffs chained by one are
what `BookSync` follows on spot, so that it keeps the levels and what is proven about them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from app.books.book import OrderBook
from app.books.depth import DepthTable
from app.books.keeper import BookCounters, BookState
from app.books.side import FloatArray, IntArray, Levels
from app.books.sync import NO_ID, BookSync, Outcome, Rule

MAX_LEVELS: Final = 10_000
"""Levels per side the venue gives at most; a side of fewer is complete."""
_MAX_SEEN: Final = 3000
_RESTART: Final = 1


class FullSync:
    """Keeper of one full book. Times are UTC ns. `last_id` is the matching engine's sequence."""

    __slots__ = ("_ahead", "_seen", "_vacant", "last_id", "sync")

    def __init__(self, counters: BookCounters | None = None) -> None:
        self.sync = BookSync(Rule.SPOT)
        if counters is not None:
            self.sync.counters = counters
        self.last_id = NO_ID
        self._seen: deque[tuple[int, int]] = deque(maxlen=_MAX_SEEN)
        """Both numbers of the deltas since the chain began, oldest first."""
        self._ahead: tuple[int, int] | None = None
        """Numbers of a snapshot that is newer than every delta so far, so that none has confirmed it."""
        self._vacant = False

    # -- updates -------------------------------------------------------------------------------------------------

    def on_delta(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take one delta. GAP: the chain broke and a snapshot is needed."""
        sync, seen = self.sync, self._seen
        if number == _RESTART:
            return self._restart(seq, bids, asks, now_ns)
        if seen and seq < seen[-1][1]:
            sync.counters.dropped += 1
            return Outcome.IGNORED
        if self._ahead is not None:
            ahead = self._ahead
            if _contradict(ahead, (number, seq)):
                return self._refute(number, seq, bids, asks, now_ns)
            if number >= ahead[0]:
                self._ahead = None
        outcome = sync.on_diff(number, number, NO_ID, bids, asks, now_ns)
        if outcome is Outcome.GAP:
            seen.clear()
            self._ahead, self._vacant = None, False
        if outcome is not Outcome.IGNORED:
            seen.append((number, seq))
            self.last_id = seq
            if self._vacant and (bids or asks):
                self._vacant = False
        return outcome

    def _restart(self, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """The service began to count anew: what is held belongs to its former life."""
        known = bool(self._seen) or self.sync.state is not BookState.WAITING
        self._forget(now_ns)
        self._keep(_RESTART, seq, bids, asks, now_ns)
        if not known:
            return Outcome.KEPT
        self.sync.counters.gaps += 1
        return Outcome.GAP

    def _refute(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """A delta shows that the snapshot in the book is not of this life of the service."""
        self._forget(now_ns)
        self._keep(number, seq, bids, asks, now_ns)
        self.sync.counters.gaps += 1
        return Outcome.GAP

    def _keep(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> None:
        self.sync.on_diff(number, number, NO_ID, bids, asks, now_ns)
        self._seen.append((number, seq))
        self.last_id = seq

    def _forget(self, now_ns: int) -> None:
        self.sync.on_down(now_ns)
        self._seen.clear()
        self._ahead, self._vacant = None, False

    def on_snapshot(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a snapshot of up to `MAX_LEVELS` a side. TOO_OLD: it does not fit the deltas, ask again."""
        snapshot = (number, seq)
        seen = self._seen
        if seen and (seq < seen[0][1] or any(_contradict(snapshot, delta) for delta in seen)):
            self.sync.counters.refused_snapshots += 1
            self.sync.on_snapshot_failed()
            return Outcome.TOO_OLD
        outcome = self.sync.on_snapshot(number, bids, asks, MAX_LEVELS, now_ns)
        newest = seen[-1] if seen else None
        if outcome is Outcome.AHEAD:
            self._ahead = snapshot
        elif outcome is Outcome.LOADED:
            if newest is None or newest[0] < number:
                self._ahead, self.last_id = snapshot, seq
            self._vacant = not bids and not asks and (newest is None or newest[0] <= number)
        return outcome

    def on_snapshot_asked(self) -> None:
        """Keep deltas from here on."""
        self.sync.on_snapshot_asked()

    def on_snapshot_failed(self) -> None:
        """Note that the snapshot did not come."""
        self.sync.on_snapshot_failed()

    # -- stream --------------------------------------------------------------------------------------------------

    def on_up(self, now_ns: int) -> None:
        """The stream begins."""
        self.sync.on_up(now_ns)

    def on_down(self, now_ns: int) -> None:
        """The stream ended."""
        self._forget(now_ns)

    def invalidate(self, now_ns: int) -> None:
        """Distrust the book and wait for a snapshot; the chain of deltas goes on."""
        self.sync.invalidate(now_ns)
        self._ahead, self._vacant = None, False
        while len(self._seen) > 1:  # what the book kept of them is gone; the newest says where the chain stands
            self._seen.popleft()

    @property
    def state(self) -> BookState:
        """Whether the book may be read; a book without any order is none."""
        return BookState.WAITING if self._vacant else self.sync.state

    @property
    def book(self) -> OrderBook:
        """The levels."""
        return self.sync.book

    @property
    def counters(self) -> BookCounters:
        """What happened to the book so far."""
        return self.sync.counters

    @property
    def loaded_ns(self) -> int:
        """When the last snapshot was taken in."""
        return self.sync.loaded_ns

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book waits for a snapshot."""
        return self.sync.wants_snapshot

    # -- reading -------------------------------------------------------------------------------------------------

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none), whatever the state."""
        return self.sync.best()

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write the bands of the book into its row."""
        table.measure(row, self.sync.book, self.last_id, now_ns)

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and since when unconfirmed, best first."""
        return self.sync.levels(which, count)

    def crossed(self) -> bool:
        """Tell whether best bid > best ask, after dropping what proven prices refute."""
        return self.sync.crossed()

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time; return how many."""
        return self.sync.expire(before_ns)


def _contradict(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether two states' numbers (u, seq) cannot be of one life: equal in one, or ordered the other way round."""
    number, seq = one[0] - other[0], one[1] - other[1]
    return (number == 0) != (seq == 0) or (number < 0 < seq) or (seq < 0 < number)
