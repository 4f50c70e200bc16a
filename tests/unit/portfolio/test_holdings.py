"""Rows of the Portfolio by hand-worked examples: multipliers, shorts, today's trades, currencies, what is missing."""

from __future__ import annotations

import pytest
from portfolio_desk import AAPL, ACCOUNT, CALL, EURUSD, FUTURE, NOW_NS, SAP, SPY, FakeDesk, Time

from app.domain.account import BASE, Tag
from app.domain.contracts import Contract
from app.domain.orders import Execution, Side
from app.domain.units import NS_PER_S
from app.portfolio.beta import Beta
from app.portfolio.currency import RateBook, RateKind, base_currency, cash_balances
from app.portfolio.exposure import Index
from app.portfolio.holdings import Holding, Origin, holdings, lines_wanted
from app.portfolio.pricing import PriceKind
from app.portfolio.trades import corrected

DAY_NS = NOW_NS - 10 * 3600 * NS_PER_S
OTHER = "DU7654321"


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk(Time())
    made.money(Tag.NET_LIQUIDATION, 100_000.0)
    return made


def rows(desk: FakeDesk, *accounts: str, index: Index | None = None) -> list[Holding]:
    return holdings(
        desk.ledger,
        accounts or (ACCOUNT,),
        rates=RateBook(),
        now_ns=desk.time.now_ns,
        day_start_ns=DAY_NS,
        betas=desk.betas,
        index=index or Index(),
    )


def only(desk: FakeDesk) -> Holding:
    found = rows(desk)
    assert len(found) == 1
    return found[0]


# -- value and profit --------------------------------------------------------------------------------------------


def test_a_stock(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0)
    desk.quote(AAPL, bid=159.9, ask=160.1, last=160.0, close=158.0)
    row = only(desk)
    assert row.average == 150.0
    assert row.market_value == 16_000.0
    assert row.unrealised.value == 1_000.0
    assert row.unrealised_pct == pytest.approx(100 / 15)
    assert row.daily.value == pytest.approx(200.0)
    assert row.weight == pytest.approx(0.16)
    assert row.change_pct == pytest.approx(2 / 158 * 100)
    assert row.unrealised.origin is Origin.OWN


def test_an_options_average_cost_is_per_contract(desk: FakeDesk) -> None:
    desk.hold(CALL, 2, 512.0)
    desk.quote(CALL, bid=6.0, ask=6.4, close=5.5)
    row = only(desk)
    assert row.average == pytest.approx(5.12)
    assert row.market_value == pytest.approx(2 * 100 * 6.2)
    assert row.unrealised.value == pytest.approx(1_240.0 - 1_024.0)
    assert row.daily.value == pytest.approx(2 * 100 * 0.7)


def test_a_short_option_gains_when_it_falls(desk: FakeDesk) -> None:
    desk.hold(CALL, -3, 512.0)
    desk.quote(CALL, bid=4.0, ask=4.2, close=5.5)
    row = only(desk)
    assert row.market_value == pytest.approx(-1_230.0)
    assert row.unrealised.value == pytest.approx(3 * 100 * (5.12 - 4.10))
    assert row.unrealised_pct == pytest.approx((5.12 - 4.10) / 5.12 * 100)
    assert row.daily.value == pytest.approx(3 * 100 * 1.4)
    assert row.weight is not None
    assert row.weight < 0


def test_a_futures_value_is_notional(desk: FakeDesk) -> None:
    desk.hold(FUTURE, 1, 250_000.0)
    desk.quote(FUTURE, bid=5_019.75, ask=5_020.25, last=5_020.0, close=5_030.0)
    row = only(desk)
    assert row.average == 5_000.0
    assert row.market_value == 251_000.0
    assert row.unrealised.value == 1_000.0
    assert row.daily.value == -500.0
    assert row.is_notional


# -- today's trades ----------------------------------------------------------------------------------------------


