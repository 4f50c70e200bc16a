"""From what was already sent to how long the next message has to wait. Pure: the time is an argument.

`RateLimit` holds control frames and connection attempts under "at most so many in any such time"; a token bucket that
starts full would allow twice that in one window, which the venue answers with close code 1008. `WeightBudget` holds
REST requests under the venue's weight per minute: the venue counts in fixed minutes of its own clock and names its
count in a header of each answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_WINDOW_MS: Final = 60_000
_EDGE_MS: Final = 250
"""Wait this long into a new minute: our idea of the venue's clock is not exact."""


class RateLimit:
    """At most `count` events in any `window_s` seconds."""

    __slots__ = ("_count", "_times", "_window_s")

    def __init__(self, count: int, window_s: float) -> None:
        self._count = count
        self._window_s = window_s
        self._times: deque[float] = deque()

    def reserve(self, now_s: float) -> float:
        """Book the next event; return how many seconds from `now_s` it has to wait."""
        times = self._times
        at = now_s
        if len(times) >= self._count:
            at = max(now_s, times.popleft() + self._window_s)
        times.append(max(at, times[-1]) if times else at)
        return times[-1] - now_s


class WeightBudget:
    """REST weight of one host per fixed minute. `now_ms` is always the venue's time in ms since 1970."""

    __slots__ = ("_minute", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._minute = -1

    def minute_of(self, now_ms: float) -> int:
        """Return the number of the venue's minute; the count starts anew with each."""
        minute = int(now_ms // _WINDOW_MS)
        if minute > self._minute:
            self._minute, self.used = minute, 0
        return minute

    def wait_s(self, weight: int, share: float, now_ms: float) -> float:
        """Return 0 when a request of that weight fits into the share of this minute, else the time to the next."""
        self.minute_of(now_ms)
        if self.used == 0 or self.used + weight <= self.limit * share:
            return 0.0
        return (_WINDOW_MS - now_ms % _WINDOW_MS + _EDGE_MS) / 1000.0

    def spend(self, weight: int, now_ms: float) -> int:
        """Count a request that leaves now; return its minute for `settle`."""
        minute = self.minute_of(now_ms)
        self.used += weight
        return minute

    def settle(self, weight: int, sent_minute: int, header_used: int | None, now_ms: float) -> None:
        """Correct the count by the venue's own once an answer is here.

        A request that was sent in an earlier minute may have been counted in this one, and the count it brings
        may be that of either: it is counted again and its header is not trusted.
        """
        if self.minute_of(now_ms) != sent_minute:
            self.used += weight
        elif header_used is not None:
            self.used = max(self.used, header_used)


async def wait_turn(limit: RateLimit, now_s: Callable[[], float]) -> None:
    """Return when the next event of `limit` may happen."""
    pause = limit.reserve(now_s())
    if pause > 0.0:
        await asyncio.sleep(pause)
