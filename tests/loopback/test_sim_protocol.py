"""The simulated Binance's manners over real sockets: addresses, control frames, limits, pings, control address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.frames import Frame, Opcode

from app.domain.ids import Market
from app.sim.binance import VenueLimits
from app.sim.server import BinanceSim

SYMBOLS = ("BTCUSDT", "ETHUSDT", "PEPEUSDT")


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BinanceSim]:
    async with BinanceSim(seed=7, symbols=SYMBOLS, auto=False, rate=20.0) as sim:
        yield sim


async def ask(socket: ClientConnection, frame: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Send a control frame and return everything up to its answer, which is last."""
    await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
    got: list[dict[str, Any]] = []
    async with asyncio.timeout(20.0):
        while not got or not ("result" in got[-1] or "error" in got[-1] or "code" in got[-1]):
            got.append(json.loads(await socket.recv()))
    return got


async def end_of(socket: ClientConnection) -> ConnectionClosed:
    """Read until the connection ends and return how."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as error:
                return error


LIST = {"method": "LIST_SUBSCRIPTIONS", "id": "list-1"}


async def test_control_frames_are_answered_as_documented(sim: BinanceSim) -> None:
    async with connect(f"{sim.spot_ws}/ws", proxy=None) as socket:
        names = ["btcusdt@depth@100ms", "btcusdt@bookTicker"]
        assert await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}) == [{"result": None, "id": 1}]
        assert await ask(socket, LIST) == [{"result": names, "id": "list-1"}]
        unsubscribe = {"method": "UNSUBSCRIBE", "params": names[1:], "id": None}
        assert await ask(socket, unsubscribe) == [{"result": None, "id": None}]
        assert await ask(socket, LIST) == [{"result": names[:1], "id": "list-1"}]


async def test_the_wrapper_follows_the_address_and_set_property(sim: BinanceSim) -> None:
    async with connect(f"{sim.spot_ws}/ws/btcusdt@depth@100ms", proxy=None) as socket:
        await ask(socket, LIST)
        sim.step()
        raw, _ = await ask(socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2})
        assert raw["e"] == "depthUpdate"
        sim.step()
        wrapped, _ = await ask(socket, LIST)
        assert wrapped["stream"] == "btcusdt@depth@100ms"
        assert wrapped["data"]["U"] == raw["u"] + 1


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"method":"SHOUT","id":1}', '{"method":"SUBSCRIBE","id":1}'])
async def test_a_control_frame_that_is_not_understood_gets_an_error(sim: BinanceSim, text: str) -> None:
    async with connect(f"{sim.spot_ws}/ws", proxy=None) as socket:
        (reply,) = await ask(socket, text)
        error = reply.get("error", reply)
        assert isinstance(error["code"], int)
        assert error["msg"]


async def test_unknown_streams_are_acknowledged_and_silent(sim: BinanceSim) -> None:
    names = ["nosuchusdt@depth@100ms", "BTCUSDT@depth@100ms", "btcusdt@depth@123ms", "btcusdt@nothing"]
    async with connect(f"{sim.spot_ws}/stream", proxy=None) as socket:
        assert await ask(socket, {"method": "SUBSCRIBE", "params": names, "id": 1}) == [{"result": None, "id": 1}]
        sim.step(12)
        assert await ask(socket, LIST) == [{"result": names, "id": "list-1"}]


@pytest.mark.parametrize(("path", "speaks"), [("/public", True), ("", True), ("/market", False), ("/private", False)])
async def test_futures_depth_speaks_on_public_and_unrouted_addresses_only(
    sim: BinanceSim, path: str, speaks: bool
) -> None:
    async with connect(f"{sim.usdm_ws}{path}/stream?streams=1000pepeusdt@depth@100ms", proxy=None) as socket:
        await ask(socket, LIST)
        sim.step(2)
        *events, listed = await ask(socket, LIST)
        assert listed["result"] == ["1000pepeusdt@depth@100ms"]
        assert [event["data"]["s"] for event in events] == (["1000PEPEUSDT"] * 2 if speaks else [])


async def test_an_unknown_address_is_not_found(sim: BinanceSim) -> None:
    for address in (f"{sim.spot_ws}/public/ws", f"{sim.usdm_ws}/nowhere", f"{sim.spot_ws}/"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(address, proxy=None)
        assert caught.value.response.status_code == 404


@pytest.mark.parametrize(
    ("market", "name", "expected"),
    [
        (Market.BINANCE_SPOT, "btcusdt@depth", 2),
        (Market.BINANCE_SPOT, "btcusdt@depth@100ms", 20),
        (Market.BINANCE_USDM, "btcusdt@depth", 8),
        (Market.BINANCE_USDM, "btcusdt@depth@500ms", 4),
        (Market.BINANCE_USDM, "btcusdt@depth@100ms", 20),
        (Market.BINANCE_SPOT, "btcusdt@depth5", 2),
        (Market.BINANCE_SPOT, "btcusdt@depth20@100ms", 20),
    ],
)
async def test_streams_keep_their_pace_and_slow_diffs_keep_the_chain(
    sim: BinanceSim, market: Market, name: str, expected: int
) -> None:
    base = f"{sim.spot_ws}/stream" if market is Market.BINANCE_SPOT else f"{sim.usdm_ws}/public/stream"
    async with connect(f"{base}?streams={name}", proxy=None) as socket:
        await ask(socket, LIST)
        sim.step(20)
        *frames, _ = await ask(socket, LIST)
        events = [frame["data"] for frame in frames]
        assert len(events) == expected
        if "bids" in events[0]:
            levels = int(name.split("@")[1].removeprefix("depth"))
            truth = sim.truth(market, "BTCUSDT")
            assert events[-1]["lastUpdateId"] == truth.last_update_id
            assert [tuple(level) for level in events[-1]["bids"]] == truth.bids[:levels]
            assert [tuple(level) for level in events[-1]["asks"]] == truth.asks[:levels]
        elif market is Market.BINANCE_SPOT:
            assert all(later["U"] == earlier["u"] + 1 for earlier, later in pairwise(events))
        else:
            assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(events))


@pytest.mark.parametrize(("market", "allowed"), [(Market.BINANCE_SPOT, 5), (Market.BINANCE_USDM, 10)])
@pytest.mark.parametrize("pings", [False, True])
async def test_too_many_frames_in_a_second_close_with_1008(
    sim: BinanceSim, market: Market, allowed: int, pings: bool
) -> None:
    base = f"{sim.spot_ws}/ws" if market is Market.BINANCE_SPOT else f"{sim.usdm_ws}/public/ws"
    async with connect(base, proxy=None) as socket, connect(base, proxy=None) as modest:
        for _ in range(allowed):
            await modest.send(json.dumps(LIST))
        for _ in range(allowed):
            if pings:
                await socket.ping()
            else:
                await socket.send(json.dumps(LIST))
        await socket.send(json.dumps(LIST))
        error = await end_of(socket)
        assert error.rcvd is not None
        assert error.rcvd.code == 1008
        assert [json.loads(await modest.recv())["result"] for _ in range(allowed)] == [[]] * allowed


async def test_more_than_1024_streams_close_with_1008(sim: BinanceSim) -> None:
    async with connect(f"{sim.spot_ws}/ws", proxy=None) as socket:
        names = [f"s{number}usdt@depth" for number in range(1025)]
        assert len(await ask(socket, {"method": "SUBSCRIBE", "params": names[:1024], "id": 1})) == 1
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": names[1024:], "id": 2}))
        with pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


async def test_connection_attempts_over_the_limit_are_turned_away() -> None:
    limits = VenueLimits(connections_per_5_min=2)
    async with BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False, spot_limits=limits) as sim:
        for _ in range(2):
            async with connect(f"{sim.spot_ws}/ws", proxy=None):
                pass
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{sim.spot_ws}/ws", proxy=None)
        assert caught.value.response.status_code == 429


class Mute(ClientConnection):
    """A client that sees pings and answers none."""

    pings: list[bytes]

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.pings = [*getattr(self, "pings", []), bytes(event.data)]
        super().process_event(event)

    def send_data(self) -> None:
        if getattr(self, "pings", []):
            self.protocol.data_to_send()
        else:
            super().send_data()


async def test_clients_are_pinged_and_those_without_a_pong_are_cut_off() -> None:
    limits = VenueLimits(ping_every_s=0.05, pong_within_s=0.5, frames_per_s=1000)
    async with BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False, spot_limits=limits) as sim:
        mute = await connect(
            f"{sim.spot_ws}/ws", proxy=None, create_connection=Mute, ping_interval=None, close_timeout=0.1
        )
        async with connect(f"{sim.spot_ws}/ws", proxy=None, ping_interval=None) as lively:
            with pytest.raises(ConnectionClosedError):
                await mute.recv()
            assert isinstance(mute, Mute)
            assert int(mute.pings[0]) > 1_600_000_000_000
            assert (await ask(lively, LIST))[-1]["result"] == []
            assert sim.spot.state()["closed_for_pong"] == 1
        await mute.wait_closed()


async def test_a_connection_ends_with_notice_when_its_life_is_over() -> None:
    limits = VenueLimits(connection_life_s=0.2)
    sim = BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False, spot_limits=limits)
    async with sim, connect(f"{sim.spot_ws}/ws", proxy=None) as socket:
        assert json.loads(await socket.recv())["e"] == "serverShutdown"
        with pytest.raises(ConnectionClosedOK) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001


async def test_a_client_that_does_not_read_is_cut_off(sim: BinanceSim) -> None:
    options = {"proxy": None, "max_size": None, "max_queue": 1, "ping_interval": None, "close_timeout": 0.1}
    async with connect(f"{sim.spot_ws}/ws/btcusdt@depth@100ms", **options) as stuck:
        await ask(stuck, LIST)
        stuck.transport.pause_reading()
        sim.fault("garbage", market="spot", symbol="BTCUSDT", kind="huge", count=4)
        sim.step(4)
        assert sim.spot.state()["clients_dropped_slow"] == 1
        stuck.transport.abort()


async def test_rest_weight_is_counted_and_over_the_limit_refused() -> None:
    limits = VenueLimits(weight_limit=300, ban_after=2)
    now = 1_800_000_000.0
    sim = BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False, spot_limits=limits, now_s=lambda: now)
    async with sim, httpx.AsyncClient(base_url=sim.spot_rest, trust_env=False) as rest:
        used = [
            (await rest.get(f"/api/v3/depth?symbol=BTCUSDT&limit={limit}")).headers["X-MBX-USED-WEIGHT-1M"]
            for limit in (100, 5000, 500)
        ]
        assert used == ["5", "255", "280"]
        limit = (await rest.get("/api/v3/exchangeInfo")).json()["rateLimits"][0]
        assert (limit["rateLimitType"], limit["limit"]) == ("REQUEST_WEIGHT", 300)
        refused = await rest.get("/api/v3/ping")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
        assert [(await rest.get("/api/v3/ping")).status_code for _ in range(3)] == [429, 418, 418]
        now += 60.0
        assert (await rest.get("/api/v3/ping")).status_code == 418
        now += 120.0
        assert (await rest.get("/api/v3/ping")).headers["X-MBX-USED-WEIGHT-1M"] == "1"


async def test_the_control_address_shows_books_state_and_starts_faults(sim: BinanceSim) -> None:
    async with httpx.AsyncClient(base_url=sim.control, trust_env=False) as control:
        sim.step()
        book = (await control.get("/sim/book?market=usdm&symbol=1000PEPEUSDT")).json()
        truth = sim.truth("usdm", "1000PEPEUSDT")
        assert book["lastUpdateId"] == truth.last_update_id
        assert [tuple(level) for level in book["bids"]] == truth.bids
        assert [tuple(level) for level in book["asks"]] == truth.asks
        started = await control.get("/sim/fault?name=http418&market=spot&duration=3")
        assert started.status_code == 200
        state = (await control.get("/sim/state")).json()
        assert state["faults"] == {"http418": 1}
        assert state["spot"]["fault_http418"] == 1
        for bad in ("/sim/fault?name=flood", "/sim/fault?name=gap&duration=-1", "/sim/book?symbol=NOUSDT"):
            answer = await control.get(bad)
            assert answer.status_code == 400
            assert answer.json()["error"].startswith("expected")
        assert (await control.get("/elsewhere")).status_code == 404
        assert (await control.get("/sim/pause")).json() == {"paused": True}
        assert sim.paused
        assert (await control.get("/sim/resume")).json() == {"paused": False}
