"""A session, its engine and a log of what passed between them, against the simulator."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from app.domain.clock import SystemClock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth, LinkState
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.sim.server import BinanceSim
from app.venues.backoff import BackoffPolicy
from app.venues.bans import BanStore
from app.venues.binance.api import load_universe, open_api
from app.venues.binance.intake import BinanceIntake
from app.venues.binance.priming import PrimingOptions
from app.venues.binance.session import BinanceSession, SessionOptions
from app.venues.binance.urls import BinanceEndpoints
from app.venues.feed import Urgency
from app.venues.link import LinkOptions

PAIRS = ("LINKUSDT", "PEPEUSDT", "ADAUSDT")
PATIENCE_S = 15.0
_RUNNING: set[int] = set()

QUICK_LINK = LinkOptions(
    stale_after_s=0.8,
    overlap_s=0.4,
    tick_s=0.05,
    close_timeout_s=0.3,
    subscribe_timeout_s=2.0,
    backoff=BackoffPolicy(first_s=0.05, cap_s=0.2),
)
QUICK_PRIMING = PrimingOptions(repeat_pause_s=0.1, repeat_cap_s=0.3)


def quick(**changes: object) -> SessionOptions:
    """Return options whose times suit a test."""
    values: dict[str, object] = {"link": QUICK_LINK, "priming": QUICK_PRIMING, "connections": 1, **changes}
    return SessionOptions(**values)  # type: ignore[arg-type] # checked by the dataclass


@dataclass
class LoggedSink:
    """Passes everything to an engine and writes down what it was."""

    engine: MarketEngine
    log: list[tuple[str, str]] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    frames: int = 0

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        self.stamps.append(recv_ns)
        self.frames += 1
        self.engine.on_frame(recv_ns, raw, line)

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        self._note(recv_ns, "asked", path)
        self.engine.on_rest_asked(recv_ns, path)

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        self._note(recv_ns, "polled" if polled else "answer", path)
        self.engine.on_rest(recv_ns, path, raw, polled=polled)

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        self._note(recv_ns, "failed", path)
        self.engine.on_rest_failed(recv_ns, path, reason)

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool) -> None:
        for symbol in symbols:
            self._note(recv_ns, "up" if up else "down", symbol)
        self.engine.on_streams(recv_ns, symbols, up=up)

    def on_event(self, event: FeedEvent) -> None:
        self.engine.on_event(event)

    def _note(self, recv_ns: int, what: str, text: str) -> None:
        self.stamps.append(recv_ns)
        symbol = (parse_qs(urlsplit(text).query).get("symbol") or [text])[0]
        self.log.append((what, symbol))

    def count(self, what: str) -> int:
        """Return how often something was noted."""
        return Counter(kind for kind, _ in self.log)[what]

    def of(self, symbol: str) -> list[str]:
        """Return what was noted of one symbol, in order."""
        return [kind for kind, name in self.log if name == symbol]


class Rig:
    """One running session."""

    def __init__(self, market: Market, instruments: Sequence[Instrument], sim: BinanceSim | None) -> None:
        self.market = market
        self.sim = sim
        self.clock = SystemClock()
        self.health = FeedHealth(feed=FeedId(Venue.BINANCE, market))
        self.events: list[FeedEvent] = []
        self.engine = MarketEngine(
            self.health.feed,
            instruments,
            EngineOptions(),
            EngineOutputs(on_event=self.events.append, ask_snapshot=self._ask),
            self.health,
            BinanceIntake,
        )
        self.sink = LoggedSink(self.engine)
        self.session: BinanceSession
        self.states: list[LinkState] = []
        self.reasons: list[str] = []

    def _ask(self, symbol: str, urgency: Urgency) -> None:
        self.session.request_snapshot(symbol, urgency)

    @property
    def link(self) -> LinkHealth:
        """Return the first connection's health."""
        return self.health.links[0]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the venue's names of the instruments."""
        return self.engine.symbols

    def texts(self, kind: FeedEventKind) -> list[str]:
        """Return the sentences of one kind of event."""
        return [event.text for event in self.events if event.kind is kind]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, keeping the engine's time and noting the link's states on the way."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.01)
                    self.engine.advance(self.clock.wall_ns())
                    if not self.states or self.states[-1] is not self.link.state:
                        self.states.append(self.link.state)
                    if self.link.reason and self.link.reason not in self.reasons:
                        self.reasons.append(self.link.reason)
        except TimeoutError:
            raise AssertionError(f"{what} did not come: {self.health} {self.texts(FeedEventKind.ERROR)}") from None

    async def until_live(self, rounds: int = 1) -> None:
        """Wait until every symbol's streams came up `rounds` times and every book is readable again."""

        def live() -> bool:
            back = all(self.sink.of(symbol).count("up") >= rounds for symbol in self.symbols)
            return back and all(row.sync.state.name == "LIVE" for row in self.engine.rows)

        await self.until(live, f"live books, round {rounds}")

    async def expect_true_books(self) -> None:
        """Stop the market and hold each book's best 200 levels against the venue's own."""
        assert self.sim is not None
        sim = self.sim
        sim.pause()

        def caught_up() -> bool:
            return all(
                row.sync.last_id >= sim.truth(self.market, row.symbol).last_update_id and row.sync.state.name == "LIVE"
                for row in self.engine.rows
            )

        await self.until(caught_up, "the last update of every book")
        for row in self.engine.rows:
            truth = sim.truth(self.market, row.symbol)
            for side, expected in ((row.sync.book.bids, truth.bids), (row.sync.book.asks, truth.asks)):
                side.merge()
                prices, quantities, _ = side.levels(200)
                held = list(zip(prices.tolist(), quantities.tolist(), strict=True))
                assert held == [(float(price), float(quantity)) for price, quantity in expected[:200]], row.symbol
        sim.resume()


