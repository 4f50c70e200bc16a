"""From Hyperliquid's bytes to typed market data, without any input or output of its own (sans-I/O).

`decode` turns one WebSocket frame into one of the messages, a notice of the venue or nothing; the `decode_*` functions
turn bodies of POST /info. A request is written as a path such as `/info?type=l2Book&coin=BTC&nSigFigs=3`: that is how
sessions ask, recordings name answers, and `request_body` makes the JSON the venue wants. Anything that does not have
the documented shape raises `BadFrameError` with a sentence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from app.domain.errors import BadFrameError
from app.venues.hyperliquid.messages import (
    About,
    ActiveContext,
    ActiveSpotContext,
    AllContextsData,
    BookData,
    ContextsData,
    Envelope,
    MidsData,
    PerpContext,
    PerpMeta,
    QuoteData,
    SpotContext,
    SpotMeta,
    SubscriptionAnswer,
    TradeData,
    WireLevel,
)

FUNDING_HOURS: Final = 1.0
"""The rate given is that of one hour and is paid every full hour UTC."""
MAX_LEVELS: Final = 20
"""The venue gives at most so many levels a side: fewer are all there are."""
PING: Final = '{"method":"ping"}'
INFO_PATH: Final = "/info"
FULL: Final = "full"
BOOK_LINES: Final[dict[str, int | None]] = {FULL: None, "s4": 4, "s3": 3, "s2": 2}
"""Resolutions of books, finest first: the word of the connection that carries one, and its significant figures."""
_GREETING: Final = b"Websocket connection established"
_LONGEST_SIDE: Final = 1000
_LONGEST_NAME: Final = 64
_HIGHEST_PRICE: Final = 1e15
_WHOLE_NUMBERS: Final = frozenset(("nSigFigs", "mantissa", "startTime", "endTime"))
_REFUSED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises on bad input; RecursionError on JSON that is nested too deeply."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class VenueError:
    """The venue refuses something (`error`), in its own words."""

    text: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""


@dataclass(frozen=True, slots=True)
class PerpTable:
    """Figures of all perpetuals by position; None where they could not be read, which `bad` counts."""

    contexts: list[PerpContext | None]
    bad: int


@dataclass(frozen=True, slots=True)
class SpotTable:
    """Figures of all spot pairs; `bad` counts those that could not be read."""

    contexts: list[SpotContext]
    bad: int


@dataclass(frozen=True, slots=True)
class Mids:
    """Middle prices by coin, those above 0; `bad` counts what was no price."""

    prices: dict[str, float]
    bad: int


class Topic(NamedTuple):
    """One subscription. `coin` None: the whole market; `figures` None: full precision."""

    type: str
    coin: str | None = None
    figures: int | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """What the venue's answer names; two resolutions of one coin cannot be told apart by it."""
        return self.type, self.coin

    def request(self, method: str) -> str:
        """Return the frame that subscribes or unsubscribes."""
        wanted: dict[str, object] = {"type": self.type}
        if self.coin is not None:
            wanted["coin"] = self.coin
        if self.figures is not None:
            wanted["nSigFigs"] = self.figures
        return json.dumps({"method": method, "subscription": wanted}, separators=(",", ":"))


def book_topic(coin: str, line: str) -> Topic:
    """Return the subscription to a coin's book on the line of that resolution."""
    return Topic("l2Book", coin, BOOK_LINES[line])


# -- frames ------------------------------------------------------------------------------------------------------

Message = (
    BookData
    | QuoteData
    | list[TradeData]
    | Mids
    | PerpTable
    | SpotTable
    | ActiveContext
    | ActiveSpotContext
    | SubscriptionAnswer
    | VenueError
    | Pong
)

