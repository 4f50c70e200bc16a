"""Messages between the server and its clients: JSON texts in, checked requests out; values in, JSON frames out.

Client to server (one JSON object a message, at most 64 kB):

    {"action": "auth", "token": T}                  first message of a script that sent no header, within 3 s
    {"action": "subscribe", "symbol": "BTCUSDT", "marketType": "SPOT", "venue": "binance"}    depth of one book: `tick`
    {"action": "subscribe", "symbols": ["BTCUSDT", "ETHUSDT"], "marketType": "FUTURES"}       the same of several
    {"action": "subscribe", "tickers": ["BTCUSDT", "bybit:ETHUSDT"]}    rows of instruments: `market_data`
    {"action": "subscribe", "venue": "bybit", "marketType": "FUTURES", "top": 100}      the most traded as rows
    {"action": "subscribe", "channels": ["ticks", "snapshots", "indicators", "alerts", "status", "portfolio"]}
    {"action": "subscribe", "indicators": [{"indicator": "delta", "category": "TOTAL", "marketType": "SPOT",
                                            "depth": 5}]}
    {"action": "unsubscribe", ...}                  the same fields; {"action": "unsubscribe", "all": true}
    {"type": "ping"}                                answered by {"type": "pong", "time": ms}

`venue` is binance where it is left out, `marketType` SPOT. An `id` (text or number) comes back with the answer.

Server to client: `initial_data`, `market_data`, `tick`, `snapshot`, `indicator`, `alert`, `status`, `subscribed`,
`unsubscribed`, `authenticated`, `pong`, `error` (code, message). Numbers that are unknown are null.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec

from app.domain.ids import BOOK_KINDS, BOOK_VENUES, Market, MarketKind, Venue
from app.domain.units import depth_index
from app.indicators.formulas import LINES, Indicator
from app.indicators.groups import Subject
from app.server.ports import IndicatorKey, Json

MAX_MESSAGE_BYTES: Final = 65_536
MAX_SUBSCRIPTIONS: Final = 200
CHANNELS: Final = ("ticks", "snapshots", "indicators", "alerts", "status", "portfolio")

_Word = Annotated[str, msgspec.Meta(max_length=64)]
_Words = Annotated[list[_Word], msgspec.Meta(max_length=MAX_SUBSCRIPTIONS)]


class RequestError(Exception):
    """A request that cannot be met; `code` is for programs, the text for people, `status` for HTTP."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class IndicatorRequest(msgspec.Struct, frozen=True, rename={"market_type": "marketType"}):
    """One indicator asked for by name."""

    indicator: _Word
    category: _Word = "TOTAL"
    market_type: _Word = "SPOT"
    venue: _Word = Venue.BINANCE.value
    depth: float | None = None


class ClientMessage(msgspec.Struct, frozen=True, rename={"market_type": "marketType"}):
    """Whatever a client may say; which fields matter depends on the action."""

    action: _Word = ""
    type: _Word = ""
    id: Annotated[str, msgspec.Meta(max_length=64)] | int | None = None
    token: Annotated[str, msgspec.Meta(max_length=256)] = ""
    venue: _Word | None = None
    market_type: _Word | None = None
    symbol: _Word | None = None
    symbols: _Words = []
    tickers: _Words = []
    channels: Annotated[list[_Word], msgspec.Meta(max_length=32)] = []
    indicators: Annotated[list[IndicatorRequest], msgspec.Meta(max_length=MAX_SUBSCRIPTIONS)] = []
    top: Annotated[int, msgspec.Meta(ge=1, le=MAX_SUBSCRIPTIONS)] | None = None
    all: bool = False


_decoder: Final = msgspec.json.Decoder(ClientMessage)
_encoder: Final = msgspec.json.Encoder()


def decode(data: str | bytes) -> ClientMessage:
    """Return a client's message; raise RequestError when it is none."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("bad_message", f"expected a JSON message as documented: {error}") from None


def encode(value: Any) -> bytes:
    """Return JSON; NaN and infinities become null."""
    return _encoder.encode(value)


# -- frames --------------------------------------------------------------------------------------------------------


def frame(payload: bytes) -> bytes:
    """Return one final text frame of a server (RFC 6455, 5.2): unmasked, so the same bytes for every client."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


