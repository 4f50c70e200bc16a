"""The simulated Hyperliquid's limits and faults over real sockets, its control address, and the program around it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from app.sim.fault_text import FaultError
from app.sim.hyperliquid import HyperLimits, HyperliquidSim, HyperOptions, serve
from app.sim.hyperliquid.faults import BAD_FRAMES, HUGE_FRAME_BYTES, read_fault

ROOT = Path(__file__).resolve().parents[2]
LIMITS = HyperLimits(connections=3, connections_per_minute=6, subscriptions=4, messages_per_minute=12)


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[HyperliquidSim]:
    async with HyperliquidSim(seed=7, symbols=12, auto=False, rate=5.0) as sim:
        yield sim


@pytest.fixture(name="socket")
async def _socket(sim: HyperliquidSim) -> AsyncIterator[ClientConnection]:
    async with connect(sim.ws, proxy=None, max_size=None) as socket:
        await socket.recv()
        yield socket


async def say(socket: ClientConnection, frame: dict[str, Any]) -> None:
    await socket.send(json.dumps(frame))


async def subscribe(socket: ClientConnection, kind: str, **arguments: Any) -> list[dict[str, Any]]:
    await say(socket, {"method": "subscribe", "subscription": {"type": kind, **arguments}})
    return await until_pong(socket)


async def until_pong(socket: ClientConnection) -> list[dict[str, Any]]:
    """Send a ping and return everything that comes before its answer."""
    await say(socket, {"method": "ping"})
    got: list[dict[str, Any]] = []
    async with asyncio.timeout(20.0):
        while True:
            frame = json.loads(await socket.recv())
            if frame["channel"] == "pong":
                return got
            got.append(frame)


async def end_of(socket: ClientConnection) -> ConnectionClosed:
    """Read until the connection ends and return how."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as error:
                return error


async def info(sim: HyperliquidSim, **request: Any) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{sim.rest}/info", json=request)


async def test_an_address_may_have_so_many_connections_and_open_so_many_a_minute() -> None:
    async with HyperliquidSim(symbols=3, auto=False, limits=LIMITS) as sim:
        sockets = [await connect(sim.ws, proxy=None) for _ in range(3)]
        with pytest.raises(InvalidStatus) as caught:
            await connect(sim.ws, proxy=None)
        assert caught.value.response.status_code == 429
        for socket in sockets:
            await socket.close()
        async with asyncio.timeout(20.0):
            while sim.venue.connections:  # noqa: ASYNC110 # the simulator has no event for it
                await asyncio.sleep(0.01)
        for _ in range(2):
            await (await connect(sim.ws, proxy=None)).close()
        with pytest.raises(InvalidStatus):  # the seventh within a minute
            await connect(sim.ws, proxy=None)
        assert sim.state()["connections_over_limit"] == 2


async def test_subscriptions_and_messages_are_counted_over_all_connections() -> None:
    async with HyperliquidSim(symbols=3, auto=False, limits=LIMITS) as sim, connect(sim.ws, proxy=None) as socket:
        await socket.recv()
        for coin in ("BTC", "ETH", "SOL"):
            await say(socket, {"method": "subscribe", "subscription": {"type": "bbo", "coin": coin}})
        await say(socket, {"method": "subscribe", "subscription": {"type": "allMids"}})
        (answer,) = (await subscribe(socket, "trades", coin="BTC"))[-1:]
        assert answer["data"].startswith("Cannot track more than 4")
        for _ in range(6):
            assert await until_pong(socket) == []
        await say(socket, {"method": "ping"})
        assert json.loads(await socket.recv())["channel"] == "error"


async def test_a_connection_that_was_sent_nothing_is_closed_and_pings_keep_it() -> None:
    limits = HyperLimits(idle_close_s=1.0)
    async with HyperliquidSim(symbols=3, auto=False, limits=limits) as sim:
        async with connect(sim.ws, proxy=None) as kept, connect(sim.ws, proxy=None) as idle:
            await kept.recv()
            pinging = asyncio.create_task(_ping_for_ever(kept))
            error = await end_of(idle)
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
            assert isinstance(error, ConnectionClosedOK)
            assert error.rcvd is not None
            assert error.rcvd.reason == "Inactive"
            assert await until_pong(kept) == []
        assert sim.state()["closed_idle"] == 1


async def _ping_for_ever(socket: ClientConnection) -> None:
    while True:
        await until_pong(socket)
        await asyncio.sleep(0.1)


async def test_an_unknown_address_is_not_found(sim: HyperliquidSim) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(sim.ws + "/elsewhere", proxy=None)
    assert caught.value.response.status_code == 404


