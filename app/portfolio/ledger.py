"""Turns what one source tells into the present state of its accounts: figures, positions, quotes, orders.

Nothing is forgotten when a connection breaks: figures keep the time they came at, and screens grey what is old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.domain.account import (
    AccountPnl,
    AccountsSeen,
    AccountValue,
    DetailsSeen,
    LineRefused,
    Position,
    PositionPnl,
    PositionSeen,
    PositionsListed,
    ScanSeen,
    Source,
)
from app.domain.broker_events import BrokerEvent
from app.domain.contracts import Contract, ContractDetails
from app.domain.orders import ExecutionSeen, OrderSeen, OrdersListed
from app.domain.quotes import QuoteField, QuoteUpdate
from app.portfolio.orders import OrderBook

NAN = float("nan")


@dataclass(slots=True)
class Quote:
    """The latest figures of one contract. values by `QuoteField` number, NaN or absent: unknown. updated_ns: UTC ns of
    receipt of the last news, 0: never; refused: why no quotes come ("" while they do)."""

    values: dict[int, float] = field(default_factory=dict)
    updated_ns: int = 0
    event_ns: int = 0
    refused: str = ""

    def __getitem__(self, quote_field: QuoteField) -> float:
        """Return a figure, NaN when it is not known."""
        return self.values.get(quote_field, NAN)


@dataclass(slots=True)
class Revisions:
    """Numbers that move when a part of the ledger changes."""

    account: int = 0
    positions: int = 0
    quotes: int = 0
    orders: int = 0
    scans: int = 0


class Ledger:
    """Accounts of one source. positions by (account, con_id); values by account, then (tag, currency)."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.revisions = Revisions()
        self.accounts: tuple[str, ...] = ()
        self.values: dict[str, dict[tuple[str, str], float | None]] = {}
        self.pnl: dict[str, AccountPnl] = {}
        self.positions: dict[tuple[str, int], Position] = {}
        self.quotes: dict[int, Quote] = {}
        self.contracts: dict[int, Contract] = {}
        self.details: dict[int, ContractDetails] = {}
        self.scans: dict[str, tuple[Contract, ...]] = {}
        self.orders = OrderBook(source)
        self.account_ns = 0
        self.positions_ns = 0
        self.event_ns = 0

    def quote(self, con_id: int) -> Quote | None:
        """Return the quote of a contract, None when none ever came."""
        return self.quotes.get(con_id)

    def value(self, account: str, tag: str, currency: str | None = None) -> tuple[float | None, str]:
        """Return a figure and its currency; without `currency` the first that is there (base figures first)."""
        values = self.values.get(account, {})
        if currency is not None:
            return values.get((tag, currency)), currency
        found = [(word, value) for (name, word), value in values.items() if name == tag and value is not None]
        found.sort(key=lambda pair: (pair[0] != "BASE", pair[0] != ""))
        return (found[0][1], found[0][0]) if found else (None, "")

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        """Take quotes."""
        quotes = self.quotes
        for con_id, event_ns, values in updates:
            quote = quotes.get(con_id)
            if quote is None:
                quote = quotes[con_id] = Quote()
            quote.values.update(values)
            quote.updated_ns = recv_ns
            quote.event_ns = event_ns
            quote.refused = ""
        self.revisions.quotes += 1

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take account, order and contract news."""
        for event in events:
            self._on_event(recv_ns, event)

    def _on_event(self, recv_ns: int, event: BrokerEvent) -> None:
        match event:
            case AccountValue(account, tag, currency, value):
                self.values.setdefault(account, {})[tag, currency] = value
                self._account_moved(recv_ns)
            case PositionSeen(position):
                self._on_position(position)
                self._positions_moved(recv_ns)
            case PositionPnl():
                self._on_position_pnl(event)
                self._positions_moved(recv_ns)
            case AccountPnl():
                self.pnl[event.account] = event
                self._account_moved(recv_ns)
            case PositionsListed(account, positions):
                listed = {position.contract.con_id for position in positions}
                for key in [key for key in self.positions if key[0] == account and key[1] not in listed]:
                    del self.positions[key]
                for position in positions:
                    self._on_position(position)
                self._positions_moved(recv_ns)
            case OrderSeen(order):
                self._learn(order.contract)
                self.orders.on_order(recv_ns, order)
                self.revisions.orders += 1
            case ExecutionSeen(execution):
                self._learn(execution.contract)
                self.orders.on_execution(recv_ns, execution)
                self.revisions.orders += 1
            case OrdersListed():
                self.orders.on_listed(recv_ns, event)
                self.revisions.orders += 1
            case DetailsSeen(details):
                self._on_details(details)
            case LineRefused(con_id, _, reason):
                self.quotes.setdefault(con_id, Quote()).refused = reason
                self.revisions.quotes += 1
            case ScanSeen(scan, contracts):
                for contract in contracts:
                    self._learn(contract)
                self.scans[scan] = contracts
                self.revisions.scans += 1
            case AccountsSeen(accounts):
                self._on_accounts(accounts)
                self._account_moved(recv_ns)

    def _account_moved(self, recv_ns: int) -> None:
        self.account_ns = recv_ns
        self.revisions.account += 1

    def _positions_moved(self, recv_ns: int) -> None:
        self.positions_ns = recv_ns
        self.revisions.positions += 1

    def _on_accounts(self, accounts: tuple[str, ...]) -> None:
        """An account that is not named any more takes its figures with it."""
        self.accounts = accounts
        for account in [known for known in self.values if known not in accounts]:
            del self.values[account]
        for account in [known for known in self.pnl if known not in accounts]:
            del self.pnl[account]
        gone = [key for key in self.positions if key[0] not in accounts]
        for key in gone:
            del self.positions[key]
        if gone:
            self.revisions.positions += 1

    def _on_position(self, news: Position) -> None:
        key = (news.account, news.contract.con_id)
        if news.quantity == 0:
            self.positions.pop(key, None)
            return
        self._learn(news.contract)
        known = self.positions.get(key)
        if known is None:
            self.positions[key] = replace(news, contract=self.contracts[news.contract.con_id])
            return
        self.positions[key] = replace(
            news,
            contract=self.contracts[news.contract.con_id],
            average_cost=known.average_cost if news.average_cost is None else news.average_cost,
            market_price=known.market_price if news.market_price is None else news.market_price,
            market_value=known.market_value if news.market_value is None else news.market_value,
            unrealised=known.unrealised if news.unrealised is None else news.unrealised,
            realised=known.realised if news.realised is None else news.realised,
            daily=known.daily if news.daily is None else news.daily,
        )

    def _on_position_pnl(self, pnl: PositionPnl) -> None:
        key = (pnl.account, pnl.con_id)
        known = self.positions.get(key)
        if known is None:
            return
        self.positions[key] = replace(
            known,
            daily=known.daily if pnl.daily is None else pnl.daily,
            unrealised=known.unrealised if pnl.unrealised is None else pnl.unrealised,
            realised=known.realised if pnl.realised is None else pnl.realised,
            market_value=known.market_value if pnl.value is None else pnl.value,
        )

    def _on_details(self, details: ContractDetails) -> None:
        con_id = details.contract.con_id
        self._learn(details.contract)
        self.details[con_id] = details
        for key in [key for key in self.positions if key[1] == con_id]:
            self.positions[key] = replace(self.positions[key], contract=self.contracts[con_id])
            self.revisions.positions += 1

    def _learn(self, contract: Contract) -> None:
        """Keep the fuller of two descriptions of a contract."""
        known = self.contracts.get(contract.con_id)
        if known is None:
            self.contracts[contract.con_id] = contract
            return
        self.contracts[contract.con_id] = replace(
            contract,
            primary_exchange=contract.primary_exchange or known.primary_exchange,
            local_symbol=contract.local_symbol or known.local_symbol,
            trading_class=contract.trading_class or known.trading_class,
            underlying_con_id=contract.underlying_con_id or known.underlying_con_id,
            name=contract.name or known.name,
        )
