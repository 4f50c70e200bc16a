"""Turns a position and its quotes into what it stands for: Greeks, dollar delta, beta-weighted delta.

A position's Greek is quantity × multiplier × the Greek of one unit. The unit delta of what is not an option is 1, its
other Greeks are 0. Dollar delta is the position's delta × the price of the underlying. Beta-weighted delta is how many
units of the index would move as much in money: dollar delta in base × beta ÷ price of the index in base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.domain.contracts import Contract, SecType
from app.domain.quotes import QuoteField
from app.portfolio.beta import Beta
from app.portfolio.ledger import Ledger, Quote
from app.portfolio.pricing import Pricing, pricing

_LINEAR: Final = frozenset(
    {SecType.STOCK, SecType.FUTURE, SecType.FUND, SecType.CFD, SecType.CASH, SecType.CRYPTO, SecType.COMMODITY}
)
"""What moves one for one with its own price."""


@dataclass(frozen=True, slots=True)
class Greeks:
    """Greeks of one unit or of a position; None: unknown. vega per percentage point, theta per day, in the contract's
    currency; delta in units of the underlying, gamma in such units per 1.00 of it."""

    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None

    def times(self, factor: float) -> Greeks:
        """Return them for so many units."""
        return Greeks(*(None if each is None else each * factor for each in self.parts))

    @property
    def parts(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Return delta, gamma, theta, vega."""
        return self.delta, self.gamma, self.theta, self.vega


UNKNOWN: Final = Greeks()
_ONE_FOR_ONE: Final = Greeks(1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a position stands for. unit: Greeks of one unit. underlying: price of the underlying, in the contract's
    currency; underlying_is: where from. dollar_delta: in the contract's currency. beta_delta: in units of the index."""

    unit: Greeks
    greeks: Greeks
    underlying: float | None
    underlying_is: str
    dollar_delta: float | None
    beta: Beta | None
    beta_delta: float | None


@dataclass(frozen=True, slots=True)
class Index:
    """What beta-weighted delta is measured in: its contract, None while it is not known, and its price in base."""

    contract: Contract | None = None
    symbol: str = ""
    price_base: float | None = None


def index_contract(ledger: Ledger, symbol: str) -> Contract | None:
    """Return the stock or index of that symbol, None while none is known."""
    kinds = (SecType.STOCK, SecType.INDEX, SecType.FUND)
    named = [each for each in ledger.contracts.values() if each.symbol == symbol and each.sec_type in kinds]
    named.sort(key=lambda each: (each.currency != "USD", kinds.index(each.sec_type), each.con_id))
    return named[0] if named and symbol else None


def unit_greeks(contract: Contract, quote: Quote | None) -> Greeks:
    """Return the Greeks of one unit; UNKNOWN for an option nothing is told of, and for what has no plain delta."""
    if contract.sec_type in _LINEAR:
        return _ONE_FOR_ONE
    if not contract.sec_type.is_option or quote is None:
        return UNKNOWN
    fields = (QuoteField.DELTA, QuoteField.GAMMA, QuoteField.THETA, QuoteField.VEGA)
    return Greeks(*(quote[each] if math.isfinite(quote[each]) else None for each in fields))


def underlying_of(ledger: Ledger, contract: Contract) -> Contract | None:
    """Return the contract behind an option (every other contract stands for itself), None when it is not known."""
    if not contract.sec_type.is_option:
        return contract
    fuller = ledger.contracts.get(contract.con_id, contract)
    if fuller.underlying_con_id:
        return ledger.contracts.get(fuller.underlying_con_id)
    if contract.sec_type is SecType.FUTURE_OPTION:  # which of several futures it is on cannot be told by the symbol
        return None
    named = [
        each
        for each in ledger.contracts.values()
        if each.symbol == contract.symbol
        and each.currency == contract.currency
        and each.sec_type in (SecType.STOCK, SecType.INDEX)
    ]
    return named[0] if len(named) == 1 else None


def underlying_price(ledger: Ledger, contract: Contract, own: Pricing) -> tuple[float | None, str]:
    """Return the price of the underlying and where it is from."""
    behind = underlying_of(ledger, contract)
    if behind is not None and behind.con_id == contract.con_id:
        return own.value, f"its own price ({own.kind})"
    if behind is not None:
        price = pricing(behind, ledger.quote(behind.con_id), None)
        if price.value is not None:
            return price.value, f"{behind.label}, {price.kind}"
    quote = ledger.quote(contract.con_id)
    value = quote[QuoteField.UNDERLYING] if quote is not None else math.nan
    if math.isfinite(value) and value > 0:
        return value, "what the broker's model took for the Greeks"
    return None, "neither a quote of the underlying nor the model's price has come"


def exposure(
    ledger: Ledger,
    contract: Contract,
    quantity: float,
    own: Pricing,
    betas: Mapping[int, Beta],
    index: Index,
    rate: float | None,
) -> Exposure:
    """Return what a position stands for. rate: of the contract's currency into base, None when there is none."""
    unit = unit_greeks(contract, ledger.quote(contract.con_id))
    greeks = unit.times(quantity * contract.multiplier)
    price, source = underlying_price(ledger, contract, own)
    dollars = None if greeks.delta is None or price is None else greeks.delta * price
    measured = _beta_of(ledger, contract, betas, index)
    weighted = None
    if dollars is not None and rate is not None and measured is not None and index.price_base:
        weighted = dollars * rate * measured.value / index.price_base
    return Exposure(
        unit=unit,
        greeks=greeks,
        underlying=price,
        underlying_is=source,
        dollar_delta=dollars,
        beta=measured,
        beta_delta=weighted,
    )


def _beta_of(ledger: Ledger, contract: Contract, betas: Mapping[int, Beta], index: Index) -> Beta | None:
    behind = underlying_of(ledger, contract)
    con_id = behind.con_id if behind is not None else ledger.contracts.get(contract.con_id, contract).underlying_con_id
    if index.contract is not None and con_id == index.contract.con_id:
        return Beta(1.0, 0)
    return betas.get(con_id)
