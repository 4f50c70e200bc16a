"""Profit and loss by the minute in a real PostgreSQL that goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import PostgresServer, running_postgres

from app.domain.clock import SystemClock
from app.domain.errors import StorageError
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.history import History

START_MS = 1_795_000_020_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


def minute(number: int, daily: float | None = 1.5) -> PnlMinute:
    return PnlMinute(
        source="tws",
        account="DU1",
        minute_ms=START_MS + number * 60_000,
        net_liquidation=1e6 + number,
        daily=daily,
        unrealised=None,
        realised=-0.25,
    )


async def test_minutes_survive_a_server_that_goes_away(server: PostgresServer, tmp_path: Path) -> None:
    name = server.new_database()
    history = History(server.url(name), tmp_path / "spool", SystemClock(), retry_s=(0.05,))
    await history.open()
    try:
        history.write_pnl(minute(0))
        history.write_pnl(minute(0, daily=2.5))
        await history.flush()
        assert await history.read_pnl("tws", "DU1", 0, 2**62) == (minute(0, daily=2.5),)
        server.stop()
        try:
            history.write_pnl(minute(1))
            await history.flush()
            assert history.health.spooled == 1
            with pytest.raises(StorageError):
                await history.read_pnl("tws", "DU1", 0, 2**62)
        finally:
            server.start()
        history.write_pnl(minute(2, daily=None))
        async with asyncio.timeout(30):
            while history.health.state != "ok" or history.health.spooled:  # noqa: ASYNC110 # plain attributes
                await asyncio.sleep(0.02)
        await history.flush()
        wanted = (minute(0, daily=2.5), minute(1), minute(2, daily=None))
        assert await history.read_pnl("tws", "DU1", 0, 2**62) == wanted
        assert server.query(name, "SELECT count(*), count(daily), count(unrealised) FROM pnl_minutes") == [(3, 2, 0)]
    finally:
        await history.close()
