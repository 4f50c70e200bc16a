"""From Binance's all-market streams and REST tables to market news (sans-I/O): tickers, funding, liquidations.

Only instruments quoted in dollars are passed on, and of the futures streams, which carry COIN-M too, only USD-M.
Liquidation orders are a sample: at most the latest one per symbol and second is published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from app.domain.errors import BadFrameError
from app.domain.market import Field, Liquidation, PositionSide, TickerUpdate
from app.domain.units import NS_PER_MS
from app.venues.binance.messages import (
    BookTicker,
    DayTicker,
    ForceOrder,
    ForceOrderFrame,
    FundingInfo,
    MarkPrice,
    MarkPricesFrame,
    MiniTicker,
    MiniTickersFrame,
    OpenInterest,
    QuoteData,
)

DEFAULT_FUNDING_HOURS: Final = 8.0
_USD_MARGINED: Final = 1
_QUOTES: Final = ("USDT", "USDC", "FDUSD")
_NAN: Final = float("nan")
_HIGHEST_RATE: Final = 1.0
_REFUSED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_mini = msgspec.json.Decoder(MiniTickersFrame, strict=False)
_mark = msgspec.json.Decoder(MarkPricesFrame, strict=False)
_force = msgspec.json.Decoder(ForceOrderFrame, strict=False)
_days = msgspec.json.Decoder(list[DayTicker], strict=False)
_quotes = msgspec.json.Decoder(list[BookTicker], strict=False)
_fundings = msgspec.json.Decoder(list[FundingInfo], strict=False)
_interest = msgspec.json.Decoder(OpenInterest, strict=False)


@dataclass(slots=True)
class News:
    """What one frame or answer says about instruments."""

    updates: list[TickerUpdate] = field(default_factory=list)
    liquidations: list[Liquidation] = field(default_factory=list)


def decode_stream(name: str, raw: bytes) -> News | None:
    """Decode a frame of an all-market stream; None for a stream that carries nothing for us. Raises BadFrameError."""
    try:
        if name.startswith("!miniTicker@arr"):
            return News(updates=[_mini_update(row) for row in _mini.decode(raw).data if _is_ours(row.s, row.st)])
        if name.startswith("!markPrice@arr"):
            return News(updates=[_mark_update(row) for row in _mark.decode(raw).data if _is_ours(row.s, row.st)])
        if name.startswith("!forceOrder@arr"):
            return _liquidation(_force.decode(raw).data)
    except _REFUSED as error:
        raise BadFrameError(f"not a frame of {name}: {error}") from None
    return None


def quote_update(data: QuoteData) -> TickerUpdate:
    """Return a best bid and ask as news; a side of 0 is unknown."""
    values: dict[int, float] = {
        Field.BID: data.b or _NAN,
        Field.BID_SIZE: data.B,
        Field.ASK: data.a or _NAN,
        Field.ASK_SIZE: data.A,
    }
    return TickerUpdate(data.s, data.E * NS_PER_MS, values)


def decode_rest(path: str, raw: bytes) -> News | None:
    """Decode a REST table by the path that asked for it; None for other paths. Raises BadFrameError."""
    word = urlsplit(path).path
    for ending, decode in _TABLES.items():
        if word.endswith(ending):
            try:
                return News(updates=list(decode(raw)))
            except _REFUSED as error:
                raise BadFrameError(f"not an answer of {ending}: {error}") from None
    return None


def _is_ours(symbol: str, margin: int) -> bool:
    return margin == _USD_MARGINED and symbol.endswith(_QUOTES)


def _mini_update(row: MiniTicker) -> TickerUpdate:
    values: dict[int, float] = {
        Field.LAST: row.c or _NAN,
        Field.PREVIOUS: row.o or _NAN,
        Field.CHANGE_PCT: (row.c / row.o - 1.0) * 100.0 if row.o and row.c else _NAN,
        Field.HIGH: row.h or _NAN,
        Field.LOW: row.l or _NAN,
        Field.BASE_VOLUME: row.v,
        Field.VOLUME: row.q,
    }
    return TickerUpdate(row.s, row.E * NS_PER_MS, values)


def _mark_update(row: MarkPrice) -> TickerUpdate:
    rate = float(row.r) if row.r else _NAN
    if abs(rate) >= _HIGHEST_RATE:
        raise BadFrameError(f"expected a funding rate below {_HIGHEST_RATE:g}, was {rate:g}")
    values: dict[int, float] = {
        Field.MARK: row.p or _NAN,
        Field.INDEX: float(row.i) if row.i else _NAN,
        Field.FUNDING: rate,
        Field.NEXT_FUNDING_MS: float(row.T) if row.T and row.r else _NAN,
    }
    return TickerUpdate(row.s, row.E * NS_PER_MS, values)


def _liquidation(data: ForceOrder) -> News:
    order = data.o
    if not _is_ours(order.s, max(data.st, order.st)):
        return News()
    side = {"SELL": PositionSide.LONG, "BUY": PositionSide.SHORT}.get(order.S)
    if side is None:
        raise BadFrameError(f"expected the side SELL or BUY of a liquidation order, was {order.S[:20]!r}")
    price = order.ap or order.p
    stamp_ns = (order.T or data.E) * NS_PER_MS
    return News(liquidations=[Liquidation(order.s, stamp_ns, side, price, order.q, sampled=True)])


def _day_updates(raw: bytes) -> Iterable[TickerUpdate]:
    for row in _days.decode(raw):
        if _is_ours(row.symbol, _USD_MARGINED):
            last, first = row.lastPrice, row.openPrice
            yield TickerUpdate(
                row.symbol,
                row.closeTime * NS_PER_MS,
                {
                    Field.LAST: last or _NAN,
                    Field.PREVIOUS: first or _NAN,
                    Field.CHANGE_PCT: (last / first - 1.0) * 100.0 if first and last else _NAN,
                    Field.HIGH: row.highPrice or _NAN,
                    Field.LOW: row.lowPrice or _NAN,
                    Field.BASE_VOLUME: row.volume,
                    Field.VOLUME: row.quoteVolume,
                },
            )


def _quote_updates(raw: bytes) -> Iterable[TickerUpdate]:
    for row in _quotes.decode(raw):
        if _is_ours(row.symbol, _USD_MARGINED):
            yield TickerUpdate(
                row.symbol,
                row.time * NS_PER_MS,
                {
                    Field.BID: row.bidPrice or _NAN,
                    Field.BID_SIZE: row.bidQty,
                    Field.ASK: row.askPrice or _NAN,
                    Field.ASK_SIZE: row.askQty,
                },
            )


def _funding_updates(raw: bytes) -> Iterable[TickerUpdate]:
    for row in _fundings.decode(raw):
        if _is_ours(row.symbol, _USD_MARGINED):
            yield TickerUpdate(row.symbol, 0, {Field.FUNDING_HOURS: float(row.fundingIntervalHours)})


def _interest_updates(raw: bytes) -> Iterable[TickerUpdate]:
    row = _interest.decode(raw)
    yield TickerUpdate(row.symbol, row.time * NS_PER_MS, {Field.OPEN_INTEREST: row.openInterest})


_TABLES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "/ticker/24hr": _day_updates,
    "/ticker/bookTicker": _quote_updates,
    "/fundingInfo": _funding_updates,
    "/openInterest": _interest_updates,
}
