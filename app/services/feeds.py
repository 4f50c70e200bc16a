"""The venues: how each one's instruments are chosen, its sessions and intakes made, its recordings read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.domain.clock import Clock
from app.domain.errors import SettingsError
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.paths import Paths
from app.services import binance_feed, bybit_feed, hyperliquid_feed
from app.services.universe import Universe
from app.settings.store import Settings
from app.venues.binance.intake import BinanceIntake
from app.venues.bybit.api import guess_instrument as bybit_guess
from app.venues.bybit.intake import BybitIntake
from app.venues.feed import Desk, FeedSession, FeedSink, Intake
from app.venues.hyperliquid.intake import HyperliquidIntake
from app.venues.hyperliquid.naming import guess_instrument as hyperliquid_guess
from app.venues.hyperliquid.protocol import BOOK_LINES
from app.venues.naming import guess_instrument

MakeSession = Callable[
    [Settings, Paths, Clock, FeedId, tuple[Instrument, ...], FeedSink, FeedHealth],
    FeedSession,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueKit:
    """What the program asks of a venue.

    markets_of: the markets that are switched on. load_instruments: what to follow as books, and sentences about what
    could not be had. book_symbol: the symbol whose book a recorded entry (market, kind, argument, raw) begins, None
    for other entries; raises BadFrameError. lines: the names of a book's streams (see `FeedSink.on_streams`).
    demo_settings: from the addresses of the venue's simulator to the settings that point there.
    """

    venue: Venue
    markets_of: Callable[[Settings], tuple[Market, ...]]
    load_instruments: Callable[[Settings, Paths], Awaitable[tuple[Universe, list[str]]]]
    make_session: MakeSession
    make_intake: Callable[[Desk], Intake]
    book_symbol: Callable[[Market, str, str, str], str | None]
    guess_instrument: Callable[[Market, str], Instrument] = guess_instrument
    lines: tuple[str, ...] = ("",)
    demo_settings: Callable[[Mapping[str, str]], dict[str, str]]


KITS: Final[Mapping[Venue, VenueKit]] = {
    Venue.BINANCE: VenueKit(
        venue=Venue.BINANCE,
        markets_of=binance_feed.markets_of,
        load_instruments=binance_feed.load_instruments,
        make_session=binance_feed.make_session,
        make_intake=BinanceIntake,
        book_symbol=binance_feed.book_symbol,
        demo_settings=binance_feed.demo_settings,
    ),
    Venue.BYBIT: VenueKit(
        venue=Venue.BYBIT,
        markets_of=bybit_feed.markets_of,
        load_instruments=bybit_feed.load_instruments,
        make_session=bybit_feed.make_session,
        make_intake=BybitIntake,
        book_symbol=bybit_feed.book_symbol,
        guess_instrument=bybit_guess,
        demo_settings=bybit_feed.demo_settings,
    ),
    Venue.HYPERLIQUID: VenueKit(
        venue=Venue.HYPERLIQUID,
        markets_of=hyperliquid_feed.markets_of,
        load_instruments=hyperliquid_feed.load_instruments,
        make_session=hyperliquid_feed.make_session,
        make_intake=HyperliquidIntake,
        book_symbol=hyperliquid_feed.book_symbol,
        lines=tuple(BOOK_LINES),
        guess_instrument=hyperliquid_guess,
        demo_settings=hyperliquid_feed.demo_settings,
    ),
}


async def load_universe(settings: Settings, paths: Paths) -> tuple[Universe, list[str]]:
    """Return what to follow as books on every market that is switched on, and sentences about what was not had."""
    found = await asyncio.gather(*(kit.load_instruments(settings, paths) for kit in KITS.values()))
    universe: Universe = {}
    notes: list[str] = []
    for markets, said in found:
        universe |= markets
        notes += said
    if not universe:
        raise SettingsError("every feed is switched off (binance.spot.enabled and so on): there is nothing to follow")
    return universe, notes


def make_session(
    settings: Settings,
    paths: Paths,
    clock: Clock,
    feed: FeedId,
    instruments: tuple[Instrument, ...],
    sink: FeedSink,
    health: FeedHealth,
) -> FeedSession:
    """Return the session of one market, ready to run."""
    return KITS[feed.venue].make_session(settings, paths, clock, feed, instruments, sink, health)


def make_intake(desk: Desk) -> Intake:
    """Return the intake of one market."""
    return KITS[desk.feed.venue].make_intake(desk)
