"""Clocks are passed in, so that tests and replays own the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of wall time for labels and of monotonic time for intervals, both in integer nanoseconds."""

    def wall_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never step; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks.

    Wall time is anchored once to the monotonic clock, so that stamps of one session never run backwards; `resync`
    takes a new anchor (after sleep, or when the system clock was set).
    """

    __slots__ = ("_offset_ns",)

    def __init__(self) -> None:
        self._offset_ns = 0
        self.resync()

    def resync(self) -> None:
        """Anchor wall time anew to the system clock."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return UTC nanoseconds since 1970."""
        return time.monotonic_ns() + self._offset_ns

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never step."""
        return time.monotonic_ns()

    def drift_ns(self) -> int:
        """Return how far the system's wall clock has moved against ours since the last anchor."""
        return time.time_ns() - self.wall_ns()
