"""The recorded TWS payloads go through ib_async's own decoder, our store and our converters.

Fathom speaks version 178 with TWS. Payloads of later servers are cut back to it first (`as_178` names the fields);
those of earlier ones are read as of a version before. What Fathom never asks for is decoded only: see NEVER_ASKED.
"""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import ib_async
import pytest
from tws_store import Store, as_178, read_messages

from app.domain.account import Severity, Tag
from app.domain.contracts import DailyBar, Right, SecType, Session
from app.domain.orders import OrderStatus, Side
from app.domain.quotes import DataKind, QuoteField
from app.venues.ibkr_tws import convert, convert_orders, convert_quotes, errors, numbers

OLDER = {5: 165, 11: 176, 79: 175, 101: 165}
"""Versions of messages that none is given for, by their number; those with 136 and 101 fields are of 176."""
NEVER_ASKED = {
    13: "depth of market",
    50: "bars of five seconds",
    63: "account summary (account updates have more)",
    64: "end of an account summary",
    75: "option chains",
    86: "news",
    96: "historical ticks",
    97: "historical quotes",
    98: "historical trades",
    99: "tick by tick data",
    106: "historical schedules",
}


@pytest.fixture
def folder(captures: Path) -> Path:
    return captures / "ibkr_tws"


def scan_rows() -> ib_async.ScanDataList:
    return ib_async.ScanDataList()  # type: ignore[no-untyped-call]


def version_of(row: dict[str, Any]) -> int:
    if row["server_version"] or len(row["sent"]) in (32, 43):
        return 178
    return 176 if len(row["sent"]) in (136, 101) else OLDER.get(int(row["msg_id"]), 178)


def of_kind(folder: Path, number: int) -> list[tuple[dict[str, Any], list[str], int]]:
    rows = [row for row in read_messages(folder) if int(row["msg_id"]) == number]
    assert rows
    return [(row, as_178(row), version_of(row)) for row in rows]


async def test_every_recorded_message_is_decoded_without_a_complaint(folder: Path) -> None:
    rows = read_messages(folder)
    for row in rows:
        store = Store()
        for request in (1001, 9000, 9001):
            kept = scan_rows() if row["msg_id"] == "20" else None
            store.ask(request, kept)
            store.quote(request, 265598)
        assert store.take(as_178(row), version_of(row)) == [], row["name"]
    kinds = Counter(int(row["msg_id"]) for row in rows)
    assert sum(kinds.values()) == 49
    assert set(NEVER_ASKED) < set(kinds)


async def test_the_account_and_the_position(folder: Path) -> None:
    store = Store()
    for number in (15, 61):
        for _, fields, version in of_kind(folder, number):
            assert store.take(fields, version) == []
    assert store.listener.accounts == [("DU9000001",)]
    (raw,) = store.ib.positions()
    position = convert.to_position(raw)
    assert (position.account, position.quantity, position.average_cost) == ("DU9000001", 15.0, 200.25)
    assert (position.contract.con_id, position.contract.symbol) == (3691937, "AMZN")
    assert (position.contract.exchange, position.contract.multiplier) == ("NASDAQ", 1.0)


async def test_an_account_summary_is_figures_too(folder: Path) -> None:
    store = Store()
    for _, fields, version in of_kind(folder, 63):
        store.take(fields, version)
    (raw,) = store.listener.values
    value = convert.to_account_value(raw)
    assert value is not None
    assert (value.tag, value.currency, value.value) == (Tag.BUYING_POWER, "EUR", 300000.0)


async def test_a_delayed_quote(folder: Path) -> None:
    store = Store()
    ticker = store.quote(1001, 265598)
    for number in (58, 1, 2, 57):
        for _, fields, version in of_kind(folder, number):
            assert store.take(fields, version) == []
    _, news = convert_quotes.TickerReader(convert.to_contract(ib_async.Contract(conId=265598))).read(ticker)
    assert news == {
        QuoteField.LAST: 255.45,
        QuoteField.LAST_SIZE: 200.0,
        QuoteField.VOLUME: 312894.0,
        QuoteField.KIND: DataKind.DELAYED,
    }


async def test_messages_about_farms(folder: Path) -> None:
    store = Store()
    for _, fields, version in of_kind(folder, 4):
        assert store.take(fields, version) == []
    seen = [(errors.notice(code, text).severity, errors.farm(code, text)) for _, code, text in store.listener.messages]
    assert seen == [(Severity.INFO, ("usfarm", True)), (Severity.INFO, ("secdefil", True))]


