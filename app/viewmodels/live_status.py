"""Health of the feeds of a run, its event log and the notes that must stay on screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from app.domain.broker_health import BrokerHealth
from app.domain.health import FeedEvent, FeedHealth

_MAX_EVENTS = 5000


class LiveStatus:
    """`StatusSource` of a run. `controls` maps a feed's name to its (pause, resume, cancel) of snapshots."""

    def __init__(self, feeds: Sequence[FeedHealth]) -> None:
        self._feeds = tuple(feeds)
        self._brokers: tuple[BrokerHealth, ...] = ()
        self._events: deque[FeedEvent] = deque(maxlen=_MAX_EVENTS)
        self._revision = 0
        self._notes: dict[str, str] = {}
        self.controls: Mapping[str, tuple[Callable[[], None], Callable[[], None], Callable[[], None]]] = {}
        self.listeners: list[Callable[[FeedEvent], None]] = []

    def set_feeds(self, feeds: Sequence[FeedHealth]) -> None:
        """Name the feeds, once they exist."""
        self._feeds = tuple(feeds)

    def set_brokers(self, brokers: Sequence[BrokerHealth]) -> None:
        """Name the ways to a broker that are switched on, once they exist."""
        self._brokers = tuple(brokers)

    def add_event(self, event: FeedEvent) -> None:
        """Take a rare fact: into the log, and to whoever listens (the history)."""
        self._events.append(event)
        self._revision += 1
        for listener in self.listeners:
            listener(event)

    def set_note(self, topic: str, text: str | None) -> None:
        """Put a sentence on screen under a topic, or take it away."""
        if text is None:
            self._notes.pop(topic, None)
        else:
            self._notes[topic] = text

    def feeds(self) -> Sequence[FeedHealth]:
        """Return the live counters of each feed."""
        return self._feeds

    def brokers(self) -> Sequence[BrokerHealth]:
        """Return the live state of each way to a broker."""
        return self._brokers

    def events(self) -> Sequence[FeedEvent]:
        """Return the newest events, oldest first."""
        return tuple(self._events)

    def events_revision(self) -> int:
        """Return a number that moves with every new event."""
        return self._revision

    def notes(self) -> Sequence[str]:
        """Return the sentences that hold now."""
        return tuple(self._notes.values())

    def pause_snapshots(self, feed: str) -> None:
        """Stop taking further snapshots of that feed."""
        if feed in self.controls:
            self.controls[feed][0]()

    def resume_snapshots(self, feed: str) -> None:
        """Go on taking snapshots."""
        if feed in self.controls:
            self.controls[feed][1]()

    def cancel_snapshots(self, feed: str) -> None:
        """Drop the queue of snapshots."""
        if feed in self.controls:
            self.controls[feed][2]()
