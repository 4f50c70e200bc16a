"""A session whose REST side is limited, banned, broken or paused: streams go on, requests obey."""

from __future__ import annotations

from pathlib import Path

from app.domain.health import LinkState
from app.domain.ids import Market
from app.sim.binance import VenueLimits
from app.sim.server import BinanceSim
from app.venues.bans import Ban, BanStore
from app.venues.binance.priming import PrimingOptions
from app.venues.feed import Urgency
from tests.loopback.binance_rig import QUICK_PRIMING, Rig, endpoints, quick, running, simulated, started, universe_of


def spot_state(sim: BinanceSim, name: str) -> int:
    state = sim.state()["spot"]
    assert isinstance(state, dict)
    return int(state.get(name, 0))


async def frames_go_on(rig: Rig, count: int = 15) -> None:
    """Wait for so many more frames: time in which a request could have left."""
    wanted = rig.link.frames + count
    await rig.until(lambda: rig.link.frames >= wanted, "more frames")


async def test_429_stops_requests_until_the_time_the_venue_names_and_streams_go_on() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("http429", market="spot", retry_after=1.5)
        rig.session.request_snapshot("LINKUSDT", Urgency.RESYNC)
        await rig.until(lambda: rig.health.rest_state is LinkState.BACKOFF, "the state after 429")
        assert "429" in rig.health.rest_reason
        assert rig.health.rest_retry_at_ns is not None
        asked = rig.health.rest_requests
        await frames_go_on(rig)
        assert rig.health.rest_requests == asked
        assert spot_state(sim, "requests_while_limited") == 1
        answered = rig.sink.of("LINKUSDT").count("answer")
        await rig.until(lambda: rig.sink.of("LINKUSDT").count("answer") > answered, "the snapshot after the pause")
        assert spot_state(sim, "requests_while_limited") == 1
        assert rig.sink.count("down") == 0
        await rig.expect_true_books()


async def test_418_bans_every_request_also_after_a_restart(tmp_path: Path) -> None:
    bans = tmp_path / "bans.json"
    async with simulated() as sim:
        async with running(sim, options=quick(bans_file=bans)) as rig:
            await rig.until_live()
            sim.fault("http418", market="spot", duration=600)
            rig.session.request_snapshot("LINKUSDT", Urgency.RESYNC)
            await rig.until(lambda: rig.health.rest_state is LinkState.BANNED, "the state BANNED")
            assert "banned" in rig.health.rest_reason
            rig.session.request_snapshot("ADAUSDT", Urgency.RESYNC)
            await frames_go_on(rig)
            assert spot_state(sim, "requests_while_banned") == 1
        asked = spot_state(sim, "rest_requests")
        again = Rig(Market.BINANCE_SPOT, rig.engine.instruments, sim)
        async with started(again, endpoints(sim), quick(bans_file=bans)):
            assert again.health.rest_state is LinkState.BANNED
            await again.until(lambda: again.sink.count("up") == 3, "streams")
            await frames_go_on(again)
            assert again.health.state is LinkState.BANNED
            assert again.health.snapshots_queued == 3
        assert spot_state(sim, "rest_requests") == asked


async def test_a_ban_that_has_ended_is_forgotten_and_books_are_primed(tmp_path: Path) -> None:
    bans = tmp_path / "bans.json"
    async with simulated() as sim:
        again = Rig(Market.BINANCE_SPOT, await universe_of(sim), sim)
        host = endpoints(sim).spot_rest.removeprefix("http://")
        now_ns = again.clock.wall_ns()
        BanStore(bans).put(host, Ban(418, now_ns + 800_000_000), now_ns)
        async with started(again, endpoints(sim), quick(bans_file=bans)):
            assert again.health.rest_state is LinkState.BANNED
            await again.until_live()
            assert again.health.rest_state is LinkState.LIVE
            assert again.health.rest_retry_at_ns is None


async def test_books_are_primed_once_rest_is_back() -> None:
    async with simulated() as sim:
        again = Rig(Market.BINANCE_SPOT, await universe_of(sim), sim)
        sim.fault("rest_down", market="spot", duration=0.7, status=503)
        async with started(again, endpoints(sim), quick()):
            await again.until(lambda: again.health.rest_errors > 0, "an error")
            assert "HTTP 503" in again.health.rest_reason
            await again.until_live()
            await again.expect_true_books()


