"""A stretch of measured depth over time: the input of every indicator formula."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from app.domain.coverage import Coverage
from app.domain.units import DEPTHS_PCT

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
CoverageArray = npt.NDArray[np.uint8]

BANDS = len(DEPTHS_PCT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthWindow:
    """Depth of one coin or one group at t moments, oldest first.

    ts_ms: int64 [t], UTC epoch ms (a minute is stamped with its start).
    usd: float64 [t, 2, 7], USD volume per side (bid, ask) and band; NaN where there is none.
    coverage: uint8 [t, 2, 7], `Coverage`. For a group EXACT only where all its symbols are included and exact.
    unconfirmed: float64 [t, 2, 7], share 0..1 of `usd` that rests on unconfirmed levels.
    ratio_mean: float64 [t, 7], mean over symbols of bid/ask (for a coin simply bid/ask).
    included, ratio_count, ratio_exact, exact: how many symbols are in the sum [t], have a defined ratio [t, 7], have
    both sides exact [t, 7], are exact per side [t, 2, 7].
    total: symbols the group has at all (1 for a coin).
    """

    ts_ms: IntArray
    usd: FloatArray
    coverage: CoverageArray
    unconfirmed: FloatArray
    ratio_mean: FloatArray
    included: IntArray
    ratio_count: IntArray
    ratio_exact: IntArray
    exact: IntArray
    total: int

    def __len__(self) -> int:
        return int(self.ts_ms.size)

    @classmethod
    def empty(cls, total: int = 1) -> Self:
        """Return a window without moments."""
        return cls.blank(0, total)

    @classmethod
    def blank(cls, moments: int, total: int = 1) -> Self:
        """Return a window of `moments` moments at which nothing is known."""
        return cls(
            ts_ms=np.zeros(moments, np.int64),
            usd=np.full((moments, 2, BANDS), np.nan),
            coverage=np.full((moments, 2, BANDS), Coverage.NONE, np.uint8),
            unconfirmed=np.zeros((moments, 2, BANDS)),
            ratio_mean=np.full((moments, BANDS), np.nan),
            included=np.zeros(moments, np.int64),
            ratio_count=np.zeros((moments, BANDS), np.int64),
            ratio_exact=np.zeros((moments, BANDS), np.int64),
            exact=np.zeros((moments, 2, BANDS), np.int64),
            total=total,
        )

    @classmethod
    def of_coin(cls, ts_ms: IntArray, usd: FloatArray, coverage: CoverageArray, unconfirmed: FloatArray) -> Self:
        """Build the window of one coin from its samples; shapes as in the class."""
        known = coverage != Coverage.NONE
        exact = coverage == Coverage.EXACT
        bid, ask = usd[:, 0], usd[:, 1]
        defined = known[:, 0] & known[:, 1] & (ask > 0)
        ratio = np.full(bid.shape, np.nan)
        np.divide(bid, ask, out=ratio, where=defined)
        return cls(
            ts_ms=ts_ms,
            usd=usd,
            coverage=coverage,
            unconfirmed=unconfirmed,
            ratio_mean=ratio,
            included=known.any(axis=(1, 2)).astype(np.int64),
            ratio_count=defined.astype(np.int64),
            ratio_exact=(exact[:, 0] & exact[:, 1] & defined).astype(np.int64),
            exact=exact.astype(np.int64),
            total=1,
        )

    def slice(self, start: int, stop: int) -> Self:
        """Return the moments start..stop-1 (views, not copies)."""
        return type(self)(
            **{f.name: getattr(self, f.name)[start:stop] for f in fields(self) if f.name != "total"},
            total=self.total,
        )

    def then(self, later: Self) -> Self:
        """Return this window followed by the moments of `later` that are newer than its last one."""
        if not len(self):
            return later
        start = int(np.searchsorted(later.ts_ms, self.ts_ms[-1], side="right"))
        return type(self)(
            **{
                f.name: np.concatenate((getattr(self, f.name), getattr(later, f.name)[start:]))
                for f in fields(self)
                if f.name != "total"
            },
            total=later.total,
        )
