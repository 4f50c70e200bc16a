"""One simulated order book: turns a wanted mid price and depth factors into level changes, 100 ms at a time.

A window's first changes happen before its diff is sent, as on the venue: a snapshot asked for in between is ahead of
the stream (`pending`), so its id lies inside the next diff's range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from app.sim.ladder import Ladder
from app.sim.universe import Listing

_DENSE = 0.008  # levels stand evenly up to about this distance, and exponentially sparser beyond
_NOISE_POINTS = 4096
_FURTHEST_BID = 0.93
_FURTHEST_ASK = 1.6
_FREE_TRIES = 12  # ticks looked at for a free one
_REFILL_PLACES = 20.0  # holes are looked for among the first twentieth of the levels, roughly
_KEEP_OUTER = 4  # outermost levels stay, so that the book always reaches past the widest band
DEPTH_PER_VOLUME = 0.05  # USD resting on one side within 60 %, per USD of daily volume


@dataclass(slots=True)
class Top:
    """Best levels after some change: prices in ticks, quantities in steps."""

    update_id: int
    bid: int
    bid_quantity: int
    ask: int
    ask_quantity: int


@dataclass(slots=True)
class Changes:
    """What one diff tells: ids, and per side price in ticks -> quantity in steps (0: removed)."""

    first_id: int
    last_id: int
    previous_id: int
    bids: dict[int, int]
    asks: dict[int, int]
    tops: list[Top] = field(default_factory=list)


@dataclass(slots=True)
class Pressure:
    """How much rests on a book's sides now, against its usual: factors for near, middle and far levels."""

    bid: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ask: tuple[float, float, float] = (1.0, 1.0, 1.0)


