"""Brings the orders of earlier runs back at the start, and hands what changes to the store once a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from app.domain.errors import StorageError
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.orders import DAY_NS, OrderBook

_log = logging.getLogger("fathom.orders")

_SAVE_EVERY_S: Final = 1.0
_READ_AGAIN_S: Final = 30.0
_ALL_TIME_NS: Final = 2**62


class OrderStore(Protocol):
    """Where orders are kept; `History` is one."""

    def write_orders(self, records: OrderRecords) -> None:
        """Take orders and fills; returns at once."""
        ...

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        """Return stored orders and fills; raise StorageError when they cannot be read now."""
        ...


class OrderKeeping:
    """Keeps the order books of a run in a store. trouble: a sentence while earlier orders cannot be read, else ""."""

    def __init__(self, store: OrderStore, books: Callable[[], Iterable[OrderBook]], wall_ns: Callable[[], int]) -> None:
        self.trouble = ""
        self.is_restored = False
        self._store = store
        self._books = books
        self._wall_ns = wall_ns

    async def restore(self) -> bool:
        """Bring back orders of the last day and all that worked; tell whether that was possible."""
        query = OrderQuery(start_ns=self._wall_ns() - DAY_NS, end_ns=_ALL_TIME_NS, working=True)
        try:
            records = await self._store.read_orders(query)
        except StorageError as error:
            if not self.trouble:
                _log.warning("orders of earlier runs cannot be read yet: %s", error)
            self.trouble = f"Orders of earlier runs are missing: {error}"
            return False
        for book in self._books():
            book.restore(records)
        self.trouble = ""
        self.is_restored = True
        return True

    def save(self) -> None:
        """Hand over what has changed."""
        for book in self._books():
            records = book.take_unsaved()
            if records:
                self._store.write_orders(records)

    async def run(self) -> None:
        """Restore, then save once a second, until cancelled; what is left is handed over at the end."""
        try:
            pause_s = 0.0
            while True:
                if not self.is_restored and pause_s <= 0:
                    pause_s = _READ_AGAIN_S
                    await self.restore()
                self.save()
                await asyncio.sleep(_SAVE_EVERY_S)
                pause_s -= _SAVE_EVERY_S
        finally:
            self.save()
