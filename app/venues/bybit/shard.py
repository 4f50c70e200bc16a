"""One connection's share of a category: the topics it carries, their frames to the sink, its latency and troubles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Protocol

from app.domain.clock import Clock
from app.domain.health import FeedEventKind, FeedHealth, LinkHealth
from app.domain.ids import Market
from app.venues.bybit import protocol
from app.venues.bybit.channel import TopicChannel, is_book
from app.venues.bybit.urls import (
    LINEAR_ARGS_PER_FRAME,
    SPOT_ARGS_PER_FRAME,
    book_topic,
    liquidation_topic,
    ticker_topic,
)
from app.venues.feed import FeedSink
from app.venues.limiter import RateLimit
from app.venues.link import Channel, Link, LinkOptions
from app.venues.watch import LinkWatch


class ShardOptions(Protocol):
    """What a shard needs of the session's options; times in seconds."""

    @property
    def levels(self) -> int:
        """Levels per side of a window."""
        ...

    @property
    def ping_every_s(self) -> float:
        """Pause between the venue's own kind of pings."""
        ...

    @property
    def pong_within_s(self) -> float:
        """How long an answer to one may take."""
        ...

    @property
    def first_book_within_s(self) -> float:
        """After how long a window that brought nothing is subscribed anew."""
        ...


class ShardOwner(Protocol):
    """The session around a shard."""

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        ...

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        ...

    def on_refused(self, shard: Shard, symbol: str, reason: str) -> None:
        """Note that the venue refuses the book stream of a symbol."""
        ...

    def on_shard_up(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Note that the streams of these symbols have begun."""
        ...

    def on_shard_down(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Note that they are lost."""
        ...


class Shard:
    """Owner of one link (`app.venues.link.LinkOwner`); `watch` keeps whether its streams run."""

    def __init__(
        self,
        market: Market,
        symbols: Sequence[str],
        full: Collection[str],
        health: LinkHealth,
        feed_health: FeedHealth,
        sink: FeedSink,
        clock: Clock,
        owner: ShardOwner,
        options: ShardOptions,
    ) -> None:
        self.symbols = tuple(symbols)
        self.full = set(full)
        """Symbols whose book is the full one; the others have a window."""
        self.hot: dict[str, None] = {}
        """Symbols without a book here whose figures are streamed."""
        self.health = health
        self.watch = LinkWatch(health, feed_health, sink, clock, owner.stamp)
        self._market = market
        self._clock = clock
        self._owner = owner
        self._options = options
        self._silent_after_s = 0.0
        self._channel: TopicChannel | None = None
        health.streams = len(self.topics())

    def open(self, url: str, options: LinkOptions, attempts: RateLimit, random: Random) -> Link:
        """Return a link that has not begun yet."""
        self._silent_after_s = options.stale_after_s
        return self.watch.open(url, self, options, attempts, random)

    # -- topics --------------------------------------------------------------------------------------------------

    def topics(self) -> list[str]:
        """Return the names of all topics of this shard."""
        topics = []
        for symbol in self.symbols:
            topics += [self.book_topic(symbol), *quote_topics(self._market, symbol)]
        for symbol in self.hot:
            topics += quote_topics(self._market, symbol)
        return topics

    def book_topic(self, symbol: str) -> str:
        """Return the topic of a symbol's book."""
        return book_topic(symbol, 0 if symbol in self.full else self._options.levels)

    def follow_wishes(self) -> None:
        """Let the connection carry what `topics` says now."""
        topics = self.topics()
        self.health.streams = len(topics)
        if self._channel is not None:
            self._channel.want(topics)

    def renew(self, symbol: str) -> None:
        """Subscribe a book anew."""
        if self._channel is not None:
            self._channel.renew(self.book_topic(symbol))

    # -- LinkOwner -----------------------------------------------------------------------------------------------

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection."""
        options = self._options
        self._channel = TopicChannel(
            self.topics(),
            self._clock,
            args_per_frame=SPOT_ARGS_PER_FRAME if self._market is Market.BYBIT_SPOT else LINEAR_ARGS_PER_FRAME,
            silent_after_s=self._silent_after_s,
            ping_every_s=options.ping_every_s,
            pong_within_s=options.pong_within_s,
            first_after_s=options.first_book_within_s,
            on_refused=self._on_refused,
        )
        return self._channel

    def on_frame(self, raw: bytes) -> None:
        """Stamp a frame and hand it on. Raises BadFrameError."""
        self.watch.on_frame(raw, _event_time_ms)

    def on_up(self) -> None:
        """Announce the streams, then ask for snapshots."""
        self.watch.on_up()
        if self._channel is not None and self._channel.refused:
            self._on_refused(self._channel.refused)
        symbols = tuple(symbol for symbol in self.symbols if symbol not in self._owner.suspended)
        self._owner.on_shard_up(self, symbols)
        self.watch.say(FeedEventKind.CONNECTED, f"{self.health.streams} topics run")

    def on_down(self, reason: str) -> None:
        """Announce that the streams are lost."""
        self.watch.on_down()
        self._owner.on_shard_down(self, self.symbols)
        self.watch.say(FeedEventKind.DISCONNECTED, reason)

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Log why there is no connection; the same reason again only every ten minutes."""
        self.watch.on_trouble(reason, retry_in_s)

    def on_notice(self, text: str) -> None:
        """Log a planned replacement and the like."""
        self.watch.say(FeedEventKind.NOTICE, text)

    # -- details -------------------------------------------------------------------------------------------------

    def _on_refused(self, refused: Mapping[str, str]) -> None:
        """Tell the session about books the venue refuses; refused figures are only said."""
        for topic, words in dict(refused).items():
            symbol = topic.rpartition(".")[2]
            if not is_book(topic):
                self.watch.say(FeedEventKind.NOTICE, f"the venue refuses {topic} ({words})")
            elif symbol in self.symbols and topic == self.book_topic(symbol):
                self._owner.on_refused(self, symbol, words)


def _event_time_ms(raw: bytes) -> int | None:
    """Return the venue's time of a data frame, None for other frames."""
    topic, event_ms = protocol.frame_head(raw)
    return event_ms if topic and event_ms else None


def quote_topics(market: Market, symbol: str) -> list[str]:
    """Return the topics of a symbol besides its book; spot has no best prices among its figures, so they come extra."""
    other = book_topic(symbol, 1) if market is Market.BYBIT_SPOT else liquidation_topic(symbol)
    return [ticker_topic(symbol), other]


def chars_of(topics: Collection[str]) -> int:
    """Return how many characters topics take of a connection's allowance, quotes and commas included."""
    return sum(len(topic) + 3 for topic in topics)
