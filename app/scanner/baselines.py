"""Memory of fixed size over time slots: prices into the extremes of a window, figures into what is normal for a row.

All arrays have one column per row of the board and grow with it; what is not known is NaN and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_Kind = TypeVar("_Kind", bound=np.generic)

NEVER_NS: Final = -(1 << 62)


def widened(array: npt.NDArray[_Kind], capacity: int, blank: float) -> npt.NDArray[_Kind]:
    """Return the array with more columns, the new ones filled."""
    wide = np.full((*array.shape[:-1], capacity), blank, array.dtype)
    wide[..., : array.shape[-1]] = array
    return wide


class Extremes:
    """Lowest and highest price of each row over the current time slot and a number of slots before it."""

    def __init__(self, spans: Sequence[int], capacity: int) -> None:
        """Prepare. spans: the window lengths in slots, besides the current one, that will be asked for."""
        self._spans = tuple(spans)
        self._size = max(spans) + 1
        self._low = np.full((self._size, capacity), np.nan)
        self._high = np.full((self._size, capacity), np.nan)
        self._closed: dict[int, tuple[FloatArray, FloatArray]] = {}
        self._slot: int | None = None
        self._close()

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._low = widened(self._low, capacity, np.nan)
        self._high = widened(self._high, capacity, np.nan)
        self._close()

    def take(self, slot: int, prices: FloatArray) -> None:
        """Note prices [rows], NaN unknown, in a slot; slots never decrease."""
        n = prices.size
        if slot != self._slot:
            self._turn(slot)
        low, high = self._low[slot % self._size, :n], self._high[slot % self._size, :n]
        np.fmin(low, prices, out=low)
        np.fmax(high, prices, out=high)

    def over(self, span: int, n: int) -> tuple[FloatArray, FloatArray]:
        """Return lowest and highest of the first n rows over the current slot and `span` slots before it."""
        assert self._slot is not None
        closed_low, closed_high = self._closed[span]
        at = self._slot % self._size
        return np.fmin(closed_low[:n], self._low[at, :n]), np.fmax(closed_high[:n], self._high[at, :n])

    def forget(self, rows: BoolArray) -> None:
        """Forget everything about the rows of a mask [n]."""
        for each in (self._low, self._high):
            each[:, : rows.size][:, rows] = np.nan
        self._close()

    def _turn(self, slot: int) -> None:
        first = slot if self._slot is None else max(self._slot + 1, slot - self._size + 1)
        for passed in range(first, slot + 1):
            self._low[passed % self._size] = np.nan
            self._high[passed % self._size] = np.nan
        self._slot = slot
        self._close()

    def _close(self) -> None:
        """Work out the extremes of the slots before the current one, which do not change any more."""
        now = self._slot or 0
        for span in self._spans:
            slots = [(now - back) % self._size for back in range(1, span + 1)]
            self._closed[span] = (
                np.fmin.reduce(self._low[slots], axis=0, initial=np.nan),
                np.fmax.reduce(self._high[slots], axis=0, initial=np.nan),
            )


class Past:
    """The value of a figure at the end of each of the last slots, and when that was."""

    def __init__(self, slots: int, capacity: int) -> None:
        self._size = slots + 1
        self._values = np.full((self._size, capacity), np.nan)
        self._at_ns = [0] * self._size
        self._slot: int | None = None

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._values = widened(self._values, capacity, np.nan)

    def take(self, slot: int, now_ns: int, values: FloatArray) -> None:
        """Note the values [rows], NaN unknown, as those of the slot so far."""
        if slot != self._slot:
            first = slot if self._slot is None else max(self._slot + 1, slot - self._size + 1)
            for passed in range(first, slot + 1):
                self._values[passed % self._size] = np.nan
                self._at_ns[passed % self._size] = 0
            self._slot = slot
        self._values[slot % self._size, : values.size] = values
        self._at_ns[slot % self._size] = now_ns

    def before(self, slots: int, n: int) -> tuple[FloatArray, int]:
        """Return the values of the first n rows at the end of the slot so many slots ago, and when that was (ns)."""
        assert self._slot is not None
        at = (self._slot - slots) % self._size
        return self._values[at, :n], self._at_ns[at]

    def forget(self, rows: BoolArray) -> None:
        """Forget everything about the rows of a mask [n]."""
        self._values[:, : rows.size][:, rows] = np.nan


class Normal:
    """What is normal for each row: the median of the last so many figures; unknown before a number of them came."""

    def __init__(self, length: int, warmup: int, capacity: int) -> None:
        self._ring = np.full((length, capacity), np.nan)
        self._warmup = warmup
        self._next = 0
        self.median: FloatArray = np.full(capacity, np.nan)
        """float64 [capacity], NaN during warm-up."""

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._ring = widened(self._ring, capacity, np.nan)
        self.median = widened(self.median, capacity, np.nan)

    def forget(self, rows: BoolArray) -> None:
        """Begin anew for the rows of a mask [n]."""
        self._ring[:, : rows.size][:, rows] = np.nan
        self.median[: rows.size][rows] = np.nan

    def take(self, values: FloatArray) -> None:
        """Add one figure for each of the first rows; NaN adds nothing but ages what is held."""
        n = values.size
        self._ring[self._next] = np.nan
        self._ring[self._next, :n] = values
        self._next = (self._next + 1) % len(self._ring)
        ordered = np.sort(self._ring[:, :n], axis=0)  # NaN goes last
        counts = np.count_nonzero(~np.isnan(ordered), axis=0)
        upper = np.minimum(counts // 2, len(ordered) - 1)
        lower = np.maximum((counts - 1) // 2, 0)
        rows = np.arange(n)
        middle = (ordered[lower, rows] + ordered[upper, rows]) / 2.0
        self.median[:n] = np.where(counts >= self._warmup, middle, np.nan)


class Trigger:
    """Fires for a row when something begins to hold: armed again once it has clearly ceased, and after a cooldown."""

    def __init__(self, cooldown_ns: int, capacity: int) -> None:
        self._cooldown_ns = cooldown_ns
        self._armed: BoolArray = np.ones(capacity, np.bool_)
        self._fired_ns: IntArray = np.full(capacity, NEVER_NS, np.int64)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._armed = widened(self._armed, capacity, True)
        self._fired_ns = widened(self._fired_ns, capacity, NEVER_NS)

    def fire(self, holds: BoolArray, ceased: BoolArray, now_ns: int) -> list[int]:
        """Return the rows that fire, given where it holds and where it has clearly ceased: bool [n]."""
        n = holds.size
        armed, fired_ns = self._armed[:n], self._fired_ns[:n]
        armed |= ceased
        hits = holds & armed & (fired_ns <= now_ns - self._cooldown_ns)
        if not hits.any():
            return []
        armed[hits] = False
        fired_ns[hits] = now_ns
        rows: list[int] = np.flatnonzero(hits).tolist()
        return rows

    def arm(self, rows: BoolArray) -> None:
        """Arm the rows of a mask [n]; cooldowns go on."""
        self._armed[: rows.size][rows] = True
