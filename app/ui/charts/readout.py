"""Reads a chart's curves at one moment: value, how well it is known, and the text for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.domain.ids import Market
from app.domain.units import MS_PER_MINUTE
from app.indicators.formulas import Kind, Line
from app.viewmodels import formats
from app.viewmodels.chart_series import BREAK, TICK_GAP_MS, Rows
from app.viewmodels.depth_chart import DepthChartModel, curve_key

REACH_PX: Final = 14.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One curve at one moment; value NaN: nothing there. stamp_ms is the source's moment and
    at_s where its point is drawn, None without one."""

    key: str
    name: str
    market: Market
    line: Line
    index: int
    value: float
    known: Known
    unconfirmed: float
    stamp_ms: int | None
    at_s: float | None
    text: str
    hidden: bool


def value_text(value: float, known: Known, unconfirmed: float, line: Line) -> str:
    """Return a value with the sign of how well it is known, in the line's manner."""
    if line.kind is Kind.DIFF:
        return formats.known_text(value, known, unconfirmed, formats.signed)
    if line.kind is Kind.VOLUME:
        return formats.known_text(value, known, unconfirmed)
    return formats.known_text(value, known, unconfirmed, _ratio)


def _ratio(value: float) -> str:
    return formats.ratio(value, 3)


def readings(model: DepthChartModel, at_s: float | None, tolerance_s: float) -> list[Reading]:
    """Return every curve at a moment; with None their newest state, without a text.

    A row counts when it is the nearest one and no further than half a minute (a minute's mean), two seconds (a tick)
    or the tolerance; inside a hole there is no value.
    """
    config = model.config
    found = []
    for market in config.markets:
        rows = model.rows(market)
        i = _last(rows) if at_s is None else _nearest(rows, at_s, tolerance_s)
        for index, line in enumerate(config.lines):
            key = curve_key(market, line)
            name = f"{line.label} {market.label}" if len(config.markets) > 1 else line.label
            value = float(rows.y[index, i]) if i is not None else math.nan
            known = Known(int(rows.known[index, i])) if i is not None else Known.MISSING
            unconfirmed = float(rows.unconfirmed[index, i]) if i is not None else 0.0
            stamp = int(rows.stamp_ms[i]) if i is not None else None
            drawn_s = float(rows.at_ms[i]) / 1000 if i is not None else None
            hidden = model.is_hidden(key)
            text = "" if at_s is None else value_text(value, known, unconfirmed, line)
            found.append(
                Reading(key, name, market, line, index, value, known, unconfirmed, stamp, drawn_s, text, hidden)
            )
    return found


def nearest_curve(found: Sequence[Reading], y: float, row_of: Callable[[float], float]) -> Reading | None:
    """Return the visible reading whose point is nearest to a pixel row, None when none is within reach."""
    near = [
        reading
        for reading in found
        if not reading.hidden and math.isfinite(reading.value) and abs(row_of(reading.value) - y) <= REACH_PX
    ]
    return min(near, key=lambda reading: abs(row_of(reading.value) - y), default=None)


def _last(rows: Rows) -> int | None:
    present = np.flatnonzero(rows.stamp_ms != BREAK) if len(rows) < 8 else np.flatnonzero(rows.stamp_ms[-8:] != BREAK)
    return int(present[-1]) + max(0, len(rows) - 8) if present.size else None


def _nearest(rows: Rows, at_s: float, tolerance_s: float) -> int | None:
    if not len(rows):
        return None
    at_ms = at_s * 1000
    right = int(np.searchsorted(rows.at_ms, at_ms))
    i = min(
        (k for k in (right - 1, right) if 0 <= k < len(rows)),
        key=lambda k: abs(float(rows.at_ms[k]) - at_ms),
    )
    if rows.stamp_ms[i] == BREAK:
        return None
    is_minute = rows.stamp_ms[i] != rows.at_ms[i]
    reach_ms = max(MS_PER_MINUTE / 2 if is_minute else TICK_GAP_MS, tolerance_s * 1000)
    return i if abs(float(rows.at_ms[i]) - at_ms) <= reach_ms else None
