"""Turns what is typed into the scanner's filter box into a mask of rows: words to be found, or a condition.

Plain words ("btc bybit") must all be part of an instrument's name, venue or market. Anything with a sign of comparison,
a bracket or a quote, or that begins with a column's name, is read as a condition (app/scanner/conditions.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from app.scanner.board import Board
from app.scanner.columns import BY_KEY, COLUMNS, ColumnKind
from app.scanner.conditions import Condition, ConditionError, parse
from app.scanner.ranking import BoolArray, matching

EXAMPLE: Final = "volume_24h > 5e6 and abs(change_24h) > 3 and spread_bp < 5"
_SIGNS: Final = re.compile(r"[<>=!()\"']")
_OPENINGS: Final = ("not", "abs", "min", "max")
_LAST_WORD: Final = re.compile(r"[A-Za-z_]\w*$")


@dataclass(frozen=True, slots=True)
class FilterFault:
    """Why a text is no condition. position: 0-based index of the offending character."""

    message: str
    position: int
    text: str

    def sentence(self) -> str:
        """Return where and what, with what stands there."""
        rest = self.text[self.position :].strip()
        where = f"“{rest[:24]}{'…' if len(rest) > 24 else ''}”" if rest else "the end"
        return f"column {self.position + 1}, {where}: {self.message}"


def is_condition(text: str) -> bool:
    """Tell a condition (perhaps unfinished or wrong) from words to look for."""
    if _SIGNS.search(text):
        return True
    words = text.split()
    if not words:
        return False
    first = words[0].lower()
    if len(words) == 1 and first in BY_KEY and BY_KEY[first].kind is ColumnKind.FLAG:
        return True
    if first in BY_KEY or first in _OPENINGS:
        return len(words) > 1 or "_" in first
    return False


class RowFilter:
    """One filter; raises ConditionError when the text is a condition that cannot be read."""

    def __init__(self, text: str = "") -> None:
        self.text = text.strip()
        self._condition: Condition | None = parse(self.text) if is_condition(self.text) else None

    def mask(self, board: Board) -> BoolArray | None:
        """Return the rows that pass, bool [board.count]; None when all do."""
        if self._condition is not None:
            return self._condition.mask(board)
        return matching(board, self.text) if self.text else None


def read_filter(text: str) -> RowFilter | FilterFault:
    """Read a filter, or say what is wrong with it."""
    try:
        return RowFilter(text)
    except ConditionError as error:
        return FilterFault(error.message, error.position + len(text) - len(text.lstrip()), text)


@dataclass(frozen=True, slots=True)
class Completion:
    """A word that may be typed, and what it means."""

    word: str
    meaning: str


COMPLETIONS: Final[tuple[Completion, ...]] = (
    *(
        Completion(column.key, f"{column.title}{f' ({column.unit})' if column.unit else ''}: {column.help}")
        for column in COLUMNS
    ),
    Completion("and", "both must hold"),
    Completion("or", "one must hold"),
    Completion("not", "must not hold"),
    Completion("contains", 'part of a word: symbol contains "PEPE"'),
    Completion("abs", "without its sign: abs(change_24h) > 3"),
    Completion("min", "the lesser: min(a, b)"),
    Completion("max", "the greater: max(a, b)"),
)


def word_before(text: str, cursor: int) -> tuple[int, str]:
    """Return where the word that ends at the cursor begins, and the word; "" inside quotes or when there is none."""
    before = text[:cursor]
    if before.count('"') % 2 or before.count("'") % 2:
        return cursor, ""
    match = _LAST_WORD.search(before)
    return (match.start(), match.group()) if match is not None else (cursor, "")
