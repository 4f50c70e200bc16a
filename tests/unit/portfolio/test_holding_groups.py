"""Subtotals are the sums of their rows, whatever is missing; shares keep long and short apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portfolio_desk import AAPL, ACCOUNT, CALL, FUTURE, NOW_NS, SAP, SPY, FakeDesk, Time

from app.domain.account import Tag
from app.domain.contracts import Contract
from app.portfolio.currency import RateBook
from app.portfolio.exposure import Index
from app.portfolio.groups import FIGURES, MONEY, By, Group, allocation, grouped, subtotal
from app.portfolio.holdings import Holding, holdings
from app.portfolio.sums import Sum, total


def rows_of(desk: FakeDesk) -> list[Holding]:
    return holdings(
        desk.ledger,
        (ACCOUNT,),
        rates=RateBook(),
        now_ns=NOW_NS,
        day_start_ns=0,
        betas={},
        index=Index(SPY, "SPY", 500.0),
    )


def group_of(groups: list[Group], symbol: str) -> Group:
    return next(group for group in groups if group.key.symbol == symbol)


def test_a_stock_and_its_options_are_one_group_and_futures_another() -> None:
    desk = FakeDesk(Time())
    other = Contract(con_id=77, symbol="AAPL", currency="EUR")
    for contract in (AAPL, CALL, FUTURE, other):
        desk.hold(contract, 1, 1.0, market_price=2.0)
    groups = grouped(rows_of(desk))
    assert [(group.key.symbol, group.key.currency, len(group.rows)) for group in groups] == [
        ("AAPL", "USD", 2),
        ("ES", "USD", 1),
        ("AAPL", "EUR", 1),
    ]


def test_the_delta_of_a_group_is_the_sum_of_stock_and_options() -> None:
    desk = FakeDesk(Time())
    desk.hold(AAPL, 100, 150.0)
    desk.hold(CALL, -2, 512.0)
    desk.quote(AAPL, last=200.0)
    desk.quote(CALL, bid=4.0, ask=4.2, delta=0.4)
    sums = grouped(rows_of(desk))[0].subtotal.sums
    assert sums["delta"].value == pytest.approx(100 - 80)
    assert sums["dollar_delta"].value == pytest.approx(20 * 200)
    assert sums["gamma"] == Sum(0.0, 1, 2)


def test_the_total_adds_money_in_base_and_no_deltas() -> None:
    desk = FakeDesk(Time())
    desk.money(Tag.NET_LIQUIDATION, 50_000.0)
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    desk.hold(SAP, 10, 200.0, market_price=220.0)
    found = subtotal(rows_of(desk), one_underlying=False)
    assert found.currency == "USD"
    assert found.sums["market_value"] == Sum(1_600 + 2_750.0, 2, 2)
    assert found.sums["unrealised"].value == pytest.approx(100 + 250)
    assert found.sums["delta"].of == 0


def test_what_has_no_rate_is_in_no_sum_and_is_counted() -> None:
    desk = FakeDesk(Time())
    desk.money(Tag.NET_LIQUIDATION, 50_000.0)
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    desk.hold(SAP, 10, 200.0, market_price=220.0)
    found = subtotal(rows_of(desk), one_underlying=False).sums["market_value"]
    assert found == Sum(1_600.0, 1, 2)
    assert not found.is_whole
    assert found.words == "known for 1 of 2"


def test_shares_keep_long_and_short_apart() -> None:
    desk = FakeDesk(Time())
    desk.money(Tag.NET_LIQUIDATION, 50_000.0)
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    desk.hold(CALL, -1, 500.0, market_price=4.0)
    desk.hold(SAP, 10, 200.0, market_price=220.0)
    desk.hold(FUTURE, -1, 250_000.0, market_price=10.0)
    rows = rows_of(desk)
    by_name = {share.name: share for share in allocation(rows, By.UNDERLYING)}
    assert (by_name["AAPL"].long, by_name["AAPL"].short) == (1_600.0, 400.0)
    assert (by_name["ES (notional)"].long, by_name["ES (notional)"].short) == (0.0, 500.0)
    assert (by_name["SAP"].gross, by_name["SAP"].unknown) == (0.0, 1)
    cash = (("USD", 700.0), ("EUR", None), ("CHF", -50.0))
    classes = {share.name: share for share in allocation(rows, By.ASSET_CLASS, cash)}
    assert (classes["Cash"].long, classes["Cash"].short, classes["Cash"].unknown) == (700.0, 50.0, 1)
    assert classes["Options"].short == 400.0
    currencies = {share.name: share for share in allocation(rows, By.CURRENCY, cash)}
    assert (currencies["USD"].long, currencies["USD"].short) == (2_300.0, 900.0)
    assert (currencies["EUR"].unknown, currencies["CHF"].short) == (2, 50.0)


def test_sums_know_how_much_they_know() -> None:
    assert total([]) == Sum(None, 0, 0)
    assert total([None, math.nan, math.inf]) == Sum(None, 0, 3)
    assert total([1.5, None, 2.5]) == Sum(4.0, 2, 3)


# -- properties ----------------------------------------------------------------------------------------------------

amounts = st.floats(-1e6, 1e6, allow_nan=False) | st.none()


@given(st.lists(amounts, max_size=30))
def test_a_sum_is_that_of_its_known_parts(parts: list[float | None]) -> None:
    found = total(parts)
    known = [part for part in parts if part is not None]
    assert (found.known, found.of) == (len(known), len(parts))
    assert found.value == (pytest.approx(sum(known), abs=1e-3) if known else None)
    assert found.is_whole == (len(known) == len(parts))


@st.composite
def portfolios(draw: st.DrawFn) -> FakeDesk:
    """Positions in two currencies, with and without rate, price, cost and quotes."""
    desk = FakeDesk(Time())
    desk.money(Tag.NET_LIQUIDATION, draw(st.floats(1_000, 1e7)))
    if draw(st.booleans()):
        desk.money(Tag.EXCHANGE_RATE, draw(st.floats(0.1, 10)), "EUR")
    for number in range(draw(st.integers(1, 12))):
        template = draw(st.sampled_from((AAPL, CALL, FUTURE, SAP, SPY)))
        contract = Contract(
            con_id=1_000 + number,
            symbol=template.symbol,
            sec_type=template.sec_type,
            currency=template.currency,
            multiplier=template.multiplier,
        )
        price = draw(st.floats(0.01, 5_000) | st.none())
        desk.hold(
            contract,
            draw(st.integers(-500, 500).filter(bool)),
            draw(st.floats(0.01, 1e6) | st.none()),
            market_price=price,
            daily=draw(amounts),
        )
        if draw(st.booleans()):
            desk.quote(contract, last=draw(st.floats(0.01, 5_000)), close=draw(st.floats(0.01, 5_000)), delta=0.5)
    return desk


@given(portfolios())
def test_the_total_is_the_sum_of_the_groups_and_the_groups_are_those_of_their_rows(desk: FakeDesk) -> None:
    rows = rows_of(desk)
    groups = grouped(rows)
    assert sum(len(group.rows) for group in groups) == len(rows)
    for group in groups:
        assert {row.contract.currency for row in group.rows} == {group.subtotal.currency}
        for name, figure in FIGURES.items():
            assert group.subtotal.sums[name] == total(figure(row) for row in group.rows)
    whole = subtotal(rows, one_underlying=False)
    for name in MONEY:
        parts = [group.subtotal.in_base[name] for group in groups]
        assert whole.in_base[name].known == sum(part.known for part in parts)
        assert whole.in_base[name].of == len(rows)
        expected = sum(part.value for part in parts if part.value is not None)
        if whole.in_base[name].value is not None:
            assert whole.in_base[name].value == pytest.approx(expected, rel=1e-9, abs=1e-4)
        else:
            assert all(part.value is None for part in parts)


@given(portfolios())
def test_weights_are_market_values_in_base_over_net_liquidation(desk: FakeDesk) -> None:
    rows = rows_of(desk)
    whole = subtotal(rows, one_underlying=False)
    worth = desk.ledger.value(ACCOUNT, Tag.NET_LIQUIDATION)[0]
    assert worth is not None
    assert whole.sums["weight"].known == whole.in_base["market_value"].known
    if whole.sums["weight"].value is not None:
        assert whole.sums["weight"].value * worth == pytest.approx(whole.in_base["market_value"].value, abs=1e-3)


@given(portfolios(), st.sampled_from(By))
def test_shares_add_up_to_all_that_is_known(desk: FakeDesk, by: By) -> None:
    rows = rows_of(desk)
    shares = allocation(rows, by)
    known = [row.in_base(row.market_value) for row in rows]
    assert sum(share.long - share.short for share in shares) == pytest.approx(
        sum(each for each in known if each is not None), abs=1e-3
    )
    assert sum(share.unknown for share in shares) == sum(each is None for each in known)
    assert all(share.long >= 0 and share.short >= 0 for share in shares)
