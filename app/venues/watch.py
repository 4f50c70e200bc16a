"""From what a link tells its owner to whether data comes, how late it is, and lines in the event log.

Every venue keeps this of each of its connections; what streams they carry, and who asks for books, is the venue's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Final

from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth
from app.domain.units import NS_PER_MS, NS_PER_S
from app.venues.feed import FeedSink
from app.venues.limiter import RateLimit
from app.venues.link import Link, LinkOptions, LinkOwner

_SAME_TROUBLE_NS: Final = 600 * NS_PER_S


class LinkWatch:
    """The state of one link. `down_since_ns` is monotonic, None while data comes; `trouble`: the last reason why not.

    stamp: returns UTC ns, never less than before.
    """

    def __init__(
        self, health: LinkHealth, feed_health: FeedHealth, sink: FeedSink, clock: Clock, stamp: Callable[[], int]
    ) -> None:
        self.health = health
        self.down_since_ns: int | None = None
        self.trouble = ""
        self._feed_health = feed_health
        self._sink = sink
        self._clock = clock
        self._stamp = stamp
        self._link: Link | None = None
        self._latency_due_ns = 0
        self._told: tuple[str, int] = ("", 0)

    def open(self, url: str, owner: LinkOwner, options: LinkOptions, attempts: RateLimit, random: Random) -> Link:
        """Return a link that has not begun yet."""
        self.down_since_ns = self._clock.monotonic_ns()
        self._link = Link(url, owner, self.health, self._clock, options, attempts, random)
        return self._link

    # -- without data --------------------------------------------------------------------------------------------

    def down_for_s(self) -> float:
        """Return for how long no data has come, 0 while it does."""
        if self.down_since_ns is None:
            return 0.0
        return (self._clock.monotonic_ns() - self.down_since_ns) / NS_PER_S

    def cover(self, reason: str | None) -> None:
        """Show what stands in for the streams, None: nothing."""
        if self._link is not None:
            self._link.set_cover(reason)

    def since(self) -> str:
        """Return since when there have been no streams, and why, in words."""
        began = datetime.fromtimestamp((self._clock.wall_ns() - int(self.down_for_s() * NS_PER_S)) // NS_PER_S, UTC)
        why = f" ({self.trouble})" if self.trouble else ""
        return f"no streams since {began:%H:%M:%S} UTC{why}"

    # -- what the link tells -------------------------------------------------------------------------------------

    def on_frame(self, raw: bytes, event_time_ms: Callable[[bytes], int | None] | None = None, line: str = "") -> None:
        """Stamp a frame and hand it on. Raises BadFrameError.

        event_time_ms: reads the venue's time out of a frame (None: it holds none), asked once a second for latency.
        """
        recv_ns = self._stamp()
        if event_time_ms is not None and recv_ns >= self._latency_due_ns:
            event_ms = event_time_ms(raw)
            if event_ms is not None:
                self._latency_due_ns = recv_ns + NS_PER_S
                offset_ms = self._feed_health.clock_offset_ms or 0.0
                self.health.latency_ms = recv_ns / NS_PER_MS + offset_ms - event_ms
        self._sink.on_frame(recv_ns, raw, line)

    def on_up(self) -> None:
        """Note that data comes; `say` that it does when it is announced."""
        self.down_since_ns = None
        self._told = ("", 0)

    def on_down(self) -> None:
        """Note that data has ended."""
        self.down_since_ns = self._clock.monotonic_ns()
        self.health.latency_ms = None

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Log why there is no connection; the same reason again only every ten minutes."""
        self.trouble = reason
        now_ns = self._clock.monotonic_ns()
        told, told_ns = self._told
        if reason == told and now_ns - told_ns < _SAME_TROUBLE_NS:
            return
        self._told = (reason, now_ns)
        when = f"in {retry_in_s:.0f} s" if retry_in_s >= 1.0 else "now"
        self.say(FeedEventKind.RECONNECTING, f"{reason}; trying again {when}")

    def say(self, kind: FeedEventKind, text: str) -> None:
        """Write into the event log under the name of the link."""
        source, words = str(self.health.feed), f"{self.health.name}: {text}"
        self._sink.on_event(FeedEvent(ts_ns=self._stamp(), source=source, kind=kind, symbol=None, text=words))
