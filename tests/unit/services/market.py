"""A small venue for engine tests: frames and snapshots of two coins by hand, and what an engine gave out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from app.domain.health import FeedEvent, FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.storage.rows import GroupTick, MinuteBlock, TickBatch
from app.venues.binance.intake import BinanceIntake
from app.venues.feed import Urgency
from app.venues.naming import guess_instrument

MS = 1_000_000
MINUTE = 60_000 * MS
START = 28_333_334 * MINUTE
FEED = FeedId(Venue.BINANCE, Market.BINANCE_SPOT)
Pairs = list[tuple[float, float]]


@dataclass
class Given:
    """Everything an engine handed out."""

    batches: list[TickBatch] = field(default_factory=list)
    groups: list[GroupTick] = field(default_factory=list)
    minutes: list[MinuteBlock] = field(default_factory=list)
    events: list[FeedEvent] = field(default_factory=list)
    asked: list[tuple[str, Urgency]] = field(default_factory=list)

    def put(self, batch: TickBatch) -> None:
        self.batches.append(batch)

    def put_groups(self, tick: GroupTick) -> None:
        self.groups.append(tick)


def engine_of(
    *symbols: str, sample_ms: int = 200, unconfirmed_hours: float = 24.0, start_ns: int = START
) -> tuple[MarketEngine, Given]:
    """Return an engine that began at `start_ns`, and its outputs."""
    given = Given()
    outputs = EngineOutputs(
        ticks=(given,),
        on_minute=given.minutes.append,
        on_event=given.events.append,
        ask_snapshot=lambda symbol, urgency: given.asked.append((symbol, urgency)),
    )
    instruments = [guess_instrument(Market.BINANCE_SPOT, symbol) for symbol in symbols]
    options = EngineOptions(sample_ms=sample_ms, unconfirmed_hours=unconfirmed_hours)
    engine = MarketEngine(FEED, instruments, options, outputs, FeedHealth(feed=FEED), BinanceIntake)
    engine.begin(start_ns)
    return engine, given


def path(symbol: str, limit: int = 1000) -> str:
    return f"/api/v3/depth?symbol={symbol}&limit={limit}"


def _texts(levels: Pairs) -> list[list[str]]:
    return [[str(price), str(qty)] for price, qty in levels]


def snapshot(last: int, bids: Pairs, asks: Pairs) -> bytes:
    return json.dumps({"lastUpdateId": last, "bids": _texts(bids), "asks": _texts(asks)}).encode()


def diff(symbol: str, first: int, last: int, bids: Pairs, asks: Pairs, event_ms: int = 0) -> bytes:
    data = {"e": "depthUpdate", "E": event_ms, "s": symbol, "U": first, "u": last}
    data |= {"b": _texts(bids), "a": _texts(asks)}
    return json.dumps({"stream": f"{symbol.lower()}@depth@100ms", "data": data}).encode()


def quote(symbol: str, at: int, bid: float, ask: float) -> bytes:
    data = {"u": at, "s": symbol, "b": str(bid), "B": "1", "a": str(ask), "A": "1"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data}).encode()
