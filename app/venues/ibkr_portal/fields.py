"""From the numbered figures of a quote (fact sheet, section 4) to `QuoteField` values. Pure.

A message holds only what changed; what came before is kept by the ledger, except what is needed to understand a later
message, which is kept here per contract.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from app.domain.contracts import SecType
from app.domain.quotes import DataKind, QuoteField
from app.venues.ibkr_portal.values import NAN, read, words

_PLAIN: Final[Mapping[str, QuoteField]] = {
    "84": QuoteField.BID,
    "86": QuoteField.ASK,
    "88": QuoteField.BID_SIZE,
    "85": QuoteField.ASK_SIZE,
    "7059": QuoteField.LAST_SIZE,
    "70": QuoteField.HIGH,
    "71": QuoteField.LOW,
    "7295": QuoteField.OPEN,
    "7741": QuoteField.CLOSE,
    "7635": QuoteField.MARK,
    "7293": QuoteField.WEEK_52_HIGH,
    "7294": QuoteField.WEEK_52_LOW,
    "7308": QuoteField.DELTA,
    "7309": QuoteField.GAMMA,
    "7310": QuoteField.THETA,
    "7311": QuoteField.VEGA,
    "7638": QuoteField.OPEN_INTEREST,
}
_PERCENT: Final[Mapping[str, QuoteField]] = {
    "7283": QuoteField.IV,  # of the underlying, 30 days; an option's own comes after it and wins
    "7633": QuoteField.IV,
    "7087": QuoteField.HIST_VOL,
}
_LAST: Final = "31"
_AVAILABILITY: Final = "6509"
DAILY_PNL: Final = "78"
_VOLUMES: Final = ("87", "87_raw", "7762")
"""From the coarsest ("12.2M") to the finest."""
_MISSING: Final = frozenset((QuoteField.BID, QuoteField.ASK, QuoteField.BID_SIZE, QuoteField.ASK_SIZE))
_KINDS: Final = {
    "R": DataKind.LIVE,
    "D": DataKind.DELAYED,
    "Z": DataKind.FROZEN,
    "Y": DataKind.DELAYED_FROZEN,
}
NOT_SUBSCRIBED: Final = "N"

_COMMON: Final = ("31", "84", "86", "88", "85", "7059", "70", "71", "7295", "7741", "7635", "87", "7762", "6509")
_OF_STOCKS: Final = (*_COMMON, "7293", "7294", "7283", "7087", DAILY_PNL)
_OF_OPTIONS: Final = (*_COMMON, "7308", "7309", "7310", "7311", "7633", "7638", DAILY_PNL)


def wanted(kind: SecType) -> tuple[str, ...]:
    """Return the figures asked for of a kind of contract."""
    if kind.is_option:
        return _OF_OPTIONS
    return _OF_STOCKS if kind in (SecType.STOCK, SecType.INDEX, SecType.FUND) else (*_COMMON, DAILY_PNL)


class FieldReader:
    """Reads the figures of contracts. unreadable: how many figures made no sense."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._volume_rank: dict[int, int] = {}

    def forget(self) -> None:
        """Forget what contracts sent so far: the streams begin anew."""
        self._volume_rank.clear()

    def quote(self, con_id: int, row: Mapping[str, Any]) -> dict[int, float]:
        """Return the figures of a message by `QuoteField` number; NaN: the gateway says there is none."""
        values: dict[int, float] = {}
        for name, field in _PLAIN.items():
            if name in row:
                number = self._number(row[name])
                # some sources send -1 for "no bid"
                values[field] = NAN if number == -1.0 and field in _MISSING else number
        for name, field in _PERCENT.items():
            if name in row:
                values[field] = self._number(row[name]) / 100.0
        if _LAST in row:
            self._last(row[_LAST], values)
        if _AVAILABILITY in row:
            kind = _KINDS.get(availability(row))
            values[QuoteField.KIND] = NAN if kind is None else float(kind)
        self._volume(con_id, row, values)
        return values

    def _number(self, raw: Any) -> float:
        reading = read(raw)
        self.unreadable += not reading.readable
        return reading.value

    def _last(self, raw: Any, values: dict[int, float]) -> None:
        """A price with "C" is the close of the day before: nothing has traded since; "H": trading is halted."""
        reading = read(raw)
        self.unreadable += not reading.readable
        values[QuoteField.HALTED] = 1.0 if reading.prefix == "H" else 0.0
        if reading.prefix == "C":
            values[QuoteField.LAST] = NAN
            values.setdefault(QuoteField.CLOSE, reading.value)
        else:
            values[QuoteField.LAST] = NAN if reading.value == -1.0 else reading.value

    def _volume(self, con_id: int, row: Mapping[str, Any], values: dict[int, float]) -> None:
        """Take the finest volume the contract has sent."""
        for rank, name in enumerate(_VOLUMES):
            if name in row and rank >= self._volume_rank.get(con_id, 0):
                number = self._number(row[name])
                if not math.isnan(number):
                    self._volume_rank[con_id] = rank
                    values[QuoteField.VOLUME] = number


def availability(row: Mapping[str, Any]) -> str:
    """Return the first letter of the word that says how fresh the figures are, "" when it did not come."""
    return words(row.get(_AVAILABILITY), 8)[:1]
