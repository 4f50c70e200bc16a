"""While streams cannot be had: depth over REST, one symbol after the other, as fast as the allowance permits.

Such a book is some seconds old and shallow (100 levels), which is far better than none; the link shows POLLING and says
why and how old the books get. It stops as soon as the streams are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from app.venues.binance.api import MarketApi
from app.venues.binance.shard import Shard
from app.venues.binance.urls import depth_weight
from app.venues.rest import RestError, UnknownSymbolError

LIMIT: Final = 100
_LONGEST_LOOK_S: Final = 1.0
_MINUTE_S: Final = 60.0


class PollOwner(Protocol):
    """The session around a poller."""

    @property
    def suspended(self) -> Collection[str]:
        """Symbols the venue does not trade now."""
        ...

    def on_polled(self, path: str, raw: bytes) -> None:
        """Take a depth answer."""
        ...

    def on_unknown(self, symbol: str, reason: str) -> None:
        """Note that the venue does not know the symbol any more."""
        ...


class Poller:
    """Stands in for shards whose streams have been down for `after_s` seconds."""

    def __init__(self, api: MarketApi, owner: PollOwner, after_s: float, share: float) -> None:
        self._api = api
        self._owner = owner
        self._after_s = after_s
        self._share = share
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def prefer(self, symbol: str) -> None:
        """Give a symbol the next turn."""
        self._last_turn.pop(symbol, None)

    async def run(self, shards: Sequence[Shard]) -> None:
        """Poll whenever it is needed, until cancelled."""
        while True:
            down = [shard for shard in shards if shard.watch.down_for_s() > self._after_s]
            for shard in shards:
                if shard not in down:
                    shard.watch.cover(None)
            turns = [(self._last_turn.get(s, 0), s, shard) for shard in down for s in self._active(shard)]
            if not turns:
                await asyncio.sleep(min(_LONGEST_LOOK_S, self._after_s / 4))
                continue
            pace_s = self._pace_s()
            wait_s = self._api.depth_wait_s(LIMIT, self._share)
            if wait_s > 0.0:
                if self._api.rest.stopped_s() > 0.0:
                    for shard in down:
                        shard.watch.cover(None)
                await asyncio.sleep(min(wait_s, _LONGEST_LOOK_S))
                continue
            _, symbol, shard = min(turns, key=lambda turn: turn[0])
            self._turn += 1
            self._last_turn[symbol] = self._turn
            if await self._poll(symbol, shard) and shard.watch.down_since_ns is not None:
                every = _seconds(pace_s * len(turns))
                shard.watch.cover(f"{shard.watch.since()}; each book is read over REST every {every}")
            await asyncio.sleep(pace_s)

    async def _poll(self, symbol: str, shard: Shard) -> bool:
        """Ask once; tell whether an answer was handed over."""
        path = self._api.depth_path(symbol, LIMIT)
        try:
            raw = await self._api.depth(path, LIMIT)
        except UnknownSymbolError as error:
            self._owner.on_unknown(symbol, str(error))
            return False
        except RestError:
            return False  # counted and shown by the REST shell
        if shard.watch.down_since_ns is None:
            return False  # the streams came back meanwhile: this answer is of no use to them
        self._owner.on_polled(path, raw)
        return True

    def _active(self, shard: Shard) -> list[str]:
        return [symbol for symbol in shard.symbols if symbol not in self._owner.suspended]

    def _pace_s(self) -> float:
        """Return the pause between requests that spreads the allowance over the minute."""
        weight = depth_weight(self._api.market, LIMIT)
        return _MINUTE_S * weight / max(weight, self._api.rest.budget.limit * self._share)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1.0 else "second"
