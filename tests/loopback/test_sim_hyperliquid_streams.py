"""The simulated Hyperliquid's streams over real sockets: greeting, subscriptions, channels, pushes, posts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.sim.hyperliquid import HyperliquidSim

GREETING = "Websocket connection established."
PING = {"method": "ping"}


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[HyperliquidSim]:
    async with HyperliquidSim(seed=7, symbols=12, auto=False, rate=5.0) as sim:
        yield sim


@pytest.fixture(name="socket")
async def _socket(sim: HyperliquidSim) -> AsyncIterator[ClientConnection]:
    async with connect(sim.ws, proxy=None) as socket:
        assert await socket.recv() == GREETING
        yield socket


async def say(socket: ClientConnection, frame: dict[str, Any] | str) -> None:
    await socket.send(frame if isinstance(frame, str) else json.dumps(frame))


async def until_pong(socket: ClientConnection) -> list[dict[str, Any]]:
    """Send a ping and return everything that comes before its answer."""
    await say(socket, PING)
    got: list[dict[str, Any]] = []
    async with asyncio.timeout(20.0):
        while True:
            frame = json.loads(await socket.recv())
            if frame["channel"] == "pong":
                return got
            got.append(frame)


async def subscribe(socket: ClientConnection, kind: str, **arguments: Any) -> list[dict[str, Any]]:
    """Subscribe and return what comes of it at once."""
    await say(socket, {"method": "subscribe", "subscription": {"type": kind, **arguments}})
    return await until_pong(socket)


def whole(levels: list[dict[str, Any]]) -> dict[Decimal, Decimal]:
    return {Decimal(level["px"]): Decimal(level["sz"]) for level in levels}


async def test_a_subscription_is_confirmed_and_begins_with_a_snapshot(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    confirmed, first = await subscribe(socket, "l2Book", coin="BTC")
    assert confirmed == {
        "channel": "subscriptionResponse",
        "data": {
            "method": "subscribe",
            "subscription": {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None},
        },
    }
    assert (first["channel"], first["data"]["coin"], "spread" in first["data"]) == ("l2Book", "BTC", False)
    truth = sim.truth("BTC")
    for side, true in zip(first["data"]["levels"], (truth.bids, truth.asks), strict=True):
        assert [(level["px"], level["sz"]) for level in side] == true[:20]


@pytest.mark.parametrize("figures", [2, 3, 4, 5])
async def test_buckets_sum_up_the_true_book(sim: HyperliquidSim, socket: ClientConnection, figures: int) -> None:
    _, first = await subscribe(socket, "l2Book", coin="SOL", nSigFigs=figures)
    truth = sim.truth("SOL")
    bids, asks = (whole(side) for side in first["data"]["levels"])
    true_bids, true_asks = ({Decimal(p): Decimal(q) for p, q in side} for side in (truth.bids, truth.asks))
    assert sum(bids.values()) == sum(size for price, size in true_bids.items() if price >= min(bids))
    assert sum(asks.values()) == sum(size for price, size in true_asks.items() if price <= max(asks))
    assert "spread" in first["data"]


async def test_books_are_pushed_whole_half_a_second_apart_and_only_when_changed(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="BTC")
    sim.step(4)
    assert await until_pong(socket) == []
    sim.step(1)
    (pushed,) = await until_pong(socket)
    truth = sim.truth("BTC")
    assert [(level["px"], level["sz"]) for level in pushed["data"]["levels"][0]] == truth.bids[:20]
    sim.step(50)
    frames = await until_pong(socket)
    assert len(frames) == 10
    assert all(before["data"]["levels"] != after["data"]["levels"] for before, after in pairwise(frames))


async def test_two_resolutions_come_on_two_connections(sim: HyperliquidSim, socket: ClientConnection) -> None:
    async with connect(sim.ws, proxy=None) as other:
        assert await other.recv() == GREETING
        await subscribe(socket, "l2Book", coin="ETH", nSigFigs=2)
        await subscribe(other, "l2Book", coin="ETH", nSigFigs=3)
        sim.step(5)
        (coarse,), (fine,) = await until_pong(socket), await until_pong(other)
        widths = [Decimal(frame["data"]["levels"][0][0]["px"]) % 100 for frame in (coarse, fine)]
        assert widths[0] == 0 != widths[1]


async def test_best_prices_come_when_they_change_with_null_for_an_empty_side(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    _, first = await subscribe(socket, "bbo", coin="OMNI")
    bid, ask = first["data"]["bbo"]
    assert (bid["n"] > 0, ask) == (True, None)
    await subscribe(socket, "bbo", coin="ETH")
    sim.step(30)
    frames = [frame["data"] for frame in await until_pong(socket) if frame["data"]["coin"] == "ETH"]
    assert len(frames) > 3
    assert all(before["bbo"] != after["bbo"] for before, after in pairwise(frames))
    truth = sim.truth("ETH")
    assert [(side["px"], side["sz"]) for side in frames[-1]["bbo"]] == [truth.bids[0], truth.asks[0]]


async def test_trades_begin_with_recent_ones_and_never_repeat_an_id(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    _, first = await subscribe(socket, "trades", coin="BTC")
    assert len(first["data"]) == 30
    sim.step(40)
    later = [trade for frame in await until_pong(socket) for trade in frame["data"]]
    assert later
    trades = [*first["data"], *later]
    assert len({trade["tid"] for trade in trades}) == len(trades)
    assert {trade["side"] for trade in trades} == {"A", "B"}
    assert [trade["time"] for trade in trades] == sorted(trade["time"] for trade in trades)
    sold = [Decimal(trade["px"]) for trade in later if trade["side"] == "A"]
    bought = [Decimal(trade["px"]) for trade in later if trade["side"] == "B"]
    assert sum(sold) / len(sold) < sum(bought) / len(bought)


async def test_contexts_of_the_whole_market_come_every_second(sim: HyperliquidSim, socket: ClientConnection) -> None:
    _, first = await subscribe(socket, "assetCtxs")
    names = [coin.name for coin in sim.market.perps()]
    assert (first["data"]["dex"], len(first["data"]["ctxs"])) == ("", len(names))
    await subscribe(socket, "allDexsAssetCtxs")
    await subscribe(socket, "spotAssetCtxs")
    await subscribe(socket, "allMids")
    sim.step(10)
    frames = {frame["channel"]: frame["data"] for frame in await until_pong(socket)}
    assert set(frames) == {"assetCtxs", "allDexsAssetCtxs", "spotAssetCtxs", "allMids"}
    assert [(dex, len(rows)) for dex, rows in frames["allDexsAssetCtxs"]["ctxs"]] == [("", len(names)), ("xyz", 3)]
    assert frames["allDexsAssetCtxs"]["ctxs"][0][1] == frames["assetCtxs"]["ctxs"]
    assert "@9" in {row["coin"] for row in frames["spotAssetCtxs"]}
    mids = frames["allMids"]["mids"]
    assert mids["BTC"] == frames["assetCtxs"]["ctxs"][names.index("BTC")]["midPx"]
    assert all(isinstance(mid, str) for mid in mids.values())


@pytest.mark.parametrize(("coin", "channel"), [("ETH", "activeAssetCtx"), ("PURR/USDC", "activeSpotAssetCtx")])
async def test_the_context_of_a_spot_pair_comes_on_a_channel_of_its_own(
    socket: ClientConnection, coin: str, channel: str
) -> None:
    _, first = await subscribe(socket, "activeAssetCtx", coin=coin)
    assert (first["channel"], first["data"]["coin"]) == (channel, coin)
    assert ("funding" in first["data"]["ctx"]) == (coin == "ETH")


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("nonsense", "Error parsing JSON"),
        ("[]", "Error parsing JSON"),
        ({"method": "shout"}, "Error parsing JSON"),
        ({"method": "subscribe", "subscription": {"type": "nothing"}}, "Error parsing JSON"),
        ({"method": "subscribe", "subscription": {"type": "bbo", "coin": "NOPE"}}, "Invalid subscription"),
        ({"method": "unsubscribe", "subscription": {"type": "bbo", "coin": "BTC"}}, "Already unsubscribed"),
        ({"method": "post", "id": "one", "request": {}}, "Error parsing JSON"),
    ],
)
async def test_what_is_not_understood_is_answered_on_the_error_channel(
    socket: ClientConnection, frame: Any, text: str
) -> None:
    await say(socket, frame)
    (answer,) = await until_pong(socket)
    assert answer["channel"] == "error"
    assert isinstance(answer["data"], str)
    assert answer["data"].startswith(text)


async def test_a_second_subscription_of_the_same_is_an_error_and_changes_nothing(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="BTC", nSigFigs=3)
    (answer,) = await subscribe(socket, "l2Book", coin="BTC", nSigFigs=3, mantissa=None)
    assert answer["channel"] == "error"
    assert answer["data"].startswith("Already subscribed: {")
    sim.step(5)
    assert len(await until_pong(socket)) == 1


async def test_an_unsubscribed_stream_is_silent_and_its_book_rests(
    sim: HyperliquidSim, socket: ClientConnection
) -> None:
    await subscribe(socket, "l2Book", coin="BTC")
    await say(socket, {"method": "unsubscribe", "subscription": {"type": "l2Book", "coin": "BTC"}})
    (answer,) = await until_pong(socket)
    assert answer["data"]["method"] == "unsubscribe"
    sim.step(10)
    assert await until_pong(socket) == []
    assert not sim.market.followed


async def test_a_connection_that_leaves_takes_its_subscriptions_along(sim: HyperliquidSim) -> None:
    async with connect(sim.ws, proxy=None) as socket:
        await socket.recv()
        await subscribe(socket, "trades", coin="BTC")
        assert sim.state()["subscriptions"] == 1
    await until(lambda: not sim.venue.connections)
    assert sim.state()["subscriptions"] == 0
    assert not sim.market.followed


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110 # the simulator has no event for it
            await asyncio.sleep(0.01)


async def test_info_requests_travel_as_posts(sim: HyperliquidSim, socket: ClientConnection) -> None:
    request = {"type": "l2Book", "coin": "SOL", "nSigFigs": 3, "mantissa": None}
    await say(socket, {"method": "post", "id": 41, "request": {"type": "info", "payload": request}})
    (answer,) = await until_pong(socket)
    response = answer["data"]["response"]
    assert (answer["channel"], answer["data"]["id"], response["type"]) == ("post", 41, "info")
    assert response["payload"]["type"] == "l2Book"
    assert response["payload"]["data"]["coin"] == "SOL"
    await say(socket, {"method": "post", "id": 42, "request": {"type": "info", "payload": {"type": "nothing"}}})
    (answer,) = await until_pong(socket)
    assert answer["data"]["response"]["type"] == "error"


async def test_the_info_endpoint_answers_over_one_connection(sim: HyperliquidSim) -> None:
    async with httpx.AsyncClient(base_url=sim.rest) as http:
        for request, status in (({"type": "allMids"}, 200), ({"type": "nothing"}, 422), ({"type": "meta"}, 200)):
            assert (await http.post("/info", json=request)).status_code == status
        assert (await http.post("/info", content=b"{not json")).status_code == 422
        assert (await http.post("/info", content=b"x" * 70_000)).status_code == 413
        assert (await http.get("/info")).status_code == 405
        assert (await http.post("/elsewhere", json={})).status_code == 404
