"""The simulated Bybit's manners over real sockets: requests on connections, limits, tickers, trades, liquidations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.domain.ids import Market
from app.sim.bybit import BybitSim
from app.sim.bybit.gateway import VenueLimits
from tests.loopback.bybit_client import Client, client_of

COINS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "PEPE")
LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BybitSim]:
    async with BybitSim(seed=7, coins=COINS, auto=False, rate=5.0) as sim:
        yield sim


async def test_pings_are_answered_with_the_op_ping(sim: BybitSim) -> None:
    for market in (LINEAR, SPOT):
        async with client_of(sim, market) as client:
            answer = await client.ask("ping")
            assert (answer["op"], answer["ret_msg"], answer["success"]) == ("ping", "pong", True)
            assert answer["conn_id"]


async def test_contracts_name_a_request_id_always_and_spot_when_it_was_given(sim: BybitSim) -> None:
    text = '{"op":"subscribe","args":["tickers.BTCUSDT"]}'
    async with client_of(sim) as client:
        answer = await client.ask_raw(text, lambda message: "success" in message)
        assert (answer["req_id"], answer["ret_msg"]) == ("", "")
        assert client.messages[0]["topic"] == "tickers.BTCUSDT"  # told before the answer, as recorded
    async with client_of(sim, SPOT) as client:
        answer = await client.ask_raw(text, lambda message: "success" in message)
        assert "req_id" not in answer
        assert answer["ret_msg"] == "subscribe"
        assert client.messages[0] is answer


@pytest.mark.parametrize(
    ("market", "topic"),
    [
        (LINEAR, "tickers.NOPEUSDT"),
        (LINEAR, "tickers.FADEDUSDT"),
        (LINEAR, "orderbook.500.BTCUSDT"),
        (LINEAR, "orderbook.full.BTCUSDT"),
        (LINEAR, "orderbook.50.btcusdt"),
        (LINEAR, "liquidation.BTCUSDT"),
        (SPOT, "allLiquidation.BTCUSDT"),
        (SPOT, "orderbook.50.1000PEPEUSDT"),
        (SPOT, "orderbook.BTCUSDT"),
    ],
)
async def test_a_topic_that_is_not_there_is_refused_with_its_whole_batch(
    sim: BybitSim, market: Market, topic: str
) -> None:
    async with client_of(sim, market) as client:
        answer = await client.ask("subscribe", "tickers.ETHUSDT", topic)
        assert answer["success"] is False
        assert topic in answer["ret_msg"]
        sim.step(3)
        await client.catch_up()
        assert client.of("tickers.ETHUSDT") == []
        assert (await client.ask("subscribe", "tickers.ETHUSDT"))["success"] is True


async def test_a_topic_subscribed_already_refuses_its_batch(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        await client.ask("subscribe", "tickers.BTCUSDT")
        answer = await client.ask("subscribe", "tickers.BTCUSDT", "tickers.ETHUSDT")
        assert answer["success"] is False
        assert answer["ret_msg"] == "error:already subscribed,topic:tickers.BTCUSDT"
        assert client.of("tickers.ETHUSDT") == []


async def test_lenient_batches_take_what_is_good() -> None:
    limits = VenueLimits(lenient_batches=True)
    async with BybitSim(coins=COINS, auto=False, limits=limits) as sim, client_of(sim) as client:
        answer = await client.ask("subscribe", "tickers.NOPE", "orderbook.50.BTCUSDT")
        assert answer["success"] is False
        sim.step(2)
        await client.catch_up()
        assert client.books["orderbook.50.BTCUSDT"].snapshots == 1


async def test_spot_takes_ten_topics_a_request_and_contracts_any_number(sim: BybitSim) -> None:
    topics = [f"{kind}.{coin}USDT" for coin in COINS[:4] for kind in ("tickers", "publicTrade", "orderbook.50")]
    async with client_of(sim, SPOT) as client:
        refused = await client.ask("subscribe", *topics[:11])
        assert refused["success"] is False
        assert "10" in refused["ret_msg"]
        assert (await client.ask("subscribe", *topics[:10]))["success"] is True
        assert (await client.ask("subscribe", *topics[10:]))["success"] is True
    async with client_of(sim) as client:
        assert (await client.ask("subscribe", *topics))["success"] is True


async def test_the_characters_of_all_topics_of_a_connection_are_limited() -> None:
    async with BybitSim(coins=COINS, auto=False, limits=VenueLimits(args_chars=64)) as sim, client_of(sim) as client:
        assert (await client.ask("subscribe", "orderbook.200.BTCUSDT", "tickers.BTCUSDT"))["success"] is True
        refused = await client.ask("subscribe", "orderbook.200.ETHUSDT", "tickers.ETHUSDT")
        assert refused["success"] is False
        assert "length" in refused["ret_msg"]
        assert (await client.ask("subscribe", "tickers.ETHUSDT"))["success"] is True
        await client.ask("unsubscribe", "orderbook.200.BTCUSDT", "tickers.BTCUSDT")
        assert (await client.ask("subscribe", "orderbook.200.ETHUSDT"))["success"] is True
    assert VenueLimits().args_chars == 21_000


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", '{"op":"shout"}', '{"op":"subscribe"}', '{"op":"subscribe","args":[1]}']
)
async def test_a_request_that_is_not_understood_is_refused(sim: BybitSim, text: str) -> None:
    async with client_of(sim) as client:
        answer = await client.ask_raw(text, lambda message: message.get("success") is False)
        assert answer["ret_msg"].startswith("error:")
        assert (await client.ask("ping"))["success"] is True


async def test_each_market_has_its_own_address_and_others_are_not_found(sim: BybitSim) -> None:
    for address in (f"{sim.spot_ws}/v5/public/linear", f"{sim.linear_ws}/v5/public/spot", f"{sim.spot_ws}/"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(address, proxy=None)
        assert caught.value.response.status_code == 404


async def test_too_many_connections_are_forbidden() -> None:
    async with BybitSim(coins=COINS, auto=False, limits=VenueLimits(connections_per_5_min=2)) as sim:
        for _ in range(2):
            async with client_of(sim) as client:
                await client.ask("ping")
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{sim.linear_ws}/v5/public/linear", proxy=None)
        assert caught.value.response.status_code == 403


async def test_a_client_that_says_nothing_is_cut_off_and_one_that_pings_is_not() -> None:
    async with (
        BybitSim(coins=COINS, auto=False, limits=VenueLimits(idle_s=1.5)) as sim,
        client_of(sim) as lively,
        connect(f"{sim.linear_ws}/v5/public/linear", proxy=None) as silent,
    ):
        gone = asyncio.create_task(silent.wait_closed())
        while not gone.done():
            await lively.ask("ping")
            await asyncio.sleep(0.05)
        with pytest.raises(ConnectionClosed):
            await silent.recv()
        assert (await lively.ask("ping"))["success"] is True


async def merged_ticker(client: Client, topic: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for message in client.of(topic):
        if message["type"] == "snapshot":
            fields = {}
        fields.update(message["data"])
    return fields


async def test_ticker_deltas_of_contracts_hold_changes_only_and_add_up() -> None:
    topics = ["tickers.BTCUSDT", "tickers.1000PEPEUSDT", "orderbook.1.BTCUSDT"]
    async with (
        BybitSim(seed=7, coins=COINS, auto=False) as sim,
        client_of(sim) as client,
        httpx.AsyncClient() as http,
    ):
        await client.ask("subscribe", *topics)
        for _ in range(12):
            sim.step(3)
            await client.catch_up()
        for topic in topics[:2]:
            first, *deltas = client.of(topic)
            assert first["type"] == "snapshot"
            assert {message["type"] for message in deltas} == {"delta"}
            assert all(1 < len(message["data"]) < len(first["data"]) for message in deltas)
            assert any("lastPrice" not in message["data"] for message in deltas)
            for message in deltas:
                assert ("bid1Price" in message["data"]) == ("bid1Size" in message["data"])
            fields = await merged_ticker(client, topic)
            assert fields.keys() == first["data"].keys()
            async with client_of(sim) as fresh:
                await fresh.ask("subscribe", topic)
                assert fresh.of(topic)[0]["data"] == fields
            query = {"category": "linear", "symbol": fields["symbol"]}
            (row,) = (await http.get(f"{sim.rest}/v5/market/tickers", params=query)).json()["result"]["list"]
            assert {row[name] for name in ("highPrice24h", "prevPrice24h", "fundingIntervalHour")} == {
                fields[name] for name in ("highPrice24h", "prevPrice24h", "fundingIntervalHour")
            }


async def test_tickers_of_spot_are_snapshots_without_best_prices(sim: BybitSim) -> None:
    async with client_of(sim, SPOT) as client:
        await client.ask("subscribe", "tickers.ETHUSDT")
        sim.step(20)
        await client.catch_up()
        messages = client.of("tickers.ETHUSDT")
        assert len(messages) > 2
        assert {message["type"] for message in messages} == {"snapshot"}
        names = {tuple(message["data"]) for message in messages}
        assert len(names) == 1
        assert not {name for name in names.pop() if name.startswith(("bid", "ask"))}


async def test_a_contract_before_its_launch_has_empty_fields(sim: BybitSim) -> None:
    async with client_of(sim) as client:
        await client.ask("subscribe", "tickers.FLEDGEUSDT", "tickers.BTCUSDT-31DEC27")
        for topic in ("tickers.FLEDGEUSDT", "tickers.BTCUSDT-31DEC27"):
            data = client.of(topic)[0]["data"]
            assert (data["fundingRate"], data["nextFundingTime"]) == ("", "")


async def test_the_key_order_differs_between_markets_and_levels(sim: BybitSim) -> None:
    def order(client: Client, topic: str) -> list[str]:
        text = next(each for each in client.raw if f'"{topic}"' in str(each) and '"data"' in str(each))
        return list(json.loads(text))

    topics = ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT", "tickers.BTCUSDT"]
    async with client_of(sim) as linear, client_of(sim, SPOT) as spot:
        for client in (linear, spot):
            await client.ask("subscribe", *topics)
            await client.catch_up()
        assert order(linear, topics[0]) == ["topic", "type", "ts", "data", "cts"]
        assert order(linear, topics[1]) == order(spot, topics[0]) == ["topic", "ts", "type", "data", "cts"]
        assert order(linear, topics[2]) == ["topic", "type", "data", "cs", "ts"]
        assert order(spot, topics[2]) == ["topic", "ts", "type", "cs", "data"]


@pytest.mark.parametrize("market", [LINEAR, SPOT])
async def test_trades_have_the_venue_s_fields(sim: BybitSim, market: Market) -> None:
    async with client_of(sim, market) as client:
        await client.ask("subscribe", "publicTrade.BTCUSDT")
        sim.step(20)
        await client.catch_up()
        rows: list[dict[str, Any]] = [row for message in client.of("publicTrade.BTCUSDT") for row in message["data"]]
        assert len(rows) > 3
        assert {"T", "s", "S", "v", "p", "i", "BT", "RPI", "seq"} <= rows[0].keys()
        assert ("L" in rows[0]) == (market is LINEAR)
        assert {row["S"] for row in rows} == {"Buy", "Sell"}
        assert all(float(row["v"]) > 0 for row in rows)


async def test_liquidations_come_twice_a_second_and_all_of_them(sim: BybitSim) -> None:
    topic = "allLiquidation.ETHUSDT"
    async with client_of(sim) as client:
        await client.ask("subscribe", topic)
        sim.step(10)
        await client.catch_up()
        before = sum(len(message["data"]) for message in client.of(topic))
        sim.fault("liquidations", symbol="ETHUSDT", count=40)
        sim.step(5)
        await client.catch_up()
        rows = [row for message in client.of(topic) for row in message["data"]]
        assert len(rows) >= before + 40
        assert {row["S"] for row in rows[before:]} == {"Buy", "Sell"}
        assert {row["s"] for row in rows} == {"ETHUSDT"}
        best = float(sim.tape.figures[LINEAR].last[1])
        assert all(
            (float(row["p"]) < best) == (row["S"] == "Buy") for row in rows[before:]
        )  # longs end below the price
