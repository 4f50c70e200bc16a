"""Every fault of the simulated Binance, seen by a plain `websockets` client and `httpx` over real sockets.

The market's clock is moved by hand; a control frame's answer marks the end of what was sent before it.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from app.domain.ids import Market, Venue
from app.sim.fault_text import FaultError
from app.sim.faults import read_fault
from app.sim.server import BinanceSim

DIFFS = "btcusdt@depth@100ms"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "PEPEUSDT")


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BinanceSim]:
    async with BinanceSim(seed=7, symbols=SYMBOLS, auto=False, rate=20.0) as sim:
        yield sim


@pytest.fixture(name="rest")
async def _rest() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:
        yield client


@asynccontextmanager
async def followed(
    sim: BinanceSim, market: Market = Market.BINANCE_SPOT, **options: Any
) -> AsyncIterator[ClientConnection]:
    """Open a connection that follows the diffs of BTCUSDT."""
    base = f"{sim.spot_ws}/stream" if market is Market.BINANCE_SPOT else f"{sim.usdm_ws}/public/stream"
    async with connect(f"{base}?streams={DIFFS}", proxy=None, close_timeout=0.2, **options) as socket:
        await told(socket)
        yield socket


async def told(socket: ClientConnection) -> list[str]:
    """Return the texts that were sent so far."""
    await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":99}')
    texts: list[str] = []
    async with asyncio.timeout(20.0):
        while '"id":99' not in (text := str(await socket.recv())):
            texts.append(text)
    return texts


async def diffs(socket: ClientConnection) -> list[dict[str, Any]]:
    """Return the diffs that were sent so far."""
    return [json.loads(text)["data"] for text in await told(socket)]


async def lost(socket: ClientConnection) -> ConnectionClosed:
    """Return how the connection ends."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as error:
                return error


def unbroken(market: Market, events: list[dict[str, Any]]) -> list[bool]:
    """Tell for each pair of neighbours whether the second follows the first."""
    if market is Market.BINANCE_SPOT:
        return [later["U"] == earlier["u"] + 1 for earlier, later in pairwise(events)]
    return [later["pu"] == earlier["u"] for earlier, later in pairwise(events)]


both = pytest.mark.parametrize("market", Venue.BINANCE.markets)


async def test_drop_cuts_every_connection_without_a_closing_handshake(sim: BinanceSim) -> None:
    async with followed(sim) as spot, followed(sim, Market.BINANCE_USDM) as usdm:
        sim.fault("drop")
        for socket in (spot, usdm):
            error = await lost(socket)
            assert isinstance(error, ConnectionClosedError)
            assert error.rcvd is None


async def test_close24h_announces_the_end_on_spot_and_closes_with_1001(sim: BinanceSim) -> None:
    async with followed(sim) as spot, followed(sim, Market.BINANCE_USDM) as usdm:
        sim.fault("close24h", notice=0.05)
        notice = json.loads(await spot.recv())
        assert notice["stream"] == "!serverShutdown"
        assert notice["data"]["e"] == "serverShutdown"
        for socket in (spot, usdm):
            error = await lost(socket)
            assert isinstance(error, ConnectionClosedOK)
            assert error.rcvd is not None
            assert error.rcvd.code == 1001


@both
async def test_stall_answers_pings_but_sends_no_data_and_leaves_a_gap(sim: BinanceSim, market: Market) -> None:
    async with followed(sim, market) as socket:
        sim.step()
        before = await diffs(socket)
        sim.fault("stall", market=market, duration=0.3)
        sim.step(3)
        async with asyncio.timeout(20.0):
            await (await socket.ping())
        assert await diffs(socket) == []
        await asyncio.sleep(0.4)
        sim.step()
        assert unbroken(market, before + await diffs(socket)) == [False]


async def test_half_open_answers_nothing_until_it_is_cut(sim: BinanceSim) -> None:
    async with followed(sim, ping_interval=None) as socket:
        sim.fault("half_open", market="spot", duration=0.5)
        pong = await socket.ping()
        await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        sim.step(3)
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
        with pytest.raises(ConnectionClosedError):
            await pong


