"""A plain client for the simulated Bybit: sockets, requests with their answers, and books kept in dicts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from app.domain.ids import Market
from app.sim.bybit import BybitSim

PATIENCE_S = 20.0
Message = dict[str, Any]


class NaiveBook:
    """What a client believes that does as it is told and checks nothing."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.u = 0
        self.updates: list[int] = []
        self.snapshots = 0
        self.unknown_removals = 0

    def take(self, message: Message) -> None:
        """Apply a snapshot or a delta."""
        data = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = dict(data["b"]), dict(data["a"])
            self.snapshots += 1
        else:
            for side, rows in ((self.bids, data["b"]), (self.asks, data["a"])):
                for price, quantity in rows:
                    if quantity != "0":
                        side[price] = quantity
                    elif side.pop(price, None) is None:
                        self.unknown_removals += 1
        self.u = data["u"]
        self.updates.append(data["u"])

    def sorted(self) -> dict[str, list[list[str]]]:
        """Return both sides as the control address gives them, best first."""
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))
        return {"bids": [list(level) for level in bids], "asks": [list(level) for level in asks]}


class Client:
    """One connection; everything it gets is kept, books and tickers are followed."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.books: dict[str, NaiveBook] = {}
        self.messages: list[Message] = []
        self.raw: list[str | bytes] = []
        self.bad: list[str | bytes] = []
        self._number = 0

    async def ask(self, op: str, *args: str, **more: object) -> Message:
        """Send a request and return its answer; what comes before it is taken in."""
        self._number += 1
        request_id = f"r{self._number}"
        frame = {"req_id": request_id, "op": op, **({"args": list(args)} if args else {}), **more}
        return await self.ask_raw(json.dumps(frame), lambda message: message.get("req_id") == request_id)

    async def ask_raw(self, text: str, is_answer: Callable[[Message], bool]) -> Message:
        """Send a text and return the first message that answers it."""
        await self.socket.send(text)
        return await self.until(is_answer)

    async def until(self, is_it: Callable[[Message], bool]) -> Message:
        """Take messages in until one is it, and return that one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = self._take(await self.socket.recv())
                if message is not None and is_it(message):
                    return message

    async def catch_up(self) -> None:
        """Take in everything that was sent until now."""
        answer = await self.ask("ping")
        assert answer["ret_msg"] == "pong"

    def of(self, topic: str) -> list[Message]:
        """Return a topic's messages so far."""
        return [message for message in self.messages if message.get("topic") == topic]

    def _take(self, raw: str | bytes) -> Message | None:
        self.raw.append(raw)
        try:
            message = json.loads(raw)
        except ValueError:
            self.bad.append(raw)
            return None
        assert isinstance(message, dict)
        self.messages.append(message)
        topic = message.get("topic", "")
        if topic.startswith("orderbook"):
            self.books.setdefault(topic, NaiveBook()).take(message)
        return message


@asynccontextmanager
async def client_of(sim: BybitSim, market: Market = Market.BYBIT_LINEAR) -> AsyncIterator[Client]:
    """Connect to one market's streams."""
    base = sim.linear_ws if market is Market.BYBIT_LINEAR else sim.spot_ws
    async with connect(f"{base}/v5/public/{market.word}", proxy=None, max_size=None) as socket:
        yield Client(socket)
