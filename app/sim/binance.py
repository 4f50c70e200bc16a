"""One market of the simulated Binance on one port: WebSocket streams and REST, with the venue's limits and with faults.

REST is answered in place of the WebSocket handshake, so every answer closes its TCP connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.domain.ids import Market
from app.sim import encoders
from app.sim.answers import Answer, respond
from app.sim.book import Changes, SimBook
from app.sim.connection import SimConnection, data_frame
from app.sim.faults import Fault
from app.sim.hub import Hub
from app.sim.limits import SlidingCount, WeightMeter
from app.sim.market import SimMarket
from app.sim.newsroom import Newsroom
from app.sim.rest import DEFAULT_WEIGHT_LIMITS, RestDesk
from app.sim.subscriptions import MAX_STREAMS, Control, answer, read_control, read_path
from app.sim.venue_faults import VenueFaults

log = logging.getLogger("fathom.sim")

_PING_EVERY_S = {Market.BINANCE_SPOT: 20.0, Market.BINANCE_USDM: 180.0}
_PONG_WITHIN_S = {Market.BINANCE_SPOT: 60.0, Market.BINANCE_USDM: 600.0}
_FRAMES_PER_S = {Market.BINANCE_SPOT: 5, Market.BINANCE_USDM: 10}
_HOUSEKEEPING_S = 0.1
_STOP_GRACE_S = 0.5
_FIND_OUT_S = 3.0
_SHUTDOWN_STREAM = "!serverShutdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLimits:
    """What the venue allows; None stands for the documented value of the market. Times in seconds."""

    weight_limit: int | None = None
    ban_after: int = 5
    ban_s: float = 120.0
    frames_per_s: int | None = None
    streams_per_connection: int = MAX_STREAMS
    connections_per_5_min: int = 300
    connection_life_s: float = 86_400.0
    ping_every_s: float | None = None
    pong_within_s: float | None = None
    write_buffer_bytes: int = 8 * 1024 * 1024


class VenueServer:
    """Serves one market. Call `publish` for every diff and `flush` after each burst."""

    def __init__(
        self,
        market: Market,
        source: SimMarket,
        limits: VenueLimits,
        now_s: Callable[[], float],
    ) -> None:
        """Take the books and the limits; `now_s` is UTC seconds (intervals use the loop's clock)."""
        self.market = market
        self.limits = limits
        self.port = 0
        self.counts: Counter[str] = Counter()
        weight_limit = limits.weight_limit or DEFAULT_WEIGHT_LIMITS[market]
        self.meter = WeightMeter(weight_limit, now_s, ban_after=limits.ban_after, ban_s=limits.ban_s)
        self._source = source
        self._now_ms: Callable[[], int] = lambda: int(now_s() * 1000)
        self.desk = RestDesk(market, source, self.meter, self._now_ms)
        newsroom = Newsroom(market, source, self._now_ms)
        self.hub = Hub(market, lambda: source.books[market], newsroom, self._now_ms)
        self.connections: dict[SimConnection, None] = {}
        self._server: Server | None = None
        self._housekeeper: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._attempts = SlidingCount(limits.connections_per_5_min, 300.0, lambda: self._loop.time())
        self._faults = VenueFaults(
            market,
            source,
            self.hub,
            self.desk,
            self.connections,
            end_connection=self._end_connection,
            later=self._later,
            ban_s=limits.ban_s,
        )

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def start(self, host: str, port: int) -> None:
        """Listen, unless listening already; `port` 0 takes any free one, kept for later starts."""
        if self._server is not None:
            return
        self._server = await serve(
            self._serve_client,
            host,
            self.port or port,
            process_request=self._on_request,
            create_connection=SimConnection,
            compression=None,
            ping_interval=None,
            close_timeout=_FIND_OUT_S,
            open_timeout=10,
            max_size=2**20,
            server_header=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._housekeeper = asyncio.create_task(self._keep_house(), name=f"sim {self.market.value} housekeeping")

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
            await asyncio.wait_for(server.wait_closed(), _STOP_GRACE_S)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await server.wait_closed()
        farewells = [each.farewell for each in self.connections if each.farewell is not None]
        await asyncio.gather(*farewells, return_exceptions=True)
        self.connections.clear()

    # Data out

    def publish(self, book: SimBook, changes: Changes) -> None:
        """Queue a diff's messages, unless the venue is stalled."""
        if not self._faults.active("stall"):
            self.hub.publish(book, changes)

    def end_step(self) -> None:
        """Queue what slower streams owe after a 100 ms step."""
        if not self._faults.active("stall"):
            self.hub.publish_due(self._source.books[self.market], self._source.step_number)

    def flush(self) -> None:
        """Write what is queued; a client that does not read is cut off."""
        if self._faults.active("burst"):
            return
        for connection in list(self.connections):
            before = connection.frames_sent
            if not connection.flush(self.limits.write_buffer_bytes):
                self.counts["clients_dropped_slow"] += 1
                log.warning("a client on %s reads too slowly and is cut off", self.market.value)
            self.counts["frames_sent"] += connection.frames_sent - before

    # Clients

    def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, SimConnection)
        path, _, query = request.path.partition("?")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._on_rest(connection, path, query)
        self.counts["connection_attempts"] += 1
        if not self._attempts.add():
            self.counts["connections_over_limit"] += 1
            return respond(Answer(429, b"Too many connection attempts", {"Retry-After": "300"}))
        if self._faults.active("refuse"):
            self.counts["connections_refused"] += 1
            return respond(Answer(503, b"Service unavailable"))
        endpoint = read_path(self.market, request.path)
        if endpoint is None:
            return respond(Answer(404, b"Not Found"))
        connection.combined, connection.category = endpoint.combined, endpoint.category
        connection.first_streams = endpoint.streams
        return None

    def _on_rest(self, connection: SimConnection, path: str, query: str) -> Response:
        self.counts["rest_requests"] += 1
        if self._faults.active("rest_down"):
            self.counts["rest_refused"] += 1
            if self._faults.rest_down_status is None:
                connection.abort()
            return respond(Answer(self._faults.rest_down_status or 503, b"Service unavailable"))
        return respond(self.desk.answer(path, query))

    async def _serve_client(self, client: ServerConnection) -> None:
        assert isinstance(client, SimConnection)
        client.frame_limit = SlidingCount(
            self.limits.frames_per_s or _FRAMES_PER_S[self.market], 1.0, lambda: self._loop.time()
        )
        self.connections[client] = None
        self.counts["connections_opened"] += 1
        try:
            self._subscribe(client, client.first_streams)
            async for message in client:
                self.counts["control_frames"] += 1
                reply = self._on_control(client, read_control(message))
                if reply is not None:
                    client.queue(data_frame(reply.encode()))
                    if not self._faults.active("burst"):
                        client.flush(self.limits.write_buffer_bytes)
        except ConnectionClosed:
            log.debug("a client on %s left without a closing handshake", self.market.value)
        finally:
            self.hub.forget(client)
            self.connections.pop(client, None)
            if client.too_many_frames:
                self.counts["closed_for_frame_rate"] += 1
            if client.farewell is not None and not client.farewell.done():
                await client.farewell

    def _on_control(self, client: SimConnection, control: Control) -> str | None:
        if control.error is None:
            if control.method == "SUBSCRIBE":
                if not self._subscribe(client, control.params):
                    return None
            elif control.method == "UNSUBSCRIBE":
                self.hub.unsubscribe(client, control.params)
            elif control.method == "LIST_SUBSCRIPTIONS":
                return answer(control, list(client.streams))
            elif control.method == "GET_PROPERTY":
                return answer(control, client.combined)
            elif control.combined is not None:
                client.combined = control.combined
        return answer(control)

    def _subscribe(self, client: SimConnection, names: list[str]) -> bool:
        if len(set(client.streams) | set(names)) > self.limits.streams_per_connection:
            self.counts["closed_for_streams"] += 1
            client.say_goodbye(1008, "Too many streams")
            return False
        self.hub.subscribe(client, names, silent=self._faults.active("silent_ack"))
        self.counts["subscriptions"] += len(names)
        self.counts["subscriptions_silent"] += sum(not self.hub.delivers(client, name) for name in names)
        return True

    async def _keep_house(self) -> None:
        """Ping clients, cut those that do not pong, end those past their life."""
        ping_every = self.limits.ping_every_s or _PING_EVERY_S[self.market]
        pong_within = self.limits.pong_within_s or _PONG_WITHIN_S[self.market]
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now = self._loop.time()
            for client in list(self.connections):
                if client.half_open:
                    continue
                waiting_since = client.unanswered_since
                if waiting_since is not None and now - waiting_since > pong_within:
                    self.counts["closed_for_pong"] += 1
                    client.abort()
                elif now - client.last_ping >= ping_every:
                    client.last_ping = now
                    client.unanswered_since = now if waiting_since is None else waiting_since
                    client.protocol.send_ping(str(self._now_ms()).encode())
                    client.send_data()
                if now - client.opened_at >= self.limits.connection_life_s and not client.shutdown_told:
                    self._end_connection(client, notice_s=1.0)

    def _end_connection(self, client: SimConnection, notice_s: float) -> None:
        client.shutdown_told = True
        if self.market is Market.BINANCE_SPOT:
            payload = encoders.server_shutdown(self._now_ms())
            text = encoders.wrapped(_SHUTDOWN_STREAM, payload) if client.combined else payload
            client.queue(data_frame(text.encode()))
            client.flush(self.limits.write_buffer_bytes)
        self._later(notice_s, lambda: client.say_goodbye(1001, "24 h"))

    def start_fault(self, fault: Fault) -> None:
        """Begin a fault of this market; `restart` is the simulator's own."""
        self._faults.start(fault)
        self.counts[f"fault_{fault.name}"] += 1

    def forget_faults(self) -> None:
        """End every fault that lasts, as a new process knows nothing of them."""
        self._faults.forget()

    def _later(self, seconds: float, action: Callable[[], Any]) -> None:
        def act() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(seconds, act)
        self._timers.add(timer)

    def state(self) -> dict[str, object]:
        """Return counters for `/sim/state`."""
        return {
            **self.counts,
            "connections": len(self.connections),
            "streams": sum(len(each.streams) for each in self.connections),
            "weight_used": self.meter.used_weight,
            "weight_limit": self.meter.limit,
            "requests_while_limited": self.meter.requests_while_limited,
            "requests_while_banned": self.meter.requests_while_banned,
        }
