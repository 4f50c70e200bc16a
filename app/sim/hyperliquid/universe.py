"""Turns lists of names into the coins of the simulated Hyperliquid: perpetuals, one builder exchange, spot pairs.

Naming and steps as the venue defines them (info endpoint, tick and lot size): perpetuals by coin, `k` for a thousand
coins, spot pairs as `@<index>` except PURR/USDC; at most five significant figures in a price, and at most 6 (spot: 8)
decimals less those of the size, while whole numbers are always allowed.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from enum import Enum

from app.sim.universe import PRICES_USD, THOUSANDS

BUILDER_DEX = "xyz"
DELISTED_COIN = "MATIC"
ONE_SIDED_COIN = "OMNI"  # its book has bids only, so that there is no mid price
CROSSING_COIN = "LAYER"  # its price swings around a power of ten
RETIRED_SPOT_COIN = "@9"  # still has a context, but is in the universe no more

_MORE_PRICES_TEXT = """
HYPE 38.4 FARTCOIN 0.94 MOODENG 0.118 GOAT 0.094 SPX 1.21 AIXBT 0.104 ZEREBRO 0.031 GRIFFAIN 0.044 MORPHO 1.87
USUAL 0.071 MOVE 0.118 ME 0.64 MAV 0.061 BIO 0.088 ANIME 0.0152 VINE 0.042 MELANIA 0.19 LAYER 1.0 IP 6.9 BERA 2.1
KAITO 1.34 NIL 0.33 PAXG 3310 BABY 0.052 INIT 0.42 SOPH 0.034 RESOLV 0.17 SYRUP 0.44 PUMP 0.0046 PROVE 0.93 XPL 0.91
LINEA 0.0241 AVNT 1.02 ASTER 1.54 MNT 1.18 ZORA 0.083 HMSTR 0.0011 POPCAT 0.31 BRETT 0.052 MEW 0.0028 BANANA 19.3
GAS 3.1 POLYX 0.135 TNSR 0.121 SAGA 0.22 REZ 0.0124 BSV 26.4 BLAST 0.0024 SCR 0.31 SUPER 0.62 RSR 0.0069 XAI 0.052
ACE 0.52 UMA 1.21 ALT 0.029 OMNI 2.4 MERL 0.13 LISTA 0.21 IO 0.71 AERO 0.83 MATIC 0.378
"""
_words = _MORE_PRICES_TEXT.split()
_MORE_PRICES: dict[str, float] = dict(zip(_words[::2], map(float, _words[1::2]), strict=True))
_K_UNITS = THOUSANDS | {"NEIRO"}
_UNWANTED = frozenset({"1000SATS", "NOT", "QTUM", "EGLD", "ROSE", "KAVA", "CKB"})
_BUILDER_PRICES = {"TSLA": 318.0, "NVDA": 181.0, "XYZ100": 24_350.0}

# token, price in USD, index of the pair with USDC; indices have holes, as on the venue
_SPOT_TOKENS_TEXT = """
PURR 0.171 0 HFUN 21.8 1 LICK 0.0042 2 MANLET 0.0051 3 JEFF 0.0131 4 SIX 0.0098 5 WAGMI 0.0067 6 CAPPY 0.0022 7
POINTS 0.0143 8 TRUMPS 0.31 10 GMEOW 0.0032 11 PEPES 0.0021 12 XULIAN 0.0011 13 RUB 0.017 14 ILIENS 0.0019 15
CZ 0.0041 17 BAGS 0.0013 18 ANSEM 0.0018 19 TATE 0.0021 20 FUN 0.0061 21 SUCKY 0.0014 22 BIGBEN 0.0034 23
KOBE 0.0023 24 VEGAS 0.0272 25 ARI 0.0031 26 FRUDO 0.0015 27 ORA 0.0038 28 PIGEON 0.0041 29 CATBAL 0.035 30
HOP 0.0019 31 GUP 0.0022 32 NEKO 0.0027 33 ADHD 0.0011 34 HPUMP 0.0024 35 STRICT 0.0016 36 CATNIP 0.0143 37
PANDA 0.0032 38 HBOOST 0.0018 40 RAGE 0.0026 41 SOLV 0.041 43 PILL 0.0015 44 UBI 0.0061 45 STAR 0.013 46
SCHIZO 0.0213 47 HYPE 38.4 107 BUDDY 0.0042 109 FARM 0.0092 110 VAPOR 0.0017 112 UBTC 96500 142 UETH 3350 151
USOL 172 156 LATINA 0.0049 157 USDT0 1.0 166 USDE 0.9994 180 UFART 0.94 188 FEUSD 0.998 153 UPUMP 0.0046 199
"""
_spot_words = _SPOT_TOKENS_TEXT.split()
_OTHER_QUOTE = "USDH"
_TOP_PERP_VOLUME_USD = 2.1e9
_TOP_SPOT_VOLUME_USD = 1.1e8
_MAJORS = ("BTC", "ETH", "SOL", "HYPE", "XRP")


class Kind(Enum):
    """What a coin is."""

    PERP = "perp"
    BUILDER = "builder"
    SPOT = "spot"


@dataclass(slots=True, kw_only=True)
class Coin:
    """One market. `price_decimals` is the most a price can have, `place` the index in the market's arrays.

    `index` is the position in the perpetuals' universe, or the number of a spot pair.
    """

    name: str
    kind: Kind
    place: int
    index: int
    price: float
    size_decimals: int
    price_decimals: int
    volume_usd: float
    max_leverage: int
    levels: int
    base: str
    quote: str = "USDC"
    delisted: bool = False
    has_bids: bool = True
    has_asks: bool = True

    @property
    def has_mid(self) -> bool:
        """Tell whether both sides rest."""
        return self.has_bids and self.has_asks and not self.delisted


def build_coins(perps: int | None = None, spots: int | None = None) -> list[Coin]:
    """Return the coins: perpetuals in universe order (None: all), the builder's, spot pairs; the peculiar ones stay."""
    coins: list[Coin] = []
    for index, name in enumerate(_perp_names(perps)):
        coins.append(perp(name, index, len(coins), _perp_price(name), _TOP_PERP_VOLUME_USD * (index + 1) ** -1.2))
    for index, (name, price) in enumerate(_BUILDER_PRICES.items()):
        coin = perp(f"{BUILDER_DEX}:{name}", index, len(coins), price, 4e7)
        coin.kind = Kind.BUILDER
        coins.append(coin)
    pairs = list(zip(_spot_words[::3], map(float, _spot_words[1::3]), map(int, _spot_words[2::3]), strict=True))
    for rank, (token, price, index) in enumerate(pairs[:spots]):
        name = "PURR/USDC" if index == 0 else f"@{index}"
        top = {"HYPE": 0, "UBTC": 1, "UETH": 2, "USOL": 3, "PURR": 4}.get(token, rank + 5)
        coins.append(_spot(name, index, len(coins), token, price, _TOP_SPOT_VOLUME_USD * (top + 1) ** -1.6))
    if spots is None:
        coins.append(_spot("@232", 232, len(coins), "HYPE", 38.4, 3.1e6, _OTHER_QUOTE))
    return coins


