"""The simulated Binance's streams beside the books, over real sockets: tickers, mark prices, liquidations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.domain.ids import Market
from app.sim.server import BinanceSim

SECOND = 10
LIST = {"method": "LIST_SUBSCRIPTIONS", "id": 1}
NON_ASCII = "币安人生USDT"
MINI = {"e", "E", "s", "c", "o", "h", "l", "v", "q"}


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BinanceSim]:
    async with BinanceSim(seed=7, symbols=("BTCUSDT", "ETHUSDT", "PEPEUSDT"), sidelines=30, auto=False) as sim:
        yield sim


async def events(socket: ClientConnection) -> list[Any]:
    """Return everything that came until now."""
    await socket.send(json.dumps(LIST))
    got: list[Any] = []
    async with asyncio.timeout(20.0):
        while True:
            frame = json.loads(await socket.recv())
            if isinstance(frame, dict) and "result" in frame:
                return got
            got.append(frame)


async def heard(sim: BinanceSim, address: str, seconds: int = 3) -> list[Any]:
    """Return what an address says within some seconds of the market."""
    async with connect(address, proxy=None) as socket:
        await events(socket)
        sim.step(SECOND * seconds)
        return await events(socket)


async def test_spot_mini_tickers_are_arrays_of_what_changed(sim: BinanceSim) -> None:
    frames = await heard(sim, f"{sim.spot_ws}/stream?streams=!miniTicker@arr", 5)
    assert [frame["stream"] for frame in frames] == ["!miniTicker@arr"] * 5
    assert {frozenset(row) for frame in frames for row in frame["data"]} == {frozenset(MINI)}
    sizes = {len(frame["data"]) for frame in frames}
    assert max(sizes) < 3 + 30 + 3  # never all
    symbols = [row["s"] for frame in frames for row in frame["data"]]
    assert {"BTCUSDT", NON_ASCII} <= set(symbols)
    assert "WAVESUSDT" not in symbols  # out of trading
    assert symbols.count("BTCUSDT") == 5
    for frame in frames:
        for row in frame["data"]:
            assert float(row["l"]) <= float(row["c"]) <= float(row["h"])
            assert float(row["l"]) <= float(row["o"]) <= float(row["h"])
            assert float(row["q"]) > 0


async def test_turnover_of_a_day_grows_with_what_is_traded(sim: BinanceSim) -> None:
    frames = await heard(sim, f"{sim.usdm_ws}/market/ws/btcusdt@miniTicker", 4)
    volumes = [float(frame["q"]) for frame in frames]
    assert len(volumes) == 4
    assert volumes == sorted(set(volumes))


async def test_futures_mini_tickers_carry_coin_margined_contracts_too(sim: BinanceSim) -> None:
    frames = await heard(sim, f"{sim.usdm_ws}/market/ws/!miniTicker@arr")
    rows = {row["s"]: row for frame in frames for row in frame}
    assert set(rows["BTCUSDT"]) == MINI | {"st", "ps"}
    assert (rows["BTCUSDT"]["st"], rows["BTCUSDT"]["ps"]) == (1, "BTCUSDT")
    assert (rows["BTCUSD_PERP"]["st"], rows["BTCUSD_PERP"]["ps"]) == (2, "BTCUSD")


async def test_mark_prices_come_in_two_arrays_with_an_empty_rate_for_a_dated_contract(sim: BinanceSim) -> None:
    usual, traditional, *later = await heard(sim, f"{sim.usdm_ws}/market/stream?streams=!markPrice@arr@1s")
    assert len(later) == 4
    assert [row["s"] for row in traditional["data"]] == ["XAUUSDT"]
    rows = {row["s"]: row for row in usual["data"]}
    assert "XAUUSDT" not in rows
    assert "BTCUSD_PERP" not in rows
    assert {symbol for symbol, row in rows.items() if row["r"] == ""} == {"BTCUSDT_261225"}
    for row in rows.values():
        assert abs(float(row["p"]) / float(row["i"]) - 1) < 0.01
        if row["r"]:
            assert abs(float(row["r"])) < 0.01
            assert row["T"] % 3_600_000 == 0
            assert row["T"] > row["E"]
    assert rows["BTCUSDT"]["T"] % (8 * 3_600_000) == 0


@pytest.mark.parametrize(
    ("stream", "count"), [("btcusdt@markPrice@1s", 6), ("btcusdt@markPrice", 2), ("!markPrice@arr", 4)]
)
async def test_mark_prices_keep_their_pace(sim: BinanceSim, stream: str, count: int) -> None:
    assert len(await heard(sim, f"{sim.usdm_ws}/market/ws/{stream}", 6)) == count


async def test_liquidations_come_at_most_once_a_second_per_symbol(sim: BinanceSim) -> None:
    frames = await heard(sim, f"{sim.usdm_ws}/market/ws/!forceOrder@arr", 60)
    assert len(frames) > 10
    orders = [frame["o"] for frame in frames]
    assert {order["S"] for order in orders} == {"BUY", "SELL"}
    assert all(float(order["q"]) > 0 and float(order["ap"]) > 0 for order in orders)
    assert {order["st"] for order in orders} <= {1, 2}


async def test_a_fall_liquidates_longs_who_sell(sim: BinanceSim) -> None:
    sim.market.pit.surges.start(2, log_move=-0.05, seconds=20.0)
    frames = await heard(sim, f"{sim.usdm_ws}/market/ws/1000pepeusdt@forceOrder", 15)
    sides = [frame["o"]["S"] for frame in frames]
    assert len(sides) > 5
    assert set(sides) == {"SELL"}


async def test_an_event_moves_book_ticker_and_turnover_together(sim: BinanceSim) -> None:
    async with connect(f"{sim.spot_ws}/ws/pepeusdt@miniTicker", proxy=None) as socket:
        sim.step(SECOND * 20)
        before = await events(socket)
        best = float(sim.truth(Market.BINANCE_SPOT, "PEPEUSDT").bids[0][0])
        sim.market.pit.surges.start(2, log_move=0.05, turnover=30.0, seconds=20.0)
        sim.step(SECOND * 20)
        after = await events(socket)
    assert float(after[-1]["c"]) > float(before[-1]["c"]) * 1.03
    assert float(sim.truth(Market.BINANCE_SPOT, "PEPEUSDT").bids[0][0]) > best * 1.03
    assert float(after[-1]["h"]) >= float(after[-1]["c"])
    usual = float(before[-1]["q"]) - float(before[0]["q"])
    assert float(after[-1]["q"]) - float(after[0]["q"]) > 5 * usual


async def test_instruments_without_a_book_have_best_prices_that_follow_their_ticker(sim: BinanceSim) -> None:
    symbol = sim.market.pit.listings[Market.BINANCE_SPOT][0].symbol
    quotes = await heard(sim, f"{sim.spot_ws}/ws/{symbol.lower()}@bookTicker", 10)
    assert quotes
    async with httpx.AsyncClient(base_url=sim.spot_rest) as http:
        ticker = (await http.get("/api/v3/ticker/24hr", params={"symbol": symbol})).json()
        depth = await http.get("/api/v3/depth", params={"symbol": symbol})
    assert (quotes[-1]["b"], quotes[-1]["a"]) == (ticker["bidPrice"], ticker["askPrice"])
    assert float(quotes[-1]["b"]) < float(quotes[-1]["a"])
    assert depth.status_code == 400


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("", "!markPrice@arr@1s"),
        ("/public", "!miniTicker@arr"),
        ("/public", "!forceOrder@arr"),
        ("", "btcusdt@markPrice@1s"),
    ],
)
async def test_market_streams_are_silent_on_other_futures_addresses(sim: BinanceSim, path: str, stream: str) -> None:
    assert await heard(sim, f"{sim.usdm_ws}{path}/ws/{stream}", 20) == []


@pytest.mark.parametrize("stream", ["!ticker@arr", "!markPrice@arr@1s", "!forceOrder@arr", "nosuchusdt@miniTicker"])
async def test_streams_spot_does_not_have_are_acknowledged_and_silent(sim: BinanceSim, stream: str) -> None:
    assert await heard(sim, f"{sim.spot_ws}/ws/{stream}", 20) == []


async def test_a_stalled_venue_and_a_client_that_unsubscribed_hear_nothing(sim: BinanceSim) -> None:
    async with connect(f"{sim.spot_ws}/ws/!miniTicker@arr", proxy=None) as socket:
        sim.fault("stall", market="spot", duration=300)
        sim.step(SECOND * 3)
        assert await events(socket) == []
        sim.fault("stall", market="spot", duration=0)
        sim.step(SECOND)
        assert len(await events(socket)) == 1
        await socket.send(json.dumps({"method": "UNSUBSCRIBE", "params": ["!miniTicker@arr"], "id": 2}))
        assert await events(socket) == []
        sim.step(SECOND * 3)
        assert await events(socket) == []  # up to the answer of the list above
        assert await events(socket) == []


async def test_a_delisted_pair_has_no_news_any_more(sim: BinanceSim) -> None:
    sim.fault("delist", symbol="ETHUSDT")
    frames = await heard(sim, f"{sim.usdm_ws}/market/ws/!markPrice@arr@1s", 1)
    assert "ETHUSDT" not in {row["s"] for frame in frames for row in frame}
    async with httpx.AsyncClient(base_url=sim.usdm_rest) as http:
        answer = await http.get("/fapi/v1/openInterest", params={"symbol": "ETHUSDT"})
        assert answer.json()["code"] == -1121
