"""What the stores take and give: columnar blocks of minutes and ticks."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import Market
from app.indicators.aggregate import GroupDepth
from app.indicators.window import CoverageArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolMinutes:
    """Means over one minute of k symbols of one market. NaN: nothing was measured.

    minute_ms: start of the minute, UTC epoch ms. partial: the minute was cut short by a start or an exit.
    usd, coins, threshold: float64 [k, 2, 7] (side, band). exact: share 0..1 of the samples that were EXACT.
    unconfirmed: share 0..1 of the USD volume. best_bid, best_ask, mid, spread: float64 [k]. samples: int64 [k].
    """

    minute_ms: int
    market: Market
    symbols: tuple[str, ...]
    usd: FloatArray
    coins: FloatArray
    threshold: FloatArray
    exact: FloatArray
    unconfirmed: FloatArray
    best_bid: FloatArray
    best_ask: FloatArray
    mid: FloatArray
    spread: FloatArray
    samples: IntArray
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMinutes:
    """Means over one minute of all groups of one market, g groups in the order of `GROUPS`.

    usd, unconfirmed: float64 [g, 2, 7]; ratio_mean [g, 7]; vw_mid [g]. The counts are the lowest of the minute's
    samples: included, total, samples int64 [g]; exact int64 [g, 2, 7]; ratio_count, ratio_exact int64 [g, 7].
    """

    minute_ms: int
    market: Market
    groups: tuple[str, ...]
    usd: FloatArray
    unconfirmed: FloatArray
    ratio_mean: FloatArray
    vw_mid: FloatArray
    included: IntArray
    total: IntArray
    exact: IntArray
    ratio_count: IntArray
    ratio_exact: IntArray
    samples: IntArray
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteBlock:
    """Everything one market writes at the end of a minute."""

    symbols: SymbolMinutes
    groups: GroupMinutes


@dataclass(frozen=True, slots=True, kw_only=True)
class TickBatch:
    """Samples of k symbols of one market at one grid time.

    ts_ms: UTC epoch ms. rows: int64 [k], positions in the market's universe; symbols: their names. best: [k, 2]
    (bid, ask). usd, coins: [k, 2, 7]. coverage: uint8 [k, 2, 7]. unconfirmed: [k, 2, 7] share of USD.
    last_update_id: int64 [k].
    """

    ts_ms: int
    market: Market
    rows: IntArray
    symbols: tuple[str, ...]
    best: FloatArray
    usd: FloatArray
    coins: FloatArray
    coverage: CoverageArray
    unconfirmed: FloatArray
    last_update_id: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTick:
    """All groups of one market at one grid time (UTC epoch ms)."""

    ts_ms: int
    market: Market
    depth: GroupDepth


@dataclass(frozen=True, slots=True, kw_only=True)
class TickWindow:
    """The recent ticks of one symbol, oldest first; t moments, shapes as in `TickBatch` with t for k."""

    ts_ms: IntArray
    best: FloatArray
    usd: FloatArray
    coins: FloatArray
    coverage: CoverageArray
    unconfirmed: FloatArray
