"""The venues as the program sees them: a kit each, what is followed with some of them away, where a demo points."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack

import pytest

from app.demo import DemoOptions
from app.domain.clock import SystemClock
from app.domain.errors import SettingsError
from app.domain.health import FeedEvent, FeedHealth
from app.domain.ids import BOOK_MARKETS, BOOK_VENUES, Market, Venue
from app.paths import Paths
from app.services.feeds import KITS, load_universe, make_intake, make_session
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.settings.schema import BY_KEY
from app.settings.store import Settings
from app.sim.bybit.server import BybitSim
from app.sim.hyperliquid import HyperliquidSim
from app.sim.server import BinanceSim
from app.venues.feed import Urgency

PAIRS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
COINS = ("BTC", "ETH", "SOL", "PEPE")
ENABLED = tuple(f"{market.venue.value}.{market.word}.enabled" for market in BOOK_MARKETS)
SYMBOL = {
    Market.BINANCE_SPOT: "BTCUSDT",
    Market.BINANCE_USDM: "BTCUSDT",
    Market.BYBIT_SPOT: "BTCUSDT",
    Market.BYBIT_LINEAR: "BTCUSDT",
    Market.HYPERLIQUID_SPOT: "PURR/USDC",
    Market.HYPERLIQUID_PERP: "BTC",
}

Addresses = dict[Venue, Mapping[str, str]]


@pytest.fixture
async def venues() -> AsyncIterator[Addresses]:
    """Run all three simulators in this process, their clocks standing still."""
    async with AsyncExitStack() as stack:
        binance = await stack.enter_async_context(BinanceSim(seed=3, symbols=PAIRS, auto=False))
        bybit = await stack.enter_async_context(BybitSim(seed=3, coins=COINS, auto=False))
        hyperliquid = await stack.enter_async_context(HyperliquidSim(seed=3, symbols=12, auto=False))
        yield {
            Venue.BINANCE: binance.addresses(),
            Venue.BYBIT: bybit.addresses(),
            Venue.HYPERLIQUID: hyperliquid.addresses(),
        }


@pytest.fixture
def closed() -> Iterator[str]:
    """Hold a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def paths(tmp_path: object) -> Paths:
    return Paths.of(str(tmp_path))


def unreachable(addresses: Mapping[str, str], closed: str) -> dict[str, str]:
    """Return the same addresses at a port nobody listens at."""
    return {name: f"{text.partition('://')[0]}://{closed}" for name, text in addresses.items()}


def settings_for(venues: Addresses, **changes: object) -> Settings:
    settings = Settings()
    for venue, addresses in venues.items():
        settings.override_values(KITS[venue].demo_settings(addresses))
    values = {"binance.symbols": 10, "bybit.symbols": 10, "hyperliquid.symbols": 3}
    settings.override([f"{key}={value}" for key, value in {**values, **changes}.items()])
    return settings


def symbols_of(universe: Mapping[Market, tuple[object, ...]]) -> dict[Market, int]:
    return {market: len(listed) for market, listed in universe.items()}


# -- kits ------------------------------------------------------------------------------------------------------------


def test_every_venue_has_a_kit_for_all_its_markets() -> None:
    assert set(KITS) == set(BOOK_VENUES)
    for venue, kit in KITS.items():
        assert kit.venue is venue
        assert kit.markets_of(Settings()) == venue.markets, "everything is on until switched off"
        assert kit.lines, "a book comes on one line at least"


@pytest.mark.parametrize("market", BOOK_MARKETS)
def test_each_market_is_switched_by_a_setting_of_its_own(market: Market) -> None:
    settings = Settings()
    settings.override([f"{market.venue.value}.{market.word}.enabled=false"])
    on = {each for kit in KITS.values() for each in kit.markets_of(settings)}
    assert on == set(BOOK_MARKETS) - {market}


@pytest.mark.parametrize("market", BOOK_MARKETS)
def test_each_market_has_session_intake_and_a_name_for_symbols(market: Market, paths: Paths) -> None:
    kit = KITS[market.venue]
    instrument = kit.guess_instrument(market, SYMBOL[market])
    assert (instrument.market, instrument.symbol) == (market, SYMBOL[market])
    listed = () if market is Market.HYPERLIQUID_SPOT else (instrument,)
    health = FeedHealth(feed=market.feed)
    events: list[FeedEvent] = []
    outputs = EngineOutputs(on_event=events.append)
    engine = MarketEngine(market.feed, listed, EngineOptions(), outputs, health, make_intake)
    engine.begin(1)
    session = make_session(Settings(), paths, SystemClock(), market.feed, listed, engine, health)
    assert session.health is health
    assert session.hot_capacity >= 0
    session.pause_snapshots()
    assert health.priming_paused
    session.resume_snapshots()
    assert not health.priming_paused
    session.set_hot(["NOSUCHCOIN"])
    if listed:
        session.request_snapshot(instrument.symbol, Urgency.FIRST)
    session.cancel_priming()


