"""The past of the simulated Hyperliquid: turns a coin and a moment into the price there was, and moments into candles.

Before the simulator's start a price is the starting price times a sum of slow waves, which gives candles of every
interval that fit each other and the price of 24 h ago; after it, it runs straight to the present price.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from app.sim.hyperliquid.lattice import Floats, Ints
from app.sim.hyperliquid.universe import Coin, seed_of

INTERVALS_MS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_592_000_000,
}
MOST_CANDLES = 5000
_PERIODS_S: Floats = np.geomspace(400.0, 40 * 86_400.0, 14)
_AMPLITUDE_AT_A_DAY = 0.02
_SAMPLES = 8


class Candle(NamedTuple):
    """One candle; times in UTC ms (the end is the last ms inside), prices in USD, volume in coins."""

    start_ms: int
    end_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class History:
    """The past of all coins of one seed."""

    def __init__(self, seed: int, start_ms: int) -> None:
        """Take the moment from which on the market itself knows its prices."""
        self._seed = seed
        self._start_ms = start_ms
        self._waves: dict[str, tuple[Floats, Floats]] = {}

    def price(self, coin: Coin, time_ms: int, now_ms: int, price_now: float) -> float:
        """Return a price in USD at a moment (UTC ms) that is not in the future."""
        return float(self._prices(coin, np.array([time_ms], dtype=np.int64), now_ms, price_now)[0])

    def candles(
        self, coin: Coin, interval: str, start_ms: int, end_ms: int, now_ms: int, price_now: float
    ) -> list[Candle]:
        """Return candles that begin within a span (UTC ms), the latest 5,000 at most."""
        width = INTERVALS_MS[interval]
        last = min(end_ms, now_ms) // width
        first = max(-(-start_ms // width), last - MOST_CANDLES + 1)
        if last < first:
            return []
        starts = np.arange(first, last + 1, dtype=np.int64) * width
        moments = starts[:, None] + np.arange(_SAMPLES + 1, dtype=np.int64) * width // _SAMPLES
        prices = self._prices(coin, np.minimum(moments, now_ms), now_ms, price_now)
        usual = coin.volume_usd / coin.price * width / 86_400_000
        volumes = usual * (0.5 + np.random.default_rng([self._seed, int(starts[0])]).random(len(starts)))
        return [
            Candle(int(start), int(start) + width - 1, row[0], max(row), min(row), row[-1], volume)
            for start, row, volume in zip(starts.tolist(), prices.tolist(), volumes.tolist(), strict=True)
        ]

    def _prices(self, coin: Coin, times_ms: Ints, now_ms: int, price_now: float) -> Floats:
        waves = self._waves.get(coin.name)
        if waves is None:
            dice = np.random.default_rng(seed_of(self._seed, coin.name))
            size = _AMPLITUDE_AT_A_DAY * np.sqrt(_PERIODS_S / 86_400.0) * dice.uniform(0.4, 1.4, len(_PERIODS_S))
            waves = self._waves[coin.name] = (size, dice.uniform(0.0, 2 * math.pi, len(_PERIODS_S)))
        size, phase = waves
        seconds = (np.minimum(times_ms, self._start_ms) - self._start_ms)[..., None] / 1000.0
        angle = 2 * math.pi * seconds / _PERIODS_S
        past = coin.price * np.exp((size * (np.sin(angle + phase) - np.sin(phase))).sum(axis=-1))
        span = max(1, now_ms - self._start_ms)
        run = np.clip((times_ms - self._start_ms) / span, 0.0, 1.0)
        return np.asarray(past + run * (price_now - coin.price), dtype=np.float64)
