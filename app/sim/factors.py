"""Random factors that move all symbols together: prices, resting depth and the lean between bids and asks.

Every factor is an Ornstein-Uhlenbeck process in logarithms, stepped by 100 ms for all pairs at once; each pair feels a
market-wide one and its own. Prices are correlated random walks, futures carry a small wandering basis.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market
from app.sim.book import Pressure

Floats = npt.NDArray[np.float64]

STEP_S = 0.1
_PRICE_SIGMA_MARKET = 3.0e-5  # per step; about 55 % a year
_PRICE_SIGMA_OWN = 3.5e-5
_BASIS_SIGMA = 0.0004


class Wander:
    """Values that wander around 0 with a given standard deviation and memory."""

    def __init__(self, generator: np.random.Generator, count: int, deviation: float, memory_s: float) -> None:
        """Start at values drawn from the long-run distribution."""
        self._generator = generator
        self._keep = math.exp(-STEP_S / memory_s)
        self._kick = deviation * math.sqrt(1.0 - self._keep**2)
        self.values: Floats = generator.normal(0.0, deviation, count)

    def step(self) -> Floats:
        """Move on by 100 ms and return the values."""
        self.values = self.values * self._keep + self._generator.normal(0.0, self._kick, len(self.values))
        return self.values


class Factors:
    """What drives `count` pairs on both markets."""

    def __init__(self, generator: np.random.Generator, prices: Floats) -> None:
        """Take the pairs' starting prices in USD per coin."""
        count = len(prices)
        self._generator = generator
        self._log_price: Floats = np.log(prices)
        self._beta: Floats = generator.uniform(0.7, 1.6, count)
        self._trend = Wander(generator, 1, 2.0e-5, 30.0)
        self._basis = Wander(generator, count, _BASIS_SIGMA, 60.0)
        self._depth_slow = Wander(generator, 1, 0.30, 120.0)
        self._depth_fast = Wander(generator, 3, 0.20, 15.0)
        self._depth_own = Wander(generator, count * 2, 0.30, 40.0)
        self._lean_all = Wander(generator, 3, 0.22, 25.0)
        self._lean_own = Wander(generator, count * 2, 0.25, 20.0)
        self._mids: dict[Market, list[float]] = {}
        self._pressures: dict[Market, tuple[list[list[float]], list[list[float]]]] = {}
        self.step()

    def step(self, drift: Floats | None = None) -> None:
        """Move everything on by 100 ms; `drift` is added to the pairs' log prices."""
        count = len(self._log_price)
        common = self._generator.normal(0.0, _PRICE_SIGMA_MARKET) + float(self._trend.step()[0])
        own = self._generator.normal(0.0, _PRICE_SIGMA_OWN, count)
        self._log_price = self._log_price + self._beta * common + own
        if drift is not None:
            self._log_price += drift
        spot = np.exp(self._log_price)
        self._mids[Market.BINANCE_SPOT] = spot.tolist()
        self._mids[Market.BINANCE_USDM] = (spot * (1.0 + self._basis.step())).tolist()
        shared = self._depth_slow.step()[0] + self._depth_fast.step()
        lean_shared = self._lean_all.step()
        depth_own = self._depth_own.step().reshape(2, count, 1)
        lean_own = self._lean_own.step().reshape(2, count, 1)
        depth = depth_own + shared
        lean = (lean_own + lean_shared) / 2.0
        bids, asks = np.exp(depth + lean), np.exp(depth - lean)
        for row, market in enumerate((Market.BINANCE_SPOT, Market.BINANCE_USDM)):
            self._pressures[market] = (bids[row].tolist(), asks[row].tolist())

    def mids(self, market: Market) -> list[float]:
        """Return the wanted mid prices of all pairs in USD per coin."""
        return self._mids[market]

    def mid(self, market: Market, pair: int) -> float:
        """Return the wanted mid price of a pair in USD per coin."""
        return self._mids[market][pair]

    def pressure(self, market: Market, pair: int) -> Pressure:
        """Return how much wants to rest on a pair's sides now."""
        bids, asks = self._pressures[market]
        bid, ask = bids[pair], asks[pair]
        return Pressure((bid[0], bid[1], bid[2]), (ask[0], ask[1], ask[2]))
