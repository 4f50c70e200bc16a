"""A second book, written without a look at the first: Decimal prices in dictionaries, bands by their definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

DEPTHS = tuple(Decimal(text) / 100 for text in ("1.5", "3", "5", "8", "15", "30", "60"))


@dataclass
class Band:
    """Coins, USD and edge of one band, and whether the edge lies within the snapshot's prices."""

    coins: Decimal
    usd: Decimal
    edge: Decimal
    proven: bool


@dataclass
class ReferenceBook:
    """One symbol: `bound` is the furthest price of the last snapshot per side, None when it gave the whole side."""

    futures: bool
    sides: dict[str, dict[Decimal, Decimal]] = field(default_factory=lambda: {"b": {}, "a": {}})
    bound: dict[str, Decimal | None] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    last_id: int = -1
    primed: bool = False
    first: bool = False
    applied: int = 0
    gaps: int = 0

    def snapshot(self, body: dict[str, Any], limit: int) -> None:
        """Take the only snapshot, then the diffs that arrived before it."""
        for side, name in (("b", "bids"), ("a", "asks")):
            self.sides[side] = {Decimal(price): Decimal(qty) for price, qty in body[name]}
            prices = self.sides[side]
            furthest = min(prices) if side == "b" else max(prices)
            self.bound[side] = furthest if len(prices) >= limit else None
        self.last_id, self.primed, self.first = body["lastUpdateId"], True, True
        early, self.waiting = self.waiting, []
        for data in early:
            self.diff(data)

    def diff(self, data: dict[str, Any]) -> None:
        """Take one diff by the rules of the fact sheet."""
        if not self.primed:
            self.waiting.append(data)
            return
        stale = data["u"] < self.last_id if self.futures else data["u"] <= self.last_id
        if stale:
            return
        if self.futures:
            fits = data["U"] <= self.last_id <= data["u"] if self.first else data["pu"] == self.last_id
        elif self.first:
            fits = data["U"] <= self.last_id + 1 <= data["u"]
        else:
            fits = data["U"] == self.last_id + 1
        self.gaps += not fits
        self.first = False
        self.applied += 1
        self.last_id = data["u"]
        for side in ("b", "a"):
            for price, qty in data[side]:
                amount = Decimal(qty)
                if amount:
                    self.sides[side][Decimal(price)] = amount
                else:
                    self.sides[side].pop(Decimal(price), None)

    def top(self) -> tuple[Decimal, Decimal]:
        """Return best bid and best ask."""
        return max(self.sides["b"]), min(self.sides["a"])

    def bands(self, side: str) -> list[Band]:
        """Return the seven bands of a side."""
        levels, bound = self.sides[side], self.bound[side]
        bands = []
        for depth in DEPTHS:
            if side == "b":
                edge = max(levels) * (1 - depth)
                inside = [(price, qty) for price, qty in levels.items() if price >= edge]
                proven = bound is None or bound <= edge
            else:
                edge = min(levels) * (1 + depth)
                inside = [(price, qty) for price, qty in levels.items() if price <= edge]
                proven = bound is None or edge <= bound
            usd = sum((price * qty for price, qty in inside), Decimal(0))
            bands.append(Band(sum((qty for _, qty in inside), Decimal(0)), usd, edge, proven))
        return bands
