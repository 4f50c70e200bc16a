"""The socket to TWS: what leaves it is on a list of reading questions, what comes must begin as TWS begins.

ib_async can also write; here that ends before the socket, by the number every message begins with (TWS API: outgoing
message ids), whichever function made the message.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from datetime import tzinfo
from typing import Any, Final

from ib_async.client import Client
from ib_async.connection import Connection

from app.domain.errors import FathomError
from app.venues.ibkr_tws.numbers import zone

log = logging.getLogger("fathom.tws")

READING: Final = frozenset(
    (
        *(1, 2),  # quotes: begin, end
        *(6, 76, 77),  # account figures
        7,  # executions
        9,  # contract details
        *(16, 99),  # open orders of all clients, completed orders
        *(20, 25),  # history: begin, end
        *(22, 23),  # scanner: begin, end
        49,  # time
        59,  # live or delayed quotes
        61,  # positions
        71,  # start
        81,  # symbols
        *(92, 93, 94, 95),  # profit and loss: begin, end
    )
)
"""Numbers of the messages that may leave. Those that place (3), cancel (4, 58) or bind (15) orders or exercise options
(21) are among the many that are not here."""
_HELLO: Final = b"API\0"
_SLICE: Final = 16 * 1024
"""The library copies what is left after each message: a large chunk at once would take its square in time."""
_LARGEST: Final = 32 * 2**20
_GREETING: Final = 1024


class WriteRefused(FathomError):
    """A message that is no reading question was on its way to TWS."""


def check(number: str) -> None:
    """Raise WriteRefused, and log, for a message number that is not on the list."""
    if not (number.isascii() and number.isdigit()) or int(number) not in READING:
        log.critical("a message of kind %s to TWS was stopped: Fathom only reads", number[:8])
        raise WriteRefused(f"expected a reading question to TWS, was message {number[:8]}")


class GuardedConnection(Connection):
    """The socket itself. foreign: what answered instead of TWS, "" while nothing else did. zone: TWS' time zone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.foreign = ""
        self.zone: tzinfo | None = None
        self.ended: asyncio.Future[None] | None = None
        self._greeted = False
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)
        super().connection_lost(exc)  # type: ignore[no-untyped-call]

    def sendMsg(self, msg: bytes) -> None:
        """Send a message, unless it is none that reads."""
        if not msg.startswith(_HELLO):
            check(msg[4:].split(b"\0", 1)[0].decode("ascii", "replace"))
        super().sendMsg(msg)  # type: ignore[no-untyped-call]

    def data_received(self, data: bytes) -> None:
        """Pass data on once it is clear that TWS sends it."""
        if not self._greeted:
            self._head += data
            if self.foreign or not self._is_greeting():
                return
            self._greeted, data, self._head = True, self._head, b""
        for start in range(0, len(data), _SLICE):
            self.hasData.emit(data[start : start + _SLICE])

    def _is_greeting(self) -> bool:
        """Read the first frame: a version, and when and in which zone TWS was asked."""
        if len(self._head) < 4:
            return False
        (size,) = struct.unpack(">I", self._head[:4])
        if 2 <= size <= _GREETING and len(self._head) < 4 + size:
            return False
        fields = self._head[4 : 4 + size].split(b"\0")
        if not 2 <= size <= _GREETING or not fields[0].isdigit():
            self.foreign = "".join(map(chr, self._head[:32])).encode("ascii", "replace").decode()
            self.abort()
            return False
        words = fields[1].decode("utf-8", "replace").split(" ", 2) if len(fields) > 1 else []
        self.zone = zone(words[2]) if len(words) > 2 else None
        return True

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def disconnect(self) -> None:
        """Close; when the other side takes nothing any more, without waiting for it."""
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().disconnect()  # type: ignore[no-untyped-call]


class ReadOnlyClient(Client):
    """ib_async's protocol client over a guarded socket, with one timer at most.

    TWS allows 50 messages a second. It counts them as they arrive, so that the window is longer than its second by more
    than what was sent at its beginning may be late.
    """

    MaxRequests = 45
    RequestsInterval = 1.15  # type: ignore[assignment] # seconds, also parts of them
    _pause: asyncio.TimerHandle | None = None

    def __init__(self, wrapper: Any) -> None:
        super().__init__(wrapper)  # type: ignore[no-untyped-call]
        self.conn: GuardedConnection = GuardedConnection()
        self.conn.hasData += self._onSocketHasData
        self.conn.disconnected += self._onSocketDisconnected

    @property
    def received(self) -> int:
        """Return how many messages came on this connection."""
        return self._numMsgRecv

    def reset(self) -> None:
        """Forget the connection and what waits to be sent."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        super().reset()  # type: ignore[no-untyped-call]

    def sendMsg(self, msg: str) -> None:
        """Send a message, or later when there were too many in the last second."""
        check(msg.split("\0", 1)[0])
        self._msgQ.append(msg)
        self._send_waiting()

    def _send_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        times, waiting = self._timeQ, self._msgQ
        now = loop.time()
        while times and now - times[0] > self.RequestsInterval:
            times.popleft()
        while waiting and len(times) < self.MaxRequests:
            raw = waiting.popleft().encode()
            self.conn.sendMsg(struct.pack(">I", len(raw)) + raw)
            times.append(now)
        if waiting and self._pause is None:
            self._pause = loop.call_at(times[0] + self.RequestsInterval + 0.001, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._send_waiting()

    def _onSocketHasData(self, data: bytes) -> None:
        try:
            super()._onSocketHasData(data)  # type: ignore[no-untyped-call]
        except Exception:
            log.exception("TWS sent what cannot be read; the connection is made again")
            self.conn.abort()
            return
        if len(self._data) > _LARGEST:
            log.error("TWS announced a message of more than %d bytes; the connection is made again", _LARGEST)
            self.conn.abort()
