"""The program without a window: feeds, engines, ticks, minutes, recording. A desktop, a replay or a collector runs it.

Only one recovery path exists: a feed that starts and a feed that comes back do the same. One feed's end never ends
another's; the history being away never stops a feed.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from app import __version__
from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import FeedId, Market
from app.domain.instruments import Instrument
from app.domain.market import Liquidation, TickerUpdate
from app.domain.units import NS_PER_S
from app.paths import Paths
from app.services import remembered
from app.services.alerting import Notification
from app.services.broker_desks import make_brokerage
from app.services.broker_scanning import BrokerScanning
from app.services.desk import BrokerOutputs
from app.services.feeds import make_intake
from app.services.order_news import OrderNotices
from app.services.pipeline import GRID_NS, EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import RecordingSink
from app.services.supervisor import supervise
from app.services.universe import universe_to_json
from app.services.watching import Watch
from app.settings.store import Settings
from app.storage.database import sqlite_url
from app.storage.history import History
from app.storage.recorder import Recorder
from app.storage.ticks import TickSink
from app.storage.ticks_memory import MemoryTickStore
from app.storage.ticks_redis import RedisTickSink
from app.venues.feed import FeedSession, FeedSink, Urgency

_log = logging.getLogger("fathom.core")

_METRICS_EVERY_S: Final = 10.0
_TICK_LINE_NS: Final = NS_PER_S

SessionFactory = Callable[[FeedId, tuple[Instrument, ...], FeedSink, FeedHealth], FeedSession]


@dataclass(slots=True, kw_only=True)
class CoreOutputs:
    """Who is told: events, standing notes by topic (None takes one away), sentences said once, that samples were
    taken; and where extra metrics come from."""

    on_event: Callable[[FeedEvent], None] = lambda _event: None
    on_note: Callable[[str, str | None], None] = lambda _topic, _text: None
    on_notice: Callable[[str], None] = lambda _text: None
    on_sampled: Callable[[], None] = lambda: None
    on_alert: Callable[[Notification], None] = lambda _notification: None
    metrics: list[Callable[[], Mapping[str, float]]] = field(default_factory=list)


class Core:
    """Everything between the venues and the screens of one run."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        clock: Clock,
        universe: Mapping[Market, tuple[Instrument, ...]],
        outputs: CoreOutputs,
        *,
        record_to: Path | None = None,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._clock = clock
        self._outputs = outputs
        self._record_to = record_to
        self._recorder: Recorder | None = None
        sample_ms = settings.whole("books.sample_ms")
        self.ticks = MemoryTickStore(
            {market: tuple(i.symbol for i in listed) for market, listed in universe.items()}, interval_ms=sample_ms
        )
        url = settings.text("database.url") or sqlite_url(paths.database)
        self.history = History(
            url,
            paths.spool,
            clock,
            spool_bytes=settings.whole("database.spool_mb") * 1024 * 1024,
            on_note=lambda text: outputs.on_note("history", text),
            on_notice=outputs.on_notice,
        )
        self.redis: RedisTickSink | None = None
        sinks: list[TickSink] = [self.ticks]
        if settings.text("redis.url"):
            self.redis = RedisTickSink(settings.text("redis.url"), on_note=lambda text: outputs.on_note("redis", text))
            sinks.append(self.redis)
        self._universe = dict(universe)
        self.feeds: list[FeedHealth] = []
        self.engines: dict[Market, MarketEngine] = {}
        self.sessions: dict[Market, FeedSession] = {}
        options = EngineOptions(sample_ms=sample_ms, unconfirmed_hours=settings.number("books.unconfirmed_hours"))
        for market, instruments in universe.items():
            feed = market.feed
            health = FeedHealth(feed=feed)
            self.feeds.append(health)
            self.engines[market] = MarketEngine(
                feed,
                instruments,
                options,
                EngineOutputs(
                    ticks=tuple(sinks),
                    on_minute=self.history.write_minute,
                    on_event=self._on_event,
                    ask_snapshot=partial(self._ask, market),
                    on_watched=outputs.on_sampled,
                    on_news=self._on_news,
                    on_liquidations=self._on_liquidations,
                ),
                health,
                make_intake,
            )

        self.watch = Watch(
            settings,
            self.engines,
            lambda: self.feeds,
            paths.alerts,
            deliver=outputs.on_alert,
            on_hot=self._set_hot,
            on_notice=outputs.on_notice,
        )
        self.broker_outputs = BrokerOutputs(on_event=self._on_event, on_raw=self._record)
        self.brokerage = make_brokerage(settings, paths, clock, self.broker_outputs)
        self._order_notices = OrderNotices(settings, outputs.on_alert)
        for desk in self.brokerage.desks.values():
            desk.ledger.orders.on_news = self._order_notices.on_news
        self.stocks = BrokerScanning(settings, self.brokerage.desks, self.watch.scanning)
        self.broker_outputs.on_quotes.append(self.stocks.on_quotes)
        self.broker_outputs.on_events.append(self.stocks.on_events)

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self, make_session: SessionFactory) -> None:
        """Stream until cancelled, then wind down: minutes flushed, books remembered, recording closed."""
        now_ns = self._clock.wall_ns()
        await asyncio.to_thread(self._recall, now_ns)
        for market, engine in self.engines.items():
            engine.begin(now_ns)
            session = make_session(engine.feed, self._universe[market], self._sink(engine), engine.health)
            self.sessions[market] = session
            places = min(session.hot_capacity, self._settings.whole("scanner.hot_symbols"))
            self.watch.scanning.budget.set_capacity(market, places)
            self.watch.scanning.budget.set_covered(market, engine.symbols)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.history.open(), name="history open")
                group.create_task(self._sample(), name="sampler")
                group.create_task(self._measure_itself(), name="metrics")
                group.create_task(self.watch.run(self._clock), name="watch")
                group.create_task(self.brokerage.run(self._on_report, self.history), name="brokerage")
                group.create_task(self.stocks.run(self._clock), name="stocks in the scanner")
                if self.redis is not None:
                    group.create_task(self.redis.run(), name="redis")
                for session in self.sessions.values():
                    name = f"feed {session.health.feed}"
                    work = supervise(name, session.run, on_report=self._on_report)
                    group.create_task(work, name=name)
        finally:
            await self._wind_down()

    async def _wind_down(self) -> None:
        now_ns = self._clock.wall_ns()
        for engine in self.engines.values():
            engine.finish(now_ns)
        if self._recorder is not None:
            self._recorder.write(now_ns, "fathom.end", "")
            await asyncio.to_thread(self._recorder.close)
        try:
            await self.history.close()
        except Exception:
            _log.exception("the history could not be closed in order")
        if self._settings.flag("books.remember"):
            await asyncio.to_thread(self._remember, now_ns)

    def _recall(self, now_ns: int) -> None:
        if self._settings.flag("books.remember"):
            age_ns = int(self._settings.number("books.unconfirmed_hours") * 3600 * NS_PER_S)
            for note in remembered.recall(self.engines, self._paths.books, now_ns - age_ns):
                self._outputs.on_notice(note)
        if self._record_to is not None:
            header = {
                "app": __version__,
                "started_ns": now_ns,
                "sample_ms": self._settings.whole("books.sample_ms"),
                "universe": universe_to_json(self._universe),
                "brokers": [source.feed for source in self.brokerage.desks],
            }
            self._recorder = Recorder(self._record_to, header, self._outputs.on_notice)
            remembered.record(self.engines, self._recorder, now_ns)

    def _remember(self, now_ns: int) -> None:
        for engine in self.engines.values():
            try:
                remembered.remember(engine, self._paths.books, now_ns)
            except OSError as error:
                _log.warning("the books of %s could not be saved: %s", engine.feed, error.strerror or error)

    def _sink(self, engine: MarketEngine) -> FeedSink:
        if self._recorder is None:
            return engine
        return RecordingSink(engine.feed, engine, self._recorder)

    def _record(self, recv_ns: int, source: str, raw: str | bytes) -> None:
        if self._recorder is not None:
            self._recorder.write(recv_ns, source, raw)

    # -- tasks ---------------------------------------------------------------------------------------------------

    async def _sample(self) -> None:
        """Move the engines' time on when no input does."""
        last_line_ns = 0
        while True:
            now_ns = self._clock.wall_ns()
            await asyncio.sleep((GRID_NS - now_ns % GRID_NS) / NS_PER_S + 0.001)
            now_ns = self._clock.wall_ns()
            if self._recorder is not None and now_ns - last_line_ns >= _TICK_LINE_NS:
                last_line_ns = now_ns
                self._recorder.write(now_ns, "fathom.tick", "")
            for engine in self.engines.values():
                engine.advance(now_ns)
                await asyncio.sleep(0)  # frames and the window get their turn between two pieces of work
            self._order_notices.advance(now_ns)
            self._outputs.on_sampled()

    async def _measure_itself(self) -> None:
        process = psutil.Process(os.getpid())
        process.cpu_percent(None)
        while True:
            await asyncio.sleep(_METRICS_EVERY_S)
            values = {
                "rss_mib": process.memory_info().rss / 1048576,
                "cpu_pct": process.cpu_percent(None),
                "history_spooled": float(self.history.health.spooled),
            }
            for health in self.feeds:
                values |= {
                    f"{health.feed}.applied": float(health.applied),
                    f"{health.feed}.gaps": float(health.gaps),
                    f"{health.feed}.books_primed": float(health.books_primed),
                    f"{health.feed}.rest_weight": float(health.rest_weight_used),
                }
            for source in self._outputs.metrics:
                values |= source()
            self.history.write_metrics(self._clock.wall_ns(), values)

    def pause_snapshots(self, market: Market) -> None:
        """Take no further snapshots of a market until resumed."""
        if market in self.sessions:
            self.sessions[market].pause_snapshots()

    def resume_snapshots(self, market: Market) -> None:
        """Go on taking snapshots."""
        if market in self.sessions:
            self.sessions[market].resume_snapshots()

    def cancel_snapshots(self, market: Market) -> None:
        """Drop the queue of a market's snapshots."""
        if market in self.sessions:
            self.sessions[market].cancel_priming()

    # -- glue ----------------------------------------------------------------------------------------------------

    def _ask(self, market: Market, symbol: str, urgency: Urgency) -> None:
        session = self.sessions.get(market)
        if session is not None:
            session.request_snapshot(symbol, urgency)

    def _on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        self.watch.on_news(market, recv_ns, updates)

    def _on_liquidations(self, market: Market, recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        self.watch.on_liquidations(market, recv_ns, liquidations)

    def _set_hot(self, market: Market, symbols: frozenset[str]) -> None:
        session = self.sessions.get(market)
        if session is not None:
            session.set_hot(symbols)

    def _on_event(self, event: FeedEvent) -> None:
        self.history.write_event(event)
        self._outputs.on_event(event)

    def _on_report(self, source: str, sentence: str) -> None:
        _log.warning("%s: %s", source, sentence)
        self._on_event(
            FeedEvent(ts_ns=self._clock.wall_ns(), source=source, kind=FeedEventKind.ERROR, symbol=None, text=sentence)
        )
