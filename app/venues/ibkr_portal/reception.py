"""Everything the gateway says passes here: stamped, counted, handed on raw, then as events, quotes and session news."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from app.domain.account import LineRefused, Notice, Severity, Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.errors import BadFrameError
from app.domain.health import FeedEvent, FeedEventKind, LinkState
from app.domain.units import NS_PER_MS, NS_PER_S
from app.venues.broker import BrokerSink
from app.venues.ibkr_portal.intake import PortalIntake, Taken
from app.venues.ibkr_portal.protocol import News
from app.venues.ibkr_portal.secrets import blanked

_log = logging.getLogger("fathom.venues.ibkr_portal")
_SAME_NS: Final = 600 * NS_PER_S
FEED: Final = Source.PORTAL.feed


class Reception:
    """One source. on_news takes what concerns the session itself, after the rest of a message was told; on_quotes takes
    the contracts of which quotes came, or word why there are none."""

    def __init__(self, sink: BrokerSink, health: BrokerHealth, clock: Clock, intake: PortalIntake) -> None:
        self.intake = intake
        self.on_news: Callable[[int, News], None] = lambda _recv_ns, _news: None
        self.on_events: Callable[[Sequence[BrokerEvent]], None] = lambda _events: None
        self.on_quotes: Callable[[Iterable[int]], None] = lambda _con_ids: None
        self._sink = sink
        self._health = health
        self._clock = clock
        self._last_ns = 0
        self._latency_due_ns = 0
        self._told: dict[str, int] = {}

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        self._last_ns = max(self._last_ns, self._clock.wall_ns())
        return self._last_ns

    # -- what comes ----------------------------------------------------------------------------------------------

    def on_frame(self, raw: bytes) -> None:
        """Take a WebSocket frame."""
        recv_ns = self.stamp()
        self._count(recv_ns)
        self._sink.on_raw(recv_ns, "ws", "", blanked(raw))
        try:
            taken = self.intake.on_frame(recv_ns, raw)
        except BadFrameError as error:
            self._on_bad(error)
            return
        self._tell(recv_ns, taken)
        if taken.quotes and recv_ns >= self._latency_due_ns:
            event_ns = taken.quotes[0].event_ns
            if event_ns:
                self._latency_due_ns = recv_ns + NS_PER_S
                self._health.latency_ms = (recv_ns - event_ns) / NS_PER_MS

    def on_answer(self, path: str, body: bytes) -> None:
        """Take the body of an answer, which has no secrets any more."""
        recv_ns = self.stamp()
        self._count(recv_ns)
        self._sink.on_raw(recv_ns, "rest", path, body)
        try:
            taken = self.intake.on_rest(recv_ns, path, body)
        except BadFrameError as error:
            self._on_bad(error)
            return
        self._tell(recv_ns, taken)

    def tell(self, events: Sequence[BrokerEvent]) -> None:
        """Tell what the session knows by itself."""
        self._sink.on_events(self.stamp(), events)

    def _count(self, recv_ns: int) -> None:
        self._health.messages += 1
        self._health.last_message_ns = recv_ns

    def _on_bad(self, error: BadFrameError) -> None:
        self._health.bad_messages += 1
        _log.debug("%s: %s", FEED, error)

    def _tell(self, recv_ns: int, taken: Taken) -> None:
        if taken.quotes:
            self._sink.on_quotes(recv_ns, taken.quotes)
            self.on_quotes(update.con_id for update in taken.quotes)
        if taken.events:
            self._sink.on_events(recv_ns, taken.events)
            self.on_quotes(event.con_id for event in taken.events if isinstance(event, LineRefused))
            self.on_events(taken.events)
        for news in taken.news:
            self.on_news(recv_ns, news)

    # -- what is said of it --------------------------------------------------------------------------------------

    def show(self, state: LinkState, reason: str = "", needs: str = "", retry_at_ns: int | None = None) -> None:
        """Show the state of the connection."""
        health = self._health
        if health.state is not state:
            health.since_ns = self.stamp()
        health.state, health.reason, health.needs, health.retry_at_ns = state, reason, needs, retry_at_ns

    def log(self, kind: FeedEventKind, text: str) -> None:
        """Write a line into the event log; the same line again only every ten minutes."""
        now_ns = self.stamp()
        known_ns = self._told.get(text)
        if known_ns is not None and now_ns - known_ns < _SAME_NS and kind is FeedEventKind.RECONNECTING:
            return
        if len(self._told) >= 200:
            self._told.clear()
        self._told[text] = now_ns
        self._sink.on_log(FeedEvent(ts_ns=now_ns, source=FEED, kind=kind, symbol=None, text=f"Client Portal: {text}"))

    def notice(self, severity: Severity, text: str, advice: str, code: int = 0, con_id: int | None = None) -> None:
        """Keep a notice for the screens."""
        self.keep(Notice(code=code, severity=severity, text=text, advice=advice, con_id=con_id))

    def keep(self, notice: Notice) -> None:
        """Keep a notice, and write it into the event log when it is no mere word."""
        self._health.note(self.stamp(), notice)
        if notice.severity is not Severity.INFO:
            self.log(FeedEventKind.NOTICE, notice.text)
