"""Quotes of contracts at a broker: figures as they come, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple


class QuoteField(IntEnum):
    """Figures of one contract.

    Prices are per unit in the contract's currency (an option's price times its multiplier is what it costs). Sizes and
    VOLUME are as the source sends them. CLOSE is the previous close. HALTED: 0 trading, 1 halted, 2 halted for
    volatility. KIND is a `DataKind`. IV and HIST_VOL are annualised fractions (0.31 = 31 %): an option's IV is its
    own, a stock's that of its 30-day options. VEGA is per percentage point, THETA per day, both per unit.
    MODEL_PRICE and UNDERLYING are what the broker's model used for the Greeks. SHORTABLE: above 2.5 easy to borrow,
    1.5 to 2.5 to be located, less: none.
    """

    BID = 0
    ASK = 1
    LAST = 2
    BID_SIZE = 3
    ASK_SIZE = 4
    LAST_SIZE = 5
    VOLUME = 6
    OPEN = 7
    HIGH = 8
    LOW = 9
    CLOSE = 10
    MARK = 11
    HALTED = 12
    KIND = 13
    IV = 14
    DELTA = 15
    GAMMA = 16
    VEGA = 17
    THETA = 18
    MODEL_PRICE = 19
    UNDERLYING = 20
    HIST_VOL = 21
    CALL_OPEN_INTEREST = 22
    PUT_OPEN_INTEREST = 23
    CALL_VOLUME = 24
    PUT_VOLUME = 25
    WEEK_52_HIGH = 26
    WEEK_52_LOW = 27
    SHORTABLE = 28
    OPEN_INTEREST = 29


class DataKind(IntEnum):
    """How fresh a source says its quotes are."""

    LIVE = 1
    FROZEN = 2
    DELAYED = 3
    DELAYED_FROZEN = 4

    @property
    def word(self) -> str:
        """Name for people."""
        return self.name.lower().replace("_", " ")


class QuoteUpdate(NamedTuple):
    """News of one contract: the figures that came, by `QuoteField` number; NaN where the source says there is none
    (no bid at present). event_ns: the source's own time in UTC ns, 0: none."""

    con_id: int
    event_ns: int
    values: Mapping[int, float]
