"""What is said over the WebSocket of the Client Portal Gateway: texts sent, and news about the session itself. Pure.

Messages to the gateway are `topic+argument`, not JSON (fact sheet, section 3). What comes back is turned into broker
events by `intake`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.account import Notice, Severity, Tag
from app.domain.contracts import SecType
from app.venues.ibkr_portal.fields import wanted
from app.venues.ibkr_portal.messages import AuthStatus
from app.venues.ibkr_portal.values import words

TIC: Final = "tic"
ORDERS: Final = "sor+{}"
ORDERS_END: Final = "uor+{}"
TRADES: Final = 'str+{"realtimeUpdatesOnly":false,"days":1}'
TRADES_END: Final = "utr"
PNL: Final = "spl+{}"
PNL_END: Final = "upl+{}"
_SUMMARY_KEYS: Final = (
    Tag.NET_LIQUIDATION,
    Tag.TOTAL_CASH,
    Tag.BUYING_POWER,
    Tag.EQUITY_WITH_LOAN,
    Tag.GROSS_POSITION_VALUE,
    Tag.INITIAL_MARGIN,
    Tag.MAINTENANCE_MARGIN,
    Tag.AVAILABLE_FUNDS,
    Tag.EXCESS_LIQUIDITY,
    Tag.CUSHION,
)
_LEDGER_FIELDS: Final = (
    "cashBalance",
    "exchangeRate",
    "settledCash",
    "unrealizedPnl",
    "realizedPnl",
    "stockMarketValue",
    "stockOptionMarketValue",
    "secondKey",
)


def quotes(con_id: int, kind: SecType) -> str:
    """Return the text that asks for the quotes of a contract, and renews them."""
    return f"smd+{con_id}+{_json({'fields': list(wanted(kind))})}"


def quotes_end(con_id: int) -> str:
    """Return the text that ends them."""
    return f"umd+{con_id}+{{}}"


def summary(account: str) -> str:
    """Return the text that asks for changes of an account's figures."""
    return f"ssd+{account}+{_json({'keys': list(_SUMMARY_KEYS), 'fields': ['currency', 'monetaryValue', 'value']})}"


def summary_end(account: str) -> str:
    """Return the text that ends them."""
    return f"usd+{account}+{{}}"


def ledger(account: str, currencies: Sequence[str]) -> str:
    """Return the text that asks for changes of an account's cash in those currencies."""
    keys = [f"LedgerList{currency}" for currency in currencies]
    return f"sld+{account}+{_json({'keys': keys, 'fields': list(_LEDGER_FIELDS)})}"


def ledger_end(account: str) -> str:
    """Return the text that ends them."""
    return f"uld+{account}+{{}}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# -- news of the session -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """State of the brokerage session; None: not said. streamed: it came as `sts`."""

    authenticated: bool | None
    competing: bool | None
    connected: bool | None
    text: str
    version: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class LoginSeen:
    """Whether the login is one of paper trading."""

    paper: bool


@dataclass(frozen=True, slots=True)
class LoginHolds:
    """Until when (UTC ns) the login in the browser holds."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Beat:
    """The gateway's heartbeat with its own time, UTC ns."""

    server_ns: int


@dataclass(frozen=True, slots=True)
class Said:
    """A message for the user, or an error."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class OrdersIncomplete:
    """A change of an order came that nothing is known of: the orders have to be listed."""


News = SessionSeen | LoginSeen | LoginHolds | Beat | Said | OrdersIncomplete


def session_seen(status: AuthStatus, *, streamed: bool = False) -> SessionSeen:
    """Return the state of the brokerage session out of any of the answers that tell it."""
    version = (status.serverInfo.serverVersion if status.serverInfo is not None else "") or status.serverVersion or ""
    text = words(status.fail) or words(status.message)
    return SessionSeen(status.authenticated, status.competing, status.connected, text, words(version, 80), streamed)


def said(title: str, text: str, *, code: int = 0, con_id: int | None = None) -> Said:
    """Return a message of the broker as a notice."""
    severity = Severity.DEGRADED if code else Severity.INFO
    body = f"{title}: {text}" if title and text else title or text
    return Said(Notice(code=code, severity=severity, text=body, advice=advice(code, body), con_id=con_id))


_ADVICE: Final = (
    ("not authenticated", "Log in at the gateway's address in the browser"),
    ("no bridge", "The gateway has lost its brokerage session; Fathom asks for a new one"),
    ("not subscribed", "This needs a market data subscription of your account"),
    ("no market data permissions", "This needs a market data subscription of your account"),
    ("max", "Too much was asked at once; Fathom spreads it"),
    ("chart data unavailable", "The broker has no history of this contract now; it is asked again later"),
)


def advice(code: int, text: str) -> str:
    """Return what a message of the gateway means and what to do, in a sentence."""
    low = text.lower()
    for phrase, sentence in _ADVICE:
        if phrase in low:
            return sentence
    return "The gateway refused this; nothing else is touched" if code else "A message of Interactive Brokers"
