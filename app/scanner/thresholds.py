"""What detectors go by: thresholds, windows, warm-ups and cooldown, from the settings `scanner.*`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.domain.units import NS_PER_S
from app.settings.store import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Times in seconds unless named otherwise, percent as shown to people.

    stale_s: data older than this never leads to an event. slot_s: how finely prices and turnover are kept.
    cooldown_s: least time between two events of one kind and direction of one instrument.
    """

    stale_s: float = 60.0
    slot_s: float = 5.0
    cooldown_s: float = 300.0
    price_surge_pct: float = 3.0
    price_window_s: float = 300.0
    volume_ratio: float = 3.0
    volume_window_s: float = 60.0
    volume_baseline_min: int = 60
    volume_warmup_min: int = 20
    volume_least_usd: float = 10_000.0
    spread_share: float = 0.5
    spread_baseline_min: int = 30
    spread_warmup_min: int = 10
    spread_hold_s: float = 5.0
    spread_least_bp: float = 2.0
    day_warmup_s: float = 1800.0
    day_rearm_pct: float = 0.5
    volatility_ratio: float = 2.0
    volatility_window_s: float = 300.0
    volatility_baseline: int = 24
    volatility_warmup: int = 6
    volatility_least_pct: float = 0.5
    gap_pct: float = 3.0
    gap_hole_s: float = 600.0
    gap_confirm_s: float = 60.0
    gap_kept_share: float = 0.5
    gap_split_tolerance_pct: float = 2.5

    @property
    def cooldown_ns(self) -> int:
        """Return the cooldown in nanoseconds."""
        return round(self.cooldown_s * NS_PER_S)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        number, whole = settings.number, settings.whole
        return cls(
            stale_s=number("scanner.stale_after"),
            cooldown_s=number("scanner.cooldown"),
            price_surge_pct=number("scanner.price.surge"),
            price_window_s=number("scanner.price.window"),
            volume_ratio=number("scanner.volume.ratio"),
            volume_window_s=number("scanner.volume.window"),
            volume_baseline_min=whole("scanner.volume.baseline"),
            volume_warmup_min=whole("scanner.volume.warmup"),
            volume_least_usd=number("scanner.volume.least_usd"),
            spread_share=number("scanner.spread.share"),
            spread_baseline_min=whole("scanner.spread.baseline"),
            spread_warmup_min=whole("scanner.spread.warmup"),
            spread_hold_s=number("scanner.spread.hold"),
            spread_least_bp=number("scanner.spread.least_bp"),
            day_warmup_s=number("scanner.day.warmup"),
            day_rearm_pct=number("scanner.day.rearm"),
            volatility_ratio=number("scanner.volatility.ratio"),
            volatility_window_s=number("scanner.volatility.window"),
            volatility_baseline=whole("scanner.volatility.baseline"),
            volatility_warmup=whole("scanner.volatility.warmup"),
            volatility_least_pct=number("scanner.volatility.least_pct"),
            gap_pct=number("scanner.gap.threshold"),
            gap_hole_s=number("scanner.gap.hole"),
            gap_confirm_s=number("scanner.gap.confirm"),
            gap_kept_share=number("scanner.gap.kept_share"),
            gap_split_tolerance_pct=number("scanner.gap.split_tolerance"),
        )
