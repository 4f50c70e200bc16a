"""The broker: a tick from the socket into the ledger, from the simulator to the changed cell, and a restart of TWS.

The peer of the first is ib_async itself, which keeps the same ticks in its own tickers. The second runs the whole
program beside part 1's crypto load with 100 lines at 4 ticks a second each; the third closes the simulated TWS and
counts from the moment its port is open again.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import ib_async

from app.domain.account import Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.contracts import Contract
from app.domain.health import FeedEvent, LinkState
from app.domain.quotes import QuoteUpdate
from app.portfolio.ledger import Ledger
from app.sim.ibkr import SimQuote
from app.sim.tws import TwsSim, lines
from app.sim.tws.ticks import TickWriter
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.session import TwsSession

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, object]
LINES = 100
ROUNDS = 7
TICKS = 4_000
RESTARTS = 5
ONLY_BINANCE = tuple(
    word
    for key in ("bybit.spot", "bybit.linear", "hyperliquid.perp", "hyperliquid.spot")
    for word in ("--set", f"{key}.enabled=false")
)


def run() -> list[Row]:
    """Return the rows of the table."""
    rows = asyncio.run(_ticks())
    rows += asyncio.run(_restarts())
    rows += asyncio.run(_window("with part 1's crypto load", ONLY_BINANCE))
    rows += asyncio.run(_window("with three venues", ()))
    return rows


class Office:
    """A session with its ledger."""

    def __init__(self, port: int) -> None:
        self.health = BrokerHealth(source=Source.TWS)
        self.ledger = Ledger(Source.TWS)
        options = TwsOptions(port=port, client_id=7, lines_limit=LINES)
        self.session = TwsSession(options, self, self.health, SystemClock(), random=Random(1))

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take account news."""
        self.ledger.on_events(recv_ns, events)

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        """Take quotes."""
        self.ledger.on_quotes(recv_ns, updates)

    def on_raw(self, recv_ns: int, kind: str, argument: str, raw: str | bytes) -> None:
        """TWS has no frames."""

    def on_log(self, event: FeedEvent) -> None:
        """Rare facts are not looked at."""


def contracts_of(sim: TwsSim) -> list[Contract]:
    """Return as many stocks and options as there are lines."""
    known = sorted(sim.world.catalogue.contracts.values(), key=lambda each: (each.sec_type != "STK", each.con_id))
    usual = [each for each in known if each.sec_type in ("STK", "OPT") and each.symbol not in ("NKE", "TSM")]
    return [
        Contract(con_id=each.con_id, symbol=each.symbol, currency=each.currency, multiplier=each.multiplier)
        for each in usual[:LINES]
    ]


async def until(condition: Any, limit_s: float = 60.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0.005)


# -- a tick ------------------------------------------------------------------------------------------------------------


