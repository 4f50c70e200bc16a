"""Keep one book in step with its venue: snapshot plus diffs by the spot or futures sequence rule.

The rules are those of Binance's "How to manage a local order book correctly" (spot as corrected 2025-11-12, USD-M
futures). One path serves the first snapshot, the recovery from a gap and a refresh of a book that is live:

* Diffs are always applied to the levels at hand. While the book waits for a snapshot they are also kept, so that they
  can be applied again on top of it.
* A snapshot replaces what lies inside its bounds, then the kept diffs newer than it are applied again. Levels outside
  are those at hand: untouched since the chain broke they are unconfirmed, touched by a diff since they are known.
* A gap marks every level unconfirmed, forgets what was proven, and waits for the next snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from app.books.book import OrderBook
from app.books.depth import DepthTable
from app.books.keeper import BookCounters, BookState
from app.books.side import FloatArray, IntArray, Levels

_MAX_KEPT: Final = 3000
NO_ID: Final = -1


class Rule(Enum):
    """How diffs chain: spot by contiguous ids, futures by the previous event's last id (`pu`)."""

    SPOT = "spot"
    FUTURES = "futures"


class Outcome(IntEnum):
    """What became of an input."""

    APPLIED = 0
    KEPT = 1
    IGNORED = 2
    GAP = 3
    LOADED = 4
    AHEAD = 5
    TOO_OLD = 6


# members of an enumeration are slow to look up on Python 3.11, and each diff needs these
_LIVE: Final = BookState.LIVE
_APPLIED: Final = Outcome.APPLIED


@dataclass(slots=True)
class _Diff:
    first: int
    last: int
    previous: int
    bids: Levels
    asks: Levels


@dataclass(slots=True)
class _Snapshot:
    last: int
    bids: Levels
    asks: Levels
    limit: int


