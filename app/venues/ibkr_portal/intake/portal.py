"""From raw frames and answers of the gateway to broker events and quotes: brings each to the subject it is about. Pure.

The session gives it everything that comes; a recording is replayed through it without a session. What it does not know
is counted, what is malformed raises `BadFrameError`; nothing that comes can end it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from app.domain.contracts import ContractDetails
from app.venues.ibkr_portal.decoding import Topic, parse_frame
from app.venues.ibkr_portal.intake.account import AccountIntake
from app.venues.ibkr_portal.intake.instruments import InstrumentIntake
from app.venues.ibkr_portal.intake.news import NewsIntake
from app.venues.ibkr_portal.intake.orders import OrderIntake
from app.venues.ibkr_portal.intake.quotes import QuoteIntake
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken

_PREFIX: Final = re.compile(r"^(?:https?://[^/]+)?(?:/v1/api)?(?=/)")
_OnTopic = Callable[[int, Topic, Taken], None]
_OnAnswer = Callable[[Asked, Taken], None]


class PortalIntake:
    """One source. ignored: frames and answers there is no use for. contracts, fields: what is known of contracts and
    of quotes."""

    def __init__(self) -> None:
        self._common = common = Common()
        news = NewsIntake(common)
        self._account = account = AccountIntake(common)
        orders = OrderIntake(common)
        self._quotes = quotes = QuoteIntake(common)
        self._instruments = instruments = InstrumentIntake(common, orders.tell_again)
        self.contracts = common.contracts
        self.fields = quotes.fields
        self.ignored = 0
        self._topics: dict[str, _OnTopic] = {
            "spl": account.on_spl,
            "ssd": account.on_ssd,
            "sld": account.on_sld,
            "act": account.on_act,
            "sor": orders.on_sor,
            "str": orders.on_str,
            "sts": news.on_sts,
            "system": news.on_system,
            "ntf": news.on_message,
            "blt": news.on_message,
            "error": news.on_error,
            "": news.on_bare,
            "tic": lambda _recv_ns, _topic, _taken: None,
        }
        self._paths: tuple[tuple[re.Pattern[str], _OnAnswer], ...] = tuple(
            (re.compile(pattern), take)
            for pattern, take in (
                ("/iserver/auth/(?:status|ssodh/init)", news.on_status),
                ("/tickle", news.on_tickle),
                ("/sso/validate", news.on_validation),
                ("/iserver/accounts", account.on_accounts),
                ("/portfolio/accounts", account.on_portfolio_accounts),
                ("/portfolio/([^/]+)/summary", account.on_summary),
                ("/portfolio/([^/]+)/ledger", account.on_ledger),
                ("/portfolio/([^/]+)/positions/([0-9]{1,4})", account.on_positions_page),
                ("/portfolio2/([^/]+)/positions", account.on_positions),
                ("/iserver/account/pnl/partitioned", account.on_partitioned),
                ("/iserver/account/orders", orders.on_orders),
                ("/iserver/account/trades", orders.on_trades),
                ("/iserver/marketdata/snapshot", quotes.on_snapshot),
                ("/iserver/contract/([0-9]{1,18})/info(?:-and-rules)?", instruments.on_info),
                ("/contract/trading-schedule", instruments.on_schedule),
                ("/trsrv/secdef", instruments.on_secdef),
                ("/iserver/scanner/run", instruments.on_scan),
                ("/iserver/watchlist", instruments.on_watchlist),
                ("/portfolio/[^/]+/positions/invalidate", _nothing),
            )
        )

    # -- input ---------------------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: str | bytes) -> Taken:
        """Take one WebSocket frame, text or bytes. Raises BadFrameError."""
        body = _bytes(raw)
        taken = Taken([], [], [])
        if body.strip() in (b"", b"tic"):
            return taken
        topic = parse_frame(body)
        if topic.kind == "smd":
            self._quotes.on_frame(body, taken)
            return taken
        take = self._topics.get(topic.kind)
        if take is None:
            self.ignored += 1
        else:
            take(recv_ns, topic, taken)
        return taken

    def on_rest(self, recv_ns: int, path: str, raw: str | bytes) -> Taken:
        """Take the body of an answer; path: as asked, with its query. Raises BadFrameError."""
        plain, _, query = _PREFIX.sub("", path).partition("?")
        taken = Taken([], [], [])
        for pattern, take in self._paths:
            found = pattern.fullmatch(plain)
            if found is not None:
                take(Asked(recv_ns, found.groups(), parse_qs(query[:2000]), _bytes(raw)), taken)
                return taken
        self.ignored += 1
        return taken

    def restarted(self) -> None:
        """Note that a new connection begins: changes are told from the start again."""
        self.fields.forget()
        self._account.restarted()

    # -- what is known -------------------------------------------------------------------------------------------

    @property
    def bad_rows(self) -> int:
        """Return how many rows of lists made no sense."""
        return self._common.bad_rows

    @property
    def dropped(self) -> int:
        """Return how much was let go because there was too much of it."""
        return self._common.dropped

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the accounts of the login."""
        return self._common.accounts

    @property
    def currencies(self) -> dict[str, tuple[str, ...]]:
        """Return the currencies in each account's ledger, as far as they have been told."""
        return self._account.currencies

    @property
    def details(self) -> dict[int, ContractDetails]:
        """Return tick, industry and hours by con_id."""
        return self._instruments.details

    def expects_page(self, account: str) -> bool:
        """Return whether more pages of an account's positions have to come before they are told."""
        return self._account.expects_page(account)


def _nothing(_asked: Asked, _taken: Taken) -> None:
    """Take an answer that says no more than that it came."""


def _bytes(raw: str | bytes) -> bytes:
    return raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
