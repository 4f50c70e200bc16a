"""Turns one chart's view model into a picture: title line, curves, axes, tags, legend, crosshair and plain sentences.

Drawn at data rate: a frame with nothing but new ticks draws these alone; the time axis scrolls at most once a second.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QGraphicsGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.domain.ids import Market
from app.domain.units import NS_PER_MS
from app.ui import icons, theme, zone
from app.ui.charts import palette, scales
from app.ui.charts.axes import Tag, TimeAxis, ValueAxis
from app.ui.charts.canvas import ChartBox, Crosshair, CurveLayer
from app.ui.charts.legend import Legend, LegendLine
from app.ui.charts.raster import Ink
from app.ui.charts.readout import Reading, nearest_curve, readings, value_text
from app.ui.charts.title import TitleLine
from app.viewmodels import formats
from app.viewmodels.chart_series import Rows
from app.viewmodels.depth_chart import DepthChartModel, TimeView, curve_key

SMALL_POINTS = 8.0
SPAN_MIN_S = 5.0
SPAN_MAX_S = 31 * 86_400.0
AIR_RIGHT = 0.015
_turns = itertools.count()


class ChartView(pg.GraphicsView):  # type: ignore[misc]
    """The scene's view; tells where the pointer is."""

    pointed = Signal(QPointF)
    left = Signal()

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:
        """Report the position, then let the scene have it."""
        super().mouseMoveEvent(ev)
        self.pointed.emit(ev.position())

    def leaveEvent(self, ev: QEvent) -> None:
        """Report that the pointer went away."""
        super().leaveEvent(ev)
        self.left.emit()


