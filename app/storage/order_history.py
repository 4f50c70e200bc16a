"""Orders and fills in the database, given a connection, and as spool frames while it is away.

Writing the same twice, or the older after the newer, changes nothing: an order goes by its id and by when it was heard,
a fill by the part of its id that corrections share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.account import Source
from app.domain.contracts import Contract
from app.domain.errors import StorageError
from app.domain.orders import Execution, OrderState, OrderStatus, Side
from app.portfolio.order_events import OrderQuery, OrderRecord, OrderRecords, StatusMark, root_of, version_of
from app.storage.order_schema import executions, order_events, orders

_CHUNK: Final = 400
_STATE: Final = tuple(
    name for name in OrderState.__dataclass_fields__ if name not in ("contract", "side", "status", "outside_rth")
)
_FILL: Final = tuple(name for name in Execution.__dataclass_fields__ if name not in ("contract", "side"))
_MARK: Final = tuple(name for name in StatusMark.__dataclass_fields__ if name != "status")
_WORKING: Final = tuple(status.value for status in OrderStatus if status.is_working)

Row = dict[str, Any]


# -- writing -----------------------------------------------------------------------------------------------------


def write_orders(connection: Connection, records: OrderRecords) -> None:
    """Write orders with their statuses, and fills."""
    newest: dict[tuple[str, str], OrderRecord] = {}
    for record in records.orders:
        key = (record.source.value, record.state.order_id)
        if key not in newest or record.heard_ns >= newest[key].heard_ns:
            newest[key] = record
    marks = {
        (row["source"], row["order_id"], row["start_ns"], row["words"]): row
        for record in records.orders
        for row in _mark_rows(record)
    }
    fills: dict[tuple[str, str], Row] = {}
    for source, execution in records.executions:
        row = _fill_row(source, execution)
        known = fills.get((row["source"], row["fill"]))
        if known is None or row["version"] >= known["version"]:
            fills[row["source"], row["fill"]] = _filled_up(row, known)
    _upsert(connection, orders, [_order_row(record) for record in newest.values()], newer="heard_ns")
    _upsert(connection, order_events, list(marks.values()))
    _upsert(connection, executions, list(fills.values()), newer="version", keep_known=True)


def _upsert(
    connection: Connection, table: Table, rows: Sequence[Row], *, newer: str = "", keep_known: bool = False
) -> None:
    """Insert rows; one that is there takes the new values, unless its column `newer` is larger. keep_known: a NULL
    does not replace a figure."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table)
    keys = [column.name for column in table.primary_key.columns]
    updates: dict[str, Any] = {}
    for column in table.columns:
        if column.name not in keys:
            fresh = statement.excluded[column.name]
            updates[column.name] = func.coalesce(fresh, column) if keep_known and column.nullable else fresh
    where = statement.excluded[newer] >= table.c[newer] if newer else None
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=updates, where=where),
        list(rows),
    )


def _contract_text(contract: Contract) -> str:
    return msgspec.json.encode(asdict(contract)).decode()


def _order_row(record: OrderRecord) -> Row:
    state = record.state
    return {
        **{name: getattr(state, name) for name in _STATE},
        "source": record.source.value,
        "con_id": state.contract.con_id,
        "symbol": state.contract.symbol,
        "contract": _contract_text(state.contract),
        "side": state.side.value,
        "status": state.status.value,
        "outside_rth": None if state.outside_rth is None else int(state.outside_rth),
        "fills_only": int(record.fills_only),
        "last_ns": record.last_ns,
        "heard_ns": record.heard_ns,
    }


def _mark_rows(record: OrderRecord) -> Iterator[Row]:
    for mark in record.marks:
        words = "|".join("" if word is None else str(word) for word in mark.words)
        yield {
            **{name: getattr(mark, name) for name in _MARK},
            "source": record.source.value,
            "order_id": record.state.order_id,
            "words": words,
            "status": mark.status.value,
        }


def _fill_row(source: Source, execution: Execution) -> Row:
    return {
        **{name: getattr(execution, name) for name in _FILL},
        "source": source.value,
        "fill": root_of(execution.exec_id),
        "version": version_of(execution.exec_id)[0],
        "con_id": execution.contract.con_id,
        "symbol": execution.contract.symbol,
        "contract": _contract_text(execution.contract),
        "side": execution.side.value,
    }


