"""Turns the list of symbols in `resources/symbols` into listings of both markets: names, prices, ticks, steps."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.ids import Market
from app.paths import resources

SYMBOLS_FILE = "binance_top100.txt"

# Starting prices in USD: a plausible day, not a quotation. A base that is not named gets one from its name.
_PRICES_TEXT = """
BTC 96500 ETH 3350 SOL 172 XRP 2.35 BNB 690 DOGE 0.178 SUI 2.9 ADA 0.62 TRX 0.27 PEPE 0.0000098 LINK 15.8 AVAX 21.4
LTC 96 BCH 455 ENA 0.42 HBAR 0.178 DOT 3.9 UNI 8.1 AAVE 215 TRUMP 8.3 NEAR 2.6 SHIB 0.0000119 TAO 372 WLD 0.92
ARB 0.41 XLM 0.29 APT 4.6 BONK 0.0000172 FIL 2.3 OP 0.68 TON 2.4 ETC 17.9 INJ 10.4 SEI 0.23 CRV 0.61 TIA 1.9 ICP 4.7
ONDO 0.78 FET 0.62 WIF 0.71 FLOKI 0.0000691 ATOM 3.8 RENDER 3.2 POL 0.214 LDO 0.86 ALGO 0.198 PENGU 0.0162
VIRTUAL 1.38 JUP 0.41 ZEC 61 S 0.36 PNUT 0.22 STX 0.67 GALA 0.0148 ORDI 8.2 DASH 34 SAND 0.27 EIGEN 1.12 ETHFI 1.05
PYTH 0.124 RUNE 1.31 GRT 0.088 IMX 0.52 MANA 0.28 VET 0.0231 JTO 1.72 STRK 0.131 ZRO 2.05 NEIRO 0.000412 DYDX 0.58
KAIA 0.142 CAKE 2.4 ENS 19.6 PENDLE 3.9 AXS 2.3 COMP 46 SUSHI 0.66 NOT 0.00192 BOME 0.00171 1000SATS 0.0000413
CFX 0.152 XTZ 0.63 EGLD 15.2 AR 6.4 THETA 0.79 SNX 0.71 ROSE 0.0288 KAVA 0.39 ZK 0.0541 BLUR 0.0862 IOTA 0.184
CHZ 0.0405 LUNC 0.0000612 NEO 6.1 1INCH 0.21 APE 0.61 MINA 0.19 GMX 14.7 FLOW 0.37 QNT 98 W 0.071 QTUM 2.2 ZIL 0.0113
MEME 0.0019 PEOPLE 0.0171 TURBO 0.0038 ARKM 0.52 GMT 0.043 CKB 0.0041
"""
_words = _PRICES_TEXT.split()
PRICES_USD: dict[str, float] = dict(zip(_words[::2], map(float, _words[1::2]), strict=True))

# On futures these trade in units of a thousand coins.
THOUSANDS = frozenset({"PEPE", "SHIB", "BONK", "FLOKI", "LUNC", "XEC"})

_TOP_VOLUME_USD = 2.6e9
_FUTURES_VOLUME_TIMES = 3.2
# Levels per side (spot, futures) of the deepest books, whose futures snapshots end within a few per cent; the rest fall
# from 900 to 300 with their rank and are seen whole.
_MAJOR_LEVELS = {
    "BTC": (4000, 3600),
    "ETH": (3800, 3400),
    "SOL": (3400, 3000),
    "XRP": (3000, 2800),
    "BNB": (2800, 2600),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One instrument as the simulated venue lists it.

    `pair` is its index in the market's arrays, `units` the coins in one quoted unit; `price_decimals` and
    `quantity_decimals` give tick and step, `wire_decimals` the decimals a quantity is written with.
    """

    market: Market
    symbol: str
    base: str
    pair: int
    units: int
    price: float
    price_decimals: int
    quantity_decimals: int
    wire_decimals: int
    levels: int
    quote_volume_usd: float
    major: bool

    @property
    def tick_size(self) -> str:
        """The price step, e.g. `0.01`."""
        return _power_of_ten(-self.price_decimals)

    @property
    def step_size(self) -> str:
        """The quantity step, e.g. `0.00001`."""
        return _power_of_ten(-self.quantity_decimals)