def test_what_was_bought_today_counts_from_its_price(desk: FakeDesk) -> None:
    desk.hold(AAPL, 150, 152.0)
    desk.quote(AAPL, last=160.0, close=158.0)
    desk.fill(AAPL, Side.BUY, 50, 159.0)
    row = only(desk)
    # 100 held over night made 2 each, 50 bought at 159 made 1 each
    assert row.daily.value == pytest.approx(100 * 2 + 50 * 1)


def test_what_was_sold_today_keeps_what_it_made(desk: FakeDesk) -> None:
    desk.hold(AAPL, 60, 150.0)
    desk.quote(AAPL, last=160.0, close=158.0)
    desk.fill(AAPL, Side.SELL, 40, 163.0)
    assert only(desk).daily.value == pytest.approx(60 * 2 + 40 * 5)


def test_a_position_opened_today_needs_no_previous_close(desk: FakeDesk) -> None:
    desk.hold(CALL, 2, 500.0)
    desk.quote(CALL, bid=6.0, ask=6.4)
    desk.fill(CALL, Side.BUY, 2, 5.0)
    row = only(desk)
    assert row.daily.value == pytest.approx(2 * 100 * 1.2)
    assert row.daily.origin is Origin.OWN


def test_what_was_closed_today_stays_as_a_row_of_nothing(desk: FakeDesk) -> None:
    desk.quote(AAPL, last=160.0, close=158.0)
    desk.fill(AAPL, Side.SELL, 40, 163.0, realised=390.0, commission=1.0)
    row = only(desk)
    assert row.quantity == 0
    assert row.market_value == 0.0
    assert row.unrealised.value == 0.0
    assert row.daily.value == pytest.approx(40 * 5)
    assert row.realised.value == 390.0


def test_trades_of_yesterday_do_not_count(desk: FakeDesk) -> None:
    desk.hold(AAPL, 150, 152.0)
    desk.quote(AAPL, last=160.0, close=158.0)
    desk.fill(AAPL, Side.BUY, 50, 100.0, time_ns=DAY_NS - 1)
    assert only(desk).daily.value == pytest.approx(150 * 2)


def test_a_corrected_execution_counts_once(desk: FakeDesk) -> None:
    desk.hold(AAPL, 150, 152.0)
    desk.quote(AAPL, last=160.0, close=158.0)
    desk.fill(AAPL, Side.BUY, 50, 100.0, exec_id="0001.f3.01")
    desk.fill(AAPL, Side.BUY, 50, 159.0, exec_id="0001.f3.02")
    row = only(desk)
    assert row.trades is not None
    assert row.trades.fills == 1
    assert row.daily.value == pytest.approx(100 * 2 + 50 * 1)


def test_the_newest_correction_holds_in_whatever_order_they_come() -> None:
    fills = [
        Execution(
            exec_id=exec_id,
            account=ACCOUNT,
            order_id="1",
            contract=AAPL,
            side=Side.BUY,
            quantity=1.0,
            price=float(price),
            time_ns=NOW_NS,
        )
        for price, exec_id in enumerate(("a.1.02", "a.1.01", "a.1.10", "b.1.01", "plain"))
    ]
    assert {fill.exec_id for fill in corrected(fills)} == {"a.1.10", "b.1.01", "plain"}
    assert {fill.exec_id for fill in corrected(reversed(fills))} == {"a.1.10", "b.1.01", "plain"}


# -- what is missing ---------------------------------------------------------------------------------------------


def test_the_brokers_figures_stand_in_where_ours_cannot_be_computed(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, None, unrealised=777.0, daily=-55.0, realised=12.0)
    row = only(desk)
    assert row.price.value is None
    assert row.market_value is None
    assert row.weight is None
    assert (row.unrealised.value, row.unrealised.origin) == (777.0, Origin.BROKER)
    assert (row.daily.value, row.daily.origin) == (-55.0, Origin.BROKER)
    assert (row.realised.value, row.realised.origin) == (12.0, Origin.BROKER)
    assert row.checks == ()


def test_nothing_is_made_up(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100)
    row = only(desk)
    for figure in (row.unrealised, row.daily, row.realised):
        assert (figure.value, figure.origin) == (None, Origin.NONE)
    assert row.average is None
    assert row.cost is None
    assert row.unrealised_pct is None


