"""Keep a book that comes as complete snapshots at several resolutions, each of few levels: the newest one of each.

The full-precision snapshot proves the innermost prices. Coarser ones reach further with levels rounded together into
buckets of some significant figures; the direction of the rounding is not documented, so a bucket at price p may hold
anything from one step below p to one step above it. A band beyond what full precision proves is a floor: it sums the
buckets that lie inside it whatever the rounding, each at its lowest possible price. The finest resolution that reaches
the band's edge is taken (the coarsest there is when none does), never less than what a finer one proves to be there.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from app.books.depth import FACTORS, DepthTable
from app.books.keeper import BookCounters, BookState
from app.books.side import FloatArray, IntArray
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID, NS_PER_S

Levels = Sequence[tuple[float, float]]
"""Price and quantity, best first."""

STALE_AFTER_NS: Final = 10 * NS_PER_S
"""A resolution that lags so far behind the newest one says nothing of the same book any more."""
NO_ID: Final = -1
_POWERS: Final = [float(f"1e{exponent}") for exponent in range(-24, 17)]
_SMALLEST: Final = 8
"""Prices are above 1e-16, so that a bucket of theirs has a power too."""
# Band edges are rounded products: a level on an edge belongs to the band, an edge on the last level is reached.
_MARGIN: Final = 1e-14
_EXACT: Final = int(Coverage.EXACT)
_PARTIAL: Final = int(Coverage.PARTIAL)
_OUTER: Final = (FACTORS[BID] * (1.0 - _MARGIN)).tolist(), (FACTORS[ASK] * (1.0 + _MARGIN)).tolist()
_INNER: Final = (FACTORS[BID] * (1.0 + _MARGIN)).tolist(), (FACTORS[ASK] * (1.0 - _MARGIN)).tolist()


def step_at(price: float, figures: int) -> float:
    """Return the distance to the next higher price of so many significant figures: 63,000 at 3 figures -> 100."""
    return _POWERS[max(_SMALLEST, bisect_right(_POWERS, price) - 1) - figures + 1]


def step_below(price: float, figures: int) -> float:
    """Return the distance to the next lower price of so many figures; ten times finer below a power of ten."""
    return _POWERS[max(_SMALLEST, bisect_left(_POWERS, price) - 1) - figures + 1]


class _BookSide:
    """One side of a snapshot as sums up to each level. Keys are prices, negative for bids, so that they rise."""

    __slots__ = ("_coins", "_far", "_figures", "_sign", "_usd", "complete", "keys", "near", "quantities")

    def __init__(self, levels: Levels, which: int, figures: int | None, most: int) -> None:
        self._figures = figures
        self._sign = sign = -1.0 if which == BID else 1.0
        prices = [price for price, _ in levels]
        self.quantities = [quantity for _, quantity in levels]
        self.keys = [sign * price for price in prices]
        self.complete = len(levels) < most
        low = high = prices
        if figures is not None:
            low = [price - step_below(price, figures) for price in prices]
            high = [price + step_at(price, figures) for price in prices]
        far, near = (low, high) if which == BID else (high, low)
        self._far = [sign * price for price in far]
        self.near = [sign * price for price in near]
        """The best that the price of each level can be."""
        self._coins = [0.0, *accumulate(self.quantities)]
        notional = (price * quantity for price, quantity in zip(low, self.quantities, strict=True))
        self._usd = [0.0, *accumulate(notional)]

    def reaches(self, key: float) -> bool:
        """Tell whether everything up to that price is in this snapshot."""
        return self.complete or (bool(self.keys) and key <= self.keys[-1])

    def within(self, key: float) -> tuple[float, float]:
        """Return USD and coins that surely lie at that price or better."""
        count = bisect_right(self._far, key)
        return self._usd[count], self._coins[count]

    def bucket_at(self, key: float) -> float:
        """Return the size of a bucket at that price, or at the furthest level when that is nearer."""
        if self._figures is None or not self.keys:
            return 0.0
        return step_at(abs(min(key, self.keys[-1])), self._figures)


class _Snapshot:
    """The newest book at one resolution. Sides are worked out when they are first measured."""

    __slots__ = ("_sides", "event_ms", "figures", "levels", "most", "polled", "recv_ns")

    def __init__(
        self, levels: tuple[Levels, Levels], figures: int | None, most: int, recv_ns: int, event_ms: int, polled: bool
    ) -> None:
        self.levels = levels
        self.figures = figures
        self.most = most
        self.recv_ns = recv_ns
        self.event_ms = event_ms
        self.polled = polled
        self._sides: tuple[_BookSide, _BookSide] | None = None

    def side(self, which: int) -> _BookSide:
        if self._sides is None:
            bids, asks = self.levels
            self._sides = (
                _BookSide(bids, BID, self.figures, self.most),
                _BookSide(asks, ASK, self.figures, self.most),
            )
        return self._sides[which]


class BucketBook:
    """`Keeper` of such a book. lines: the name of each resolution with its significant figures (None: full precision),
    finest first. most: how many levels a side the venue gives at most. Times are UTC ns.
    """

    def __init__(self, lines: Mapping[str, int | None], most: int) -> None:
        self._figures = dict(lines)
        self._most = most
        self._up: set[str] = set()
        self._held: dict[str, _Snapshot] = {}
        self.counters = BookCounters()
        self.state = BookState.WAITING
        self.last_id = NO_ID
        self.loaded_ns = 0

    # -- input ---------------------------------------------------------------------------------------------------

    def on_up(self, now_ns: int, line: str | None = None) -> None:
        """The stream of a line (None: of all) begins."""
        self._up.update(self._figures if line is None else (line,))

    def on_down(self, now_ns: int, line: str | None = None) -> None:
        """The stream of a line (None: of all) ended. Without any the book is not read until one or a poll brings it."""
        self._up.difference_update(self._figures if line is None else (line,))
        if not self._up:
            self._held.clear()
            self.state = BookState.WAITING

    @property
    def streaming(self) -> bool:
        """Whether any line runs."""
        return bool(self._up)

    @property
    def held(self) -> tuple[str, ...]:
        """The lines whose snapshots describe the present book, finest first."""
        fresh = self._fresh()
        return tuple(line for line in self._figures if self._held.get(line) in fresh)

    def on_snapshot(
        self, line: str, event_ms: int, bids: Levels, asks: Levels, now_ns: int, *, polled: bool = False
    ) -> bool | None:
        """Take a snapshot at the resolution of a line; tell whether it changed the book, None when it is too old.

        polled: it was asked for while the line's stream is away.
        """
        held = self._held.get(line)
        levels = (bids, asks)
        if held is not None and event_ms < held.event_ms and now_ns - held.recv_ns <= STALE_AFTER_NS:
            self.counters.dropped += 1
            return None
        if polled and line in self._up:
            self.counters.refused_snapshots += 1
            return None
        if held is not None and held.levels == levels and held.polled == polled:
            held.recv_ns, held.event_ms = now_ns, event_ms
            self.last_id = max(self.last_id, event_ms)
            self.loaded_ns = now_ns
            return False
        self._held[line] = _Snapshot(levels, self._figures[line], self._most, now_ns, event_ms, polled)
        self.last_id = max(self.last_id, event_ms)
        if self.state is BookState.WAITING:
            self.counters.snapshots += 1
            self.counters.resyncs += self.loaded_ns > 0
        else:
            self.counters.applied += 1
        self.loaded_ns = now_ns
        self.state = BookState.LIVE if self._up else BookState.POLLED
        return True

    def invalidate(self, now_ns: int) -> None:
        """Forget every snapshot: the next ones are the book."""
        self._held.clear()
        self.state = BookState.WAITING

    @property
    def wants_snapshot(self) -> bool:
        """Whether nothing is known of the book."""
        return self.state is BookState.WAITING

    # -- reading -------------------------------------------------------------------------------------------------

    def _fresh(self) -> list[_Snapshot]:
        """Return the snapshots that describe the same moment, finest first."""
        held = [self._held[line] for line in self._figures if line in self._held]
        if not held:
            return held
        oldest_ns = max(snapshot.recv_ns for snapshot in held) - STALE_AFTER_NS
        return [snapshot for snapshot in held if snapshot.recv_ns >= oldest_ns]

    def best(self) -> tuple[float, float]:
        """Return best bid and ask (NaN: none) at the finest resolution there is, whatever the state."""
        fresh = self._fresh()
        return _top(fresh[0]) if fresh else (math.nan, math.nan)

    def measure(self, table: DepthTable, row: int, now_ns: int) -> None:
        """Write the bands of the book into its row."""
        fresh = self._fresh()
        if not fresh:
            table.clear_row(row, now_ns)
            return
        table.best[row] = _top(fresh[0])
        table.loose[row] = 0.0
        for which in (BID, ASK):
            self._measure_side(table, row, which, fresh)
        table.sampled_ns[row] = now_ns
        table.last_id[row] = self.last_id

    def _measure_side(self, table: DepthTable, row: int, which: int, fresh: list[_Snapshot]) -> None:
        sides = [snapshot.side(which) for snapshot in fresh]
        finest, proven = sides[0], fresh[0].figures is None
        if not finest.keys:  # fewer levels than could be given: known to be empty
            table.usd[row, which] = table.coins[row, which] = table.bucket_pct[row, which] = 0.0
            table.coverage[row, which] = Coverage.EXACT
            table.known_to_pct[row, which] = math.nan
            return
        best_key = finest.near[0]  # the true best price may be better: no edge may lie further than its own
        table.known_to_pct[row, which] = _known_to_pct(finest, which) if proven else 0.0
        bands = [
            self._band(sides, best_key * inner, best_key * outer, proven)
            for inner, outer in zip(_INNER[which], _OUTER[which], strict=True)
        ]
        usd, coins, coverage, bucket = zip(*bands, strict=True)
        table.usd[row, which], table.coins[row, which], table.coverage[row, which] = usd, coins, coverage
        table.bucket_pct[row, which] = bucket
        if any(bucket):
            table.bucket_pct[row, which] *= 100.0 / abs(finest.keys[0])

    @staticmethod
    def _band(sides: list[_BookSide], edge: float, outer: float, proven: bool) -> tuple[float, float, int, float]:
        """Return USD, coins, coverage and size of the buckets of one band with that edge."""
        if proven and sides[0].reaches(edge):
            return *sides[0].within(outer), _EXACT, 0.0
        usd = coins = 0.0
        side = sides[0]
        for side in sides:
            usd_there, coins_there = side.within(outer)
            usd, coins = max(usd, usd_there), max(coins, coins_there)
            if side.reaches(edge):
                break
        return usd, coins, _PARTIAL, side.bucket_at(edge)

    def levels(self, which: int, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and zeros of one side, best first: beyond the finest levels those of coarser ones."""
        keys: list[float] = []
        quantities: list[float] = []
        for snapshot in self._fresh():
            side = snapshot.side(which)
            reach = keys[-1] + abs(keys[-1]) * -1e-12 if keys else -math.inf
            start = next((n for n, near in enumerate(side.near) if near >= reach), len(side.near))
            keys += side.keys[start:]
            quantities += side.quantities[start:]
            if side.complete:
                break
        price = np.abs(np.array(keys[:count], np.float64))
        return price, np.array(quantities[:count], np.float64), np.zeros(price.size, np.int64)

    def crossed(self) -> bool:
        """Tell whether best bid > best ask at full precision; rounded prices cannot tell."""
        fresh = self._fresh()
        if not fresh or fresh[0].figures is not None:
            return False
        bid, ask = _top(fresh[0])
        return bid > ask

    def expire(self, before_ns: int) -> int:
        """Drop nothing: no level is ever unconfirmed."""
        return 0


def _top(snapshot: _Snapshot) -> tuple[float, float]:
    """Return the best prices; those that were rounded past each other are put in order."""
    bids, asks = snapshot.levels
    bid = bids[0][0] if bids else math.nan
    ask = asks[0][0] if asks else math.nan
    if snapshot.figures is not None and bid > ask:
        return ask, bid
    return bid, ask


def _known_to_pct(side: _BookSide, which: int) -> float:
    """Return how far from its best price a side is proven (see `DepthTable`)."""
    if side.complete:
        return 100.0 if which == BID else math.inf
    return (side.keys[-1] - side.keys[0]) / abs(side.keys[0]) * 100.0
