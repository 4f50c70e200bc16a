"""From Binance's bytes to typed market data, without any input or output of its own (sans-I/O).

`decode` turns one WebSocket frame into a depth update, a quote, market news, a notice or nothing (an answer to a
control frame, a stream we did not ask for); `decode_snapshot` turns a REST depth body into a snapshot. Anything that
does not have the documented shape raises `BadFrameError` with a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from app.domain.errors import BadFrameError
from app.domain.ids import Market
from app.venues.binance.messages import DepthData, DepthFrame, DepthSnapshot, Probe, QuoteData, QuoteFrame
from app.venues.binance.news_protocol import News, decode_stream

MAX_LIMIT: Final = {Market.BINANCE_SPOT: 5000, Market.BINANCE_USDM: 1000}
DEPTH_PATH: Final = {Market.BINANCE_SPOT: "/api/v3/depth", Market.BINANCE_USDM: "/fapi/v1/depth"}
DEFAULT_LIMIT: Final = {Market.BINANCE_SPOT: 100, Market.BINANCE_USDM: 500}

_USD_MARGINED: Final = 1


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The venue announces that it will close this connection soon."""


_depth = msgspec.json.Decoder(DepthFrame, strict=False)
_depth_raw = msgspec.json.Decoder(DepthData, strict=False)
_quote = msgspec.json.Decoder(QuoteFrame, strict=False)
_quote_raw = msgspec.json.Decoder(QuoteData, strict=False)
_probe = msgspec.json.Decoder(Probe, strict=False)
_snapshot = msgspec.json.Decoder(DepthSnapshot, strict=False)

_HEAD: Final = 96
_WRAPPED: Final = b'{"stream":"'
_REFUSED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises on bad input; RecursionError on JSON that is nested too deeply."""


def decode(raw: bytes) -> DepthData | QuoteData | News | ServerShutdown | None:
    """Decode one frame; None for frames that carry nothing for us. Raises BadFrameError."""
    head = raw[:_HEAD] if raw.startswith(_WRAPPED) else b""
    try:
        if b"@depth" in head:
            return _ours(_depth.decode(raw).data)
        if b"@bookTicker" in head:
            return _ours(_quote.decode(raw).data)
        return _decode_other(raw)
    except _REFUSED as error:
        raise BadFrameError(f"not a market data frame: {error}; it begins {_sample(raw)}") from None


def _ours(data: DepthData | QuoteData) -> DepthData | QuoteData | None:
    return data if data.st == _USD_MARGINED else None


def _decode_other(raw: bytes) -> DepthData | QuoteData | News | ServerShutdown | None:
    """Decode a frame without a known stream name at its head: raw streams, answers, errors, notices."""
    probe = _probe.decode(raw)
    name = probe.stream or ""
    if probe.e == "serverShutdown" or name.endswith("!serverShutdown"):
        return ServerShutdown()
    if name.startswith("!"):
        return decode_stream(name, raw)
    if "@depth" in name:
        return _ours(_depth.decode(raw).data)
    if "@bookTicker" in name:
        return _ours(_quote.decode(raw).data)
    if probe.e == "depthUpdate":
        return _ours(_depth_raw.decode(raw))
    if probe.e == "bookTicker":
        return _ours(_quote_raw.decode(raw))
    if probe.code is not None or probe.error is not None:
        said = probe.msg if probe.error is None else probe.error.get("msg")
        raise BadFrameError(f"the venue refused a request: {said}")
    if probe.id is not None or b'"result"' in raw[:_HEAD]:
        return None
    if probe.stream is not None or probe.e is not None:
        return None
    try:  # a spot quote on a raw stream has no event name
        return _ours(_quote_raw.decode(raw))
    except msgspec.ValidationError:
        raise BadFrameError(f"unknown frame; it begins {_sample(raw)}") from None


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What a depth path asked for."""

    symbol: str
    limit: int


def parse_depth_path(market: Market, path: str) -> SnapshotRequest:
    """Read symbol and limit from a depth path such as `/api/v3/depth?symbol=BTCUSDT&limit=1000`.

    A limit above the venue's own is cut to it: an answer of that many levels is not a complete side.
    """
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    symbol = (query.get("symbol") or [""])[0].upper()
    text = (query.get("limit") or [str(DEFAULT_LIMIT[market])])[0]
    if not parts.path.endswith("/depth") or not symbol or not text.isdecimal():
        raise BadFrameError(f"expected a depth request with symbol and limit, was {path[:120]!r}")
    return SnapshotRequest(symbol, min(int(text), MAX_LIMIT[market]))


def is_depth_path(path: str) -> bool:
    """Tell whether a path asks for a snapshot."""
    return urlsplit(path).path.endswith("/depth")


def depth_path(market: Market, symbol: str, limit: int) -> str:
    """Return the REST path that asks for a snapshot."""
    return f"{DEPTH_PATH[market]}?symbol={symbol}&limit={limit}"


def decode_snapshot(raw: bytes) -> DepthSnapshot:
    """Decode a REST depth body. Raises BadFrameError."""
    try:
        return _snapshot.decode(raw)
    except _REFUSED as error:
        raise BadFrameError(f"not a depth snapshot: {error}; it begins {_sample(raw)}") from None


def _sample(raw: bytes) -> str:
    return repr(raw[:60].decode("utf-8", "replace"))
