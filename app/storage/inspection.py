"""Looks at a minute database without changing anything: which server or file, version, schema, may it be written.

Nothing is created, migrated or set aside here; a SQLite file that is not there yet stays away. Blocking: call it on a
thread. The connection gives up by itself after a few seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.domain.errors import StorageError
from app.storage.migrations import CURRENT, version_of
from app.storage.troubles import classify

_CONNECT_S: Final = 3
_STATEMENT_MS: Final = 3000
_BUSY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLook:
    """What was found. problem: why it cannot be used at all, "" when it can. engine: product and version.

    schema: version of its tables, 0: none yet, None: it could not be told. write_problem: why it cannot be written, ""
    when it can. path: the file of a SQLite database. size_bytes: of the whole database, None: not known.
    """

    problem: str = ""
    engine: str = ""
    schema: int | None = None
    write_problem: str = ""
    path: Path | None = None
    is_new: bool = False
    size_bytes: int | None = None


def inspect_database(url: str) -> DatabaseLook:
    """Return what is to be said of a database; never raises for one that is away or wrong."""
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
            return _inspect_file(parsed, url)
        if parsed.drivername == "postgresql+psycopg":
            return _inspect_server(parsed)
        raise ArgumentError(f"expected sqlite or postgresql+psycopg, was {parsed.drivername}")
    except (SQLAlchemyError, StorageError, OSError, ModuleNotFoundError, NoSuchModuleError) as error:
        return DatabaseLook(problem=classify(error, url).sentence)


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _inspect_file(parsed: URL, url: str) -> DatabaseLook:
    name = parsed.database or ""
    path = Path(name.removeprefix("file:").partition("?")[0]) if name else None
    if path is not None and not path.exists():
        return DatabaseLook(path=path, is_new=True, schema=0)
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _leave_transactions_to_us)
    try:
        with engine.connect() as connection:
            version = str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())
            found = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()  # reads the head of the file
            schema = version_of(connection) if found else 0
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            size = pages * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        with engine.connect() as connection:
            problem = _try_to_write(connection, url)
    finally:
        engine.dispose()
    if not problem and path is not None and not os.access(path.parent, os.W_OK):
        problem = f"the folder {path.parent} of the database cannot be written"
    return DatabaseLook(engine=f"SQLite {version}", schema=schema, write_problem=problem, path=path, size_bytes=size)


def _leave_transactions_to_us(driver: Any, _record: Any) -> None:
    driver.isolation_level = None


def _try_to_write(connection: Connection, url: str) -> str:
    """Begin to write and take it back; nothing of it reaches the file."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("CREATE TABLE doctor_probe (x INTEGER)")
    except DBAPIError as error:
        return classify(error, url).sentence.rstrip(".")
    finally:
        driver = connection.connection.driver_connection
        if driver is not None and driver.in_transaction:
            connection.exec_driver_sql("ROLLBACK")
    return ""


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def _inspect_server(parsed: URL) -> DatabaseLook:
    engine = create_engine(
        parsed,
        poolclass=NullPool,
        connect_args={
            "connect_timeout": _CONNECT_S,
            "application_name": "fathom doctor",
            "options": f"-c statement_timeout={_STATEMENT_MS}",
        },
    )
    try:
        with engine.connect() as connection:
            version = str(connection.execute(text("SHOW server_version")).scalar_one())
            schema = version_of(connection)
            size = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
            problem = _may_not_write(connection, schema)
    finally:
        engine.dispose()
    return DatabaseLook(
        engine=f"PostgreSQL {version.split()[0]}", schema=schema, write_problem=problem, size_bytes=size
    )


def _may_not_write(connection: Connection, schema: int) -> str:
    if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
        return "the server is read-only (a standby, or switched so)"
    if schema < CURRENT:
        may_make = connection.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar_one()
        if not may_make:
            return "the user may not make tables there"
    if schema:
        may_put = connection.execute(text("SELECT has_table_privilege('symbol_minutes', 'INSERT')")).scalar_one()
        if not may_put:
            return "the user may not write the tables"
    return ""
