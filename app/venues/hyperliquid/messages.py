"""Wire structs of Hyperliquid's public market data (hyperliquid-docs, for-developers/api: websocket/subscriptions, info
endpoint, info/perpetuals, info/spot).

All numbers arrive as strings and become floats in the decoder itself; its bounds refuse NaN, infinities, negative
numbers and anything that is not a number, so that no later code has to look. A price of 0 stands for none.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

Price = Annotated[float, Meta(gt=0.0, lt=1e15)]
PriceOrNone = Annotated[float, Meta(ge=0.0, lt=1e15)]
Quantity = Annotated[float, Meta(ge=0.0, lt=1e20)]
Rate = Annotated[float, Meta(ge=-10.0, le=10.0)]
Millis = Annotated[int, Meta(ge=0, lt=2**43)]
Position = Annotated[int, Meta(ge=0, lt=2**31)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Side = Annotated[str, Meta(pattern="^[AB]$")]

EMPTY: Raw = Raw(b"null")


class Envelope(Struct, gc=False):
    """Any frame: its channel, and the data left undecoded; a pong has none."""

    channel: str
    data: Raw = EMPTY


class Subscription(Struct, gc=False):
    """What a `subscriptionResponse` is about; `type` and `coin` tell subscriptions of one connection apart."""

    type: str
    coin: str | None = None


class SubscriptionAnswer(Struct, gc=False):
    """`subscriptionResponse`."""

    method: str
    subscription: Subscription


class About(Struct, gc=False):
    """Just enough of data that is about one coin."""

    coin: str


class WireLevel(Struct, gc=False):
    """One price of a book or quote: price, size in quoted units (the number of orders is of no use here)."""

    px: Price
    sz: Quantity


class BookData(Struct, gc=False):
    """`l2Book`, the same by REST: a complete snapshot of at most 20 levels a side, bids first, best first."""

    coin: Name
    time: Millis
    levels: tuple[list[WireLevel], list[WireLevel]]


class QuoteData(Struct, gc=False):
    """`bbo`: best bid and best ask, null for an empty side."""

    coin: Name
    time: Millis
    bbo: tuple[WireLevel | None, WireLevel | None]


class TradeData(Struct, gc=False):
    """One of `trades`; side B: the buyer took, A: the seller did. The first message repeats recent trades."""

    coin: Name
    side: Side
    px: Price
    sz: Quantity
    time: Millis
    tid: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class MidsData(Struct, gc=False):
    """`allMids`: middle prices by coin, where a book is empty the last trade's; `dex` "" or none: the venue's own."""

    mids: dict[str, str]
    dex: str | None = None


class PerpContext(Struct, gc=False):
    """Figures of a perpetual. funding is the rate of one hour; openInterest counts coins; null: there is no book."""

    funding: Rate
    openInterest: Quantity
    prevDayPx: PriceOrNone
    dayNtlVlm: Quantity
    oraclePx: PriceOrNone
    markPx: PriceOrNone
    midPx: PriceOrNone | None = None
    dayBaseVlm: Quantity | None = None


class SpotContext(Struct, gc=False):
    """Figures of a spot pair; `coin` is missing where the message around it names the coin."""

    prevDayPx: PriceOrNone
    dayNtlVlm: Quantity
    markPx: PriceOrNone
    midPx: PriceOrNone | None = None
    dayBaseVlm: Quantity | None = None
    coin: str = ""


class ContextsData(Struct, gc=False):
    """`assetCtxs`: the figures of every perpetual of `dex`, each at its position in the universe, not yet decoded."""

    ctxs: list[Raw]
    dex: str | None = None


class AllContextsData(Struct, gc=False):
    """`allDexsAssetCtxs`: the same of every dex, by its name; the venue's own is ""."""

    ctxs: list[tuple[str, list[Raw]]]


class ActiveContext(Struct, gc=False):
    """`activeAssetCtx`: the figures of one perpetual."""

    coin: Name
    ctx: PerpContext


class ActiveSpotContext(Struct, gc=False):
    """`activeSpotAssetCtx`: the figures of one spot pair, also asked for as `activeAssetCtx`."""

    coin: Name
    ctx: SpotContext


class PerpListing(Struct):
    """A perpetual of `meta`; delisted ones stay, so that positions never shift."""

    name: Name
    szDecimals: Annotated[int, Meta(ge=0, le=18)] = 0
    isDelisted: bool = False


class PerpMeta(Struct):
    """REST `meta`: the universe of perpetuals in its order."""

    universe: list[PerpListing]


class SpotToken(Struct):
    """A token of `spotMeta`, found by `index`."""

    name: Name
    index: Position
    szDecimals: Annotated[int, Meta(ge=0, le=18)] = 0


class SpotListing(Struct):
    """A pair of `spotMeta`: `tokens` are base and quote by index; only canonical pairs have a speaking name."""

    name: Name
    tokens: tuple[Position, Position]
    index: Position = 0


class SpotMeta(Struct):
    """REST `spotMeta`."""

    tokens: list[SpotToken]
    universe: list[SpotListing]
