"""The venue's allowances: request weight per minute with 429 and 418, and counts of events in a sliding window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

WEIGHT_WINDOW_S = 60.0


class Verdict(Enum):
    """What a request meets."""

    ALLOWED = 200
    LIMITED = 429
    BANNED = 418


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict with the seconds to wait (0 when allowed) and the weight used in this minute."""

    verdict: Verdict
    retry_after_s: int
    used_weight: int
    until_s: float


class WeightMeter:
    """Counts request weight in aligned minutes; going on after a 429 earns a ban, as the venue documents it.

    `now` returns UTC seconds. `ban_after` requests sent while limited turn into a ban of `ban_s`.
    """

    def __init__(self, limit: int, now: Callable[[], float], *, ban_after: int = 5, ban_s: float = 120.0) -> None:
        """Start with nothing used."""
        self.limit = limit
        self.ban_after = ban_after
        self.ban_s = ban_s
        self.requests = 0
        self.requests_while_limited = 0
        self.requests_while_banned = 0
        self.used_weight = 0
        self._now = now
        self._window = -1
        self._limited_until = 0.0
        self._banned_until = 0.0
        self._stubborn = 0

    def spend(self, weight: int) -> Ruling:
        """Charge one request and rule on it."""
        now = self._now()
        self.requests += 1
        self._roll(now)
        if now < self._banned_until:
            self.requests_while_banned += 1
            return self._ruling(Verdict.BANNED, self._banned_until, now)
        self.used_weight += weight
        if now < self._limited_until:
            self.requests_while_limited += 1
            self._stubborn += 1
            if self._stubborn >= self.ban_after:
                self.ban(self.ban_s)
                return self._ruling(Verdict.BANNED, self._banned_until, now)
            return self._ruling(Verdict.LIMITED, self._limited_until, now)
        if self.used_weight > self.limit:
            self._limited_until = (self._window + 1) * WEIGHT_WINDOW_S
            return self._ruling(Verdict.LIMITED, self._limited_until, now)
        self._stubborn = 0
        return self._ruling(Verdict.ALLOWED, now, now)

    def limit_for(self, seconds: float) -> None:
        """Answer 429 to everything for some seconds."""
        self._limited_until = self._now() + seconds
        self._stubborn = 0

    def ban(self, seconds: float) -> None:
        """Answer 418 to everything for some seconds."""
        self._banned_until = self._now() + seconds

    def pardon(self) -> None:
        """Forget limits, bans and the weight used."""
        self._limited_until = self._banned_until = 0.0
        self._stubborn = self.used_weight = 0

    def _roll(self, now: float) -> None:
        window = int(now // WEIGHT_WINDOW_S)
        if window != self._window:
            self._window = window
            self.used_weight = 0

    def _ruling(self, verdict: Verdict, until: float, now: float) -> Ruling:
        return Ruling(verdict, max(0, math.ceil(until - now)), self.used_weight, until)


class SlidingCount:
    """Counts events of the last `window_s` seconds against a limit."""

    def __init__(self, limit: int, window_s: float, now: Callable[[], float]) -> None:
        """Start empty; `now` returns monotonic seconds."""
        self.limit = limit
        self.window_s = window_s
        self._now = now
        self._times: deque[float] = deque()

    @property
    def count(self) -> int:
        """Events in the window that ended with the last one."""
        return len(self._times)

    def add(self) -> bool:
        """Note one event; return whether the window is still within the limit."""
        now = self._now()
        times = self._times
        times.append(now)
        while times[0] <= now - self.window_s:
            times.popleft()
        return len(times) <= self.limit
