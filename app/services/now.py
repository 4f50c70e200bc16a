"""The newest measurement of a coin or a group as a window of one moment."""

from __future__ import annotations

import numpy as np

from app.domain.units import NS_PER_MS
from app.indicators.window import DepthWindow
from app.services.pipeline import MarketEngine


def coin_now(engine: MarketEngine, index: int) -> DepthWindow:
    """Return the newest measurement of one symbol."""
    table = engine.table
    one = slice(index, index + 1)
    moment = np.array([table.sampled_ns[index] // NS_PER_MS])
    return DepthWindow.of_coin(moment, table.usd[one].copy(), table.coverage[one].copy(), table.unconfirmed(one))


def group_now(engine: MarketEngine, k: int) -> DepthWindow:
    """Return the newest measurement of group k of `GROUPS`; empty before the first sample."""
    depth = engine.groups
    if depth is None:
        return DepthWindow.empty(int(engine.members[k].sum()))
    one = slice(k, k + 1)
    return DepthWindow(
        ts_ms=np.array([engine.groups_ns // NS_PER_MS]),
        usd=depth.usd[one],
        coverage=depth.coverage[one],
        unconfirmed=depth.unconfirmed[one],
        ratio_mean=depth.ratio_mean[one],
        included=depth.included[one],
        ratio_count=depth.ratio_count[one],
        ratio_exact=depth.ratio_exact[one],
        exact=depth.exact[one],
        total=int(depth.total[k]),
    )