def message(kind: str, fields: Json) -> bytes:
    """Return one frame of a type with its fields."""
    return frame(encode({"type": kind, **fields}))


def rows_message(kind: str, venue: Venue, time_ms: int, rows: Iterable[bytes]) -> bytes:
    """Return one frame of rows of a venue that are encoded already, `kind` being initial_data or market_data."""
    encoded = list(rows)
    head = f'{{"type":"{kind}","venue":"{venue.value}","time":{time_ms},"count":{len(encoded)},"data":['
    return frame(b"".join((head.encode(), b",".join(encoded), b"]}")))


def error_fields(error: RequestError) -> Json:
    """Return the fields of an error message."""
    return {"code": error.code, "message": str(error)}


# -- words from outside --------------------------------------------------------------------------------------------


def read_venue(text: str) -> Venue:
    """Return the venue of that name; raise RequestError otherwise."""
    word = text.strip().lower()
    for venue in BOOK_VENUES:
        if venue.value == word:
            return venue
    known = ", ".join(venue.value for venue in BOOK_VENUES)
    raise RequestError("unknown_venue", f"expected a venue ({known}), was {text[:40]!r}", 404)


def read_kind(text: str) -> MarketKind:
    """Return SPOT or FUTURES for that word or a synonym; raise RequestError otherwise."""
    try:
        return Market.from_label(text).kind
    except ValueError:
        raise RequestError("unknown_market", f"expected marketType SPOT or FUTURES, was {text[:40]!r}") from None


def read_market(venue: str | None, market_type: str | None) -> Market:
    """Return the market of a venue (binance when left out) and a type (SPOT when left out).

    A type that names its venue, such as `bybit.linear`, is taken at its word. Raises RequestError.
    """
    word = market_type or MarketKind.SPOT.value
    kind = read_kind(word)
    if venue:
        return Market.of(read_venue(venue), kind)
    return Market.from_label(word)


def read_markets(venue: str | None, market_type: str | None) -> list[Market]:
    """Return all markets that a venue (or `all`) and a type (or ALL) stand for; raise RequestError."""
    is_all = venue is not None and venue.strip().lower() == "all"
    venues = list(BOOK_VENUES) if is_all else [read_venue(venue or "binance")]
    every = market_type is None or market_type.strip().upper() == "ALL"
    kinds = list(BOOK_KINDS) if every else [read_kind(market_type or "")]
    return [Market.of(each, kind) for each in venues for kind in kinds]


def read_ticker(text: str, market: Market) -> tuple[Market, str]:
    """Return market and symbol of `BTCUSDT`, `bybit:BTCUSDT` or `bybit.linear:BTCUSDT`; raise RequestError."""
    place, colon, symbol = text.strip().rpartition(":")
    if not symbol:
        raise RequestError("unknown_symbol", "expected a symbol, was nothing")
    if not colon:
        return market, symbol
    venue, dot, _ = place.partition(".")
    if not dot:
        return Market.of(read_venue(venue), market.kind), symbol
    return read_market(None, place), symbol


def read_indicator(
    name: str, category: str, venue: str | None, market_type: str | None, depth: float | None
) -> IndicatorKey:
    """Return the indicator asked for; raise RequestError for a name, category or depth there is none of."""
    try:
        indicator = Indicator(name.strip().lower())
    except ValueError:
        known = ", ".join(each.value for each in Indicator)
        raise RequestError("unknown_indicator", f"expected an indicator ({known}), was {name[:40]!r}", 404) from None
    try:
        subject = Subject.parse(category)
    except ValueError as error:
        raise RequestError("unknown_category", str(error)) from None
    if not subject.is_group and not indicator.for_coins:
        raise RequestError("unknown_category", f"{indicator.value} is defined for groups only, was {category[:40]!r}")
    if depth is not None:
        try:
            depth_index(depth)
        except (ValueError, OverflowError) as error:
            raise RequestError("unknown_depth", str(error)) from None
        offered = sorted({pct for line in LINES[indicator] if not line.mixed for pct in line.depths_pct})
        if depth not in offered:
            words = ", ".join(f"{pct:g}" for pct in offered)
            raise RequestError("unknown_depth", f"{indicator.value} has the depths {words} %, not {depth:g}")
    return IndicatorKey(indicator, subject, read_market(venue, market_type), depth)
