"""An in-memory `SeriesSource` of the real shape: a wandering market with exact, floored and missing stretches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.ids import Market, Venue
from app.domain.units import DEPTHS_PCT, MS_PER_MINUTE
from app.indicators.formulas import Convention, Line
from app.indicators.groups import SubjectMarket
from app.indicators.window import DepthWindow
from app.viewmodels.sources import Explanation

START_MS = 1_763_719_200_000  # 2025-11-21 10:00:00 UTC
TICK_MS = 200
LIVE_MS = 120_000


def depth_window(
    key: SubjectMarket, ts_ms: np.ndarray, symbols: int = 100, exact_pct: float = 5.0, noise: float = 0.004
) -> DepthWindow:
    """Return the depth of a subject at any moments: the same moment always has the same depth.

    Bands beyond `exact_pct` are partly known: asks are floors, of bids a tenth is unconfirmed.
    """
    t = ts_ms / 1000.0
    seed = sum(str(key.subject).encode()) + (0 if key.market is Market.BINANCE_SPOT else 37)
    is_group = key.subject.is_group
    scale = 4.0e7 if is_group else 2.5e6
    if key.market is Market.BINANCE_USDM:
        scale *= 2.6
    usd = np.empty((t.size, 2, len(DEPTHS_PCT)))
    for side in range(2):
        for band, depth in enumerate(DEPTHS_PCT):
            phase = seed * 0.7 + side * 1.9 + band * 0.45
            slow = 0.10 * np.sin(t / 410 + phase) + 0.06 * np.sin(t / 97 + 2 * phase) + 0.03 * np.sin(t / 23 + phase)
            wobble = noise * np.sin(t * 12.9898 + phase) * np.cos(t * 3.233 + 3 * phase)
            usd[:, side, band] = scale * depth**0.75 * (1.0 + slow + wobble + (0.05 if side else 0.0))
    coverage = np.full(usd.shape, Coverage.EXACT, np.uint8)
    deep = np.array([depth > exact_pct for depth in DEPTHS_PCT])
    coverage[:, :, deep] = Coverage.PARTIAL
    unconfirmed = np.zeros(usd.shape)
    unconfirmed[:, 0, deep] = 0.1
    if not is_group:
        return DepthWindow.of_coin(ts_ms.astype(np.int64), usd, coverage, unconfirmed)
    exact = np.broadcast_to(np.where(deep, symbols - 8, symbols), usd.shape).astype(np.int64)
    counts = np.full((t.size, len(DEPTHS_PCT)), symbols, np.int64)
    return DepthWindow(
        ts_ms=ts_ms.astype(np.int64),
        usd=usd,
        coverage=coverage,
        unconfirmed=unconfirmed,
        ratio_mean=usd[:, 0] / usd[:, 1] * 0.97,
        included=np.full(t.size, symbols, np.int64),
        ratio_count=counts,
        ratio_exact=exact.min(axis=1),
        exact=exact,
        total=symbols,
    )


class ChartSource:
    """A market whose time the test owns.

    `advance` makes ticks every 200 ms up to a moment; `silence(a, b)` leaves a hole in ticks and minutes; `away` makes
    the store fail. Minutes before `first_minute_ms` do not exist.
    """

    def __init__(self, now_ms: int = START_MS, history_ms: int = 8 * 3_600_000, exact_pct: float = 5.0) -> None:
        self.now_ms = now_ms
        self.first_minute_ms = (now_ms - history_ms) // MS_PER_MINUTE * MS_PER_MINUTE
        self.exact_pct = exact_pct
        self.holes: list[tuple[int, int]] = []
        self.away = ""
        self.watched: Counter[SubjectMarket] = Counter()
        self.reads: list[tuple[SubjectMarket, int, int]] = []
        self.explained: list[tuple[SubjectMarket, str, int | None]] = []
        self.primed = True
        self.open_venues: tuple[Venue, ...] = (Venue.BINANCE,)
        self._revision = 1

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds
        self._revision += 1

    def silence(self, start_ms: int, end_ms: int) -> None:
        """Make a hole."""
        self.holes.append((start_ms, end_ms))
        self._revision += 1

    def venues(self) -> Sequence[Venue]:
        return self.open_venues

    def pairs(self) -> Sequence[str]:
        """Return the coins."""
        return ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "LINKUSDT")

    def series_revision(self, key: SubjectMarket) -> int:
        """Return how often time has moved."""
        return self._revision if self.primed else 0

    def live(self, key: SubjectMarket, since_ms: int = 0) -> DepthWindow:
        """Return the last two minutes of ticks."""
        if not self.primed:
            return DepthWindow.empty()
        end = self.now_ms // TICK_MS * TICK_MS
        ts_ms = np.arange(end - LIVE_MS, end + 1, TICK_MS, dtype=np.int64)
        ts_ms = ts_ms[ts_ms >= since_ms]
        return depth_window(key, self._outside_holes(ts_ms), exact_pct=self.exact_pct)

    def event_ns(self, key: SubjectMarket) -> int | None:
        """Return the time of the newest tick."""
        return self.now_ms // TICK_MS * TICK_MS * 1_000_000

    async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int) -> DepthWindow:
        """Return the minutes that are over."""
        self.reads.append((key, start_ms, end_ms))
        if self.away:
            raise StorageError(self.away)
        last = min(end_ms, self.now_ms // MS_PER_MINUTE * MS_PER_MINUTE)
        first = max(start_ms, self.first_minute_ms)
        ts_ms = np.arange(first, last, MS_PER_MINUTE, dtype=np.int64)
        rows = depth_window(key, self._outside_holes(ts_ms) + MS_PER_MINUTE // 2, exact_pct=self.exact_pct, noise=0.0)
        return replace(rows, ts_ms=rows.ts_ms - MS_PER_MINUTE // 2)

    def _outside_holes(self, ts_ms: np.ndarray) -> np.ndarray:
        keep = np.ones(ts_ms.size, bool)
        for start, end in self.holes:
            keep &= (ts_ms < start) | (ts_ms >= end)
        return ts_ms[keep]

    def watch_series(self, key: SubjectMarket) -> None:
        """Count a watcher."""
        self.watched[key] += 1

    def unwatch_series(self, key: SubjectMarket) -> None:
        """Count it off."""
        self.watched[key] -= 1

    def explain(self, key: SubjectMarket, line: Line, ts_ms: int | None, convention: Convention) -> Explanation:
        """Explain in the shape the pipeline does."""
        self.explained.append((key, line.key, ts_ms))
        return Explanation(
            title=f"{line.label} · {key.subject} · {key.market.label}",
            formula="sum of bids / sum of asks",
            facts=(
                ("value", "≈ 0.842"),
                ("bids", "41.2 M"),
                ("asks", "48.9 M"),
                ("update id of BTCUSDT", "5123456789"),
            ),
            contributor_header=("symbol", "bid USD", "ask USD", "coverage"),
            contributors=(("BTCUSDT", "12.4 M", "13.0 M", "bid exact, ask ≥"), ("ETHUSDT", "8.1 M", "9.9 M", "exact")),
            excluded=(("XYZUSDT", "waiting for snapshot"),),
        )


class ImmediateSpawn:
    """Runs coroutines that never wait to their end at once."""

    def __call__(self, work: object) -> None:
        """Run it."""
        try:
            work.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        raise AssertionError("expected a coroutine that does not wait")
