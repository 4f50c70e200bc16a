"""One side of an order book as sorted arrays, with the price it is proven to.

Levels are kept by key = sign * price (bids -1, asks +1), ascending, so that the best level stands first on both sides
and "further from the best price" always means "larger key". Changes are queued as they arrive and merged into the
arrays when the side is read: a price that repeats between two reads costs one write. A removed level stays as a
zero-quantity slot until the next compaction, because prices near the top come and go at the same ticks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Levels = Sequence[tuple[float, float]]
"""(price, quantity) pairs; quantity 0 removes the level."""

_MAX_QUEUED: Final = 8192
_COMPACT_EVERY: Final = 48
_SPARE: Final = 64


class Side:
    """One side of a book. `sign` is -1 for bids and +1 for asks.

    `reach_key` is the key up to which every price is proven: by a snapshot whose furthest level has that key, and an
    unbroken chain of diffs since; +inf for a side that is known completely, -inf for one that is not known at all.
    """

    __slots__ = ("_inserts", "_key", "_notional", "_qty", "_queued", "_since", "_size", "_waiting", "reach_key", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.reach_key = -math.inf
        self._queued: list[Levels] = []
        self._waiting = 0
        self._inserts = 0
        self._size = 0
        self._since: IntArray | None = None
        self._allocate(0)

    # -- writing -------------------------------------------------------------------------------------------------

    def queue(self, levels: Levels) -> None:
        """Take absolute quantities per price; they are merged at the next read, or when many wait."""
        count = len(levels)
        if not count:
            return
        self._queued.append(levels)
        self._waiting += count
        if self._waiting > _MAX_QUEUED:
            self.merge()

    def merge(self) -> None:
        """Write the queued changes into the arrays."""
        if not self._waiting:
            return
        newest: dict[float, float] = {}
        for levels in self._queued:
            newest.update(levels)
        self._queued.clear()
        self._waiting = 0
        count = len(newest)
        keys = np.fromiter(newest, np.float64, count)
        qty = np.fromiter(newest.values(), np.float64, count)
        if self.sign < 0:
            np.negative(keys, out=keys)
        held = self._key[: self._size]
        slots = held.searchsorted(keys)
        if self._size:
            hit = held.take(slots, mode="clip") == keys
            if np.count_nonzero(hit) == count:
                self._qty[slots] = qty
                if self._since is not None:
                    self._since[slots] = 0
                return
            hit_slots = slots[hit]
            self._qty[hit_slots] = qty[hit]
            if self._since is not None:
                self._since[hit_slots] = 0
            missed = ~hit
            keys, qty = keys[missed], qty[missed]
        fresh = qty > 0.0
        if fresh.any():
            self._insert(sorted(zip(keys[fresh].tolist(), qty[fresh].tolist(), strict=True)))

    def _insert(self, added: list[tuple[float, float]]) -> None:
        """Insert levels at keys that are not held; `added` is sorted by key."""
        count, size = len(added), self._size
        self._inserts += 1
        if self._inserts % _COMPACT_EVERY == 0:
            self._compact()
            size = self._size
        if size + count >= self._key.size:
            self._grow(size + count)
        key, qty, since = self._key, self._qty, self._since
        slots = key[:size].searchsorted([item[0] for item in added]).tolist()
        end = size
        for index in range(count - 1, -1, -1):
            slot = slots[index]
            target = slot + index
            if slot != end:  # slide what lies behind this level back by the number of levels before it
                key[slot + index + 1 : end + index + 1] = key[slot:end]
                qty[slot + index + 1 : end + index + 1] = qty[slot:end]
                if since is not None:
                    since[slot + index + 1 : end + index + 1] = since[slot:end]
            key[target], qty[target] = added[index]
            if since is not None:
                since[target] = 0
            end = slot
        self._size = size + count

    def replace(self, levels: Levels, *, complete: bool, keep_reach: bool) -> None:
        """Replace what a snapshot speaks of; keep held levels beyond its furthest price.

        complete: the snapshot holds the whole side, so nothing lies beyond. keep_reach: the chain of diffs is unbroken,
        so what was proven before stays proven.
        """
        self.merge()
        order = sorted((self.sign * price, qty) for price, qty in dict(levels).items() if qty > 0.0)
        bound = math.inf if complete else (order[-1][0] if order else -math.inf)
        held = self._key[: self._size]
        start = int(held.searchsorted(bound, side="right"))
        keep = np.flatnonzero(self._qty[start : self._size] > 0.0) + start
        far_key, far_qty = held[keep], self._qty[keep]
        far_since = None if self._since is None else self._since[keep]
        count = len(order)
        self._allocate(count + keep.size)
        if count:
            near = np.array(order, np.float64)
            self._key[:count], self._qty[:count] = near[:, 0], near[:, 1]
        self._size = count + int(keep.size)
        self._key[count : self._size] = far_key
        self._qty[count : self._size] = far_qty
        self._since = None
        if far_since is not None and far_since.any():
            self._since = np.zeros(self._key.size, np.int64)
            self._since[count : self._size] = far_since
        self.reach_key = max(self.reach_key, bound) if keep_reach else bound

    def add_unconfirmed(self, prices: FloatArray, qty: FloatArray, since_ns: IntArray) -> None:
        """Put remembered levels into an empty side, each unconfirmed since its time (UTC ns, > 0)."""
        keys = prices * self.sign
        order = keys.argsort(kind="stable")
        count = int(keys.size)
        self._allocate(count)
        self._size = count
        self._key[:count], self._qty[:count] = keys[order], qty[order]
        self._since = np.zeros(self._key.size, np.int64)
        self._since[:count] = since_ns[order]
        self.reach_key = -math.inf

    def distrust(self, now_ns: int, *, beyond_reach: bool = False) -> None:
        """Mark confirmed levels unconfirmed since `now_ns` and forget what was proven (the chain broke).

        beyond_reach: only those further away than what is proven; what is proven stays so.
        """
        self.merge()
        start = 0
        if beyond_reach:
            start = int(self._key[: self._size].searchsorted(self.reach_key, side="right"))
            if start == self._size:
                return
        else:
            self.reach_key = -math.inf
        if self._since is None:
            self._since = np.zeros(self._key.size, np.int64)
        since = self._since[start : self._size]
        since[since == 0] = now_ns

    def expire(self, before_ns: int) -> int:
        """Drop levels unconfirmed since before that time; return how many."""
        self.merge()
        if self._since is None:
            return 0
        since, qty = self._since[: self._size], self._qty[: self._size]
        old = (since > 0) & (since < before_ns) & (qty > 0.0)
        count = int(np.count_nonzero(old))
        qty[old] = 0.0
        if not (since[qty > 0.0] > 0).any():
            self._since = None
        return count

    def drop_unconfirmed_better_than(self, price: float) -> int:
        """Drop unconfirmed levels at or better than a price the other side has proven (NaN: none); return how many."""
        self.merge()
        if self._since is None or math.isnan(price):
            return 0
        stop = int(self._key[: self._size].searchsorted(self.sign * price, side="right"))
        ghosts = (self._since[:stop] > 0) & (self._qty[:stop] > 0.0)
        self._qty[:stop][ghosts] = 0.0
        return int(np.count_nonzero(ghosts))

    def clear(self) -> None:
        """Forget everything."""
        self._queued.clear()
        self._waiting = 0
        self._since = None
        self._size = 0
        self._allocate(0)
        self.reach_key = -math.inf

    # -- reading -------------------------------------------------------------------------------------------------

    def best(self) -> float:
        """Return the best price, NaN when the side is empty."""
        self.merge()
        slot = self._first()
        return math.nan if slot < 0 else self.sign * float(self._key[slot])

    def furthest_key(self) -> float:
        """Return the key of the level furthest from the best one, -inf for an empty side."""
        self.merge()
        end = self._size - 1
        while end >= 0 and self._qty[end] == 0.0:
            end -= 1
        return float(self._key[end]) if end >= 0 else -math.inf

    def best_confirmed(self) -> float:
        """Return the best price of a confirmed level, NaN when there is none."""
        self.merge()
        if self._since is None:
            return self.best()
        size = self._size
        sure = np.flatnonzero((self._qty[:size] > 0.0) & (self._since[:size] == 0))
        return self.sign * float(self._key[sure[0]]) if sure.size else math.nan

    def levels(self, count: int | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return price, quantity and unconfirmed-since (UTC ns, 0: confirmed) of the best `count` levels, as copies."""
        self.merge()
        size = self._size
        if count is not None:  # zero slots are sparse: look at a little more than asked, then at all
            size = min(size, count + count // 2 + 64)
        kept = np.flatnonzero(self._qty[:size] > 0.0)
        if count is not None and kept.size < count and size < self._size:
            kept = np.flatnonzero(self._qty[: self._size] > 0.0)
        if count is not None:
            kept = kept[:count]
        since = np.zeros(kept.size, np.int64) if self._since is None else self._since[kept]
        return self._key[kept] * self.sign, self._qty[kept], since

    @property
    def has_unconfirmed(self) -> bool:
        """Whether some level may be unconfirmed."""
        return self._since is not None

    @property
    def complete(self) -> bool:
        """Whether the whole side is known."""
        return self.reach_key == math.inf

    def __len__(self) -> int:
        self.merge()
        return int(np.count_nonzero(self._qty[: self._size]))

    def nbytes(self) -> int:
        """Return the bytes held by the arrays."""
        since = 0 if self._since is None else self._since.nbytes
        return self._key.nbytes + self._qty.nbytes + self._notional.nbytes + since

    def measure(self, factors: FloatArray, usd: FloatArray, coins: FloatArray, loose: FloatArray) -> float:
        """Sum the side within each band and return its best key (NaN: empty side, all sums 0).

        factors: float64 [7], ascending band edges relative to the best price (1 - d for bids, 1 + d for asks).
        Written: usd (sum of price x quantity), coins (sum of quantity), loose (USD on unconfirmed levels): float64 [7].
        """
        self.merge()
        slot = self._first()
        if slot < 0:
            usd[:] = 0.0
            coins[:] = 0.0
            loose[:] = 0.0
            return math.nan
        size = self._size
        key, qty = self._key, self._qty
        best = float(key[slot])
        edges = key[:size].searchsorted(best * factors, side="right")
        # Segment sums: reduceat takes eight starts (0 and the seven edges); the last segment lies beyond the bands.
        starts = np.empty(edges.size + 1, np.intp)
        starts[0] = 0
        starts[1:] = edges
        stop = size + 1  # one zero slot always follows the levels, so an edge equal to size is a valid start
        notional = self._notional[:stop]
        np.multiply(key[:stop], qty[:stop], out=notional)
        bounds = starts.tolist()
        empty = [i for i in range(edges.size) if bounds[i] == bounds[i + 1]]
        self._sums(notional, starts, empty, usd)
        self._sums(qty[:stop], starts, empty, coins)
        if self.sign < 0:
            np.negative(usd, out=usd)
        if self._since is None:
            loose[:] = 0.0
        else:
            np.multiply(notional, self._since[:stop] > 0, out=notional)
            self._sums(notional, starts, empty, loose)
            np.absolute(loose, out=loose)
        return best

    @staticmethod
    def _sums(values: FloatArray, starts: npt.NDArray[np.intp], empty: list[int], out: FloatArray) -> None:
        parts = np.add.reduceat(values, starts)[:-1]
        for index in empty:  # reduceat gives the element itself for an empty segment
            parts[index] = 0.0
        np.add.accumulate(parts, out=out)

    # -- inside --------------------------------------------------------------------------------------------------

    def _first(self) -> int:
        """Return the slot of the best level, -1 when there is none."""
        size = self._size
        if not size:
            return -1
        head = self._qty[: min(size, 48)] > 0.0
        slot = int(head.argmax())
        if head[slot]:
            return slot
        whole = self._qty[:size] > 0.0
        slot = int(whole.argmax())
        return slot if whole[slot] else -1

    def _allocate(self, size: int) -> None:
        capacity = size + size // 8 + _SPARE
        self._key = np.zeros(capacity, np.float64)
        self._qty = np.zeros(capacity, np.float64)
        self._notional = np.empty(capacity, np.float64)

    def _grow(self, size: int) -> None:
        old_key, old_qty, old_since = self._key, self._qty, self._since
        used = self._size
        self._allocate(size)
        self._key[:used] = old_key[:used]
        self._qty[:used] = old_qty[:used]
        if old_since is not None:
            self._since = np.zeros(self._key.size, np.int64)
            self._since[:used] = old_since[:used]

    def _compact(self) -> None:
        """Drop zero slots when they are more than a quarter, and the unconfirmed marks when none is left."""
        size = self._size
        live = self._qty[:size] > 0.0
        count = int(np.count_nonzero(live))
        if self._since is not None and not (self._since[:size] > 0).any():
            self._since = None
        if size - count <= size // 4:
            return
        self._key[:count] = self._key[:size][live]
        self._qty[:count] = self._qty[:size][live]
        self._qty[count:size] = 0.0
        if self._since is not None:
            self._since[:count] = self._since[:size][live]
            self._since[count:] = 0
        self._size = count
