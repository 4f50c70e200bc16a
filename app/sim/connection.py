"""One WebSocket client of the simulator: frames are encoded once for all clients and written in bursts.

The server side of WebSocket (RFC 6455) does not mask, so a frame is the same bytes for everybody; `websockets` does the
handshake, reads, answers pings and closes. A half-open client is neither read nor written to any more, without a FIN.
"""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from app.sim.limits import SlidingCount


def data_frame(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """Return one final, unmasked frame."""
    size = len(payload)
    first = 0x80 | opcode
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class SimConnection(ServerConnection):
    """A client with its subscriptions and its outbox."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what the server gives every connection."""
        super().__init__(*args, **kwargs)
        self.streams: dict[str, None] = {}
        self.combined = False
        self.category: str | None = None
        self.first_streams: list[str] = []
        self.half_open = False
        self.opened_at = self.loop.time()
        self.last_ping = self.opened_at
        self.unanswered_since: float | None = None
        self.shutdown_told = False
        self.frame_limit: SlidingCount | None = None
        self.too_many_frames = False
        self.frames_sent = 0
        self.farewell: asyncio.Task[None] | None = None
        self._outbox: list[bytes] = []

    def queue(self, frame: bytes) -> None:
        """Put a frame into the outbox."""
        self._outbox.append(frame)

    def flush(self, buffer_limit_bytes: int) -> bool:
        """Write the outbox; False when the client reads so slowly that the limit is passed and it is cut off."""
        frames, self._outbox = self._outbox, []
        if not frames or self.half_open or self.protocol.state is not State.OPEN:
            return True
        self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
        self.frames_sent += len(frames)
        if self.transport.get_write_buffer_size() > buffer_limit_bytes:
            self.transport.abort()
            return False
        return True

    def go_half_open(self) -> None:
        """Read and write nothing any more, and never say so."""
        self.half_open = True
        self._outbox.clear()
        self.transport.pause_reading()

    def say_goodbye(self, code: int, reason: str = "") -> None:
        """Close with a code, once, without waiting here."""
        if self.farewell is None and not self.half_open:
            self.farewell = self.loop.create_task(self.close(code, reason))

    def abort(self) -> None:
        """Cut the TCP connection without a word."""
        self.transport.abort()

    def send_data(self) -> None:
        """Write what the protocol has to say, unless half-open."""
        if self.half_open:
            self.protocol.data_to_send()
            return
        super().send_data()

    def process_event(self, event: Any) -> None:
        """Count incoming frames and remember pongs on the way to `websockets`."""
        if isinstance(event, Frame):
            if event.opcode is Opcode.PONG:
                self.unanswered_since = None
            counted = event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG)
            limit = self.frame_limit
            if counted and limit is not None and not limit.add() and self.farewell is None:
                self.too_many_frames = True
                self.say_goodbye(1008, "Too many requests")
        super().process_event(event)
