"""Words and counters for the health of connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.ids import FeedId


class LinkState(StrEnum):
    """State of one connection; `light` is the colour in the status bar."""

    IDLE = "idle"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    LIVE = "live"
    STALE = "stale"
    POLLING = "polling"
    BACKOFF = "backoff"
    BANNED = "banned"
    STOPPED = "stopped"

    @property
    def light(self) -> str:
        """Return grey, amber, green or red."""
        return _LIGHTS[self]


_LIGHTS = {
    LinkState.IDLE: "grey",
    LinkState.STOPPED: "grey",
    LinkState.CONNECTING: "amber",
    LinkState.SYNCING: "amber",
    LinkState.POLLING: "amber",
    LinkState.LIVE: "green",
    LinkState.STALE: "red",
    LinkState.BACKOFF: "red",
    LinkState.BANNED: "red",
}


class FeedEventKind(StrEnum):
    """Rare facts about a feed, stored and shown in the event log."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"
    RECONNECTING = "reconnecting"
    SNAPSHOT_LOADED = "snapshot loaded"
    GAP_DETECTED = "gap detected"
    UPDATE_FAILED = "update failed"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One rare fact: when (UTC ns), which feed ("binance.spot", "storage", ...), what, about which symbol, in words."""

    ts_ns: int
    source: str
    kind: FeedEventKind
    symbol: str | None
    text: str


@dataclass(slots=True, kw_only=True)
class LinkHealth:
    """Counters of one WebSocket connection; written by the link, read by the Feeds panel.

    Times are UTC ns; None means never. `latency_ms` is local receive time minus the venue's event time of the last
    frame, corrected by the measured clock offset when known.
    """

    name: str
    feed: FeedId
    url: str = ""
    state: LinkState = LinkState.IDLE
    reason: str = ""
    since_ns: int | None = None
    connected_ns: int | None = None
    last_frame_ns: int | None = None
    frames: int = 0
    bytes: int = 0
    bad_frames: int = 0
    reconnects: int = 0
    streams: int = 0
    latency_ms: float | None = None
    retry_at_ns: int | None = None


@dataclass(slots=True, kw_only=True)
class FeedHealth:
    """Counters of one feed (venue x market) over all its connections and its REST host."""

    feed: FeedId
    links: list[LinkHealth] = field(default_factory=list)
    books_total: int = 0
    books_primed: int = 0
    snapshots_queued: int = 0
    snapshots_loaded: int = 0
    applied: int = 0
    gaps: int = 0
    resyncs: int = 0
    dropped: int = 0
    crossed: int = 0
    bad_frames: int = 0
    rest_state: LinkState = LinkState.IDLE
    rest_reason: str = ""
    rest_weight_used: int = 0
    rest_weight_limit: int = 0
    rest_retry_at_ns: int | None = None
    rest_requests: int = 0
    rest_errors: int = 0
    clock_offset_ms: float | None = None
    priming_paused: bool = False
    priming_cancelled: bool = False

    @property
    def state(self) -> LinkState:
        """Return the worst state that matters: what the light of this feed shows."""
        if self.rest_state is LinkState.BANNED and self.books_primed < self.books_total:
            return LinkState.BANNED
        states = {link.state for link in self.links}
        for candidate in (
            LinkState.POLLING,
            LinkState.BACKOFF,
            LinkState.STALE,
            LinkState.CONNECTING,
            LinkState.SYNCING,
        ):
            if candidate in states:
                return candidate
        if LinkState.LIVE in states:
            primed = self.books_primed >= self.books_total
            return LinkState.LIVE if primed else LinkState.SYNCING
        return LinkState.STOPPED if states == {LinkState.STOPPED} else LinkState.IDLE