def _power_of_ten(exponent: int) -> str:
    return f"{10.0**exponent:.{max(0, -exponent)}f}"


def read_symbols(path: Path | None = None) -> list[str]:
    """Return the spot symbols of a list file in rank order; `#` begins a comment."""
    text = (path or resources() / "symbols" / SYMBOLS_FILE).read_text(encoding="utf-8")
    names = (line.partition("#")[0].strip() for line in text.splitlines())
    return list(dict.fromkeys(name for name in names if name))


def build_listings(symbols: Sequence[str] | None = None) -> dict[Market, list[Listing]]:
    """Return the listings of both markets for spot symbols (None: the whole list), in the order given."""
    wanted = list(symbols) if symbols is not None else read_symbols()
    ranks = {symbol: rank for rank, symbol in enumerate(read_symbols(), start=1)}
    spot = [_listing(Market.BINANCE_SPOT, symbol, pair, ranks) for pair, symbol in enumerate(wanted)]
    usdm = [_listing(Market.BINANCE_USDM, symbol, pair, ranks) for pair, symbol in enumerate(wanted)]
    return {Market.BINANCE_SPOT: spot, Market.BINANCE_USDM: usdm}


def _listing(market: Market, spot_symbol: str, pair: int, ranks: dict[str, int]) -> Listing:
    return make_listing(market, spot_symbol, pair, ranks.get(spot_symbol, len(ranks) + 1))


def make_listing(market: Market, spot_symbol: str, pair: int, rank: int) -> Listing:
    """Return one listing of a spot symbol; turnover and depth fall with its rank."""
    if not spot_symbol.endswith("USDT") or spot_symbol == "USDT":
        raise ValueError(f"expected a spot symbol that ends in USDT, was {spot_symbol!r}")
    base = spot_symbol.removesuffix("USDT")
    usdm = market is Market.BINANCE_USDM
    units = 1000 if usdm and base in THOUSANDS else 1
    price = PRICES_USD.get(base) or _price_from_name(base)
    price *= units
    # Five significant digits, never coarser than a cent nor finer than 1e-8, as the venue does it.
    price_decimals = min(8, max(2, 4 - math.floor(math.log10(price))))
    if usdm and base == "BTC":
        price_decimals = 1
    quantity_decimals = max(0, math.ceil(math.log10(price)))
    if usdm:
        quantity_decimals = max(0, quantity_decimals - 2)
    spot_levels, usdm_levels = _MAJOR_LEVELS.get(base) or (max(300, 900 - 6 * rank), max(300, 860 - 6 * rank))
    volume = _TOP_VOLUME_USD * rank**-1.15
    return Listing(
        market=market,
        symbol=f"1000{spot_symbol}" if units == 1000 else spot_symbol,
        base=f"1000{base}" if units == 1000 else base,
        pair=pair,
        units=units,
        price=price,
        price_decimals=price_decimals,
        quantity_decimals=quantity_decimals,
        # Spot writes every quantity with eight decimals, futures with those of the step.
        wire_decimals=quantity_decimals if usdm else 8,
        levels=usdm_levels if usdm else spot_levels,
        quote_volume_usd=volume * _FUTURES_VOLUME_TIMES if usdm else volume,
        major=base in _MAJOR_LEVELS,
    )


def _price_from_name(base: str) -> float:
    share = zlib.crc32(base.encode()) / 2**32
    return float(f"{10 ** (share * 5 - 3):.4g}")


def by_symbol(listings: Iterable[Listing]) -> dict[str, Listing]:
    """Return listings by the venue's symbol."""
    return {listing.symbol: listing for listing in listings}
