"""One connection's share of a market: its symbols' streams up and down, their frames to the sink, their latency."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedEventKind, FeedHealth, LinkHealth
from app.domain.ids import Market
from app.venues.binance.channel import StreamChannel
from app.venues.feed import FeedSink
from app.venues.limiter import RateLimit
from app.venues.link import Channel, Link, LinkOptions
from app.venues.watch import LinkWatch

STREAMS_PER_SYMBOL: Final = 2
_CONTROL_PER_S: Final = {Market.BINANCE_SPOT: 4, Market.BINANCE_USDM: 8}


class ShardOwner(Protocol):
    """The session around a shard."""

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        ...

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        ...

    def on_refused(self, shard: Shard, refused: Mapping[str, str]) -> None:
        """Note which symbols' streams the venue refused, and why; called before `on_shard_up`."""
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
        health: LinkHealth,
        feed_health: FeedHealth,
        sink: FeedSink,
        clock: Clock,
        owner: ShardOwner,
    ) -> None:
        self.symbols = tuple(symbols)
        self.health = health
        self.watch = LinkWatch(health, feed_health, sink, clock, owner.stamp)
        self._market = market
        self._clock = clock
        self._owner = owner
        self._silent_after_s = 0.0
        self._channel: StreamChannel | None = None
        health.streams = len(self.symbols) * STREAMS_PER_SYMBOL

    def open(self, url: str, options: LinkOptions, attempts: RateLimit, random: Random) -> Link:
        """Return a link that has not begun yet."""
        self._silent_after_s = options.stale_after_s
        return self.watch.open(url, self, options, attempts, random)

    def names(self) -> list[str]:
        """Return the names of all streams of this shard."""
        return [f"{symbol.lower()}@{kind}" for symbol in self.symbols for kind in ("depth@100ms", "bookTicker")]

    # -- LinkOwner -----------------------------------------------------------------------------------------------

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection; control frames are counted per connection."""
        control = RateLimit(_CONTROL_PER_S[self._market], 1.0)
        self._channel = StreamChannel(self.names(), control, self._clock, self._silent_after_s)
        return self._channel

    def on_frame(self, raw: bytes) -> None:
        """Stamp a frame and hand it on. Raises BadFrameError."""
        self.watch.on_frame(raw, event_time_ms)

    def on_up(self) -> None:
        """Announce the streams, then ask for snapshots."""
        self._owner.on_refused(self, self._refused_symbols())
        self.watch.on_up()
        symbols = tuple(symbol for symbol in self.symbols if symbol not in self._owner.suspended)
        self._owner.on_shard_up(self, symbols)
        self.watch.say(FeedEventKind.CONNECTED, f"{self.health.streams} streams run")

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

    def _refused_symbols(self) -> dict[str, str]:
        """Return the symbols that lack one of their streams, with the venue's words."""
        if self._channel is None:
            return {}
        said = {name.partition("@")[0]: words for name, words in self._channel.refused.items()}
        return {symbol: said[symbol.lower()] for symbol in self.symbols if symbol.lower() in said}


def event_time_ms(raw: bytes) -> int | None:
    """Return the venue's event time of a depth frame by a byte search, None for other frames."""
    if raw.find(b"@depth", 0, 96) < 0:
        return None
    at = raw.find(b'"E":', 0, 256)
    digits = raw[at + 4 : at + 18].lstrip()[:13]
    return int(digits) if at >= 0 and digits.isdigit() else None
