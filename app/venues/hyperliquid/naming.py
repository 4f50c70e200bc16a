"""From Hyperliquid's names to instruments that are comparable with those of other venues.

Perpetuals are named by their coin and settled in USDC: "BTC" becomes the pair BTCUSDT, because a dollar is a dollar for
a chart that follows one coin over several venues; the instrument still says that its quote is USDC. "kPEPE" is a
thousand PEPE: pair PEPEUSDT in units of 1000. Spot pairs are named "@142" by their number, or by their tokens when the
venue calls them canonical ("PURR/USDC"); `SpotNames` gives all of them the form of the latter.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.venues.hyperliquid.messages import PerpListing, SpotMeta

QUOTE: Final = "USDC"
PAIR_QUOTE: Final = "USDT"
"""What pairs of other venues end with."""
_DOLLARS: Final = frozenset(("USDC", "USDT", "USDT0", "USDH", "USDE"))
_THOUSANDS = re.compile(r"^k(?=[A-Z0-9])")
_BRIDGED: Final = {"UBTC": "BTC", "UETH": "ETH", "USOL": "SOL"}
"""Tokens that stand for a coin of another chain, one for one."""
_MOST_DECIMALS: Final = 6
_FIGURES: Final = 5
_POWERS: Final = [10.0**exponent for exponent in range(-12, 12)]


def perp_instrument(listing: PerpListing, price: float | None = None) -> Instrument:
    """Return a perpetual as an instrument; a price makes its price step known."""
    name = listing.name
    units = 1000 if _THOUSANDS.match(name) else 1
    base = (name[1:] if units > 1 else name).upper()
    return Instrument(
        market=Market.HYPERLIQUID_PERP,
        symbol=name,
        pair=base + PAIR_QUOTE,
        base=base,
        quote=QUOTE,
        units=units,
        tick_size=None if not price else price_step(price, listing.szDecimals),
        trading=not listing.isDelisted,
    )


def guess_instrument(market: Market, symbol: str) -> Instrument:
    """Return what a symbol says by itself: a perpetual by its coin, or a spot pair such as PURR/USDC."""
    if market is Market.HYPERLIQUID_PERP:
        return perp_instrument(PerpListing(name=symbol))
    base, _, quote = symbol.partition("/")
    return spot_instrument(symbol, base, quote)


def spot_instrument(symbol: str, base: str, quote: str) -> Instrument:
    """Return a spot pair as an instrument."""
    coin = _BRIDGED.get(base, base)
    pair = coin + (PAIR_QUOTE if quote in _DOLLARS else quote)
    return Instrument(market=Market.HYPERLIQUID_SPOT, symbol=symbol, pair=pair, base=coin, quote=quote)


def price_step(price: float, size_decimals: int) -> str:
    """Return the price step of a perpetual in plain digits.

    A price has at most five significant figures and 6 - szDecimals decimals, whole numbers are always allowed
    (tick-and-lot-size). The step is that of a price 30 % lower, so that a fall does not cost digits on screen.
    """
    exponent = bisect_right(_POWERS, 0.7 * price) - 1 - 12
    decimals = min(max(0, _FIGURES - 1 - exponent), max(0, _MOST_DECIMALS - size_decimals))
    return f"{10.0**-decimals:.{decimals}f}"


class SpotNames:
    """Coin ("@142") to readable symbol ("UBTC/USDC") and back, from `spotMeta`."""

    def __init__(self, meta: SpotMeta) -> None:
        tokens = {token.index: token.name for token in meta.tokens}
        self.symbols: dict[str, str] = {}
        self.coins: dict[str, str] = {}
        for listing in meta.universe:
            base, quote = (tokens.get(index) for index in listing.tokens)
            name = f"{base}/{quote}" if base and quote else listing.name
            if name in self.coins:  # two pairs of the same tokens: the later one keeps the venue's name
                name = listing.name
            self.symbols[listing.name] = name
            self.coins[name] = listing.name
