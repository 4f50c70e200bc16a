"""The minute database, synchronous: opened, migrated, written and read on one worker thread.

SQLite (WAL) is the default; any SQLAlchemy URL with a known driver works, PostgreSQL through psycopg being the tested
one. `classify` turns what a driver raises into a sentence and tells a full or absent store from a wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, Select, create_engine, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from app.domain.errors import StorageError
from app.domain.health import FeedEvent
from app.domain.ids import Market
from app.indicators.groups import Group
from app.indicators.window import BANDS
from app.settings.files import set_aside
from app.settings.store import mask_url
from app.storage import schema
from app.storage.migrations import CURRENT, migrate, version_of
from app.storage.minute_rows import (
    GROUP_ROW_COLUMNS,
    SYMBOL_ROW_COLUMNS,
    Row,
    exact_of_bits,
    group_tuples,
    merge_rows,
    symbol_tuples,
)
from app.storage.rows import MinuteBlock

_log = logging.getLogger("fathom.storage.database")
_CONNECT_TIMEOUT_S: Final = 5
_BUSY_TIMEOUT_MS: Final = 2000


class Trouble(StrEnum):
    """Why the database does not take work."""

    AWAY = "away"
    FULL = "full"
    CORRUPT = "corrupt"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Problem:
    """A trouble and the sentence for the screen."""

    trouble: Trouble
    sentence: str


def classify(error: Exception, url: str) -> Problem:
    """Return what an error of the driver means."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    words = (said[0] if said else type(error).__name__)[:200]
    low = words.lower()
    where = mask_url(url)
    if isinstance(error, StorageError):
        return Problem(Trouble.WRONG, str(error))
    if isinstance(error, ArgumentError | NoSuchModuleError | ModuleNotFoundError):
        return Problem(Trouble.WRONG, f"The database URL {where} cannot be used: {words}.")
    if "disk is full" in low or "no space left" in low or "disk full" in low:
        return Problem(Trouble.FULL, "The disk of the database is full.")
    if "not a database" in low or "malformed" in low:
        return Problem(Trouble.CORRUPT, "The database file is damaged.")
    if "locked" in low or "busy" in low:
        return Problem(Trouble.AWAY, "The database is locked by another program.")
    if "authentication failed" in low or ("role" in low and "does not exist" in low):
        return Problem(Trouble.WRONG, f"The database refuses the user or password of {where}.")
    if "unable to open database file" in low or "readonly database" in low:
        return Problem(Trouble.WRONG, f"The database file {where} cannot be opened for writing.")
    return Problem(Trouble.AWAY, f"The database {where} cannot be reached: {words}.")


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSeries:
    """Stored minutes of one symbol: minute_ms int64 [t]; usd, unconfirmed float64 [t, 2, 7]; exact bool [t, 2, 7]."""

    minute_ms: npt.NDArray[np.int64]
    usd: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    unconfirmed: npt.NDArray[np.float64]


