"""Keeps the stored minutes of one subject that a chart has read: which stretch is known, what to ask for next.

The cache decides only; reading the store is its owner's work. A minute counts as read for good once a row for it has
come, or once it is three minutes old, so a slow writer is asked again and a minute that never was is given up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.domain.units import MS_PER_MINUTE
from app.indicators.window import DepthWindow

SETTLE_MS: Final = 1_500
POLL_MS: Final = 5_000
RETRY_MAX_MS: Final = 30_000
GIVE_UP_MS: Final = 3 * MS_PER_MINUTE
MINUTES_MAX: Final = 45 * 24 * 60


@dataclass(slots=True)
class MinuteCache:
    """Minutes of one subject, oldest first.

    low_ms..high_ms is the stretch that has been asked for and answered (None: nothing yet). changed_from_ms is the
    first minute the last answer touched. error is the sentence of the last failed read, empty after a good one.
    """

    window: DepthWindow = field(default_factory=DepthWindow.empty)
    low_ms: int | None = None
    high_ms: int = 0
    loading: bool = False
    error: str = ""
    revision: int = 0
    changed_from_ms: int = 0
    _next_try_ms: int = 0
    _failures: int = 0

    @property
    def asked(self) -> bool:
        """Whether the store has answered at least once."""
        return self.low_ms is not None

    @property
    def stored_until_ms(self) -> int:
        """Return the end of the newest stored minute, 0 when there is none."""
        return int(self.window.ts_ms[-1]) + MS_PER_MINUTE if len(self.window) else 0

    def wanted(self, start_ms: int, now_ms: int) -> tuple[int, int] | None:
        """Return the stretch (start, end) to read now so that everything from `start_ms` on is known, or None."""
        if self.loading or now_ms < self._next_try_ms:
            return None
        this_minute = now_ms - now_ms % MS_PER_MINUTE
        if self.low_ms is not None and this_minute < self.low_ms:
            self.low_ms, self.high_ms = None, 0  # time was set back: a replay began
        start = max(start_ms - start_ms % MS_PER_MINUTE, this_minute - MINUTES_MAX * MS_PER_MINUTE)
        if self.low_ms is None:
            return (start, this_minute) if start < this_minute else (this_minute - MS_PER_MINUTE, this_minute)
        if start < self.low_ms:
            return start, self.low_ms
        just_over = self.high_ms >= this_minute - MS_PER_MINUTE and now_ms < this_minute + SETTLE_MS
        if self.high_ms < this_minute and not just_over:
            return max(self.low_ms, self.high_ms - MS_PER_MINUTE), this_minute
        return None

    def accept(self, start_ms: int, end_ms: int, rows: DepthWindow, now_ms: int) -> None:
        """Take the answer to a `wanted` stretch in."""
        self.loading, self.error, self._failures = False, "", 0
        if len(rows):
            old = self.window
            left = old.slice(0, int(np.searchsorted(old.ts_ms, start_ms)))
            right = old.slice(int(np.searchsorted(old.ts_ms, end_ms)), len(old))
            self.window = left.then(rows).then(right)
            self.changed_from_ms = start_ms
            self.revision += 1
        self.low_ms = start_ms if self.low_ms is None else min(self.low_ms, start_ms)
        newest = int(rows.ts_ms[-1]) + MS_PER_MINUTE if len(rows) else 0
        if end_ms >= self.high_ms:
            self.high_ms = max(self.high_ms, newest, end_ms - GIVE_UP_MS)
        if self.high_ms < end_ms:
            self._next_try_ms = now_ms + POLL_MS

    def fail(self, reason: str, now_ms: int) -> None:
        """Note that the store could not be read; the next try waits longer each time, up to 30 s."""
        self.loading, self.error = False, reason
        self._next_try_ms = now_ms + min(RETRY_MAX_MS, POLL_MS << min(self._failures, 4))
        self._failures += 1
