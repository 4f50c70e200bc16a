"""Open orders of all clients, asked for again and again as TWS does not keep them live for us, and how they ended.

In Read-Only API mode TWS refuses the question (321) and puts a window on the user's screen, so it is asked once a
connection and when the user wants it; then only fills are known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Final

import ib_async

from app.domain.broker_health import BrokerHealth
from app.domain.health import FeedEventKind
from app.domain.orders import OrderSeen, OrdersListed, OrderState
from app.venues.broker import BrokerError
from app.venues.ibkr_tws.convert_orders import to_completed, to_order
from app.venues.ibkr_tws.errors import is_read_only
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.readonly import ReadOnlyTws

READ_ONLY_REASON: Final = "TWS is in Read-Only API mode: open orders are not available; fills only"
_SILENT_REASON: Final = "TWS does not answer for open orders (as in Read-Only API mode): fills only"
_KEPT: Final = 5000
_TRIES: Final = 5
"""How often the end of an order that left the list is looked for among the completed ones."""
_HURRY_S: Final = 0.1
_SILENT_RETRY_S: Final = 60.0


class _Refused(Exception):
    """The API is in Read-Only mode."""


class Orders:
    """Follows orders on one connection after the other."""

    def __init__(self, options: TwsOptions, outbox: Outbox, health: BrokerHealth) -> None:
        self._options = options
        self._outbox = outbox
        self._health = health
        self._told: dict[str, OrderState] = {}
        """Orders as they were last told."""
        self._working: frozenset[str] | None = None
        """Order ids of the last answer, None: none came on this connection, or orders cannot be seen."""
        self._listed: frozenset[str] | None = None
        """Order ids of the last list that was told."""
        self._missing: dict[str, int] = {}
        """Orders that left the answer and whose end is looked for, with the number of looks."""
        self._completed_s = 0.0
        """When the ends of orders were asked for last, by the loop's clock."""
        self._due = asyncio.Event()
        self._woken = asyncio.Event()
        self._refusal = asyncio.Event()
        self._tws: ReadOnlyTws | None = None

    # -- the connection --------------------------------------------------------------------------------------------

    async def run(self, tws: ReadOnlyTws) -> None:
        """Ask for as long as the connection lives; cancelled with it."""
        self._tws = tws
        self._working = self._listed = None
        self._missing.clear()
        try:
            while True:
                wait_s = await self._follow(tws)
                self._woken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._woken.wait()
        finally:
            self._tws = None

    def wake(self) -> None:
        """Ask again what was refused."""
        self._woken.set()
        self._due.set()

    def on_unknown(self) -> None:
        """Ask soon: an order changed that is not known."""
        self._due.set()

    def on_message(self, request: int, code: int, text: str) -> None:
        """Take a message of TWS: only the refusal matters here."""
        if is_read_only(code, text):
            self._refusal.set()

    async def _follow(self, tws: ReadOnlyTws) -> float | None:
        """Probe, then poll until orders cannot be seen any more; return when to probe again (None: when woken)."""
        try:
            await self._ask(tws, self._options.probe_s)
            await self._completed(tws, first=True)
            self._list()
            while True:
                await self._pause()
                await self._poll(tws)
        except _Refused:
            self._unknown(READ_ONLY_REASON)
            return None
        except BrokerError:
            self._unknown(_SILENT_REASON)
            return _SILENT_RETRY_S

    def _unknown(self, reason: str) -> None:
        health = self._health
        if health.orders_known or health.orders_reason != reason:
            self._outbox.log(FeedEventKind.NOTICE, reason)
        health.read_only, health.orders_known, health.orders_reason = True, False, reason
        self._working = self._listed = None
        self._outbox.put(OrdersListed(known=False, reason=reason))
        self._outbox.flush()

    async def _pause(self) -> None:
        """Wait for the next round; news of an order we do not know bring it forward."""
        await asyncio.sleep(_HURRY_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.orders_every_s):
                await self._due.wait()
        self._due.clear()

    # -- rounds ----------------------------------------------------------------------------------------------------

    async def _poll(self, tws: ReadOnlyTws) -> None:
        await self._ask(tws, self._options.timeout_s)
        since_s = asyncio.get_running_loop().time() - self._completed_s
        if self._missing or since_s >= self._options.completed_every_s:
            await self._completed(tws)
        self._list()

    async def _ask(self, tws: ReadOnlyTws, timeout_s: float) -> None:
        """Ask for the open orders; raise _Refused as soon as TWS refuses, BrokerError when it is silent."""
        trades = await self._unless_refused(tws.open_orders(timeout_s))
        ids = []
        for trade in trades:
            order = self._order(trade)
            ids.append(order.order_id)
            self._tell(order)
        now = frozenset(ids)
        gone = frozenset() if self._working is None else self._working - now
        for order_id in gone:
            known = self._told.get(order_id)
            if known is not None and known.status.is_working:
                self._missing.setdefault(order_id, 0)
        for order_id in now:
            self._missing.pop(order_id, None)
        self._working = now
        self._health.orders_known, self._health.orders_reason = True, ""

    async def _unless_refused(self, answer: Coroutine[None, None, list[ib_async.Trade]]) -> list[ib_async.Trade]:
        self._refusal.clear()
        asking = asyncio.ensure_future(answer)
        refused = asyncio.ensure_future(self._refusal.wait())
        try:
            await asyncio.wait({asking, refused}, return_when=asyncio.FIRST_COMPLETED)
            if refused.done() and not asking.done():
                raise _Refused
            return asking.result()
        finally:
            for task in (asking, refused):
                task.cancel()
            await asyncio.gather(asking, refused, return_exceptions=True)

    async def _completed(self, tws: ReadOnlyTws, *, first: bool = False) -> None:
        """Learn how orders ended, also those that came and went between two questions. Where that is refused, the API
        is read-only though the list came."""
        self._completed_s = asyncio.get_running_loop().time()
        recv_ns = self._outbox.stamp()
        self._refusal.clear()
        try:
            rows = await tws.completed_orders(self._options.probe_s)
        except BrokerError:
            self._health.read_only = True if self._refusal.is_set() else self._health.read_only
            self._missing.clear()
            return
        self._health.read_only = False
        for contract, order, state in rows:
            ended = to_completed(contract, order, state, recv_ns, tws.zone)
            known = self._told.get(ended.order_id)
            if known is not None:
                ended = replace(ended, average_price=known.average_price, client=known.client)
            if first or known is None or ended.order_id in self._missing:
                self._tell(ended)
                self._missing.pop(ended.order_id, None)
        self._missing = {order_id: tries + 1 for order_id, tries in self._missing.items() if tries + 1 < _TRIES}

    def _list(self) -> None:
        """Tell the list when it changed. An order counts as working until its end is known, or given up."""
        now = (self._working or frozenset()) | self._missing.keys()
        if now != self._listed:
            self._listed = now
            self._outbox.put(OrdersListed(known=True, reason="", order_ids=now))
        self._outbox.flush()

    # -- news ------------------------------------------------------------------------------------------------------

    def on_order(self, trade: ib_async.Trade) -> None:
        """Take news of an order that TWS sent by itself."""
        if self._tws is not None:
            order = self._order(trade)
            self._tell(order)
            if self._working is None or order.status.is_working != (order.order_id in self._working):
                self._due.set()

    def _order(self, trade: ib_async.Trade) -> OrderState:
        tws = self._tws
        warning = tws.warning(trade.order.permId) if tws is not None else ""
        return to_order(trade, warning, 0)

    def _tell(self, order: OrderState) -> None:
        """Tell an order unless it was told so already. Its times never run backwards: those of ends are whole seconds,
        those of open orders are of receipt."""
        known = self._told.pop(order.order_id, None)
        if known is not None and replace(order, updated_ns=known.updated_ns) == known:
            self._told[order.order_id] = known
            return
        updated_ns = max(order.updated_ns or self._outbox.stamp(), known.updated_ns if known is not None else 0)
        self._told[order.order_id] = order = replace(order, updated_ns=updated_ns)
        while len(self._told) > _KEPT:
            self._told.pop(next(iter(self._told)))
        self._outbox.put(OrderSeen(order))
