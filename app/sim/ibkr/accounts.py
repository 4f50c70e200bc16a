"""Keeps the books of the simulated accounts: fills change positions, cash and what is realised.

A position's average price carries its opening commissions, as at the broker; what a fill realises is net of its own.
Stocks and options are paid in cash; a future is worth the difference to its average price, paid when it is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.sim.ibkr.instruments import SimContract
from app.sim.ibkr.records import SimFill, SimPnl, SimPosition, SimPositionPnl, SimValue

BASE_CURRENCY = "USD"
_MARGIN = {"STK": (0.28, 0.25), "OPT_SHORT": (0.22, 0.18), "FUT": (0.075, 0.068)}
_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Opening:
    """A position an account starts the day with: quantity and average price per unit."""

    con_id: int
    quantity: float
    average_price: float


@dataclass(slots=True)
class Account:
    """Money and positions of one account; cash by currency."""

    name: str
    cash: dict[str, float]
    positions: dict[int, SimPosition] = field(default_factory=dict)


class Books:
    """All accounts. `price_of` and `close_of` give mark and previous close, `rate_of` a currency's worth in USD."""

    def __init__(
        self,
        contracts: dict[int, SimContract],
        *,
        price_of: Callable[[int], float],
        close_of: Callable[[int], float],
        rate_of: Callable[[str], float],
    ) -> None:
        """Start without accounts."""
        self.accounts: dict[str, Account] = {}
        self._contracts = contracts
        self._price_of = price_of
        self._close_of = close_of
        self._rate_of = rate_of

    def open_account(self, name: str, cash: dict[str, float], openings: list[Opening]) -> None:
        """Add an account as it was at the previous close."""
        account = self.accounts[name] = Account(name, dict(cash))
        for each in openings:
            multiplier = self._contracts[each.con_id].multiplier
            account.positions[each.con_id] = SimPosition(
                account=name,
                con_id=each.con_id,
                quantity=each.quantity,
                average_cost=each.average_price * multiplier,
                average_price=each.average_price,
                realised=0.0,
                opening_quantity=each.quantity,
                opening_value=each.quantity * multiplier * self._close_of(each.con_id),
                bought_today=0.0,
            )

    def roll_day(self) -> None:
        """Begin a new trading day: nothing is realised yet, closed positions are gone."""
        for account in self.accounts.values():
            for con_id, position in list(account.positions.items()):
                if not position.quantity:
                    del account.positions[con_id]
                    continue
                position.opening_quantity = position.quantity
                position.opening_value = self._value(position, self._close_of(con_id))
                position.realised = position.bought_today = 0.0

    def apply(self, fill: SimFill) -> None:
        """Book a fill and write what it realised into it."""
        account = self.accounts[fill.account]
        contract = self._contracts[fill.con_id]
        position = account.positions.get(fill.con_id)
        if position is None:
            position = account.positions[fill.con_id] = SimPosition(
                account=fill.account,
                con_id=fill.con_id,
                quantity=0.0,
                average_cost=0.0,
                average_price=0.0,
                realised=0.0,
                opening_quantity=0.0,
                opening_value=0.0,
                bought_today=0.0,
            )
        change = fill.signed_quantity
        held = position.quantity
        closed = min(abs(change), abs(held)) if held * change < 0.0 else 0.0
        opened = abs(change) - closed
        fee_closed = fill.commission * closed / abs(change)
        multiplier = contract.multiplier
        realised = 0.0
        if closed:
            sign = 1.0 if held > 0.0 else -1.0
            realised = sign * closed * multiplier * (fill.price - position.average_price) - fee_closed
            fill.realised = realised
            position.realised += realised
        left = held + (closed if change > 0.0 else -closed)
        signed_opened = opened if change > 0.0 else -opened
        quantity = left + signed_opened
        if abs(quantity) < _DUST:
            quantity = 0.0
        cost = (left * position.average_price + signed_opened * fill.price) * multiplier + fill.commission - fee_closed
        position.quantity = quantity
        position.average_price = cost / (quantity * multiplier) if quantity else 0.0
        position.average_cost = position.average_price * multiplier
        paid = change * fill.price * multiplier + fill.commission
        position.bought_today += paid
        currency = contract.currency
        account.cash.setdefault(currency, 0.0)
        account.cash[currency] += realised if contract.sec_type == "FUT" else -paid

    # Profit and loss

    def position_pnl(self, account: str, con_id: int) -> SimPositionPnl:
        """Return profit and loss of a position; KeyError without one."""
        position = self.accounts[account].positions[con_id]
        price = self._price_of(con_id)
        value = self._value(position, price)
        cost = position.quantity * position.average_cost
        return SimPositionPnl(
            quantity=position.quantity,
            price=price,
            value=value,
            daily=value - position.opening_value - position.bought_today,
            unrealised=value - cost,
            realised=position.realised,
        )

    def pnl(self, account: str) -> SimPnl:
        """Return profit and loss of an account in USD."""
        daily = unrealised = realised = 0.0
        for con_id in self.accounts[account].positions:
            rate = self._rate_of(self._contracts[con_id].currency)
            found = self.position_pnl(account, con_id)
            daily += found.daily * rate
            unrealised += found.unrealised * rate
            realised += found.realised * rate
        return SimPnl(daily, unrealised, realised)

    def _value(self, position: SimPosition, price: float) -> float:
        return position.quantity * self._contracts[position.con_id].multiplier * price

    # Figures

    def values(self, name: str) -> list[SimValue]:
        """Return the figures of an account: in USD, then those of each currency and of BASE."""
        account = self.accounts[name]
        ledgers = {currency: _Ledger(cash, self._rate_of(currency)) for currency, cash in account.cash.items()}
        initial = maintenance = gross = 0.0
        for con_id, position in account.positions.items():
            contract = self._contracts[con_id]
            ledger = ledgers.setdefault(contract.currency, _Ledger(0.0, self._rate_of(contract.currency)))
            found = self.position_pnl(name, con_id)
            ledger.add(contract.sec_type, found)
            if not position.quantity:
                continue
            kind, size = contract.sec_type, abs(found.value) * ledger.rate
            if kind != "FUT":
                gross += size
            if kind == "OPT":
                if position.quantity > 0.0:
                    continue
                kind = "OPT_SHORT"
                spot = self._price_of(contract.underlying_con_id)
                size += abs(position.quantity) * contract.multiplier * spot * ledger.rate
            first, later = _MARGIN[kind]
            initial += size * first
            maintenance += size * later
        total = _Ledger(0.0, 1.0)
        for ledger in ledgers.values():
            total.merge(ledger)
        with_loan = total.net - total.options
        available, excess = with_loan - initial, with_loan - maintenance
        plain = [
            ("NetLiquidation", total.net),
            ("TotalCashValue", total.cash),
            ("SettledCash", total.cash),
            ("AccruedCash", 0.0),
            ("EquityWithLoanValue", with_loan),
            ("PreviousDayEquityWithLoanValue", with_loan - self.pnl(name).daily),
            ("GrossPositionValue", gross),
            ("InitMarginReq", initial),
            ("MaintMarginReq", maintenance),
            ("FullInitMarginReq", initial),
            ("FullMaintMarginReq", maintenance),
            ("AvailableFunds", available),
            ("FullAvailableFunds", available),
            ("ExcessLiquidity", excess),
            ("FullExcessLiquidity", excess),
            ("BuyingPower", max(0.0, available) * 4.0),
        ]
        found_values = [SimValue(tag, value, BASE_CURRENCY) for tag, value in plain]
        found_values += [
            SimValue("Cushion", excess / total.net, ""),
            SimValue("Leverage-S", gross / total.net, ""),
            SimValue("DayTradesRemaining", -1.0, ""),
        ]
        for currency, ledger in ledgers.items():
            found_values += ledger.values(currency)
        return found_values + total.values("BASE")