async def test_a_stall_stops_data_but_not_pongs(sim: HyperliquidSim, socket: ClientConnection) -> None:
    await subscribe(socket, "l2Book", coin="BTC")
    sim.fault("stall", duration=300)
    sim.step(20)
    assert await until_pong(socket) == []
    sim.fault("stall", duration=0)
    sim.step(5)
    assert [frame["channel"] for frame in await until_pong(socket)] == ["l2Book"]


async def test_without_pongs_data_still_comes(sim: HyperliquidSim, socket: ClientConnection) -> None:
    await subscribe(socket, "bbo", coin="BTC")
    sim.fault("nopong", duration=300)
    await say(socket, {"method": "ping"})
    await say(socket, {"method": "subscribe", "subscription": {"type": "allMids"}})
    channels = []
    async with asyncio.timeout(20.0):
        while "allMids" not in channels:
            channels.append(json.loads(await socket.recv())["channel"])
    assert "pong" not in channels


async def test_connections_can_be_cut_or_closed_as_idle(sim: HyperliquidSim, socket: ClientConnection) -> None:
    async with connect(sim.ws, proxy=None) as other:
        sim.fault("idle")
        assert isinstance(await end_of(socket), ConnectionClosedOK)
        assert isinstance(await end_of(other), ConnectionClosedOK)
    async with connect(sim.ws, proxy=None) as third:
        await third.recv()
        sim.fault("close")
        assert isinstance(await end_of(third), ConnectionClosedError)


async def test_a_half_open_connection_says_nothing_and_does_not_end(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="BTC")
    sim.fault("halfopen")
    async with connect(sim.ws, proxy=None) as witness:
        await witness.recv()
        await say(socket, {"method": "ping"})
        sim.step(20)
        assert await until_pong(witness) == []
    reading = asyncio.create_task(socket.recv())
    await asyncio.wait([reading], timeout=0.2)
    assert not reading.done()
    sim.fault("close")
    with pytest.raises(ConnectionClosed):
        await reading


async def test_bad_frames_come_one_of_each_kind_and_the_stream_goes_on(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="BTC")
    sim.fault("badframe")
    assert [await socket.recv() for _ in BAD_FRAMES] == list(BAD_FRAMES.values())
    sim.fault("badframe", kind="nan")
    assert await socket.recv() == BAD_FRAMES["nan"]
    sim.step(5)
    assert [frame["channel"] for frame in await until_pong(socket)] == ["l2Book"]


async def test_a_giant_frame_is_larger_than_anything_real(sim: HyperliquidSim, socket: ClientConnection) -> None:
    sim.fault("giant")
    assert len(await socket.recv()) > HUGE_FRAME_BYTES


async def test_rest_can_be_limited_and_streams_refused(sim: HyperliquidSim) -> None:
    sim.fault("http429", duration=300)
    answer = await info(sim, type="allMids")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    sim.fault("refuse", duration=300)
    with pytest.raises(InvalidStatus) as caught:
        await connect(sim.ws, proxy=None)
    assert caught.value.response.status_code == 503


async def test_the_weight_of_a_minute_is_limited() -> None:
    async with HyperliquidSim(symbols=3, auto=False, now_s=lambda: 90.0) as sim:
        async with httpx.AsyncClient(base_url=sim.rest) as http:
            statuses = [(await http.post("/info", json={"type": "meta"})).status_code for _ in range(62)]
        assert statuses == [200] * 60 + [429] * 2


async def test_whole_market_contexts_can_be_unsupported(sim: HyperliquidSim, socket: ClientConnection) -> None:
    sim.fault("noctxs")
    for kind in ("assetCtxs", "allDexsAssetCtxs", "spotAssetCtxs"):
        (answer,) = await subscribe(socket, kind)
        assert answer["channel"] == "error"
        assert "Error parsing JSON into valid websocket request" in answer["data"]
    assert len(await subscribe(socket, "activeAssetCtx", coin="BTC")) == 2


async def test_a_delisted_coin_stays_in_the_universe_without_a_book(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="ETH")
    sim.fault("delist", coin="ETH")
    sim.step(10)
    frames = await until_pong(socket)
    assert frames[-1]["data"]["levels"] == [[], []]
    meta, contexts = (await info(sim, type="metaAndAssetCtxs")).json()
    place = [row["name"] for row in meta["universe"]].index("ETH")
    assert meta["universe"][place]["isDelisted"] is True
    assert contexts[place]["midPx"] is None


