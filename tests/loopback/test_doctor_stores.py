"""What the doctor finds at a real Redis, a real PostgreSQL and SQLite files; it changes nothing there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from servers import PostgresServer, RedisServer, free_port, running_postgres

from app.services.doctor_checks import stores
from app.services.doctor_checks.finding import Finding, State
from app.services.doctor_checks.stores import check_database, check_redis
from app.storage.database import Database, sqlite_url
from app.storage.migrations import CURRENT

ROOM = 50 * 2**30


async def redis_rows(url: str, patience_s: float = 5.0) -> dict[str, Finding]:
    return {row.check: row for row in await check_redis(url, patience_s)}


async def database_rows(url: str, file: Path, room: int = ROOM) -> dict[str, Finding]:
    return {row.check: row for row in await check_database(url, file, lambda _folder: room)}


# -- Redis --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


async def test_redis_is_asked_for_version_and_a_value(server: RedisServer) -> None:
    rows = await redis_rows(server.url)
    assert {row.state for row in rows.values()} == {State.OK}
    assert "version " in rows["connection"].cause
    with redis.Redis.from_url(server.url) as client:
        assert client.keys("*") == []


async def test_what_redis_refuses_is_told_apart(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+ping", "+get", "+hello", "+auth")
        guest = server.url.replace("redis://", "redis://reader:pw@")
        assert (await redis_rows(guest))["read and write"].cause == "The user may not read and write keys."
        wrong = await redis_rows(server.url.replace("redis://", "redis://reader:no@"))
        assert "refuses the user or the password" in wrong["connection"].cause
        client.config_set("maxmemory", "1")
        assert (await redis_rows(server.url))["read and write"].cause == "Redis is out of memory."
        client.config_set("maxmemory", "0")
        client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        assert (await redis_rows(server.url))["read and write"].cause == "It is a read-only replica."


async def test_a_redis_that_is_frozen_gone_off_or_misspelled(server: RedisServer) -> None:
    server.freeze()
    assert "does not answer within 0.3 s" in (await redis_rows(server.url, 0.3))["connection"].cause
    server.kill()
    gone = (await redis_rows(server.url.replace("redis://", "redis://me:hunter2@")))["connection"]
    assert (gone.state, "cannot be reached" in gone.cause, "hunter2" in gone.cause) == (State.FAIL, True, False)
    assert (await redis_rows(""))["connection"].state is State.OFF
    assert (await redis_rows("http://x"))["connection"].state is State.FAIL


# -- SQLite -------------------------------------------------------------------------------------------------------


def make_file(path: Path) -> None:
    database = Database(sqlite_url(path))
    database.open()
    database.close()


async def test_a_database_in_use_is_well_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    rows = await database_rows("", path)
    assert {row.state for row in rows.values()} == {State.OK}
    assert rows["connection"].cause.startswith("SQLite 3.")
    assert rows["schema"].cause == f"Schema {CURRENT}, up to date."
    with sqlite3.connect(path) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert "doctor_probe" not in tables
    assert "symbol_minutes" in tables
    assert not (tmp_path / stores.DATABASE_PROBE).exists()


async def test_a_database_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    rows = await database_rows("", tmp_path / "history.sqlite")
    assert rows["connection"].state is State.OK
    assert "first start" in rows["connection"].cause
    assert os.listdir(tmp_path) == []


async def test_a_file_that_may_only_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    rows = await database_rows(f"sqlite:///file:{path}?mode=ro&uri=true", path)
    assert rows["connection"].state is State.OK
    assert rows["writable"].state is State.FAIL
    assert "cannot be opened for writing" in rows["writable"].cause


async def test_a_locked_a_damaged_and_a_newer_file(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    locked = await database_rows("", path)
    assert "locks the database" in locked["writable"].cause
    holder.execute("ROLLBACK")
    holder.execute("UPDATE schema_version SET version = 99")
    holder.close()
    newer = await database_rows("", path)
    assert newer["schema"].state is State.FAIL
    assert "newer Fathom" in newer["schema"].cause
    path.write_bytes(b"this is no database at all" * 100)
    damaged = await database_rows("", path)
    assert list(damaged) == ["connection"]
    assert "is damaged" in damaged["connection"].cause
    assert path.read_bytes().startswith(b"this is no"), "it is not set aside by a mere look"


async def test_an_older_schema_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 1")
    connection.close()
    rows = await database_rows("", path)
    assert (rows["schema"].state, rows["schema"].cause) == (
        State.OK,
        f"Schema 1 of {CURRENT}; the next start brings it up to date.",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
async def test_a_full_disk_under_the_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    (tmp_path / stores.DATABASE_PROBE).symlink_to("/dev/full")
    rows = await database_rows("", path)
    assert rows["disk"].state is State.FAIL
    assert "No space left" in rows["disk"].cause


async def test_little_room_under_the_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    make_file(path)
    assert (await database_rows("", path, 2**20))["disk"].state is State.FAIL


@pytest.mark.parametrize("url", ["mysql://me:hunter2@127.0.0.1/x", "no url at all", "sqlite+nothing:///x"])
async def test_a_url_that_cannot_be_meant_is_said_without_its_password(url: str, tmp_path: Path) -> None:
    rows = await database_rows(url, tmp_path / "x")
    assert rows["connection"].state is State.FAIL
    assert "hunter2" not in rows["connection"].cause


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as made:
        yield made


async def test_postgresql_is_looked_at_without_making_anything(postgres: PostgresServer, tmp_path: Path) -> None:
    name = postgres.new_database()
    empty = await database_rows(postgres.url(name), tmp_path / "x")
    assert {row.state for row in empty.values()} == {State.OK}
    assert empty["connection"].cause.startswith("PostgreSQL ")
    assert "No tables yet" in empty["schema"].cause
    assert postgres.query(name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    database = Database(postgres.url(name))
    database.open()
    database.close()
    full = await database_rows(postgres.url(name), tmp_path / "x")
    assert full["schema"].cause == f"Schema {CURRENT}, up to date."
    postgres.query("postgres", "CREATE ROLE guest LOGIN")
    postgres.query(name, "GRANT SELECT ON schema_version TO guest")
    guest = await database_rows(postgres.url(name, "guest"), tmp_path / "x")
    assert (guest["writable"].state, guest["writable"].cause) == (State.FAIL, "The user may not write the tables.")
    postgres.query("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    frozen = await database_rows(postgres.url(name), tmp_path / "x")
    assert "read-only" in frozen["writable"].cause


async def test_a_postgresql_that_refuses_or_is_away_is_said(postgres: PostgresServer, tmp_path: Path) -> None:
    missing = (await database_rows(postgres.url("no_such_database"), tmp_path / "x"))["connection"]
    assert "does not exist there" in missing.cause
    postgres.query("postgres", "CREATE ROLE trader LOGIN PASSWORD 'right'")
    wrong = (await database_rows(postgres.url("postgres", "trader:hunter2"), tmp_path / "x"))["connection"]
    assert "refuses the user or the password" in wrong.cause
    assert "hunter2" not in wrong.cause
    away = await database_rows(f"postgresql+psycopg://me:hunter2@127.0.0.1:{free_port()}/x", tmp_path / "x")
    assert (away["connection"].state, "hunter2" in away["connection"].cause) == (State.FAIL, False)
