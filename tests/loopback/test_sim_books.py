"""A plain client that follows Binance's written rules over real sockets ends with the simulator's own books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app.domain.ids import Market, Venue
from app.sim.binance import VenueLimits
from app.sim.server import BinanceSim

SPOT_SYMBOLS = ("BTCUSDT", "LINKUSDT", "PEPEUSDT")
USDM_SYMBOLS = ("BTCUSDT", "LINKUSDT", "1000PEPEUSDT")
Levels = dict[Decimal, Decimal]
# the tests ask for control answers only to know what has been read so far, more often than the venue allows
TALKATIVE = VenueLimits(frames_per_s=100_000)


class Desynchronised(Exception):
    """The documented rules ask for a new snapshot."""


class NaiveBook:
    """One book kept by the documents' rules, in decimals, with no thought for speed."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.update_id: int | None = None
        self.synchronised = False
        self.waiting: list[dict[str, Any]] = []
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.resyncs = 0

    def on_event(self, event: dict[str, Any]) -> None:
        if self.update_id is None:
            self.waiting.append(event)
        else:
            self._apply(event)

    def on_snapshot(self, answer: dict[str, Any]) -> bool:
        """Take a snapshot; False when it is older than the first event and has to be asked for again."""
        update_id = answer["lastUpdateId"]
        if not self.waiting or update_id < self.waiting[0]["U"]:
            return False
        self.update_id, self.synchronised = update_id, False
        self.bids = {Decimal(price): Decimal(quantity) for price, quantity in answer["bids"]}
        self.asks = {Decimal(price): Decimal(quantity) for price, quantity in answer["asks"]}
        waiting, self.waiting = self.waiting, []
        for event in waiting:
            self._apply(event)
        return True

    def _apply(self, event: dict[str, Any]) -> None:
        assert self.update_id is not None
        if not self._continues(event):
            return
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, quantity in levels:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)
        self.update_id = event["u"]
        assert max(self.bids) < min(self.asks)

    def _continues(self, event: dict[str, Any]) -> bool:
        """Tell whether an event is to be applied; raise when the chain is broken."""
        update_id = self.update_id
        assert update_id is not None
        if self.market is Market.BINANCE_SPOT:
            if event["u"] < update_id or (event["u"] == update_id and self.synchronised):
                return False
            if event["U"] > update_id + 1:
                self._lose(event)
        elif self.synchronised:
            if event["pu"] != update_id:
                self._lose(event)
        else:
            if event["u"] < update_id:
                return False
            if not event["U"] <= update_id <= event["u"]:
                self._lose(event)
        self.synchronised = True
        return True

    def _lose(self, event: dict[str, Any]) -> None:
        self.update_id = None
        self.waiting = [event]
        self.resyncs += 1
        raise Desynchronised


class NaiveClient:
    """Follows symbols of one market on one connection."""

    def __init__(self, market: Market, rest: httpx.AsyncClient, url: str, symbols: tuple[str, ...]) -> None:
        self.books = {symbol: NaiveBook(market) for symbol in symbols}
        self.tops: dict[str, tuple[int, Decimal, Decimal, Decimal, Decimal]] = {}
        self.tops_compared = 0
        self._rest = rest
        self._url = url
        self._limit = 5000 if market is Market.BINANCE_SPOT else 1000

    def on_frame(self, frame: dict[str, Any]) -> None:
        event = frame.get("data", frame)
        if event.get("e") == "depthUpdate":
            book = self.books[event["s"]]
            try:
                book.on_event(event)
            except Desynchronised:
                return
            self._compare_top(event["s"], book)
        elif "B" in event:
            numbers = [Decimal(event[key]) for key in ("b", "B", "a", "A")]
            self.tops[event["s"]] = (event["u"], numbers[0], numbers[1], numbers[2], numbers[3])
            self._compare_top(event["s"], self.books[event["s"]])

    def _compare_top(self, symbol: str, book: NaiveBook) -> None:
        top = self.tops.get(symbol)
        if top is None or not book.synchronised or top[0] != book.update_id:
            return
        bid, ask = max(book.bids), min(book.asks)
        assert top[1:] == (bid, book.bids[bid], ask, book.asks[ask])
        self.tops_compared += 1

    async def ask(self, symbol: str) -> bool:
        answer = await self._rest.get(f"{self._url}?symbol={symbol}&limit={self._limit}")
        assert answer.status_code == 200
        return self.books[symbol].on_snapshot(answer.json())

    def lost(self) -> list[str]:
        return [symbol for symbol, book in self.books.items() if book.update_id is None]


@asynccontextmanager
async def following(
    sim: BinanceSim, market: Market, rest: httpx.AsyncClient
) -> AsyncIterator[tuple[NaiveClient, ClientConnection]]:
    """Yield a subscribed client whose books wait for their snapshots."""
    spot = market is Market.BINANCE_SPOT
    symbols = SPOT_SYMBOLS if spot else USDM_SYMBOLS
    url = f"{sim.spot_rest}/api/v3/depth" if spot else f"{sim.usdm_rest}/fapi/v1/depth"
    client = NaiveClient(market, rest, url, symbols)
    names = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in ("depth@100ms", "bookTicker")]
    base = f"{sim.spot_ws}/stream" if spot else f"{sim.usdm_ws}/public/stream"
    async with connect(f"{base}?streams={'/'.join(names)}", compression=None, max_size=None) as socket:
        await answered(socket, client, 1)
        yield client, socket