async def test_a_new_listing_makes_contexts_longer_than_a_known_universe(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    known = (await info(sim, type="meta")).json()["universe"]
    await subscribe(socket, "assetCtxs")
    sim.fault("grow")
    sim.step(10)
    (frame,) = await until_pong(socket)
    assert len(frame["data"]["ctxs"]) == len(known) + 1
    renewed = (await info(sim, type="meta")).json()["universe"]
    assert renewed[:-1] == known
    _, first = await subscribe(socket, "l2Book", coin=renewed[-1]["name"])
    assert len(first["data"]["levels"][0]) == 20


async def test_a_mid_can_vanish_and_come_back(sim: HyperliquidSim, socket: ClientConnection) -> None:
    await subscribe(socket, "bbo", coin="BTC")
    sim.fault("nullmid", coin="BTC")
    sim.step(1)
    frames = await until_pong(socket)
    assert frames[-1]["data"]["bbo"][1] is None
    _, contexts = (await info(sim, type="metaAndAssetCtxs")).json()
    assert contexts[0]["midPx"] is None
    sim.fault("nullmid", coin="BTC")
    sim.step(1)
    assert (await until_pong(socket))[-1]["data"]["bbo"][1] is not None


async def test_a_price_can_jump_over_a_power_of_ten(sim: HyperliquidSim, socket: ClientConnection) -> None:
    _, first = await subscribe(socket, "l2Book", coin="BTC", nSigFigs=2)
    sim.fault("crosspower", coin="BTC")
    sim.step(10)
    last = (await until_pong(socket))[-1]
    tops = [frame["data"]["levels"][1][0]["px"] for frame in (first, last)]
    assert len(tops[1]) == len(tops[0]) + 1
    widths = [
        float(frame["data"]["levels"][1][1]["px"]) - float(top) for frame, top in zip((first, last), tops, strict=True)
    ]
    assert widths == [1000.0, 10_000.0]


async def test_a_surge_moves_one_price(sim: HyperliquidSim) -> None:
    before = sim.market.prices.copy()
    sim.fault("surge", coin="SOL")
    sim.step(460)
    moves = abs(sim.market.prices / before - 1)
    place = sim.market.by_name["SOL"].place
    assert 0.03 < moves[place] < 0.07


async def test_unknown_faults_and_coins_are_refused_with_a_sentence(sim: HyperliquidSim) -> None:
    for name, arguments in (("dance", {}), ("delist", {"coin": "NOPE"}), ("delist", {}), ("badframe", {"kind": "odd"})):
        with pytest.raises(FaultError, match="expected"):
            sim.fault(name, **arguments)


async def test_the_control_address_takes_faults_and_tells_state_and_truth(sim: HyperliquidSim) -> None:
    async with httpx.AsyncClient(base_url=sim.control) as http:
        assert (await http.post("/fault", json={"name": "delist", "coin": "ETH"})).json() == {"fault": "delist"}
        assert (await http.post("/fault", content="stall:4")).json() == {"fault": "stall"}
        for bad in ('{"name": "delist", "coin": "NOPE"}', '{"name": "stall", "speed": 3}', "{oops", "dance"):
            answer = await http.post("/fault", content=bad)
            assert answer.status_code == 400
            assert "expected" in answer.json()["error"]
        state = (await http.get("/state")).json()
        assert state["faults"] == {"delist": 1, "stall": 1}
        truth = (await http.get("/truth", params={"coin": "BTC"})).json()
        assert [tuple(level) for level in truth["bids"]] == sim.truth("BTC").bids
        assert float(truth["bids"][-1][0]) < 0.35 * float(truth["bids"][0][0])
        assert (await http.get("/truth", params={"coin": "NOPE"})).status_code == 400
        assert (await http.post("/pause")).json() == {"paused": True}
        assert (await http.post("/resume")).json() == {"paused": False}
        assert (await http.get("/")).status_code == 404


async def test_faults_can_be_timed_and_the_clock_runs_by_itself() -> None:
    async with (
        HyperliquidSim(symbols=3, faults=(read_fault("grow@0.05"),)) as sim,
        connect(sim.ws, proxy=None) as socket,
    ):
        await socket.recv()
        await say(socket, {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}})
        async with asyncio.timeout(20.0):
            books = 0
            while books < 3 or not sim.faults_fired:
                books += json.loads(await socket.recv())["channel"] == "l2Book"
    assert sim.faults_fired == ["grow"]


async def test_serving_announces_addresses_and_ends_when_stopped() -> None:
    announced: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(HyperOptions(symbols=2), announced.set_result, stop))
    addresses = await announced
    assert set(addresses) == {"ws", "rest", "control"}
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{addresses['rest']}/info", json={"type": "exchangeStatus"})).status_code == 200
    stop.set()
    await task


def test_the_program_prints_addresses_and_dies_with_its_parent() -> None:
    command = [sys.executable, "main.py", "sim", "hyperliquid", "--json", "--symbols", "3", "--die-with-stdin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        addresses = json.loads(program.stdout.readline())
        assert addresses["ws"].endswith("/ws")
        program.stdin.close()
        assert program.wait(20) == 0
