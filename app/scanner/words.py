"""Numbers and times as the sentences of events say them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from app.domain.units import NS_PER_S

_UNITS: Final = ((1e9, " B"), (1e6, " M"), (1e3, " K"))


def price(value: float) -> str:
    """Return a price with six digits: 63000.5, 0.00001234."""
    if value == 0.0:
        return "0"
    digits = max(0, 5 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 14)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def usd(value: float) -> str:
    """Return an amount with three digits and a unit: 1.25 M."""
    for unit, name in _UNITS:
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}" if abs(value) < 1e3 * unit else f"{value / unit:,.0f}{name}"
    return f"{value:.3g}"


def span(seconds: float) -> str:
    """Return a length of time in its two largest units: 45 s, 5 min, 1 h 5 min, 3 d 2 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def clock(ts_ns: int) -> str:
    """Return the time of day of a UTC time in ns: 14:05."""
    return datetime.fromtimestamp(ts_ns / NS_PER_S, UTC).strftime("%H:%M")
