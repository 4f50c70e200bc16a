"""A chart of depth indicators in a dock: control row, title line, plot, and what can be asked of it."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QKeyEvent, QPixmap
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from app.indicators.groups import Subject
from app.ui import theme, zone
from app.ui.charts.controls import ControlRow
from app.ui.charts.plot import DepthPlot
from app.ui.charts.readout import Reading
from app.ui.charts.why_window import WhyWindow
from app.ui.dialogs import ask
from app.ui.panels.base import Panel
from app.ui.panels.work import PanelWork
from app.viewmodels.chart_config import ChartConfig, TimeLink
from app.viewmodels.depth_chart import DepthChartModel
from app.viewmodels.export import HEADER, chart_rows, file_stem

_TIME_LINKS = {
    TimeLink.ALL: "All charts",
    TimeLink.COLOUR: "Charts of its link colour",
    TimeLink.OWN: "This chart only",
}


class DepthChartPanel(Panel):
    """One depth chart."""

    def __init__(self, model: DepthChartModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._why_window: WhyWindow | None = None
        self._work = PanelWork()
        self._shut = False
        self._span_s = 0.0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(220, 140)
        self.controls = ControlRow(model.config, model.source.pairs, model.source.venues)
        self.plot = DepthPlot(model)
        self._menu = QMenu(self)
        self._menu.aboutToShow.connect(lambda: self._fill_menu(self._menu))
        self.controls.menu_button.setMenu(self._menu)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.controls)
        column.addWidget(self.plot, 1)
        self.controls.chosen.connect(self._on_chosen)
        self.controls.range_picked.connect(self._on_range_picked)
        self.controls.picked.connect(self._on_picked)
        self.controls.why.connect(self.explain)
        self.plot.why.connect(self._on_why)
        self.plot.changed.connect(self._on_changed)
        theme.notifier().changed.connect(self._on_look_changed)
        zone.notifier().changed.connect(self._on_look_changed)
        self._on_changed()

    # -- the promises of a panel ----------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Return what moves with new ticks, minutes, choices, linked charts, and twice a second."""
        source, model = self.model.source, self.model
        ticks = tuple(source.series_revision(key) for key in model.series())
        return ticks, model.revision, model.links.revision, time.monotonic_ns() // 500_000_000

    def refresh(self, now_ns: int) -> int | None:
        """Pull and repaint; return the UTC ns of the newest tick."""
        event_ns = self.plot.refresh(now_ns)
        if self.model.view.span_s != self._span_s:
            self._on_changed()
        return event_ns

    def set_active(self, active: bool) -> None:
        """Ask for the fast cadence while on screen."""
        self.model.set_visible(active)

    def save_state(self) -> dict[str, object]:
        """Return the chart's choices."""
        return {**self.model.config.to_state(), "legend": self.plot.legend_wanted}

    def restore_state(self, state: dict[str, object]) -> None:
        """Take the chart's choices."""
        self.plot.legend_wanted = state.get("legend") is not False
        self.model.configure(ChartConfig.from_state(state))
        self._on_changed()

    def shut(self) -> None:
        """Let go of every subscription, task and window."""
        if self._shut:
            return
        self._shut = True
        theme.notifier().changed.disconnect(self._on_look_changed)
        zone.notifier().changed.disconnect(self._on_look_changed)
        self._work.cancel()
        if self._why_window is not None:
            self._why_window.close()
            self._why_window.deleteLater()
            self._why_window = None
        self.plot.shut()
        self.model.close()

    def focus_target(self) -> QWidget:
        """Return the plot: arrows move its crosshair."""
        return self.plot

    # -- choices --------------------------------------------------------------------------------------------------

    def _on_chosen(self, config: ChartConfig) -> None:
        self.model.configure(config)
        self.plot.redraw()

    def _on_range_picked(self, span_s: float) -> None:
        self.model.configure(replace(self.model.config, span_s=span_s))
        self.plot.reset_axis(0)

    def _on_picked(self, subject: Subject) -> None:
        if subject.pair is not None:
            self.model.pick_pair(subject.pair)
        else:
            self.model.configure(self.model.config.with_subject(subject))
        self.plot.redraw()
        self.plot.setFocus()

    def _on_changed(self) -> None:
        config = self.model.config
        self._span_s = self.model.view.span_s
        self.controls.show_config(config, self.model.view.span_s)
        self.title_changed.emit(f"{config.indicator.heading} {config.subject}")

    def _on_look_changed(self, _: object) -> None:
        self.plot.restyle()
        self.plot.redraw()

    # -- why ------------------------------------------------------------------------------------------------------

    def explain(self) -> None:
        """Explain the value at the crosshair, or the newest one."""
        reading = self.plot.reading_under_cursor()
        if reading is not None:
            newest = self.model.cursor_s is None
            self._on_why(replace(reading, stamp_ms=None) if newest else reading)

    def _on_why(self, reading: Reading) -> None:
        if self._why_window is None:
            self._why_window = WhyWindow(self)
        self._why_window.show_explanation(self.model.explain(reading.market, reading.line, reading.stamp_ms))

    # -- exports --------------------------------------------------------------------------------------------------

    def csv_text(self) -> str:
        """Return exactly what is shown as CSV."""
        return ask.csv_text(HEADER, chart_rows(self.model, *self.plot.time_range))

    def copy_image(self) -> None:
        """Put the picture on the clipboard."""
        QGuiApplication.clipboard().setPixmap(self.plot.picture())

    def copy_csv(self) -> None:
        """Put the values on the clipboard as CSV."""
        QGuiApplication.clipboard().setText(self.csv_text())

    def save_image(self) -> None:
        """Ask for a file and write the picture."""
        self._work.start(self._save("Save picture", "png", self.plot.picture()))

    def save_csv(self) -> None:
        """Ask for a file and write the values."""
        self._work.start(self._save("Export values", "csv", self.csv_text()))

    async def _save(self, title: str, suffix: str, content: QPixmap | str) -> None:
        kind = "Pictures (*.png)" if suffix == "png" else ask.CSV_FILES
        name = f"{file_stem(self.model, self.plot.time_range[1])}.{suffix}"
        await ask.save_file(self, title, name, kind, lambda path: write(path, content))

    # -- keyboard and menu ----------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the crosshair, zoom, jump to live."""
        start, end = self.plot.time_range
        span, key = end - start, event.key()
        fast = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            super().keyPressEvent(event)
            return
        actions = {
            Qt.Key.Key_Left: lambda: self.plot.move_cursor(-fast),
            Qt.Key.Key_Right: lambda: self.plot.move_cursor(fast),
            Qt.Key.Key_Home: lambda: self.plot.set_cursor(start),
            Qt.Key.Key_End: lambda: self.plot.set_cursor(min(end, self.model.edge_s)),
            Qt.Key.Key_PageUp: lambda: self.plot.pan(-span / 2, 0.0),
            Qt.Key.Key_PageDown: lambda: self.plot.pan(span / 2, 0.0),
            Qt.Key.Key_Plus: lambda: self.plot.zoom(0, 0.8, end),
            Qt.Key.Key_Minus: lambda: self.plot.zoom(0, 1.25, end),
            Qt.Key.Key_L: self.plot.jump_to_live,
            Qt.Key.Key_Return: self.explain,
        }
        action = actions.get(Qt.Key(key))
        if action is None:
            super().keyPressEvent(event)
        else:
            action()
            event.accept()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer everything the chart can do."""
        self.popup_menu(event.globalPos())
        event.accept()

    def popup_menu(self, at: QPoint) -> None:
        """Open the chart's menu."""
        self._menu.popup(at)

    def _fill_menu(self, menu: QMenu) -> None:
        menu.clear()
        menu.addAction("Why this number?", self.explain)
        menu.addAction("Jump to live\tL", self.plot.jump_to_live)
        menu.addAction("Fit both axes", lambda: self.plot.reset_axis(-1))
        menu.addSeparator()
        self.controls.fill_choices(menu)
        linked = menu.addMenu("Time axis moves with")
        for link, words in _TIME_LINKS.items():
            action = linked.addAction(words)
            action.setCheckable(True)
            action.setChecked(link is self.model.config.time_link)
            action.triggered.connect(lambda _=False, k=link: self._on_chosen(replace(self.model.config, time_link=k)))
        curves = menu.addMenu("Curves shown")
        for curve in self.model.curves():
            action = curves.addAction(f"{curve.line.label} {curve.market.label}")
            action.setCheckable(True)
            action.setChecked(not self.model.is_hidden(curve.key))
            action.triggered.connect(lambda _=False, k=curve.key: self.plot.toggle_curve(k))
        legend = menu.addAction("Legend", self._toggle_legend)
        legend.setCheckable(True)
        legend.setChecked(self.plot.legend_wanted)
        menu.addSeparator()
        menu.addAction("Copy picture", self.copy_image)
        menu.addAction("Save picture…", self.save_image)
        menu.addAction("Copy values as CSV", self.copy_csv)
        menu.addAction("Save values as CSV…", self.save_csv)

    def _toggle_legend(self) -> None:
        self.plot.legend_wanted = not self.plot.legend_wanted
        self.plot.redraw()

    def changeEvent(self, event: QEvent) -> None:
        """Lay the controls out anew when the font changed."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._on_changed()


def write(path: Path, content: QPixmap | str) -> None:
    """Write a picture or a text to a file; raise OSError."""
    if isinstance(content, str):
        ask.write_text(path, content)
    else:
        ask.write_png(path, content)