class SimBook:
    """The truth about one instrument. Ids are given by the market, which knows how the venue counts."""

    def __init__(self, listing: Listing, mid: float, generator: np.random.Generator, update_id: int) -> None:
        """Fill both sides around `mid` (USD); `update_id` is the id of this first state."""
        self.listing = listing
        self.update_id = update_id
        self.trading = True
        self.pending_bids: dict[int, int] = {}
        self.pending_asks: dict[int, int] = {}
        self.pending_first_id = 0
        self.pending_id = 0
        self._price_scale = 10**listing.price_decimals
        self._random = Random(int(generator.integers(2**63)))
        self._noise: list[float] = np.exp(generator.normal(-0.4, 0.9, _NOISE_POINTS)).tolist()
        self._lean = float(np.exp(generator.normal(-0.3, 0.25)))  # usual bid depth against ask depth
        # The spread is one tick on busy books, a few on quiet ones.
        self._spread = 1 if listing.major else int(generator.integers(1, 4))
        shape = _distances(listing.levels)
        usual_usd = DEPTH_PER_VOLUME * listing.quote_volume_usd / float(_notional_weight(shape).sum())
        self._quantity_scale = usual_usd * self._price_scale * 10**listing.quantity_decimals
        bid = int(mid * self._price_scale - self._spread / 2)
        ask = bid + self._spread
        even = Pressure()
        bid_offsets = _offsets(shape, bid)
        bid_offsets = bid_offsets[bid_offsets < _FURTHEST_BID * bid]
        ask_offsets = _offsets(shape * (_FURTHEST_ASK / _FURTHEST_BID), ask)
        self._bid_distances: list[float] = (bid_offsets / bid).tolist()
        self._ask_distances: list[float] = (ask_offsets / ask).tolist()
        bids = {price: self._quantity_at(price, 1 - price / bid, 1, even.bid) for price in (bid - bid_offsets).tolist()}
        asks = {
            -price: self._quantity_at(price, price / ask - 1, -1, even.ask) for price in (ask + ask_offsets).tolist()
        }
        self.bids = Ladder(1, bids)
        self.asks = Ladder(-1, asks)
        self._bid_target = len(bids)
        self._ask_target = len(asks)

    @property
    def best_bid(self) -> int:
        """Best bid in ticks."""
        return self.bids.best

    @property
    def best_ask(self) -> int:
        """Best ask in ticks."""
        return -self.asks.best

    def top(self, update_id: int) -> Top:
        """Return the best levels, labelled with an id."""
        bid, ask = self.bids.best, self.asks.best
        return Top(update_id, bid, self.bids.quantities[bid], -ask, self.asks.quantities[ask])

    def move(self, mid: float, pressure: Pressure, edits: int) -> Changes:
        """Apply one window: pull the touch to `mid` (USD), make about `edits` more changes. Ids are still empty."""
        bid_changes, ask_changes = self.pending_bids, self.pending_asks
        self.pending_bids, self.pending_asks = {}, {}
        bids, asks = self.bids, self.asks
        for key, quantity in bid_changes.items():
            bids.set(key, quantity)
        for key, quantity in ask_changes.items():
            asks.set(key, quantity)
        changes = Changes(0, 0, self.update_id, bid_changes, ask_changes)
        before = (bids.best, bids.quantities[bids.best], asks.best, asks.quantities[asks.best])
        self._pull_touch(mid, pressure, bid_changes, ask_changes)
        top = (bids.best, bids.quantities[bids.best], asks.best, asks.quantities[asks.best])
        if top != before and self.listing.major:
            changes.tops.append(self.top(0))
        for _ in range(edits):
            if self._random.random() < 0.5:
                self._edit(bids, bid_changes, pressure.bid, self._bid_distances, self._bid_target)
            else:
                self._edit(asks, ask_changes, pressure.ask, self._ask_distances, self._ask_target)
        last = (bids.best, bids.quantities[bids.best], asks.best, asks.quantities[asks.best])
        if last != before:
            changes.tops.append(self.top(0))
        changes.asks = {-key: quantity for key, quantity in ask_changes.items()}
        return changes

    def look_ahead(self, pressure: Pressure, count: int) -> int:
        """Let the next window begin: change quantities of a few levels behind the touch; return how many."""
        for ladder, changes, factors in (
            (self.bids, self.pending_bids, pressure.bid),
            (self.asks, self.pending_asks, pressure.ask),
        ):
            for _ in range(count):
                if len(ladder) < 2:
                    continue
                place = min(len(ladder) - 1, 1 + int(self._random.expovariate(0.1)))
                key = ladder.keys[-1 - place]
                changes[key] = self._quantity(ladder, key, factors)
        return len(self.pending_bids) + len(self.pending_asks)

    def snapshot(self, limit: int | None, *, ahead: bool) -> tuple[int, list[tuple[int, int]], list[tuple[int, int]]]:
        """Return (id, bids, asks) in ticks and steps, best first; `ahead` includes the window that has begun."""
        bids, asks = self.bids.best_first(limit), self.asks.best_first(limit)
        if not (ahead and self.pending_id > self.update_id):
            return self.update_id, bids, asks
        new_bids, new_asks = self.pending_bids, self.pending_asks
        bids = [(price, new_bids.get(price, quantity)) for price, quantity in bids]
        asks = [(price, new_asks.get(-price, quantity)) for price, quantity in asks]
        return self.pending_id, bids, asks

    def _pull_touch(
        self, mid: float, pressure: Pressure, bid_changes: dict[int, int], ask_changes: dict[int, int]
    ) -> None:
        """Eat what stands beyond the new touch, then see that both best prices are there."""
        bids, asks = self.bids, self.asks
        bid = max(1, round(mid * self._price_scale - self._spread / 2))
        ask = bid + self._spread
        for key in bids.pop_above(bid):
            bid_changes[key] = 0
        for key in asks.pop_above(-ask):
            ask_changes[key] = 0
        if bid not in bids.quantities:
            bid_changes[bid] = quantity = self._quantity_at(bid, 0.0, 1, pressure.bid)
            bids.set(bid, quantity)
        if -ask not in asks.quantities:
            ask_changes[-ask] = quantity = self._quantity_at(ask, 0.0, -1, pressure.ask)
            asks.set(-ask, quantity)

    def _edit(
        self,
        ladder: Ladder,
        changes: dict[int, int],
        factors: tuple[float, float, float],
        distances: list[float],
        target: int,
    ) -> None:
        dice = self._random.random()
        keys = ladder.keys
        count = len(keys)
        if dice < 0.5:  # near the top; the touch itself rather often
            key = keys[-1 - min(count - 1, int(self._random.expovariate(0.12)))]
            quantity = self._quantity(ladder, key, factors)
        elif dice < 0.68:  # anywhere
            key = keys[int(self._random.random() * count)]
            quantity = self._quantity(ladder, key, factors)
        elif count < target or (dice < 0.84 and count < target * 1.03):
            touch = abs(keys[-1])
            rank = min(int(self._random.expovariate(_REFILL_PLACES / len(distances))), min(count, len(distances)) - 1)
            if keys[-1] - keys[-1 - rank] > distances[rank] * touch:  # eaten away by price moves: fill it again
                key = keys[-1] - int(distances[rank] * touch * self._random.random())
            else:
                distance = distances[int(self._random.random() * len(distances))]
                key = keys[-1] - int(distance * touch * (0.97 + 0.06 * self._random.random()))
            for _ in range(_FREE_TRIES):
                if key not in ladder.quantities:
                    break
                key -= 1
            if ladder.sign > 0 and key < 1:
                return
            quantity = self._quantity(ladder, key, factors)
        elif count > _KEEP_OUTER + 2:
            key = keys[_KEEP_OUTER + int(self._random.random() * (count - _KEEP_OUTER - 1))]
            quantity = 0
        else:
            return
        ladder.set(key, quantity)
        changes[key] = quantity

    def _quantity(self, ladder: Ladder, key: int, factors: tuple[float, float, float]) -> int:
        touch = ladder.keys[-1]
        return self._quantity_at(abs(key), (touch - key) / abs(touch), ladder.sign, factors)

    def _quantity_at(self, price: int, distance: float, sign: int, factors: tuple[float, float, float]) -> int:
        factor = factors[0] if distance < 0.03 else factors[1] if distance < 0.15 else factors[2]
        if sign > 0:
            factor *= self._lean
        noise = self._noise[int(self._random.random() * _NOISE_POINTS)]
        weight = (1.0 + 250.0 * distance) ** 0.6
        return max(1, int(self._quantity_scale * weight * factor * noise / price))


def _distances(levels: int) -> npt.NDArray[np.float64]:
    """Return the distances from the touch at which levels stand, as shares of its price: dense near, sparse far.

    Deep books are densest, so that a snapshot of 1,000 of their levels ends within a few per cent.
    """
    places = np.linspace(0.0, 1.0, levels)
    return np.asarray(_DENSE * np.expm1(places * np.log1p(_FURTHEST_BID / _DENSE)), dtype=np.float64)


def _offsets(distances: npt.NDArray[np.float64], touch: int) -> npt.NDArray[np.int64]:
    """Return the distances in ticks, pushed outwards where two would meet on one tick."""
    order = np.arange(len(distances), dtype=np.int64)
    ticks = (distances * touch).astype(np.int64)
    return np.asarray(np.maximum.accumulate(ticks - order) + order, dtype=np.int64)


def _notional_weight(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray((1.0 + 250.0 * distances) ** 0.6, dtype=np.float64)