async def test_half_open_leaves_new_connections_alone(sim: BinanceSim) -> None:
    async with followed(sim, ping_interval=None):
        sim.fault("half_open", duration=30)
        async with followed(sim) as fresh:
            sim.step()
            assert len(await diffs(fresh)) == 1


@both
async def test_gap_leaves_out_one_diff_of_one_symbol(sim: BinanceSim, market: Market) -> None:
    async with followed(sim, market) as socket:
        sim.step()
        sim.fault("gap", market=market, symbol="BTCUSDT")
        sim.step(3)
        events = await diffs(socket)
        assert unbroken(market, events) == [False, True]


async def test_gap_of_several_symbols_takes_one_diff_from_each(sim: BinanceSim) -> None:
    names = [f"{symbol.lower()}@depth@100ms" for symbol in SYMBOLS]
    async with connect(f"{sim.spot_ws}/stream?streams={'/'.join(names)}", proxy=None) as socket:
        await told(socket)
        sim.step()
        sim.fault("gap", market="spot", count=2)
        sim.step(2)
        counts = [sum(text.startswith(f'{{"stream":"{name}"') for text in await told(socket)) for name in names[:1]]
        sim.step(2)
        assert counts == [2]
        events = await told(socket)
        assert len(events) == 6


@both
async def test_burst_holds_diffs_back_and_sends_them_in_order(sim: BinanceSim, market: Market) -> None:
    async with followed(sim, market) as socket:
        sim.step()
        await diffs(socket)
        venue = sim.spot if market is Market.BINANCE_SPOT else sim.usdm
        sent = venue.counts["frames_sent"]
        sim.fault("burst", market=market, duration=0.3)
        sim.step(5)
        assert venue.counts["frames_sent"] == sent
        await asyncio.sleep(0.4)
        sim.step()
        events = await diffs(socket)
        assert len(events) == 6
        assert all(unbroken(market, events))


async def test_reorder_swaps_two_diffs(sim: BinanceSim) -> None:
    async with followed(sim) as socket:
        sim.fault("reorder", market="spot", symbol="BTCUSDT")
        sim.step(3)
        events = await diffs(socket)
        assert unbroken(Market.BINANCE_SPOT, events) == [False, False]
        assert all(unbroken(Market.BINANCE_SPOT, [events[1], events[0], events[2]]))


async def test_duplicate_sends_a_diff_twice(sim: BinanceSim) -> None:
    async with followed(sim) as socket:
        sim.fault("duplicate", market="spot", symbol="BTCUSDT")
        sim.step(2)
        first, again, second = await diffs(socket)
        assert first == again
        assert second["U"] == first["u"] + 1


async def test_crossed_lifts_a_bid_over_the_ask_for_one_diff(sim: BinanceSim) -> None:
    async with followed(sim) as socket:
        sim.fault("crossed", market="spot", symbol="BTCUSDT")
        sim.step()
        best_ask = float(sim.truth("spot", "BTCUSDT").asks[0][0])
        sim.step()
        crossing, healing = await diffs(socket)
        over = [price for price, quantity in crossing["b"] if float(price) > best_ask and float(quantity) > 0]
        assert len(over) == 1
        true_bids = dict(sim.truth("spot", "BTCUSDT").bids)
        assert dict(healing["b"])[over[0]] == true_bids.get(over[0], "0.00000000")


@pytest.mark.parametrize("kind", ["malformed", "truncated", "unknown"])
async def test_garbage_frames_come_before_an_unbroken_chain(sim: BinanceSim, kind: str) -> None:
    async with connect(f"{sim.spot_ws}/ws/{DIFFS}", proxy=None) as socket:
        await told(socket)
        sim.step()
        sim.fault("garbage", market="spot", symbol="BTCUSDT", kind=kind)
        sim.step(2)
        first, nonsense, *rest = await told(socket)
        if kind == "unknown":
            assert json.loads(nonsense)["e"] not in ("depthUpdate", "bookTicker")
        else:
            with pytest.raises(json.JSONDecodeError):
                json.loads(nonsense)
        assert all(unbroken(Market.BINANCE_SPOT, [json.loads(text) for text in (first, *rest)]))


