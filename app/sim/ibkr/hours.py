"""Turns a date into the trading hours of the simulated exchanges, and hours into the broker's texts.

US stocks trade from 04:00 to 20:00 New York, regularly from 09:30 to 16:00 (13:00 before some holidays); the European
stock from 09:00 to 17:30 Berlin; the future nearly around the clock. Texts have the form of `tradingHours` in the TWS
API: `20261120:0400-20261120:2000;20261121:CLOSED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

NEW_YORK = ZoneInfo("America/New_York")
_DAYS_LISTED = 7


class Venue(StrEnum):
    """Kinds of trading hours."""

    US_STOCKS = "us stocks"
    US_OPTIONS = "us options"
    EUROPE = "europe"
    FUTURES = "futures"
    FOREX = "forex"


class Phase(StrEnum):
    """Part of the trading day."""

    CLOSED = "closed"
    PRE = "pre"
    REGULAR = "regular"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of one kind of exchange: minutes after midnight in its zone; `ahead_days` is 1 when a session begins on
    the evening before. api_zone is the zone's name as TWS writes it."""

    zone: str
    api_zone: str
    opens: int
    regular_opens: int
    regular_closes: int
    closes: int
    early_close: int | None = None
    ahead_days: int = 0


HOURS: dict[Venue, Hours] = {
    Venue.US_STOCKS: Hours("America/New_York", "US/Eastern", 240, 570, 960, 1200, early_close=780),
    Venue.US_OPTIONS: Hours("America/New_York", "US/Eastern", 570, 570, 960, 960, early_close=780),
    Venue.EUROPE: Hours("Europe/Berlin", "MET", 540, 540, 1050, 1050),
    Venue.FUTURES: Hours("America/Chicago", "US/Central", 1020, 510, 900, 960, ahead_days=1),
    Venue.FOREX: Hours("America/New_York", "US/Eastern", 1035, 1035, 1020, 1020, ahead_days=1),
}


@lru_cache(maxsize=16)
def _closed_days(year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays("NYSE", years=year))


def is_trading_day(day: date) -> bool:
    """Return whether New York trades on that day."""
    return day.weekday() < 5 and day not in _closed_days(day.year)


def is_half_day(day: date) -> bool:
    """Return whether New York closes at 13:00: 3 July, the day after Thanksgiving, 24 December."""
    if not is_trading_day(day):
        return False
    if (day.month, day.day) in ((7, 3), (12, 24)):
        return True
    return day.month == 11 and day.weekday() == 4 and 23 <= day.day <= 29


def previous_trading_day(day: date) -> date:
    """Return the last trading day before that day."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day


def trading_days_before(day: date, count: int) -> list[date]:
    """Return `count` trading days before that day, oldest first."""
    found: list[date] = []
    while len(found) < count:
        day = previous_trading_day(day)
        found.append(day)
    return found[::-1]


def day_of(epoch_s: float, venue: Venue = Venue.US_STOCKS) -> date:
    """Return the date at the exchange."""
    return datetime.fromtimestamp(epoch_s, ZoneInfo(HOURS[venue].zone)).date()


def _stamp(day: date, minutes: int, zone: str) -> datetime:
    return datetime.combine(day, time(minutes // 60, minutes % 60), ZoneInfo(zone))


@lru_cache(maxsize=8192)
def sessions(venue: Venue, day: date) -> tuple[tuple[datetime, datetime], tuple[datetime, datetime]] | None:
    """Return (whole, regular) sessions of that trading day as aware datetimes, None on a closed day."""
    hours = HOURS[venue]
    if day.weekday() >= 5 or (venue not in (Venue.EUROPE, Venue.FOREX) and not is_trading_day(day)):
        return None
    regular_closes, closes = hours.regular_closes, hours.closes
    if hours.early_close is not None and is_half_day(day):
        closes = 1020 if closes > regular_closes else hours.early_close
        regular_closes = hours.early_close
    first = day - timedelta(days=hours.ahead_days)
    regular_first = first if hours.regular_opens > hours.regular_closes else day
    whole = (_stamp(first, hours.opens, hours.zone), _stamp(day, closes, hours.zone))
    regular = (
        _stamp(regular_first, hours.regular_opens, hours.zone),
        _stamp(day, regular_closes, hours.zone),
    )
    return whole, regular


def phase_at(venue: Venue, epoch_s: float) -> Phase:
    """Return which part of the trading day it is."""
    now = datetime.fromtimestamp(epoch_s, UTC)
    local = day_of(epoch_s, venue)
    for day in (local, local + timedelta(days=1)):
        found = sessions(venue, day)
        if found is None:
            continue
        (opens, closes), (regular_opens, regular_closes) = found
        if regular_opens <= now < regular_closes:
            return Phase.REGULAR
        if opens <= now < closes:
            return Phase.PRE if now < regular_opens else Phase.POST
    return Phase.CLOSED


def hours_text(venue: Venue, first: date, *, regular: bool) -> str:
    """Return the hours of a week from that day on as the broker writes them."""
    parts = []
    for ahead in range(_DAYS_LISTED):
        day = first + timedelta(days=ahead)
        found = sessions(venue, day)
        if found is None:
            parts.append(f"{day:%Y%m%d}:CLOSED")
        else:
            opens, closes = found[1 if regular else 0]
            parts.append(f"{opens:%Y%m%d:%H%M}-{closes:%Y%m%d:%H%M}")
    return ";".join(parts)


def fridays(day: date, *, weekly: int, monthly: int) -> list[date]:
    """Return expiries after that day: the next `weekly` Fridays and the next `monthly` third Fridays, in order.

    One that is a holiday moves to the trading day before. The next two days are left out.
    """
    first = day + timedelta(days=3)
    friday = first + timedelta(days=(4 - first.weekday()) % 7)
    weeklies: list[date] = []
    monthlies: list[date] = []
    while len(weeklies) < weekly or len(monthlies) < monthly:
        if len(weeklies) < weekly:
            weeklies.append(friday)
        if 15 <= friday.day <= 21 and len(monthlies) < monthly:
            monthlies.append(friday)
        friday += timedelta(days=7)
    return [each if is_trading_day(each) else previous_trading_day(each) for each in sorted({*weeklies, *monthlies})]


def is_monthly(expiry: date) -> bool:
    """Return whether that is a third Friday (or the Thursday before one that is a holiday)."""
    friday = expiry if expiry.weekday() == 4 else expiry + timedelta(days=1)
    return friday.weekday() == 4 and 15 <= friday.day <= 21
