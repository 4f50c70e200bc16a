"""Wire structs of Binance's slow REST answers: time, exchangeInfo, 24 h volume (rest-api.md; derivatives docs)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class ServerTime(Struct):
    """`/time`: the venue's clock in ms since 1970."""

    serverTime: Annotated[int, Meta(gt=0, lt=2**43)]


class Filter(Struct):
    """One rule of a symbol; only PRICE_FILTER carries `tickSize`."""

    filterType: str = ""
    tickSize: str | None = None


class ListedSymbol(Struct):
    """One row of exchangeInfo; spot rows have no `contractType`."""

    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    contractType: str | None = None
    filters: list[Filter] = []


class Limit(Struct):
    """One row of exchangeInfo's rateLimits."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


class ExchangeInfo(Struct):
    """`/exchangeInfo`."""

    symbols: list[ListedSymbol]
    rateLimits: list[Limit] = []


class DayVolume(Struct):
    """One row of `/ticker/24hr`."""

    symbol: str
    quoteVolume: Annotated[float, Meta(ge=0.0, lt=1e18)]
