from __future__ import annotations

import math
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import ib_async
import pytest

from app.domain.account import AccountValue
from app.domain.contracts import Contract, DailyBar, Right, SecType, Session
from app.domain.orders import OrderStatus, Side
from app.domain.quotes import QuoteField
from app.venues.ibkr_tws import convert, convert_orders, convert_quotes, hours, numbers

UNSET = sys.float_info.max
F = QuoteField


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, 1.5),
        ("2000000.57", 2000000.57),
        ("-0", 0.0),
        (0, 0.0),
        (-1, -1.0),
        (UNSET, None),
        (-UNSET, None),
        ("1.7976931348623157E308", None),
        (2**31 - 1, None),
        ("2147483647", None),
        (2**63 - 1, None),
        ("-9223372036854775808", None),
        (math.inf, None),
        ("Infinite", None),
        (math.nan, None),
        ("", None),
        ("JOINT", None),
        (None, None),
        (True, None),
    ],
)
def test_signs_for_none_are_no_numbers(value: object, expected: float | None) -> None:
    assert numbers.number(value) == expected


@pytest.mark.parametrize(
    ("text", "fallback", "expected"),
    [
        ("20261120 09:31:02 US/Eastern", None, "2026-11-20T09:31:02-05:00"),
        ("20260720 09:31:02 US/Eastern", None, "2026-07-20T09:31:02-04:00"),
        ("20260720 09:31:02 EST", None, "2026-07-20T09:31:02-04:00"),
        ("20230224  12:04:56", "Europe/Berlin", "2023-02-24T12:04:56+01:00"),
        ("20260413-15:27:04", None, "2026-04-13T15:27:04+00:00"),
        ("2026-04-15T17:02:44Z", None, "2026-04-15T17:02:44+00:00"),
        ("2024-12-23 19:45:00.0", "UTC", "2024-12-23T19:45:00+00:00"),
        ("1763650000", None, "2025-11-20T14:46:40+00:00"),
        ("20250708 02:35:00 America/New_York", None, "2025-07-08T02:35:00-04:00"),
    ],
)
def test_times_are_read_in_their_zone(text: str, fallback: str | None, expected: str) -> None:
    assert numbers.time_ns(text, ZoneInfo(fallback) if fallback else None) == ns(expected)


def test_a_naive_time_without_a_zone_is_one_of_this_machine() -> None:
    here = datetime(2023, 2, 24, 12, 4, 56).astimezone()
    assert numbers.time_ns("20230224  12:04:56") == int(here.timestamp()) * 10**9


@pytest.mark.parametrize("text", ["", "soon", "20261399 09:31:02", "20261120", "20261120 25:31:02 US/Eastern"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert numbers.time_ns(text) is None


@pytest.mark.parametrize("name", ["", "Central European Standard Time", "../etc/passwd", "America", "a\0b"])
def test_an_unknown_zone_is_none(name: str) -> None:
    assert numbers.zone(name) is None


def test_hours_become_stretches_in_utc_and_closed_days_none() -> None:
    text = "20261120:0400-20261120:2000;20261121:CLOSED;20261123:0400-20261123:2000"
    assert hours.sessions(text, "US/Eastern") == (
        Session(ns("2026-11-20T04:00:00-05:00"), ns("2026-11-20T20:00:00-05:00")),
        Session(ns("2026-11-23T04:00:00-05:00"), ns("2026-11-23T20:00:00-05:00")),
    )


def test_hours_over_midnight_and_over_the_change_of_clocks() -> None:
    text = "20261031:1800-20261101:1700"
    (session,) = hours.sessions(text, "America/Chicago")
    assert (session.end_ns - session.start_ns) == 24 * 3600 * 10**9  # 23 hours on the clock and one twice
    (old,) = hours.sessions("20180129:1700-1600", "America/Chicago")
    assert old == Session(ns("2018-01-29T17:00:00-06:00"), ns("2018-01-30T16:00:00-06:00"))


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("", "US/Eastern"),
        ("20261120:0400-20261120:2000", "Nowhere/Land"),
        ("20261120:CLOSED", "US/Eastern"),
        ("20261350:0400-20261120:2000", "US/Eastern"),
        ("20261120:2000-20261120:0400", "US/Eastern"),
        ("what;ever", "US/Eastern"),
    ],
)
def test_hours_that_cannot_be_read_are_left_out(text: str, zone: str) -> None:
    assert hours.sessions(text, zone) == ()


