"""The history on SQLite: what goes in comes out, trouble is said in a sentence, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from blocks import MINUTE_MS, minute_block
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from app.domain.clock import SystemClock
from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.indicators.groups import Group
from app.storage import schema
from app.storage.database import Database, sqlite_url
from app.storage.history import History
from app.storage.migrations import CURRENT, STEPS, migrate

FAST = (0.05,)


def event(text_: str = "lost") -> FeedEvent:
    return FeedEvent(ts_ns=1, source="binance.spot", kind=FeedEventKind.ERROR, symbol=None, text=text_)


class Heard:
    """What a history said."""

    def __init__(self) -> None:
        self.notes: list[str | None] = []
        self.notices: list[str] = []


def new_history(
    folder: Path, url: str | None = None, *, heard: Heard | None = None, spool_bytes: int = 2**24
) -> History:
    heard = heard or Heard()
    return History(
        url or sqlite_url(folder / "h.sqlite"),
        folder / "spool",
        SystemClock(),
        on_note=heard.notes.append,
        on_notice=heard.notices.append,
        retry_s=FAST,
        spool_bytes=spool_bytes,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 # plain attributes
            await asyncio.sleep(0.01)


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    made = new_history(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_minute_comes_back_as_depth_over_time(history: History) -> None:
    rng = np.random.default_rng(1)
    blocks = [minute_block(rng, minute_ms=MINUTE_MS + i * 60_000) for i in range(5)]
    for block in blocks:
        history.write_minute(block)
    await history.flush()
    window = await history.read_coin(Market.BINANCE_SPOT, "ETHUSDT", MINUTE_MS + 60_000, MINUTE_MS + 240_000)
    assert window.ts_ms.tolist() == [MINUTE_MS + i * 60_000 for i in (1, 2, 3)]
    np.testing.assert_array_equal(window.usd[1], blocks[2].symbols.usd[1])
    assert (window.coverage == Coverage.EXACT).all()
    group = await history.read_group(Market.BINANCE_SPOT, Group.TOTAL1, 0, 2**62, 3)
    np.testing.assert_array_equal(group.usd[0], blocks[0].groups.usd[1])
    np.testing.assert_array_equal(group.ratio_mean[0], blocks[0].groups.ratio_mean[1])
    assert (group.coverage == Coverage.EXACT).all()
    assert len(await history.read_coin(Market.BINANCE_USDM, "ETHUSDT", 0, 2**62)) == 0


async def test_partial_coverage_and_unconfirmed_shares_come_back(history: History) -> None:
    block = minute_block(np.random.default_rng(2), exact=0.5)
    history.write_minute(block)
    await history.flush()
    window = await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    assert (window.coverage == Coverage.PARTIAL).all()
    np.testing.assert_allclose(window.unconfirmed[0], block.symbols.unconfirmed[0], rtol=1e-6)
    group = await history.read_group(Market.BINANCE_SPOT, Group.TOTAL, 0, 2**62, 3)
    assert (group.coverage == Coverage.PARTIAL).all()


async def test_views_show_one_row_per_symbol_market_depth_and_minute(history: History, tmp_path: Path) -> None:
    block = minute_block(np.random.default_rng(3))
    history.write_minute(block)
    history.write_minute(block)
    await history.flush()
    with contextlib.closing(sqlite3.connect(tmp_path / "h.sqlite")) as connection:
        rows = connection.execute(
            "SELECT depth_pct, bid_usd, ask_coins, bid_threshold FROM depth_minutes WHERE symbol = 'BTCUSDT' ORDER BY 1"
        ).fetchall()
        keys = connection.execute(
            "SELECT count(*), count(DISTINCT symbol || market || depth_pct || minute) FROM depth_minutes"
        ).fetchone()
        groups = connection.execute("SELECT count(*) FROM group_depth_minutes").fetchone()
    assert [row[0] for row in rows] == [1.5, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0]
    assert rows[2][1] == block.symbols.usd[0, 0, 2]
    assert rows[2][2] == block.symbols.coins[0, 1, 2]
    assert rows[2][3] == pytest.approx(block.symbols.best_bid[0] * 0.95)
    assert keys == (21, 21)
    assert groups == (35,)


async def test_a_restart_within_a_minute_loses_neither_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    first = minute_block(rng, samples=100, partial=True)
    second = minute_block(rng, samples=200, partial=True)
    for block in (first, second):
        run = new_history(tmp_path)
        await run.open()
        run.write_minute(block)
        await run.close()
    run = new_history(tmp_path)
    await run.open()
    window = await run.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    await run.close()
    expected = (first.symbols.usd[0] * 100 + second.symbols.usd[0] * 200) / 300
    np.testing.assert_allclose(window.usd[0], expected)


async def test_a_locked_database_is_said_spooled_and_caught_up_by_itself(tmp_path: Path) -> None:
    heard = Heard()
    history = new_history(tmp_path, heard=heard)
    await history.open()
    before, during = (minute_block(np.random.default_rng(5), minute_ms=MINUTE_MS + i * 60_000) for i in range(2))
    history.write_minute(before)
    await history.flush()
    other = sqlite3.connect(tmp_path / "h.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    history.write_minute(during)
    history.write_event(event())
    await until(lambda: history.health.spooled == 2)
    assert history.health.state == "locked"
    assert "locks" in history.health.reason
    assert heard.notes[-1] is not None
    assert len(await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1, (
        "what is stored can be read meanwhile"
    )
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: history.health.state == "ok" and history.health.spooled == 0)
    assert len(await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 2
    await history.close()
    assert heard.notes[-1] is None
    assert count(tmp_path, "feed_events") == 1


def limit_pages(history: History, pages: int) -> None:
    """Let the history's next connections have at most so many pages more than now (0: no limit)."""
    engine = history._writer.database._connected()
    with engine.connect() as connection:
        now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={now + pages if pages else 2**30}")


