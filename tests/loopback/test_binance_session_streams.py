"""A session against the simulator: priming, losses, replacement, and what stands in for streams."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.domain.errors import FatalFeedError
from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market, Venue
from app.sim.server import BinanceSim
from app.venues.binance.urls import BinanceEndpoints
from app.venues.feed import Urgency
from tests.loopback.binance_rig import QUICK_LINK, Rig, endpoints, quick, running, simulated, started

MARKETS = pytest.mark.parametrize("market", Venue.BINANCE.markets)


def venue_count(sim: BinanceSim, market: Market, name: str) -> int:
    state = sim.state()[market.value]
    assert isinstance(state, dict)
    return int(state.get(name, 0))


@MARKETS
async def test_streams_are_announced_then_books_are_primed_and_equal_the_venues(market: Market) -> None:
    async with simulated() as sim, running(sim, market) as rig:
        await rig.until_live()
        for symbol in rig.symbols:
            assert rig.sink.of(symbol)[:3] == ["up", "asked", "answer"]
        await rig.until(lambda: rig.link.latency_ms is not None, "a latency")
        await rig.until(lambda: rig.health.clock_offset_ms is not None, "the venue's clock")
        await rig.expect_true_books()
        assert rig.health.gaps == 0
        assert rig.health.bad_frames == 0
        assert rig.link.state is LinkState.LIVE
        assert rig.health.rest_weight_limit == venue_count(sim, market, "weight_limit")
        assert rig.texts(FeedEventKind.CONNECTED) == [f"{market.value} 1: 6 streams run"]


@MARKETS
async def test_a_dropped_connection_comes_back_with_true_books(market: Market) -> None:
    async with simulated() as sim, running(sim, market) as rig:
        await rig.until_live()
        sim.fault("drop", market=market.value)
        await rig.until_live(rounds=2)
        await rig.expect_true_books()
        assert rig.link.reconnects == 1
        assert rig.sink.count("down") == 3
        assert len(rig.texts(FeedEventKind.DISCONNECTED)) == 1


async def test_a_restarted_venue_with_new_ids_comes_back_with_true_books() -> None:
    async with simulated() as sim, running(sim, Market.BINANCE_USDM) as rig:
        await rig.until_live()
        sim.fault("restart", market="usdm", duration=0.3)
        await rig.until_live(rounds=2)
        await rig.expect_true_books()


@pytest.mark.parametrize("fault", ["stall", "half_open"])
async def test_a_silent_connection_is_stale_and_replaced(fault: str) -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault(fault, market="spot", duration=1.2)
        await rig.until(lambda: rig.sink.count("down") == 3, "the end of silent streams")
        assert any("no data for" in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        await rig.until_live(rounds=2)
        await rig.expect_true_books()


async def test_an_acknowledged_but_silent_subscription_is_a_fault_with_a_reason() -> None:
    async with simulated() as sim:
        sim.fault("silent_ack", market="spot", duration=1.5)
        async with running(sim) as rig:
            await rig.until(lambda: bool(rig.texts(FeedEventKind.RECONNECTING)), "a second try")
            assert "confirmed but nothing came" in rig.texts(FeedEventKind.RECONNECTING)[0]
            assert rig.sink.count("up") == 0
            await rig.until_live()
            await rig.expect_true_books()


async def test_a_gap_is_healed_by_one_snapshot_of_that_symbol() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        before = rig.sink.of("LINKUSDT").count("answer")
        others = rig.sink.of("ADAUSDT").count("answer")
        sim.fault("gap", market="spot", symbol="LINKUSDT")
        await rig.until(lambda: rig.health.gaps == 1, "the gap")
        await rig.until(lambda: rig.sink.of("LINKUSDT").count("answer") > before, "a new snapshot")
        await rig.until_live()
        await rig.expect_true_books()
        assert rig.sink.of("ADAUSDT").count("answer") == others
        assert rig.sink.count("down") == 0


async def test_garbage_is_counted_and_costs_no_book() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        for kind in ("malformed", "truncated", "unknown"):
            sim.fault("garbage", market="spot", symbol="LINKUSDT", kind=kind)
        await rig.until(lambda: rig.link.bad_frames >= 2, "bad frames")
        await rig.expect_true_books()
        assert rig.sink.count("down") == 0


async def test_a_frame_larger_than_allowed_ends_the_connection_with_a_sentence() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("garbage", market="spot", symbol="LINKUSDT", kind="huge")
        await rig.until_live(rounds=2)
        assert any("larger than" in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        await rig.expect_true_books()


async def expect_no_hole(rig: Rig, sim: BinanceSim) -> None:
    """A new connection has taken over and no book noticed."""
    await rig.until(lambda: rig.link.reconnects >= 1, "a second connection")
    await rig.until(lambda: any("taken over" in t for t in rig.texts(FeedEventKind.NOTICE)), "the change over")
    await rig.expect_true_books()
    assert rig.sink.count("down") == 0
    assert rig.sink.count("up") == 3
    assert rig.health.gaps == 0
    assert rig.link.state is LinkState.LIVE


async def test_the_planned_reconnect_leaves_no_hole() -> None:
    link = replace(QUICK_LINK, planned_age_s=1.0)
    async with simulated() as sim, running(sim, Market.BINANCE_USDM, quick(link=link)) as rig:
        await rig.until_live()
        await expect_no_hole(rig, sim)
        await rig.until(
            lambda: venue_count(sim, Market.BINANCE_USDM, "connections") == 1, "the end of the old connection"
        )


async def test_a_shutdown_notice_is_answered_by_a_new_connection_first() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("close24h", market="spot", notice=3.0)
        await expect_no_hole(rig, sim)
        await rig.until(
            lambda: venue_count(sim, Market.BINANCE_SPOT, "connections") == 1, "the end of the old connection"
        )


async def test_rest_stands_in_while_streams_are_refused_and_stops_when_they_are_back() -> None:
    async with simulated() as sim, running(sim, options=quick(fallback_after_s=0.4)) as rig:
        await rig.until_live()
        sim.fault("refuse", market="spot", duration=1.5)
        sim.fault("drop", market="spot")
        await rig.until(lambda: rig.sink.count("polled") >= 3, "polled books")
        assert {symbol for kind, symbol in rig.sink.log if kind == "polled"} == set(rig.symbols)
        await rig.until(lambda: rig.link.state is LinkState.POLLING, "the state POLLING")
        assert "read over REST" in rig.link.reason
        assert all(row.sync.state.name == "POLLED" for row in rig.engine.rows)
        await rig.until_live(rounds=2)
        polled = rig.sink.count("polled")
        await rig.expect_true_books()
        assert rig.sink.count("polled") == polled
        assert rig.link.state is LinkState.LIVE


async def test_a_delisted_symbol_is_left_out_with_one_event_and_the_others_go_on() -> None:
    async with simulated() as sim, running(sim, options=quick(listing_every_s=0.3)) as rig:
        await rig.until_live()
        sim.fault("delist", market="spot", symbol="ADAUSDT")
        await rig.until(lambda: bool(rig.texts(FeedEventKind.NOTICE)), "a notice")
        assert rig.sink.of("ADAUSDT")[-1] == "down"
        rig.session.request_snapshot("ADAUSDT", Urgency.VISIBLE)
        sim.fault("drop", market="spot")
        await rig.until(lambda: rig.sink.of("LINKUSDT").count("answer") == 2, "the others to come back")
        assert rig.sink.of("ADAUSDT").count("up") == 1
        assert [text.startswith("ADAUSDT: ") for text in rig.texts(FeedEventKind.NOTICE)] == [True]


async def test_a_symbol_that_trades_again_is_taken_back() -> None:
    async with simulated() as sim, running(sim, options=quick(listing_every_s=0.2)) as rig:
        await rig.until_live()
        sim.fault("delist", market="spot", symbol="ADAUSDT")
        await rig.until(lambda: rig.sink.of("ADAUSDT")[-1] == "down", "the end of a symbol")
        sim.market.book(Market.BINANCE_SPOT, "ADAUSDT").trading = True
        await rig.until(lambda: rig.sink.of("ADAUSDT").count("answer") == 2, "its new snapshot")
        assert [text.startswith("ADAUSDT: ") for text in rig.texts(FeedEventKind.NOTICE)] == [True, True]
        await rig.until_live()
        await rig.expect_true_books()


async def test_streams_are_spread_over_connections_that_end_and_come_back_one_by_one() -> None:
    async with simulated() as sim, running(sim, options=quick(streams_per_connection=2)) as rig:
        await rig.until_live()
        assert [(link.name, link.streams) for link in rig.health.links] == [("spot 1", 2), ("spot 2", 2), ("spot 3", 2)]
        assert venue_count(sim, Market.BINANCE_SPOT, "streams") == 6
        next(iter(sim.spot.connections)).abort()
        await rig.until(lambda: rig.sink.count("up") == 4, "the one connection to come back")
        assert rig.sink.count("down") == 1
        assert sum(link.reconnects for link in rig.health.links) == 1
        await rig.until_live()
        await rig.expect_true_books()


async def test_a_name_that_cannot_be_resolved_is_said_and_tried_again() -> None:
    async with simulated() as sim:
        real = endpoints(sim)
        wrong = BinanceEndpoints("ws://nowhere.invalid", real.spot_rest, real.usdm_ws, real.usdm_rest)
        async with running(sim, at=wrong) as rig:
            await rig.until(lambda: rig.link.reconnects >= 2, "a third try")
            assert "nowhere.invalid" in rig.texts(FeedEventKind.RECONNECTING)[0]
            assert len(rig.texts(FeedEventKind.RECONNECTING)) == 1


async def test_a_session_can_be_cancelled_while_it_connects() -> None:
    async with simulated() as sim:
        sim.fault("refuse", market="spot", duration=30)
        async with running(sim) as rig:
            await rig.until(lambda: rig.link.state is not LinkState.IDLE, "a first try")


async def test_nothing_to_stream_is_a_fatal_error() -> None:
    async with simulated() as sim:
        rig = Rig(Market.BINANCE_SPOT, (), sim)
        with pytest.raises(AssertionError, match="at least one symbol"):
            async with started(rig, endpoints(sim), quick()):
                await asyncio.sleep(0.05)
        with pytest.raises(FatalFeedError, match="at least one symbol"):
            await rig.session.run()
