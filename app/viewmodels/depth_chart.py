"""Turns a `SeriesSource` and a `ChartConfig` into curves, words and states for one depth chart; free of Qt.

`advance` is called at the frame rate and does work only when something moved: new ticks are evaluated alone and
appended; minutes are read off the path by a coroutine that `spawn` runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.domain.errors import FathomError
from app.domain.ids import Market
from app.indicators.formulas import Line
from app.indicators.groups import Subject, SubjectMarket
from app.indicators.window import DepthWindow, FloatArray, IntArray
from app.viewmodels.chart_config import DEFAULT_CHARTS, RANGES, ChartConfig, curve_key, tidy
from app.viewmodels.chart_series import BREAK, ByteArray, MarketTrace, Rows
from app.viewmodels.chart_words import empty_words, known_words, summary_words
from app.viewmodels.linking import LinkBus
from app.viewmodels.minute_cache import MinuteCache
from app.viewmodels.sources import Explanation, SeriesSource
from app.viewmodels.spawning import Handle, Spawn, spawn_task
from app.viewmodels.time_link import TimeLinks, TimeView

_log = logging.getLogger("fathom.chart")

STALE_AFTER_MS: Final = 3_000
CACHED_SUBJECTS: Final = 6
TRIM_MIN_MS: Final = 5_000

LIVE_STEPS_S: Final = (60.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0)
LIVE_MARGIN: Final = 1.1

OVERLAP_MS: Final = 1_000
"""How far back new ticks are asked for: enough to find the last one taken among them."""


@dataclass(frozen=True, slots=True)
class LastValue:
    """The newest value of a curve; at_ms is the UTC time it belongs to."""

    value: float
    known: Known
    unconfirmed: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class PlotCurve:
    """One curve ready to draw.

    x: epoch seconds float64 [n]; y float64 [n] (NaN: missing or a break); known uint8 [n] (`Known`); unconfirmed share
    float64 [n]; stamp_ms int64 [n], the source's moment (`BREAK` in a row that only breaks the curve).
    """

    key: str
    market: Market
    line: Line
    x: FloatArray
    y: FloatArray
    known: ByteArray
    unconfirmed: FloatArray
    stamp_ms: IntArray

    def last(self) -> LastValue | None:
        """Return the newest value, None when the curve has none or its newest moment is missing."""
        rows = np.flatnonzero(self.stamp_ms[-4:] != BREAK)
        if not rows.size:
            return None
        i = int(rows[-1]) - min(4, self.stamp_ms.size)
        if not np.isfinite(self.y[i]):
            return None
        return LastValue(
            float(self.y[i]), Known(int(self.known[i])), float(self.unconfirmed[i]), round(self.x[i] * 1000)
        )


class DepthChartModel:
    """One chart's state.

    revision moves with everything that can be seen; layout moves when more than appended rows changed. Between two
    moves of layout, `rows(market)` only grows at its end.
    """

    def __init__(
        self,
        source: SeriesSource,
        config: ChartConfig = DEFAULT_CHARTS[0],
        *,
        links: TimeLinks | None = None,
        bus: LinkBus | None = None,
        spawn: Spawn = spawn_task,
    ) -> None:
        self.source = source
        self.links = links if links is not None else TimeLinks()
        self.revision = 0
        self.layout = 0
        self._spawn = spawn
        self._config = tidy(config)
        self._caches: dict[SubjectMarket, MinuteCache] = {}
        self._traces: dict[Market, MarketTrace] = {}
        self._cache_revisions: dict[Market, int] = {}
        self._series_revisions: dict[Market, int] = {}
        self._event_ns: dict[Market, int | None] = {}
        self._handles: dict[SubjectMarket, Handle] = {}
        self._watched: list[SubjectMarket] = []
        self._bus = bus
        self._unsubscribe: Callable[[], None] | None = None
        self._cursor_s: float | None = None
        self._visible = False
        self._closed = False
        self._view = TimeView(self._config.span_s)
        self._now_ms = 0
        self._newest_ms: int | None = None
        self._moved_at_ms = 0
        self._trimmed_ms = 0
        self._stale = False
        self._stale_second = 0
        self._rebuild()
        self._follow_link()

    # -- choices ------------------------------------------------------------------------------------------------

    @property
    def config(self) -> ChartConfig:
        """Return the present choices."""
        return self._config

    def configure(self, config: ChartConfig) -> None:
        """Take other choices; stored minutes already read are kept."""
        config = tidy(config)
        if config == self._config:
            return
        old, self._config = self._config, config
        if config.time_group != old.time_group:
            self._view = self._shared_view(old) or self._view
        if config.link_group != old.link_group or config.subject.is_group != old.subject.is_group:
            self._follow_link()
        if config.span_s != old.span_s:
            self.set_view(TimeView(config.span_s))
        if _data_choices(config) != _data_choices(old):
            self._rebuild()
            self._watch()
        self.revision += 1

    def pick_pair(self, pair: str) -> None:
        """Show a coin, in every panel of the link colour when the chart has one."""
        self.configure(self._config.with_subject(Subject(pair=pair)))
        if self._bus is not None and self._config.link_group is not None:
            self._bus.publish(self._config.link_group, pair)

    def _follow_link(self) -> None:
        """Listen to the pairs picked in the link colour while a coin is shown."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._bus is None or self._config.link_group is None or self._config.subject.is_group or self._closed:
            return
        self._unsubscribe = self._bus.subscribe(self._config.link_group, self._on_pair_picked)

    def _on_pair_picked(self, pair: str) -> None:
        self.configure(self._config.with_subject(Subject(pair=pair)))

    def series(self) -> tuple[SubjectMarket, ...]:
        """Return the series the chart rests on."""
        return tuple(SubjectMarket(self._config.subject, market) for market in self._config.markets)

    # -- time axis ----------------------------------------------------------------------------------------------

    @property
    def view(self) -> TimeView:
        """Return what the time axis shows: the link group's view, or the chart's own."""
        return self._shared_view(self._config) or self._view

    def _shared_view(self, config: ChartConfig) -> TimeView | None:
        return self.links.view(config.time_group) if config.time_group else None

    def set_view(self, view: TimeView) -> None:
        """Move the time axis, and that of every chart of the link group."""
        self._view = view
        if self._config.time_group:
            self.links.set_view(self._config.time_group, view)
        self.revision += 1

    @property
    def cursor_s(self) -> float | None:
        """Return the epoch seconds under the crosshair of the charts that share the time axis."""
        return self.links.cursor(self._config.time_group) if self._config.time_group else self._cursor_s

    def set_cursor(self, at_s: float | None) -> None:
        """Move the crosshair, or take it away."""
        self._cursor_s = at_s
        if self._config.time_group:
            self.links.set_cursor(self._config.time_group, at_s)

    @property
    def edge_s(self) -> float:
        """Return where "now" is on the time axis, in epoch seconds.

        That is the newest tick; when ticks have stopped, time goes on for at most half of the span, so that the hole
        is seen. Without any tick it is the clock.
        """
        if self._newest_ms is None:
            return self._now_ms / 1000
        edge = self._newest_ms / 1000
        silent = self._now_ms - self._moved_at_ms
        return edge + min(silent / 1000, self.view.span_s / 2) if silent > STALE_AFTER_MS else edge

    @property
    def live_span_s(self) -> float:
        """Return the width of a time axis that follows the newest value.

        It is the chosen span, or less while there are no values that old: in steps, the same for all charts, so that
        the first minutes fill the plot instead of its right edge.
        """
        span_s = self.view.span_s
        first_s = self.links.first_s
        if first_s is None:
            return span_s
        needed_s = (self.edge_s - first_s) * LIVE_MARGIN
        return min(span_s, next((step for step in LIVE_STEPS_S if step >= needed_s), span_s))

    # -- frames -------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Take in what is new: ticks, minutes, silence; ask the store for what the view lacks."""
        self._now_ms = now_ms
        for market in self._config.markets:
            self._advance_market(SubjectMarket(self._config.subject, market), self._traces[market])
        newest = max((t.last_tick_ms for t in self._traces.values() if t.last_tick_ms is not None), default=None)
        if newest != self._newest_ms or self._moved_at_ms == 0:
            self._newest_ms, self._moved_at_ms = newest, now_ms
        stale = newest is not None and now_ms - self._moved_at_ms > STALE_AFTER_MS
        if stale != self._stale or (stale and now_ms // 1000 != self._stale_second):
            self._stale, self._stale_second = stale, now_ms // 1000
            self.revision += 1
        for trace in self._traces.values():
            if len(trace.rows):
                self.links.note_first(float(trace.rows.at_ms[0]) / 1000)
        self._trim(newest)
        for key in self.series():
            self._load(key, self._cache(key))

    def _live(self, key: SubjectMarket, last_ms: int | None) -> DepthWindow:
        """Return the ticks from a little before the last one taken, all of them when the two do not meet."""
        if last_ms is None:
            return self.source.live(key)
        window = self.source.live(key, last_ms - OVERLAP_MS)
        meets = len(window) and int(window.ts_ms[0]) <= last_ms
        return window if meets else self.source.live(key)

    def _advance_market(self, key: SubjectMarket, trace: MarketTrace) -> None:
        cache = self._cache(key)
        layout = trace.layout
        if cache.revision != self._cache_revisions.get(key.market, 0):
            first = self._cache_revisions.get(key.market, 0) + 1
            self._cache_revisions[key.market] = cache.revision
            trace.set_minutes(cache.window, cache.changed_from_ms if cache.revision == first > 1 else None)
        moved = self.source.series_revision(key)
        if moved != self._series_revisions.get(key.market):
            self._series_revisions[key.market] = moved
            if trace.take_ticks(self._live(key, trace.last_tick_ms)):
                self.revision += 1
                self._event_ns[key.market] = self.source.event_ns(key)
        if trace.layout != layout:
            self.layout += 1
            self.revision += 1

    def _trim(self, newest_ms: int | None) -> None:
        step_ms = min(max(self.view.span_s * 1000 / 512, TRIM_MIN_MS), 30_000)
        if newest_ms is None or newest_ms - self._trimmed_ms < step_ms:
            return
        self._trimmed_ms = newest_ms
        for market, trace in self._traces.items():
            if trace.trim(self._cache(SubjectMarket(self._config.subject, market)).stored_until_ms):
                self.layout += 1
                self.revision += 1

    # -- stored minutes -----------------------------------------------------------------------------------------

    def _cache(self, key: SubjectMarket) -> MinuteCache:
        cache = self._caches.get(key)
        if cache is None:
            cache = self._caches[key] = MinuteCache()
            for old in [k for k, c in self._caches.items() if k.subject != self._config.subject and not c.loading]:
                if len(self._caches) <= CACHED_SUBJECTS:
                    break
                del self._caches[old]
        return cache

    def _load(self, key: SubjectMarket, cache: MinuteCache) -> None:
        view = self.view
        end_s = view.end_s if view.end_s is not None else self.edge_s
        wanted = cache.wanted(round((end_s - 1.25 * view.span_s) * 1000), round(max(self.edge_s, 0) * 1000))
        if wanted is None or self._closed:
            return
        cache.loading = True
        handle = self._spawn(self._read(key, cache, *wanted))
        if handle is None:
            cache.loading = False
        elif cache.loading:
            self._handles[key] = handle

    async def _read(self, key: SubjectMarket, cache: MinuteCache, start_ms: int, end_ms: int) -> None:
        try:
            rows = await self.source.minutes(key, start_ms, end_ms)
        except (FathomError, OSError) as error:
            _log.warning("stored minutes of %s %s cannot be read: %s", key.subject, key.market.label, error)
            cache.fail(str(error), round(self.edge_s * 1000))
        else:
            cache.accept(start_ms, end_ms, rows, round(self.edge_s * 1000))
        finally:
            cache.loading = False
            self._handles.pop(key, None)
        self.revision += 1

    # -- what is shown ------------------------------------------------------------------------------------------

    def rows(self, market: Market) -> Rows:
        """Return the rows of one market, lines in the order of the config."""
        return self._traces[market].rows

    def seam_s(self, market: Market) -> float | None:
        """Return where the ticks begin, in epoch seconds."""
        first = self._traces[market].first_tick_ms
        return None if first is None else first / 1000

    def curves(self) -> list[PlotCurve]:
        """Return every chosen curve, hidden ones too, market by market."""
        found: list[PlotCurve] = []
        for market in self._config.markets:
            rows = self.rows(market)
            x = rows.at_ms / 1000
            found += [
                PlotCurve(
                    curve_key(market, line),
                    market,
                    line,
                    x,
                    rows.y[i],
                    rows.known[i],
                    rows.unconfirmed[i],
                    rows.stamp_ms,
                )
                for i, line in enumerate(self._config.lines)
            ]
        return found

    def is_hidden(self, key: str) -> bool:
        """Whether the legend has switched a curve off."""
        return key in self._config.hidden

    def take_event_ns(self) -> int | None:
        """Return the venue's time (UTC ns) of the oldest update taken in since the last call, None without one."""
        times = [at for market in self._config.markets if (at := self._event_ns.get(market)) is not None]
        self._event_ns.clear()
        return min(times, default=None)

    @property
    def silent_ms(self) -> int | None:
        """Return for how long no tick has come when that is too long, else None."""
        return self._now_ms - self._moved_at_ms if self._stale else None

    @property
    def last_tick_ms(self) -> int | None:
        """Return the time of the newest tick in epoch ms."""
        return self._newest_ms

    def summary(self) -> str:
        """Return the title line: what the chart shows and how well it is known, in words."""
        newest = {market: trace.newest for market, trace in self._traces.items()}
        return summary_words(self._config, newest)

    def coverage(self, market: Market, line: Line) -> str:
        """Return how well a curve's newest value is known, in words."""
        return known_words(line, self._traces[market].newest, self._config.subject.is_group)

    def message(self) -> str:
        """Return the sentence for the middle of an empty chart, "" when there is something to see."""
        if any(len(trace.rows) and np.isfinite(trace.rows.y).any() for trace in self._traces.values()):
            return ""
        caches = [self._cache(key) for key in self.series()]
        return empty_words(
            self._config,
            loading=any(cache.loading or not cache.asked for cache in caches),
            error=next((cache.error for cache in caches if cache.error), ""),
            ticking=self._newest_ms is not None,
        )

    def note(self) -> str:
        """Return a sentence to keep beside the curves while the stored minutes cannot be read, else ""."""
        error = next((cache.error for key in self.series() if (cache := self._cache(key)).error), "")
        return f"Stored minutes cannot be read ({error}); live values go on, trying again." if error else ""

    def explain(self, market: Market, line: Line, stamp_ms: int | None) -> Explanation:
        """Explain the value of a curve at a source moment (None: now)."""
        key = SubjectMarket(self._config.subject, market)
        return self.source.explain(key, line, stamp_ms, self._config.convention)

    # -- life ---------------------------------------------------------------------------------------------------

    def set_visible(self, visible: bool) -> None:
        """Ask for the fast cadence while on screen."""
        self._visible = visible
        self._watch()

    def close(self) -> None:
        """Stop reading and watching; nothing moves afterwards."""
        self._closed = True
        self._follow_link()
        self.set_visible(False)
        for handle in tuple(self._handles.values()):
            handle.cancel()
        self._handles.clear()

    def _watch(self) -> None:
        wanted = list(self.series()) if self._visible else []
        for key in wanted:
            if key not in self._watched:
                self.source.watch_series(key)
        for key in self._watched:
            if key not in wanted:
                self.source.unwatch_series(key)
        self._watched = wanted

    def _rebuild(self) -> None:
        config = self._config
        self._traces = {m: MarketTrace(config.lines, config.convention, config.strict) for m in config.markets}
        self._cache_revisions.clear()
        self._series_revisions.clear()
        self._newest_ms, self._moved_at_ms, self._trimmed_ms, self._stale = None, 0, 0, False
        self.layout += 1
        self.revision += 1


def _data_choices(config: ChartConfig) -> tuple[object, ...]:
    return config.indicator, config.subject, config.markets, config.line_keys, config.convention, config.strict


__all__ = [
    "DEFAULT_CHARTS",
    "RANGES",
    "ChartConfig",
    "DepthChartModel",
    "LastValue",
    "PlotCurve",
    "TimeLinks",
    "TimeView",
    "curve_key",
]