def option(**changes: object) -> ib_async.Contract:
    values: dict[str, object] = {
        "conId": 700001,
        "symbol": "AAPL",
        "secType": "OPT",
        "lastTradeDateOrContractMonth": "20261218",
        "strike": 200.0,
        "right": "C",
        "multiplier": "100",
        "currency": "USD",
        "localSymbol": "AAPL  261218C00200000",
        "tradingClass": "AAPL",
        **changes,
    }
    return ib_async.Contract(**values)  # type: ignore[arg-type]


def test_an_option_position_without_an_exchange_is_quoted_at_smart() -> None:
    assert convert.to_contract(option()) == Contract(
        con_id=700001,
        symbol="AAPL",
        sec_type=SecType.OPTION,
        currency="USD",
        exchange="SMART",
        expiry="20261218",
        strike=200.0,
        right=Right.CALL,
        multiplier=100.0,
        local_symbol="AAPL  261218C00200000",
        trading_class="AAPL",
    )


@pytest.mark.parametrize(("text", "expected"), [("", 1.0), ("50", 50.0), ("0", 1.0), ("many", 1.0), ("0.1", 0.1)])
def test_the_multiplier_is_a_text(text: str, expected: float) -> None:
    assert convert.to_contract(option(multiplier=text)).multiplier == expected


def test_a_stock_has_no_strike_right_or_expiry() -> None:
    stock = convert.to_contract(ib_async.Contract(secType="STK", conId=265598, symbol="AAPL", right="?", strike=0.0))
    assert (stock.strike, stock.right, stock.expiry, stock.multiplier) == (0.0, Right.NONE, "", 1.0)


def test_the_average_cost_of_an_option_stays_per_contract() -> None:
    position = convert.to_position(ib_async.Position("DU1", option(), -2.0, 512.5))
    assert (position.quantity, position.average_cost) == (-2.0, 512.5)


def test_figures_of_a_position_that_are_unset_are_none() -> None:
    item = ib_async.PortfolioItem(option(), 1.0, UNSET, UNSET, 512.5, UNSET, 0.0, "DU1")
    position = convert.from_portfolio(item)
    assert (position.market_price, position.market_value, position.unrealised) == (None, None, None)
    assert (position.realised, position.average_cost) == (0.0, 512.5)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("DU1", "NetLiquidation", "100.5", "USD", ""), AccountValue("DU1", "NetLiquidation", "USD", 100.5)),
        (("DU1", "CashBalance", "429.72", "BASE", ""), AccountValue("DU1", "CashBalance", "BASE", 429.72)),
        (("DU1", "NetLiquidation", "", "USD", ""), AccountValue("DU1", "NetLiquidation", "USD", None)),
        (
            ("DU1", "BuyingPower", "1.7976931348623157E308", "USD", ""),
            AccountValue("DU1", "BuyingPower", "USD", None),
        ),
        (("DU1", "DayTradesRemaining", "-1", "", ""), AccountValue("DU1", "DayTradesRemaining", "", None)),
        (("DU1", "DayTradesRemaining", "3", "", ""), AccountValue("DU1", "DayTradesRemaining", "", 3.0)),
        (("DU1", "AccountType", "JOINT", "", ""), None),
        (("DU1", "AccountReady", "true", "", ""), None),
        (("DU1", "NetLiquidation", "100.5", "USD", "Model"), None),
        (("", "NetLiquidation", "100.5", "USD", ""), None),
    ],
)
def test_account_figures(row: tuple[str, ...], expected: AccountValue | None) -> None:
    assert convert.to_account_value(ib_async.AccountValue(*row)) == expected


