"""Accounts of the login: figures, positions, profit and loss; subscribed once a connection, told as domain news."""

from __future__ import annotations

from typing import Final

import ib_async

from app.domain.account import AccountsSeen, PositionSeen, PositionsListed, is_paper
from app.domain.broker_health import BrokerHealth
from app.venues.ibkr_tws.convert import from_portfolio, to_account_pnl, to_account_value, to_position, to_position_pnl
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.readonly import ReadOnlyTws

_PORTS: Final = {7496: ("TWS", False), 7497: ("TWS", True), 4001: ("IB Gateway", False), 4002: ("IB Gateway", True)}
_MOST_ACCOUNTS: Final = 50


class Accounts:
    """What is known of the accounts on the present connection."""

    def __init__(self, options: TwsOptions, outbox: Outbox, health: BrokerHealth) -> None:
        self._options = options
        self._outbox = outbox
        self._health = health
        self._tws: ReadOnlyTws | None = None
        self._accounts: tuple[str, ...] = ()
        self._pnl: set[str] = set()
        self._position_pnl: set[tuple[str, int]] = set()

    # -- the connection --------------------------------------------------------------------------------------------

    def attach(self, tws: ReadOnlyTws) -> None:
        """Tell the accounts and all positions of a connection that was just made."""
        self._tws = tws
        self._take_accounts(tws.accounts())
        self._list(tws.positions())

    def _list(self, positions: list[ib_async.Position]) -> None:
        held: dict[str, dict[int, ib_async.Position]] = {account: {} for account in self._accounts}
        for raw in positions:
            if raw.account in held:
                held[raw.account][raw.contract.conId] = raw
        for account, rows in held.items():
            open_ones = tuple(to_position(raw) for raw in rows.values() if raw.position)
            self._outbox.put(PositionsListed(account, open_ones))
        self._outbox.flush()

    def detach(self) -> None:
        """Forget what was subscribed: the connection is gone."""
        self._tws = None
        self._pnl.clear()
        self._position_pnl.clear()

    async def start(self) -> None:
        """Subscribe figures and the accounts' profit and loss. Raises BrokerError when no figures come."""
        self._follow()
        await self._start_figures(self._accounts)

    def start_positions(self) -> None:
        """Subscribe the profit and loss of each position: many questions, so after all others."""
        tws = self._tws
        if tws is None:
            return
        for raw in tws.positions():
            self._follow_position(raw)

    async def restart(self) -> None:
        """Subscribe everything again on the same connection: TWS has lost it."""
        tws = self._tws
        if tws is None:
            return
        for account in self._pnl:
            tws.end_pnl(account)
        for account, con_id in self._position_pnl:
            tws.end_position_pnl(account, con_id)
        self._pnl.clear()
        self._position_pnl.clear()
        self._list(await tws.positions_again())
        await self.start()
        self.start_positions()

    async def _start_figures(self, accounts: tuple[str, ...]) -> None:
        tws = self._tws
        if tws is None:
            return
        if len(self._accounts) == 1:
            await tws.account_updates(self._accounts[0])
            return
        for account in accounts[:_MOST_ACCOUNTS]:
            await tws.account_figures(account)

    # -- news ------------------------------------------------------------------------------------------------------

    async def on_accounts(self, accounts: tuple[str, ...]) -> None:
        """Follow a changed list of accounts while connected."""
        if self._tws is None or not accounts or accounts == self._accounts:
            return
        added = tuple(account for account in accounts if account not in self._accounts)
        for account, con_id in [key for key in self._position_pnl if key[0] not in accounts]:
            self._tws.end_position_pnl(account, con_id)
            self._position_pnl.discard((account, con_id))
        for account in [account for account in self._pnl if account not in accounts]:
            self._tws.end_pnl(account)
            self._pnl.discard(account)
        self._take_accounts(accounts)
        self._outbox.flush()
        self._follow()
        self.start_positions()
        if added:
            await self._start_figures(added)

    def _take_accounts(self, accounts: tuple[str, ...]) -> None:
        self._accounts = accounts
        self._health.accounts = accounts
        self._health.paper, self._health.paper_why = judge_paper(accounts, self._options.port)
        self._outbox.put(AccountsSeen(accounts))

    def on_value(self, raw: ib_async.AccountValue) -> None:
        """Take a figure."""
        if raw.account in self._accounts:
            value = to_account_value(raw)
            if value is not None:
                self._outbox.put(value)

    def on_portfolio(self, raw: ib_async.PortfolioItem) -> None:
        """Take a position with its price."""
        if raw.account in self._accounts:
            self._outbox.put(PositionSeen(from_portfolio(raw)))

    def on_position(self, raw: ib_async.Position) -> None:
        """Take a position; the first ones come before the connection is attached and are listed then."""
        if self._tws is None or raw.account not in self._accounts:
            return
        self._outbox.put(PositionSeen(to_position(raw)))
        key = (raw.account, raw.contract.conId)
        if raw.position:
            self._follow_position(raw)
        elif key in self._position_pnl:
            self._position_pnl.discard(key)
            self._tws.end_position_pnl(*key)

    def on_pnl(self, raw: ib_async.PnL) -> None:
        """Take the profit and loss of an account."""
        if raw.account in self._accounts:
            self._outbox.put(to_account_pnl(raw))

    def on_position_pnl(self, raw: ib_async.PnLSingle) -> None:
        """Take the profit and loss of a position."""
        if raw.account in self._accounts:
            self._outbox.put(to_position_pnl(raw))

    def _follow(self) -> None:
        for account in self._accounts[:_MOST_ACCOUNTS]:
            if self._tws is not None and account not in self._pnl:
                self._pnl.add(account)
                self._tws.start_pnl(account)

    def _follow_position(self, raw: ib_async.Position) -> None:
        key = (raw.account, raw.contract.conId)
        if (
            self._tws is None
            or raw.account not in self._accounts
            or not raw.contract.conId
            or key in self._position_pnl
        ):
            return
        if len(self._position_pnl) < self._options.pnl_positions:
            self._position_pnl.add(key)
            self._tws.start_position_pnl(*key)


def judge_paper(accounts: tuple[str, ...], port: int) -> tuple[bool | None, str]:
    """Return whether the accounts are of paper trading, None for not known, and from what that was judged.

    The ids decide, as ports can be set freely; a port that says otherwise is named.
    """
    by_id = {is_paper(account) for account in accounts}
    program, port_paper = _PORTS.get(port, ("", None))
    port_says = "" if port_paper is None else f"port {port} is the {'paper' if port_paper else 'live'} one of {program}"
    if not accounts:
        return None, "no account is known"
    if len(by_id) > 1 or None in by_id:
        return None, "; ".join(filter(None, ("the account ids are of an unusual or mixed kind", port_says)))
    (paper,) = by_id
    id_says = "account ids of paper trading begin with D" if paper else "the account id does not begin with D"
    if port_paper is None:
        return paper, f"{id_says}; port {port} is not one of the usual ones"
    if port_paper is paper:
        return paper, f"{id_says}; {port_says}"
    return paper, f"{id_says}, but {port_says} by default"
