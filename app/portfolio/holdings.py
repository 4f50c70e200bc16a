"""Turns the positions and quotes of a ledger into rows: price, value, profit and loss, weight, exposure, checks.

All money of a row is in the contract's currency. Value is quantity × multiplier × price; unrealised is quantity ×
multiplier × (price − average cost of a unit); a broker's average cost of derivatives is per contract, so it is divided
by the multiplier. Daily is the change since the previous close of what was held then, plus what today's fills have
made since: multiplier × (quantity × price − quantity at the close × close − paid today), before commissions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.account import Position, Tag
from app.domain.contracts import Contract, SecType
from app.portfolio.beta import Beta
from app.portfolio.check import Difference, allowance, compare
from app.portfolio.currency import Rate, RateBook, base_currency, currency_pairs
from app.portfolio.exposure import Exposure, Index, exposure, index_contract, underlying_of
from app.portfolio.ledger import Ledger
from app.portfolio.pricing import Pricing, pricing
from app.portfolio.sums import known, total
from app.portfolio.trades import DayTrades, day_trades


class Origin(StrEnum):
    """Whose figure it is."""

    OWN = "computed here"
    BROKER = "the broker's"
    NONE = "unknown"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and whose it is."""

    value: float | None
    origin: Origin

    @property
    def own(self) -> float | None:
        """Return it when it was computed here."""
        return self.value if self.origin is Origin.OWN else None


