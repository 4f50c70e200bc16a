"""From "this book needs a snapshot" to requests at the venue's pace: by REST for full books, by subscribing anew else.

Each symbol waits at most once, with its most urgent reason; requests that repeat for one symbol wait longer each time.
A window's first snapshot comes with its subscription, and asking again brings no deeper one, so only broken windows are
renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.domain.units import NS_PER_S
from app.venues.bybit.api import BybitApi
from app.venues.bybit.urls import full_book_path
from app.venues.feed import Urgency
from app.venues.rest import HostStoppedError, RequestRefusedError, RestError

_IDLE_S: Final = 5.0
_OPTIONAL: Final = frozenset({Urgency.FIRST, Urgency.DEEPEN, Urgency.REFRESH})


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotOptions:
    """Pauses in seconds between requests for one symbol."""

    in_flight: int = 3
    repeat_pause_s: float = 1.0
    repeat_cap_s: float = 30.0
    forget_repeats_s: float = 60.0
    settle_s: float = 5.0
    """A window that has just been subscribed is not renewed because someone looks at it."""


class SnapshotTaker(Protocol):
    """Where answers go, and who renews topics; all calls are synchronous."""

    def is_full(self, symbol: str) -> bool:
        """Tell whether the symbol's book is the full one."""
        ...

    def renew(self, symbol: str) -> None:
        """Subscribe the symbol's window anew."""
        ...

    def on_asked(self, path: str) -> None:
        """Note that a request leaves now."""
        ...

    def on_answer(self, path: str, raw: bytes) -> None:
        """Take the body of an answer."""
        ...

    def on_failed(self, path: str, reason: str) -> None:
        """Note that no usable answer came."""
        ...

    def on_not_offered(self, symbol: str, reason: str) -> None:
        """Note that the venue has no full book of this symbol."""
        ...


@dataclass(slots=True)
class _Symbol:
    """What the queue knows of one symbol. Times are monotonic ns."""

    rank: int
    waiting: Urgency | None = None
    in_flight: bool = False
    held: bool = True
    life: int = 0
    primed: bool = False
    repeats: int = 0
    not_before_ns: int = 0
    settled_ns: int = 0


class SnapshotQueue:
    """Snapshots of one market. Symbols are held until `release`: their streams have to run first."""

    def __init__(
        self,
        api: BybitApi,
        symbols: Sequence[str],
        taker: SnapshotTaker,
        health: FeedHealth,
        clock: Clock,
        options: SnapshotOptions,
    ) -> None:
        self._api = api
        self._taker = taker
        self._health = health
        self._clock = clock
        self._options = options
        self._symbols = {symbol: _Symbol(rank) for rank, symbol in enumerate(symbols)}
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._turn_ns = 0
        health.priming_paused = health.priming_cancelled = False
        self._count()

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, symbol: str, urgency: Urgency) -> None:
        """Queue a symbol, or make it more urgent; ignored for one that is held or unknown."""
        entry = self._symbols.get(symbol)
        if entry is None or entry.held:
            return
        if self._health.priming_cancelled and urgency in _OPTIONAL:
            return
        if urgency is Urgency.VISIBLE and entry.in_flight:
            return
        if not self._taker.is_full(symbol) and not self._is_for_window(entry, urgency):
            return
        if entry.waiting is None or urgency < entry.waiting:
            entry.waiting = urgency
            self._count()
            self._wake.set()

    def _is_for_window(self, entry: _Symbol, urgency: Urgency) -> bool:
        if urgency is Urgency.VISIBLE:
            return entry.waiting is None and self._clock.monotonic_ns() >= entry.settled_ns
        return urgency is Urgency.RESYNC

    def release(self, symbols: Iterable[str]) -> None:
        """Let symbols be asked for: their streams run. Each full book is queued for a snapshot."""
        settled_ns = self._clock.monotonic_ns() + int(self._options.settle_s * NS_PER_S)
        for symbol in symbols:
            entry = self._symbols.get(symbol)
            if entry is not None:
                was_primed, entry.held, entry.primed = entry.primed, False, False
                entry.life += 1
                entry.repeats = 0
                entry.settled_ns = settled_ns
                if self._taker.is_full(symbol):
                    # after the user cancelled priming, books that had a snapshot get the one that reconnecting needs
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
        """Go on, also after `cancel`: full books without a snapshot are queued again."""
        self._health.priming_paused = False
        if self._health.priming_cancelled:
            self._health.priming_cancelled = False
            for symbol, entry in self._symbols.items():
                if not entry.primed and self._taker.is_full(symbol):
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
                    await asyncio.sleep(0)  # the request just started counts itself now
                    continue
                try:
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _start_one(self, start: Callable[[str, _Symbol], object]) -> float:
        """Start the first that may start now and return 0, else return seconds until it is worth looking again."""
        if self._health.priming_paused or self._in_flight >= self._options.in_flight:
            return _IDLE_S
        now_ns = self._clock.monotonic_ns()
        pause_s = _IDLE_S
        waiting = [
            (entry.waiting, entry.rank, symbol)
            for symbol, entry in self._symbols.items()
            if entry.waiting is not None and not entry.in_flight and not entry.held
        ]
        for urgency, _rank, symbol in sorted(waiting):
            entry = self._symbols[symbol]
            if entry.not_before_ns > now_ns:
                pause_s = min(pause_s, (entry.not_before_ns - now_ns) / NS_PER_S)
                continue
            if not self._taker.is_full(symbol):
                entry.waiting = None
                if urgency in (Urgency.VISIBLE, Urgency.RESYNC):
                    self._delay_next(entry)
                    entry.settled_ns = now_ns + int(self._options.settle_s * NS_PER_S)
                    self._taker.renew(symbol)
                self._count()
                return 0.0
            if self._turn_ns > now_ns:
                return min(pause_s, (self._turn_ns - now_ns) / NS_PER_S)
            wait_s = self._api.full_book_wait_s()
            if wait_s > 0.0:
                return min(pause_s, wait_s)
            turn_s = self._api.book_turn_s(now_ns / NS_PER_S)
            self._turn_ns = now_ns + int(turn_s * NS_PER_S)
            entry.waiting, entry.in_flight = None, True
            self._in_flight += 1
            start(symbol, entry)
            return 0.0
        return pause_s

    async def _fetch(self, symbol: str, entry: _Symbol) -> None:
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
            await self._ask(symbol, entry, path, life)
        finally:
            entry.in_flight = False
            self._in_flight -= 1
            self._count()
            self._wake.set()

    async def _ask(self, symbol: str, entry: _Symbol, path: str, life: int) -> None:
        try:
            raw = await self._api.full_book(symbol)
        except RequestRefusedError as error:
            self._taker.on_failed(path, str(error))
            self._taker.on_not_offered(symbol, str(error))
            return
        except RestError as error:
            self._taker.on_failed(path, str(error))
            if entry.life == life:
                if not isinstance(error, HostStoppedError):
                    self._delay_next(entry)
                self.request(symbol, Urgency.RESYNC if entry.primed else Urgency.FIRST)
            return
        except asyncio.CancelledError:
            self._taker.on_failed(path, "the feed was stopped")
            raise
        if entry.life != life:
            self._taker.on_failed(path, "the streams were lost before the snapshot came")
            return
        self._delay_next(entry)
        entry.primed = True
        self._taker.on_answer(path, raw)

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
        self._health.snapshots_queued = sum(entry.waiting is not None or entry.in_flight for entry in entries)
