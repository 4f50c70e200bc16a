"""Profit and loss by the minute in the database, given a connection, and as spool frames while it is away.

One row an account and minute; a minute that is written again takes the new figures. Times are UTC epoch ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from app.domain.errors import StorageError
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.schema import pnl_minutes

_FIGURES: Final = ("net_liquidation", "daily", "unrealised", "realised")
_KEY: Final = ("source", "account", "minute")


class _Row(msgspec.Struct, array_like=True):
    source: str
    account: str
    minute_ms: int
    net_liquidation: float | None
    daily: float | None
    unrealised: float | None
    realised: float | None


def write_pnl(connection: Connection, rows: Sequence[PnlMinute]) -> None:
    """Write minutes; of two of the same account and minute the later one holds."""
    newest = {(row.source, row.account, row.minute_ms): row for row in rows}
    if not newest:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(pnl_minutes)
    updates = {name: statement.excluded[name] for name in _FIGURES}
    values = [
        {
            "source": row.source,
            "account": row.account,
            "minute": row.minute_ms,
            **{name: getattr(row, name) for name in _FIGURES},
        }
        for row in newest.values()
    ]
    connection.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=updates), values)


def read_pnl(connection: Connection, source: str, account: str, start_ms: int, end_ms: int) -> tuple[PnlMinute, ...]:
    """Return the minutes of one account with start_ms <= minute < end_ms, oldest first."""
    table = pnl_minutes
    rows = connection.execute(
        select(table.c.minute, *(table.c[name] for name in _FIGURES))
        .where(table.c.source == source, table.c.account == account)
        .where(table.c.minute >= start_ms, table.c.minute < end_ms)
        .order_by(table.c.minute)
    )
    return tuple(
        PnlMinute(
            source=source,
            account=account,
            minute_ms=minute,
            net_liquidation=liquidation,
            daily=daily,
            unrealised=unrealised,
            realised=realised,
        )
        for minute, liquidation, daily, unrealised, realised in rows
    )


def pack_pnl(rows: Sequence[PnlMinute]) -> bytes:
    """Return rows as the body of a spool frame."""
    return msgspec.msgpack.encode(
        [_Row(row.source, row.account, row.minute_ms, *(getattr(row, name) for name in _FIGURES)) for row in rows]
    )


def unpack_pnl(body: bytes) -> list[PnlMinute]:
    """Return the rows of a spool frame's body; raise StorageError when it cannot be read."""
    try:
        return [PnlMinute(**msgspec.structs.asdict(row)) for row in msgspec.msgpack.decode(body, type=list[_Row])]
    except msgspec.MsgspecError as error:
        raise StorageError(f"spooled minutes of profit and loss cannot be read: {error}") from error
