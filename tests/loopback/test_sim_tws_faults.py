"""Every fault of the simulated TWS over real sockets, begun in the program and over its control address."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections.abc import AsyncIterator

import httpx
import pytest
from ib_async import IB, Contract, StartupFetchNONE

from app.domain.errors import FathomError
from app.sim.fault_text import FaultError
from app.sim.ibkr.instruments import AAPL, MSFT, NVDA
from app.sim.ibkr.world import World
from app.sim.tws import TwsSim, TwsSimOptions, add_arguments, options_from
from app.sim.tws.faults import FAULTS, GARBAGE, make_fault, read_fault
from tests.loopback.tws_clients import RawClient, complaints, connected, official, raw, until

ACCOUNT = "DU1234567"
OTHER = "DU7654321"
SHORT_S = 0.15
CONTRACT = ["0", "", "", "", "0.0", "", "", "SMART", "", "USD", "", ""]


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[TwsSim]:
    async with TwsSim(seed=3, auto=False, rate=0.0, accounts=(ACCOUNT, OTHER)) as sim:
        yield sim
        assert sim.order_requests == []


async def begun(client: RawClient) -> None:
    await client.receive_until(4, 2, -1, 2158)


def watch(client: RawClient, req_id: int, con_id: int) -> None:
    """Ask for a quote by number."""
    client.send(1, 11, req_id, con_id, *CONTRACT[1:], 0, "", 0, 0, "")


async def notice(client: RawClient, code: int) -> list[list[str]]:
    """Return what came up to a notice about nothing in particular."""
    return await client.receive_until(4, 2, -1, code)


async def test_a_restart_closes_the_port_and_opens_it_again(sim: TwsSim) -> None:
    port = sim.port
    async with raw(sim) as client:
        await begun(client)
        sim.fault("restart", duration=SHORT_S)
        assert await client.ended()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(FaultError, match="under way"):
            sim.fault("restart")
    sim.world.begin_order(AAPL, "BUY", 20.0)  # filled while nobody listens
    sim.step(300)
    await until(lambda: sim.gateway.listening)
    assert sim.port == port
    async with connected(sim, client_id=3) as ib:
        assert {each.execution.execId for each in ib.fills()} == {fill.exec_id for fill in sim.world.fills}
        assert len(ib.fills()) == 4


async def test_a_frozen_line_says_nothing_and_ends_when_it_thaws(sim: TwsSim) -> None:
    async with raw(sim) as client, raw(sim, client_id=4) as other:
        await begun(client)
        await begun(other)
        watch(client, 1, AAPL)
        await client.receive_until(1, 6, 1, 1)
        sim.fault("freeze", duration=SHORT_S)
        sim.step(100)
        client.send(49, 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        writer.write(b"API\0\x00\x00\x00\x09v157..178")  # a newcomer is not answered either
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert await client.ended()
        assert await other.ended()
    async with raw(sim) as client:
        assert client.version[0] == "178"


@pytest.mark.parametrize(("fault", "first", "last"), [("lost", 1100, 1102), ("server", 2110, 1102)])
async def test_connectivity_goes_and_comes_with_its_data(sim: TwsSim, fault: str, first: int, last: int) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        await client.receive_until(45, 6, 1, 49)
        sim.fault(fault)
        assert len(await notice(client, first)) == 1
        watch(client, 2, MSFT)
        assert [fields[:3] for fields in await client.receive_until(81)] == [["58", "1", "2"], ["81", "2", "0.01"]]
        sim.step(100)
        sim.fault("calm")
        assert len(await notice(client, last)) == 1
        await client.receive_until(1, 6, 2, 1)
        sim.step(100)
        assert (await client.receive_until(1, 6, 1, 1))[-1]


async def test_connectivity_may_come_back_without_its_data(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        client.send(61, 1)
        await client.receive_until(62)
        sim.fault("dataloss", duration=SHORT_S)  # ends by itself
        await notice(client, 1100)
        await notice(client, 1101)
        sim.world.begin_order(AAPL, "BUY", 20.0)
        sim.step(300)
        client.send(49, 1)
        after = await client.receive_until(49)
        assert {fields[0] for fields in after} == {"11", "59", "49"}  # neither ticks nor positions, only executions
        watch(client, 2, AAPL)
        assert await client.receive_until(1, 6, 2, 1)


async def test_a_farm_breaks_and_mends(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        await client.receive_until(45, 6, 1, 49)
        sim.fault("farm")
        await notice(client, 2103)
        await notice(client, 2105)
        sim.step(100)
        sim.fault("calm")
        assert len(await notice(client, 2104)) == 1
        assert len(await notice(client, 2106)) == 1
        assert await client.receive_until(1, 6, 1, 1)


async def test_a_competing_session_ends_every_line(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        watch(client, 2, MSFT)
        await client.receive_until(1, 6, 2, 1)
        sim.fault("competing")
        await client.receive_until(4, 2, 1, 10197)
        await client.receive_until(4, 2, 2, 10197)
        watch(client, 3, NVDA)
        await client.receive_until(4, 2, 3, 10197)
        assert sim.gateway.lines.used(sim.gateway.ready) == 0
        sim.fault("calm")
        watch(client, 4, NVDA)
        assert await client.receive_until(1, 6, 4, 1)


async def test_an_account_vanishes_and_comes_back(sim: TwsSim) -> None:
    async with raw(sim) as client:
        assert (await client.receive())[2] == f"{ACCOUNT},{OTHER}"
        await begun(client)
        sim.fault("vanish")
        assert (await client.receive_until(15))[-1][2] == ACCOUNT
        client.send(61, 1)
        assert {fields[2] for fields in await client.receive_until(62) if fields[0] == "61"} == {ACCOUNT}
        client.send(6, 2, 1, OTHER)
        await notice(client, 321)
        sim.fault("calm")
        assert (await client.receive_until(15))[-1][2] == f"{ACCOUNT},{OTHER}"
    with pytest.raises(FaultError, match="expected an account"):
        sim.fault("vanish", account="DU0000000")


async def test_a_symbol_may_lose_its_subscription_or_be_delayed(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        watch(client, 2, MSFT)
        await client.receive_until(1, 6, 2, 1)
        sim.fault("notsubscribed", symbol="AAPL")
        await client.receive_until(4, 2, 1, 354)
        watch(client, 3, AAPL)
        await client.receive_until(4, 2, 3, 354)
        sim.fault("delayed", symbol="MSFT")
        await client.receive_until(4, 2, 2, 10167)
        assert (await client.receive())[:4] == ["58", "1", "2", "3"]
        assert await client.receive_until(1, 6, 2, 66)
        sim.fault("calm")
        watch(client, 4, AAPL)
        assert await client.receive_until(1, 6, 4, 1)


async def test_a_halt_is_told(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        assert (await client.receive_until(45, 6, 1, 49))[-1][4] == "0"
        sim.fault("halt", symbol="aapl", duration=SHORT_S)
        assert (await client.receive_until(45, 6, 1, 49))[-1][4] == "2"
        assert (await client.receive_until(45, 6, 1, 49))[-1][4] == "0"


async def test_prices_may_be_missing_crossed_or_unset(sim: TwsSim) -> None:
    option = next(each for each in sim.world.positions(ACCOUNT) if sim.world.catalogue.contracts[each.con_id].is_option)
    async with raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        watch(client, 2, option.con_id)
        client.send(92, 3, ACCOUNT, "")
        assert float((await client.receive_until(94))[-1][2]) == pytest.approx(sim.world.pnl(ACCOUNT).daily)
        sim.fault("noprices", symbol="AAPL", duration=SHORT_S)
        assert (await client.receive_until(1, 6, 1, 1))[-1][4] == "-1.0"
        assert float((await client.receive_until(1, 6, 1, 1))[-1][4]) > 0.0
        sim.fault("crossed", symbol="AAPL", duration=SHORT_S)
        bid = float((await client.receive_until(1, 6, 1, 1))[-1][4])
        ask = sim.world.quote(AAPL).ask
        assert ask is not None
        assert bid > ask
        assert float((await client.receive_until(1, 6, 1, 1))[-1][4]) < ask
        sim.fault("unset")
        assert (await client.receive_until(21, 2, 13))[-1][4:6] == ["-1", "-2"]
        sim.step(30)
        assert (await client.receive_until(94))[-1][2:] == ["1.7976931348623157E308"] * 3
        client.send(62, 1, 4, "All", "ExcessLiquidity,NetLiquidation")
        summary = {fields[4]: fields[5] for fields in await client.receive_until(64) if fields[0] == "63"}
        assert summary["ExcessLiquidity"] == "1.7976931348623157E308"
        assert float(summary["NetLiquidation"]) > 0.0


async def test_garbage_is_outlived_by_a_library_that_complains(sim: TwsSim, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(sim) as ib:
        ticker = ib.reqMktData(Contract(conId=AAPL, exchange="SMART"))
        await until(lambda: ticker.bid > 0)
        for kind in GARBAGE:
            sim.fault("garbage", kind=kind)
        before = ticker.time
        sim.step(100)
        await until(lambda: ticker.time != before and not math.isnan(ticker.bid))
        assert ib.isConnected()
    assert complaints(caplog)


async def test_an_old_server_is_refused_by_the_library(sim: TwsSim) -> None:
    sim.fault("wrongversion", duration=5)
    ib = IB()
    with pytest.raises((TimeoutError, ConnectionError)):
        await ib.connectAsync("127.0.0.1", sim.port, clientId=7, timeout=0.5, fetchFields=StartupFetchNONE)
    ib.disconnect()
    async with raw(sim, client_id=None) as client:
        assert (await client.receive())[0] == "60"


async def test_something_else_may_answer_on_the_port(sim: TwsSim) -> None:
    sim.fault("http", duration=5)
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(b"API\0\x00\x00\x00\x09v157..178")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()
    sim.fault("calm")
    async with raw(sim) as client:
        assert client.version[0] == "178"


async def test_the_clock_may_be_wrong_and_connections_cut(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await begun(client)
        client.send(49, 1)
        right = int((await client.receive())[2])
        sim.fault("skew", seconds=-120)
        client.send(49, 1)
        assert -122 <= int((await client.receive())[2]) - right <= -118
        sim.fault("drop")
        assert await client.ended()


async def test_the_control_address_begins_faults_and_tells_the_truth(sim: TwsSim) -> None:
    async with httpx.AsyncClient(base_url=sim.control) as web, raw(sim) as client:
        await begun(client)
        assert (await web.post("/fault", params={"name": "vanish"})).json() == {"fault": "vanish"}
        assert (await client.receive_until(15))[-1][2] == ACCOUNT
        state = (await web.get("/state")).json()
        assert (state["clients"], state["lasting"], state["order_requests"]) == (1, ["vanish"], [])
        assert (await web.post("/fault", content=json.dumps({"name": "calm"}))).status_code == 200
        truth = (await web.get("/truth", params={"account": ACCOUNT})).json()
        assert truth["pnl"]["daily"] == pytest.approx(sim.world.pnl(ACCOUNT).daily)
        assert len(truth["positions"]) == len(sim.world.positions(ACCOUNT))
        assert (await web.get("/quote", params={"con_id": AAPL})).json()["close"] == sim.world.quote(AAPL).close
        assert (await web.post("/pause")).json() == {"paused": True}
        assert sim.paused
        assert (await web.post("/resume")).json() == {"paused": False}
        for method, path, status in (
            ("POST", "/fault?name=dance", 400),
            ("POST", "/fault?name=halt", 400),
            ("GET", "/quote?con_id=x", 400),
            ("GET", "/truth?account=nobody", 404),
            ("GET", "/nothing", 404),
        ):
            assert (await web.request(method, path)).status_code == status


async def test_faults_of_the_command_line_begin_in_time() -> None:
    options = TwsSimOptions(auto=False, rate=0.0, faults=(read_fault("vanish@0.05"), read_fault("http:1@0.05")))
    async with TwsSim(options, accounts=(ACCOUNT, OTHER)) as sim:
        await until(lambda: len(sim.faults_fired) == 2)
        assert sim.world.accounts == (ACCOUNT,)
        assert sim.gateway.conditions.active("http")


async def test_a_world_of_somebody_else_is_only_shown() -> None:
    world = World(seed=8, start_s=1_795_000_000.0, rate=0.0)
    async with TwsSim(auto=True, world=world) as sim, raw(sim) as client:
        await begun(client)
        watch(client, 1, AAPL)
        await client.receive_until(45, 6, 1, 49)
        await asyncio.sleep(0.15)
        assert world.now_s == 1_795_000_000.0
        for _ in range(5):
            sim.publish(world.step(0.25))
        assert await client.receive_until(2, 6, 1) or await client.receive_until(1, 6, 1)


async def test_a_restart_ends_the_official_client_too(sim: TwsSim) -> None:
    async with official(sim) as client:
        sim.fault("restart", duration=0.05)
        await client.answers("connectionClosed")
    await until(lambda: sim.gateway.listening)


def test_faults_are_read_from_texts() -> None:
    timed = read_fault("notsubscribed:KO,4@5")
    assert (timed.fault.name, timed.fault.symbol, timed.fault.duration, timed.at_s) == ("notsubscribed", "KO", 4.0, 5.0)
    assert read_fault("restart:8@20").fault.duration == 8.0
    assert read_fault("garbage:short@1").fault.kind == "short"
    assert read_fault("lost@3").fault.duration == 5.0
    assert set(FAULTS) >= {"restart", "freeze", "lost", "dataloss", "farm", "competing", "vanish", "unset"}
    for text in ("dance@1", "restart:x=1@2", "halt@3", "garbage:nothing=1@3", "skew:@x"):
        with pytest.raises(FaultError, match="expected"):
            read_fault(text)
    with pytest.raises(FaultError, match="expected"):
        make_fault("restart", duration="-1")


def options(*words: str) -> TwsSimOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(words))


def test_options_come_from_arguments() -> None:
    chosen = options(
        "--live", "--two-accounts", "--read-write", "--lines", "20", "--fault", "restart:2@5", "--rate", "0"
    )
    assert chosen.accounts == ("U7654321", OTHER)
    assert (chosen.read_only, chosen.lines, chosen.rate, chosen.always_open) == (False, 20, 0.0, True)
    assert options().read_only is True
    assert options("--market-hours").always_open is False


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "65535"),
        ("--seed", "-1"),
        ("--rate", "nan"),
        ("--ticks", "0"),
        ("--lines", "0"),
        ("--account-every", "0"),
        ("--fault", "dance@1"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(FathomError, match="expected"):
        options(*words)
