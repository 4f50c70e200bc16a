"""A Hyperliquid session on a healthy venue: books at every resolution, figures of the whole market, hot symbols."""

from __future__ import annotations

import asyncio
import math

import pytest

from app.domain.coverage import Coverage
from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.venues.feed import Urgency
from app.venues.hyperliquid.allowance import Allowance
from app.venues.limiter import RateLimit
from tests.loopback.hyperliquid_rig import COINS, Rig, flush_books, levels_of, quick, running, simulated

PERP_FIGURES = (
    Field.LAST,
    Field.PREVIOUS,
    Field.CHANGE_PCT,
    Field.VOLUME,
    Field.BASE_VOLUME,
    Field.MARK,
    Field.INDEX,
    Field.FUNDING,
    Field.OPEN_INTEREST,
    Field.OPEN_INTEREST_USD,
)


async def expect_true_books(rig: Rig) -> None:
    """Stop the market and hold every book against the venue's own, which shows all levels."""
    flush_books(rig.sim)

    def caught_up() -> bool:
        return all(
            [rig.book(coin).levels(which, 20)[0].tolist() for which in (BID, ASK)]
            == [[price for price, _ in side[:20]] for side in levels_of(rig.sim, coin)]
            for coin in rig.session.active
        )

    await rig.until(caught_up, "the last books")
    frames = dict(rig.sink.frames)
    await rig.until(
        lambda: all(rig.sink.frames[line] >= frames[line] for line in rig.session.lines), "frames of every line"
    )
    for coin in rig.session.active:
        table = rig.measured(coin)
        for which, side in enumerate(levels_of(rig.sim, coin)):
            best = side[0][0]
            assert table.best[0, which] == best
            for band, depth in enumerate(DEPTHS_PCT):
                edge = best * (1 - depth / 100 if which == BID else 1 + depth / 100)
                inside = [(p, q) for p, q in side if (p >= edge if which == BID else p <= edge)]
                usd = table.usd[0, which, band]
                true_usd = sum(price * size for price, size in inside)
                if table.coverage[0, which, band] == Coverage.EXACT:
                    assert usd == pytest.approx(true_usd, rel=1e-9)
                else:
                    assert 0.0 < usd <= true_usd * (1 + 1e-9), f"{coin} {which} {depth}"
    rig.sim.resume()


async def test_books_come_on_a_connection_for_each_resolution_and_are_those_of_the_venue() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        assert [link.name for link in rig.health.links] == [
            "perp figures",
            "perp books full",
            "perp books s3",
            "perp books s2",
        ]
        assert sim.state()["connections"] == 4
        assert [link.streams for link in rig.health.links] == [2 + 2 * len(COINS), *[len(COINS)] * 3]
        await expect_true_books(rig)
        # with two figures every band but the widest is within reach of a resolution
        table = rig.measured("BTC")
        best = table.best[0, BID]
        assert table.bucket_pct[0, BID, 5] == pytest.approx(10 ** (math.floor(math.log10(best * 0.7)) - 1) / best * 100)
        assert 0.0 < table.bucket_pct[0, BID, 0] < table.bucket_pct[0, BID, 5]
        await rig.until(lambda: rig.health.books_primed == len(COINS), "the count of books")
        assert rig.health.books_total == len(COINS)
        assert (rig.health.gaps, rig.health.crossed, rig.health.bad_frames, rig.health.resyncs) == (0, 0, 0, 0)
        assert rig.health.applied > 0
        assert rig.health.state is LinkState.LIVE
        assert all(link.latency_ms is not None for link in rig.health.links[1:])
        assert rig.sink.count("up", "s3") == len(COINS)
        assert rig.sink.count("down") == 0


async def test_all_resolutions_can_be_had_and_full_precision_alone_too() -> None:
    for lines in (("full", "s4", "s3", "s2"), ("full",)):
        async with simulated(seed=5) as sim, running(sim, options=quick(lines=lines)) as rig:
            await rig.until_live()
            await expect_true_books(rig)
            assert rig.book("ETH").held == lines


async def test_a_price_that_crosses_a_power_of_ten_keeps_every_band_a_floor() -> None:
    async with simulated() as sim, running(sim, coins=("LAYER",)) as rig:
        await rig.until_live()
        coarsest = set()
        for _ in range(3):
            await expect_true_books(rig)
            coarsest.add(rig.measured("LAYER").best[0, BID] >= 1.0)
            sim.fault("crosspower", coin="LAYER")
            sim.step(10)
            await rig.until(rig.live, "live books after the crossing")
        await expect_true_books(rig)
        coarsest.add(rig.measured("LAYER").best[0, BID] >= 1.0)
        assert coarsest == {True, False}
        assert rig.health.crossed == 0


