"""Turns the figures of a scanner row into the texts of its cells, with what is to be said of them on hover.

A figure that is not known is a dash, and the tooltip says why; a row nothing was told about for a while is stale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.domain.ids import Market, MarketKind, Venue
from app.domain.market import Field
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_S
from app.scanner.board import Board
from app.scanner.columns import BY_KEY, Column, ColumnKind, Derived
from app.scanner.ranking import BoolArray, RowArray
from app.viewmodels import formats
from app.viewmodels.scanner_books import BooksPort

_PRICES: Final = [Field.BID, Field.ASK, Field.LAST, Field.HIGH, Field.LOW]
_DIGITS: Final = 6
_FUTURES_ONLY: Final = frozenset({"mark", "index", "funding", "funding_hours", "funding_year"})
_INTEREST: Final = frozenset({"open_interest", "open_interest_usd"})
_LIQUIDATIONS: Final = frozenset({"liq_long", "liq_short"})
_QUOTES: Final = frozenset({"bid", "ask", "spread_bp"})
_STOCKS_ONLY: Final = frozenset({"session", "gap", "halted", "delayed"})
_NOT_OF_STOCKS: Final = _FUTURES_ONLY | _INTEREST | _LIQUIDATIONS
SIGNED: Final = frozenset({"change_24h", "gap", "funding", "funding_year"})
"""Columns whose sign is always written and coloured."""


_MARKED: Final = [Field.HALTED, Field.DATA_KIND, Field.LINE]


class Mark(StrEnum):
    """What stands beside a symbol whose quotes are not what they usually are; the value is for people."""

    HALTED = "HALT"
    VOLATILITY = "HALT V"
    REFUSED = "REFUSED"
    DELAYED = "DELAYED"
    FROZEN = "FROZEN"
    WAITING = "no line"


class ScannerCells:
    """Texts of cells. stale_s: from which age on a row is stale.

    Prices have the decimals of their step where a book tells it, else as many as the venue has been seen to use (six
    digits at most).
    """

    def __init__(self, board: Board, books: BooksPort, stale_s: float = 60.0) -> None:
        self._board = board
        self._books = books
        self.stale_s = stale_s
        self._decimals: dict[int, tuple[int, int]] = {}
        """By row: the board's revision at which its prices were last looked at (-1: it has a step), and decimals."""
        self._makers: dict[str, Callable[[int, float], str]] = {}
        for key, column in BY_KEY.items():
            self._makers[key] = self._maker(column)

    def _maker(self, column: Column) -> Callable[[int, float], str]:
        if column.key in SIGNED:
            digits = {"change_24h": 2, "gap": 2, "funding": 4}.get(column.key, 1)
            return lambda _row, value: formats.signed(value, lambda number: f"{number:,.{digits}f}")
        if column.key == "delta":
            return self._delta
        if column.key == "spread_bp":
            return lambda _row, value: f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
        if column.key in ("events", "funding_hours"):
            return lambda _row, value: f"{value:g}"
        return {
            ColumnKind.PRICE: self._price,
            ColumnKind.PCT: lambda _row, value: f"{value:,.2f}",
            ColumnKind.USD: lambda _row, value: formats.volume(value),
            ColumnKind.NUMBER: lambda _row, value: formats.volume(value),
            ColumnKind.AGE: lambda _row, value: age_text(value),
            ColumnKind.FLAG: lambda _row, value: flag_text(column.key, value),
            ColumnKind.TEXT: lambda _row, value: "",
        }[column.kind]

    # -- texts ---------------------------------------------------------------------------------------------------

    def text(self, row: int, column: Column) -> str:
        """Return what a cell says."""
        if column.source is None:
            return self.name(row, column.key)
        value = float(self._board.values[column.source, row])
        return self._makers[column.key](row, value) if math.isfinite(value) else formats.UNKNOWN

    def name(self, row: int, key: str) -> str:
        """Return the text of a column of words."""
        market = self._board.markets[row]
        if key == "symbol":
            return self._board.symbols[row]
        if key == "session":
            return self._board.text(key, row).upper() or formats.UNKNOWN
        return market.venue.full_name if key == "venue" else market.kind.value

    def marks(self, row: int) -> tuple[Mark, ...]:
        """Return what is unusual about a row's quotes, the gravest first."""
        values = self._board.values[_MARKED, row].tolist()
        halted, kind, line = values
        found = []
        if halted > 0.0:
            found.append(Mark.VOLATILITY if halted == 2.0 else Mark.HALTED)
        if line < 0.0:
            found.append(Mark.REFUSED)
        elif kind in (DataKind.DELAYED, DataKind.DELAYED_FROZEN):
            found.append(Mark.DELAYED)
        elif kind == DataKind.FROZEN:
            found.append(Mark.FROZEN)
        elif line == 0.0:
            found.append(Mark.WAITING)
        return tuple(found)

    def maker(self, key: str) -> Callable[[int, float], str]:
        """Return what makes the text of a known figure of a column: (row, value) -> text."""
        return self._makers[key]

    def _delta(self, row: int, value: float) -> str:
        return formats.known_text(value, self._delta_known(row), formatter=formats.ratio)

    def _delta_known(self, row: int) -> Known:
        """Return how well the Delta on the board is known; the board may be a moment behind the book."""
        known = self._books.known(self._board.markets[row], self._board.symbols[row])
        return known if known is not Known.MISSING else Known.PARTIAL

    def _price(self, row: int, value: float) -> str:
        return price_text(value, self.decimals(row))

    def decimals(self, row: int) -> int:
        """Return how many decimals the prices of a row are shown with."""
        held = self._decimals.get(row)
        revision = self._board.revision
        if held is not None and held[0] in (revision, -1):
            return held[1]
        if held is None:
            step = self._books.tick_size(self._board.markets[row], self._board.symbols[row])
            known = formats.tick_decimals(step)
            if known is not None:
                self._decimals[row] = (-1, known)
                return known
        seen = max(held[1] if held is not None else 0, self._seen_decimals(row))
        self._decimals[row] = (revision, seen)
        return seen

    def _seen_decimals(self, row: int) -> int:
        most, largest = -1, 0.0
        for value in self._board.values[_PRICES, row].tolist():
            if value > 0 and math.isfinite(value):
                largest = max(largest, value)
                fraction = f"{value:.10f}".partition(".")[2].rstrip("0")
                most = max(most, len(fraction))
        if most < 0:
            return 0
        whole = math.floor(math.log10(largest)) + 1
        return min(most, max(2 if whole > 2 else 0, _DIGITS - whole), 10)

    # -- how well it is known ------------------------------------------------------------------------------------

    def stale(self, rows: RowArray) -> BoolArray:
        """Return which of these rows nothing was told about for a while (or never), or nothing will be: bool [rows]."""
        values = self._board.values
        stale: BoolArray = ~(values[Derived.AGE_S, rows] <= self.stale_s) | (values[Field.LINE, rows] <= 0.0)
        return stale

    def is_stale(self, row: int) -> bool:
        """Tell a row nothing was told about for a while (or never), or nothing will be."""
        return bool(self.stale(np.array([row]))[0])

    def why_unknown(self, row: int, column: Column) -> str:
        """Return why a figure is not known."""
        market, key = self._board.markets[row], column.key
        if market.kind is MarketKind.STOCK:
            return self._why_unknown_of_stock(row, column)
        if key in _STOCKS_ONLY:
            return "coins trade round the clock and are never halted or delayed here"
        if market.kind is MarketKind.SPOT and (key in _FUTURES_ONLY or key in _INTEREST):
            return "there is none on a spot market"
        if key == "delta":
            return f"no order book of it is kept, or the book is not known as far as {self._books.depth_pct:g} %"
        if key in _LIQUIDATIONS:
            if market.kind is MarketKind.SPOT or market.venue is Venue.HYPERLIQUID:
                return "this market publishes no liquidations"
            return "nothing was told about liquidations of this market yet"
        if key in _QUOTES:
            return "no quote was told yet; not every market's tickers carry quotes"
        if key == "change_24h":
            return "the price of 24 h ago was not told"
        if key == "age":
            return "nothing was told about it yet"
        return f"{market.full_name} has not told it"

    def _why_unknown_of_stock(self, row: int, column: Column) -> str:
        if column.key in _NOT_OF_STOCKS:
            return "there is none of stocks"
        if column.key == "delta":
            return "no order books of stocks are kept"
        told = self._why(row, column.key)
        return told or f"{self._board.markets[row].venue.full_name} has not told it"

    def _why(self, row: int, key: str) -> str:
        explainer = self._board.explainers.get(self._board.markets[row])
        return explainer.why(row, key) if explainer is not None else ""

    def tip(self, row: int, column: Column) -> str:
        """Return what is to be said of a cell on hover: the whole figure, or why there is none, and how old it is."""
        market, symbol = self._board.markets[row], self._board.symbols[row]
        lines = [f"{symbol}, {market.full_name}"]
        if column.source is not None:
            value = float(self._board.values[column.source, row])
            if not math.isfinite(value):
                lines.append(f"{column.title}: unknown, {self.why_unknown(row, column)}")
            else:
                unit = f" {column.unit}" if column.unit else ""
                lines.append(f"{column.title}: {self.whole(row, column, value)}{unit}")
                lines += filter(None, [self._why(row, column.key)])
            lines.append(column.help)
            if column.key == "delta":
                lines.append(f"within {self._books.depth_pct:g} % of the best prices")
                if math.isfinite(value) and self._delta_known(row) is not Known.EXACT:
                    lines.append(f"approximate: the book is not known as far as {self._books.depth_pct:g} %")
        if market is Market.BINANCE_USDM and column.key in _LIQUIDATIONS:
            lines.append("Binance tells at most one liquidation per symbol and second: a sample, so a floor")
        explainer = self._board.explainers.get(market)
        if explainer is not None:
            lines += explainer.notes(row)
        lines.append(self.age_words(row))
        return "\n".join(lines)

    def whole(self, row: int, column: Column, value: float) -> str:
        """Return a known figure in full."""
        if column.kind is ColumnKind.PRICE:
            return self._price(row, value)
        if column.kind is ColumnKind.USD:
            return formats.full(value, 0 if abs(value) >= 1000 else 2)
        return f"{value:,.6g}" if abs(value) < 1e6 else formats.full(value, 0)

    def age_words(self, row: int) -> str:
        """Return how old a row's news is and since when."""
        stamp_ns = int(self._board.updated_ns[row])
        age_s = float(self._board.values[Derived.AGE_S, row])
        if stamp_ns <= 0 or not math.isfinite(age_s):
            return "the venue has told nothing about it yet"
        since = datetime.fromtimestamp(stamp_ns // NS_PER_S, UTC).strftime("%H:%M:%S UTC")
        words = f"last told {formats.age(round(age_s * NS_PER_S))} ago ({since})"
        return f"STALE: {words}" if self.is_stale(row) else words

    def export(self, row: int, column: Column) -> str | float:
        """Return a cell for a file: words, a plain number, "" when it is not known."""
        if column.source is None:
            return self.name(row, column.key)
        value = float(self._board.values[column.source, row])
        return value if math.isfinite(value) else ""


def flag_text(key: str, value: float) -> str:
    """Return a flag in a word: `halted`, `volatility`, `delayed`, `no`."""
    if value <= 0.0:
        return "no"
    return "volatility" if key == "halted" and value == 2.0 else key


def price_text(value: float, decimals: int) -> str:
    """Return a known price with so many decimals."""
    return f"{value:,.{decimals}f}" if value != 0 else "0"


def age_text(seconds: float) -> str:
    """Return an age for a narrow cell: "0.4 s", "12 s", "3 m", "2 h", "5 d"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, unit, word in ((100, 1, "s"), (6000, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit:.0f} {word}"
    return f"{seconds // 86_400:.0f} d"
