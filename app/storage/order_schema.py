"""Tables of orders, the same on SQLite and PostgreSQL, as step 3 of `migrations` leaves them.

`contract` holds a contract's fields as JSON; con_id and symbol stand beside it for filters and scripts. An order's
`heard_ns` says which of two writings is the later one. `order_events` has a row for each stretch of time with the same
words; `words` repeats them as a part of the key. `executions` has a row for each fill: `fill` is what its exec_id and
those of its corrections have in common, `version` which correction it is. Times are UTC ns.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, SmallInteger, Table, Text

from app.storage.schema import metadata


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, Text, primary_key=True) for name in names]


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _times(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _figures(*names: str, required: bool = False) -> list[Column[float]]:
    return [Column(name, Double, nullable=not required) for name in names]


orders: Final = Table(
    "orders",
    metadata,
    *_key("source", "order_id"),
    *_texts("account"),
    *_times("con_id"),
    *_texts("symbol", "contract", "side"),
    *_figures("quantity", required=True),
    *_texts("order_type", "status", "status_text"),
    *_figures("filled", required=True),
    *_figures("remaining", "limit_price", "stop_price", "average_price"),
    *_texts("time_in_force"),
    Column("outside_rth", SmallInteger),
    *_texts("reason", "reference", "client"),
    Column("fills_only", SmallInteger, nullable=False),
    *_times("updated_ns", "last_ns", "heard_ns"),
    Index("ix_orders_last_ns", "last_ns"),
    sqlite_with_rowid=False,
)

order_events: Final = Table(
    "order_events",
    metadata,
    *_key("source", "order_id"),
    Column("start_ns", BigInteger, primary_key=True),
    *_key("words"),
    *_times("end_ns"),
    *_texts("status", "status_text"),
    *_figures("quantity", "filled", required=True),
    *_figures("limit_price", "stop_price"),
    *_texts("reason"),
    sqlite_with_rowid=False,
)

executions: Final = Table(
    "executions",
    metadata,
    *_key("source", "fill"),
    Column("version", Integer, nullable=False),
    *_texts("exec_id", "account", "order_id"),
    *_times("con_id"),
    *_texts("symbol", "contract", "side"),
    *_figures("quantity", "price", required=True),
    *_times("time_ns"),
    *_texts("exchange"),
    *_figures("cumulative", "average_price", "commission"),
    *_texts("commission_currency"),
    *_figures("realised"),
    *_texts("liquidity"),
    Index("ix_executions_time_ns", "time_ns"),
    Index("ix_executions_order", "source", "order_id"),
    sqlite_with_rowid=False,
)
