"""Version 1: the tables, as `app.storage.schema` describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_DEPTHS = ("1_5", "3", "5", "8", "15", "30", "60")


def _bands(*names: str) -> Iterator[str]:
    return (f"{side}_{name}_{depth}" for name in names for side in ("bid", "ask") for depth in _DEPTHS)


def _doubles(names: Iterable[str]) -> str:
    return ", ".join(f"{name} DOUBLE PRECISION" for name in names)


def statements(dialect: str) -> tuple[str, ...]:
    """Return the SQL of this step."""
    blob = "BLOB" if dialect == "sqlite" else "BYTEA"
    clustered = " WITHOUT ROWID" if dialect == "sqlite" else ""
    written = "samples INTEGER NOT NULL, partial SMALLINT NOT NULL, parts TEXT NOT NULL"
    ratios = [f"{name}_{depth}" for name in ("ratio_mean", "ratio_count", "ratio_exact") for depth in _DEPTHS]
    return (
        "CREATE TABLE symbol_minutes (symbol TEXT NOT NULL, market TEXT NOT NULL, minute BIGINT NOT NULL, "
        f"{written}, exact_bits INTEGER NOT NULL, shares {blob}, "
        f"{_doubles(_bands('usd', 'unconfirmed', 'exact', 'coins'))}, "
        f"{_doubles(('best_bid', 'best_ask', 'mid', 'spread'))}, "
        f"PRIMARY KEY (symbol, market, minute)){clustered}",
        f"CREATE TABLE group_minutes (name TEXT NOT NULL, market TEXT NOT NULL, minute BIGINT NOT NULL, {written}, "
        f"packed {blob}, {_doubles(('vw_mid', 'included', 'total'))}, "
        f"{_doubles(_bands('usd', 'unconfirmed', 'exact'))}, "
        f"{_doubles(ratios)}, PRIMARY KEY (name, market, minute)){clustered}",
        "CREATE TABLE feed_events (id TEXT NOT NULL PRIMARY KEY, ts_ns BIGINT NOT NULL, source TEXT NOT NULL, "
        "kind TEXT NOT NULL, symbol TEXT, text TEXT NOT NULL)",
        "CREATE INDEX ix_feed_events_ts_ns ON feed_events (ts_ns)",
        "CREATE TABLE system_metrics (ts_ns BIGINT NOT NULL, name TEXT NOT NULL, value DOUBLE PRECISION, "
        f"PRIMARY KEY (ts_ns, name)){clustered}",
    )
