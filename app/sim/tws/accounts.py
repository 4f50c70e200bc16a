"""Answers what clients ask of accounts, orders and executions, and tells them what changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from app.sim.ibkr.hours import NEW_YORK
from app.sim.ibkr.records import SimPositionPnl
from app.sim.ibkr.world import Changes, World
from app.sim.tws import encoders, order_encoders
from app.sim.tws.client import Told, TwsClient
from app.sim.tws.conditions import Conditions
from app.sim.tws.requests import Fields
from app.sim.tws.wire import UNSET_DOUBLE, money

READ_ONLY = "Error validating request.-'bK' : cause - The API interface is currently in Read-Only mode."
_MOST_SUMMARIES = 2
_MOST_MULTI = 50
_UNKNOWN_ACCOUNT = "Error validating request.-'bX' : cause - Invalid account code."
_RATES = {"Cushion": 6, "ExchangeRate": 7, "Leverage-S": 2, "DayTradesRemaining": 0}
_UNSET_TAGS = frozenset({"UnrealizedPnL", "RealizedPnL", "AccruedCash", "Cushion", "ExcessLiquidity"})

Figure = tuple[str, str, str]


class AccountDesk:
    """Everything about accounts. `account_every_s` is how often figures are sent to those who subscribed."""

    def __init__(
        self,
        world: World,
        conditions: Conditions,
        *,
        read_only: bool,
        push_orders: bool,
        account_every_s: float,
    ) -> None:
        """Take the world."""
        self.read_only = read_only
        self._world = world
        self._conditions = conditions
        self._push_orders = push_orders
        self._every_s = account_every_s
        self._figures_due_s = world.now_s + account_every_s
        self._pnl_due_s = world.now_s

    # Positions and figures

    def positions(self, client: TwsClient, fields: Fields) -> None:
        """Tell all positions and, from now on, changes."""
        client.subscriptions.positions = True
        for account in self._world.accounts:
            for held in self._world.positions(account):
                client.say(encoders.position(self._world.catalogue.contracts[held.con_id], held, held.quantity))
        client.say(encoders.POSITION_END)

    def cancel_positions(self, client: TwsClient, fields: Fields) -> None:
        """Tell positions no more."""
        client.subscriptions.positions = False

    def account_updates(self, client: TwsClient, fields: Fields) -> None:
        """Tell figures and portfolio of one account, or no more of it."""
        fields.text()
        subscribe, account = fields.flag(), fields.text()
        if not subscribe:
            client.subscriptions.account = None
            return
        account = account or self._world.accounts[0]
        if account not in self._world.accounts:
            client.say(encoders.error(-1, 321, _UNKNOWN_ACCOUNT))
            return
        told = client.subscriptions.account = Told((account,))
        self._tell_account(client, told, all_positions=True)
        client.say(encoders.account_end(account))

    def account_updates_multi(self, client: TwsClient, fields: Fields) -> None:
        """Tell figures of one account or all of them under a request id."""
        fields.text()
        req_id, account, model = fields.whole(), fields.text(), fields.text()
        accounts = self._accounts_of(account)
        if not accounts or len(client.subscriptions.multi) >= _MOST_MULTI:
            client.say(encoders.error(req_id, 321, _UNKNOWN_ACCOUNT))
            return
        told = client.subscriptions.multi[req_id] = Told(accounts, model)
        self._tell_multi(client, req_id, told)
        client.say(encoders.multi_end(req_id))

    def cancel_account_updates_multi(self, client: TwsClient, fields: Fields) -> None:
        """End such a subscription."""
        fields.text()
        client.subscriptions.multi.pop(fields.whole(), None)

    def summary(self, client: TwsClient, fields: Fields) -> None:
        """Tell chosen figures of all accounts."""
        fields.text()
        req_id, group, tags = fields.whole(), fields.text(), fields.text()
        if len(client.subscriptions.summaries) >= _MOST_SUMMARIES:
            text = "Error processing request.-'bN' : cause - Maximum number of account summary requests exceeded."
            client.say(encoders.error(req_id, 322, text))
            return
        accounts = self._accounts_of("" if group == "All" else group)
        told = Told(accounts, tags=frozenset(word.strip() for word in tags.split(",") if word.strip()))
        client.subscriptions.summaries[req_id] = told
        self._tell_summary(client, req_id, told)
        client.say(encoders.summary_end(req_id))

    def cancel_summary(self, client: TwsClient, fields: Fields) -> None:
        """End the summary."""
        fields.text()
        client.subscriptions.summaries.pop(fields.whole(), None)

    def pnl(self, client: TwsClient, fields: Fields) -> None:
        """Tell profit and loss of an account about once a second."""
        req_id, account = fields.whole(), fields.text()
        if account not in self._world.accounts:
            client.say(encoders.error(req_id, 321, _UNKNOWN_ACCOUNT))
            return
        client.subscriptions.pnl[req_id] = account
        self._tell_pnl(client, req_id, account)

    def cancel_pnl(self, client: TwsClient, fields: Fields) -> None:
        """End it."""
        client.subscriptions.pnl.pop(fields.whole(), None)

    def pnl_single(self, client: TwsClient, fields: Fields) -> None:
        """Tell profit and loss of a position about once a second."""
        req_id, account = fields.whole(), fields.text()
        fields.text()
        con_id = fields.whole()
        if account not in self._world.accounts:
            client.say(encoders.error(req_id, 321, _UNKNOWN_ACCOUNT))
            return
        client.subscriptions.pnl_single[req_id] = (account, con_id)
        self._tell_pnl_single(client, req_id, account, con_id)

    def cancel_pnl_single(self, client: TwsClient, fields: Fields) -> None:
        """End it."""
        client.subscriptions.pnl_single.pop(fields.whole(), None)

    def managed_accounts(self, client: TwsClient, fields: Fields) -> None:
        """Tell the accounts of the login."""
        client.say(encoders.managed_accounts(self._world.accounts))

    # Orders and executions

    def open_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell the client's own orders."""
        self._tell_orders(client, own=True)

    def all_open_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell everybody's orders."""
        self._tell_orders(client, own=False)

    def completed_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell today's orders that are done."""
        if self.refuse(client):
            return
        for order in self._world.completed_orders:
            client.say(order_encoders.completed_order(order, self._world.catalogue.contracts[order.con_id]))
        client.say(order_encoders.COMPLETED_END)

    def refuse(self, client: TwsClient) -> bool:
        """Refuse what a read-only API does not show; return whether it did."""
        if self.read_only:
            client.say(encoders.error(-1, 321, READ_ONLY))
        return self.read_only

    def executions(self, client: TwsClient, fields: Fields) -> None:
        """Tell today's executions that fit a filter."""
        fields.text()
        req_id, client_id, account, since = fields.whole(), fields.whole(), fields.text(), fields.text()
        symbol, sec_type, exchange, side = fields.text(), fields.text(), fields.text(), fields.text()
        since_s = _read_time(since)
        for fill in self._world.fills:
            contract = self._world.catalogue.contracts[fill.con_id]
            if (
                (not client_id or fill.client_id == client_id)
                and (not account or fill.account == account)
                and fill.time_s >= since_s
                and (not symbol or contract.symbol == symbol)
                and (not sec_type or contract.sec_type == sec_type)
                and (not exchange or fill.exchange == exchange)
                and (not side or fill.side[:1] == side[:1])
            ):
                client.say(order_encoders.execution(req_id, fill, contract))
                if self._world.commission_told(fill):
                    client.say(order_encoders.commission_report(fill))
        client.say(order_encoders.execution_end(req_id))

    def _tell_orders(self, client: TwsClient, *, own: bool) -> None:
        if self.refuse(client):
            return
        for order in self._world.open_orders:
            if own and (order.client_id != client.client_id or not order.order_id):
                continue
            client.say(order_encoders.open_order(order, self._world.catalogue.contracts[order.con_id]))
            client.say(order_encoders.order_status(order))
        client.say(order_encoders.OPEN_ORDER_END)

    # What changes

    def publish(self, clients: list[TwsClient], changes: Changes) -> None:
        """Tell clients what a step changed."""
        now_s = self._world.now_s
        messages = list(self._news(changes))
        figures_due = now_s >= self._figures_due_s
        pnl_due = now_s >= self._pnl_due_s
        if figures_due:
            self._figures_due_s = now_s + self._every_s
        if pnl_due:
            self._pnl_due_s = now_s + 1.0
        filled = {(fill.account, fill.con_id) for fill in changes.fills}
        for client in clients:
            wanted = client.subscriptions
            client.say_all(messages)
            if wanted.positions:
                self._tell_positions(client, filled)
            if filled or figures_due:
                if wanted.account is not None and wanted.account.accounts[0] in self._world.accounts:
                    self._tell_account(client, wanted.account, all_positions=figures_due, positions=filled)
                for req_id, told in wanted.multi.items():
                    self._tell_multi(client, req_id, told)
                for req_id, told in wanted.summaries.items():
                    self._tell_summary(client, req_id, told)
            if pnl_due or filled:
                for req_id, account in wanted.pnl.items():
                    self._tell_pnl(client, req_id, account)
                for req_id, (account, con_id) in wanted.pnl_single.items():
                    self._tell_pnl_single(client, req_id, account, con_id)

    def _news(self, changes: Changes) -> Iterator[bytes]:
        contracts = self._world.catalogue.contracts
        if not self.read_only and self._push_orders:
            for order in changes.orders:
                yield order_encoders.open_order(order, contracts[order.con_id])
                yield order_encoders.order_status(order)
        for fill in changes.fills:
            yield order_encoders.execution(-1, fill, contracts[fill.con_id])
        for fill in changes.commissions:
            yield order_encoders.commission_report(fill)

    def _tell_positions(self, client: TwsClient, filled: set[tuple[str, int]]) -> None:
        for account, con_id in sorted(filled):
            held = self._world.position(account, con_id)
            if held is not None:
                client.say(encoders.position(self._world.catalogue.contracts[con_id], held, held.quantity))

    def _tell_account(
        self,
        client: TwsClient,
        told: Told,
        *,
        all_positions: bool,
        positions: set[tuple[str, int]] | None = None,
    ) -> None:
        account = told.accounts[0]
        for tag, text, currency in self._changed(account, told):
            client.say(encoders.account_value(tag, text, currency, account))
        for held in self._world.positions(account, closed=positions is not None):
            if (all_positions and held.quantity) or (positions and (account, held.con_id) in positions):
                contract = self._world.catalogue.contracts[held.con_id]
                found = self._world.position_pnl(account, held.con_id)
                if self._conditions.active("noprices", contract.symbol):
                    found = _without_price(found)
                client.say(encoders.portfolio_value(contract, held, found))
        now = datetime.fromtimestamp(self._world.now_s, NEW_YORK)
        client.say(encoders.account_time(f"{now:%H:%M}"))

    def _tell_multi(self, client: TwsClient, req_id: int, told: Told) -> None:
        for account in told.accounts:
            if account in self._world.accounts:
                for tag, text, currency in self._changed(account, told):
                    client.say(encoders.multi_value(req_id, account, told.model, tag, text, currency))

    def _tell_summary(self, client: TwsClient, req_id: int, told: Told) -> None:
        for account in told.accounts:
            if account in self._world.accounts:
                for tag, text, currency in self._changed(account, told):
                    client.say(encoders.summary_value(req_id, account, tag, text, currency))

    def _tell_pnl(self, client: TwsClient, req_id: int, account: str) -> None:
        if account not in self._world.accounts:
            return
        if self._conditions.active("unset"):
            client.say(encoders.pnl(req_id, None, None, None))
            return
        found = self._world.pnl(account)
        client.say(encoders.pnl(req_id, found.daily, found.unrealised, found.realised))

    def _tell_pnl_single(self, client: TwsClient, req_id: int, account: str, con_id: int) -> None:
        if self._world.position(account, con_id) is None:
            client.say(encoders.pnl_single(req_id, 0.0, 0.0, 0.0, None, 0.0))
            return
        found = self._world.position_pnl(account, con_id)
        if self._conditions.active("unset", self._world.catalogue.contracts[con_id].symbol):
            client.say(encoders.pnl_single(req_id, found.quantity, None, None, None, None))
            return
        # what was never realised is not set, as TWS sends it
        realised = found.realised if found.realised else None
        client.say(encoders.pnl_single(req_id, found.quantity, found.daily, found.unrealised, realised, found.value))

    # Figures as texts

    def _accounts_of(self, name: str) -> tuple[str, ...]:
        if name in ("", "All"):
            return self._world.accounts
        return (name,) if name in self._world.accounts else ()

    def _changed(self, account: str, told: Told) -> Iterator[Figure]:
        for tag, text, currency in self._figures(account):
            name = tag
            if told.tags:
                name = "Leverage" if tag == "Leverage-S" else tag
                if not _is_wanted(told.tags, name, currency):
                    continue
            if told.figures.get((account, name, currency)) != text:
                told.figures[account, name, currency] = text
                yield name, text, currency

    def _figures(self, account: str) -> Iterator[Figure]:
        yield "AccountCode", account, ""
        yield "AccountReady", "true", ""
        yield "AccountType", "INDIVIDUAL", ""
        unset = self._conditions.active("unset")
        for value in self._world.values(account):
            if value.tag == "CashBalance":
                yield "Currency", value.currency, value.currency
            if unset and value.tag in _UNSET_TAGS:
                yield value.tag, UNSET_DOUBLE, value.currency
                continue
            digits = _RATES.get(value.tag)
            yield value.tag, money(value.value) if digits is None else f"{value.value:.{digits}f}", value.currency


