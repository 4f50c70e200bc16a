"""The stream server of one market of the simulated Bybit: handshakes, requests on connections, limits and faults.

Requests and answers as in ws/connect and rate-limit of the venue's v5 documents; one topic that is refused refuses its
whole batch, as the venue does, unless `VenueLimits.lenient_batches`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.domain.ids import Market
from app.sim.answers import Answer, respond
from app.sim.bybit import encoders
from app.sim.bybit.faults import OF_BOOKS, Fault
from app.sim.bybit.topics import batch_error
from app.sim.bybit.venue import BybitVenue
from app.sim.connection import SimConnection, data_frame
from app.sim.fault_text import FaultError
from app.sim.limits import SlidingCount

log = logging.getLogger("fathom.sim")

PATHS = {Market.BYBIT_SPOT: "/v5/public/spot", Market.BYBIT_LINEAR: "/v5/public/linear"}
_LASTING_S = {"stall": 5.0, "nopong": 30.0, "refuse": 60.0, "http403": 10.0}
_HALF_OPEN_S = 300.0  # a client has to notice by itself
_GIANT_BYTES = 5 * 1024 * 1024
_HOUSEKEEPING_S = 0.2
_CLOSE_TIMEOUT_S = 3.0
_STOP_GRACE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLimits:
    """What the venue allows on streams: documented values. Times in seconds."""

    args_chars: int = 21_000
    connections_per_5_min: int = 500
    idle_s: float = 600.0
    lenient_batches: bool = False
    write_buffer_bytes: int = 16 * 1024 * 1024


class Gateway:
    """Serves the streams of one market on one port."""

    def __init__(self, venue: BybitVenue, limits: VenueLimits) -> None:
        """Take the market; call `welcome` before and `flush` after each of its moves."""
        self.venue = venue
        self.limits = limits
        self.port = 0
        self.counts: Counter[str] = Counter()
        self.connections: dict[SimConnection, None] = {}
        self._identities: dict[SimConnection, str] = {}
        self._server: Server | None = None
        self._housekeeper: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._until: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._owed: list[tuple[SimConnection, str]] = []
        self._attempts = SlidingCount(limits.connections_per_5_min, 300.0, lambda: self._loop.time())

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._server = await serve(
            self._serve_client,
            host,
            port,
            process_request=self._on_request,
            create_connection=SimConnection,
            compression=None,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            open_timeout=10,
            max_size=2**20,
            server_header=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._housekeeper = asyncio.create_task(self._keep_house(), name=f"sim {self.venue.market.value} housekeeping")

    async def stop(self) -> None:
        """Close everything: with 1001 for those who answer in time."""
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
            if connection.half_open:
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

    def active(self, fault: str) -> bool:
        """Tell whether a fault that lasts is on."""
        return self._loop.time() < self._until.get(fault, 0.0)

    def flush(self) -> None:
        """Write what is queued; a client that does not read is cut off."""
        for connection in list(self.connections):
            before = connection.frames_sent
            if not connection.flush(self.limits.write_buffer_bytes):
                self.counts["clients_dropped_slow"] += 1
                log.warning("a client on %s reads too slowly and is cut off", self.venue.market.value)
            self.counts["frames_sent"] += connection.frames_sent - before

    # Clients

    def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return respond(Answer(404, b"Not Found"))
        self.counts["connection_attempts"] += 1
        if self.active("http403") or not self._attempts.add():
            self.counts["connections_refused"] += 1
            return respond(Answer(403, b"access too frequent"))
        if request.path.partition("?")[0] != PATHS[self.venue.market]:
            return respond(Answer(404, b"Not Found"))
        return None

    async def _serve_client(self, client: ServerConnection) -> None:
        assert isinstance(client, SimConnection)
        self.connections[client] = None
        self._identities[client] = str(uuid.uuid4())
        self.counts["connections_opened"] += 1
        try:
            async for message in client:
                client.last_ping = self._loop.time()
                self.counts["requests"] += 1
                self._on_message(client, message)
                client.flush(self.limits.write_buffer_bytes)
        except ConnectionClosed:
            log.debug("a client on %s left without a closing handshake", self.venue.market.value)
        finally:
            self.venue.unsubscribe(client, client.streams)
            self.connections.pop(client, None)
            self._identities.pop(client, None)
            if client.farewell is not None and not client.farewell.done():
                await client.farewell

    def _on_message(self, client: SimConnection, message: str | bytes) -> None:
        try:
            frame = json.loads(message)
        except ValueError:
            self._reply(client, "", None, "error:json decode failed")
            return
        if not isinstance(frame, dict):
            self._reply(client, "", None, "error:request expected")
            return
        op, identity, args = str(frame.get("op", "")), frame.get("req_id"), frame.get("args", [])
        request_id = None if identity is None else str(identity)
        if op == "ping":
            self.counts["pings"] += 1
            if not self.active("nopong"):
                self._reply(client, op, request_id, "pong", success=True)
        elif op not in ("subscribe", "unsubscribe"):
            self._reply(client, op, request_id, f"error:unknown op {op}")
        elif not isinstance(args, list) or not args or not all(isinstance(each, str) for each in args):
            self._reply(client, op, request_id, "error:params error")
        elif op == "subscribe":
            self._subscribe(client, request_id, args)
        else:
            self.venue.unsubscribe(client, args)
            self._reply(client, op, request_id, "" if self._linear else op, success=True)

    @property
    def _linear(self) -> bool:
        return self.venue.market is Market.BYBIT_LINEAR

    def _subscribe(self, client: SimConnection, request_id: str | None, args: list[str]) -> None:
        known_chars = sum(map(len, client.streams))
        error = batch_error(self.venue.market, args, known_chars, self.limits.args_chars)
        if error is not None:
            self.counts["batches_over_limit"] += 1
            self._reply(client, "subscribe", request_id, error)
            return
        errors = [self._error_of(client, name) for name in args]
        first_error = next(filter(None, errors), None)
        accepted = [name for name, bad in zip(args, errors, strict=True) if bad is None]
        if first_error is not None:
            self.counts["topics_refused"] += len(args) - len(accepted)
            if not self.limits.lenient_batches:
                accepted = []
        self._owed.extend((client, name) for name in dict.fromkeys(accepted))
        for name in dict.fromkeys(accepted):
            self.venue.enter(client, name)
        if first_error is not None:
            self._reply(client, "subscribe", request_id, first_error)
        elif not self._linear:
            self._reply(client, "subscribe", request_id, "subscribe", success=True)
        self.welcome()
        if first_error is None and self._linear:  # contracts are told their books first
            self._reply(client, "subscribe", request_id, "", success=True)

    def welcome(self) -> None:
        """Tell new subscribers what they are told first; those of a stall wait for its end, before the next move."""
        if not self._owed or self.active("stall"):
            return
        owed, self._owed = self._owed, []
        for client, name in owed:
            text = self.venue.first(name) if name in client.streams else None
            if text is not None:
                client.queue(data_frame(text.encode()))

    def _error_of(self, client: SimConnection, name: str) -> str | None:
        now = self._loop.time()
        refused = any(until > now and (name + ".").startswith(each + ".") for each, until in self._refused.items())
        if refused or not self.venue.knows(name):
            return f"Invalid topic: [{name}]" if not self._linear else f"error:handler not found,topic:{name}"
        return f"error:already subscribed,topic:{name}" if name in client.streams else None

    def _reply(
        self, client: SimConnection, op: str, request_id: str | None, message: str, *, success: bool = False
    ) -> None:
        text = encoders.reply(op, message, self._identities[client], request_id, linear=self._linear, success=success)
        client.queue(data_frame(text.encode()))

    async def _keep_house(self) -> None:
        """Cut connections whose client says nothing for too long."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now = self._loop.time()
            for client in list(self.connections):
                if not client.half_open and now - client.last_ping > self.limits.idle_s:
                    self.counts["closed_for_idleness"] += 1
                    client.abort()

    # Faults

    def start_fault(self, fault: Fault) -> None:
        """Begin a fault of this market's streams."""
        if fault.name in OF_BOOKS or fault.name == "liquidations":
            self.venue.start_fault(fault)
        elif fault.name == "refuse":
            if not fault.topic:
                raise FaultError("expected the topic to refuse, e.g. refuse:tickers.BTCUSDT")
            self._refused[fault.topic] = self._loop.time() + self._lasting(fault)
        elif fault.name in _LASTING_S:
            self._until[fault.name] = self._loop.time() + self._lasting(fault)
        elif fault.name == "calm":
            self._until.clear()
            self._refused.clear()
        elif fault.name == "giant":
            size = fault.size or _GIANT_BYTES
            padding = data_frame(b'{"topic":"padding","type":"snapshot","data":"' + b"x" * size + b'"}')
            for client in list(self.connections):
                client.queue(padding)
        else:
            self._end_connections(fault)
        self.counts[f"fault_{fault.name}"] += 1

    def _lasting(self, fault: Fault) -> float:
        return _LASTING_S[fault.name] if fault.duration is None else fault.duration

    def _end_connections(self, fault: Fault) -> None:
        for client in list(self.connections):
            if fault.name == "close":
                client.say_goodbye(1001, "service maintenance")
            elif fault.name == "drop":
                client.abort()
            else:
                client.go_half_open()
                seconds = _HALF_OPEN_S if fault.duration is None else fault.duration
                self._timers.append(self._loop.call_later(seconds, client.abort))

    def state(self) -> dict[str, Any]:
        """Return counters for `/state`."""
        return {
            **self.counts,
            "connections": len(self.connections),
            "topics": sum(len(each.streams) for each in self.connections),
        }
