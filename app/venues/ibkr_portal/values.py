"""From the gateway's formatted figures ("C189.6", "1,300", "12.2M", "31.4%", 84.5, "") to numbers. Pure.

Sources differ in whether a figure is a string or a number (fact sheet, section 4); a prefix "C" says that a price is a
previous close, "H" that trading is halted.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

NAN: Final = float("nan")
_TOO_BIG: Final = 1e24
"""Larger figures are sentinels of "not set" (1.797e308)."""
_LONGEST: Final = 64
_FIGURE: Final = re.compile(
    r"(?P<prefix>[CH]?)\s*"
    r"(?P<number>[+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*"
    r"(?P<scale>[KMBT]?)\s*(?P<percent>%?)",
    re.ASCII,
)
_SCALES: Final = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


class Reading(NamedTuple):
    """One figure: value (NaN: none or unreadable), "C", "H" or "" before it, and whether it came."""

    value: float
    prefix: str
    readable: bool


_NOTHING: Final = Reading(NAN, "", True)
_UNREADABLE: Final = Reading(NAN, "", False)


def read(raw: Any) -> Reading:
    """Return what a figure says; empty text and null are readable and mean "none"."""
    if raw is None:
        return _NOTHING
    if isinstance(raw, bool):
        return _UNREADABLE
    if isinstance(raw, int | float):
        number = clean(raw)
        return _UNREADABLE if number is None else Reading(number, "", True)
    if not isinstance(raw, str) or len(raw) > _LONGEST:
        return _UNREADABLE
    text = raw.strip()
    if not text:
        return _NOTHING
    found = _FIGURE.fullmatch(text)
    if found is None:
        return _UNREADABLE
    number = clean(float(found["number"].replace(",", "")) * _SCALES[found["scale"]])
    return _UNREADABLE if number is None else Reading(number, found["prefix"], True)


def clean(number: float) -> float | None:
    """Return a number as a float, None for infinities, NaN and sentinels of "not set"."""
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if math.isfinite(value) and abs(value) < _TOO_BIG else None


def amount(raw: Any) -> float | None:
    """Return a figure without its prefix, None when there is none."""
    value = read(raw).value
    return None if math.isnan(value) else value


def whole(raw: Any) -> int:
    """Return a number or text that stands for a whole number of 0 or more ("265598", "265598@ARCA"); 0: it does not."""
    if isinstance(raw, bool):
        return 0
    if isinstance(raw, int):
        return raw if 0 <= raw < 2**63 else 0
    if isinstance(raw, float):
        return int(raw) if raw.is_integer() and 0.0 <= raw < 2**53 else 0
    if isinstance(raw, str):
        digits = raw.strip().partition("@")[0]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else 0
    return 0


def words(raw: Any, longest: int = 300) -> str:
    """Return printable text out of a value that should be text or a number, "" for anything else."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in str(raw)[:longest]).strip()


_LAST_MS: Final = 4_102_444_800_000  # the year 2100


def millis_ns(raw: Any) -> int:
    """Return UTC ns of milliseconds since 1970, 0 when that is no time."""
    number = whole(raw)
    return number * 1_000_000 if 0 < number < _LAST_MS else 0


def seconds_ns(raw: Any) -> int:
    """Return UTC ns of seconds since 1970, 0 when that is no time."""
    number = whole(raw)
    return number * 1_000_000_000 if 0 < number < _LAST_MS // 1000 else 0


def written_ns(raw: Any) -> int:
    """Return UTC ns of "20260720-14:02:31" or "260720140231" (UTC), 0 when that is no time."""
    text = words(raw, 20)
    for form in ("%Y%m%d-%H:%M:%S", "%y%m%d%H%M%S"):
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return seconds_ns(int(moment.timestamp()))
    return 0