_NO_FIGURE: Final = Figure(None, Origin.NONE)
_NOTIONAL: Final = frozenset({SecType.FUTURE, SecType.CFD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One row. quantity 0: closed today. average: cost of one unit.

    net_liquidation: of all accounts that are shown, in base. weight: market value in base ÷ that, a fraction. rate:
    into base, None when there is none. allowed: by how much a figure may differ from the broker's, in the contract's
    currency.
    """

    account: str
    contract: Contract
    position: Position
    price: Pricing
    average: float | None
    market_value: float | None
    unrealised: Figure
    realised: Figure
    daily: Figure
    trades: DayTrades | None
    rate: Rate | None
    net_liquidation: float | None
    weight: float | None
    exposure: Exposure
    allowed: float
    checks: tuple[Difference, ...]

    @property
    def quantity(self) -> float:
        """Return contracts or shares, negative when short."""
        return self.position.quantity

    @property
    def key(self) -> tuple[str, int]:
        """Return account and con_id."""
        return self.account, self.contract.con_id

    @property
    def is_notional(self) -> bool:
        """Return whether its market value is exposure only, not money that is part of net liquidation."""
        return self.contract.sec_type in _NOTIONAL

    @property
    def cost(self) -> float | None:
        """Return what the position cost, in the contract's currency."""
        return None if self.average is None else self.average * self.quantity * self.contract.multiplier

    @property
    def change_pct(self) -> float | None:
        """Return the price's change since the previous close, in percent."""
        price, close = self.price.value, self.price.close
        return None if price is None or not close else (price / close - 1) * 100

    @property
    def unrealised_pct(self) -> float | None:
        """Return unrealised profit in percent of the cost."""
        cost = self.cost
        return None if self.unrealised.value is None or not cost else self.unrealised.value / abs(cost) * 100

    @property
    def notable(self) -> tuple[Difference, ...]:
        """Return the figures that differ from the broker's by more than prices explain."""
        return tuple(each for each in self.checks if each.is_notable)

    def in_base(self, value: float | None) -> float | None:
        """Return an amount of the contract's currency in base, None when it or the rate is not known."""
        return None if value is None or self.rate is None else value * self.rate.value


def holdings(
    ledger: Ledger,
    accounts: Sequence[str],
    *,
    rates: RateBook,
    now_ns: int,
    day_start_ns: int,
    betas: Mapping[int, Beta],
    index: Index,
) -> list[Holding]:
    """Return a row for every position of these accounts, and for every contract that was closed today."""
    trades = day_trades(ledger.orders.executions.values(), day_start_ns)
    positions = {key: each for key, each in ledger.positions.items() if key[0] in accounts}
    for key, traded in trades.items():
        if key[0] in accounts and key not in positions:
            positions[key] = Position(account=key[0], contract=traded.contract, quantity=0.0)
    worth = accounts_worth(ledger, accounts)
    rows = []
    for key, position in positions.items():
        contract = ledger.contracts.get(key[1], position.contract)
        rate = rates.rate(ledger, key[0], contract.currency, now_ns)
        rows.append(_holding(ledger, position, contract, trades.get(key), rate, worth, betas, index))
    return rows


def lines_wanted(ledger: Ledger, index: str) -> tuple[Contract, ...]:
    """Return what must be quoted to value a ledger's positions: they, what is behind them, the currencies, the index.

    What is held comes first. index: symbol of what beta-weighted delta is measured in, "" for none.
    """
    held = [ledger.contracts.get(key[1], each.contract) for key, each in ledger.positions.items() if each.quantity]
    wanted = {contract.con_id: contract for contract in held}
    for contract in held:
        behind = underlying_of(ledger, contract)
        if behind is not None:
            wanted.setdefault(behind.con_id, behind)
    found = index_contract(ledger, index)
    if found is not None and held:
        wanted.setdefault(found.con_id, found)
    currencies = frozenset(contract.currency for contract in held)
    for base in {base_currency(ledger, account) for account, _ in ledger.positions} - {""}:
        for pair in currency_pairs(ledger, currencies - {base}, base):
            wanted.setdefault(pair.con_id, pair)
    return tuple(wanted.values())


def net_liquidation(ledger: Ledger, account: str) -> float | None:
    """Return an account's net liquidation value in base, None while it is not known."""
    return known(ledger.value(account, Tag.NET_LIQUIDATION)[0])


def accounts_worth(ledger: Ledger, accounts: Sequence[str]) -> float | None:
    """Return the net liquidation value of accounts together, None when one is not known or their bases differ."""
    if len({base_currency(ledger, account) for account in accounts}) != 1:
        return None
    found = total(net_liquidation(ledger, account) for account in accounts)
    return found.value if found.is_whole else None


def _holding(
    ledger: Ledger,
    position: Position,
    contract: Contract,
    trades: DayTrades | None,
    rate: Rate | None,
    worth: float | None,
    betas: Mapping[int, Beta],
    index: Index,
) -> Holding:
    quantity, factor = position.quantity, contract.multiplier
    price = pricing(contract, ledger.quote(contract.con_id), position.market_price)
    cost = known(position.average_cost)
    average = cost / factor if cost is not None and factor > 0 else None
    value = 0.0 if quantity == 0 else None if price.value is None else quantity * factor * price.value
    unrealised = _unrealised(position, factor, price.value, average)
    daily = _daily(position, factor, price, trades)
    weight = None
    if value is not None and rate is not None and worth is not None and worth > 0:
        weight = value * rate.value / worth
    allowed = allowance(contract, quantity, price, position.market_price)
    return Holding(
        account=position.account,
        contract=contract,
        position=position,
        price=price,
        average=average,
        market_value=value,
        unrealised=unrealised,
        realised=_realised(position, trades),
        daily=daily,
        trades=trades,
        rate=rate,
        net_liquidation=worth,
        weight=weight,
        exposure=exposure(ledger, contract, quantity, price, betas, index, None if rate is None else rate.value),
        allowed=allowed,
        checks=compare(
            (
                ("market value", value, position.market_value, allowed),
                ("unrealised P&L", unrealised.own, position.unrealised, allowed),
                ("daily P&L", daily.own, position.daily, allowed + _fees(trades)),
            )
        ),
    )


def _fees(trades: DayTrades | None) -> float:
    return abs(trades.commission.value or 0.0) if trades is not None else 0.0


def _figure(own: float | None, broker: float | None) -> Figure:
    if own is not None and math.isfinite(own):
        return Figure(own, Origin.OWN)
    theirs = known(broker)
    return _NO_FIGURE if theirs is None else Figure(theirs, Origin.BROKER)


def _unrealised(position: Position, factor: float, price: float | None, average: float | None) -> Figure:
    if position.quantity == 0:
        return Figure(0.0, Origin.OWN)
    own = None if price is None or average is None else position.quantity * factor * (price - average)
    return _figure(own, position.unrealised)


def _realised(position: Position, trades: DayTrades | None) -> Figure:
    """The broker's figure; what its fills told where it sends none with the position."""
    theirs = known(position.realised)
    if theirs is None and trades is not None and trades.realised.is_whole:
        theirs = trades.realised.value
    return _NO_FIGURE if theirs is None else Figure(theirs, Origin.BROKER)


def _daily(position: Position, factor: float, price: Pricing, trades: DayTrades | None) -> Figure:
    quantity = position.quantity
    opened = quantity - (trades.net if trades is not None else 0.0)
    paid = trades.paid if trades is not None else 0.0
    now = _worth(quantity, price.value)
    then = _worth(opened, price.close)
    own = None if now is None or then is None else factor * (now - then - paid)
    return _figure(own, position.daily)


def _worth(quantity: float, price: float | None) -> float | None:
    """Return quantity × price; nothing is worth nothing whatever the price."""
    if abs(quantity) < 1e-9:
        return 0.0
    return None if price is None else quantity * price
