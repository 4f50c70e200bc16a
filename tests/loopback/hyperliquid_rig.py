"""A Hyperliquid session, its engine and a log of what passed between them, against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from app.books.buckets import BucketBook
from app.books.depth import DepthTable
from app.domain.clock import SystemClock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth, LinkState
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.market import Field, TickerUpdate
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.sim.hyperliquid import HyperLimits, HyperliquidSim
from app.venues.backoff import BackoffPolicy
from app.venues.feed import Urgency
from app.venues.hyperliquid.allowance import Allowance
from app.venues.hyperliquid.channel import ChannelTimes
from app.venues.hyperliquid.intake import HyperliquidIntake
from app.venues.hyperliquid.messages import PerpListing
from app.venues.hyperliquid.naming import perp_instrument
from app.venues.hyperliquid.session import HyperliquidSession, SessionOptions
from app.venues.link import LinkOptions

COINS = ("BTC", "ETH", "kPEPE")
PATIENCE_S = 15.0
_RUNNING: set[int] = set()
ROOMY = HyperLimits(connections=100, connections_per_minute=1000)
QUICK_LINK = LinkOptions(
    stale_after_s=3.0,
    tick_s=0.05,
    close_timeout_s=0.3,
    subscribe_timeout_s=2.0,
    planned_age_s=float("inf"),
    backoff=BackoffPolicy(first_s=0.05, cap_s=0.2),
)
QUICK_TIMES = ChannelTimes(look_every_s=0.05)


def quick(**changes: object) -> SessionOptions:
    """Return options whose times suit a test."""
    values: dict[str, object] = {"link": QUICK_LINK, "times": QUICK_TIMES, "table_pause_s": 0.1, **changes}
    return SessionOptions(**values)  # type: ignore[arg-type] # checked by the dataclass


@dataclass
class LoggedSink:
    """Passes everything to an engine and writes down what it was."""

    engine: MarketEngine
    log: list[tuple[str, str, str]] = field(default_factory=list)
    """What, the line, and the symbol or path."""
    stamps: list[int] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        self.stamps.append(recv_ns)
        self.frames[line] = self.frames.get(line, 0) + 1
        self.engine.on_frame(recv_ns, raw, line)

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        raise AssertionError("nothing has to be announced to these books")

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        raise AssertionError("nothing was announced")

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        self.stamps.append(recv_ns)
        self.log.append(("polled" if polled else "answer", "", path))
        self.engine.on_rest(recv_ns, path, raw, polled=polled)

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool, line: str = "") -> None:
        self.stamps.append(recv_ns)
        self.log += [("up" if up else "down", line, symbol) for symbol in symbols]
        self.engine.on_streams(recv_ns, symbols, up=up, line=line)

    def on_event(self, event: FeedEvent) -> None:
        self.engine.on_event(event)

    def count(self, what: str, line: str | None = None, about: str = "") -> int:
        """Return how often something was noted."""
        return sum(w == what and line in (None, where) and about in text for w, where, text in self.log)


class Rig:
    """One session of one market."""

    def __init__(
        self, sim: HyperliquidSim, market: Market, coins: Sequence[str], options: SessionOptions, allowance: Allowance
    ) -> None:
        self.sim = sim
        self.clock = SystemClock()
        self.health = FeedHealth(feed=market.feed)
        self.events: list[FeedEvent] = []
        self.news: dict[str, dict[int, float]] = {}
        instruments: list[Instrument] = [perp_instrument(PerpListing(name=coin)) for coin in coins]
        outputs = EngineOutputs(on_event=self.events.append, ask_snapshot=self._ask, on_news=self._on_news)
        self.engine = MarketEngine(market.feed, instruments, EngineOptions(), outputs, self.health, HyperliquidIntake)
        self.sink = LoggedSink(self.engine)
        self.allowance = allowance
        self.session = HyperliquidSession(
            market, instruments, sim.ws, sim.rest, self.sink, self.health, self.clock, self.allowance, options
        )

    def _ask(self, symbol: str, urgency: Urgency) -> None:
        self.session.request_snapshot(symbol, urgency)

    def _on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        for update in updates:
            self.news.setdefault(update.symbol, {}).update(update.values)

    def link(self, name: str) -> LinkHealth:
        """Return the health of the connection whose name ends so."""
        return next(link for link in self.health.links if link.name.endswith(name))

    def book(self, coin: str) -> BucketBook:
        """Return a coin's keeper."""
        index = self.engine.index_of(coin)
        assert index is not None
        keeper = self.engine.rows[index].sync
        assert isinstance(keeper, BucketBook)
        return keeper

    def measured(self, coin: str) -> DepthTable:
        """Return a coin's bands as they are now."""
        table = DepthTable(1)
        self.book(coin).measure(table, 0, 1)
        return table

    def figure(self, symbol: str, which: Field) -> float | None:
        """Return the newest figure of a symbol, None when none came."""
        return self.news.get(symbol, {}).get(which)

    def texts(self, kind: FeedEventKind) -> list[str]:
        """Return the sentences of one kind of event."""
        return [event.text for event in self.events if event.kind is kind]

    def said(self, words: str, kind: FeedEventKind = FeedEventKind.NOTICE) -> bool:
        """Tell whether a sentence holds such words."""
        return any(words in text for text in self.texts(kind))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; meanwhile the market moves several times faster than it does by its own clock."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.01)
                    if not self.sim.paused:
                        self.sim.step()
                    self.engine.advance(self.clock.wall_ns())
        except TimeoutError:
            raise AssertionError(f"{what} did not come: {self.health} {self.events} {self.sim.state()}") from None

    def live(self) -> bool:
        """Tell whether every line runs and every book holds all resolutions."""
        lines = self.session.lines
        return all(link.state is LinkState.LIVE for link in self.health.links) and all(
            set(self.book(coin).held) == set(lines) and self.book(coin).streaming for coin in self.engine.symbols
        )

    async def until_live(self) -> None:
        """Wait for that."""
        await self.until(self.live, "live books")


