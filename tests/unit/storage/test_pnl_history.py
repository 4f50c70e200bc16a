"""Profit and loss by the minute: what goes in comes out, a database that is away loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect, text

from app.domain.account import AccountPnl, AccountsSeen, AccountValue, Source, Tag
from app.domain.clock import SystemClock
from app.domain.errors import StorageError
from app.portfolio.ledger import Ledger
from app.portfolio.pnl_minutes import PnlMinute, pnl_minutes
from app.storage.database import Database, sqlite_url
from app.storage.history import History
from app.storage.migrations import STEPS, Step, migrate, v0004_pnl_minutes
from app.storage.pnl_history import pack_pnl, unpack_pnl

START_MS = 1_795_000_020_000


def minute(number: int, account: str = "DU1", source: str = "tws", **figures: float | None) -> PnlMinute:
    known = {"net_liquidation": 1_000.0 + number, "daily": -2.5, "unrealised": None, "realised": 0.0, **figures}
    return PnlMinute(source=source, account=account, minute_ms=START_MS + number * 60_000, **known)


def new_history(folder: Path, url: str | None = None) -> History:
    return History(url or sqlite_url(folder / "h.sqlite"), folder / "spool", SystemClock(), retry_s=(0.02,))


async def test_minutes_come_back_in_order_of_one_account_and_source(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    wanted = [minute(number) for number in range(5)]
    for row in (*reversed(wanted), minute(1, "DU2"), minute(1, source="portal")):
        history.write_pnl(row)
    await history.flush()
    assert await history.read_pnl("tws", "DU1", START_MS, START_MS + 5 * 60_000) == tuple(wanted)
    assert await history.read_pnl("tws", "DU1", START_MS + 60_000, START_MS + 3 * 60_000) == tuple(wanted[1:3])
    assert await history.read_pnl("portal", "DU1", 0, 2**62) == (minute(1, source="portal"),)
    await history.close()


async def test_a_minute_that_is_written_again_takes_the_new_figures(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    await history.open()
    for row in (minute(0), minute(0, daily=7.0)):
        history.write_pnl(row)
    await history.flush()
    history.write_pnl(minute(0, daily=8.0, unrealised=3.0))
    await history.flush()
    (found,) = await history.read_pnl("tws", "DU1", 0, 2**62)
    assert (found.daily, found.unrealised) == (8.0, 3.0)
    await history.close()


async def test_minutes_wait_on_disk_while_the_database_is_away(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("not a folder")
    url = sqlite_url(blocked / "h.sqlite")
    history = new_history(tmp_path, url)
    await history.open()
    history.write_pnl(minute(0))
    await history.flush()
    assert history.health.state != "ok"
    assert history.health.spooled == 1
    with pytest.raises(StorageError):
        await history.read_pnl("tws", "DU1", 0, 2**62)
    blocked.unlink()
    history.write_pnl(minute(1))
    async with asyncio.timeout(20):
        while history.health.state != "ok" or history.health.spooled:  # noqa: ASYNC110 # plain attributes
            await asyncio.sleep(0.02)
    await history.flush()
    assert await history.read_pnl("tws", "DU1", 0, 2**62) == (minute(0), minute(1))
    await history.close()


async def test_what_waits_on_disk_is_written_by_the_next_run(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("not a folder")
    url = sqlite_url(blocked / "h.sqlite")
    first = new_history(tmp_path, url)
    await first.open()
    first.write_pnl(minute(0))
    await first.close()
    blocked.unlink()
    second = new_history(tmp_path, url)
    await second.open()
    await second.flush()
    assert await second.read_pnl("tws", "DU1", 0, 2**62) == (minute(0),)
    await second.close()


@pytest.mark.parametrize(
    "steps", [STEPS[:2], tuple(step for step in STEPS if step is not v0004_pnl_minutes.statements)]
)
def test_a_database_of_before_gets_the_table(tmp_path: Path, steps: tuple[Step, ...]) -> None:
    url = sqlite_url(tmp_path / "old.sqlite")
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, steps)
        assert not inspect(connection).has_table("pnl_minutes")
        connection.execute(text("INSERT INTO feed_events VALUES ('k', 1, 's', 'notice', NULL, 'kept')"))
    engine.dispose()
    database = Database(url)
    database.open()
    database.write_pnl([minute(0)])
    assert database.read_pnl("tws", "DU1", 0, 2**62) == (minute(0),)
    database.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT text FROM feed_events")).scalar_one() == "kept"
    engine.dispose()


figures = st.floats(allow_nan=False, allow_infinity=False) | st.none()


@given(st.lists(st.tuples(figures, figures, st.integers(0, 1_500), st.text(max_size=8)), max_size=20))
def test_spooled_rows_come_back_as_they_were(entries: list[tuple[float | None, float | None, int, str]]) -> None:
    rows = [minute(number, account, daily=daily, realised=realised) for daily, realised, number, account in entries]
    assert unpack_pnl(pack_pnl(rows)) == rows


def test_a_spoilt_frame_is_refused() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        unpack_pnl(b"\xff" + pack_pnl([minute(0)]))


# -- rows of a ledger ----------------------------------------------------------------------------------------------


def test_a_ledger_gives_a_row_for_every_account_that_is_known() -> None:
    ledger = Ledger(Source.PORTAL)
    ledger.on_events(
        1,
        (
            AccountsSeen(("DU1", "DU2", "DU3")),
            AccountValue("DU1", Tag.NET_LIQUIDATION, "USD", 1_000.0),
            AccountPnl("DU1", -5.0, float("nan"), None),
            AccountPnl("DU2", 1.0, 2.0, 3.0),
        ),
    )
    first, second = pnl_minutes(ledger, START_MS * 1_000_000 + 59_999_999_999)
    assert first == PnlMinute(
        source="portal",
        account="DU1",
        minute_ms=START_MS,
        net_liquidation=1_000.0,
        daily=-5.0,
        unrealised=None,
        realised=None,
    )
    assert (second.account, second.net_liquidation, second.realised) == ("DU2", None, 3.0)


def test_a_ledger_of_which_nothing_is_known_gives_no_row() -> None:
    assert pnl_minutes(Ledger(Source.TWS), 10**18) == ()
