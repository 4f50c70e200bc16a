"""The WebSocket side of the simulated Hyperliquid: greeting, subscriptions, pings, posts, limits, faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from app.sim.answers import Answer, respond
from app.sim.connection import SimConnection, data_frame
from app.sim.hyperliquid import encoders
from app.sim.hyperliquid.faults import BAD_FRAMES, HUGE_FRAME_BYTES
from app.sim.hyperliquid.hub import Hub
from app.sim.hyperliquid.info import InfoDesk, Malformed, Request
from app.sim.hyperliquid.market import HyperMarket, Trade
from app.sim.hyperliquid.subscriptions import PER_COIN, WHOLE_MARKET, read_frame, read_subscription
from app.sim.limits import SlidingCount
from app.sim.streams import StreamServer

_HOUSEKEEPING_S = 0.1
_NOT_JSON = "Error parsing JSON into valid websocket request: "


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperLimits:
    """What the venue allows one address; times in seconds."""

    weight_per_minute: int = 1200
    connections: int = 10
    connections_per_minute: int = 30
    subscriptions: int = 1000
    messages_per_minute: int = 2000
    idle_close_s: float = 60.0
    write_buffer_bytes: int = 8 * 1024 * 1024


class HyperConnection(SimConnection):
    """A client that remembers when it was last sent something."""

    def flush(self, buffer_limit_bytes: int) -> bool:
        """Write the outbox, and note it."""
        before = self.frames_sent
        kept_up = super().flush(buffer_limit_bytes)
        if self.frames_sent != before:
            self.last_ping = self.loop.time()
        return kept_up


class HyperVenue(StreamServer):
    """Serves `/ws`. Call `publish` after every step."""

    connection_type = HyperConnection

    def __init__(self, market: HyperMarket, info: InfoDesk, limits: HyperLimits, now_ms: Callable[[], int]) -> None:
        """Take the market, what answers posts, and the limits; `now_ms` is UTC ms."""
        super().__init__("hyperliquid", write_buffer_bytes=limits.write_buffer_bytes, housekeeping_s=_HOUSEKEEPING_S)
        self.limits = limits
        self.hub = Hub(market, info, now_ms)
        self.lasting: Callable[[str], bool] = lambda _name: False
        self._market = market
        self._info = info
        self._attempts = SlidingCount(limits.connections_per_minute, 60.0, self.loop_time)
        self._messages = SlidingCount(limits.messages_per_minute, 60.0, self.loop_time)

    def publish(self, trades: list[Trade]) -> None:
        """Queue and write what a step brought, unless the venue is stalled."""
        if not self.lasting("stall"):
            self.hub.publish(trades)
        self.flush()

    # Clients

    def admit(self, connection: SimConnection, request: HttpRequest) -> Response | None:
        """Refuse clients over the limits and paths that are none, let the others in."""
        self.counts["connection_attempts"] += 1
        if request.path.partition("?")[0] != "/ws":
            return respond(Answer(404, b"Not Found"))
        if self.lasting("refuse"):
            self.counts["connections_refused"] += 1
            return respond(Answer(503, b"Service unavailable"))
        if not self._attempts.add() or len(self.connections) >= self.limits.connections:
            self.counts["connections_over_limit"] += 1
            return respond(Answer(429, b"Too many connections"))
        return None

    async def talk(self, client: SimConnection) -> None:
        """Greet a client and answer its messages."""
        self._say(client, encoders.GREETING)
        client.flush(self.limits.write_buffer_bytes)
        async for text in client:
            self.counts["client_messages"] += 1
            self._on_message(client, text)
            client.flush(self.limits.write_buffer_bytes)

    def forget(self, client: SimConnection) -> None:
        """Take its subscriptions from a client that is gone."""
        self.hub.forget(client)

    def _say(self, client: SimConnection, text: str) -> None:
        client.queue(data_frame(text.encode()))

    def _on_message(self, client: SimConnection, text: str | bytes) -> None:
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        if not self._messages.add():
            self.counts["messages_over_limit"] += 1
            self._say(client, encoders.error("Cannot send more than the allowed messages per minute"))
            return
        try:
            frame = read_frame(text)
            method = frame.get("method")
            if method == "ping":
                if not self.lasting("nopong"):
                    self._say(client, encoders.PONG)
            elif method in ("subscribe", "unsubscribe"):
                self._subscribe(client, frame, str(method))
            elif method == "post":
                self._post(client, frame)
            else:
                raise Malformed(str(method))
        except Malformed:
            self.counts["messages_refused"] += 1
            self._say(client, encoders.error(_NOT_JSON + shown[:200]))

    def _subscribe(self, client: SimConnection, frame: Request, method: str) -> None:
        wanted = read_subscription(frame.get("subscription"))
        if wanted.kind in PER_COIN and wanted.coin not in self._market.by_name:
            self._refuse(client, f"Invalid subscription {wanted.text()}")
        elif wanted.kind in WHOLE_MARKET and self.lasting("noctxs"):
            raise Malformed(wanted.kind)
        elif method == "unsubscribe":
            if self.hub.unsubscribe(client, wanted):
                self._acknowledge(client, method, wanted.text())
            else:
                self._refuse(client, f"Already unsubscribed: {wanted.text()}")
        elif self.hub.has(client, wanted):
            self._refuse(client, f"Already subscribed: {wanted.text()}")
        elif len(self.hub) >= self.limits.subscriptions:
            self._refuse(client, f"Cannot track more than {self.limits.subscriptions} subscriptions.")
        else:
            self._acknowledge(client, method, wanted.text())
            self.hub.subscribe(client, wanted)

    def _acknowledge(self, client: SimConnection, method: str, subscription: str) -> None:
        self.counts[method] += 1
        data = f'{{"method":"{method}","subscription":{subscription}}}'
        self._say(client, encoders.message("subscriptionResponse", data))

    def _refuse(self, client: SimConnection, text: str) -> None:
        self.counts["messages_refused"] += 1
        self._say(client, encoders.error(text))

    def _post(self, client: SimConnection, frame: Request) -> None:
        number, request = frame.get("id"), frame.get("request")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(request, dict):
            raise Malformed("post")
        payload = request.get("payload")
        if request.get("type") != "info":
            response = encoders.dump({"type": "error", "payload": "Unsupported request type"})
        else:
            answer = self._info.answer(payload)
            if answer.status == 200:
                assert isinstance(payload, dict)
                name = encoders.dump(payload["type"])
                response = f'{{"type":"info","payload":{{"type":{name},"data":{answer.body.decode()}}}}}'
            else:
                response = encoders.dump({"type": "error", "payload": f"{answer.status}: {answer.body.decode()}"})
        self._say(client, encoders.message("post", f'{{"id":{number},"response":{response}}}'))

    def keep_house(self, now_s: float) -> None:
        """End connections that were sent nothing for too long."""
        for client in list(self.connections):
            if now_s - client.last_ping > self.limits.idle_close_s and not client.half_open:
                self._end_idle(client)

    def _end_idle(self, client: SimConnection) -> None:
        if client.farewell is None:
            self.counts["closed_idle"] += 1
            client.say_goodbye(1000, "Inactive")

    # Faults of connections

    def end_all_idle(self) -> None:
        """Close every connection as one that was sent nothing for too long."""
        for client in list(self.connections):
            self._end_idle(client)

    def cut_all(self) -> None:
        """Cut every connection without a word."""
        for client in list(self.connections):
            client.abort()

    def half_open_all(self) -> None:
        """Let every connection look alive and say nothing any more."""
        for client in list(self.connections):
            client.go_half_open()

    def say_nonsense(self, kind: str | None) -> None:
        """Send every client bad frames: one kind, or one of each."""
        for client in list(self.connections):
            for text in [BAD_FRAMES[kind]] if kind else BAD_FRAMES.values():
                self._say(client, text)
        self.flush()

    def say_too_much(self) -> None:
        """Send every client a frame of 5 MiB."""
        for client in list(self.connections):
            self._say(client, encoders.message("padding", f'"{"x" * HUGE_FRAME_BYTES}"'))
        self.flush()

    def state(self) -> dict[str, object]:
        """Return counters."""
        return {
            **self.counts,
            "connections": len(self.connections),
            "subscriptions": len(self.hub),
            "weight_used": self._info.meter.used_weight,
            "rest_requests": self._info.meter.requests,
            "requests_while_limited": self._info.meter.requests_while_limited,
        }
