"""Turns a market's own symbol into the pair shared by all markets: 1000SHIBUSDT -> SHIBUSDT."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MULTIPLIER = re.compile(r"^(?:1(?:000)+|1M)(?=[A-Z])")


def pair_of(symbol: str) -> str:
    """Return the pair a symbol belongs to."""
    return _MULTIPLIER.sub("", symbol)


def symbol_of(pair: str, symbols: Sequence[str]) -> str | None:
    """Return the symbol among a market's symbols that belongs to a pair, None when the market lists none."""
    if pair in symbols:
        return pair
    wanted = pair_of(pair)
    return next((symbol for symbol in symbols if pair_of(symbol) == wanted), None)
