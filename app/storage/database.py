"""The minute database, synchronous: opened, checked, migrated, written and read on one worker thread.

SQLite (WAL) is the default, PostgreSQL through psycopg the other one. A damaged SQLite file is set aside and a new one
begun; before a migration SQLite is copied beside itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from app.domain.errors import StorageError
from app.domain.health import FeedEvent
from app.domain.ids import Market
from app.indicators.groups import Group
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.settings.files import set_aside
from app.settings.store import mask_url
from app.storage import order_history, pnl_history, statements
from app.storage.migrations import CURRENT, migrate, refuse_newer, version_of
from app.storage.rows import MinuteBlock
from app.storage.troubles import Trouble, classify

_log = logging.getLogger("fathom.storage.database")
_CONNECT_TIMEOUT_S: Final = 3
_BUSY_TIMEOUT_MS: Final = 2000
_CHECK_MAX_BYTES: Final = 256 * 1024 * 1024
_MIGRATION_LOCK: Final = 0x0FA7_0301


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


class Database:
    """One engine and the statements of the history. Every method blocks; errors are SQLAlchemy's or StorageError.

    `notes` collects sentences for the user about what was done to the file; `replaced` is the name under which a
    damaged one was kept ("" if none).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.notes: list[str] = []
        self.replaced = ""
        self._engine: Engine | None = None
        self._drivers: set[Any] = set()
        self._given_up = False

    # -- opening -------------------------------------------------------------------------------------------------

    def open(self, *, suspect: bool = False) -> None:
        """Connect and migrate. `suspect`: it reported damage before, so it is checked whatever its size."""
        self.close()
        self._given_up = False
        url = _checked(self.url)
        path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open(url, path, suspect=suspect)
        except DBAPIError as error:
            self.close()
            if path is None or classify(error, self.url).trouble is not Trouble.CORRUPT:
                raise
            self._set_aside(path)
            self._open(url, path, suspect=False)
        except BaseException:
            self.close()
            raise

    def _open(self, url: URL, path: Path | None, *, suspect: bool) -> None:
        engine = self._make_engine(url)
        self._engine = engine
        if path is not None and (suspect or path.stat().st_size <= _CHECK_MAX_BYTES if path.exists() else False):
            with engine.connect() as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise OperationalError("quick_check", None, Exception(f"malformed: {found}"))
        with engine.connect() as connection:
            version = version_of(connection)
        refuse_newer(version)
        if version == CURRENT:
            return
        if path is not None and version:
            self._back_up(engine, path.with_name(f"{path.name}.v{version}.bak"))
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":  # two collectors may start at the same time
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            migrate(connection)

    def _back_up(self, engine: Engine, copy: Path) -> None:
        fresh = copy.with_name(copy.name + ".new")
        fresh.unlink(missing_ok=True)
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("VACUUM INTO ?", (str(fresh),))
        finally:
            raw.close()
        os.replace(fresh, copy)
        self.notes.append(f"The history database is brought up to date; its previous state is kept as {copy.name}.")

    def _set_aside(self, path: Path) -> None:
        aside = set_aside(path)
        if aside is None:
            raise StorageError(f"The database file {path} is damaged and could not be renamed.")
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
        self.replaced = aside.name
        self.notes.append(f"The history database was damaged; it was kept as {aside.name} and a new one was begun.")
        _log.warning("damaged database %s kept as %s", path, aside.name)

    def _make_engine(self, url: URL) -> Engine:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_size=1,
            max_overflow=0,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "fathom"},
        )
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", lambda driver, _record: self._drivers.add(driver))
        event.listen(engine, "close", lambda driver, _record: self._drivers.discard(driver))
        return engine

    def _before_connect(self, *_details: object) -> None:
        if self._given_up:
            raise TimeoutError("the database does not answer")

    @property
    def is_open(self) -> bool:
        """Whether `open` succeeded and `close` has not been called."""
        return self._engine is not None

    def abort(self) -> None:
        """End a statement that waits for a frozen server, from another thread: it fails there as a lost connection.

        Nothing is connected anew until `open`.
        """
        self._given_up = True
        for driver in tuple(self._drivers):
            # the driver is not imported here, so its error for "closed meanwhile" has no name
            with contextlib.suppress(Exception), socket.socket(fileno=os.dup(driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of all connections."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()
        self._drivers.clear()

    def _connected(self) -> Engine:
        if self._engine is None:
            raise StorageError("The database is not open.")
        return self._engine

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connected().connect() as plain:
            connection = plain.execution_options(writing=True)
            with connection.begin():
                yield connection

    # -- statements ----------------------------------------------------------------------------------------------

    def write_minutes(self, blocks: Sequence[tuple[MinuteBlock, str]]) -> None:
        """Write minutes with their part ids in one transaction; what is there already is not doubled."""
        with self._writing() as connection:
            statements.write_minutes(connection, blocks)

    def write_events(self, events: Iterable[tuple[str, FeedEvent]]) -> None:
        """Write feed events by their ids; one that is there already is left alone."""
        with self._writing() as connection:
            statements.write_events(connection, events)

    def write_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Write system metrics of one moment."""
        with self._writing() as connection:
            statements.write_metrics(connection, ts_ns, values)

    def write_pnl(self, rows: Sequence[PnlMinute]) -> None:
        """Write minutes of profit and loss; one that is there already takes the new figures."""
        with self._writing() as connection:
            pnl_history.write_pnl(connection, rows)

    def read_pnl(self, source: str, account: str, start_ms: int, end_ms: int) -> tuple[PnlMinute, ...]:
        """Return the minutes of profit and loss of one account with start_ms <= minute < end_ms."""
        with self._connected().connect() as connection:
            return pnl_history.read_pnl(connection, source, account, start_ms, end_ms)

    def write_orders(self, records: OrderRecords) -> None:
        """Write orders and fills by their ids; of two writings of one the later holds."""
        with self._writing() as connection:
            order_history.write_orders(connection, records)

    def read_orders(self, query: OrderQuery) -> OrderRecords:
        """Return the stored orders and fills that are asked for."""
        with self._connected().connect() as connection:
            return order_history.read_orders(connection, query)

    def read_symbol(self, market: Market, symbol: str, start_ms: int, end_ms: int) -> statements.SymbolSeries:
        """Return the minutes of one symbol with start_ms <= minute < end_ms."""
        with self._connected().connect() as connection:
            return statements.read_symbol(connection, market, symbol, start_ms, end_ms)

    def read_group(self, market: Market, group: Group, start_ms: int, end_ms: int) -> statements.GroupSeries:
        """Return the minutes of one group with start_ms <= minute < end_ms."""
        with self._connected().connect() as connection:
            return statements.read_group(connection, market, group, start_ms, end_ms)


def _checked(url: str) -> URL:
    """Return the parsed URL; raise StorageError when no supported database can be meant."""
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StorageError(
            f"The database URL {mask_url(url)} cannot be used: expected sqlite:///FILE or "
            f"postgresql+psycopg://USER:PASSWORD@HOST/NAME."
        )
    return parsed


def _prepare_sqlite(driver: Any, _record: Any) -> None:
    driver.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    cursor = driver.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    # A minute touches a page per symbol: room for these pages, and a checkpoint every 15 minutes instead of every 4.
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.execute("PRAGMA wal_autocheckpoint=4000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
