"""From answers and frames about accounts (figures, ledgers, profit and loss, positions) to broker events. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Raw

from app.domain.account import BASE, AccountsSeen, Position, PositionsListed, Tag
from app.domain.errors import BadFrameError
from app.venues.ibkr_portal import contracts
from app.venues.ibkr_portal.account import (
    PnlKeeper,
    ledger_currency,
    ledger_values,
    position,
    streamed_values,
    summary_values,
)
from app.venues.ibkr_portal.decoding import Topic, parse, rows_of
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken, part
from app.venues.ibkr_portal.messages import (
    Accounts,
    PartitionedPnl,
    PnlRow,
    PortfolioAccount,
    PositionRow,
    Row,
    SummaryFigure,
    SummaryRow,
)
from app.venues.ibkr_portal.protocol import LoginSeen
from app.venues.ibkr_portal.trading import account_of
from app.venues.ibkr_portal.values import words

PAGE_ROWS: Final = 100


class AccountIntake:
    """Which accounts there are and what is in them. currencies: those in each ledger, as far as they were told."""

    def __init__(self, common: Common) -> None:
        self.currencies: dict[str, tuple[str, ...]] = {}
        self._common = common
        self._base: dict[str, str] = {}
        self._pnl = PnlKeeper()
        self._pages: dict[str, dict[int, list[Position]]] = {}

    def restarted(self) -> None:
        """Forget pages that never became whole."""
        self._pages.clear()

    def expects_page(self, account: str) -> bool:
        """Return whether more pages of an account's positions have to come before they are told."""
        return account in self._pages

    # -- which accounts there are --------------------------------------------------------------------------------

    def on_act(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take the accounts of the login, streamed."""
        self._take_accounts(parse(part(topic.frame.args), Accounts, "accounts"), taken)

    def on_accounts(self, asked: Asked, taken: Taken) -> None:
        """Take the accounts of the login."""
        self._take_accounts(parse(asked.body, Accounts, "accounts"), taken)

    def _take_accounts(self, told: Accounts, taken: Taken) -> None:
        if told.isPaper is not None:
            taken.news.append(LoginSeen(told.isPaper))
        if told.accounts is None:
            return
        accounts = tuple(dict.fromkeys(filter(None, map(account_of, told.accounts[:1000]))))
        if accounts == self._common.accounts:
            return
        for gone in set(self._common.accounts) - set(accounts):
            self._pnl.forget(gone)
            self._pages.pop(gone, None)
            self.currencies.pop(gone, None)
        self._common.accounts = accounts
        taken.events.append(AccountsSeen(accounts))

    def on_portfolio_accounts(self, asked: Asked, _taken: Taken) -> None:
        """Take the accounts' base currencies."""
        for row in self._common.counted(rows_of(asked.body, PortfolioAccount, "rows of accounts")):
            account = account_of(row.accountId)
            if account and row.currency and len(self._base) < 1000:
                self._base[account] = row.currency.upper()[:8]

    # -- figures -------------------------------------------------------------------------------------------------

    def on_summary(self, asked: Asked, taken: Taken) -> None:
        """Take the figures of an account."""
        account = self._common.named(asked.groups[0])
        if account:
            figures: dict[str, SummaryFigure] = {}
            for name, raw in parse(asked.body, dict[str, Raw], "a summary").items():
                try:
                    figures[name] = parse(raw, SummaryFigure, "a figure")
                except BadFrameError:
                    self._common.bad_rows += 1
            taken.events.extend(summary_values(account, figures))

    def on_ssd(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take the figures of an account, streamed."""
        account = self._common.named(topic.argument)
        if account:
            rows = self._common.counted(rows_of(part(topic.frame.result), SummaryRow, "rows of a summary"))
            taken.events.extend(streamed_values(account, rows))

    def on_ledger(self, asked: Asked, taken: Taken) -> None:
        """Take an account's figures by currency."""
        account = self._common.named(asked.groups[0])
        if not account:
            return
        for name, raw in parse(asked.body, dict[str, Raw], "a ledger").items():
            try:
                self._take_ledger(account, name, parse(raw, Row, "a row"), taken)
            except BadFrameError:
                self._common.bad_rows += 1

    def on_sld(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take an account's figures by currency, streamed."""
        account = self._common.named(topic.argument)
        if account:
            for row in self._common.counted(rows_of(part(topic.frame.result), Row, "rows of a ledger")):
                self._take_ledger(account, words(row.get("key"), 20), row, taken)

    def _take_ledger(self, account: str, name: str, row: Mapping[str, Any], taken: Taken) -> None:
        currency = ledger_currency(name, row)
        if not currency:
            self._common.bad_rows += 1
            return
        values = ledger_values(account, currency, row)
        held = self.currencies.get(account, ())
        if currency not in held and len(held) < 60:
            self.currencies[account] = (*held, currency)
        taken.events.extend(values)
        if currency == BASE:
            realised = next((value.value for value in values if value.tag == Tag.REALIZED_PNL), None)
            self._pnl.realised(account, realised)

    # -- profit and loss -----------------------------------------------------------------------------------------

    def on_spl(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take profit and loss, streamed."""
        rows: dict[str, PnlRow] = {}
        for name, raw in parse(part(topic.frame.args), dict[str, Raw], "rows of profit and loss").items():
            try:
                rows[name] = parse(raw, PnlRow, "profit and loss")
            except BadFrameError:
                self._common.bad_rows += 1
        self._take_pnl(rows, taken)

    def on_partitioned(self, asked: Asked, taken: Taken) -> None:
        """Take profit and loss."""
        self._take_pnl(parse(asked.body, PartitionedPnl, "profit and loss").upnl, taken)

    def _take_pnl(self, rows: Mapping[str, PnlRow], taken: Taken) -> None:
        moved: dict[str, None] = {}
        for name, row in rows.items():
            word, _, model = name.partition(".")
            account = account_of(word)
            if account and self._common.is_ours(account):
                self._pnl.on_row(account, model[:60], row)
                moved[account] = None
        for account in moved:
            taken.events.append(self._pnl.pnl(account))
            taken.events.extend(self._pnl.values(account, self._base.get(account, BASE)))

    # -- positions -----------------------------------------------------------------------------------------------

    def on_positions_page(self, asked: Asked, taken: Taken) -> None:
        """Take one page of at most 100 rows; the positions are told when the last one has come."""
        account, page = self._common.named(asked.groups[0]), int(asked.groups[1])
        if not account:
            return
        rows, held = self._positions(account, asked.body, full=True)
        pages = self._pages.setdefault(account, {})
        if page == 0:
            pages.clear()
        pages[page] = held
        if rows < PAGE_ROWS:
            whole_list = [each for number in sorted(pages) for each in pages[number]]
            del self._pages[account]
            taken.events.append(PositionsListed(account, tuple(whole_list)))

    def on_positions(self, asked: Asked, taken: Taken) -> None:
        """Take all positions of an account at once."""
        account = self._common.named(asked.groups[0])
        if account:
            taken.events.append(PositionsListed(account, tuple(self._positions(account, asked.body, full=False)[1])))

    def _positions(self, account: str, body: bytes, *, full: bool) -> tuple[int, list[Position]]:
        rows = rows_of(body, PositionRow, "rows of positions")
        found = []
        for row in self._common.counted(rows):
            told = contracts.of_position(row)
            if told is None:
                self._common.bad_rows += 1
                continue
            complete = full and bool(words(row.ticker)) and bool(words(row.name))
            held = position(account, self._common.contracts.learn(told, full=complete), row)
            if held is None:
                self._common.bad_rows += 1
            elif held.quantity:
                found.append(held)
        return len(rows) + rows.bad, found
