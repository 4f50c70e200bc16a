"""Turns rows of values into coloured pixels of an image: 1 px curves without antialias, in numpy alone.

Where samples are denser than pixels each pixel column gets the span from its smallest to its largest value, so no
spike is lost; elsewhere samples are joined by straight lines. Columns and dashes are anchored to absolute time: a
chart that scrolls does not shimmer. Curves are solid where the value is exact, long dashes with small hatch strokes
beneath where it is a floor, short dashes where it is partial; NaN is a hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.domain.coverage import Known

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint32]

DAY_MS: Final = 86_400_000
FLOOR_DASH: Final = (9, 6)
PARTIAL_DASH: Final = (6, 3)
"""(period, drawn) of a dash in pixels."""
HATCH_STEP: Final = 8
HATCH_LENGTH: Final = 5


@dataclass(frozen=True, slots=True)
class Frame:
    """How time and value map to the pixels of an image; row 0 is the top.

    start_ms is the time at the left edge, ms_per_px > 0; top is the value at the upper edge, per_px > 0 the value
    between two rows.
    """

    start_ms: float
    ms_per_px: float
    top: float
    per_px: float
    width: int
    height: int

    @property
    def base_ms(self) -> int:
        """Return the moment columns are counted from; a midnight, to keep the numbers small."""
        return int(self.start_ms // DAY_MS) * DAY_MS

    @property
    def first_column(self) -> int:
        """Return the absolute number of the leftmost column."""
        return int(np.floor((self.start_ms - self.base_ms) / self.ms_per_px))


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours of l curves, 0xffRRGGBB; uint32 [l] each, and whether a curve is two pixels thick, bool [l]."""

    line: Pixels
    hatch: Pixels
    thick: npt.NDArray[np.bool_]


def draw(image: Pixels, frame: Frame, at_ms: Ints, y: Floats, known: Bytes, ink: Ink) -> None:
    """Draw curves into `image`, uint32 [height, width].

    at_ms int64 [n], rising; y float64 [l, n]; known uint8 [l, n]. Later curves lie on top of earlier ones.
    """
    if not at_ms.size or not y.shape[0]:
        return
    end_ms = frame.start_ms + frame.ms_per_px * frame.width
    a = max(0, int(np.searchsorted(at_ms, frame.start_ms)) - 1)
    b = min(at_ms.size, int(np.searchsorted(at_ms, end_ms, side="right")) + 1)
    if a >= b:
        return
    at_ms, y, known = at_ms[a:b], y[:, a:b], known[:, a:b]
    if b - a > frame.width // 2:
        _draw_dense(image, frame, at_ms, y, known, ink)
    else:
        x = (at_ms - frame.base_ms) / frame.ms_per_px - frame.first_column
        rows = (frame.top - y) / frame.per_px
        _draw_joined(image, frame, x, rows, rows, known, np.ones(max(0, b - a - 1), np.bool_), ink)
        _draw_lonely(image, frame, np.floor(x).astype(np.int64), rows, ink)


def _draw_dense(image: Pixels, frame: Frame, at_ms: Ints, y: Floats, known: Bytes, ink: Ink) -> None:
    column = np.floor((at_ms - frame.base_ms) / frame.ms_per_px).astype(np.int64)
    starts: Ints = np.concatenate(([0], np.flatnonzero(np.diff(column)) + 1))
    ends = np.append(starts[1:], column.size) - 1
    column = column[starts]
    high = np.fmax.reduceat(y, starts, axis=1)
    low = np.fmin.reduceat(y, starts, axis=1)
    worst = _worst_known(known, starts)
    x = column - frame.first_column
    valid = np.isfinite(high)
    top = _rows((frame.top - high) / frame.per_px, valid, frame.height)
    bottom = _rows((frame.top - low) / frame.per_px, valid, frame.height)
    beside = np.diff(column) == 1
    joined = beside & valid[:, 1:] & valid[:, :-1]
    previous_bottom, previous_top = bottom[:, :-1].copy(), top[:, :-1].copy()
    np.copyto(top[:, 1:], np.minimum(top[:, 1:], previous_bottom + 1), where=joined)
    np.copyto(bottom[:, 1:], np.maximum(bottom[:, 1:], previous_top - 1), where=joined)
    _fill_columns(image, frame, x, top, bottom, valid, worst, ink)
    if not beside.all():
        first, last = y[:, starts], y[:, ends]
        centre = x.astype(np.float64) + 0.5
        entering = (frame.top - np.where(np.isfinite(first), first, high)) / frame.per_px
        leaving = (frame.top - np.where(np.isfinite(last), last, high)) / frame.per_px
        _draw_joined(image, frame, centre, leaving, entering, worst, ~beside, ink)
    alone = (frame.top - high) / frame.per_px
    _draw_lonely(image, frame, x, alone, ink)


