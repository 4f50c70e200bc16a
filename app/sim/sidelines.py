"""Turns a list of names into instruments of the simulated Binance that have prices and turnover, but no order book.

They give the market its width: what a client lists, ranks and watches besides the pairs whose books it keeps. All trade
less than those. Some instruments are not USDT pairs or perpetuals at all, and a client has to leave them out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.domain.ids import Market
from app.sim.universe import Listing, make_listing

USD_MARGINED, COIN_MARGINED = 1, 2
NON_ASCII_SYMBOL = "币安人生USDT"
MOST_SIDELINES = 220
_FIRST_RANK = 150

_BASES = """
ACA ACE ACH ACM ACT ACX ADX AERGO AEVO AGLD AI AIXBT ALCX ALICE ALPINE ALT AMP ANIME ANKR API3 ARDR ARPA ASR ASTER ASTR
ATA ATM AUCTION AUDIO AVA AVNT AXL BABY BAKE BANANA BAND BAR BARD BAT BB BEAMX BEL BERA BICO BIFI BIGTIME BIO BLAST BMT
BNSOL BNT BROCCOLI BSW C98 CATI CELO CELR CETUS CGPT CHESS CHR CITY COOKIE COS COTI COW CTK CTSI CVC CVX CYBER DATA DCR
DEGO DENT DEXE DF DIA DODO DOGS DOLO DUSK DYM EDU ENJ ENSO EPIC ERA EUL FARM FIDA FIO FIS FLM FLUX FORM FORTH FTT FUN
FXS G GAS GHST GLM GLMR GMX GNO GNS GPS GTC GUN HAEDAL HEI HEMI HFT HIGH HIVE HMSTR HOLO HOME HOOK HOT HUMA HYPER ICX ID
ILV INIT IO IOST IOTX IQ JASMY JOE JST KAIA KAITO KDA KERNEL KMNO KNC KSM LA LAYER LINEA LISTA LPT LQTY LRC LSK LUMIA
LUNA MAGIC MASK MAV MBL MBOX MDT ME METIS MITO MLN MOVE MOVR MTL MUBARAK NEWT NEXO NFP NIL NKN NMR NXPC OG OGN OM OMNI
ONE ONG ONT OPEN ORCA OSMO OXT PARTI PERP PHA PHB PIVX PIXEL PLUME PNUT POLYX PORTAL POWR PROM PROVE PSG PUMP PUNDIX
PYR QI QKC QUICK RAD RARE RAY RDNT RED REI REQ RESOLV REZ RIF RLC RONIN RPL RSR RVN SAGA SAHARA SANTOS SAPIEN SC SCR
SCRT SFP SHELL SIGN SKL SKY SLF SLP SOLV SOMI SOPH SPELL SPK SSV STEEM STG STO STORJ SUN SUPER SXP SXT SYN SYRUP SYS
"""

# symbol, base, quote, status, contract type, 24 h quote volume in USD, price, decimals of the price
Stranger = tuple[str, str, str, str, str, float, float, int]
STRANGERS: dict[Market, tuple[Stranger, ...]] = {
    Market.BINANCE_SPOT: (
        ("WAVESUSDT", "WAVES", "USDT", "BREAK", "", 0.0, 1.1, 4),
        ("ETHBTC", "ETH", "BTC", "TRADING", "", 4.1e7, 0.0347, 5),
        (NON_ASCII_SYMBOL, "币安人生", "USDT", "TRADING", "", 1.2e6, 0.2134, 4),
    ),
    Market.BINANCE_USDM: (
        ("WAVESUSDT", "WAVES", "USDT", "SETTLING", "PERPETUAL", 0.0, 1.1, 4),
        ("BTCUSDC", "BTC", "USDC", "TRADING", "PERPETUAL", 2.2e9, 96_480.0, 1),
        ("XAUUSDT", "XAU", "USDT", "TRADING", "TRADIFI_PERPETUAL", 9.5e8, 3312.4, 2),
        ("BTCUSDT_261225", "BTC", "USDT", "TRADING", "CURRENT_QUARTER", 3.1e8, 97_410.0, 1),
        (NON_ASCII_SYMBOL, "币安人生", "USDT", "TRADING", "PERPETUAL", 1.9e6, 0.2136, 4),
    ),
}
# COIN-M contracts in the all-market streams of futures; their quantities count contracts of 100 or 10 USD
_COIN_MARGINED = (("BTCUSD_PERP", 96_470.0, 1, 2.4e9), ("ETHUSD_PERP", 3349.0, 2, 8.1e8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """One instrument that has prices; `pair` is the index of its price in the simulator.

    `units` coins make one quoted unit, `volume` is 24 h turnover, `margin` what the venue calls `st`.
    """

    symbol: str
    pair: int
    units: int
    price: float
    price_decimals: int
    quantity_decimals: int
    wire_decimals: int
    volume: float
    contract: str
    margin: int = USD_MARGINED
    listing: Listing | None = None


def sideline_bases(count: int, taken: Collection[str]) -> list[str]:
    """Return so many names of coins, without those that are taken."""
    bases = [base for base in dict.fromkeys(_BASES.split()) if base not in taken]
    return bases[:count]


def sideline_listings(market: Market, bases: list[str], first_pair: int) -> list[Listing]:
    """Return listings without a book, their prices at the places that begin with `first_pair`."""
    return [
        make_listing(market, f"{base}USDT", first_pair + number, _FIRST_RANK + number)
        for number, base in enumerate(bases)
    ]


def quoted_listing(listing: Listing) -> Quoted:
    """Return what is quoted of a listing."""
    return Quoted(
        symbol=listing.symbol,
        pair=listing.pair,
        units=listing.units,
        price=listing.price,
        price_decimals=listing.price_decimals,
        quantity_decimals=listing.quantity_decimals,
        wire_decimals=listing.wire_decimals,
        volume=listing.quote_volume_usd,
        contract="PERPETUAL" if listing.market is Market.BINANCE_USDM else "",
        listing=listing,
    )


def quoted_strangers(market: Market, first_pair: int) -> list[Quoted]:
    """Return what is quoted of instruments a client leaves out, COIN-M contracts last."""
    rows = [
        (symbol, contract, volume, price, decimals, USD_MARGINED)
        for symbol, _, _, _, contract, volume, price, decimals in STRANGERS[market]
    ]
    if market is Market.BINANCE_USDM:
        rows += [(name, "PERPETUAL", usd, price, places, COIN_MARGINED) for name, price, places, usd in _COIN_MARGINED]
    return [
        Quoted(
            symbol=symbol,
            pair=first_pair + number,
            units=1,
            price=price,
            price_decimals=decimals,
            quantity_decimals=0 if margin == COIN_MARGINED else 3,
            wire_decimals=8 if market is Market.BINANCE_SPOT else 0 if margin == COIN_MARGINED else 3,
            volume=volume,
            contract=contract,
            margin=margin,
        )
        for number, (symbol, contract, volume, price, decimals, margin) in enumerate(rows)
    ]
