"""Record what a session hands over, and play a recording back into the same engines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from app.books.side import Side
from app.domain.errors import BadFrameError, RecordingError
from app.domain.health import FeedEvent
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.services.pipeline import MarketEngine
from app.storage.recorder import Entry, Recorder, Recording
from app.venues.binance import protocol
from app.venues.feed import FeedSink

_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")
_UNITS = re.compile(r"^(1000000|10000|1000)(?=[A-Z])")


class RecordingSink:
    """A `FeedSink` that writes every input down before it passes it on."""

    def __init__(self, feed: FeedId, inner: FeedSink, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder
        self._name = str(feed)
        self._ws = f"{feed}.ws"

    def on_frame(self, recv_ns: int, raw: bytes) -> None:
        """Take one frame."""
        self._recorder.write(recv_ns, self._ws, raw)
        self._inner.on_frame(recv_ns, raw)

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

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool) -> None:
        """Take the note that streams begin or end."""
        self._recorder.write(recv_ns, f"{self._name}.streams {'up' if up else 'down'}", ",".join(symbols))
        self._inner.on_streams(recv_ns, symbols, up=up)

    def on_event(self, event: FeedEvent) -> None:
        """Pass a rare fact on."""
        self._inner.on_event(event)


# -- universe ----------------------------------------------------------------------------------------------------


def universe_to_json(instruments: Mapping[Market, Iterable[Instrument]]) -> dict[str, list[list[Any]]]:
    """Return the header's form of the universe."""
    return {
        market.value: [[i.symbol, i.pair, i.base, i.quote, i.units, i.tick_size] for i in listed]
        for market, listed in instruments.items()
    }


def universe_of(recording: Recording) -> dict[Market, tuple[Instrument, ...]]:
    """Return the recording's universe: from its header, else every symbol it holds a snapshot of."""
    universe: dict[Market, tuple[Instrument, ...]] = {}
    listed = recording.header.get("universe")
    try:
        if isinstance(listed, dict):
            for word, rows in listed.items():
                market = Market(word)
                universe[market] = tuple(
                    Instrument(market=market, symbol=s, pair=p, base=b, quote=q, units=int(u), tick_size=t)
                    for s, p, b, q, u, t in rows
                )
            return universe
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{recording.path} names a universe that cannot be read: {error}") from error
    found: dict[Market, dict[str, Instrument]] = {}
    for entry in recording:
        if entry.kind == "rest" and "/depth" in entry.argument:
            market = feed_of(entry.feed).market
            try:
                symbol = protocol.parse_depth_path(market, entry.argument).symbol
            except BadFrameError as error:
                raise RecordingError(f"{recording.path}: {error}") from None
            found.setdefault(market, {}).setdefault(symbol, guess_instrument(market, symbol))
    return {market: tuple(rows.values()) for market, rows in found.items()}


def guess_instrument(market: Market, symbol: str) -> Instrument:
    """Name base and quote of a symbol without the venue's list: by the quote assets known to end symbols."""
    name = symbol.partition("_")[0]
    quote = next((q for q in _QUOTES if name.endswith(q) and len(name) > len(q)), "")
    base = name.removesuffix(quote)
    match = _UNITS.match(base) if market is Market.BINANCE_USDM else None
    units = int(match.group(1)) if match else 1
    base = base[len(match.group(1)) :] if match else base
    return Instrument(market=market, symbol=symbol, pair=base + quote, base=base, quote=quote, units=units)


def feed_of(name: str) -> FeedId:
    """Return the feed named e.g. `binance.usdm`; raise RecordingError for an unknown one."""
    venue, _, market = name.partition(".")
    try:
        return FeedId(Venue(venue), Market(market))
    except ValueError:
        raise RecordingError(f"unknown source {name!r} in the recording") from None


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
        book = engine.rows[index].sync.book
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
    """

    def __init__(
        self, engines: Mapping[Market, MarketEngine], started_ns: int | None, *, streams_noted: bool = False
    ) -> None:
        self.engines = engines
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
                engine.on_streams(now_ns, engine.symbols, up=True)

    def feed(self, entry: Entry) -> None:
        """Take one entry."""
        if not self._begun:
            self._begin(entry.recv_ns)
        now = max(entry.recv_ns, self.last_ns)
        self.last_ns = now
        if entry.feed == "fathom":
            for each in self.engines.values():
                each.advance(now)
            return
        engine = self.engines.get(feed_of(entry.feed).market)
        if engine is None:
            self.skipped += 1
            return
        try:
            self._hand_over(engine, entry, now)
        except BadFrameError:
            self.bad_frames += 1

    def _hand_over(self, engine: MarketEngine, entry: Entry, now: int) -> None:
        kind = entry.kind
        if kind == "ws":
            engine.on_frame(now, entry.raw.encode())
        elif kind in ("rest", "polled"):
            if "/depth" in entry.argument:
                engine.on_rest(now, entry.argument, entry.raw.encode(), polled=kind == "polled")
        elif kind == "asked":
            engine.on_rest_asked(now, entry.argument)
        elif kind == "failed":
            engine.on_rest_failed(now, entry.argument, entry.raw)
        elif kind == "streams":
            engine.on_streams(now, tuple(entry.raw.split(",")), up=entry.argument == "up")
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
