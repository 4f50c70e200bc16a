"""The text of a condition into words, numbers, quoted words and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.errors import FathomError

MAX_TOKENS: Final = 400
_FACTORS: Final = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "b": 1e9, "B": 1e9}
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[kKmMbB]?(?![\w.]))
      | (?P<word>[A-Za-z_]\w*)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign><=|>=|==|!=|<|>|\+|-|\*|/|\(|\)|,)""",
    re.VERBOSE,
)
_MEANT: Final = {"&": "and", "|": "or", "!": "not", "=": "==", "%": "a number in percent without its sign"}


class ConditionError(FathomError):
    """A text is no condition. position: index (0-based) of the offending character; `str()` names it counted from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"column {position + 1}: {message}")
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Token:
    """One piece: number, word (in small letters), text (with its quotes), sign or end; `at` is its index."""

    kind: str
    text: str
    at: int


def tokens_of(text: str) -> list[Token]:
    """Return the pieces of a text. Raises ConditionError."""
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] in "\"'":
                raise ConditionError("expected a closing quote", at)
            meant = _MEANT.get(text[at], "a column, a number or a sign")
            raise ConditionError(f"expected {meant}, was {text[at]!r}", at)
        kind = match.lastgroup or ""
        if kind != "space":
            word = match.group()
            tokens.append(Token(kind, word.lower() if kind == "word" else word, at))
            if len(tokens) > MAX_TOKENS:
                raise ConditionError(f"expected at most {MAX_TOKENS} words, numbers and signs", at)
        at = match.end()
    return tokens


def number_of(token: Token) -> float:
    """Return the value of a number. Raises ConditionError for one beyond floats."""
    factor = _FACTORS.get(token.text[-1], 1.0)
    value = float(token.text.rstrip("kKmMbB")) * factor
    if not np.isfinite(value):
        raise ConditionError("expected a smaller number", token.at)
    return value
