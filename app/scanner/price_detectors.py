"""Detectors on last prices: surges, unusual ranges, highs and lows of the day."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.domain.market import Field
from app.domain.units import NS_PER_S
from app.scanner import words
from app.scanner.baselines import BoolArray, Extremes, FloatArray, IntArray, Normal, Trigger, widened
from app.scanner.events import EventKind, ScanEvent
from app.scanner.gaps import NS_PER_DAY
from app.scanner.moment import CEASED, Moment, Stretches, slots_of
from app.scanner.thresholds import Thresholds

_WHOLE_DAY_NS: Final = 600 * NS_PER_S
"""A day counts as seen from its beginning when its first price came this soon."""


class SurgeDetector:
    """PRICE_SURGE: the last price against the lowest (highest) of a window; rise and fall are told apart."""

    def __init__(self, thresholds: Thresholds, extremes: Extremes, capacity: int) -> None:
        self._known = thresholds
        self._extremes = extremes
        self._slots = slots_of(thresholds.price_window_s, thresholds.slot_s)
        self._rise = Trigger(thresholds.cooldown_ns, capacity)
        self._fall = Trigger(thresholds.cooldown_ns, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._rise.grow(capacity)
        self._fall.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        low, high = self._extremes.over(self._slots, moment.rows)
        return self._judge(moment, self._rise, low, "rose", "lowest") + self._judge(
            moment, self._fall, high, "fell", "highest"
        )

    def _judge(self, moment: Moment, trigger: Trigger, base: FloatArray, verb: str, source: str) -> list[ScanEvent]:
        least_pct, window_s = self._known.price_surge_pct, self._known.price_window_s
        least = least_pct / 100.0
        move = np.abs(moment.prices / base - 1.0)
        events = []
        for row in trigger.fire(move >= least, move < least * CEASED, moment.now_ns):
            start, price = float(base[row]), float(moment.prices[row])
            pct = (price / start - 1.0) * 100.0
            text = (
                f"{verb} {abs(pct):.2f} % within {words.span(window_s)}, from {words.price(start)} ({source}) to "
                f"{words.price(price)}; threshold {least_pct:g} %"
            )
            numbers = {
                "change_pct": pct,
                "from": start,
                "to": price,
                "threshold_pct": least_pct,
                "window_s": window_s,
            }
            events.append(moment.event(row, EventKind.PRICE_SURGE, text, numbers))
        return events


class RangeDetector:
    """VOLATILITY_SURGE: highest less lowest price of a window, against the median of such windows."""

    def __init__(self, thresholds: Thresholds, extremes: Extremes, capacity: int) -> None:
        self._known = thresholds
        self._extremes = extremes
        self._slots = slots_of(thresholds.volatility_window_s, thresholds.slot_s)
        self._windows = Stretches(round(self._slots * thresholds.slot_s * NS_PER_S))
        self._normal = Normal(thresholds.volatility_baseline, thresholds.volatility_warmup, capacity)
        self._trigger = Trigger(thresholds.cooldown_ns, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._normal.grow(capacity)
        self._trigger.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        known, n = self._known, moment.rows
        if moment.begun.any():
            self._normal.forget(moment.begun)
        low, high = self._extremes.over(self._slots, n)
        wide = np.where(moment.valid, (high - low) / (high + low) * 200.0, np.nan)
        normal = self._normal.median[:n]
        limit = known.volatility_ratio * normal
        holds = (wide >= limit) & (wide >= known.volatility_least_pct)
        ceased = (wide < limit * CEASED) | (wide < known.volatility_least_pct * CEASED)
        events = []
        for row in self._trigger.fire(holds, ceased, moment.now_ns):
            numbers = {
                "range_pct": float(wide[row]),
                "normal_pct": float(normal[row]),
                "low": float(low[row]),
                "high": float(high[row]),
                "threshold_ratio": known.volatility_ratio,
                "window_s": known.volatility_window_s,
            }
            text = (
                f"range {numbers['range_pct']:.2f} % within {words.span(known.volatility_window_s)} "
                f"({words.price(numbers['low'])} to {words.price(numbers['high'])}), normal is "
                f"{numbers['normal_pct']:.2f} %; threshold {known.volatility_ratio:g} times"
            )
            events.append(moment.event(row, EventKind.VOLATILITY_SURGE, text, numbers))
        if self._windows.turned(moment.now_ns):
            self._normal.take(wide)
        return events


class DayDetector:
    """NEW_HIGH and NEW_LOW of the UTC day, once it was watched for a while.

    A day that was not seen from its beginning is held against the venue's high and low of 24 h too, which contain it.
    Stocks have sessions instead of UTC days; one not seen from its beginning is held against the day's high and low.
    """

    def __init__(self, thresholds: Thresholds, capacity: int) -> None:
        self._warmup_ns = round(thresholds.day_warmup_s * NS_PER_S)
        self._back = thresholds.day_rearm_pct / 100.0
        self._high: FloatArray = np.full(capacity, np.nan)
        self._low: FloatArray = np.full(capacity, np.nan)
        self._told_high: FloatArray = np.full(capacity, np.nan)
        self._told_low: FloatArray = np.full(capacity, np.nan)
        self._first_ns: IntArray = np.zeros(capacity, np.int64)
        self._begun_ns: IntArray = np.zeros(capacity, np.int64)
        """When the session of a stock was seen to begin, 0: it was not."""
        self._day = -1
        self._rising = Trigger(thresholds.cooldown_ns, capacity)
        self._falling = Trigger(thresholds.cooldown_ns, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._high = widened(self._high, capacity, np.nan)
        self._low = widened(self._low, capacity, np.nan)
        self._told_high = widened(self._told_high, capacity, np.nan)
        self._told_low = widened(self._told_low, capacity, np.nan)
        self._first_ns = widened(self._first_ns, capacity, 0)
        self._begun_ns = widened(self._begun_ns, capacity, 0)
        self._rising.grow(capacity)
        self._falling.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        n, prices, now_ns = moment.rows, moment.prices, moment.now_ns
        if now_ns // NS_PER_DAY != self._day:
            self._day = now_ns // NS_PER_DAY
            self._begin(~moment.stocks)
        if moment.begun.any():
            self._begin(moment.begun)
            self._begun_ns[:n][moment.begun] = now_ns
        first_ns, high, low = self._first_ns[:n], self._high[:n], self._low[:n]
        first_ns[(first_ns == 0) & moment.valid] = now_ns
        whole = self._seen_whole(moment)
        warm = (first_ns > 0) & (now_ns - first_ns >= self._warmup_ns)
        ceiling = np.where(whole, high, np.fmax(high, self._told_high[:n]))
        floor = np.where(whole, low, np.fmin(low, self._told_low[:n]))
        above = self._rising.fire(warm & (prices > ceiling), prices < ceiling * (1.0 - self._back), now_ns)
        below = self._falling.fire(warm & (prices < floor), prices > floor * (1.0 + self._back), now_ns)
        events = [self._tell(moment, row, EventKind.NEW_HIGH, ceiling, self._told_high) for row in above]
        events += [self._tell(moment, row, EventKind.NEW_LOW, floor, self._told_low) for row in below]
        np.fmax(high, prices, out=high)
        np.fmin(low, prices, out=low)
        self._told_high[:n] = moment.figure(Field.HIGH)
        self._told_low[:n] = moment.figure(Field.LOW)
        return events

    def _begin(self, rows: BoolArray) -> None:
        """Begin a new day or session for the rows of a mask [n]."""
        n = rows.size
        self._high[:n][rows] = np.nan
        self._low[:n][rows] = np.nan
        self._first_ns[:n][rows] = 0
        self._rising.arm(rows)
        self._falling.arm(rows)

    def _seen_whole(self, moment: Moment) -> BoolArray:
        """Return where the day (of stocks: the session) has been seen from its beginning."""
        since_ns = np.where(moment.stocks, self._begun_ns[: moment.rows], self._day * NS_PER_DAY)
        whole: BoolArray = self._first_ns[: moment.rows] - since_ns <= _WHOLE_DAY_NS
        return whole

    def _tell(self, moment: Moment, row: int, kind: EventKind, limits: FloatArray, told: FloatArray) -> ScanEvent:
        price, before, first_ns = float(moment.prices[row]), float(limits[row]), int(self._first_ns[row])
        is_stock = bool(moment.stocks[row])
        if self._seen_whole(moment)[row]:
            what = "of the session" if is_stock else "of the UTC day"
        elif np.isnan(told[row]):
            what = f"since {words.clock(first_ns)} UTC, what was before is not known"
        elif is_stock:
            what = f"of the day (the session is watched since {words.clock(first_ns)} UTC)"
        else:
            what = f"of 24 h (the day is watched since {words.clock(first_ns)} UTC)"
        side = "above" if kind is EventKind.NEW_HIGH else "below"
        text = f"{kind.value} {words.price(price)} {what}, {side} {words.price(before)}"
        numbers = {"price": price, "before": before, "watched_s": (moment.now_ns - first_ns) / NS_PER_S}
        return moment.event(row, kind, text, numbers)