@asynccontextmanager
async def simulated(**changes: object) -> AsyncIterator[HyperliquidSim]:
    """Run a small simulator."""
    values: dict[str, object] = {"seed": 3, "symbols": 12, "limits": ROOMY, "auto": False, **changes}
    async with HyperliquidSim(**values) as sim:  # type: ignore[arg-type] # checked by the dataclass
        yield sim


@asynccontextmanager
async def running(
    sim: HyperliquidSim,
    market: Market = Market.HYPERLIQUID_PERP,
    coins: Sequence[str] | None = None,
    options: SessionOptions | None = None,
    allowance: Allowance | None = None,
) -> AsyncIterator[Rig]:
    """Run a session until the block ends; nothing of it may be left afterwards."""
    before = asyncio.all_tasks()
    chosen = (COINS if market is Market.HYPERLIQUID_PERP else ()) if coins is None else coins
    rig = Rig(sim, market, chosen, options or quick(), allowance or Allowance())
    _RUNNING.add(id(rig))
    rig.engine.begin(rig.clock.wall_ns())
    task = asyncio.create_task(rig.session.run(), name="session under test")
    try:
        yield rig
    finally:
        task.cancel()
        async with asyncio.timeout(3.0):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()
    _RUNNING.discard(id(rig))
    left = {t for t in asyncio.all_tasks() - before if "sim" not in t.get_name() and "server" not in repr(t)}
    assert not left or _RUNNING, f"tasks are left: {left}"  # another rig's tasks cannot be told from this one's
    assert all(link.state is LinkState.STOPPED for link in rig.health.links)
    assert rig.sink.stamps == sorted(rig.sink.stamps)


def with_times(**changes: float) -> SessionOptions:
    """Return quick options with other channel times."""
    return quick(times=replace(QUICK_TIMES, **changes))


def flush_books(sim: HyperliquidSim) -> None:
    """Stop the market and have every book told as it now is, although its half second is not over."""
    sim.pause()
    sim.market.step_number += 5
    sim.venue.publish([])


def levels_of(sim: HyperliquidSim, coin: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the venue's own whole book."""
    truth = sim.truth(coin)
    bids, asks = ([(float(price), float(size)) for price, size in side] for side in (truth.bids, truth.asks))
    return bids, asks
