"""Listens for WebSocket clients of a simulated venue, writes to them in bursts, and ends them cleanly or abruptly.

What clients say and are told, and which are let in, is each venue's own matter.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.sim.connection import SimConnection

log = logging.getLogger("fathom.sim")

_STOP_GRACE_S = 0.5
_CLOSE_WITHIN_S = 3.0


class StreamServer(ABC):
    """Serves streams on one port. Call `flush` after queueing."""

    connection_type: type[SimConnection] = SimConnection

    def __init__(self, name: str, *, write_buffer_bytes: int, housekeeping_s: float) -> None:
        """Take the name for logs, how far a client may lag behind, and how often `keep_house` is called."""
        self.name = name
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.connections: dict[SimConnection, None] = {}
        self._write_buffer_bytes = write_buffer_bytes
        self._housekeeping_s = housekeeping_s
        self._server: Server | None = None
        self._housekeeper: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    @abstractmethod
    def admit(self, connection: SimConnection, request: Request) -> Response | None:
        """Return what to answer in place of a handshake, None to let the client in."""

    @abstractmethod
    async def talk(self, client: SimConnection) -> None:
        """Read what a client says until it leaves."""

    @abstractmethod
    def forget(self, client: SimConnection) -> None:
        """Drop what is kept about a client that is gone."""

    @abstractmethod
    def keep_house(self, now_s: float) -> None:
        """End clients whose time is over; `now_s` is the loop's clock."""

    async def start(self, host: str, port: int) -> None:
        """Listen, unless listening already; `port` 0 takes any free one, kept for later starts."""
        if self._server is not None:
            return
        self._server = await serve(
            self._serve_client,
            host,
            self.port or port,
            process_request=self._on_request,
            create_connection=self.connection_type,
            compression=None,
            ping_interval=None,
            close_timeout=_CLOSE_WITHIN_S,
            open_timeout=10,
            max_size=2**20,
            server_header=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._housekeeper = asyncio.create_task(self._keep_house(), name=f"sim {self.name} housekeeping")

    async def stop(self, *, abrupt: bool = False) -> None:
        """Close everything: with 1001 for those who answer in time, or all at once."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._housekeeper is not None:
            self._housekeeper.cancel()
            await asyncio.gather(self._housekeeper, return_exceptions=True)
        for connection in list(self.connections):
            if abrupt or connection.half_open:
                connection.abort()
        server.close()
        try:
            async with asyncio.timeout(_STOP_GRACE_S):
                await server.wait_closed()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await server.wait_closed()
        farewells = [each.farewell for each in self.connections if each.farewell is not None]
        await asyncio.gather(*farewells, return_exceptions=True)
        self.connections.clear()

    def flush(self) -> None:
        """Write what is queued; a client that does not read is cut off."""
        for connection in list(self.connections):
            before = connection.frames_sent
            if not connection.flush(self._write_buffer_bytes):
                self.counts["clients_dropped_slow"] += 1
                log.warning("a client on %s reads too slowly and is cut off", self.name)
            self.counts["frames_sent"] += connection.frames_sent - before

    def later(self, seconds: float, action: Callable[[], Any]) -> None:
        """Act in some seconds, unless stopped before."""

        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = self.loop.call_later(seconds, act)
        self._timers.add(timer)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return asyncio.get_running_loop()

    def loop_time(self) -> float:
        """Return the seconds of the running loop's clock."""
        return self.loop.time()

    def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, SimConnection)
        return self.admit(connection, request)

    async def _serve_client(self, client: ServerConnection) -> None:
        assert isinstance(client, SimConnection)
        self.connections[client] = None
        self.counts["connections_opened"] += 1
        try:
            await self.talk(client)
        except ConnectionClosed:
            log.debug("a client on %s left without a closing handshake", self.name)
        finally:
            self.forget(client)
            self.connections.pop(client, None)
            if client.farewell is not None and not client.farewell.done():
                await client.farewell

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._housekeeping_s)
            self.keep_house(self.loop_time())