@pytest.mark.parametrize(("kind", "written"), [("nan", "NaN"), ("negative", "-1.5"), ("text", "many")])
async def test_garbage_quantities_replace_a_good_diff(sim: BinanceSim, kind: str, written: str) -> None:
    async with followed(sim) as socket:
        sim.fault("garbage", market="spot", symbol="BTCUSDT", kind=kind)
        sim.step(2)
        bad, good = await diffs(socket)
        assert [quantity for _, quantity in bad["b"] + bad["a"]].count(written) == 1
        assert unbroken(Market.BINANCE_SPOT, [bad, good]) == [True]
        assert all(math.isfinite(float(quantity)) and float(quantity) >= 0 for _, quantity in good["b"] + good["a"])


async def test_a_frame_of_five_mebibytes_is_refused_by_a_client_that_takes_four(sim: BinanceSim) -> None:
    async with followed(sim, max_size=4 * 2**20) as socket:
        sim.fault("garbage", market="spot", symbol="BTCUSDT", kind="huge")
        sim.step()
        error = await lost(socket)
        assert error.sent is not None
        assert error.sent.code == 1009


async def test_http429_says_how_long_to_wait_and_going_on_is_banned(sim: BinanceSim, rest: httpx.AsyncClient) -> None:
    sim.fault("http429", market="spot", retry_after=7)
    first = await rest.get(f"{sim.spot_rest}/api/v3/time")
    assert first.status_code == 429
    assert 1 <= int(first.headers["Retry-After"]) <= 7
    assert first.json()["code"] == -1003
    answers = [(await rest.get(f"{sim.spot_rest}/api/v3/time")).status_code for _ in range(6)]
    assert answers == [429, 429, 429, 418, 418, 418]
    assert sim.spot.state()["requests_while_banned"] == 2
    assert (await rest.get(f"{sim.usdm_rest}/fapi/v1/time")).status_code == 200


async def test_http418_counts_the_requests_of_a_client_that_goes_on(sim: BinanceSim, rest: httpx.AsyncClient) -> None:
    sim.fault("http418", market="usdm", duration=120)
    answer = await rest.get(f"{sim.usdm_rest}/fapi/v1/time")
    assert answer.status_code == 418
    assert 100 < int(answer.headers["Retry-After"]) <= 120
    assert "banned until" in answer.json()["msg"]
    assert sim.usdm.state()["requests_while_banned"] == 1


async def test_rest_down_answers_503_or_breaks_the_connection_while_streams_go_on(
    sim: BinanceSim, rest: httpx.AsyncClient
) -> None:
    async with followed(sim) as socket:
        sim.fault("rest_down", market="spot", duration=30, status=503)
        assert (await rest.get(f"{sim.spot_rest}/api/v3/ping")).status_code == 503
        sim.fault("rest_down", market="spot", duration=30)
        with pytest.raises(httpx.TransportError):
            await rest.get(f"{sim.spot_rest}/api/v3/ping")
        sim.step()
        assert len(await diffs(socket)) == 1
        sim.fault("rest_down", market="spot", duration=0)
        assert (await rest.get(f"{sim.spot_rest}/api/v3/ping")).json() == {}


