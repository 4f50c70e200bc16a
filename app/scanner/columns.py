"""The columns of the scanner: which row of the board each one shows, in which unit, and what it means.

The keys are also the names in conditions. Values are as displayed: percent columns hold percent, not fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from app.domain.market import Field


class Derived(IntEnum):
    """Figures the board works out itself; the numbers go on where `Field` ends."""

    FUNDING_PCT = len(Field)
    FUNDING_YEAR_PCT = len(Field) + 1
    SPREAD_BP = len(Field) + 2
    DEPTH_DELTA = len(Field) + 3
    LIQUIDATED_LONG_USD = len(Field) + 4
    LIQUIDATED_SHORT_USD = len(Field) + 5
    EVENTS = len(Field) + 6
    AGE_S = len(Field) + 7
    DELAYED = len(Field) + 8


FIGURES: Final = len(Field) + len(Derived)


class ColumnKind(StrEnum):
    """How a column is formatted."""

    TEXT = "text"
    PRICE = "price"
    PCT = "pct"
    USD = "usd"
    NUMBER = "number"
    AGE = "age"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. source: its row in `Board.values`, None for text."""

    key: str
    title: str
    unit: str
    kind: ColumnKind
    source: Field | Derived | None
    help: str

    @property
    def is_text(self) -> bool:
        """Tell a column of words from one of numbers."""
        return self.source is None


def _text(key: str, title: str, help: str) -> Column:
    return Column(key=key, title=title, unit="", kind=ColumnKind.TEXT, source=None, help=help)


def _price(key: str, title: str, source: Field, help: str) -> Column:
    return Column(key=key, title=title, unit="", kind=ColumnKind.PRICE, source=source, help=help)


def _figure(key: str, title: str, unit: str, kind: ColumnKind, source: Field | Derived, help: str) -> Column:
    return Column(key=key, title=title, unit=unit, kind=kind, source=source, help=help)


COLUMNS: Final[tuple[Column, ...]] = (
    _text("venue", "Venue", "binance, bybit, hyperliquid or ibkr"),
    _text("market", "Market", "spot, futures or stock"),
    _text("symbol", "Symbol", "the venue's own name of the instrument"),
    _price(
        "last", "Last", Field.LAST, "price of the last trade, or the middle of the book where the venue tells no trades"
    ),
    _figure(
        "change_24h",
        "Change 24 h",
        "%",
        ColumnKind.PCT,
        Field.CHANGE_PCT,
        "last price against that of 24 h ago; of stocks against the previous close",
    ),
    _figure(
        "volume_24h",
        "Volume 24 h",
        "USD",
        ColumnKind.USD,
        Field.VOLUME,
        "turnover of the last 24 h; of stocks about that of the day",
    ),
    _text("session", "Session", "part of a stock's trading day: pre, rth, post, overnight or closed"),
    _figure(
        "gap",
        "Gap",
        "%",
        ColumnKind.PCT,
        Field.GAP_PCT,
        "of stocks: before the session last against the close before, in it the open against that, after it last "
        "against the day's close; only of live quotes, where it is certain which day's close it is",
    ),
    _figure("halted", "Halted", "", ColumnKind.FLAG, Field.HALTED, "of stocks: 1 trading is halted, 2 for volatility"),
    _figure("delayed", "Delayed", "", ColumnKind.FLAG, Derived.DELAYED, "of stocks: 1 where quotes are delayed"),
    _price("high_24h", "High 24 h", Field.HIGH, "highest price of the last 24 h; of stocks of the day"),
    _price("low_24h", "Low 24 h", Field.LOW, "lowest price of the last 24 h; of stocks of the day"),
    _price("bid", "Bid", Field.BID, "best bid"),
    _price("ask", "Ask", Field.ASK, "best ask"),
    _figure(
        "spread_bp", "Spread", "bp", ColumnKind.NUMBER, Derived.SPREAD_BP, "ask less bid in 1/100 % of their middle"
    ),
    _price("mark", "Mark", Field.MARK, "price at which the venue values positions"),
    _price("index", "Index", Field.INDEX, "the venue's index of spot prices"),
    _figure(
        "funding", "Funding", "%", ColumnKind.PCT, Derived.FUNDING_PCT, "what longs pay shorts at the next funding"
    ),
    _figure("funding_hours", "Funding every", "h", ColumnKind.NUMBER, Field.FUNDING_HOURS, "hours between fundings"),
    _figure(
        "funding_year",
        "Funding/year",
        "%",
        ColumnKind.PCT,
        Derived.FUNDING_YEAR_PCT,
        "the funding rate times fundings a year, without compounding",
    ),
    _figure(
        "open_interest",
        "Open interest",
        "",
        ColumnKind.NUMBER,
        Field.OPEN_INTEREST,
        "open contracts of one side in quoted units",
    ),
    _figure(
        "open_interest_usd",
        "Open int. USD",
        "USD",
        ColumnKind.USD,
        Field.OPEN_INTEREST_USD,
        "open interest at the mark price",
    ),
    _figure(
        "delta",
        "Delta",
        "",
        ColumnKind.NUMBER,
        Derived.DEPTH_DELTA,
        "USD volume of bids over that of asks within the chosen depth, of instruments with a book",
    ),
    _figure(
        "liq_long",
        "Liq. long 1 h",
        "USD",
        ColumnKind.USD,
        Derived.LIQUIDATED_LONG_USD,
        "long positions closed by force within the last hour, as far as seen (Binance tells only some)",
    ),
    _figure(
        "liq_short",
        "Liq. short 1 h",
        "USD",
        ColumnKind.USD,
        Derived.LIQUIDATED_SHORT_USD,
        "short positions closed by force within the last hour, as far as seen (Binance tells only some)",
    ),
    _figure("events", "Events", "", ColumnKind.NUMBER, Derived.EVENTS, "recent events of the instrument"),
    _figure("age", "Age", "s", ColumnKind.AGE, Derived.AGE_S, "seconds since the venue last told anything about it"),
)

BY_KEY: Final[dict[str, Column]] = {column.key: column for column in COLUMNS}