def test_profit_and_loss_that_is_unset_or_has_not_come_is_none() -> None:
    account = convert.to_account_pnl(ib_async.PnL("DU1", "", 10.5, UNSET, math.nan))
    assert (account.daily, account.unrealised, account.realised) == (10.5, None, None)
    single = convert.to_position_pnl(ib_async.PnLSingle("DU1", "", 265598, 1.5, UNSET, UNSET, 100, 19050.0))
    assert (single.daily, single.unrealised, single.realised, single.value) == (1.5, None, None, 19050.0)


def test_daily_bars_are_sorted_and_one_a_day() -> None:
    bars = [
        ib_async.BarData(date=date(2026, 11, 19), close=2.0),
        ib_async.BarData(date=date(2026, 11, 18), close=1.5),
        ib_async.BarData(date=datetime(2026, 11, 20, 16, tzinfo=ZoneInfo("US/Eastern")), close=3.0),
        ib_async.BarData(date=datetime(2026, 11, 19, 23, 30), close=2.5),  # noqa: DTZ001 - as TWS sends them
        ib_async.BarData(date=date(2026, 11, 21), close=-1.0),
        ib_async.BarData(date=date(2026, 11, 22), close=UNSET),
    ]
    assert convert.to_daily_bars(bars) == (
        DailyBar("20261118", 1.5),
        DailyBar("20261119", 2.5),
        DailyBar("20261120", 3.0),
    )


@pytest.mark.parametrize(("text", "day"), [("20261120", "20261120"), ("2026-11-20", "20261120"), ("soon", "")])
def test_days_as_texts(text: str, day: str) -> None:
    assert numbers.day_text(text) == day


# -- quotes ----------------------------------------------------------------------------------------------------------

STOCK = Contract(con_id=1, symbol="AAPL")
OPTION = Contract(con_id=2, symbol="AAPL", sec_type=SecType.OPTION, right=Right.PUT)


def ticker(**values: object) -> ib_async.Ticker:
    made = ib_async.Ticker()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_only_what_changed_is_told() -> None:
    reader, made = convert_quotes.TickerReader(STOCK), ticker(bid=190.4, bidSize=300.0, ask=190.5, askSize=200.0)
    assert reader.read(made)[1] == {F.BID: 190.4, F.BID_SIZE: 300.0, F.ASK: 190.5, F.ASK_SIZE: 200.0, F.KIND: 1.0}
    assert reader.read(made)[1] == {}
    made.ask = 190.6
    assert reader.read(made)[1] == {F.ASK: 190.6}


def test_a_side_without_a_quote_is_nan_once() -> None:
    reader, made = convert_quotes.TickerReader(STOCK), ticker(bid=190.4, bidSize=300.0)
    reader.read(made)
    made.bid, made.bidSize = -1, 0
    gone = reader.read(made)[1]
    assert gone.keys() == {F.BID, F.BID_SIZE}
    assert all(math.isnan(value) for value in gone.values())
    assert reader.read(made)[1] == {}
    made.bid, made.bidSize = 190.3, 100.0
    assert reader.read(made)[1] == {F.BID: 190.3, F.BID_SIZE: 100.0}


def test_a_price_of_minus_one_with_a_size_is_a_price() -> None:
    spread = Contract(con_id=3, symbol="CL", sec_type=SecType.FUTURE)
    news = convert_quotes.TickerReader(spread).read(ticker(bid=-1.0, bidSize=4.0, last=-37.63, lastSize=1.0))[1]
    assert (news[F.BID], news[F.LAST]) == (-1.0, -37.63)


