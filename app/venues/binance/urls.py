"""Addresses of Binance's public market data, and what each REST path weighs (rest-api.md; derivatives docs).

Since the split of 2026 the futures streams of order books live under /public; spot has no such prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.ids import Market

DEFAULT_WEIGHT_LIMIT: Final = {Market.BINANCE_SPOT: 6000, Market.BINANCE_USDM: 2400}
"""Weight per minute until exchangeInfo says what it is."""

TIME_PATH: Final = {Market.BINANCE_SPOT: "/api/v3/time", Market.BINANCE_USDM: "/fapi/v1/time"}
TIME_WEIGHT: Final = 1
LISTING_PATH: Final = {
    Market.BINANCE_SPOT: "/api/v3/exchangeInfo?permissions=SPOT&showPermissionSets=false",
    Market.BINANCE_USDM: "/fapi/v1/exchangeInfo",
}
LISTING_WEIGHT: Final = {Market.BINANCE_SPOT: 20, Market.BINANCE_USDM: 1}
VOLUME_PATH: Final = {Market.BINANCE_SPOT: "/api/v3/ticker/24hr?type=MINI", Market.BINANCE_USDM: "/fapi/v1/ticker/24hr"}
VOLUME_WEIGHT: Final = {Market.BINANCE_SPOT: 80, Market.BINANCE_USDM: 40}

_DEPTH_WEIGHT: Final = {
    Market.BINANCE_SPOT: ((100, 5), (500, 25), (1000, 50), (5000, 250)),
    Market.BINANCE_USDM: ((50, 2), (100, 5), (500, 10), (1000, 20)),
}


@dataclass(frozen=True, slots=True)
class BinanceEndpoints:
    """Where the venue, or a server that stands in for it, is found; without paths."""

    spot_ws: str
    spot_rest: str
    usdm_ws: str
    usdm_rest: str

    def rest(self, market: Market) -> str:
        """Return the REST address of a market."""
        return (self.spot_rest if market is Market.BINANCE_SPOT else self.usdm_rest).rstrip("/")

    def streams(self, market: Market) -> str:
        """Return the address of a market's combined streams."""
        if market is Market.BINANCE_SPOT:
            return f"{self.spot_ws.rstrip('/')}/stream"
        return f"{self.usdm_ws.rstrip('/').removesuffix('/public')}/public/stream"

    def news(self, market: Market) -> str:
        """Return the address of a market's all-market streams."""
        if market is Market.BINANCE_SPOT:
            return self.streams(market)
        return f"{self.usdm_ws.rstrip('/').removesuffix('/public')}/market/stream"


def depth_weight(market: Market, limit: int) -> int:
    """Return the weight of a depth request."""
    steps = _DEPTH_WEIGHT[market]
    return next((weight for upto, weight in steps if limit <= upto), steps[-1][1])