def _filled_up(row: Row, known: Row | None) -> Row:
    if known is None:
        return row
    return {name: known[name] if value is None else value for name, value in row.items()}


# -- reading -----------------------------------------------------------------------------------------------------


def read_orders(connection: Connection, query: OrderQuery) -> OrderRecords:
    """Return the stored orders that a query asks for, the newest first, with all their fills; and what other fills
    there are of that time."""
    within: ColumnElement[bool] = and_(orders.c.last_ns >= query.start_ns, orders.c.last_ns < query.end_ns)
    if query.working:
        within = or_(within, orders.c.status.in_(_WORKING))
    statement = select(orders).where(within).order_by(orders.c.last_ns.desc()).limit(query.limit)
    if query.symbol:
        statement = statement.where(_contains(orders.c.symbol, query.symbol))
    if query.statuses:
        statement = statement.where(orders.c.status.in_([status.value for status in query.statuses]))
    found = [dict(row) for row in connection.execute(statement).mappings()]
    keys = [(row["source"], row["order_id"]) for row in found]
    marks: dict[tuple[str, str], list[StatusMark]] = {}
    fills: dict[tuple[str, str], Row] = {}
    for chunk in _chunks(keys):
        held = tuple_(order_events.c.source, order_events.c.order_id).in_(chunk)
        for row in connection.execute(
            select(order_events).where(held).order_by(order_events.c.start_ns, order_events.c.end_ns)
        ).mappings():
            marks.setdefault((row["source"], row["order_id"]), []).append(_mark_of(row))
        theirs = tuple_(executions.c.source, executions.c.order_id).in_(chunk)
        for row in connection.execute(select(executions).where(theirs)).mappings():
            fills[row["source"], row["fill"]] = dict(row)
    if not query.statuses:
        between = and_(executions.c.time_ns >= query.start_ns, executions.c.time_ns < query.end_ns)
        others = select(executions).where(between).order_by(executions.c.time_ns.desc()).limit(query.limit)
        if query.symbol:
            others = others.where(_contains(executions.c.symbol, query.symbol))
        for row in connection.execute(others).mappings():
            fills[row["source"], row["fill"]] = dict(row)
    return OrderRecords(
        orders=tuple(_record_of(row, marks.get((row["source"], row["order_id"]), ())) for row in found),
        executions=tuple((Source(row["source"]), _execution_of(row)) for row in fills.values()),
    )


def _contains(column: ColumnElement[str], part: str) -> ColumnElement[bool]:
    return func.upper(column).contains(part.upper(), autoescape=True)


def _chunks(keys: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _contract_of(text: str) -> Contract:
    try:
        return msgspec.json.decode(text, type=Contract)
    except msgspec.MsgspecError as error:
        raise StorageError(f"a stored contract cannot be read: {error}") from error


def _record_of(row: Row, marks: Iterable[StatusMark]) -> OrderRecord:
    state = OrderState(
        **{name: row[name] for name in _STATE},
        contract=_contract_of(row["contract"]),
        side=Side(row["side"]),
        status=OrderStatus(row["status"]),
        outside_rth=None if row["outside_rth"] is None else bool(row["outside_rth"]),
    )
    return OrderRecord(
        source=Source(row["source"]),
        state=state,
        fills_only=bool(row["fills_only"]),
        marks=tuple(marks),
        heard_ns=row["heard_ns"],
        last_ns=row["last_ns"],
    )


def _mark_of(row: Any) -> StatusMark:
    return StatusMark(**{name: row[name] for name in _MARK}, status=OrderStatus(row["status"]))


def _execution_of(row: Row) -> Execution:
    return Execution(
        **{name: row[name] for name in _FILL}, contract=_contract_of(row["contract"]), side=Side(row["side"])
    )


# -- spool -------------------------------------------------------------------------------------------------------


def pack_orders(records: OrderRecords) -> bytes:
    """Return records as the body of a spool frame."""
    return msgspec.msgpack.encode(records)


def unpack_orders(body: bytes) -> OrderRecords:
    """Return the records of a spool frame's body; raise StorageError when it cannot be read."""
    try:
        return msgspec.msgpack.decode(body, type=OrderRecords)
    except msgspec.MsgspecError as error:
        raise StorageError(f"spooled orders cannot be read: {error}") from error
