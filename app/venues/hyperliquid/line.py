"""One connection of a market: its subscriptions as the session wants them, its frames to the sink, its health."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedEventKind, FeedHealth, LinkHealth
from app.venues.feed import FeedSink
from app.venues.hyperliquid.channel import ChannelTimes, TopicChannel
from app.venues.hyperliquid.protocol import Topic
from app.venues.limiter import RateLimit
from app.venues.link import Channel, Link, LinkOptions
from app.venues.watch import LinkWatch

_NAMED: Final = 5
"""How many coins a sentence names."""


class LineOwner(Protocol):
    """The session around a line."""

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        ...

    def topics_of(self, line: Line) -> Sequence[Topic]:
        """Return what the line should be subscribed to now."""
        ...

    def on_line_opens(self, line: Line) -> None:
        """Note that a fresh connection begins: what was refused on the last one may be tried again."""
        ...

    def on_line_frame(self, line: Line, raw: bytes) -> None:
        """See a frame after it was handed on."""
        ...

    def on_line_up(self, line: Line) -> None:
        """Note that data begins to come."""
        ...

    def on_line_down(self, line: Line) -> None:
        """Note that it has ended."""
        ...

    def on_line_refused(self, line: Line, topic: Topic, words: str) -> None:
        """Note that the venue does not take a subscription."""
        ...


class Line:
    """Owner of one link (`LinkOwner`) and of its channel (`ChannelOwner`).

    word: what frames of it are labelled with, the resolution of its books; empty for the line of figures.
    `watch` keeps whether data comes.
    """

    def __init__(
        self,
        word: str,
        health: LinkHealth,
        feed_health: FeedHealth,
        sink: FeedSink,
        clock: Clock,
        messages: RateLimit,
        times: ChannelTimes,
        owner: LineOwner,
    ) -> None:
        self.word = word
        self.health = health
        self.watch = LinkWatch(health, feed_health, sink, clock, owner.stamp)
        self._clock = clock
        self._messages = messages
        self._times = times
        self._owner = owner
        self._channel: TopicChannel | None = None

    def open(self, url: str, options: LinkOptions, attempts: RateLimit, random: Random) -> Link:
        """Return a link that has not begun yet."""
        return self.watch.open(url, self, options, attempts, random)

    def change(self) -> None:
        """Note that other subscriptions are wanted."""
        if self._channel is not None:
            self._channel.change()

    def renew(self, topic: Topic) -> None:
        """Ask for a subscription anew unless it is alive."""
        if self._channel is not None:
            self._channel.renew(topic)

    # -- ChannelOwner --------------------------------------------------------------------------------------------

    def topics(self) -> Sequence[Topic]:
        """Return what is wanted now."""
        return self._owner.topics_of(self)

    def on_refused(self, topic: Topic, words: str) -> None:
        """Pass a refusal on."""
        self._owner.on_line_refused(self, topic, words)

    def on_quiet(self, topics: Collection[Topic], for_s: float) -> None:
        """Say which subscriptions bring nothing although the connection is well."""
        names = [topic.coin or topic.type for topic in topics]
        text = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        self.watch.say(FeedEventKind.NOTICE, f"quiet for {for_s:.0f} s: {text}")

    def on_held(self, count: int) -> None:
        """Show how many subscriptions there are."""
        self.health.streams = count

    # -- LinkOwner -----------------------------------------------------------------------------------------------

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection."""
        self._owner.on_line_opens(self)
        self._channel = TopicChannel(self, self._messages, self._clock, self._times)
        return self._channel

    def on_frame(self, raw: bytes) -> None:
        """Stamp a frame and hand it on under the name of the line. Raises BadFrameError."""
        self.watch.on_frame(raw, event_time_ms if self.word else None, self.word)
        self._owner.on_line_frame(self, raw)

    def on_up(self) -> None:
        """Announce the streams."""
        self.watch.on_up()
        self._owner.on_line_up(self)
        self.watch.say(FeedEventKind.CONNECTED, f"{self.health.streams} subscriptions run")

    def on_down(self, reason: str) -> None:
        """Announce that they are lost."""
        self.watch.on_down()
        self._owner.on_line_down(self)
        self.watch.say(FeedEventKind.DISCONNECTED, reason)

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Log why there is no connection; the same reason again only every ten minutes."""
        self.watch.on_trouble(reason, retry_in_s)

    def on_notice(self, text: str) -> None:
        """Log a planned replacement and the like."""
        self.watch.say(FeedEventKind.NOTICE, text)


def event_time_ms(raw: bytes) -> int | None:
    """Return the time of a book by a byte search, None for other frames."""
    at = raw.find(b'"time":') if b'"l2Book"' in raw[:40] else -1
    digits = raw[at + 7 : at + 21].lstrip()[:13]
    return int(digits) if at >= 0 and digits.isdigit() else None
