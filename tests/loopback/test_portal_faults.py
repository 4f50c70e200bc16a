"""The Client Portal session when something goes wrong: certificate, login, another login, socket, limits, frames."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from portal_venue_rig import AAPL, ACCOUNT, SPY, Rig, pin_file, quick, running, simulated

from app.domain.account import AccountsSeen, Severity
from app.domain.health import FeedEventKind, LinkState
from app.domain.quotes import QuoteField
from app.sim.portal.pacing import PortalLimits
from app.venues.backoff import BackoffPolicy
from app.venues.broker import BrokerError
from app.venues.ibkr_portal import auth


def plain(fingerprint: str) -> str:
    """Return a fingerprint without colons."""
    return fingerprint.replace(":", "").lower()


# -- the certificate ---------------------------------------------------------------------------------------------------


async def test_the_first_use_asks_and_trust_goes_on_and_is_kept(tmp_path: Path) -> None:
    file = pin_file(tmp_path)
    async with simulated(key_file=tmp_path / "gateway.pem") as sim:
        options = quick(sim, fingerprint="", pin_path=file)
        async with running(sim, options) as rig:
            await rig.until_state(LinkState.BANNED)
            waiting = rig.health.certificate_new
            assert plain(waiting) == plain(sim.fingerprint)
            assert waiting in rig.health.needs
            assert sim.desk.counts["requests"] == 0
            rig.session.trust("AB:CD")
            rig.session.trust(":".join(["00"] * 32))
            await asyncio.sleep(0.5)
            assert rig.health.state is LinkState.BANNED
            assert sim.desk.counts["requests"] == 0
            rig.session.trust(waiting)
            await rig.until_live()
            assert (rig.health.certificate, rig.health.certificate_new) == (waiting, "")
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with running(sim, options) as rig:
            await rig.until_live()
            assert rig.health.certificate_new == ""


async def test_a_changed_certificate_is_refused_until_the_new_one_is_trusted(tmp_path: Path) -> None:
    file = pin_file(tmp_path)
    async with simulated() as sim, running(sim, quick(sim, pin_path=file)) as rig:
        await rig.until_live()
        old = rig.health.certificate
        requests = sim.desk.counts["requests"]
        sim.fault("foreign-certificate")
        await rig.until_state(LinkState.BANNED)
        new = rig.health.certificate_new
        assert plain(new) == plain(sim.fingerprint)
        assert rig.health.certificate == old
        assert old in rig.health.needs
        assert new in rig.health.needs
        assert "changed" in rig.health.needs
        assert any(notice.severity is Severity.FAILED and new in notice.text for notice in rig.notices())
        before = sim.desk.counts["requests"]
        await asyncio.sleep(0.6)
        assert sim.desk.counts["requests"] == before >= requests
        rig.session.trust(old)
        await asyncio.sleep(0.3)
        assert rig.health.state is LinkState.BANNED
        rig.session.trust(new)
        await rig.until_live()
        assert plain(json.loads(file.read_bytes())["fingerprint"]) == plain(new)


async def test_an_expired_certificate_is_refused_whatever_is_trusted() -> None:
    async with simulated(expired_certificate=True) as sim, running(sim) as rig:
        await rig.until_state(LinkState.BANNED)
        assert "expired on" in rig.health.needs
        assert "sslCert" in rig.health.needs
        rig.session.trust(sim.fingerprint)
        await asyncio.sleep(0.4)
        assert rig.health.state is LinkState.BANNED
        assert sim.desk.counts["requests"] == 0


async def test_a_damaged_pin_file_is_renamed_and_told(tmp_path: Path) -> None:
    file = pin_file(tmp_path)
    file.write_bytes(b'{"version":1,"fingerprint":"AB","pem":"rubbish"}')
    async with simulated() as sim, running(sim, quick(sim, fingerprint="", pin_path=file)) as rig:
        await rig.until_state(LinkState.BANNED)
        assert any("damaged" in notice.text for notice in rig.notices())
        assert any(".broken" in name for name in os.listdir(tmp_path))
        rig.session.trust(rig.health.certificate_new)
        await rig.until_live()


async def test_an_address_of_another_machine_is_never_asked() -> None:
    async with simulated() as sim, running(sim, quick(sim, url="https://192.0.2.1:5000")) as rig:
        await rig.until_state(LinkState.BANNED)
        assert "this computer" in rig.health.needs
        assert rig.session.login_url == ""


async def test_something_else_on_the_port_is_explained() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, simulated() as sim, running(sim, quick(sim, url=f"https://127.0.0.1:{port}")) as rig:
        await rig.until_state(LinkState.BACKOFF)
        assert "is the port right?" in rig.health.reason
        assert rig.sink.texts(FeedEventKind.RECONNECTING)


async def test_a_closed_port_is_explained_and_tried_again() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with simulated() as sim, running(sim, quick(sim, url=f"https://127.0.0.1:{port}")) as rig:
        await rig.until(lambda: rig.health.reconnects >= 3, "further tries")
        await rig.until_state(LinkState.BACKOFF)
        assert "nothing accepts connections" in rig.health.reason


# -- the login ---------------------------------------------------------------------------------------------------------


async def test_without_a_login_the_user_is_told_and_then_it_goes_on() -> None:
    async with simulated(logged_in=False) as sim, running(sim) as rig:
        await rig.until_state(LinkState.STALE)
        assert rig.health.needs.startswith(f"Log in at {sim.url} in the browser")
        assert "not logged in" in rig.health.reason
        sim.login()
        await rig.until_live()
        assert (rig.health.needs, rig.health.reason) == ("", "")


async def test_a_session_is_opened_where_the_login_holds() -> None:
    async with simulated(brokerage_open=False) as sim, running(sim) as rig:
        await rig.until_live()
        asked = [argument for kind, argument, _ in rig.sink.raw if kind == "rest"]
        assert asked[:3] == ["/iserver/auth/status", "/iserver/auth/ssodh/init", "/iserver/accounts"]
        assert sim.session.kicked_others == 0


async def test_a_logout_in_mid_stream_asks_to_log_in_again() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        sim.logout()
        await rig.until(lambda: "Log in" in rig.health.needs, "the sentence for the user")
        assert rig.health.state is LinkState.STALE
        assert rig.ledger.positions  # nothing is forgotten, it only grows old
        sim.login()
        await rig.until_live()
        await rig.until_quotes([AAPL])


async def test_another_login_is_never_thrown_out_unasked() -> None:
    async with simulated(competing=True) as sim, running(sim) as rig:
        await rig.until_state(LinkState.STALE)
        await rig.until(lambda: rig.health.competing, "word of the other login")
        assert "take the session over" in rig.health.needs
        assert [notice.severity for notice in rig.notices()] == [Severity.CONFLICT]
        polls = len(rig.sink.raw)
        await rig.until(lambda: len(rig.sink.raw) > polls + 12, "further tries")
        assert sim.session.kicked_others == 0
        rig.session.take_over()
        await rig.until_live()
        assert sim.session.kicked_others == 1
        assert not rig.health.competing
        rig.session.take_over()  # nobody competes: this must not lie in wait for the next one
        sim.fault("competing")
        await rig.until(lambda: rig.health.competing, "the other login again")
        polls = len(rig.sink.raw)
        await rig.until(lambda: len(rig.sink.raw) > polls + 12, "further tries")
        assert sim.session.kicked_others == 1


async def test_when_the_other_login_ends_ours_goes_on_by_itself() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("competing")
        await rig.until(lambda: rig.health.competing and rig.health.state is LinkState.STALE, "the conflict")
        sim.fault("calm")
        await rig.until_live()
        assert not rig.health.competing
        assert sim.session.kicked_others == 0


async def test_maintenance_is_waited_for() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        sim.fault("maintenance", duration=0.6)
        await rig.until(lambda: rig.health.state in (LinkState.STALE, LinkState.BACKOFF), "the maintenance")
        await rig.until_live()
        await rig.until_quotes([AAPL])


@pytest.mark.parametrize(
    ("hour", "minute", "expected"), [(5, 5, True), (5, 55, True), (6, 30, False), (4, 0, False), (14, 0, False)]
)
def test_maintenance_is_about_one_in_the_morning_in_new_york(hour: int, minute: int, expected: bool) -> None:
    moment = datetime(2026, 7, 20, hour, minute, tzinfo=UTC)  # four hours behind UTC in summer
    assert auth.is_maintenance(int(moment.timestamp()) * 10**9) is expected


async def test_a_session_that_says_false_for_a_while_comes_back() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("sts-false", duration=0.5)
        await rig.until(lambda: rig.health.state is LinkState.STALE and bool(rig.health.needs), "word of it")
        await rig.until_live()


async def test_a_late_confirmation_is_waited_for_and_nothing_is_asked_before() -> None:
    async with simulated(sts_s=0.8) as sim, running(sim) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        await rig.until_quotes([AAPL])
        assert sim.hub.counts["ignored_before_sts"] == 0


async def test_a_confirmation_that_never_comes_begins_anew() -> None:
    async with simulated(sts_s=60.0) as sim, running(sim, quick(sim, established_within_s=0.3)) as rig:
        await rig.until(lambda: rig.health.reconnects >= 2, "further tries")
        assert any("did not confirm" in text for text in rig.sink.texts(FeedEventKind.RECONNECTING))
        assert sim.hub.counts["messages"] == 0


# -- the socket --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "close"])
async def test_after_a_loss_everything_is_asked_for_exactly_once(fault: str) -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL, SPY])
        await rig.until_live()
        await rig.until_quotes([AAPL, SPY])
        await rig.until(
            lambda: bool(sim.hub.clients) and len(sim.hub.streams_of(sim.hub.clients[0]).ledgers) == 1, "ledger"
        )
        lives = rig.health.reconnects
        asked = sim.hub.counts["smd"]
        sim.fault(fault)
        await rig.until(lambda: rig.health.reconnects > lives, "the loss")
        await rig.until_live()
        await rig.until_quotes([AAPL, SPY])
        (client,) = sim.hub.clients
        streams = sim.hub.streams_of(client)
        await rig.until(lambda: streams.orders_on and len(streams.ledgers) == 1, "every topic")
        assert set(streams.quotes) == {AAPL.con_id, SPY.con_id}
        assert streams.trades_on
        assert streams.pnl_due_s is not None
        assert set(streams.summaries) == set(streams.ledgers) == {ACCOUNT}
        assert sim.hub.counts["smd"] == asked + 2
        assert len(rig.sink.texts(FeedEventKind.CONNECTED)) == rig.health.reconnects + 1


async def test_no_fill_is_lost_or_told_twice_over_a_loss() -> None:
    async with simulated(rate=20.0) as sim, running(sim) as rig:
        await rig.until_live()
        for fault in ("drop", "drop"):
            before = len(sim.world.fills)
            sim.fault(fault)
            sim.world.begin_order(AAPL.con_id, "BUY", 7.0)
            for _ in range(60):  # six seconds of the account pass while nobody listens
                sim.world.step(0.1)
            assert len(sim.world.fills) > before
            await rig.until_live()
        truth = {fill.exec_id for fill in sim.world.fills}
        await rig.until(lambda: truth <= rig.ledger.orders.executions.keys(), "every fill")
        held = rig.ledger.orders.executions
        assert all(held[fill.exec_id].quantity == fill.quantity for fill in sim.world.fills if fill.exec_id in truth)
        # a fill is told once, and once more when its commission comes, and once more when its contract is clearer
        assert max(rig.sink.fills().values()) <= 3


async def test_silence_is_noticed_and_mended() -> None:
    async with simulated() as sim, running(sim, quick(sim, silence_s=0.6, established_within_s=0.5)) as rig:
        await rig.until_live()
        sim.fault("silence", duration=1.5)
        await rig.until(lambda: rig.health.reconnects >= 1, "the end of the silent connection")
        assert any("no word from the gateway" in text for text in rig.sink.texts(FeedEventKind.DISCONNECTED))
        await rig.until_live()


async def test_a_gateway_that_is_gone_for_a_while_is_found_again() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("gone", duration=0.6)
        await rig.until_state(LinkState.BACKOFF)
        assert rig.health.retry_at_ns is not None
        await rig.until_live()
        assert rig.health.retry_at_ns is None


async def test_waking_ends_a_pause() -> None:
    slow = BackoffPolicy(first_s=1000.0, cap_s=1000.0)
    async with simulated() as sim, running(sim, quick(sim, backoff=slow)) as rig:
        await rig.until_live()
        sim.fault("gone", duration=2.0)
        await rig.until(lambda: _far_off(rig), "a long pause")
        await asyncio.sleep(2.2)
        rig.session.wake()
        await rig.until_live()


def _far_off(rig: Rig) -> bool:
    at_ns = rig.health.retry_at_ns
    return at_ns is not None and at_ns - rig.clock.wall_ns() > 20 * 10**9


# -- limits and bad answers --------------------------------------------------------------------------------------------


async def test_in_the_penalty_box_nothing_leaves_and_the_end_is_shown() -> None:
    limits = PortalLimits(requests_per_s=1000, penalty_s=1.0, own_scale=0.0)
    async with simulated(limits=limits) as sim, running(sim, quick(sim, penalty_s=1.0)) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        await rig.until_quotes([AAPL])
        sim.fault("penalty", duration=0.9)
        await rig.until(lambda: "429" in rig.health.reason, "word of the penalty")
        assert rig.health.retry_at_ns is not None
        assert "UTC" in rig.health.reason
        assert rig.health.state is LinkState.LIVE  # streams go on
        with pytest.raises(BrokerError, match="429"):
            await rig.session.find("QQQ")
        refused = sim.pacing.refused_in_penalty
        asked = sim.desk.counts["requests"]
        await rig.until_quotes([AAPL])
        assert sim.desk.counts["requests"] - asked <= 8  # what was under way when the first refusal came
        assert sim.pacing.refused_in_penalty - refused <= 8
        await rig.until(lambda: rig.health.reason == "", "the end of the penalty")
        positions = rig.ledger.positions_ns
        await rig.until(lambda: rig.ledger.positions_ns > positions, "positions after it")


async def test_a_penalty_is_known_after_a_restart(tmp_path: Path) -> None:
    bans = tmp_path / "bans.json"
    async with simulated() as sim:
        options = quick(sim, bans_path=bans, penalty_s=600.0)
        sim.fault("penalty", duration=0.2)
        async with running(sim, options) as rig:
            await rig.until(lambda: "429" in rig.health.reason, "word of the penalty")
            assert rig.health.state is LinkState.BACKOFF
        asked = sim.desk.counts["requests"]
        async with running(sim, options) as rig:
            await rig.until(lambda: "429" in rig.health.reason, "word of the penalty")
            assert sim.desk.counts["requests"] == asked


async def test_overload_is_waited_out() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("http503", duration=0.5)
        await rig.until(lambda: any("503" in notice.text for notice in rig.notices()), "word of it")
        positions = rig.ledger.positions_ns
        await rig.until(lambda: rig.ledger.positions_ns > positions, "positions after it")
        assert rig.health.state is LinkState.LIVE


async def test_slow_answers_are_not_waited_for_without_end() -> None:
    async with simulated() as sim, running(sim, quick(sim, request_timeout_s=0.3)) as rig:
        await rig.until_live()
        sim.fault("slow", delay=1.0, duration=0.5)
        await rig.until(lambda: any("did not answer" in notice.text for notice in rig.notices()), "word of it")
        positions = rig.ledger.positions_ns
        await rig.until(lambda: rig.ledger.positions_ns > positions, "positions after it")


async def test_bad_frames_are_counted_and_harm_nothing() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        await rig.until_quotes([AAPL])
        lives = rig.health.reconnects
        sim.fault("badframe", count=14)
        await rig.until(lambda: rig.health.bad_messages >= 8, "the count of bad frames")
        await rig.until_quotes([AAPL])
        assert rig.health.reconnects == lives
        assert rig.session.intake.ignored >= 2
        assert rig.session.intake.fields.unreadable >= 4
        assert QuoteField.LAST in rig.ledger.quotes[AAPL.con_id].values


async def test_a_bulletin_is_kept_as_a_notice() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        sim.fault("bulletin")
        await rig.until(lambda: any("bulletin" in notice.text for notice in rig.notices()), "the bulletin")


async def test_an_account_that_vanishes_takes_its_figures_along_and_comes_back() -> None:
    second = "DU7654321"
    async with simulated(accounts=(ACCOUNT, second)) as sim, running(sim) as rig:
        await rig.until(lambda: {ACCOUNT, second} == {account for account, _ in rig.ledger.positions}, "both accounts")
        sim.fault("account-vanishes", duration=1.0)
        await rig.until(lambda: rig.ledger.accounts == (second,), "the loss")
        assert AccountsSeen((second,)) in rig.sink.events
        assert not [key for key in rig.ledger.positions if key[0] == ACCOUNT]
        assert ACCOUNT not in rig.ledger.values
        assert any("gone" in notice.text for notice in rig.notices())
        assert not any(ACCOUNT in notice.text for notice in rig.notices())
        await rig.until(lambda: any(account == ACCOUNT for account, _ in rig.ledger.positions), "the account again")
        assert rig.health.state is LinkState.LIVE
        await rig.until(
            lambda: set(sim.hub.streams_of(sim.hub.clients[0]).summaries) == {ACCOUNT, second}, "its stream"
        )