async def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(0)))
    await history.flush()
    await history._do(lambda: limit_pages(history, 1))
    for i in range(1, 40):
        history.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
    await until(lambda: history.health.state == "full")
    assert "full" in history.health.reason
    assert len(await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) >= 1
    await history._do(lambda: limit_pages(history, 0))
    await history.flush()
    assert history.health.state == "ok"
    assert len(await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 40
    await history.close()


async def test_without_any_disk_minutes_wait_in_memory_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.history_writer._MAX_IN_MEMORY", 5)
    (tmp_path / "spool").write_text("a file where the folder should be")
    heard = Heard()
    history = new_history(tmp_path, heard=heard)
    await history.open()
    other = sqlite3.connect(tmp_path / "h.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for i in range(8):
        history.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
    await until(lambda: history.health.in_memory == 5)
    assert history.health.dropped == 3
    assert "in memory" in str(heard.notes[-1])
    other.execute("ROLLBACK")
    other.close()
    await history.flush()
    window = await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    assert window.ts_ms.tolist() == [MINUTE_MS + i * 60_000 for i in range(3, 8)], "the newest are kept"
    await history.close()


async def test_a_long_outage_drops_the_oldest_minutes_and_counts_them(tmp_path: Path) -> None:
    history = new_history(tmp_path, "postgresql+psycopg://me@127.0.0.1:1/none", spool_bytes=60_000)
    await history.open()
    for i in range(40):
        history.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
    await history.flush()
    await history.close()
    assert history.health.dropped > 0
    assert history.health.dropped + history.health.spooled == 40
    healed = new_history(tmp_path)
    await healed.open()
    await healed.flush()
    window = await healed.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    first = history.health.dropped
    assert window.ts_ms.tolist() == [MINUTE_MS + i * 60_000 for i in range(first, 40)]
    await healed.close()


@pytest.mark.parametrize("damage", ["foreign bytes", "a page", "cut"])
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "h.sqlite"
    first = new_history(tmp_path)
    await first.open()
    for i in range(30):
        first.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
    await first.close()
    data = path.read_bytes()
    rng = np.random.default_rng(6)
    if damage == "foreign bytes":
        data = rng.bytes(20_000)
    elif damage == "a page":
        data = data[:4096] + rng.bytes(12_288) + data[16_384:]
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)
    heard = Heard()
    history = new_history(tmp_path, heard=heard)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(6)))
    await history.flush()
    assert history.health.state == "ok"
    assert len(await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1
    (aside,) = [name for name in os.listdir(tmp_path) if name.endswith(".broken.sqlite")]
    assert (tmp_path / aside).read_bytes() == data, "the damaged file is kept as it was"
    assert history.health.replaced == aside
    assert aside in heard.notices[0]
    await history.close()


async def test_damage_found_while_running_starts_a_new_file_and_keeps_the_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.database._CHECK_MAX_BYTES", 0)  # as for a file too large to check at each start
    path = tmp_path / "h.sqlite"
    first = new_history(tmp_path)
    await first.open()
    for i in range(30):
        first.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
    await first.close()
    data = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'symbol_minutes'").fetchone()
    data[(root - 1) * 4096 : root * 4096] = np.random.default_rng(1).bytes(4096)
    path.write_bytes(data)
    heard = Heard()
    history = new_history(tmp_path, heard=heard)
    await history.open()
    assert history.health.state == "ok", "nothing has touched the damage so far"
    history.write_minute(minute_block(np.random.default_rng(99), minute_ms=MINUTE_MS + 99 * 60_000))
    await until(lambda: bool(heard.notices) and history.health.state == "ok" and not history.health.spooled)
    assert "damaged" in heard.notices[0]
    window = await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    assert window.ts_ms.tolist() == [MINUTE_MS + 99 * 60_000]
    await history.close()


async def test_a_side_without_a_number_comes_back_as_not_known(history: History) -> None:
    block = minute_block(np.random.default_rng(2))
    block.symbols.usd[0, 1, 4] = np.nan
    block.groups.usd[0] = np.nan
    block.groups.vw_mid[0] = np.nan
    history.write_minute(block)
    await history.flush()
    window = await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    assert np.isnan(window.usd[0, 1, 4])
    assert window.coverage[0, 1].tolist() == [2, 2, 2, 2, 0, 2, 2]
    group = await history.read_group(Market.BINANCE_SPOT, Group.TOTAL, 0, 2**62, 3)
    assert (group.coverage == Coverage.NONE).all()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nonsense", "cannot be used"),
        ("oracle9://x/y", "expected sqlite"),
        ("mysql://me:hunter2@127.0.0.1/x", "expected sqlite"),
        ("sqlite:////proc/no/such/h.sqlite", "cannot be written"),
        ("postgresql+psycopg://me:hunter2@127.0.0.1:1/none", "cannot be reached"),
    ],
)
async def test_a_wrong_url_is_a_sentence_and_minutes_wait_on_disk(tmp_path: Path, url: str, word: str) -> None:
    history = new_history(tmp_path, url)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(7)))
    await history.flush()
    assert history.health.state in ("wrong", "away")
    assert word in history.health.reason
    assert "hunter2" not in history.health.reason
    assert "Traceback" not in history.health.reason
    assert history.health.spooled == 1
    with pytest.raises(StorageError):
        await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 1)
    await history.close()
    healed = new_history(tmp_path)
    await healed.open()
    await healed.flush()
    assert len(await healed.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1
    await healed.close()


async def test_a_database_of_a_newer_program_is_refused_untouched(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "h.sqlite"))
    database.open()
    with database._writing() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    database.close()
    before = (tmp_path / "h.sqlite").read_bytes()
    history = new_history(tmp_path)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(1)))
    await history.flush()
    assert history.health.state == "wrong"
    assert "newer" in history.health.reason
    assert history.health.spooled == 1
    await history.close()
    assert (tmp_path / "h.sqlite").read_bytes() == before


