"""Version 3: orders, their statuses in time, and fills."""

from __future__ import annotations

_PRICES = "limit_price DOUBLE PRECISION, stop_price DOUBLE PRECISION"


def statements(dialect: str) -> tuple[str, ...]:
    """Return the SQL of this step."""
    clustered = " WITHOUT ROWID" if dialect == "sqlite" else ""
    return (
        "CREATE TABLE orders (source TEXT NOT NULL, order_id TEXT NOT NULL, account TEXT NOT NULL, "
        "con_id BIGINT NOT NULL, symbol TEXT NOT NULL, contract TEXT NOT NULL, side TEXT NOT NULL, "
        "quantity DOUBLE PRECISION NOT NULL, order_type TEXT NOT NULL, status TEXT NOT NULL, "
        f"status_text TEXT NOT NULL, filled DOUBLE PRECISION NOT NULL, remaining DOUBLE PRECISION, {_PRICES}, "
        "average_price DOUBLE PRECISION, time_in_force TEXT NOT NULL, outside_rth SMALLINT, reason TEXT NOT NULL, "
        "reference TEXT NOT NULL, client TEXT NOT NULL, fills_only SMALLINT NOT NULL, updated_ns BIGINT NOT NULL, "
        f"last_ns BIGINT NOT NULL, heard_ns BIGINT NOT NULL, PRIMARY KEY (source, order_id)){clustered}",
        "CREATE INDEX ix_orders_last_ns ON orders (last_ns)",
        "CREATE TABLE order_events (source TEXT NOT NULL, order_id TEXT NOT NULL, start_ns BIGINT NOT NULL, "
        "words TEXT NOT NULL, end_ns BIGINT NOT NULL, status TEXT NOT NULL, status_text TEXT NOT NULL, "
        f"quantity DOUBLE PRECISION NOT NULL, filled DOUBLE PRECISION NOT NULL, {_PRICES}, reason TEXT NOT NULL, "
        f"PRIMARY KEY (source, order_id, start_ns, words)){clustered}",
        "CREATE TABLE executions (source TEXT NOT NULL, fill TEXT NOT NULL, version INTEGER NOT NULL, "
        "exec_id TEXT NOT NULL, account TEXT NOT NULL, order_id TEXT NOT NULL, con_id BIGINT NOT NULL, "
        "symbol TEXT NOT NULL, contract TEXT NOT NULL, side TEXT NOT NULL, quantity DOUBLE PRECISION NOT NULL, "
        "price DOUBLE PRECISION NOT NULL, time_ns BIGINT NOT NULL, exchange TEXT NOT NULL, "
        "cumulative DOUBLE PRECISION, average_price DOUBLE PRECISION, commission DOUBLE PRECISION, "
        "commission_currency TEXT NOT NULL, realised DOUBLE PRECISION, liquidity TEXT NOT NULL, "
        f"PRIMARY KEY (source, fill)){clustered}",
        "CREATE INDEX ix_executions_time_ns ON executions (time_ns)",
        "CREATE INDEX ix_executions_order ON executions (source, order_id)",
    )
