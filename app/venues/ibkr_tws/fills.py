"""Executions: told as they come, asked for again and again so that none is missed, each told once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import ib_async

from app.domain.broker_health import BrokerHealth
from app.domain.orders import Execution, ExecutionSeen
from app.venues.broker import BrokerError
from app.venues.ibkr_tws.convert_orders import to_execution
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.readonly import ReadOnlyTws

_KEPT: Final = 20_000


class Fills:
    """What was told of fills; kept when the connection ends, so that nothing is told twice."""

    def __init__(self, options: TwsOptions, outbox: Outbox, health: BrokerHealth) -> None:
        self._options = options
        self._outbox = outbox
        self._health = health
        self._told: dict[str, Execution] = {}
        self._due = asyncio.Event()

    def hurry(self) -> None:
        """Ask at once."""
        self._due.set()

    async def ask(self, tws: ReadOnlyTws) -> None:
        """Ask for the day's executions once; TWS brings them like live ones. Raises BrokerError."""
        await tws.executions()
        self._outbox.flush()

    async def run(self, tws: ReadOnlyTws) -> None:
        """Ask for as long as the connection lives; cancelled with it."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.executions_every_s):
                    await self._due.wait()
            self._due.clear()
            with contextlib.suppress(BrokerError):  # the next round comes; a dead connection is seen by the watch
                await self.ask(tws)

    def on_fill(self, fill: ib_async.Fill) -> None:
        """Take a fill, new, repeated or with its commission."""
        execution = to_execution(fill)
        if execution is None:
            self._health.bad_messages += 1
            return
        known = self._told.get(execution.exec_id)
        if known == execution or (known is not None and known.commission is not None and execution.commission is None):
            return
        self._told[execution.exec_id] = execution
        while len(self._told) > _KEPT:
            self._told.pop(next(iter(self._told)))
        self._outbox.put(ExecutionSeen(execution))
