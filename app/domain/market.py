"""What venues say about a market besides its order book: prices, turnover, funding, liquidations.

A figure that a message does not carry is not in it; a figure the venue declares unknown (null, empty) is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class Field(IntEnum):
    """Figures of one instrument; the number is the row of the figure in arrays.

    Prices are in quote currency per quoted unit (1000PEPE: per 1000 coins). CHANGE_PCT is percent against 24 h ago (not
    a fraction). VOLUME is 24 h turnover in quote currency (USD), BASE_VOLUME the same in quoted units. FUNDING is the
    rate of one interval as a fraction, FUNDING_HOURS that interval, NEXT_FUNDING_MS UTC epoch ms. OPEN_INTEREST is in
    quoted units and counts one side, OPEN_INTEREST_USD the same in USD.

    Of stocks: CHANGE_PCT is against the previous close (PREVIOUS), HIGH, LOW and BASE_VOLUME (shares as sent) are the
    day's, VOLUME is about the day's turnover in USD. HALTED: 0 trading, 1 halted, 2 halted for volatility. DATA_KIND is
    a `DataKind`. PHASE is a `Phase`. GAP_PCT is percent against the close before. LINE: 1 where quotes are asked for, 0
    where there is no free line, -1 where the broker refuses them. Venues of coins have none of these.
    """

    LAST = 0
    PREVIOUS = 1
    CHANGE_PCT = 2
    VOLUME = 3
    BASE_VOLUME = 4
    HIGH = 5
    LOW = 6
    BID = 7
    BID_SIZE = 8
    ASK = 9
    ASK_SIZE = 10
    MARK = 11
    INDEX = 12
    FUNDING = 13
    FUNDING_HOURS = 14
    NEXT_FUNDING_MS = 15
    OPEN_INTEREST = 16
    OPEN_INTEREST_USD = 17
    HALTED = 18
    DATA_KIND = 19
    PHASE = 20
    GAP_PCT = 21
    LINE = 22


STOCK_FIELDS: Final = frozenset({Field.HALTED, Field.DATA_KIND, Field.PHASE, Field.GAP_PCT, Field.LINE})
"""Figures that only stocks have."""


class Phase(IntEnum):
    """Part of a trading day of a stock; the number is what arrays hold."""

    CLOSED = 0
    PRE = 1
    RTH = 2
    POST = 3
    OVERNIGHT = 4

    @property
    def word(self) -> str:
        """Name as shown: CLOSED, PRE, RTH, POST, OVERNIGHT."""
        return self.name

    @property
    def trades(self) -> bool:
        """Return whether something can be traded in it."""
        return self is not Phase.CLOSED


class TickerUpdate(NamedTuple):
    """News of one instrument: the figures that came, by `Field` number. event_ns: venue time in UTC ns, 0: none."""

    symbol: str
    event_ns: int
    values: Mapping[int, float]


class PositionSide(StrEnum):
    """Which position was closed by force."""

    LONG = "long"
    SHORT = "short"


class Liquidation(NamedTuple):
    """A position that the venue closed by force.

    side is the position's (a liquidated long sells). price as the venue gives it (Binance: the order's average price,
    Bybit: the bankruptcy price). qty in quoted units. sampled: the venue publishes only some of them.
    """

    symbol: str
    event_ns: int
    side: PositionSide
    price: float
    qty: float
    sampled: bool


HOURS_PER_YEAR = 24.0 * 365.0


def annualised_pct(rate: float, hours: float) -> float:
    """Return a funding rate (fraction per interval of so many hours) as simple percent a year; NaN when unknown."""
    return rate * HOURS_PER_YEAR / hours * 100.0 if hours > 0 else float("nan")
