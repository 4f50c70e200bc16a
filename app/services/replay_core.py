"""A recording's engines and stores, in a folder of their own: a replay never touches the profile's history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedHealth, LinkHealth, LinkState
from app.domain.ids import Market
from app.services.alerting import Notification
from app.services.broker_replay import BrokerReplay
from app.services.broker_scanning import BrokerScanning
from app.services.desk import BrokerOutputs
from app.services.feeds import make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import Replayer, sample_ms_of, started_ns_of, streams_noted_in, universe_of
from app.services.watching import Watch
from app.settings.store import Settings
from app.storage.database import sqlite_url
from app.storage.history import History
from app.storage.recorder import Recording
from app.storage.ticks_memory import MemoryTickStore


class ReplayCore:
    """Engines of every market of a recording, ticks in memory and minutes in a folder that may be thrown away."""

    def __init__(
        self,
        recording: Recording,
        folder: Path,
        clock: Clock,
        on_event: Callable[[FeedEvent], None],
        settings: Settings,
        on_alert: Callable[[Notification], None] = lambda _notification: None,
    ) -> None:
        universe = universe_of(recording)
        sample_ms = sample_ms_of(recording, settings.whole("books.sample_ms"))
        self.ticks = MemoryTickStore(
            {market: tuple(i.symbol for i in listed) for market, listed in universe.items()}, interval_ms=sample_ms
        )
        self.history = History(sqlite_url(folder / "replay.sqlite"), folder, clock)
        self.engines: dict[Market, MarketEngine] = {}
        self.feeds: list[FeedHealth] = []
        options = EngineOptions(sample_ms=sample_ms, unconfirmed_hours=settings.number("books.unconfirmed_hours"))
        for market, instruments in universe.items():
            feed = market.feed
            link = LinkHealth(name="recording", feed=feed, url=recording.path.name, state=LinkState.LIVE)
            health = FeedHealth(feed=feed, links=[link])
            self.feeds.append(health)
            outputs = EngineOutputs(
                ticks=(self.ticks,),
                on_minute=self.history.write_minute,
                on_event=on_event,
                on_news=lambda *news: self.watch.on_news(*news),
                on_liquidations=lambda *news: self.watch.on_liquidations(*news),
            )
            self.engines[market] = MarketEngine(feed, instruments, options, outputs, health, make_intake)
        noted = streams_noted_in(recording)
        self.watch = Watch(settings, self.engines, lambda: self.feeds, folder / "alerts.json", deliver=on_alert)
        self.broker_outputs = BrokerOutputs(on_event=on_event)
        broker = BrokerReplay(recording, clock, self.broker_outputs, settings.whole("ibkr.lines"))
        self.brokerage = broker.brokerage
        stocks = BrokerScanning(settings, self.brokerage.desks, self.watch.scanning)
        self.broker_outputs.on_quotes.append(stocks.on_quotes)
        self.broker_outputs.on_events.append(stocks.on_events)

        def on_time(now_ns: int) -> None:
            stocks.advance(now_ns)
            self.watch.advance(now_ns)

        self.replayer = Replayer(
            self.engines,
            started_ns_of(recording),
            streams_noted=noted,
            on_time=on_time,
            on_broker=broker.feed,
        )
