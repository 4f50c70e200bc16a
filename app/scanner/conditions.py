"""From the text of a filter to a mask over the board's rows.

    volume_24h > 5e6 and abs(change_24h) > 3 and spread_bp < 5
    venue == "bybit" and 1 < delta < 1.5
    symbol in ("BTCUSDT", "ETHUSDT") or symbol contains "PEPE"

Grammar, loosest first: or, and, not, comparisons (which chain), + and -, * and /, sign, then numbers (with exponent and
k, M or B behind them), column names, "words", abs(x), min(x, ...), max(x, ...), brackets. Names are those of `COLUMNS`;
percentages are in percent, as shown.

Unknown figures follow three-valued logic: a comparison with an unknown figure is unknown, `not` leaves it unknown, and
a row is shown only when the whole condition is true. So neither `x > 1` nor `not (x > 1)` holds where x is unknown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.errors import FathomError
from app.domain.ids import Market
from app.scanner.board import Board, FloatArray
from app.scanner.columns import COLUMNS

BoolArray = npt.NDArray[np.bool_]

BY_KEY: Final = {column.key: column for column in COLUMNS}
MAX_LENGTH: Final = 1000
MAX_DEPTH: Final = 40
_FACTORS: Final = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "b": 1e9, "B": 1e9}
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[kKmMbB]?(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign><=|>=|==|!=|<|>|\+|-|\*|/|\(|\)|,)""",
    re.VERBOSE,
)
_COMPARISONS: Final = ("<", "<=", ">", ">=", "==", "!=")
_WORDS: Final = ("and", "or", "not", "in", "contains")
_FUNCTIONS: Final = {"abs": 1, "min": 2, "max": 2}


class ConditionError(FathomError):
    """A text is no condition. position: index (0-based) of the offending character; `str()` names it counted from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"column {position + 1}: {message}")
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Truth:
    """Three-valued truth of every row: true, false, or unknown where neither is set."""

    true: BoolArray
    false: BoolArray


# -- what a condition is made of ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float

    def figures(self, board: Board) -> FloatArray:
        """Return the value for every row."""
        return np.full(board.count, self.value)

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
        wanted = [word.casefold() for word in self.words]
        if self.sign == "contains":
            holds = np.array([wanted[0] in text for text in _texts(self.key, board)], np.bool_)
        else:
            chosen = set(wanted)
            holds = np.array([text in chosen for text in _texts(self.key, board)], np.bool_)
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


def _texts(key: str, board: Board) -> Iterator[str]:
    if key == "symbol":
        return (symbol.casefold() for symbol in board.symbols)
    if key == "venue":
        return (market.venue.value for market in board.markets)
    return (_KIND_WORDS[market] for market in board.markets)


_KIND_WORDS: Final = {market: market.kind.value.casefold() for market in Market}


def _quoted(word: str) -> str:
    return f"'{word}'" if '"' in word else f'"{word}"'


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that has been read. columns: keys of the columns of numbers it speaks of, in order."""

    term: LogicTerm
    columns: tuple[str, ...]

    def mask(self, board: Board) -> BoolArray:
        """Return for every row of the board whether the condition is true, bool [board.count]."""
        return self.term.truth(board).true

    def figures(self, board: Board, row: int) -> dict[str, float]:
        """Return what the row shows in the columns of the condition."""
        found = {}
        for key in self.columns:
            source = BY_KEY[key].source
            assert source is not None
            found[key] = float(board.values[source, row])
        return found

    def __str__(self) -> str:
        return str(self.term)


