"""Choose Bybit's instruments at the start and make its sessions, from the settings.

The venue's own lists decide: what trades against USDT, largest turnover first. When they cannot be had, the list of the
last run is used, else the largest coins by their usual names, and a sentence says so: the window opens in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from app.domain.clock import Clock, SystemClock
from app.domain.errors import BadFrameError
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.indicators.groups import LARGEST
from app.paths import Paths
from app.services.universe import Universe, bans_of, listed_by_venue, save_universe, saved_universe
from app.settings.store import Settings
from app.venues.bybit import protocol
from app.venues.bybit.api import BybitApi, guess_instrument, most_traded
from app.venues.bybit.session import BYBIT_LINK, BybitSession, SessionOptions
from app.venues.bybit.urls import FULL_BOOK_PATH, QUOTE, BybitEndpoints, parse_path
from app.venues.feed import FeedSink
from app.venues.naming import PEGGED


def endpoints_of(settings: Settings) -> BybitEndpoints:
    """Return the addresses in force."""
    return BybitEndpoints(
        ws=settings.text("bybit.ws_url"),
        rest=settings.text("bybit.rest_url").rstrip("/"),
        spot_ws=settings.text("bybit.spot.ws_url"),
    )


def markets_of(settings: Settings) -> tuple[Market, ...]:
    """Return the markets that are switched on."""
    return tuple(
        market for market in Market if market.venue is Venue.BYBIT and settings.flag(f"bybit.{market.word}.enabled")
    )


async def load_instruments(settings: Settings, paths: Paths) -> tuple[Universe, list[str]]:
    """Return what to follow as books per market, and sentences about what could not be had."""
    markets = markets_of(settings)
    if not markets:
        return {}, []
    found = await asyncio.gather(*(_market(settings, paths, market) for market in markets))
    universe: Universe = {}
    notes: list[str] = []
    for market, (instruments, note) in zip(markets, found, strict=True):
        universe[market] = instruments
        if note is not None:
            notes.append(note)
    if not notes:
        await save_universe(_cache(paths), universe)
    return universe, notes


async def _market(settings: Settings, paths: Paths, market: Market) -> tuple[tuple[Instrument, ...], str | None]:
    count = settings.whole("bybit.symbols")
    health = FeedHealth(feed=market.feed)
    found, reason = await listed_by_venue(
        lambda: BybitApi(market, endpoints_of(settings), health, SystemClock(), bans_of(paths)),
        lambda api: most_traded(api, count, PEGGED),
        "it lists none",
    )
    if found:
        return found, None
    sorry = f"{market.full_name}: no list of instruments ({reason})"
    known = saved_universe(_cache(paths), market)[:count]
    if known:
        return known, f"{sorry}; the last run's is used."
    guessed = tuple(guess_instrument(market, base + QUOTE) for base in LARGEST)[:count]
    return guessed, f"{sorry}; the largest coins are used."


def _cache(paths: Paths) -> Path:
    return paths.instruments.with_name("instruments_bybit.json")


def make_session(
    settings: Settings,
    paths: Paths,
    clock: Clock,
    feed: FeedId,
    instruments: tuple[Instrument, ...],
    sink: FeedSink,
    health: FeedHealth,
) -> BybitSession:
    """Return the session of one market, ready to run."""
    options = SessionOptions(
        levels=int(settings.text("bybit.levels")),
        full_book=settings.flag("bybit.spot.full_book"),
        topics_per_connection=settings.whole("bybit.topics_per_connection"),
        hot_symbols=settings.whole("bybit.hot_symbols"),
        snapshots_per_s=settings.whole("bybit.snapshots_per_second"),
        tickers_every_s=settings.number("bybit.tickers_every"),
        link=replace(BYBIT_LINK, stale_after_s=settings.number("bybit.stale_after")),
        bans_file=paths.bans,
    )
    return BybitSession(feed.market, instruments, endpoints_of(settings), sink, health, clock, options)


def book_symbol(market: Market, kind: str, argument: str, raw: str) -> str | None:
    """Return the symbol whose book a recorded entry begins: a snapshot by REST or by stream. Raises BadFrameError."""
    if kind == "rest":
        path, query = parse_path(argument)
        return query.get("symbol") if path == FULL_BOOK_PATH else None
    if kind != "ws" or '"orderbook.' not in raw or '"snapshot"' not in raw:
        return None
    try:
        message = protocol.decode(raw.encode())
    except UnicodeEncodeError as error:
        raise BadFrameError(f"not a market data frame: {error}") from None
    if not isinstance(message, protocol.BookNews) or not message.is_snapshot or message.levels == 1:
        return None
    return message.data.s


def demo_settings(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that point to a simulator."""
    return {
        "bybit.ws_url": addresses["linear_ws"],
        "bybit.spot.ws_url": addresses["spot_ws"],
        "bybit.rest_url": addresses["rest"],
    }
