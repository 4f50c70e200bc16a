"""The columns of the Portfolio: what each is called, how it is shown, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a column is shown."""

    TEXT = "text"
    QUANTITY = "quantity"
    PRICE = "price"
    MONEY = "money"
    PCT = "percent"
    GREEK = "greek"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. signed: the sign is always written and coloured. shown: among the usual ones. width: pixels."""

    key: str
    title: str
    kind: Kind
    help: str
    signed: bool = False
    shown: bool = True
    width: int = 76

    @property
    def is_left(self) -> bool:
        """Return whether its text begins at the left."""
        return self.kind is Kind.TEXT


COLUMNS: Final = (
    Column(key="instrument", title="Instrument", kind=Kind.TEXT, help="what is held", width=176),
    Column(key="account", title="Account", kind=Kind.TEXT, help="account that holds it", shown=False, width=90),
    Column(key="quantity", title="Qty", kind=Kind.QUANTITY, help="contracts or shares, negative when short", width=62),
    Column(
        key="price",
        title="Price",
        kind=Kind.PRICE,
        help="price of one unit: options their mid, others the last",
        width=72,
    ),
    Column(key="change", title="Chg %", kind=Kind.PCT, help="price against the previous close", signed=True, width=58),
    Column(
        key="average", title="Avg cost", kind=Kind.PRICE, help="average cost of one unit (not of a contract)", width=72
    ),
    Column(
        key="market_value",
        title="Mkt value",
        kind=Kind.MONEY,
        help="quantity × multiplier × price; of futures it is notional",
        width=88,
    ),
    Column(key="weight", title="Wgt %", kind=Kind.PCT, help="market value in base ÷ net liquidation", width=58),
    Column(key="daily", title="Daily P&L", kind=Kind.MONEY, help="since the previous close", signed=True, width=84),
    Column(
        key="unrealised",
        title="Unreal. P&L",
        kind=Kind.MONEY,
        help="quantity × multiplier × (price − average cost)",
        signed=True,
        width=88,
    ),
    Column(
        key="unrealised_pct",
        title="Unreal. %",
        kind=Kind.PCT,
        help="unrealised P&L ÷ cost",
        signed=True,
        shown=False,
        width=70,
    ),
    Column(
        key="realised",
        title="Real. P&L",
        kind=Kind.MONEY,
        help="realised P&L, the broker's figure",
        signed=True,
        width=80,
    ),
    Column(key="delta", title="Delta", kind=Kind.GREEK, help="in units of the underlying", signed=True, width=66),
    Column(
        key="gamma",
        title="Gamma",
        kind=Kind.GREEK,
        help="change of delta per 1.00 of the underlying",
        signed=True,
        width=60,
    ),
    Column(key="theta", title="Theta", kind=Kind.GREEK, help="money per day", signed=True, width=60),
    Column(key="vega", title="Vega", kind=Kind.GREEK, help="money per point of volatility", signed=True, width=62),
    Column(
        key="dollar_delta",
        title="Delta value",
        kind=Kind.MONEY,
        help="delta × price of the underlying: dollar delta, in the position's currency",
        signed=True,
        width=86,
    ),
    Column(
        key="beta_delta",
        title="β-wtd Δ",
        kind=Kind.GREEK,
        help="units of the index that would move as much in money",
        signed=True,
        width=72,
    ),
    Column(key="beta", title="Beta", kind=Kind.GREEK, help="measured from daily closes", shown=False, width=56),
    Column(key="currency", title="Ccy", kind=Kind.TEXT, help="currency of the row's money", width=42),
    Column(key="priced", title="Priced at", kind=Kind.TEXT, help="which price is used", shown=False, width=66),
    Column(key="bid", title="Bid", kind=Kind.PRICE, help="best bid", shown=False),
    Column(key="ask", title="Ask", kind=Kind.PRICE, help="best ask", shown=False),
    Column(key="close", title="Prev close", kind=Kind.PRICE, help="previous close", shown=False),
    Column(
        key="underlying_price",
        title="Underlying",
        kind=Kind.PRICE,
        help="price of the underlying",
        shown=False,
        width=80,
    ),
    Column(key="expiry", title="Expiry", kind=Kind.TEXT, help="last trading day", shown=False),
    Column(
        key="multiplier", title="Mult.", kind=Kind.QUANTITY, help="units a contract stands for", shown=False, width=52
    ),
    Column(
        key="check",
        title="Check",
        kind=Kind.TEXT,
        help="whether our figures agree with the broker's as far as prices explain",
        width=58,
    ),
)
BY_KEY: Final = {column.key: column for column in COLUMNS}
KEYS: Final = tuple(BY_KEY)
USUAL: Final = tuple(column.key for column in COLUMNS if column.shown)
LIVE: Final = ("price", "change", "bid", "ask")
"""Columns that follow the quotes frame by frame; everything else follows the slower pace."""


def chosen_columns(stored: object) -> tuple[str, ...]:
    """Return the known columns of a stored list, the instrument always first; the usual ones when none is known."""
    named = [key for key in stored if isinstance(key, str) and key in BY_KEY] if isinstance(stored, list) else []
    found = tuple(dict.fromkeys(("instrument", *named))) if named else ()
    return found or USUAL


def chosen_widths(stored: object) -> dict[str, int]:
    """Return the sensible widths in pixels of a stored table, by column."""
    entries = stored.items() if isinstance(stored, dict) else ()
    return {key: width for key, width in entries if key in BY_KEY and type(width) is int and 24 <= width <= 600}
