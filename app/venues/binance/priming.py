"""From "this book needs a snapshot" to requests in the right order, inside the venue's allowance.

Each symbol waits at most once, with its most urgent reason. A first pass brings every book a snapshot of 500 levels
(the first ones of the universe the deepest the venue gives); then those that were cut off are asked for again at full
depth as the allowance permits. An answer with fewer levels than asked for on both sides is the whole book and is not
asked for again. Requests that repeat for one symbol wait longer each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.domain.units import NS_PER_S
from app.venues.binance.api import MarketApi
from app.venues.binance.protocol import MAX_LIMIT
from app.venues.feed import Urgency
from app.venues.rest import HostStoppedError, RestError, UnknownSymbolError

_IDLE_S: Final = 5.0
_URGENT: Final = frozenset({Urgency.VISIBLE, Urgency.RESYNC})
_OPTIONAL: Final = frozenset({Urgency.FIRST, Urgency.DEEPEN, Urgency.REFRESH})


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


class SnapshotTaker(Protocol):
    """Where answers go; all calls are synchronous."""

    def on_asked(self, path: str) -> None:
        """Note that a request leaves now."""
        ...

    def on_answer(self, path: str, raw: bytes) -> None:
        """Take the body of an answer."""
        ...

    def on_failed(self, path: str, reason: str) -> None:
        """Note that no usable answer came."""
        ...

    def on_unknown(self, symbol: str, reason: str) -> None:
        """Note that the venue does not know the symbol any more; the queue holds it until its next `release`."""
        ...


@dataclass(slots=True)
class _Symbol:
    """What the queue knows of one symbol. Times are monotonic ns."""

    rank: int
    waiting: Urgency | None = None
    in_flight: Urgency | None = None
    held: bool = True
    life: int = 0
    primed: bool = False
    """Whether a snapshot came since the streams of this symbol began."""
    repeats: int = 0
    not_before_ns: int = 0


class SnapshotQueue:
    """Snapshots of one market. Symbols are held until `release`: their streams have to run first."""

    def __init__(
        self,
        api: MarketApi,
        symbols: Sequence[str],
        taker: SnapshotTaker,
        health: FeedHealth,
        clock: Clock,
        options: PrimingOptions,
    ) -> None:
        self._api = api
        self._taker = taker
        self._health = health
        self._clock = clock
        self._options = options
        self._full = MAX_LIMIT[api.market]
        self._symbols = {symbol: _Symbol(rank) for rank, symbol in enumerate(symbols)}
        self._wake = asyncio.Event()
        self._in_flight = 0
        health.priming_paused = health.priming_cancelled = False
        self._count()

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, symbol: str, urgency: Urgency) -> None:
        """Queue a symbol, or make it more urgent; ignored for a symbol that is held or unknown."""
        entry = self._symbols.get(symbol)
        if entry is None or entry.held:
            return
        if self._health.priming_cancelled and urgency in _OPTIONAL:
            return
        if urgency is Urgency.VISIBLE and entry.in_flight is not None and entry.in_flight is not Urgency.REFRESH:
            return  # the answer is on its way
        if entry.waiting is None or urgency < entry.waiting:
            entry.waiting = urgency
            self._count()
            self._wake.set()

    def release(self, symbols: Iterable[str]) -> None:
        """Let symbols be asked for: their streams run. Each one is queued for a snapshot."""
        for symbol in symbols:
            entry = self._symbols.get(symbol)
            if entry is not None:
                was_primed, entry.held, entry.primed = entry.primed, False, False
                entry.life += 1
                entry.repeats = 0
                # After the user cancelled priming, books that had a snapshot still get the one that reconnecting needs.
                again = self._health.priming_cancelled and was_primed
                self.request(symbol, Urgency.RESYNC if again else Urgency.FIRST)

    def hold(self, symbols: Iterable[str]) -> None:
        """Forget what is queued for symbols whose streams are lost; answers on their way are not handed over."""
        for symbol in symbols:
            entry = self._symbols.get(symbol)
            if entry is not None:
                entry.held, entry.waiting = True, None
                entry.life += 1
        self._count()

    def pause(self) -> None:
        """Start no request until `resume`."""
        self._health.priming_paused = True

    def resume(self) -> None:
        """Go on, also after `cancel`: books without a snapshot are queued again."""
        self._health.priming_paused = False
        if self._health.priming_cancelled:
            self._health.priming_cancelled = False
            for symbol, entry in self._symbols.items():
                if not entry.primed:
                    self.request(symbol, Urgency.FIRST)
        self._wake.set()

    def cancel(self) -> None:
        """Drop the queue; only books that break or come on screen are asked for until `resume`."""
        self._health.priming_cancelled = True
        for entry in self._symbols.values():
            if entry.waiting in _OPTIONAL:
                entry.waiting = None
        self._count()

    # -- work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                pause_s = self._start_one(lambda *job: group.create_task(self._fetch(*job)))
                if pause_s == 0.0:
                    await asyncio.sleep(0)  # the request just started books its weight now
                    continue
                try:
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _start_one(self, start: Callable[[str, _Symbol, int], object]) -> float:
        """Start the first that may start now and return 0, else return seconds until it is worth looking again."""
        if self._health.priming_paused or self._in_flight >= self._options.in_flight:
            return _IDLE_S
        now_ns = self._clock.monotonic_ns()
        pause_s = _IDLE_S
        waiting = [
            (entry.waiting, entry.rank, symbol)
            for symbol, entry in self._symbols.items()
            if entry.waiting is not None and entry.in_flight is None and not entry.held
        ]
        for urgency, rank, symbol in sorted(waiting):
            entry = self._symbols[symbol]
            if entry.not_before_ns > now_ns:
                pause_s = min(pause_s, (entry.not_before_ns - now_ns) / NS_PER_S)
                continue
            limit = self._limit(urgency, rank)
            wait_s = self._api.depth_wait_s(limit, self._share(urgency))
            if wait_s > 0.0:
                return min(pause_s, wait_s)
            entry.waiting, entry.in_flight = None, urgency
            self._in_flight += 1
            start(symbol, entry, limit)
            return 0.0
        return pause_s

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

    async def _fetch(self, symbol: str, entry: _Symbol, limit: int) -> None:
        life, urgency = entry.life, entry.in_flight
        assert urgency is not None
        path = self._api.depth_path(symbol, limit)
        try:
            if self._api.rest.stopped_s() > 0.0 or entry.held:  # stopped since it was started
                self.request(symbol, urgency)
                return
            self._taker.on_asked(path)
            await self._ask(symbol, entry, path, limit, life, urgency)
        finally:
            entry.in_flight = None
            self._in_flight -= 1
            self._count()
            self._wake.set()

    async def _ask(self, symbol: str, entry: _Symbol, path: str, limit: int, life: int, urgency: Urgency) -> None:
        try:
            raw = await self._api.depth(path, limit)
        except UnknownSymbolError as error:
            self.hold((symbol,))
            self._taker.on_unknown(symbol, str(error))
            return
        except RestError as error:
            self._taker.on_failed(path, str(error))
            if entry.life == life:
                if not isinstance(error, HostStoppedError):
                    self._delay_next(entry)
                self.request(symbol, urgency)
            return
        except asyncio.CancelledError:
            self._taker.on_failed(path, "the feed was stopped")
            raise
        if entry.life != life:
            self._taker.on_failed(path, "the streams were lost before the snapshot came")
            return
        if urgency is not Urgency.DEEPEN:
            self._delay_next(entry)
        entry.primed = True
        self._taker.on_answer(path, raw)
        if limit < self._full and not covers_book(raw, limit):
            self.request(symbol, Urgency.DEEPEN)

    def _delay_next(self, entry: _Symbol) -> None:
        """Let the next request for this symbol wait, longer when requests keep repeating."""
        options = self._options
        now_ns = self._clock.monotonic_ns()
        since_s = (now_ns - entry.not_before_ns) / NS_PER_S
        entry.repeats = 0 if since_s > options.forget_repeats_s else entry.repeats + 1
        pause_s = min(options.repeat_cap_s, options.repeat_pause_s * 2.0 ** min(entry.repeats, 16))
        entry.not_before_ns = now_ns + int(pause_s * NS_PER_S)

    def _count(self) -> None:
        entries = self._symbols.values()
        self._health.snapshots_queued = sum(e.waiting is not None or e.in_flight is not None for e in entries)


def covers_book(raw: bytes, limit: int) -> bool:
    """Tell whether a depth body holds fewer levels than asked for on both sides, by counting brackets only."""
    bids_at, asks_at = raw.find(b'"bids"'), raw.find(b'"asks"')
    if bids_at < 0 or asks_at < 0:
        return False
    middle = max(bids_at, asks_at)
    # each level opens one bracket and each side one more
    sides = (raw.count(b"[", 0, middle) - 1, raw.count(b"[", middle) - 1)
    return max(sides) < limit
