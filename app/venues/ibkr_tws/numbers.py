"""Figures and times as ib_async hands them over, without the signs TWS uses for "none".

Unset doubles are the largest float or Infinity, unset integers 2147483647 (or the largest of 64 bits).
"""

from __future__ import annotations

import math
import re
import sys
from datetime import UTC, date, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from app.domain.units import NS_PER_S

UNSET_DOUBLE: Final = sys.float_info.max
UNSET_INTEGERS: Final = frozenset({2**31 - 1, 2**63 - 1, -(2**63)})
_NEW_YORK: Final = "America/New_York"
_ZONES: Final = {"EST": _NEW_YORK, "EDT": _NEW_YORK, "GMT": "UTC", "Z": "UTC"}
"""Names that TWS writes, and that stand for a fixed offset or for nothing in the zone database."""
_TIME: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})[\sT-]+(\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s*(.*)")


def number(value: object) -> float | None:
    """Return a figure, None for one that is unset, not finite or no number at all."""
    if isinstance(value, str):
        try:
            value = float(value) if value.strip() else None
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return None if abs(value) >= UNSET_DOUBLE or value in UNSET_INTEGERS else float(value)


def above_zero(value: object) -> float | None:
    """Return a figure, None when it is unset or not above 0."""
    found = number(value)
    return found if found is not None and found > 0.0 else None


def zone(name: str) -> tzinfo | None:
    """Return the time zone of that name, None for one that is not known."""
    name = name.strip()
    name = _ZONES.get(name, name)
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        return None


def epoch_ns(moment: datetime, fallback: tzinfo | None = None) -> int:
    """Return UTC ns. A naive time is taken as one of `fallback`, else of this machine, as TWS runs on it."""
    if moment.tzinfo is None and fallback is not None:
        moment = moment.replace(tzinfo=fallback)
    return int(moment.timestamp()) * NS_PER_S + moment.microsecond * 1000


def time_ns(text: str, fallback: tzinfo | None = None) -> int | None:
    """Return UTC ns of `20261120 09:31:02 US/Eastern`, `20230224  12:04:56`, `20260413-15:27:04` (UTC by custom of
    the API), ISO texts and epoch seconds; None for other texts."""
    text = text.strip()
    if text.isdigit() and len(text) >= 9:
        return int(text) * NS_PER_S
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    *parts, zone_name = found.groups(default="")
    try:
        moment = datetime(*(int(part or 0) for part in parts))  # type: ignore[arg-type]  # noqa: DTZ001 - zoned below
    except ValueError:
        return None
    named = zone(zone_name)
    if named is None and re.match(r"\d{8}-\d", text):
        named = UTC
    return epoch_ns(moment.replace(tzinfo=named), fallback)


def day_text(value: date | datetime | str) -> str:
    """Return YYYYMMDD of a bar's time: daily bars carry a date, or a time that is left in its own zone."""
    if isinstance(value, str):
        digits = value.strip()[:10].replace("-", "")
        return digits[:8] if digits[:8].isdigit() and len(digits) >= 8 else ""
    return value.strftime("%Y%m%d")