# -- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Condition:
    """Read a condition. Raises ConditionError, which names the place and what was expected there."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"expected at most {MAX_LENGTH} characters, were {len(text)}", MAX_LENGTH)
    reader = _Reader(_tokens(text), len(text))
    term = reader.logic()
    reader.end()
    return Condition(term, tuple(dict.fromkeys(reader.columns)))


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "\"'":
                raise ConditionError("expected a closing quote", at)
            raise ConditionError(f"expected a column, a number or a sign, was {text[at]!r}", at)
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, match.group(), at))
        at = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._length = length
        self._depth = 0
        self.columns: list[str] = []

    # tokens

    def _peek(self) -> _Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return _Token("end", "", self._length)

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in ("word", "sign") and token.text in texts

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise self._unexpected(f"expected {text}")
        self._next += 1

    def _unexpected(self, what: str) -> ConditionError:
        token = self._peek()
        was = "the end" if token.kind == "end" else token.text
        return ConditionError(f"{what}, was {was}", token.at)

    def end(self) -> None:
        """Raise ConditionError when something is left."""
        if self._peek().kind != "end":
            raise self._unexpected("expected and, or, or the end")

    # logic

    def logic(self) -> LogicTerm:
        """Read a whole condition."""
        self._deeper()
        left = self._conjunction()
        while self._is("or"):
            self._take()
            left = Both("or", left, self._conjunction())
        self._depth -= 1
        return left

    def _conjunction(self) -> LogicTerm:
        left = self._negation()
        while self._is("and"):
            self._take()
            left = Both("and", left, self._negation())
        return left

    def _negation(self) -> LogicTerm:
        if self._is("not"):
            self._deeper()
            self._take()
            term = Not(self._negation())
            self._depth -= 1
            return term
        return self._comparison()

    def _comparison(self) -> LogicTerm:
        token = self._peek()
        column = BY_KEY.get(token.text) if token.kind == "word" else None
        if column is not None and column.is_text:
            self._take()
            return self._words(column.key)
        if self._is("("):
            held, columns, depth = self._next, len(self.columns), self._depth
            self._take()
            try:
                inner = self.logic()
                self._expect(")")
            except ConditionError as as_logic:
                self._next, self._depth = held, depth
                del self.columns[columns:]
                return self._figures_instead(as_logic)
            if not self._is(*_COMPARISONS, "+", "-", "*", "/"):
                return inner
            raise self._unexpected("expected and, or, or the end")
        return self._chain()

    def _figures_instead(self, as_logic: ConditionError) -> LogicTerm:
        """Read brackets as arithmetic where they are no condition; complain about what came further."""
        try:
            return self._chain()
        except ConditionError as as_figures:
            raise as_figures if as_figures.position >= as_logic.position else as_logic from None

    def _chain(self) -> LogicTerm:
        terms, signs = [self._sum()], []
        while self._is(*_COMPARISONS):
            signs.append(self._take().text)
            terms.append(self._sum())
        if not signs:
            raise self._unexpected("expected a comparison such as > or <")
        return Comparison(tuple(terms), tuple(signs))

    def _words(self, key: str) -> LogicTerm:
        if self._is("==", "!=", "contains"):
            sign = self._take().text
            return Words(key, sign, (self._text(),))
        if self._is("in"):
            self._take()
            self._expect("(")
            words = [self._text()]
            while self._is(","):
                self._take()
                words.append(self._text())
            self._expect(")")
            return Words(key, "in", tuple(words))
        raise self._unexpected(f"expected ==, !=, contains or in after {key}")

    def _text(self) -> str:
        token = self._peek()
        if token.kind != "text":
            raise self._unexpected('expected a word in quotes such as "bybit"')
        self._take()
        return token.text[1:-1]

    # arithmetic

    def _sum(self) -> FigureTerm:
        self._deeper()
        left = self._product()
        while self._is("+", "-"):
            sign = self._take().text
            left = Arithmetic(sign, left, self._product())
        self._depth -= 1
        return left

    def _product(self) -> FigureTerm:
        left = self._signed()
        while self._is("*", "/"):
            sign = self._take().text
            left = Arithmetic(sign, left, self._signed())
        return left

    def _signed(self) -> FigureTerm:
        if self._is("-", "+"):
            self._deeper()
            sign = self._take().text
            inner = self._signed()
            self._depth -= 1
            if sign == "+":
                return inner
            return Number(-inner.value) if isinstance(inner, Number) else Arithmetic("-", Number(0.0), inner)
        return self._single()

    def _single(self) -> FigureTerm:
        token = self._peek()
        if token.kind == "number":
            self._take()
            return Number(_number(token))
        if self._is("("):
            self._take()
            inner = self._sum()
            self._expect(")")
            return inner
        if token.kind == "word" and token.text not in _WORDS:
            self._take()
            if token.text in _FUNCTIONS:
                return self._call(token)
            return self._figure(token)
        raise self._unexpected("expected a column or a number")

    def _call(self, token: _Token) -> Call:
        self._expect("(")
        terms = [self._sum()]
        while self._is(","):
            self._take()
            terms.append(self._sum())
        self._expect(")")
        least = _FUNCTIONS[token.text]
        if len(terms) < least or (least == 1 and len(terms) > 1):
            wanted = "one figure" if least == 1 else "two figures or more"
            raise ConditionError(f"expected {wanted} in {token.text}(), were {len(terms)}", token.at)
        return Call(token.text, tuple(terms))

    def _figure(self, token: _Token) -> Figure:
        column = BY_KEY.get(token.text)
        if column is None:
            near = difflib.get_close_matches(token.text.lower(), [*BY_KEY, *_FUNCTIONS], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else f"; columns are {', '.join(BY_KEY)}"
            raise ConditionError(f"there is no column {token.text}{hint}", token.at)
        if column.is_text:
            raise ConditionError(f"{token.text} is a word, not a number: compare it with == or contains", token.at)
        self.columns.append(column.key)
        return Figure(column.key)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConditionError(f"expected at most {MAX_DEPTH} brackets and signs inside each other", self._peek().at)


def _number(token: _Token) -> float:
    factor = _FACTORS.get(token.text[-1], 1.0)
    value = float(token.text.rstrip("kKmMbB")) * factor
    if not np.isfinite(value):
        raise ConditionError("expected a smaller number", token.at)
    return value
