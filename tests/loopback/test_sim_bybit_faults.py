"""Every fault of the simulated Bybit over real sockets, begun in the program and over its control address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from app.domain.ids import Market
from app.sim.bybit import BybitSim
from app.sim.bybit.faults import BAD_FRAMES, FAULTS, read_fault
from app.sim.fault_text import FaultError
from tests.loopback.bybit_client import Client, NaiveBook, client_of

COINS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "PEPE")
LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT
TOPIC = "orderbook.200.BTCUSDT"


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BybitSim]:
    async with BybitSim(seed=7, coins=COINS, auto=False, rate=5.0) as sim:
        yield sim


async def begin(sim: BybitSim, client: Client, topic: str = TOPIC) -> NaiveBook:
    assert (await client.ask("subscribe", topic))["success"] is True
    sim.step(4)
    await client.catch_up()
    return client.books.setdefault(topic, NaiveBook())


def told(sim: BybitSim, market: Market = LINEAR, topic: str = TOPIC) -> tuple[int, set[tuple[float, float]]]:
    """Return the simulator's own view of a window as numbers."""
    _, level, symbol = topic.split(".")
    contract = sim.venues[market].by_symbol[symbol]
    tick, step = 10.0**-contract.listing.price_decimals, 10.0**-contract.listing.quantity_decimals
    state = sim.truth(market, symbol, 0 if level == "full" else int(level))
    levels = {(round(p * tick, 9), round(q * step, 9)) for p, q in (*state.bids, *state.asks)}
    return state.u, levels


def held(book: NaiveBook) -> set[tuple[float, float]]:
    return {(float(price), float(quantity)) for price, quantity in (*book.bids.items(), *book.asks.items())}


