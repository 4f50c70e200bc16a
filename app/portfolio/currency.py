"""Turns amounts in foreign currencies into the account's base currency, and says at which rate and since when.

The broker's own rate (EXCHANGE_RATE, what one unit is worth in base) comes first, so that sums agree with the broker's;
else a quote of the currency pair. Without either there is no rate, and the amount is in no sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from app.domain.account import BASE, Tag
from app.domain.contracts import Contract, SecType
from app.portfolio.ledger import Ledger
from app.portfolio.pricing import pricing


class RateKind(StrEnum):
    """Where a rate is from."""

    SAME = "same currency"
    BROKER = "broker's rate"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of `currency` is worth in `base` ("" when the base is not named). since_ns: UTC ns since when this
    value holds as far as was seen, 0: always. pair: the contract of the quote it is from."""

    currency: str
    base: str
    value: float
    kind: RateKind
    since_ns: int = 0
    pair: str = ""


def base_currency(ledger: Ledger, account: str) -> str:
    """Return the currency of an account's own figures, "" while it is not known.

    It is that of the net liquidation value; where that comes without one, the currency whose rate is 1.
    """
    values = ledger.values.get(account, {})
    for tag in (Tag.NET_LIQUIDATION, Tag.BUYING_POWER, Tag.TOTAL_CASH):
        named = sorted(currency for (name, currency) in values if name == tag and currency not in ("", BASE))
        if len(named) == 1:
            return named[0]
    ones = [
        currency
        for (name, currency), value in values.items()
        if name == Tag.EXCHANGE_RATE and value == 1.0 and currency not in ("", BASE)
    ]
    return ones[0] if len(ones) == 1 else ""


class RateBook:
    """The rates of the accounts of one ledger; remembers since when each holds."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Rate] = {}

    def rate(self, ledger: Ledger, account: str, currency: str, now_ns: int) -> Rate | None:
        """Return the rate of a currency into the account's base, None when there is none."""
        base = base_currency(ledger, account)
        if currency and currency in (base, BASE):
            return Rate(currency, base, 1.0, RateKind.SAME)
        value = ledger.values.get(account, {}).get((Tag.EXCHANGE_RATE, currency))
        if value is not None and math.isfinite(value) and value > 0:
            return self._since(account, Rate(currency, base, value, RateKind.BROKER, now_ns))
        return _of_quotes(ledger, currency, base)

    def _since(self, account: str, found: Rate) -> Rate:
        key = (account, found.currency)
        known = self._seen.get(key)
        if known is None or (known.value, known.base) != (found.value, found.base):
            known = self._seen[key] = found
        return known


def _of_quotes(ledger: Ledger, currency: str, base: str) -> Rate | None:
    if not currency or not base:
        return None
    for contract in list(ledger.contracts.values()):
        if contract.sec_type is not SecType.CASH or {contract.symbol, contract.currency} != {currency, base}:
            continue
        price = pricing(contract, ledger.quote(contract.con_id), None)
        if price.value is not None and price.value > 0:
            value = price.value if contract.symbol == currency else 1 / price.value
            return Rate(currency, base, value, RateKind.QUOTE, price.updated_ns, contract.label)
    return None


def currency_pairs(ledger: Ledger, currencies: frozenset[str], base: str) -> tuple[Contract, ...]:
    """Return the known pairs between `base` and these currencies."""
    return tuple(
        contract
        for contract in ledger.contracts.values()
        if contract.sec_type is SecType.CASH
        and base in (contract.symbol, contract.currency)
        and ({contract.symbol, contract.currency} - {base}) & currencies
    )


def cash_balances(ledger: Ledger, account: str) -> tuple[tuple[str, float], ...]:
    """Return what an account holds of each currency, the broker's total in base left out; empty balances too."""
    return tuple(
        sorted(
            (currency, value)
            for (tag, currency), value in ledger.values.get(account, {}).items()
            if tag == Tag.CASH_BALANCE and currency not in ("", BASE) and value is not None and math.isfinite(value)
        )
    )
