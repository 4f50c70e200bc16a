"""Hyperliquid's streams of one market: a connection for figures, one for books at each resolution, and REST besides.

The line of figures carries the asset contexts of the whole market, all middle prices, and best prices and trades of the
coins in view. Contexts are asked for in the shortest form that the venue takes: all perpetuals in one subscription, all
of every exchange built on the venue, or one coin at a time. The tables of the whole market are read over REST at the
start, every ten minutes, when a frame covers another number of perpetuals than the table did, and while the line of
figures is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from app.domain.clock import Clock
from app.domain.health import FeedHealth, LinkHealth
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_S
from app.venues.care import Diary, first_of, keep_counters
from app.venues.feed import FeedSink, Urgency
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.allowance import Allowance
from app.venues.hyperliquid.api import PERP_TABLE, SPOT_TABLE, HyperliquidApi
from app.venues.hyperliquid.channel import ChannelTimes
from app.venues.hyperliquid.line import Line
from app.venues.hyperliquid.messages import PerpMeta, SpotMeta
from app.venues.hyperliquid.naming import SpotNames
from app.venues.hyperliquid.polling import BookPoller
from app.venues.hyperliquid.protocol import FULL, Topic, book_topic
from app.venues.hyperliquid.wishes import Wishes
from app.venues.link import LinkOptions
from app.venues.rest import RestError

_LOOK_S: Final = 1.0


def _link_options() -> LinkOptions:
    """Any frame counts as life, pongs too: longer than from one ping to the last moment of its answer."""
    return LinkOptions(stale_after_s=35.0, ping_interval_s=20.0, ping_timeout_s=10.0, planned_age_s=float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Times in seconds. lines: the resolutions of books. poll_share: of REST weight, for books while streams fail."""

    lines: tuple[str, ...] = (FULL, "s3", "s2")
    link: LinkOptions = field(default_factory=_link_options)
    times: ChannelTimes = field(default_factory=ChannelTimes)
    poll_after_s: float = 5.0
    poll_share: float = 0.4
    table_every_s: float = 600.0
    table_pause_s: float = 15.0
    """At least so long between two readings of the table."""