def test_the_brokers_price_is_used_without_quotes(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0, market_price=155.0)
    row = only(desk)
    assert row.price.kind is PriceKind.BROKER
    assert row.unrealised.value == 500.0
    assert row.daily.value is None


def test_without_net_liquidation_there_is_no_weight() -> None:
    desk = FakeDesk(Time())
    desk.hold(AAPL, 100, 150.0, market_price=155.0)
    assert only(desk).weight is None


# -- several accounts and currencies -------------------------------------------------------------------------------


def test_accounts_are_rows_of_their_own_and_weights_count_all_that_is_shown(desk: FakeDesk) -> None:
    desk.money(Tag.NET_LIQUIDATION, 60_000.0, account=OTHER)
    desk.hold(AAPL, 100, 150.0, market_price=160.0)
    desk.hold(AAPL, 50, 140.0, account=OTHER, market_price=160.0)
    both = rows(desk, ACCOUNT, OTHER)
    assert [row.account for row in both] == [ACCOUNT, OTHER]
    assert [row.weight for row in both] == [pytest.approx(0.1), pytest.approx(0.05)]
    assert [row.weight for row in rows(desk, OTHER)] == [pytest.approx(8_000 / 60_000)]


def test_a_foreign_position_keeps_its_currency_and_is_weighed_in_base(desk: FakeDesk) -> None:
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    desk.hold(SAP, 10, 200.0, market_price=220.0)
    row = only(desk)
    assert row.market_value == 2_200.0
    assert row.rate is not None
    assert (row.rate.value, row.rate.kind) == (1.25, RateKind.BROKER)
    assert row.weight == pytest.approx(2_750 / 100_000)
    assert row.in_base(row.unrealised.value) == 250.0


def test_a_quote_of_the_pair_stands_in_for_the_brokers_rate(desk: FakeDesk) -> None:
    desk.hold(SAP, 10, 200.0, market_price=220.0)
    assert only(desk).rate is None
    assert only(desk).weight is None
    assert only(desk).in_base(5.0) is None
    desk.quote(EURUSD, bid=1.19, ask=1.21)
    rate = only(desk).rate
    assert rate is not None
    assert rate.value == pytest.approx(1.20)
    assert (rate.kind, rate.pair, rate.since_ns) == (RateKind.QUOTE, "EUR.USD", desk.time.now_ns)
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    again = only(desk).rate
    assert again is not None
    assert again.value == 1.25


def test_a_pair_the_other_way_round_is_turned() -> None:
    desk = FakeDesk(Time())
    desk.money(Tag.NET_LIQUIDATION, 1_000.0, "EUR")
    desk.quote(EURUSD, bid=1.249, ask=1.251)
    rate = RateBook().rate(desk.ledger, ACCOUNT, "USD", NOW_NS)
    assert rate is not None
    assert rate.value == pytest.approx(0.8)
    assert rate.base == "EUR"


def test_a_rate_says_since_when_it_holds(desk: FakeDesk) -> None:
    book = RateBook()
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    first = book.rate(desk.ledger, ACCOUNT, "EUR", 100)
    assert book.rate(desk.ledger, ACCOUNT, "EUR", 200) == first
    assert first is not None
    assert first.since_ns == 100
    desk.money(Tag.EXCHANGE_RATE, 1.26, "EUR")
    changed = book.rate(desk.ledger, ACCOUNT, "EUR", 300)
    assert changed is not None
    assert (changed.value, changed.since_ns) == (1.26, 300)


def test_rates_that_are_none_convert_nothing(desk: FakeDesk) -> None:
    for value in (None, 0.0, -1.0, float("nan")):
        desk.money(Tag.EXCHANGE_RATE, value, "EUR")
        assert RateBook().rate(desk.ledger, ACCOUNT, "EUR", 1) is None


