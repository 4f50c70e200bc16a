"""From settings to running Hyperliquid feeds: what is followed, what is said without a list, recording and replay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.books.buckets import BucketBook
from app.domain.clock import SystemClock
from app.domain.errors import BadFrameError, SettingsError
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import ASK, BID
from app.paths import Paths
from app.services import hyperliquid_feed
from app.services.feeds import make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import RecordingSink, Replayer, universe_of
from app.settings.store import Settings
from app.sim.hyperliquid import HyperliquidSim
from app.storage.recorder import Recorder, Recording
from tests.loopback.hyperliquid_rig import COINS, LoggedSink, running, simulated

PERP, SPOT = Market.HYPERLIQUID_PERP, Market.HYPERLIQUID_SPOT


def settings_of(sim: HyperliquidSim | None, **changes: str) -> Settings:
    """Return settings that point to a simulator, or to an address where nothing listens."""
    addresses = {"ws": "ws://127.0.0.1:9/ws", "rest": "http://127.0.0.1:9"} if sim is None else sim.addresses()
    values = hyperliquid_feed.demo_settings(addresses) | {f"hyperliquid.{key}": text for key, text in changes.items()}
    settings = Settings()
    settings.override([f"{key}={text}" for key, text in values.items()])
    return settings


async def test_the_most_traded_perpetuals_get_books_and_spot_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    async with simulated(symbols=None) as sim:
        universe, notes = await hyperliquid_feed.load_instruments(settings_of(sim, symbols="12"), paths)
        assert notes == []
        assert universe[SPOT] == ()
        chosen = universe[PERP]
        assert len(chosen) == 12
        assert {"BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "LINK", "TRX", "BCH"} <= {i.base for i in chosen}
        assert all(i.quote == "USDC" and i.pair == f"{i.base}USDT" and i.tick_size for i in chosen)
        assert "MATIC" not in {i.symbol for i in chosen}
    universe, notes = await hyperliquid_feed.load_instruments(settings_of(None, symbols="5"), paths)
    assert universe[PERP] == chosen[:5]
    assert len(notes) == 1
    assert "that of the last run is used" in notes[0]


async def test_without_list_and_last_run_the_largest_coins_are_followed(tmp_path: Path) -> None:
    universe, notes = await hyperliquid_feed.load_instruments(settings_of(None, symbols="3"), Paths(tmp_path))
    assert [i.symbol for i in universe[PERP]] == ["BTC", "ETH", "SOL"]
    assert "Hyperliquid did not give its list of perpetuals (nothing accepts connections" in notes[0]
    assert notes[0].endswith("the largest coins are used.")


async def test_markets_can_be_switched_off(tmp_path: Path) -> None:
    both = settings_of(None)
    assert hyperliquid_feed.markets_of(both) == (SPOT, PERP)
    spot = settings_of(None, **{"perp.enabled": "false"})
    assert await hyperliquid_feed.load_instruments(spot, Paths(tmp_path)) == ({SPOT: ()}, [])
    none = settings_of(None, **{"perp.enabled": "false", "spot.enabled": "false"})
    assert await hyperliquid_feed.load_instruments(none, Paths(tmp_path)) == ({}, [])


async def test_resolutions_are_checked_at_the_start(tmp_path: Path) -> None:
    assert hyperliquid_feed.lines_of(settings_of(None)) == ("full", "s3", "s2")
    assert hyperliquid_feed.lines_of(settings_of(None, resolutions="2, 4,FULL")) == ("full", "s4", "s2")
    for wrong in ("", "3,2", "full,5", "full,full3"):
        with pytest.raises(SettingsError, match="expected full and any of 4, 3 and 2"):
            await hyperliquid_feed.load_instruments(settings_of(None, resolutions=wrong), Paths(tmp_path))


async def test_sessions_of_one_address_count_on_the_same_limits(tmp_path: Path) -> None:
    async with simulated(auto=True) as sim:
        settings, paths, clock = settings_of(sim, resolutions="full"), Paths(tmp_path), SystemClock()
        universe, _ = await hyperliquid_feed.load_instruments(settings, paths)
        sessions, tasks = [], []
        for market in (PERP, SPOT):
            health = FeedHealth(feed=market.feed)
            engine = MarketEngine(market.feed, universe[market], EngineOptions(), EngineOutputs(), health, make_intake)
            sink = LoggedSink(engine)
            engine.begin(clock.wall_ns())
            session = hyperliquid_feed.make_session(settings, paths, clock, market.feed, universe[market], sink, health)
            sessions.append((session, sink))
            tasks.append(asyncio.create_task(session.run()))
        try:
            async with asyncio.timeout(15.0):
                while not (sessions[0][1].frames.get("full") and sessions[1][1].frames.get("")):  # noqa: ASYNC110 # two engines
                    await asyncio.sleep(0.02)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert sessions[0][0]._allowance is sessions[1][0]._allowance
        assert sim.state()["connections_opened"] == 3


async def test_a_recorded_run_is_replayed_into_the_same_books_and_figures(tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    async with simulated() as sim, running(sim) as rig:
        recorder = Recorder(path, {"app": "test"}, pytest.fail)
        rig.sink.engine = RecordingSink(PERP.feed, rig.engine, recorder)  # type: ignore[assignment] # a sink as well
        await rig.until_live()
        sim.fault("close")
        await rig.until(lambda: rig.health.resyncs == len(COINS) and rig.live(), "books again")
        recorder.close()
        kept = {coin: [rig.book(coin).levels(which) for which in (BID, ASK)] for coin in COINS}
        counters = {coin: rig.book(coin).counters for coin in COINS}
        news = {symbol: dict(figures) for symbol, figures in rig.news.items()}
        held = {coin: (rig.book(coin).state, rig.book(coin).held, rig.book(coin).last_id) for coin in COINS}
        applied = rig.health.applied
        recording = Recording(path)
        replayed: dict[str, dict[int, float]] = {}
        outputs = EngineOutputs(
            on_news=lambda _market, _ns, all_: [replayed.setdefault(u.symbol, {}).update(u.values) for u in all_]  # type: ignore[func-returns-value]
        )
        universe = universe_of(recording)
        assert {i.symbol for i in universe[PERP]} == set(COINS)
        engine = MarketEngine(
            PERP.feed, universe[PERP], EngineOptions(), outputs, FeedHealth(feed=PERP.feed), make_intake
        )
        replayer = Replayer({PERP: engine}, None, streams_noted=True)
        for entry in recording:
            replayer.feed(entry)
        assert (replayer.skipped, replayer.bad_frames) == (0, 0)
        for coin in COINS:
            index = engine.index_of(coin)
            assert index is not None
            keeper = engine.rows[index].sync
            assert isinstance(keeper, BucketBook)
            assert (keeper.state, keeper.held, keeper.last_id) == held[coin]
            assert keeper.counters == counters[coin]
            for which in (BID, ASK):
                for got, expected in zip(keeper.levels(which), kept[coin][which], strict=True):
                    assert got.tolist() == expected.tolist()
        assert engine.health.applied == applied
        assert replayed == news
        assert Field.FUNDING in replayed["SOL"]


def test_what_begins_a_book_in_a_recording_is_recognised() -> None:
    book = '{"channel":"l2Book","data":{"coin":"ETH","time":1,"levels":[[],[]]}}'
    assert hyperliquid_feed.book_symbol(PERP, "ws", "s3", book) == "ETH"
    assert hyperliquid_feed.book_symbol(PERP, "ws", "", '{"channel":"pong"}') is None
    assert hyperliquid_feed.book_symbol(PERP, "polled", "/info?type=l2Book&coin=ETH", "") == "ETH"
    assert hyperliquid_feed.book_symbol(PERP, "rest", "/info?type=meta", "") is None
    assert hyperliquid_feed.book_symbol(PERP, "streams", "up full", "ETH") is None
    for kind, argument, raw in (
        ("rest", "/depth", ""),
        ("ws", "", '{"channel":"l2Book"}'),
        ("ws", "", '"l2Book"\ud800'),
    ):
        with pytest.raises(BadFrameError):
            hyperliquid_feed.book_symbol(PERP, kind, argument, raw)
