"""Turns two series of daily closes into a beta: how much a stock has moved with an index, per unit of the index.

Beta is the covariance of the two daily returns divided by the variance of the index's returns, both over the same days
(a return counts only where both series have that day and the one matched before it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.contracts import DailyBar

LEAST_DAYS: Final = 60
"""Fewer common returns than these say too little."""


@dataclass(frozen=True, slots=True)
class Beta:
    """A measured beta: over how many daily returns, from which day to which (YYYYMMDD)."""

    value: float
    days: int
    first_day: str = ""
    last_day: str = ""


def beta(own: Sequence[DailyBar], against: Sequence[DailyBar], least_days: int = LEAST_DAYS) -> Beta | None:
    """Return the beta of `own` against an index; None below `least_days` common returns or where nothing moved.

    Days that only one series has are left out, and so are closes that are not above 0.
    """
    mine, theirs = _closes(own), _closes(against)
    days = sorted(mine.keys() & theirs.keys())
    count = len(days) - 1
    if count < max(2, least_days):
        return None
    returns = np.array([[mine[day], theirs[day]] for day in days])
    returns = returns[1:] / returns[:-1] - 1.0
    spread = returns - returns.mean(axis=0)
    variance = float(spread[:, 1] @ spread[:, 1])
    if not variance > 0:
        return None
    value = float(spread[:, 0] @ spread[:, 1]) / variance
    return Beta(value, count, days[0], days[-1]) if math.isfinite(value) else None


def _closes(bars: Sequence[DailyBar]) -> dict[str, float]:
    return {bar.day: bar.close for bar in bars if math.isfinite(bar.close) and bar.close > 0}