def test_the_base_is_named_by_net_liquidation_else_by_the_rate_of_one() -> None:
    desk = FakeDesk(Time())
    assert base_currency(desk.ledger, ACCOUNT) == ""
    desk.money(Tag.EXCHANGE_RATE, 1.0, "CHF")
    desk.money(Tag.NET_LIQUIDATION, 5.0, BASE)
    assert base_currency(desk.ledger, ACCOUNT) == "CHF"
    desk.money(Tag.NET_LIQUIDATION, 5.0, "GBP")
    assert base_currency(desk.ledger, ACCOUNT) == "GBP"


def test_cash_is_told_by_currency_without_the_brokers_total() -> None:
    desk = FakeDesk(Time())
    for currency, value in (("USD", 10.0), (BASE, 22.0), ("EUR", -3.0), ("JPY", None)):
        desk.money(Tag.CASH_BALANCE, value, currency)
    assert cash_balances(desk.ledger, ACCOUNT) == (("EUR", -3.0), ("USD", 10.0))


# -- exposure ----------------------------------------------------------------------------------------------------


def test_greeks_of_a_position_are_quantity_times_multiplier_times_unit(desk: FakeDesk) -> None:
    desk.hold(CALL, -3, 512.0)
    desk.quote(CALL, bid=4.0, ask=4.2, delta=0.4, gamma=0.02, theta=-0.05, vega=0.1, underlying=195.0)
    found = only(desk).exposure
    assert found.greeks.parts == pytest.approx((-120.0, -6.0, 15.0, -30.0))
    assert found.dollar_delta == pytest.approx(-120.0 * 195.0)


def test_a_quote_of_the_underlying_goes_before_the_models_price(desk: FakeDesk) -> None:
    desk.hold(CALL, 1, 512.0)
    desk.quote(CALL, bid=4.0, ask=4.2, delta=0.5, underlying=195.0)
    desk.quote(AAPL, bid=199.9, ask=200.1, last=200.0)
    found = only(desk).exposure
    assert found.underlying == 200.0
    assert found.dollar_delta == pytest.approx(10_000.0)


def test_stocks_and_futures_move_one_for_one(desk: FakeDesk) -> None:
    desk.hold(AAPL, -10, 150.0)
    desk.quote(AAPL, last=160.0)
    desk.hold(FUTURE, 2, 250_000.0)
    desk.quote(FUTURE, last=5_000.0)
    stock, future = rows(desk)
    assert stock.exposure.greeks.parts == (-10.0, 0.0, 0.0, 0.0)
    assert stock.exposure.dollar_delta == -1_600.0
    assert future.exposure.greeks.delta == 100.0
    assert future.exposure.dollar_delta == 500_000.0


def test_an_option_without_a_model_has_unknown_greeks(desk: FakeDesk) -> None:
    desk.hold(CALL, 1, 512.0)
    desk.quote(CALL, bid=4.0, ask=4.2)
    found = only(desk).exposure
    assert found.greeks.parts == (None, None, None, None)
    assert found.dollar_delta is None
    assert found.beta_delta is None


def test_beta_weighted_delta_is_in_units_of_the_index(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0)
    desk.quote(AAPL, last=200.0)
    desk.hold(CALL, 1, 512.0)
    desk.quote(CALL, bid=4.0, ask=4.2, delta=0.5)
    desk.hold(SPY, 10, 400.0)
    desk.quote(SPY, last=500.0)
    desk.betas[AAPL.con_id] = Beta(1.2, 250)
    index = Index(SPY, "SPY", 500.0)
    stock, call, spy = rows(desk, index=index)
    assert stock.exposure.beta_delta == pytest.approx(100 * 200 * 1.2 / 500)
    assert call.exposure.beta_delta == pytest.approx(50 * 200 * 1.2 / 500)
    assert spy.exposure.beta_delta == pytest.approx(10.0)


def test_a_foreign_position_is_beta_weighted_in_base(desk: FakeDesk) -> None:
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    desk.hold(SAP, 10, 200.0, market_price=200.0)
    desk.betas[SAP.con_id] = Beta(0.8, 100)
    row = rows(desk, index=Index(SPY, "SPY", 500.0))[0]
    assert row.exposure.beta_delta == pytest.approx(10 * 200 * 1.25 * 0.8 / 500)


