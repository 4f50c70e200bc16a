"""Turns the list of coins into the instruments of both simulated Bybit markets, the awkward ones included.

Awkward on purpose: a thousand-coin contract, contracts in USDC, a dated one, one before its launch, one closed, and
pairs on one market only; a client has to sort them out (market/instrument of the venue's v5 documents).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.ids import Market
from app.sim.universe import PRICES_USD, THOUSANDS, Listing, read_symbols

MARKETS = (Market.BYBIT_SPOT, Market.BYBIT_LINEAR)

_ALTS_TEXT = """
ALGA BRIVO CENTA DORU ELVA FYNN GRITA HALO IVRA JUNA KELP LUMEN MORPA NEXA OKTA PRISM QUILL RIVA SOLIS TARN ULMA VOXEL
WREN XENO YARA ZEPH ARCA BOLT CIRRA DRIFT EMBER FABLE GLINT HEXA INDRA JASPA KRILL LYRA MYTH NOVA ORBI PULSE QUARK RUNA
SABLE TIDE UMBRA VESTA WILLO XYLO YUKI ZINC AMBRA BRAMA COBAL DUNE ECHOS FROST GROVE HAZE IONA JOLT KITE LOTUS MICA
NIMBA OPAL PLUMA QUAY RIDGE SPARX TOPAZ URBA VIOLA WISP XANTH YONA ZEST AERIS BASIL CLOVE DELTA ELMA FJORD GAMMA HELIO
IGLOO JADE KARMA LAGUN MANGO NECTA OASIS PETRA QUIRK ROVER SOLAR TEMPO ULTRA VAPOR WAVEX
"""
ALTS = tuple(_ALTS_TEXT.split())
SPOT_COUNT = 150
LINEAR_COUNT = 200
_SPOT_ONLY = frozenset({"PEOPLE", "MINA", "TURBO"})
_LINEAR_ONLY = frozenset({"W", "STX", "AR"})
_TOP_VOLUME_USD = 1.1e9
_LINEAR_VOLUME_TIMES = 4.0
_LAUNCH_MS = 1_600_000_000_000
_DELIVERY_MS = 1_830_240_000_000  # 31 December 2027, 08:00 UTC
_MAJOR_LEVELS = {
    "BTC": (12_500, 3600),
    "ETH": (9_000, 3400),
    "SOL": (4_200, 3000),
    "XRP": (3_600, 2800),
    "BNB": (3_000, 2600),
}
_THIN_EVERY = 12  # every twelfth small coin has fewer levels than the widest stream shows
_THIN_LEVELS = 420
_FUNDING_HOURS = (8, 8, 4, 4, 8, 4, 2, 4, 8, 1)


class Status(StrEnum):
    """What an instrument's status says."""

    TRADING = "Trading"
    PRE_LAUNCH = "PreLaunch"
    CLOSED = "Closed"


@dataclass(slots=True, kw_only=True)
class Contract:
    """One instrument. `row` is its place in its market's arrays, `coin` the place of its price.

    `status` changes when it is delisted. `funding_hours` is 0 where there is no funding, `delivery_ms` 0 for
    perpetuals. `zeros` are written behind prices although the tick does not need them.
    """

    market: Market
    symbol: str
    base: str
    quote: str
    row: int
    coin: int
    units: int
    listing: Listing
    symbol_id: int
    zeros: int
    spread_ticks: int
    activity: float
    open_interest: float
    contract_type: str = ""
    status: Status = Status.TRADING
    funding_hours: int = 0
    delivery_ms: int = 0
    launch_ms: int = _LAUNCH_MS

    @property
    def linear(self) -> bool:
        """Whether it is a contract, not a coin."""
        return self.market is Market.BYBIT_LINEAR

    @property
    def trading(self) -> bool:
        """Whether prices and books of it move."""
        return self.status is Status.TRADING

    @property
    def tick_size(self) -> str:
        """The price step as the venue writes it."""
        tick = f"{10.0**-self.listing.price_decimals:.{self.listing.price_decimals}f}"
        return tick + "0" * self.zeros

    @property
    def quantity_step(self) -> str:
        """The quantity step; more than 1 where the decimals are negative."""
        decimals = self.listing.quantity_decimals
        return f"{10.0**-decimals:.{max(0, decimals)}f}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All instruments of both markets, and the starting prices of their coins in USD."""

    contracts: dict[Market, list[Contract]]
    prices_usd: list[float]


def coin_names(count: int | None = None) -> list[str]:
    """Return the first coins in rank order: those of the list of symbols, then made-up ones."""
    named = [symbol.removesuffix("USDT") for symbol in read_symbols()]
    return list(dict.fromkeys([*named, *ALTS]))[:count]


