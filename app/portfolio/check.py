"""Compares what we compute with what the broker says of the same position, and says when the two differ by more than
prices can have moved in between.

Both are figures of different moments. Allowed is the larger of: what the position moves when its price moves by bid-ask
spread, by the distance between our price and the one the broker sent, or by 0.25 % (an option: 5 %); plus a cent a unit
for rounding; for daily figures also today's commissions, which ours leave out. A multiplier that is wrong, a missed
split or a fill that is not known is far beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.domain.contracts import Contract
from app.portfolio.pricing import Pricing

MOVE: Final = 0.0025
OPTION_MOVE: Final = 0.05
ROUNDING: Final = 0.01


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of ours beside the broker's, in one currency. allowed: how far apart they may be."""

    figure: str
    ours: float
    broker: float
    allowed: float

    @property
    def value(self) -> float:
        """Return ours less the broker's."""
        return self.ours - self.broker

    @property
    def is_notable(self) -> bool:
        """Return whether the two differ by more than is allowed."""
        return abs(self.value) > self.allowed


def allowance(contract: Contract, quantity: float, price: Pricing, broker_price: float | None) -> float:
    """Return how much our figures of a position may differ from the broker's, in the contract's currency."""
    ours = price.value or 0.0
    apart = abs(ours - broker_price) if broker_price is not None and math.isfinite(broker_price) else 0.0
    move = max(price.spread, apart, abs(ours) * (OPTION_MOVE if contract.sec_type.is_option else MOVE))
    return abs(quantity) * (contract.multiplier * move + ROUNDING) + ROUNDING


def compare(pairs: Iterable[tuple[str, float | None, float | None, float]]) -> tuple[Difference, ...]:
    """Return the comparison of each figure (name, ours, broker's, allowed) that both know."""
    return tuple(
        Difference(name, ours, theirs, allowed)
        for name, ours, theirs, allowed in pairs
        if ours is not None and theirs is not None and math.isfinite(ours) and math.isfinite(theirs)
    )
