"""Orders of earlier days, read from the store when a filter reaches back to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.errors import StorageError
from app.domain.units import NS_PER_S
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.orders import OrderBook
from app.viewmodels.order_filter import OrderFilter

STORED_LIMIT: Final = 2_000
_AGAIN_NS: Final = 30 * NS_PER_S


class StoredOrders(Protocol):
    """Where orders of earlier days are; `storage.History` is one."""

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        """Return stored orders; raise StorageError when they cannot be read now."""
        ...


class OrderArchive:
    """What was read last. books: the orders by source; trouble: why they cannot be read, "" when they can; is_cut:
    there are more than were read. store: None when nothing is kept. on_change is called when any of these moves."""

    def __init__(
        self, store: StoredOrders | None, wall_ns: Callable[[], int], on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.books: dict[Source, OrderBook] = {}
        self.is_reading = False
        self.is_cut = False
        self.trouble = ""
        self._store = store
        self._wall_ns = wall_ns
        self._on_change = on_change
        self._read_for: tuple[int, int] | None = None
        self._again_ns = 0

    def wants(self, chosen: OrderFilter, zone: tzinfo) -> bool:
        """Tell whether `read` should be run: the filter reaches back to days that were not read yet."""
        if self._store is None or self.is_reading or not chosen.period.is_stored:
            return False
        now_ns = self._wall_ns()
        if self.trouble and now_ns >= self._again_ns:
            return True
        return chosen.window(now_ns, zone) != self._read_for

    async def read(self, chosen: OrderFilter, zone: tzinfo) -> None:
        """Read the orders of the chosen days."""
        if self._store is None:
            return
        start_ns, end_ns = self._read_for = chosen.window(self._wall_ns(), zone)
        self.is_reading = True
        self._on_change()
        try:
            records = await self._store.read_orders(OrderQuery(start_ns=start_ns, end_ns=end_ns, limit=STORED_LIMIT))
        except StorageError as error:
            self.trouble = str(error)
            self._again_ns = self._wall_ns() + _AGAIN_NS
        else:
            self.trouble = ""
            self.is_cut = max(len(records.orders), len(records.executions)) >= STORED_LIMIT
            for source in Source:
                self.books[source] = book = OrderBook(source)
                book.restore(records)
        finally:
            self.is_reading = False
            self._on_change()

    def sentence(self) -> str:
        """Return what must be said of it, "" for nothing."""
        if self.is_reading:
            return "Orders of earlier days are being read…"
        if self.trouble:
            return f"Orders of earlier days cannot be read: {self.trouble}"
        return f"Only the newest {STORED_LIMIT:,} stored orders and fills are shown." if self.is_cut else ""
