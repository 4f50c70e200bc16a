"""Tables of the minute history, the same on SQLite and PostgreSQL.

A minute of one symbol is one wide row: bands and sides are columns, because 24 h of a symbol are then 1,440 rows to
read instead of 10,080. The views `depth_minutes` and `group_depth_minutes` show one row per depth for people and
scripts. What charts read stands first in the row: reading a wide row costs by the columns it passes. `exact_bits` has
bit side * 7 + band set where every sample of the minute was exact; `loose` is 1 where some volume was unconfirmed, and
only then the shares are read. Times are UTC epoch ms. Thresholds are not stored: their mean is the mean best price
times the band's factor.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, SmallInteger, String, Table

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
    Column("symbol", String(64), primary_key=True),
    Column("market", String(16), primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("partial", SmallInteger, nullable=False),
    Column("parts", String(400), nullable=False),
    Column("exact_bits", Integer, nullable=False),
    Column("loose", SmallInteger, nullable=False),
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
    Column("name", String(16), primary_key=True),
    Column("market", String(16), primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("samples", Integer, nullable=False),
    Column("partial", SmallInteger, nullable=False),
    Column("parts", String(400), nullable=False),
    *(Column(name, Double) for name in GROUP_SCALARS),
    *(Column(column, Double) for name in GROUP_BANDS for column in _per_band(name)),
    *(Column(column, Double) for name in GROUP_DEPTHS for column in _per_depth(name)),
    sqlite_with_rowid=False,
)

feed_events = Table(
    "feed_events",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("ts_ns", BigInteger, nullable=False, index=True),
    Column("source", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("symbol", String(64)),
    Column("text", String(1000), nullable=False),
)

system_metrics = Table(
    "system_metrics",
    metadata,
    Column("ts_ns", BigInteger, primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("value", Double),
    sqlite_with_rowid=False,
)


def symbol_columns(*names: str) -> list[str]:
    """Return the columns of some [2, 7] quantities of `symbol_minutes`."""
    return [column for name in names for column in _per_band(name)]


def group_columns(bands: tuple[str, ...], depths: tuple[str, ...]) -> list[str]:
    """Return the columns of some [2, 7] and [7] quantities of `group_minutes`."""
    return [c for name in bands for c in _per_band(name)] + [c for name in depths for c in _per_depth(name)]


def view_statements() -> tuple[str, ...]:
    """Return the SQL of the views with one row per depth."""
    symbol_parts, group_parts = [], []
    for depth in DEPTHS_PCT:
        word = depth_word(depth)
        fraction = depth / 100.0
        per_side = ", ".join(f"{side}_{name}_{word} AS {side}_{name}" for name in SYMBOL_BANDS for side in SIDES)
        symbol_parts.append(
            f"SELECT symbol, market, {depth:g} AS depth_pct, minute, samples, partial, "
            "best_bid, best_ask, mid, spread, "
            f"best_bid * {1.0 - fraction!r} AS bid_threshold, best_ask * {1.0 + fraction!r} AS ask_threshold, "
            f"{per_side} FROM symbol_minutes"
        )
        sums = ", ".join(f"{side}_{name}_{word} AS {side}_{name}" for name in GROUP_BANDS for side in SIDES)
        ratios = ", ".join(f"{name}_{word} AS {name}" for name in GROUP_DEPTHS)
        group_parts.append(
            f"SELECT name, market, {depth:g} AS depth_pct, minute, samples, partial, total, included, vw_mid, "
            f"{sums}, {ratios} FROM group_minutes"
        )
    return (
        "CREATE VIEW depth_minutes AS " + " UNION ALL ".join(symbol_parts),
        "CREATE VIEW group_depth_minutes AS " + " UNION ALL ".join(group_parts),
    )