# -- what is followed ------------------------------------------------------------------------------------------------


async def test_all_venues_give_their_lists(venues: Addresses, paths: Paths) -> None:
    universe, notes = await load_universe(settings_for(venues), paths)
    assert notes == []
    assert symbols_of(universe) == {
        Market.BINANCE_SPOT: 3,
        Market.BINANCE_USDM: 3,
        Market.BYBIT_SPOT: 4,
        Market.BYBIT_LINEAR: 4,
        Market.HYPERLIQUID_SPOT: 0,
        Market.HYPERLIQUID_PERP: 3,
    }
    assert all(each.market is market and each.tick_size for market, listed in universe.items() for each in listed)


@pytest.mark.parametrize("away", BOOK_VENUES)
async def test_a_venue_that_cannot_be_reached_stops_no_other(
    venues: Addresses, away: Venue, closed: str, paths: Paths
) -> None:
    whole, _ = await load_universe(settings_for(venues), Paths(paths.base / "before"))
    reached = {**venues, away: unreachable(venues[away], closed)}
    universe, notes = await load_universe(settings_for(reached), paths)
    assert set(universe) == set(BOOK_MARKETS), "it is tried again while the program runs"
    for market in BOOK_MARKETS:
        if market.venue is not away:
            assert universe[market] == whole[market]
        elif market is not Market.HYPERLIQUID_SPOT:
            assert "BTC" in {each.base for each in universe[market]}, "what it usually has is assumed"
    books = [market for market in away.markets if market is not Market.HYPERLIQUID_SPOT]
    assert len(notes) == len(books)
    assert all(away.full_name in note and note.endswith(".") for note in notes)
    assert all("nothing accepts connections" in note for note in notes)


async def test_the_list_of_the_last_run_serves_while_a_venue_is_away(
    venues: Addresses, closed: str, paths: Paths
) -> None:
    before, _ = await load_universe(settings_for(venues), paths)
    away = {venue: unreachable(addresses, closed) for venue, addresses in venues.items()}
    universe, notes = await load_universe(settings_for(away), paths)
    assert universe == before
    assert len(notes) == 5
    assert all("last run" in note for note in notes)


async def test_with_every_feed_off_a_sentence_says_so(paths: Paths) -> None:
    settings = Settings()
    settings.override([f"{key}=false" for key in ENABLED])
    others = {"server.enabled", "ibkr.tws.enabled", "ibkr.portal.enabled"}
    assert {key for key in BY_KEY if key.endswith(".enabled")} == {*ENABLED, *others}
    with pytest.raises(SettingsError, match="every feed is switched off") as caught:
        await load_universe(settings, paths)
    assert "binance.spot.enabled" in str(caught.value)


@pytest.mark.parametrize("market", BOOK_MARKETS)
async def test_a_single_feed_is_enough(market: Market, venues: Addresses, paths: Paths) -> None:
    word = f"{market.venue.value}.{market.word}.enabled"
    universe, notes = await load_universe(settings_for(venues, **{key: key == word for key in ENABLED}), paths)
    assert list(universe) == [market]
    assert notes == []


# -- the demo --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", BOOK_VENUES)
async def test_a_demo_points_every_address_of_a_venue_to_its_simulator(venue: Venue, venues: Addresses) -> None:
    values = KITS[venue].demo_settings(venues[venue])
    addresses = {key for key in BY_KEY if key.startswith(f"{venue.value}.") and key.endswith("_url")}
    assert set(values) == addresses, "an address that stays the venue's own would be asked by a demo"
    settings = Settings()
    settings.override_values(values)
    for key in addresses:
        assert "://127.0.0.1:" in settings.text(key)
        assert settings.text(key).startswith(("ws://", "wss://") if key.endswith("ws_url") else "http://")
    assert len(set(values.values())) == len(addresses), "each to one of its own"


@pytest.mark.parametrize("venue", BOOK_VENUES)
def test_a_simulator_that_does_not_say_an_address_is_not_taken(venue: Venue) -> None:
    with pytest.raises(KeyError):
        KITS[venue].demo_settings({"control": "http://127.0.0.1:1"})


def test_faults_go_to_the_venue_they_name_and_to_binance_without_one() -> None:
    options = DemoOptions(seed=7, faults=("gap:BTCUSDT@5", "bybit/close@3", "hyperliquid/stall@4", "binance/drop@2"))
    assert options.arguments(Venue.BINANCE.value) == ["--seed", "7", "--fault=gap:BTCUSDT@5", "--fault=drop@2"]
    assert options.arguments(Venue.BYBIT.value) == ["--seed", "7", "--fault=close@3"]
    assert options.arguments(Venue.HYPERLIQUID.value) == ["--seed", "7", "--fault=stall@4"]