def _frame(*fields: object) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def _packets(requests: Sequence[int]) -> list[bytes]:
    """Return packets of four ticks each: bid, ask, last and volume of one line."""
    random = Random(3)
    packets = []
    for number in range(TICKS // 4):
        request = requests[number % len(requests)]
        price = 100.0 + random.randrange(1000) / 100
        packets.append(
            _frame(1, 6, request, 1, f"{price:.2f}", 300, 1)
            + _frame(1, 6, request, 2, f"{price + 0.01:.2f}", 200, 1)
            + _frame(1, 6, request, 4, f"{price:.2f}", 100, 0)
            + _frame(2, 6, request, 8, 1_000_000 + number)
        )
    return packets


async def _ticks() -> list[Row]:
    """Feed the same bytes to our session and to ib_async alone, behind the socket of each."""
    async with TwsSim(ticks_per_s=0.001, always_open=True) as sim:
        office = Office(sim.port)
        task = asyncio.create_task(office.session.run())
        await until(lambda: office.health.state is LinkState.LIVE)
        office.session.set_lines(contracts_of(sim))
        await until(lambda: office.health.lines_open >= LINES)
        tws = office.session._tws
        assert tws is not None
        alone = ib_async.IB()
        await alone.connectAsync("127.0.0.1", sim.port, clientId=8, readonly=True, timeout=20)
        for contract in contracts_of(sim):
            alone.reqMktData(ib_async.Contract(conId=contract.con_id, exchange="SMART", secType="STK"), "233")
        await asyncio.sleep(3.0)
        ours = _packets(sorted(tws._ib.wrapper.reqId2Ticker)[-LINES:])
        theirs = _packets(sorted(alone.wrapper.reqId2Ticker)[-LINES:])
        ratios, each_us = [], []
        for _ in range(ROUNDS):
            mine_s = _feed(tws._client._onSocketHasData, ours)
            await asyncio.sleep(0.05)
            raw_s = _feed(alone.client._onSocketHasData, theirs)
            await asyncio.sleep(0.05)
            ratios.append(mine_s / raw_s)
            each_us.append(mine_s / TICKS * 1e6)
        alone.disconnect()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    note = f"{statistics.median(each_us):.1f} us a tick, {TICKS} ticks x {ROUNDS}"
    return [_row("tick into the ledger / ib_async's ticker alone", statistics.median(ratios), "x", "", note)]


def _feed(take: Any, packets: Sequence[bytes]) -> float:
    started = time.perf_counter()
    for packet in packets:
        take(packet)
    return time.perf_counter() - started


# -- a restart ---------------------------------------------------------------------------------------------------------


async def _restarts() -> list[Row]:
    """Close TWS for some seconds; count from its open port to account, positions and every line being live again."""
    took: list[float] = []
    async with TwsSim() as sim:
        office = Office(sim.port)
        task = asyncio.create_task(office.session.run())
        wanted = contracts_of(sim)
        office.session.set_lines(wanted)
        await until(lambda: office.health.state is LinkState.LIVE and office.health.lines_open >= LINES)
        for number in range(RESTARTS):
            pause_s = 2.0 + number
            sim.fault("restart", duration=pause_s)
            await until(lambda: office.health.state is not LinkState.LIVE)
            await until(lambda: sim.state()["listening"])
            opened_ns, opened_s = time.time_ns(), time.perf_counter()
            await until(lambda: office.health.state is LinkState.LIVE)
            await until(partial(_all_new, office.ledger, wanted, opened_ns))
            took.append(time.perf_counter() - opened_s)
        fills = {fill.exec_id for fill in sim.world.fills}
        await until(lambda: fills <= office.ledger.orders.executions.keys())
        lost = len(fills - office.ledger.orders.executions.keys())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    note = f"slowest of {RESTARTS}, median {statistics.median(took):.2f} s, {LINES} lines; fills lost: {lost}"
    return [_row("open port to everything live again", max(took), "s", "< 5", note)]


def _all_new(ledger: Ledger, wanted: Sequence[Contract], since_ns: int) -> bool:
    """Tell whether account, positions and every quote came after a time."""
    quotes = (ledger.quotes.get(each.con_id) for each in wanted)
    told_ns = min(ledger.account_ns, ledger.positions_ns)
    return told_ns > since_ns and all(quote is not None and quote.updated_ns > since_ns for quote in quotes)


# -- the window --------------------------------------------------------------------------------------------------------


class PromptWriter(TickWriter):
    """Writes a trade with the time it is sent at, to the millisecond, instead of when it happened."""

    def _rt_volume(self, quote: SimQuote) -> str | None:
        text = super()._rt_volume(quote)
        if text is None:
            return None
        fields = text.split(";")
        fields[2] = f"{time.time_ns() // 1_000_000}"
        return ";".join(fields)


async def _window(name: str, arguments: tuple[str, ...]) -> list[Row]:
    """Run the program against a TWS of this process and return the rows of its report."""
    seconds = 60.0 * float(os.environ.get("FATHOM_BENCH_MINUTES", "2"))
    lines.TickWriter = PromptWriter  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measure.json"
        async with TwsSim() as sim:
            command = [sys.executable, "-m", "tests.bench.broker_window", "--demo", "--basedir", folder]
            command += [
                "--set",
                "demo.ibkr=off",
                "--set",
                "ibkr.tws.enabled=true",
                "--set",
                f"ibkr.tws.port={sim.port}",
            ]
            command += ["--layout", "Broker", "--after", str(seconds), "--measure", str(out), "--quit", *arguments]
            child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL)
            if await child.wait():
                raise RuntimeError("the program failed")
            if sim.order_requests:
                raise RuntimeError("the program asked for an order")
        report: dict[str, Any] = json.loads(out.read_text())
    lag, panels = report["lag_ms"], report["event_to_painted_by_panel_ms"]
    portfolio = next(figures for title, figures in panels.items() if "Portfolio" in title)
    orders = next(figures for title, figures in panels.items() if "Live Trading" in title)
    return [
        _row("socket of the simulator to changed cell, p50", portfolio["p50_ms"], "ms", "< 50", name),
        _row(
            "socket of the simulator to changed cell, p99",
            portfolio["p99_ms"],
            "ms",
            "< 100",
            f"{portfolio['samples']} samples",
        ),
        _row("order news received to painted, p99", orders["p99_ms"], "ms", "< 1000", f"{orders['samples']} samples"),
        _row("event loop lag p99", lag["p99"], "ms", "< 30", f"p50 {lag['p50']:.1f}, max {lag['max']:.0f}"),
        _row("CPU of the window's process", 100 * report["cpu_s"] / report["uptime_s"], "% core", "", "start included"),
        _row("memory at the end", report["rss_mib"][-1][1], "MiB", "", ""),
    ]


def _row(name: str, value: object, unit: str, target: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}
