"""From the text of a filter to a mask over the board's rows.

    volume_24h > 5e6 and abs(change_24h) > 3 and spread_bp < 5
    venue == "bybit" and market == "futures" and 1 < delta < 1.5
    symbol in ("BTCUSDT", "ETHUSDT") or symbol contains "PEPE"
    session == "PRE" and abs(gap) > 2 and not halted and not delayed

Grammar, loosest first: or, and, not, comparisons (which chain), + and -, * and /, sign, then numbers (with exponent and
k, M or B behind them), column names, "words", abs(x), min(x, ...), max(x, ...), brackets. Names are those of `COLUMNS`;
percentages are in percent, as shown. A flag (halted, delayed) stands for itself above 0.

Unknown figures follow three-valued logic: a comparison with an unknown figure is unknown, `not` leaves it unknown, and
a row is shown only when the whole condition is true. So neither `x > 1` nor `not (x > 1)` holds where x is unknown.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from app.domain.ids import MarketKind, Venue
from app.domain.market import Phase
from app.scanner.board import Board
from app.scanner.columns import BY_KEY, ColumnKind
from app.scanner.terms import (
    Arithmetic,
    BoolArray,
    Both,
    Call,
    Comparison,
    Figure,
    FigureTerm,
    LogicTerm,
    Not,
    Number,
    Words,
)
from app.scanner.tokens import ConditionError, Token, number_of, tokens_of

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "Condition", "ConditionError", "parse"]

MAX_LENGTH: Final = 1000
MAX_DEPTH: Final = 40
_COMPARISONS: Final = ("<", "<=", ">", ">=", "==", "!=")
_WORDS: Final = ("and", "or", "not", "in", "contains")
_FUNCTIONS: Final = {"abs": 1, "min": 2, "max": 2}
_KNOWN_WORDS: Final = {
    "venue": tuple(venue.value for venue in Venue),
    "market": tuple(kind.value.lower() for kind in MarketKind),
    "session": tuple(phase.word.lower() for phase in Phase),
}
"""Columns that hold nothing else."""


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


def parse(text: str) -> Condition:
    """Read a condition; column names and and, or, not, in may be in capitals.

    Raises ConditionError, which names the place and what was expected there.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"expected at most {MAX_LENGTH} characters, were {len(text)}", MAX_LENGTH)
    reader = _Reader(tokens_of(text), len(text))
    term = reader.logic()
    reader.end()
    return Condition(term, tuple(dict.fromkeys(reader.columns)))


class _Reader:
    def __init__(self, tokens: list[Token], length: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._length = length
        self._depth = 0
        self.columns: list[str] = []

    # tokens

    def _peek(self) -> Token:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return Token("end", "", self._length)

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in ("word", "sign") and token.text in texts

    def _take(self) -> Token:
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
        first = terms[0]
        if not signs and isinstance(first, Figure) and BY_KEY[first.key].kind is ColumnKind.FLAG:
            return Comparison((first, Number(0.0)), (">",))
        if not signs:
            raise self._unexpected("expected a comparison such as > or <")
        return Comparison(tuple(terms), tuple(signs))

    def _words(self, key: str) -> LogicTerm:
        if self._is("not"):
            self._take()
            if not self._is("in", "contains"):
                raise self._unexpected(f"expected in or contains after {key} not")
            return Not(self._words(key))
        if self._is("==", "!=", "contains"):
            sign = self._take().text
            return Words(key, sign, (self._text(key, exact=sign != "contains"),))
        if self._is("in"):
            self._take()
            self._expect("(")
            words = [self._text(key)]
            while self._is(","):
                self._take()
                words.append(self._text(key))
            self._expect(")")
            return Words(key, "in", tuple(words))
        raise self._unexpected(f"expected ==, !=, contains or in after {key}")

    def _text(self, key: str, *, exact: bool = True) -> str:
        token = self._peek()
        if token.kind != "text":
            raise self._unexpected('expected a word in quotes such as "bybit"')
        self._take()
        word = token.text[1:-1]
        if not word.isprintable():
            raise ConditionError("expected characters that can be seen", token.at)
        known = _KNOWN_WORDS.get(key)
        if exact and known and word.lower() not in known:
            near = difflib.get_close_matches(word.lower(), known, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConditionError(f"expected {' or '.join(known)}, was {word}{hint}", token.at)
        return word

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
            return Number(number_of(token))
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

    def _call(self, token: Token) -> Call:
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

    def _figure(self, token: Token) -> Figure:
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
