"""From samples to minute means of one market: sums while the minute runs, one `MinuteBlock` when it ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.books.depth import BANDS, FACTORS, DepthTable
from app.domain.coverage import Coverage
from app.domain.ids import Market
from app.domain.units import ASK, BID, MS_PER_MINUTE
from app.indicators.aggregate import GroupDepth
from app.indicators.groups import GROUPS
from app.storage.rows import GroupMinutes, MinuteBlock, SymbolMinutes

_COUNT_MAX = np.iinfo(np.int64).max


class MinuteMeans:
    """Accumulates the samples of one market; times are UTC epoch ms."""

    def __init__(self, market: Market, symbols: tuple[str, ...]) -> None:
        self.market = market
        self.symbols = symbols
        self._rows = len(symbols)
        self._minute_ms = 0
        self._cut = True
        self._hole = False
        self._clear()

    def _clear(self) -> None:
        n, g = self._rows, len(GROUPS)
        self._samples = np.zeros(n, np.int64)
        self._sums = np.zeros((n, 3, 2, BANDS))
        """As `DepthTable.sums`."""
        self._exact = np.zeros((n, 2, BANDS), np.int64)
        self._tops = np.zeros((n, 4))
        """Best bid, best ask, mid and spread."""
        self._top_samples = np.zeros((n, 4), np.int64)
        self._group_samples = np.zeros(g, np.int64)
        self._group_usd = np.zeros((g, 2, BANDS))
        self._group_loose = np.zeros((g, 2, BANDS))
        self._group_ratio = np.zeros((g, BANDS))
        self._group_ratio_samples = np.zeros((g, BANDS), np.int64)
        self._group_mid = np.zeros(g)
        self._group_mid_samples = np.zeros(g, np.int64)
        self._included = np.full(g, _COUNT_MAX)
        self._group_total = np.zeros(g, np.int64)
        self._group_exact = np.full((g, 2, BANDS), _COUNT_MAX)
        self._ratio_count = np.full((g, BANDS), _COUNT_MAX)
        self._ratio_exact = np.full((g, BANDS), _COUNT_MAX)

    def roll(self, ts_ms: int) -> MinuteBlock | None:
        """Move on to the minute of `ts_ms`; return the finished one when there was anything in it."""
        minute = ts_ms - ts_ms % MS_PER_MINUTE
        if minute == self._minute_ms:
            return None
        first = self._minute_ms == 0
        block = None if first else self._block(partial=self._cut)
        # A minute is cut in which a run begins or goes on after a hole, unless that is at its very start.
        self._cut = (first or self._hole) and ts_ms != minute
        self._hole = False
        self._minute_ms = minute
        self._clear()
        return block

    def mark_hole(self) -> None:
        """Note that nothing was observed for a while: the running minute is cut."""
        self._cut = self._hole = True

    def finish(self) -> MinuteBlock | None:
        """Return the running minute, marked partial, and start it over."""
        block = self._block(partial=True) if self._minute_ms else None
        self._cut = True
        self._clear()
        return block

    def add(self, rows: npt.NDArray[np.int64], table: DepthTable) -> None:
        """Count the current measurement of these rows (each at most once a call)."""
        self._samples[rows] += 1
        self._sums[rows] += table.sums[rows]
        self._exact[rows] += table.coverage[rows] == Coverage.EXACT
        best = table.best[rows]
        tops = np.empty((rows.size, 4))
        tops[:, :2] = best
        tops[:, 2] = best.mean(axis=1)
        tops[:, 3] = best[:, ASK] - best[:, BID]
        present = tops == tops  # NaN where a side is empty
        self._tops[rows] += np.where(present, tops, 0.0)
        self._top_samples[rows] += present

    def add_groups(self, depth: GroupDepth) -> None:
        """Count one measurement of all groups."""
        has = depth.included > 0
        self._group_total = depth.total
        self._group_samples += has
        usd = np.nan_to_num(depth.usd)
        self._group_usd += usd
        self._group_loose += usd * depth.unconfirmed
        defined = np.isfinite(depth.ratio_mean)
        self._group_ratio += np.nan_to_num(depth.ratio_mean)
        self._group_ratio_samples += defined
        self._group_mid += np.nan_to_num(depth.vw_mid)
        self._group_mid_samples += np.isfinite(depth.vw_mid)
        np.minimum(self._included, depth.included, out=self._included)
        np.minimum(self._group_exact, depth.exact, out=self._group_exact)
        np.minimum(self._ratio_count, depth.ratio_count, out=self._ratio_count)
        np.minimum(self._ratio_exact, depth.ratio_exact, out=self._ratio_exact)

    def _block(self, *, partial: bool) -> MinuteBlock | None:
        rows = np.flatnonzero(self._samples)
        if not rows.size:
            return None
        count = self._samples[rows]
        per = count[:, None, None]
        usd_sum, coins_sum, loose_sum = (self._sums[rows, kind] for kind in range(3))
        tops = _mean(self._tops[rows], self._top_samples[rows])
        symbols = SymbolMinutes(
            minute_ms=self._minute_ms,
            market=self.market,
            symbols=tuple(self.symbols[row] for row in rows.tolist()),
            usd=usd_sum / per,
            coins=coins_sum / per,
            threshold=tops[:, :2, None] * FACTORS,
            exact=self._exact[rows] / per,
            unconfirmed=_share(loose_sum, usd_sum),
            best_bid=tops[:, 0],
            best_ask=tops[:, 1],
            mid=tops[:, 2],
            spread=tops[:, 3],
            samples=count.copy(),
            partial=partial,
        )
        some = self._group_samples > 0
        group_count = self._group_samples[:, None, None]
        groups = GroupMinutes(
            minute_ms=self._minute_ms,
            market=self.market,
            groups=tuple(group.value for group in GROUPS),
            usd=_mean(self._group_usd, group_count),
            unconfirmed=_share(self._group_loose, self._group_usd),
            ratio_mean=_mean(self._group_ratio, self._group_ratio_samples),
            vw_mid=_mean(self._group_mid, self._group_mid_samples),
            included=np.where(some, self._included, 0),
            total=self._group_total.copy(),
            exact=np.where(some[:, None, None], self._group_exact, 0),
            ratio_count=np.where(some[:, None], self._ratio_count, 0),
            ratio_exact=np.where(some[:, None], self._ratio_exact, 0),
            samples=self._group_samples.copy(),
            partial=partial,
        )
        return MinuteBlock(symbols=symbols, groups=groups)


def _mean(total: npt.NDArray[np.float64], count: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=np.broadcast_to(count > 0, total.shape))
    return out


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    out = np.zeros(whole.shape)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
