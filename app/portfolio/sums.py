"""Sums that say how many of their parts are known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over `of` parts of which `known` are known; value is None when none is. Whole only when all are."""

    value: float | None
    known: int
    of: int

    @property
    def is_whole(self) -> bool:
        """Return whether every part is in it."""
        return self.known == self.of

    @property
    def words(self) -> str:
        """Return "known for 5 of 6"."""
        return f"known for {self.known} of {self.of}"


NOTHING = Sum(None, 0, 0)


def total(parts: Iterable[float | None]) -> Sum:
    """Add what is known (finite) and count the rest."""
    known: list[float] = []
    count = 0
    for part in parts:
        count += 1
        if part is not None and math.isfinite(part):
            known.append(part)
    return Sum(math.fsum(known) if known else None, len(known), count)


def known(value: float | None) -> float | None:
    """Return a finite number, None for what is none."""
    return value if value is not None and math.isfinite(value) else None
