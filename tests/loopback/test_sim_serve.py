"""The simulator as a program: it announces its addresses, keeps to its options and ends when told to."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.domain.errors import FathomError
from app.domain.ids import Market
from app.sim.server import BinanceSim, SimOptions, add_arguments, options_from, serve

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"spot_ws", "spot_rest", "usdm_ws", "usdm_rest", "control"}
PROGRAM = """
import argparse, asyncio, json
from app.sim.server import add_arguments, options_from, serve
parser = argparse.ArgumentParser()
add_arguments(parser)
def announce(addresses):
    print(json.dumps(addresses), flush=True)
async def main():
    await serve(options_from(parser.parse_args()), announce, asyncio.Event())
asyncio.run(main())
"""


def options(*words: str) -> SimOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(words))


def test_options_come_from_arguments() -> None:
    chosen = options(
        "--symbols",
        "12",
        "--seed",
        "5",
        "--rate",
        "0.5",
        "--fault",
        "drop@3",
        "--fault",
        "gap:BTCUSDT@4",
        "--life",
        "60",
    )
    assert chosen.symbols is not None
    assert len(chosen.symbols) == 12
    assert (chosen.seed, chosen.rate, chosen.spot_limits.connection_life_s) == (5, 0.5, 60.0)
    assert [(each.fault.name, each.at_s) for each in chosen.faults] == [("drop", 3.0), ("gap", 4.0)]
    assert options("--spot-weight", "90").spot_limits.weight_limit == 90
    assert options().symbols is None


@pytest.mark.parametrize(
    "words",
    [
        ("--symbols", "0"),
        ("--port", "70000"),
        ("--fault", "dance@1"),
        ("--usdm-weight", "0"),
        ("--life", "0"),
        ("--seed", "-1"),
        ("--rate", "0"),
        ("--rate", "nan"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(FathomError, match="expected"):
        options(*words)


async def test_serving_announces_addresses_that_answer_and_ends_when_stopped() -> None:
    announced: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(SimOptions(symbols=("BTCUSDT",)), announced.set_result, stop))
    addresses = await announced
    assert set(addresses) == KEYS
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{addresses['spot_rest']}/api/v3/ping")).json() == {}
        info = (await http.get(f"{addresses['usdm_rest']}/fapi/v1/exchangeInfo")).json()
        assert info["symbols"][0]["symbol"] == "BTCUSDT"
        state = (await http.get(f"{addresses['control']}/sim/state")).json()
        assert state["spot"]["rest_requests"] == 1
        stop.set()
        await task
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{addresses['spot_rest']}/api/v3/ping")


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    async with BinanceSim(symbols=("BTCUSDT",), auto=False) as first:
        taken = first.usdm.port
        second = BinanceSim(symbols=("BTCUSDT",), auto=False, port=taken)
        with pytest.raises(OSError, match="in use"):
            await second.__aenter__()
        before = BinanceSim(symbols=("BTCUSDT",), auto=False, port=taken - 1)
        with pytest.raises(OSError, match="in use"):
            await before.__aenter__()
    if before.spot.port:  # 0 when somebody else had this one
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", before.spot.port)


async def test_spot_futures_and_control_take_ports_in_a_row() -> None:
    for base in range(43_117, 60_000, 97):
        try:
            async with BinanceSim(symbols=("BTCUSDT",), auto=False, port=base) as sim:
                assert (sim.spot.port, sim.usdm.port) == (base, base + 1)
                assert sim.control.endswith(f":{base + 2}")
                assert sim.market.book(Market.BINANCE_SPOT, "BTCUSDT").best_bid > 0
                return
        except OSError:
            continue
    pytest.fail("no three free ports in a row")


@pytest.mark.parametrize("closing", ["pipe", "nothing"])
def test_the_program_ends_when_its_standard_input_ends(closing: str) -> None:
    command = [sys.executable, "-c", PROGRAM, "--symbols", "2", "--die-with-stdin"]
    stdin = subprocess.PIPE if closing == "pipe" else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert set(json.loads(process.stdout.readline())) == KEYS
        if process.stdin is not None:
            process.stdin.close()
        assert process.wait(20) == 0
