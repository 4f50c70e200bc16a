"""Depth bands and time units used everywhere."""

from __future__ import annotations

from typing import Final

DEPTHS_PCT: Final[tuple[float, ...]] = (1.5, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
"""Band edges in percent of the side's best price; index in this tuple is the band index everywhere."""

BID: Final = 0
ASK: Final = 1

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
MS_PER_MINUTE: Final = 60_000
NS_PER_MINUTE: Final = 60 * NS_PER_S


def depth_index(depth_pct: float) -> int:
    """Return the band index of a depth in percent; raise ValueError when it is not one of the seven."""
    try:
        return DEPTHS_PCT.index(float(depth_pct))
    except ValueError:
        expected = ", ".join(f"{d:g}" for d in DEPTHS_PCT)
        raise ValueError(f"expected a depth of {expected} %, was {depth_pct!r}") from None
