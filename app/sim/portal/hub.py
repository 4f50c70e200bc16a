"""All WebSocket clients of the simulated gateway: greeting, `sts`, heartbeat, `tic`, and what faults do to frames.

A client that subscribes before its `sts` is not answered and not remembered, as at the real gateway.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from app.sim.ibkr import Changes, World
from app.sim.portal import accounts
from app.sim.portal.options import PortalSimOptions
from app.sim.portal.session import SERVER_INFO, USER, GatewaySession
from app.sim.portal.streams import Frame, Streams
from app.sim.portal.topics import TopicError, TopicMessage, read_topic
from app.sim.portal.web import SocketClient

_POLICY = 1008
_GOING_AWAY = 1001


@dataclass(slots=True)
class _Guest:
    """A client and how far it has come. told: the authentication it was told, None before the first `sts`."""

    streams: Streams
    session_value: str
    sts_due_s: float
    heartbeat_due_s: float
    told: bool | None = None
    greeted: bool = False


class Hub:
    """Serves the clients. `now_s` gives monotonic seconds, `epoch_ms` UTC milliseconds."""

    def __init__(
        self,
        world: World,
        session: GatewaySession,
        options: PortalSimOptions,
        *,
        now_s: Callable[[], float],
        epoch_ms: Callable[[], int],
        lines_used: Callable[[], frozenset[int]],
    ) -> None:
        """Begin without clients; `lines_used` names the contracts whose lines REST uses."""
        self.counts: Counter[str] = Counter()
        self.silent_until_s = 0.0
        self._world = world
        self._session = session
        self._options = options
        self._now_s = now_s
        self._epoch_ms = epoch_ms
        self._lines_used = lines_used
        self._guests: dict[SocketClient, _Guest] = {}
        self._sent = 0
        self._told_authenticated = session.authenticated

    @property
    def clients(self) -> list[SocketClient]:
        """Everybody who is connected."""
        return list(self._guests)

    @property
    def lines(self) -> int:
        """Quote lines of all clients."""
        return sum(len(guest.streams.quotes) for guest in self._guests.values())

    @property
    def streamed(self) -> frozenset[int]:
        """Contracts of those lines."""
        return frozenset(con_id for guest in self._guests.values() for con_id in guest.streams.quotes)

    def streams_of(self, client: SocketClient) -> Streams:
        """Return a client's subscriptions; KeyError when it is gone."""
        return self._guests[client].streams

    # Clients

    def on_open(self, client: SocketClient) -> None:
        """Greet a client; an older one of the same session has to go."""
        now = self._now_s()
        value = self._session.value
        shown = value if value in client.cookie or value in client.query else ""
        for other, guest in list(self._guests.items()):
            if shown and guest.session_value == shown:
                self.counts["replaced"] += 1
                other.close(_POLICY, "another websocket of this session")
        streams = Streams(self._world, self._session, self._options, self.counts)
        self._guests[client] = _Guest(
            streams,
            shown,
            sts_due_s=now + self._options.sts_s,
            heartbeat_due_s=now + self._options.heartbeat_s,
        )
        self.send(client, {"message": "waiting for session"})
        if not shown:
            self.counts["without_session"] += 1
        self._greet(client)

    def on_gone(self, client: SocketClient) -> None:
        """Forget a client."""
        self._guests.pop(client, None)

    def _greet(self, client: SocketClient) -> None:
        guest = self._guests[client]
        if not guest.session_value or not self._session.logged_in or guest.greeted:
            return
        guest.greeted = True
        paper = bool(self._world.accounts) and self._world.accounts[0].startswith("D")
        self.send(client, {"topic": "system", "success": USER, "isFT": False, "isPaper": paper})
        self.send(client, self._account_frame())

    def _account_frame(self) -> Frame:
        found = accounts.brokerage_accounts(list(self._world.accounts), self._session.value[:17], SERVER_INFO)
        return {"topic": "act", "args": found}

    def on_message(self, client: SocketClient, text: str) -> None:
        """Carry out what a client sends."""
        guest = self._guests.get(client)
        if guest is None or self._now_s() < self.silent_until_s:
            return
        self.counts["messages"] += 1
        if text.strip() == "tic":
            self.counts["tics"] += 1
            self._session.touch()
            now_ms = self._epoch_ms()
            self.send(client, {"topic": "tic", "alive": True, "id": self._session.value[:8], "lastAccessed": now_ms})
            return
        if guest.told is None:
            self.counts["ignored_before_sts"] += 1
            return
        if not self._session.authenticated:
            self.send(client, {"error": "not authenticated", "code": 401})
            return
        try:
            sent = read_topic(text)
            frames = guest.streams.take(sent, self._now_s(), lines_left=self._lines_left(sent))
        except TopicError as error:
            self.counts["errors"] += 1
            frames = [{"topic": "error", "args": {"error": str(error), "code": 400}}]
        for frame in frames:
            self.send(client, frame)

    def _lines_left(self, sent: TopicMessage) -> int:
        """Return how many lines are left for the contract of a message; a contract is one line however often it is
        asked for."""
        used = self.streamed | self._lines_used()
        number = sent.target.partition("@")[0]
        own = {int(number)} if number.isdecimal() else set()
        return self._options.limits.market_data_lines - len(used - own)

    # Sending

    def send(self, client: SocketClient, frame: Frame) -> None:
        """Send a frame, each so-manieth as bytes."""
        if self._now_s() < self.silent_until_s:
            self.counts["kept_silent"] += 1
            return
        self._sent += 1
        every = self._options.bytes_every
        client.send(json.dumps(frame, separators=(",", ":")).encode(), as_bytes=bool(every) and not self._sent % every)

    def send_raw(self, payload: bytes, *, as_bytes: bool) -> None:
        """Send everybody the same bytes, whatever they are."""
        for client in self.clients:
            client.send(payload, as_bytes=as_bytes)

    def send_all(self, frame: Frame) -> None:
        """Send everybody who was greeted a frame."""
        for client, guest in self._guests.items():
            if guest.greeted:
                self.send(client, frame)

    def tell_accounts(self) -> None:
        """Send everybody the accounts."""
        self.send_all(self._account_frame())

    # Time

    def spread(self, changes: Changes) -> None:
        """Send what a step of the world brought."""
        rejected = [each for each in changes.orders if each.status == "Inactive" and each.reason]
        for client, guest in list(self._guests.items()):
            if guest.told:
                for frame in guest.streams.spread(changes):
                    self.send(client, frame)
                for order in rejected:
                    note = {"id": str(order.perm_id), "text": order.reason, "title": "Order rejected", "url": ""}
                    self.send(client, {"topic": "ntf", "args": [note]})

    def beat(self) -> None:
        """Send what is due by time."""
        now = self._now_s()
        self._session.check_idle()
        self.check_status()
        for client, guest in list(self._guests.items()):
            self._greet(client)
            if guest.told is None and guest.greeted and now >= guest.sts_due_s:
                self._tell_status(client, guest)
            if now >= guest.heartbeat_due_s:
                guest.heartbeat_due_s = now + self._options.heartbeat_s
                self.send(client, {"topic": "system", "hb": self._epoch_ms()})
            if guest.told:
                for frame in guest.streams.due_frames(now):
                    self.send(client, frame)

    def check_status(self) -> None:
        """Tell everybody when the brokerage session has come or gone; what ended with it ends here."""
        if self._session.authenticated == self._told_authenticated:
            return
        self._told_authenticated = self._session.authenticated
        for client, guest in list(self._guests.items()):
            if guest.told is not None:
                self._tell_status(client, guest)
            if not self._session.logged_in:
                client.close(_GOING_AWAY, "logged out")

    def _tell_status(self, client: SocketClient, guest: _Guest) -> None:
        guest.told = self._session.authenticated
        if not guest.told:
            guest.streams.clear()
        self.send(client, {"topic": "sts", "args": self._session.short_status()})

    # Faults

    def expire_quotes(self) -> None:
        """End every quote line of everybody without a word."""
        for guest in self._guests.values():
            guest.streams.expire_quotes()