def test_a_bid_above_the_ask_is_told_as_it_is() -> None:
    news = convert_quotes.TickerReader(STOCK).read(ticker(bid=190.6, bidSize=1.0, ask=190.5, askSize=1.0))[1]
    assert (news[F.BID], news[F.ASK]) == (190.6, 190.5)


def test_no_sign_for_none_passes() -> None:
    made = ticker(
        bid=UNSET, last=-1.0, lastSize=0.0, open=0.0, high=-1.0, low=UNSET, close=0.0, volume=-1.0, markPrice=-1.0,
        impliedVolatility=0.0, histVolatility=-1.0, callOpenInterest=-1.0, high52week=0.0,
    )  # fmt: skip
    assert convert_quotes.TickerReader(STOCK).read(made)[1] == {F.KIND: 1.0}


def test_zero_volume_and_interest_are_figures() -> None:
    news = convert_quotes.TickerReader(STOCK).read(ticker(volume=0.0, callOpenInterest=0.0))[1]
    assert (news[F.VOLUME], news[F.CALL_OPEN_INTEREST]) == (0.0, 0.0)


@pytest.mark.parametrize("field", ["halted", "delayedHalted"])
def test_a_halt_and_its_end_are_told(field: str) -> None:
    reader, made = convert_quotes.TickerReader(STOCK), ticker(**{field: 2.0})
    assert reader.read(made)[1][F.HALTED] == 2.0
    setattr(made, field, 0.0)
    assert reader.read(made)[1] == {F.HALTED: 0.0}


def test_the_kind_is_the_mark_of_delay() -> None:
    reader, made = convert_quotes.TickerReader(STOCK), ticker(marketDataType=3, last=190.0, lastSize=1.0)
    assert reader.read(made)[1][F.KIND] == 3.0
    made.marketDataType = 1
    assert reader.read(made)[1] == {F.KIND: 1.0}


def test_greeks_lose_their_sentinels_also_those_the_library_lets_through() -> None:
    computed = ib_async.OptionComputation(0, None, None, None, None, None, -2.0, -2.0, None)
    news = convert_quotes.TickerReader(OPTION).read(ticker(modelGreeks=computed))[1]
    assert news == {F.KIND: 1.0}
    raw = ib_async.OptionComputation(0, -1.0, -2.0, -1.0, -1.0, -2.0, -2.0, -2.0, UNSET)
    assert all(math.isnan(value) for value in convert_quotes.greeks(raw).values())


def test_greeks_that_can_be_computed_and_then_not_any_more() -> None:
    reader, made = convert_quotes.TickerReader(OPTION), ticker()
    made.modelGreeks = ib_async.OptionComputation(0, 0.31, 0.55, 5.2, 0.1, 0.02, 0.11, -0.05, 190.45)
    news = reader.read(made)[1]
    assert (news[F.IV], news[F.DELTA], news[F.GAMMA]) == (0.31, 0.55, 0.02)
    assert (news[F.VEGA], news[F.THETA], news[F.MODEL_PRICE], news[F.UNDERLYING]) == (0.11, -0.05, 5.2, 190.45)
    made.modelGreeks = ib_async.OptionComputation(0, 0.31, None, 5.2, 0.1, 0.02, -2.0, -0.05, 190.45)
    gone = reader.read(made)[1]
    assert gone.keys() == {F.DELTA, F.VEGA}
    assert all(math.isnan(value) for value in gone.values())


def test_the_open_interest_of_an_option_is_that_of_its_right() -> None:
    news = convert_quotes.TickerReader(OPTION).read(ticker(callOpenInterest=0.0, putOpenInterest=420.0))[1]
    assert news[F.OPEN_INTEREST] == 420.0


def test_the_time_of_a_trade_comes_with_it_only() -> None:
    reader = convert_quotes.TickerReader(STOCK)
    made = ticker(
        last=190.45,
        lastSize=100.0,
        rtTime=datetime.fromtimestamp(1763650000.123, UTC),
        lastTimestamp=datetime.fromtimestamp(1763650000, UTC),
    )
    event_ns, _ = reader.read(made)
    assert event_ns // 10**6 == 1763650000123
    made.bid, made.bidSize = 190.4, 1.0
    assert reader.read(made)[0] == 0


