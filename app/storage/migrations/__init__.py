"""Numbered steps that bring a database to the schema of this program.

A small table of our own instead of Alembic: the steps are few, must run on SQLite and PostgreSQL alike, and have to be
found inside a frozen bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, inspect, text

from app.domain.errors import StorageError
from app.storage.schema import metadata, view_statements

Step = Callable[[Connection], None]


def _tables(connection: Connection) -> None:
    """Version 1: the tables."""
    metadata.create_all(connection)


def _views(connection: Connection) -> None:
    """Version 2: views with one row per depth."""
    for statement in view_statements():
        connection.execute(text(statement))


STEPS: Final[tuple[Step, ...]] = (_tables, _views)
CURRENT: Final = len(STEPS)


def version_of(connection: Connection) -> int:
    """Return the schema version of a database, 0 for an empty one."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())


def migrate(connection: Connection, steps: tuple[Step, ...] = STEPS) -> int:
    """Bring the database up to date inside the caller's transaction; return the version it had.

    Raises StorageError for a database of a newer program.
    """
    found = version_of(connection)
    if found > len(steps):
        raise StorageError(
            f"the database has schema version {found}, this program knows up to {len(steps)}: "
            "it was written by a newer Fathom"
        )
    if found == 0:
        connection.execute(text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO schema_version (version) VALUES (0)"))
    for number in range(found, len(steps)):
        steps[number](connection)
        connection.execute(text("UPDATE schema_version SET version = :version"), {"version": number + 1})
    return found
