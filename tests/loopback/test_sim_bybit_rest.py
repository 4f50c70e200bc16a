"""REST of the simulated Bybit over real sockets: envelopes, lists to sort out, limits; and the program itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.errors import FathomError
from app.sim.bybit import BybitSim, BybitSimOptions, add_arguments, options_from, serve
from tests.loopback.bybit_client import client_of

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"spot_ws", "linear_ws", "rest", "control"}


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[BybitSim]:
    async with BybitSim(seed=7, auto=False) as sim:
        yield sim


async def get(sim: BybitSim, path: str, **query: object) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        answer = await http.get(
            f"{sim.rest}/v5/market/{path}", params={key: str(value) for key, value in query.items()}
        )
    assert answer.status_code == 200
    return dict(answer.json())


async def test_answers_come_in_the_envelope_with_the_limits_in_headers(sim: BybitSim) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{sim.rest}/v5/market/time")
        second = await http.get(f"{sim.rest}/v5/market/time")
    body = answer.json()
    assert list(body) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    assert (body["retCode"], body["retMsg"]) == (0, "OK")
    assert body["result"]["timeNano"].startswith(body["result"]["timeSecond"])
    assert answer.headers["X-Bapi-Limit"] == "600"
    assert (answer.headers["X-Bapi-Limit-Status"], second.headers["X-Bapi-Limit-Status"]) == ("599", "598")
    assert int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) >= body["time"] - 1000


async def test_all_contracts_come_in_pages_and_the_awkward_ones_are_among_them(sim: BybitSim) -> None:
    rows: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while cursor or not pages:
        result = (await get(sim, "instruments-info", category="linear", limit=60, cursor=cursor))["result"]
        rows += result["list"]
        cursor, pages = result["nextPageCursor"], pages + 1
    assert pages == 4
    by_symbol = {row["symbol"]: row for row in rows}
    assert len(by_symbol) == len(rows) == 200
    assert by_symbol["1000PEPEUSDT"]["baseCoin"] == "1000PEPE"
    assert "SHIB1000USDT" in by_symbol
    assert by_symbol["BTCPERP"]["quoteCoin"] == by_symbol["BTCPERP"]["settleCoin"] == "USDC"
    dated = by_symbol["BTCUSDT-31DEC27"]
    assert (dated["contractType"], dated["fundingInterval"], dated["deliveryTime"] != "0") == ("LinearFutures", 0, True)
    assert (by_symbol["FLEDGEUSDT"]["status"], by_symbol["FLEDGEUSDT"]["isPreListing"]) == ("PreLaunch", True)
    assert by_symbol["FADEDUSDT"]["status"] == "Closed"
    assert by_symbol["BTCUSDT"]["priceFilter"]["tickSize"] == "0.10"
    assert {row["fundingInterval"] for row in rows} == {0, 60, 120, 240, 480}
    trading = (await get(sim, "instruments-info", category="linear", limit=1000, status="Trading"))["result"]
    assert (len(trading["list"]), trading["nextPageCursor"]) == (198, "")


async def test_pairs_come_at_once_and_some_are_on_one_market_only(sim: BybitSim) -> None:
    result = (await get(sim, "instruments-info", category="spot"))["result"]
    spot = {row["symbol"] for row in result["list"]}
    assert len(spot) == len(result["list"]) == 150
    assert "nextPageCursor" not in result
    assert {"BTCUSDC", "PEPEUSDT", "TURBOUSDT"} <= spot
    linear = {each.symbol for each in sim.venues["bybit.linear"].contracts}  # type: ignore[index] # a StrEnum
    assert spot - linear
    assert linear - spot
    (one,) = (await get(sim, "instruments-info", category="spot", symbol="BTCUSDT"))["result"]["list"]
    assert one["lotSizeFilter"]["basePrecision"] == "0.000001"


async def test_tickers_are_of_the_whole_market_in_one_answer(sim: BybitSim) -> None:
    sim.step(5)
    linear = (await get(sim, "tickers", category="linear"))["result"]["list"]
    spot = (await get(sim, "tickers", category="spot"))["result"]["list"]
    assert (len(linear), len(spot)) == (199, 150)
    for row in (*linear, *spot):
        assert 0 < float(row["bid1Price"]) < float(row["ask1Price"])
        assert float(row["lowPrice24h"]) <= float(row["lastPrice"]) <= float(row["highPrice24h"])
        assert float(row["price24hPcnt"]) == pytest.approx(
            float(row["lastPrice"]) / float(row["prevPrice24h"]) - 1.0, abs=1e-4
        )
    perpetual = next(row for row in linear if row["symbol"] == "BTCUSDT")
    assert abs(float(perpetual["fundingRate"])) <= 0.005
    hours = int(perpetual["fundingIntervalHour"])
    assert int(perpetual["nextFundingTime"]) % (hours * 3_600_000) == 0
    dated = next(row for row in linear if row["symbol"] == "BTCUSDT-31DEC27")
    assert (dated["fundingRate"], dated["deliveryTime"]) == ("", "1830240000000")


async def test_history_goes_back_in_even_steps(sim: BybitSim) -> None:
    funding = (await get(sim, "funding/history", category="linear", symbol="BTCUSDT", limit=5))["result"]["list"]
    times = [int(row["fundingRateTimestamp"]) for row in funding]
    assert len(times) == 5
    assert {earlier - later for earlier, later in pairwise(times)} == {times[0] - times[1]}
    interest = await get(sim, "open-interest", category="linear", symbol="BTCUSDT", intervalTime="5min", limit=3)
    times = [int(row["timestamp"]) for row in interest["result"]["list"]]
    assert times == [times[0], times[0] - 300_000, times[0] - 600_000]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("tickers", {}),
        ("tickers", {"category": "inverse"}),
        ("tickers", {"category": "spot", "symbol": "NOPE"}),
        ("instruments-info", {"category": "linear", "limit": "0"}),
        ("instruments-info", {"category": "linear", "limit": "many"}),
        ("instruments-info", {"category": "spot", "symbol": "NOPE"}),
        ("orderbook", {"category": "spot"}),
        ("orderbook", {"category": "spot", "symbol": "NOPE"}),
        ("full_orderbook", {"category": "linear", "symbol": "BTCUSDT"}),
        ("funding/history", {"category": "spot", "symbol": "BTCUSDT"}),
        ("open-interest", {"category": "linear", "symbol": "BTCUSDT"}),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_code(sim: BybitSim, path: str, query: dict[str, str]) -> None:
    body = await get(sim, path, **query)
    assert body["retCode"] == 10001
    assert body["retMsg"].startswith("params error")
    assert body["result"] == {}


async def test_unknown_paths_and_methods_are_refused(sim: BybitSim) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{sim.rest}/v5/market/nothing")).status_code == 404
        assert (await http.get(f"{sim.rest}/v3/market/time")).status_code == 404
        assert (await http.post(f"{sim.rest}/v5/market/time", json={})).status_code == 405


async def test_more_than_600_requests_in_5_seconds_are_forbidden_for_a_while() -> None:
    now = [1_700_000_000.0]
    async with BybitSim(coins=("BTC",), auto=False, ban_s=60.0, now_s=lambda: now[0]) as sim:
        statuses = [sim.desk.answer("/v5/market/time", "").status for _ in range(600)]
        assert set(statuses) == {200}
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{sim.rest}/v5/market/time")).status_code == 403
            now[0] += 30
            assert (await http.get(f"{sim.rest}/v5/market/time")).status_code == 403
            now[0] += 31
            assert (await http.get(f"{sim.rest}/v5/market/time")).status_code == 200


async def test_one_connection_serves_many_requests(sim: BybitSim) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.rest.rpartition(":")[2]))
    try:
        for _ in range(3):
            writer.write(b"GET /v5/market/time HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert json.loads(await reader.readexactly(length))["retCode"] == 0
        writer.write(b"GET nonsense HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    finally:
        writer.close()
        await writer.wait_closed()


def options(*words: str) -> BybitSimOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(words))


def test_options_come_from_arguments() -> None:
    chosen = options("--symbols", "3", "--seed", "5", "--rate", "0.5", "--fault", "gap:BTCUSDT,2@4", "--lenient-batch")
    assert chosen.coins == ("BTC", "ETH", "SOL")
    assert (chosen.seed, chosen.rate, chosen.limits.lenient_batches) == (5, 0.5, True)
    (timed,) = chosen.faults
    assert (timed.fault.name, timed.fault.symbol, timed.fault.count, timed.at_s) == ("gap", "BTCUSDT", 2, 4.0)
    assert options().coins is None


@pytest.mark.parametrize(
    "words",
    [("--symbols", "0"), ("--port", "65533"), ("--seed", "-1"), ("--rate", "0"), ("--rate", "99"), ("--fault", "x@1")],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(FathomError, match="expected"):
        options(*words)


async def test_serving_announces_addresses_that_answer_and_ends_when_stopped() -> None:
    announced: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(BybitSimOptions(coins=("BTC",)), announced.set_result, stop))
    addresses = await announced
    assert set(addresses) == KEYS
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{addresses['rest']}/v5/market/time")).json()["retCode"] == 0
        stop.set()
        await task
        with pytest.raises(httpx.TransportError):
            await http.get(f"{addresses['rest']}/v5/market/time")


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    async with BybitSim(coins=("BTC",), auto=False) as first:
        taken = int(first.control.rpartition(":")[2])
        second = BybitSim(coins=("BTC",), auto=False, port=taken)
        with pytest.raises(OSError, match="in use"):
            await second.__aenter__()
        async with client_of(first) as client:
            assert (await client.ask("ping"))["success"] is True


@pytest.mark.parametrize("closing", ["pipe", "nothing"])
def test_the_command_runs_and_ends_when_its_standard_input_ends(closing: str) -> None:
    command = [sys.executable, "main.py", "sim", "bybit", "--json", "--symbols", "2", "--die-with-stdin"]
    stdin = subprocess.PIPE if closing == "pipe" else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert set(json.loads(process.stdout.readline())) == KEYS
        if process.stdin is not None:
            process.stdin.close()
        assert process.wait(20) == 0
