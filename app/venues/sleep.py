"""From clock readings to "the computer slept": connections that look open are dead and data in between is missing.

While a laptop sleeps the monotonic clock stands still on Linux and runs on elsewhere; so both signs are watched: wall
time that moved against monotonic time, and a loop that did not run for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.units import NS_PER_S


class SleepSensor:
    """Compares readings of the system's wall clock with the monotonic clock. `look` has to be called often."""

    __slots__ = ("_last_monotonic_ns", "_offset_ns", "_tolerance_ns", "_wall_ns")

    def __init__(self, monotonic_ns: int, tolerance_s: float = 5.0, wall_ns: Callable[[], int] | None = None) -> None:
        self._wall_ns = wall_ns or (lambda: time.time_ns())
        self._tolerance_ns = int(tolerance_s * NS_PER_S)
        self._last_monotonic_ns = monotonic_ns
        self._offset_ns = self._wall_ns() - monotonic_ns

    def look(self, monotonic_ns: int) -> str | None:
        """Return what happened since the last look when it was sleep, a stopped process or a set clock."""
        gap_ns = monotonic_ns - self._last_monotonic_ns
        offset_ns = self._wall_ns() - monotonic_ns
        drift_ns = offset_ns - self._offset_ns
        self._last_monotonic_ns = monotonic_ns
        if abs(drift_ns) > self._tolerance_ns:
            self._offset_ns = offset_ns
            direction = "forward" if drift_ns > 0 else "back"
            return f"the computer slept or its clock was set: it jumped {direction} by {abs(drift_ns) / NS_PER_S:.0f} s"
        if gap_ns > self._tolerance_ns:
            return f"the program stood still for {gap_ns / NS_PER_S:.0f} s"
        return None