class BookSync:
    """State machine around one `OrderBook`. Times are UTC ns."""

    __slots__ = (
        "_ahead",
        "_bridging",
        "_futures",
        "_keep",
        "_kept",
        "_tail",
        "book",
        "counters",
        "last_id",
        "loaded_ns",
        "state",
    )

    def __init__(self, rule: Rule) -> None:
        self._futures = rule is Rule.FUTURES
        self.book = OrderBook()
        self.counters = BookCounters()
        self.state = BookState.WAITING
        self.last_id = NO_ID
        self.loaded_ns = 0
        self._kept: list[_Diff] = []
        self._keep = True
        self._tail = NO_ID
        """Last id of the newest diff seen, live or waiting: the end of the chain."""
        self._bridging = False
        """Whether the book stands on a snapshot that is newer than every diff seen so far."""
        self._ahead: _Snapshot | None = None

    # -- diffs ---------------------------------------------------------------------------------------------------

    def on_diff(self, first: int, last: int, previous: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take one diff: ids of its first and last update, and of the previous diff's last (`NO_ID` on spot)."""
        if self.state is not _LIVE:
            return self._on_waiting_diff(first, last, previous, bids, asks, now_ns)
        held = self.last_id
        if self._futures:
            if last < held:
                self.counters.dropped += 1
                return Outcome.IGNORED
            # The first diff after a snapshot has to contain its id (U <= id <= u); pu <= id says the same and also
            # admits a diff that begins right behind it. Afterwards pu has to equal the previous u.
            fits = previous <= held if self._bridging else previous == held
            if not fits and last == held:  # the newest diff once more
                self.counters.dropped += 1
                return Outcome.IGNORED
        else:
            if last <= held:
                self.counters.dropped += 1
                return Outcome.IGNORED
            fits = first <= held + 1
        if not fits:
            self._break(now_ns)
            self.counters.gaps += 1
            self._on_waiting_diff(first, last, previous, bids, asks, now_ns)
            return Outcome.GAP
        book = self.book
        if self._bridging:
            self._bridge(first, previous, now_ns)
        self.last_id = self._tail = last
        book.bids.queue(bids)
        book.asks.queue(asks)
        self.counters.applied += 1
        if self._keep:
            self._keep_diff(_Diff(first, last, previous, bids, asks))
            if self._ahead is not None and last >= self._ahead.last:
                self._merge(self._ahead, now_ns)
        return _APPLIED

    def _bridge(self, first: int, previous: int, now_ns: int) -> None:
        """Join the first diff to the snapshot; what the snapshot does not cover rests on an unbroken chain of diffs."""
        self._bridging = False
        tail = self._tail
        if tail != NO_ID and ((previous != tail) if self._futures else (first > tail + 1)):
            self.book.distrust_beyond_reach(now_ns)

    def _on_waiting_diff(
        self, first: int, last: int, previous: int, bids: Levels, asks: Levels, now_ns: int
    ) -> Outcome:
        self._leave_polled(now_ns)
        tail = self._tail
        outcome = Outcome.KEPT
        if tail != NO_ID:
            if last <= tail:
                self.counters.dropped += 1
                return Outcome.IGNORED
            if (previous != tail) if self._futures else (first > tail + 1):
                self.counters.gaps += 1
                self.counters.dropped += len(self._kept)
                self._kept.clear()
                self.book.distrust(now_ns)
                outcome = Outcome.GAP
        self._tail = last
        self.book.apply(bids, asks)
        self._keep_diff(_Diff(first, last, previous, bids, asks))
        return outcome

    def _keep_diff(self, diff: _Diff) -> None:
        kept = self._kept
        kept.append(diff)
        if len(kept) > _MAX_KEPT:
            drop = _MAX_KEPT // 4
            del kept[:drop]
            self.counters.dropped += drop

    # -- snapshots -----------------------------------------------------------------------------------------------

    def on_snapshot_asked(self) -> None:
        """Keep diffs from here on: a snapshot is on its way."""
        if self.state is BookState.LIVE and not self._keep:
            self._kept.clear()
        self._keep = True

    def on_snapshot_failed(self) -> None:
        """Stop keeping diffs of a live book: the snapshot did not come."""
        if self.state is BookState.LIVE:
            self._forget_kept()

    def on_snapshot(self, last: int, bids: Levels, asks: Levels, limit: int, now_ns: int) -> Outcome:
        """Take a snapshot that was asked for with `limit` levels per side."""
        snapshot = _Snapshot(last, bids, asks, limit)
        if self.state is BookState.LIVE:
            if last > self.last_id:
                self._ahead, self._keep = snapshot, True
                return Outcome.AHEAD
            return self._merge(snapshot, now_ns)
        self._leave_polled(now_ns)
        return self._load(snapshot, now_ns, unbroken=False)

    def on_polled(self, last: int, bids: Levels, asks: Levels, limit: int, now_ns: int) -> Outcome:
        """Take a snapshot while no streams can be had: readable, but without a chain of diffs behind it."""
        if self.state is BookState.LIVE or last < self.last_id:
            self.counters.refused_snapshots += 1
            return Outcome.TOO_OLD
        self.book.distrust(now_ns)
        self.book.load(bids, asks, limit=limit, unbroken=False)
        self.state, self.last_id, self.loaded_ns = BookState.POLLED, last, now_ns
        self.counters.snapshots += 1
        return Outcome.LOADED

    def _load(self, snapshot: _Snapshot, now_ns: int, *, unbroken: bool) -> Outcome:
        """Build the book on a snapshot and the kept diffs, or refuse it as older than the first of them."""
        newer = self._newer_than(snapshot.last)
        if newer is None:
            self._ahead = None
            self.counters.refused_snapshots += 1
            return Outcome.TOO_OLD
        if not self.loaded_ns and not self.book.has_unconfirmed:
            self.book.clear()  # nothing was remembered: as documented, diffs older than the first snapshot are dropped
        self.book.load(snapshot.bids, snapshot.asks, limit=snapshot.limit, unbroken=unbroken)
        for diff in newer:
            self.book.apply(diff.bids, diff.asks)
        if self.state is not BookState.LIVE:
            self.counters.applied += len(newer)
            self.counters.resyncs += self.loaded_ns > 0
            self.last_id = newer[-1].last if newer else snapshot.last
            self._bridging = not newer
        self.state, self.loaded_ns = BookState.LIVE, now_ns
        self.counters.snapshots += 1
        self._forget_kept()
        return Outcome.LOADED

    def _merge(self, snapshot: _Snapshot, now_ns: int) -> Outcome:
        """Refresh a live book; a snapshot that the kept diffs do not reach back to is refused, the book stays."""
        self._ahead = None
        outcome = self._load(snapshot, now_ns, unbroken=True)
        if outcome is Outcome.TOO_OLD:
            self._forget_kept()
        return outcome

    def _newer_than(self, last: int) -> list[_Diff] | None:
        """Return the kept diffs newer than a snapshot, None when something between them and it is missing."""
        newer = [diff for diff in self._kept if diff.last > last]
        if newer:
            first = newer[0]
            return newer if (first.previous if self._futures else first.first - 1) <= last else None
        return None if last < (self.last_id if self.state is BookState.LIVE else self._tail) else newer

    def _forget_kept(self) -> None:
        self._kept.clear()
        self._keep = False
        self._ahead = None

    # -- breaks --------------------------------------------------------------------------------------------------

    def on_down(self, now_ns: int) -> None:
        """The stream ended: the book is unknown until it is primed again; its levels stay, unconfirmed."""
        if self.state is BookState.LIVE or self._tail != NO_ID:
            self._break(now_ns)

    def on_up(self, now_ns: int) -> None:
        """The stream begins: keep diffs for the snapshot to come. A book that is live goes on."""
        self._leave_polled(now_ns)
        if self.state is not BookState.LIVE:
            self._keep = True

    def invalidate(self, now_ns: int) -> None:
        """Distrust the book (crossed, or contradicted by a quote) and wait for a snapshot."""
        tail = self._tail
        self._break(now_ns)
        self._tail = tail

    def _leave_polled(self, now_ns: int) -> None:
        """Distrust a polled book when a stream begins: nothing chains its levels to what comes now."""
        if self.state is BookState.POLLED:
            self.state = BookState.WAITING
            self.book.distrust(now_ns)

    def _break(self, now_ns: int) -> None:
        self.book.distrust(now_ns)
        self.state = BookState.WAITING
        self._kept.clear()
        self._keep = True
        self._ahead = None
        self._tail = NO_ID
        self._bridging = False

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book waits for a snapshot that has not come."""
        return self.state is not BookState.LIVE

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none), whatever the state."""
        return self.book.best()

    def is_readable(self) -> bool:
        """Whether the book may be shown: live, or polled while streams are away."""
        return self.state is not BookState.WAITING

    # -- reading -------------------------------------------------------------------------------------------------

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write the bands of the book into its row."""
        table.measure(row, self.book, self.last_id, now_ns)

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and since when unconfirmed, best first."""
        return self.book.side(which).levels(count)

    def crossed(self) -> bool:
        """Tell whether the book is crossed, after dropping unconfirmed levels which proven ones refute."""
        return self.book.crossed()

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time; return how many."""
        return self.book.expire(before_ns)
