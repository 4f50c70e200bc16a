"""The simulated Bybit's numbers: turns a seed into prices, trades, 24 h figures, funding and liquidations, per 100 ms.

All coins walk together and each by itself, contracts a little beside their coin. Now and then something happens to a
coin, always the same for the same seed: a burst of volume, a surge, a jump, or a spread that closes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market
from app.sim.book import Pressure
from app.sim.bybit.contracts import MARKETS, Catalogue, Contract
from app.sim.factors import Wander

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

STEP_S = 0.1
DAY_S = 86_400.0
_SIGMA_ALL = 2.0e-5
_SIGMA_OWN = 4.0e-5
_BASIS_SIGMA = 0.0004
_EVENT_EVERY_S = 12.0
_BIGGEST_COINS = 5  # these neither jump nor surge far
_LIQUIDATION_CHANCE = 0.02  # per step, somewhere in the market
_ACTIVE_MOST = 0.9
_SLOW_EVERY = 10  # figures nobody trades on move once a second, a tenth of the rows each step


class EventKind(StrEnum):
    """What can happen to a coin."""

    VOLUME = "volume"
    SURGE = "surge"
    JUMP = "jump"
    TIGHT = "tight"


@dataclass(slots=True)
class MarketEvent:
    """Something that happens to a coin until a step."""

    kind: EventKind
    coin: int
    until_step: int
    size: float


@dataclass(frozen=True, slots=True)
class SimLiquidation:
    """One liquidated position: `long` tells which side was closed, quantity in quoted units."""

    row: int
    long: bool
    quantity: float
    price: float


class Figures:
    """The numbers of one market's instruments, one array per column, rows as in its contracts."""

    def __init__(self, contracts: list[Contract], generator: np.random.Generator, mids: Floats) -> None:
        """Start somewhere in the middle of a plausible day."""
        count = len(contracts)
        self.contracts = contracts
        self.coin = np.array([each.coin for each in contracts])
        self.units = np.array([float(each.units) for each in contracts])
        self.tick = np.array([10.0**-each.listing.price_decimals for each in contracts])
        self.usual_spread = np.array([float(each.spread_ticks) for each in contracts])
        self.spread = self.usual_spread.copy()
        self.activity = np.array([each.activity for each in contracts])
        self.trading: Flags = np.array([each.trading for each in contracts])
        self.volume_usual = np.array([each.listing.quote_volume_usd for each in contracts]) / mids
        self.mid = mids.copy()
        self.bid_ticks = self._best_bids()
        self.last = self._on_tick(mids)
        self.index = mids.copy()
        self.mark = mids.copy()
        day = 1.0 + generator.normal(0.0, 0.03, count)
        self.previous_24h = self._on_tick(mids * day)
        self.previous_1h = self._on_tick(mids * (1.0 + generator.normal(0.0, 0.006, count)))
        outside = np.abs(generator.normal(0.0, 0.012, (2, count))) + 0.004
        self.high_24h = self._on_tick(np.maximum(mids, self.previous_24h) * (1.0 + outside[0]))
        self.low_24h = self._on_tick(np.minimum(mids, self.previous_24h) * (1.0 - outside[1]))
        self.volume_24h = self.volume_usual * generator.uniform(0.7, 1.3, count)
        self.turnover_24h = self.volume_24h * (mids + self.previous_24h) / 2.0
        self.open_interest = np.array([each.open_interest for each in contracts]) * generator.uniform(0.8, 1.2, count)
        self.funding = np.clip(generator.normal(0.0001, 0.00015, count), -0.004, 0.004)
        self.tick_up: Flags = generator.random(count) < 0.5
        self.active: Flags = np.zeros(count, dtype=bool)
        self.touched: Flags = np.zeros(count, dtype=bool)
        self.traded: Floats = np.zeros(count)
        self.bought: Flags = np.zeros(count, dtype=bool)
        self._basis = Wander(generator, count, _BASIS_SIGMA, 60.0)
        self._generator = generator

    def _on_tick(self, prices: Floats) -> Floats:
        return np.asarray(np.maximum(1.0, np.round(prices / self.tick)) * self.tick, dtype=np.float64)

    def _best_bids(self) -> npt.NDArray[np.int64]:
        """Return best bids in ticks where no book is followed; the books pull their touch to the same."""
        bids = np.maximum(1.0, np.round(self.mid / self.tick - self.spread / 2.0))
        return np.asarray(bids, dtype=np.int64)

    def step(self, step_number: int, coin_prices: Floats, busyness: Floats, tight: Flags) -> None:
        """Move on by 100 ms: `busyness` multiplies each coin's volume, `tight` closes its spread."""
        generator, count = self._generator, len(self.contracts)
        self.index = coin_prices[self.coin] * self.units
        self.mid = np.where(self.trading, self.index * (1.0 + self._basis.step()), self.mid)
        self.spread = np.where(tight[self.coin], 1.0, self.usual_spread)
        busy = busyness[self.coin]
        chance = np.minimum(_ACTIVE_MOST, self.activity * np.sqrt(busy))
        self.active = (generator.random(count) < chance) & self.trading
        self.bought = generator.random(count) < 0.5
        self.bid_ticks = self._best_bids()
        price = np.where(self.bought, self.bid_ticks + self.spread, self.bid_ticks) * self.tick
        self.tick_up = np.where(self.active & (price != self.last), price > self.last, self.tick_up)
        self.last = np.where(self.active, price, self.last)
        mean = self.volume_usual / (DAY_S / STEP_S) / np.maximum(chance, 1e-6)
        size = mean * busy * generator.lognormal(-0.5, 1.0, count)
        self.traded = np.where(self.active, size, 0.0)
        fading = STEP_S / DAY_S
        self.volume_24h += self.traded - self.volume_24h * fading * self.trading
        self.turnover_24h += self.traded * self.last - self.turnover_24h * fading * self.trading
        self.high_24h = np.maximum(self.high_24h, self.last)
        self.low_24h = np.minimum(self.low_24h, self.last)
        slow = (np.arange(count) % _SLOW_EVERY == step_number % _SLOW_EVERY) & self.trading
        self.mark = np.where(slow, 0.7 * self.mark + 0.3 * self.mid, self.mark)
        pull = (self.mid / self.index - 1.0) * 0.02 + 0.00002
        funding = self.funding + (pull - self.funding * 0.004) * 0.002 + generator.normal(0.0, 1.5e-7, count)
        self.funding = np.where(slow, np.clip(funding, -0.005, 0.005), self.funding)
        drift = generator.normal(0.0, 0.0002, count) * np.sqrt(busy)
        self.open_interest = np.where(slow, self.open_interest * (1.0 + drift), self.open_interest)
        self.touched = self.active | slow


