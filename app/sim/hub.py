"""Carries book changes to whoever subscribed: one channel per stream name, one encoding per channel and form.

Slower diff streams add changes up until they are due; partial streams are written when due and changed. Streams beside
the books have channels of their own, filled by the newsroom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.domain.ids import Market
from app.sim import encoders
from app.sim.book import Changes, SimBook
from app.sim.connection import SimConnection, data_frame
from app.sim.faults import Tampering
from app.sim.newsroom import Newsroom
from app.sim.subscriptions import delivered_on, read_depth_stream

STEP_MS = 100


class Channel:
    """One stream of one symbol with its subscribers. `levels` None is a diff stream, `every_ms` 0 the bookTicker."""

    def __init__(self, name: str, symbol: str, every_ms: int, levels: int | None) -> None:
        """Start without subscribers."""
        self.name = name
        self.symbol = symbol
        self.every_ms = every_ms
        self.levels = levels
        self.subscribers: dict[SimConnection, None] = {}
        self.waiting: Changes | None = None

    def send(self, payload: str) -> int:
        """Queue a payload for every subscriber, wrapped where the connection is combined; return how many."""
        raw = combined = b""
        for connection in self.subscribers:
            if connection.combined:
                combined = combined or data_frame(encoders.wrapped(self.name, payload).encode())
                connection.queue(combined)
            else:
                raw = raw or data_frame(payload.encode())
                connection.queue(raw)
        return len(self.subscribers)

    def gather(self, changes: Changes) -> None:
        """Add a diff to those waiting."""
        if self.waiting is None:
            self.waiting = Changes(
                changes.first_id, changes.last_id, changes.previous_id, dict(changes.bids), dict(changes.asks)
            )
            return
        self.waiting.last_id = changes.last_id
        self.waiting.bids.update(changes.bids)
        self.waiting.asks.update(changes.asks)


class Hub:
    """All channels of one market."""

    def __init__(
        self, market: Market, symbols: Callable[[], Iterable[str]], newsroom: Newsroom, now_ms: Callable[[], int]
    ) -> None:
        """`symbols` gives the market's symbols; `now_ms` is UTC ms."""
        self.market = market
        self.tampering = Tampering()
        self._symbols = symbols
        self._newsroom = newsroom
        self._now_ms = now_ms
        self._news: dict[str, Channel] = {}
        self._channels: dict[str, Channel] = {}
        self._by_symbol: dict[str, list[Channel]] = {}

    def subscribe(self, connection: SimConnection, names: Iterable[str], *, silent: bool = False) -> None:
        """Note streams on a connection; names nobody delivers are noted too, and stay silent."""
        for name in names:
            if name in connection.streams:
                continue
            connection.streams[name] = None
            if silent or not self.delivers(connection, name):
                continue
            channel = self._channels.get(name) or self._news.get(name) or self._open(name)
            if channel is not None:
                channel.subscribers[connection] = None

    def delivers(self, connection: SimConnection, name: str) -> bool:
        """Tell whether a stream of this name can say anything on a connection; spot knows no categories."""
        return self.market is Market.BINANCE_SPOT or delivered_on(connection.category, name)

    def unsubscribe(self, connection: SimConnection, names: Iterable[str]) -> None:
        """Take streams from a connection."""
        for name in names:
            connection.streams.pop(name, None)
            channel = self._channels.get(name) or self._news.get(name)
            if channel is None or channel.subscribers.pop(connection, self) is self or channel.subscribers:
                continue
            if self._news.pop(name, None) is None:
                del self._channels[name]
                self._by_symbol[channel.symbol].remove(channel)

    def forget(self, connection: SimConnection) -> None:
        """Take all streams from a connection that is gone."""
        self.unsubscribe(connection, list(connection.streams))

    def followed(self) -> list[str]:
        """Return the symbols whose diffs somebody receives."""
        return [symbol for symbol, channels in self._by_symbol.items() if any(each.levels is None for each in channels)]

    def publish(self, book: SimBook, changes: Changes) -> None:
        """Queue what one diff means for every stream of its symbol."""
        channels = self._by_symbol.get(book.listing.symbol)
        if not channels:
            return
        now = self._now_ms()
        for channel in channels:
            if channel.every_ms == 0:
                for top in changes.tops:
                    channel.send(encoders.book_ticker(book.listing, top, now))
            elif channel.levels is None and channel.every_ms == STEP_MS:
                self._send_diff(channel, book, changes, now)
            else:
                channel.gather(changes)

    def publish_due(self, books: dict[str, SimBook], step_number: int) -> None:
        """Queue what slower streams owe at the end of a 100 ms step."""
        now = self._now_ms()
        for name, news in self._news.items():
            for payload in self._newsroom.payloads(name):
                news.send(payload)
        elapsed = step_number * STEP_MS
        for channel in self._channels.values():
            waiting = channel.waiting
            if waiting is None or elapsed // channel.every_ms == (elapsed - STEP_MS) // channel.every_ms:
                continue
            channel.waiting = None
            book = books[channel.symbol]
            if channel.levels is None:
                self._send_diff(channel, book, waiting, now)
            else:
                _, bids, asks = book.snapshot(channel.levels, ahead=False)
                channel.send(encoders.partial_depth(book.listing, waiting, bids, asks, now))

    def restart(self) -> None:
        """Forget changes that wait, as their books are gone."""
        for channel in self._channels.values():
            channel.waiting = None

    def _send_diff(self, channel: Channel, book: SimBook, changes: Changes, now_ms: int) -> None:
        if self.tampering.concerns(channel.symbol):
            for payload in self.tampering.apply(book, changes, now_ms):
                channel.send(payload)
        else:
            channel.send(encoders.depth_update(book.listing, changes, now_ms))

    def _open(self, name: str) -> Channel | None:
        if self._newsroom.offers(name):
            self._news[name] = Channel(name, "", STEP_MS, None)
            return self._news[name]
        symbol, at, kind = name.partition("@")
        if not at or symbol != symbol.lower() or symbol.upper() not in self._symbols():
            return None
        if kind == "bookTicker":
            channel = Channel(name, symbol.upper(), 0, None)
        elif (stream := read_depth_stream(self.market, name)) is not None:
            channel = Channel(name, stream.symbol, stream.interval_ms, stream.levels)
        else:
            return None
        self._channels[name] = channel
        self._by_symbol.setdefault(channel.symbol, []).append(channel)
        return channel
