"""From answers to questions a user's wish asks (find, history, lists) to what was asked. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Raw

from app.domain.contracts import DailyBar, SecType
from app.venues.ibkr_portal.contracts import con_id_of
from app.venues.ibkr_portal.decoding import parse, rows_of
from app.venues.ibkr_portal.messages import History, SearchRow, Stock, WatchlistRows, Watchlists
from app.venues.ibkr_portal.values import amount, millis_ns, words

_MOST_LISTS: Final = 100


def stock_ids(body: bytes, symbol: str) -> list[int]:
    """Return the numbers of a symbol in /trsrv/stocks, those traded in the United States first."""
    companies = parse(body, dict[str, Raw], "stocks").get(symbol)
    if companies is None:
        return []
    places = [place for company in rows_of(companies, Stock, "companies") for place in company.contracts]
    places.sort(key=lambda place: not place.isUS)
    return list(dict.fromkeys(filter(None, (con_id_of(place.conid) for place in places))))


def search_ids(body: bytes, symbol: str, kind: SecType) -> list[int]:
    """Return the numbers in /iserver/secdef/search under exactly that symbol which are of that kind."""
    rows = [row for row in rows_of(body, SearchRow, "search results") if words(row.symbol).upper() == symbol]
    found = [row for row in rows if any(SecType.of(words(each.secType)) is kind for each in row.sections or [])]
    return list(dict.fromkeys(filter(None, (con_id_of(row.conid) for row in found))))


def period_of(days: int) -> str:
    """Return the shortest period the gateway knows that holds so many trading days."""
    for most, period in ((20, "1m"), (60, "3m"), (122, "6m"), (250, "1y")):
        if days <= most:
            return period
    return f"{min(15, -(-days // 250))}y"


def daily_bars(body: bytes, days: int, zone: str) -> tuple[DailyBar, ...]:
    """Return the last closes, oldest first; a bar's day is that of its begin in the exchange's zone ("": UTC)."""
    where = _zone(zone)
    closes: dict[str, float] = {}
    for bar in parse(body, History, "bars").data:
        close, begin_ns = amount(bar.c), millis_ns(bar.t)
        if close is not None and close > 0.0 and begin_ns:
            closes[datetime.fromtimestamp(begin_ns // 1_000_000_000, where).strftime("%Y%m%d")] = close
    return tuple(DailyBar(day, close) for day, close in sorted(closes.items())[-days:])


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def watchlist_ids(body: bytes) -> list[str]:
    """Return the numbers of the user's lists."""
    data = parse(body, Watchlists, "lists").data
    found = [words(each.id, 40) for each in data.user_lists] if data is not None else []
    return [name for name in found if name.isalnum()][:_MOST_LISTS]


def watchlist_rows(body: bytes) -> tuple[str, list[int]]:
    """Return name and contract numbers of a list; headings and blank rows are left out."""
    told = parse(body, WatchlistRows, "a list")
    numbers = [con_id_of(row.conid, row.C) for row in told.instruments or []]
    return words(told.name, 80), list(dict.fromkeys(filter(None, numbers)))
