"""Orders on SQLite: they survive a restart and a database that is away, and nothing is doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from order_checks import (
    ALL,
    busy_book,
    check_that_a_book_comes_back,
    check_that_twice_and_out_of_order_changes_nothing,
    check_the_filters,
    restored,
    same,
)
from sqlalchemy import create_engine, text

from app.domain.clock import SystemClock
from app.domain.errors import StorageError
from app.storage.database import sqlite_url
from app.storage.history import History
from app.storage.migrations import STEPS, migrate
from app.storage.order_history import unpack_orders
from app.storage.spooled import Waiting, orders_frame


def new_history(folder: Path) -> History:
    return History(sqlite_url(folder / "h.sqlite"), folder / "spool", SystemClock(), retry_s=(0.05,))


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = new_history(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_book_comes_back_as_it_was(history: History) -> None:
    await check_that_a_book_comes_back(history)


async def test_writing_twice_or_in_another_order_changes_nothing(history: History) -> None:
    await check_that_twice_and_out_of_order_changes_nothing(history)


async def test_what_is_asked_for_is_read(history: History) -> None:
    await check_the_filters(history)


async def test_a_restart_finds_what_was_written_at_the_end(tmp_path: Path) -> None:
    book = busy_book()
    first = new_history(tmp_path)
    await first.open()
    first.write_orders(book.take_unsaved())
    await first.close()
    again = new_history(tmp_path)
    await again.open()
    same(restored(await again.read_orders(ALL)), book)
    await again.close()


async def test_orders_wait_on_disk_while_the_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "h.sqlite").mkdir()  # a folder in its place: it cannot be opened
    book = busy_book()
    away = new_history(tmp_path)
    await away.open()
    away.write_orders(book.take_unsaved())
    await away.flush()
    assert away.health.state != "ok"
    assert away.health.spooled == 1
    with pytest.raises(StorageError):
        await away.read_orders(ALL)
    await away.close()
    (tmp_path / "h.sqlite").rmdir()
    back = new_history(tmp_path)
    await back.open()
    await back.flush()
    assert back.health.spooled == 0
    same(restored(await back.read_orders(ALL)), book)
    await back.close()


def test_a_frame_that_is_rubbish_is_counted() -> None:
    waiting = Waiting()
    whole = orders_frame(busy_book().take_unsaved())
    waiting.add(whole)
    waiting.add(whole[:-9])
    assert len(waiting.orders) == 1
    assert waiting.unreadable == 1
    with pytest.raises(StorageError, match="spooled orders"):
        unpack_orders(b"\x00")


async def test_a_database_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "h.sqlite"))
    with engine.begin() as connection:
        migrate(connection, STEPS[:2])
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == 2
    engine.dispose()
    history = new_history(tmp_path)
    await history.open()
    book = busy_book()
    history.write_orders(book.take_unsaved())
    await history.flush()
    same(restored(await history.read_orders(ALL)), book)
    await history.close()
    assert (tmp_path / "h.sqlite.v2.bak").is_file()
