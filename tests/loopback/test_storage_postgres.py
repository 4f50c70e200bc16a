"""Minutes in a real PostgreSQL, started by the test, taken away in mid-run and brought back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from servers import PostgresServer, running_postgres
from sqlalchemy import inspect

from app.domain.clock import SystemClock
from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.indicators.groups import Group
from app.storage import schema
from app.storage.database import Database
from app.storage.history import History

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "storage"))
from blocks import MINUTE_MS, minute_block  # shared with the unit tests of the stores


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


@pytest.fixture
def name(server: PostgresServer) -> str:
    """Create an empty database and return its name."""
    return server.new_database()


class Run:
    """A history with what it said."""

    def __init__(self, url: str, folder: Path) -> None:
        self.notes: list[str | None] = []
        self.history = History(url, folder / "spool", SystemClock(), retry_s=(0.05,), on_note=self.notes.append)


@pytest.fixture
async def run(server: PostgresServer, name: str, tmp_path: Path) -> AsyncIterator[Run]:
    made = Run(server.url(name), tmp_path)
    await made.history.open()
    assert made.history.health.state == "ok", made.history.health.reason
    yield made
    await made.history.close()


async def until_ok(history: History) -> None:
    """Wait until the history has found its database again by itself and nothing waits on disk."""
    async with asyncio.timeout(30):
        while history.health.state != "ok" or history.health.spooled:  # noqa: ASYNC110 # plain attributes
            await asyncio.sleep(0.02)


async def test_minutes_parts_events_and_views_work_as_on_sqlite(run: Run, server: PostgresServer, name: str) -> None:
    rng = np.random.default_rng(1)
    whole = minute_block(rng)
    parts = [minute_block(rng, minute_ms=MINUTE_MS + 60_000, samples=n, partial=True, exact=0.5) for n in (100, 200)]
    whole.symbols.usd[1, 0, 3] = np.nan
    for block in (whole, whole, *parts):
        run.history.write_minute(block)
    run.history.write_event(
        FeedEvent(ts_ns=5, source="binance.spot", kind=FeedEventKind.GAP_DETECTED, symbol="BTCUSDT", text='a "gap"')
    )
    run.history.write_metrics(5, {"rss_mib": 2.0, "unknown": float("nan")})
    await run.history.flush()
    assert run.history.health.state == "ok", run.history.health.reason
    window = await run.history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)
    np.testing.assert_array_equal(window.usd[0], whole.symbols.usd[0])
    expected = (parts[0].symbols.usd[0] * 100 + parts[1].symbols.usd[0] * 200) / 300
    np.testing.assert_allclose(window.usd[1], expected)
    assert (window.coverage[0] == Coverage.EXACT).all()
    assert (window.coverage[1] == Coverage.PARTIAL).all()
    other = await run.history.read_coin(Market.BINANCE_SPOT, "ETHUSDT", 0, MINUTE_MS + 1)
    assert np.isnan(other.usd[0, 0, 3])
    assert other.coverage[0, 0, 3] == Coverage.NONE
    group = await run.history.read_group(Market.BINANCE_SPOT, Group.TOTAL, 0, 2**62, 3)
    np.testing.assert_array_equal(group.usd[0], whole.groups.usd[0])
    assert server.query(name, "SELECT count(*), count(bid_usd) FROM depth_minutes") == [(42, 41)]
    assert server.query(name, "SELECT count(*) FROM group_depth_minutes") == [(70,)]
    assert server.query(name, "SELECT source, kind, symbol, text FROM feed_events") == [
        ("binance.spot", "gap detected", "BTCUSDT", 'a "gap"')
    ]
    metrics = server.query(name, "SELECT name, value FROM system_metrics ORDER BY name")
    assert metrics == [("rss_mib", 2.0), ("unknown", None)]


async def test_the_tables_are_those_the_program_describes(run: Run, server: PostgresServer, name: str) -> None:
    database = Database(server.url(name))
    database.open()
    with database._connected().connect() as connection:
        inspector = inspect(connection)
        for table in schema.metadata.tables.values():
            found = [column["name"] for column in inspector.get_columns(table.name)]
            assert found == [column.name for column in table.columns]
            key = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key.columns]
    database.close()


async def test_a_database_that_goes_away_and_returns_misses_no_minute(run: Run, server: PostgresServer) -> None:
    history = run.history
    rng = np.random.default_rng(2)
    blocks = [minute_block(rng, minute_ms=MINUTE_MS + i * 60_000) for i in range(9)]
    for block in blocks[:3]:
        history.write_minute(block)
    await history.flush()
    server.stop()
    try:
        for block in blocks[3:6]:
            history.write_minute(block)
        await history.flush()
        assert history.health.state == "away"
        assert history.health.spooled == 3
        assert run.notes[-1] is not None
        assert "written later" in run.notes[-1]
        with pytest.raises(StorageError, match="cannot be reached"):
            await history.read_coin(Market.BINANCE_SPOT, "ETHUSDT", 0, 1)
    finally:
        server.start()
    for block in blocks[6:]:
        history.write_minute(block)
    await until_ok(history)
    await history.flush()
    assert run.notes[-1] is None
    window = await history.read_coin(Market.BINANCE_SPOT, "ETHUSDT", 0, 2**62)
    assert window.ts_ms.tolist() == [block.symbols.minute_ms for block in blocks]
    for i, block in enumerate(blocks):
        np.testing.assert_array_equal(window.usd[i], block.symbols.usd[1])


async def test_a_crash_between_two_writes_is_not_seen_in_the_data(run: Run, server: PostgresServer, name: str) -> None:
    rng = np.random.default_rng(3)
    minutes = [MINUTE_MS + i * 60_000 for i in range(4)]
    for i, minute in enumerate(minutes):
        run.history.write_minute(minute_block(rng, minute_ms=minute, market=Market.BINANCE_USDM))
        await run.history.flush()
        if i == 1:
            server.restart()
    await until_ok(run.history)
    window = await run.history.read_coin(Market.BINANCE_USDM, "BTCUSDT", 0, 2**62)
    assert window.ts_ms.tolist() == minutes
    doubles = "SELECT count(*) FROM (SELECT 1 FROM depth_minutes GROUP BY symbol, market, depth_pct, minute) AS keys"
    assert server.query(name, doubles) == server.query(name, "SELECT count(*) FROM depth_minutes")


async def test_parts_of_a_minute_that_waited_on_disk_are_combined_not_doubled(run: Run, server: PostgresServer) -> None:
    rng = np.random.default_rng(4)
    first = minute_block(rng, samples=100, partial=True)
    second = minute_block(rng, samples=50, partial=True)
    run.history.write_minute(first)
    await run.history.flush()
    server.stop()
    try:
        run.history.write_minute(second)
        await run.history.flush()
        assert run.history.health.spooled == 1
    finally:
        server.start()
    await until_ok(run.history)
    window = await run.history.read_coin(Market.BINANCE_SPOT, "SOLUSDT", 0, 2**62)
    expected = (first.symbols.usd[2] * 100 + second.symbols.usd[2] * 50) / 150
    np.testing.assert_allclose(window.usd, expected[None])


async def test_a_frozen_server_is_given_up_and_found_again(
    server: PostgresServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.history._STALL_NS", 200_000_000)
    monkeypatch.setattr("app.storage.history._WATCH_S", 0.05)
    made = Run(server.url(name), tmp_path)
    await made.history.open()
    server.freeze()
    try:
        made.history.write_minute(minute_block(np.random.default_rng(5)))
        async with asyncio.timeout(30):
            while made.history.health.spooled != 1:  # noqa: ASYNC110 # a plain attribute
                await asyncio.sleep(0.02)
        assert made.history.health.state == "away"
    finally:
        server.thaw()
    await until_ok(made.history)
    assert len(await made.history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1
    await made.history.close()


async def test_closing_does_not_wait_for_a_frozen_server(server: PostgresServer, name: str, tmp_path: Path) -> None:
    made = Run(server.url(name), tmp_path)
    await made.history.open()
    server.freeze()
    try:
        made.history.write_minute(minute_block(np.random.default_rng(6)))
        await made.history.close()
        assert made.history.health.spooled == 1, "what could not be written waits on disk"
    finally:
        server.thaw()
    again = Run(server.url(name), tmp_path)
    await again.history.open()
    await again.history.flush()
    assert len(await again.history.read_coin(Market.BINANCE_SPOT, "BTCUSDT", 0, 2**62)) == 1
    await again.history.close()


@pytest.mark.parametrize(
    ("user", "database", "words"), [("trader:hunter2", "", "password"), ("postgres", "nowhere", "nowhere")]
)
async def test_a_wrong_password_or_name_is_a_sentence(
    server: PostgresServer, name: str, tmp_path: Path, user: str, database: str, words: str
) -> None:
    if not server.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'trader'"):
        server.query("postgres", "CREATE ROLE trader LOGIN PASSWORD 'other'")
    made = Run(server.url(database or name, user), tmp_path)
    await made.history.open()
    made.history.write_minute(minute_block(np.random.default_rng(7)))
    await made.history.flush()
    health = made.history.health
    await made.history.close()
    assert health.state == "wrong"
    assert words in health.reason
    assert "hunter2" not in health.reason
    assert health.spooled == 1


async def test_two_collectors_may_start_on_an_empty_database_at_once(
    server: PostgresServer, name: str, tmp_path: Path
) -> None:
    runs = [Run(server.url(name), tmp_path / str(i)) for i in range(3)]
    await asyncio.gather(*(one.history.open() for one in runs))
    assert [one.history.health.state for one in runs] == ["ok"] * 3
    await asyncio.gather(*(one.history.close() for one in runs))
    assert server.query(name, "SELECT count(*) FROM schema_version") == [(1,)]
