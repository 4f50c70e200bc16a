"""The scanner's columns: their names in conditions, their words and units, and where their values are kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from app.domain.market import Field


class Derived(IntEnum):
    """Figures that the board works out from others; the numbers go on where those of `Field` end.

    DEPTH_DELTA is the bid/ask ratio of the volume within the chosen depth. LIQUIDATED_LONG_USD and
    LIQUIDATED_SHORT_USD are sums of the last hour. AGE_S is the time since the last news in seconds, EVENTS
    the number of recent events.
    """

    SPREAD_BP = len(Field)
    FUNDING_YEAR_PCT = len(Field) + 1
    DEPTH_DELTA = len(Field) + 2
    LIQUIDATED_LONG_USD = len(Field) + 3
    LIQUIDATED_SHORT_USD = len(Field) + 4
    AGE_S = len(Field) + 5
    EVENTS = len(Field) + 6


FIGURES: Final = len(Field) + len(Derived)


class ColumnKind(StrEnum):
    """How a value is written."""

    TEXT = "text"
    PRICE = "price"
    PERCENT = "percent"
    USD = "usd"
    NUMBER = "number"
    AGE = "age"


class Text(StrEnum):
    """Columns of words."""

    VENUE = "venue"
    MARKET = "market"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `figure` is its row of `Board.values`, None for words. `scale` is what the shown value is times."""

    key: str
    title: str
    kind: ColumnKind
    help: str
    figure: int | None = None
    scale: float = 1.0
    unit: str = ""


COLUMNS: Final[tuple[Column, ...]] = (
    Column(key="venue", title="Venue", kind=ColumnKind.TEXT, help="where it trades"),
    Column(key="market", title="Market", kind=ColumnKind.TEXT, help="spot or futures"),
    Column(key="symbol", title="Symbol", kind=ColumnKind.TEXT, help="the venue's own name"),
    Column(key="last", title="Last", kind=ColumnKind.PRICE, figure=Field.LAST, help="price of the last trade"),
    Column(
        key="change_24h",
        title="Chg 24h",
        kind=ColumnKind.PERCENT,
        figure=Field.CHANGE_PCT,
        unit="%",
        help="change against 24 hours ago, in percent",
    ),
    Column(
        key="volume_24h",
        title="Vol 24h",
        kind=ColumnKind.USD,
        figure=Field.VOLUME,
        unit="USD",
        help="turnover of the last 24 hours in USD",
    ),
    Column(key="high_24h", title="High", kind=ColumnKind.PRICE, figure=Field.HIGH, help="highest price in 24 hours"),
    Column(key="low_24h", title="Low", kind=ColumnKind.PRICE, figure=Field.LOW, help="lowest price in 24 hours"),
    Column(key="bid", title="Bid", kind=ColumnKind.PRICE, figure=Field.BID, help="best bid"),
    Column(key="ask", title="Ask", kind=ColumnKind.PRICE, figure=Field.ASK, help="best ask"),
    Column(
        key="spread_bp",
        title="Spread",
        kind=ColumnKind.NUMBER,
        figure=Derived.SPREAD_BP,
        unit="bp",
        help="(ask - bid) / mid, in hundredths of a percent",
    ),
    Column(key="mark", title="Mark", kind=ColumnKind.PRICE, figure=Field.MARK, help="mark price of a future"),
    Column(key="index", title="Index", kind=ColumnKind.PRICE, figure=Field.INDEX, help="index price of a future"),
    Column(
        key="funding",
        title="Funding",
        kind=ColumnKind.PERCENT,
        figure=Field.FUNDING,
        scale=100.0,
        unit="%",
        help="funding rate of one interval, in percent",
    ),
    Column(
        key="funding_hours",
        title="Every",
        kind=ColumnKind.NUMBER,
        figure=Field.FUNDING_HOURS,
        unit="h",
        help="how often funding is paid, in hours",
    ),
    Column(
        key="funding_year",
        title="Fund. p.a.",
        kind=ColumnKind.PERCENT,
        figure=Derived.FUNDING_YEAR_PCT,
        unit="%",
        help="funding rate times the intervals of a year, in percent",
    ),
    Column(
        key="open_interest",
        title="OI",
        kind=ColumnKind.NUMBER,
        figure=Field.OPEN_INTEREST,
        help="open interest in quoted units, one side counted",
    ),
    Column(
        key="open_interest_usd",
        title="OI USD",
        kind=ColumnKind.USD,
        figure=Field.OPEN_INTEREST_USD,
        unit="USD",
        help="open interest in USD, one side counted",
    ),
    Column(
        key="delta",
        title="Delta",
        kind=ColumnKind.NUMBER,
        figure=Derived.DEPTH_DELTA,
        help="bid / ask volume within the chosen depth, of instruments with a book",
    ),
    Column(
        key="liq_long",
        title="Liq long",
        kind=ColumnKind.USD,
        figure=Derived.LIQUIDATED_LONG_USD,
        unit="USD",
        help="long positions closed by force in the last hour, in USD (Binance publishes a sample only)",
    ),
    Column(
        key="liq_short",
        title="Liq short",
        kind=ColumnKind.USD,
        figure=Derived.LIQUIDATED_SHORT_USD,
        unit="USD",
        help="short positions closed by force in the last hour, in USD (Binance publishes a sample only)",
    ),
    Column(
        key="events",
        title="Events",
        kind=ColumnKind.NUMBER,
        figure=Derived.EVENTS,
        help="how many events the instrument had recently",
    ),
    Column(
        key="age",
        title="Age",
        kind=ColumnKind.AGE,
        figure=Derived.AGE_S,
        unit="s",
        help="time since the last news of the instrument, in seconds",
    ),
)
BY_KEY: Final[dict[str, Column]] = {column.key: column for column in COLUMNS}
