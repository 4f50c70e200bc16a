"""Which price a position is valued at, by the stated rule, and what is said of it."""

from __future__ import annotations

import math

import pytest
from portfolio_desk import AAPL, CALL, FUTURE

from app.domain.contracts import Contract
from app.domain.quotes import DataKind
from app.domain.quotes import QuoteField as F
from app.portfolio.ledger import Quote
from app.portfolio.pricing import PriceKind, pricing

NONE = math.nan


def quote(bid: float = NONE, ask: float = NONE, last: float = NONE, mark: float = NONE, **more: float) -> Quote:
    values = {int(F.BID): bid, int(F.ASK): ask, int(F.LAST): last, int(F.MARK): mark}
    values |= {int(F[name.upper()]): value for name, value in more.items()}
    return Quote(values=values, updated_ns=5)


@pytest.mark.parametrize(
    ("contract", "told", "price", "kind"),
    [
        (AAPL, quote(10.0, 10.2, 10.1), 10.1, PriceKind.LAST),
        (AAPL, quote(10.0, 10.2, 10.2), 10.2, PriceKind.LAST),
        (AAPL, quote(10.0, 10.2, 9.0), 10.1, PriceKind.MID),
        (AAPL, quote(10.0, 10.2), 10.1, PriceKind.MID),
        (AAPL, quote(last=9.0, mark=9.5), 9.0, PriceKind.LAST),
        (AAPL, quote(10.0, last=9.0), 9.0, PriceKind.LAST),
        (AAPL, quote(10.0, mark=9.5), 9.5, PriceKind.MARK),
        (AAPL, quote(10.3, 10.2, 10.25, 10.24), 10.24, PriceKind.MARK),
        (AAPL, quote(10.3, 10.2, 10.25), 10.25, PriceKind.LAST),
        (AAPL, quote(0.0, 10.2, mark=10.0), 10.0, PriceKind.MARK),
        (AAPL, quote(10.0, 10.2, 0.0), 10.1, PriceKind.MID),
        (CALL, quote(1.0, 1.2, 1.1), 1.1, PriceKind.MID),
        (CALL, quote(1.0, 1.2, 3.0), 1.1, PriceKind.MID),
        (CALL, quote(0.0, 0.05), 0.025, PriceKind.MID),
        (CALL, quote(last=3.0, mark=1.1), 1.1, PriceKind.MARK),
        (CALL, quote(last=3.0), 3.0, PriceKind.LAST),
        (CALL, quote(0.0, 0.0), 7.5, PriceKind.BROKER),
        (FUTURE, quote(-38.0, -37.0, -37.6), -37.6, PriceKind.LAST),
        (AAPL, quote(), 7.5, PriceKind.BROKER),
        (AAPL, None, 7.5, PriceKind.BROKER),
    ],
)
def test_the_rule_of_prices(contract: Contract, told: Quote | None, price: float, kind: PriceKind) -> None:
    found = pricing(contract, told, 7.5)
    assert found.value == pytest.approx(price)
    assert found.kind is kind
    assert found.why
    assert (found.updated_ns == 5) == (kind is not PriceKind.BROKER)


def test_there_is_no_price_where_nobody_told_one_and_the_reason_is_said() -> None:
    for told in (None, quote()):
        found = pricing(AAPL, told, None)
        assert found.value is None
        assert found.kind is PriceKind.NONE
        assert "the broker sent no price" in found.why
    assert pricing(AAPL, None, math.nan).value is None


def test_a_quote_that_was_refused_is_not_taken_for_live() -> None:
    refused = quote(10.0, 10.2, 10.1)
    refused.refused = "no market data permission"
    found = pricing(AAPL, refused, 7.5)
    assert (found.value, found.kind) == (7.5, PriceKind.BROKER)
    assert "no market data permission" in found.why


def test_delayed_and_halted_are_said() -> None:
    found = pricing(AAPL, quote(10.0, 10.2, 10.1, kind=3.0, halted=1.0, close=9.9), None)
    assert found.is_delayed
    assert found.data is DataKind.DELAYED
    assert found.halted
    assert found.close == 9.9
    live = pricing(AAPL, quote(10.0, 10.2, 10.1, kind=1.0, halted=0.0), None)
    assert not live.is_delayed
    assert not live.halted
    assert live.close is None
    assert pricing(AAPL, quote(10.0, 10.2, 10.1, kind=9.0), None).data is None


def test_the_spread_is_never_below_nothing() -> None:
    assert pricing(AAPL, quote(10.0, 10.2), None).spread == pytest.approx(0.2)
    assert pricing(AAPL, quote(10.2, 10.0, 10.1), None).spread == 0.0
    assert pricing(AAPL, quote(10.2), 1.0).spread == 0.0
