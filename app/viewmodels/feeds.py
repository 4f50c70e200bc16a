"""Turns feed and link counters into rows with rates and ages, and filters the event log."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth, LinkState
from app.domain.units import NS_PER_S
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.broker_rows import BrokerRow, broker_row
from app.viewmodels.sources import StatusSource
from app.viewmodels.status import feed_title, link_word, state_reason, state_word

POLL_NS: Final = NS_PER_S // 2
RATE_WINDOW_NS: Final = 3 * NS_PER_S
MAX_EVENTS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """One connection. rate: frames per second over 3 s, None before two readings; ages in ns, None: never."""

    name: str
    light: str
    word: str
    reason: str
    rate: float | None
    age_ns: int | None
    latency_ms: float | None
    reconnects: int
    bad_frames: int
    streams: int
    frames: int
    bytes: int
    up_ns: int | None
    retry_in_ns: int | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRow:
    """One feed with its connections; the REST weights belong to the last minute."""

    feed: str
    title: str
    light: str
    word: str
    reason: str
    rate: float | None
    links: tuple[LinkRow, ...]
    books_primed: int
    books_total: int
    queued: int
    loaded: int
    applied: int
    gaps: int
    resyncs: int
    dropped: int
    crossed: int
    bad_frames: int
    reconnects: int
    rest_word: str
    rest_light: str
    rest_reason: str
    rest_used: int
    rest_limit: int
    rest_requests: int
    rest_errors: int
    rest_retry_in_ns: int | None
    clock_offset_ms: float | None
    paused: bool
    cancelled: bool

    @property
    def primed(self) -> bool:
        """Whether every book has had its snapshot."""
        return self.books_primed >= self.books_total

    def progress_text(self) -> str:
        """Return the state of priming in words."""
        text = f"books {self.books_primed}/{self.books_total}"
        if self.cancelled:
            return f"{text}, priming cancelled"
        if self.paused:
            return f"{text}, paused"
        return f"{text}, {self.queued} queued" if self.queued else text


@dataclass(slots=True)
class _Rate:
    readings: deque[tuple[int, int]] = field(default_factory=deque)

    def per_second(self, now_ns: int, count: int) -> float | None:
        if self.readings and count < self.readings[-1][1]:
            self.readings.clear()
        self.readings.append((now_ns, count))
        while len(self.readings) > 2 and now_ns - self.readings[0][0] > RATE_WINDOW_NS:
            self.readings.popleft()
        first_ns, first = self.readings[0]
        return (count - first) * NS_PER_S / (now_ns - first_ns) if now_ns > first_ns else None


class FeedsModel:
    """The state of the Feeds panel."""

    def __init__(self, status: StatusSource, clock: Clock, care: BrokerCare | None = None) -> None:
        self._status = status
        self._clock = clock
        self.care = care or BrokerCare()
        self._rates: dict[str, _Rate] = {}
        self._polled_ns: int | None = None
        self.rows: tuple[FeedRow, ...] = ()
        self.brokers: tuple[BrokerRow, ...] = ()
        self.revision = 0
        self.source_filter: str | None = None
        self.kind_filter: FeedEventKind | None = None

    @property
    def events_revision(self) -> int:
        """Return a number that moves with every new event."""
        return self._status.events_revision()

    def poll(self) -> None:
        """Read the counters, at most twice a second."""
        now_ns = self._clock.monotonic_ns()
        if self._polled_ns is not None and now_ns - self._polled_ns < POLL_NS:
            return
        self._polled_ns = now_ns
        self.rows = tuple(self._feed(feed, now_ns) for feed in self._status.feeds())
        self.brokers = tuple(self._broker(health, now_ns) for health in self._status.brokers())
        self.revision += 1

    def _feed(self, feed: FeedHealth, now_ns: int) -> FeedRow:
        links = tuple(self._link(link, f"{feed.feed}/{link.name}", now_ns) for link in feed.links)
        rates = [link.rate for link in links if link.rate is not None]
        return FeedRow(
            feed=str(feed.feed),
            title=feed_title(feed),
            light=feed.state.light,
            word=state_word(feed),
            reason=state_reason(feed),
            rate=sum(rates) if rates else None,
            links=links,
            books_primed=feed.books_primed,
            books_total=feed.books_total,
            queued=feed.snapshots_queued,
            loaded=feed.snapshots_loaded,
            applied=feed.applied,
            gaps=feed.gaps,
            resyncs=feed.resyncs,
            dropped=feed.dropped,
            crossed=feed.crossed,
            bad_frames=feed.bad_frames,
            reconnects=sum(link.reconnects for link in feed.links),
            rest_word=_rest_word(feed.rest_state),
            rest_light=feed.rest_state.light,
            rest_reason=feed.rest_reason,
            rest_used=feed.rest_weight_used,
            rest_limit=feed.rest_weight_limit,
            rest_requests=feed.rest_requests,
            rest_errors=feed.rest_errors,
            rest_retry_in_ns=self._until(feed.rest_retry_at_ns),
            clock_offset_ms=feed.clock_offset_ms,
            paused=feed.priming_paused,
            cancelled=feed.priming_cancelled,
        )

    def _link(self, link: LinkHealth, key: str, now_ns: int) -> LinkRow:
        return LinkRow(
            name=link.name,
            light=link.state.light,
            word=link_word(link.state),
            reason=link.reason,
            rate=self._rates.setdefault(key, _Rate()).per_second(now_ns, link.frames),
            age_ns=self._since(link.last_frame_ns),
            latency_ms=link.latency_ms,
            reconnects=link.reconnects,
            bad_frames=link.bad_frames,
            streams=link.streams,
            frames=link.frames,
            bytes=link.bytes,
            up_ns=self._since(link.connected_ns),
            retry_in_ns=self._until(link.retry_at_ns),
            url=link.url,
        )

    def _broker(self, health: BrokerHealth, now_ns: int) -> BrokerRow:
        rate = self._rates.setdefault(health.source.feed, _Rate()).per_second(now_ns, health.messages)
        return broker_row(health, self._clock.wall_ns(), rate, self.care.offers(health.source))

    def _since(self, stamp_ns: int | None) -> int | None:
        return None if stamp_ns is None else max(0, self._clock.wall_ns() - stamp_ns)

    def _until(self, stamp_ns: int | None) -> int | None:
        if stamp_ns is None:
            return None
        left = stamp_ns - self._clock.wall_ns()
        return left if left > 0 else None

    def toggle_priming(self, feed: str) -> None:
        """Pause the snapshots of a feed, or go on with them."""
        row = next((row for row in self.rows if row.feed == feed), None)
        if row is None:
            return
        if row.paused or row.cancelled:
            self._status.resume_snapshots(feed)
        else:
            self._status.pause_snapshots(feed)
        self._polled_ns = None
        self.poll()

    def cancel_priming(self, feed: str) -> None:
        """Drop the queue of snapshots of a feed."""
        self._status.cancel_snapshots(feed)
        self._polled_ns = None
        self.poll()

    def sources(self) -> tuple[str, ...]:
        """Return who has events, in order of name."""
        return tuple(sorted({event.source for event in self._status.events()}))

    def set_filter(self, source: str | None, kind: FeedEventKind | None) -> None:
        """Show only events of a source and of a kind (None: all)."""
        self.source_filter, self.kind_filter = source, kind

    def events(self) -> list[FeedEvent]:
        """Return the newest events that pass the filter, newest first."""
        found: list[FeedEvent] = []
        for event in reversed(self._status.events()):
            if self.source_filter is not None and event.source != self.source_filter:
                continue
            if self.kind_filter is not None and event.kind is not self.kind_filter:
                continue
            found.append(event)
            if len(found) >= MAX_EVENTS:
                break
        return found


def _rest_word(state: LinkState) -> str:
    return {
        LinkState.IDLE: "not used yet",
        LinkState.LIVE: "available",
        LinkState.BACKOFF: "waiting",
        LinkState.BANNED: "banned by venue",
    }.get(state, state.value)
