"""From Bybit's bytes to typed market data, without any input or output of its own (sans-I/O).

`decode` turns one WebSocket frame into a book update, figures of an instrument, liquidations, an answer to a control
frame or nothing (a topic we have no use for); the `decode_...` functions turn REST bodies. Anything that does not have
the documented shape raises `BadFrameError` with a sentence; an answer of the venue with an error number raises
`RefusedAnswerError`. Formats: docs/v5 websocket/public (orderbook, full-ob, ticker, all-liquidation), market.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from app.domain.errors import BadFrameError
from app.domain.market import STOCK_FIELDS, Field, Liquidation, PositionSide
from app.domain.units import NS_PER_MS
from app.venues.bybit.messages import (
    Answer,
    BookData,
    Envelope,
    InstrumentList,
    LiquidationData,
    ListedInstrument,
    ServerTime,
    TickerData,
    TickerList,
)


class BookNews(NamedTuple):
    """A message of an order book topic; `levels` 0 is the full book. event_ns: UTC ns."""

    levels: int
    is_snapshot: bool
    data: BookData
    event_ns: int


class TickerNews(NamedTuple):
    """A message of a ticker topic."""

    is_snapshot: bool
    data: TickerData
    event_ns: int


class ControlAnswer(NamedTuple):
    """An answer to a control frame; `is_pong` for both shapes of a pong."""

    op: str
    success: bool
    words: str
    request: str
    is_pong: bool


class RefusedAnswerError(BadFrameError):
    """A REST answer with an error number of the venue's."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"the venue answered {code}: {words}")
        self.code = code
        self.words = words


Decoded = BookNews | TickerNews | ControlAnswer | list[Liquidation]

_envelope = msgspec.json.Decoder(Envelope)
_book = msgspec.json.Decoder(BookData, strict=False)
_ticker = msgspec.json.Decoder(TickerData, strict=False)
_liquidations = msgspec.json.Decoder(list[LiquidationData], strict=False)
_answer = msgspec.json.Decoder(Answer)
_tickers = msgspec.json.Decoder(TickerList)
_instruments = msgspec.json.Decoder(InstrumentList)
_instrument = msgspec.json.Decoder(ListedInstrument)
_time = msgspec.json.Decoder(ServerTime, strict=False)