@dataclass(slots=True)
class _Ledger:
    """Sums of one currency."""

    cash: float
    rate: float
    stocks: float = 0.0
    options: float = 0.0
    futures: float = 0.0
    unrealised: float = 0.0
    realised: float = 0.0

    @property
    def net(self) -> float:
        return self.cash + self.stocks + self.options + self.futures

    def add(self, kind: str, found: SimPositionPnl) -> None:
        if kind == "FUT":
            self.futures += found.unrealised
        elif kind == "OPT":
            self.options += found.value
        else:
            self.stocks += found.value
        self.unrealised += found.unrealised
        self.realised += found.realised

    def merge(self, other: _Ledger) -> None:
        for name in ("cash", "stocks", "options", "futures", "unrealised", "realised"):
            setattr(self, name, getattr(self, name) + getattr(other, name) * other.rate)

    def values(self, currency: str) -> list[SimValue]:
        figures = {
            "CashBalance": self.cash,
            "TotalCashBalance": self.cash,
            "AccruedCash": 0.0,
            "StockMarketValue": self.stocks,
            "OptionMarketValue": self.options,
            "FuturesPNL": self.futures,
            "NetLiquidationByCurrency": self.net,
            "UnrealizedPnL": self.unrealised,
            "RealizedPnL": self.realised,
            "ExchangeRate": self.rate,
        }
        return [SimValue(tag, value, currency) for tag, value in figures.items()]