async def test_contract_details(folder: Path) -> None:
    found = []
    for _, fields, version in of_kind(folder, 10):
        store = Store()
        answer = store.ask(int(fields[1]))
        store.take(fields, version)
        store.take(["52", "1", fields[1]])
        found += [convert.to_details(raw) for raw in answer.result()]
    apple, tesla, smart = found
    assert apple is not None
    assert tesla is not None
    assert smart is not None
    assert (apple.contract.con_id, apple.contract.name, apple.contract.primary_exchange) == (
        265598,
        "APPLE INC",
        "NASDAQ",
    )
    assert (apple.tick_size, apple.zone, apple.contract.exchange) == (0.01, "US/Eastern", "SMART")
    assert (tesla.contract.con_id, tesla.contract.exchange, smart.contract.exchange) == (76792991, "AMEX", "SMART")
    for details in (apple, tesla, smart):
        assert details.trading
        assert details.liquid
        for session in details.liquid:
            assert details is not apple or (session.end_ns - session.start_ns) / 3.6e12 == 6.5
            around = [each for each in details.trading if each.start_ns <= session.start_ns < each.end_ns]
            assert len(around) == 1
            assert isinstance(around[0], Session)


async def test_open_orders(folder: Path) -> None:
    found = {}
    for _, fields, version in of_kind(folder, 5):
        store = Store()
        assert store.take(fields, version) == []
        (trade,) = store.ib.trades()
        order = convert_orders.to_order(trade, "", 1)
        found[order.order_id, order.account] = order
    put = found["1518189976", "DU9000001"]
    assert (put.contract.symbol, put.contract.right, put.contract.strike) == ("OBDC", Right.PUT, 10.0)
    assert (put.contract.expiry, put.contract.multiplier) == ("20261120", 100.0)
    assert (put.side, put.quantity, put.order_type, put.limit_price) == (Side.SELL, 1.0, "LMT", 1.2)
    assert (put.stop_price, put.time_in_force, put.status) == (None, "GTC", OrderStatus.PRE_SUBMITTED)
    for key, symbol in (
        (("600745656", "DU1234567"), "AAPL"),
        (("1376327563", "DU1234567"), "TSLA"),
        (("1376327563", "DU1236109"), "TSLA"),
    ):
        order = found[key]
        assert (order.contract.symbol, order.order_type, order.limit_price) == (symbol, "MKT", None)
        assert (order.contract.right, order.client, order.quantity) == (Right.NONE, "100", 100.0)
    assert {order.status for order in found.values()} == {
        OrderStatus.PRE_SUBMITTED,
        *(order.status for order in found.values() if order.order_type == "MKT"),
    }


async def test_the_status_of_an_order_reaches_it_and_that_of_an_unknown_one_asks_for_the_list(folder: Path) -> None:
    store = Store()
    (status,) = of_kind(folder, 3)
    store.take(status[1], status[2])
    assert store.listener.unknown_orders == 1
    order = next(item for item in of_kind(folder, 5) if item[1][1] == "5")
    store.take(order[1], order[2])
    store.take(status[1], status[2])
    assert store.listener.unknown_orders == 1
    (trade,) = store.ib.trades()
    found = convert_orders.to_order(trade, "", 1)
    assert (found.status, found.filled, found.remaining) == (OrderStatus.PRE_SUBMITTED, 0.0, 100.0)


async def test_completed_orders(folder: Path) -> None:
    store = Store()
    for _, fields, version in of_kind(folder, 101):
        assert store.take(fields, version) == []
    orders = [
        convert_orders.to_completed(contract, order, state, 1) for contract, order, state in store.wrapper.completed
    ]
    cancelled, filled = orders
    assert (cancelled.contract.symbol, cancelled.contract.sec_type) == ("ES", SecType.FUTURE)
    assert (cancelled.contract.multiplier, cancelled.contract.expiry) == (50.0, "20250919")
    assert (cancelled.status, cancelled.reason) == (OrderStatus.CANCELLED, "Cancelled by Trader")
    assert (cancelled.limit_price, cancelled.filled) == (5800.0, 0.0)
    assert cancelled.updated_ns == numbers.time_ns("20250708 02:34:46 America/New_York")
    assert (filled.status, filled.quantity, filled.filled, filled.remaining) == (OrderStatus.FILLED, 100.0, 100.0, 0.0)
    assert (filled.order_id, filled.status_text, filled.reason) == ("1824933227", "Filled Size: 100", "")


