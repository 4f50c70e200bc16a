"""The rolling day of every instrument of one market: turns prices and turnover into what tickers say, once a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market
from app.sim.sidelines import Quoted

Floats = npt.NDArray[np.float64]

DAY_S = 86_400.0
_CHANGE_A_DAY = 0.03
_BEYOND = 0.012
_USUAL_FUNDING = 0.0001
_ACTIVE_VOLUME = 2e7  # turnover of a day from which on an instrument trades in every second
_DELIVERY = "CURRENT_QUARTER"


class Day:
    """Columns by instrument. Prices in quote currency per quoted unit; rates are fractions per funding interval."""

    def __init__(self, market: Market, rows: Sequence[Quoted], seed: int) -> None:
        """Give every instrument a past day; equal arguments give equal days."""
        self.market = market
        self.rows = list(rows)
        self.places = {row.symbol: place for place, row in enumerate(self.rows)}
        self._dice = dice = np.random.default_rng([seed, 0xDA1 + list(Market).index(market)])
        count = len(self.rows)
        self.pairs = np.array([row.pair for row in self.rows], dtype=np.int64)
        self.units: Floats = np.array([float(row.units) for row in self.rows])
        self._scale: Floats = np.array([10.0**row.price_decimals for row in self.rows])
        self.last: Floats = self._rounded(np.array([row.price for row in self.rows]))
        self.open: Floats = self._rounded(self.last / np.exp(dice.normal(0.0, _CHANGE_A_DAY, count)))
        ends = np.maximum(self.last, self.open), np.minimum(self.last, self.open)
        self.high: Floats = self._rounded(ends[0] * np.exp(np.abs(dice.normal(0.0, _BEYOND, count))))
        self.low: Floats = self._rounded(ends[1] * np.exp(-np.abs(dice.normal(0.0, _BEYOND, count))))
        self._usual: Floats = np.array([row.volume for row in self.rows])
        self.quote_volume: Floats = self._usual.copy()
        self.base_volume: Floats = self._usual / self.last
        self.trades = (self._usual / 900.0).astype(np.int64)
        self.changed: npt.NDArray[np.bool_] = np.ones(count, dtype=bool)
        self.halted = {row.symbol for row in self.rows if row.volume == 0.0}
        self._activity: Floats = np.clip(self._usual / _ACTIVE_VOLUME, 0.3, 1.0) * (self._usual > 0.0)
        self._premium: Floats = dice.normal(0.0, 4e-4, count)
        self.interest: Floats = self._usual * dice.uniform(0.2, 0.9, count) / self.last
        self.hours = dice.choice((8, 8, 4, 4, 1), count)
        self.hours[: min(3, count)] = 8

    def _rounded(self, prices: Floats) -> Floats:
        return np.asarray(np.maximum(1.0, np.rint(prices * self._scale)) / self._scale, dtype=np.float64)

    def advance(self, prices: Floats, turnover: Floats) -> None:
        """Move on by one second: `prices` (USD a coin) and turnover factors by pair."""
        dice = self._dice
        count = len(self.rows)
        busy = turnover[self.pairs]
        self.changed = dice.random(count) < self._activity * np.maximum(1.0, busy)
        now = self._rounded(prices[self.pairs] * self.units)
        self.last = np.where(self.changed, now, self.last)
        self.high = np.maximum(self.high, self.last)
        self.low = np.minimum(self.low, self.last)
        traded = np.where(self.changed, self._usual / DAY_S * busy * dice.exponential(1.0, count), 0.0)
        self.quote_volume = self.quote_volume + traded
        self.base_volume = self.base_volume + traded / self.last
        self.trades = self.trades + (traded / 900.0).astype(np.int64) + self.changed
        self._premium = self._premium * 0.995 + dice.normal(0.0, 4e-5, count)
        self.interest = self.interest * np.exp(dice.normal(0.0, 2e-5, count))

    def trading(self, place: int) -> bool:
        """Tell whether an instrument trades."""
        return self.rows[place].symbol not in self.halted

    def index(self, place: int) -> float:
        """Return the index price of a future."""
        return float(self.last[place] / (1.0 + self._premium[place]))

    def pays_funding(self, place: int) -> bool:
        """Tell whether a future pays funding, which dated ones do not."""
        return self.rows[place].contract != _DELIVERY

    def funding(self, place: int) -> float:
        """Return the funding rate of the interval: the usual one while the premium is small."""
        premium = float(self._premium[place])
        extra = premium - 5e-4 if premium > 5e-4 else premium + 5e-4 if premium < -5e-4 else 0.0
        return (_USUAL_FUNDING + extra) * float(self.hours[place]) / 8.0

    def next_funding_ms(self, place: int, now_ms: int) -> int:
        """Return when funding is paid next (UTC ms), 0 for never."""
        if not self.pays_funding(place):
            return 0
        width = int(self.hours[place]) * 3_600_000
        return (now_ms // width + 1) * width

    def touch(self, place: int) -> tuple[int, int, int, int]:
        """Return best bid and ask of an instrument without a book: ticks and steps as (bid, size, ask, size)."""
        row = self.rows[place]
        bid = max(1, int(self.last[place] * self._scale[place] + 0.5))
        size = max(1, int(self._usual[place] / DAY_S / self.last[place] * 10**row.quantity_decimals))
        return bid, size, bid + 1 + place % 3, size + place % 7
