"""From raw frames and answers of the gateway to broker events and quotes; keeps what changes are merged into. Pure.

The session gives it everything that comes; a recording is replayed through it without a session. What it does not know
is counted, what is malformed raises `BadFrameError`; nothing that comes can end it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from msgspec import Raw

from app.domain.account import (
    BASE,
    AccountsSeen,
    AccountValue,
    DetailsSeen,
    LineRefused,
    Position,
    PositionPnl,
    PositionsListed,
    ScanSeen,
    Tag,
)
from app.domain.broker_events import BrokerEvent
from app.domain.contracts import Contract, ContractDetails, Session
from app.domain.errors import BadFrameError
from app.domain.orders import Execution, ExecutionSeen, OrderSeen, OrdersListed, OrderState
from app.domain.quotes import QuoteUpdate
from app.venues.ibkr_portal import contracts, trading
from app.venues.ibkr_portal.account import (
    PnlKeeper,
    ledger_currency,
    ledger_values,
    position,
    streamed_values,
    summary_values,
)
from app.venues.ibkr_portal.decoding import Rows, Topic, parse, parse_frame, rows_of
from app.venues.ibkr_portal.fields import DAILY_PNL, NOT_SUBSCRIBED, FieldReader, availability
from app.venues.ibkr_portal.messages import (
    Accounts,
    AuthStatus,
    ContractInfo,
    Day,
    Hours,
    OrderList,
    OrderRow,
    PartitionedPnl,
    PnlRow,
    PortfolioAccount,
    PositionRow,
    Row,
    Scan,
    ScanRow,
    Schedule,
    Secdef,
    SecdefRow,
    SummaryFigure,
    SummaryRow,
    Tickle,
    TradeRow,
    Validation,
    WatchlistRows,
)
from app.venues.ibkr_portal.protocol import (
    Beat,
    LoginHolds,
    LoginSeen,
    News,
    OrdersIncomplete,
    said,
    session_seen,
)
from app.venues.ibkr_portal.trading import account_of
from app.venues.ibkr_portal.values import amount, millis_ns, seconds_ns, whole, words

PAGE_ROWS: Final = 100
_MOST_ORDERS: Final = 5_000
_MOST_EXECUTIONS: Final = 50_000
_MOST_DETAILS: Final = 20_000
_LONGEST_LOGIN_MS: Final = 400 * 24 * 3600 * 1000
_ORDER_NAMES: Final = frozenset(OrderRow.__struct_fields__)
_PREFIX: Final = re.compile(r"^(?:https?://[^/]+)?(?:/v1/api)?(?=/)")


class Taken(NamedTuple):
    """What a frame or an answer says. Quotes are to be told before events, which may say why there are none."""

    events: list[BrokerEvent]
    quotes: list[QuoteUpdate]
    news: list[News]


class PortalIntake:
    """One source. ignored: frames of topics there is no use for; bad_rows: rows of lists that made no sense;
    dropped: what was let go because there was too much of it."""

    def __init__(self) -> None:
        self.contracts = contracts.ContractBook()
        self.fields = FieldReader()
        self.details: dict[int, ContractDetails] = {}
        self.accounts: tuple[str, ...] = ()
        self.currencies: dict[str, tuple[str, ...]] = {}
        """Currencies in each account's ledger, as far as they have been told."""
        self.ignored = 0
        self.bad_rows = 0
        self.dropped = 0
        self._base: dict[str, str] = {}
        self._pnl = PnlKeeper()
        self._pages: dict[str, dict[int, list[Position]]] = {}
        self._orders: dict[str, Row] = {}
        self._told_orders: dict[str, OrderState] = {}
        self._executions: dict[str, Execution] = {}
        self._topics: dict[str, Callable[[int, Topic, Taken], None]] = {
            "spl": self._on_spl,
            "ssd": self._on_ssd,
            "sld": self._on_sld,
            "sor": self._on_sor,
            "str": self._on_str,
            "sts": self._on_sts,
            "act": self._on_act,
            "system": self._on_system,
            "ntf": self._on_message,
            "blt": self._on_message,
            "error": self._on_error,
            "": self._on_bare,
            "tic": lambda _recv_ns, _topic, _taken: None,
        }
        self._paths: tuple[tuple[re.Pattern[str], _OnAnswer], ...] = tuple(
            (re.compile(pattern), take)
            for pattern, take in (
                ("/iserver/auth/(?:status|ssodh/init)", self._on_status),
                ("/tickle", self._on_tickle),
                ("/sso/validate", self._on_validation),
                ("/iserver/accounts", self._on_accounts),
                ("/portfolio/accounts", self._on_portfolio_accounts),
                ("/portfolio/([^/]+)/summary", self._on_summary),
                ("/portfolio/([^/]+)/ledger", self._on_ledger),
                ("/portfolio/([^/]+)/positions/([0-9]{1,4})", self._on_positions_page),
                ("/portfolio2/([^/]+)/positions", self._on_positions),
                ("/iserver/account/pnl/partitioned", self._on_partitioned),
                ("/iserver/account/orders", self._on_orders),
                ("/iserver/account/trades", self._on_trades),
                ("/iserver/marketdata/snapshot", self._on_snapshot),
                ("/iserver/contract/([0-9]{1,18})/info(?:-and-rules)?", self._on_info),
                ("/contract/trading-schedule", self._on_schedule),
                ("/trsrv/secdef", self._on_secdef),
                ("/iserver/scanner/run", self._on_scan),
                ("/iserver/watchlist", self._on_watchlist),
                ("/portfolio/[^/]+/positions/invalidate", _nothing),
            )
        )

    # -- input ---------------------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: str | bytes) -> Taken:
        """Take one WebSocket frame, text or bytes. Raises BadFrameError."""
        body = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        taken = Taken([], [], [])
        if body.strip() in (b"", b"tic"):
            return taken
        topic = parse_frame(body)
        if topic.kind == "smd":
            self._on_quote(parse(body, Row, "a quote"), taken)
            return taken
        take = self._topics.get(topic.kind)
        if take is None:
            self.ignored += 1
        else:
            take(recv_ns, topic, taken)
        return taken

    def on_rest(self, recv_ns: int, path: str, raw: str | bytes) -> Taken:
        """Take the body of an answer; path: as asked, with its query. Raises BadFrameError."""
        body = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        plain, _, query = _PREFIX.sub("", path).partition("?")
        taken = Taken([], [], [])
        for pattern, take in self._paths:
            found = pattern.fullmatch(plain)
            if found is not None:
                asked = _Asked(recv_ns, found.groups(), parse_qs(query[:2000]), body)
                take(asked, taken)
                return taken
        self.ignored += 1
        return taken

    def restarted(self) -> None:
        """Note that a new connection begins: changes are told from the start again."""
        self.fields.forget()
        self._pages.clear()

    def expects_page(self, account: str) -> bool:
        """Return whether more pages of an account's positions have to come before they are told."""
        return account in self._pages

    # -- the session itself --------------------------------------------------------------------------------------

    def _on_sts(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        taken.news.append(session_seen(parse(_part(topic.frame.args), AuthStatus, "a session state"), streamed=True))

    def _on_system(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        if topic.frame.hb is not None:
            taken.news.append(Beat(millis_ns(topic.frame.hb)))
        if topic.frame.isPaper is not None:
            taken.news.append(LoginSeen(topic.frame.isPaper))

    def _on_act(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        self._take_accounts(parse(_part(topic.frame.args), Accounts, "accounts"), taken)

    def _on_accounts(self, asked: _Asked, taken: Taken) -> None:
        self._take_accounts(parse(asked.body, Accounts, "accounts"), taken)

    def _take_accounts(self, told: Accounts, taken: Taken) -> None:
        if told.isPaper is not None:
            taken.news.append(LoginSeen(told.isPaper))
        if told.accounts is None:
            return
        accounts = tuple(dict.fromkeys(filter(None, map(account_of, told.accounts[:1000]))))
        if accounts == self.accounts:
            return
        for gone in set(self.accounts) - set(accounts):
            self._pnl.forget(gone)
            self._pages.pop(gone, None)
            self.currencies.pop(gone, None)
        self.accounts = accounts
        taken.events.append(AccountsSeen(accounts))

    def _on_status(self, asked: _Asked, taken: Taken) -> None:
        taken.news.append(session_seen(parse(asked.body, AuthStatus, "a session state")))

    def _on_tickle(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, Tickle, "an answer to tickle")
        self._login_holds(asked.recv_ns, told.ssoExpires, taken)
        if told.iserver is not None and told.iserver.authStatus is not None:
            taken.news.append(session_seen(told.iserver.authStatus))

    def _on_validation(self, asked: _Asked, taken: Taken) -> None:
        self._login_holds(asked.recv_ns, parse(asked.body, Validation, "a validation").EXPIRES, taken)

    def _login_holds(self, recv_ns: int, raw_ms: Any, taken: Taken) -> None:
        left_ms = whole(raw_ms)
        if 0 < left_ms < _LONGEST_LOGIN_MS:
            taken.news.append(LoginHolds(recv_ns + left_ms * 1_000_000))

    # -- messages ------------------------------------------------------------------------------------------------

    def _on_message(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        part = _part(topic.frame.args)
        rows = rows_of(part, Row, "messages") if bytes(part)[:1] == b"[" else Rows([part], Row)
        for told in self._rows(rows):
            title, text = words(told.get("title")), words(told.get("text") or told.get("message"))
            if title or text:
                taken.news.append(said(title, text))

    def _on_error(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        frame = topic.frame
        told = parse(frame.args, Row, "an error") if bytes(frame.args)[:1] == b"{" else {}
        text = words(told.get("error") or told.get("message") or frame.error or frame.message) or "unnamed error"
        code = whole(told.get("code")) or whole(frame.code) or 1
        about = words(told.get("topic"), 80)
        con_id = contracts.con_id_of(about.split("+")[1]) if about.startswith("smd+") else 0
        if con_id:
            limit = "max" in text.lower() or "limit" in text.lower()
            taken.events.append(LineRefused(con_id, code, text, limit))
        taken.news.append(said("", text, code=code, con_id=con_id or None))

    def _on_bare(self, recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Frames without a topic: {"message": "waiting for session"}, {"error": "not authenticated"}."""
        if topic.frame.error is not None:
            self._on_error(recv_ns, topic, taken)
        elif topic.frame.message is None:
            raise BadFrameError("expected a frame with a topic, a message or an error")

    # -- quotes --------------------------------------------------------------------------------------------------

    def _on_quote(self, row: Row, taken: Taken) -> None:
        con_id = contracts.con_id_of(row.get("conid"), row.get("conidEx"), words(row.get("topic"), 80)[4:])
        if not con_id:
            raise BadFrameError("expected the number of a contract in a quote")
        values = self.fields.quote(con_id, row)
        refused = availability(row) == NOT_SUBSCRIBED
        if values and not refused:
            taken.quotes.append(QuoteUpdate(con_id, millis_ns(row.get("_updated")), values))
        if refused:
            reason = "no subscription for the market data of this exchange"
            taken.events.append(LineRefused(con_id, 0, reason, limit=False))
        if DAILY_PNL in row and len(self.accounts) == 1:
            daily = amount(row[DAILY_PNL])
            if daily is not None:
                taken.events.append(PositionPnl(self.accounts[0], con_id, daily, None, None, None))

    def _on_snapshot(self, asked: _Asked, taken: Taken) -> None:
        for row in self._rows(rows_of(asked.body, Row, "rows of quotes")):
            try:
                self._on_quote(row, taken)
            except BadFrameError:
                self.bad_rows += 1

    # -- the account ---------------------------------------------------------------------------------------------

    def _on_portfolio_accounts(self, asked: _Asked, _taken: Taken) -> None:
        for row in self._rows(rows_of(asked.body, PortfolioAccount, "rows of accounts")):
            account = account_of(row.accountId)
            if account and row.currency and len(self._base) < 1000:
                self._base[account] = row.currency.upper()[:8]

    def _known(self, account: str) -> str:
        """Return an account's id. Raises BadFrameError for one that is none; "" for one that is gone."""
        word = account_of(account)
        if not word:
            raise BadFrameError("expected the id of an account")
        return word if not self.accounts or word in self.accounts else ""

    def _on_summary(self, asked: _Asked, taken: Taken) -> None:
        account = self._known(asked.groups[0])
        if account:
            figures: dict[str, SummaryFigure] = {}
            for name, raw in parse(asked.body, dict[str, Raw], "a summary").items():
                try:
                    figures[name] = parse(raw, SummaryFigure, "a figure")
                except BadFrameError:
                    self.bad_rows += 1
            taken.events.extend(summary_values(account, figures))

    def _on_ssd(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        account = self._known(topic.argument)
        if account:
            rows = self._rows(rows_of(_part(topic.frame.result), SummaryRow, "rows of a summary"))
            taken.events.extend(streamed_values(account, rows))

    def _on_ledger(self, asked: _Asked, taken: Taken) -> None:
        account = self._known(asked.groups[0])
        if not account:
            return
        for name, raw in parse(asked.body, dict[str, Raw], "a ledger").items():
            self._ledger_row(account, name, raw, taken)

    def _on_sld(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        account = self._known(topic.argument)
        if account:
            for row in self._rows(rows_of(_part(topic.frame.result), Row, "rows of a ledger")):
                self._take_ledger(account, words(row.get("key"), 20), row, taken)

    def _ledger_row(self, account: str, name: str, raw: Raw, taken: Taken) -> None:
        try:
            self._take_ledger(account, name, parse(raw, Row, "a row"), taken)
        except BadFrameError:
            self.bad_rows += 1

    def _take_ledger(self, account: str, name: str, row: Mapping[str, Any], taken: Taken) -> None:
        currency = ledger_currency(name, row)
        if not currency:
            self.bad_rows += 1
            return
        values = ledger_values(account, currency, row)
        held = self.currencies.get(account, ())
        if currency not in held and len(held) < 60:
            self.currencies[account] = (*held, currency)
        taken.events.extend(values)
        if currency == BASE:
            realised = next((value.value for value in values if value.tag == Tag.REALIZED_PNL), None)
            self._pnl.realised(account, realised)

    def _on_spl(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        self._take_pnl(parse(_part(topic.frame.args), dict[str, Raw], "rows of profit and loss"), taken)

    def _on_partitioned(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, PartitionedPnl, "profit and loss")
        self._pnl_rows(told.upnl, taken)

    def _take_pnl(self, raws: Mapping[str, Raw], taken: Taken) -> None:
        rows: dict[str, PnlRow] = {}
        for name, raw in raws.items():
            try:
                rows[name] = parse(raw, PnlRow, "profit and loss")
            except BadFrameError:
                self.bad_rows += 1
        self._pnl_rows(rows, taken)

    def _pnl_rows(self, rows: Mapping[str, PnlRow], taken: Taken) -> None:
        moved: dict[str, None] = {}
        for name, row in rows.items():
            word, _, part = name.partition(".")
            account = account_of(word)
            if account and (not self.accounts or account in self.accounts):
                self._pnl.on_row(account, part[:60], row)
                moved[account] = None
        for account in moved:
            taken.events.append(self._pnl.pnl(account))
            values: list[AccountValue] = self._pnl.values(account, self._base.get(account, BASE))
            taken.events.extend(values)

    # -- positions -----------------------------------------------------------------------------------------------

    def _on_positions_page(self, asked: _Asked, taken: Taken) -> None:
        """Take one page of at most 100 rows; the positions are told when the last one has come."""
        account, page = self._known(asked.groups[0]), int(asked.groups[1])
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

    def _on_positions(self, asked: _Asked, taken: Taken) -> None:
        account = self._known(asked.groups[0])
        if account:
            taken.events.append(PositionsListed(account, tuple(self._positions(account, asked.body, full=False)[1])))

    def _positions(self, account: str, body: bytes, *, full: bool) -> tuple[int, list[Position]]:
        rows = rows_of(body, PositionRow, "rows of positions")
        found = []
        for row in self._rows(rows):
            told = contracts.of_position(row)
            if told is None:
                self.bad_rows += 1
                continue
            complete = full and bool(words(row.ticker)) and bool(words(row.name))
            held = position(account, self.contracts.learn(told, full=complete), row)
            if held is None:
                self.bad_rows += 1
            elif held.quantity:
                found.append(held)
        return len(rows) + rows.bad, found

    # -- orders and fills ----------------------------------------------------------------------------------------

    def _on_sor(self, recv_ns: int, topic: Topic, taken: Taken) -> None:
        self._take_orders(recv_ns, self._rows(rows_of(_part(topic.frame.args), Row, "rows of orders")), taken)

    def _on_orders(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, OrderList, "orders")
        rows = Rows(told.orders or [], Row)
        self._take_orders(asked.recv_ns, self._rows(rows), taken)
        if told.snapshot and "force" not in asked.query:
            listed = {trading.order_id_of(row.get("orderId")) for row in rows} - {""}
            working = {name for name in listed if (state := self._told_orders.get(name)) and state.status.is_working}
            taken.events.append(OrdersListed(known=True, reason="", order_ids=frozenset(working)))

    def _take_orders(self, recv_ns: int, rows: Rows[Row], taken: Taken) -> None:
        incomplete = False
        for row in rows:
            order_id = trading.order_id_of(row.get("orderId"))
            if not order_id:
                self.bad_rows += 1
                continue
            known = self._orders.pop(order_id, {})
            merged = known | {name: value for name, value in row.items() if name in _ORDER_NAMES}
            self._orders[order_id] = merged  # the ones heard of last stand last
            told_ns = trading.order_time_ns(row.get("lastExecutionTime_r"), row.get("lastExecutionTime"))
            incomplete |= not self._tell_order(order_id, told_ns or recv_ns, taken)
        self._let_orders_go()
        if incomplete:
            taken.news.append(OrdersIncomplete())

    def _tell_order(self, order_id: str, updated_ns: int, taken: Taken) -> bool:
        """Tell an order if it differs from what was told of it; return whether enough is known of it."""
        row = OrderRow(**self._orders[order_id])
        told = contracts.of_order(row)
        if told is None:
            return False
        state = trading.order_state(row, self.contracts.learn(told), updated_ns)
        if state is None:
            return False
        known = self._told_orders.get(order_id)
        if known is not None and replace(known, updated_ns=updated_ns) == state:
            return True
        if state.account in self.accounts or not self.accounts:
            self._told_orders[order_id] = state
            taken.events.append(OrderSeen(state))
        return True

    def _let_orders_go(self) -> None:
        """Forget the orders that have been silent for longest, those that work last."""
        excess = len(self._orders) - _MOST_ORDERS
        if excess <= 0:
            return
        told = self._told_orders
        ended = [name for name in self._orders if name not in told or not told[name].status.is_working]
        for name in (ended + [name for name in self._orders if name not in ended])[:excess]:
            del self._orders[name]
            told.pop(name, None)
            self.dropped += 1

    def _on_str(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        self._take_trades(rows_of(_part(topic.frame.args), TradeRow, "rows of trades"), taken)

    def _on_trades(self, asked: _Asked, taken: Taken) -> None:
        self._take_trades(rows_of(asked.body, TradeRow, "rows of trades"), taken)

    def _take_trades(self, rows: Rows[TradeRow], taken: Taken) -> None:
        for row in self._rows(rows):
            told = contracts.of_trade(row)
            fill = None if told is None else trading.execution(row, self.contracts.learn(told))
            if fill is None:
                self.bad_rows += 1
            elif fill.account in self.accounts or not self.accounts:
                self._tell_execution(fill, taken)

    def _tell_execution(self, fill: Execution, taken: Taken) -> None:
        """Tell a fill unless it was told in the same words: the list and the stream repeat each other."""
        known = self._executions.get(fill.exec_id)
        if fill == known or (known is not None and fill.commission is None):
            return
        if known is None and len(self._executions) >= _MOST_EXECUTIONS:
            del self._executions[next(iter(self._executions))]
            self.dropped += 1
        self._executions[fill.exec_id] = fill
        taken.events.append(ExecutionSeen(fill))

    # -- contracts -----------------------------------------------------------------------------------------------

    def _on_secdef(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, Secdef, "definitions of contracts")
        fresh = set()
        for row in self._rows(Rows(told.secdef, SecdefRow)):
            contract = contracts.of_secdef(row)
            if contract is None:
                self.bad_rows += 1
            elif self.contracts.get(contract.con_id) != self.contracts.learn(contract, full=True):
                fresh.add(contract.con_id)
        self._tell_again(fresh, taken)

    def _tell_again(self, fresh: set[int], taken: Taken) -> None:
        """Tell orders and fills again whose contract has become clearer."""
        for name, state in list(self._told_orders.items()):
            if state.contract.con_id in fresh and name in self._orders:
                self._tell_order(name, state.updated_ns, taken)
        for exec_id, fill in self._executions.items():
            contract = self.contracts.get(fill.contract.con_id) if fill.contract.con_id in fresh else None
            if contract is not None:
                self._executions[exec_id] = clearer = _with_contract(fill, contract)
                taken.events.append(ExecutionSeen(clearer))

    def _on_info(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, ContractInfo, "a contract")
        con_id = contracts.con_id_of(asked.groups[0])
        if not con_id:
            raise BadFrameError("expected the number of a contract")
        contract = self.contracts.learn(contracts.of_info(told, con_id), full=True)
        tick = amount(told.rules.increment) if told.rules is not None else None
        known = self.details.get(con_id)
        self._tell_details(
            ContractDetails(
                contract=contract,
                tick_size=tick if tick is not None and tick > 0.0 else (known.tick_size if known else None),
                industry=words(told.industry, 120),
                zone=known.zone if known else "",
                trading=known.trading if known else (),
                liquid=known.liquid if known else (),
            ),
            taken,
        )

    def _on_schedule(self, asked: _Asked, taken: Taken) -> None:
        told = parse(asked.body, Schedule, "trading hours")
        con_id = contracts.con_id_of(*asked.query.get("conid", []))
        contract = self.contracts.get(con_id)
        if contract is None:
            return  # hours of a contract nothing is known of cannot be shown
        known = self.details.get(con_id)
        days = [day for _, day in sorted(told.schedules.items())][:400]
        self._tell_details(
            ContractDetails(
                contract=contract,
                tick_size=known.tick_size if known else None,
                industry=known.industry if known else "",
                zone=words(told.exchange_time_zone, 60),
                trading=_sessions(days, lambda day: day.extended_hours or day.liquid_hours),
                liquid=_sessions(days, lambda day: day.liquid_hours),
            ),
            taken,
        )

    def _tell_details(self, details: ContractDetails, taken: Taken) -> None:
        con_id = details.contract.con_id
        if con_id not in self.details and len(self.details) >= _MOST_DETAILS:
            del self.details[next(iter(self.details))]
            self.dropped += 1
        self.details[con_id] = details
        taken.events.append(DetailsSeen(details))

    def _on_scan(self, asked: _Asked, taken: Taken) -> None:
        """Take the rows of a scanner; which one it was stands in the query."""
        told = parse(asked.body, Scan, "rows of a scanner")
        name = words((asked.query.get("scan") or [""])[0], 80)
        rows = whole((asked.query.get("rows") or ["50"])[0]) or 50
        found: list[Contract] = []
        for row in self._rows(Rows(told.contracts or [], ScanRow)):
            contract = contracts.of_scan(row)
            if contract is None:
                self.bad_rows += 1
            else:
                found.append(self.contracts.learn(contract))
        taken.events.append(ScanSeen(name, tuple(found[:rows])))

    def _on_watchlist(self, asked: _Asked, _taken: Taken) -> None:
        for row in parse(asked.body, WatchlistRows, "a watchlist").instruments or []:
            contract = contracts.of_instrument(row)
            if contract is not None:
                self.contracts.learn(contract)

    def _rows(self, rows: Rows[Any]) -> Rows[Any]:
        """Count the rows that made no sense."""
        self.bad_rows += rows.bad
        return rows


class _Asked(NamedTuple):
    """An answer: what its path says, and its body."""

    recv_ns: int
    groups: tuple[str, ...]
    query: dict[str, list[str]]
    body: bytes


def _nothing(_asked: _Asked, _taken: Taken) -> None:
    """Take an answer that says no more than that it came."""


_OnAnswer = Callable[[_Asked, Taken], None]


def _part(raw: Raw) -> Raw:
    """Return a part of a frame. Raises BadFrameError when the frame has none."""
    if not bytes(raw):
        raise BadFrameError("expected a frame with content")
    return raw


def _with_contract(fill: Execution, contract: Contract) -> Execution:
    return replace(fill, contract=contract)


def _sessions(days: list[Day], hours_of: Callable[[Day], list[Hours] | None]) -> tuple[Session, ...]:
    found = []
    for day in days:
        for hours in hours_of(day) or []:
            start_ns, end_ns = seconds_ns(hours.opening), seconds_ns(hours.closing)
            if 0 < start_ns < end_ns:
                found.append(Session(start_ns, end_ns))
    return tuple(sorted(found, key=lambda session: session.start_ns))
