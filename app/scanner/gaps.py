"""Prices that begin somewhere else than where they ended: gaps at a new UTC day or after a hole in the data.

Stocks have no UTC days: the night between two sessions is their hole.

A jump against the last price before is a candidate only. It is refused when its ratio is that of a split (2:1, 3:2,
1:10, ...: the instrument was counted anew), and when the price does not keep enough of it (a bad open: one wrong print
before trading). What keeps it is a gap. Refusals are counted and kept with their reason.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from app.domain.ids import Market
from app.domain.units import NS_PER_S
from app.scanner import words
from app.scanner.baselines import FloatArray, IntArray, Trigger, widened
from app.scanner.events import EventKind, ScanEvent
from app.scanner.moment import Moment
from app.scanner.thresholds import Thresholds

NS_PER_DAY: Final = 86_400 * NS_PER_S
_FRACTIONS: Final = (1.5,)
"""Splits that are no whole ratio but common."""
_KEPT_REFUSALS: Final = 500


class Refusal(StrEnum):
    """Why a jump was not taken as a gap."""

    SPLIT = "split"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A jump that was not taken as a gap: when (UTC ns), which instrument, why, in words."""

    ts_ns: int
    market: Market
    symbol: str
    reason: Refusal
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A jump that may be a gap: prices before and at the open, when it was seen and by which news (UTC ns)."""

    before: float
    opened: float
    hole_s: float
    new_day: bool
    seen_ns: int
    news_ns: int

    def pct_at(self, price: float) -> float:
        """Return how far a price is from the one before in percent."""
        return (price / self.before - 1.0) * 100.0


class GapDetector:
    """GAP: watches the prices of all rows."""

    def __init__(self, thresholds: Thresholds, capacity: int) -> None:
        self.refused: deque[Refused] = deque(maxlen=_KEPT_REFUSALS)
        self.refusals: Counter[Refusal] = Counter()
        self._threshold_pct = thresholds.gap_pct
        self._hole_ns = round(thresholds.gap_hole_s * NS_PER_S)
        self._confirm_ns = round(thresholds.gap_confirm_s * NS_PER_S)
        self._kept_share = thresholds.gap_kept_share
        self._tolerance = thresholds.gap_split_tolerance_pct / 100.0
        self._price: FloatArray = np.full(capacity, np.nan)
        self._priced_ns: IntArray = np.zeros(capacity, np.int64)
        self._trigger = Trigger(thresholds.cooldown_ns, capacity)
        self._pending: dict[int, Candidate] = {}

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._price = widened(self._price, capacity, np.nan)
        self._priced_ns = widened(self._priced_ns, capacity, 0)
        self._trigger.grow(capacity)

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return the gaps that are confirmed by it."""
        n, prices, valid = moment.rows, moment.prices, moment.valid
        kept = self._decide(moment) if self._pending else {}
        events = []
        if kept:
            holds = np.zeros(n, np.bool_)
            holds[list(kept)] = True
            rows = self._trigger.fire(holds, np.ones(n, np.bool_), moment.now_ns)  # a jump does not last
            events = [self._tell(moment, row, kept[row]) for row in rows]
        updated_ns = moment.board.updated_ns[:n]
        before, before_ns = self._price[:n], self._priced_ns[:n]
        new_day = (updated_ns // NS_PER_DAY != before_ns // NS_PER_DAY) & ~moment.stocks
        opens = valid & (before_ns > 0) & (new_day | (updated_ns - before_ns >= self._hole_ns))
        if opens.any():
            jumps = opens & (np.abs(prices / before - 1.0) >= self._threshold_pct / 100.0)
            for row in np.flatnonzero(jumps).tolist():
                self._open(moment, row, bool(new_day[row]))
        np.copyto(before, prices, where=valid)
        np.copyto(before_ns, updated_ns, where=valid)
        return events

    def _open(self, moment: Moment, row: int, new_day: bool) -> None:
        if row in self._pending:
            return
        before, opened = float(self._price[row]), float(moment.prices[row])
        split = split_words(before / opened, self._tolerance)
        if split:
            pct = (opened / before - 1.0) * 100.0
            text = f"{pct:+.1f} %, {words.price(before)} to {words.price(opened)}, looks like a split {split}"
            self._refuse(moment, row, Refusal.SPLIT, text)
            return
        news_ns = int(moment.board.updated_ns[row])
        self._pending[row] = Candidate(
            before=before,
            opened=opened,
            hole_s=(news_ns - int(self._priced_ns[row])) / NS_PER_S,
            new_day=new_day,
            seen_ns=moment.now_ns,
            news_ns=news_ns,
        )

    def _decide(self, moment: Moment) -> dict[int, Candidate]:
        """Return by row which candidates have kept enough of their jump long enough; drop those that have not."""
        kept = {}
        for row, jump in tuple(self._pending.items()):
            is_news = moment.valid[row] and moment.board.updated_ns[row] > jump.news_ns
            if not is_news or moment.now_ns - jump.seen_ns < self._confirm_ns:
                continue
            del self._pending[row]
            left_pct = jump.pct_at(float(moment.prices[row]))
            if left_pct / jump.pct_at(jump.opened) >= self._kept_share:
                kept[row] = jump
                continue
            later = words.span((moment.now_ns - jump.seen_ns) / NS_PER_S)
            text = (
                f"opened {jump.pct_at(jump.opened):+.1f} % ({words.price(jump.before)} to {words.price(jump.opened)}) "
                f"but stood at {left_pct:+.1f} % {later} later"
            )
            self._refuse(moment, row, Refusal.REVERTED, text)
        return kept

    def _refuse(self, moment: Moment, row: int, reason: Refusal, text: str) -> None:
        self.refusals[reason] += 1
        market, symbol = moment.board.markets[row], moment.board.symbols[row]
        self.refused.append(Refused(ts_ns=moment.now_ns, market=market, symbol=symbol, reason=reason, text=text))

    def _tell(self, moment: Moment, row: int, jump: Candidate) -> ScanEvent:
        price = float(moment.prices[row])
        gap_pct, kept_pct = jump.pct_at(jump.opened), jump.pct_at(price)
        later_s = (moment.now_ns - jump.seen_ns) / NS_PER_S
        side = "above" if gap_pct > 0.0 else "below"
        pause = "a pause of trading" if moment.stocks[row] else "a hole in the data"
        when = "on a new UTC day" if jump.new_day else f"after {pause}"
        text = (
            f"opened {abs(gap_pct):.2f} % {side} the last price {words.span(jump.hole_s)} before, {when}: "
            f"{words.price(jump.before)} to {words.price(jump.opened)}; {kept_pct:+.2f} % {words.span(later_s)} later; "
            f"no split by its ratio {jump.before / jump.opened:.3f}; threshold {self._threshold_pct:g} %"
        )
        numbers = {
            "gap_pct": gap_pct,
            "before": jump.before,
            "open": jump.opened,
            "kept_pct": kept_pct,
            "kept": price,
            "hole_s": jump.hole_s,
            "confirmed_after_s": later_s,
            "threshold_pct": self._threshold_pct,
        }
        return moment.event(row, EventKind.GAP, text, numbers)


def split_words(ratio: float, tolerance: float) -> str:
    """Return the split whose ratio (price before over price after) this is, such as "4:1" or "1:10", "" for none.

    The market moves at the open as well, so that a share of `tolerance` either way counts as equal; by that, every
    ratio above about 1/(2 tolerance) is one. A true jump that happens to have such a ratio is refused with them.
    """
    larger = max(ratio, 1.0 / ratio)
    whole = round(larger)
    if whole >= 2 and abs(larger / whole - 1.0) <= tolerance:
        return f"{whole}:1" if ratio > 1.0 else f"1:{whole}"
    if any(abs(larger / fraction - 1.0) <= tolerance for fraction in _FRACTIONS):
        return "3:2" if ratio > 1.0 else "2:3"
    return ""
