"""No order message can leave: the library is told to make some, and what it would send ends before the socket."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ib_async
import pytest
from tws_rig import Rig, stock, tws_rig

from app.sim.tws import TwsSim
from app.venues.broker import ScanRequest
from app.venues.ibkr_tws.readonly import ReadOnlyTws
from app.venues.ibkr_tws.wire import READING, WriteRefused, check

AAPL = 265598
FOLDER = Path(__file__).resolve().parents[2] / "app" / "venues" / "ibkr_tws"
WRITING_IDS = (3, 4, 15, 21, 58)
WRITING_NAMES = {
    *("placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions", "bracketOrder", "oneCancelsAll"),
    *("whatIfOrder", "whatIfOrderAsync", "reqAutoOpenOrders", "replaceFA", "reqIds", "reqOpenOrders"),
    *("reqOpenOrdersAsync", "LimitOrder", "MarketOrder", "StopOrder", "StopLimitOrder", "getattr", "__getattr__"),
}


def library(rig: Rig) -> Any:
    """Return the library object behind the facade, which no code of the program can reach."""
    tws = rig.session._tws
    assert tws is not None
    return tws._ib


def contract() -> ib_async.Contract:
    return ib_async.Contract(conId=AAPL, symbol="AAPL", secType="STK", exchange="SMART", currency="USD")


ATTEMPTS: dict[int, Callable[[Any], object]] = {
    3: lambda ib: ib.placeOrder(contract(), ib_async.MarketOrder("BUY", 1)),
    4: lambda ib: ib.client.cancelOrder(5),
    15: lambda ib: ib.reqAutoOpenOrders(True),
    21: lambda ib: ib.exerciseOptions(contract(), 1, 1, "DU1234567", 0),
    58: lambda ib: ib.reqGlobalCancel(),
}


async def test_what_the_library_would_send_is_refused_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with TwsSim(read_only=False) as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        assert set(ATTEMPTS) == set(WRITING_IDS)
        for number, attempt in ATTEMPTS.items():
            caplog.clear()
            with pytest.raises(WriteRefused, match=f"was message {number}$"):
                attempt(library(rig))
            assert [record.levelname for record in caplog.records if record.name == "fathom.tws"] == ["CRITICAL"]
        with pytest.raises(WriteRefused):
            await library(rig).whatIfOrderAsync(contract(), ib_async.MarketOrder("BUY", 1))
        for number in WRITING_IDS:
            body = f"{number}\0".encode()
            with pytest.raises(WriteRefused):
                library(rig).client.conn.sendMsg(len(body).to_bytes(4, "big") + body)
        await rig.quoted((AAPL,))
        assert rig.health.reconnects == 0
        assert sim.order_requests == []
        assert {request.number for request in sim.requests} <= READING


async def test_what_would_wait_for_its_turn_is_refused_at_once() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        for _ in range(100):
            library(rig).reqMarketDataType(3)
        assert library(rig).client._msgQ
        for attempt in ATTEMPTS.values():
            with pytest.raises(WriteRefused):
                attempt(library(rig))
        assert {message.split("\0", 1)[0] for message in library(rig).client._msgQ} <= {"59", "16", "49", "7", "94"}


@pytest.mark.parametrize("text", ["3", "4", "15", "21", "58", "5", "18", "19", "", "x", "-1", "03 ", "103", "\u0663"])
def test_only_numbers_on_the_list_pass(text: str) -> None:
    with pytest.raises(WriteRefused):
        check(text)


def test_the_list_holds_no_number_that_writes() -> None:
    assert READING.isdisjoint(WRITING_IDS)
    for number in READING:
        check(str(number))


async def test_a_full_session_over_the_wire_asks_for_nothing_but_reading() -> None:
    """Everything the session can do, with fills, a lost connection and a lost subscription in between."""
    async with TwsSim(read_only=False, rate=20.0, account_every_s=0.3, scan_every_s=0.5) as sim, tws_rig(sim) as rig:
        await rig.live()
        contracts = [position.contract for position in rig.ledger.positions.values()]
        rig.session.set_lines(contracts)
        rig.session.set_scans([ScanRequest(id="gainers", code="TOP_PERC_GAIN", rows=5, price_above=1.0)])
        await rig.quoted([each.con_id for each in contracts])
        asked: list[Awaitable[object]] = [rig.session.details(each) for each in contracts[:5]]
        asked += [rig.session.daily_bars(each, 30) for each in contracts[:3]]
        await asyncio.gather(rig.session.find("MSFT"), *asked)
        sim.fault("dataloss", duration=0.1)
        rig.session.wake()
        await rig.until(lambda: rig.health.orders_known and bool(rig.executions()), "orders and fills")
        sim.fault("drop")
        await rig.until(lambda: rig.health.reconnects == 1, "the loss")
        await rig.live()
        rig.session.set_lines(contracts[:2])
        rig.session.set_scans([])
        await rig.until(lambda: rig.health.lines_open == 2, "freed lines")
        assert sim.order_requests == []
        used = {request.number for request in sim.requests}
        assert used <= READING
        assert len(used) >= 15


def test_no_word_of_the_library_that_writes_is_named_here() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: set[object] = set()
            if isinstance(node, ast.Attribute):
                names = {node.attr}
            elif isinstance(node, ast.Name):
                names = {node.id}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names = {node.name}
            elif isinstance(node, ast.alias):
                names = {node.name, node.asname}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = {node.value} if node.value.isidentifier() else set()
            assert names.isdisjoint(WRITING_NAMES), f"{path.name}: {names}"


def test_the_library_object_is_named_in_the_facade_only_and_the_facade_has_no_way_through() -> None:
    for path in FOLDER.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        makes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in ("IB", "_ib")]
        if path.name not in ("readonly.py", "wrapper.py"):
            assert makes == [], path.name
    public = [name for name in vars(ReadOnlyTws) if not name.startswith("_")]
    assert all("order" not in name or name in ("open_orders", "completed_orders") for name in public)
    assert not hasattr(ReadOnlyTws, "__getattr__")