async def answered(socket: ClientConnection, client: NaiveClient, identity: int) -> None:
    """Read until everything sent so far has been read: the answer to a control frame comes after it."""
    await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": identity}))
    while True:
        frame = json.loads(await socket.recv())
        if frame.get("id") == identity:
            return
        client.on_frame(frame)


def assert_true(client: NaiveClient, sim: BinanceSim, market: Market, *, whole: Callable[[str], bool]) -> None:
    """Compare books with the simulator's: at the same id, and level by level within what the client can know."""
    for symbol, book in client.books.items():
        truth = sim.truth(market, symbol)
        assert book.update_id == truth.last_update_id
        bids = {Decimal(price): Decimal(quantity) for price, quantity in truth.bids}
        asks = {Decimal(price): Decimal(quantity) for price, quantity in truth.asks}
        if whole(symbol):
            assert (book.bids, book.asks) == (bids, asks)
        else:
            assert book.bids.items() <= bids.items()
            assert book.asks.items() <= asks.items()
            assert len(book.bids) >= 900


def patient_sim(**options: object) -> BinanceSim:
    """Return a small simulator that lets clients talk as often as they like."""
    return BinanceSim(symbols=SPOT_SYMBOLS, spot_limits=TALKATIVE, usdm_limits=TALKATIVE, **options)


def is_whole(market: Market) -> Callable[[str], bool]:
    return lambda symbol: market is Market.BINANCE_SPOT or symbol != "BTCUSDT"


@pytest.mark.parametrize("market", Venue.BINANCE.markets)
async def test_books_built_by_the_written_rules_equal_the_truth(market: Market) -> None:
    async with (
        patient_sim(seed=7, auto=False) as sim,
        httpx.AsyncClient() as rest,
        following(sim, market, rest) as (client, socket),
    ):
        identity = 10
        for _ in range(30):
            sim.step()
            identity += 1
            await answered(socket, client, identity)
            for symbol in client.lost():
                await client.ask(symbol)
        assert client.lost() == []
        for _ in range(40):
            sim.step(5)
            identity += 1
            await answered(socket, client, identity)
        assert client.lost() == []
        sim.settle()
        await answered(socket, client, identity + 1)
        assert_true(client, sim, market, whole=is_whole(market))
        assert client.tops_compared > 100


@pytest.mark.parametrize("market", Venue.BINANCE.markets)
async def test_a_gap_breaks_the_chain_of_one_symbol_and_a_snapshot_heals_it(market: Market) -> None:
    async with (
        patient_sim(seed=9, auto=False, rate=20) as sim,
        httpx.AsyncClient() as rest,
        following(sim, market, rest) as (client, socket),
    ):
        identity = 10
        for step in range(40):
            if step == 20:
                assert all(book.synchronised for book in client.books.values())
                before = {symbol: book.resyncs for symbol, book in client.books.items()}
                sim.fault("gap", market=market.value, symbol="LINKUSDT")
            sim.step()
            identity += 1
            await answered(socket, client, identity)
            for symbol in client.lost():
                await client.ask(symbol)
        assert client.lost() == []
        sim.settle()
        await answered(socket, client, identity + 1)
        lost = [symbol for symbol, book in client.books.items() if book.resyncs > before[symbol]]
        assert lost == ["LINKUSDT"]
        assert_true(client, sim, market, whole=is_whole(market))


async def test_books_follow_the_running_market_and_meet_the_truth_at_a_pause() -> None:
    async with (
        patient_sim(seed=3) as sim,
        httpx.AsyncClient() as rest,
        following(sim, Market.BINANCE_SPOT, rest) as (spot, spot_socket),
        following(sim, Market.BINANCE_USDM, rest) as (usdm, usdm_socket),
    ):
        pairs = ((spot, spot_socket), (usdm, usdm_socket))
        identity = 10
        while any(not book.synchronised for client, _ in pairs for book in client.books.values()):
            await asyncio.sleep(0.05)
            identity += 1
            for client, socket in pairs:
                await answered(socket, client, identity)
                for symbol in client.lost():
                    await client.ask(symbol)
        sim.pause()
        for client, socket in pairs:
            await answered(socket, client, identity + 1)
        assert_true(spot, sim, Market.BINANCE_SPOT, whole=is_whole(Market.BINANCE_SPOT))
        assert_true(usdm, sim, Market.BINANCE_USDM, whole=is_whole(Market.BINANCE_USDM))


async def test_the_control_address_gives_the_same_truth() -> None:
    async with BinanceSim(seed=3, symbols=SPOT_SYMBOLS, auto=False) as sim, httpx.AsyncClient() as http:
        sim.step(3)
        answer = await http.get(f"{sim.control}/sim/book?market=usdm&symbol=1000PEPEUSDT")
        truth = sim.truth("usdm", "1000PEPEUSDT")
        book = answer.json()
        assert book["lastUpdateId"] == truth.last_update_id
        assert [tuple(level) for level in book["bids"]] == truth.bids
        assert (await http.get(f"{sim.control}/sim/book?market=usdm&symbol=NOPE")).status_code == 400


async def test_a_slow_reader_gets_a_large_answer_whole() -> None:
    async with BinanceSim(seed=1, symbols=("BTCUSDT",), auto=False) as sim:
        host, _, port = sim.spot_rest.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
        writer.write(b"GET /api/v3/depth?symbol=BTCUSDT&limit=5000 HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while chunk := await reader.read(4096):
            received += chunk
            if len(received) < 40_000:
                await asyncio.sleep(0.01)
        head, _, body = received.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}" in head.decode().lower()
        assert len(json.loads(body)["bids"]) > 2000
        writer.close()
        await writer.wait_closed()
