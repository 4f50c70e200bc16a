"""Measure books: volume within each band, the band edges, and how far every band is known.

Bid band d holds the bids with price >= best_bid x (1 - d), ask band d the asks with price <= best_ask x (1 + d), for
d in `DEPTHS_PCT`. A band is EXACT when its edge lies inside what is proven, PARTIAL beyond it, NONE without a book.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from app.books.book import OrderBook
from app.books.side import Side
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID, DEPTHS_PCT

FloatArray = npt.NDArray[np.float64]

BANDS = len(DEPTHS_PCT)
_FRACTIONS = np.array(DEPTHS_PCT) / 100.0
FACTORS = np.stack((1.0 - _FRACTIONS, 1.0 + _FRACTIONS))
"""Band edges relative to the best price, float64 [2, 7]: row BID, row ASK."""

# 1 +- d and its product with a price are rounded. A level exactly on an edge belongs to the band and an edge exactly on
# the furthest proven price is proven, so both are compared with a margin far above the rounding and far below a tick.
_MARGIN = 1e-14
_OUTER = np.stack((FACTORS[BID] * (1.0 - _MARGIN), FACTORS[ASK] * (1.0 + _MARGIN)))
_INNER = [(FACTORS[BID] * (1.0 + _MARGIN)).tolist(), (FACTORS[ASK] * (1.0 - _MARGIN)).tolist()]

_COVER = np.array([[Coverage.EXACT] * k + [Coverage.PARTIAL] * (BANDS - k) for k in range(BANDS + 1)], np.uint8)
"""Coverage of a side by how many of its bands are exact, uint8 [8, 7]."""


class DepthTable:
    """The newest measurement of n books, one row a book.

    usd, coins, loose (USD on unconfirmed levels): float64 [n, 2, 7]. coverage: uint8 [n, 2, 7]. best: float64 [n, 2],
    NaN for an empty side. known_to_pct: float64 [n, 2], how far from the best price the side is proven: 100 for a
    complete bid side, inf for a complete ask side, 0 when not even the best price is proven, NaN without a side.
    bucket_pct: float64 [n, 2, 7], in percent of the best price the size of the price buckets that a band was summed
    from (a venue may give its deeper levels rounded together), 0 where levels are at full precision.
    sampled_ns: int64 [n], UTC ns of the sample (0: never). last_id: int64 [n].
    """

    def __init__(self, rows: int) -> None:
        self.sums = np.full((rows, 3, 2, BANDS), np.nan)
        """usd, coins and loose of each row behind each other, so that rows can be summed in one go."""
        self.usd, self.coins, self.loose = (self.sums[:, kind] for kind in range(3))
        self.loose[:] = 0.0
        self.coverage = np.full((rows, 2, BANDS), Coverage.NONE, np.uint8)
        self.best = np.full((rows, 2), np.nan)
        self.known_to_pct = np.full((rows, 2), np.nan)
        self.bucket_pct = np.zeros((rows, 2, BANDS))
        self.sampled_ns = np.zeros(rows, np.int64)
        self.last_id = np.zeros(rows, np.int64)

    def __len__(self) -> int:
        return int(self.sampled_ns.size)

    def take(self, rows: npt.NDArray[np.int64], other: DepthTable) -> None:
        """Take volumes, coverage and best prices of these rows from another table, which is all that groups need."""
        self.sums[rows] = other.sums[rows]
        self.coverage[rows] = other.coverage[rows]
        self.best[rows] = other.best[rows]

    def clear_row(self, row: int, now_ns: int) -> None:
        """Say that nothing is known of a book at `now_ns`."""
        self.usd[row] = np.nan
        self.coins[row] = np.nan
        self.loose[row] = 0.0
        self.coverage[row] = Coverage.NONE
        self.best[row] = np.nan
        self.known_to_pct[row] = np.nan
        self.bucket_pct[row] = 0.0
        self.sampled_ns[row] = now_ns

    def measure(self, row: int, book: OrderBook, last_id: int, now_ns: int) -> None:
        """Write one book's measurement into its row."""
        usd, coins, loose, coverage = self.usd[row], self.coins[row], self.loose[row], self.coverage[row]
        best, known_to = self.best[row], self.known_to_pct[row]
        for which, side in ((BID, book.bids), (ASK, book.asks)):
            key = side.measure(_OUTER[which], usd[which], coins[which], loose[which])
            if key != key:  # an empty side: known to be empty when complete, else nothing is known of it
                best[which] = known_to[which] = math.nan
                coverage[which] = _COVER[BANDS if side.complete else 0]
                continue
            best[which] = side.sign * key
            known_to[which] = known_to_pct(side, key)
            reach = side.reach_key
            exact = BANDS
            if reach != math.inf:
                exact = 0
                for edge in _INNER[which]:
                    if key * edge > reach:
                        break
                    exact += 1
            coverage[which] = _COVER[exact]
        self.sampled_ns[row] = now_ns
        self.last_id[row] = last_id

    def unconfirmed(self, rows: npt.NDArray[np.int64] | slice = slice(None)) -> FloatArray:
        """Return the share 0..1 of USD volume on unconfirmed levels, float64 [k, 2, 7]."""
        usd, loose = self.usd[rows], self.loose[rows]
        share = np.zeros(usd.shape)
        np.divide(loose, usd, out=share, where=(usd > 0) & (loose > 0))
        return share

    def threshold(self, rows: npt.NDArray[np.int64] | slice = slice(None)) -> FloatArray:
        """Return the price at each band edge, float64 [k, 2, 7]; NaN for an empty side."""
        edges: FloatArray = self.best[rows][:, :, None] * FACTORS
        return edges


def side_is_complete(which: int, known_to_pct: float) -> bool:
    """Tell from `DepthTable.known_to_pct` whether a side is known to its end."""
    return known_to_pct >= 100.0 if which == BID else known_to_pct == math.inf


def known_to_pct(side: Side, best_key: float) -> float:
    """Return how far from its best price a side is proven, in percent of that price (see `DepthTable`)."""
    if side.reach_key == math.inf:
        return 100.0 if side.sign < 0 else math.inf
    if side.reach_key < best_key:
        return 0.0
    return (side.reach_key - best_key) / abs(best_key) * 100.0
