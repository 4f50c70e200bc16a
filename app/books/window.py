"""Keep one book of the best N levels per side in step: snapshot plus numbered deltas, as Bybit's `orderbook.N` sends.

A snapshot replaces the whole book at any time, asked for or not. Each delta's number is one more than the one before;
number 1 means that the venue's service began anew and its data is a snapshot. Deltas keep exactly N levels on a side:
what falls out of the window is deleted by the venue, so a side that holds N levels is known to its N-th level and not
beyond, a side that holds fewer is known completely. A number that is skipped, more than N levels, or a side that drops
below N shows that something was lost: the book waits for the next snapshot.
"""

from __future__ import annotations

import math
from typing import Final

from app.books.book import OrderBook
from app.books.depth import DepthTable
from app.books.keeper import BookCounters, BookState
from app.books.side import FloatArray, IntArray, Levels
from app.books.sync import NO_ID, Outcome
from app.domain.units import ASK, BID

_SURELY_DEEPER: Final = 500
"""So many messages in a row with N levels: the side does not merely hover around N."""


class _Edge:
    """Which prices one side of the window holds."""

    __slots__ = ("calm", "full", "hovers", "prices")

    def __init__(self) -> None:
        self.prices: set[float] = set()
        self.full = False
        self.hovers = False
        """Whether a snapshot has confirmed that the venue itself holds fewer than N after the side had dropped."""
        self.calm = 0

    def load(self, levels: Levels, size: int, *, dropped: bool) -> None:
        self.prices = {price for price, qty in levels if qty > 0.0}
        count = len(self.prices)
        self.full = count >= size
        if not self.full and dropped:
            self.hovers = True
        self.calm = 0

    def apply(self, levels: Levels, size: int) -> bool:
        """Follow a delta; return whether the level count is what it has to be."""
        prices = self.prices
        for price, qty in levels:
            if qty > 0.0:
                prices.add(price)
            else:
                prices.discard(price)
        count = len(prices)
        if count == size:
            self.full = True
            self.calm += 1
            if self.calm >= _SURELY_DEEPER:
                self.hovers = False
            return True
        was_full, self.full, self.calm = self.full, False, 0
        return count < size and (not was_full or self.hovers)


class WindowSync:
    """State machine around one `OrderBook`. Times are UTC ns. `last_id` is the venue's cross sequence."""

    __slots__ = (
        "_chained",
        "_dropped",
        "_edges",
        "_moved",
        "book",
        "counters",
        "last_id",
        "loaded_ns",
        "number",
        "size",
        "state",
    )

    def __init__(self, counters: BookCounters | None = None) -> None:
        self.book = OrderBook()
        self.counters = counters or BookCounters()
        self.state = BookState.WAITING
        self.last_id = NO_ID
        self.loaded_ns = 0
        self.size = 0
        """Levels per side of the newest snapshot's subscription."""
        self.number = NO_ID
        """Number of the newest message that was taken."""
        self._chained = False
        self._moved = False
        self._edges = (_Edge(), _Edge())
        self._dropped = [False, False]
        """Which sides fell below N when the chain broke."""

    # -- updates -------------------------------------------------------------------------------------------------

    def on_snapshot(self, size: int, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Replace the book; `size` is N. More levels than that are a gap: the frame cannot be right."""
        if len(bids) > size or len(asks) > size:
            self._break(now_ns)
            self.counters.refused_snapshots += 1
            return Outcome.GAP
        if size != self.size:
            self._edges = (_Edge(), _Edge())
        book = self.book
        book.clear()
        book.load(bids, asks, limit=size, unbroken=False)
        for which, levels in ((BID, bids), (ASK, asks)):
            self._edges[which].load(levels, size, dropped=self._dropped[which])
        self._dropped = [False, False]
        self.counters.snapshots += 1
        self.counters.resyncs += self.loaded_ns > 0 and not self._chained
        self.size, self.number, self.last_id = size, number, seq
        self._chained = self._moved = True
        self.loaded_ns = now_ns
        self._show()
        return Outcome.LOADED

    def on_delta(self, size: int, number: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take one delta. IGNORED: it came before any snapshot, or once more."""
        if number == 1:
            return self.on_snapshot(size, number, seq, bids, asks, now_ns)
        if not self._chained or (number <= self.number and size == self.size):
            self.counters.dropped += 1
            return Outcome.IGNORED
        if number != self.number + 1 or size != self.size:
            return self._gap(now_ns)
        book = self.book
        book.bids.queue(bids)
        book.asks.queue(asks)
        self.number, self.last_id = number, seq
        bid_edge, ask_edge = self._edges
        bids_fit, asks_fit = bid_edge.apply(bids, size), ask_edge.apply(asks, size)
        if not (bids_fit and asks_fit):
            self._dropped = [
                not fits and len(edge.prices) < size for fits, edge in ((bids_fit, bid_edge), (asks_fit, ask_edge))
            ]
            return self._gap(now_ns)
        self._moved = True
        self.counters.applied += 1
        self._show()
        return Outcome.APPLIED

    def on_polled(self, limit: int, seq: int, bids: Levels, asks: Levels, now_ns: int) -> Outcome:
        """Take a snapshot asked for with `limit` levels while no stream can be had."""
        if self._chained or (self.state is BookState.POLLED and seq < self.last_id):
            self.counters.refused_snapshots += 1
            return Outcome.TOO_OLD
        self.book.clear()
        self.book.load(bids, asks, limit=limit, unbroken=False)
        self.counters.snapshots += 1
        self.state, self.last_id, self.loaded_ns = BookState.POLLED, seq, now_ns
        return Outcome.LOADED

    def _gap(self, now_ns: int) -> Outcome:
        self._break(now_ns)
        self.counters.gaps += 1
        return Outcome.GAP

    def _break(self, now_ns: int) -> None:
        self.book.distrust(now_ns)
        self._chained = False
        self.state = BookState.WAITING

    def _show(self) -> None:
        """A book without any order is none: the venue sends it while an instrument is suspended."""
        has_levels = self._edges[BID].prices or self._edges[ASK].prices
        self.state = BookState.LIVE if has_levels else BookState.WAITING

    # -- stream --------------------------------------------------------------------------------------------------

    def on_up(self, now_ns: int) -> None:
        """The stream begins; its first message is a snapshot. Nothing chains a polled book to it."""
        if self.state is BookState.POLLED:
            self._break(now_ns)

    def on_down(self, now_ns: int) -> None:
        """The stream ended: nothing is known until the next snapshot."""
        if self._chained:
            self._break(now_ns)

    def invalidate(self, now_ns: int) -> None:
        """Distrust the book and wait for a snapshot."""
        self._break(now_ns)

    @property
    def wants_snapshot(self) -> bool:
        """Whether the book waits for a snapshot."""
        return not self._chained

    # -- reading -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Say up to which price each side is known."""
        if not self._moved or not self._chained:
            return
        self._moved = False
        for side, edge in zip(self.book.sides, self._edges, strict=True):
            side.reach_key = math.inf if len(edge.prices) < self.size else side.furthest_key()

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none), whatever the state."""
        return self.book.best()

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write the bands of the book into its row."""
        self._settle()
        table.measure(row, self.book, self.last_id, now_ns)

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and since when unconfirmed, best first."""
        return self.book.side(which).levels(count)

    def counts(self) -> tuple[int, int]:
        """Return how many bids and asks the window holds."""
        return len(self._edges[BID].prices), len(self._edges[ASK].prices)

    def crossed(self) -> bool:
        """Tell whether best bid > best ask."""
        return self.book.crossed()

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time; return how many."""
        return self.book.expire(before_ns)
