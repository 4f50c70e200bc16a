"""From per-symbol depth to per-group sums, with the count of what is in them and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.domain.coverage import Coverage
from app.domain.units import ASK, BID
from app.indicators.window import CoverageArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDepth:
    """All groups of one market at one moment; g groups in the order of `GROUPS`. Fields as in `DepthWindow`.

    vw_mid: float64 [g], mean of the symbols' mid prices weighted by their volume within the widest band, NaN without
    volume. total: symbols in the group [g].
    """

    usd: FloatArray
    coverage: CoverageArray
    unconfirmed: FloatArray
    ratio_mean: FloatArray
    included: IntArray
    ratio_count: IntArray
    ratio_exact: IntArray
    exact: IntArray
    vw_mid: FloatArray
    total: IntArray


def aggregate(
    members: npt.NDArray[np.bool_],
    usd: FloatArray,
    coverage: CoverageArray,
    unconfirmed_usd: FloatArray,
    mid: FloatArray,
) -> GroupDepth:
    """Sum symbols into groups.

    members: bool [g, n]; usd, unconfirmed_usd: float64 [n, 2, 7]; coverage: uint8 [n, 2, 7]; mid: float64 [n].
    A symbol is included when both its sides are synced. A symbol whose ask volume is zero has no ratio and is left
    out of the mean; with no symbol left the mean is NaN.
    """
    weights = members.astype(np.float64)
    groups, count = members.shape
    known = (coverage != Coverage.NONE).all(axis=(1, 2))
    exact = (coverage == Coverage.EXACT) & known[:, None, None]
    volume = np.where(known[:, None, None] & (usd == usd), usd, 0.0)
    loose = np.where(known[:, None, None] & (unconfirmed_usd == unconfirmed_usd), unconfirmed_usd, 0.0)

    def summed(values: npt.NDArray[np.generic]) -> FloatArray:
        flat = values.reshape(count, math.prod(values.shape[1:])).astype(np.float64)
        return (weights @ flat).reshape(groups, *values.shape[1:])

    total_usd = summed(volume)
    total_loose = summed(loose)
    included = np.rint(weights @ known.astype(np.float64)).astype(np.int64)
    exact_count = np.rint(summed(exact)).astype(np.int64)
    total = members.sum(axis=1).astype(np.int64)

    defined = known[:, None] & (volume[:, ASK] > 0)
    ratio = np.zeros(defined.shape)
    np.divide(volume[:, BID], volume[:, ASK], out=ratio, where=defined)
    ratio_count = np.rint(summed(defined)).astype(np.int64)
    ratio_exact = np.rint(summed(defined & exact[:, BID] & exact[:, ASK])).astype(np.int64)
    ratio_mean = np.full(ratio_count.shape, np.nan)
    np.divide(summed(ratio), ratio_count, out=ratio_mean, where=ratio_count > 0)

    state = np.full(total_usd.shape, Coverage.PARTIAL, np.uint8)
    state[exact_count == total[:, None, None]] = Coverage.EXACT
    nothing = included == 0
    state[nothing] = Coverage.NONE
    total_usd[nothing] = np.nan
    share = np.zeros(total_usd.shape)
    np.divide(total_loose, total_usd, out=share, where=total_usd > 0)

    priced = np.isfinite(mid)
    heft = np.where(priced, volume[:, :, -1].sum(axis=1), 0.0)
    top, bottom = weights @ (heft * np.where(priced, mid, 0.0)), weights @ heft
    vw_mid = np.full(groups, np.nan)
    np.divide(top, bottom, out=vw_mid, where=bottom > 0)
    return GroupDepth(
        usd=total_usd,
        coverage=state,
        unconfirmed=share,
        ratio_mean=ratio_mean,
        included=included,
        ratio_count=ratio_count,
        ratio_exact=ratio_exact,
        exact=exact_count,
        vw_mid=vw_mid,
        total=total,
    )
