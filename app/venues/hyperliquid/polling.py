"""While books cannot be had as streams: l2Book over REST, one coin after the other at every resolution that is away.

The resolutions of one coin are asked for together, so that they describe the same moment. It stops as soon as the
streams are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.allowance import BOOK_WEIGHT, WEIGHT_PER_MINUTE
from app.venues.hyperliquid.api import HyperliquidApi
from app.venues.hyperliquid.line import Line
from app.venues.rest import RestError, UnknownSymbolError

_LONGEST_LOOK_S: Final = 1.0


class PollOwner(Protocol):
    """The session around a poller."""

    @property
    def active(self) -> Collection[str]:
        """The coins whose books are kept and that trade."""
        ...

    def on_polled(self, path: str, raw: bytes) -> None:
        """Take a book."""
        ...

    def on_unknown(self, coin: str, reason: str) -> None:
        """Note that the venue does not know the coin any more."""
        ...


class BookPoller:
    """Stands in for lines of books that have been down for `after_s` seconds, with a share of the REST weight."""

    def __init__(self, api: HyperliquidApi, owner: PollOwner, after_s: float, share: float) -> None:
        self.paused = False
        self._api = api
        self._owner = owner
        self._after_s = after_s
        self._share = share
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def prefer(self, coin: str) -> None:
        """Give a coin the next turn."""
        self._last_turn.pop(coin, None)

    async def run(self, lines: Sequence[Line]) -> None:
        """Poll whenever it is needed, until cancelled."""
        while True:
            down = [line for line in lines if line.watch.down_for_s() > self._after_s]
            for line in lines:
                if line not in down or self._api.rest.stopped_s() > 0.0 or self.paused:
                    line.watch.cover(None)
            coins = list(self._owner.active)
            if not down or not coins or self.paused:
                await asyncio.sleep(min(_LONGEST_LOOK_S, self._after_s / 4))
                continue
            coin = min(coins, key=lambda name: self._last_turn.get(name, 0))
            self._turn += 1
            self._last_turn[coin] = self._turn
            pause_s = 60.0 * BOOK_WEIGHT * len(down) / (WEIGHT_PER_MINUTE * self._share)
            for line in down:
                await self._poll(coin, line, pause_s * len(coins))
            await asyncio.sleep(pause_s)

    async def _poll(self, coin: str, line: Line, round_s: float) -> None:
        """Ask for one book at one resolution."""
        wait_s = self._api.book_wait_s(self._share)
        if wait_s > 0.0:
            await asyncio.sleep(min(wait_s, _LONGEST_LOOK_S))
            return
        path = protocol.book_path(coin, line.word)
        try:
            raw = await self._api.book(path)
        except UnknownSymbolError as error:
            self._owner.on_unknown(coin, str(error))
            return
        except RestError:
            return  # counted and shown by the REST shell
        if line.watch.down_since_ns is None:
            return  # the stream came back meanwhile: this answer is of no use to it
        self._owner.on_polled(path, raw)
        line.watch.cover(f"{line.watch.since()}; each book is read over REST every {max(1.0, round_s):.0f} s")
