"""Desks: lines asked as they are granted, questions asked once, orders and figures kept, betas learned."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.account import AccountPnl, AccountsSeen, LineRefused, Position, PositionsListed, Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.contracts import Contract, ContractDetails, DailyBar, Right, SecType
from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind, LinkState
from app.domain.orders import Execution, ExecutionSeen, Side
from app.domain.quotes import QuoteField, QuoteUpdate
from app.portfolio.lines import LineGroup
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.services import broker_questions, brokerage
from app.services.broker_desks import client_id
from app.services.brokerage import Brokerage
from app.services.desk import BrokerOutputs, Desk
from app.venues.broker import BrokerError, ScanRequest, Watchlist

AAPL = Contract(con_id=1, symbol="AAPL")
SPY = Contract(con_id=2, symbol="SPY")
CALL = Contract(
    con_id=3,
    symbol="MSFT",
    sec_type=SecType.OPTION,
    expiry="20261218",
    strike=400.0,
    right=Right.CALL,
    multiplier=100.0,
)
MSFT = Contract(con_id=4, symbol="MSFT")
SHORT_DAYS = [f"2026{month:02}{day:02}" for month in range(1, 6) for day in range(1, 29)]


def rising(step: float) -> tuple[DailyBar, ...]:
    """Return closes whose returns alternate around a mean, `step` times as wide as those of step 1."""
    closes, close = [], 100.0
    for index, day in enumerate(SHORT_DAYS):
        close *= 1.0 + step * (0.01 if index % 3 else -0.012)
        closes.append(DailyBar(day, close))
    return tuple(closes)


class Session:
    """A broker that answers from tables and counts what it is asked."""

    def __init__(self, health: BrokerHealth) -> None:
        self.health = health
        self.lines: list[tuple[int, ...]] = []
        self.asked: list[str] = []
        self.bars = {2: rising(1.0), 1: rising(2.0), 4: rising(0.5)}
        self.running = asyncio.Event()
        self.woken = 0
        self.silent: set[str] = set()

    async def run(self) -> None:
        self.health.state = LinkState.LIVE
        self.running.set()
        await asyncio.Event().wait()

    def set_lines(self, contracts: Sequence[Contract]) -> None:
        self.lines.append(tuple(contract.con_id for contract in contracts))

    def set_scans(self, scans: Sequence[ScanRequest]) -> None:
        raise AssertionError(f"nobody asked for {scans}")

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        self._ask("find", symbol)
        return tuple(each for each in (AAPL, SPY, MSFT) if each.symbol == symbol)

    async def details(self, contract: Contract) -> ContractDetails:
        self._ask("details", contract.symbol)
        known = replace(contract, underlying_con_id=4) if contract == CALL else contract
        return ContractDetails(contract=known, tick_size=0.01)

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        self._ask("bars", contract.symbol)
        assert days >= 250
        return self.bars[contract.con_id]

    async def watchlists(self) -> tuple[Watchlist, ...]:
        return ()

    def wake(self) -> None:
        self.woken += 1

    def _ask(self, what: str, symbol: str) -> None:
        self.asked.append(f"{what} {symbol}")
        if what in self.silent:
            raise BrokerError(f"no answer to {what}")


class Store:
    """Keeps what is written; `read_orders` answers from `records` or raises."""

    def __init__(self, records: OrderRecords | None = None) -> None:
        self.records = records
        self.orders: list[OrderRecords] = []
        self.pnl: list[PnlMinute] = []

    def write_orders(self, records: OrderRecords) -> None:
        self.orders.append(records)

    def write_pnl(self, row: PnlMinute) -> None:
        self.pnl.append(row)

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        assert query.working
        if self.records is None:
            raise StorageError("the database is away")
        return self.records


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (brokerage, "_PLAN_EVERY_S"),
        (brokerage, "_KEEP_EVERY_S"),
        (broker_questions, "_LOOK_EVERY_S"),
    ):
        monkeypatch.setattr(module, name, 0.01)


def desk_with(outputs: BrokerOutputs | None = None, lines: int = 100) -> tuple[Desk, Session]:
    health = BrokerHealth(source=Source.TWS)
    desk = Desk(health, lines, outputs or BrokerOutputs())
    session = Session(health)
    desk.session = session
    desk.beta_against = "SPY"
    return desk, session


@contextlib.asynccontextmanager
async def running(desk: Desk, store: Store | None = None):  # type: ignore[no-untyped-def]
    reports: list[str] = []
    work = Brokerage((desk,), SystemClock()).run(lambda source, text: reports.append(f"{source}: {text}"), store)
    task = asyncio.create_task(work)
    try:
        yield reports
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


def held(contract: Contract, quantity: float = 10.0) -> PositionsListed:
    return PositionsListed("DU1", (Position(account="DU1", contract=contract, quantity=quantity),))


async def test_the_session_is_given_the_lines_that_are_granted_and_only_when_they_change() -> None:
    desk, session = desk_with(lines=2)
    async with running(desk):
        desk.want_lines(LineGroup.SCANNER, (AAPL, SPY, MSFT))
        await until(lambda: session.lines)
        assert session.lines == [(1, 2)]
        await asyncio.sleep(0.05)
        assert len(session.lines) == 1
        desk.want_lines(LineGroup.POSITIONS, (CALL,))
        await until(lambda: len(session.lines) == 2)
        assert session.lines[1][0] == 3
        assert len(session.lines[1]) == 2


async def test_a_refused_line_is_freed_and_its_reason_kept() -> None:
    desk, session = desk_with(lines=1)
    async with running(desk):
        desk.want_lines(LineGroup.SCANNER, (AAPL, SPY))
        await until(lambda: session.lines == [(1,)])
        desk.on_events(SystemClock().wall_ns(), (LineRefused(1, 354, "not subscribed", limit=False),))
        await until(lambda: session.lines[-1] == (2,))
        quote = desk.ledger.quote(1)
        assert quote is not None
        assert quote.refused == "not subscribed"


async def test_hours_underlyings_and_betas_of_what_is_held_are_asked_for_once() -> None:
    desk, session = desk_with()
    async with running(desk):
        await session.running.wait()
        desk.on_events(1, (AccountsSeen(("DU1",)), held(CALL)))
        await until(lambda: 4 in desk.betas)
        assert desk.betas[4].value == pytest.approx(0.5, rel=0.01)
        assert desk.ledger.contracts[4] == MSFT
        desk.on_events(1, (held(AAPL),))
        await until(lambda: 1 in desk.betas)
        assert desk.betas[1].value == pytest.approx(2.0, rel=0.01)
        await asyncio.sleep(0.05)
        for question in ("details MSFT", "details AAPL", "find MSFT", "bars MSFT", "bars AAPL"):
            assert session.asked.count(question) == 1, session.asked


async def test_a_question_without_an_answer_is_not_asked_again_at_once() -> None:
    desk, session = desk_with()
    session.silent = {"details", "bars"}
    async with running(desk) as reports:
        await session.running.wait()
        desk.on_events(1, (AccountsSeen(("DU1",)), held(AAPL)))
        await until(lambda: "bars SPY" in session.asked)
        await asyncio.sleep(0.05)
        assert session.asked.count("details AAPL") == 1
        assert session.asked.count("bars SPY") == 1
        assert reports == []
    assert desk.betas == {}


async def test_orders_are_kept_as_they_change_and_profit_by_the_minute() -> None:
    desk, session = desk_with()
    store = Store(OrderRecords())
    fill = Execution(
        exec_id="a.1", account="DU1", order_id="77", contract=AAPL, side=Side.BUY, quantity=5, price=10.0, time_ns=1
    )
    async with running(desk, store):
        await session.running.wait()
        now_ns = SystemClock().wall_ns()
        desk.on_events(now_ns, (AccountsSeen(("DU1",)), AccountPnl("DU1", 12.5, 3.0, None), ExecutionSeen(fill)))
        await until(lambda: store.orders and store.pnl)
    stored = [execution.exec_id for records in store.orders for _, execution in records.executions]
    assert stored == ["a.1"]
    assert {(row.account, row.daily, row.unrealised, row.realised) for row in store.pnl} == {("DU1", 12.5, 3.0, None)}


async def test_what_an_earlier_run_kept_is_there_and_a_store_that_is_away_stops_nothing() -> None:
    fill = Execution(
        exec_id="a.1", account="DU1", order_id="77", contract=AAPL, side=Side.SELL, quantity=5, price=10.0, time_ns=1
    )
    desk, session = desk_with()
    async with running(desk, Store(OrderRecords(orders=(), executions=((Source.TWS, fill),)))):
        await session.running.wait()
        assert "a.1" in desk.ledger.orders.executions
    desk, session = desk_with()
    async with running(desk, Store(None)):
        await session.running.wait()
        assert desk.ledger.orders.executions == {}


async def test_listeners_hear_quotes_events_raw_frames_and_facts_of_their_source() -> None:
    heard: list[tuple[object, ...]] = []
    outputs = BrokerOutputs(
        on_event=lambda event: heard.append(("fact", event.text)),
        on_raw=lambda recv_ns, source, raw: heard.append(("raw", recv_ns, source, raw)),
        on_quotes=[lambda source, recv_ns, updates: heard.append(("quotes", source, recv_ns, len(updates)))],
        on_events=[lambda source, recv_ns, events: heard.append(("events", source, recv_ns, len(events)))],
    )
    desk, _ = desk_with(outputs)
    desk.on_quotes(5, (QuoteUpdate(1, 4, {QuoteField.LAST: 2.0}),))
    desk.on_events(6, (AccountsSeen(("DU1",)),))
    desk.on_raw(7, "ws", "", "{}")
    desk.on_raw(8, "rest", "/portfolio/accounts", "[]")
    desk.on_log(FeedEvent(ts_ns=9, source="ibkr.tws", kind=FeedEventKind.NOTICE, symbol=None, text="hello"))
    assert heard == [
        ("quotes", Source.TWS, 5, 1),
        ("events", Source.TWS, 6, 1),
        ("raw", 7, "ibkr.tws.ws", "{}"),
        ("raw", 8, "ibkr.tws.rest /portfolio/accounts", "[]"),
        ("fact", "hello"),
    ]
    quote = desk.ledger.quote(1)
    assert quote is not None
    assert quote[QuoteField.LAST] == 2.0
    assert quote.updated_ns == 5


def test_the_client_id_is_chosen_once(tmp_path: Path) -> None:
    path = tmp_path / "ibkr.json"
    chosen = client_id(path)
    assert 100 <= chosen < 1000
    assert {client_id(path) for _ in range(20)} == {chosen}
    for spoiled in ("", "[]", '{"client_id": 0}', '{"client_id": true}', '{"client_id": 5000}'):
        path.write_text(spoiled)
        again = client_id(path)
        assert 100 <= again < 1000
        assert json.loads(path.read_text())["client_id"] == again