class DepthPlot(QWidget):
    """The plot of one chart. `why` carries a `Reading` that was clicked, `changed` says that the choices changed."""

    why = Signal(object)
    changed = Signal()

    def __init__(self, model: DepthChartModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.look = theme.current()
        self.auto_value = True
        self.legend_wanted = True
        self._font = theme.ui_font(SMALL_POINTS)
        self._value_range = (0.0, 1.0)
        self._time_range = (0.0, 1.0)
        self._seen_layout = -1
        self._seen_choices: object = None
        self._seen_rows: tuple[int, ...] = ()
        self._turn = next(_turns) % 4 / 4  # charts scroll at different moments, so that no frame has to draw all anew
        self._styled: tuple[object, object] = (None, None)
        self._style_of: dict[Market, list[palette.CurveStyle]] = {}
        self._pointer_y: float | None = None
        self._readings: list[Reading] = []
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._build()
        self.restyle()

    def _build(self) -> None:
        self.title = TitleLine(theme.ui_font())
        self.view = ChartView(self, background=None)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setFrameShape(self.view.Shape.NoFrame)
        # a margin for antialias would touch the axes and repaint them with every tick
        self.view.setOptimizationFlag(self.view.OptimizationFlag.DontAdjustForAntialiasing, True)
        self.view.setCacheMode(self.view.CacheModeFlag.CacheNone)
        self.view.setAccessibleName("Chart")
        self.box = ChartBox()
        self.time_axis, self.value_axis = TimeAxis(self._font), ValueAxis(self._font)
        central = pg.GraphicsWidget()
        grid = QGraphicsGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addItem(self.box, 0, 0)
        grid.addItem(self.value_axis, 0, 1)
        grid.addItem(self.time_axis, 1, 0)
        central.setLayout(grid)
        self.view.setCentralItem(central)
        self._central = central
        self.time_axis.linkToView(self.box)
        self.value_axis.linkToView(self.box)
        self.layer, self.crosshair = CurveLayer(self.box), Crosshair(self.box)
        self.legend = Legend(self.view, self._font)
        self.corner = QLabel(self.view)
        self.corner.setFont(self._font)
        self.corner.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message, self.banner = QLabel(self.view), QLabel(self.view)
        for label in (self.message, self.banner):
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.hide()
        self.live_button = QToolButton(self.view)
        self.live_button.setText("Live")
        self.live_button.setToolTip("Jump to live (L)")
        self.live_button.setAccessibleName("Jump to live")
        self.live_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.live_button.clicked.connect(self.jump_to_live)
        self.live_button.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.title)
        column.addWidget(self.view, 1)
        self.box.zoomed.connect(self.zoom)
        self.box.panned.connect(self.pan)
        self.box.clicked.connect(self._on_clicked)
        self.box.axis_reset.connect(self.reset_axis)
        self.view.pointed.connect(self._on_pointed)
        self.view.left.connect(self._on_left)
        self.legend.toggled.connect(self.toggle_curve)

    def restyle(self) -> None:
        """Put on the program's theme."""
        self.look = theme.current()
        self.view.setBackground(self.look.panel)
        self.time_axis.restyle(self.look)
        self.value_axis.restyle(self.look)
        self.legend.set_look(self.look)
        self.title.set_look(self.look)
        self.crosshair.colour = self.look.muted
        self.corner.setStyleSheet(f"color: {self.look.muted}; background: transparent;")
        self.message.setStyleSheet(f"color: {self.look.muted}; background: transparent;")
        self.banner.setStyleSheet(
            f"color: {self.look.warning}; background: {self.look.raised}; border: 1px solid {self.look.border};"
            "padding: 2px 6px;"
        )
        self.live_button.setIcon(icons.icon("live", self.look.accent))
        self._seen_choices = None

    # -- one frame ----------------------------------------------------------------------------------------------

    def refresh(self, now_ns: int) -> int | None:
        """Take in what is new and show it; return the time of the newest sample in UTC ns."""
        self.model.advance(now_ns // NS_PER_MS)
        self.redraw()
        return self.model.take_event_ns()

    def redraw(self) -> None:
        """Show the model as it is."""
        model, config = self.model, self.model.config
        stale = model.silent_ms is not None
        choices = (config, stale, self.look, zone.name())
        parts = [self._visible(model.rows(market), market) for market in config.markets]
        counts = tuple(len(rows) for rows in parts)
        times = self._wanted_times()
        everything = choices != self._seen_choices or model.layout != self._seen_layout or times != self._time_range
        if everything or counts != self._seen_rows:
            values = self._wanted_values(parts, times, everything)
            if everything or values != self._value_range:
                self._set_ranges(times, values)
                self._show_everything(parts, stale)
            else:
                self.layer.append_rows(parts)
        if everything or counts != self._seen_rows:
            self._show_tags(stale)
            self.title.set_text(model.summary())
        if choices != self._seen_choices:
            self.changed.emit()
        self._seen_choices, self._seen_layout, self._seen_rows = choices, model.layout, counts
        self._show_words()
        if everything or model.cursor_s is not None or self.crosshair.isVisible():
            self._show_crosshair()
        self.live_button.setVisible(not model.view.follows)

    def _visible(self, rows: Rows, market: object) -> Rows:
        hidden = self.model.config.hidden
        if not hidden:
            return rows
        shown = [
            i
            for i, line in enumerate(self.model.config.lines)
            if f"{getattr(market, 'value', '')}/{line.key}" not in hidden
        ]
        return Rows(rows.at_ms, rows.stamp_ms, rows.y[shown], rows.known[shown], rows.unconfirmed[shown])

    def _styles(self) -> dict[Market, list[palette.CurveStyle]]:
        config = self.model.config
        if self._styled != (config, self.look):
            self._styled = (config, self.look)
            self._style_of = {market: palette.curve_styles(config, self.look, market) for market in config.markets}
        return self._style_of

    def _inks(self, stale: bool) -> list[Ink]:
        config = self.model.config
        inks = []
        for market in config.markets:
            styles = self._styles()[market]
            shown = [
                style
                for style, line in zip(styles, config.lines, strict=True)
                if not self.model.is_hidden(curve_key(market, line))
            ]
            inks.append(palette.ink_of(shown, self.look, stale))
        return inks

    def _show_everything(self, parts: list[Rows], stale: bool) -> None:
        self.layer.show_rows(list(zip(parts, self._inks(stale), strict=True)), self.look, self.model.config.reference)
        self.value_axis.money = self.model.config.is_money
        unit = "USD" if self.model.config.is_money else "ratio"
        self.corner.setText(f"{unit} · {zone.label()}")

    def _wanted_times(self) -> tuple[float, float]:
        view = self.model.view
        if view.end_s is not None:
            return view.end_s - view.span_s, view.end_s
        span_s = self.model.live_span_s
        step = max(1.0, span_s / max(self.box.width(), 100.0))
        shift = self._turn * step
        end = math.ceil((self.model.edge_s - shift) / step) * step + shift + AIR_RIGHT * span_s
        return end - span_s, end

    def _wanted_values(self, parts: list[Rows], times: tuple[float, float], everything: bool) -> tuple[float, float]:
        if not self.auto_value:
            return self._value_range
        low, high = math.inf, -math.inf
        for k, rows in enumerate(parts):
            start = int(np.searchsorted(rows.at_ms, times[0] * 1000))
            stop = int(np.searchsorted(rows.at_ms, times[1] * 1000, side="right"))
            if start and start < len(rows):
                start -= 1
            if not everything and k < len(self._seen_rows):
                start = max(start, self._seen_rows[k])
            y = rows.y[:, start:stop]
            if y.size:
                finite = np.isfinite(y)
                low = min(low, float(np.min(y, where=finite, initial=math.inf)))
                high = max(high, float(np.max(y, where=finite, initial=-math.inf)))
        if low > high:
            return self._value_range
        held = self._value_range
        if not everything:
            inside = held[0] <= low and high <= held[1]
            if inside:
                return held
            return self._wanted_values(parts, times, True)
        wanted = scales.padded(low, high, self.model.config.reference)
        still_good = held[0] <= low and high <= held[1] and (wanted[1] - wanted[0]) > 0.72 * (held[1] - held[0])
        same_chart = self._seen_choices is not None and self._seen_choices_match()
        return held if still_good and same_chart else wanted

    def _seen_choices_match(self) -> bool:
        return isinstance(self._seen_choices, tuple) and self._seen_choices[0] == self.model.config

    def _set_ranges(self, times: tuple[float, float], values: tuple[float, float]) -> None:
        self._time_range, self._value_range = times, values
        self.value_axis.money = self.model.config.is_money
        self.box.setRange(xRange=times, yRange=values, padding=0)
        self.time_axis.update()
        self.value_axis.update()
        self.value_axis.place_tags()

    # -- words --------------------------------------------------------------------------------------------------

    def _show_tags(self, stale: bool) -> None:
        config = self.model.config
        tags = []
        styles = self._styles()
        for curve in self.model.curves():
            if self.model.is_hidden(curve.key):
                continue
            last = curve.last()
            if last is None:
                continue
            colour = styles[curve.market][config.lines.index(curve.line)].colour
            if stale:
                colour = palette.mix(colour, self.look.muted, 0.75)
            tags.append(Tag(value_text(last.value, last.known, last.unconfirmed, curve.line), last.value, colour))
        self.value_axis.set_tags(tags)

    def _show_words(self) -> None:
        model = self.model
        message = model.message()
        self.message.setText(message)
        self.message.setVisible(bool(message))
        silent = model.silent_ms
        if silent is not None and model.last_tick_ms is not None:
            since = f"{formats.clock_text(model.last_tick_ms * NS_PER_MS, zone.current())} {zone.label()}"
            text = f"No new values since {since} ({formats.age(silent * NS_PER_MS)}). They go on by themselves."
        else:
            text = "" if message else model.note()
        if text != self.banner.text() or bool(text) != self.banner.isVisibleTo(self.view):
            self.banner.setText(text)
            self.banner.setVisible(bool(text))
            self._place_overlays()

    def _show_crosshair(self) -> None:
        at_s = self.model.cursor_s
        start, end = self._time_range
        if at_s is None or not start <= at_s <= end:
            self._readings = readings(self.model, None, 0.0)
            self.crosshair.show_at(None, None, [])
            self.time_axis.set_marker(None, "")
            self.value_axis.set_marker(None, "")
        else:
            tolerance_s = (end - start) / max(self.box.width(), 1.0)
            self._readings = readings(self.model, at_s, tolerance_s)
            x = (at_s - start) / (end - start) * self.box.width()
            styles = self._styles()
            dots = [
                (self._column_of(r.at_s), self._row_of(r.value), styles[r.market][r.index].colour)
                for r in self._readings
                if not r.hidden and r.at_s is not None and math.isfinite(r.value)
            ]
            self.crosshair.show_at(x, self._pointer_y, dots)
            self.time_axis.set_marker(x, scales.moment_label(at_s, end - start, zone.current()))
            if self._pointer_y is not None:
                low, high = self._value_range
                value = high - self._pointer_y / max(self.box.height(), 1.0) * (high - low)
                self.value_axis.set_marker(self._pointer_y, self._level_text(value))
            else:
                self.value_axis.set_marker(None, "")
        self._show_legend()

    def _level_text(self, value: float) -> str:
        if self.model.config.is_money:
            return formats.volume(value, 4)
        return formats.ratio(value, 3)

    def _show_legend(self) -> None:
        if not self.legend_wanted:
            self.legend.hide()
            return
        lines = []
        styles = self._styles()
        for reading in self._readings:
            style = styles[reading.market][reading.index]
            lines.append(
                LegendLine(
                    reading.key,
                    reading.name,
                    reading.text,
                    self.model.coverage(reading.market, reading.line),
                    style.colour,
                    style.thick,
                    reading.known,
                    reading.hidden,
                )
            )
        room = QSize(int(self.box.width()) - 12, max(20, int(self.box.height() * 0.62)))
        self.legend.set_lines(lines, room)

    def _row_of(self, value: float) -> float:
        low, high = self._value_range
        return (high - value) / (high - low) * float(self.box.height())

    def _column_of(self, at_s: float) -> float:
        start, end = self._time_range
        return (at_s - start) / (end - start) * float(self.box.width())

    # -- gestures -----------------------------------------------------------------------------------------------

    def zoom(self, axis: int, factor: float, centre: float) -> None:
        """Make the time (0) or value (1) axis `factor` times as long around a point in data units."""
        if axis == 1:
            low, high = self._value_range
            self.auto_value = False
            self._move_values(centre + (low - centre) * factor, centre + (high - centre) * factor)
            return
        start, end = self._time_range
        span = min(max((end - start) * factor, SPAN_MIN_S), SPAN_MAX_S)
        factor = span / (end - start)
        self._look_at(centre + (end - centre) * factor, span)

    def pan(self, seconds: float, value: float) -> None:
        """Move the time axis; the value axis too once it has been set by hand."""
        start, end = self._time_range
        if not self.auto_value:
            low, high = self._value_range
            self._move_values(low + value, high + value)
        if seconds:
            self._look_at(end + seconds, end - start)

    def _look_at(self, end: float, span: float) -> None:
        edge = self.model.edge_s
        follows = end >= edge
        self.model.set_view(TimeView(span, None if follows else min(end, edge + span / 2)))
        self.redraw()

    def _move_values(self, low: float, high: float) -> None:
        if math.isfinite(low) and math.isfinite(high) and high - low > 1e-12 * max(1.0, abs(high)):
            self._set_ranges(self._time_range, (low, high))
            self._seen_layout = -1
            self.redraw()

    def reset_axis(self, axis: int) -> None:
        """Let the value axis (1) fit again, the time axis (0) show the picked range live, or both (-1)."""
        if axis != 0:
            self.auto_value = True
            self._seen_choices = None
        if axis != 1:
            self.model.set_view(TimeView(self.model.config.span_s))
        self.redraw()

    def jump_to_live(self) -> None:
        """Follow the newest value again."""
        self.model.set_view(TimeView(self.model.view.span_s))
        self.redraw()

    def toggle_curve(self, key: str) -> None:
        """Switch a curve off or on."""
        config = self.model.config
        hidden = tuple(k for k in config.hidden if k != key) if key in config.hidden else (*config.hidden, key)
        self.model.configure(replace(config, hidden=hidden))
        self.redraw()

    def move_cursor(self, pixels: int) -> None:
        """Move the crosshair along time by whole samples, at least one pixel each."""
        start, end = self._time_range
        at_s = self.model.cursor_s
        if at_s is None or not start <= at_s <= end:
            at_s = min(self.model.edge_s, end)
        step = (end - start) / max(self.box.width(), 1.0)
        target = at_s + pixels * step
        moments = self.model.rows(self.model.config.markets[0]).at_ms
        if moments.size:
            i = int(np.searchsorted(moments, target * 1000, side="left" if pixels > 0 else "right"))
            i = i if pixels > 0 else i - 1
            if 0 <= i < moments.size:
                target = float(moments[i]) / 1000
        self.set_cursor(min(max(target, start), end))

    def set_cursor(self, at_s: float | None) -> None:
        """Put the crosshair on a moment, without a level line."""
        self._pointer_y = None
        self.model.set_cursor(at_s)
        self._show_crosshair()

    @property
    def time_range(self) -> tuple[float, float]:
        """Return the shown stretch of time in epoch seconds."""
        return self._time_range

    @property
    def value_range(self) -> tuple[float, float]:
        """Return the lower and upper end of the value axis."""
        return self._value_range

    def reading_under_cursor(self) -> Reading | None:
        """Return the first visible curve's reading at the crosshair, or its newest value."""
        return next((r for r in self._readings if not r.hidden), None)

    def _on_pointed(self, at: QPointF) -> None:
        inside = self.box.mapFromScene(self.view.mapToScene(at.toPoint()))
        if not self.box.rect().contains(inside):
            self._on_left()
            return
        start, end = self._time_range
        self._pointer_y = inside.y()
        self.model.set_cursor(start + inside.x() / max(self.box.width(), 1.0) * (end - start))
        self._show_crosshair()

    def _on_left(self) -> None:
        if self._pointer_y is not None:
            self._pointer_y = None
            self.model.set_cursor(None)
            self._show_crosshair()

    def _on_clicked(self, at: QPointF) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        start, end = self._time_range
        per_px = (end - start) / max(self.box.width(), 1.0)
        found = nearest_curve(readings(self.model, start + at.x() * per_px, per_px), at.y(), self._row_of)
        if found is not None:
            self.why.emit(found)

    # -- places -------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay the overlays out anew."""
        super().resizeEvent(event)
        self._seen_layout = -1
        self._place_overlays()

    def _place_overlays(self) -> None:
        width, height = self.view.width(), self.view.height()
        plot_width, plot_height = width - int(self.value_axis.width()), height - int(self.time_axis.height())
        self.legend.move(6, 4)
        self.corner.setGeometry(plot_width, plot_height, width - plot_width, height - plot_height)
        self.message.setGeometry(20, plot_height // 3, max(40, plot_width - 40), plot_height // 3)
        banner_width = min(plot_width - 16, 460)
        self.banner.setFixedWidth(max(60, banner_width))
        self.banner.adjustSize()
        self.banner.move((plot_width - self.banner.width()) // 2, plot_height - self.banner.height() - 8)
        self.live_button.adjustSize()
        self.live_button.move(
            QPoint(plot_width - self.live_button.width() - 8, plot_height - self.live_button.height() - 8)
        )

    def picture(self) -> QPixmap:
        """Return what is on screen, title line included."""
        return self.grab()

    def shut(self) -> None:
        """Let go of everything that reaches beyond this widget."""
        self.model.set_cursor(None)
        self.view.close()
