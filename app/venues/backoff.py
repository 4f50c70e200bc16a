"""From a row of failures to the pause before the next try: capped doubling with full jitter. Pure, no clock.

The first try after a healthy time comes at once; a peer that accepts and drops is not healthy, so that it is not
asked again every second (the reset needs `healthy_s` of good service).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffPolicy:
    """Pauses in seconds: `first_s` doubling up to `cap_s`; `healthy_s` of good service forgets earlier failures."""

    first_s: float = 0.5
    cap_s: float = 30.0
    healthy_s: float = 60.0


class Backoff:
    """Counts failures in a row and says how long to wait."""

    __slots__ = ("_failures", "_policy", "_random")

    def __init__(self, policy: BackoffPolicy, random: Random | None = None) -> None:
        self._policy = policy
        self._random = random or Random()
        self._failures = 0

    @property
    def failures(self) -> int:
        """Return how many failures came in a row."""
        return self._failures

    def ceiling_s(self) -> float:
        """Return the longest pause that may follow the failures counted so far."""
        if self._failures <= 1:
            return 0.0
        doublings = min(self._failures - 2, 32)
        return float(min(self._policy.cap_s, self._policy.first_s * 2**doublings))

    def failed(self, healthy_for_s: float = 0.0) -> float:
        """Count a failure after so many seconds of good service; return the pause before the next try."""
        if healthy_for_s >= self._policy.healthy_s:
            self._failures = 0
        self._failures += 1
        return self._random.uniform(0.0, self.ceiling_s())

    def reset(self) -> None:
        """Forget all failures."""
        self._failures = 0
