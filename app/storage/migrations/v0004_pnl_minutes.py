"""Version 4: profit and loss of accounts by the minute."""

from __future__ import annotations


def statements(dialect: str) -> tuple[str, ...]:
    """Return the SQL of this step."""
    clustered = " WITHOUT ROWID" if dialect == "sqlite" else ""
    figures = ", ".join(f"{name} DOUBLE PRECISION" for name in ("net_liquidation", "daily", "unrealised", "realised"))
    return (
        "CREATE TABLE IF NOT EXISTS pnl_minutes (source TEXT NOT NULL, account TEXT NOT NULL, minute BIGINT NOT NULL, "
        f"{figures}, PRIMARY KEY (source, account, minute)){clustered}",
    )
