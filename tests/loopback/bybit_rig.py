"""A Bybit session, its engine and a log of what passed between them, against the simulator."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from app.books.either import EitherSync
from app.books.full import FullSync
from app.books.keeper import BookState
from app.books.window import WindowSync
from app.domain.clock import SystemClock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth, LinkState
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.market import Field, Liquidation, TickerUpdate
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.sim.bybit.encoders import price_writer, quantity_writer
from app.sim.bybit.server import BybitSim
from app.venues.backoff import BackoffPolicy
from app.venues.bybit.api import guess_instrument
from app.venues.bybit.intake import BybitIntake
from app.venues.bybit.session import BYBIT_LINK, BybitSession, SessionOptions
from app.venues.bybit.snapshots import SnapshotOptions
from app.venues.bybit.urls import BybitEndpoints
from app.venues.feed import Urgency
from app.venues.link import LinkOptions

COINS = ("BTC", "ETH", "LINK", "ADA", "DOGE", "PEPE")
BOOKS = ("BTCUSDT", "LINKUSDT", "ADAUSDT")
PATIENCE_S = 15.0
_COMPARED = 8000
"""The venue's snapshots end at 10,000 levels, of which some may go while the book is kept."""

QUICK_LINK: LinkOptions = replace(
    BYBIT_LINK,
    stale_after_s=0.8,
    tick_s=0.05,
    close_timeout_s=0.3,
    subscribe_timeout_s=3.0,
    forbidden_wait_s=0.0,
    backoff=BackoffPolicy(first_s=0.05, cap_s=0.2),
)
QUICK_SNAPSHOTS = SnapshotOptions(repeat_pause_s=0.1, repeat_cap_s=0.3, settle_s=0.5)


def quick(**changes: object) -> SessionOptions:
    """Return options whose times suit a test."""
    values: dict[str, object] = {
        "link": QUICK_LINK,
        "snapshots": QUICK_SNAPSHOTS,
        "snapshots_per_s": 100,
        "levels": 200,
        "tickers_every_s": 0.5,
        **changes,
    }
    return SessionOptions(**values)  # type: ignore[arg-type] # checked by the dataclass


@dataclass
class LoggedSink:
    """Passes everything to an engine and writes down what it was."""

    engine: MarketEngine
    log: list[tuple[str, str]] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    frames: int = 0
    inputs: list[Callable[[MarketEngine], None]] = field(default_factory=list)
    """Every input in order, to be given to another engine."""

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        self.stamps.append(recv_ns)
        self.frames += 1
        self._give(lambda engine: engine.on_frame(recv_ns, raw, line))

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        self._note(recv_ns, "asked", path)
        self._give(lambda engine: engine.on_rest_asked(recv_ns, path))

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        self._note(recv_ns, "answer", path)
        self._give(lambda engine: engine.on_rest(recv_ns, path, raw, polled=polled))

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        self._note(recv_ns, "failed", path)
        self._give(lambda engine: engine.on_rest_failed(recv_ns, path, reason))

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool, line: str = "") -> None:
        for symbol in symbols:
            self._note(recv_ns, "up" if up else "down", symbol)
        self._give(lambda engine: engine.on_streams(recv_ns, symbols, up=up, line=line))

    def _give(self, act: Callable[[MarketEngine], None]) -> None:
        self.inputs.append(act)
        act(self.engine)

    def on_event(self, event: FeedEvent) -> None:
        self.engine.on_event(event)

    def _note(self, recv_ns: int, what: str, text: str) -> None:
        self.stamps.append(recv_ns)
        parts = urlsplit(text)
        self.log.append((what, (parse_qs(parts.query).get("symbol") or [parts.path])[0]))

    def count(self, what: str, name: str | None = None) -> int:
        """Return how often something was noted, of one symbol or path or of all."""
        return Counter(kind for kind, noted in self.log if name in (None, noted))[what]


