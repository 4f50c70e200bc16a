"""Binance streams of one market: connections, snapshots, the clock, what trades, and REST while streams fail.

The session brings input to its sink in the order the books need: streams are announced, then snapshots are asked for,
each request is announced before it leaves. It keeps running until it is cancelled; whatever fails inside is tried again
and said in the health counters and events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
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
from app.venues.binance.api import MarketApi, open_api
from app.venues.binance.news import HOT_CAPACITY, MarketNews
from app.venues.binance.polling import DepthByRest
from app.venues.binance.priming import PrimingOptions, SnapshotQueue
from app.venues.binance.shard import STREAMS_PER_SYMBOL, Shard
from app.venues.binance.urls import BinanceEndpoints
from app.venues.care import ClockMeter, Diary, Suspensions, first_of, keep_counters
from app.venues.feed import FeedSink, Urgency
from app.venues.limiter import RateLimit
from app.venues.link import LinkOptions
from app.venues.polling import Poller
from app.venues.rest import RestError

_ATTEMPTS: Final = 240
_ATTEMPTS_WINDOW_S: Final = 300.0
"""The venue allows 300 connection attempts in 5 minutes per address; some room is left for a restart of the program."""
_RETRY_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Times in seconds. `bans_file` keeps the venue's 429 and 418 across restarts (None: in memory only)."""

    streams_per_connection: int = 100
    connections: int = 2
    """At least so many connections, so that the loss of one does not take every book."""
    link: LinkOptions = field(default_factory=LinkOptions)
    priming: PrimingOptions = field(default_factory=PrimingOptions)
    fallback_after_s: float = 10.0
    clock_every_s: float = 600.0
    listing_every_s: float = 1800.0
    bans_file: Path | None = None
    news: bool = False
    """Whether to follow tickers, funding and liquidations of the whole market beside the books."""


