"""Choose Binance's instruments at the start and make its sessions, from the settings.

The venue's own list decides which pairs trade and under which name. When it cannot be had, the list of the last run is
used, else names are taken as they usually are, and a sentence says so: the window opens in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.domain.clock import Clock, SystemClock
from app.domain.errors import FathomError, SettingsError
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.indicators.groups import TOP_TEN
from app.paths import Paths, resources
from app.services.universe import Universe, ask_venue, bans_of, listed_by_venue, save_universe, saved_universe
from app.settings.store import Settings
from app.venues.binance import protocol
from app.venues.binance.api import MarketApi, load_universe, open_api, rank_pairs
from app.venues.binance.priming import PrimingOptions
from app.venues.binance.session import BinanceSession, SessionOptions
from app.venues.binance.urls import BinanceEndpoints
from app.venues.feed import FeedSink
from app.venues.link import LinkOptions
from app.venues.naming import guess_instrument

_ALWAYS: Final = tuple(f"{base}USDT" for base in sorted(TOP_TEN))


def endpoints_of(settings: Settings) -> BinanceEndpoints:
    """Return the addresses in force."""
    return BinanceEndpoints(
        spot_ws=settings.text("binance.spot.ws_url"),
        spot_rest=settings.text("binance.spot.rest_url"),
        usdm_ws=settings.text("binance.usdm.ws_url"),
        usdm_rest=settings.text("binance.usdm.rest_url"),
    )


def markets_of(settings: Settings) -> tuple[Market, ...]:
    """Return the markets that are switched on."""
    return tuple(market for market in Venue.BINANCE.markets if settings.flag(f"binance.{market.word}.enabled"))


def listed_pairs(settings: Settings) -> list[str]:
    """Return the pairs of the symbol file, most important first, the ten largest always among them."""
    named = settings.text("binance.symbols_file")
    path = Path(named) if named else resources() / "symbols" / "binance_top100.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the list of symbols {path} cannot be read: {error}") from error
    pairs = [word for line in lines if (word := line.partition("#")[0].strip().upper())]
    count = settings.whole("binance.symbols")
    return with_top_ten(list(dict.fromkeys(pairs)), count)


def with_top_ten(pairs: Sequence[str], count: int) -> list[str]:
    """Return the first `count` pairs, of which the last ones give way to those of the ten that are missing."""
    chosen = list(pairs[:count])
    missing = [pair for pair in _ALWAYS if pair not in chosen]
    for pair in missing:
        while len(chosen) >= count and (last := next((p for p in reversed(chosen) if p not in _ALWAYS), None)):
            chosen.remove(last)
        chosen.append(pair)
    return chosen


async def load_instruments(settings: Settings, paths: Paths) -> tuple[Universe, list[str]]:
    """Return what to follow per market, and sentences about what could not be had."""
    markets = markets_of(settings)
    if not markets:
        return {}, []
    pairs = listed_pairs(settings)
    notes: list[str] = []
    if settings.flag("binance.refresh_symbols"):
        pairs = await _ranked(settings, paths, pairs, notes)
    found = await asyncio.gather(*(_market(settings, paths, market, pairs) for market in markets))
    universe: Universe = {}
    fresh = True
    for market, (instruments, note) in zip(markets, found, strict=True):
        if note is not None:
            notes.append(note)
            fresh = False
        universe[market] = instruments
    if fresh:
        await save_universe(paths.instruments, universe)
    return universe, notes


async def _ranked(settings: Settings, paths: Paths, pairs: list[str], notes: list[str]) -> list[str]:
    """Return the pairs ranked by the venue's 24 h turnover, the given ones when it cannot be had."""
    health = FeedHealth(feed=FeedId(Venue.BINANCE, Market.BINANCE_SPOT))
    try:
        return await ask_venue(
            lambda: open_api(Market.BINANCE_SPOT, endpoints_of(settings), health, SystemClock(), bans_of(paths)),
            lambda api: rank_pairs(api, settings.whole("binance.symbols"), _ALWAYS),
        )
    except FathomError as error:
        reason = str(error).rstrip(".")
        notes.append(f"The pairs could not be ranked by turnover ({reason}); the built-in order is used.")
        return pairs


async def _market(
    settings: Settings, paths: Paths, market: Market, pairs: Sequence[str]
) -> tuple[tuple[Instrument, ...], str | None]:
    health = FeedHealth(feed=market.feed)

    async def trading(api: MarketApi) -> Sequence[Instrument]:
        return (await load_universe({market: api}, pairs))[market]

    found, reason = await listed_by_venue(
        lambda: open_api(market, endpoints_of(settings), health, SystemClock(), bans_of(paths)),
        trading,
        "it trades none of the pairs",
    )
    if found:
        return found, None
    sorry = f"Binance {market.label} did not give its list of pairs ({reason})"
    listed = {instrument.pair: instrument for instrument in saved_universe(paths.instruments, market)}
    known = tuple(listed[pair] for pair in pairs if pair in listed)
    if known:
        return known, f"{sorry}; that of the last run is used."
    return tuple(guess_instrument(market, pair) for pair in pairs), f"{sorry}; names are assumed."


def make_session(
    settings: Settings,
    paths: Paths,
    clock: Clock,
    feed: FeedId,
    instruments: tuple[Instrument, ...],
    sink: FeedSink,
    health: FeedHealth,
) -> BinanceSession:
    """Return the session of one market, ready to run."""
    options = SessionOptions(
        streams_per_connection=settings.whole("binance.streams_per_connection"),
        link=LinkOptions(stale_after_s=settings.number("binance.stale_after")),
        priming=PrimingOptions(steady_share=settings.number("binance.weight_share")),
        bans_file=paths.bans,
        news=settings.flag("binance.news"),
    )
    return BinanceSession(feed.market, instruments, endpoints_of(settings), sink, health, clock, options)


def book_symbol(market: Market, kind: str, argument: str, raw: str) -> str | None:
    """Return the symbol of a recorded snapshot, None for anything else. Raises BadFrameError."""
    if kind == "rest" and protocol.is_depth_path(argument):
        return protocol.parse_depth_path(market, argument).symbol
    return None


def demo_settings(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that point to a simulator."""
    return {
        "binance.spot.ws_url": addresses["spot_ws"],
        "binance.spot.rest_url": addresses["spot_rest"],
        "binance.usdm.ws_url": addresses["usdm_ws"],
        "binance.usdm.rest_url": addresses["usdm_rest"],
    }