def endpoints(sim: BinanceSim) -> BinanceEndpoints:
    """Return the simulator's addresses."""
    return BinanceEndpoints(sim.spot_ws, sim.spot_rest, sim.usdm_ws, sim.usdm_rest)


@asynccontextmanager
async def simulated(**changes: object) -> AsyncIterator[BinanceSim]:
    """Run a simulator of a few pairs."""
    async with BinanceSim(seed=3, symbols=PAIRS, **changes) as sim:
        yield sim


@asynccontextmanager
async def running(
    sim: BinanceSim,
    market: Market = Market.BINANCE_SPOT,
    options: SessionOptions | None = None,
    *,
    at: BinanceEndpoints | None = None,
) -> AsyncIterator[Rig]:
    """Load the universe and run a session until the block ends; nothing of it may be left afterwards."""
    rig = Rig(market, await universe_of(sim, market), sim)
    async with started(rig, at or endpoints(sim), options or quick()):
        yield rig


async def universe_of(sim: BinanceSim, market: Market = Market.BINANCE_SPOT) -> tuple[Instrument, ...]:
    """Return what the simulator lists."""
    feed = FeedId(Venue.BINANCE, market)
    api = open_api(market, endpoints(sim), FeedHealth(feed=feed), SystemClock(), BanStore(None))
    try:
        return (await load_universe({market: api}, PAIRS))[market]
    finally:
        await api.close()


@asynccontextmanager
async def started(rig: Rig, at: BinanceEndpoints, options: SessionOptions) -> AsyncIterator[Rig]:
    """Run a rig's session until the block ends."""
    before = asyncio.all_tasks()
    _RUNNING.add(id(rig))
    rig.session = BinanceSession(rig.market, rig.engine.instruments, at, rig.sink, rig.health, rig.clock, options)
    rig.engine.begin(rig.clock.wall_ns())
    task = asyncio.create_task(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        async with asyncio.timeout(2.0):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()
    own = {left for left in asyncio.all_tasks() - before if "sim" not in left.get_name() and "server" not in repr(left)}
    _RUNNING.discard(id(rig))
    assert not own or _RUNNING, f"tasks are left: {own}"  # another rig's tasks cannot be told from this one's
    assert all(link.state is LinkState.STOPPED for link in rig.health.links)
    assert rig.sink.stamps == sorted(rig.sink.stamps)