class HyperliquidSession:
    """The feed of one market. `run` may be called again after it has ended."""

    def __init__(
        self,
        market: Market,
        instruments: Sequence[Instrument],
        ws_url: str,
        rest_url: str,
        sink: FeedSink,
        health: FeedHealth,
        clock: Clock,
        allowance: Allowance,
        options: SessionOptions | None = None,
        *,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is asked yet. Raises FatalFeedError for a REST address that is none."""
        self.market = market
        self.health = health
        self._options = options or SessionOptions()
        self._coins = tuple(instrument.symbol for instrument in instruments)
        self._url = ws_url
        self._sink = sink
        self._clock = clock
        self._allowance = allowance
        self._random = random or Random()
        self._diary = Diary(health.feed, sink, clock)
        lines = self._options.lines if self._coins else ()
        self._wishes = Wishes(market, self._coins, len(lines))
        self._positions: int | None = None
        """How many perpetuals the table covered."""
        self._table_outdated = False
        self._api = HyperliquidApi(rest_url, health, clock, allowance)
        self._figures = self._line("", f"{market.word} figures")
        self._books = [self._line(word, f"{market.word} books {word}") for word in lines]
        self.health.links[:] = [line.health for line in (self._figures, *self._books)]
        self._poller = BookPoller(self._api, self, self._options.poll_after_s, self._options.poll_share)

    def _line(self, word: str, name: str) -> Line:
        link = LinkHealth(name=name, feed=self.health.feed, url=self._url)
        return Line(
            word, link, self.health, self._sink, self._clock, self._allowance.messages, self._options.times, self
        )

    # -- for the screens and the books ---------------------------------------------------------------------------

    @property
    def lines(self) -> tuple[str, ...]:
        """The resolutions at which books are kept, finest first."""
        return tuple(line.word for line in self._books)

    def request_snapshot(self, symbol: str, urgency: Urgency) -> None:
        """Bring a book anew: a stream that is silent is asked for again; while it is down its turn comes sooner.

        A live stream sends the whole book twice a second anyway.
        """
        if symbol not in self._coins or symbol in self._wishes.suspended or urgency > Urgency.FIRST:
            return
        for line in self._books:
            if line.watch.down_since_ns is None:
                line.renew(book_topic(symbol, line.word))
            else:
                self._poller.prefer(symbol)

    def pause_snapshots(self) -> None:
        """Poll no books over REST until `resume_snapshots`."""
        self._poller.paused = self.health.priming_paused = True

    def resume_snapshots(self) -> None:
        """Poll again when it is needed."""
        self._poller.paused = self.health.priming_paused = False

    def cancel_priming(self) -> None:
        """Do nothing: no snapshots wait here, streams bring them."""

    @property
    def hot_capacity(self) -> int:
        """How many symbols besides those with books may have live quotes and trades."""
        return self._wishes.hot_capacity

    def set_hot(self, symbols: Collection[str]) -> None:
        """Stream quotes and trades of exactly these symbols besides those with books."""
        if self._wishes.set_hot(symbols):
            self._figures.change()

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Stream until cancelled. Raises FatalFeedError when an address is none."""
        try:
            async with asyncio.TaskGroup() as group:
                for line in (self._figures, *self._books):
                    link = line.open(self._url, self._options.link, self._allowance.connects, self._random)
                    group.create_task(link.run(), name=f"link {line.health.name}")
                group.create_task(self._keep_table(), name=f"table {self.health.feed}")
                group.create_task(
                    keep_counters(
                        self._api.rest, self._clock, self._diary, self._options.link.sleep_gap_s, self._on_slept
                    ),
                    name=f"counters {self.health.feed}",
                )
                if self._books:
                    group.create_task(self._poller.run(self._books), name=f"polling {self.health.feed}")
        except ExceptionGroup as failures:
            raise first_of(failures) from None
        finally:
            await self._api.close()

    def _on_slept(self) -> None:
        self._table_outdated = True

    # -- the table of the whole market ---------------------------------------------------------------------------

    async def _keep_table(self) -> None:
        """Read the table at the start, now and then, when it is out of date, and often while no figures stream."""
        options = self._options
        while True:
            self._table_outdated = False
            failed = False
            try:
                await self._read_table()
            except RestError:
                failed = True  # counted and shown by the REST shell
            read_s = self._now_s()
            while not self._table_due(self._now_s() - read_s, failed):
                away = self._figures.watch.down_for_s() > options.poll_after_s and not failed
                words = f"no stream; all figures are read over REST every {options.table_pause_s:.0f} s"
                self._figures.watch.cover(words if away else None)
                await asyncio.sleep(min(_LOOK_S, options.table_pause_s))

    def _table_due(self, age_s: float, failed: bool) -> bool:
        options = self._options
        soon = failed or self._table_outdated or self._figures.watch.down_for_s() > options.poll_after_s
        return age_s >= (options.table_pause_s if soon else options.table_every_s)

    async def _read_table(self) -> None:
        if self.market is Market.HYPERLIQUID_PERP:
            raw, (perps, _) = await self._api.perp_table()
            self._sink.on_rest(self.stamp(), PERP_TABLE, raw)
            self._take_perps(perps)
        else:
            raw, (spots, _) = await self._api.spot_table()
            self._sink.on_rest(self.stamp(), SPOT_TABLE, raw)
            self._take_spots(spots)

    def _take_perps(self, meta: PerpMeta) -> None:
        self._positions = len(meta.universe)
        trading = {listing.name: not listing.isDelisted for listing in meta.universe}
        if self._wishes.set_listed([name for name, trades in trading.items() if trades]):
            self._figures.change()
        for coin in self._coins:
            if trading.get(coin):
                self._take_back(coin)
            else:
                self._suspend(coin, "the venue has delisted it" if coin in trading else "the venue does not list it")

    def _take_spots(self, meta: SpotMeta) -> None:
        names = SpotNames(meta)
        if self._wishes.set_listed(list(names.symbols), names):
            self._figures.change()

    def _suspend(self, coin: str, reason: str) -> None:
        if coin not in self._wishes.suspended:
            self._wishes.suspended.add(coin)
            self.health.books_total -= 1
            self._rearrange(coin, up=False)
            self._diary.note(coin, f"{coin}: {reason}; it is left out until it trades again")

    def _take_back(self, coin: str) -> None:
        if coin in self._wishes.suspended and not self._wishes.refuses_book(coin):
            self._wishes.suspended.discard(coin)
            self.health.books_total += 1
            self._rearrange(coin, up=True)
            self._diary.note(coin, f"{coin}: it trades again")

    def _rearrange(self, coin: str, *, up: bool) -> None:
        """Announce that the streams of one coin begin or end, and subscribe accordingly."""
        for line in self._books:
            if line.watch.down_since_ns is None:
                self._sink.on_streams(self.stamp(), (coin,), up=up, line=line.word)
            line.change()
        self._figures.change()

    # -- LineOwner -----------------------------------------------------------------------------------------------

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        return self._diary.stamp()

    def topics_of(self, line: Line) -> Sequence[Topic]:
        """Return what a line should be subscribed to now."""
        return self._wishes.figures() if line is self._figures else self._wishes.books(line.word)

    def on_line_opens(self, line: Line) -> None:
        """Begin anew with the shortest form of contexts, and with what was refused."""
        self._wishes.forgive(books=line is not self._figures)

    def on_line_refused(self, line: Line, topic: Topic, words: str) -> None:
        """Find another way to what the venue refuses, or do without."""
        instead = self._wishes.refuse(topic)
        if topic.type == "l2Book" and topic.coin is not None:
            self._suspend(topic.coin, f"the venue refuses its book ({words})")
            return
        what = topic.type if topic.coin is None else f"{topic.type} of {topic.coin}"
        then = f"; {instead} is asked for" if instead is not None else ""
        self._diary.note(topic.coin, f"{line.health.name}: the venue refuses {what} ({words}){then}")

    def on_line_frame(self, line: Line, raw: bytes) -> None:
        """Look whether a frame covers as many perpetuals as the table did."""
        if line is self._figures and self._positions is not None and b"ssetCtxs" in raw[:40]:
            count = protocol.count_contexts(raw)
            if count is not None and count != self._positions:
                self._table_outdated = True

    def on_line_up(self, line: Line) -> None:
        """Announce the books of a line."""
        if line is not self._figures:
            self._sink.on_streams(self.stamp(), self.active, up=True, line=line.word)

    def on_line_down(self, line: Line) -> None:
        """Announce that they are lost."""
        if line is not self._figures:
            self._sink.on_streams(self.stamp(), self._coins, up=False, line=line.word)

    # -- PollOwner -----------------------------------------------------------------------------------------------

    @property
    def active(self) -> tuple[str, ...]:
        """The coins whose books are kept and that trade."""
        return self._wishes.active

    def on_polled(self, path: str, raw: bytes) -> None:
        """Hand over a book that stands in for a stream."""
        self._sink.on_rest(self.stamp(), path, raw, polled=True)

    def on_unknown(self, coin: str, reason: str) -> None:
        """Leave out a coin the venue does not know."""
        self._suspend(coin, f"the venue does not list it any more ({reason})")
