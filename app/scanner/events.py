"""What detectors find: remarkable moments of instruments, each with the numbers that made it one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.domain.ids import Market


class EventKind(StrEnum):
    """Kinds of events; the name is what rules hold, the value is for people."""

    VOLUME_SPIKE = "volume spike"
    PRICE_SURGE = "price surge"
    SPREAD_TIGHTENING = "spread tightening"
    NEW_HIGH = "new high"
    NEW_LOW = "new low"
    VOLATILITY_SURGE = "volatility surge"
    GAP = "gap"

    @property
    def badge(self) -> str:
        """Return the short form for a narrow cell."""
        return _BADGES[self]


_BADGES: Final = {
    EventKind.VOLUME_SPIKE: "VOL",
    EventKind.PRICE_SURGE: "SURGE",
    EventKind.SPREAD_TIGHTENING: "SPREAD",
    EventKind.NEW_HIGH: "HIGH",
    EventKind.NEW_LOW: "LOW",
    EventKind.VOLATILITY_SURGE: "RANGE",
    EventKind.GAP: "GAP",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEvent:
    """One event: when (UTC ns), which instrument, in words, and the numbers by name."""

    ts_ns: int
    market: Market
    symbol: str
    kind: EventKind
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