class BinanceSession:
    """The feed of one market. `run` may be called again after it has ended."""

    def __init__(
        self,
        market: Market,
        instruments: Sequence[Instrument],
        endpoints: BinanceEndpoints,
        sink: FeedSink,
        health: FeedHealth,
        clock: Clock,
        options: SessionOptions | None = None,
        *,
        api: MarketApi | None = None,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is asked yet. `api`: the one that loaded the universe, so that its weights count here."""
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
        if api is None:
            bans = BanStore(self._options.bans_file)
            bans.load()
            api = open_api(market, endpoints, health, clock, bans)
        self._api = api
        self._meter = ClockMeter(
            lambda: api.measure_clock(self._options.priming.urgent_share), self._diary, self._options.clock_every_s
        )
        self._suspensions = Suspensions(self._symbols, "TRADING", health, self._diary, self._on_out, self._on_back)
        self._queue = SnapshotQueue(api, self._symbols, self, health, clock, self._options.priming)
        self._shards = self._make_shards()
        self._shard_of = {symbol: shard for shard in self._shards for symbol in shard.symbols}
        self._news = MarketNews(self._api, endpoints, sink, health, clock, self.stamp, self._symbols)
        books = DepthByRest(self._api, self._options.priming.steady_share, self.on_unknown)
        self._poller = Poller(books, self, self._options.fallback_after_s)

    def _make_shards(self) -> list[Shard]:
        size = max(1, self._options.streams_per_connection // STREAMS_PER_SYMBOL)
        needed = -(-len(self._symbols) // size)
        count = min(len(self._symbols), max(needed, self._options.connections))
        shards = []
        for number in range(count):
            link = LinkHealth(name=f"{self.market.value} {number + 1}", feed=self.health.feed, url=self._url)
            symbols = self._symbols[number::count]  # the most traded ones are dealt to all connections
            shards.append(Shard(self.market, symbols, link, self.health, self._sink, self._clock, self))
        self.health.links[:] = [shard.health for shard in shards]
        return shards

    # -- for the screens and the books ---------------------------------------------------------------------------

    def request_snapshot(self, symbol: str, urgency: Urgency) -> None:
        """Ask for a snapshot; while the symbol's streams are down only its turn in polling can come sooner."""
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
        """Return how many symbols besides those with books may have live quotes."""
        return HOT_CAPACITY if self._options.news else 0

    def set_hot(self, symbols: Collection[str]) -> None:
        """Stream quotes of exactly these symbols besides those with books."""
        self._news.set_hot(symbols)

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Stream until cancelled. Raises FatalFeedError when an address is none or there is nothing to stream."""
        if not self._shards:
            raise FatalFeedError(
                f"expected at least one symbol of {self.market.label} that the venue trades, were none"
            )
        try:
            async with asyncio.TaskGroup() as group:
                for shard in self._shards:
                    link = shard.open(self._url, self._options.link, self._attempts, self._random)
                    group.create_task(link.run(), name=f"link {shard.health.name}")
                group.create_task(self._queue.run(), name=f"snapshots {self.health.feed}")
                group.create_task(self._poller.run(self._shards), name=f"polling {self.health.feed}")
                group.create_task(self._meter.run(), name=f"clock {self.health.feed}")
                group.create_task(self._keep_listing(), name=f"listing {self.health.feed}")
                group.create_task(
                    keep_counters(
                        self._api.rest, self._clock, self._diary, self._options.link.sleep_gap_s, self._meter.hurry
                    ),
                    name=f"counters {self.health.feed}",
                )
                if self._options.news:
                    news = self._news.run(self._options.link, self._attempts, self._random)
                    group.create_task(news, name=f"news {self.health.feed}")
        except ExceptionGroup as failures:
            raise first_of(failures) from None
        finally:
            await self._api.close()

    async def _keep_listing(self) -> None:
        """Read now and then what trades: suspend what does not, take back what does again."""
        if self._api.limits_known:
            await asyncio.sleep(self._options.listing_every_s)
        while True:
            try:
                rows = await self._api.listing(self._options.priming.steady_share)
            except RestError:
                await asyncio.sleep(_RETRY_S)
                continue
            if rows:
                status = {row.symbol: row.status for row in rows}
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

    # -- ShardOwner, PollOwner -----------------------------------------------------------------------------------

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        return self._suspensions.out

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        return self._diary.stamp()

    def on_refused(self, shard: Shard, refused: Mapping[str, str]) -> None:
        """Leave out symbols whose streams the venue refuses, take back those it no longer does."""
        for symbol in shard.symbols:
            if symbol in refused:
                self._suspensions.refuse(symbol, f"the venue refuses its streams ({refused[symbol]})")
            else:
                self._suspensions.forgive(symbol)

    def on_shard_up(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Announce streams, then let their snapshots be asked for."""
        self._sink.on_streams(self.stamp(), symbols, up=True)
        self._queue.release(symbols)

    def on_shard_down(self, shard: Shard, symbols: tuple[str, ...]) -> None:
        """Announce that streams are lost."""
        self._queue.hold(symbols)
        self._sink.on_streams(self.stamp(), symbols, up=False)

    def on_polled(self, path: str, raw: bytes) -> None:
        """Hand over a depth answer that stands in for streams."""
        self._sink.on_rest(self.stamp(), path, raw, polled=True)

    # -- SnapshotTaker -------------------------------------------------------------------------------------------

    def on_asked(self, path: str) -> None:
        """Announce a request."""
        self._sink.on_rest_asked(self.stamp(), path)

    def on_answer(self, path: str, raw: bytes) -> None:
        """Hand over an answer."""
        self._sink.on_rest(self.stamp(), path, raw)

    def on_failed(self, path: str, reason: str) -> None:
        """Announce that a request brought nothing."""
        self._sink.on_rest_failed(self.stamp(), path, reason)

    def on_unknown(self, symbol: str, reason: str) -> None:
        """Leave out a symbol the venue does not know."""
        self._suspensions.suspend(symbol, f"the venue does not list it any more ({reason})")
