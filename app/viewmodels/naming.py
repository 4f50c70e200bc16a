"""Turns a market's own symbol into the pair shared by all markets: 1000SHIBUSDT -> SHIBUSDT, kPEPE -> PEPEUSDT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_MULTIPLIER = re.compile(r"^(?:1(?:000)+|1M)(?=[A-Z])")
_THOUSAND = re.compile(r"^k(?=[A-Z])")
_DOLLARS: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD")
_COMMON: Final = "USDT"


def pair_of(symbol: str) -> str:
    """Return the pair a symbol belongs to; a coin named alone (Hyperliquid) is taken against the usual dollar."""
    plain = _MULTIPLIER.sub("", symbol)
    if any(plain.endswith(quote) and len(plain) > len(quote) for quote in _DOLLARS) or not plain.isalnum():
        return plain
    return _THOUSAND.sub("", plain) + _COMMON


def symbol_of(pair: str, symbols: Sequence[str]) -> str | None:
    """Return the symbol among a market's symbols that belongs to a pair, None when the market lists none."""
    if pair in symbols:
        return pair
    wanted = pair_of(pair)
    return next((symbol for symbol in symbols if pair_of(symbol) == wanted), None)