class Database:
    """One engine and the statements of the history. Every method blocks; errors are SQLAlchemy's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None
        self.notes: list[str] = []

    # -- opening -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect and migrate; a damaged SQLite file is set aside and a new one begun."""
        self.close()
        parsed = make_url(self.url)
        path = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open(path)
        except DBAPIError as error:
            self.close()
            if path is None or classify(error, self.url).trouble is not Trouble.CORRUPT:
                raise
            aside = set_aside(path)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            kept = f"kept as {aside.name}" if aside is not None else "lost"
            self.notes.append(f"The history database was damaged; it was {kept} and a new one was begun.")
            _log.warning("damaged database %s set aside", path)
            self._open(path)

    def _open(self, path: Path | None) -> None:
        engine = self._make_engine(sqlite=path is not None)
        self._engine = engine
        with engine.connect() as connection:
            if path is not None:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if found != "ok":
                    raise OperationalError("quick_check", None, Exception(f"malformed: {found}"))
            version = version_of(connection)
            if path is not None and 0 < version < CURRENT:
                copy = path.with_name(f"{path.name}.v{version}.bak")
                connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))
        with engine.begin() as connection:
            migrate(connection)

    def _make_engine(self, *, sqlite: bool) -> Engine:
        if not sqlite:
            return create_engine(
                self.url, pool_pre_ping=True, pool_size=1, max_overflow=1, connect_args=_connect_args(self.url)
            )
        engine = create_engine(self.url, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            cursor.close()

        return engine

    @property
    def is_open(self) -> bool:
        """Whether `open` succeeded and `close` has not been called."""
        return self._engine is not None

    def close(self) -> None:
        """Let go of all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _connected(self) -> Engine:
        if self._engine is None:
            raise StorageError("The database is not open.")
        return self._engine

    # -- writing -------------------------------------------------------------------------------------------------

    def write_minutes(self, blocks: Sequence[tuple[MinuteBlock, str]]) -> None:
        """Write minutes with their part ids in one transaction; what is there already is not doubled."""
        with self._connected().begin() as connection:
            whole_symbols: list[tuple[Any, ...]] = []
            whole_groups: list[tuple[Any, ...]] = []
            for block, part in blocks:
                symbols, groups = symbol_tuples(block.symbols, part), group_tuples(block.groups, part)
                if block.symbols.partial:
                    self._merge(connection, schema.symbol_minutes.name, SYMBOL_ROW_COLUMNS, schema.SYMBOL_KEY, symbols)
                    self._merge(connection, schema.group_minutes.name, GROUP_ROW_COLUMNS, schema.GROUP_KEY, groups)
                else:
                    whole_symbols += symbols
                    whole_groups += groups
            self._upsert(connection, schema.symbol_minutes.name, SYMBOL_ROW_COLUMNS, schema.SYMBOL_KEY, whole_symbols)
            self._upsert(connection, schema.group_minutes.name, GROUP_ROW_COLUMNS, schema.GROUP_KEY, whole_groups)

    def _upsert(
        self, connection: Connection, table: str, columns: list[str], key: tuple[str, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        if not rows:
            return
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        updates = ", ".join(f"{name}=excluded.{name}" for name in columns if name not in key)
        connection.exec_driver_sql(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}",
            rows,
        )

    def _merge(
        self, connection: Connection, table: str, columns: list[str], key: tuple[str, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        """Write parts of a minute: combine each with the row that is there, if any."""
        out = []
        condition = " AND ".join(f"{name} = :{name}" for name in key)
        statement = text(f"SELECT {', '.join(columns)} FROM {table} WHERE {condition}")
        for values in rows:
            new: Row = dict(zip(columns, values, strict=True))
            found = connection.execute(statement, {name: new[name] for name in key}).mappings().first()
            merged = new if found is None else merge_rows(dict(found), new)
            if merged is not None:
                out.append(tuple(merged[name] for name in columns))
        self._upsert(connection, table, columns, key, out)

    def write_events(self, events: Iterable[tuple[str, FeedEvent]]) -> None:
        """Write feed events by their ids; one that is there already is left alone."""
        rows = [(key, e.ts_ns, e.source[:40], e.kind.value, e.symbol, e.text[:1000]) for key, e in events]
        self._insert_new(schema.feed_events.name, ("id", "ts_ns", "source", "kind", "symbol", "text"), rows)

    def write_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Write system metrics of one moment."""
        rows = [(ts_ns, name, value) for name, value in values.items()]
        self._insert_new(schema.system_metrics.name, ("ts_ns", "name", "value"), rows)

    def _insert_new(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        with self._connected().begin() as connection:
            mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))}) "
                "ON CONFLICT DO NOTHING",
                rows,
            )

    # -- reading -------------------------------------------------------------------------------------------------

    def read_symbol(self, market: Market, symbol: str, start_ms: int, end_ms: int) -> SymbolSeries:
        """Return the minutes of one symbol with start_ms <= minute < end_ms."""
        rows = self._symbol_numbers(("minute", "exact_bits", "loose"), ("usd",), market, symbol, start_ms, end_ms)
        shape = (len(rows), 2, BANDS)
        unconfirmed = np.zeros(shape)
        if rows[:, 2].any():
            loose = self._symbol_numbers(("minute",), ("unconfirmed",), market, symbol, start_ms, end_ms)
            if len(loose) == len(rows):
                unconfirmed = loose[:, 1:].reshape(shape)
        return SymbolSeries(
            minute_ms=rows[:, 0].astype(np.int64),
            usd=rows[:, 3:].reshape(shape),
            exact=exact_of_bits(rows[:, 1].astype(np.int64)),
            unconfirmed=unconfirmed,
        )

    def _symbol_numbers(
        self, scalars: tuple[str, ...], bands: tuple[str, ...], market: Market, symbol: str, start_ms: int, end_ms: int
    ) -> npt.NDArray[np.float64]:
        table = schema.symbol_minutes
        columns = [*scalars, *schema.symbol_columns(*bands)]
        statement = (
            select(*(table.c[name] for name in columns))
            .where(table.c.symbol == symbol, table.c.market == market.value)
            .where(table.c.minute >= start_ms, table.c.minute < end_ms)
            .order_by(table.c.minute)
        )
        return self._numbers(statement, len(columns))

    def read_group(self, market: Market, group: Group, start_ms: int, end_ms: int) -> npt.NDArray[np.float64]:
        """Return float64 [t, 4 + 42 + 21]: minute, samples, included, total, usd, unconfirmed, exact, ratio_*."""
        table = schema.group_minutes
        columns = ["minute", "samples", "included", "total"]
        columns += schema.group_columns(schema.GROUP_BANDS, schema.GROUP_DEPTHS)
        statement = (
            select(*(table.c[name] for name in columns))
            .where(table.c.name == group.value, table.c.market == market.value)
            .where(table.c.minute >= start_ms, table.c.minute < end_ms)
            .order_by(table.c.minute)
        )
        return self._numbers(statement, len(columns))

    def _numbers(self, statement: Select[Any], columns: int) -> npt.NDArray[np.float64]:
        with self._connected().connect() as connection:
            cursor = connection.execute(statement).cursor
            assert cursor is not None
            rows = cursor.fetchall()  # the driver's own tuples: building row objects doubles the time
        try:
            flat = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * columns)
        except TypeError:  # some value is NULL: slower, and gives NaN for it
            flat = np.array(rows, np.float64)
        return flat.reshape(-1, columns)


def _connect_args(url: str) -> dict[str, Any]:
    return {"connect_timeout": _CONNECT_TIMEOUT_S} if make_url(url).get_backend_name() == "postgresql" else {}


__all__ = ["Database", "Problem", "SQLAlchemyError", "Trouble", "classify", "sqlite_url"]
