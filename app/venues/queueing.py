"""From "this book needs a snapshot" to whose turn it is, for the venues whose snapshots come over REST.

Each symbol waits at most once, with its most urgent reason. Requests that repeat for one symbol wait longer each time.
What a request costs, how it is made, and which books need none is the venue's own.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.domain.units import NS_PER_S
from app.venues.feed import Urgency
from app.venues.rest import HostStoppedError, RestError

_IDLE_S: Final = 5.0
_OPTIONAL: Final = frozenset({Urgency.FIRST, Urgency.DEEPEN, Urgency.REFRESH})
Start = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a request beside the queue."""


class QueueOptions(Protocol):
    """What a queue needs of its venue's options; pauses in seconds between requests for one symbol."""

    @property
    def in_flight(self) -> int:
        """How many requests may be on their way."""
        ...

    @property
    def repeat_pause_s(self) -> float:
        """The first pause; it doubles."""
        ...

    @property
    def repeat_cap_s(self) -> float:
        """The longest one."""
        ...

    @property
    def forget_repeats_s(self) -> float:
        """After how long without a request pauses begin anew."""
        ...


class AnswerTaker(Protocol):
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


@dataclass(slots=True)
class Entry:
    """What a queue knows of one symbol. Times are monotonic ns."""

    rank: int
    waiting: Urgency | None = None
    in_flight: Urgency | None = None
    held: bool = True
    life: int = 0
    primed: bool = False
    """Whether a snapshot came since the streams of this symbol began."""
    repeats: int = 0
    not_before_ns: int = 0


class WaitingList(ABC):
    """Who waits for a snapshot in one market. Symbols are held until `release`: their streams have to run first."""

    def __init__(
        self, symbols: Sequence[str], answers: AnswerTaker, health: FeedHealth, clock: Clock, options: QueueOptions
    ) -> None:
        self._answers = answers
        self._health = health
        self._clock = clock
        self._pauses = options
        self._entries = {symbol: Entry(rank) for rank, symbol in enumerate(symbols)}
        self._wake = asyncio.Event()
        self._in_flight = 0
        health.priming_paused = health.priming_cancelled = False
        self._count()

    # -- the venue's own -----------------------------------------------------------------------------------------

    @abstractmethod
    def _takes(self, symbol: str, entry: Entry, urgency: Urgency) -> bool:
        """Tell whether a request for that reason is of any use now."""

    @abstractmethod
    def _by_rest(self, symbol: str) -> bool:
        """Tell whether the symbol's book needs a snapshot to begin."""

    @abstractmethod
    def _begin(self, symbol: str, entry: Entry, urgency: Urgency, start: Start) -> float:
        """Begin what a symbol waits for and return 0, else return seconds until the venue allows it."""

    @abstractmethod
    def _gives_up(self, symbol: str, path: str, error: RestError) -> bool:
        """Tell whether asking again is useless, after whatever follows from that."""

    # -- requests ------------------------------------------------------------------------------------------------

    def request(self, symbol: str, urgency: Urgency) -> None:
        """Queue a symbol, or make it more urgent; ignored for one that is held or unknown."""
        entry = self._entries.get(symbol)
        if entry is None or entry.held:
            return
        if self._health.priming_cancelled and urgency in _OPTIONAL:
            return
        if self._takes(symbol, entry, urgency) and (entry.waiting is None or urgency < entry.waiting):
            entry.waiting = urgency
            self._count()
            self._wake.set()

    def release(self, symbols: Collection[str]) -> None:
        """Let symbols be asked for: their streams run. Each one that needs a snapshot is queued for it."""
        for symbol in symbols:
            entry = self._entries.get(symbol)
            if entry is not None:
                was_primed, entry.held, entry.primed = entry.primed, False, False
                entry.life += 1
                entry.repeats = 0
                if self._by_rest(symbol):
                    # after the user cancelled priming, books that had a snapshot get the one that reconnecting needs
                    again = self._health.priming_cancelled and was_primed
                    self.request(symbol, Urgency.RESYNC if again else Urgency.FIRST)

    def hold(self, symbols: Collection[str]) -> None:
        """Forget what is queued for symbols whose streams are lost; answers on their way are not handed over."""
        for symbol in symbols:
            entry = self._entries.get(symbol)
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
            for symbol, entry in self._entries.items():
                if not entry.primed and self._by_rest(symbol):
                    self.request(symbol, Urgency.FIRST)
        self._wake.set()

    def cancel(self) -> None:
        """Drop the queue; only books that break or come on screen are asked for until `resume`."""
        self._health.priming_cancelled = True
        for entry in self._entries.values():
            if entry.waiting in _OPTIONAL:
                entry.waiting = None
        self._count()

    # -- work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                pause_s = self._start_one(group.create_task)
                if pause_s == 0.0:
                    await asyncio.sleep(0)  # the request just started counts itself now
                    continue
                try:
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _start_one(self, start: Start) -> float:
        """Start the first that may start now and return 0, else return seconds until it is worth looking again."""
        if self._health.priming_paused or self._in_flight >= self._pauses.in_flight:
            return _IDLE_S
        now_ns = self._clock.monotonic_ns()
        pause_s = _IDLE_S
        waiting = [
            (entry.waiting, entry.rank, symbol)
            for symbol, entry in self._entries.items()
            if entry.waiting is not None and entry.in_flight is None and not entry.held
        ]
        for urgency, _rank, symbol in sorted(waiting):
            entry = self._entries[symbol]
            if entry.not_before_ns > now_ns:
                pause_s = min(pause_s, (entry.not_before_ns - now_ns) / NS_PER_S)
                continue
            return min(pause_s, self._begin(symbol, entry, urgency, start))
        return pause_s

    def _leave(self, entry: Entry) -> None:
        """Note that the request of a symbol is made now; `_return` has to follow."""
        entry.waiting, entry.in_flight = None, entry.waiting
        self._in_flight += 1

    def _return(self, entry: Entry) -> None:
        """Note that a request has ended, however it did."""
        entry.in_flight = None
        self._in_flight -= 1
        self._count()
        self._wake.set()

    async def _answer(
        self, symbol: str, entry: Entry, path: str, life: int, asking: Awaitable[bytes], again: Urgency
    ) -> bytes | None:
        """Return the answer, None when none came that can be used; then it is asked for again where that helps."""
        try:
            raw = await asking
        except RestError as error:
            if self._gives_up(symbol, path, error):
                return None
            self._answers.on_failed(path, str(error))
            if entry.life == life:
                if not isinstance(error, HostStoppedError):
                    self._delay_next(entry)
                self.request(symbol, again)
            return None
        except asyncio.CancelledError:
            self._answers.on_failed(path, "the feed was stopped")
            raise
        if entry.life != life:
            self._answers.on_failed(path, "the streams were lost before the snapshot came")
            return None
        return raw

    def _delay_next(self, entry: Entry) -> None:
        """Let the next request for this symbol wait, longer when requests keep repeating."""
        pauses = self._pauses
        now_ns = self._clock.monotonic_ns()
        since_s = (now_ns - entry.not_before_ns) / NS_PER_S
        entry.repeats = 0 if since_s > pauses.forget_repeats_s else entry.repeats + 1
        pause_s = min(pauses.repeat_cap_s, pauses.repeat_pause_s * 2.0 ** min(entry.repeats, 16))
        entry.not_before_ns = now_ns + int(pause_s * NS_PER_S)

    def _count(self) -> None:
        entries = self._entries.values()
        self._health.snapshots_queued = sum(e.waiting is not None or e.in_flight is not None for e in entries)