async def test_fills_and_a_commission(folder: Path) -> None:
    store = Store()
    for _, fields, version in of_kind(folder, 11):
        assert store.take(fields, version) == []
    before = [convert_orders.to_execution(fill) for fill in store.ib.fills()]
    apple, future, tesla = before
    assert apple is not None
    assert future is not None
    assert tesla is not None
    assert (apple.exec_id, apple.side, apple.quantity, apple.price) == (
        "0000e0d5.69dd7411.01.01",
        Side.BUY,
        1.0,
        257.95,
    )
    assert apple.time_ns == numbers.time_ns("20260413 15:27:04 US/Eastern")
    assert (future.contract.sec_type, future.contract.multiplier, future.price) == (SecType.FUTURE, 50.0, 5800.0)
    assert (tesla.order_id, tesla.commission) == ("1376327563", None)
    for _, fields, version in of_kind(folder, 59):
        assert store.take(fields, version) == []
    told = convert_orders.to_execution(store.listener.fills[-1])
    assert told is not None
    assert (told.exec_id, told.commission, told.commission_currency) == (tesla.exec_id, 1.0, "USD")
    assert told.realised is None  # it was sent as unset, which the library makes a zero of


async def test_a_naive_time_of_a_fill_is_one_of_tws(folder: Path) -> None:
    store = Store()
    store.ib.TimezoneTWS = "America/Los_Angeles"
    (item,) = [item for item in of_kind(folder, 11) if item[1][15].startswith("20230224")]
    store.take(item[1], item[2])
    execution = convert_orders.to_execution(store.ib.fills()[0])
    assert execution is not None
    assert execution.time_ns == numbers.time_ns("20230224 12:04:56 America/Los_Angeles")


async def test_bars_of_hours_give_the_close_of_their_day(folder: Path) -> None:
    store = Store()
    answer = store.ask(1001)
    for _, fields, version in of_kind(folder, 17):
        assert store.take(fields, version) == []
    assert len(answer.result()) == 7
    assert convert.to_daily_bars(answer.result()) == (DailyBar("20260402", 255.89),)


async def test_rows_of_scanners(folder: Path) -> None:
    found = []
    for _, fields, version in of_kind(folder, 20):
        store = Store()
        rows = scan_rows()
        store.wrapper.startSubscription(9000, rows)
        assert store.take(fields, version) == []
        assert store.listener.scans == [rows]
        found.append(convert.scanned(rows))
    stocks, combinations = found
    assert [contract.symbol for contract in stocks[:4]] == ["SVMH", "GTI", "LITM", "LCID"]
    assert len(stocks) == 10
    assert combinations == ()  # 50 spreads, all under the one number that stands for "a combination"


async def test_symbols(folder: Path) -> None:
    store = Store()
    answer = store.ask(9000)
    for _, fields, version in of_kind(folder, 79):
        assert store.take(fields, version) == []
    contracts = convert.described(answer.result())
    assert len(contracts) == 15  # the sixteenth is an issuer of bonds, without a number
    tesla = contracts[0]
    assert (tesla.con_id, tesla.symbol, tesla.exchange, tesla.primary_exchange) == (76792991, "TSLA", "SMART", "ISLAND")


# -- recordings of other clients of TWS, already decoded --------------------------------------------------------------


def test_account_figures_of_an_account_in_three_currencies(folder: Path) -> None:
    rows = json.loads((folder / "nautilus" / "account_values.json").read_text("utf-8"))
    words = Counter[str]()
    for row in rows:
        value = convert.to_account_value(ib_async.AccountValue(*(row[name] for name in ib_async.AccountValue._fields)))
        if value is None:
            words[row["tag"]] += 1
            continue
        assert value.value == float(row["value"])
        assert (value.account, value.tag, value.currency) == (row["account"], row["tag"], row["currency"])
    assert set(words) <= {
        *("AccountCode", "AccountOrGroup", "AccountReady", "AccountType", "Currency", "RealCurrency"),
        *("SegmentTitle-S", "SegmentTitle-C", "TradingType-S", "TradingType-C", "Guarantee", "NLVAndMarginInReview"),
        *("ColumnPrio-S", "WhatIfPMEnabled"),
    }
    assert len(rows) - sum(words.values()) == 96


def live_ticks(folder: Path) -> Iterator[tuple[datetime, int, float, float]]:
    with gzip.open(folder / "nautilus" / "streaming_tick_data_part1.jsonl.gz", "rt") as lines:
        for line in lines:
            row = json.loads(line)
            yield datetime.fromisoformat(row["time"]), row["tickType"], row["price"], row["size"]


