"""What is written to and read from the minute database, given a connection; SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select, select
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.health import FeedEvent
from app.domain.ids import Market
from app.indicators.groups import Group
from app.indicators.window import BANDS
from app.storage import schema
from app.storage.minute_rows import (
    GROUP_ROW_COLUMNS,
    SYMBOL_ROW_COLUMNS,
    exact_of_bits,
    group_tuples,
    groups_of_blobs,
    merge_rows,
    shares_of_blobs,
    symbol_tuples,
)
from app.storage.rows import MinuteBlock

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table of minutes: its name, its columns in the order of the tuples, its key."""

    table: str
    columns: list[str]
    key: tuple[str, str, str]


_SYMBOLS = _Kind(schema.symbol_minutes.name, SYMBOL_ROW_COLUMNS, schema.SYMBOL_KEY)
_GROUPS = _Kind(schema.group_minutes.name, GROUP_ROW_COLUMNS, schema.GROUP_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSeries:
    """Stored minutes of one symbol: minute_ms int64 [t]; usd, unconfirmed float64 [t, 2, 7]; exact bool [t, 2, 7]."""

    minute_ms: npt.NDArray[np.int64]
    usd: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    unconfirmed: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSeries:
    """Stored minutes of one group: minute_ms, included, total int64 [t]; bands [t, 2, 7]; ratios and counts [t, 7]."""

    minute_ms: npt.NDArray[np.int64]
    included: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    usd: npt.NDArray[np.float64]
    unconfirmed: npt.NDArray[np.float64]
    exact: npt.NDArray[np.int64]
    ratio_mean: npt.NDArray[np.float64]
    ratio_count: npt.NDArray[np.int64]
    ratio_exact: npt.NDArray[np.int64]


# -- writing -----------------------------------------------------------------------------------------------------


def write_minutes(connection: Connection, blocks: Sequence[tuple[MinuteBlock, str]]) -> None:
    """Write minutes with their part ids; what is there already is not doubled."""
    whole: dict[str, Rows] = {_SYMBOLS.table: [], _GROUPS.table: []}
    for block, part in blocks:
        symbols, groups = symbol_tuples(block.symbols, part), group_tuples(block.groups, part)
        if block.symbols.partial:
            _merge(connection, _SYMBOLS, symbols)
            _merge(connection, _GROUPS, groups)
        else:
            whole[_SYMBOLS.table] += symbols
            whole[_GROUPS.table] += groups
    for kind in (_SYMBOLS, _GROUPS):
        _replace(connection, kind, whole[kind.table])


def _replace(connection: Connection, kind: _Kind, rows: Rows) -> None:
    """Insert rows; one that is there already takes the new values."""
    if not rows:
        return
    columns = ", ".join(kind.columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(kind.columns))
        connection.exec_driver_sql(f"INSERT OR REPLACE INTO {kind.table} ({columns}) VALUES ({marks})", rows)
        return
    # COPY into a table of this transaction, then one statement: several times faster than a statement per row
    unique = list({row[:3]: row for row in rows}.values())
    staging = f"new_{kind.table}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging} (LIKE {kind.table}) ON COMMIT DELETE ROWS"
    )
    connection.exec_driver_sql(f"DELETE FROM {staging}")
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {staging} ({columns}) FROM STDIN {_COPY_FORMAT}") as copy:
        copy.write(b"".join([_copy_line(row) for row in unique]))
    updates = ", ".join(f"{name} = excluded.{name}" for name in kind.columns if name not in kind.key)
    connection.exec_driver_sql(
        f"INSERT INTO {kind.table} ({columns}) SELECT {columns} FROM {staging} "
        f"ON CONFLICT ({', '.join(kind.key)}) DO UPDATE SET {updates}"
    )


# A JSON array without its brackets is a line of CSV, and encoding one costs a tenth of the driver's adaptation.
# Only the first columns can hold bytes.
_HEAD: Final = 8
_COPY_FORMAT: Final = "(FORMAT csv, NULL 'null', ESCAPE '\\')"


def _copy_line(row: tuple[Any, ...]) -> bytes:
    head = ["\\x" + value.hex() if type(value) is bytes else value for value in row[:_HEAD]]
    return msgspec.json.encode([*head, *row[_HEAD:]])[1:-1] + b"\n"