def build_catalogue(coins: Sequence[str] | None = None) -> Catalogue:
    """Return the instruments for coins in rank order (None: all of them)."""
    names = list(coins) if coins is not None else coin_names()
    ranks = {name: rank for rank, name in enumerate(coin_names(), start=1)}
    prices = [PRICES_USD.get(name) or _price_from_name(name) for name in names]
    contracts: dict[Market, list[Contract]] = {market: [] for market in MARKETS}

    def add(market: Market, coin: int, symbol: str, base: str, quote: str, **changes: object) -> None:
        rank = ranks.get(names[coin], len(ranks) + 1)
        rows = contracts[market]
        rows.append(_contract(market, symbol, base, quote, rank, coin, len(rows), prices[coin], **changes))  # type: ignore[arg-type] # as above

    for coin, name in enumerate(names):
        if name not in _LINEAR_ONLY and len(contracts[Market.BYBIT_SPOT]) < SPOT_COUNT - 2:
            add(Market.BYBIT_SPOT, coin, f"{name}USDT", name, "USDT")
        if name not in _SPOT_ONLY and len(contracts[Market.BYBIT_LINEAR]) < LINEAR_COUNT - 5:
            thousand = name in THOUSANDS
            base = "SHIB1000" if name == "SHIB" else f"1000{name}" if thousand else name
            add(Market.BYBIT_LINEAR, coin, f"{base}USDT", base, "USDT", units=1000 if thousand else 1)
    for name in ("BTC", "ETH"):
        if name in names:
            coin = names.index(name)
            add(Market.BYBIT_SPOT, coin, f"{name}USDC", name, "USDC", volume_times=0.02)
            add(Market.BYBIT_LINEAR, coin, f"{name}PERP", name, "USDC", volume_times=0.05)
    if "BTC" in names:
        dated: dict[str, object] = {"contract_type": "LinearFutures", "delivery_ms": _DELIVERY_MS, "funding_hours": 0}
        add(Market.BYBIT_LINEAR, names.index("BTC"), "BTCUSDT-31DEC27", "BTC", "USDT", volume_times=0.01, **dated)
    last = len(names) - 1
    add(Market.BYBIT_LINEAR, last, "FLEDGEUSDT", "FLEDGE", "USDT", status=Status.PRE_LAUNCH)
    add(Market.BYBIT_LINEAR, last, "FADEDUSDT", "FADED", "USDT", status=Status.CLOSED)
    return Catalogue(contracts, prices)


def _contract(
    market: Market,
    symbol: str,
    base: str,
    quote: str,
    rank: int,
    coin: int,
    row: int,
    price_usd: float,
    *,
    units: int = 1,
    volume_times: float = 1.0,
    **changes: object,
) -> Contract:
    linear = market is Market.BYBIT_LINEAR
    price = price_usd * units
    seed = zlib.crc32(symbol.encode())
    price_decimals = min(9, max(1, 4 - math.floor(math.log10(price))))
    magnitude = math.ceil(math.log10(price))
    quantity_decimals = max(-2, min(3, magnitude - 1)) if linear else max(0, min(6, magnitude + 1))
    major_levels = _MAJOR_LEVELS.get(base) if quote == "USDT" else None
    volume = _TOP_VOLUME_USD * rank**-1.1 * volume_times * (_LINEAR_VOLUME_TIMES if linear else 1.0)
    levels = max(1150, 1500 - 3 * rank)
    if rank > len(_MAJOR_LEVELS) and rank % _THIN_EVERY == 0:
        levels = _THIN_LEVELS
    listing = Listing(
        market=market,
        symbol=symbol,
        base=base,
        pair=row,
        units=units,
        price=price,
        price_decimals=price_decimals,
        quantity_decimals=quantity_decimals,
        wire_decimals=max(0, quantity_decimals),
        levels=major_levels[linear] if major_levels else levels,
        quote_volume_usd=volume,
        major=major_levels is not None,
    )
    values: dict[str, object] = {"funding_hours": _FUNDING_HOURS[seed % 10]} if linear else {}
    if linear:
        values["contract_type"] = "LinearPerpetual"
    return Contract(
        market=market,
        symbol=symbol,
        base=base,
        quote=quote,
        row=row,
        coin=coin,
        units=units,
        listing=listing,
        symbol_id=row + (9 if not linear else 1),
        zeros=1 if linear and (base in ("BTC", "ETH") or units > 1) and price_decimals < 9 else 0,
        spread_ticks=1 if major_levels else 1 + seed % (4 if rank < 60 else 14),
        activity=max(0.03, 0.55 * rank**-0.45) * (0.3 if volume_times < 1 else 1.0),
        open_interest=volume * (0.15 + (seed % 100) / 250) / price,
        **{**values, **changes},  # type: ignore[arg-type] # named by this module only
    )


def _price_from_name(base: str) -> float:
    share = zlib.crc32(base.encode()) / 2**32
    return float(f"{10 ** (share * 5 - 3):.4g}")
