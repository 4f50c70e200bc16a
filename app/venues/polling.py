"""While streams cannot be had: books over REST, one symbol after the other, as fast as the venue permits.

Such a book is some seconds old, which is far better than none; the link shows POLLING and says why and how old the
books get. It stops as soon as the streams are back. What is asked, and how fast, each venue says itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from app.venues.rest import RestError
from app.venues.watch import LinkWatch

_LONGEST_LOOK_S: Final = 1.0


class PollOwner(Protocol):
    """The session around a poller."""

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        ...

    def on_polled(self, path: str, raw: bytes) -> None:
        """Take the answer of a book."""
        ...


class BooksByRest(Protocol):
    """How a venue's books are asked for over REST."""

    def pace_s(self) -> float:
        """Return the pause between two requests that spreads what is permitted."""
        ...

    def wait_s(self) -> float:
        """Return how long the next request has to wait, 0 when it may go now."""
        ...

    def stopped_s(self) -> float:
        """Return for how long REST is stopped altogether, 0 when it is not."""
        ...

    async def ask(self, symbol: str) -> tuple[str, bytes]:
        """Ask for a book; return the path of the request and the raw body. Raises RestError."""
        ...


class Shard(Protocol):
    """A connection and the symbols it carries."""

    @property
    def watch(self) -> LinkWatch:
        """State of the link."""
        ...

    @property
    def symbols(self) -> Sequence[str]:
        """What it carries."""
        ...


class Poller:
    """Stands in for shards whose streams have been down for `after_s` seconds."""

    def __init__(self, books: BooksByRest, owner: PollOwner, after_s: float) -> None:
        self._books = books
        self._owner = owner
        self._after_s = after_s
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def prefer(self, symbol: str) -> None:
        """Give a symbol the next turn."""
        self._last_turn.pop(symbol, None)

    async def run(self, shards: Sequence[Shard]) -> None:
        """Poll whenever it is needed, until cancelled."""
        while True:
            down = [shard for shard in shards if shard.watch.down_for_s() > self._after_s]
            stopped = self._books.stopped_s() > 0.0
            for shard in shards:
                if stopped or shard not in down:
                    shard.watch.cover(None)
            turns = [
                (self._last_turn.get(symbol, 0), symbol, shard)
                for shard in down
                for symbol in shard.symbols
                if symbol not in self._owner.suspended
            ]
            if not turns:
                await asyncio.sleep(min(_LONGEST_LOOK_S, self._after_s / 4))
                continue
            pace_s, wait_s = self._books.pace_s(), self._books.wait_s()
            if wait_s > 0.0:
                await asyncio.sleep(min(wait_s, _LONGEST_LOOK_S))
                continue
            _, symbol, shard = min(turns, key=lambda turn: turn[0])
            self._turn += 1
            self._last_turn[symbol] = self._turn
            if await self._poll(symbol, shard):
                shard.watch.cover(f"{shard.watch.since()}; each book is read over REST {_often(pace_s * len(turns))}")
            await asyncio.sleep(pace_s)

    async def _poll(self, symbol: str, shard: Shard) -> bool:
        """Ask once; tell whether an answer was handed over."""
        try:
            path, raw = await self._books.ask(symbol)
        except RestError:
            return False  # counted and shown by the REST shell
        if shard.watch.down_since_ns is None:
            return False  # the streams came back meanwhile: this answer is of no use to them
        self._owner.on_polled(path, raw)
        return shard.watch.down_since_ns is not None


def _often(every_s: float) -> str:
    return f"every {every_s:.0f} s" if every_s >= 1.5 else "about once a second"