_LEDGER = frozenset(
    {
        "Currency",
        "CashBalance",
        "TotalCashBalance",
        "AccruedCash",
        "StockMarketValue",
        "OptionMarketValue",
        "FuturesPNL",
        "NetLiquidationByCurrency",
        "UnrealizedPnL",
        "RealizedPnL",
        "ExchangeRate",
    }
)


def _is_wanted(tags: frozenset[str], tag: str, currency: str) -> bool:
    if tag in tags and not (tag == "AccruedCash" and currency == "BASE"):
        return True
    if tag not in _LEDGER:
        return False
    return "$LEDGER:ALL" in tags or f"$LEDGER:{currency}" in tags or ("$LEDGER" in tags and currency == "BASE")


def _without_price(found: SimPositionPnl) -> SimPositionPnl:
    return SimPositionPnl(found.quantity, 0.0, 0.0, 0.0, 0.0, found.realised)


def _read_time(text: str) -> float:
    """Return the time of an executions filter (`20261120 09:30:00`, New York) in UTC seconds, 0 for none."""
    parts = text.replace("-", " ").split()
    if len(parts) < 2:
        return 0.0
    try:
        stamp = datetime.strptime(f"{parts[0]} {parts[1]}", "%Y%m%d %H:%M:%S").replace(tzinfo=NEW_YORK)
    except ValueError:
        return 0.0
    return stamp.timestamp()
