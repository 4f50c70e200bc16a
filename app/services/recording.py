"""Record what a session hands over, and play a recording back into the same engines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from app.books.side import Side
from app.books.sync import BookSync
from app.domain.account import Source
from app.domain.errors import BadFrameError, RecordingError
from app.domain.health import FeedEvent
from app.domain.ids import BOOK_MARKETS, FeedId, Market
from app.domain.instruments import Instrument
from app.services.feeds import KITS
from app.services.pipeline import MarketEngine
from app.services.universe import Universe, universe_from_json
from app.storage.recorder import Entry, Recorder, Recording
from app.venues.feed import FeedSink

_FEEDS: Final = {str(market.feed): market.feed for market in BOOK_MARKETS}
_BROKERS: Final = {source.feed: source for source in Source}

BrokerEntries = Callable[[Source, int, str, str, str], None]
"""Takes source, receive time (UTC ns), kind ("ws", "rest"), argument and raw text of a broker's entry."""


class RecordingSink:
    """A `FeedSink` that writes every input down before it passes it on."""

    def __init__(self, feed: FeedId, inner: FeedSink, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder
        self._name = str(feed)
        self._ws = f"{feed}.ws"

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        """Take one frame."""
        self._recorder.write(recv_ns, f"{self._ws} {line}" if line else self._ws, raw)
        self._inner.on_frame(recv_ns, raw, line)

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Take the note that a request leaves."""
        self._recorder.write(recv_ns, f"{self._name}.asked {path}", "")
        self._inner.on_rest_asked(recv_ns, path)

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        """Take a depth answer."""
        self._recorder.write(recv_ns, f"{self._name}.{'polled' if polled else 'rest'} {path}", raw)
        self._inner.on_rest(recv_ns, path, raw, polled=polled)

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Take the note that no answer came."""
        self._recorder.write(recv_ns, f"{self._name}.failed {path}", reason)
        self._inner.on_rest_failed(recv_ns, path, reason)

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool, line: str = "") -> None:
        """Take the note that streams begin or end."""
        source = f"{self._name}.streams {'up' if up else 'down'} {line}".rstrip()
        self._recorder.write(recv_ns, source, ",".join(symbols))
        self._inner.on_streams(recv_ns, symbols, up=up, line=line)

    def on_event(self, event: FeedEvent) -> None:
        """Pass a rare fact on."""
        self._inner.on_event(event)


# -- universe ----------------------------------------------------------------------------------------------------


def universe_of(recording: Recording) -> Universe:
    """Return the recording's universe: from its header, else every symbol it holds a book of."""
    listed = recording.header.get("universe")
    try:
        if isinstance(listed, dict):
            return universe_from_json(listed)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{recording.path} names a universe that cannot be read: {error}") from error
    found: dict[Market, dict[str, Instrument]] = {}
    for entry in recording:
        if entry.feed == "fathom" or entry.feed in _BROKERS:
            continue
        market = feed_of(entry.feed).market
        kit = KITS[market.venue]
        try:
            symbol = kit.book_symbol(market, entry.kind, entry.argument, entry.raw)
        except BadFrameError as error:
            raise RecordingError(f"{recording.path}: {error}") from None
        if symbol is not None:
            books = found.setdefault(market, {})
            if symbol not in books:
                books[symbol] = kit.guess_instrument(market, symbol)
    return {market: tuple(rows.values()) for market, rows in found.items()}


def feed_of(name: str) -> FeedId:
    """Return the feed named e.g. `binance.usdm`; raise RecordingError for an unknown one."""
    feed = _FEEDS.get(name)
    if feed is None:
        raise RecordingError(f"unknown source {name!r} in the recording")
    return feed


# -- remembered levels -------------------------------------------------------------------------------------------


def saved_to_json(side_levels: Mapping[str, Side]) -> str:
    """Return remembered levels of one book as JSON: per side [[price, quantity, unconfirmed since ns], ...]."""
    out: dict[str, list[list[float | int]]] = {}
    for name, side in side_levels.items():
        price, qty, since = side.levels()
        out[name] = [[p, q, s] for p, q, s in zip(price.tolist(), qty.tolist(), since.tolist(), strict=True)]
    return json.dumps(out, separators=(",", ":"))


