"""Addresses, paths and topic names of Bybit's v5 public market data (docs/v5: guide, websocket/public, market).

One category per connection: linear perpetuals and spot have different paths below one WebSocket host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from app.domain.ids import Market

CATEGORY: Final = {Market.BYBIT_SPOT: "spot", Market.BYBIT_LINEAR: "linear"}
TIME_PATH: Final = "/v5/market/time"
TICKERS_PATH: Final = "/v5/market/tickers"
INSTRUMENTS_PATH: Final = "/v5/market/instruments-info"
FULL_BOOK_PATH: Final = "/v5/market/full_orderbook"
BOOK_PATH: Final = "/v5/market/orderbook"
QUOTE: Final = "USDT"

WINDOWS: Final = (1, 50, 200, 1000)
"""Level counts the venue offers as windows."""
MAX_ARGS_CHARS: Final = 21_000
"""Characters of all topics of one connection."""
SPOT_ARGS_PER_FRAME: Final = 10
LINEAR_ARGS_PER_FRAME: Final = 100
"""Futures have no limit; frames are kept readable."""


@dataclass(frozen=True, slots=True)
class BybitEndpoints:
    """Where the venue, or servers that stand in for it, are found; without paths. `ws` serves both categories."""

    ws: str
    rest: str
    spot_ws: str = ""
    """A host of its own for spot; empty: the same."""

    def streams(self, market: Market) -> str:
        """Return the address of a category's public streams; an address that names the path already is taken as is."""
        base = (self.spot_ws if market is Market.BYBIT_SPOT and self.spot_ws else self.ws).rstrip("/")
        path = f"/v5/public/{CATEGORY[market]}"
        return base if base.endswith(path) else base + path


def book_topic(symbol: str, levels: int) -> str:
    """Return the topic of a window of so many levels, or of the full book (0)."""
    return f"orderbook.{levels or 'full'}.{symbol}"


def ticker_topic(symbol: str) -> str:
    """Return the topic of an instrument's figures."""
    return f"tickers.{symbol}"


def liquidation_topic(symbol: str) -> str:
    """Return the topic of all liquidations of an instrument."""
    return f"allLiquidation.{symbol}"


def full_book_path(symbol: str) -> str:
    """Return the REST path of the deepest snapshot there is."""
    return f"{FULL_BOOK_PATH}?{urlencode({'category': 'spot', 'symbol': symbol})}"


def book_path(market: Market, symbol: str, limit: int) -> str:
    """Return the REST path of a window of so many levels."""
    return f"{BOOK_PATH}?{urlencode({'category': CATEGORY[market], 'symbol': symbol, 'limit': limit})}"


def tickers_path(market: Market) -> str:
    """Return the REST path of all figures of a category."""
    return f"{TICKERS_PATH}?category={CATEGORY[market]}"


def instruments_path(market: Market, cursor: str = "") -> str:
    """Return the REST path of a page of the instrument list."""
    query = {"category": CATEGORY[market], "limit": "1000"}
    if cursor:
        query["cursor"] = cursor
    return f"{INSTRUMENTS_PATH}?{urlencode(query)}"


def parse_path(path: str) -> tuple[str, dict[str, str]]:
    """Return the bare path and the query of a request."""
    parts = urlsplit(path)
    return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
