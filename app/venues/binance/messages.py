"""Wire structs of Binance's spot and USD-M market data (binance-spot-api-docs web-socket-streams.md, rest-api.md;
derivatives docs "Websocket Market Streams").

Prices and quantities arrive as strings and become floats in the decoder itself; its bounds refuse NaN, infinities,
negative numbers and anything that is not a number, so that no later code has to look.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Price = Annotated[float, Meta(gt=0.0, lt=1e15)]
Quantity = Annotated[float, Meta(ge=0.0, lt=1e20)]
Level = tuple[Price, Quantity]
QuotePrice = Annotated[float, Meta(ge=0.0, lt=1e15)]
"""0 stands for a side without orders."""
UpdateId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=0, lt=2**43)]

NO_PREVIOUS = -1


class DepthData(Struct, gc=False):
    """`depthUpdate`: ids of first and last update, on futures `pu`, absolute quantities per price."""

    s: str
    U: UpdateId
    u: UpdateId
    b: list[Level]
    a: list[Level]
    pu: Annotated[int, Meta(ge=-1, le=2**63 - 1)] = NO_PREVIOUS
    E: Millis = 0
    st: int = 1


class DepthFrame(Struct, gc=False):
    """A depth update in the combined-stream wrapper."""

    data: DepthData
    stream: str = ""


class QuoteData(Struct, gc=False):
    """`bookTicker`: best bid and ask at update id `u`; spot carries no time."""

    s: str
    u: UpdateId
    b: QuotePrice
    B: Quantity
    a: QuotePrice
    A: Quantity
    E: Millis = 0
    st: int = 1


class QuoteFrame(Struct, gc=False):
    """A book ticker in the combined-stream wrapper."""

    data: QuoteData
    stream: str = ""


class DepthSnapshot(Struct, gc=False):
    """REST `/depth` answer; futures add the times E and T."""

    lastUpdateId: UpdateId
    bids: list[Level]
    asks: list[Level]
    E: Millis = 0


class Probe(Struct, gc=False):
    """Just enough of any frame to tell what it is."""

    stream: str | None = None
    e: str | None = None
    id: int | str | None = None
    code: int | None = None
    msg: str | None = None
    error: dict[str, object] | None = None


Price0 = Annotated[float, Meta(ge=0.0, lt=1e15)]
"""0 where nothing was traded."""
Money = Annotated[float, Meta(ge=0.0, lt=1e18)]
Decimal0 = Annotated[str, Meta(pattern=r"^(-?[0-9]{1,12}(\.[0-9]{1,18})?)?$")]
"""A number as text, or nothing."""


class MiniTicker(Struct, gc=False):
    """One row of `!miniTicker@arr`: rolling 24 h last, open, high, low, volume and turnover."""

    s: str
    c: Price0
    o: Price0
    h: Price0
    l: Price0  # noqa: E741 # the venue's name
    v: Money
    q: Money
    E: Millis = 0
    st: int = 1


class MarkPrice(Struct, gc=False):
    """One row of `!markPrice@arr@1s`; `r` is "" where no funding is paid."""

    s: str
    p: Price0
    i: Decimal0 = ""
    r: Decimal0 = ""
    T: Millis = 0
    E: Millis = 0
    st: int = 1


class ForcedOrder(Struct, gc=False):
    """The order inside `!forceOrder@arr`; S is the order's side."""

    s: str
    S: str
    q: Quantity
    p: Price0
    ap: Price0 = 0.0
    T: Millis = 0
    st: int = 1


class ForceOrder(Struct, gc=False):
    """One event of `!forceOrder@arr`."""

    o: ForcedOrder
    E: Millis = 0
    st: int = 1


class MiniTickersFrame(Struct, gc=False):
    """All-market mini tickers in the wrapper."""

    data: list[MiniTicker]


class MarkPricesFrame(Struct, gc=False):
    """All-market mark prices in the wrapper."""

    data: list[MarkPrice]


class ForceOrderFrame(Struct, gc=False):
    """A liquidation order in the wrapper."""

    data: ForceOrder


class DayTicker(Struct, gc=False):
    """One row of REST `/ticker/24hr`."""

    symbol: str
    lastPrice: Price0
    openPrice: Price0
    highPrice: Price0
    lowPrice: Price0
    volume: Money
    quoteVolume: Money
    closeTime: Millis = 0


class BookTicker(Struct, gc=False):
    """One row of REST `/ticker/bookTicker`."""

    symbol: str
    bidPrice: Price0
    bidQty: Quantity
    askPrice: Price0
    askQty: Quantity
    time: Millis = 0


class FundingInfo(Struct, gc=False):
    """One row of REST `/fapi/v1/fundingInfo`; symbols that are not listed pay every 8 h."""

    symbol: str
    fundingIntervalHours: Annotated[int, Meta(ge=1, le=24)] = 8


class OpenInterest(Struct, gc=False):
    """REST `/fapi/v1/openInterest`: open contracts of one symbol, one side counted."""

    symbol: str
    openInterest: Quantity
    time: Millis = 0
