"""Stocks in the scanner from the simulated TWS: watchlist, server-side scan, halts, delays, refusals, few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tws_rig import QUICK

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.ids import Market
from app.domain.market import Field, Phase
from app.domain.quotes import DataKind
from app.portfolio.hours import Basis, ContractHours
from app.scanner.columns import Derived
from app.services.broker_scanning import BrokerScanning
from app.services.brokerage import Brokerage
from app.services.desk import BrokerOutputs, Desk
from app.services.scanning import Scanning
from app.settings.store import Settings
from app.sim.ibkr.instruments import DELAYED_SYMBOL, FORBIDDEN_SYMBOL, HALTED_SYMBOL
from app.sim.tws import TwsSim
from app.venues.ibkr_tws.session import TwsSession

PATIENCE_S = 20.0


class Program:
    """A desk at TWS, the scanner and the tasks that keep them going."""

    def __init__(self, sim: TwsSim, watchlist: str, scans: str, lines: int) -> None:
        settings = Settings()
        settings.override([f"ibkr.watchlist={watchlist}", f"ibkr.scans={scans}"])
        self.clock = SystemClock()
        outputs = BrokerOutputs()
        health = BrokerHealth(source=Source.TWS)
        self.desk = Desk(health, lines, outputs)
        options = replace(QUICK, port=sim.port, lines_limit=lines)
        self.desk.session = TwsSession(options, self.desk, health, self.clock)
        self.brokerage = Brokerage([self.desk], self.clock)
        self.scanning = Scanning()
        self.stocks = BrokerScanning(settings, self.brokerage.desks, self.scanning)
        outputs.on_quotes.append(self.stocks.on_quotes)
        outputs.on_events.append(self.stocks.on_events)

    def value(self, symbol: str, figure: Field | Derived) -> float:
        row = self.scanning.board.find(Market.IBKR_STOCK, symbol)
        return float("nan") if row is None else float(self.scanning.board.values[figure, row])

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    self.scanning.board.refresh(self.clock.wall_ns())
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what} did not come: {self.desk.health.state}, {self.desk.lines.usage()}") from None

    def notes(self, symbol: str) -> str:
        row = self.scanning.board.find(Market.IBKR_STOCK, symbol)
        return "" if row is None else "\n".join(self.stocks.rows.notes(row))


@asynccontextmanager
async def program(
    sim: TwsSim, *, watchlist: str = "AAPL,SPY", scans: str = "", lines: int = 100
) -> AsyncIterator[Program]:
    made = Program(sim, watchlist, scans, lines)
    tasks = [
        asyncio.ensure_future(made.brokerage.run(lambda _name, _text: None)),
        asyncio.ensure_future(made.stocks.run(made.clock)),
    ]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sim.order_requests == []


@pytest.fixture
async def sim() -> AsyncIterator[TwsSim]:
    async with TwsSim(rate=0.0) as running:
        yield running


async def test_the_watchlist_is_quoted_with_session_close_and_turnover(sim: TwsSim) -> None:
    async with program(sim) as run:
        await run.until(lambda: run.value("AAPL", Field.LAST) > 0 and run.value("SPY", Field.LAST) > 0, "quotes")
        await run.until(lambda: run.value("AAPL", Field.VOLUME) > 0, "turnover")
        await run.until(lambda: run.value("AAPL", Field.PREVIOUS) > 0, "the previous close")
        truth = sim.world.quote(265598)
        assert run.value("AAPL", Field.PREVIOUS) == pytest.approx(truth.close)
        assert run.value("AAPL", Field.DATA_KIND) == DataKind.LIVE
        assert run.value("AAPL", Field.LINE) == 1
        assert run.value("AAPL", Field.PHASE) in list(Phase)
        await run.until(lambda: run.notes("AAPL").startswith("APPLE INC · NASDAQ · USD"), "its name")
        details = run.desk.ledger.details[265598]
        opens = ContractHours(details).at(details.liquid[0].start_ns)
        assert (opens.phase, opens.basis) == (Phase.RTH, Basis.CONTRACT)


async def test_rows_of_a_scan_come_with_their_condition(sim: TwsSim) -> None:
    watchlist = f"{HALTED_SYMBOL},{DELAYED_SYMBOL},{FORBIDDEN_SYMBOL}"
    async with program(sim, watchlist=watchlist, scans="TOP_PERC_GAIN") as run:
        await run.until(lambda: run.value(HALTED_SYMBOL, Field.HALTED) > 0, "the halt")
        await run.until(lambda: run.value(DELAYED_SYMBOL, Derived.DELAYED) == 1, "the delay")
        await run.until(lambda: run.value(FORBIDDEN_SYMBOL, Field.LINE) == -1, "the refusal")
        assert "refused: 354" in run.notes(FORBIDDEN_SYMBOL)
        assert "HALTED" in run.notes(HALTED_SYMBOL)
        assert "DELAYED" in run.notes(DELAYED_SYMBOL)
        await run.until(lambda: run.scanning.board.count > 10, "rows of the scan")
        await run.until(lambda: bool(run.desk.ledger.scans.get("TOP_PERC_GAIN")), "the scan")
        best = run.desk.ledger.scans["TOP_PERC_GAIN"][0]
        assert "TOP_PERC_GAIN #1" in run.notes(best.symbol)


async def test_the_broker_giving_fewer_lines_keeps_what_is_on_screen() -> None:
    async with TwsSim(rate=0.0, lines=3) as sim, program(sim, watchlist="AAPL,SPY,MSFT,NVDA,TSLA") as run:
        await run.until(lambda: run.desk.lines.usage().effective == 3, "the limit to be learned")
        await run.until(lambda: len(run.stocks.rows.listed()) == 5, "all rows")
        row = run.scanning.board.find(Market.IBKR_STOCK, "TSLA")
        assert row is not None
        run.scanning.set_on_screen({row})
        await run.until(lambda: run.value("TSLA", Field.LAST) > 0, "a quote of what is on screen")
        usage = run.desk.lines.usage()
        assert usage.used <= 3
        assert "of 100" in usage.text
        assert run.desk.lines.evictions
