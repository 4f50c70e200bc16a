"""Bybit's streams of one category: connections, snapshots, the whole market's figures, the clock, and what trades.

The session brings input to its sink in the order the books need: streams are announced, then snapshots are asked for,
each request is announced before it leaves. It keeps running until it is cancelled; whatever fails inside is tried again
and said in the health counters and events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from app.domain.clock import Clock
from app.domain.errors import FatalFeedError
from app.domain.health import FeedHealth, LinkHealth
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.venues.bans import BanStore
from app.venues.bybit.api import BybitApi
from app.venues.bybit.polling import WindowsByRest
from app.venues.bybit.shard import Shard, chars_of, quote_topics
from app.venues.bybit.snapshots import SnapshotOptions, SnapshotQueue
from app.venues.bybit.urls import MAX_ARGS_CHARS, BybitEndpoints, book_topic, tickers_path
from app.venues.care import ClockMeter, Diary, Suspensions, first_of, keep_counters
from app.venues.feed import FeedSink, Urgency
from app.venues.limiter import RateLimit
from app.venues.link import LinkOptions
from app.venues.polling import Poller
from app.venues.rest import RestError

_ATTEMPTS: Final = 400
_ATTEMPTS_WINDOW_S: Final = 300.0
"""The venue allows 500 new connections in 5 minutes per host; the other category and a restart need some too."""
_ROOM: Final = 0.9
"""Share of the characters of a connection that is used."""
_HOT_CHARS: Final = 64
"""Characters the topics of one more symbol take, long names included."""
_RETRY_S: Final = 30.0

BYBIT_LINK: Final = LinkOptions(
    stale_after_s=10.0,
    subscribe_timeout_s=30.0,
    planned_age_s=float("inf"),
    max_size=16 * 2**20,
    forbidden_wait_s=600.0,
)
"""The venue has no age limit of connections; a 403 is its ban of an address, lifted after ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Times in seconds. full_book: spot books are the full ones where offered. hot_symbols: most of them.

    `bans_file` keeps the venue's bans across restarts (None: in memory only).
    """

    levels: int = 1000
    full_book: bool = True
    topics_per_connection: int = 300
    connections: int = 2
    """At least so many connections, so that the loss of one does not take every book."""
    hot_symbols: int = 100
    snapshots_per_s: int = 10
    fallback_after_s: float = 10.0
    """After how long without streams books are read over REST."""
    polls_per_s: float = 5.0
    tickers_every_s: float = 10.0
    ping_every_s: float = 20.0
    pong_within_s: float = 10.0
    first_book_within_s: float = 10.0
    clock_every_s: float = 600.0
    listing_every_s: float = 1800.0
    link: LinkOptions = BYBIT_LINK
    snapshots: SnapshotOptions = field(default_factory=SnapshotOptions)
    bans_file: Path | None = None


class BybitSession:
    """The feed of one category. `run` may be called again after it has ended."""

    def __init__(
        self,
        market: Market,
        instruments: Sequence[Instrument],
        endpoints: BybitEndpoints,
        sink: FeedSink,
        health: FeedHealth,
        clock: Clock,
        options: SessionOptions | None = None,
        *,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is asked yet."""
        self.market = market
        self.health = health
        self._options = options or SessionOptions()
        self._symbols = tuple(instrument.symbol for instrument in instruments)
        self._url = endpoints.streams(market)
        self._sink = sink
        self._clock = clock
        self._random = random or Random()
        self._attempts = RateLimit(_ATTEMPTS, _ATTEMPTS_WINDOW_S)
        self._diary = Diary(health.feed, sink, clock)
        self._listed: frozenset[str] = frozenset()
        """Names the venue trades, once known."""
        bans = BanStore(self._options.bans_file)
        bans.load()
        self._api = BybitApi(market, endpoints, health, clock, bans, self._options.snapshots_per_s)
        self._meter = ClockMeter(self._api.measure_clock, self._diary, self._options.clock_every_s)
        self._suspensions = Suspensions(self._symbols, "Trading", health, self._diary, self._on_out, self._on_back)
        self._shards = self._make_shards()
        self._shard_of = {symbol: shard for shard in self._shards for symbol in shard.symbols}
        self._queue = SnapshotQueue(self._api, self._symbols, self, health, clock, self._options.snapshots)

        books = WindowsByRest(self._api, self._options.polls_per_s)
        self._poller = Poller(books, self, self._options.fallback_after_s)

    def _make_shards(self) -> list[Shard]:
        options = self._options
        full = set(self._symbols) if options.full_book and self.market is Market.BYBIT_SPOT else set()
        topics = [
            [book_topic(symbol, 0 if symbol in full else options.levels), *quote_topics(self.market, symbol)]
            for symbol in self._symbols
        ]
        chars = sum(map(chars_of, topics))
        needed = max(
            -(-sum(map(len, topics)) // max(options.topics_per_connection, 3)),
            -(-chars // int(MAX_ARGS_CHARS * _ROOM)),
            options.connections,
        )
        count = min(len(self._symbols), needed)
        shards = []
        for number in range(count):
            link = LinkHealth(name=f"{self.market.value} {number + 1}", feed=self.health.feed, url=self._url)
            symbols = self._symbols[number::count]  # the most traded ones are dealt to all connections
            own = full.intersection(symbols)
            shards.append(Shard(self.market, symbols, own, link, self.health, self._sink, self._clock, self, options))
        self.health.links[:] = [shard.health for shard in shards]
        return shards

    # -- for the screens and the books ---------------------------------------------------------------------------

    def request_snapshot(self, symbol: str, urgency: Urgency) -> None:
        """Ask for a book anew; while its stream is down only its turn in polling can come sooner."""
        shard = self._shard_of.get(symbol)
        if shard is None or symbol in self._suspensions.out:
            return
        if shard.watch.down_since_ns is None:
            self._queue.request(symbol, urgency)
        elif urgency is Urgency.VISIBLE:
            self._poller.prefer(symbol)

    def pause_snapshots(self) -> None:
        """Start no snapshot request until `resume_snapshots`."""
        self._queue.pause()

    def resume_snapshots(self) -> None:
        """Go on with snapshots, also after `cancel_priming`."""
        self._queue.resume()

    def cancel_priming(self) -> None:
        """Drop the queue of snapshots; only books that break or come on screen are asked for."""
        self._queue.cancel()

    @property
    def hot_capacity(self) -> int:
        """How many symbols besides those with books may have live quotes."""
        options = self._options
        topics = len(self._shards) * max(options.topics_per_connection, 3)
        chars = len(self._shards) * int(MAX_ARGS_CHARS * _ROOM)
        for shard in self._shards:
            own = [topic for symbol in shard.symbols for topic in quote_topics(self.market, symbol)]
            own += [book_topic(symbol, options.levels) for symbol in shard.symbols]
            topics -= len(own)
            chars -= chars_of(own)
        return max(0, min(options.hot_symbols, chars // _HOT_CHARS, topics // 2))

    def set_hot(self, symbols: Collection[str]) -> None:
        """Stream figures and best prices of exactly these symbols besides those with books; ignore unknown ones."""
        wanted = dict.fromkeys(
            symbol
            for symbol in symbols
            if symbol not in self._shard_of and (symbol in self._listed if self._listed else symbol.isalnum())
        )
        wanted = dict.fromkeys(list(wanted)[: self.hot_capacity])
        changed = set()
        for shard in self._shards:
            for symbol in [symbol for symbol in shard.hot if symbol not in wanted]:
                del shard.hot[symbol]
                changed.add(shard)
        running = {symbol for shard in self._shards for symbol in shard.hot}
        for symbol in wanted:
            if symbol not in running and self._shards:
                shard = min(self._shards, key=lambda shard: len(shard.hot) + len(shard.symbols))
                shard.hot[symbol] = None
                changed.add(shard)
        for shard in changed:
            shard.follow_wishes()

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Stream until cancelled. Raises FatalFeedError when an address is none or there is nothing to stream."""
        if not self._shards:
            raise FatalFeedError(
                f"expected at least one symbol of {self.market.full_name} that the venue trades, were none"
            )
        feed = self.health.feed
        try:
            async with asyncio.TaskGroup() as group:
                for shard in self._shards:
                    link = shard.open(self._url, self._options.link, self._attempts, self._random)
                    group.create_task(link.run(), name=f"link {shard.health.name}")
                group.create_task(self._queue.run(), name=f"snapshots {feed}")
                group.create_task(self._poller.run(self._shards), name=f"polling {feed}")
                group.create_task(self._keep_tickers(), name=f"tickers {feed}")
                group.create_task(self._meter.run(), name=f"clock {feed}")
                group.create_task(self._keep_listing(), name=f"listing {feed}")
                group.create_task(
                    keep_counters(
                        self._api.rest, self._clock, self._diary, self._options.link.sleep_gap_s, self._meter.hurry
                    ),
                    name=f"counters {feed}",
                )
        except ExceptionGroup as failures:
            raise first_of(failures) from None
        finally:
            await self._api.close()

    async def _keep_tickers(self) -> None:
        """Bring the figures of all instruments now and then; those with streams of their own have fresher ones."""
        path = tickers_path(self.market)
        while True:
            with contextlib.suppress(RestError):  # counted and shown by the REST client; the next round tries again
                raw = await self._api.tickers()
                self._sink.on_rest(self.stamp(), path, raw)
            await asyncio.sleep(self._options.tickers_every_s)

    async def _keep_listing(self) -> None:
        """Read now and then what trades: suspend what does not, take back what does again."""
        while True:
            try:
                rows = await self._api.listing()
            except RestError:
                await asyncio.sleep(_RETRY_S)
                continue
            if rows:
                status = {row.symbol: row.status for row in rows}
                self._listed = frozenset(symbol for symbol, word in status.items() if word == "Trading")
                self._suspensions.judge(status)
            await asyncio.sleep(self._options.listing_every_s)

    def _on_out(self, symbol: str) -> None:
        self._queue.hold((symbol,))
        if self._shard_of[symbol].watch.down_since_ns is None:
            self._sink.on_streams(self.stamp(), (symbol,), up=False)

    def _on_back(self, symbol: str) -> None:
        shard = self._shard_of[symbol]
        if shard.watch.down_since_ns is None:
            self._sink.on_streams(self.stamp(), (symbol,), up=True)
            self._queue.release((symbol,))
            if symbol not in shard.full:
                shard.renew(symbol)

    # -- ShardOwner ----------------------------------------------------------------------------------------------

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        return self._suspensions.out

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        return self._diary.stamp()

    def on_refused(self, shard: Shard, symbol: str, reason: str) -> None:
        """Take a window where the full book is refused; leave out a symbol whose window is refused too."""
        if symbol in shard.full:
            self._turn_to_window(symbol, reason)
        else:
            self._suspensions.refuse(symbol, f"the venue refuses its book ({reason})")

    def _turn_to_window(self, symbol: str, reason: str) -> None:
        shard = self._shard_of[symbol]
        if symbol not in shard.full:
            return
        shard.full.discard(symbol)
        self._queue.hold((symbol,))
        if shard.watch.down_since_ns is None:
            self._queue.release((symbol,))
        shard.follow_wishes()
        levels = self._options.levels
        text = f"{symbol}: no full book is offered ({reason}); its best {levels} levels are followed instead"
        self._diary.note(symbol, text)

    def on_shard_up(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Announce streams, then let their snapshots be asked for."""
        self._sink.on_streams(self.stamp(), symbols, up=True)
        self._queue.release(symbols)

    def on_shard_down(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Announce that streams are lost."""
        self._queue.hold(symbols)
        self._sink.on_streams(self.stamp(), symbols, up=False)

    def on_polled(self, path: str, raw: bytes) -> None:
        """Hand over an answer that stands in for streams."""
        self._sink.on_rest(self.stamp(), path, raw, polled=True)

    # -- SnapshotTaker -------------------------------------------------------------------------------------------

    def is_full(self, symbol: str) -> bool:
        """Tell whether the symbol's book is the full one."""
        return symbol in self._shard_of[symbol].full

    def renew(self, symbol: str) -> None:
        """Subscribe the symbol's window anew."""
        self._shard_of[symbol].renew(symbol)

    def on_asked(self, path: str) -> None:
        """Announce a request."""
        self._sink.on_rest_asked(self.stamp(), path)

    def on_answer(self, path: str, raw: bytes) -> None:
        """Hand over an answer."""
        self._sink.on_rest(self.stamp(), path, raw)

    def on_failed(self, path: str, reason: str) -> None:
        """Announce that a request brought nothing."""
        self._sink.on_rest_failed(self.stamp(), path, reason)

    def on_not_offered(self, symbol: str, reason: str) -> None:
        """Take a window instead of a full book the venue does not have."""
        self._turn_to_window(symbol, reason)
