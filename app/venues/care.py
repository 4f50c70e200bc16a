"""What every session does beside its streams: stamps, notices, the clocks, and leaving out what does not trade."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from app.domain.clock import Clock, SystemClock
from app.domain.errors import FatalFeedError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import FeedId
from app.domain.units import NS_PER_S
from app.venues.feed import FeedSink
from app.venues.rest import RestClient, RestError
from app.venues.sleep import SleepSensor

_SKEW_MS: Final = 1000.0
_RETRY_S: Final = 30.0


class Diary:
    """The stamps of one feed, and its notices in the event log."""

    def __init__(self, feed: FeedId, sink: FeedSink, clock: Clock) -> None:
        self._feed = feed
        self._sink = sink
        self._clock = clock
        self._last_ns = 0

    def stamp(self) -> int:
        """Return UTC ns, never less than before."""
        self._last_ns = max(self._last_ns, self._clock.wall_ns())
        return self._last_ns

    def note(self, symbol: str | None, text: str) -> None:
        """Write a notice about a symbol, or about the feed."""
        source, kind = str(self._feed), FeedEventKind.NOTICE
        self._sink.on_event(FeedEvent(ts_ns=self.stamp(), source=source, kind=kind, symbol=symbol, text=text))


async def keep_counters(
    rest: RestClient, clock: Clock, diary: Diary, sleep_gap_s: float, on_slept: Callable[[], None]
) -> None:
    """Each second: show the present state of REST, and notice when the computer slept or its clock was set.

    The system's clock is followed forwards; backwards it is not, because stamps may never decrease.
    """
    sensor = SleepSensor(clock.monotonic_ns(), sleep_gap_s)
    while True:
        rest.refresh()
        slept = sensor.look(clock.monotonic_ns())
        if slept is not None:
            if isinstance(clock, SystemClock):
                drift_ns = clock.drift_ns()
                if drift_ns > 0:
                    clock.resync()
                elif drift_ns < -NS_PER_S:
                    slept += "; the times shown go on as before until the program is started again"
            diary.note(None, slept)
            on_slept()
        await asyncio.sleep(1.0)


class ClockMeter:
    """Measures the venue's clock now and then; it only labels times and latency, and aligns the weight minute.

    measure: returns the venue's time minus ours in ms, or raises RestError.
    """

    def __init__(self, measure: Callable[[], Awaitable[float]], diary: Diary, every_s: float) -> None:
        self._measure = measure
        self._diary = diary
        self._every_s = every_s
        self._due = asyncio.Event()
        self._skewed = False

    def hurry(self) -> None:
        """Measure at once: the computer has slept."""
        self._due.set()

    async def run(self) -> None:
        """Measure until cancelled; say so when this computer's clock begins to be wrong."""
        while True:
            try:
                offset_ms = await self._measure()
            except RestError:
                await self._wait(_RETRY_S)
                continue
            skewed = abs(offset_ms) > _SKEW_MS
            if skewed and not self._skewed:
                word = "behind" if offset_ms > 0 else "ahead of"
                text = f"this computer's clock is {abs(offset_ms) / 1000:.1f} s {word} the venue's"
                self._diary.note(None, text)
            self._skewed = skewed
            await self._wait(self._every_s)

    async def _wait(self, after_s: float) -> None:
        self._due.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await self._due.wait()


class Suspensions:
    """Which symbols are left out for now: the venue does not trade them, or refuses their streams.

    trading: the venue's word for a symbol that trades. on_out, on_back: end and begin its streams and snapshots.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        trading: str,
        health: FeedHealth,
        diary: Diary,
        on_out: Callable[[str], None],
        on_back: Callable[[str], None],
    ) -> None:
        self.out: set[str] = set()
        self._symbols = symbols
        self._trading = trading
        self._health = health
        self._diary = diary
        self._on_out = on_out
        self._on_back = on_back
        self._refused: set[str] = set()

    def judge(self, status: Mapping[str, str]) -> None:
        """Follow the venue's list, from symbols to the venue's word; refused ones stay out."""
        for symbol in self._symbols:
            word = status.get(symbol)
            if symbol in self._refused:
                continue
            if word == self._trading:
                self._take_back(symbol)
            elif word is None:
                self.suspend(symbol, "the venue does not list it any more (delisted)")
            else:
                self.suspend(symbol, f"the venue does not trade it now (status {word})")

    def suspend(self, symbol: str, reason: str) -> None:
        """Leave a symbol out until the venue's list says that it trades."""
        if symbol not in self.out:
            self.out.add(symbol)
            self._health.books_total -= 1
            self._on_out(symbol)
            self._diary.note(symbol, f"{symbol}: {reason}; it is left out until it trades again")

    def refuse(self, symbol: str, reason: str) -> None:
        """Leave a symbol out, whatever the list says, until `forgive`."""
        self._refused.add(symbol)
        self.suspend(symbol, reason)

    def forgive(self, symbol: str) -> None:
        """Take a refused symbol back."""
        if symbol in self._refused:
            self._refused.discard(symbol)
            self._take_back(symbol)

    def _take_back(self, symbol: str) -> None:
        if symbol in self.out:
            self.out.discard(symbol)
            self._health.books_total += 1
            self._on_back(symbol)
            self._diary.note(symbol, f"{symbol}: it trades again")


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure that decides out of a group: a bug before an error that was foreseen."""
    flat = [first_of(error) if isinstance(error, BaseExceptionGroup) else error for error in failures.exceptions]
    return min(flat, key=lambda error: isinstance(error, FatalFeedError))