def _merge(connection: Connection, kind: _Kind, rows: Rows) -> None:
    """Write one block's parts of a minute: each is combined with the row that is there, if any."""
    if not rows:
        return
    name, market, minute = kind.key
    table = schema.metadata.tables[kind.table]
    names = [row[0] for row in rows]
    statement = select(table).where(
        table.c[name].in_(names), table.c[market] == rows[0][1], table.c[minute] == rows[0][2]
    )
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update()
    held = {found[name]: dict(found) for found in connection.execute(statement).mappings()}
    out: Rows = []
    for values in rows:
        new = dict(zip(kind.columns, values, strict=True))
        merged = merge_rows(held[values[0]], new) if values[0] in held else new
        if merged is not None:
            out.append(tuple(merged[column] for column in kind.columns))
    _replace(connection, kind, out)


def write_events(connection: Connection, events: Iterable[tuple[str, FeedEvent]]) -> None:
    """Write feed events by their ids; one that is there already is left alone."""
    _insert_new(
        connection,
        schema.feed_events.name,
        [
            {"id": key, "ts_ns": e.ts_ns, "source": e.source, "kind": e.kind.value, "symbol": e.symbol, "text": e.text}
            for key, e in events
        ],
    )


def write_metrics(connection: Connection, ts_ns: int, values: dict[str, float]) -> None:
    """Write system metrics of one moment; a value that is not finite is stored as missing."""
    rows = [
        {"ts_ns": ts_ns, "name": name, "value": value if np.isfinite(value) else None} for name, value in values.items()
    ]
    _insert_new(connection, schema.system_metrics.name, rows)


def _insert_new(connection: Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(schema.metadata.tables[table]).on_conflict_do_nothing(), rows)


# -- reading -----------------------------------------------------------------------------------------------------


def read_symbol(connection: Connection, market: Market, symbol: str, start_ms: int, end_ms: int) -> SymbolSeries:
    """Return the minutes of one symbol with start_ms <= minute < end_ms, oldest first."""
    table = schema.symbol_minutes
    columns = ("minute", "exact_bits", "shares", *schema.symbol_columns("usd"))
    rows = _fetch(
        connection,
        select(*(table.c[name] for name in columns))
        .where(table.c.symbol == symbol, table.c.market == market.value)
        .where(table.c.minute >= start_ms, table.c.minute < end_ms)
        .order_by(table.c.minute),
    )
    minutes, bits, shares = ([row[k] for row in rows] for k in range(3))
    return SymbolSeries(
        minute_ms=np.array(minutes, np.int64),
        usd=_numbers([row[3:] for row in rows], len(columns) - 3).reshape(-1, 2, BANDS),
        exact=exact_of_bits(np.array(bits, np.int64)),
        unconfirmed=shares_of_blobs(shares),
    )


def read_group(connection: Connection, market: Market, group: Group, start_ms: int, end_ms: int) -> GroupSeries:
    """Return the minutes of one group with start_ms <= minute < end_ms, oldest first."""
    table = schema.group_minutes
    rows = _fetch(
        connection,
        select(table.c.minute, table.c.packed)
        .where(table.c.name == group.value, table.c.market == market.value)
        .where(table.c.minute >= start_ms, table.c.minute < end_ms)
        .order_by(table.c.minute),
    )
    numbers = groups_of_blobs([row[1] for row in rows])
    counts = np.nan_to_num(numbers).astype(np.int64)
    bands = slice(2, 2 + 3 * 2 * BANDS)
    ratios = slice(bands.stop, bands.stop + 3 * BANDS)
    usd, unconfirmed, _ = np.moveaxis(numbers[:, bands].reshape(-1, 3, 2, BANDS), 1, 0)
    return GroupSeries(
        minute_ms=np.array([row[0] for row in rows], np.int64),
        included=counts[:, 0],
        total=counts[:, 1],
        usd=usd,
        unconfirmed=np.nan_to_num(unconfirmed),
        exact=counts[:, bands].reshape(-1, 3, 2, BANDS)[:, 2],
        ratio_mean=numbers[:, ratios].reshape(-1, 3, BANDS)[:, 0],
        ratio_count=counts[:, ratios].reshape(-1, 3, BANDS)[:, 1],
        ratio_exact=counts[:, ratios].reshape(-1, 3, BANDS)[:, 2],
    )


def _fetch(connection: Connection, statement: Select[Any]) -> Rows:
    cursor = connection.execute(statement).cursor
    assert cursor is not None
    return cast(Rows, cursor.fetchall())  # the driver's own tuples: building row objects doubles the time


def _numbers(rows: Sequence[Sequence[Any]], columns: int) -> npt.NDArray[np.float64]:
    try:
        return np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * columns)
    except TypeError:  # some value is NULL: slower, and gives NaN for it
        return np.array(rows, np.float64)
