"""What waits for the database, as spool frames: one letter for the kind, then the body."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind
from app.portfolio.order_events import OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.minute_rows import unpack_block
from app.storage.order_history import pack_orders, unpack_orders
from app.storage.pnl_history import pack_pnl, unpack_pnl
from app.storage.rows import MinuteBlock

_MINUTE: Final = b"M"
_EVENTS: Final = b"E"
_PNL: Final = b"P"
_ORDERS: Final = b"O"

KeyedEvent = tuple[str, FeedEvent]


class _Event(msgspec.Struct, array_like=True):
    id: str
    ts_ns: int
    source: str
    kind: str
    symbol: str | None
    text: str


@dataclass(slots=True)
class Waiting:
    """Decoded frames: minutes with their part ids, events with theirs, minutes of profit and loss, orders,
    and how many frames could not be read."""

    minutes: list[tuple[MinuteBlock, str]] = field(default_factory=list)
    events: list[KeyedEvent] = field(default_factory=list)
    pnl: list[PnlMinute] = field(default_factory=list)
    orders: list[OrderRecords] = field(default_factory=list)
    unreadable: int = 0

    def add(self, frame: bytes) -> None:
        """Decode one frame."""
        try:
            if frame[:1] == _MINUTE:
                self.minutes.append(unpack_block(frame[1:]))
            elif frame[:1] == _EVENTS:
                self.events += _events_of(frame[1:])
            elif frame[:1] == _PNL:
                self.pnl += unpack_pnl(frame[1:])
            elif frame[:1] == _ORDERS:
                self.orders.append(unpack_orders(frame[1:]))
            else:
                raise StorageError("a frame of unknown kind")
        except StorageError:
            self.unreadable += 1


def minute_frame(packed: bytes) -> bytes:
    """Return the frame of a packed minute."""
    return _MINUTE + packed


def events_frame(events: list[KeyedEvent]) -> bytes:
    """Return the frame of some events."""
    structs = [_Event(key, e.ts_ns, e.source, e.kind.value, e.symbol, e.text) for key, e in events]
    return _EVENTS + msgspec.msgpack.encode(structs)


def pnl_frame(rows: list[PnlMinute]) -> bytes:
    """Return the frame of some minutes of profit and loss."""
    return _PNL + pack_pnl(rows)


def orders_frame(records: OrderRecords) -> bytes:
    """Return the frame of some orders and fills."""
    return _ORDERS + pack_orders(records)


def _events_of(body: bytes) -> list[KeyedEvent]:
    try:
        return [
            (e.id, FeedEvent(ts_ns=e.ts_ns, source=e.source, kind=FeedEventKind(e.kind), symbol=e.symbol, text=e.text))
            for e in msgspec.msgpack.decode(body, type=list[_Event])
        ]
    except (msgspec.MsgspecError, ValueError) as error:
        raise StorageError(f"spooled events cannot be read: {error}") from error
