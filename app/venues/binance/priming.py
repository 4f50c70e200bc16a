"""From "this book needs a snapshot" to requests in the right order, inside the venue's allowance.

A first pass brings every book a snapshot of 500 levels
(the first ones of the universe the deepest the venue gives); then those that were cut off are asked for again at full
depth as the allowance permits. An answer with fewer levels than asked for on both sides is the whole book and is not
asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.venues.binance.api import MarketApi
from app.venues.binance.protocol import MAX_LIMIT
from app.venues.feed import Urgency
from app.venues.queueing import AnswerTaker, Entry, Start, WaitingList
from app.venues.rest import RestError, UnknownSymbolError

_URGENT: Final = frozenset({Urgency.VISIBLE, Urgency.RESYNC})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimingOptions:
    """Shares are parts of the venue's weight per minute: `first_share` for the first snapshot of each book,
    `urgent_share` for books that broke or are on screen, `steady_share` for those that only get deeper. Pauses in
    seconds, between requests for one symbol."""

    in_flight: int = 4
    first_full: int = 10
    first_limit: int = 500
    resync_limit: int = 1000
    steady_share: float = 0.6
    first_share: float = 0.85
    urgent_share: float = 0.92
    repeat_pause_s: float = 1.0
    repeat_cap_s: float = 30.0
    forget_repeats_s: float = 60.0


class SnapshotTaker(AnswerTaker, Protocol):
    """Where answers go; all calls are synchronous."""

    def on_unknown(self, symbol: str, reason: str) -> None:
        """Note that the venue does not know the symbol any more; the queue holds it until its next `release`."""
        ...


class SnapshotQueue(WaitingList):
    """Snapshots of one market, inside the shares of its weight."""

    def __init__(
        self,
        api: MarketApi,
        symbols: Sequence[str],
        taker: SnapshotTaker,
        health: FeedHealth,
        clock: Clock,
        options: PrimingOptions,
    ) -> None:
        super().__init__(symbols, taker, health, clock, options)
        self._api = api
        self._taker = taker
        self._options = options
        self._full = MAX_LIMIT[api.market]

    def _takes(self, symbol: str, entry: Entry, urgency: Urgency) -> bool:
        on_its_way = entry.in_flight is not None and entry.in_flight is not Urgency.REFRESH
        return not (urgency is Urgency.VISIBLE and on_its_way)

    def _by_rest(self, symbol: str) -> bool:
        return True

    def _begin(self, symbol: str, entry: Entry, urgency: Urgency, start: Start) -> float:
        limit = self._limit(urgency, entry.rank)
        wait_s = self._api.depth_wait_s(limit, self._share(urgency))
        if wait_s == 0.0:
            self._leave(entry)
            start(self._fetch(symbol, entry, limit, urgency))
        return wait_s

    def _share(self, urgency: Urgency) -> float:
        options = self._options
        if urgency in _URGENT:
            return max(options.steady_share, options.urgent_share)
        return max(options.steady_share, options.first_share) if urgency is Urgency.FIRST else options.steady_share

    def _limit(self, urgency: Urgency, rank: int) -> int:
        options = self._options
        if urgency in (Urgency.DEEPEN, Urgency.REFRESH):
            return self._full
        if urgency is Urgency.FIRST:
            return self._full if rank < options.first_full else min(options.first_limit, self._full)
        return min(options.resync_limit, self._full)

    async def _fetch(self, symbol: str, entry: Entry, limit: int, urgency: Urgency) -> None:
        life = entry.life
        path = self._api.depth_path(symbol, limit)
        try:
            if self._api.rest.stopped_s() > 0.0 or entry.held:  # stopped since it was started
                self.request(symbol, urgency)
                return
            self._taker.on_asked(path)
            raw = await self._answer(symbol, entry, path, life, self._api.depth(path, limit), urgency)
            if raw is None:
                return
            if urgency is not Urgency.DEEPEN:
                self._delay_next(entry)
            entry.primed = True
            self._taker.on_answer(path, raw)
            if limit < self._full and not covers_book(raw, limit):
                self.request(symbol, Urgency.DEEPEN)
        finally:
            self._return(entry)

    def _gives_up(self, symbol: str, path: str, error: RestError) -> bool:
        if not isinstance(error, UnknownSymbolError):
            return False
        self.hold((symbol,))
        self._taker.on_unknown(symbol, str(error))
        return True


def covers_book(raw: bytes, limit: int) -> bool:
    """Tell whether a depth body holds fewer levels than asked for on both sides, by counting brackets only."""
    bids_at, asks_at = raw.find(b'"bids"'), raw.find(b'"asks"')
    if bids_at < 0 or asks_at < 0:
        return False
    middle = max(bids_at, asks_at)
    # each level opens one bracket and each side one more
    sides = (raw.count(b"[", 0, middle) - 1, raw.count(b"[", middle) - 1)
    return max(sides) < limit
