"""The loop that gives every client what changed since it was given something last, and sees to those that are slow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from app.server.client import Client
from app.server.hub import Bundle, Hub
from app.server.limits import Limits, Verdict

_log = logging.getLogger("fathom.server")

TOO_SLOW: Final = "too slow"
_LEAVE_S: Final = 2.0
_WRITES_IN_A_ROW: Final = 100


class Pump:
    """Ticks every `interval_s` for as long as `run` runs. failed: the last tick ended by an error; on_failed is told
    when that changes."""

    def __init__(self, hub: Hub, on_failed: Callable[[Exception | None], None]) -> None:
        self._hub = hub
        self.limits = Limits()
        self.interval_s = 0.2
        self._on_failed = on_failed
        self.clients: dict[Client, None] = {}
        self.failed = False

    async def run(self) -> None:
        """Tick until cancelled."""
        due = time.monotonic()
        while True:
            due = max(due + self.interval_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            try:
                await self.tick(time.monotonic())
            except Exception as error:  # what one value does must not end the server for all others
                if not self.failed:
                    self.failed = True
                    _log.exception("the local server failed inside")
                    self._on_failed(error)
            else:
                if self.failed:
                    self.failed = False
                    self._on_failed(None)

    async def tick(self, now: float) -> None:
        """Write to every client what changed since it was given something last. now: monotonic seconds."""
        self._hub.advance(now)
        ready: list[tuple[Client, Bundle, bytes, int]] = []
        for client in tuple(self.clients):
            client.count_rate(now)
            verdict = client.judge(now)
            if client.is_leaving:
                if client.leaves_for(now) > _LEAVE_S:
                    client.cut(client.end_reason)
            elif verdict is Verdict.DROP:
                client.cut(TOO_SLOW)
            elif not client.known:
                if now - client.opened_at > self.limits.auth_s:
                    client.say_goodbye(1008, "token required")
            elif verdict is Verdict.WAIT:
                client.conflated += 1
            elif client.bundle is not None:
                frames, count = self._hub.changes(client.bundle, client.given_tick)
                if count:
                    ready.append((client, client.bundle, frames, count))
                else:
                    client.given_tick = self._hub.tick
        await self._write(ready)

    async def _write(self, ready: list[tuple[Client, Bundle, bytes, int]]) -> None:
        tick = self._hub.tick
        for n, (client, bundle, frames, count) in enumerate(ready, 1):
            if client.bundle is bundle:
                client.write(frames, count)
                client.given_tick = tick
            if n % _WRITES_IN_A_ROW == 0:
                await asyncio.sleep(0)  # the window and the feeds get their turn
