"""Orders in a real PostgreSQL: the same as on SQLite, and none is lost while it is away."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from servers import PostgresServer, running_postgres

from app.domain.clock import SystemClock
from app.storage.history import History

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "storage"))
from order_checks import (  # shared with the unit tests of the stores
    ALL,
    busy_book,
    check_that_a_book_comes_back,
    check_that_twice_and_out_of_order_changes_nothing,
    check_the_filters,
    restored,
    same,
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


@pytest.fixture
async def history(server: PostgresServer, tmp_path: Path) -> AsyncIterator[History]:
    made = History(server.url(server.new_database()), tmp_path / "spool", SystemClock(), retry_s=(0.05,))
    await made.open()
    assert made.health.state == "ok", made.health.reason
    yield made
    await made.close()


async def test_a_book_comes_back_from_postgresql(history: History) -> None:
    await check_that_a_book_comes_back(history)


async def test_postgresql_takes_batches_twice_and_in_any_order(history: History) -> None:
    await check_that_twice_and_out_of_order_changes_nothing(history)


async def test_postgresql_reads_what_is_asked_for(history: History) -> None:
    await check_the_filters(history)


async def test_orders_wait_on_disk_while_postgresql_is_away(history: History, server: PostgresServer) -> None:
    book = busy_book()
    server.stop()
    history.write_orders(book.take_unsaved())
    await history.flush()
    assert history.health.spooled == 1
    server.start()
    async with asyncio.timeout(30):
        while history.health.state != "ok" or history.health.spooled:  # noqa: ASYNC110 # plain attributes
            await asyncio.sleep(0.02)
    same(restored(await history.read_orders(ALL)), book)
