"""Binance streams of one market: connections, snapshots, the clock, what trades, and REST while streams fail.

The session brings input to its sink in the order the books need: streams are announced, then snapshots are asked for,
each request is announced before it leaves. It keeps running until it is cancelled; whatever fails inside is tried again
and said in the health counters and events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from app.domain.clock import Clock, SystemClock
from app.domain.errors import FatalFeedError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_S
from app.venues.bans import BanStore
from app.venues.binance.api import MarketApi, open_api
from app.venues.binance.news import HOT_CAPACITY, MarketNews
from app.venues.binance.polling import Poller
from app.venues.binance.priming import PrimingOptions, SnapshotQueue
from app.venues.binance.shard import STREAMS_PER_SYMBOL, Shard
from app.venues.binance.urls import BinanceEndpoints
from app.venues.feed import FeedSink, Urgency
from app.venues.limiter import RateLimit
from app.venues.link import LinkOptions
from app.venues.rest import RestError
from app.venues.sleep import SleepSensor

_ATTEMPTS: Final = 240
_ATTEMPTS_WINDOW_S: Final = 300.0
"""The venue allows 300 connection attempts in 5 minutes per address; some room is left for a restart of the program."""
_SKEW_MS: Final = 1000.0
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
        self._last_stamp_ns = 0
        self._suspended: set[str] = set()
        self._skewed = False
        self._refused: set[str] = set()
        self._measure_clock = asyncio.Event()
        if api is None:
            bans = BanStore(self._options.bans_file)
            bans.load()
            api = open_api(market, endpoints, health, clock, bans)
        self._api = api
        self._queue = SnapshotQueue(api, self._symbols, self, health, clock, self._options.priming)
        self._shards = self._make_shards()
        self._shard_of = {symbol: shard for shard in self._shards for symbol in shard.symbols}
        self._news = MarketNews(self._api, endpoints, sink, health, clock, self.stamp, self._symbols)
        self._poller = Poller(self._api, self, self._options.fallback_after_s, self._options.priming.steady_share)

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
        if shard is None or symbol in self._suspended:
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
                group.create_task(self._keep_clock(), name=f"clock {self.health.feed}")
                group.create_task(self._keep_listing(), name=f"listing {self.health.feed}")
                group.create_task(self._keep_counters(), name=f"counters {self.health.feed}")
                if self._options.news:
                    news = self._news.run(self._options.link, self._attempts, self._random)
                    group.create_task(news, name=f"news {self.health.feed}")
        except ExceptionGroup as failures:
            raise _first_of(failures) from None
        finally:
            await self._api.close()

    async def _keep_counters(self) -> None:
        """Each second: show the present weight, and notice when the computer slept or its clock was set."""
        sensor = SleepSensor(self._clock.monotonic_ns(), self._options.link.sleep_gap_s)
        while True:
            self._api.rest.refresh()
            slept = sensor.look(self._clock.monotonic_ns())
            if slept is not None:
                self._on_slept(slept)
            await asyncio.sleep(1.0)

    def _on_slept(self, what: str) -> None:
        """Follow the system's clock forwards; backwards it is not followed, because stamps may never decrease."""
        if isinstance(self._clock, SystemClock):
            if self._clock.drift_ns() > 0:
                self._clock.resync()
            elif self._clock.drift_ns() < -NS_PER_S:
                what += "; the times shown go on as before until the program is started again"
        self._say(FeedEventKind.NOTICE, None, what)
        self._measure_clock.set()

    async def _keep_clock(self) -> None:
        """Measure the venue's clock now and then; it only labels times and latency, and aligns the weight minute."""
        while True:
            try:
                offset_ms = await self._api.measure_clock(self._options.priming.urgent_share)
            except RestError:
                await self._clock_due(_RETRY_S)
                continue
            skewed = abs(offset_ms) > _SKEW_MS
            if skewed and not self._skewed:
                word = "behind" if offset_ms > 0 else "ahead of"
                text = f"this computer's clock is {abs(offset_ms) / 1000:.1f} s {word} the venue's"
                self._say(FeedEventKind.NOTICE, None, text)
            self._skewed = skewed
            await self._clock_due(self._options.clock_every_s)

    async def _clock_due(self, after_s: float) -> None:
        """Return after so many seconds, or at once when the computer has slept."""
        self._measure_clock.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._measure_clock.wait(), after_s)

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
                for symbol in self._symbols:
                    self._judge(symbol, status.get(symbol))
            await asyncio.sleep(self._options.listing_every_s)

    def _judge(self, symbol: str, status: str | None) -> None:
        if symbol in self._refused:
            return
        if status == "TRADING":
            self._take_back(symbol)
        elif status is None:
            self._suspend(symbol, "the venue does not list it any more (delisted)")
        else:
            self._suspend(symbol, f"the venue does not trade it now (status {status})")

    def _suspend(self, symbol: str, reason: str) -> None:
        if symbol in self._suspended:
            return
        self._suspended.add(symbol)
        self.health.books_total -= 1
        self._queue.hold((symbol,))
        if self._shard_of[symbol].watch.down_since_ns is None:
            self._sink.on_streams(self.stamp(), (symbol,), up=False)
        self._say(FeedEventKind.NOTICE, symbol, f"{symbol}: {reason}; it is left out until it trades again")

    def _take_back(self, symbol: str) -> None:
        if symbol not in self._suspended:
            return
        self._suspended.discard(symbol)
        self.health.books_total += 1
        if self._shard_of[symbol].watch.down_since_ns is None:
            self._sink.on_streams(self.stamp(), (symbol,), up=True)
            self._queue.release((symbol,))
        self._say(FeedEventKind.NOTICE, symbol, f"{symbol}: it trades again")

    # -- ShardOwner, PollOwner -----------------------------------------------------------------------------------

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        return self._suspended

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        self._last_stamp_ns = max(self._last_stamp_ns, self._clock.wall_ns())
        return self._last_stamp_ns

    def on_refused(self, shard: Shard, refused: Mapping[str, str]) -> None:
        """Leave out symbols whose streams the venue refuses, take back those it no longer does."""
        for symbol in shard.symbols:
            if symbol in refused:
                self._refused.add(symbol)
                self._suspend(symbol, f"the venue refuses its streams ({refused[symbol]})")
            elif symbol in self._refused:
                self._refused.discard(symbol)
                self._take_back(symbol)

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
        self._suspend(symbol, f"the venue does not list it any more ({reason})")

    def _say(self, kind: FeedEventKind, symbol: str | None, text: str) -> None:
        event = FeedEvent(ts_ns=self.stamp(), source=str(self.health.feed), kind=kind, symbol=symbol, text=text)
        self._sink.on_event(event)


def _first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure that decides out of a group: a bug before an error that was foreseen."""
    flat = [_first_of(error) if isinstance(error, BaseExceptionGroup) else error for error in failures.exceptions]
    return min(flat, key=lambda error: isinstance(error, FatalFeedError))