async def test_live_ticks_of_an_hour(folder: Path) -> None:
    store = Store()
    ticker = store.quote(1, 42)
    reader = convert_quotes.TickerReader(convert.to_contract(ib_async.Contract(conId=42, secType="STK")))
    shown: dict[int, float] = {}
    crossed = ticks = 0
    expected = {1: QuoteField.BID, 2: QuoteField.ASK, 4: QuoteField.LAST, 8: QuoteField.VOLUME}
    sizes = {0: QuoteField.BID_SIZE, 3: QuoteField.ASK_SIZE, 5: QuoteField.LAST_SIZE}
    for _, kind, price, size in live_ticks(folder):
        if kind in (1, 2, 4):
            fields = ["1", "6", "1", str(kind), str(price), str(size), "0"]
        else:
            fields = ["2", "6", "1", str(kind), str(size)]
        assert store.take(fields) == []
        _, news = reader.read(ticker)
        assert not any(math.isnan(value) for value in news.values())
        shown.update(news)
        if kind in expected:
            assert shown[expected[kind]] == (size if kind == 8 else price)
        elif sizes[kind] in shown or kind != 5:  # the library drops sizes of a last trade it has no price of
            assert shown[sizes[kind]] == size
        if shown.get(QuoteField.BID, 0.0) >= shown.get(QuoteField.ASK, math.inf):
            crossed += 1
        ticks += 1
    assert ticks == 8416
    assert crossed == 27  # states between two ticks are shown as they come
    assert -1.0 not in shown.values()  # the price beside a volume


