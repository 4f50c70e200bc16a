"""What the Client Portal Gateway says, message by message: prefixes and suffixes, changes, rows that make no sense."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import (
    AccountPnl,
    AccountsSeen,
    AccountValue,
    LineRefused,
    PositionPnl,
    PositionsListed,
    Severity,
    Tag,
)
from app.domain.contracts import Right, SecType
from app.domain.errors import BadFrameError
from app.domain.orders import ExecutionSeen, OrderSeen, OrdersListed, OrderStatus, Side
from app.domain.quotes import DataKind, QuoteField
from app.venues.ibkr_portal import answers
from app.venues.ibkr_portal.intake import PAGE_ROWS, PortalIntake, Taken
from app.venues.ibkr_portal.protocol import Beat, LoginSeen, OrdersIncomplete, Said, SessionSeen
from app.venues.ibkr_portal.secrets import blanked
from app.venues.ibkr_portal.values import amount, read, whole, written_ns

NOW_NS = 1_795_000_000_000_000_000
ACCOUNT = "DU1234567"
AAPL = 265598
NAN = float("nan")


def frame(intake: PortalIntake, message: object) -> Taken:
    """Give a frame to an intake."""
    return intake.on_frame(NOW_NS, json.dumps(message))


def answer(intake: PortalIntake, path: str, body: object) -> Taken:
    """Give an answer to an intake."""
    return intake.on_rest(NOW_NS, path, json.dumps(body))


def quote(intake: PortalIntake, **fields: object) -> dict[int, float]:
    """Return what a message with these figures (f31=...) says."""
    row = {name.removeprefix("f"): value for name, value in fields.items()}
    taken = frame(intake, {"topic": f"smd+{AAPL}", "conid": AAPL, "_updated": 1_712_596_911_593, **row})
    return dict(taken.quotes[0].values) if taken.quotes else {}


# -- figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "value", "prefix"),
    [
        ("189.60", 189.6, ""),
        ("C189.6", 189.6, "C"),
        ("H 189.6", 189.6, "H"),
        ("1,300", 1300.0, ""),
        ("1,234,567.5", 1_234_567.5, ""),
        ("12.3K", 12_300.0, ""),
        ("12.2M", 12_200_000.0, ""),
        ("1.5B", 1.5e9, ""),
        ("31.4%", 31.4, ""),
        ("-0.52", -0.52, ""),
        ("+3", 3.0, ""),
        (".5", 0.5, ""),
        ("1.22E7", 12_200_000.0, ""),
        (84, 84.0, ""),
        (84.5, 84.5, ""),
    ],
)
def test_figures_are_read(raw: object, value: float, prefix: str) -> None:
    reading = read(raw)
    assert reading.value == pytest.approx(value)
    assert (reading.prefix, reading.readable) == (prefix, True)


@pytest.mark.parametrize("raw", ["", "  ", None])
def test_nothing_is_not_a_fault(raw: object) -> None:
    reading = read(raw)
    assert math.isnan(reading.value)
    assert reading.readable


@pytest.mark.parametrize(
    "raw",
    [
        "n/a",
        "C",
        "H",
        "1,3,00",
        "1,3000",
        "12.3Q",
        "--",
        "nan",
        "inf",
        "1e999",
        "9" * 100,
        True,
        [],
        {},
        "0x1F",
        "１２",
    ],
)
def test_what_makes_no_sense_is_unknown_and_counted(raw: object) -> None:
    reading = read(raw)
    assert math.isnan(reading.value)
    assert not reading.readable
    assert amount(raw) is None


@pytest.mark.parametrize("raw", [1.7976931348623157e308, float("inf"), float("nan"), 10**400])
def test_sentinels_die(raw: float) -> None:
    assert amount(raw) is None


@pytest.mark.parametrize("raw", [692512000, "19690101-00:00:00", "99991231-23:59:59", "00010101-00:00:00"])
def test_times_outside_our_days_are_none(raw: object) -> None:
    assert written_ns(raw) == 0


@given(st.text(max_size=40) | st.integers() | st.floats() | st.booleans() | st.none())
def test_any_value_can_be_read(raw: Any) -> None:
    value = read(raw).value
    assert math.isnan(value) or math.isfinite(value)
    assert whole(raw) >= 0
    assert written_ns(raw) >= 0


# -- quotes ------------------------------------------------------------------------------------------------------------


def test_a_closing_price_is_not_a_trade_of_today() -> None:
    values = quote(PortalIntake(), f31="C189.60", f84="C189.5", f86="C189.7")
    assert math.isnan(values[QuoteField.LAST])
    assert values[QuoteField.CLOSE] == 189.6
    assert (values[QuoteField.BID], values[QuoteField.ASK], values[QuoteField.HALTED]) == (189.5, 189.7, 0.0)


def test_the_prior_close_counts_more_than_a_prefix() -> None:
    assert quote(PortalIntake(), f31="C189.60", f7741="189.61")[QuoteField.CLOSE] == 189.61


def test_a_halt_is_told_and_ends() -> None:
    intake = PortalIntake()
    halted = quote(intake, f31="H22.5")
    assert (halted[QuoteField.LAST], halted[QuoteField.HALTED]) == (22.5, 1.0)
    assert quote(intake, f31="22.6")[QuoteField.HALTED] == 0.0


def test_only_what_came_is_told() -> None:
    values = quote(PortalIntake(), f84="189.55")
    assert values == {QuoteField.BID: 189.55}


def test_a_bid_that_is_gone_is_told_as_gone() -> None:
    values = quote(PortalIntake(), f84="", f86="-1", f88=None)
    assert set(values) == {QuoteField.BID, QuoteField.ASK, QuoteField.BID_SIZE}
    assert all(math.isnan(value) for value in values.values())


def test_negative_prices_of_what_can_have_them_stay() -> None:
    assert quote(PortalIntake(), f84="-37.63")[QuoteField.BID] == -37.63


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("RpB", DataKind.LIVE),
        ("DPB", DataKind.DELAYED),
        ("ZpB", DataKind.FROZEN),
        ("YPB", DataKind.DELAYED_FROZEN),
    ],
)
def test_how_fresh_a_quote_is(word: str, kind: DataKind) -> None:
    assert quote(PortalIntake(), f6509=word)[QuoteField.KIND] == kind


def test_what_is_not_subscribed_is_refused_without_a_quote() -> None:
    taken = frame(PortalIntake(), {"topic": f"smd+{AAPL}", "conid": AAPL, "6509": "N", "84": "1"})
    assert taken.quotes == []
    (refused,) = taken.events
    assert isinstance(refused, LineRefused)
    assert (refused.con_id, refused.limit) == (AAPL, False)


def test_the_finest_volume_wins() -> None:
    intake = PortalIntake()
    assert quote(intake, f87="12.3K")[QuoteField.VOLUME] == 12_300.0
    first = frame(intake, {"topic": f"smd+{AAPL}", "conid": AAPL, "87": "12.3K", "87_raw": 12_345.0})
    assert first.quotes[0].values[QuoteField.VOLUME] == 12_345.0
    assert quote(intake, f87="12.4K", f7762="12,351")[QuoteField.VOLUME] == 12_351.0
    assert quote(intake, f87="12.4K") == {}
    intake.restarted()
    assert quote(intake, f87="12.5K")[QuoteField.VOLUME] == 12_500.0


def test_volatilities_become_fractions() -> None:
    intake = PortalIntake()
    values = quote(intake, f7283="31.4%", f7087="22.0%")
    assert values[QuoteField.IV] == pytest.approx(0.314)
    assert values[QuoteField.HIST_VOL] == pytest.approx(0.22)
    option = quote(intake, f7283="31.4%", f7633="40%", f7308="0.55", f7309="0.02", f7310="-0.05", f7311="0.3")
    assert option[QuoteField.IV] == pytest.approx(0.4)
    assert [option[field] for field in (QuoteField.DELTA, QuoteField.GAMMA, QuoteField.THETA, QuoteField.VEGA)] == [
        0.55,
        0.02,
        -0.05,
        0.3,
    ]


def test_numbers_are_taken_as_numbers_and_the_time_along() -> None:
    intake = PortalIntake()
    taken = frame(intake, {"topic": f"smd+{AAPL}@ARCA", "conidEx": f"{AAPL}@ARCA", "_updated": 1, "84": 84, "86": 84.5})
    (update,) = taken.quotes
    assert (update.con_id, update.event_ns) == (AAPL, 1_000_000)
    assert dict(update.values) == {QuoteField.BID: 84.0, QuoteField.ASK: 84.5}


def test_a_preflight_answer_says_nothing() -> None:
    taken = answer(PortalIntake(), "/iserver/marketdata/snapshot?conids=1", [{"conid": AAPL, "conidEx": "265598"}])
    assert (taken.quotes, taken.events) == ([], [])


def test_the_daily_figure_of_a_position_is_told_where_the_account_is_certain() -> None:
    intake = PortalIntake()
    assert frame(intake, {"topic": f"smd+{AAPL}", "conid": AAPL, "78": "-12.5"}).events == []
    answer(intake, "/iserver/accounts", {"accounts": [ACCOUNT]})
    taken = frame(intake, {"topic": f"smd+{AAPL}", "conid": AAPL, "78": "-1,212.5"})
    assert taken.events == [PositionPnl(ACCOUNT, AAPL, -1212.5, None, None, None)]


# -- the session -------------------------------------------------------------------------------------------------------


def test_first_frames() -> None:
    intake = PortalIntake()
    assert frame(intake, {"message": "waiting for session"}) == Taken([], [], [])
    assert frame(intake, {"topic": "system", "success": "", "isFT": False, "isPaper": True}).news == [LoginSeen(True)]
    assert frame(intake, {"topic": "system", "hb": 1_712_596_911_593}).news == [Beat(1_712_596_911_593_000_000)]
    taken = frame(intake, {"topic": "act", "args": {"accounts": [ACCOUNT, "All"], "isPaper": True}})
    assert taken.events == [AccountsSeen((ACCOUNT,))]
    assert frame(intake, {"topic": "act", "args": {"accounts": [ACCOUNT]}}).events == []  # nothing new
    (news,) = frame(intake, {"topic": "sts", "args": {"authenticated": False, "competing": True, "fail": "x"}}).news
    assert news == SessionSeen(False, True, None, "x", "", streamed=True)
    assert intake.on_frame(NOW_NS, "tic") == Taken([], [], [])
    assert frame(intake, {"topic": "tic", "alive": True, "id": "x"}) == Taken([], [], [])


def test_messages_of_the_broker() -> None:
    intake = PortalIntake()
    (news,) = frame(intake, {"topic": "ntf", "args": {"id": "1", "title": "Order rejected", "text": "No margin"}}).news
    assert isinstance(news, Said)
    assert (news.notice.text, news.notice.severity) == ("Order rejected: No margin", Severity.INFO)
    assert len(frame(intake, {"topic": "ntf", "args": [{"text": "a"}, {"text": "b"}, 7]}).news) == 2
    assert intake.bad_rows == 1
    (bulletin,) = frame(intake, {"topic": "blt", "args": {"id": "1", "message": "CBOE is late"}}).news
    assert isinstance(bulletin, Said)
    assert bulletin.notice.text == "CBOE is late"


@pytest.mark.parametrize(
    "message",
    [
        {"topic": "error", "args": {"error": "not authenticated", "code": 401}},
        {"error": "not authenticated", "code": 401},
        {"topic": "error", "error": "not authenticated", "code": "401"},
    ],
)
def test_errors_in_all_their_shapes(message: object) -> None:
    (news,) = frame(PortalIntake(), message).news
    assert isinstance(news, Said)
    assert (news.notice.code, news.notice.text) == (401, "not authenticated")
    assert "Log in" in news.notice.advice


def test_an_error_about_a_contract_refuses_its_line() -> None:
    args = {"error": "Max number of tickers has been reached", "topic": f"smd+{AAPL}+{{}}"}
    taken = frame(PortalIntake(), {"topic": "error", "args": args})
    assert taken.events == [LineRefused(AAPL, 1, "Max number of tickers has been reached", limit=True)]


# -- the account -------------------------------------------------------------------------------------------------------


def test_profit_and_loss_is_merged_and_never_added_up_wrongly() -> None:
    intake = PortalIntake()
    key = f"{ACCOUNT}.Core"
    frame(intake, {"topic": "spl", "args": {key: {"rowType": 1, "dpl": 15.7, "nl": 10_000.0, "upl": 607.0}}})
    taken = frame(intake, {"topic": "spl", "args": {key: {"dpl": 16.0}}})
    assert taken.events[0] == AccountPnl(ACCOUNT, 16.0, 607.0, None)
    answer(intake, f"/portfolio/{ACCOUNT}/ledger", {"BASE": {"realizedpnl": 12.5, "secondkey": "BASE"}})
    taken = frame(intake, {"topic": "spl", "args": {key: {"upl": 608.0}, f"{ACCOUNT}.Model": {"dpl": 4.0, "upl": 2.0}}})
    assert taken.events[0] == AccountPnl(ACCOUNT, 20.0, 610.0, 12.5)


def test_summary_rows_with_and_without_news() -> None:
    rows = [
        {"key": "NetLiquidation", "timestamp": 1, "currency": "USD", "monetaryValue": 10_000.0},
        {"key": "NetLiquidation-S", "timestamp": 1, "currency": "USD", "monetaryValue": 9_000.0},
        {"key": "BuyingPower", "timestamp": 1},
        {"key": "Cushion", "timestamp": 1, "value": "0.64"},
        {"key": "ExcessLiquidity", "currency": "USD", "monetaryValue": 1.7976931348623157e308},
    ]
    taken = frame(PortalIntake(), {"topic": f"ssd+{ACCOUNT}", "result": rows})
    assert taken.events == [
        AccountValue(ACCOUNT, Tag.NET_LIQUIDATION, "USD", 10_000.0),
        AccountValue(ACCOUNT, "NetLiquidation-S", "USD", 9_000.0),
        AccountValue(ACCOUNT, Tag.CUSHION, "", 0.64),
        AccountValue(ACCOUNT, Tag.EXCESS_LIQUIDITY, "USD", None),
    ]


def test_ledger_rows_of_the_stream_are_spelled_otherwise() -> None:
    intake = PortalIntake()
    rows = [
        {"key": "LedgerListEUR", "timestamp": 1, "cashBalance": 50.5, "exchangeRate": 1.08, "secondKey": "EUR"},
        {"key": "LedgerListBASE", "cashBalance": 100.0, "exchangeRate": 1},
        {"key": "", "cashBalance": 1.0},
    ]
    taken = frame(intake, {"topic": f"sld+{ACCOUNT}", "result": rows})
    assert taken.events == [
        AccountValue(ACCOUNT, Tag.CASH_BALANCE, "EUR", 50.5),
        AccountValue(ACCOUNT, Tag.EXCHANGE_RATE, "EUR", 1.08),
        AccountValue(ACCOUNT, Tag.CASH_BALANCE, "BASE", 100.0),
    ]
    assert intake.currencies[ACCOUNT] == ("EUR", "BASE")
    assert intake.bad_rows == 1


def test_an_account_that_is_gone_is_not_told_of_any_more() -> None:
    intake = PortalIntake()
    answer(intake, "/iserver/accounts", {"accounts": [ACCOUNT, "DU7"]})
    answer(intake, "/iserver/accounts", {"accounts": [ACCOUNT, "DU7654321"]})
    taken = frame(intake, {"topic": "act", "args": {"accounts": ["DU7654321"]}})
    assert taken.events == [AccountsSeen(("DU7654321",))]
    late = answer(intake, f"/portfolio2/{ACCOUNT}/positions", [{"conid": 1, "position": 5}])
    assert late.events == []
    assert frame(intake, {"topic": "spl", "args": {f"{ACCOUNT}.Core": {"dpl": 1.0}}}).events == []


# -- positions ---------------------------------------------------------------------------------------------------------


OPTION = {
    "conid": "700000187",
    "position": -2.0,
    "avgCost": 512.5,
    "avgPrice": 5.125,
    "marketPrice": 4.5,
    "marketValue": -900.0,
    "realizedPnl": 0.0,
    "unrealizedPnl": 125.0,
    "currency": "USD",
    "secType": "OPT",
    "description": "AAPL DEC2026 235 C [AAPL  261218C00235000 100]",
}


def test_an_option_is_read_out_of_its_description() -> None:
    taken = answer(PortalIntake(), f"/portfolio2/{ACCOUNT}/positions", [OPTION])
    (listed,) = taken.events
    assert isinstance(listed, PositionsListed)
    (position,) = listed.positions
    contract = position.contract
    assert (contract.symbol, contract.expiry, contract.strike) == ("AAPL", "20261218", 235.0)
    assert (contract.right, contract.multiplier, contract.sec_type) == (Right.CALL, 100.0, SecType.OPTION)
    assert contract.local_symbol == "AAPL  261218C00235000"
    assert (position.quantity, position.average_cost, position.market_value) == (-2.0, 512.5, -900.0)


def test_a_multiplier_that_nobody_names_follows_from_the_costs() -> None:
    future = {**OPTION, "secType": "FUT", "description": "ES DEC2026", "avgCost": 327_037.5, "avgPrice": 6540.75}
    (listed,) = answer(PortalIntake(), f"/portfolio2/{ACCOUNT}/positions", [future]).events
    assert isinstance(listed, PositionsListed)
    contract = listed.positions[0].contract
    assert (contract.multiplier, contract.expiry, contract.sec_type) == (50.0, "202612", SecType.FUTURE)


@pytest.mark.parametrize(
    ("words", "expiry", "strike", "right"),
    [
        ("SPX NOV2026 3800 P", "202611", 3800.0, Right.PUT),
        ("AAPL Dec 18 '26 200 Call", "20261218", 200.0, Right.CALL),
        ("AAPL DEC 5 '26 42.5 C", "20261205", 42.5, Right.CALL),
        ("ES DEC26", "202612", 0.0, Right.NONE),
        ("AAPL", "", 0.0, Right.NONE),
    ],
)
def test_contracts_in_words(words: str, expiry: str, strike: float, right: Right) -> None:
    kind = "OPT" if strike else "FUT"
    (listed,) = answer(
        PortalIntake(), f"/portfolio2/{ACCOUNT}/positions", [{**OPTION, "secType": kind, "description": words}]
    ).events
    assert isinstance(listed, PositionsListed)
    contract = listed.positions[0].contract
    assert (contract.expiry, contract.strike, contract.right) == (expiry, strike, right)


def test_a_definition_completes_what_a_row_left_open() -> None:
    intake = PortalIntake()
    answer(intake, f"/portfolio2/{ACCOUNT}/positions", [{**OPTION, "description": "AAPL"}])
    assert intake.contracts.missing() == [700000187]
    row = {
        "conid": 700000187,
        "ticker": "AAPL",
        "assetClass": "OPT",
        "currency": "USD",
        "expiry": "20261218",
        "strike": "235",
        "putOrCall": "C",
        "multiplier": 100.0,
        "undConid": AAPL,
        "listingExchange": "",
        "name": "APPLE INC",
    }
    answer(intake, "/trsrv/secdef?conids=700000187", {"secdef": [row, "rubbish", {}]})
    assert intake.bad_rows == 2
    (listed,) = answer(intake, f"/portfolio2/{ACCOUNT}/positions", [OPTION]).events
    assert isinstance(listed, PositionsListed)
    contract = listed.positions[0].contract
    assert (contract.underlying_con_id, contract.name, contract.label) == (AAPL, "APPLE INC", "AAPL 18 Dec 26 235 C")
    assert intake.contracts.missing() == []


def test_contracts_are_not_asked_for_without_end() -> None:
    intake = PortalIntake()
    answer(intake, f"/portfolio2/{ACCOUNT}/positions", [OPTION])
    for _ in range(3):
        intake.contracts.asked(intake.contracts.missing())
    assert intake.contracts.missing() == []


def test_positions_are_told_when_the_last_page_has_come() -> None:
    intake = PortalIntake()
    page = [{"conid": number, "position": 1.0, "assetClass": "STK"} for number in range(1, PAGE_ROWS + 1)]
    path = f"/portfolio/{ACCOUNT}/positions"
    assert answer(intake, f"{path}/0", page).events == []
    assert intake.expects_page(ACCOUNT)
    (listed,) = answer(intake, f"{path}/1", [{"conid": 500, "position": 2.0}]).events
    assert isinstance(listed, PositionsListed)
    assert [each.contract.con_id for each in listed.positions] == [*range(1, 101), 500]
    assert not intake.expects_page(ACCOUNT)


def test_closed_and_senseless_positions_are_left_out() -> None:
    intake = PortalIntake()
    rows = [
        {"conid": 1, "position": 0.0},
        {"conid": -5, "position": 1},
        {"conid": 2},
        7,
        {"conid": 3, "position": "1,5"},
    ]
    (listed,) = answer(intake, f"/portfolio2/{ACCOUNT}/positions", rows).events
    assert isinstance(listed, PositionsListed)
    assert listed.positions == ()
    assert intake.bad_rows == 4


# -- orders and fills --------------------------------------------------------------------------------------------------


ORDER = {
    "acct": ACCOUNT,
    "conid": AAPL,
    "orderId": 922048212,
    "ticker": "AAPL",
    "secType": "STK",
    "side": "BUY",
    "status": "PreSubmitted",
    "orderType": "Limit",
    "price": "1,180.00",
    "remainingQuantity": 100,
    "filledQuantity": 0,
    "sizeAndFills": "0/100",
    "timeInForce": "DAY",
    "order_ref": "mine",
    "lastExecutionTime_r": 1_795_000_000_500,
}


def orders(taken: Taken) -> list[Any]:
    """Return the orders that were told."""
    return [event.order for event in taken.events if isinstance(event, OrderSeen)]


def test_changes_of_an_order_are_merged_by_its_number() -> None:
    intake = PortalIntake()
    (order,) = orders(frame(intake, {"topic": "sor", "args": [ORDER]}))
    assert (order.order_id, order.status, order.limit_price) == ("922048212", OrderStatus.PRE_SUBMITTED, 1180.0)
    assert (order.quantity, order.filled, order.remaining) == (100.0, 0.0, 100.0)
    assert (order.reference, order.updated_ns) == ("mine", 1_795_000_000_500_000_000)
    change = {"orderId": 922048212, "status": "Submitted", "filledQuantity": 40, "remainingQuantity": 60}
    (order,) = orders(frame(intake, {"topic": "sor", "args": [change]}))
    assert (order.status, order.filled, order.remaining, order.quantity) == (OrderStatus.SUBMITTED, 40.0, 60.0, 100.0)
    assert (order.side, order.contract.symbol, order.updated_ns) == (Side.BUY, "AAPL", NOW_NS)
    assert orders(frame(intake, {"topic": "sor", "args": [change]})) == []  # nothing new


def test_a_change_of_an_unknown_order_asks_for_the_list() -> None:
    intake = PortalIntake()
    taken = frame(intake, {"topic": "sor", "args": [{"orderId": 5, "status": "Filled"}]})
    assert (taken.events, taken.news) == ([], [OrdersIncomplete()])
    listed = answer(intake, "/iserver/account/orders", {"orders": [{**ORDER, "orderId": 5}], "snapshot": True})
    assert [order.order_id for order in orders(listed)] == ["5"]


def test_the_list_names_the_orders_that_work() -> None:
    intake = PortalIntake()
    done = {**ORDER, "orderId": 6, "status": "Filled"}
    path = "/iserver/account/orders"
    taken = answer(intake, path, {"orders": [ORDER, done], "snapshot": True})
    assert taken.events[-1] == OrdersListed(known=True, reason="", order_ids=frozenset({"922048212"}))
    assert not [
        event
        for taken in (
            answer(intake, path, {"orders": [], "snapshot": False}),
            answer(intake, f"{path}?force=true", {"orders": [], "snapshot": True}),
        )
        for event in taken.events
    ]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pre_submitted", OrderStatus.PRE_SUBMITTED),
        ("PendingCancel", OrderStatus.PENDING_CANCEL),
        ("Inactive", OrderStatus.INACTIVE),
        ("Rejected", OrderStatus.INACTIVE),
        ("WarnState", OrderStatus.UNKNOWN),
        ("", OrderStatus.UNKNOWN),
    ],
)
def test_statuses(word: str, status: OrderStatus) -> None:
    (order,) = orders(frame(PortalIntake(), {"topic": "sor", "args": [{**ORDER, "status": word}]}))
    assert (order.status, order.status_text) == (status, word)


def test_stop_orders_and_reasons() -> None:
    stop = {**ORDER, "orderType": "Stop", "price": "170", "order_cancellation_by_system_reason": "No shares to borrow"}
    (order,) = orders(frame(PortalIntake(), {"topic": "sor", "args": [stop]}))
    assert (order.stop_price, order.limit_price, order.reason) == (170.0, None, "No shares to borrow")
    both = {**ORDER, "orderType": "Stop Limit", "auxPrice": "171"}
    (order,) = orders(frame(PortalIntake(), {"topic": "sor", "args": [both]}))
    assert (order.stop_price, order.limit_price) == (171.0, 1180.0)


def test_orders_and_fills_that_make_no_sense_are_counted() -> None:
    intake = PortalIntake()
    frame(intake, {"topic": "sor", "args": [{"status": "Filled"}, "x", {"orderId": "abc"}]})
    assert intake.bad_rows == 3
    frame(intake, {"topic": "str", "args": [{}, TRADE | {"size": 0}, TRADE | {"price": ""}, TRADE | {"side": "?"}]})
    assert intake.bad_rows == 7


def test_old_orders_are_let_go_before_working_ones() -> None:
    intake = PortalIntake()
    frame(intake, {"topic": "sor", "args": [{**ORDER, "orderId": 1}]})
    rows = [{**ORDER, "orderId": number, "status": "Filled"} for number in range(2, 5003)]
    frame(intake, {"topic": "sor", "args": rows})
    assert intake.dropped == 2
    taken = frame(intake, {"topic": "sor", "args": [{"orderId": 1, "status": "Submitted"}]})
    assert [order.order_id for order in orders(taken)] == ["1"]


TRADE = {
    "execution_id": "0000e0d5.65c.01.01",
    "symbol": "AAPL",
    "side": "B",
    "trade_time": "20260720-14:02:31",
    "size": 5,
    "price": "189.6",
    "exchange": "ISLAND",
    "account": ACCOUNT,
    "conid": AAPL,
    "order_id": 922048212,
    "sec_type": "STK",
}


def test_a_fill_is_told_once_and_again_with_its_commission() -> None:
    intake = PortalIntake()
    (told,) = frame(intake, {"topic": "str", "args": [TRADE]}).events
    assert isinstance(told, ExecutionSeen)
    fill = told.execution
    assert (fill.quantity, fill.price, fill.commission, fill.side) == (5.0, 189.6, None, Side.BUY)
    assert fill.time_ns == 1_784_556_151_000_000_000
    assert frame(intake, {"topic": "str", "args": [TRADE]}).events == []
    (paid,) = answer(intake, "/iserver/account/trades?days=7", [TRADE | {"commission": "1.01"}]).events
    assert isinstance(paid, ExecutionSeen)
    assert paid.execution.commission == 1.01
    assert frame(intake, {"topic": "str", "args": [TRADE]}).events == []  # the older words do not take it away


def test_orders_and_fills_are_told_again_when_their_contract_is_clearer() -> None:
    intake = PortalIntake()
    frame(intake, {"topic": "sor", "args": [{**ORDER, "secType": "OPT", "ticker": "AAPL"}]})
    frame(intake, {"topic": "str", "args": [TRADE]})
    row = {"conid": AAPL, "ticker": "AAPL", "assetClass": "OPT", "currency": "USD", "strike": "200", "putOrCall": "P"}
    taken = answer(intake, "/trsrv/secdef", {"secdef": [row]})
    assert [type(event) for event in taken.events] == [OrderSeen, ExecutionSeen]
    assert {event.order.contract.right for event in taken.events if isinstance(event, OrderSeen)} == {Right.PUT}


# -- what is malformed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"{not json",
        b"\xff\xfe\x00",
        b"[1,2]",
        b"7",
        b'"text"',
        b"null",
        b"{}",
        b'{"topic":7}',
        b'{"topic":"sts"}',
        b'{"topic":"sts","args":[]}',
        b'{"topic":"spl","args":[]}',
        b'{"topic":"ssd+","result":[]}',
        b'{"topic":"ssd+../x","result":[]}',
        b'{"topic":"sor","args":{}}',
        b'{"topic":"smd+x","84":"1"}',
        b'{"topic":"system","isPaper":"yes"}',
        b"[" * 100_000,
        b'{"topic":"smd+265598","conid":265598,"84":' + b"[" * 100_000,
    ],
)
def test_malformed_frames_are_refused(raw: bytes) -> None:
    intake = PortalIntake()
    with pytest.raises(BadFrameError):
        intake.on_frame(NOW_NS, raw)


def test_topics_without_use_are_counted() -> None:
    intake = PortalIntake()
    assert frame(intake, {"topic": "smh+265598", "data": []}) == Taken([], [], [])
    assert answer(intake, "/iserver/account/alerts", []) == Taken([], [], [])
    assert intake.ignored == 2


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))
TOPICS = ("smd+265598", "spl", "ssd+DU1234567", "sld+DU1234567", "sor", "str", "sts", "act", "system", "ntf", "error")
PATHS = (
    "/iserver/auth/status",
    "/tickle",
    "/sso/validate",
    "/iserver/accounts",
    "/portfolio/accounts",
    f"/portfolio/{ACCOUNT}/summary",
    f"/portfolio/{ACCOUNT}/ledger",
    f"/portfolio/{ACCOUNT}/positions/0",
    f"/portfolio2/{ACCOUNT}/positions",
    "/iserver/account/pnl/partitioned",
    "/iserver/account/orders",
    "/iserver/account/trades",
    "/iserver/marketdata/snapshot",
    "/iserver/contract/265598/info-and-rules",
    "/contract/trading-schedule?conid=265598",
    "/trsrv/secdef?conids=1",
    "/iserver/scanner/run?scan=x&rows=5",
    "/iserver/watchlist?id=1",
)
ROWS = st.dictionaries(
    st.sampled_from(sorted({*ORDER, *TRADE, *OPTION, "31", "84", "6509", "87", "conid", "key", "amount", "value"})),
    SCALARS | st.sampled_from([AAPL, ACCOUNT, "C1", "H", "BUY", "Filled", "OPT"]),
    max_size=12,
)


def held_to_the_contract(taken: Taken) -> None:
    """Check what must be true of anything that is told."""
    for update in taken.quotes:
        assert update.con_id > 0
        assert update.event_ns >= 0
        assert all(math.isnan(value) or math.isfinite(value) for value in update.values.values())
    for event in taken.events:
        if isinstance(event, AccountValue) and event.value is not None:
            assert math.isfinite(event.value)
        if isinstance(event, OrderSeen):
            assert event.order.contract.con_id > 0
            assert event.order.contract.multiplier > 0.0


@given(st.sampled_from(TOPICS), JSON | st.lists(ROWS, max_size=3) | st.dictionaries(st.just(f"{ACCOUNT}.Core"), ROWS))
def test_no_content_of_a_frame_ends_the_intake(topic: str, content: Any) -> None:
    intake = PortalIntake()
    row = content if isinstance(content, dict) else {}
    raw = json.dumps({**row, "topic": topic, "args": content, "result": content})
    try:
        held_to_the_contract(intake.on_frame(NOW_NS, raw))
    except BadFrameError:
        return


@given(st.sampled_from(PATHS), JSON | st.lists(ROWS, max_size=3) | ROWS | st.dictionaries(st.text(max_size=4), ROWS))
def test_no_answer_ends_the_intake(path: str, content: Any) -> None:
    intake = PortalIntake()
    body = {"secdef": content, "orders": content, "contracts": content, "upnl": content, "instruments": content}
    for told in (content, body):
        try:
            held_to_the_contract(intake.on_rest(NOW_NS, path, json.dumps(told)))
        except BadFrameError:
            continue


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_bytes_end_the_intake(raw: Any) -> None:
    try:
        held_to_the_contract(PortalIntake().on_frame(NOW_NS, raw))
    except BadFrameError:
        return


# -- questions, secrets ------------------------------------------------------------------------------------------------


def test_days_become_the_shortest_period() -> None:
    assert [answers.period_of(days) for days in (5, 20, 21, 61, 250, 251, 999)] == [
        "1m",
        "1m",
        "3m",
        "6m",
        "1y",
        "2y",
        "4y",
    ]


def test_bars_have_the_day_of_their_exchange() -> None:
    sydney = {"data": [{"c": 10.0, "t": 1_795_042_800_000}, {"c": None, "t": 1}, {"c": 11.0, "t": 1_795_129_200_000}]}
    body = json.dumps(sydney).encode()
    assert [bar.day for bar in answers.daily_bars(body, 5, "Australia/Sydney")] == ["20261119", "20261120"]
    assert [bar.close for bar in answers.daily_bars(body, 1, "nowhere/land")] == [11.0]


def test_secrets_are_taken_out() -> None:
    raw = (
        b'{"session":"4f5e\\"x","ssoExpires":460311,"userId" : 123,'
        b'"iserver":{"authStatus":{"MAC":"98:F2","connected":true}},"sessionId":"65ee8a41.0000001e","success":"trader"}'
    )
    told = json.loads(blanked(raw))
    assert told["session"] == told["sessionId"] == told["success"] == told["userId"] == ""
    assert told["iserver"]["authStatus"] == {"MAC": "", "connected": True}
    assert told["ssoExpires"] == 460311
    quiet = b'{"topic":"smd+265598","31":"189.60"}'
    assert blanked(quiet) is quiet