_envelope = msgspec.json.Decoder(Envelope)
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "l2Book": msgspec.json.Decoder(BookData, strict=False),
    "bbo": msgspec.json.Decoder(QuoteData, strict=False),
    "trades": msgspec.json.Decoder(list[TradeData], strict=False),
    "allMids": msgspec.json.Decoder(MidsData),
    "assetCtxs": msgspec.json.Decoder(ContextsData),
    "allDexsAssetCtxs": msgspec.json.Decoder(AllContextsData),
    "activeAssetCtx": msgspec.json.Decoder(ActiveContext, strict=False),
    "activeSpotAssetCtx": msgspec.json.Decoder(ActiveSpotContext, strict=False),
    "spotAssetCtxs": msgspec.json.Decoder(list[msgspec.Raw]),
    "subscriptionResponse": msgspec.json.Decoder(SubscriptionAnswer, strict=False),
}
DATA_CHANNELS: Final = frozenset(_decoders) - {"subscriptionResponse"}
_perp_context = msgspec.json.Decoder(PerpContext, strict=False)
_spot_context = msgspec.json.Decoder(SpotContext, strict=False)
_text = msgspec.json.Decoder(str)
_about = msgspec.json.Decoder(About)
_PER_COIN: Final = frozenset(("l2Book", "bbo", "activeAssetCtx", "activeSpotAssetCtx"))
_perp_meta = msgspec.json.Decoder(PerpMeta, strict=False)
_perp_market: msgspec.json.Decoder[tuple[PerpMeta, list[msgspec.Raw]]]
_perp_market = msgspec.json.Decoder(tuple[PerpMeta, list[msgspec.Raw]], strict=False)
_spot_market: msgspec.json.Decoder[tuple[SpotMeta, list[msgspec.Raw]]]
_spot_market = msgspec.json.Decoder(tuple[SpotMeta, list[msgspec.Raw]], strict=False)


def decode(raw: bytes) -> Message | None:
    """Decode one frame; None for the greeting and for channels that are of no use here. Raises BadFrameError."""
    if raw.startswith(_GREETING):
        return None
    try:
        envelope = _envelope.decode(raw)
        decoder = _decoders.get(envelope.channel)
        if decoder is not None:
            return _shaped(envelope.channel, decoder.decode(envelope.data))
        if envelope.channel == "pong":
            return Pong()
        if envelope.channel == "error":
            return VenueError(_plain(envelope.data))
    except _REFUSED as error:
        raise BadFrameError(f"not a market data frame: {error}; it begins {_sample(raw)}") from None
    return None


def _shaped(channel: str, data: Any) -> Message | None:
    """Return decoded data as a message; tables lose the rows that cannot be read, not everything for one of them."""
    match data:
        case BookData():
            check_book(data)
        case MidsData():
            return None if data.dex else _mids(data)
        case ContextsData():
            return None if data.dex else _perp_table(data.ctxs)
        case AllContextsData():
            own = next((rows for dex, rows in data.ctxs if not dex), None)
            return None if own is None else _perp_table(own)
        case list() if channel == "spotAssetCtxs":
            return _spot_table(data)
        case _:
            pass
    message: Message = data
    return message


def _perp_table(rows: list[msgspec.Raw]) -> PerpTable:
    contexts = [_row(_perp_context, row) for row in rows]
    return PerpTable(contexts, contexts.count(None))


def _spot_table(rows: list[msgspec.Raw]) -> SpotTable:
    contexts = [context for row in rows if (context := _row(_spot_context, row)) is not None]
    return SpotTable(contexts, len(rows) - len(contexts))


def _row(decoder: msgspec.json.Decoder[_T], row: msgspec.Raw) -> _T | None:
    try:
        return decoder.decode(row)
    except _REFUSED:
        return None


def _mids(data: MidsData) -> Mids:
    prices: dict[str, float] = {}
    for coin, text in data.mids.items():
        try:
            price = float(text)
        except ValueError:
            price = -1.0
        if 0.0 < price < _HIGHEST_PRICE and 0 < len(coin) <= _LONGEST_NAME:
            prices[coin] = price
    return Mids(prices, len(data.mids) - len(prices))


class Peek(NamedTuple):
    """What a frame is about, without its data."""

    channel: str
    coin: str | None = None
    method: str | None = None
    """Of a `subscriptionResponse`: subscribe or unsubscribe."""
    words: str = ""
    """Of an `error`."""


def peek(raw: bytes) -> Peek | None:
    """Return what a frame is about, None for the greeting and for what cannot be read."""
    if raw.startswith(_GREETING):
        return None
    try:
        envelope = _envelope.decode(raw)
        channel, data = envelope.channel, envelope.data
        if channel == "subscriptionResponse":
            answer: SubscriptionAnswer = _decoders[channel].decode(data)
            return Peek(answer.subscription.type, answer.subscription.coin, answer.method)
        if channel == "error":
            return Peek(channel, words=_plain(data))
        return Peek(channel, _about.decode(data).coin if channel in _PER_COIN else None)
    except _REFUSED:
        return None  # counted where frames are decoded


