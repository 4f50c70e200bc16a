"""One market of the simulated Binance on one port: WebSocket streams and REST, with the venue's limits and with faults.

REST is answered in place of the WebSocket handshake, so every answer closes its TCP connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from app.sim.streams import StreamServer
from app.sim.subscriptions import MAX_STREAMS, Control, answer, read_control, read_path
from app.sim.venue_faults import VenueFaults

_PING_EVERY_S = {Market.BINANCE_SPOT: 20.0, Market.BINANCE_USDM: 180.0}
_PONG_WITHIN_S = {Market.BINANCE_SPOT: 60.0, Market.BINANCE_USDM: 600.0}
_FRAMES_PER_S = {Market.BINANCE_SPOT: 5, Market.BINANCE_USDM: 10}
_HOUSEKEEPING_S = 0.1
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


class VenueServer(StreamServer):
    """Serves one market. Call `publish` for every diff and `flush` after each burst."""

    def __init__(
        self,
        market: Market,
        source: SimMarket,
        limits: VenueLimits,
        now_s: Callable[[], float],
    ) -> None:
        """Take the books and the limits; `now_s` is UTC seconds (intervals use the loop's clock)."""
        super().__init__(market.value, write_buffer_bytes=limits.write_buffer_bytes, housekeeping_s=_HOUSEKEEPING_S)
        self.market = market
        self.limits = limits
        weight_limit = limits.weight_limit or DEFAULT_WEIGHT_LIMITS[market]
        self.meter = WeightMeter(weight_limit, now_s, ban_after=limits.ban_after, ban_s=limits.ban_s)
        self._source = source
        self._now_ms: Callable[[], int] = lambda: int(now_s() * 1000)
        self.desk = RestDesk(market, source, self.meter, self._now_ms)
        newsroom = Newsroom(market, source, self._now_ms)
        self.hub = Hub(market, lambda: source.books[market], newsroom, self._now_ms)
        self._attempts = SlidingCount(limits.connections_per_5_min, 300.0, self.loop_time)
        self._faults = VenueFaults(
            market,
            source,
            self.hub,
            self.desk,
            self.connections,
            end_connection=self._end_connection,
            later=self.later,
            ban_s=limits.ban_s,
        )

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
        """Write what is queued, unless it shall leave in one burst; a client that does not read is cut off."""
        if not self._faults.active("burst"):
            super().flush()

    # Clients

    def admit(self, connection: SimConnection, request: Request) -> Response | None:
        """Answer REST, refuse clients over the limits and paths that are none, let the others in."""
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

    async def talk(self, client: SimConnection) -> None:
        """Subscribe a client to the streams of its path, and answer its control frames."""
        client.frame_limit = SlidingCount(self.limits.frames_per_s or _FRAMES_PER_S[self.market], 1.0, self.loop_time)
        self._subscribe(client, client.first_streams)
        async for message in client:
            self.counts["control_frames"] += 1
            reply = self._on_control(client, read_control(message))
            if reply is not None:
                client.queue(data_frame(reply.encode()))
                if not self._faults.active("burst"):
                    client.flush(self.limits.write_buffer_bytes)

    def forget(self, client: SimConnection) -> None:
        """Take its streams from a client that is gone."""
        self.hub.forget(client)
        if client.too_many_frames:
            self.counts["closed_for_frame_rate"] += 1

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

    def keep_house(self, now_s: float) -> None:
        """Ping clients, cut those that do not pong, end those past their life."""
        ping_every = self.limits.ping_every_s or _PING_EVERY_S[self.market]
        pong_within = self.limits.pong_within_s or _PONG_WITHIN_S[self.market]
        for client in list(self.connections):
            if client.half_open:
                continue
            waiting_since = client.unanswered_since
            if waiting_since is not None and now_s - waiting_since > pong_within:
                self.counts["closed_for_pong"] += 1
                client.abort()
            elif now_s - client.last_ping >= ping_every:
                client.last_ping = now_s
                client.unanswered_since = now_s if waiting_since is None else waiting_since
                client.protocol.send_ping(str(self._now_ms()).encode())
                client.send_data()
            if now_s - client.opened_at >= self.limits.connection_life_s and not client.shutdown_told:
                self._end_connection(client, notice_s=1.0)

    def _end_connection(self, client: SimConnection, notice_s: float) -> None:
        client.shutdown_told = True
        if self.market is Market.BINANCE_SPOT:
            payload = encoders.server_shutdown(self._now_ms())
            text = encoders.wrapped(_SHUTDOWN_STREAM, payload) if client.combined else payload
            client.queue(data_frame(text.encode()))
            client.flush(self.limits.write_buffer_bytes)
        self.later(notice_s, lambda: client.say_goodbye(1001, "24 h"))

    def start_fault(self, fault: Fault) -> None:
        """Begin a fault of this market; `restart` is the simulator's own."""
        self._faults.start(fault)
        self.counts[f"fault_{fault.name}"] += 1

    def forget_faults(self) -> None:
        """End every fault that lasts, as a new process knows nothing of them."""
        self._faults.forget()

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
