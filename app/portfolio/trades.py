"""Turns the executions of a source into what was traded today, a contract at a time.

A corrected execution differs from the one it replaces after the last dot of its id: only the newest counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.contracts import Contract
from app.domain.orders import Execution, Side
from app.portfolio.sums import Sum, total

Key = tuple[str, int]
"""Account and con_id."""


@dataclass(frozen=True, slots=True)
class DayTrades:
    """Today's fills of one contract. net: bought less sold. paid: what was paid per unit times quantity, less what was
    received (no multiplier, no commission). realised: sum of what the broker told."""

    contract: Contract
    fills: int
    net: float
    paid: float
    realised: Sum
    commission: Sum


def corrected(executions: Iterable[Execution]) -> list[Execution]:
    """Return the executions without those that a later correction replaces."""
    newest: dict[str, Execution] = {}
    for each in executions:
        stem = each.exec_id.rpartition(".")[0] or each.exec_id
        held = newest.get(stem)
        if held is None or _version(each) >= _version(held):
            newest[stem] = each
    return list(newest.values())


def _version(execution: Execution) -> int:
    tail = execution.exec_id.rpartition(".")[2]
    return int(tail) if tail.isdecimal() else 0


def day_trades(executions: Iterable[Execution], start_ns: int) -> Mapping[Key, DayTrades]:
    """Return what was traded from `start_ns` on, by account and contract."""
    found: dict[Key, list[Execution]] = {}
    for each in corrected(executions):
        if each.time_ns >= start_ns:
            found.setdefault((each.account, each.contract.con_id), []).append(each)
    return {key: _sum(fills) for key, fills in found.items()}


def _sum(fills: list[Execution]) -> DayTrades:
    signed = [fill.quantity if fill.side is Side.BUY else -fill.quantity for fill in fills]
    return DayTrades(
        contract=fills[0].contract,
        fills=len(fills),
        net=math.fsum(signed),
        paid=math.fsum(quantity * fill.price for quantity, fill in zip(signed, fills, strict=True)),
        realised=total(fill.realised for fill in fills),
        commission=total(fill.commission for fill in fills),
    )
