"""Minutes in a real PostgreSQL, started by the test, taken away in mid-run and brought back."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from app.domain.clock import SystemClock
from app.domain.coverage import Coverage
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.indicators.groups import Group
from app.storage.history import History

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "storage"))
from blocks import MINUTE_MS, minute_block  # shared with the unit tests of the stores

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package looks for a runtime folder of the user
    import pgserver


class Server:
    """A PostgreSQL cluster of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = pgserver.get_server(folder, cleanup_mode="stop")
        self.url = self.server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        pgserver.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self.folder, user=self.server.system_user)

    def start(self) -> None:
        self.server.ensure_postgres_running()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Server(tmp_path_factory.mktemp("pg"))
        yield made
        made.server.cleanup()


def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(sql))]
    engine.dispose()
    return found


async def test_minutes_parts_events_and_views_work_as_on_sqlite(server: Server, tmp_path: Path) -> None:
    history = History(server.url, tmp_path / "spool", SystemClock(), retry_s=(0.05,))
    await history.open()
    assert history.health.state == "ok", history.health.reason
    rng = np.random.default_rng(1)
    whole = minute_block(rng)
    parts = [minute_block(rng, minute_ms=MINUTE_MS + 60_000, samples=n, partial=True, exact=0.5) for n in (100, 200)]
    for block in (whole, whole, *parts):
        history.write_minute(block)
    history.write_event(
        FeedEvent(ts_ns=5, source="binance.spot", kind=FeedEventKind.GAP_DETECTED, symbol="BTCUSDT", text="gap")
    )
    history.write_metrics(5, {"rss_mib": 2.0})
    await history.flush()
    assert history.health.state == "ok", history.health.reason
    window = await history.read_coin(Market.SPOT, "BTCUSDT", 0, 2**62)
    np.testing.assert_allclose(window.usd[0], whole.symbols.usd[0])
    expected = (parts[0].symbols.usd[0] * 100 + parts[1].symbols.usd[0] * 200) / 300
    np.testing.assert_allclose(window.usd[1], expected)
    assert (window.coverage[0] == Coverage.EXACT).all()
    assert (window.coverage[1] == Coverage.PARTIAL).all()
    group = await history.read_group(Market.SPOT, Group.TOTAL, 0, 2**62, 3)
    np.testing.assert_allclose(group.usd[0], whole.groups.usd[0])
    await history.close()
    assert rows(server.url, "SELECT count(*) FROM depth_minutes") == [(42,)]
    assert rows(server.url, "SELECT count(*) FROM feed_events") == [(1,)]
    assert rows(server.url, "SELECT name, value FROM system_metrics") == [("rss_mib", 2.0)]


async def test_a_database_that_goes_away_and_returns_misses_no_minute(server: Server, tmp_path: Path) -> None:
    notes: list[str | None] = []
    history = History(server.url, tmp_path / "spool", SystemClock(), retry_s=(0.05,), on_note=notes.append)
    await history.open()
    rng = np.random.default_rng(2)
    start = MINUTE_MS + 3_600_000
    blocks = [minute_block(rng, minute_ms=start + i * 60_000) for i in range(9)]
    for block in blocks[:3]:
        history.write_minute(block)
    await history.flush()
    server.stop()
    for block in blocks[3:6]:
        history.write_minute(block)
    await history.flush()
    assert history.health.state == "away"
    assert history.health.spooled == 3
    assert notes[-1] is not None
    assert "written later" in notes[-1]
    server.start()
    for block in blocks[6:]:
        history.write_minute(block)
    await history.flush()
    assert history.health.state == "ok", history.health.reason
    assert notes[-1] is None
    window = await history.read_coin(Market.SPOT, "ETHUSDT", start, 2**62)
    assert window.ts_ms.tolist() == [start + i * 60_000 for i in range(9)]
    for i, block in enumerate(blocks):
        np.testing.assert_allclose(window.usd[i], block.symbols.usd[1])
    await history.close()


async def test_a_restart_between_two_writes_is_not_even_noticed_in_the_data(server: Server, tmp_path: Path) -> None:
    history = History(server.url, tmp_path / "spool", SystemClock(), retry_s=(0.05,))
    await history.open()
    start = MINUTE_MS + 7_200_000
    rng = np.random.default_rng(3)
    for i in range(4):
        history.write_minute(minute_block(rng, minute_ms=start + i * 60_000, market=Market.USDM))
        await history.flush()
        if i == 1:
            server.stop()
            server.start()
    await history.flush()
    window = await history.read_coin(Market.USDM, "BTCUSDT", start, 2**62)
    assert window.ts_ms.tolist() == [start + i * 60_000 for i in range(4)]
    await history.close()
