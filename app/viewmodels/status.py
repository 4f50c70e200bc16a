"""Turns feed counters into the few words of the status bar: one light per feed and per broker, notes, mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from app.domain.clock import Clock
from app.domain.health import FeedHealth, LinkState
from app.viewmodels.broker_light import BrokerLight, broker_light

if TYPE_CHECKING:
    from app.viewmodels.sources import StatusSource


class Mode(StrEnum):
    """Where the data comes from; always on screen."""

    LIVE = "LIVE"
    REPLAY = "REPLAY"
    DEMO = "DEMO"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLight:
    """One feed in the status bar.

    light: grey, amber, green or red; word: the state in words ("live", "books 37/200"); facts: (name, value) pairs
    for the tooltip, ages in ns (None: never), counts as integers.
    """

    feed: str
    title: str
    light: str
    word: str
    reason: str
    last_frame_age_ns: int | None
    latency_ms: float | None
    reconnects: int
    gaps: int
    resyncs: int
    drops: int
    books_primed: int
    books_total: int


@dataclass(slots=True)
class StatusModel:
    """What the status bar shows; `poll` is cheap and called about twice a second.

    source may come later than the window (`attach`): until then there are no lights. mode_detail says more about the
    mode ("20×", a file name). measures gives further pairs for the tooltip of the timing label.
    """

    clock: Clock
    mode: Mode = Mode.LIVE
    mode_detail: str = ""
    read_only: bool = True
    source: StatusSource | None = None
    lights: tuple[FeedLight, ...] = ()
    broker_lights: tuple[BrokerLight, ...] = ()
    notes: tuple[str, ...] = ()
    revision: int = 0
    local_notes: dict[str, str] = field(default_factory=dict)
    measures: Callable[[], tuple[tuple[str, str], ...]] | None = None

    def attach(self, source: StatusSource) -> None:
        """Connect the feeds once they exist."""
        self.source = source
        self.poll()

    def set_note(self, key: str, text: str | None) -> None:
        """Show a sentence of the window's own, or take it away."""
        if text:
            self.local_notes[key] = text
        else:
            self.local_notes.pop(key, None)
        self.poll()

    def poll(self) -> None:
        """Read the counters; the revision moves when anything shown has changed."""
        lights = tuple(self._light(feed) for feed in self.source.feeds()) if self.source is not None else ()
        now_ns = self.clock.wall_ns()
        brokers = self.source.brokers() if self.source is not None else ()
        broker_lights = tuple(broker_light(health, now_ns) for health in brokers)
        own = tuple(self.local_notes.values())
        notes = own + (tuple(self.source.notes()) if self.source is not None else ())
        if (lights, broker_lights, notes) != (self.lights, self.broker_lights, self.notes):
            self.lights, self.broker_lights, self.notes = lights, broker_lights, notes
            self.revision += 1

    def _light(self, feed: FeedHealth) -> FeedLight:
        last = max((link.last_frame_ns for link in feed.links if link.last_frame_ns is not None), default=None)
        latencies = [link.latency_ms for link in feed.links if link.latency_ms is not None]
        state = feed.state
        return FeedLight(
            feed=str(feed.feed),
            title=feed_title(feed),
            light=state.light,
            word=state_word(feed),
            reason=state_reason(feed),
            last_frame_age_ns=None if last is None else max(0, self.clock.wall_ns() - last),
            latency_ms=max(latencies) if latencies else None,
            reconnects=sum(link.reconnects for link in feed.links),
            gaps=feed.gaps,
            resyncs=feed.resyncs,
            drops=feed.dropped,
            books_primed=feed.books_primed,
            books_total=feed.books_total,
        )


def feed_title(feed: FeedHealth) -> str:
    """Return a feed's name for people: "Binance SPOT"."""
    return feed.feed.market.full_name


_WORDS = {
    LinkState.IDLE: "off",
    LinkState.STOPPED: "stopped",
    LinkState.CONNECTING: "connecting",
    LinkState.SYNCING: "priming books",
    LinkState.POLLING: "polling slowly",
    LinkState.LIVE: "live",
    LinkState.STALE: "no data",
    LinkState.BACKOFF: "down, retrying",
    LinkState.BANNED: "banned by venue",
}


def state_word(feed: FeedHealth) -> str:
    """Return the state of a feed in a word or two."""
    if feed.state is LinkState.SYNCING and feed.priming_paused:
        return "priming paused"
    return _WORDS[feed.state]


def link_word(state: LinkState) -> str:
    """Return the state of one connection in a word or two."""
    return "syncing" if state is LinkState.SYNCING else _WORDS[state]


def state_reason(feed: FeedHealth) -> str:
    """Return the sentence behind a state that is not live, "" when there is none."""
    state = feed.state
    if state is LinkState.BANNED:
        return feed.rest_reason
    if state is LinkState.LIVE:
        return ""
    return next((link.reason for link in feed.links if link.reason and link.state is state), feed.rest_reason)
