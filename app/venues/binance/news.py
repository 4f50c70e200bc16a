"""Binance's market news: all-market streams, quotes of symbols without a book, and REST tables of the whole market.

News never gates a book: its connections and requests have their own line in the feed's health, and what they bring goes
through the same sink, so that a recording holds it too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from app.domain.clock import Clock
from app.domain.health import FeedEventKind, FeedHealth, LinkHealth
from app.domain.ids import Market
from app.domain.units import NS_PER_S
from app.venues.binance.api import MarketApi
from app.venues.binance.channel import NAMES_PER_FRAME
from app.venues.binance.urls import VOLUME_PATH, VOLUME_WEIGHT, BinanceEndpoints
from app.venues.explain import LinkLost
from app.venues.feed import FeedSink
from app.venues.limiter import RateLimit, wait_turn
from app.venues.link import Channel, Link, LinkOptions, Send, Tend
from app.venues.rest import RestError
from app.venues.watch import LinkWatch

NEWS_STREAMS: Final = {
    Market.BINANCE_SPOT: ("!miniTicker@arr",),
    Market.BINANCE_USDM: ("!miniTicker@arr", "!markPrice@arr@1s", "!forceOrder@arr"),
}
HOT_CAPACITY: Final = 200
_CONTROL_PER_S: Final = 4
_QUOTES: Final = {
    Market.BINANCE_SPOT: ("/api/v3/ticker/bookTicker", 4),
    Market.BINANCE_USDM: ("/fapi/v1/ticker/bookTicker", 5),
}
_FUNDING_PATH: Final = "/fapi/v1/fundingInfo"
_INTEREST_PATH: Final = "/fapi/v1/openInterest"
_DAY_EVERY_S: Final = 600.0
_QUOTES_EVERY_S: Final = 10.0
_FUNDING_EVERY_S: Final = 3600.0
_INTEREST_EVERY_S: Final = 1.2
_RETRY_S: Final = 15.0
_PATIENCE_S: Final = 30.0
"""How long a connection for news may be silent."""
_SHARE: Final = 0.9
"""News waits while snapshots have used more of the minute's weight than this."""


