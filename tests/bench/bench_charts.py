"""What charts cost: one frame of 12 curves x 3600 points against pyqtgraph's defaults, and four live charts at 20 Hz.

Run as `python tests/bench/bench_charts.py`; every row is measured in this one run, alternating the two charts.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ui")]

import numpy as np  # noqa: E402
from chart_source import START_MS, ChartSource, ImmediateSpawn  # noqa: E402
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget  # noqa: E402

from app.domain.coverage import Known  # noqa: E402
from app.ui import theme  # noqa: E402
from app.ui.charts import palette  # noqa: E402
from app.ui.charts.plot import DepthPlot  # noqa: E402
from app.viewmodels.chart_series import Rows  # noqa: E402
from app.viewmodels.depth_chart import DEFAULT_CHARTS, DepthChartModel, TimeLinks  # noqa: E402

CURVES, POINTS = 12, 3600
FRAMES = 40
LIVE_SECONDS = 12.0
HZ = 20

Row = dict[str, object]


def run() -> list[Row]:
    """Measure and return rows of name, value, unit, target, note."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    theme.apply(app, "dark")
    return [*_frames(app), *_live(app)]


def _walk() -> np.ndarray:
    return np.cumsum(np.random.default_rng(7).normal(size=(CURVES, POINTS)), axis=1)


def _frames(app: QApplication) -> list[Row]:
    """Time new data until painted: the plain chart, ours drawn anew, ours with only a new tick."""
    import pyqtgraph as pg

    y = _walk()
    at_ms = START_MS - (POINTS - np.arange(POINTS, dtype=np.int64)) * 200
    plain = pg.PlotWidget(axisItems={"bottom": pg.DateAxisItem()})
    plain.resize(800, 400)
    curves = [plain.plot(pen=pg.intColor(i, CURVES)) for i in range(CURVES)]
    plain.show()
    model = DepthChartModel(ChartSource(), spawn=ImmediateSpawn())
    ours = DepthPlot(model)
    ours.resize(800, 420)
    ours.show()
    ours.refresh(START_MS * 1_000_000)
    app.processEvents()
    ours.box.setRange(xRange=(at_ms[0] / 1000, at_ms[-1] / 1000), yRange=(y.min(), y.max()), padding=0)
    styles = [palette.CurveStyle(colour, False) for colour in (theme.DARK.bid_ramp + theme.DARK.ask_ramp)[:CURVES]]
    ink = palette.ink_of(styles, theme.DARK, False)
    x = at_ms / 1000
    shift = 0

    def draw_plain() -> None:
        for i, curve in enumerate(curves):
            curve.setData(x, np.roll(y[i], shift))
        app.processEvents()

    def draw_ours(known: Known) -> None:
        rows = _rows(at_ms, np.roll(y, shift, axis=1), known)
        ours.layer.show_rows([(rows, ink)], theme.DARK, None)
        app.processEvents()

    whole = _rows(at_ms, y, Known.EXACT)

    def append_ours() -> None:
        ours.layer._drawn = [POINTS - 1]
        ours.layer.append_rows([whole])
        app.processEvents()

    jobs: dict[str, Callable[[], None]] = {
        "plain": draw_plain,
        "exact": lambda: draw_ours(Known.EXACT),
        "floor": lambda: draw_ours(Known.FLOOR),
        "append": append_ours,
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(FRAMES):
        shift += 5
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - begin) * 1000)
    ms = {name: statistics.median(values) for name, values in times.items()}
    ours.shut()
    model.close()
    for widget in (plain, ours):
        widget.close()
        widget.deleteLater()
    size = f"{CURVES} curves x {POINTS} points, 800 x 400"
    return [
        _row("pyqtgraph default frame", ms["plain"], "ms", "", f"{size}, new data until it is painted"),
        _row("chart frame, all drawn anew", ms["exact"], "ms", "", f"{size}, exact values"),
        _row("ratio to pyqtgraph default", ms["exact"] / ms["plain"], "x", "<= 0.5", "same run, alternating"),
        _row("ratio, floors with hatch", ms["floor"] / ms["plain"], "x", "<= 0.5", "every value a floor"),
        _row("chart frame, one new tick", ms["append"], "ms", "", f"{size}, only the new part is drawn"),
        _row("ratio, one new tick", ms["append"] / ms["plain"], "x", "<= 0.06", "the usual frame of a live chart"),
    ]


def _rows(at_ms: np.ndarray, y: np.ndarray, known: Known) -> Rows:
    return Rows(at_ms, at_ms, y, np.full(y.shape, known, np.uint8), np.zeros(y.shape))


def _live(app: QApplication) -> list[Row]:
    """Run the four default charts with a new tick every 50 ms and take the process's CPU time."""
    source, links = ChartSource(), TimeLinks()
    window = QWidget()
    grid = QGridLayout(window)
    models = [DepthChartModel(source, config, links=links, spawn=ImmediateSpawn()) for config in DEFAULT_CHARTS]
    plots = [DepthPlot(model) for model in models]
    for i, plot in enumerate(plots):
        grid.addWidget(plot, i // 2, i % 2)
    window.resize(1200, 840)
    window.show()
    for _ in range(10):
        for plot in plots:
            plot.refresh(source.now_ms * 1_000_000)
        app.processEvents()
    made, chart_s, frames = 0.0, 0.0, []
    end = time.perf_counter() + LIVE_SECONDS
    begin_wall, begin_cpu = time.perf_counter(), time.process_time()
    due = begin_wall
    while due < end:
        before = time.process_time()
        source.advance(1000 // HZ)
        windows = {key: source.live(key) for model in models for key in model.series()}
        source.live = lambda key, since_ms=0, held=windows: held[key]  # type: ignore[method-assign, misc]
        made += time.process_time() - before
        begin = time.perf_counter()
        cpu = time.process_time()
        for plot in plots:
            plot.refresh(source.now_ms * 1_000_000)
        app.processEvents()
        chart_s += time.process_time() - cpu
        frames.append((time.perf_counter() - begin) * 1000)
        del source.live  # type: ignore[method-assign]
        due += 1 / HZ
        time.sleep(max(0.0, due - time.perf_counter()))
    wall = time.perf_counter() - begin_wall
    total = time.process_time() - begin_cpu
    for plot, model in zip(plots, models, strict=True):
        plot.shut()
        model.close()
    window.close()
    window.deleteLater()
    frames.sort()
    return [
        _row("four live charts at 20 Hz", 100 * chart_s / wall, "% core", "<= 20", "refresh, draw and paint"),
        _row("frame of all four, p50", frames[len(frames) // 2], "ms", "", "1200 x 840 window"),
        _row("frame of all four, p99", frames[int(len(frames) * 0.99)], "ms", "", "the frames that scroll"),
        _row("making the test data", 100 * (total - chart_s) / wall, "% core", "", "not part of the charts"),
    ]


def _row(name: str, value: float, unit: str, target: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']!s:<32}{row['value']:>9.2f} {row['unit']!s:<7}{row['target']!s:<8}{row['note']}")