def _worst_known(known: Bytes, starts: Ints) -> Bytes:
    """Return the least known of each column's values, missing ones aside."""
    first = known[0, 0]
    if first != Known.MISSING and (known == first).all():
        return np.full((known.shape[0], starts.size), first, np.uint8)
    worst = np.where(known == Known.MISSING, np.uint8(Known.EXACT), known)
    return np.minimum.reduceat(worst, starts, axis=1)


def _rows(values: Floats, valid: npt.NDArray[np.bool_], height: int) -> Ints:
    """Return whole pixel rows, one beyond the image where the value is outside."""
    rows: Ints = np.floor(np.clip(np.where(valid, values, -1.0), -1.0, height)).astype(np.int64)
    return rows


def _fill_columns(
    image: Pixels, frame: Frame, x: Ints, top: Ints, bottom: Ints, valid: npt.NDArray[np.bool_], known: Bytes, ink: Ink
) -> None:
    """Fill the rows top..bottom of each column of each curve."""
    width, height = frame.width, frame.height
    inside = (x >= 0) & (x < width)
    top, bottom = np.maximum(top, 0), np.minimum(bottom, height - 1)
    length = np.where(valid & inside, np.maximum(bottom - top + 1, 0), 0)
    lines, columns = np.nonzero(length)
    if not lines.size:
        return
    count = length[lines, columns]
    first_row, column = top[lines, columns], x[columns]
    style = known[lines, columns]
    phase = column + frame.first_column
    dashed = style != Known.EXACT
    any_dashed = bool(dashed.any())
    tall = dashed & (count > FLOOR_DASH[0] - FLOOR_DASH[1])
    if any_dashed:
        floor = (style == Known.FLOOR) & (phase % HATCH_STEP == 0)
        _hatch(image, column[floor], (first_row + count - 1)[floor], ink.hatch[lines[floor]])
        kept = tall | _dash(phase, style)
        count, first_row, column, phase = count[kept], first_row[kept], column[kept], phase[kept]
        lines, style, tall = lines[kept], style[kept], tall[kept]
    total = int(count.sum())
    before = np.cumsum(count) - count
    index = np.arange(0, total * width, width)
    index += np.repeat(column + (first_row - before) * width, count)
    curve = np.repeat(lines.astype(np.uint8), count)
    if any_dashed and tall.any():
        # a tall stroke is broken along its height, or a spike could fall between two dashes
        slanted = np.repeat(phase + first_row - before, count)
        slanted += np.arange(total)
        keep = np.repeat(~tall, count) | _dash(slanted, np.repeat(style, count))
        index, curve = index[keep], curve[keep]
    _put(image, index, curve, ink)


