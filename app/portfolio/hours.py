"""Trading sessions of stocks: a moment in, its session out, and whether the contract or the calendar says so.

A contract's own hours (`ContractDetails`) are believed for the days they list. Beyond them the calendar of the New York
Stock Exchange is used: PRE from 04:00, RTH from 09:30, POST from 16:00 to 20:00 New York time; on half days RTH ends at
13:00 and POST at 17:00. Whether a stock also trades overnight only its own hours tell. All times are UTC ns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from app.domain.contracts import ContractDetails, Session
from app.domain.market import Phase as Phase
from app.domain.units import NS_PER_S

NEW_YORK: Final = ZoneInfo("America/New_York")
_NEW_YORK_NAMES: Final = frozenset({"", "US/Eastern", "America/New_York", "EST5EDT", "EST", "EDT"})
_PRE: Final = time(4, 0)
_OPEN: Final = time(9, 30)
_CLOSE: Final = time(16, 0)
_POST_END: Final = time(20, 0)
_HALF_CLOSE: Final = time(13, 0)
_HALF_POST_END: Final = time(17, 0)
_ONE_DAY: Final = timedelta(days=1)
_LONGEST_NS: Final = 100 * 86_400 * NS_PER_S
"""No broker lists the hours of more days than that."""


class Basis(StrEnum):
    """What says so."""

    CONTRACT = "the contract's own hours"
    CALENDAR = "the calendar of the New York Stock Exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """One stretch of a phase: from start_ns up to end_ns. note: what else is to be said ("Thanksgiving Day")."""

    phase: Phase
    start_ns: int
    end_ns: int
    basis: Basis
    note: str = ""

    def holds(self, now_ns: int) -> bool:
        """Tell whether a moment lies in it."""
        return self.start_ns <= now_ns < self.end_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """One day on which the exchange trades: edges in UTC ns. half: it closes early."""

    day: date
    pre_ns: int
    open_ns: int
    close_ns: int
    end_ns: int
    half: bool


def utc_ns(moment: datetime) -> int:
    """Return an aware moment as UTC ns."""
    return int(moment.timestamp()) * NS_PER_S


def new_york_day(now_ns: int) -> date:
    """Return the date in New York."""
    return datetime.fromtimestamp(now_ns // NS_PER_S, NEW_YORK).date()


# -- the calendar ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def holidays_of(year: int) -> dict[date, str]:
    """Return the days of a year on which the exchange is closed, with their names; weekends are not among them."""
    return _days_of(year, "public")


@lru_cache(maxsize=32)
def half_days_of(year: int) -> dict[date, str]:
    """Return the days of a year on which the exchange closes at 13:00, with their names."""
    return _days_of(year, "half_day")


def _days_of(year: int, category: str) -> dict[date, str]:
    from holidays import financial_holidays  # its import takes a tenth of a second, and not every run needs it

    return dict(financial_holidays("NYSE", years=year, categories=(category,)).items())


@lru_cache(maxsize=1024)
def trading_day(day: date) -> TradingDay | None:
    """Return the edges of a day, None when the exchange is closed on it."""
    if day.weekday() >= 5 or day in holidays_of(day.year):
        return None
    half = day in half_days_of(day.year)
    edges = (_PRE, _OPEN, _HALF_CLOSE if half else _CLOSE, _HALF_POST_END if half else _POST_END)
    pre, opened, close, end = (utc_ns(datetime.combine(day, edge, NEW_YORK)) for edge in edges)
    return TradingDay(day=day, pre_ns=pre, open_ns=opened, close_ns=close, end_ns=end, half=half)


def trading_day_before(day: date) -> TradingDay:
    """Return the last day of trading before a day."""
    while True:
        day -= _ONE_DAY
        found = trading_day(day)
        if found is not None:
            return found


def trading_day_from(day: date) -> TradingDay:
    """Return the first day of trading from a day on."""
    while True:
        found = trading_day(day)
        if found is not None:
            return found
        day += _ONE_DAY


def calendar_spell(now_ns: int) -> Spell:
    """Return the session the calendar sees at a moment."""
    day = new_york_day(now_ns)
    today = trading_day(day)
    if today is not None:
        edges = (today.pre_ns, today.open_ns, today.close_ns, today.end_ns)
        place = bisect_right(edges, now_ns)
        if 1 <= place <= 3:
            phase = (Phase.PRE, Phase.RTH, Phase.POST)[place - 1]
            note = f"half day: {half_days_of(day.year)[day]}" if today.half else ""
            return Spell(phase=phase, start_ns=edges[place - 1], end_ns=edges[place], basis=Basis.CALENDAR, note=note)
    begun = today if today is not None and now_ns >= today.end_ns else trading_day_before(day)
    following = trading_day_from(day + _ONE_DAY if begun is today else day)
    return Spell(
        phase=Phase.CLOSED,
        start_ns=begun.end_ns,
        end_ns=following.pre_ns,
        basis=Basis.CALENDAR,
        note=holidays_of(day.year).get(day, "weekend" if day.weekday() >= 5 else ""),
    )


def phases(times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Return the calendar's phase at each of many moments: int64 [n] in UTC ns to int8 [n], numbers of `Phase`."""
    if times_ns.size == 0:
        return np.empty(0, np.int8)
    first, last = new_york_day(int(times_ns.min())), new_york_day(int(times_ns.max()))
    edges: list[int] = []
    day = trading_day_before(first).day
    while day <= last:
        found = trading_day(day)
        if found is not None:
            edges += (found.pre_ns, found.open_ns, found.close_ns, found.end_ns)
        day += _ONE_DAY
    places = np.searchsorted(np.array(edges, np.int64), times_ns, side="right") % 4
    return np.array([Phase.CLOSED, Phase.PRE, Phase.RTH, Phase.POST], np.int8)[places]


