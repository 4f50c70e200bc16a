"""Which day's close a stock is held against: prices, closes and daily bars in, the previous close and the gap out.

A source tells one "previous close", and some time after the session it begins to mean another day's; nothing says when.
So a close is believed for a day only when it was told between 04:00 and the close of that day, when it was seen to
change after the close, or when a daily bar names the day. Everything else is uncertain and said to be so. New York days
only; times are UTC ns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from app.domain.market import Phase
from app.domain.units import NS_PER_MINUTE
from app.portfolio.hours import (
    TradingDay,
    new_york_day,
    trading_day,
    trading_day_before,
)

_KEPT_DAYS: Final = 6
_SETTLED_NS: Final = 2 * NS_PER_MINUTE
"""How long after the close a daily bar holds it for certain."""
NAN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Held:
    """A figure against a close: NaN when it is not known, and why; or from where it is known."""

    value: float
    why: str

    @property
    def is_known(self) -> bool:
        """Return whether there is a figure."""
        return not math.isnan(self.value)


def day_at(now_ns: int) -> TradingDay:
    """Return the trading day that a moment belongs to: the last one that had begun (04:00) by then."""
    return _day_at_minute(now_ns // NS_PER_MINUTE)


@lru_cache(maxsize=64)
def _day_at_minute(minute: int) -> TradingDay:
    """Every edge lies on a whole minute."""
    now_ns = minute * NS_PER_MINUTE
    today = trading_day(new_york_day(now_ns))
    return today if today is not None and today.pre_ns <= now_ns else trading_day_before(new_york_day(now_ns))


class Closes:
    """The closes of one stock by day, as far as they are certain, and the first price of the day."""

    def __init__(self) -> None:
        self._official: dict[date, float] = {}
        """By day: its close."""
        self._uncertain: dict[date, float] = {}
        """By day: a close told after the session of that day, which may be its own or that of the day before."""
        self._open: tuple[date, float] | None = None

    # -- what is told --------------------------------------------------------------------------------------------

    def on_close(self, value: float, recv_ns: int) -> None:
        """Take the "previous close" a source tells of live quotes."""
        if not (math.isfinite(value) and value > 0.0):
            return
        day = day_at(recv_ns)
        before = trading_day_before(day.day).day
        if recv_ns < day.close_ns:
            self._keep(before, value)
            return
        known = self._official.get(before)
        if known is None:
            self._uncertain[day.day] = value
        elif value != known:
            self._keep(day.day, value)  # it was the day before's; a change after the close makes it the day's own

    def on_late_close(self, value: float, recv_ns: int) -> None:
        """Take the "previous close" of quotes that are not live: it may be that of an earlier day."""
        if math.isfinite(value) and value > 0.0:
            self._uncertain[day_at(recv_ns).day] = value

    def on_open(self, value: float, recv_ns: int) -> None:
        """Take the day's first price of the regular session; told before that session it is another day's."""
        day = day_at(recv_ns)
        if math.isfinite(value) and value > 0.0 and recv_ns >= day.open_ns:
            self._open = (day.day, value)

    def on_bar(self, day: str, close: float, now_ns: int) -> None:
        """Take the close of a day (YYYYMMDD), unless that day's session is not over yet."""
        if len(day) == 8 and day.isdigit() and math.isfinite(close) and close > 0.0:
            try:
                named = date(int(day[:4]), int(day[4:6]), int(day[6:]))
            except ValueError:
                return
            trading = trading_day(named)
            if trading is not None and now_ns >= trading.close_ns + _SETTLED_NS:
                self._keep(named, close)

    def _keep(self, day: date, close: float) -> None:
        self._official[day] = close
        while len(self._official) > _KEPT_DAYS:
            del self._official[min(self._official)]
        for each in [each for each in self._uncertain if each < day - timedelta(days=_KEPT_DAYS)]:
            del self._uncertain[each]

    # -- what follows --------------------------------------------------------------------------------------------

    def needs_bar(self, now_ns: int) -> bool:
        """Tell whether a daily bar would make something certain: the close before, or after the session the day's."""
        day = day_at(now_ns)
        before = trading_day_before(day.day).day
        return before not in self._official or (now_ns >= day.close_ns and day.day not in self._official)

    def previous(self, now_ns: int) -> Held:
        """Return the close of the trading day before that of a moment, uncertain ones too."""
        day = day_at(now_ns)
        before = trading_day_before(day.day).day
        known = self._official.get(before)
        if known is not None:
            return Held(known, f"close of {before:%d %b}")
        told = self._uncertain.get(day.day, self._uncertain.get(before))
        if told is not None:
            return Held(
                told, "which day's close it is, is uncertain: it was told after the session, or with delayed quotes"
            )
        return Held(NAN, f"the close of {before:%d %b} was not told")

    def gap_pct(self, now_ns: int, phase: Phase, last: float, *, is_live: bool) -> Held:
        """Return the gap in percent: before the session last against the close before, in it the open against that,
        after it last against the day's close."""
        if phase in (Phase.CLOSED, Phase.OVERNIGHT):
            return Held(NAN, "there is a gap before, in and after the session only")
        if not is_live:
            return Held(NAN, "quotes are not live, and delayed ones keep an older close")
        day = day_at(now_ns)
        if phase is Phase.POST:
            return _gap(last, "last", self._official.get(day.day), day.day)
        before = trading_day_before(day.day).day
        if phase is Phase.PRE:
            return _gap(last, "last", self._official.get(before), before)
        opened = self._open[1] if self._open is not None and self._open[0] == day.day else NAN
        return _gap(opened, "open", self._official.get(before), before)


def _gap(price: float, what: str, close: float | None, day: date) -> Held:
    if close is None:
        return Held(NAN, f"the close of {day:%d %b} is not certain")
    if not (math.isfinite(price) and price > 0.0):
        return Held(NAN, f"the {what} price is not known")
    return Held((price / close - 1.0) * 100.0, f"{what} {price:g} against the close of {day:%d %b}, {close:g}")
