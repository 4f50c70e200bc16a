"""Chooses where axes have their labels and what these say; Qt-free."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo
from typing import Final

_TIME_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 1_209_600),
)
_UNITS: Final = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " K"), (1.0, ""))


def time_step(span_s: float, pixels: float, label_px: float = 76.0) -> int:
    """Return the seconds between two labels so that labels of `label_px` do not touch."""
    least = span_s * label_px / max(pixels, 1.0)
    return next((step for step in _TIME_STEPS_S if step >= least), _TIME_STEPS_S[-1])


def time_ticks(start_s: float, end_s: float, step_s: int, zone: tzinfo) -> list[float]:
    """Return the labelled moments, at round times of the zone."""
    offset = _offset_s(start_s, zone)
    first = math.ceil((start_s + offset) / step_s) * step_s - offset
    return [first + i * step_s for i in range(int((end_s - first) // step_s) + 1)] if first <= end_s else []


def time_label(at_s: float, step_s: float, zone: tzinfo) -> str:
    """Return the label of a moment; midnight is its date."""
    moment = datetime.fromtimestamp(round(at_s), zone)
    if step_s >= 86_400 or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M:%S}" if step_s < 60 else f"{moment:%H:%M}"


def moment_label(at_s: float, span_s: float, zone: tzinfo) -> str:
    """Return a moment for the crosshair: as exact as the span makes sense, with the zone."""
    moment = datetime.fromtimestamp(at_s, zone)
    if span_s <= 150:
        text = f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"
    elif span_s <= 6 * 3600:
        text = f"{moment:%H:%M:%S}"
    else:
        text = f"{moment.day} {moment:%b %H:%M}"
    return f"{text} {zone_name(at_s, zone)}"


def zone_name(at_s: float, zone: tzinfo) -> str:
    """Return the short name of a zone at a moment."""
    return datetime.fromtimestamp(at_s, zone).tzname() or "local"


def value_step(span: float, pixels: float, label_px: float = 34.0) -> float:
    """Return the distance between two labels of a value axis: 1, 2, 2.5 or 5 times a power of ten."""
    least = span * label_px / max(pixels, 1.0)
    if not least > 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= least * 0.999), 10 * power)


def value_ticks(low: float, high: float, step: float) -> list[float]:
    """Return the labelled values."""
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, min(last, first + 100) + 1)]


def value_labels(values: list[float], step: float, money: bool) -> list[str]:
    """Return the labels of an axis, all in one unit and with the same number of decimals."""
    if not values:
        return []
    unit, suffix = axis_unit(max(abs(value) for value in values), step) if money else (1.0, "")
    scaled = step / unit
    decimals = 0
    while decimals < 6 and abs(round(scaled, decimals) - scaled) > 1e-6 * scaled:
        decimals += 1
    labels = []
    for value in values:
        text = f"{value / unit:.{decimals}f}"
        labels.append("0" if float(text) == 0 else f"{text}{suffix}".replace("-", "−"))
    return labels


def axis_unit(largest: float, step: float) -> tuple[float, str]:
    """Return the unit (divisor, suffix) of an axis whose labels reach `largest` in steps of `step`."""
    return next(((unit, suffix) for unit, suffix in _UNITS if largest >= unit and step >= unit / 1000), _UNITS[-1])


def padded(low: float, high: float, reference: float | None = None) -> tuple[float, float]:
    """Return a value range with air above and below; it takes in the reference value when that is near."""
    if reference is not None:
        reach = 0.5 * (high - low)
        if low - reach <= reference <= high + reach:
            low, high = min(low, reference), max(high, reference)
    span = high - low
    if span <= 0 or span < 1e-9 * max(abs(low), abs(high)):
        span = max(abs(high) * 0.02, 1e-6)
        low, high = (low + high - span) / 2, (low + high + span) / 2
    return low - 0.09 * span, high + 0.09 * span


def _offset_s(at_s: float, zone: tzinfo) -> float:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


__all__ = [
    "axis_unit",
    "moment_label",
    "padded",
    "time_label",
    "time_step",
    "time_ticks",
    "value_labels",
    "value_step",
    "value_ticks",
    "zone_name",
]
