"""What keeps login and socket alive, and notices when they are not (fact sheet, sections 1 and 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.explain import LinkLost
from app.venues.ibkr_portal.protocol import TIC
from app.venues.sleep import SleepSensor


async def keep_tickling(tickle: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Say over REST that somebody is here; without it the login ends after five minutes."""
    while True:
        await asyncio.sleep(every_s)
        await tickle()


async def keep_ticking(send: Callable[[str], Awaitable[None]], every_s: float) -> None:
    """Say the same over the socket. Raises LinkLost."""
    while True:
        await asyncio.sleep(every_s)
        await send(TIC)


async def watch_silence(
    heard_ns: Callable[[], int], clock: Clock, silence_s: float, tick_s: float, sleep_gap_s: float
) -> None:
    """Look whether the gateway's heart beats. heard_ns: when the last frame came, monotonic. Raises LinkLost."""
    sensor = SleepSensor(clock.monotonic_ns(), sleep_gap_s)
    while True:
        await asyncio.sleep(tick_s)
        now_ns = clock.monotonic_ns()
        slept = sensor.look(now_ns)
        if slept is not None:
            raise LinkLost(slept)
        silent_s = (now_ns - heard_ns()) / NS_PER_S
        if silent_s > silence_s:
            raise LinkLost(f"no word from the gateway for {silent_s:.0f} s although the connection looks open")
