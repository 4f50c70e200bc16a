"""From ib_async's contracts, account rows and positions to the words of app.domain.

Signs for "none" end here (see `numbers`). An average cost stays as TWS sends it: per contract for derivatives, with
the multiplier in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

import ib_async

from app.domain.account import AccountPnl, AccountValue, Position, PositionPnl, Tag
from app.domain.contracts import Contract, ContractDetails, DailyBar, Right, SecType
from app.venues.ibkr_tws.hours import sessions
from app.venues.ibkr_tws.numbers import above_zero, day_text, number

SMART: Final = "SMART"
_RIGHTS: Final = {"C": Right.CALL, "CALL": Right.CALL, "P": Right.PUT, "PUT": Right.PUT}
_KNOWN_TAGS: Final = frozenset(tag.value for tag in Tag)
_NO_LIMIT: Final = -1.0


def to_contract(raw: ib_async.Contract, details: ib_async.ContractDetails | None = None) -> Contract:
    """Return a contract. Positions come without an exchange: then quotes are asked for at SMART."""
    sec_type = SecType.of(raw.secType)
    derivative = sec_type.is_option or sec_type in (SecType.FUTURE, SecType.WARRANT)
    return Contract(
        con_id=raw.conId,
        symbol=raw.symbol,
        sec_type=sec_type,
        currency=raw.currency,
        exchange=raw.exchange or SMART,
        primary_exchange=raw.primaryExchange,
        expiry=raw.lastTradeDateOrContractMonth.split(" ")[0] if derivative else "",
        strike=(number(raw.strike) or 0.0) if sec_type.is_option or sec_type is SecType.WARRANT else 0.0,
        right=_RIGHTS.get(raw.right.upper(), Right.NONE),
        multiplier=above_zero(raw.multiplier) or 1.0,
        local_symbol=raw.localSymbol,
        trading_class=raw.tradingClass,
        underlying_con_id=details.underConId if details is not None else 0,
        name=details.longName if details is not None else raw.description,
    )


def from_contract(contract: Contract) -> ib_async.Contract:
    """Return what TWS has to be asked with: the number says all, the rest keeps TWS from guessing."""
    return ib_async.Contract(
        conId=contract.con_id,
        symbol=contract.symbol,
        secType="" if contract.sec_type is SecType.OTHER else contract.sec_type.value,
        exchange=contract.exchange or SMART,
        currency=contract.currency,
    )


def to_details(raw: ib_async.ContractDetails) -> ContractDetails | None:
    """Return tick size and hours, None when there is no contract in it."""
    if raw.contract is None or not raw.contract.conId:
        return None
    return ContractDetails(
        contract=to_contract(raw.contract, raw),
        tick_size=above_zero(raw.minTick),
        industry=raw.industry,
        zone=raw.timeZoneId,
        trading=sessions(raw.tradingHours, raw.timeZoneId),
        liquid=sessions(raw.liquidHours, raw.timeZoneId),
    )


def to_account_value(raw: ib_async.AccountValue) -> AccountValue | None:
    """Return a figure of an account, None for a row that is a word ("JOINT", "true") or of a model portfolio.

    Unlimited day trades are sent as -1: that is not a number of trades, so None.
    """
    if raw.modelCode or not raw.account:
        return None
    value = number(raw.value)
    if value is None and raw.tag not in _KNOWN_TAGS:
        return None
    if raw.tag == Tag.DAY_TRADES_REMAINING and value == _NO_LIMIT:
        value = None
    return AccountValue(raw.account, raw.tag, raw.currency, value)


def to_position(raw: ib_async.Position) -> Position:
    """Return a position as the list of positions has it: without prices."""
    return Position(
        account=raw.account,
        contract=to_contract(raw.contract),
        quantity=number(raw.position) or 0.0,
        average_cost=number(raw.avgCost),
    )


def from_portfolio(raw: ib_async.PortfolioItem) -> Position:
    """Return a position as the account updates have it: with the broker's price and profit and loss."""
    return Position(
        account=raw.account,
        contract=to_contract(raw.contract),
        quantity=number(raw.position) or 0.0,
        average_cost=number(raw.averageCost),
        market_price=number(raw.marketPrice),
        market_value=number(raw.marketValue),
        unrealised=number(raw.unrealizedPNL),
        realised=number(raw.realizedPNL),
    )


def to_account_pnl(raw: ib_async.PnL) -> AccountPnl:
    """Return the profit and loss of an account."""
    return AccountPnl(raw.account, number(raw.dailyPnL), number(raw.unrealizedPnL), number(raw.realizedPnL))


def to_position_pnl(raw: ib_async.PnLSingle) -> PositionPnl:
    """Return the profit and loss of a position."""
    return PositionPnl(
        raw.account,
        raw.conId,
        number(raw.dailyPnL),
        number(raw.unrealizedPnL),
        number(raw.realizedPnL),
        number(raw.value),
    )


def to_daily_bars(raw: Iterable[ib_async.BarData]) -> tuple[DailyBar, ...]:
    """Return closes, oldest first, one a day; bars without a day or a price above 0 are left out."""
    closes: dict[str, float] = {}
    for bar in raw:
        day, close = day_text(bar.date), above_zero(bar.close)
        if day and close is not None:
            closes[day] = close
    return tuple(DailyBar(day, closes[day]) for day in sorted(closes))


def scanned(raw: Iterable[ib_async.ScanData]) -> tuple[Contract, ...]:
    """Return the contracts of a scanner's answer, best first; combinations have no number of their own."""
    rows = sorted(raw, key=lambda row: row.rank)
    found: dict[int, Contract] = {}
    for row in rows:
        contract = row.contractDetails.contract
        if contract is not None and contract.conId > 0 and contract.secType != SecType.BAG:
            found.setdefault(contract.conId, to_contract(contract))
    return tuple(found.values())


def described(raw: Iterable[ib_async.ContractDescription]) -> tuple[Contract, ...]:
    """Return the contracts of an answer to a search. A stock's exchange is SMART, the one named is its primary."""
    found = []
    for row in raw:
        if row.contract is None or row.contract.conId <= 0:
            continue
        contract = to_contract(row.contract)
        primary = contract.primary_exchange
        routed = contract.sec_type is SecType.STOCK or not primary
        found.append(
            dataclasses.replace(
                contract,
                exchange=SMART if routed else primary,
                primary_exchange=primary.split(".")[0],
            )
        )
    return tuple(found)
