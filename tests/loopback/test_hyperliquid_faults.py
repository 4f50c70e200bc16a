"""A Hyperliquid session on a venue in trouble: refusals, silence, lost connections, limits, odd frames."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.books.keeper import BookState
from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market
from app.domain.market import Field
from tests.loopback.hyperliquid_rig import COINS, QUICK_LINK, Rig, quick, running, simulated, with_times


async def test_contexts_are_asked_for_coin_by_coin_when_the_venue_does_not_offer_them_together() -> None:
    async with simulated() as sim:
        sim.fault("noctxs", duration=300)
        async with running(sim) as rig:
            await rig.until_live()
            trading = {coin.name for coin in sim.market.perps() if not coin.delisted}
            await rig.until(lambda: rig.link("figures").streams == 1 + 2 * len(COINS) + len(trading), "subscriptions")
            assert rig.said("the venue refuses assetCtxs")
            assert rig.said("activeAssetCtx of each coin is asked for")
            before = rig.sink.frames[""]
            await rig.until(lambda: rig.sink.frames[""] > before + len(trading), "a round of figures")
            assert {coin for coin, figures in rig.news.items() if Field.FUNDING in figures} == trading
            sim.fault("noctxs", duration=0)
            sim.fault("close")
            await rig.until(lambda: rig.link("figures").streams == 2 + 2 * len(COINS), "the short form again")
        async with running(sim, Market.HYPERLIQUID_SPOT) as rig:
            await rig.until(lambda: rig.link("figures").state is LinkState.LIVE, "a live connection")
            assert rig.link("figures").streams == 2


async def test_spot_contexts_come_pair_by_pair_too() -> None:
    async with simulated() as sim:
        sim.fault("noctxs", duration=300)
        async with running(sim, Market.HYPERLIQUID_SPOT) as rig:
            pairs = len(sim.market.spots())
            await rig.until(lambda: rig.link("figures").streams == 1 + pairs, "a subscription for each pair")
            rig.news.clear()
            await rig.until(lambda: len([f for f in rig.news.values() if Field.VOLUME in f]) == pairs, "all figures")
            assert rig.health.bad_frames == 0


async def test_a_new_listing_is_noticed_by_its_position_and_named_by_the_table() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        known = set(rig.news)
        sim.fault("grow")
        await rig.until(lambda: len(rig.news) == len(known) + 1, "figures of the new perpetual")
        (fresh,) = set(rig.news) - known
        assert fresh in sim.market.by_name
        assert rig.said("1 more perpetuals than its list had")
        assert rig.sink.count("answer") == 2


async def test_a_delisted_coin_is_left_out_and_the_others_go_on() -> None:
    async with simulated() as sim, running(sim, options=quick(table_every_s=0.3)) as rig:
        await rig.until_live()
        sim.fault("delist", coin="ETH")
        await rig.until(lambda: rig.said("ETH: the venue has delisted it"), "the notice")
        await rig.until(lambda: all(link.streams == 2 for link in rig.health.links[1:]), "fewer subscriptions")
        assert rig.session.active == ("BTC", "kPEPE")
        assert rig.health.books_total == 2
        assert rig.book("ETH").state is BookState.WAITING
        assert not rig.book("ETH").streaming
        frames = rig.sink.frames["full"]
        await rig.until(lambda: rig.sink.frames["full"] > frames + 3, "more books")
        assert rig.book("BTC").state is BookState.LIVE
        assert rig.sink.count("down") == 3


async def test_a_coin_the_venue_refuses_is_left_out() -> None:
    async with simulated() as sim, running(sim, coins=("BTC", "NOSUCH")) as rig:
        await rig.until(lambda: rig.session.active == ("BTC",), "the refusal")
        await rig.until(lambda: rig.book("BTC").state is BookState.LIVE, "the other book")
        assert rig.said("NOSUCH: the venue")
        assert rig.health.books_total == 1
        await rig.until(lambda: all(link.state is LinkState.LIVE for link in rig.health.links), "live connections")


async def test_a_silent_stream_is_said_to_be_quiet_then_asked_for_anew() -> None:
    options = with_times(quiet_s=0.3, renew_s=0.6, ping_every_s=0.1, pong_within_s=0.2)
    async with simulated() as sim, running(sim, options=options) as rig:
        await rig.until_live()
        subscribed = sim.state()["subscribe"]
        sim.pause()
        await rig.until(lambda: rig.said("perp books s3: quiet for 0 s: BTC, ETH, kPEPE"), "the word quiet")
        assert rig.said("perp figures: quiet for 0 s: allMids, assetCtxs")
        assert all(link.state is LinkState.LIVE for link in rig.health.links)
        await rig.until(lambda: sim.state()["subscribe"] > subscribed + 9, "renewed subscriptions")  # type: ignore[operator]
        assert rig.book("BTC").state is BookState.LIVE
        assert rig.sink.count("down") == 0
        sim.resume()
        applied = rig.health.applied
        await rig.until(lambda: rig.health.applied > applied + 10, "more books")
        assert not any(link.reconnects for link in rig.health.links)


async def test_a_connection_whose_renewals_bring_nothing_is_given_up() -> None:
    options = with_times(quiet_s=0.2, renew_s=30.0, lost_s=0.6, ping_every_s=0.2)
    async with simulated() as sim, running(sim, options=options) as rig:
        await rig.until_live()
        sim.fault("stall", duration=1.5)
        await rig.until(
            lambda: rig.said("pings are answered, but no data came", FeedEventKind.DISCONNECTED), "the loss"
        )
        await rig.until(lambda: rig.live() and rig.link("books full").reconnects > 0, "books again")


async def test_a_venue_that_answers_no_pings_is_dead_although_data_comes() -> None:
    options = with_times(ping_every_s=0.2, pong_within_s=0.3)
    async with simulated() as sim, running(sim, options=options) as rig:
        await rig.until_live()
        sim.fault("nopong", duration=1.0)
        await rig.until(lambda: rig.said("did not answer its own kind of ping", FeedEventKind.DISCONNECTED), "the loss")
        await rig.until(lambda: rig.live() and all(x.reconnects for x in rig.health.links), "everything again")


async def test_cut_connections_come_back_and_their_books_with_them() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("close")
        await rig.until(lambda: rig.sink.count("down") == 9, "the loss of every book at every resolution")
        await rig.until(lambda: rig.live() and rig.health.resyncs == len(COINS), "books again")
        assert all(link.reconnects == 1 for link in rig.health.links)
        downs = [entry for entry in rig.sink.log if entry[0] == "down"]
        assert {(line, coin) for _, line, coin in downs} == {(x, c) for x in ("full", "s3", "s2") for c in COINS}
        sim.fault("idle")
        await rig.until(lambda: rig.said("closed the connection", FeedEventKind.DISCONNECTED), "the polite end")
        await rig.until(rig.live, "books once more")


async def test_a_half_open_connection_is_found_by_its_missing_pong() -> None:
    options = with_times(ping_every_s=0.3, pong_within_s=0.4)
    async with simulated() as sim, running(sim, options=options) as rig:
        await rig.until_live()
        sim.fault("halfopen")
        await rig.until(lambda: rig.sink.count("down") >= 9 and rig.live(), "books again")
        assert rig.said("did not answer its own kind of ping", FeedEventKind.DISCONNECTED)


async def test_while_no_connection_can_be_had_books_and_figures_are_read_over_rest() -> None:
    async with simulated() as sim, running(sim, options=quick(poll_after_s=0.3, poll_share=0.95)) as rig:
        await rig.until_live()
        sim.fault("refuse", duration=300)
        sim.fault("close")
        await rig.until(lambda: all(rig.book(c).state is BookState.POLLED for c in COINS), "polled books")
        await rig.until(lambda: rig.book("ETH").held == ("full", "s3", "s2"), "all resolutions")
        assert {link.state for link in rig.health.links[1:]} == {LinkState.POLLING}
        assert "each book is read over REST every" in rig.link("books s2").reason
        answers = rig.sink.count("answer")
        await rig.until(lambda: rig.sink.count("answer") > answers, "the table of figures")
        assert rig.link("figures").state is LinkState.POLLING
        assert rig.sink.count("polled", about="coin=BTC&nSigFigs=3") >= 1
        sim.fault("refuse", duration=0)
        await rig.until(lambda: rig.live() and rig.book("BTC").state is BookState.LIVE, "streams again")
        polled = rig.sink.count("polled")
        frames = rig.sink.frames["full"]
        await rig.until(lambda: rig.sink.frames["full"] > frames + 6, "more frames")
        assert rig.sink.count("polled") == polled
        assert all(link.state is LinkState.LIVE for link in rig.health.links)


async def test_429_stops_polling_for_as_long_as_the_venue_says_and_pausing_stops_it_too() -> None:
    async with simulated() as sim, running(sim, options=quick(poll_after_s=0.2, poll_share=0.9)) as rig:
        await rig.until_live()
        rig.session.pause_snapshots()
        polled = rig.sink.count("polled")
        sim.fault("refuse", duration=300)
        sim.fault("close")
        await rig.until(lambda: rig.session.health.rest_requests >= 3, "tables over REST")
        assert rig.sink.count("polled") == polled
        assert rig.health.priming_paused
        rig.session.resume_snapshots()
        await rig.until(lambda: rig.sink.count("polled") > polled + 3, "polled books")
        sim.fault("http429", duration=1.2)
        await rig.until(lambda: rig.health.rest_state is LinkState.BACKOFF, "the state after 429")
        await rig.until(lambda: rig.link("books full").state is not LinkState.POLLING, "the honest state")
        assert sim.state()["requests_while_limited"] == 1
        polled = rig.sink.count("polled")
        await rig.until(lambda: rig.sink.count("polled") > polled + 2, "polled books after the pause")
        assert sim.state()["requests_while_limited"] == 1


async def test_bad_frames_are_counted_and_change_nothing_and_unknown_channels_are_passed_over() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        for count, kind in enumerate(("malformed", "truncated", "nan", "negative", "shape"), 1):
            sim.fault("badframe", kind=kind)
            await rig.until(lambda count=count: rig.health.bad_frames >= 4 * count, f"the count of {kind} frames")  # type: ignore[misc]
        frames = rig.sink.frames["s2"]
        sim.fault("badframe", kind="unknown")
        await rig.until(lambda: rig.sink.frames["s2"] > frames + 3, "more frames")
        assert [link.bad_frames for link in rig.health.links] == [5] * 4
        assert rig.health.bad_frames == 20
        await _books_go_on(rig)


async def test_a_crossed_snapshot_from_long_ago_is_dropped() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        dropped = rig.health.dropped
        sim.fault("badframe", kind="crossed")
        await rig.until(lambda: rig.health.dropped >= dropped + 4, "the count of what was dropped")
        await _books_go_on(rig)
        assert rig.health.crossed == 0
        assert rig.book("BTC").best()[0] > 1000.0


async def test_a_giant_frame_costs_its_connection_only() -> None:
    options = quick(link=replace(QUICK_LINK, max_size=2**20))
    async with simulated() as sim, running(sim, options=options) as rig:
        await rig.until_live()
        sim.fault("giant")
        await rig.until(lambda: all(link.reconnects for link in rig.health.links) and rig.live(), "books again")
        assert rig.said("larger than 1024 kB", FeedEventKind.DISCONNECTED)


async def test_a_coin_without_a_middle_price_is_priced_by_its_mark() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until(lambda: rig.figure("SOL", Field.LAST) is not None, "figures")
        sim.fault("nullmid", coin="SOL")
        rig.news.clear()
        await rig.until(lambda: rig.figure("SOL", Field.MARK) is not None, "figures without a middle")
        assert rig.figure("SOL", Field.LAST) == pytest.approx(rig.figure("SOL", Field.MARK), rel=0.01)
        assert rig.health.bad_frames == 0


async def _books_go_on(rig: Rig) -> None:
    applied, downs = rig.health.applied, rig.sink.count("down")
    await rig.until(lambda: rig.health.applied > applied + 12, "more books")
    assert rig.sink.count("down") == downs == 0
    assert all(rig.book(coin).state is BookState.LIVE for coin in COINS)
