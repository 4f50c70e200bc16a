"""The stream server of one market of the simulated Bybit: handshakes, requests on connections, limits and faults.

Requests and answers as in ws/connect and rate-limit of the venue's v5 documents; one topic that is refused refuses its
whole batch, as the venue does, unless `VenueLimits.lenient_batches`.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

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
from app.sim.streams import StreamServer

PATHS = {Market.BYBIT_SPOT: "/v5/public/spot", Market.BYBIT_LINEAR: "/v5/public/linear"}
_LASTING_S = {"stall": 5.0, "nopong": 30.0, "refuse": 60.0, "http403": 10.0}
_HALF_OPEN_S = 300.0  # a client has to notice by itself
_GIANT_BYTES = 5 * 1024 * 1024
_HOUSEKEEPING_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLimits:
    """What the venue allows on streams: documented values. Times in seconds."""

    args_chars: int = 21_000
    connections_per_5_min: int = 500
    idle_s: float = 600.0
    lenient_batches: bool = False
    write_buffer_bytes: int = 16 * 1024 * 1024


class Gateway(StreamServer):
    """Serves the streams of one market on one port."""

    def __init__(self, venue: BybitVenue, limits: VenueLimits) -> None:
        """Take the market; call `welcome` before and `flush` after each of its moves."""
        super().__init__(
            venue.market.value, write_buffer_bytes=limits.write_buffer_bytes, housekeeping_s=_HOUSEKEEPING_S
        )
        self.venue = venue
        self.limits = limits
        self._identities: dict[SimConnection, str] = {}
        self._until: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._owed: list[tuple[SimConnection, str]] = []
        self._attempts = SlidingCount(limits.connections_per_5_min, 300.0, self.loop_time)

    def active(self, fault: str) -> bool:
        """Tell whether a fault that lasts is on."""
        return self.loop_time() < self._until.get(fault, 0.0)

    # Clients

    def admit(self, connection: SimConnection, request: Request) -> Response | None:
        """Refuse clients over the limits and paths that are none, let the others in."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return respond(Answer(404, b"Not Found"))
        self.counts["connection_attempts"] += 1
        if self.active("http403") or not self._attempts.add():
            self.counts["connections_refused"] += 1
            return respond(Answer(403, b"access too frequent"))
        if request.path.partition("?")[0] != PATHS[self.venue.market]:
            return respond(Answer(404, b"Not Found"))
        return None

    async def talk(self, client: SimConnection) -> None:
        """Answer a client's requests."""
        self._identities[client] = str(uuid.uuid4())
        async for message in client:
            client.last_ping = self.loop_time()
            self.counts["requests"] += 1
            self._on_message(client, message)
            client.flush(self.limits.write_buffer_bytes)

    def forget(self, client: SimConnection) -> None:
        """Take its topics from a client that is gone."""
        self.venue.unsubscribe(client, client.streams)
        self._identities.pop(client, None)

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
        now = self.loop_time()
        refused = any(until > now and (name + ".").startswith(each + ".") for each, until in self._refused.items())
        if refused or not self.venue.knows(name):
            return f"Invalid topic: [{name}]" if not self._linear else f"error:handler not found,topic:{name}"
        return f"error:already subscribed,topic:{name}" if name in client.streams else None

    def _reply(
        self, client: SimConnection, op: str, request_id: str | None, message: str, *, success: bool = False
    ) -> None:
        text = encoders.reply(op, message, self._identities[client], request_id, linear=self._linear, success=success)
        client.queue(data_frame(text.encode()))

    def keep_house(self, now_s: float) -> None:
        """Cut connections whose client says nothing for too long."""
        for client in list(self.connections):
            if not client.half_open and now_s - client.last_ping > self.limits.idle_s:
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
            self._refused[fault.topic] = self.loop_time() + self._lasting(fault)
        elif fault.name in _LASTING_S:
            self._until[fault.name] = self.loop_time() + self._lasting(fault)
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
                self.later(seconds, client.abort)

    def state(self) -> dict[str, Any]:
        """Return counters for `/state`."""
        return {
            **self.counts,
            "connections": len(self.connections),
            "topics": sum(len(each.streams) for each in self.connections),
        }