async def test_a_gap_leaves_deltas_out_and_the_client_s_book_goes_wrong(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        book = await begin(sim, client)
        assert held(book) == told(sim)[1]
        sim.fault("gap", symbol="BTCUSDT", market="linear", count=2)
        sim.step(8)
        await client.catch_up()
        steps = [later - earlier for earlier, later in pairwise(book.updates)]
        assert steps.count(3) == 1
        assert set(steps) == {1, 3}
        assert held(book) != told(sim)[1]


async def test_a_restart_tells_the_book_anew_with_u_one_and_counts_on(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        book = await begin(sim, client)
        sim.fault("restart", symbol="BTCUSDT", market="linear")
        sim.step(6)
        await client.catch_up()
        place = book.updates.index(1)
        assert book.snapshots == 2
        assert client.of(TOPIC)[place]["type"] == "snapshot"
        assert book.updates[place:] == list(range(1, len(book.updates) - place + 1))
        assert (book.u, held(book)) == told(sim)


async def test_a_restart_of_the_full_book_is_a_delta_with_u_one(sim: BybitSim) -> None:
    topic = "orderbook.full.ETHUSDT"
    async with client_of(sim, SPOT) as client:
        book = await begin(sim, client, topic)
        sim.fault("restart", symbol="ETHUSDT", market="spot")
        sim.step(8)
        await client.catch_up()
        assert {message["type"] for message in client.of(topic)} == {"delta"}
        assert book.updates.count(1) == 1
        assert book.updates[-1] > 1
        assert told(sim, SPOT, topic)[0] == book.u


async def test_one_lost_row_is_a_level_too_many_or_too_few(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        book = await begin(sim, client)
        sim.fault("delete", symbol="BTCUSDT", market="linear")
        counts = set()
        for _ in range(4):
            sim.step()
            await client.catch_up()
            counts |= {len(book.bids), len(book.asks)}
        assert all(later == earlier + 1 for earlier, later in pairwise(book.updates))
        assert counts - {200}
        assert held(book) != told(sim)[1]


async def test_an_unasked_snapshot_replaces_everything(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        book = await begin(sim, client)
        sim.fault("resnapshot", symbol="BTCUSDT", market="linear")
        sim.step(4)
        await client.catch_up()
        assert book.snapshots == 2
        assert all(later == earlier + 1 for earlier, later in pairwise(book.updates))
        assert (book.u, held(book)) == told(sim)


async def test_a_delisted_symbol_ends_with_empty_books_and_leaves_the_lists(sim: BybitSim) -> None:
    topic = "orderbook.full.DOGEUSDT"
    async with client_of(sim, SPOT) as client, httpx.AsyncClient() as http:
        await begin(sim, client, topic)
        await client.ask("subscribe", "orderbook.50.DOGEUSDT", "tickers.DOGEUSDT")
        sim.fault("delist", symbol="DOGEUSDT", market="spot")
        sim.step(5)
        await client.catch_up()
        for name, kind in ((topic, "delta"), ("orderbook.50.DOGEUSDT", "snapshot")):
            last = client.of(name)[-1]
            assert (last["type"], last["data"]["u"], last["data"]["b"], last["data"]["a"]) == (kind, 1, [], [])
        count = len(client.messages)
        sim.step(15)
        await client.catch_up()
        assert len(client.messages) == count + 1
        query = {"category": "spot", "symbol": "DOGEUSDT"}
        book = (await http.get(f"{sim.rest}/v5/market/full_orderbook", params=query)).json()["result"]
        assert (book["u"], book["b"], book["a"]) == (1, [], [])
        (row,) = (await http.get(f"{sim.rest}/v5/market/instruments-info", params=query)).json()["result"]["list"]
        assert row["status"] == "Closed"
        tickers = (await http.get(f"{sim.rest}/v5/market/tickers", params={"category": "spot"})).json()["result"]
        assert "DOGEUSDT" not in {each["symbol"] for each in tickers["list"]}
        assert (await client.ask("subscribe", "publicTrade.DOGEUSDT"))["success"] is False


async def test_a_stall_is_silent_but_for_pongs_and_loses_nothing(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        book = await begin(sim, client)
        sim.fault("stall", market="linear", duration=600)
        count = len(client.messages)
        sim.step(6)
        await client.catch_up()
        assert len(client.messages) == count + 1
        assert (await client.ask("subscribe", "orderbook.50.ETHUSDT"))["success"] is True
        assert client.of("orderbook.50.ETHUSDT") == []
        sim.fault("calm")
        sim.step(4)
        await client.catch_up()
        assert client.of("orderbook.50.ETHUSDT")[0]["type"] == "snapshot"
        assert all(later == earlier + 1 for earlier, later in pairwise(book.updates))
        assert (book.u, held(book)) == told(sim)


async def test_pings_stay_unanswered_while_data_flows(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        await begin(sim, client)
        count = len(client.messages)
        sim.fault("nopong", duration=60)
        await client.socket.send('{"op":"ping","req_id":"lost"}')
        sim.step(3)
        assert (await client.ask("subscribe", "tickers.ETHUSDT"))["success"] is True
        assert "lost" not in {message.get("req_id") for message in client.messages}
        assert len(client.messages) > count + 2


@pytest.mark.parametrize("kind", BAD_FRAMES)
async def test_bad_frames_come_between_good_ones_or_in_their_place(sim: BybitSim, kind: str) -> None:
    async with client_of(sim) as client:
        await begin(sim, client)
        count = len(client.raw)
        sim.fault("badframe", symbol="BTCUSDT", market="linear", kind=kind)
        sim.step(3)
        await client.catch_up()
        frames = client.raw[count:]
        if kind in ("malformed", "truncated", "binary"):
            assert len(client.bad) == 1
            assert isinstance(client.bad[0], bytes) == (kind == "binary")
        elif kind == "unknown":
            assert any("somethingNew" in str(frame) for frame in frames)
        else:
            bad = {"nan": '"NaN"', "negative": '"-1.5"', "text": '"many"'}[kind]
            assert sum(bad in str(frame) for frame in frames) == 1


async def test_a_giant_frame_is_as_large_as_asked(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        sim.fault("giant", market="linear", size=3_000_000)
        sim.step()
        await client.catch_up()
        assert max(map(len, client.raw)) > 3_000_000


async def test_a_topic_is_refused_by_name_or_prefix_until_all_is_calm(sim: BybitSim) -> None:
    async with client_of(sim, SPOT) as client:
        sim.fault("refuse", topic="orderbook.full", duration=600)
        sim.fault("refuse", topic="tickers.BTCUSDT")
        for topic in ("orderbook.full.BTCUSDT", "orderbook.full.ETHUSDT", "tickers.BTCUSDT"):
            assert (await client.ask("subscribe", topic))["success"] is False
        assert (await client.ask("subscribe", "tickers.ETHUSDT"))["success"] is True
        sim.fault("calm")
        assert (await client.ask("subscribe", "orderbook.full.BTCUSDT", "tickers.BTCUSDT"))["success"] is True


@pytest.mark.parametrize(("name", "error"), [("close", ConnectionClosedOK), ("drop", ConnectionClosedError)])
async def test_connections_of_one_market_end(sim: BybitSim, name: str, error: type[ConnectionClosed]) -> None:
    async with client_of(sim) as linear, client_of(sim, SPOT) as spot:
        sim.fault(name, market="linear")
        with pytest.raises(error):
            await linear.socket.recv()
        assert (await spot.ask("ping"))["success"] is True
        async with client_of(sim) as again:
            assert (await again.ask("ping"))["success"] is True


async def test_a_half_open_connection_says_nothing_and_never_ends_by_itself(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        await begin(sim, client)
        sim.fault("halfopen", market="linear", duration=0.3)
        sim.step(5)
        await client.socket.send('{"op":"ping"}')
        with pytest.raises(ConnectionClosedError):  # after its time it is cut, without anything said before
            await client.socket.recv()


async def get(sim: BybitSim, path: str = "time", **query: object) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(f"{sim.rest}/v5/market/{path}", params={k: str(v) for k, v in query.items()})


async def test_rest_can_be_forbidden_throttled_or_down() -> None:
    now = [1_700_000_000.0]
    async with BybitSim(coins=COINS, auto=False, now_s=lambda: now[0]) as sim:
        sim.fault("http403", duration=30)
        assert (await get(sim)).status_code == 403
        now[0] += 31
        sim.fault("toomany", duration=30)
        answer = await get(sim)
        assert (answer.status_code, answer.json()["retCode"]) == (200, 10006)
        assert answer.headers["X-Bapi-Limit-Status"] == "0"
        now[0] += 31
        sim.fault("rest_down", duration=30)
        assert (await get(sim)).status_code == 503
        sim.fault("calm")
        assert (await get(sim)).json()["retCode"] == 0


async def test_handshakes_of_a_market_can_be_forbidden(sim: BybitSim) -> None:
    sim.fault("http403", market="spot", duration=60)
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{sim.spot_ws}/v5/public/spot", proxy=None)
    assert caught.value.response.status_code == 403
    assert (await get(sim)).status_code == 200


async def test_full_books_can_be_old_or_of_another_u(sim: BybitSim) -> None:
    async with client_of(sim, SPOT) as client:
        book = await begin(sim, client, "orderbook.full.ETHUSDT")
        sim.fault("lag", symbol="ETHUSDT")
        old_u = book.u
        sim.step(10)
        await client.catch_up()
        query = {"category": "spot", "symbol": "ETHUSDT"}
        old = (await get(sim, "full_orderbook", **query)).json()["result"]
        assert old["u"] == old_u < book.u
        now = (await get(sim, "full_orderbook", **query)).json()["result"]
        assert now["u"] == book.u
        sim.fault("mismatch", symbol="ETHUSDT")
        other = (await get(sim, "full_orderbook", **query)).json()["result"]
        assert (other["seq"], other["u"] == now["u"]) == (now["seq"], False)
        assert (await get(sim, "full_orderbook", **query)).json()["result"]["u"] == book.u


async def test_the_control_address_begins_faults_and_counts(sim: BybitSim) -> None:
    async with client_of(sim) as client, httpx.AsyncClient() as http:
        book = await begin(sim, client)
        asked = await http.post(f"{sim.control}/fault", params={"name": "resnapshot", "symbol": "BTCUSDT"})
        assert asked.json() == {"fault": "resnapshot", "symbol": "BTCUSDT"}
        asked = await http.post(f"{sim.control}/fault", json={"name": "gap", "symbol": "BTCUSDT", "count": 1})
        assert asked.status_code == 200
        sim.step(6)
        await client.catch_up()
        assert book.snapshots == 2
        assert 2 in {later - earlier for earlier, later in pairwise(book.updates)}
        state = (await http.get(f"{sim.control}/state")).json()
        assert state["faults"] == {"resnapshot": 1, "gap": 1}
        assert (state["linear"]["connections"], state["linear"]["topics"]) == (1, 1)
        assert (await http.post(f"{sim.control}/pause")).json() == {"paused": True}
        assert (await http.get(f"{sim.control}/state")).json()["paused"] is True
        assert (await http.post(f"{sim.control}/resume")).json() == {"paused": False}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/fault?name=nothing", 400),
        ("POST", "/fault?name=gap&symbol=BTCUSDT", 400),
        ("POST", "/fault?name=refuse", 400),
        ("POST", "/fault?name=lag&symbol=NOPE", 400),
        ("GET", "/fault?name=stall", 404),
        ("GET", "/truth?market=moon&symbol=BTCUSDT", 400),
        ("GET", "/truth?market=spot&symbol=NOPE", 404),
        ("GET", "/truth?market=spot&symbol=BTCUSDT&levels=77", 400),
        ("GET", "/truth?market=spot&symbol=BTCUSDT&levels=x", 400),
        ("GET", "/nowhere", 404),
    ],
)
async def test_what_the_control_address_cannot_do_it_says(sim: BybitSim, method: str, path: str, status: int) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, sim.control + path)
    assert answer.status_code == status
    assert "expected" in answer.json()["error"] or status == 404


async def test_a_pause_tells_everything_first() -> None:
    async with BybitSim(seed=7, coins=COINS, rate=5.0) as sim, client_of(sim) as client:
        await client.ask("subscribe", "orderbook.1000.BTCUSDT")
        await client.until(lambda message: message.get("type") == "delta")
        sim.pause()
        await client.catch_up()
        book = client.books["orderbook.1000.BTCUSDT"]
        assert (book.u, held(book)) == told(sim, topic="orderbook.1000.BTCUSDT")
        assert sim.venues[LINEAR].book("BTCUSDT").bids.best_first(1)[0][0] / 10 == max(map(float, book.bids))
        sim.resume()
        await client.until(lambda message: message.get("type") == "delta")


async def test_timed_faults_fire_by_themselves() -> None:
    faults = (read_fault("drop:linear@0.3"), read_fault("gap:NOPE@0.1"))
    async with BybitSim(coins=COINS, faults=faults) as sim, client_of(sim) as client:
        with pytest.raises(ConnectionClosedError):
            await client.until(lambda message: False)
        assert sim.faults_fired == ["drop"]


def test_every_fault_has_a_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'"{name}"' not in text and name != "liquidations"] == []


@pytest.mark.parametrize("start", [lambda sim: sim.fault("gap"), lambda sim: sim.fault("nothing")])
async def test_a_fault_that_finds_nothing_is_an_error(sim: BybitSim, start: Callable[[BybitSim], None]) -> None:
    with pytest.raises(FaultError, match="expected"):
        start(sim)
    assert json.dumps(sim.state())
