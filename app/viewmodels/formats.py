"""Turns numbers into the text a person reads; free of Qt, so that view models and exports may use it too.

Every number says how well it is known: "≥ 41.2 M" is a floor, "≈ 0.84" partial, "—" unknown, "…" pending. NaN and
infinities never reach the screen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from app.domain.coverage import Coverage, Known
from app.domain.units import NS_PER_MS, NS_PER_S

UNKNOWN: Final = "—"
PENDING: Final = "…"
FLOOR_SIGN: Final = "≥"
PARTIAL_SIGN: Final = "≈"

_UNITS: Final = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " K"))


def is_number(value: float | None) -> bool:
    """Tell a value that can be shown from None, NaN and infinity."""
    return value is not None and math.isfinite(value)


def volume(value: float | None, digits: int = 3) -> str:
    """Return a size or an amount with `digits` significant digits and a unit: 1250000 -> "1.25 M"."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    magnitude = abs(value)
    for index, (unit, _) in enumerate(_UNITS):
        if magnitude >= unit or _rounds_up_to(magnitude, unit, digits):
            scaled = math.copysign(max(magnitude / unit, 1.0), value)
            return f"{_significant(scaled, digits)}{_UNITS[index][1]}"
    return _significant(value, digits)


def _rounds_up_to(magnitude: float, unit: float, digits: int) -> bool:
    """Whether the value, shown in the next smaller unit, would read "1000"."""
    smaller = unit / 1000
    return magnitude >= unit * 0.99 and round(magnitude / smaller, max(0, digits - 3)) >= 1000


def _significant(value: float, digits: int) -> str:
    magnitude = abs(value)
    if magnitude == 0:
        return "0"
    whole = math.floor(math.log10(magnitude)) + 1
    decimals = min(8, max(0, digits - whole))
    text = f"{value:.{decimals}f}"
    if magnitude < 1 and "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def full(value: float | None, decimals: int = 2) -> str:
    """Return the whole value with thousands separators, for tooltips: 1250000 -> "1,250,000.00"."""
    return f"{value:,.{decimals}f}" if value is not None and math.isfinite(value) else UNKNOWN


@lru_cache(maxsize=512)
def tick_decimals(tick_size: str | None) -> int | None:
    """Return how many decimals a price step needs ("0.0100" -> 2, "10" -> 0), None when there is no usable step."""
    if tick_size is None:
        return None
    try:
        step = float(tick_size)
    except ValueError:
        return None
    if not math.isfinite(step) or step <= 0:
        return None
    if "e" in tick_size.lower():
        tick_size = f"{step:.12f}"
    fraction = tick_size.partition(".")[2].rstrip("0")
    return len(fraction)


def price(value: float | None, tick_size: str | None = None) -> str:
    """Return a price with the decimals of its tick; without one, with about six significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    decimals = tick_decimals(tick_size)
    if decimals is None:
        magnitude = abs(value)
        whole = math.floor(math.log10(magnitude)) + 1 if magnitude > 0 else 1
        decimals = min(10, max(2, (6 if whole > 0 else 5) - whole))
    return f"{value:,.{decimals}f}"


def ratio(value: float | None, decimals: int = 2) -> str:
    """Return a plain ratio such as bid/ask: 0.8437 -> "0.84"."""
    return f"{value:,.{decimals}f}" if value is not None and math.isfinite(value) else UNKNOWN


def percent(value: float | None, decimals: int = 1) -> str:
    """Return percent points: 3.84 -> "3.8 %"."""
    return f"{value:.{decimals}f} %" if value is not None and math.isfinite(value) else UNKNOWN


def signed(value: float | None, formatter: Callable[[float], str] = volume) -> str:
    """Return a difference with its sign always written: 1.2e6 -> "+1.20 M"."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = formatter(value)
    return f"+{text}" if value > 0 and text != "0" else text


def count(value: int | None) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,}" if value is not None else UNKNOWN


def milliseconds(value: float | None) -> str:
    """Return a duration given in ms: "12 ms", "1.4 s"; "—" for None."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms"


def age(nanoseconds: int | None) -> str:
    """Return an age in at most two units: "0.4 s", "42 s", "3 m 12 s", "3 h 12 m", "2 d 4 h"; "never" for None."""
    if nanoseconds is None:
        return "never"
    seconds = max(0, nanoseconds) / NS_PER_S
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} m"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def clock_text(ts_ns: int, zone: tzinfo = UTC, with_ms: bool = False) -> str:
    """Return the time of day of a UTC stamp in a zone: "14:03:07" or "14:03:07.250"."""
    moment = datetime.fromtimestamp(ts_ns // NS_PER_S, zone)
    text = moment.strftime("%H:%M:%S")
    return f"{text}.{ts_ns % NS_PER_S // NS_PER_MS:03d}" if with_ms else text


def known_sign(known: Known | Coverage, unconfirmed: float = 0.0) -> str:
    """Return "", "≥" or "≈" for a value that exists; a volume that counts unconfirmed levels is no floor but "≈"."""
    if isinstance(known, Coverage):
        if known is Coverage.EXACT:
            return ""
        return PARTIAL_SIGN if unconfirmed > 0 else FLOOR_SIGN
    if known is Known.EXACT:
        return ""
    if known is Known.FLOOR and not unconfirmed > 0:
        return FLOOR_SIGN
    return PARTIAL_SIGN


def known_text(
    value: float | None,
    known: Known | Coverage,
    unconfirmed: float = 0.0,
    formatter: Callable[[float], str] = volume,
    pending: bool = False,
) -> str:
    """Return a value with the sign of how well it is known: "≥ 41.2 M", "≈ 0.84", "41.2 M", "—", or "…" (pending)."""
    if value is None or not math.isfinite(value) or int(known) == 0:
        return PENDING if pending else UNKNOWN
    sign = known_sign(known, unconfirmed)
    text = formatter(value)
    return f"{sign} {text}" if sign else text


def bucket_words(bucket_pct: float) -> str:
    """Return what it means that a band was summed from price buckets of a size in percent of the best price."""
    return f"levels come rounded to {bucket_pct:.3g} % of the price; the bucket at the band's edge is not counted"


def known_to(side: str, known_to_pct: float | None) -> str:
    """Return how far a side is proven, in words: "bid known to 3.8 %", "ask wholly known", "bid not known yet"."""
    if known_to_pct is None or math.isnan(known_to_pct):
        return f"{side} not known yet"
    if math.isinf(known_to_pct) or (side == "bid" and known_to_pct >= 100):
        return f"{side} wholly known"
    return f"{side} known to {_reach(known_to_pct)}"


def known_to_short(known_to_pct: float | None) -> str:
    """Return the reach of one side as a short cell: "3.8 %", "0.24 %", "all" (complete or beyond 100 %), "—"."""
    if known_to_pct is None or math.isnan(known_to_pct):
        return UNKNOWN
    if math.isinf(known_to_pct) or known_to_pct >= 100:
        return "all"
    return _reach(known_to_pct)


def _reach(known_to_pct: float) -> str:
    return percent(known_to_pct, 2 if known_to_pct < 1 else 1 if known_to_pct < 10 else 0)
