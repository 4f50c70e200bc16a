"""Makes the past of the simulated instruments: daily bars that move with SPY by a beta, daily implied volatility, and
bars within days. Each is drawn once from the seed and ends at the previous close."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from random import Random

from app.sim.ibkr.hours import Venue, day_of, sessions, trading_days_before
from app.sim.ibkr.instruments import SPY, Catalogue, SimContract
from app.sim.ibkr.records import SimBar, SimQuote

DAYS = 520
_MOST_BARS = 2000


class History:
    """Bars by contract. `quote_of` gives today's bar, `volatility_of` today's implied volatility."""

    def __init__(
        self,
        catalogue: Catalogue,
        seed: int,
        today: date,
        *,
        quote_of: Callable[[int], SimQuote],
        volatility_of: Callable[[int], float],
    ) -> None:
        """Take the date before which history lies."""
        self._catalogue = catalogue
        self._seed = seed
        self._quote_of = quote_of
        self._volatility_of = volatility_of
        self._days = trading_days_before(today, DAYS)
        self._today = today
        market = Random(f"{seed}:history:{SPY}")
        spread = catalogue.contracts[SPY].volatility / math.sqrt(252.0)
        self._market = [market.gauss(0.0004, spread) for _ in range(DAYS)]
        self._daily: dict[int, list[SimBar]] = {}
        self._volatilities: dict[int, list[float]] = {}
        self._within: dict[tuple[int, int], list[SimBar]] = {}

    def has(self, con_id: int) -> bool:
        """Return whether there is any history; options have none."""
        contract = self._catalogue.contracts.get(con_id)
        return contract is not None and not contract.is_option

    def daily(self, con_id: int, count: int) -> list[SimBar]:
        """Return up to `count` daily bars, oldest first; the last is of today if today is a trading day."""
        contract = self._catalogue.contracts[con_id]
        if con_id not in self._daily:
            self._daily[con_id] = self._make_daily(contract)
        bars = list(self._daily[con_id])
        if self._trades_today:
            quote = self._quote_of(con_id)
            bars.append(
                SimBar(
                    f"{self._today:%Y%m%d}",
                    self._opens_s(contract, self._today),
                    quote.open,
                    quote.high,
                    quote.low,
                    quote.last,
                    quote.volume,
                    quote.vwap,
                    quote.trades,
                )
            )
        return bars[-count:]

    def daily_volatility(self, con_id: int, count: int) -> list[SimBar]:
        """Return up to `count` days of implied volatility (annualised fraction), oldest first."""
        contract = self._catalogue.contracts[con_id]
        if con_id not in self._volatilities:
            self._volatilities[con_id] = self._make_volatilities(con_id)
        values = list(self._volatilities[con_id])
        days = list(self._days)
        if self._trades_today:
            values.append(self._volatility_of(con_id))
            days.append(self._today)
        bars = [
            SimBar(
                f"{day:%Y%m%d}", self._opens_s(contract, day), value, value * 1.02, value * 0.98, value, 0.0, value, 0
            )
            for day, value in zip(days, values, strict=True)
        ]
        return bars[-count:]

    def within_days(self, con_id: int, bar_s: int, count: int, until_s: float) -> list[SimBar]:
        """Return up to `count` (at most 2000) bars of `bar_s` seconds, oldest first; the last has not ended.

        Older ones are drawn backwards from the price at the first call, later ones follow what it has been at calls.
        """
        contract = self._catalogue.contracts[con_id]
        count = min(count, _MOST_BARS)
        running_s = int(until_s) // bar_s * bar_s
        last = self._quote_of(con_id).last
        bars = self._within.setdefault((con_id, bar_s), [])
        while bars and bars[-1].time_s + bar_s < running_s:
            bars.append(self._between(contract, int(bars[-1].time_s) + bar_s, bar_s, bars[-1].close, last))
        missing = count - 1 - len(bars)
        if missing > 0:
            close = bars[0].open if bars else last
            first_s = int(bars[0].time_s) if bars else running_s
            bars[:0] = self._draw(contract, bar_s, missing, first_s, close)
        del bars[: max(0, len(bars) - _MOST_BARS)]
        opened = bars[-1].close if bars else last
        part = (until_s - running_s) / bar_s
        return [*bars, self._between(contract, running_s, bar_s, opened, last, part)][-count:]

    def _draw(self, contract: SimContract, bar_s: int, count: int, end_s: int, close: float) -> list[SimBar]:
        random = Random(f"{self._seed}:within:{contract.con_id}:{bar_s}:{end_s}")
        spread = contract.volatility * math.sqrt(bar_s / (252.0 * 6.5 * 3600.0))
        bars: list[SimBar] = []
        for number in range(count):
            start_s = end_s - (number + 1) * bar_s
            opened = close / (1.0 + random.gauss(0.0, spread))
            high = max(opened, close) * (1.0 + abs(random.gauss(0.0, spread / 2)))
            low = min(opened, close) * (1.0 - abs(random.gauss(0.0, spread / 2)))
            volume = float(round(contract.volume * bar_s / 23400.0 * random.uniform(0.4, 1.6)))
            day = f"{day_of(start_s, contract.venue):%Y%m%d}"
            bars.append(_bar(day, float(start_s), opened, high, low, close, volume))
            close = bars[-1].open
        return bars[::-1]

    def _between(
        self, contract: SimContract, start_s: int, bar_s: int, opened: float, close: float, part: float = 1.0
    ) -> SimBar:
        volume = float(round(contract.volume * bar_s / 23400.0 * part))
        day = f"{day_of(start_s, contract.venue):%Y%m%d}"
        return _bar(day, float(start_s), opened, max(opened, close), min(opened, close), close, volume)

    def roll_day(self, today: date) -> None:
        """Begin a new day: what was today becomes the last day of history."""
        for con_id, bars in self._daily.items():
            if self._trades_today:
                bars.append(self.daily(con_id, 1)[0])
        if self._trades_today:
            for con_id, values in self._volatilities.items():
                values.append(self._volatility_of(con_id))
            self._days.append(self._today)
        self._today = today

    @property
    def _trades_today(self) -> bool:
        # all kinds of contracts share New York's days here, so that bars can be compared day by day
        return sessions(Venue.US_STOCKS, self._today) is not None

    def _opens_s(self, contract: SimContract, day: date) -> float:
        found = sessions(contract.venue, day) or sessions(Venue.US_STOCKS, day)
        return found[1][0].timestamp() if found is not None else 0.0

    def _make_daily(self, contract: SimContract) -> list[SimBar]:
        random = Random(f"{self._seed}:history:{contract.con_id}")
        own = math.sqrt(max(0.0, contract.volatility**2 - (contract.beta * 0.16) ** 2)) / math.sqrt(252.0)
        close = contract.start_price
        bars: list[SimBar] = []
        for day, market in zip(reversed(self._days), reversed(self._market), strict=False):
            move = market if contract.con_id == SPY else contract.beta * market + random.gauss(0.0, own)
            before = close / (1.0 + max(-0.4, min(0.4, move)))
            opened = before * (1.0 + 0.3 * move + random.gauss(0.0, own / 4.0))
            spread = contract.volatility / math.sqrt(252.0) / 2.0
            high = max(opened, close) * (1.0 + abs(random.gauss(0.0, spread)))
            low = min(opened, close) * (1.0 - abs(random.gauss(0.0, spread)))
            volume = float(round(contract.volume * random.uniform(0.6, 1.5)))
            bars.append(_bar(f"{day:%Y%m%d}", self._opens_s(contract, day), opened, high, low, close, volume))
            close = before
        return bars[::-1]

    def _make_volatilities(self, con_id: int) -> list[float]:
        random = Random(f"{self._seed}:iv:{con_id}")
        base = self._catalogue.contracts[con_id].volatility * 1.1
        value, found = base, []
        for market in self._market:
            value += 0.05 * (base - value) - 1.2 * base * market + random.gauss(0.0, 0.02 * base)
            value = min(3.0 * base, max(0.5 * base, value))
            found.append(round(value, 6))
        return found


def _bar(day: str, time_s: float, opened: float, high: float, low: float, close: float, volume: float) -> SimBar:
    wap = (opened + high + low + close) / 4.0
    return SimBar(
        day=day,
        time_s=time_s,
        open=round(opened, 4),
        high=round(high, 4),
        low=round(low, 4),
        close=round(close, 4),
        volume=volume,
        wap=round(wap, 4),
        count=int(volume / 150.0) + 1,
    )
