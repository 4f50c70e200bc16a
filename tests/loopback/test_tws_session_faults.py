"""The TWS session when things go wrong: restarts, lost servers, dead sockets, taken ids, wrong ports."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from tws_rig import framed, stand_in, stock, tws_rig

from app.domain.account import Severity
from app.domain.errors import SettingsError
from app.domain.health import FeedEventKind, LinkState
from app.domain.quotes import QuoteField
from app.sim.tws import TwsSim
from app.sim.tws.gateway import SimRequest
from app.venues.backoff import BackoffPolicy
from app.venues.broker import BrokerError, ScanRequest
from app.venues.ibkr_tws.options import TwsOptions

ACCOUNT = "DU1234567"
AAPL, MSFT = 265598, 272093


def subscribed(requests: list[SimRequest]) -> Counter[tuple[str, ...]]:
    """Return how often each subscription was asked for, by its name and what it is about."""
    seen: Counter[tuple[str, ...]] = Counter()
    for request in requests:
        if request.number == 1:
            seen["market data", request.fields[2]] += 1
        elif request.number == 94:
            seen["pnl single", request.fields[3]] += 1
        elif request.number in (6, 22, 59, 61, 92):
            seen[(request.name,)] += 1
    return seen


async def test_after_a_restart_everything_is_live_again_once_and_no_fill_is_lost() -> None:
    async with TwsSim(account_every_s=0.3, read_only=False, rate=0.0) as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL"), stock(sim, "MSFT")])
        rig.session.set_scans([ScanRequest(id="gainers", code="TOP_PERC_GAIN", rows=5)])
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        await rig.until(lambda: rig.health.orders_known, "orders")
        first = subscribed(list(sim.requests))
        assert set(first.values()) == {1}
        asked = len(sim.requests)
        positions = dict(rig.ledger.positions)
        sim.fault("restart", duration=0.5)
        await rig.until(lambda: rig.health.state is LinkState.BACKOFF, "the loss")
        assert rig.ledger.positions.keys() == positions.keys()  # what was known stays
        assert "listens" in rig.health.reason or "closed" in rig.health.reason
        sim.world.begin_order(AAPL, "BUY", 10)
        sim.step(40)  # it is filled while nobody listens
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        await rig.until(lambda: rig.health.orders_known, "orders")
        assert subscribed(list(sim.requests)[asked:]) == first
        assert rig.ledger.orders.executions.keys() == {fill.exec_id for fill in sim.world.fills}
        told = Counter(
            (event.execution.exec_id, event.execution.commission is None, event.execution.realised is None)
            for event in rig.executions()
        )
        assert set(told.values()) == {1}
        assert rig.health.reconnects == 1
        assert len([client for client in sim.gateway.clients if client.ready]) == 1
        assert rig.complaints == []


async def test_a_cut_connection_is_made_again_at_once() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        await rig.quoted((AAPL,))
        sim.fault("drop")
        await rig.until(lambda: rig.health.reconnects == 1, "the loss")
        await rig.live()
        await rig.quoted((AAPL,))
        assert len(rig.texts(FeedEventKind.CONNECTED)) == 2
        assert len(rig.texts(FeedEventKind.RECONNECTING)) == 1


async def test_lost_servers_make_what_is_shown_stale_until_they_are_back() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        await rig.quoted((AAPL,))
        sim.fault("lost", duration=0.3)
        await rig.until(lambda: rig.health.state is LinkState.STALE, "the loss")
        assert "1100" in rig.health.reason
        assert rig.health.needs
        await rig.live()
        await rig.quoted((AAPL,))
        assert len([request for request in sim.requests if request.number == 1]) == 1  # 1102: nothing was lost
        sim.fault("server", duration=0.3)
        await rig.until(lambda: rig.health.state is LinkState.STALE, "the loss of the server")
        await rig.live()
        severities = [seen.notice.severity for seen in rig.health.notices if seen.notice.code >= 1100]
        assert Severity.LOST in severities
        assert Severity.RESTORED in severities


async def test_lost_data_is_subscribed_again_once() -> None:
    async with TwsSim(account_every_s=0.3) as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL"), stock(sim, "MSFT")])
        rig.session.set_scans([ScanRequest(id="gainers", code="TOP_PERC_GAIN", rows=5)])
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        first = subscribed(list(sim.requests))
        asked = len(sim.requests)
        sim.fault("dataloss", duration=0.2)
        await rig.until(lambda: rig.health.state is LinkState.STALE, "the loss")
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        expected = {key: count for key, count in first.items() if key != ("market data type",)}
        await rig.until(lambda: subscribed(list(sim.requests)[asked:]) == expected, "all subscriptions")
        await asyncio.sleep(0.3)
        assert subscribed(list(sim.requests)[asked:]) == expected
        assert rig.health.reconnects == 0
        assert rig.complaints == []


async def test_a_broken_farm_and_its_return() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        sim.fault("farm", duration=0.3)
        await rig.until(lambda: rig.health.farms.get("usfarm") is False, "the broken farm")
        assert rig.health.state is LinkState.LIVE
        await rig.until(lambda: rig.health.farms.get("usfarm") is True, "its return")
        assert any("2103" in text for text in rig.texts(FeedEventKind.NOTICE))


async def test_a_socket_that_is_open_on_our_side_only_is_noticed() -> None:
    async with TwsSim() as sim, tws_rig(sim, timeout_s=0.5) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        await rig.quoted((AAPL,))
        sim.fault("freeze", duration=10.0)
        await rig.until(lambda: rig.health.reconnects == 1, "the loss")
        sim.fault("calm")
        assert any("did not answer" in text for text in rig.texts(FeedEventKind.RECONNECTING))
        await rig.live()
        await rig.quoted((AAPL,))


async def test_a_question_that_waits_when_the_connection_ends_gets_an_error() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        sim.fault("freeze", duration=5.0)
        asking = asyncio.ensure_future(rig.session.details(stock(sim, "MSFT")))
        await asyncio.sleep(0.05)
        sim.fault("drop")
        with pytest.raises(BrokerError, match="ended"):
            await asking


async def test_a_question_that_waits_when_the_session_is_ended_gets_an_error() -> None:
    async with TwsSim() as sim:
        async with tws_rig(sim, timeout_s=30.0) as rig:
            await rig.live()
            sim.fault("freeze", duration=5.0)
            asking = asyncio.ensure_future(rig.session.details(stock(sim, "MSFT")))
            await asyncio.sleep(0.05)
        with pytest.raises(BrokerError, match="ended"):
            await asking


async def test_a_client_id_that_is_taken_moves_to_the_next() -> None:
    async with TwsSim() as sim, tws_rig(sim) as first:
        await first.live()
        async with tws_rig(sim) as second:
            await second.live()
            assert (first.health.client_id, second.health.client_id) == (7, 8)
            assert any(seen.notice.code == 326 for seen in second.health.notices)
            assert second.health.needs == ""


async def test_when_all_ids_are_taken_it_says_what_to_do() -> None:
    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"v157..178")
        writer.write(framed("178", "20261120 09:30:00 EST"))
        writer.write(framed("4", "2", "-1", "326", "Unable to connect as the client id is already in use.", ""))
        await writer.drain()
        writer.close()

    async with stand_in(busy) as port, tws_rig(None, port=port) as rig:
        await rig.until(lambda: "All client ids from 7 to 15" in rig.health.needs, "the sentence")


async def test_an_id_of_zero_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(SettingsError, match="client id"):
        TwsOptions(client_id=0)


async def test_a_closed_port_says_so_and_is_found_soon_after_it_opens() -> None:
    async with TwsSim() as sim:
        sim.fault("restart", duration=0.6)
        await asyncio.sleep(0.1)
        async with tws_rig(sim) as rig:
            await rig.until(lambda: "nothing listens" in rig.health.reason, "the reason")
            assert "Start TWS" in rig.health.needs
            assert rig.health.state in (LinkState.BACKOFF, LinkState.CONNECTING)
            await rig.live()
            assert (rig.health.reason, rig.health.needs) == ("", "")
            assert rig.health.reconnects == 0


async def test_the_time_without_tws_counts_from_its_loss_however_often_it_is_tried() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        sim.fault("restart", duration=30)
        await rig.until(lambda: rig.health.state is LinkState.BACKOFF, "the loss")
        since_ns = rig.health.since_ns
        retry_ns = rig.health.retry_at_ns
        await rig.until(lambda: rig.health.retry_at_ns not in (None, retry_ns), "another try")
        assert rig.health.since_ns == since_ns


async def test_wake_does_not_wait_for_the_pause() -> None:
    never = BackoffPolicy(first_s=3600.0, cap_s=3600.0)
    async with TwsSim() as sim:
        sim.fault("restart", duration=0.4)
        await asyncio.sleep(0.1)
        async with tws_rig(sim, refused=never) as rig:
            await rig.until(lambda: rig.session._refused.failures == 2, "a long pause")
            await rig.until(lambda: sim.gateway.listening, "an open port")
            rig.session.wake()
            await rig.live()


@pytest.mark.parametrize("fault", ["http", "ssh"])
async def test_something_else_on_the_port_is_said(fault: str) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" if fault == "ssh" else b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read(100)
        writer.close()

    async with stand_in(other) as port, tws_rig(None, port=port) as rig:
        await rig.until(lambda: "something else than TWS" in rig.health.reason, "the reason")
        assert ("SSH" if fault == "ssh" else "HTTP") in rig.health.reason
        assert "ibkr.tws.port" in rig.health.needs


async def test_a_port_that_accepts_and_says_nothing_is_said() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        await reader.read(10_000)
        writer.close()

    async with stand_in(silent) as port, tws_rig(None, port=port, timeout_s=0.3) as rig:
        await rig.until(lambda: "does not answer" in rig.health.reason, "the reason")
        assert "question" in rig.health.needs


async def test_a_server_of_long_ago_waits_for_the_user() -> None:
    async with TwsSim() as sim:
        sim.fault("wrongversion")
        async with tws_rig(sim) as rig:
            await rig.until(lambda: rig.health.state is LinkState.BANNED, "the refusal")
            assert "too old" in rig.health.reason
            assert "update" in rig.health.needs


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x00\x00\x05178\x00",
        b"\x00\x00\x00\x1a178\x0020261120 09:30:00 EST\x00\x7f\xff\xff\xff",
        b"\x00\x00\x00\x1a178\x0020261120 09:30:00 EST\x00\x00\x00\x00\x04x\x00y\x00",
    ],
)
async def test_mutilated_starts_end_in_a_new_try(answer: bytes) -> None:
    tries = []

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(await reader.read(100))
        writer.write(answer)
        await writer.drain()
        await reader.read(10_000)
        await asyncio.sleep(0.1)
        writer.close()

    async with stand_in(broken) as port, tws_rig(None, port=port, timeout_s=0.2) as rig:
        await rig.until(lambda: len(tries) >= 2, "a second try")
        assert rig.health.state in (LinkState.BACKOFF, LinkState.CONNECTING)
        assert all(hello.startswith(b"API\0") for hello in tries)


async def test_a_wrong_clock_is_measured() -> None:
    async with TwsSim() as sim, tws_rig(sim, clock_every_s=0.1) as rig:
        sim.fault("skew", seconds=90)
        await rig.live()
        await rig.until(lambda: (rig.health.clock_offset_ms or 0.0) > 80_000, "the offset")
        assert (rig.health.clock_offset_ms or 0.0) == pytest.approx(90_000, abs=1_100)
        assert (rig.health.latency_ms or -1.0) >= 0.0


async def test_old_prices_do_not_pass_for_new_ones_after_a_restart() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        await rig.quoted((AAPL,))
        await rig.until(lambda: rig.price(AAPL, QuoteField.LAST) > 0, "a last price")
        assert rig.price(AAPL, QuoteField.BID) > 0
        sim.fault("drop")
        sim.fault("noprices")
        await rig.until(lambda: rig.health.reconnects == 1, "the loss")
        await rig.quoted((AAPL,))
        bid = rig.price(AAPL, QuoteField.BID)
        assert bid != bid


async def test_ending_while_it_connects_leaves_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        await reader.read(10_000)
        writer.close()

    async with stand_in(silent) as port:
        async with tws_rig(None, port=port, timeout_s=30.0) as rig:
            await rig.until(lambda: rig.health.state is LinkState.CONNECTING, "a try")
            await asyncio.sleep(0.05)
        assert rig.health.state is LinkState.STOPPED
