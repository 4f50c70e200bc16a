"""Keep one book from whichever of two streams comes: the full book where the venue offers it, else a window of it."""

from __future__ import annotations

from app.books.depth import DepthTable
from app.books.full import FullSync
from app.books.keeper import BookCounters, BookState
from app.books.side import FloatArray, IntArray, Levels
from app.books.sync import Outcome
from app.books.window import WindowSync


class EitherSync:
    """Keeper of one book; a window takes over as soon as its snapshot comes and stays until its stream ends."""

    __slots__ = ("active", "counters", "full", "window")

    def __init__(self) -> None:
        self.counters = BookCounters()
        self.full = FullSync(self.counters)
        self.window = WindowSync(self.counters)
        self.active: FullSync | WindowSync = self.full

    # -- updates -------------------------------------------------------------------------------------------------

    def on_window_snapshot(self, size: int, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take the snapshot of a window, which is the book from here on."""
        self.active = self.window
        return self.window.on_snapshot(size, number, seq, bids, asks, now_ns)

    def on_window_delta(self, size: int, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a delta of a window."""
        outcome = self.window.on_delta(size, number, seq, bids, asks, now_ns)
        if outcome is Outcome.LOADED:
            self.active = self.window
        return outcome

    def on_full_delta(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a delta of the full book; ignored while a window is in step."""
        if not self._turn_to_full():
            return Outcome.IGNORED
        return self.full.on_delta(number, seq, bids, asks, now_ns)

    def on_full_snapshot(self, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a snapshot of the full book; ignored while a window is in step."""
        if not self._turn_to_full():
            return Outcome.IGNORED
        return self.full.on_snapshot(number, seq, bids, asks, now_ns)

    def on_snapshot_asked(self) -> None:
        """Keep deltas of the full book from here on."""
        self.full.on_snapshot_asked()

    def on_snapshot_failed(self) -> None:
        """Note that the snapshot did not come."""
        self.full.on_snapshot_failed()

    def on_polled(self, limit: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a snapshot asked for with `limit` levels while no stream can be had."""
        if self.active is self.full:
            if not self.full.wants_snapshot:
                return Outcome.TOO_OLD
            self.active = self.window
        return self.window.on_polled(limit, seq, bids, asks, now_ns)

    def _turn_to_full(self) -> bool:
        """Let the full book be the one to read unless a window is in step; return whether it is."""
        if self.active is self.window and not self.window.wants_snapshot:
            self.counters.dropped += 1
            return False
        self.active = self.full
        return True

    # -- stream --------------------------------------------------------------------------------------------------

    def on_up(self, now_ns: int) -> None:
        """The stream begins."""
        self.full.on_up(now_ns)
        self.window.on_up(now_ns)

    def on_down(self, now_ns: int) -> None:
        """The stream ended."""
        self.full.on_down(now_ns)
        self.window.on_down(now_ns)

    def invalidate(self, now_ns: int) -> None:
        """Distrust the book and wait for a snapshot."""
        self.active.invalidate(now_ns)

    @property
    def state(self) -> BookState:
        """Whether the book may be read."""
        return self.active.state

    @property
    def last_id(self) -> int:
        """The matching engine's sequence of the newest update."""
        return self.active.last_id

    @property
    def loaded_ns(self) -> int:
        """When the last snapshot was taken in."""
        return self.active.loaded_ns

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book waits for a snapshot."""
        return self.active.wants_snapshot

    # -- reading -------------------------------------------------------------------------------------------------

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none), whatever the state."""
        return self.active.best()

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write the bands of the book into its row."""
        self.active.measure(table, row, now_ns)

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and since when unconfirmed, best first."""
        return self.active.levels(which, count)

    def crossed(self) -> bool:
        """Tell whether best bid > best ask."""
        return self.active.crossed()

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time; return how many."""
        return self.active.expire(before_ns)
