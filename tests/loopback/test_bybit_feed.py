"""How Bybit's instruments are chosen at the start: from the venue, from the last run, from nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bybit_rig import simulated

from app.domain.clock import SystemClock
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.paths import Paths
from app.services import bybit_feed
from app.settings.store import Settings
from app.sim.bybit.server import BybitSim
from app.venues.bans import BanStore
from app.venues.bybit.api import BybitApi
from app.venues.bybit.urls import BybitEndpoints

SPOT, LINEAR = Market.BYBIT_SPOT, Market.BYBIT_LINEAR


@pytest.fixture
async def sim() -> AsyncIterator[BybitSim]:
    async with simulated() as sim:
        yield sim


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def settings_for(sim: BybitSim, **changes: str) -> Settings:
    settings = Settings()
    values = {**bybit_feed.demo_settings(sim.addresses()), **changes}
    settings.override([f"{key}={value}" for key, value in values.items()])
    return settings


async def test_the_most_traded_instruments_against_usdt_are_chosen_and_remembered(sim: BybitSim, paths: Paths) -> None:
    settings = settings_for(sim, **{"bybit.symbols": "4"})
    universe, notes = await bybit_feed.load_instruments(settings, paths)
    assert notes == []
    assert list(universe) == [SPOT, LINEAR]
    for market, instruments in universe.items():
        assert len(instruments) == 4
        assert instruments[0].symbol == "BTCUSDT"
        figures = {row["symbol"]: float(str(row["turnover24h"])) for row in sim.venues[market].rest_tickers(None)}
        turnovers = [figures[one.symbol] for one in instruments]
        assert turnovers == sorted(turnovers, reverse=True)
        assert all(one.quote == "USDT" and one.tick_size for one in instruments)
    away = settings_for(sim, **{"bybit.symbols": "3", "bybit.rest_url": "http://127.0.0.1:1"})
    again, notes = await bybit_feed.load_instruments(away, paths)
    assert again == {market: instruments[:3] for market, instruments in universe.items()}
    assert all("the last run's is used" in note for note in notes)
    assert len(notes) == 2


async def test_without_any_list_the_largest_coins_are_followed(sim: BybitSim, paths: Paths) -> None:
    settings = settings_for(sim, **{"bybit.rest_url": "http://127.0.0.1:1", "bybit.spot.enabled": "false"})
    universe, notes = await bybit_feed.load_instruments(settings, paths)
    assert list(universe) == [LINEAR]
    assert "BTCUSDT" in [one.symbol for one in universe[LINEAR]]
    assert "nothing accepts connections" in notes[0]
    assert "the largest coins are used" in notes[0]


async def test_markets_that_are_switched_off_are_left_out(sim: BybitSim, paths: Paths) -> None:
    off = {"bybit.spot.enabled": "false", "bybit.linear.enabled": "false"}
    assert await bybit_feed.load_instruments(settings_for(sim, **off), paths) == ({}, [])


async def test_the_session_follows_the_settings(sim: BybitSim, paths: Paths) -> None:
    class Sink:
        """Takes nothing: the session is not run."""

    changes = {"bybit.levels": "50", "bybit.spot.full_book": "false", "bybit.hot_symbols": "7"}
    settings = settings_for(sim, **changes)
    instruments = (await bybit_feed.load_instruments(settings, paths))[0][SPOT]
    health = FeedHealth(feed=SPOT.feed)
    clock = SystemClock()
    session = bybit_feed.make_session(settings, paths, clock, SPOT.feed, instruments, Sink(), health)  # type: ignore[arg-type] # see Sink
    assert session.hot_capacity == 7
    assert [link.url for link in health.links] == [f"{sim.spot_ws}/v5/public/spot"] * 2
    topics = {topic for shard in session._shards for topic in shard.topics()}
    assert {"orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT", "tickers.BTCUSDT"} <= topics


async def test_the_list_is_read_page_by_page(sim: BybitSim, monkeypatch: pytest.MonkeyPatch) -> None:
    paged = "/v5/market/instruments-info?category={}&limit=3&cursor={}"
    monkeypatch.setattr(
        "app.venues.bybit.api.instruments_path", lambda market, cursor="": paged.format(market.word, cursor)
    )
    health = FeedHealth(feed=LINEAR.feed)
    endpoints = BybitEndpoints(sim.linear_ws, sim.rest)
    api = BybitApi(LINEAR, endpoints, health, SystemClock(), BanStore(None))
    try:
        rows = await api.listing()
    finally:
        await api.close()
    assert health.rest_requests > 2
    assert "BTCUSDT" in [row.symbol for row in rows]
    assert len({row.symbol for row in rows}) == len(rows)
