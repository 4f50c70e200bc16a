"""Gathers the news of one packet, so that the sink is called once for all of them."""

from __future__ import annotations

from app.domain.account import Source
from app.domain.broker_events import BrokerEvent
from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.masking import masked
from app.venues.broker import BrokerSink


class Outbox:
    """The way to the sink. Stamps are UTC ns and never decrease."""

    def __init__(self, sink: BrokerSink, clock: Clock) -> None:
        self.sink = sink
        self._clock = clock
        self._last_ns = 0
        self._events: list[BrokerEvent] = []

    def stamp(self) -> int:
        """Return the time of receipt."""
        self._last_ns = max(self._last_ns, self._clock.wall_ns())
        return self._last_ns

    def put(self, event: BrokerEvent) -> None:
        """Keep news until `flush`."""
        self._events.append(event)

    def flush(self) -> None:
        """Tell what was kept, in order."""
        if self._events:
            events, self._events = self._events, []
            self.sink.on_events(self.stamp(), events)

    def log(self, kind: FeedEventKind, text: str) -> None:
        """Write a line into the event log, without account ids."""
        self.sink.on_log(
            FeedEvent(ts_ns=self.stamp(), source=Source.TWS.feed, kind=kind, symbol=None, text=masked(text))
        )