_REFUSED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises on bad input; RecursionError on JSON that is nested too deeply."""

_PRICES: Final = (
    ("lastPrice", Field.LAST),
    ("prevPrice24h", Field.PREVIOUS),
    ("highPrice24h", Field.HIGH),
    ("lowPrice24h", Field.LOW),
    ("bid1Price", Field.BID),
    ("ask1Price", Field.ASK),
    ("markPrice", Field.MARK),
    ("indexPrice", Field.INDEX),
    ("fundingIntervalHour", Field.FUNDING_HOURS),
    ("nextFundingTime", Field.NEXT_FUNDING_MS),
)
"""Figures for which 0 means that there is none."""
_PLAIN: Final = (
    ("turnover24h", Field.VOLUME),
    ("volume24h", Field.BASE_VOLUME),
    ("bid1Size", Field.BID_SIZE),
    ("ask1Size", Field.ASK_SIZE),
    ("fundingRate", Field.FUNDING),
)
_OPEN_INTEREST: Final = (
    ("singleOpenInterest", "openInterest", Field.OPEN_INTEREST),
    ("singleOpenInterestValue", "openInterestValue", Field.OPEN_INTEREST_USD),
)
LINEAR_FIELDS: Final = frozenset(int(field) for field in Field if field not in STOCK_FIELDS)
SPOT_FIELDS: Final = frozenset(
    int(field)
    for field in (Field.LAST, Field.PREVIOUS, Field.CHANGE_PCT, Field.VOLUME, Field.BASE_VOLUME, Field.HIGH, Field.LOW)
)
"""What a spot ticker stream carries; its best prices come from another topic."""


# -- frames --------------------------------------------------------------------------------------------------------


def decode(raw: bytes) -> Decoded | None:
    """Decode one frame; None for topics we have no use for. Raises BadFrameError."""
    try:
        frame = _envelope.decode(raw)
        topic = frame.topic
        if topic is None:
            return _control(frame, raw)
        kind, _, rest = topic.partition(".")
        event_ns = frame.ts * NS_PER_MS
        if kind == "orderbook":
            levels = _levels(rest.partition(".")[0])
            if levels is None:
                return None
            return BookNews(levels, _is_snapshot(frame), _book.decode(frame.data), event_ns)
        if kind == "tickers":
            return TickerNews(_is_snapshot(frame), _ticker.decode(frame.data), event_ns)
        if kind == "allLiquidation":
            return [_liquidation(row) for row in _liquidations.decode(frame.data)]
    except _REFUSED as error:
        raise BadFrameError(f"not a market data frame: {error}; it begins {_sample(raw)}") from None
    return None


def _control(frame: Envelope, raw: bytes) -> ControlAnswer:
    if frame.op is None and frame.success is None:
        raise BadFrameError(f"unknown frame; it begins {_sample(raw)}")
    op, words = frame.op or "", frame.ret_msg or ""
    is_pong = op == "pong" or (op == "ping" and frame.success is not False)
    return ControlAnswer(op, frame.success is not False, _printable(words), frame.req_id or "", is_pong)


def decode_control(raw: bytes) -> ControlAnswer | None:
    """Return the answer to a control frame, None for anything else."""
    try:
        frame = _envelope.decode(raw)
        return _control(frame, raw) if frame.topic is None else None
    except (BadFrameError, *_REFUSED):
        return None  # counted where frames are decoded


def frame_head(raw: bytes) -> tuple[str, int]:
    """Return topic and venue time (UTC ms, 0: none) of a frame; both empty for what is not data."""
    try:
        frame = _envelope.decode(raw)
    except _REFUSED:
        return "", 0
    return frame.topic or "", frame.ts


def _levels(word: str) -> int | None:
    """Return the level count of a topic, 0 for the full book, None for another kind of book (rpi)."""
    if word == "full":
        return 0
    return int(word) if word.isdecimal() and 0 < len(word) <= 4 and int(word) > 0 else None


def _is_snapshot(frame: Envelope) -> bool:
    if frame.type not in ("snapshot", "delta"):
        raise BadFrameError(f"expected type snapshot or delta in topic {frame.topic!r}, was {frame.type!r}")
    return frame.type == "snapshot"


def _liquidation(row: LiquidationData) -> Liquidation:
    side = PositionSide.LONG if row.S == "Buy" else PositionSide.SHORT
    return Liquidation(row.s, row.T * NS_PER_MS, side, row.p, row.v, sampled=False)


# -- figures -------------------------------------------------------------------------------------------------------


def figures(data: TickerData) -> dict[int, float]:
    """Return the figures a ticker carries by `Field`; NaN for one the venue leaves empty.

    The change is a fraction on the wire and percent here. Open interest counts one side: the venue's single-side
    figure where it is given, else half of that of both sides.
    """
    values: dict[int, float] = {}
    for name, field in _PRICES:
        value = getattr(data, name)
        if value is not UNSET:
            values[field] = value if value != "" and value > 0.0 else math.nan
    for name, field in _PLAIN:
        value = getattr(data, name)
        if value is not UNSET:
            values[field] = math.nan if value == "" else value
    change = data.price24hPcnt
    if change is not UNSET:
        values[Field.CHANGE_PCT] = math.nan if isinstance(change, str) else change * 100.0
    for single, both, field in _OPEN_INTEREST:
        value, share = getattr(data, single), 1.0
        if value is UNSET or value == "":
            other = getattr(data, both)
            if other is not UNSET:
                value, share = other, 0.5
        if value is not UNSET:
            values[field] = math.nan if value == "" else value * share
    return values


def with_unknown(values: dict[int, float], fields: Iterable[int]) -> dict[int, float]:
    """Return the figures of a snapshot, in which what is left out is not known."""
    return {**dict.fromkeys(fields, math.nan), **values}


# -- REST ----------------------------------------------------------------------------------------------------------


def _result(raw: bytes) -> Answer:
    try:
        answer = _answer.decode(raw)
    except _REFUSED as error:
        raise BadFrameError(f"not an answer of the venue: {error}; it begins {_sample(raw)}") from None
    if answer.retCode != 0:
        raise RefusedAnswerError(answer.retCode, _printable(answer.retMsg or "no reason given"))
    return answer


def decode_tickers(raw: bytes) -> tuple[list[TickerData], int, int]:
    """Return rows of `/v5/market/tickers`, how many could not be read, and the venue's time in UTC ns."""
    answer = _result(raw)
    try:
        rows = _tickers.decode(answer.result).rows
    except _REFUSED as error:
        raise BadFrameError(f"not a list of tickers: {error}") from None
    read = []
    for row in rows:
        try:
            read.append(_ticker.decode(row))
        except _REFUSED:
            continue
    return read, len(rows) - len(read), answer.time * NS_PER_MS


def decode_book(raw: bytes) -> BookData:
    """Return the rows of `/v5/market/orderbook` or `/v5/market/full_orderbook`."""
    answer = _result(raw)
    try:
        return _book.decode(answer.result)
    except _REFUSED as error:
        raise BadFrameError(f"not an order book: {error}; it begins {_sample(raw)}") from None


def decode_instruments(raw: bytes) -> tuple[list[ListedInstrument], int, str]:
    """Return rows of `/v5/market/instruments-info`, how many could not be read, and the cursor of the next page."""
    answer = _result(raw)
    try:
        page = _instruments.decode(answer.result)
    except _REFUSED as error:
        raise BadFrameError(f"not a list of instruments: {error}") from None
    read = []
    for row in page.rows:
        try:
            read.append(_instrument.decode(row))
        except _REFUSED:
            continue
    return read, len(page.rows) - len(read), page.nextPageCursor


def decode_time_ms(raw: bytes) -> float:
    """Return the venue's time in ms since 1970."""
    answer = _result(raw)
    try:
        return _time.decode(answer.result).timeNano / NS_PER_MS
    except _REFUSED as error:
        raise BadFrameError(f"not the venue's time: {error}") from None


def refusal_of(raw: bytes) -> tuple[int, str] | None:
    """Return error number and words of a REST body, None when it is a success or no answer of the venue."""
    try:
        answer = _answer.decode(raw)
    except _REFUSED:
        return None
    return (answer.retCode, _printable(answer.retMsg or "no reason given")) if answer.retCode else None


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:160]


def _sample(raw: bytes) -> str:
    return repr(raw[:60].decode("utf-8", "replace"))
