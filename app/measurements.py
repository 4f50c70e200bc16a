"""What a running window says of its own speed: start-up times, loop lag, event to painted, load, memory over time."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.runtime import LagProbe
    from app.ui.frameclock import FrameClock
    from app.ui.panels.base import Panel
    from app.viewmodels.live_series import LiveSeries
    from app.viewmodels.live_status import LiveStatus

_POLL_S: Final = 0.1
_MEMORY_EVERY_S: Final = 5.0


class Measurements:
    """Collects the figures of one run; seconds count from the start of the program."""

    def __init__(self, started: float, probe: LagProbe) -> None:
        self._started = started
        self._probe = probe
        self.first_paint_s: float | None = None
        self.first_indicator_s: float | None = None
        self.all_primed_s: float | None = None
        self._memory: list[tuple[float, float]] = []

    def elapsed_s(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self._started

    async def watch(self, status: LiveStatus, series: LiveSeries) -> None:
        """Note when the first indicator value and the last book are there, and the memory from then on."""
        import psutil

        process = psutil.Process(os.getpid())
        last_memory_s = 0.0
        while True:
            now_s = self.elapsed_s()
            if self.first_indicator_s is None and series.has_value():
                self.first_indicator_s = now_s
            if self.all_primed_s is None and _all_primed(status):
                self.all_primed_s = now_s
            if now_s - last_memory_s >= _MEMORY_EVERY_S:
                last_memory_s = now_s
                self._memory.append((now_s, process.memory_info().rss / 1048576))
            done = self.first_indicator_s is not None and self.all_primed_s is not None
            await asyncio.sleep(_MEMORY_EVERY_S if done else _POLL_S)

    def report(self, clock: FrameClock, panels: Mapping[str, Panel], status: LiveStatus | None) -> dict[str, Any]:
        """Return the figures as JSON values; ms unless the name says otherwise. panels: by their titles."""
        latency, lag = clock.latency(), self._probe.lag()
        return {
            "first_paint_s": self.first_paint_s,
            "first_indicator_s": self.first_indicator_s,
            "all_primed_s": self.all_primed_s,
            "lag_ms": {"p50": lag.p50_ms, "p99": lag.p99_ms, "max": lag.max_ms, "samples": lag.samples},
            "event_to_painted_ms": asdict(latency),
            "event_to_painted_by_panel_ms": {name: asdict(clock.latency(panel)) for name, panel in panels.items()},
            "rss_mib": [[round(at, 1), round(mib, 2)] for at, mib in self._memory],
            "cpu_s": time.process_time(),
            "uptime_s": self.elapsed_s(),
            "feeds": {
                str(feed.feed): {
                    "books_primed": feed.books_primed,
                    "books_total": feed.books_total,
                    "frames": sum(link.frames for link in feed.links),
                    "applied": feed.applied,
                    "gaps": feed.gaps,
                    "resyncs": feed.resyncs,
                    "dropped": feed.dropped,
                    "crossed": feed.crossed,
                    "bad_frames": feed.bad_frames,
                    "reconnects": sum(link.reconnects for link in feed.links),
                    "state": feed.state.value,
                }
                for feed in (status.feeds() if status is not None else ())
            },
        }


def _all_primed(status: LiveStatus) -> bool:
    feeds = [feed for feed in status.feeds() if feed.books_total]
    return bool(feeds) and all(feed.books_total <= feed.books_primed for feed in feeds)
