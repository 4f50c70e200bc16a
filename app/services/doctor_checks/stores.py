"""Looks at the stores: Redis, and the database of minutes."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError

from app.domain.errors import StorageError
from app.services.doctor_checks.finding import Finding, Rows, sentence
from app.services.doctor_checks.machine import FreeBytes, free_bytes, space_row, write_probe
from app.services.doctor_checks.threads import in_thread
from app.settings.store import mask_url
from app.storage.database import sqlite_url
from app.storage.inspection import DatabaseLook, inspect_database
from app.storage.migrations import CURRENT
from app.storage.ticks_redis import connect, let_go, new_client

REDIS_SERVICE: Final = "Redis"
DATABASE_SERVICE: Final = "Database"
DATABASE_PROBE: Final = "doctor-database.probe"
_PROBE_S: Final = 10


# -- Redis ------------------------------------------------------------------------------------------------------------


async def check_redis(url: str, patience_s: float = 4.0) -> list[Finding]:
    """Return whether Redis answers, which version it is, and whether it takes and gives back a value."""
    rows = Rows(REDIS_SERVICE)
    if not url:
        return [rows.off("connection", "Not used: ticks are kept in memory (redis.url is empty).")]
    where = mask_url(url)
    try:
        client = new_client(url)
    except ValueError as error:
        advice = "Set redis.url, for example to redis://127.0.0.1:6379/0."
        return [rows.fail("connection", f"redis.url cannot be used: {error}.", advice)]
    began = time.perf_counter()
    try:
        async with asyncio.timeout(patience_s):
            await connect(client)
            took_ms = (time.perf_counter() - began) * 1000
            version = await _version(client)
            found = [rows.ok("connection", f"{where} answers{version}.", took_ms=took_ms)]
            return [*found, await _read_write(rows, client)]
    except AuthenticationError:
        return [rows.fail("connection", f"{where} refuses the user or the password.", "Mend redis.url.")]
    except TimeoutError:
        return [rows.fail("connection", f"{where} does not answer within {patience_s:g} s.", "Is Redis well?")]
    except (RedisError, OSError, StorageError) as error:
        words = str(error).rstrip(".") or "no answer"
        advice = "Start Redis, or empty redis.url; the program runs without it."
        return [rows.fail("connection", f"{where} cannot be reached: {words}.", advice)]
    finally:
        await let_go(client)


async def _version(client: Redis) -> str:
    with contextlib.suppress(NoPermissionError):
        info = await client.info("server")
        return f", version {info.get('redis_version', 'unknown')}"
    return ""


async def _read_write(rows: Rows, client: Redis) -> Finding:
    key, value = f"fathom:doctor:{uuid.uuid4().hex}", uuid.uuid4().hex.encode()
    began = time.perf_counter()
    try:
        await client.set(key, value, ex=_PROBE_S)
        kept = await client.get(key)
        await client.delete(key)
    except ReadOnlyError:
        return rows.fail("read and write", "It is a read-only replica.", "Name its primary in redis.url.")
    except NoPermissionError:
        advice = "Allow the user to read and write keys, or use another one."
        return rows.fail("read and write", "The user may not read and write keys.", advice)
    except OutOfMemoryError:
        return rows.fail("read and write", "Redis is out of memory.", "Raise its maxmemory, or choose an eviction.")
    took_ms = (time.perf_counter() - began) * 1000
    if kept not in (value, value.decode()):
        return rows.fail("read and write", "It does not give back what was written.", "Is it a Redis at all?")
    return rows.ok("read and write", "A value was written, read back and deleted.", took_ms=took_ms)


# -- database ---------------------------------------------------------------------------------------------------------


async def check_database(url: str, file: Path, free: FreeBytes = free_bytes) -> list[Finding]:
    """Return how the minute database is. url: of the setting, "" means the SQLite file."""
    began = time.perf_counter()
    look = await in_thread(lambda: inspect_database(url or sqlite_url(file)), "database")
    took_ms = (time.perf_counter() - began) * 1000
    found = database_rows(look, took_ms)
    if look.path is not None and not look.problem:
        folder = look.path.absolute().parent
        found += await in_thread(lambda: _disk(folder, free), "database disk")
    return found


def database_rows(look: DatabaseLook, took_ms: float) -> list[Finding]:
    """Return the rows of a database that was looked at."""
    rows = Rows(DATABASE_SERVICE)
    if look.problem:
        advice = "Minutes wait on disk meanwhile; mend database.url or the server, or empty the setting for SQLite."
        return [rows.fail("connection", sentence(look.problem), advice, took_ms=took_ms)]
    if look.is_new:
        return [rows.ok("connection", f"{look.path} is made at the first start.", took_ms=took_ms)]
    size = "" if look.size_bytes is None else f", {look.size_bytes / 2**20:,.1f} MiB"
    found = [rows.ok("connection", f"{look.engine} answers{size}.", took_ms=took_ms)]
    if look.write_problem:
        advice = "Give the user of this program the right to write there, or end what locks it."
        found.append(rows.fail("writable", sentence(look.write_problem), advice))
    else:
        found.append(rows.ok("writable", "It can be written."))
    return [*found, _schema(rows, look.schema)]


def _schema(rows: Rows, schema: int | None) -> Finding:
    if schema is None:
        return rows.unknown("schema", "Its version cannot be told.")
    if schema > CURRENT:
        words = f"It was written by a newer Fathom (schema {schema}, this program knows {CURRENT})."
        return rows.fail("schema", words, "Use the newer program, or another database.")
    if schema == CURRENT:
        return rows.ok("schema", f"Schema {schema}, up to date.")
    words = f"Schema {schema} of {CURRENT}" if schema else "No tables yet"
    return rows.ok("schema", f"{words}; the next start brings it up to date.")


def _disk(folder: Path, free: FreeBytes) -> list[Finding]:
    rows = Rows(DATABASE_SERVICE)
    if not folder.is_dir():
        return []
    problem = write_probe(folder, DATABASE_PROBE)
    if problem:
        return [rows.fail("disk", f"The folder of the database cannot be written: {problem}.", "Make room there.")]
    return [space_row(rows, folder, free, "disk")]
