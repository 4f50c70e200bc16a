"""The simulated Bybit's books over real sockets: a client that does as it is told holds what the simulator says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from app.domain.ids import Market
from app.sim.bybit import BybitSim
from app.sim.bybit.tape import EventKind
from tests.loopback.bybit_client import Client, NaiveBook, client_of

COINS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "PEPE")
LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BybitSim]:
    async with BybitSim(seed=7, coins=COINS, auto=False, rate=5.0) as sim:
        yield sim


async def truth(sim: BybitSim, market: Market, topic: str, **more: object) -> dict[str, Any]:
    """Ask the control address what a depth topic has told."""
    _, levels, symbol = topic.split(".")
    query = {"market": market.word, "symbol": symbol, "levels": levels, **more}
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{sim.control}/truth", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def agrees(book: NaiveBook, told: dict[str, Any]) -> None:
    assert book.u == told["u"]
    assert book.sorted() == {"bids": told["bids"], "asks": told["asks"]}


@pytest.mark.parametrize("market", [LINEAR, SPOT])
@pytest.mark.parametrize("levels", [50, 200, 1000])
async def test_a_naive_client_holds_exactly_what_was_told(sim: BybitSim, market: Market, levels: int) -> None:
    symbols = ["BTCUSDT", "DOGEUSDT", "1000PEPEUSDT" if market is LINEAR else "PEPEUSDT"]
    topics = [f"orderbook.{levels}.{symbol}" for symbol in symbols]
    async with client_of(sim, market) as client:
        assert (await client.ask("subscribe", *topics))["success"] is True
        await client.catch_up()
        counts = set()
        for _ in range(12):
            sim.step(4)
            await client.catch_up()
            counts |= {len(side) for topic in topics for side in (client.books[topic].bids, client.books[topic].asks)}
        assert counts == {levels}
        for topic in topics:
            book = client.books[topic]
            assert book.unknown_removals == 0
            assert book.snapshots == 1
            assert len(book.updates) > 4
            assert all(later == earlier + 1 for earlier, later in pairwise(book.updates))
            agrees(book, await truth(sim, market, topic))


async def test_the_count_stays_when_the_price_runs_away(sim: BybitSim) -> None:
    topics = ["orderbook.200.SOLUSDT", "orderbook.50.SOLUSDT"]
    async with client_of(sim) as client:
        await client.ask("subscribe", *topics)
        sim.tape.begin(EventKind.SURGE, COINS.index("SOL"), 0.05, 3.0)
        first = float(max(client.books[topics[0]].bids, key=float))
        for _ in range(10):
            sim.step(3)
            await client.catch_up()
            for topic, levels in zip(topics, (200, 50), strict=True):
                assert {len(client.books[topic].bids), len(client.books[topic].asks)} == {levels}
        book = client.books[topics[0]]
        assert float(max(book.bids, key=float)) > first * 1.03
        for topic in topics:
            agrees(client.books[topic], await truth(sim, LINEAR, topic))


async def test_a_thin_book_has_fewer_levels_and_grows_and_shrinks() -> None:
    async with BybitSim(seed=7, auto=False, rate=5.0) as whole:
        thin = next(each for each in whole.venues[LINEAR].contracts if each.listing.levels < 1000 and each.trading)
        topic = f"orderbook.1000.{thin.symbol}"
        async with client_of(whole) as client:
            await client.ask("subscribe", topic)
            counts = set()
            for _ in range(15):
                whole.step(4)
                await client.catch_up()
                counts.add(len(client.books[topic].bids))
            assert max(counts) < 1000
            assert len(counts) > 1
            assert client.books[topic].unknown_removals == 0
            agrees(client.books[topic], await truth(whole, LINEAR, topic))


async def test_past_states_can_be_asked_for_by_their_update_id(sim: BybitSim) -> None:
    topic = "orderbook.200.DOGEUSDT"
    async with client_of(sim) as client:
        await client.ask("subscribe", topic)
        sim.step(3)
        await client.catch_up()
        past = client.books[topic].sorted()
        past_u = client.books[topic].u
        sim.step(20)
        await client.catch_up()
        assert client.books[topic].u > past_u
        told = await truth(sim, LINEAR, topic, u=past_u)
        assert (told["u"], told["bids"], told["asks"]) == (past_u, past["bids"], past["asks"])
        async with httpx.AsyncClient() as http:
            query = {"market": "linear", "symbol": "DOGEUSDT", "levels": 200, "u": past_u + 10_000}
            assert (await http.get(f"{sim.control}/truth", params=query)).status_code == 404


async def test_a_running_market_can_be_compared_at_the_client_s_own_update_id() -> None:
    topic = "orderbook.50.BTCUSDT"
    async with BybitSim(seed=7, coins=COINS) as sim, client_of(sim) as client:
        await client.ask("subscribe", topic)
        first = client.books[topic].u
        await client.until(lambda message: message.get("topic") == topic and message["data"]["u"] >= first + 10)
        agrees(client.books[topic], await truth(sim, LINEAR, topic, u=client.books[topic].u))


async def test_a_second_subscriber_begins_where_the_first_one_is(sim: BybitSim) -> None:
    topic = "orderbook.200.BTCUSDT"
    async with client_of(sim) as one, client_of(sim) as two:
        await one.ask("subscribe", topic)
        sim.step(7)
        await two.ask("subscribe", topic)
        await one.catch_up()
        assert two.books[topic].u == one.books[topic].u
        assert two.books[topic].sorted() == one.books[topic].sorted()
        sim.step(5)
        for client in (one, two):
            await client.catch_up()
        assert two.books[topic].sorted() == one.books[topic].sorted()
        assert one.books[topic].snapshots == 1


async def test_subscribing_again_goes_on_with_higher_numbers(sim: BybitSim) -> None:
    topic = "orderbook.200.BTCUSDT"
    async with client_of(sim) as client:
        await client.ask("subscribe", topic)
        sim.step(3)
        await client.catch_up()
        before = client.books[topic].u
        assert (await client.ask("unsubscribe", topic))["success"] is True
        count = len(client.of(topic))
        sim.step(3)
        await client.catch_up()
        assert len(client.of(topic)) == count
        await client.ask("subscribe", topic)
        assert client.of(topic)[-1]["type"] == "snapshot"
        assert client.books[topic].u > before
        agrees(client.books[topic], await truth(sim, LINEAR, topic))


async def test_the_best_level_comes_in_snapshots_and_is_repeated_after_three_seconds(sim: BybitSim) -> None:
    topic = "orderbook.1.PEPEUSDT"
    async with client_of(sim, SPOT) as client:
        await client.ask("subscribe", topic)
        sim.step(30)
        await client.catch_up()
        messages = client.of(topic)
        assert {message["type"] for message in messages} == {"snapshot"}
        assert {len(message["data"][side]) for message in messages for side in "ba"} == {1}
        assert messages[-1]["data"]["u"] > messages[0]["data"]["u"]
        count, u = len(messages), messages[-1]["data"]["u"]
        sim.tape.rate = 1e-9
        sim.step(31)
        await client.catch_up()
        assert [message["data"]["u"] for message in client.of(topic)[count:]] == [u]


async def test_deltas_keep_to_the_pace_of_their_level(sim: BybitSim) -> None:
    topics = [f"orderbook.{levels}.BTCUSDT" for levels in (50, 200, 1000)]
    async with client_of(sim) as client:
        await client.ask("subscribe", *topics)
        sim.step(20)
        await client.catch_up()
        fifty, two_hundred, thousand = (len(client.of(topic)) - 1 for topic in topics)
        assert 40 < fifty <= 100
        assert 12 < two_hundred <= 20
        assert 6 < thousand <= 10
        for topic in topics:
            sequences = [message["data"]["seq"] for message in client.of(topic)]
            assert sequences == sorted(sequences)


async def full_book(sim: BybitSim, symbol: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        query = {"category": "spot", "symbol": symbol}
        answer = (await http.get(f"{sim.rest}/v5/market/full_orderbook", params=query)).json()
    assert answer["retCode"] == 0
    return dict(answer["result"])


async def joined(sim: BybitSim, client: Client, topic: str) -> tuple[NaiveBook, dict[str, Any]]:
    """Follow the venue's procedure once; fail where it would have to begin again."""
    symbol = topic.rpartition(".")[2]
    sim.step(6)
    await client.catch_up()
    snapshot = await full_book(sim, symbol)
    sim.step(10)
    await client.catch_up()
    deltas = [message for message in client.of(topic) if message["data"]["seq"] >= snapshot["seq"]]
    assert deltas[0]["data"]["seq"] == snapshot["seq"]
    assert deltas[0]["data"]["u"] == snapshot["u"]
    book = NaiveBook()
    book.take({"type": "snapshot", "data": snapshot})
    for message in deltas[1:]:
        book.take(message)
    return book, snapshot


