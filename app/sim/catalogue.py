"""Turns listings into Binance's exchangeInfo, together with instruments a client has to leave out.

The strangers: a pair out of trading, one quoted in another coin, one with a name outside ASCII and, on futures, a
perpetual on a traditional asset and a dated contract.
"""

from __future__ import annotations

from app.domain.ids import Market
from app.sim.market import SimMarket
from app.sim.sidelines import STRANGERS
from app.sim.universe import Listing

Row = dict[str, object]

_ONBOARD_MS = 1_569_398_400_000
_DELIVERY_NEVER_MS = 4_133_404_800_000


def exchange_info(market: Market, source: SimMarket, weight_limit: int, now_ms: int) -> Row:
    """Return the body of exchangeInfo."""
    books = source.books[market].values()
    if market is Market.BINANCE_SPOT:
        symbols = [_spot_row(book.listing, "TRADING" if book.trading else "BREAK") for book in books]
        symbols += [_spot_row(listing, "TRADING") for listing in source.pit.listings[market]]
        symbols += [_spot_stranger(*row) for row in STRANGERS[market]]
    else:
        symbols = [_usdm_row(book.listing, "TRADING" if book.trading else "SETTLING") for book in books]
        symbols += [_usdm_row(listing, "TRADING") for listing in source.pit.listings[market]]
        symbols += [_usdm_stranger(*row) for row in STRANGERS[market]]
    limits: list[Row] = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit},
    ]
    if market is Market.BINANCE_SPOT:
        limits += [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
        ]
        return {
            "timezone": "UTC",
            "serverTime": now_ms,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": symbols,
        }
    limits += [
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ]
    assets: list[Row] = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": limits,
        "exchangeFilters": [],
        "assets": assets,
        "symbols": symbols,
    }


def _spot_row(listing: Listing, status: str) -> Row:
    return _spot_symbol(listing.symbol, listing.base, "USDT", status, _eight(listing.tick_size), listing.step_size)


def _spot_stranger(symbol: str, base: str, quote: str, status: str, *_figures: object) -> Row:
    return _spot_symbol(symbol, base, quote, status, "0.00010000", "0.1")


def _spot_symbol(symbol: str, base: str, quote: str, status: str, tick: str, step: str) -> Row:
    filters: list[Row] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": _eight(step), "maxQty": "9000000.00000000", "stepSize": _eight(step)},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ]
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }


def _usdm_row(listing: Listing, status: str) -> Row:
    row = _usdm_symbol(listing.symbol, listing.base, "USDT", status, "PERPETUAL", listing.tick_size, listing.step_size)
    row["pricePrecision"] = listing.price_decimals
    row["quantityPrecision"] = listing.quantity_decimals
    return row


def _usdm_stranger(symbol: str, base: str, quote: str, status: str, contract: str, *_figures: object) -> Row:
    return _usdm_symbol(symbol, base, quote, status, contract, "0.01", "0.001")


def _usdm_symbol(symbol: str, base: str, quote: str, status: str, contract: str, tick: str, step: str) -> Row:
    dated = contract == "CURRENT_QUARTER"
    filters: list[Row] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "120000", "stepSize": step},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
    ]
    return {
        "symbol": symbol,
        "pair": symbol.partition("_")[0],
        "contractType": contract,
        "deliveryDate": 1_798_185_600_000 if dated else _DELIVERY_NEVER_MS,
        "onboardDate": _ONBOARD_MS,
        "status": status,
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COMMODITY" if contract == "TRADIFI_PERPETUAL" else "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": filters,
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _eight(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<8}"
