"""Answers what clients ask of accounts and positions, and tells them what changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from app.sim.ibkr.hours import NEW_YORK
from app.sim.ibkr.records import SimPositionPnl
from app.sim.ibkr.world import Changes, World
from app.sim.tws import encoders
from app.sim.tws.client import Told, TwsClient
from app.sim.tws.conditions import Conditions
from app.sim.tws.requests import Fields
from app.sim.tws.wire import UNSET_DOUBLE, money

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
        account_every_s: float,
    ) -> None:
        """Take the world."""
        self._world = world
        self._conditions = conditions
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

    # What changes

    def publish(self, clients: list[TwsClient], changes: Changes) -> None:
        """Tell clients what a step changed."""
        now_s = self._world.now_s
        figures_due = now_s >= self._figures_due_s
        pnl_due = now_s >= self._pnl_due_s
        if figures_due:
            self._figures_due_s = now_s + self._every_s
        if pnl_due:
            self._pnl_due_s = now_s + 1.0
        filled = {(fill.account, fill.con_id) for fill in changes.fills}
        for client in clients:
            wanted = client.subscriptions
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