class Tape:
    """All figures of both markets; `step` moves them together."""

    def __init__(self, catalogue: Catalogue, generator: np.random.Generator, *, rate: float) -> None:
        """Start the walks; `rate` scales how much happens."""
        prices = np.array(catalogue.prices_usd)
        count = len(prices)
        self.step_number = 0
        self.rate = rate
        self.events: list[MarketEvent] = []
        self.events_begun = 0
        self.liquidations: list[SimLiquidation] = []
        self._generator = generator
        self._log_price: Floats = np.log(prices)
        self._beta: Floats = generator.uniform(0.7, 1.5, count)
        self._trend = Wander(generator, 1, 4.0e-6, 30.0)
        self._depth = Wander(generator, count, 0.30, 40.0)
        self._lean = Wander(generator, count, 0.30, 25.0)
        self._drift: Floats = np.zeros(count)
        self.coin_prices = prices
        self.figures = {
            market: Figures(
                catalogue.contracts[market],
                generator,
                np.array([prices[each.coin] * each.units for each in catalogue.contracts[market]]),
            )
            for market in MARKETS
        }
        self._next_event = self._wait()

    def _wait(self) -> int:
        pause_s = float(self._generator.exponential(_EVENT_EVERY_S / self.rate))
        return self.step_number + max(1, int(pause_s / STEP_S))

    def step(self) -> None:
        """Move everything on by 100 ms."""
        self.step_number += 1
        generator, count = self._generator, len(self._log_price)
        if self.step_number >= self._next_event:
            self._begin_event()
            self._next_event = self._wait()
        busyness, tight = self._apply_events(count)
        common = generator.normal(0.0, _SIGMA_ALL) + float(self._trend.step()[0])
        self._log_price = self._log_price + self._beta * common + generator.normal(0.0, _SIGMA_OWN, count) + self._drift
        self.coin_prices = np.exp(self._log_price)
        self._depth.step()
        self._lean.step()
        for figures in self.figures.values():
            figures.step(self.step_number, self.coin_prices, busyness, tight)
        self._liquidate()

    def mid(self, market: Market, row: int) -> float:
        """Return the wanted mid price of an instrument in quoted units."""
        return float(self.figures[market].mid[row])

    def pressure(self, coin: int) -> Pressure:
        """Return how much wants to rest on the sides of a coin's books now."""
        depth, lean = float(self._depth.values[coin]), float(self._lean.values[coin])
        bid, ask = math.exp(depth + lean / 2.0), math.exp(depth - lean / 2.0)
        return Pressure((bid, bid, bid), (ask, ask, ask))

    def begin(self, kind: EventKind, coin: int, size: float, duration_s: float) -> None:
        """Let something happen to a coin: `size` is a volume factor, or a price change as a fraction."""
        steps = max(1, int(duration_s / STEP_S))
        if kind is EventKind.JUMP:
            self._log_price[coin] += math.log1p(size)
            steps = 100
        elif kind is EventKind.SURGE:
            size = math.log1p(size) / steps
        self.events.append(MarketEvent(kind, coin, self.step_number + steps, size))
        self.events_begun += 1

    def _begin_event(self) -> None:
        generator, count = self._generator, len(self._log_price)
        coin = int(generator.integers(count))
        calm = 0.25 if coin < _BIGGEST_COINS else 1.0
        sign = 1.0 if generator.random() < 0.5 else -1.0
        dice = generator.random()
        if dice < 0.4:
            self.begin(EventKind.VOLUME, coin, float(generator.uniform(12.0, 50.0)), float(generator.uniform(10, 40)))
        elif dice < 0.7:
            size = sign * calm * float(generator.uniform(0.015, 0.06))
            self.begin(EventKind.SURGE, coin, size, float(generator.uniform(10.0, 45.0)))
        elif dice < 0.8 and calm == 1.0:
            self.begin(EventKind.JUMP, coin, sign * float(generator.uniform(0.012, 0.03)), 10.0)
        else:
            self.begin(EventKind.TIGHT, coin, 1.0, float(generator.uniform(20.0, 60.0)))

    def _apply_events(self, count: int) -> tuple[Floats, Flags]:
        busyness, tight = np.full(count, self.rate), np.zeros(count, dtype=bool)
        self._drift = np.zeros(count)
        self.events = [each for each in self.events if each.until_step >= self.step_number]
        for event in self.events:
            if event.kind is EventKind.VOLUME:
                busyness[event.coin] *= event.size
            elif event.kind is EventKind.TIGHT:
                tight[event.coin] = True
            else:
                busyness[event.coin] *= 8.0
                if event.kind is EventKind.SURGE:
                    self._drift[event.coin] += event.size
        return busyness, tight

    def _liquidate(self) -> None:
        generator, linear = self._generator, self.figures[Market.BYBIT_LINEAR]
        self.liquidations = []
        if generator.random() < _LIQUIDATION_CHANCE * self.rate:
            self._liquidate_one(int(generator.integers(len(linear.contracts))), bool(generator.random() < 0.5))
        for coin in np.flatnonzero(self._drift):
            if generator.random() < 0.25:
                rows = np.flatnonzero((linear.coin == coin) & linear.trading)
                if len(rows):
                    self._liquidate_one(int(rows[0]), bool(self._drift[coin] < 0.0))

    def _liquidate_one(self, row: int, long: bool) -> None:
        linear = self.figures[Market.BYBIT_LINEAR]
        if linear.trading[row]:
            self.liquidations.append(self.liquidation(row, long=long))

    def liquidation(self, row: int, *, long: bool) -> SimLiquidation:
        """Return a new liquidation of an instrument near its price; a long one lies below it."""
        linear = self.figures[Market.BYBIT_LINEAR]
        share = float(self._generator.lognormal(-10.0, 1.2))
        beside = float(self._generator.uniform(0.0005, 0.006)) * (-1.0 if long else 1.0)
        return SimLiquidation(
            row, long, share * float(linear.volume_usual[row]), float(linear.last[row]) * (1 + beside)
        )