def test_a_new_line_takes_back_what_the_old_one_told() -> None:
    first = convert_quotes.TickerReader(STOCK)
    first.read(ticker(last=190.45, lastSize=100.0, bid=190.4, bidSize=1.0))
    second = convert_quotes.TickerReader(STOCK, first.fields)
    news = second.read(ticker(bid=180.0, bidSize=1.0))[1]
    assert (news[F.BID], news[F.BID_SIZE], news[F.KIND]) == (180.0, 1.0, 1.0)
    assert math.isnan(news[F.LAST])
    assert math.isnan(news[F.LAST_SIZE])


# -- orders ----------------------------------------------------------------------------------------------------------


def trade(order: dict[str, object], status: dict[str, object]) -> ib_async.Trade:
    base: dict[str, object] = {
        "permId": 987655,
        "clientId": 3,
        "action": "BUY",
        "totalQuantity": 100.0,
        "account": "DU1",
    }
    return ib_async.Trade(
        contract=option(),
        order=ib_async.Order(**{**base, **order}),  # type: ignore[arg-type]
        orderStatus=ib_async.OrderStatus(**status),  # type: ignore[arg-type]
    )


def test_a_partly_filled_order() -> None:
    raw = trade(
        {"orderType": "LMT", "lmtPrice": 1.2, "tif": "GTC", "outsideRth": True, "orderRef": "mine"},
        {"status": "Submitted", "filled": 40.0, "remaining": 60.0, "avgFillPrice": 1.19},
    )
    order = convert_orders.to_order(raw, "", 7)
    assert (order.order_id, order.status, order.status_text) == ("987655", OrderStatus.SUBMITTED, "Submitted")
    assert (order.quantity, order.filled, order.remaining, order.average_price) == (100.0, 40.0, 60.0, 1.19)
    assert (order.limit_price, order.stop_price, order.time_in_force) == (1.2, None, "GTC")
    assert (order.outside_rth, order.reference, order.client, order.updated_ns) == (True, "mine", "3", 7)


@pytest.mark.parametrize(
    ("order", "limit", "stop"),
    [
        ({"orderType": "MKT", "lmtPrice": 0.0, "auxPrice": 0.0}, None, None),
        ({"orderType": "MKT"}, None, None),
        ({"orderType": "LMT", "lmtPrice": 0.0}, 0.0, None),
        ({"orderType": "STP", "lmtPrice": 0.0, "auxPrice": 180.0}, None, 180.0),
        ({"orderType": "STP LMT", "lmtPrice": 179.0, "auxPrice": 180.0}, 179.0, 180.0),
        ({"orderType": "TRAIL", "auxPrice": 2.0, "trailStopPrice": 177.0}, None, 177.0),
        ({"orderType": "LMT", "lmtPrice": UNSET, "auxPrice": UNSET}, None, None),
    ],
)
def test_prices_of_orders(order: dict[str, object], limit: float | None, stop: float | None) -> None:
    found = convert_orders.to_order(trade(order, {"status": "Submitted"}), "", 0)
    assert (found.limit_price, found.stop_price) == (limit, stop)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PendingSubmit", OrderStatus.PENDING_SUBMIT),
        ("ApiPending", OrderStatus.PENDING_SUBMIT),
        ("PreSubmitted", OrderStatus.PRE_SUBMITTED),
        ("Filled", OrderStatus.FILLED),
        ("ApiCancelled", OrderStatus.CANCELLED),
        ("Inactive", OrderStatus.INACTIVE),
        ("Surprise", OrderStatus.UNKNOWN),
    ],
)
def test_statuses(word: str, status: OrderStatus) -> None:
    assert convert_orders.to_order(trade({}, {"status": word}), "", 0).status is status