async def test_lagged_snapshots_are_asked_for_again_until_they_fit() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("lagged_snapshot", market="spot", symbol="LINKUSDT", count=2)
        await frames_go_on(rig)
        sim.fault("drop", market="spot")
        # too old either against the diffs already here or against the next one: both ask again until it fits
        await rig.until(lambda: rig.sink.of("LINKUSDT").count("answer") >= 4, "two more tries")
        await rig.until_live(rounds=2)
        await frames_go_on(rig)
        await rig.expect_true_books()


async def test_cut_off_snapshots_are_deepened_and_whole_books_are_not() -> None:
    priming = PrimingOptions(first_full=0, first_limit=100, repeat_pause_s=0.05)
    async with simulated() as sim, running(sim, Market.BINANCE_USDM, quick(priming=priming)) as rig:
        await rig.until_live()
        await rig.until(lambda: rig.health.snapshots_queued == 0, "the end of the queue")
        assert [rig.sink.of(symbol).count("asked") for symbol in rig.symbols] == [2, 2, 2]
        await rig.expect_true_books()
    whole = PrimingOptions(first_full=0, first_limit=5000)
    async with simulated() as sim, running(sim, options=quick(priming=whole)) as rig:
        await rig.until_live()
        await rig.until(lambda: rig.health.snapshots_queued == 0, "the end of the queue")
        assert rig.sink.count("asked") == 3


async def test_priming_can_be_paused_cancelled_and_taken_up_again() -> None:
    async with simulated() as sim:
        again = Rig(Market.BINANCE_SPOT, await universe_of(sim), sim)
        async with started(again, endpoints(sim), quick()):
            again.session.pause_snapshots()
            await again.until(lambda: again.sink.count("up") == 3, "streams")
            await frames_go_on(again)
            assert again.health.priming_paused
            assert again.health.snapshots_queued == 3
            again.session.cancel_priming()
            again.session.resume_snapshots()
            assert not again.health.priming_cancelled
            await again.until_live()
            again.session.cancel_priming()
            again.session.request_snapshot("LINKUSDT", Urgency.REFRESH)
            await frames_go_on(again)
            assert again.sink.count("asked") == 3
            again.session.request_snapshot("LINKUSDT", Urgency.RESYNC)
            await again.until(lambda: again.sink.count("answer") == 4, "a snapshot of a broken book")
            await again.expect_true_books()


async def test_what_was_queued_for_lost_streams_is_forgotten_until_they_are_back() -> None:
    async with simulated() as sim:
        rig = Rig(Market.BINANCE_SPOT, await universe_of(sim), sim)
        async with started(rig, endpoints(sim), quick()):
            rig.session.pause_snapshots()
            await rig.until(lambda: rig.sink.count("up") == 3, "streams")
            sim.fault("refuse", market="spot", duration=0.5)
            sim.fault("drop", market="spot")
            await rig.until(lambda: rig.sink.count("down") == 3, "the loss")
            assert rig.health.snapshots_queued == 0
            rig.session.resume_snapshots()
            rig.session.request_snapshot("LINKUSDT", Urgency.RESYNC)
            assert rig.health.snapshots_queued == 0
            await rig.until_live(rounds=2)
            assert [rig.sink.of(symbol)[:4] for symbol in rig.symbols] == [["up", "down", "up", "asked"]] * 3


async def test_the_first_pass_stays_inside_the_weight_the_venue_states() -> None:
    limits = VenueLimits(weight_limit=700)
    async with simulated(spot_limits=limits) as sim, running(sim, options=quick(priming=QUICK_PRIMING)) as rig:
        await rig.until(lambda: rig.health.rest_weight_limit == 700, "the limit")
        await rig.until(lambda: rig.sink.count("answer") >= 1, "a first snapshot")
        await frames_go_on(rig)
        assert spot_state(sim, "weight_used") <= 700
        assert rig.health.rest_weight_used >= spot_state(sim, "weight_used")
        assert rig.health.rest_errors == 0
