"""Every fault of the simulated Bybit, through session and engine: found, told, healed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from bybit_rig import BOOKS, QUICK_LINK, Rig, quick, running, simulated

from app.books.keeper import BookState
from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market
from app.domain.units import NS_PER_S
from app.sim.bybit.faults import BAD_FRAMES
from app.sim.bybit.server import BybitSim
from app.venues.bans import BanStore
from app.venues.explain import place

SPOT, LINEAR = Market.BYBIT_SPOT, Market.BYBIT_LINEAR
WEB = "/v5/market/tickers"


@pytest.fixture
async def sim() -> AsyncIterator[BybitSim]:
    async with simulated() as sim:
        yield sim


def name_of(market: Market) -> str:
    return market.word


@pytest.mark.parametrize("market", [SPOT, LINEAR], ids=name_of)
@pytest.mark.parametrize("fault", ["gap", "restart"])
async def test_a_break_in_the_numbers_is_a_gap_and_healed(sim: BybitSim, market: Market, fault: str) -> None:
    async with running(sim, market) as rig:
        await rig.until_live()
        loaded = rig.health.snapshots_loaded
        sim.fault(fault, market=market.word, symbol="ADAUSDT")
        if fault == "restart" and market is LINEAR:  # a window brings its snapshot along with the new count
            await rig.until(lambda: rig.health.snapshots_loaded > loaded, "the snapshot numbered 1")
            assert rig.health.gaps == 0
        else:
            await rig.until(lambda: rig.health.gaps == 1, "a gap")
            (text,) = rig.texts(FeedEventKind.GAP_DETECTED)
            assert ("began its book anew" if fault == "restart" else "updates are missing") in text
            await rig.until(lambda: rig.is_live("ADAUSDT"), "the book again")
            assert rig.health.resyncs >= 1
        await rig.expect_true_books()


async def test_a_level_that_was_lost_on_the_way_is_found_by_the_count(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        sim.fault("delete", market="linear", symbol="BTCUSDT", count=1)
        await rig.until(lambda: rig.health.gaps == 1, "a gap")
        assert "where 200 have to be" in rig.texts(FeedEventKind.GAP_DETECTED)[0]
        await rig.until(lambda: rig.is_live("BTCUSDT"), "the book again")
        await rig.expect_true_books()


async def test_a_snapshot_nobody_asked_for_replaces_the_book(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        loaded = rig.health.snapshots_loaded
        sim.fault("resnapshot", market="linear", symbol="BTCUSDT")
        await rig.until(lambda: rig.health.snapshots_loaded > loaded, "the snapshot")
        assert rig.health.gaps == 0
        await rig.expect_true_books()


@pytest.mark.parametrize("market", [SPOT, LINEAR], ids=name_of)
async def test_a_delisted_instrument_is_left_out_and_the_others_go_on(sim: BybitSim, market: Market) -> None:
    async with running(sim, market, quick(listing_every_s=0.3)) as rig:
        await rig.until_live()
        sim.fault("delist", market=market.word, symbol="LINKUSDT")
        await rig.until(lambda: rig.health.books_total == 2, "the suspension")
        assert any(text.startswith("LINKUSDT: the venue does not") for text in rig.texts(FeedEventKind.NOTICE))
        assert rig.keeper("LINKUSDT").state is BookState.WAITING
        at = rig.health.applied
        await rig.until(lambda: rig.health.applied >= at + 15, "updates of the others")
        assert rig.is_live("BTCUSDT")
        assert rig.is_live("ADAUSDT")


@pytest.mark.parametrize("kind", BAD_FRAMES)
async def test_a_bad_frame_is_counted_and_a_book_it_belongs_to_is_made_anew(sim: BybitSim, kind: str) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        frames = rig.sink.frames
        sim.fault("badframe", market="linear", symbol="BTCUSDT", kind=kind, count=1)
        if kind == "unknown":  # a topic of a later time is none of our business
            await rig.until(lambda: rig.sink.frames > frames + 50, "frames behind it")
            assert rig.health.bad_frames == 0
        else:
            await rig.until(lambda: rig.health.bad_frames >= 1, "a bad frame")
            if kind in ("nan", "negative", "text"):  # it stood in the place of an update, which is missed next
                await rig.until(lambda: rig.health.gaps == 1, "a gap")
        await rig.until(lambda: all(rig.is_live(symbol) for symbol in BOOKS), "the books")
        assert all(link.reconnects == 0 for link in rig.links)
        await rig.expect_true_books()


@pytest.mark.parametrize("market", [SPOT, LINEAR], ids=name_of)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("close", "the venue closed the connection (1001"),
        ("drop", "the connection broke off"),
        ("halfopen", "no data for"),
        ("giant", "was refused (1009)"),
    ],
)
async def test_a_lost_connection_is_told_and_books_come_back(
    sim: BybitSim, market: Market, fault: str, sentence: str
) -> None:
    arguments = {"size": 20 * 2**20} if fault == "giant" else {}
    async with running(sim, market) as rig:
        await rig.until_live()
        sim.fault(fault, market=market.word, **arguments)
        await rig.until(lambda: all(rig.sink.count("down", symbol) == 1 for symbol in BOOKS), "the loss")
        assert any(sentence in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        await rig.until_live(rounds=2)
        assert all(link.reconnects >= 1 for link in rig.links)
        await rig.expect_true_books()


async def test_one_lost_connection_leaves_the_books_of_the_other_alone(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        first = next(iter(sim.gateways[LINEAR].connections))
        lost = {name.rpartition(".")[2] for name in first.streams}
        assert 0 < len(lost) < len(BOOKS)
        first.abort()
        await rig.until(lambda: rig.sink.count("down") == len(lost), "the loss")
        assert {symbol for what, symbol in rig.sink.log if what == "down"} == lost
        assert all(rig.is_live(symbol) for symbol in set(BOOKS) - lost)
        await rig.until(lambda: all(rig.is_live(symbol) for symbol in BOOKS), "all books")


async def test_data_that_stops_while_the_connection_answers_is_a_loss(sim: BybitSim) -> None:
    async with running(sim, LINEAR) as rig:
        await rig.until_live()
        sim.fault("stall", market="linear", duration=1.5)
        await rig.until(lambda: rig.sink.count("down") == len(BOOKS), "the loss")
        assert all("no data for" in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        await rig.until_live(rounds=2)
        await rig.expect_true_books()


async def test_a_ping_without_a_pong_is_a_loss_although_data_flows(sim: BybitSim) -> None:
    async with running(sim, SPOT, quick(ping_every_s=0.2, pong_within_s=0.3)) as rig:
        await rig.until_live()
        pings = sim.gateways[SPOT].counts["pings"]
        await rig.until(lambda: sim.gateways[SPOT].counts["pings"] >= pings + 4, "answered pings")
        assert rig.sink.count("down") == 0
        sim.fault("nopong", market="spot", duration=0.6)
        await rig.until(lambda: rig.sink.count("down") >= 1, "the loss")
        assert any("did not answer its own kind of ping" in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        await rig.until_live(rounds=2)


@pytest.mark.parametrize("fault", ["lag", "mismatch"])
async def test_a_snapshot_that_does_not_fit_the_updates_is_asked_for_again(sim: BybitSim, fault: str) -> None:
    async with running(sim, SPOT) as rig:
        await rig.until_live()
        asked = rig.sink.count("asked", "ADAUSDT")
        sim.fault("gap", market="spot", symbol="ADAUSDT")
        sim.fault(fault, symbol="ADAUSDT", count=2)
        await rig.until(lambda: rig.health.gaps == 1, "a gap")
        await rig.until(lambda: rig.is_live("ADAUSDT"), "the book again")
        assert rig.sink.count("asked", "ADAUSDT") >= asked + 3
        assert any("does not fit" in text for text in rig.texts(FeedEventKind.UPDATE_FAILED))
        await rig.expect_true_books()


async def test_rest_that_is_down_or_asks_for_patience_delays_and_does_no_more(sim: BybitSim) -> None:
    sim.fault("rest_down", duration=0.5)
    async with running(sim, SPOT) as rig:
        await rig.until(lambda: rig.health.rest_errors >= 1, "the failure")
        assert rig.health.rest_state is LinkState.BACKOFF
        await rig.until_live()
        sim.fault("toomany", duration=1.2)
        await rig.until(lambda: "10006" in rig.health.rest_reason, "the venue's number")
        answers = rig.sink.count("answer", WEB)
        await rig.until(lambda: rig.sink.count("answer", WEB) > answers, "figures again")
        assert rig.health.rest_state is LinkState.LIVE
        assert rig.health.gaps == 0


async def test_a_ban_stops_every_request_for_ten_minutes_and_outlives_a_restart(sim: BybitSim, tmp_path: Path) -> None:
    bans = tmp_path / "bans.json"
    sim.fault("http403", duration=0.3)
    async with running(sim, LINEAR, quick(bans_file=bans)) as rig:
        await rig.until(lambda: rig.health.rest_state is LinkState.BANNED, "the ban")
        assert "too many requests, or a region it does not serve (HTTP 403)" in rig.health.rest_reason
        assert rig.health.rest_retry_at_ns is not None
        assert 590 < (rig.health.rest_retry_at_ns - rig.clock.wall_ns()) / NS_PER_S < 605
        await rig.until_live()  # streams need no request
        requests = sim.desk.counts["requests"]
        assert requests == sim.desk.counts["forbidden"]
    store = BanStore(bans)
    store.load()
    ban = store.active(place(sim.rest), rig.clock.wall_ns())
    assert ban is not None
    assert ban.status == 403
    async with running(sim, LINEAR, quick(bans_file=bans)) as again:
        await again.until_live()
        assert again.health.rest_state is LinkState.BANNED
        assert sim.desk.counts["requests"] == requests


async def test_a_handshake_refused_with_403_is_not_tried_again_soon(sim: BybitSim) -> None:
    sim.fault("http403", market="linear", duration=60.0)
    link = replace(QUICK_LINK, forbidden_wait_s=600.0)
    async with running(sim, LINEAR, quick(link=link)) as rig:
        await rig.until(lambda: all(link.state is LinkState.BACKOFF for link in rig.links), "the refusal")
        assert all("refuses this address (HTTP 403)" in link.reason for link in rig.links)
        waits = [(link.retry_at_ns or 0) - rig.clock.wall_ns() for link in rig.links]
        assert min(waits) > 590 * NS_PER_S


@pytest.mark.parametrize("market", [SPOT, LINEAR], ids=name_of)
async def test_while_streams_are_refused_books_are_read_over_rest(sim: BybitSim, market: Market) -> None:
    sim.fault("http403", market=market.word, duration=2.0)
    async with running(sim, market, quick(fallback_after_s=0.1, polls_per_s=50.0)) as rig:

        def polled() -> bool:
            return all(rig.keeper(symbol).state is BookState.POLLED for symbol in BOOKS)

        await rig.until(polled, "polled books")
        await rig.until(lambda: all(link.state is LinkState.POLLING for link in rig.links), "the word for it")
        assert all("each book is read over REST" in link.reason for link in rig.links)
        assert rig.keeper("ADAUSDT").best()[0] < rig.keeper("ADAUSDT").best()[1]
        await rig.until_live()
        assert all(link.state is LinkState.LIVE for link in rig.links)
        await rig.expect_true_books()


async def test_the_same_inputs_lead_a_second_engine_to_the_same_books_and_figures(sim: BybitSim) -> None:
    async with running(sim, SPOT) as rig:
        await rig.until_live()
        sim.fault("gap", market="spot", symbol="ADAUSDT")
        await rig.until(lambda: rig.health.gaps == 1, "a gap")
        await rig.until(lambda: all(rig.is_live(symbol) for symbol in BOOKS), "the books")
        second = Rig(SPOT, rig.engine.instruments, sim)
        second.engine.outputs.ask_snapshot = lambda _symbol, _urgency: None  # nobody is asked in a replay
        second.engine.begin(rig.sink.stamps[0])
        for give in rig.sink.inputs:
            give(second.engine)
        for symbol in BOOKS:
            one, other = rig.keeper(symbol), second.keeper(symbol)
            assert (one.last_id, one.state) == (other.last_id, other.state)
            for side in (0, 1):
                for part in (0, 1):
                    assert one.levels(side)[part].tolist() == other.levels(side)[part].tolist()
        assert str(rig.figures) == str(second.figures)
        assert (rig.health.gaps, rig.health.applied) == (second.health.gaps, second.health.applied)