@both
async def test_lagged_snapshots_are_older_than_later_diffs_until_used_up(
    sim: BinanceSim, rest: httpx.AsyncClient, market: Market
) -> None:
    address = (
        f"{sim.spot_rest}/api/v3/depth?symbol=BTCUSDT&limit=1000"
        if market is Market.BINANCE_SPOT
        else f"{sim.usdm_rest}/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    )
    sim.fault("lagged_snapshot", market=market, symbol="BTCUSDT", count=2)
    sim.step()
    async with followed(sim, market) as socket:
        sim.step(2)
        first_id = (await diffs(socket))[0]["U"]
        ids = [(await rest.get(address)).json()["lastUpdateId"] for _ in range(3)]
        assert ids[0] == ids[1] < first_id - 1
        assert ids[2] >= first_id


@both
async def test_restart_comes_back_on_the_same_address_with_other_books_and_higher_ids(
    sim: BinanceSim, market: Market
) -> None:
    before = sim.truth(market, "BTCUSDT")
    async with followed(sim, market) as socket:
        sim.fault("restart", market=market, duration=0)
        assert isinstance(await lost(socket), ConnectionClosedError)
    async with asyncio.timeout(20.0):
        while True:
            try:
                async with followed(sim, market) as socket:
                    sim.step()
                    (event,) = await diffs(socket)
                    break
            except OSError:
                await asyncio.sleep(0.02)
    after = sim.truth(market, "BTCUSDT")
    assert event["U"] > before.last_update_id + 1_000_000
    assert after.last_update_id == event["u"]
    assert after.bids[:50] != before.bids[:50]


async def test_two_restarts_at_once_end_with_one_server(sim: BinanceSim) -> None:
    sim.fault("restart", market="spot", duration=0.05)
    sim.fault("restart", market="spot", duration=0.15)
    await sim.quiet()
    async with followed(sim) as socket:
        sim.step()
        assert len(await diffs(socket)) == 1


@both
async def test_delist_silences_a_symbol_and_refuses_its_book(
    sim: BinanceSim, rest: httpx.AsyncClient, market: Market
) -> None:
    prefix = f"{sim.spot_rest}/api/v3" if market is Market.BINANCE_SPOT else f"{sim.usdm_rest}/fapi/v1"
    async with followed(sim, market) as socket:
        sim.fault("delist", market=market, symbol="BTCUSDT")
        sim.step(3)
        assert await diffs(socket) == []
    refused = await rest.get(f"{prefix}/depth?symbol=BTCUSDT&limit=100")
    assert refused.status_code == 400
    assert refused.json()["code"] == -1121
    rows = {row["symbol"]: row["status"] for row in (await rest.get(f"{prefix}/exchangeInfo")).json()["symbols"]}
    assert rows["BTCUSDT"] == ("BREAK" if market is Market.BINANCE_SPOT else "SETTLING")
    assert rows["ETHUSDT"] == "TRADING"


async def test_silent_ack_confirms_a_subscription_that_never_speaks(sim: BinanceSim) -> None:
    sim.fault("silent_ack", duration=30)
    async with connect(f"{sim.spot_ws}/stream", proxy=None) as socket:
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [DIFFS], "id": 1}))
        assert json.loads(await socket.recv()) == {"result": None, "id": 1}
        sim.step(3)
        assert await told(socket) == []
        sim.fault("silent_ack", duration=0)
        await socket.send(json.dumps({"method": "UNSUBSCRIBE", "params": [DIFFS], "id": 2}))
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": [DIFFS], "id": 3}))
        assert [json.loads(await socket.recv())["id"] for _ in range(2)] == [2, 3]
        sim.step()
        assert len(await diffs(socket)) == 1


async def test_refuse_turns_new_streams_away_and_keeps_old_ones(sim: BinanceSim) -> None:
    async with followed(sim) as socket:
        sim.fault("refuse", market="spot", duration=30)
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{sim.spot_ws}/stream", proxy=None)
        assert caught.value.response.status_code == 503
        sim.step()
        assert len(await diffs(socket)) == 1


async def test_faults_of_the_command_line_happen_by_themselves() -> None:
    faults = (read_fault("drop@0.3"), read_fault("gap:NOSUCHUSDT@0"))
    async with BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False, faults=faults) as sim, followed(sim) as socket:
        assert isinstance(await lost(socket), ConnectionClosedError)
        assert sim.state()["faults"] == {"drop": 1}


async def test_faults_that_cannot_be_are_refused(sim: BinanceSim) -> None:
    with pytest.raises(FaultError, match="expected one of"):
        sim.fault("earthquake")
    with pytest.raises(FaultError, match="NOSUCHUSDT"):
        sim.fault("gap", symbol="NOSUCHUSDT")
    with pytest.raises(FaultError, match="1000PEPEUSDT"):
        sim.fault("gap", market="spot", symbol="1000PEPEUSDT")
    assert sim.state()["faults"] == {}