def test_naive_times_of_bars(folder: Path) -> None:
    with gzip.open(folder / "nautilus" / "historic_bars.json.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    bars = [ib_async.BarData(**{**row, "date": datetime.fromisoformat(row["date"])}) for row in rows]
    assert len(bars) == 405
    assert isinstance(bars[0].date, datetime)
    assert bars[0].date.tzinfo is None
    assert convert.to_daily_bars(bars) == (DailyBar("20210105", rows[-1]["close"]),)


def test_the_currency_pair_of_a_recorded_depth(folder: Path) -> None:
    """Of the level 2 states only the contract concerns us: Fathom asks TWS for no depth. The recorded historical ticks
    (historic_bid_ask_ticks, historic_trade_ticks) are of questions Fathom does not ask either."""
    with gzip.open(folder / "nautilus" / "eurusd_depth.jsonl.gz", "rt") as lines:
        states = [json.loads(line) for line in lines]
    assert len(states) == 50
    raw = {name: value for name, value in states[0]["contract"].items() if name != "_class"}
    contract = convert.to_contract(ib_async.Contract(**raw))
    assert (contract.sec_type, contract.label, contract.exchange) == (SecType.CASH, "EUR.USD", "IDEALPRO")
    ticker = ib_async.Ticker(marketDataType=states[0]["marketDataType"])
    assert convert_quotes.TickerReader(contract).read(ticker)[1] == {QuoteField.KIND: DataKind.LIVE}


def transcript(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("server "):
            _, name, text = line.split(" ", 2)
            yield name, json.loads(text)


def transcript_contract(row: dict[str, Any]) -> ib_async.Contract:
    names = {"con_id": "conId", "sec_type": "secType", "primary_exchange": "primaryExchange", "expiry": ""}
    names |= {"local_symbol": "localSymbol", "trading_class": "tradingClass"}
    made = ib_async.Contract(**{names.get(key, key): value for key, value in row.items() if names.get(key, key)})
    made.lastTradeDateOrContractMonth = row.get("expiry", "")
    return made


def transcript_order(row: dict[str, Any]) -> ib_async.Trade:
    order = ib_async.Order(
        permId=int(row.get("perm_id") or 0),
        clientId=int(row.get("client_id") or 0),
        orderId=int(row.get("order_id") or 0),
        action=row["action"],
        orderType=row["order_type"],
        totalQuantity=float(row["quantity"]),
        lmtPrice=float(row.get("lmt_price") or 0),
        auxPrice=float(row.get("aux_price") or 0),
        tif=row.get("tif", ""),
        account=row.get("account", ""),
    )
    return ib_async.Trade(
        transcript_contract(row["contract"]), order, ib_async.OrderStatus(status=row.get("status", ""))
    )


class Conversation:
    """The steps of one conversation, each held against what the converters make of it.

    Steps are decoded JSON already; permanent numbers and contracts are missing in fills, so that these come from the
    order before. Positions, quotes and hours are not in them.
    """

    def __init__(self) -> None:
        self.orders: dict[int, ib_async.Trade] = {}
        self.fills: dict[str, ib_async.Fill] = {}

    def take(self, name: str, row: dict[str, Any]) -> None:
        step = getattr(self, name, None)
        if step is not None:
            step(row)

    def api_error(self, row: dict[str, Any]) -> None:
        assert errors.notice(row["code"], row["message"]).advice
        assert (errors.farm(row["code"], row["message"]) is not None) == (2100 < row["code"] < 2160)

    def open_order(self, row: dict[str, Any]) -> None:
        self.orders[row["order_id"]] = transcript_order(row)
        state = convert_orders.to_order(self.orders[row["order_id"]], "", 1)
        assert (state.order_id, state.quantity) == (row["perm_id"], float(row["quantity"]))
        assert (state.limit_price is None) == (row["order_type"] not in ("LMT", "STP LMT", "REL"))

    def order_status(self, row: dict[str, Any]) -> None:
        if row["order_id"] not in self.orders:
            return
        status = self.orders[row["order_id"]].orderStatus
        status.status, status.filled = row["status"], float(row["filled"])
        status.remaining, status.avgFillPrice = float(row["remaining"]), float(row["avg_fill_price"])
        state = convert_orders.to_order(self.orders[row["order_id"]], "", 1)
        assert (state.status.value, state.filled) == (row["status"], float(row["filled"]))
        assert (state.average_price is None) == (state.filled == 0)

    def execution_detail(self, row: dict[str, Any]) -> None:
        time_ns = numbers.time_ns(row["time"])
        assert time_ns is not None
        trade = self.orders.get(row["order_id"])
        execution = ib_async.Execution(
            execId=row["exec_id"],
            time=datetime.fromtimestamp(time_ns / 1e9).astimezone(),
            acctNumber=row["account"],
            side=row["side"],
            shares=float(row["shares"]),
            price=float(row["price"]),
            permId=trade.order.permId if trade is not None else 0,
        )
        contract = trade.contract if trade is not None else ib_async.Contract(symbol=row["symbol"])
        fill = ib_async.Fill(contract, execution, ib_async.CommissionReport(), execution.time)
        self.fills[row["exec_id"]] = fill
        told = convert_orders.to_execution(fill)
        assert told is not None
        assert told.side is (Side.BUY if row["side"] == "BOT" else Side.SELL)
        assert (told.time_ns, told.commission) == (time_ns, None)

    def commission_report(self, row: dict[str, Any]) -> None:
        realised = float(row["realized_pnl"])
        report = ib_async.CommissionReport(row["exec_id"], float(row["commission"]), row["currency"], realised)
        told = convert_orders.to_execution(self.fills[row["exec_id"]]._replace(commissionReport=report))
        assert told is not None
        assert told.commission == float(row["commission"])
        assert told.realised == (None if row["realized_pnl"].endswith("E308") else realised)

    def completed_order(self, row: dict[str, Any]) -> None:
        trade = transcript_order(row)
        trade.order.filledQuantity = float(row["filled"])
        ended = ib_async.OrderState(status=row["status"])
        state = convert_orders.to_completed(trade.contract, trade.order, ended, 1)
        assert (state.status.value, state.filled) == (row["status"], float(row["filled"]))

    def account_summary(self, row: dict[str, Any]) -> None:
        raw = ib_async.AccountValue(row["account"], row["tag"], row["value"], row["currency"], "")
        value = convert.to_account_value(raw)
        assert value is not None
        assert value.value == float(row["value"])

    def contract_details(self, row: dict[str, Any]) -> None:
        raw = ib_async.ContractDetails(
            contract=transcript_contract(row["contract"]),
            minTick=float(row["min_tick"]),
            longName=row["long_name"],
            timeZoneId=row["time_zone_id"],
        )
        details = convert.to_details(raw)
        assert details is not None
        assert (details.contract.name, details.tick_size, details.trading) == ("APPLE INC", 0.01, ())

    def historical_bar(self, row: dict[str, Any]) -> None:
        bar = ib_async.BarData(date=row["time"], close=float(row["close"]))
        assert convert.to_daily_bars([bar]) == (DailyBar("20260402", float(row["close"])),)


def test_conversations_with_a_live_paper_gateway(folder: Path) -> None:
    seen = Counter[str]()
    paths = sorted((folder / "ibkr_go_transcripts").glob("*.txt"))
    assert len(paths) == 15
    for path in paths:
        conversation = Conversation()
        for name, row in transcript(path):
            seen[name] += 1
            conversation.take(name, row)
    assert seen["execution_detail"] == 9
    assert seen["commission_report"] == 4
    assert {"open_order", "order_status", "completed_order", "account_summary", "historical_bar"} < set(seen)
    unheard = {name for name in seen if not hasattr(Conversation, name)}
    ends = {"account_summary_end", "completed_order_end", "contract_details_end", "historical_bars_end"}
    assert unheard <= {"managed_accounts", "next_valid_id", "open_order_end", "execution_details_end", *ends}