@pytest.mark.parametrize(("symbol", "whole"), [("PEPEUSDT", True), ("ETHUSDT", True), ("BTCUSDT", False)])
async def test_the_full_book_joins_its_deltas_by_seq_and_u(sim: BybitSim, symbol: str, whole: bool) -> None:
    topic = f"orderbook.full.{symbol}"
    async with client_of(sim, SPOT) as client:
        assert (await client.ask("subscribe", topic))["success"] is True
        assert client.of(topic) == []
        book, snapshot = await joined(sim, client, topic)
        assert {message["type"] for message in client.of(topic)} == {"delta"}
        assert all(later == earlier + 1 for earlier, later in pairwise(book.updates))
        told = await truth(sim, SPOT, topic)
        assert book.u == told["u"]
        if whole:
            agrees(book, told)
        else:
            assert (len(snapshot["b"]), len(snapshot["a"])) == (10_000, 10_000)
            assert len(told["asks"]) > 10_000
            assert book.sorted()["bids"][:9000] == told["bids"][:9000]


async def test_the_rest_book_carries_the_numbers_of_the_widest_stream(sim: BybitSim) -> None:
    topic = "orderbook.1000.ETHUSDT"
    async with client_of(sim) as client, httpx.AsyncClient() as http:
        await client.ask("subscribe", topic)
        sim.step(9)
        await client.catch_up()
        query = {"category": "linear", "symbol": "ETHUSDT", "limit": 30}
        result = (await http.get(f"{sim.rest}/v5/market/orderbook", params=query)).json()["result"]
        book = client.books[topic]
        assert result["u"] == book.u
        assert result["b"] == book.sorted()["bids"][:30]
        assert result["a"] == book.sorted()["asks"][:30]


async def test_books_nobody_follows_are_brought_up_to_date_when_somebody_comes(sim: BybitSim) -> None:
    topic = "orderbook.50.DOGEUSDT"
    async with client_of(sim) as client:
        await client.ask("subscribe", topic)
        await client.ask("unsubscribe", topic)
        old = float(max(client.books[topic].bids, key=float))
        sim.tape.begin(EventKind.JUMP, COINS.index("DOGE"), 0.2, 1.0)
        sim.step(2)
        await client.ask("subscribe", topic)
        book = client.books[topic]
        best = float(max(book.bids, key=float))
        assert best > old * 1.15
        assert (len(book.bids), len(book.asks)) == (50, 50)
        nearest = sorted(book.bids, key=float)[-10:]
        assert float(nearest[0]) > best * 0.99  # filled anew, not one level above a hole
