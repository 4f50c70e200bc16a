"""One true order book of the simulated Hyperliquid: every level of both sides, from which all resolutions are cut.

Levels are numpy arrays, best first. They stand densely near the touch and exponentially sparser to -93 % and +160 %;
the touch eats its way through them, gaps are filled again and crowds thinned out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.sim.hyperliquid import lattice
from app.sim.hyperliquid.lattice import Floats, Ints, Levels
from app.sim.hyperliquid.universe import Coin

_DENSE = 0.008
_REACH = {1: 0.93, -1: 1.6}
_DEPTH_PER_VOLUME = 0.05  # USD resting on one side, per USD of daily volume
_LEAST_DEPTH_USD = 40_000.0
_FRESH_SHARE = 0.04  # of the levels get a new size with every move
_FILLED_AT_ONCE = 6
_CROWDED, _SPARSE = 0.35, 2.8  # of the wanted distance between two levels
_TIDY_EVERY = 5
_NOISES = 1024
_NEAR, _MIDDLE = 0.03, 0.15


@dataclass(slots=True)
class Side:
    """One side: `sign` +1 for bids, -1 for asks; arrays best first."""

    sign: int
    prices: Ints
    sizes: Ints
    orders: Ints

    def levels(self) -> Levels:
        """Return the arrays as one value."""
        return Levels(self.prices, self.sizes, self.orders)


class SimBook:
    """The whole truth about one coin. `version` changes with every change."""

    def __init__(self, coin: Coin, bid: int, ask: int, generator: np.random.Generator, pressure: Floats) -> None:
        """Fill both sides outwards from the touch (atoms); `pressure` is [2, 3]: bids and asks, near to far."""
        self.coin = coin
        self.version = 0
        self._generator = generator
        self._pressure = pressure
        self._moves = 0
        self._noise: Floats = np.exp(generator.normal(-0.4, 0.9, _NOISES))
        depth_usd = max(_LEAST_DEPTH_USD, coin.volume_usd * _DEPTH_PER_VOLUME)
        shape = _distances(coin.levels, _REACH[1])
        atom_usd, step = 10.0**-coin.price_decimals, 10.0**coin.size_decimals
        self._scale = depth_usd / float(_weight(shape).sum()) * step / atom_usd
        self.bids = self._filled(1, bid)
        self.asks = self._filled(-1, ask)

    def _filled(self, sign: int, touch: int) -> Side:
        distances = _distances(self.coin.levels, _REACH[sign])
        wanted = (touch * (1.0 - sign * distances)).astype(np.int64)
        decimals = self.coin.price_decimals
        prices = lattice.round_down(wanted, decimals) if sign > 0 else lattice.round_up(wanted, decimals)
        prices[0] = touch
        prices = prices[prices > 0]
        prices = prices[np.flatnonzero(np.diff(prices, prepend=prices[0] + 1))]
        side = Side(sign, prices, prices, prices)
        side.sizes, side.orders = self._rest(side, prices)
        return side

    @property
    def best_bid(self) -> int:
        """Best bid in atoms."""
        return int(self.bids.prices[0])

    @property
    def best_ask(self) -> int:
        """Best ask in atoms."""
        return int(self.asks.prices[0])

    def levels(self) -> tuple[Levels, Levels]:
        """Return bids and asks as clients may see them: a side the coin lacks is empty."""
        nothing = np.zeros(0, dtype=np.int64)
        none = Levels(nothing, nothing, nothing)
        bids = self.bids.levels() if self.coin.has_bids and not self.coin.delisted else none
        asks = self.asks.levels() if self.coin.has_asks and not self.coin.delisted else none
        return bids, asks

    def move(self, bid: int, ask: int, pressure: Floats) -> None:
        """Pull the touch to new prices (atoms) and let some levels change their size."""
        self._pressure = pressure
        self._moves += 1
        self.version += 1
        for side, touch in ((self.bids, bid), (self.asks, ask)):
            self._pull(side, touch)
            fresh = self._generator.integers(0, len(side.prices), max(3, int(len(side.prices) * _FRESH_SHARE)))
            side.sizes, side.orders = side.sizes.copy(), side.orders.copy()
            side.sizes[fresh], side.orders[fresh] = self._rest(side, side.prices[fresh])
            if self._moves % _TIDY_EVERY == 0:
                self._tidy(side)

    def _pull(self, side: Side, touch: int) -> None:
        best = int(side.prices[0])
        if best == touch:
            return
        if (touch - best) * side.sign < 0:  # eaten
            keep = (side.prices - touch) * side.sign <= 0
            if not keep[-3:].any():  # a jump past the whole book
                filled = self._filled(side.sign, touch)
                side.prices, side.sizes, side.orders = filled.levels()
                return
            side.prices, side.sizes, side.orders = side.prices[keep], side.sizes[keep], side.orders[keep]
            if int(side.prices[0]) != touch:
                self._insert(side, np.zeros(1, dtype=np.int64), np.array([touch], dtype=np.int64))
            return
        between = np.linspace(touch, best, _FILLED_AT_ONCE + 1)[:-1].astype(np.int64)
        self._insert(side, np.zeros(len(between), dtype=np.int64), self._allowed(side, between, touch, best))

    def _allowed(self, side: Side, prices: Ints, touch: int, best: int) -> Ints:
        decimals = self.coin.price_decimals
        rounded = lattice.round_down(prices, decimals) if side.sign > 0 else lattice.round_up(prices, decimals)
        rounded[0] = touch
        fits = ((rounded - best) * side.sign > 0) & ((touch - rounded) * side.sign >= 0)
        rounded = rounded[fits]
        return np.asarray(rounded[np.flatnonzero(np.diff(rounded, prepend=rounded[0] + 1))], dtype=np.int64)

    def _insert(self, side: Side, places: Ints, prices: Ints) -> None:
        places = places[: len(prices)]
        sizes, orders = self._rest(side, prices, touch=int(prices[0]) if not places.any() else None)
        side.prices = np.insert(side.prices, places, prices)
        side.sizes = np.insert(side.sizes, places, sizes)
        side.orders = np.insert(side.orders, places, orders)

    def _tidy(self, side: Side) -> None:
        """Thin out crowds and fill gaps, by at most a few levels."""
        prices = side.prices
        touch = int(prices[0])
        distances = np.abs(prices - touch) / touch
        reach = _REACH[side.sign]
        wanted = (_DENSE + distances[:-1]) * math.log1p(reach / _DENSE) / self.coin.levels
        gaps = np.diff(distances) / wanted
        crowded = np.flatnonzero(gaps < _CROWDED)
        crowded = crowded[(crowded > 2) & (crowded < len(prices) - 4)][::2]
        if len(crowded):
            keep = np.ones(len(prices), dtype=bool)
            keep[crowded] = False
            side.prices, side.sizes, side.orders = prices[keep], side.sizes[keep], side.orders[keep]
            return
        sparse = np.flatnonzero(gaps > _SPARSE)
        if not len(sparse):
            return
        middle = (prices[sparse] + prices[sparse + 1]) // 2
        decimals = self.coin.price_decimals
        middle = lattice.round_down(middle, decimals) if side.sign > 0 else lattice.round_up(middle, decimals)
        free = (middle != prices[sparse]) & (middle != prices[sparse + 1])
        inside = free & ((prices[sparse] - middle) * side.sign > 0) & ((middle - prices[sparse + 1]) * side.sign > 0)
        if inside.any():
            self._insert(side, sparse[inside] + 1, middle[inside])

    def _rest(self, side: Side, prices: Ints, touch: int | None = None) -> tuple[Ints, Ints]:
        """Return sizes and order counts of levels at some prices."""
        dice = self._generator
        best = int(side.prices[0]) if touch is None else touch
        distances = np.abs(prices - best) / best
        zones = (distances >= _NEAR).astype(np.int64) + (distances >= _MIDDLE)
        factor = self._pressure[0 if side.sign > 0 else 1][zones]
        noise = self._noise[dice.integers(0, _NOISES, len(prices))]
        sizes = np.maximum(1, (self._scale * _weight(distances) * factor * noise / prices).astype(np.int64))
        return sizes, dice.geometric(0.25, len(prices)).astype(np.int64)


def _distances(levels: int, reach: float) -> Floats:
    places = np.linspace(0.0, 1.0, levels)
    return np.asarray(_DENSE * np.expm1(places * np.log1p(reach / _DENSE)), dtype=np.float64)


def _weight(distances: Floats) -> Floats:
    return np.asarray((1.0 + 250.0 * distances) ** 0.6, dtype=np.float64)