def count_contexts(raw: bytes) -> int | None:
    """Return how many perpetuals a frame of `assetCtxs` or `allDexsAssetCtxs` covers, None for another or bad one."""
    try:
        envelope = _envelope.decode(raw)
        if envelope.channel == "assetCtxs":
            data: ContextsData = _decoders[envelope.channel].decode(envelope.data)
            return None if data.dex else len(data.ctxs)
        if envelope.channel == "allDexsAssetCtxs":
            every: AllContextsData = _decoders[envelope.channel].decode(envelope.data)
            return next((len(rows) for dex, rows in every.ctxs if not dex), None)
    except _REFUSED:
        pass  # counted where frames are decoded
    return None


def check_book(book: BookData) -> None:
    """Raise BadFrameError unless both sides run from the best price outwards, each price once."""
    bids, asks = book.levels
    if max(len(bids), len(asks)) > _LONGEST_SIDE:
        raise BadFrameError(f"expected at most {MAX_LEVELS} levels a side, were {max(len(bids), len(asks))}")
    if not (_falling(bids) and _falling(asks[::-1])):
        raise BadFrameError(f"the book of {book.coin[:20]} is not sorted from its best prices outwards")


def _falling(levels: list[WireLevel]) -> bool:
    return all(before.px > after.px for before, after in pairwise(levels))


# -- requests ----------------------------------------------------------------------------------------------------


def info_path(kind: str, **arguments: str | int | None) -> str:
    """Return the path that stands for a request; arguments of None are left out."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return f"{INFO_PATH}?{urlencode({'type': kind, **given})}"


def request_body(path: str) -> bytes:
    """Return the JSON the venue takes for a path made by `info_path`."""
    body = {
        name: int(value) if name in _WHOLE_NUMBERS else value
        for name, value in parse_qsl(urlsplit(path).query, keep_blank_values=True)
    }
    return json.dumps(body, separators=(",", ":")).encode()


def book_path(coin: str, line: str) -> str:
    """Return the path that asks for a coin's book at the resolution of a line."""
    return info_path("l2Book", coin=coin, nSigFigs=BOOK_LINES[line])


class InfoRequest(NamedTuple):
    """What a path asks for; `line` is the resolution of a book."""

    type: str
    coin: str = ""
    line: str = FULL


def parse_info_path(path: str) -> InfoRequest:
    """Read a path. Raises BadFrameError when it is none of ours."""
    parts = urlsplit(path)
    query = dict(parse_qsl(parts.query))
    figures = query.get("nSigFigs")
    line = FULL if figures is None else f"s{figures}"
    if parts.path != INFO_PATH or "type" not in query or line not in BOOK_LINES:
        raise BadFrameError(f"expected a request such as {book_path('BTC', 's3')}, was {path[:120]!r}")
    return InfoRequest(query["type"], query.get("coin", ""), line)


def decode_book(raw: bytes) -> BookData:
    """Decode the answer to an `l2Book` request. Raises BadFrameError."""
    book: BookData = _answer(_decoders["l2Book"], raw, "a book")
    check_book(book)
    return book


def decode_meta(raw: bytes) -> PerpMeta:
    """Decode the answer to `meta`. Raises BadFrameError."""
    return _answer(_perp_meta, raw, "the list of perpetuals")


def decode_perp_market(raw: bytes) -> tuple[PerpMeta, PerpTable]:
    """Decode the answer to `metaAndAssetCtxs`: the universe and the figures by position. Raises BadFrameError."""
    meta, rows = _answer(_perp_market, raw, "the table of perpetuals")
    return meta, _perp_table(rows)


def decode_spot_market(raw: bytes) -> tuple[SpotMeta, SpotTable]:
    """Decode the answer to `spotMetaAndAssetCtxs`; figures are joined by coin, not position. Raises BadFrameError."""
    meta, rows = _answer(_spot_market, raw, "the table of spot pairs")
    return meta, _spot_table(rows)


def _answer(decoder: msgspec.json.Decoder[_T], raw: bytes, what: str) -> _T:
    try:
        return decoder.decode(raw)
    except _REFUSED as error:
        raise BadFrameError(f"not {what}: {error}; it begins {_sample(raw)}") from None


def _plain(data: msgspec.Raw) -> str:
    """Return the words of an error: a string as documented, anything else as it stands."""
    try:
        said = _text.decode(data)
    except msgspec.ValidationError:
        said = bytes(data).decode("utf-8", "replace")
    return "".join(letter for letter in said if letter.isprintable())[:200]


def _sample(raw: bytes) -> str:
    return repr(raw[:60].decode("utf-8", "replace"))
