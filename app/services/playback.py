"""Play a recording at its own pace, a multiple of it, or as fast as it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from app.domain.units import NS_PER_S
from app.services.pipeline import GRID_NS
from app.services.recording import Replayer
from app.storage.recorder import Recording

_SLICE_S: Final = 0.008


class ReplayClock:
    """The time of the recording: what every age and label of a replay refers to."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def set(self, now_ns: int) -> None:
        """Move to a time; it never runs backwards."""
        self._now_ns = max(self._now_ns, now_ns)

    def wall_ns(self) -> int:
        """Return the recording's time in UTC ns."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never step (of this machine)."""
        return time.monotonic_ns()


async def play(
    recording: Recording,
    replayer: Replayer,
    clock: ReplayClock,
    speed: float | None,
    *,
    on_done: Callable[[], None],
    on_sampled: Callable[[], None],
) -> None:
    """Feed the recording into the replayer; speed None means as fast as it goes. The loop is never held for long.

    on_sampled is called now and then after time has moved on, on_done at the end.
    """
    entries = iter(recording)
    first_ns: int | None = None
    started = resumed = time.perf_counter()
    for entry in entries:
        if first_ns is None:
            first_ns = entry.recv_ns
        if speed is not None:
            due = started + (entry.recv_ns - first_ns) / NS_PER_S / speed
            while (wait := due - time.perf_counter()) > 0:
                now_ns = first_ns + int((time.perf_counter() - started) * speed * NS_PER_S)
                clock.set(min(now_ns, entry.recv_ns))
                replayer.advance(clock.wall_ns() - GRID_NS)
                on_sampled()
                await asyncio.sleep(min(wait, 0.02))
                resumed = time.perf_counter()
        clock.set(entry.recv_ns)
        replayer.feed(entry)
        if time.perf_counter() - resumed > _SLICE_S:
            await asyncio.sleep(0)
            resumed = time.perf_counter()
    replayer.finish()
    on_done()
