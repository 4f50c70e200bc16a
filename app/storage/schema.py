"""Tables of the minute history, the same on SQLite and PostgreSQL, as the steps in `migrations` leave them.

A minute of one symbol is one wide row: bands and sides are columns, because 24 h of a symbol are then 1,440 rows to
read instead of 10,080. The views `depth_minutes` and `group_depth_minutes` show one row per depth for people and
scripts. Reading costs by the cell, so what a chart needs stands first and is repeated in compact form:
`exact_bits` has bit side * 7 + band set where every sample of the minute was exact; `shares` holds the unconfirmed
shares as 14 little-endian float32, NULL when there are none; `packed` holds a group's `PACKED_GROUP` columns as
little-endian float64. Times are UTC epoch ms. Thresholds are not stored: their mean is the mean best price times the
band's factor.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

from app.domain.units import DEPTHS_PCT

metadata = MetaData()

SIDES: Final = ("bid", "ask")


def depth_word(depth_pct: float) -> str:
    """Return a depth as part of a column name: 1.5 -> "1_5"."""
    return f"{depth_pct:g}".replace(".", "_")


def _per_band(name: str) -> list[str]:
    """Return one column name per side and band, in the order of a [2, 7] array."""
    return [f"{side}_{name}_{depth_word(depth)}" for side in SIDES for depth in DEPTHS_PCT]


def _per_depth(name: str) -> list[str]:
    return [f"{name}_{depth_word(depth)}" for depth in DEPTHS_PCT]


SYMBOL_BANDS: Final = ("usd", "unconfirmed", "exact", "coins")
SYMBOL_SCALARS: Final = ("best_bid", "best_ask", "mid", "spread")
SYMBOL_KEY: Final = ("symbol", "market", "minute")

symbol_minutes = Table(
    "symbol_minutes",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("market", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("partial", SmallInteger, nullable=False),
    Column("parts", Text, nullable=False),
    Column("exact_bits", Integer, nullable=False),
    Column("shares", LargeBinary),
    *(Column(column, Double) for name in SYMBOL_BANDS for column in _per_band(name)),
    *(Column(name, Double) for name in SYMBOL_SCALARS),
    sqlite_with_rowid=False,
)

GROUP_BANDS: Final = ("usd", "unconfirmed", "exact")
GROUP_DEPTHS: Final = ("ratio_mean", "ratio_count", "ratio_exact")
GROUP_SCALARS: Final = ("vw_mid", "included", "total")
GROUP_KEY: Final = ("name", "market", "minute")

group_minutes = Table(
    "group_minutes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("market", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("partial", SmallInteger, nullable=False),
    Column("parts", Text, nullable=False),
    Column("packed", LargeBinary),
    *(Column(name, Double) for name in GROUP_SCALARS),
    *(Column(column, Double) for name in GROUP_BANDS for column in _per_band(name)),
    *(Column(column, Double) for name in GROUP_DEPTHS for column in _per_depth(name)),
    sqlite_with_rowid=False,
)

feed_events = Table(
    "feed_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ts_ns", BigInteger, nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("symbol", Text),
    Column("text", Text, nullable=False),
)

system_metrics = Table(
    "system_metrics",
    metadata,
    Column("ts_ns", BigInteger, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Double),
    sqlite_with_rowid=False,
)

pnl_minutes = Table(
    "pnl_minutes",
    metadata,
    Column("source", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("net_liquidation", Double),
    Column("daily", Double),
    Column("unrealised", Double),
    Column("realised", Double),
    sqlite_with_rowid=False,
)


def symbol_columns(*names: str) -> list[str]:
    """Return the columns of some [2, 7] quantities of `symbol_minutes`."""
    return [column for name in names for column in _per_band(name)]


def group_columns(bands: tuple[str, ...], depths: tuple[str, ...]) -> list[str]:
    """Return the columns of some [2, 7] and [7] quantities of `group_minutes`."""
    return [c for name in bands for c in _per_band(name)] + [c for name in depths for c in _per_depth(name)]


PACKED_GROUP: Final = ("included", "total", *group_columns(GROUP_BANDS, GROUP_DEPTHS))
