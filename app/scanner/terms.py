"""What a condition on the board's rows is made of: terms that give figures, and terms that give three-valued truth.

The text of a term, which has all its brackets, reads back as the same term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.scanner.board import Board, FloatArray
from app.scanner.columns import BY_KEY

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """Three-valued truth of every row: true, false, or unknown where neither is set."""

    true: BoolArray
    false: BoolArray


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float

    def figures(self, board: Board) -> FloatArray:
        """Return the value, float64 [], which goes with every row."""
        return np.array(self.value)

    def __str__(self) -> str:
        return f"{self.value!r}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of numbers."""

    key: str

    def figures(self, board: Board) -> FloatArray:
        """Return the column as it is shown."""
        source = BY_KEY[self.key].source
        assert source is not None
        values: FloatArray = board.values[source, : board.count]
        return values

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two figures by + - * or /."""

    sign: str
    left: FigureTerm
    right: FigureTerm

    def figures(self, board: Board) -> FloatArray:
        """Return the result, NaN where it is none."""
        left, right = self.left.figures(board), self.right.figures(board)
        with np.errstate(all="ignore"):
            result = _ARITHMETIC[self.sign](left, right)
        return np.where(np.isfinite(result), result, np.nan)

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True, slots=True)
class Call:
    """abs, min or max of figures."""

    name: str
    terms: tuple[FigureTerm, ...]

    def figures(self, board: Board) -> FloatArray:
        """Return the result; unknown when one of the terms is."""
        columns = [term.figures(board) for term in self.terms]
        if self.name == "abs":
            return np.abs(columns[0])
        reduce = np.minimum if self.name == "min" else np.maximum
        result = columns[0]
        for column in columns[1:]:
            result = reduce(result, column)  # both pass NaN on
        return result

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.terms))})"


FigureTerm = Number | Figure | Arithmetic | Call

_ARITHMETIC: Final[dict[str, Callable[[FloatArray, FloatArray], FloatArray]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
_COMPARE: Final[dict[str, Callable[[FloatArray, FloatArray], BoolArray]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures in a chain such as 1 < delta < 1.5."""

    terms: tuple[FigureTerm, ...]
    signs: tuple[str, ...]

    def truth(self, board: Board) -> Truth:
        """Compare; unknown where a figure is."""
        columns = [term.figures(board) for term in self.terms]
        true, false = np.ones(board.count, np.bool_), np.zeros(board.count, np.bool_)
        for left, sign, right in zip(columns, self.signs, columns[1:], strict=False):
            known = ~(np.isnan(left) | np.isnan(right))
            holds = _COMPARE[sign](left, right)
            true &= known & holds
            false |= known & ~holds
        return Truth(true, false)

    def __str__(self) -> str:
        parts = [str(self.terms[0])]
        for sign, term in zip(self.signs, self.terms[1:], strict=True):
            parts += [sign, str(term)]
        return f"({' '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Words:
    """A column of words against given ones; case does not matter. sign: ==, !=, in or contains."""

    key: str
    sign: str
    words: tuple[str, ...]

    def truth(self, board: Board) -> Truth:
        """Compare; words are always known."""
        texts = board.texts(self.key)
        wanted = [word.upper() for word in self.words]
        if self.sign == "contains":
            holds: BoolArray = np.strings.find(texts, wanted[0]) >= 0
        else:
            holds = np.zeros(board.count, np.bool_)
            for word in wanted:
                holds |= texts == word
            if self.sign == "!=":
                holds = ~holds
        return Truth(holds, ~holds)

    def __str__(self) -> str:
        if self.sign == "in":
            return f"({self.key} in ({', '.join(_quoted(word) for word in self.words)}))"
        return f"({self.key} {self.sign} {_quoted(self.words[0])})"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    term: LogicTerm

    def truth(self, board: Board) -> Truth:
        """Turn true and false round."""
        inner = self.term.truth(board)
        return Truth(inner.false, inner.true)

    def __str__(self) -> str:
        return f"(not {self.term})"


@dataclass(frozen=True, slots=True)
class Both:
    """Two conditions by and, or."""

    sign: str
    left: LogicTerm
    right: LogicTerm

    def truth(self, board: Board) -> Truth:
        """Join by Kleene's logic."""
        left, right = self.left.truth(board), self.right.truth(board)
        if self.sign == "and":
            return Truth(left.true & right.true, left.false | right.false)
        return Truth(left.true | right.true, left.false & right.false)

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


LogicTerm = Comparison | Words | Not | Both


def _quoted(word: str) -> str:
    return f"'{word}'" if '"' in word else f'"{word}"'
