"""While streams cannot be had: windows over REST, one symbol after the other, a few a second.

Such a book is some seconds old, which is far better than none; the link shows POLLING and says why and how old the
books get. It stops as soon as the streams are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from app.venues.bybit.api import BybitApi
from app.venues.bybit.shard import Shard
from app.venues.bybit.urls import book_path
from app.venues.rest import RestError

_LIMIT: Final = 1000
_LOOK_S: Final = 1.0


class PollOwner(Protocol):
    """The session around a poller."""

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        ...

    def on_polled(self, path: str, raw: bytes) -> None:
        """Take the answer of a window."""
        ...


class Poller:
    """Stands in for shards whose streams have been down for `after_s` seconds; at most `per_s` requests a second."""

    def __init__(self, api: BybitApi, owner: PollOwner, after_s: float, per_s: float) -> None:
        self._api = api
        self._owner = owner
        self._after_s = after_s
        self._pace_s = 1.0 / per_s
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def prefer(self, symbol: str) -> None:
        """Give a symbol the next turn."""
        self._last_turn.pop(symbol, None)

    async def run(self, shards: Sequence[Shard]) -> None:
        """Poll whenever it is needed, until cancelled."""
        while True:
            down = [shard for shard in shards if shard.watch.down_for_s() > self._after_s]
            stopped = self._api.rest.stopped_s() > 0.0
            for shard in shards:
                if stopped or shard not in down:
                    shard.watch.cover(None)
            turns = [
                (self._last_turn.get(symbol, 0), symbol, shard)
                for shard in down
                for symbol in shard.symbols
                if symbol not in self._owner.suspended
            ]
            if stopped or not turns:
                await asyncio.sleep(min(_LOOK_S, self._after_s / 4))
                continue
            _, symbol, shard = min(turns, key=lambda turn: turn[0])
            self._turn += 1
            self._last_turn[symbol] = self._turn
            if await self._poll(symbol, shard):
                shard.watch.cover(f"{shard.watch.since()}; each book is read over REST {self._often(len(turns))}")
            await asyncio.sleep(self._pace_s)

    async def _poll(self, symbol: str, shard: Shard) -> bool:
        """Ask once; tell whether an answer was handed over."""
        path = book_path(self._api.market, symbol, _LIMIT)
        try:
            raw = await self._api.window(path)
        except RestError:
            return False  # counted and shown by the REST shell
        if shard.watch.down_since_ns is None:
            return False  # the streams came back meanwhile: this answer is of no use to them
        self._owner.on_polled(path, raw)
        return True

    def _often(self, books: int) -> str:
        every_s = self._pace_s * books
        return f"every {every_s:.0f} s" if every_s >= 1.5 else "about once a second"