# -- a contract's own hours --------------------------------------------------------------------------------------


class ContractHours:
    """The sessions of one contract; asking again within the same session costs next to nothing."""

    def __init__(self, details: ContractDetails | None = None) -> None:
        self._spells: list[Spell] = [] if details is None else spells_of(details)
        self._held: Spell | None = None

    def at(self, now_ns: int) -> Spell:
        """Return the session at a moment."""
        held = self._held
        if held is None or not held.start_ns <= now_ns < held.end_ns:
            held = self._held = self._find(now_ns)
        return held

    def _find(self, now_ns: int) -> Spell:
        place = bisect_right([spell.start_ns for spell in self._spells], now_ns) - 1
        if place >= 0 and self._spells[place].holds(now_ns):
            return self._spells[place]
        spell = calendar_spell(now_ns)
        if not self._spells:
            return spell
        # the calendar only speaks where the contract's own hours do not
        first_ns, last_ns = self._spells[0].start_ns, self._spells[-1].end_ns
        if now_ns < first_ns:
            end_ns = min(spell.end_ns, first_ns)
            return Spell(phase=spell.phase, start_ns=spell.start_ns, end_ns=end_ns, basis=spell.basis, note=spell.note)
        start_ns = max(spell.start_ns, last_ns)
        return Spell(phase=spell.phase, start_ns=start_ns, end_ns=spell.end_ns, basis=spell.basis, note=spell.note)


def spells_of(details: ContractDetails) -> list[Spell]:
    """Return the sessions a contract lists, with what is closed between them, without holes; empty when it lists none.

    They begin at the midnight (of the exchange) before the first session and end with the last one.
    """
    is_new_york = details.zone in _NEW_YORK_NAMES
    trading, liquid = _joined(details.trading), _joined(details.liquid)
    if not trading or not liquid:
        return []
    edges = sorted({edge for part in (*trading, *liquid) for edge in (part.start_ns, part.end_ns)})
    if edges[-1] - edges[0] > 2 * _LONGEST_NS:
        return []
    first_ns = _midnight_before(edges[0], details.zone)
    if is_new_york:
        edges = sorted({*edges, *(edge for edge in _clock_edges(edges) if edges[0] < edge < edges[-1])})
    spells: list[Spell] = []
    for start_ns, end_ns in zip([first_ns, *edges], edges, strict=False):
        if start_ns >= end_ns:
            continue
        if _within(liquid, start_ns):
            phase = Phase.RTH
        elif not _within(trading, start_ns):
            phase = Phase.CLOSED
        else:
            phase = _extended(start_ns, liquid, is_new_york)
        if spells and spells[-1].phase is phase:
            start_ns = spells.pop().start_ns
        spells.append(Spell(phase=phase, start_ns=start_ns, end_ns=end_ns, basis=Basis.CONTRACT))
    return spells


def _joined(sessions: Sequence[Session]) -> list[Session]:
    """Return sessions in order, those that touch or overlap as one; what makes no sense is left out."""
    found: list[Session] = []
    for part in sorted(sessions, key=lambda part: part.start_ns):
        if part.end_ns <= part.start_ns or (found and part.end_ns - found[0].start_ns > _LONGEST_NS):
            continue
        if found and part.start_ns <= found[-1].end_ns:
            found[-1] = Session(found[-1].start_ns, max(found[-1].end_ns, part.end_ns))
        else:
            found.append(part)
    return found


def _within(sessions: Sequence[Session], now_ns: int) -> bool:
    return any(part.start_ns <= now_ns < part.end_ns for part in sessions)


def _extended(start_ns: int, liquid: Sequence[Session], is_new_york: bool) -> Phase:
    """Return what a stretch outside regular hours is: before them, after them, or (in New York) overnight."""
    if is_new_york:
        clock = datetime.fromtimestamp(start_ns // NS_PER_S, NEW_YORK).time()
        if clock >= _POST_END or clock < _PRE:
            return Phase.OVERNIGHT
    since_ns = min((start_ns - part.end_ns for part in liquid if part.end_ns <= start_ns), default=None)
    until_ns = min((part.start_ns - start_ns for part in liquid if part.start_ns > start_ns), default=None)
    if until_ns is None or (since_ns is not None and since_ns < until_ns):
        return Phase.POST
    return Phase.PRE


def _clock_edges(edges: Sequence[int]) -> list[int]:
    """Return when the night ends and begins on each day between: a session over night has no edge of its own there."""
    day, last = new_york_day(edges[0]), new_york_day(edges[-1])
    found = []
    while day <= last:
        found += [utc_ns(datetime.combine(day, clock, NEW_YORK)) for clock in (_PRE, _POST_END)]
        day += _ONE_DAY
    return found


def _midnight_before(start_ns: int, zone: str) -> int:
    try:
        place = ZoneInfo(zone) if zone else NEW_YORK
    except (KeyError, ValueError, OSError):
        place = ZoneInfo("UTC")
    moment = datetime.fromtimestamp(start_ns // NS_PER_S, place)
    if moment.time() >= _POST_END:  # a night session belongs to the day after; the day before is not told of
        return start_ns
    return utc_ns(datetime.combine(moment.date(), time(0), place).astimezone(UTC))
