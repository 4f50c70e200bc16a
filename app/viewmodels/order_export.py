"""Turns orders and fills into rows for a file: plain numbers, times in UTC, "" where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from app.domain.units import NS_PER_MS, NS_PER_S
from app.viewmodels.order_lines import FillLine, OrderLine

Cell = str | float | int | None

ORDER_HEADER: Final = (
    "time_utc",
    "account",
    "contract",
    "con_id",
    "side",
    "quantity",
    "type",
    "limit",
    "stop",
    "status",
    "filled",
    "remaining",
    "average_price",
    "currency",
    "time_in_force",
    "reason",
    "reference",
    "order_id",
    "client",
    "source",
)
FILL_HEADER: Final = (
    "time_utc",
    "account",
    "contract",
    "con_id",
    "side",
    "quantity",
    "price",
    "currency",
    "exchange",
    "commission",
    "commission_currency",
    "realised",
    "order_id",
    "exec_id",
    "source",
)


def order_rows(lines: Iterable[OrderLine]) -> list[tuple[Cell, ...]]:
    """Return a row of `ORDER_HEADER` for each order. The size of one known by its fills only is empty."""
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        state, contract = line.state, line.contract
        rows.append(
            (
                _moment(line.last_ns),
                state.account,
                contract.label,
                contract.con_id,
                state.side.value,
                None if line.fills_only else state.quantity,
                state.order_type,
                state.limit_price,
                state.stop_price,
                state.status_text or state.status.value,
                state.filled,
                None if line.fills_only else state.remaining,
                state.average_price,
                contract.currency,
                state.time_in_force,
                state.reason,
                state.reference,
                state.order_id,
                state.client,
                line.source.full_name if line.also is None else f"{line.source.full_name} + {line.also.full_name}",
            )
        )
    return rows


def fill_rows(lines: Iterable[FillLine]) -> list[tuple[Cell, ...]]:
    """Return a row of `FILL_HEADER` for each fill."""
    return [
        (
            _moment(line.fill.time_ns),
            line.fill.account,
            line.contract.label,
            line.contract.con_id,
            line.fill.side.value,
            line.fill.quantity,
            line.fill.price,
            line.contract.currency,
            line.fill.exchange,
            line.fill.commission,
            line.fill.commission_currency,
            line.fill.realised,
            line.fill.order_id,
            line.fill.exec_id,
            line.source.full_name if line.also is None else f"{line.source.full_name} + {line.also.full_name}",
        )
        for line in lines
    ]


def _moment(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_ns % NS_PER_S // NS_PER_MS:03d}Z"
