"""What must hold of stored orders on every database, as functions of an open history."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

from app.domain.account import Source
from app.domain.orders import OrdersListed, OrderStatus
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.orders import OrderBook
from app.storage.history import History

sys.path.insert(0, str(Path(__file__).parents[1] / "portfolio"))
from order_words import CALL, T0, S, fill, order

ALL = OrderQuery(start_ns=0, end_ns=2**62)


def busy_book(source: Source = Source.TWS) -> OrderBook:
    """Return a book in which one of everything has happened."""
    book = OrderBook(source)
    book.on_listed(T0, OrdersListed(True, ""))
    book.on_order(T0 + S, order(OrderStatus.PENDING_SUBMIT, 1))
    book.on_order(T0 + 2 * S, order(OrderStatus.SUBMITTED, 2))
    book.on_execution(T0 + 3 * S, fill("a.1.01", 3, quantity=30))
    book.on_execution(T0 + 4 * S, fill("a.1.02", 3, quantity=25, commission=1.25))
    book.on_order(T0 + 5 * S, order(OrderStatus.SUBMITTED, 5, limit=189.75, filled=25))
    book.on_order(T0 + 6 * S, order(OrderStatus.INACTIVE, 6, order_id="1002", contract=CALL, reason="no “margin”"))
    book.on_order(T0 + 6 * S, replace(order(OrderStatus.CANCELLED, 6, order_id="1003"), outside_rth=True))
    book.on_execution(T0 + 7 * S, fill("b.1.01", 7, order_id="1004", contract=CALL, quantity=2, price=4.15))
    return book


def same(found: OrderBook, expected: OrderBook) -> None:
    """Check that two books say the same."""
    assert found.orders == expected.orders
    assert found.executions == expected.executions
    for order_id in expected.orders:
        assert found.timeline(order_id) == expected.timeline(order_id)


def restored(records: OrderRecords, source: Source = Source.TWS) -> OrderBook:
    """Return a fresh book with stored records."""
    book = OrderBook(source)
    book.restore(records)
    return book


async def check_that_a_book_comes_back(history: History) -> None:
    """What happened is the same after a restart, for each source by itself."""
    book, other = busy_book(), busy_book(Source.PORTAL)
    history.write_orders(book.take_unsaved())
    history.write_orders(other.take_unsaved())
    await history.flush()
    assert history.health.state == "ok", history.health.reason
    found = await history.read_orders(ALL)
    same(restored(found), book)
    same(restored(found, Source.PORTAL), other)


async def check_that_twice_and_out_of_order_changes_nothing(history: History) -> None:
    """Batches of a run, written twice and in any order, lead to the same rows."""
    book = OrderBook(Source.TWS)
    batches = []
    for second, status in enumerate((OrderStatus.PENDING_SUBMIT, OrderStatus.SUBMITTED, OrderStatus.FILLED), 1):
        book.on_order(T0 + second * S, order(status, second, filled=100 if status is OrderStatus.FILLED else 0))
        batches.append(book.take_unsaved())
    for version, commission in ((1, 0.75), (2, None)):
        book.on_execution(T0 + 9 * S, fill(f"a.1.{version:02d}", 3, quantity=101 - version, commission=commission))
        batches.append(book.take_unsaved())
    shuffled = batches * 2
    random.Random(3).shuffle(shuffled)
    for batch in shuffled:
        history.write_orders(batch)
    await history.flush()
    found = await history.read_orders(ALL)
    assert len(found.orders) == 1
    assert [execution.commission for _, execution in found.executions] == [0.75]
    same(restored(found), book)


async def check_the_filters(history: History) -> None:
    """Time, symbol and status narrow what is read; a working order may be older."""
    book = busy_book()
    history.write_orders(book.take_unsaved())
    await history.flush()

    async def ids(query: OrderQuery) -> list[str]:
        return sorted(record.state.order_id for record in (await history.read_orders(query)).orders)

    assert await ids(ALL) == ["1001", "1002", "1003", "1004"]
    assert await ids(OrderQuery(start_ns=T0 + 7 * S, end_ns=T0 + 8 * S)) == ["1004"]
    assert await ids(OrderQuery(start_ns=T0 + 7 * S, end_ns=T0 + 8 * S, working=True)) == ["1001", "1004"]
    assert await ids(replace(ALL, symbol="aap")) == ["1001", "1002", "1003", "1004"]
    assert await ids(replace(ALL, symbol="%")) == []
    assert await ids(replace(ALL, statuses=(OrderStatus.CANCELLED, OrderStatus.INACTIVE))) == ["1002", "1003"]
    assert len(await ids(replace(ALL, limit=2))) == 2
    between = await history.read_orders(OrderQuery(start_ns=T0 + 3 * S, end_ns=T0 + 4 * S))
    assert between.orders == ()
    assert [execution.exec_id for _, execution in between.executions] == ["a.1.02"]
