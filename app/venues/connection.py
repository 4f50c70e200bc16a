"""One WebSocket from handshake to close: bytes of each frame in, calls of `deliver` out.

Frames are held back until the link goes live with this connection, so that nothing reaches the books before its
streams are announced, and so that a planned replacement can fill up while its predecessor still delivers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from app.domain.errors import FatalFeedError
from app.venues.explain import LinkLost, closed_by, is_hopeless, not_opened

_quiet = logging.getLogger("fathom.venues.websockets")
_quiet.setLevel(logging.WARNING)
_MAX_HELD_BYTES: Final = 64 * 2**20
_BURST: Final = 32
"""So many frames, a few milliseconds of work, are taken in one go."""


def is_loopback(host: str) -> bool:
    """Tell whether a host name stands for this computer, to which no proxy leads."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def verifying_context() -> ssl.SSLContext:
    """Return the TLS settings of every secure connection: certificate and host name are always checked."""
    return ssl.create_default_context()


class Connection:
    """One socket. `inspect` sees every frame as it arrives, `deliver` when the connection is live.

    ping_interval_s: None where the peer has a heartbeat of its own. context: TLS settings in place of the usual ones.
    headers: more of them for the handshake.
    """

    def __init__(
        self,
        url: str,
        *,
        inspect: Callable[[bytes], None],
        deliver: Callable[[bytes], None],
        open_timeout_s: float,
        ping_interval_s: float | None,
        ping_timeout_s: float | None,
        close_timeout_s: float,
        max_size: int,
        context: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.held: list[bytes] = []
        self.on_held: Callable[[], None] | None = None
        """Called after each frame that was held back."""
        self.frames = 0
        self.bytes = 0
        self._held_bytes = 0
        self._inspect = inspect
        self._deliver = deliver
        self._take: Callable[[bytes], None] = self._hold
        self._open_timeout_s = open_timeout_s
        self._max_size = max_size
        self._settings: dict[str, Any] = {
            "open_timeout": open_timeout_s,
            "ping_interval": ping_interval_s,
            "ping_timeout": ping_timeout_s,
            "close_timeout": close_timeout_s,
            "max_size": max_size,
            "compression": None,
            "logger": _quiet,
            "additional_headers": headers,
        }
        self._context = context
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        """Connect. Raises LinkLost with a sentence, FatalFeedError when the address is none."""
        settings = dict(self._settings)
        if self.url.startswith("wss:"):
            settings["ssl"] = self._context or verifying_context()
        if is_loopback(urlsplit(self.url).hostname or ""):
            settings["proxy"] = None
        try:
            self._socket = await connect(self.url, **settings)
        except (OSError, ValueError, InvalidHandshake, InvalidURI, EOFError, ImportError) as error:
            # an untrusted certificate is a ValueError too, and an OSError
            if is_hopeless(error) or (isinstance(error, ValueError) and not isinstance(error, OSError)):
                raise FatalFeedError(
                    f"expected an address that begins with ws:// or wss://, was {self.url!r}"
                ) from error
            raise not_opened(error, self.url, self._open_timeout_s) from error

    async def read(self) -> LinkLost:
        """Read until the connection ends; return why it did."""
        socket = self._socket
        assert socket is not None
        receive, inspect = socket.recv, self._inspect
        try:
            while True:
                raw = await receive(decode=False)
                self.frames += 1
                self.bytes += len(raw)
                inspect(raw)
                self._take(raw)
                if not self.frames % _BURST:
                    await asyncio.sleep(0)  # frames that wait already are taken without a pause: others get their turn
        except ConnectionClosed as closed:
            return closed_by(closed, self._max_size)
        except LinkLost as lost:
            return lost

    async def send(self, text: str) -> None:
        """Send a control message. Raises LinkLost when the connection has ended."""
        assert self._socket is not None
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise closed_by(closed, self._max_size) from closed

    # -- holding back --------------------------------------------------------------------------------------------

    def _hold(self, raw: bytes) -> None:
        self.held.append(raw)
        self._held_bytes += len(raw)
        if self._held_bytes > _MAX_HELD_BYTES:
            raise LinkLost("too much data arrived before the streams were confirmed")
        if self.on_held is not None:
            self.on_held()

    def go_live(self) -> None:
        """Deliver what was held back, in order, and every frame from here on as it arrives."""
        self._take = self._deliver
        held, self.held = self.held, []
        for raw in held:
            self._deliver(raw)

    async def drain(self, chunk: int = 100) -> None:
        """Deliver most of what was held back, with pauses in which other work of the loop is done."""
        while len(self.held) > chunk:
            part, self.held = self.held[:chunk], self.held[chunk:]
            for raw in part:
                self._deliver(raw)
            await asyncio.sleep(0)

    def mute(self) -> None:
        """Drop what arrives from here on: another connection has taken over."""
        self._take = _ignore

    # -- end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close with a handshake when the peer takes part in one; in any case within the close time-out."""
        socket = self._socket
        if socket is None:
            return
        try:
            await socket.close()  # bounded by the close time-out
        finally:
            self.abort()
        await socket.wait_closed()
        await asyncio.sleep(0)  # the keep-alive task of the socket ends here

    def abort(self) -> None:
        """Drop the socket at once."""
        if self._socket is not None:
            self._socket.transport.abort()


def _ignore(_raw: bytes) -> None:
    return None
