"""The Bybit session over real sockets: books of both markets, figures, liquidations, hot symbols, refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from bybit_rig import BOOKS, Rig, endpoints, known, quick, running, simulated

from app.books.full import FullSync
from app.books.window import WindowSync
from app.domain.errors import FatalFeedError
from app.domain.health import FeedEventKind
from app.domain.ids import Market
from app.domain.market import Field
from app.sim.bybit.gateway import VenueLimits
from app.sim.bybit.server import BybitSim
from app.venues.bybit.api import guess_instrument
from app.venues.bybit.session import BybitSession
from app.venues.feed import Urgency

SPOT, LINEAR = Market.BYBIT_SPOT, Market.BYBIT_LINEAR


@pytest.fixture
async def sim() -> AsyncIterator[BybitSim]:
    async with simulated() as sim:
        yield sim


@pytest.mark.parametrize("market", [SPOT, LINEAR])
async def test_books_come_to_equal_the_venues_and_stay_so(sim: BybitSim, market: Market) -> None:
    async with running(sim, market) as rig:
        await rig.until_live()
        applied = rig.health.applied
        await rig.until(lambda: rig.health.applied >= applied + 30, "thirty more updates")
        await rig.expect_true_books()
        health = rig.health
        assert (health.gaps, health.crossed, health.bad_frames, health.books_total) == (0, 0, 0, 3)
        assert len(rig.links) == 2
        kind = FullSync if market is SPOT else WindowSync
        assert all(isinstance(rig.keeper(symbol), kind) for symbol in BOOKS)
        if market is SPOT:
            # the venue gives 10,000 levels: the small coins are known to the end, BTC is cut off
            known_to = {symbol: rig.keeper(symbol).book.bids.complete for symbol in BOOKS}
            assert known_to == {"BTCUSDT": False, "LINKUSDT": True, "ADAUSDT": True}
        else:
            assert not any(rig.keeper(symbol).book.bids.complete for symbol in BOOKS)
        await rig.until(lambda: all(link.latency_ms is not None for link in rig.links), "latencies")
        await rig.until(lambda: health.clock_offset_ms is not None, "the venue's clock")
        assert sim.gateways[market].counts["batches_over_limit"] == 0, "spot takes ten topics a frame"


async def test_spot_books_are_windows_where_the_full_book_is_switched_off(sim: BybitSim) -> None:
    async with running(sim, SPOT, quick(full_book=False)) as rig:
        await rig.until_live()
        await rig.expect_true_books()
        assert {rig.keeper(symbol).size for symbol in BOOKS} == {200}  # type: ignore[union-attr] # checked by the value
        assert rig.sink.count("asked") == 0


@pytest.mark.parametrize("market", [SPOT, LINEAR])
async def test_the_whole_markets_figures_come_by_rest_and_those_of_books_by_stream(
    sim: BybitSim, market: Market
) -> None:
    async with running(sim, market) as rig:
        figures = [Field.LAST, Field.CHANGE_PCT, Field.VOLUME, Field.HIGH, Field.LOW, Field.BID, Field.ASK]
        if market is LINEAR:
            figures += [Field.FUNDING, Field.FUNDING_HOURS, Field.OPEN_INTEREST, Field.OPEN_INTEREST_USD, Field.MARK]
        cold = "1000PEPEUSDT" if market is LINEAR else "PEPEUSDT"
        await rig.until(lambda: all(known(rig, symbol, *figures) for symbol in (*BOOKS, cold)), "figures of all")
        await rig.until_live()
        at = rig.updates["BTCUSDT"]
        await rig.until(lambda: rig.updates["BTCUSDT"] >= at + 20, "streamed figures")
        assert rig.updates[cold] <= rig.sink.count("answer", "/v5/market/tickers")
        assert all(symbol.endswith("USDT") and "-" not in symbol for symbol in rig.figures)


@pytest.mark.parametrize("market", [SPOT, LINEAR])
async def test_hot_symbols_are_streamed_until_they_are_not(sim: BybitSim, market: Market) -> None:
    async with running(sim, market, quick(tickers_every_s=600.0)) as rig:
        await rig.until_live()
        rig.session.set_hot({"DOGEUSDT", "NOSUCHUSDT", "BTCUSDT"})
        await rig.until(lambda: rig.updates["DOGEUSDT"] >= 10, "streamed figures of a hot symbol")
        await rig.until(lambda: known(rig, "DOGEUSDT", Field.BID, Field.ASK), "best prices of a hot symbol")
        topics = sum(link.streams for link in rig.links)
        rig.session.set_hot(())
        assert sum(link.streams for link in rig.links) < topics
        gateway = sim.gateways[market]
        await rig.until(lambda: gateway.state()["topics"] == 3 * len(BOOKS), "the end of the hot symbol's topics")
        assert rig.health.gaps == 0
        assert 0 < rig.session.hot_capacity <= 100


async def test_liquidations_come_with_the_side_of_the_position(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        sim.fault("liquidations", symbol="ADAUSDT", count=30)
        await rig.until(lambda: len([one for one in rig.liquidations if one.symbol == "ADAUSDT"]) >= 30, "liquidations")
        longs = [one.side.value for one in rig.liquidations if one.symbol == "ADAUSDT"].count("long")
        assert longs > 15, "four of five in the simulator are longs"
        assert not any(one.sampled for one in rig.liquidations)


@pytest.mark.parametrize("lenient", [False, True])
async def test_a_refused_topic_does_not_take_the_others_with_it(lenient: bool) -> None:
    async with simulated(limits=VenueLimits(lenient_batches=lenient)) as sim:
        sim.fault("refuse", market="linear", topic="allLiquidation.LINKUSDT")
        sim.fault("refuse", market="linear", topic="orderbook.200.ADAUSDT")
        async with running(sim, LINEAR) as rig:
            await rig.until(lambda: rig.is_live("BTCUSDT") and rig.is_live("LINKUSDT"), "the other books")
            notices = rig.texts(FeedEventKind.NOTICE)
            assert any("refuses allLiquidation.LINKUSDT" in text for text in notices)
            assert any(text.startswith("ADAUSDT: the venue refuses its book") for text in notices)
            assert rig.health.books_total == 2
            assert rig.health.gaps == 0


async def test_where_no_full_book_is_offered_a_window_takes_its_place(sim: BybitSim) -> None:
    sim.fault("refuse", market="spot", topic="orderbook.full.LINKUSDT")
    async with running(sim, SPOT) as rig:
        await rig.until_live()
        assert isinstance(rig.keeper("LINKUSDT"), WindowSync)
        assert isinstance(rig.keeper("ADAUSDT"), FullSync)
        assert any("LINKUSDT: no full book is offered" in text for text in rig.texts(FeedEventKind.NOTICE))
        await rig.expect_true_books()


async def test_a_window_is_renewed_only_when_it_broke(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        loaded = rig.health.snapshots_loaded
        for urgency in (Urgency.REFRESH, Urgency.DEEPEN, Urgency.FIRST, Urgency.VISIBLE):
            rig.session.request_snapshot("BTCUSDT", urgency)
        at = rig.health.applied
        await rig.until(lambda: rig.health.applied >= at + 15, "more updates")
        assert rig.health.snapshots_loaded == loaded
        rig.session.request_snapshot("BTCUSDT", Urgency.RESYNC)
        await rig.until(lambda: rig.health.snapshots_loaded == loaded + 1, "a snapshot by a new subscription")
        await rig.expect_true_books()


async def test_a_full_book_is_refreshed_by_rest(sim: BybitSim) -> None:
    async with running(sim, SPOT) as rig:
        await rig.until_live()
        loaded = rig.health.snapshots_loaded
        rig.session.pause_snapshots()
        rig.session.request_snapshot("BTCUSDT", Urgency.REFRESH)
        assert rig.health.snapshots_queued == 1
        rig.session.resume_snapshots()
        await rig.until(lambda: rig.health.snapshots_loaded > loaded, "a fresh snapshot")
        assert rig.health.gaps == 0
        await rig.expect_true_books()


async def test_a_session_of_nothing_ends_with_a_sentence(sim: BybitSim) -> None:
    rig = Rig(LINEAR, (), sim)
    session = BybitSession(LINEAR, (), endpoints(sim), rig.sink, rig.health, rig.clock)
    with pytest.raises(FatalFeedError, match="expected at least one symbol of Bybit"):
        await session.run()


@pytest.mark.parametrize(("market", "connections"), [(SPOT, 3), (LINEAR, 3)])
async def test_many_symbols_are_dealt_to_connections_inside_the_venues_allowance(
    sim: BybitSim, market: Market, connections: int
) -> None:
    symbols = [f"1000LONGNAME{number}USDT" for number in range(500)]
    rig = Rig(market, [guess_instrument(market, symbol) for symbol in symbols], sim)
    options = quick(topics_per_connection=10_000)
    session = BybitSession(market, rig.engine.instruments, endpoints(sim), rig.sink, rig.health, rig.clock, options)
    session.set_hot([f"HOT{number}USDT" for number in range(500)])
    assert len(rig.links) == connections
    chars = [sum(len(topic) + 3 for topic in shard.topics()) for shard in session._shards]
    assert max(chars) <= 21_000
    assert sum(len(shard.hot) for shard in session._shards) == session.hot_capacity
    assert session.hot_capacity > 0
    few = BybitSession(
        market, rig.engine.instruments, endpoints(sim), rig.sink, rig.health, rig.clock, quick(topics_per_connection=90)
    )
    assert len(few._shards) == 17
