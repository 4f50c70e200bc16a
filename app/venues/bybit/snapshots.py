"""From "this book needs a snapshot" to requests at the venue's pace: by REST for full books, by subscribing anew else.

A window's first snapshot comes with its subscription, and asking again brings no deeper one, so only broken windows are
renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.domain.units import NS_PER_S
from app.venues.bybit.api import BybitApi
from app.venues.bybit.urls import full_book_path
from app.venues.feed import Urgency
from app.venues.queueing import AnswerTaker, Entry, Start, WaitingList
from app.venues.rest import RequestRefusedError, RestError


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """Pauses in seconds between requests for one symbol."""

    in_flight: int = 3
    repeat_pause_s: float = 1.0
    repeat_cap_s: float = 30.0
    forget_repeats_s: float = 60.0
    settle_s: float = 5.0
    """A window that has just been subscribed is not renewed because someone looks at it."""


class SnapshotTaker(AnswerTaker, Protocol):
    """Where answers go, and who renews topics; all calls are synchronous."""

    def is_full(self, symbol: str) -> bool:
        """Tell whether the symbol's book is the full one."""
        ...

    def renew(self, symbol: str) -> None:
        """Subscribe the symbol's window anew."""
        ...

    def on_not_offered(self, symbol: str, reason: str) -> None:
        """Note that the venue has no full book of this symbol."""
        ...


class SnapshotQueue(WaitingList):
    """Snapshots of full books, a few a second; windows are renewed in their turn."""

    def __init__(
        self,
        api: BybitApi,
        symbols: Sequence[str],
        taker: SnapshotTaker,
        health: FeedHealth,
        clock: Clock,
        options: SnapshotOptions,
    ) -> None:
        super().__init__(symbols, taker, health, clock, options)
        self._api = api
        self._taker = taker
        self._options = options
        self._turn_ns = 0
        self._settled_ns = dict.fromkeys(self._entries, 0)
        """From when on (monotonic) a window is renewed because someone looks at it."""

    def release(self, symbols: Collection[str]) -> None:
        """Let symbols be asked for: their streams run. Each full book is queued for a snapshot."""
        for symbol in symbols:
            self._settle(symbol)
        super().release(symbols)

    def _settle(self, symbol: str) -> None:
        self._settled_ns[symbol] = self._clock.monotonic_ns() + int(self._options.settle_s * NS_PER_S)

    def _takes(self, symbol: str, entry: Entry, urgency: Urgency) -> bool:
        if urgency is Urgency.VISIBLE and entry.in_flight is not None:
            return False
        if self._taker.is_full(symbol):
            return True
        if urgency is Urgency.VISIBLE:
            return entry.waiting is None and self._clock.monotonic_ns() >= self._settled_ns[symbol]
        return urgency is Urgency.RESYNC

    def _by_rest(self, symbol: str) -> bool:
        return self._taker.is_full(symbol)

    def _begin(self, symbol: str, entry: Entry, urgency: Urgency, start: Start) -> float:
        if not self._taker.is_full(symbol):
            entry.waiting = None
            if urgency in (Urgency.VISIBLE, Urgency.RESYNC):
                self._delay_next(entry)
                self._settle(symbol)
                self._taker.renew(symbol)
            self._count()
            return 0.0
        now_ns = self._clock.monotonic_ns()
        if self._turn_ns > now_ns:
            return (self._turn_ns - now_ns) / NS_PER_S
        wait_s = self._api.full_book_wait_s()
        if wait_s == 0.0:
            turn_s = self._api.book_turn_s(now_ns / NS_PER_S)
            self._turn_ns = now_ns + int(turn_s * NS_PER_S)
            self._leave(entry)
            start(self._fetch(symbol, entry))
        return wait_s

    async def _fetch(self, symbol: str, entry: Entry) -> None:
        life = entry.life
        path = full_book_path(symbol)
        try:
            turn_s = (self._turn_ns - self._clock.monotonic_ns()) / NS_PER_S
            if turn_s > 0.0:
                await asyncio.sleep(turn_s)
            if self._api.rest.stopped_s() > 0.0 or entry.life != life:  # stopped or lost since it was started
                self.request(symbol, Urgency.FIRST)
                return
            self._taker.on_asked(path)
            again = Urgency.RESYNC if entry.primed else Urgency.FIRST
            raw = await self._answer(symbol, entry, path, life, self._api.full_book(symbol), again)
            if raw is not None:
                self._delay_next(entry)
                entry.primed = True
                self._taker.on_answer(path, raw)
        finally:
            self._return(entry)

    def _gives_up(self, symbol: str, path: str, error: RestError) -> bool:
        if not isinstance(error, RequestRefusedError):
            return False
        self._taker.on_failed(path, str(error))
        self._taker.on_not_offered(symbol, str(error))
        return True