class Rig:
    """One running session."""

    def __init__(self, market: Market, instruments: Sequence[Instrument], sim: BybitSim) -> None:
        self.market = market
        self.sim = sim
        self.clock = SystemClock()
        self.health = FeedHealth(feed=market.feed)
        self.events: list[FeedEvent] = []
        self.figures: dict[str, dict[int, float]] = {}
        self.updates: Counter[str] = Counter()
        self.liquidations: list[Liquidation] = []
        self.engine = MarketEngine(
            market.feed,
            instruments,
            EngineOptions(),
            EngineOutputs(
                on_event=self.events.append,
                ask_snapshot=self._ask,
                on_news=self._on_news,
                on_liquidations=lambda _market, _recv_ns, liquidations: self.liquidations.extend(liquidations),
            ),
            self.health,
            BybitIntake,
        )
        self.sink = LoggedSink(self.engine)
        self.session: BybitSession

    def _ask(self, symbol: str, urgency: Urgency) -> None:
        self.session.request_snapshot(symbol, urgency)

    def _on_news(self, _market: Market, _recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        for update in updates:
            self.figures.setdefault(update.symbol, {}).update(update.values)
            self.updates[update.symbol] += 1

    @property
    def links(self) -> list[LinkHealth]:
        """Return the health of all connections."""
        return self.health.links

    def texts(self, kind: FeedEventKind) -> list[str]:
        """Return the sentences of one kind of event."""
        return [event.text for event in self.events if event.kind is kind]

    def keeper(self, symbol: str) -> WindowSync | FullSync:
        """Return the keeper that is read."""
        index = self.engine.index_of(symbol)
        assert index is not None
        keeper = self.engine.rows[index].sync
        if isinstance(keeper, EitherSync):
            return keeper.active
        assert isinstance(keeper, WindowSync)
        return keeper

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, keeping the engine's time."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.01)
                    self.engine.advance(self.clock.wall_ns())
        except TimeoutError:
            told = [event.text for event in self.events[-12:]]
            raise AssertionError(f"{what} did not come: {self.health} {told}") from None

    def is_live(self, symbol: str) -> bool:
        """Tell whether a book may be read."""
        return self.keeper(symbol).state is BookState.LIVE

    async def until_live(self, rounds: int = 1) -> None:
        """Wait until every symbol's streams came up `rounds` times and every book is readable again."""

        def live() -> bool:
            return all(
                self.sink.count("up", symbol) >= rounds and self.is_live(symbol) for symbol in self.engine.symbols
            )

        await self.until(live, f"live books, round {rounds}")

    async def expect_true_books(self) -> None:
        """Stop the market and hold each book's best levels against what the venue has told of it."""
        self.sim.pause()

        def caught_up() -> bool:
            return all(
                self.is_live(symbol) and self.keeper(symbol).last_id >= self.truth(symbol)[0]
                for symbol in self.engine.symbols
            )

        await self.until(caught_up, "the last update of every book")
        for symbol in self.engine.symbols:
            _seq, *sides = self.truth(symbol)
            for which, expected in enumerate(sides):
                prices, quantities, since = self.keeper(symbol).levels(which, _COMPARED)
                assert not since.any()
                held = list(zip(prices.tolist(), quantities.tolist(), strict=True))
                assert held == expected[:_COMPARED], (symbol, which)
        self.sim.resume()

    def truth(self, symbol: str) -> tuple[int, list[tuple[float, float]], list[tuple[float, float]]]:
        """Return sequence, bids and asks of a book as its stream has told it."""
        venue = self.sim.venues[self.market]
        keeper = self.keeper(symbol)
        level = keeper.size if isinstance(keeper, WindowSync) else 0
        state = venue.told(symbol, level)
        contract = venue.by_symbol[symbol]
        price, quantity = price_writer(contract), quantity_writer(contract)
        bids, asks = (
            [(float(price(ticks)), float(quantity(steps))) for ticks, steps in side]
            for side in (state.bids, state.asks)
        )
        return state.seq, bids, asks


def endpoints(sim: BybitSim) -> BybitEndpoints:
    """Return the simulator's addresses."""
    return BybitEndpoints(ws=sim.linear_ws, rest=sim.rest, spot_ws=sim.spot_ws)


@asynccontextmanager
async def simulated(**changes: object) -> AsyncIterator[BybitSim]:
    """Run a simulator of a few coins."""
    async with BybitSim(seed=3, coins=COINS, **changes) as sim:  # type: ignore[arg-type] # checked by the dataclass
        yield sim


@asynccontextmanager
async def running(
    sim: BybitSim,
    market: Market,
    options: SessionOptions | None = None,
    *,
    symbols: Sequence[str] = BOOKS,
) -> AsyncIterator[Rig]:
    """Run a session until the block ends; nothing of it may be left afterwards."""
    rig = Rig(market, [guess_instrument(market, symbol) for symbol in symbols], sim)
    before = asyncio.all_tasks()
    rig.session = BybitSession(
        market, rig.engine.instruments, endpoints(sim), rig.sink, rig.health, rig.clock, options or quick()
    )
    rig.engine.begin(rig.clock.wall_ns())
    task = asyncio.create_task(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        async with asyncio.timeout(3.0):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()
    own = {left for left in asyncio.all_tasks() - before if not _is_of_the_simulator(left)}
    assert not own, f"tasks are left: {own}"
    assert all(link.state is LinkState.STOPPED for link in rig.links)
    assert rig.sink.stamps == sorted(rig.sink.stamps)


def _is_of_the_simulator(task: asyncio.Task[object]) -> bool:
    text = repr(task).lower()
    return "sim" in task.get_name() or "server" in text


def known(rig: Rig, symbol: str, *fields: Field) -> bool:
    """Tell whether figures of a symbol have come and are numbers."""
    values = rig.figures.get(symbol, {})
    return all(values.get(item, float("nan")) == values.get(item, float("nan")) for item in fields)
