"""Turns stored minutes and live ticks of one subject on one market into rows that can be drawn, with one seam.

Rows are moments in time order; every chosen line has a value in each row. Where the ticks begin the minutes end: a
minute (drawn at its middle) is taken only when it lies before the first tick. Missing time is a row of NaN in the
middle of the hole, never a made-up value: minutes more than 60 s apart, ticks more than 2 s apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.coverage import Known
from app.domain.units import MS_PER_MINUTE
from app.indicators.formulas import Convention, Line, evaluate, strict
from app.indicators.window import DepthWindow, FloatArray, IntArray

TICK_GAP_MS: Final = 2_000
TICK_SPAN_MS: Final = 120_000
TICK_KEEP_MS: Final = 15 * MS_PER_MINUTE
MINUTE_MIDDLE_MS: Final = MS_PER_MINUTE // 2
BREAK: Final = -1
"""Stamp of a row that only breaks the curves."""

ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rows:
    """Values of l lines at n moments.

    at_ms: int64 [n], where the row is drawn; stamp_ms: int64 [n], the moment in the source (start of a minute, time of
    a tick, `BREAK`); y float64 [l, n] (NaN: missing); known uint8 [l, n] (`Known`); unconfirmed float64 [l, n].
    """

    at_ms: IntArray
    stamp_ms: IntArray
    y: FloatArray
    known: ByteArray
    unconfirmed: FloatArray

    def __len__(self) -> int:
        return int(self.at_ms.size)

    def part(self, start: int, stop: int) -> Rows:
        """Return the rows start..stop-1 (views)."""
        return Rows(
            self.at_ms[start:stop],
            self.stamp_ms[start:stop],
            self.y[:, start:stop],
            self.known[:, start:stop],
            self.unconfirmed[:, start:stop],
        )


class GrowingRows:
    """Rows that grow at the end at no cost worth naming; `rows` are views into spare room."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._room = 0
        self._size = 0
        self._all = _blank(lines, 0)

    def __len__(self) -> int:
        return self._size

    @property
    def rows(self) -> Rows:
        """Return everything; views that stay valid until the next change."""
        return self._all.part(0, self._size)

    def clear(self) -> None:
        """Forget every row, keep the room."""
        self._size = 0

    def extend(self, more: Rows) -> None:
        """Append rows."""
        need = self._size + len(more)
        if need > self._room:
            self._room = max(256, need + need // 2)
            grown = _blank(self._lines, self._room)
            _copy(self.rows, grown, 0)
            self._all = grown
        _copy(more, self._all, self._size)
        self._size = need

    def drop_first(self, count: int) -> None:
        """Forget the oldest rows."""
        kept = self._all.part(count, self._size)
        fresh = _blank(self._lines, self._room)
        _copy(kept, fresh, 0)
        self._all, self._size = fresh, len(kept)


class MarketTrace:
    """The curves of one market: `rows` for drawing, grown tick by tick.

    layout moves whenever rows other than appended ones have changed; appended rows alone only raise `len(rows)`.
    """

    def __init__(self, lines: Sequence[Line], convention: Convention, is_strict: bool) -> None:
        self.lines = tuple(lines)
        self.layout = 0
        self.newest: DepthWindow | None = None
        self._convention = convention
        self._strict = is_strict
        self._minutes = _blank(len(self.lines), 0)
        self._ticks = GrowingRows(len(self.lines))
        self._joined = GrowingRows(len(self.lines))
        self._last_tick_ms: int | None = None

    @property
    def rows(self) -> Rows:
        """Return minutes, seam and ticks as one run of rows."""
        return self._joined.rows

    @property
    def first_tick_ms(self) -> int | None:
        """Return the seam: the time of the oldest tick shown, None without ticks."""
        return int(self._ticks.rows.at_ms[0]) if len(self._ticks) else None

    @property
    def last_tick_ms(self) -> int | None:
        """Return the time of the newest tick, None without ticks."""
        return self._last_tick_ms

    def set_minutes(self, window: DepthWindow, changed_from_ms: int | None = None) -> None:
        """Take the stored minutes; only rows from `changed_from_ms` on are computed anew (None: all)."""
        old = self._minutes
        keep = 0 if changed_from_ms is None else int(np.searchsorted(window.ts_ms, changed_from_ms))
        kept_rows = int(np.searchsorted(old.at_ms, changed_from_ms)) if keep and changed_from_ms is not None else 0
        kept = old.part(0, kept_rows)
        if keep and int(np.count_nonzero(kept.stamp_ms != BREAK)) != keep:
            keep, kept = 0, old.part(0, 0)
        fresh = self._evaluate(window.slice(keep, len(window)), MINUTE_MIDDLE_MS)
        stamps = kept.stamp_ms[kept.stamp_ms != BREAK]
        before = int(stamps[-1]) + MINUTE_MIDDLE_MS if stamps.size else None
        self._minutes = _concatenate((kept, with_breaks(fresh, MS_PER_MINUTE, before)))
        if self.newest is None and len(window):
            self.newest = _last(window)
        self._join()

    def take_ticks(self, window: DepthWindow) -> int:
        """Take the ticks of the live window that are new; return how many rows were added.

        When the window begins after the last tick taken (the chart was hidden meanwhile), or ends before it (the time
        of a replay was set back), the old ticks are dropped and the whole window is taken.
        """
        if not len(window):
            return 0
        last = self._last_tick_ms
        first_ms, end_ms = int(window.ts_ms[0]), int(window.ts_ms[-1])
        if last is None or first_ms > last or end_ms < last:
            self._ticks.clear()
            fresh = with_breaks(self._evaluate(window, 0), TICK_GAP_MS, None)
            self._ticks.extend(fresh)
            self._last_tick_ms, self.newest = end_ms, _last(window)
            self._join()
            return len(fresh)
        start = int(np.searchsorted(window.ts_ms, last, side="right"))
        if start == len(window):
            return 0
        fresh = with_breaks(self._evaluate(window.slice(start, len(window)), 0), TICK_GAP_MS, last)
        self._ticks.extend(fresh)
        self._joined.extend(fresh)
        self._last_tick_ms, self.newest = end_ms, _last(window)
        return len(fresh)

    def trim(self, stored_until_ms: int) -> bool:
        """Drop ticks that are older than two minutes and covered by stored minutes (or too many); tell whether any."""
        if self._last_tick_ms is None:
            return False
        keep_from = min(self._last_tick_ms - TICK_SPAN_MS, max(stored_until_ms, self._last_tick_ms - TICK_KEEP_MS))
        at_ms = self._ticks.rows.at_ms
        count = int(np.searchsorted(at_ms, keep_from))
        while count < at_ms.size and self._ticks.rows.stamp_ms[count] == BREAK:
            count += 1
        if not count:
            return False
        self._ticks.drop_first(count)
        self._join()
        return True

    def _evaluate(self, window: DepthWindow, shift_ms: int) -> Rows:
        curves = [evaluate(line, window, self._convention) for line in self.lines]
        if self._strict:
            curves = [strict(curve) for curve in curves]
        count = len(window)
        shape = (len(curves), count)
        return Rows(
            window.ts_ms + shift_ms,
            window.ts_ms,
            np.concatenate([curve.values for curve in curves]).reshape(shape),
            np.concatenate([curve.known for curve in curves]).reshape(shape),
            np.concatenate([curve.unconfirmed for curve in curves]).reshape(shape),
        )

    def _join(self) -> None:
        """Lay the minutes before the first tick, and the ticks, end to end."""
        self.layout += 1
        self._joined.clear()
        ticks = self._ticks.rows
        if not len(ticks):
            self._joined.extend(self._minutes)
            return
        shown = self._minutes.part(0, int(np.searchsorted(self._minutes.at_ms, ticks.at_ms[0])))
        if _begins_here(shown, int(ticks.at_ms[0])):
            shown = shown.part(0, len(shown) - 1)
        while len(shown) and shown.stamp_ms[-1] == BREAK:
            shown = shown.part(0, len(shown) - 1)
        self._joined.extend(shown)
        if len(shown) and ticks.at_ms[0] - shown.at_ms[-1] > MS_PER_MINUTE + TICK_GAP_MS:
            self._joined.extend(_break_rows(len(self.lines), (shown.at_ms[-1:] + ticks.at_ms[:1]) // 2))
        self._joined.extend(ticks)


def _begins_here(minutes: Rows, first_tick_ms: int) -> bool:
    """Tell whether the last minute is the one in which recording began: then the ticks say all there is of it.

    Its mean would be drawn at its middle, where the program perhaps did not run yet.
    """
    count = len(minutes)
    if not count or minutes.stamp_ms[-1] == BREAK or minutes.stamp_ms[-1] + MS_PER_MINUTE <= first_tick_ms:
        return False
    return count == 1 or bool(minutes.stamp_ms[-2] != minutes.stamp_ms[-1] - MS_PER_MINUTE)


def with_breaks(rows: Rows, gap_ms: int, before_ms: int | None) -> Rows:
    """Return the rows with a NaN row in the middle of every hole longer than `gap_ms`.

    before_ms is where the row before the first one is drawn (None: there is none).
    """
    if not len(rows):
        return rows
    previous = np.empty_like(rows.at_ms)
    previous[1:] = rows.at_ms[:-1]
    previous[0] = rows.at_ms[0] if before_ms is None else before_ms
    holes = np.flatnonzero(rows.at_ms - previous > gap_ms)
    if not holes.size:
        return rows
    middle = (previous[holes] + rows.at_ms[holes]) // 2
    return Rows(
        np.insert(rows.at_ms, holes, middle),
        np.insert(rows.stamp_ms, holes, BREAK),
        np.insert(rows.y, holes, np.nan, axis=1),
        np.insert(rows.known, holes, np.uint8(Known.MISSING), axis=1),
        np.insert(rows.unconfirmed, holes, 0.0, axis=1),
    )


def _break_rows(lines: int, at_ms: IntArray) -> Rows:
    rows = _blank(lines, at_ms.size)
    rows.at_ms[:] = at_ms
    return rows


def _blank(lines: int, count: int) -> Rows:
    return Rows(
        np.zeros(count, np.int64),
        np.full(count, BREAK, np.int64),
        np.full((lines, count), np.nan),
        np.full((lines, count), Known.MISSING, np.uint8),
        np.zeros((lines, count)),
    )


def _copy(source: Rows, target: Rows, at: int) -> None:
    stop = at + len(source)
    target.at_ms[at:stop] = source.at_ms
    target.stamp_ms[at:stop] = source.stamp_ms
    target.y[:, at:stop] = source.y
    target.known[:, at:stop] = source.known
    target.unconfirmed[:, at:stop] = source.unconfirmed


def _concatenate(parts: tuple[Rows, Rows]) -> Rows:
    first, second = parts
    return Rows(
        np.concatenate((first.at_ms, second.at_ms)),
        np.concatenate((first.stamp_ms, second.stamp_ms)),
        np.concatenate((first.y, second.y), axis=1),
        np.concatenate((first.known, second.known), axis=1),
        np.concatenate((first.unconfirmed, second.unconfirmed), axis=1),
    )


def _last(window: DepthWindow) -> DepthWindow:
    return window.slice(len(window) - 1, len(window))