def test_an_order_without_its_permanent_number_is_named_by_client_and_number() -> None:
    assert convert_orders.to_order(trade({"permId": 0, "orderId": 7}, {}), "", 0).order_id == "3:7"


def test_what_holds_an_order_is_its_reason() -> None:
    raw = trade({}, {"status": "PreSubmitted", "whyHeld": "locate"})
    assert convert_orders.to_order(raw, "short sale", 0).reason == "locate; short sale"


def test_a_completed_order_that_was_cancelled_says_why() -> None:
    raw = ib_async.Order(permId=5, action="SELL", orderType="LMT", lmtPrice=2.0, totalQuantity=10.0, filledQuantity=4.0)
    state = ib_async.OrderState(
        status="Cancelled", completedStatus="Cancelled by Trader", completedTime="20261120 09:31:02 US/Eastern"
    )
    order = convert_orders.to_completed(option(), raw, state, 7)
    assert (order.status, order.reason, order.side) == (OrderStatus.CANCELLED, "Cancelled by Trader", Side.SELL)
    assert (order.quantity, order.filled, order.remaining) == (10.0, 4.0, 6.0)
    assert order.updated_ns == ns("2026-11-20T09:31:02-05:00")


def test_a_completed_order_that_was_filled_is_sent_with_a_quantity_of_zero() -> None:
    raw = ib_async.Order(permId=5, action="BUY", orderType="MKT", totalQuantity=0.0, filledQuantity=100.0)
    state = ib_async.OrderState(status="Filled", completedStatus="Filled Size: 100", completedTime="")
    order = convert_orders.to_completed(option(), raw, state, 7)
    assert (order.quantity, order.filled, order.remaining, order.reason) == (100.0, 100.0, 0.0, "")
    assert (order.status_text, order.updated_ns) == ("Filled Size: 100", 7)


def fill(report: ib_async.CommissionReport, **changes: object) -> ib_async.Fill:
    values: dict[str, object] = {
        "execId": "0001.1",
        "time": datetime(2026, 11, 20, 14, 31, 2, tzinfo=UTC),
        "acctNumber": "DU1",
        "exchange": "NASDAQ",
        "side": "SLD",
        "shares": 100.0,
        "price": 190.4,
        "permId": 987654,
        "cumQty": 100.0,
        "avgPrice": 190.4,
        "lastLiquidity": 2,
        **changes,
    }
    execution = ib_async.Execution(**values)  # type: ignore[arg-type]
    return ib_async.Fill(option(), execution, report, execution.time)


def test_a_fill_before_its_commission_knows_none() -> None:
    execution = convert_orders.to_execution(fill(ib_async.CommissionReport()))
    assert execution is not None
    assert (execution.commission, execution.realised, execution.commission_currency) == (None, None, "")
    assert (execution.side, execution.quantity, execution.order_id) == (Side.SELL, 100.0, "987654")
    assert (execution.time_ns, execution.liquidity) == (ns("2026-11-20T14:31:02+00:00"), "removed")


@pytest.mark.parametrize(("sent", "realised"), [(0.0, 0.0), (12.5, 12.5), (math.nan, None), (UNSET, None)])
def test_the_realised_profit_of_a_fill(sent: float, realised: float | None) -> None:
    execution = convert_orders.to_execution(fill(ib_async.CommissionReport("0001.1", 1.0, "USD", sent)))
    assert execution is not None
    assert (execution.commission, execution.commission_currency, execution.realised) == (1.0, "USD", realised)


@pytest.mark.parametrize("changes", [{"execId": ""}, {"shares": 0.0}, {"shares": UNSET}, {"price": UNSET}])
def test_a_fill_that_says_nothing_is_none(changes: dict[str, object]) -> None:
    assert convert_orders.to_execution(fill(ib_async.CommissionReport(), **changes)) is None
