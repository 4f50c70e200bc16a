"""Detectors on turnover and quotes: volume spikes and spreads that tighten."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.domain.market import Field
from app.domain.units import NS_PER_MINUTE, NS_PER_S
from app.scanner import words
from app.scanner.baselines import FloatArray, IntArray, Normal, Past, Trigger, widened
from app.scanner.columns import Derived
from app.scanner.events import EventKind, ScanEvent
from app.scanner.moment import CEASED, Moment, Stretches, slots_of
from app.scanner.thresholds import Thresholds

_RESET: Final = 0.5
"""Turnover that falls under this share of itself at once is counted anew, or wrong for a moment."""
_DAY_S: Final = 86_400.0
_LEAST_NORMAL: Final = 0.75


class SpikeDetector:
    """VOLUME_SPIKE: turnover per second over a window, against the median of such windows.

    Venues tell the turnover of the last 24 h, in which what is traded now is mixed with what drops out at the far end.
    The turnover of a window is taken as the increase plus what drops out in that time on average of 24 h (never below
    0), and the normal as at least `_LEAST_NORMAL` of that average, since the median sinks while a busy hour drops out.
    On a month of BTC minutes 93 % of the spikes found so are over 3 times the true median of the hour before (78 %
    without the least normal), and 88 % of the minutes over 10 times it are found.

    The turnover of stocks is that of the day: nothing drops out of it, and the normal is the median of the session.
    """

    def __init__(self, thresholds: Thresholds, capacity: int) -> None:
        self._known = thresholds
        self._slots = slots_of(thresholds.volume_window_s, thresholds.slot_s)
        windows = slots_of(thresholds.volume_baseline_min * 60.0, thresholds.volume_window_s)
        warmup = slots_of(thresholds.volume_warmup_min * 60.0, thresholds.volume_window_s)
        self._windows = Stretches(round(self._slots * thresholds.slot_s * NS_PER_S))
        self._normal = Normal(windows, min(warmup, windows), capacity)
        self._past = Past(self._slots, capacity)
        self._volume: FloatArray = np.full(capacity, np.nan)
        self._fell_from: FloatArray = np.full(capacity, np.nan)
        """Turnover of 24 h from which it fell at once, until it is back there."""
        self._trigger = Trigger(thresholds.cooldown_ns, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._normal.grow(capacity)
        self._past.grow(capacity)
        self._volume = widened(self._volume, capacity, np.nan)
        self._fell_from = widened(self._fell_from, capacity, np.nan)
        self._trigger.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        known, n = self._known, moment.rows
        if moment.begun.any():
            self._past.forget(moment.begun)
            self._normal.forget(moment.begun)
        volume = self._take(moment)
        before, before_ns = self._past.before(self._slots, n)
        rolling = ~moment.stocks
        passed_s = (moment.now_ns - before_ns) / NS_PER_S
        # before_ns is 0 when nothing was noted then; `before` is NaN in that case
        rate = np.maximum(volume - before + before * rolling * (passed_s / _DAY_S), 0.0) / passed_s
        normal = np.maximum(self._normal.median[:n], volume * rolling * (_LEAST_NORMAL / _DAY_S))
        limit = known.volume_ratio * normal
        holds = (rate > limit) & (rate * known.volume_window_s >= known.volume_least_usd)
        events = [
            self._tell(moment, row, float(rate[row]), float(normal[row]), float(volume[row]))
            for row in self._trigger.fire(holds, rate < limit * CEASED, moment.now_ns)
        ]
        if self._windows.turned(moment.now_ns):
            self._normal.take(rate)
        return events

    def _take(self, moment: Moment) -> FloatArray:
        """Note the turnover of 24 h and return it, NaN where it is not known."""
        n = moment.rows
        told = moment.figure(Field.VOLUME)
        volume = np.where(moment.fresh & (told >= 0.0) & np.isfinite(told), told, np.nan)
        held, fell_from = self._volume[:n], self._fell_from[:n]
        fell, back = volume < held * _RESET, volume > fell_from * _RESET
        anew = fell | back  # neither the fall nor the way back is trading
        if anew.any():
            self._past.forget(anew)
            fell_from[back] = np.nan
            fell_from[fell] = held[fell]
        np.copyto(held, volume, where=~np.isnan(volume))
        self._past.take(moment.slot, moment.now_ns, volume)
        return volume

    def _tell(self, moment: Moment, row: int, rate: float, normal: float, volume: float) -> ScanEvent:
        known = self._known
        window_s = known.volume_window_s
        numbers = {
            "turnover_usd": rate * window_s,
            "normal_usd": normal * window_s,
            "volume_24h": volume,
            "threshold_ratio": known.volume_ratio,
            "window_s": window_s,
        }
        times = "where normally nothing is"
        if normal > 0.0:
            numbers["ratio"] = rate / normal
            times = f"{rate / normal:.1f} times the normal {words.usd(normal * window_s)} USD"
        text = (
            f"about {words.usd(rate * window_s)} USD traded within {words.span(window_s)}, {times}; "
            f"threshold {known.volume_ratio:g} times"
        )
        return moment.event(row, EventKind.VOLUME_SPIKE, text, numbers)


class SpreadDetector:
    """SPREAD_TIGHTENING: the spread under a share of its own median for some seconds; only where 0 < bid < ask."""

    def __init__(self, thresholds: Thresholds, capacity: int) -> None:
        self._known = thresholds
        self._hold_ns = round(thresholds.spread_hold_s * NS_PER_S)
        self._minutes = Stretches(NS_PER_MINUTE)
        self._normal = Normal(thresholds.spread_baseline_min, thresholds.spread_warmup_min, capacity)
        self._sum: FloatArray = np.zeros(capacity)
        self._count: IntArray = np.zeros(capacity, np.int64)
        self._since_ns: IntArray = np.zeros(capacity, np.int64)
        self._trigger = Trigger(thresholds.cooldown_ns, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._normal.grow(capacity)
        self._sum = widened(self._sum, capacity, 0.0)
        self._count = widened(self._count, capacity, 0)
        self._since_ns = widened(self._since_ns, capacity, 0)
        self._trigger.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        known, n = self._known, moment.rows
        bid, ask = moment.figure(Field.BID), moment.figure(Field.ASK)
        if moment.begun.any():
            self._normal.forget(moment.begun)
        spread = np.where(moment.fresh & (bid > 0.0) & (ask > bid), moment.figure(Derived.SPREAD_BP), np.nan)
        normal = self._normal.median[:n]
        tight = (spread < known.spread_share * normal) & (normal >= known.spread_least_bp)
        since_ns = self._since_ns[:n]
        since_ns[~tight] = 0
        since_ns[tight & (since_ns == 0)] = moment.now_ns
        holds = tight & (moment.now_ns - since_ns >= self._hold_ns)
        ceased = spread > normal * (1.0 + known.spread_share) / 2.0
        events = [
            self._tell(moment, row, float(spread[row]), float(normal[row]))
            for row in self._trigger.fire(holds, ceased, moment.now_ns)
        ]
        self._note(spread, moment.now_ns)
        return events

    def _note(self, spread: FloatArray, now_ns: int) -> None:
        """Add to the minute's mean; once a minute is over, the mean is one figure of what is normal."""
        n = spread.size
        if self._minutes.turned(now_ns):
            count = self._count[:n]
            self._normal.take(np.where(count > 0, self._sum[:n] / np.maximum(count, 1), np.nan))
            self._sum[:] = 0.0
            self._count[:] = 0
        seen = ~np.isnan(spread)
        self._sum[:n] += np.where(seen, spread, 0.0)
        self._count[:n] += seen

    def _tell(self, moment: Moment, row: int, spread: float, normal: float) -> ScanEvent:
        known = self._known
        bid, ask = float(moment.figure(Field.BID)[row]), float(moment.figure(Field.ASK)[row])
        held_s = (moment.now_ns - int(self._since_ns[row])) / NS_PER_S
        text = (
            f"spread {spread:.2f} bp ({words.price(bid)} to {words.price(ask)}) for {words.span(held_s)}, normal is "
            f"{normal:.2f} bp; threshold {known.spread_share:.0%} of it"
        )
        numbers = {
            "spread_bp": spread,
            "normal_bp": normal,
            "bid": bid,
            "ask": ask,
            "held_s": held_s,
            "threshold_share": known.spread_share,
        }
        return moment.event(row, EventKind.SPREAD_TIGHTENING, text, numbers)
