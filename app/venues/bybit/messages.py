"""Wire structs of Bybit's v5 public market data (bybit-exchange/docs, docs/v5: websocket/public, market).

Numbers arrive as strings and become floats in the decoder itself; its bounds refuse NaN, infinities and anything that
is not a number. An empty string stands for a figure that does not exist (before listing, on delivery).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Price = Annotated[float, Meta(gt=0.0, lt=1e15)]
Quantity = Annotated[float, Meta(ge=0.0, lt=1e20)]
Level = tuple[Price, Quantity]
UpdateId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=0, lt=2**43)]
Symbol = Annotated[str, Meta(min_length=1, max_length=60)]
Text = Annotated[str, Meta(max_length=400)]
Figure = Annotated[float, Meta(gt=-1e24, lt=1e24)] | Literal[""] | UnsetType


class Envelope(Struct, gc=False):
    """Any WebSocket frame: data carries `topic`, an answer `op`. The order of the keys is not fixed."""

    topic: Text | None = None
    type: Text | None = None
    ts: Millis = 0
    cts: Millis = 0
    data: Raw = Raw()
    op: Text | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: Text | None = None


class BookData(Struct, gc=False):
    """Rows of an order book: `u` counts by one, `seq` is the matching engine's; only REST puts `ts` and `cts` here."""

    s: Symbol
    b: list[Level]
    a: list[Level]
    u: UpdateId
    seq: UpdateId = 0
    ts: Millis = 0
    cts: Millis = 0


class TickerData(Struct, gc=False):
    """Figures of one instrument; what a message leaves out is UNSET. Spot and linear differ in which they have."""

    symbol: Symbol
    lastPrice: Figure = UNSET
    prevPrice24h: Figure = UNSET
    price24hPcnt: Figure = UNSET
    turnover24h: Figure = UNSET
    volume24h: Figure = UNSET
    highPrice24h: Figure = UNSET
    lowPrice24h: Figure = UNSET
    bid1Price: Figure = UNSET
    bid1Size: Figure = UNSET
    ask1Price: Figure = UNSET
    ask1Size: Figure = UNSET
    markPrice: Figure = UNSET
    indexPrice: Figure = UNSET
    fundingRate: Figure = UNSET
    fundingIntervalHour: Figure = UNSET
    nextFundingTime: Figure = UNSET
    openInterest: Figure = UNSET
    openInterestValue: Figure = UNSET
    singleOpenInterest: Figure = UNSET
    singleOpenInterestValue: Figure = UNSET


class LiquidationData(Struct, gc=False):
    """One liquidation: `S` is the side of the POSITION (Buy: a long was liquidated), `p` its bankruptcy price."""

    T: Millis
    s: Symbol
    S: Literal["Buy", "Sell"]
    v: Quantity
    p: Price


class Answer(Struct, gc=False):
    """Any REST body; `retCode` 0 is success."""

    retCode: int
    retMsg: str | None = None
    result: Raw = Raw()
    time: Millis = 0


class TickerList(Struct, gc=False, rename={"rows": "list"}):
    """`/v5/market/tickers`; rows are decoded one by one, so that a bad one does not take the others with it."""

    rows: list[Raw]


class PriceFilter(Struct, gc=False):
    """Only the price step matters."""

    tickSize: Text = ""


class ListedInstrument(Struct, gc=False):
    """One row of `/v5/market/instruments-info`; spot has no contract type."""

    symbol: Symbol
    baseCoin: Text
    quoteCoin: Text
    status: Text = ""
    contractType: Text = ""
    priceFilter: PriceFilter | None = None


class InstrumentList(Struct, gc=False, rename={"rows": "list"}):
    """`/v5/market/instruments-info`, one page; an empty cursor is the last one."""

    rows: list[Raw]
    nextPageCursor: str = ""


class ServerTime(Struct, gc=False):
    """`/v5/market/time`."""

    timeNano: Annotated[int, Meta(ge=0, lt=2**63 - 1)]
