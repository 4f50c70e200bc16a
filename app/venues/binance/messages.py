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
