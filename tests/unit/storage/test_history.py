"""The history on SQLite: what goes in comes out, trouble is said in a sentence, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from blocks import MINUTE_MS, minute_block
from sqlalchemy import create_engine, text

from app.domain.clock import SystemClock
from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.indicators.groups import Group
from app.storage.database import Database, sqlite_url
from app.storage.history import History
from app.storage.migrations import CURRENT, STEPS, migrate

FAST = (0.05,)


def event(text_: str = "lost") -> FeedEvent:
    return FeedEvent(ts_ns=1, source="binance.spot", kind=FeedEventKind.ERROR, symbol=None, text=text_)


def new_history(folder: Path, url: str | None = None, **more: object) -> History:
    notes: list[str | None] = []
    history = History(
        url or sqlite_url(folder / "h.sqlite"),
        folder / "spool",
        SystemClock(),
        on_note=notes.append,
        retry_s=FAST,
        **more,
    )
    history.notes = notes  # type: ignore[attr-defined]
    return history


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
    window = await history.read_coin(Market.SPOT, "ETHUSDT", MINUTE_MS + 60_000, MINUTE_MS + 240_000)
    assert window.ts_ms.tolist() == [MINUTE_MS + i * 60_000 for i in (1, 2, 3)]
    np.testing.assert_array_equal(window.usd[1], blocks[2].symbols.usd[1])
    assert (window.coverage == Coverage.EXACT).all()
    group = await history.read_group(Market.SPOT, Group.TOTAL1, 0, 2**62, 3)
    np.testing.assert_array_equal(group.usd[0], blocks[0].groups.usd[1])
    np.testing.assert_array_equal(group.ratio_mean[0], blocks[0].groups.ratio_mean[1])
    assert (group.coverage == Coverage.EXACT).all()
    assert len(await history.read_coin(Market.USDM, "ETHUSDT", 0, 2**62)) == 0


async def test_partial_coverage_and_unconfirmed_shares_come_back(history: History) -> None:
    block = minute_block(np.random.default_rng(2), exact=0.5)
    history.write_minute(block)
    await history.flush()
    window = await history.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)
    assert (window.coverage == Coverage.PARTIAL).all()
    np.testing.assert_allclose(window.unconfirmed[0], block.symbols.unconfirmed[0])
    group = await history.read_group(Market.SPOT, Group.TOTAL, 0, 2**62, 3)
    assert (group.coverage == Coverage.PARTIAL).all()


async def test_views_show_one_row_per_symbol_market_depth_and_minute(history: History, tmp_path: Path) -> None:
    block = minute_block(np.random.default_rng(3))
    history.write_minute(block)
    history.write_minute(block)
    await history.flush()
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        rows = connection.execute(
            "SELECT depth_pct, bid_usd, ask_coins, bid_threshold FROM depth_minutes WHERE symbol = 'BTCUSDT' ORDER BY 1"
        ).fetchall()
        keys = connection.execute(
            "SELECT count(*), count(DISTINCT symbol || market || depth_pct || minute) FROM depth_minutes"
        ).fetchone()
        groups = connection.execute("SELECT count(*) FROM group_depth_minutes").fetchone()
    connection.close()
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
    window = await run.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)
    await run.close()
    expected = (first.symbols.usd[0] * 100 + second.symbols.usd[0] * 200) / 300
    np.testing.assert_allclose(window.usd[0], expected)


async def test_a_locked_database_is_said_spooled_and_caught_up(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    with sqlite3.connect(tmp_path / "h.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        history.write_minute(minute_block(np.random.default_rng(5)))
        history.write_event(event())
        await history.flush()
        assert history.health.state == "away"
        assert "locked" in history.health.reason
        assert history.health.spooled == 2
        other.execute("ROLLBACK")
    other.close()
    await history.flush()
    assert history.health.state == "ok"
    assert len(await history.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)) == 1
    assert history.notes[-1] is None  # type: ignore[attr-defined]
    await history.close()
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM feed_events").fetchone() == (1,)
    connection.close()


async def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    engine = history._database._connected()
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        for i in range(40):
            history.write_minute(minute_block(np.random.default_rng(i), minute_ms=MINUTE_MS + i * 60_000))
        connection.close()
        await history.flush()
    assert history.health.state == "full"
    assert history.health.spooled == 40
    await history.flush()  # a new connection has no such limit
    assert history.health.state == "ok"
    assert len(await history.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)) == 40
    await history.close()


async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "h.sqlite").write_bytes(os.urandom(20_000))
    notices: list[str] = []
    history = new_history(tmp_path, on_notice=notices.append)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(6)))
    await history.flush()
    assert history.health.state == "ok"
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".broken.sqlite")]) == 1
    assert "damaged" in notices[0]
    await history.close()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nonsense", "cannot be used"),
        ("oracle9://x/y", "cannot be used"),
        ("sqlite:////proc/no/such/h.sqlite", "be"),
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
        await history.read_coin(Market.SPOT, "BTCUSDT", 0, 1)
    await history.close()
    healed = new_history(tmp_path)
    await healed.open()
    assert len(await healed.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)) == 1
    await healed.close()


async def test_a_database_of_a_newer_program_is_refused_untouched(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "h.sqlite"))
    database.open()
    with database._connected().begin() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    database.close()
    history = new_history(tmp_path)
    await history.open()
    assert history.health.state == "wrong"
    assert "newer" in history.health.reason
    await history.close()


def test_an_older_database_is_copied_then_migrated(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "h.sqlite")
    engine = create_engine(url)
    with engine.begin() as connection:
        assert migrate(connection, STEPS[:1]) == 0
    engine.dispose()
    database = Database(url)
    database.open()
    database.write_minutes([(minute_block(np.random.default_rng(8)), "p")])
    with database._connected().connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == CURRENT
        assert connection.execute(text("SELECT count(*) FROM depth_minutes")).scalar_one() == 21
    database.close()
    assert (tmp_path / "h.sqlite.v1.bak").exists()


WRITER = """
import sys, asyncio
sys.path[:0] = sys.argv[2:]
import numpy as np
from pathlib import Path
from blocks import minute_block, MINUTE_MS
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
        window = database.read_symbol(Market.SPOT, "BTCUSDT", 0, 2**62)
        assert window.minute_ms.size >= acknowledged + 1
        database.close()


async def test_closing_flushes_what_was_just_taken(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    history.write_minute(minute_block(np.random.default_rng(9), partial=True, samples=3))
    history.write_metrics(time.time_ns(), {"rss_mib": 1.0})
    await history.close()
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        assert connection.execute("SELECT count(*), max(partial) FROM symbol_minutes").fetchone() == (3, 1)
        assert connection.execute("SELECT count(*) FROM system_metrics").fetchone() == (1,)
    connection.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
