"""What detectors find: remarkable moments of instruments, each with the numbers that made it one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.ids import Market


class EventKind(StrEnum):
    """Kinds of events; the value is a short word for badges."""

    VOLUME_SPIKE = "volume spike"
    PRICE_SURGE = "price surge"
    SPREAD_TIGHTENING = "spread tightening"
    NEW_HIGH = "new high"
    NEW_LOW = "new low"
    VOLATILITY_SURGE = "volatility surge"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEvent:
    """One event: when (UTC ns), which instrument, in words, and the numbers by name."""

    ts_ns: int
    market: Market
    symbol: str
    kind: EventKind
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
