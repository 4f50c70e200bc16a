"""Numbered steps that bring a database to the schema of this program.

A small table of our own instead of Alembic: the steps are few, must run on SQLite and PostgreSQL alike, and have to be
found inside a frozen bundle. A step that was released is never edited: a change of the schema is a further step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, inspect, text

from app.domain.errors import StorageError
from app.storage.migrations import v0001_tables, v0002_views, v0003_orders, v0004_pnl_minutes

Step = Callable[[str], tuple[str, ...]]
"""From a dialect's name (sqlite, postgresql) to SQL statements."""

STEPS: Final[tuple[Step, ...]] = (
    v0001_tables.statements,
    v0002_views.statements,
    v0003_orders.statements,
    v0004_pnl_minutes.statements,
)
CURRENT: Final = len(STEPS)


def version_of(connection: Connection) -> int:
    """Return the schema version of a database, 0 for an empty one."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())


def refuse_newer(version: int, known: int = CURRENT) -> None:
    """Raise StorageError for a database of a newer program."""
    if version > known:
        raise StorageError(
            f"The database was written by a newer Fathom: its schema version is {version}, this program knows up to "
            f"{known}. It is left as it is."
        )


def migrate(connection: Connection, steps: tuple[Step, ...] = STEPS) -> int:
    """Bring the database up to date inside the caller's transaction; return the version it had.

    Raises StorageError for a database of a newer program.
    """
    found = version_of(connection)
    refuse_newer(found, len(steps))
    if found == 0 and steps:
        connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO schema_version (version) VALUES (0)"))
    for number in range(found, len(steps)):
        for statement in steps[number](connection.dialect.name):
            connection.exec_driver_sql(statement)
        connection.execute(text("UPDATE schema_version SET version = :version"), {"version": number + 1})
    return found