@pytest.mark.parametrize("index", [Index(SPY, "SPY", None), Index(None, "SPY")])
def test_without_the_price_of_the_index_nothing_is_beta_weighted(desk: FakeDesk, index: Index) -> None:
    desk.hold(AAPL, 100, 150.0, market_price=160.0)
    desk.betas[AAPL.con_id] = Beta(1.2, 250)
    row = rows(desk, index=index)[0]
    assert row.exposure.beta is not None
    assert row.exposure.beta_delta is None


# -- the broker's figures beside ours ------------------------------------------------------------------------------


def test_figures_that_agree_are_not_notable(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0, market_price=160.1, market_value=16_010.0, unrealised=1_010.0, daily=210.0)
    desk.quote(AAPL, bid=159.9, ask=160.1, last=160.0, close=158.0)
    row = only(desk)
    assert [check.figure for check in row.checks] == ["market value", "unrealised P&L", "daily P&L"]
    assert row.notable == ()


def test_a_wrong_multiplier_is_notable(desk: FakeDesk) -> None:
    wrong = Contract(con_id=1, symbol="XYZ", sec_type=CALL.sec_type, multiplier=100.0)
    desk.hold(wrong, 1, 512.0, market_price=6.2, market_value=62.0, unrealised=10.8)
    desk.quote(wrong, bid=6.1, ask=6.3)
    assert [check.figure for check in only(desk).notable] == ["market value", "unrealised P&L"]


def test_a_fill_that_is_not_known_makes_the_day_notable(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0, market_price=160.0, market_value=16_000.0, unrealised=1_000.0, daily=-900.0)
    desk.quote(AAPL, bid=159.9, ask=160.1, last=160.0, close=158.0)
    (found,) = only(desk).notable
    assert found.figure == "daily P&L"
    assert found.value == pytest.approx(1_100.0)
    assert found.allowed < 100.0


def test_a_price_that_moved_since_explains_the_difference(desk: FakeDesk) -> None:
    desk.hold(AAPL, 100, 150.0, market_price=155.0, market_value=15_500.0, unrealised=500.0)
    desk.quote(AAPL, bid=159.9, ask=160.1, last=160.0)
    assert only(desk).notable == ()


def test_a_moved_price_explains_as_much_of_an_option_as_its_multiplier(desk: FakeDesk) -> None:
    desk.hold(CALL, 2, 512.0, market_price=6.0, market_value=1_200.0)
    desk.quote(CALL, bid=6.1, ask=6.3)
    row = only(desk)
    assert row.checks[0].value == pytest.approx(40.0)
    assert row.allowed == pytest.approx(2 * (100 * 6.2 * 0.05 + 0.01) + 0.01)
    assert row.notable == ()


def test_commissions_explain_a_difference_of_the_day(desk: FakeDesk) -> None:
    desk.hold(AAPL, 1, 150.0, market_price=160.0, daily=-4.0)
    desk.quote(AAPL, bid=160.0, ask=160.0, last=160.0, close=158.0)
    desk.fill(AAPL, Side.BUY, 1, 160.0, commission=4.0)
    assert only(desk).notable == ()


# -- lines ---------------------------------------------------------------------------------------------------------


def test_what_is_held_comes_first_then_what_is_behind_it(desk: FakeDesk) -> None:
    desk.quote(AAPL, last=200.0)
    desk.quote(SPY, last=500.0)
    desk.quote(EURUSD, last=1.2)
    desk.hold(CALL, 1, 512.0)
    desk.hold(SAP, 10, 200.0)
    assert [each.con_id for each in lines_wanted(desk.ledger, "SPY")] == [
        CALL.con_id,
        SAP.con_id,
        AAPL.con_id,
        SPY.con_id,
        EURUSD.con_id,
    ]


def test_who_holds_nothing_wants_nothing(desk: FakeDesk) -> None:
    desk.quote(SPY, last=500.0)
    assert lines_wanted(desk.ledger, "SPY") == ()
