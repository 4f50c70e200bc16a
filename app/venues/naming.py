"""What names say by themselves: a symbol where a venue's own list cannot be had, a coin that is tied to money."""

from __future__ import annotations

import re
from typing import Final

from app.domain.ids import Market, MarketKind
from app.domain.instruments import Instrument

_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")
PEGGED: Final = frozenset(
    (
        "USDC",
        "FDUSD",
        "TUSD",
        "USDP",
        "DAI",
        "BUSD",
        "USD1",
        "XUSD",
        "BFUSD",
        "USDE",
        "USDS",
        "PYUSD",
        "RLUSD",
        "EUR",
        "EURI",
        "AEUR",
        "GBP",
        "AUD",
        "TRY",
        "BRL",
        "PAXG",
        "XAUT",
    )
)
"""Coins tied to a currency or to gold: the depth around their fixed price says nothing and would swamp the sums."""
_UNITS = re.compile(r"^(1000000|10000|1000)(?=[A-Z])")


def guess_instrument(market: Market, symbol: str) -> Instrument:
    """Name base and quote of a symbol without the venue's list: by the quote assets known to end symbols."""
    name = symbol.partition("_")[0]
    quote = next((q for q in _QUOTES if name.endswith(q) and len(name) > len(q)), "")
    base = name.removesuffix(quote)
    match = _UNITS.match(base) if market.kind is MarketKind.FUTURES else None
    units = int(match.group(1)) if match else 1
    base = base[len(match.group(1)) :] if match else base
    return Instrument(market=market, symbol=symbol, pair=base + quote, base=base, quote=quote, units=units)