async def test_figures_of_every_perpetual_come_in_one_subscription() -> None:
    async with simulated() as sim, running(sim) as rig:
        trading = {coin.name for coin in sim.market.perps() if not coin.delisted}
        await rig.until(lambda: set(rig.news) == trading, "news of all perpetuals")
        await rig.until(lambda: rig.sink.frames.get("", 0) > 20, "some more frames")
        assert set(rig.news) == trading
        assert "MATIC" not in rig.news
        for coin in sim.market.perps():
            if coin.delisted:
                continue
            figures = rig.news[coin.name]
            assert all(math.isfinite(figures[which]) for which in PERP_FIGURES), coin.name
            assert figures[Field.FUNDING_HOURS] == 1.0
            assert figures[Field.NEXT_FUNDING_MS] % 3_600_000 == 0
            assert figures[Field.NEXT_FUNDING_MS] > rig.clock.wall_ns() // 1_000_000 - 10_000
            assert figures[Field.FUNDING] == pytest.approx(sim.market.funding(coin), abs=1e-3)
            change = (figures[Field.LAST] / figures[Field.PREVIOUS] - 1) * 100
            assert figures[Field.CHANGE_PCT] == pytest.approx(change, abs=0.5)
            assert Field.HIGH not in figures
        # OMNI has bids only: its price is the mark
        assert rig.news["OMNI"][Field.LAST] == pytest.approx(rig.news["OMNI"][Field.MARK], rel=0.01)
        assert rig.figure("BTC", Field.BID) < rig.figure("BTC", Field.ASK)  # type: ignore[operator]
        assert rig.figure("SOL", Field.BID) is None
        assert "messages_refused" not in sim.state()


async def test_hot_symbols_get_quotes_and_trades_until_they_are_hot_no_more() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        before = rig.link("figures").streams
        rig.session.set_hot(["SOL", "XRP", "NOSUCH", "BTC"])
        await rig.until(lambda: rig.figure("SOL", Field.BID) and rig.figure("XRP", Field.ASK), "quotes of hot symbols")
        assert rig.link("figures").streams == before + 4
        rig.session.set_hot(["XRP"])
        await rig.until(lambda: rig.link("figures").streams == before + 2, "fewer subscriptions")
        rig.session.set_hot([])
        await rig.until(lambda: rig.link("figures").streams == before, "the former subscriptions")
        assert rig.sink.count("down") == 0
        assert rig.session.hot_capacity == 100


async def test_spot_brings_figures_under_readable_names_on_one_connection() -> None:
    async with simulated(symbols=None) as sim, running(sim, Market.HYPERLIQUID_SPOT) as rig:
        await rig.until(lambda: rig.figure("UBTC/USDC", Field.VOLUME) is not None, "figures of spot")
        await rig.until(lambda: rig.link("figures").state is LinkState.LIVE, "a live connection")
        names = {f"{coin.base}/{coin.quote}" for coin in sim.market.spots()}
        assert set(rig.news) == names
        assert {"PURR/USDC", "HYPE/USDC", "HYPE/USDH"} <= names
        assert Field.FUNDING not in rig.news["PURR/USDC"]
        assert rig.health.state is LinkState.LIVE
        assert sim.state()["connections"] == 1
        rig.session.set_hot(["UBTC/USDC"])
        await rig.until(lambda: rig.figure("UBTC/USDC", Field.BID) is not None, "quotes of a spot pair")
        assert rig.health.dropped > 0, "the pair that has figures but is listed no more"
        assert rig.health.bad_frames == 0


async def test_two_sessions_share_the_limits_of_the_venue() -> None:
    shared = Allowance(connects=RateLimit(4, 600.0))
    async with simulated() as sim, running(sim, allowance=shared) as perp:
        await perp.until_live()
        assert (shared.weight.used, perp.health.rest_weight_used, perp.health.rest_weight_limit) == (20, 20, 1200)
        async with running(sim, Market.HYPERLIQUID_SPOT, allowance=shared) as spot:
            await spot.until(lambda: spot.figure("PURR/USDC", Field.VOLUME) is not None, "the table of spot")
            assert shared.weight.used == spot.health.rest_weight_used == 40
            frames = perp.sink.frames["full"]
            await perp.until(lambda: perp.sink.frames["full"] > frames + 5, "more frames of the first session")
            assert sim.state()["connection_attempts"] == 4
            assert spot.link("figures").frames == 0


async def test_a_snapshot_that_is_asked_for_renews_a_silent_book_only() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        subscribed = sim.state()["subscribe"]
        rig.session.request_snapshot("BTC", Urgency.VISIBLE)
        rig.session.request_snapshot("ETH", Urgency.REFRESH)
        rig.session.request_snapshot("NOSUCH", Urgency.VISIBLE)
        frames = rig.sink.frames["s3"]
        await rig.until(lambda: rig.sink.frames["s3"] > frames + 3, "more frames")
        assert sim.state()["subscribe"] == subscribed
        sim.pause()

        def renewed() -> bool:
            rig.session.request_snapshot("BTC", Urgency.VISIBLE)
            return sim.state()["subscribe"] == subscribed + 3  # type: ignore[operator]

        await rig.until(renewed, "three renewed subscriptions")
        assert sim.state()["unsubscribe"] == 3
        sim.resume()
        await expect_true_books(rig)


async def test_the_session_can_run_again_after_it_ended() -> None:
    async with simulated() as sim:
        async with running(sim) as rig:
            await rig.until_live()
        await rig.until(lambda: sim.state()["connections"] == 0, "the end of every connection")
        task = asyncio.create_task(rig.session.run())
        await rig.until_live()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(rig.texts(FeedEventKind.CONNECTED)) == 8