def _draw_joined(
    image: Pixels,
    frame: Frame,
    x: Floats,
    leaving: Floats,
    entering: Floats,
    known: Bytes,
    wanted: npt.NDArray[np.bool_],
    ink: Ink,
) -> None:
    """Draw straight lines from each point's `leaving` row to the next point's `entering` row where `wanted`."""
    usable = wanted & np.isfinite(leaving[:, :-1]) & np.isfinite(entering[:, 1:])
    lines, points = np.nonzero(usable)
    if not lines.size:
        return
    x1, x2 = x[points], x[points + 1]
    y1, y2 = leaving[lines, points], entering[lines, points + 1]
    style = np.minimum(known[lines, points], known[lines, points + 1])
    begin, end = _clip(x1, y1, x2, y2, frame)
    seen = begin < end
    lines, style = lines[seen], style[seen]
    x1, y1, dx, dy = x1[seen], y1[seen], (x2 - x1)[seen], (y2 - y1)[seen]
    begin, end = begin[seen], end[seen]
    steps = np.ceil(np.maximum(np.abs(dx), np.abs(dy)) * (end - begin)).astype(np.int64) + 1
    total = int(steps.sum())
    step = np.arange(total) - np.repeat(np.cumsum(steps) - steps, steps)
    at = np.repeat(begin, steps) + step * np.repeat((end - begin) / np.maximum(steps - 1, 1), steps)
    column = np.floor(np.repeat(x1, steps) + at * np.repeat(dx, steps)).astype(np.int64)
    row = np.floor(np.repeat(y1, steps) + at * np.repeat(dy, steps)).astype(np.int64)
    curve = np.repeat(lines, steps)
    keep = (column >= 0) & (column < frame.width) & (row >= 0) & (row < frame.height)
    if (style != Known.EXACT).any():
        flat = np.repeat(np.abs(dx) >= np.abs(dy), steps)
        styles = np.repeat(style, steps)
        phase = column + frame.first_column
        floor = keep & flat & (styles == Known.FLOOR) & (phase % HATCH_STEP == 0)
        _hatch(image, column[floor], row[floor], ink.hatch[curve[floor]])
        keep &= _dash(np.where(flat, phase, row), styles)
    _put(image, row[keep] * frame.width + column[keep], curve[keep], ink)


def _draw_lonely(image: Pixels, frame: Frame, x: Ints, rows: Floats, ink: Ink) -> None:
    """Make points without a neighbour visible: three pixels wide."""
    finite = np.isfinite(rows)
    lonely = finite.copy()
    lonely[:, 1:] &= ~finite[:, :-1]
    lonely[:, :-1] &= ~finite[:, 1:]
    lonely &= (x >= 1) & (x < frame.width - 1) & (rows >= 0) & (rows < frame.height)
    lines, points = np.nonzero(lonely)
    row = np.floor(rows[lines, points]).astype(np.int64)
    for shift in (-1, 0, 1):
        _put(image, row * frame.width + x[points] + shift, lines, ink)


def _dash(phase: Ints, style: Bytes) -> npt.NDArray[np.bool_]:
    """Return which pixels of a dashed curve are drawn."""
    floor = phase % FLOOR_DASH[0] < FLOOR_DASH[1]
    partial = phase % PARTIAL_DASH[0] < PARTIAL_DASH[1]
    drawn: npt.NDArray[np.bool_] = np.where(style == Known.FLOOR, floor, partial)
    drawn |= style == Known.EXACT
    return drawn


def _hatch(image: Pixels, column: Ints, row: Ints, colour: Pixels) -> None:
    """Draw a short stroke down and to the left of each pixel."""
    height, width = image.shape
    for step in range(2, 2 + HATCH_LENGTH):
        down, left = row + step, column - step
        keep = (down >= 0) & (down < height) & (left >= 0) & (left < width)
        image[down[keep], left[keep]] = colour[keep]


def _put(image: Pixels, index: Ints, curve: npt.NDArray[np.integer[Any]], ink: Ink) -> None:
    """Colour pixels, given as positions in the flat image; a thick curve colours the one below too."""
    width = image.shape[1]
    flat = image.reshape(-1)
    colour = ink.line[curve]
    flat[index] = colour
    if ink.thick.any():
        below = ink.thick[curve] & (index < flat.size - width)
        flat[index[below] + width] = colour[below]


def _clip(x1: Floats, y1: Floats, x2: Floats, y2: Floats, frame: Frame) -> tuple[Floats, Floats]:
    """Return which part (0..1 begin, end) of each line lies in the image; begin >= end: none (Liang and Barsky)."""
    begin, end = np.zeros(x1.shape), np.ones(x1.shape)
    for start, delta, limit in ((x1, x2 - x1, frame.width), (y1, y2 - y1, frame.height)):
        moving = np.abs(delta) > 1e-12
        safe = np.where(moving, delta, 1.0)
        low, high = -start / safe, (limit - start) / safe
        begin = np.where(moving, np.maximum(begin, np.minimum(low, high)), begin)
        end = np.where(moving, np.minimum(end, np.maximum(low, high)), end)
        outside = ~moving & ((start < 0) | (start >= limit))
        end = np.where(outside, -1.0, end)
    return begin, end