def _perp_names(count: int | None) -> list[str]:
    known = [f"k{base}" if base in _K_UNITS else base for base in PRICES_USD if base not in _UNWANTED]
    names = ["BTC", "ETH", "SOL", "HYPE", "XRP", "kPEPE", DELISTED_COIN, ONE_SIDED_COIN, CROSSING_COIN]
    names += [name for name in (*known, *_MORE_PRICES) if name not in names]
    return names[:count]


def _perp_price(name: str) -> float:
    if name in _MORE_PRICES:
        return _MORE_PRICES[name]
    base = name.removeprefix("k") if name[:1] == "k" else name
    return PRICES_USD[base] * (1000.0 if base != name else 1.0)


def perp(name: str, index: int, place: int, price: float, volume_usd: float) -> Coin:
    """Return a perpetual, with its peculiarity where it has one."""
    size_decimals = min(5, max(0, round(math.log10(price))))
    return Coin(
        name=name,
        kind=Kind.PERP,
        place=place,
        index=index,
        price=price,
        size_decimals=size_decimals,
        price_decimals=6 - size_decimals,
        volume_usd=0.0 if name == DELISTED_COIN else volume_usd,
        max_leverage=40 if index < 2 else 20 if index < 20 else 10 if index < 60 else 3,
        levels=800 if name in _MAJORS else 450,
        base=name,
        delisted=name == DELISTED_COIN,
        has_asks=name != ONE_SIDED_COIN,
    )


def _spot(name: str, index: int, place: int, token: str, price: float, volume_usd: float, quote: str = "USDC") -> Coin:
    size_decimals = min(5, max(0, round(math.log10(price))))
    return Coin(
        name=name,
        kind=Kind.SPOT,
        place=place,
        index=index,
        price=price,
        size_decimals=size_decimals,
        price_decimals=8 - size_decimals,
        volume_usd=volume_usd,
        max_leverage=1,
        levels=300,
        base=token,
        quote=quote,
    )


def seed_of(seed: int, name: str) -> tuple[int, int]:
    """Return the seed of one coin's own dice."""
    return seed, zlib.crc32(name.encode())
