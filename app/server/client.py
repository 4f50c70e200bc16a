"""One connection: an HTTP caller, or a WebSocket client with its subscriptions and what it was given so far.

`websockets` does the handshake, reads, answers pings and closes. Frames are not sent through it but written to the
transport as they are, because the same bytes go to every client; they are whole frames, so they never cut into others.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame
from websockets.protocol import State

from app.server.auth import Caller, is_loopback
from app.server.hub import Bundle, Topic
from app.server.limits import SEND_BUFFER_BYTES, Admission, Backlog, Rate, Verdict
from app.server.status import ClientInfo
from app.server.target import Target

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"


class Client(ServerConnection):
    """A connection with its limits. `known`: it has shown the token; `target`: what a WebSocket was opened for."""

    def __init__(self, *args: Any, admission: Admission, peers: set[Client], **kwargs: Any) -> None:
        """Take what the server gives every connection; `peers` holds all that are open."""
        super().__init__(*args, **kwargs)
        self._admission = admission
        self._peers = peers
        self.opened_at = time.monotonic()
        self.target: Target | None = None
        self.since_ns = 0
        self.known = False
        self.entered = False
        self.end_reason = ""
        self.caller = Caller(address="", local_address="", port=0)
        self.bundle: Bundle | None = None
        self.channels: dict[str, None] = {}
        self.topics: dict[Topic, None] = {}
        self.given_tick = 0
        self.frames_sent = 0
        self.bytes_sent = 0
        self.conflated = 0
        self.frames_per_s = 0.0
        self._counted = (self.opened_at, 0)
        self.rate = Rate(admission.limits.messages_per_s, self.opened_at)
        self.backlog = Backlog(admission.limits)
        self._farewell: asyncio.Task[None] | None = None
        self._is_unknown = False
        self._leaving_since: float | None = None

    # -- arriving ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is; turn it away at once when too many have not said yet what they want."""
        super().connection_made(transport)
        self._peers.add(self)
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer and here:
            self.caller = Caller(address=str(peer[0]), local_address=str(here[0]), port=int(here[1]))
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if self._admission.unknown >= self._admission.limits.unknown:
            self._admission.refused["too many handshakes"] += 1
            self.transport.write(_BUSY)
            self.transport.close()
            return
        self._is_unknown = True
        self._admission.unknown += 1

    def identified(self) -> None:
        """Say that this connection is no longer one of the unknown ones."""
        if self._is_unknown:
            self._is_unknown = False
            self._admission.unknown -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back the place."""
        self.identified()
        self._peers.discard(self)
        if self.entered:
            self.entered = False
            self._admission.leave(self.caller.address)
        super().connection_lost(exc)

    @property
    def is_local(self) -> bool:
        """Whether it comes from this machine."""
        return is_loopback(self.caller.address)

    # -- speaking ------------------------------------------------------------------------------------------------

    def process_event(self, event: Any) -> None:
        """Count incoming frames on the way to `websockets`, and end a client that sends too many."""
        if isinstance(event, Frame) and not self.rate.take(time.monotonic()) and self._farewell is None:
            self.say_goodbye(1008, "too many messages")
        super().process_event(event)

    def write(self, frames: bytes, count: int) -> None:
        """Write whole frames, at once as far as the network takes them."""
        if not frames or self.protocol.state is not State.OPEN or self.transport.is_closing():
            return
        self.transport.write(frames)
        self.backlog.wrote(self.transport.get_write_buffer_size())
        self.frames_sent += count
        self.bytes_sent += len(frames)

    def judge(self, now: float) -> Verdict:
        """Return whether to write, to wait or to drop this client."""
        return self.backlog.judge(self.transport.get_write_buffer_size(), now)

    def count_rate(self, now: float) -> None:
        """Measure frames a second over about the last one."""
        at, frames = self._counted
        if now - at >= 1.0:
            self.frames_per_s = (self.frames_sent - frames) / (now - at)
            self._counted = (now, self.frames_sent)

    def enter(self, target: Target, since_ns: int) -> None:
        """Take a place as WebSocket client, unless it has hung up already."""
        if self not in self._peers:
            return
        self.target = target
        self.since_ns = since_ns
        self.entered = True
        self._admission.enter(self.caller.address)

    def info(self, now: float) -> ClientInfo:
        """Return what a panel shows of this client."""
        behind_ms, latency_ms = self.backlog.behind_s(now) * 1000, self.latency * 1000
        return ClientInfo(
            address=self.caller.address,
            path=self.target.path if self.target is not None else "",
            since_ns=self.since_ns,
            subscriptions=len(self.topics),
            frames=self.frames_sent,
            bytes=self.bytes_sent,
            rate=self.frames_per_s,
            unsent=self.unsent,
            lag_ms=behind_ms or latency_ms or None,
            conflated=self.conflated,
        )

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read."""
        return int(self.transport.get_write_buffer_size())

    # -- leaving -------------------------------------------------------------------------------------------------

    @property
    def is_leaving(self) -> bool:
        """Whether the connection is being closed, by us or by the protocol."""
        return self._farewell is not None or self.protocol.state is not State.OPEN

    def leaves_for(self, now: float) -> float:
        """Return for how long it has been leaving; closing has no end of its own when the client plays dead."""
        if self._leaving_since is None:
            self._leaving_since = now
        return now - self._leaving_since

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close with a code and a reason, once, without waiting here."""
        if self._farewell is None:
            self.end_reason = reason
            self._farewell = self.loop.create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        with suppress(OSError):
            await self.close(code, reason)

    def cut(self, reason: str) -> None:
        """End the connection without a word; its unsent bytes are forgotten."""
        self.end_reason = self.end_reason or reason
        self.transport.abort()

    async def gone(self) -> None:
        """Return when the connection and its farewell are over."""
        await self.wait_closed()
        if self._farewell is not None:
            await asyncio.gather(self._farewell, return_exceptions=True)