def version_one(path: Path) -> None:
    """Make a database as the first version left it, with one event in it."""
    engine = create_engine(sqlite_url(path))
    with engine.begin() as connection:
        assert migrate(connection, STEPS[:1]) == 0
        connection.execute(text("INSERT INTO feed_events VALUES ('k', 1, 's', 'error', NULL, 'kept')"))
    engine.dispose()


def test_an_older_database_is_copied_then_migrated(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    version_one(path)
    database = Database(sqlite_url(path))
    database.open()
    database.write_minutes([(minute_block(np.random.default_rng(8)), "p")])
    with database._connected().connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == CURRENT
        assert connection.execute(text("SELECT count(*) FROM depth_minutes")).scalar_one() == 21
        assert connection.execute(text("SELECT text FROM feed_events")).scalar_one() == "kept"
        inspector = inspect(connection)
        for table in schema.metadata.tables.values():
            found = [column["name"] for column in inspector.get_columns(table.name)]
            assert found == [column.name for column in table.columns], "the steps and the description agree"
    database.close()
    assert "h.sqlite.v1.bak" in database.notes[0]
    copy = sqlite3.connect(tmp_path / "h.sqlite.v1.bak")
    assert copy.execute("SELECT version, text FROM schema_version, feed_events").fetchall() == [(1, "kept")]
    copy.close()


def test_a_migration_that_fails_half_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.sqlite"
    version_one(path)
    broken = (*STEPS[:1], lambda dialect: (*STEPS[1](dialect)[:1], "CREATE NONSENSE"))
    with monkeypatch.context() as patch:
        patch.setattr("app.storage.database.migrate", lambda connection: migrate(connection, broken))
        with pytest.raises(SQLAlchemyError):
            Database(sqlite_url(path)).open()
    database = Database(sqlite_url(path))
    database.open()
    with database._connected().connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == CURRENT
        assert connection.execute(text("SELECT count(*) FROM depth_minutes")).scalar_one() == 0
    database.close()


WRITER = """
import sys, asyncio
sys.path[:0] = sys.argv[2:]
import numpy as np
from pathlib import Path
from blocks import minute_block, MINUTE_MS
from app.storage import schema
from app.storage.database import Database, sqlite_url
database = Database(sqlite_url(Path(sys.argv[1])))
database.open()
for i in range(100000):
    database.write_minutes([(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60000), f"p{i}")])
    print(i, flush=True)
"""


def test_a_kill_in_mid_write_loses_no_acknowledged_minute(tmp_path: Path) -> None:
    here = Path(__file__)
    path = tmp_path / "h.sqlite"
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(here.parent), str(here.parents[3])],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        acknowledged = -1
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged >= 20:
                break
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        child.wait()
        child.stdout.close()
        database = Database(sqlite_url(path))
        database.open()
        assert not database.notes
        window = database.read_symbol(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
        assert window.minute_ms.size >= acknowledged + 1
        database.close()


async def test_closing_flushes_what_was_just_taken(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(9), partial=True, samples=3))
    history.write_metrics(1, {"rss_mib": 1.0})
    history.write_event(event())
    await history.close()
    await history.close()
    assert count(tmp_path, "symbol_minutes WHERE partial = 1") == 3
    assert count(tmp_path, "system_metrics") == 1
    assert count(tmp_path, "feed_events") == 1
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    with pytest.raises(StorageError):
        await history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 1)


async def test_what_is_taken_before_opening_is_written_and_reads_wait_for_it(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    history.write_minute(minute_block(np.random.default_rng(9)))
    reading = asyncio.create_task(history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62))
    await asyncio.sleep(0)
    await history.open()
    assert len(await reading) == 1
    await history.close()


async def test_a_history_that_was_never_opened_spools_at_its_end(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    history.write_minute(minute_block(np.random.default_rng(9)))
    await history.close()
    later = new_history(tmp_path)
    await later.open()
    await later.flush()
    assert len(await later.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1
    await later.close()


def count(folder: Path, of: str) -> int:
    """Return how many rows a table holds, asked past the program."""
    connection = sqlite3.connect(folder / "h.sqlite")
    try:
        return int(connection.execute(f"SELECT count(*) FROM {of}").fetchone()[0])
    finally:
        connection.close()
