"""Asks TWS for its time now and then: whether it still answers, how long that takes, how far the clocks are apart.

TWS says whole seconds. A reading `s` means that its clock stood between s and s + 1; each one narrows the offset down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.units import NS_PER_MS
from app.venues.broker import BrokerError
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.readonly import ReadOnlyTws

_READINGS: Final = 24


class ClockEstimate:
    """The offset of a clock of whole seconds against ours, from its last readings."""

    def __init__(self) -> None:
        self._bounds: deque[tuple[float, float]] = deque(maxlen=_READINGS)

    def read(self, second: int, asked_ms: float, answered_ms: float) -> float:
        """Take a reading between two of our times (UTC ms); return theirs minus ours in ms."""
        low, high = second * 1000.0 - answered_ms, second * 1000.0 + 1000.0 - asked_ms
        if self._bounds and (low > min(b for _, b in self._bounds) or high < max(a for a, _ in self._bounds)):
            self._bounds.clear()  # one of the clocks was set
        self._bounds.append((low, high))
        return (max(a for a, _ in self._bounds) + min(b for _, b in self._bounds)) / 2


class Watch:
    """Drops a connection that does not answer any more."""

    def __init__(self, options: TwsOptions, health: BrokerHealth, clock: Clock) -> None:
        self._options = options
        self._health = health
        self._clock = clock
        self._due = asyncio.Event()

    def hurry(self) -> None:
        """Ask at once: the computer may have slept."""
        self._due.set()

    async def run(self, tws: ReadOnlyTws) -> None:
        """Watch until the connection is dropped, or cancelled with it."""
        estimate = ClockEstimate()
        while True:
            heard = tws.received
            asked_ns, began_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
            try:
                moment = await tws.current_time(self._options.timeout_s)
            except BrokerError as error:
                if tws.received == heard:  # not even quotes: a connection that is open on our side only
                    tws.drop(str(error))
                    return
            else:
                took_ns = self._clock.monotonic_ns() - began_ns
                self._health.latency_ms = took_ns / NS_PER_MS
                self._health.clock_offset_ms = estimate.read(
                    int(moment.timestamp()), asked_ns / NS_PER_MS, (asked_ns + took_ns) / NS_PER_MS
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.clock_every_s):
                    await self._due.wait()
            self._due.clear()
