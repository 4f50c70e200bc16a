"""Turns a row of the Portfolio into the texts of its cells.

Marks: "†" the broker's figure where ours could not be computed; "D" delayed quotes; "H" trading is halted. What is not
known is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from app.domain.contracts import ContractDetails, day_label
from app.domain.units import NS_PER_S
from app.portfolio.exposure import Index
from app.portfolio.holdings import Figure, Holding, Origin
from app.portfolio.pricing import PriceKind, Pricing
from app.viewmodels import formats
from app.viewmodels.portfolio_columns import BY_KEY, Kind
from app.viewmodels.portfolio_numbers import greek, money, price, quantity, signed

BROKER_SIGN: Final = "†"
STALE_QUOTE_S: Final = 60
GREEKS: Final = ("delta", "gamma", "theta", "vega")
_FIGURES: Final = frozenset({"daily", "unrealised", "realised"})


class Cells:
    """Texts of rows. details: what is known of a contract, by con_id; index: of beta-weighted delta."""

    def __init__(self, details: Callable[[int], ContractDetails | None]) -> None:
        self._details = details
        self.index = Index()
        self.now_ns = 0

    def value(self, row: Holding, key: str, live: Pricing) -> float | None:
        """Return the number of a cell, None for words and for what is not known."""
        match key:
            case "quantity":
                return row.quantity
            case "price":
                return live.value
            case "change":
                known = live.value is not None and live.close
                return (live.value / live.close - 1) * 100 if known and live.value and live.close else None
            case "average":
                return row.average
            case "market_value":
                return row.market_value
            case "weight":
                return None if row.weight is None else row.weight * 100
            case "daily" | "unrealised" | "realised":
                return self._figure(row, key).value
            case "unrealised_pct":
                return row.unrealised_pct
            case "delta" | "gamma" | "theta" | "vega":
                return row.exposure.greeks.parts[GREEKS.index(key)]
            case "dollar_delta":
                return row.exposure.dollar_delta
            case "beta_delta":
                return row.exposure.beta_delta
            case "beta":
                return None if row.exposure.beta is None else row.exposure.beta.value
            case "bid" | "ask" | "close":
                found = {"bid": live.bid, "ask": live.ask, "close": live.close}[key]
                return found if found is not None and math.isfinite(found) else None
            case "underlying_price":
                return row.exposure.underlying
            case "multiplier":
                return row.contract.multiplier
        return None

    def text(self, row: Holding, key: str, live: Pricing) -> str:
        """Return what a cell says."""
        column = BY_KEY[key]
        if column.kind is Kind.TEXT:
            return self._words(row, key, live)
        value = self.value(row, key, live)
        if value is None or not math.isfinite(value):
            return formats.UNKNOWN
        text = self._number(row, key, value)
        if column.signed:
            text = signed(text, value)
        if key == "price":
            return f"{'H ' if live.halted else ''}{'D ' if live.is_delayed else ''}{text}"
        if key in _FIGURES and key != "realised" and self._figure(row, key).origin is Origin.BROKER:
            return f"{text} {BROKER_SIGN}"
        return text

    def _number(self, row: Holding, key: str, value: float) -> str:
        kind = BY_KEY[key].kind
        if kind is Kind.PRICE:
            behind = underlying_con_id(row) if key == "underlying_price" else row.contract.con_id
            return price(value, self._details(behind), more=key == "average")
        if kind is Kind.MONEY:
            return money(value)
        if kind is Kind.PCT:
            return f"{value:,.2f}"
        return quantity(value) if kind is Kind.QUANTITY else greek(value)

    @staticmethod
    def _figure(row: Holding, key: str) -> Figure:
        return {"daily": row.daily, "unrealised": row.unrealised, "realised": row.realised}[key]

    def _words(self, row: Holding, key: str, live: Pricing) -> str:
        if key == "instrument":
            return row.contract.label
        if key == "priced":
            return "" if live.kind is PriceKind.NONE else live.kind.value
        if key == "check":
            return "" if not row.checks else "differs" if row.notable else "agrees"
        return {
            "account": row.account,
            "currency": row.contract.currency,
            "expiry": day_label(row.contract.expiry),
        }.get(key, "")

    def is_stale(self, live: Pricing) -> bool:
        """Tell a price that does not come from a quote of the last minute."""
        return not live.updated_ns or self.now_ns - live.updated_ns > STALE_QUOTE_S * NS_PER_S


def underlying_con_id(row: Holding) -> int:
    """Return the number of the contract whose tick the underlying's price has."""
    return row.contract.underlying_con_id if row.contract.sec_type.is_option else row.contract.con_id
