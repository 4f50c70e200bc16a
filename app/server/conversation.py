"""What a WebSocket client says, turned into subscriptions, and the answers it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from app.domain.ids import Market
from app.indicators.formulas import Indicator
from app.indicators.groups import Group, Subject
from app.server import wire
from app.server.auth import FAILURE_PAUSE_S, Access
from app.server.client import Client
from app.server.hub import (
    AlertTopic,
    Hub,
    IndicatorTopic,
    PortfolioTopic,
    RowTopic,
    SnapshotTopic,
    StatusTopic,
    TickTopic,
    Topic,
    portfolio_fields,
)
from app.server.ports import BookKey, IndicatorKey, Json, ServerData
from app.server.wire import ClientMessage, RequestError

DEFAULT_TOP: Final = 100
MAX_UNSENT_BYTES: Final = 1_048_576
_BOOK_CHANNELS: Final = ("ticks", "snapshots")
NO_ACCOUNT: Final = (
    "account data is not available here: it leaves the program only with server.share_account switched on"
)


class Conversation:
    """Answers every client's messages; one object serves them all."""

    def __init__(self, data: ServerData, hub: Hub, access: Access, *, share_account: bool) -> None:
        self._data = data
        self._hub = hub
        self._access = access
        self._share_account = share_account

    # -- coming and going ----------------------------------------------------------------------------------------

    def greet(self, client: Client, wanted: Iterable[int] | None) -> None:
        """Give a client that was opened for rows its `initial_data`."""
        if wanted is not None:
            topics: list[Topic] = [RowTopic(row) for row in wanted]
            self._subscribe(client, topics)
            frames = self._hub.present(topics)
            client.write(b"".join(frames), len(frames))

    def forget(self, client: Client) -> None:
        """Take a client that is gone out of everything."""
        if client.bundle is not None:
            self._hub.leave(client.bundle)
            client.bundle = None
        client.topics.clear()

    async def hear(self, client: Client, text: str | bytes) -> bool:
        """Answer one message; True when it was the token and the client may now be greeted."""
        request_id: str | int | None = None
        if client.unsent > MAX_UNSENT_BYTES:
            client.cut("asked for more than it read")
            return False
        try:
            heard = wire.decode(text)
            request_id = heard.id
            if not client.known:
                return await self._admit(client, heard)
            self._obey(client, heard)
        except RequestError as error:
            if client.known:
                self._say(client, "error", wire.error_fields(error), request_id)
            else:
                await self._turn_away(client, "token required")
        return False

    async def _admit(self, client: Client, heard: ClientMessage) -> bool:
        if heard.action == "auth" and self._access.is_token(heard.token):
            client.known = True
            client.identified()
            self._say(client, "authenticated", {}, heard.id)
            return True
        await self._turn_away(client, "wrong token" if heard.action == "auth" else "token required")
        return False

    async def _turn_away(self, client: Client, reason: str) -> None:
        await asyncio.sleep(FAILURE_PAUSE_S)
        client.say_goodbye(1008, reason)

    def _obey(self, client: Client, heard: ClientMessage) -> None:
        action = heard.action or heard.type
        if action == "ping":
            self._say(client, "pong", {"time": self._data.now_ms()}, heard.id)
        elif action == "subscribe":
            self._on_subscribe(client, heard)
        elif action == "unsubscribe":
            self._on_unsubscribe(client, heard)
        elif action == "auth":
            self._say(client, "authenticated", {}, heard.id)
        else:
            raise RequestError("unknown_action", "expected subscribe, unsubscribe, auth or ping as action")

    # -- subscriptions -------------------------------------------------------------------------------------------

    def _on_subscribe(self, client: Client, heard: ClientMessage) -> None:
        unknown: list[str] = []
        channels = self._channels(heard)
        books = self._books(heard)
        rows = self._row_numbers(heard, unknown)
        keys = self._indicators(heard, channels)
        if not (books or rows or keys or channels):
            if unknown:
                raise RequestError("unknown_symbol", f"no market here lists {', '.join(unknown)}"[:300], 404)
            raise RequestError("nothing_asked", "expected a symbol, symbols, tickers, channels or indicators")
        refused = "portfolio" in channels and not self._share_account
        chosen = {**client.channels, **dict.fromkeys(channels)}
        if refused:
            del chosen["portfolio"]
        if books and not any(name in chosen for name in _BOOK_CHANNELS):
            chosen["ticks"] = None
        every_book = {**dict.fromkeys(_books_of(client.topics)), **dict.fromkeys(books)}
        wanted: list[Topic] = [RowTopic(row) for row in rows]
        if "ticks" in chosen:
            wanted += [TickTopic(book) for book in every_book]
        if "snapshots" in chosen:
            wanted += [SnapshotTopic(book) for book in every_book]
        wanted += [IndicatorTopic(key) for key in keys]
        if "status" in chosen:
            wanted.append(StatusTopic())
        if "alerts" in chosen:
            wanted.append(AlertTopic())
        if "portfolio" in chosen:
            wanted.append(PortfolioTopic())
        fresh = [topic for topic in dict.fromkeys(wanted) if topic not in client.topics]
        if len(client.topics) + len(fresh) > wire.MAX_SUBSCRIPTIONS:
            raise RequestError("too_many", f"expected at most {wire.MAX_SUBSCRIPTIONS} subscriptions a client", 400)
        client.channels = chosen
        self._subscribe(client, fresh)
        self._acknowledge(client, "subscribed", heard.id, unknown)
        frames = self._hub.present(fresh)
        if refused:
            frames.append(wire.message("portfolio", portfolio_fields(None)))
        client.write(b"".join(frames), len(frames))

    def _on_unsubscribe(self, client: Client, heard: ClientMessage) -> None:
        unknown: list[str] = []
        if heard.all:
            client.channels = {}
            self._resubscribe(client, {})
            self._acknowledge(client, "unsubscribed", heard.id, unknown)
            return
        channels = self._channels(heard)
        gone: set[Topic] = {RowTopic(row) for row in self._row_numbers(heard, unknown)}
        for book in self._books(heard):
            gone |= {TickTopic(book), SnapshotTopic(book)}
        gone |= {IndicatorTopic(key) for key in self._indicators(heard, ())}
        if not (gone or channels or unknown):
            raise RequestError("nothing_asked", "expected what to unsubscribe, or all")
        kinds: dict[str, type] = {
            "ticks": TickTopic,
            "snapshots": SnapshotTopic,
            "indicators": IndicatorTopic,
            "status": StatusTopic,
            "alerts": AlertTopic,
            "portfolio": PortfolioTopic,
        }
        dropped = tuple(kinds[name] for name in channels if name in kinds)
        kept = {
            topic: None for topic in client.topics if topic not in gone and not (dropped and isinstance(topic, dropped))
        }
        client.channels = {name: None for name in client.channels if name not in channels}
        self._resubscribe(client, kept)
        self._acknowledge(client, "unsubscribed", heard.id, unknown)

    def _subscribe(self, client: Client, fresh: list[Topic]) -> None:
        if fresh or client.bundle is None:
            self._resubscribe(client, {**client.topics, **dict.fromkeys(fresh)})

    def _resubscribe(self, client: Client, topics: dict[Topic, None]) -> None:
        earlier = client.bundle
        if earlier is None:
            client.given_tick = self._hub.tick
        client.topics = topics
        client.bundle = self._hub.join(frozenset(topics))
        if earlier is not None:
            self._hub.leave(earlier)

    # -- what is meant -------------------------------------------------------------------------------------------

    def _channels(self, heard: ClientMessage) -> list[str]:
        for name in heard.channels:
            if name not in wire.CHANNELS:
                raise RequestError("unknown_channel", f"expected of {', '.join(wire.CHANNELS)}, was {name[:40]!r}")
        return list(dict.fromkeys(heard.channels))

    def _books(self, heard: ClientMessage) -> list[BookKey]:
        symbols = [*([heard.symbol] if heard.symbol is not None else []), *heard.symbols]
        if not symbols:
            return []
        market = wire.read_market(heard.venue, heard.market_type)
        return [find_book(self._data, *wire.read_ticker(symbol, market)) for symbol in symbols]

    def _row_numbers(self, heard: ClientMessage, unknown: list[str]) -> list[int]:
        found: dict[int, None] = {}
        if heard.top is not None:
            markets = wire.read_markets(heard.venue, heard.market_type)
            found.update(dict.fromkeys(self._data.top_rows(markets, heard.top)))
        if heard.tickers:
            market = wire.read_market(heard.venue, heard.market_type)
            for ticker in heard.tickers:
                where, symbol = wire.read_ticker(ticker, market)
                row = self._data.find_row(where, symbol)
                if row is None:
                    unknown.append(ticker[:40])
                else:
                    found[row] = None
        return list(found)

    def _indicators(self, heard: ClientMessage, channels: Iterable[str]) -> list[IndicatorKey]:
        keys = [
            wire.read_indicator(asked.indicator, asked.category, asked.venue, asked.market_type, asked.depth)
            for asked in heard.indicators
        ]
        if not keys and "indicators" in channels:
            market = wire.read_market(heard.venue, heard.market_type)
            keys = [IndicatorKey(each, Subject(group=Group.TOTAL), market) for each in Indicator]
        for key in keys:
            check_indicator(self._data, key)
        return keys

    # -- answers -------------------------------------------------------------------------------------------------

    def _acknowledge(self, client: Client, kind: str, request_id: str | int | None, unknown: list[str]) -> None:
        rows = [topic.row for topic in client.topics if isinstance(topic, RowTopic)]
        listed = self._data.rows(rows) if rows else []
        fields: Json = {
            "symbols": [_place(book.market, book.symbol) for book in dict.fromkeys(_books_of(client.topics))],
            "tickers": [
                _place(self._data.row_market(row), str(fields["symbol"]))
                for row, fields in zip(rows, listed, strict=True)
            ],
            "channels": list(client.channels),
            "indicators": [_named(topic.key) for topic in client.topics if isinstance(topic, IndicatorTopic)],
        }
        if unknown:
            fields["unknown"] = unknown
        self._say(client, kind, fields, request_id)

    def _say(self, client: Client, kind: str, fields: Json, request_id: str | int | None) -> None:
        if request_id is not None:
            fields = {**fields, "id": request_id}
        client.write(wire.message(kind, fields), 1)


def find_book(data: ServerData, market: Market, symbol: str) -> BookKey:
    """Return the book of a symbol or pair; raise RequestError (404) when the market keeps none."""
    found = data.find_book(market, symbol.strip())
    if found is None:
        raise RequestError("unknown_symbol", f"no book of {symbol[:40]!r} is kept on {market.full_name}", 404)
    return BookKey(market, found)


def check_indicator(data: ServerData, key: IndicatorKey) -> None:
    """Raise RequestError (404) when there is no such series in this run."""
    if data.indicator_revision(key) < 0:
        raise RequestError("unknown_category", f"no depth of {key.subject} is kept on {key.market.full_name}", 404)


def _books_of(topics: Iterable[Topic]) -> list[BookKey]:
    return [topic.book for topic in topics if isinstance(topic, TickTopic | SnapshotTopic)]


def _place(market: Market, symbol: str) -> Json:
    return {"symbol": symbol, "venue": market.venue.value, "marketType": market.kind.value}


def _named(key: IndicatorKey) -> Json:
    named = {
        "indicator": key.indicator.value,
        "category": str(key.subject),
        "venue": key.market.venue.value,
        "marketType": key.market.kind.value,
    }
    return named if key.depth_pct is None else {**named, "depth": key.depth_pct}
