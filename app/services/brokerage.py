"""Turns what the sessions of a broker tell into ledgers, quote lines, rows of history and news for the screens.

One desk a source; both may be on. A desk asks its session for exactly the lines its budget grants and hands quotes to
whoever listens (the scanner). Nothing here, or behind it, can place an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.portfolio.orders import OrderBook
from app.portfolio.pnl_minutes import PnlMinute, pnl_minutes
from app.services.broker_questions import BrokerQuestions
from app.services.desk import Desk
from app.services.order_keeping import OrderKeeping, OrderStore
from app.services.supervisor import supervise

_log = logging.getLogger("fathom.brokerage")

_PLAN_EVERY_S: Final = 0.25
_KEEP_EVERY_S: Final = 1.0
_MINUTE_NS: Final = 60 * NS_PER_S


class Archive(OrderStore, Protocol):
    """Where orders, fills and profit and loss are kept from run to run."""

    def write_pnl(self, row: PnlMinute) -> None:
        """Take a minute of an account; returns at once."""
        ...


class Brokerage:
    """All desks of a run, and the tasks that keep them going."""

    def __init__(self, desks: Sequence[Desk], clock: Clock) -> None:
        self.desks: Mapping[Source, Desk] = {desk.source: desk for desk in desks}
        self.orders: OrderKeeping | None = None
        self._clock = clock

    def _books(self) -> list[OrderBook]:
        return [desk.ledger.orders for desk in self.desks.values()]

    def health(self) -> tuple[BrokerHealth, ...]:
        """Return the live counters of every source that is switched on."""
        return tuple(desk.health for desk in self.desks.values())

    async def run(self, on_report: Callable[[str, str], None], archive: Archive | None = None) -> None:
        """Keep every session going until cancelled. A session that cannot be helped never ends another."""
        async with asyncio.TaskGroup() as group:
            for desk in self.desks.values():
                session = desk.session
                if session is None:
                    continue
                name = f"feed {desk.source.feed}"
                group.create_task(supervise(name, session.run, on_report=on_report), name=name)
                questions = BrokerQuestions(desk, session, self._clock)
                group.create_task(questions.run(), name=f"questions {desk.source.feed}")
            if self.desks:
                group.create_task(self._plan_lines(), name="lines")
            if self.desks and archive is not None:
                self.orders = OrderKeeping(archive, self._books, self._clock.wall_ns)
                group.create_task(self.orders.run(), name="orders kept")
                group.create_task(self._keep(archive), name="profit and loss kept")

    async def _plan_lines(self) -> None:
        while True:
            await asyncio.sleep(_PLAN_EVERY_S)
            now_ns = self._clock.wall_ns()
            for desk in self.desks.values():
                desk.plan_lines(now_ns)

    # -- history -------------------------------------------------------------------------------------------------

    async def _keep(self, archive: Archive) -> None:
        """Store profit and loss by the minute; also at the end."""
        minute = 0
        try:
            while True:
                await asyncio.sleep(_KEEP_EVERY_S)
                now_ns = self._clock.wall_ns()
                if now_ns // _MINUTE_NS != minute:
                    minute = now_ns // _MINUTE_NS
                    self._keep_pnl(archive, now_ns)
        finally:
            self._keep_pnl(archive, self._clock.wall_ns())

    def _keep_pnl(self, archive: Archive, now_ns: int) -> None:
        for desk in self.desks.values():
            if desk.health.state is LinkState.LIVE:
                for row in pnl_minutes(desk.ledger, now_ns):
                    archive.write_pnl(row)