def put_saved(engine: MarketEngine, symbol: str, raw: str) -> None:
    """Put recorded remembered levels beneath a book."""
    index = engine.index_of(symbol)
    if index is None:
        return
    try:
        body = json.loads(raw)
        keeper = engine.rows[index].sync
        if not isinstance(keeper, BookSync):
            raise ValueError(f"{engine.market.full_name} keeps no levels from run to run")
        book = keeper.book
        for name, side in (("bids", book.bids), ("asks", book.asks)):
            levels = np.array(body[name], np.float64).reshape(-1, 3)
            since = np.array([row[2] for row in body[name]], np.int64)
            side.add_unconfirmed(levels[:, 0], levels[:, 1], since)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingError(f"remembered levels of {symbol} cannot be read: {error}") from error


# -- replay ------------------------------------------------------------------------------------------------------


class Replayer:
    """Feeds entries into engines by their recorded times. `skipped` counts entries of no known meaning.

    streams_noted: the recording says when streams begin and end; without such lines they are taken as always there.
    on_time: told the time after each step. on_broker: given the entries of brokers.
    """

    def __init__(
        self,
        engines: Mapping[Market, MarketEngine],
        started_ns: int | None,
        *,
        streams_noted: bool = False,
        on_time: Callable[[int], None] = lambda _now_ns: None,
        on_broker: BrokerEntries | None = None,
    ) -> None:
        self.engines = engines
        self._on_broker = on_broker
        self._on_time = on_time
        self._streams_noted = streams_noted
        self.skipped = 0
        self.bad_frames = 0
        self.last_ns = started_ns or 0
        self._begun = False
        if started_ns is not None:
            self._begin(started_ns)

    def _begin(self, now_ns: int) -> None:
        self._begun = True
        self.last_ns = now_ns
        for engine in self.engines.values():
            engine.begin(now_ns)
            if not self._streams_noted:
                for line in KITS[engine.feed.venue].lines:
                    engine.on_streams(now_ns, engine.symbols, up=True, line=line)

    def feed(self, entry: Entry) -> None:
        """Take one entry."""
        if not self._begun:
            self._begin(entry.recv_ns)
        now = max(entry.recv_ns, self.last_ns)
        self.last_ns = now
        if entry.feed == "fathom":
            for each in self.engines.values():
                each.advance(now)
            self._on_time(now)
            return
        try:
            if entry.feed in _BROKERS:
                self._hand_to_broker(_BROKERS[entry.feed], entry, now)
            elif (engine := self.engines.get(feed_of(entry.feed).market)) is not None:
                self._hand_over(engine, entry, now)
            else:
                self.skipped += 1
        except BadFrameError:
            self.bad_frames += 1
        self._on_time(now)

    def _hand_to_broker(self, source: Source, entry: Entry, now: int) -> None:
        if self._on_broker is None:
            self.skipped += 1
        else:
            self._on_broker(source, now, entry.kind, entry.argument, entry.raw)

    def _hand_over(self, engine: MarketEngine, entry: Entry, now: int) -> None:
        kind = entry.kind
        if kind == "ws":
            engine.on_frame(now, entry.raw.encode(), entry.argument)
        elif kind in ("rest", "polled"):
            engine.on_rest(now, entry.argument, entry.raw.encode(), polled=kind == "polled")
        elif kind == "asked":
            engine.on_rest_asked(now, entry.argument)
        elif kind == "failed":
            engine.on_rest_failed(now, entry.argument, entry.raw)
        elif kind == "streams":
            word, _, line = entry.argument.partition(" ")
            engine.on_streams(now, tuple(entry.raw.split(",")), up=word == "up", line=line)
        elif kind == "saved":
            put_saved(engine, entry.argument, entry.raw)
        else:
            self.skipped += 1

    def advance(self, now_ns: int) -> None:
        """Move time on between entries."""
        if self._begun and now_ns > self.last_ns:
            self.last_ns = now_ns
            for engine in self.engines.values():
                engine.advance(now_ns)
            self._on_time(now_ns)

    def finish(self) -> None:
        """Hand over the last, partial minute."""
        for engine in self.engines.values():
            engine.finish(self.last_ns)


def started_ns_of(recording: Recording) -> int | None:
    """Return when the recorded run began (UTC ns), None when the header does not say."""
    started = recording.header.get("started_ns")
    return started if isinstance(started, int) and not isinstance(started, bool) else None


def streams_noted_in(recording: Recording) -> bool:
    """Tell whether this program made the recording, which then says when streams begin and end."""
    return "app" in recording.header


def sample_ms_of(recording: Recording, default: int) -> int:
    """Return the tick interval of the recorded run."""
    value = recording.header.get("sample_ms", default)
    if not isinstance(value, int) or not math.isfinite(value) or not 50 <= value <= 1000:
        raise RecordingError(f"{recording.path}: expected sample_ms of 50 to 1000, was {value!r}")
    return value