class NewsChannel:
    """Subscribes to a set of streams and follows its changes (`app.venues.link.Channel`)."""

    def __init__(self, names: Callable[[], Collection[str]], changed: asyncio.Event, clock: Clock) -> None:
        self.ready = False
        self.shutdown_announced = False
        self._names = names
        self._changed = changed
        self._clock = clock
        self._control = RateLimit(_CONTROL_PER_S, 1.0)
        self._held: set[str] = set()
        self._asked = 0
        self._send: Send | None = None

    async def begin(self, send: Send) -> Tend:
        """Subscribe to what is wanted now, and from then on to what is wanted later."""
        self._send = send
        await self._follow()
        self.ready = True
        return self._tend

    async def _tend(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._follow()

    async def _follow(self) -> None:
        wanted = set(self._names())
        await self._ask("UNSUBSCRIBE", sorted(self._held - wanted))
        await self._ask("SUBSCRIBE", sorted(wanted - self._held))
        self._held = wanted

    async def _ask(self, method: str, names: Sequence[str]) -> None:
        assert self._send is not None
        for start in range(0, len(names), NAMES_PER_FRAME):
            self._asked += 1
            await wait_turn(self._control, lambda: self._clock.monotonic_ns() / NS_PER_S)
            request = {"method": method, "params": names[start : start + NAMES_PER_FRAME], "id": self._asked}
            await self._send(json.dumps(request, separators=(",", ":")))

    def inspect(self, raw: bytes) -> None:
        """Recognise the shutdown notice. Raises LinkLost when the venue refuses the streams."""
        if b"serverShutdown" in raw[:96]:
            self.shutdown_announced = True
        elif raw.startswith((b'{"error"', b'{"code"')):
            raise LinkLost(f"the venue refused a subscription: {raw[:120].decode('utf-8', 'replace')}", _RETRY_S)

    def silence(self, now_s: float) -> str | None:
        """Leave it to the link: any frame counts."""
        return None


class NewsLine:
    """One connection for news (`app.venues.link.LinkOwner`)."""

    def __init__(
        self,
        health: LinkHealth,
        feed_health: FeedHealth,
        sink: FeedSink,
        clock: Clock,
        stamp: Callable[[], int],
        what: str,
    ) -> None:
        self.health = health
        self._watch = LinkWatch(health, feed_health, sink, clock, stamp)
        self._clock = clock
        self._what = what
        self._names: tuple[str, ...] = ()
        self._changed = asyncio.Event()

    def set_names(self, names: Collection[str]) -> None:
        """Follow exactly these streams."""
        self._names = tuple(names)
        self.health.streams = len(self._names)
        self._changed.set()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the streams that are wanted."""
        return self._names

    def open(self, options: LinkOptions, attempts: RateLimit, random: Random) -> Link:
        """Return a link that has not begun yet."""
        return self._watch.open(self.health.url, self, options, attempts, random)

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection."""
        self._changed.clear()
        return NewsChannel(lambda: self._names, self._changed, self._clock)

    def on_frame(self, raw: bytes) -> None:
        """Hand a frame on. Raises BadFrameError."""
        self._watch.on_frame(raw)

    def on_up(self) -> None:
        """Say that news comes."""
        self._watch.on_up()
        self._watch.say(FeedEventKind.CONNECTED, f"{self._what} come")

    def on_down(self, reason: str) -> None:
        """Say that news stays away."""
        self._watch.on_down()
        self._watch.say(FeedEventKind.DISCONNECTED, reason)

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Log why there is no connection; the same reason again only every ten minutes."""
        self._watch.on_trouble(reason, retry_in_s)

    def on_notice(self, text: str) -> None:
        """Log a planned replacement and the like."""
        self._watch.say(FeedEventKind.NOTICE, text)


class NewsPoller:
    """Asks for what no stream brings: 24 h figures at the start, quotes, funding intervals, open interest."""

    def __init__(self, api: MarketApi, sink: FeedSink, stamp: Callable[[], int], symbols: Callable[[], Sequence[str]]):
        self._api = api
        self._sink = sink
        self._stamp = stamp
        self._symbols = symbols

    async def run(self) -> None:
        """Poll until cancelled."""
        market = self._api.market
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(VOLUME_PATH[market], VOLUME_WEIGHT[market], _DAY_EVERY_S))
            group.create_task(self._keep(*_QUOTES[market], _QUOTES_EVERY_S))
            if market is Market.BINANCE_USDM:
                group.create_task(self._keep(_FUNDING_PATH, 1, _FUNDING_EVERY_S))
                group.create_task(self._keep_interest())

    async def _keep(self, path: str, weight: int, every_s: float) -> None:
        while True:
            answered = await self._ask(path, weight)
            await asyncio.sleep(every_s if answered else _RETRY_S)

    async def _keep_interest(self) -> None:
        while True:
            for symbol in self._symbols():
                answered = await self._ask(f"{_INTEREST_PATH}?symbol={symbol}", 1)
                await asyncio.sleep(_INTEREST_EVERY_S if answered else _RETRY_S)
            await asyncio.sleep(_INTEREST_EVERY_S)

    async def _ask(self, path: str, weight: int) -> bool:
        try:
            body = await self._api.rest.get(path, weight, _SHARE)
        except RestError:
            return False  # counted and shown where requests are made
        self._sink.on_rest(self._stamp(), path, body)
        return True


class MarketNews:
    """All news of one market: all-market streams, quotes of hot symbols while there are any, tables."""

    def __init__(
        self,
        api: MarketApi,
        endpoints: BinanceEndpoints,
        sink: FeedSink,
        health: FeedHealth,
        clock: Clock,
        stamp: Callable[[], int],
        books: Sequence[str],
    ) -> None:
        """Prepare. books: the symbols whose quotes come with their books."""
        market = api.market
        self._health = health
        self._books = frozenset(books)
        self._tables = NewsPoller(api, sink, stamp, lambda: books)
        url, book_url = endpoints.news(market), endpoints.streams(market)
        news = LinkHealth(name=f"{market.word} news", feed=health.feed, url=url)
        hot = LinkHealth(name=f"{market.word} hot", feed=health.feed, url=book_url)
        self._news = NewsLine(news, health, sink, clock, stamp, "tickers of the whole market")
        self._news.set_names(NEWS_STREAMS[market])
        self._hot = NewsLine(hot, health, sink, clock, stamp, "quotes of symbols without a book")
        self._hot_changed = asyncio.Event()

    def set_hot(self, symbols: Collection[str]) -> None:
        """Stream quotes of exactly these symbols besides those with books."""
        names = [f"{symbol.lower()}@bookTicker" for symbol in sorted(symbols) if symbol not in self._books]
        self._hot.set_names(names[:HOT_CAPACITY])
        self._hot_changed.set()

    async def run(self, options: LinkOptions, attempts: RateLimit, random: Random) -> None:
        """Bring news until cancelled."""
        patient = replace(options, stale_after_s=_PATIENCE_S)
        self._health.links.append(self._news.health)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._news.open(patient, attempts, random).run(), name=self._news.health.name)
                group.create_task(self._keep_hot(patient, attempts, random), name=self._hot.health.name)
                group.create_task(self._tables.run(), name=f"{self._health.feed} tables")
        finally:
            self._health.links.remove(self._news.health)

    async def _keep_hot(self, options: LinkOptions, attempts: RateLimit, random: Random) -> None:
        while True:
            while not self._hot.names:
                await self._hot_changed.wait()
                self._hot_changed.clear()
            running = asyncio.create_task(self._hot.open(options, attempts, random).run(), name="hot link")
            self._health.links.append(self._hot.health)
            try:
                while self._hot.names:
                    await self._hot_changed.wait()
                    self._hot_changed.clear()
            finally:
                self._health.links.remove(self._hot.health)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
