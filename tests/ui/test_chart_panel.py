"""The chart panel in an offscreen window: what it shows, remembers, exports and lets go of."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from chart_source import START_MS, ChartSource, ImmediateSpawn
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QHelpEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QToolTip, QWidget

from app.domain.coverage import Known
from app.domain.ids import Market, MarketKind, Venue
from app.indicators.formulas import Convention, Indicator, lines_of
from app.indicators.groups import Group, Subject
from app.ui import theme, zone
from app.ui.charts.axes import TAG_HEIGHT
from app.ui.panels.depth_chart import DepthChartPanel
from app.viewmodels.depth_chart import DEFAULT_CHARTS, ChartConfig, DepthChartModel, TimeLinks

# the offscreen platform says this of every window that opens
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")

NS = 1_000_000


@pytest.fixture
def source() -> ChartSource:
    return ChartSource()


@pytest.fixture
def make(qtbot, source):
    """Return a maker of panels on screen; all are shut at the end."""
    made: list[DepthChartPanel] = []

    def build(config: ChartConfig = DEFAULT_CHARTS[0], size=(600, 400), links=None) -> DepthChartPanel:
        panel = DepthChartPanel(DepthChartModel(source, config, links=links, spawn=ImmediateSpawn()))
        qtbot.addWidget(panel)
        panel.resize(*size)
        panel.show()
        made.append(panel)
        settle(panel, source)
        return panel

    yield build
    for panel in made:
        panel.shut()


def settle(panel: DepthChartPanel, source: ChartSource) -> None:
    for _ in range(3):
        panel.refresh(source.now_ms * NS)
        QApplication.processEvents()


def pixels(panel: DepthChartPanel) -> np.ndarray:
    QApplication.processEvents()
    return panel.plot.layer._pixels


def shows(panel: DepthChartPanel, colour: str) -> bool:
    return bool((pixels(panel) == int("ff" + colour[1:], 16)).any())


def test_a_fresh_chart_shows_history_and_ticks_at_once(make, source) -> None:
    panel = make()
    start, end = panel.plot.time_range
    assert end - start == pytest.approx(900)
    assert start < START_MS / 1000 - 880
    rows = panel.model.rows(Market.BINANCE_SPOT)
    assert rows.at_ms[0] / 1000 < start
    for tag in panel.plot.value_axis.tag_places:
        assert shows(panel, tag[1].colour)
    assert panel.plot.message.text() == ""
    assert panel.refresh(source.now_ms * NS) is None, "nothing new since the first refresh"
    source.advance(200)
    assert panel.refresh(source.now_ms * NS) == source.now_ms * NS


def test_new_ticks_are_drawn_without_drawing_everything_anew(make, source) -> None:
    panel = make()
    before = panel.plot.layer.full_draws
    drawn = 0
    for _ in range(20):
        source.advance(200)
        panel.refresh(source.now_ms * NS)
        QApplication.processEvents()
        drawn += 1
    assert drawn == 20
    assert panel.plot.layer.full_draws - before <= 6, "four scrolls, and perhaps a value range"


def test_tags_carry_the_sign_of_how_well_a_value_is_known_and_do_not_overlap(make) -> None:
    keys = tuple(line.key for line in lines_of(Indicator.BID_ASK, group=False) if not line.mixed)
    panel = make(replace(DEFAULT_CHARTS[3], line_keys=keys), size=(430, 300))
    places = sorted(middle for middle, _ in panel.plot.value_axis.tag_places)
    assert len(places) > 8
    assert all(b - a >= TAG_HEIGHT - 1 for a, b in itertools.pairwise(places))
    texts = {tag.text[0] for _, tag in panel.plot.value_axis.tag_places}
    assert "≥" in texts
    assert "≈" in texts


def test_the_crosshair_reads_every_curve_with_time_and_zone(make) -> None:
    panel = make(replace(DEFAULT_CHARTS[0], line_keys=("delta:5", "delta:15")))
    panel.plot.set_cursor(START_MS / 1000 - 60)
    readings = panel.plot._readings
    assert [reading.name for reading in readings] == [
        "Delta 5 % SPOT",
        "Delta 15 % SPOT",
        "Delta 5 % FUTURES",
        "Delta 15 % FUTURES",
    ]
    assert all(math.isfinite(reading.value) for reading in readings)
    assert readings[0].text[0].isdigit()
    assert readings[1].text.startswith("≈ ")
    assert panel.plot.time_axis._marker[1] == "09:59:00 UTC"


def test_inside_a_hole_the_crosshair_reads_nothing(make, source) -> None:
    source.silence(START_MS - 600_000, START_MS - 300_000)
    panel = make()
    panel.plot.set_cursor(START_MS / 1000 - 450)
    assert [reading.text for reading in panel.plot._readings] == ["—", "—"]


def test_keys_move_the_crosshair_and_jump_to_live(make) -> None:
    panel = make()
    plot = panel.plot
    plot.setFocus()
    QTest.keyClick(plot, Qt.Key.Key_Home)
    assert panel.model.cursor_s == plot.time_range[0]
    QTest.keyClick(plot, Qt.Key.Key_End)
    assert panel.model.cursor_s == START_MS / 1000
    QTest.keyClick(plot, Qt.Key.Key_Left)
    first = panel.model.cursor_s
    assert first < START_MS / 1000
    QTest.keyClick(plot, Qt.Key.Key_Right)
    assert panel.model.cursor_s > first
    QTest.keyClick(plot, Qt.Key.Key_PageUp)
    assert not panel.model.view.follows
    assert plot.live_button.isVisible()
    QTest.keyClick(plot, Qt.Key.Key_L)
    assert panel.model.view.follows
    assert not plot.live_button.isVisible()


def wheel(panel: DepthChartPanel, at: QPointF, delta: int) -> None:
    viewport = panel.plot.view.viewport()
    event = QWheelEvent(
        at,
        viewport.mapToGlobal(at),
        QPoint(0, 0),
        QPoint(0, delta),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(viewport, event)


def test_the_wheel_zooms_time_at_the_cursor(make) -> None:
    panel = make()
    plot = panel.plot
    (start, end), width = plot.time_range, plot.box.width()
    x = width / 3
    under = start + x / width * (end - start)
    wheel(panel, QPointF(x, 100), 240)
    start, end = plot.time_range
    assert end - start < 900
    assert start + x / width * (end - start) == pytest.approx(under, abs=2 * (end - start) / width)
    assert not panel.model.view.follows


def drag(panel: DepthChartPanel, start: QPoint, end: QPoint) -> None:
    viewport, left = panel.plot.view.viewport(), Qt.MouseButton.LeftButton
    QTest.mousePress(viewport, left, pos=start)
    for share in (0.3, 0.6, 1.0):
        QTest.mouseMove(viewport, start + (end - start) * share)
        QApplication.processEvents()
    QTest.mouseRelease(viewport, left, pos=end)


def double_click(widget: QWidget, at: QPoint) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseDClick(widget, Qt.MouseButton.LeftButton, pos=at)
    QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=at)


def test_a_drag_moves_the_time_under_the_pointer_along(make) -> None:
    panel = make()
    (start, end), width = panel.plot.time_range, panel.plot.box.width()
    drag(panel, QPoint(100, 150), QPoint(300, 150))
    moved_s = panel.plot.time_range[0] - start
    assert moved_s == pytest.approx(-200 / width * (end - start), rel=0.05)
    assert panel.plot.live_button.isVisible()
    panel.plot.live_button.click()
    assert panel.model.view.follows


def test_a_double_click_on_an_axis_resets_that_axis(make) -> None:
    panel = make()
    plot = panel.plot
    plot.pan(-300.0, 0.0)
    plot.zoom(1, 3.0, 1.0)
    viewport = plot.view.viewport()
    on_values = QPoint(viewport.width() - 20, 100)
    on_times = QPoint(100, viewport.height() - 8)
    double_click(viewport, on_values)
    assert plot.auto_value
    assert not panel.model.view.follows
    double_click(viewport, on_times)
    assert panel.model.view.follows


def test_dragging_pans_and_double_clicks_on_axes_reset(make) -> None:
    panel = make()
    plot = panel.plot
    plot.pan(-300.0, 0.0)
    plot.zoom(1, 3.0, 1.0)
    assert not plot.auto_value
    assert plot.time_range[1] < START_MS / 1000 - 200
    plot.reset_axis(1)
    plot.reset_axis(0)
    assert plot.auto_value
    assert panel.model.view.follows
    assert plot.time_range[1] >= START_MS / 1000


def test_linked_charts_move_together(make) -> None:
    links = TimeLinks()
    first, second = make(DEFAULT_CHARTS[0], links=links), make(DEFAULT_CHARTS[1], links=links)
    before = second.revision()
    first.plot.pan(-400.0, 0.0)
    first.plot.set_cursor(START_MS / 1000 - 500)
    assert second.revision() != before
    second.refresh(START_MS * NS)
    assert second.plot.time_range == first.plot.time_range
    assert second.plot.crosshair.isVisible()


def test_the_legend_switches_curves_off_and_on(make, qtbot) -> None:
    panel = make()
    legend = panel.plot.legend
    colour = panel.plot.value_axis.tag_places[0][1].colour
    assert shows(panel, colour)
    QTest.mouseClick(legend, Qt.MouseButton.LeftButton, pos=QPoint(40, 10))
    assert panel.model.config.hidden == ("spot/delta:5",)
    assert len(panel.plot.value_axis.tag_places) == 1
    assert not shows(panel, colour)
    QTest.mouseClick(legend, Qt.MouseButton.LeftButton, pos=QPoint(40, 10))
    assert panel.model.config.hidden == ()
    assert shows(panel, colour)


def test_the_legend_says_on_hover_how_well_a_curve_is_known(make) -> None:
    legend = make(replace(DEFAULT_CHARTS[3], line_keys=("bid-ask:ask15",))).plot.legend
    at = QPoint(40, 10)
    QApplication.sendEvent(legend, QHelpEvent(QEvent.Type.ToolTip, at, legend.mapToGlobal(at)))
    assert QToolTip.text().startswith("ASK 15 % SPOT: floor")
    QToolTip.hideText()


def test_strict_blanks_partial_values(make, source) -> None:
    panel = make(replace(DEFAULT_CHARTS[0], line_keys=("delta:15",)))
    colours = [tag.colour for _, tag in panel.plot.value_axis.tag_places]
    assert len(colours) == 2
    panel.controls._toggle_strict()
    settle(panel, source)
    assert panel.model.config.strict
    assert panel.plot.value_axis.tag_places == []
    assert not any(shows(panel, colour) for colour in colours)
    assert panel.plot.message.text().startswith("Strict")


def test_the_convention_switch_turns_delta_round_zero(make, source) -> None:
    panel = make()
    panel.controls._toggle_convention()
    settle(panel, source)
    assert panel.model.config.convention is Convention.IMBALANCE
    assert all(-1 <= tag.value <= 1 for _, tag in panel.plot.value_axis.tag_places)
    assert "(bid − ask)/(bid + ask)" in panel.plot.title.text


def test_the_controls_choose_indicator_subject_markets_depths_and_range(make, source) -> None:
    panel = make(size=(1200, 400))
    controls = panel.controls
    controls.indicator.setCurrentIndex(controls.indicator.findData(Indicator.BID_ASK.value))
    controls.indicator.activated.emit(controls.indicator.currentIndex())
    assert panel.model.config.indicator is Indicator.BID_ASK
    controls.subject.setEditText("eth")
    controls.subject.lineEdit().editingFinished.emit()
    assert str(panel.model.config.subject) == "ETHUSDT"
    controls.subject.setEditText("nonsense")
    controls.subject.lineEdit().editingFinished.emit()
    assert controls.subject.currentText() == "ETHUSDT"
    controls.markets[MarketKind.SPOT].click()
    assert panel.model.config.markets == (Market.BINANCE_USDM,)
    controls.markets[MarketKind.FUTURES].click()
    assert panel.model.config.markets == (Market.BINANCE_USDM,), "one market stays"
    assert controls.markets[MarketKind.FUTURES].isChecked()
    controls.depth_chips[15.0].click()
    assert panel.model.config.line_keys == ("bid-ask:bid5", "bid-ask:ask5", "bid-ask:bid15", "bid-ask:ask15")
    controls.range.setCurrentIndex(2)
    controls.range.activated.emit(2)
    assert panel.model.view.span_s == 3600
    settle(panel, source)
    start, end = panel.plot.time_range
    assert end - start == pytest.approx(3600)


def test_a_chart_draws_the_venues_that_are_chosen_and_one_always_stays(make, source) -> None:
    panel = make(size=(1200, 400))
    assert not panel.controls.venues.isVisible(), "there is nothing to choose with one venue"
    source.open_venues = (Venue.BINANCE, Venue.BYBIT)
    panel = make(size=(1200, 400))
    venues = panel.controls.venues
    assert venues.isVisible()
    assert venues.text().startswith("Binance")
    venues.menu().aboutToShow.emit()
    actions = {action.text(): action for action in venues.menu().actions()}
    assert list(actions) == ["Binance", "Bybit"]
    actions["Bybit"].trigger()
    assert panel.model.config.markets == tuple(Market)[:4]
    assert panel.controls.venues.text().startswith("2 venues")
    settle(panel, source)
    assert {key.market for key, _, _ in source.reads} == set(tuple(Market)[:4])
    venues.menu().aboutToShow.emit()
    next(action for action in venues.menu().actions() if action.text() == "Binance").trigger()
    assert panel.model.config.markets == (Market.BYBIT_SPOT, Market.BYBIT_LINEAR)
    venues.menu().aboutToShow.emit()
    next(action for action in venues.menu().actions() if action.text() == "Bybit").trigger()
    assert panel.model.config.markets == (Market.BYBIT_SPOT, Market.BYBIT_LINEAR), "one venue stays"
    panel.controls.markets[MarketKind.SPOT].click()
    assert panel.model.config.markets == (Market.BYBIT_LINEAR,)


@pytest.mark.parametrize("width", [220, 300, 430, 600, 1200])
@pytest.mark.parametrize("config", DEFAULT_CHARTS)
def test_the_controls_fit_any_width(make, width: int, config: ChartConfig) -> None:
    panel = make(config, size=(width, 300))
    shown = [w for w in panel.controls.findChildren(QWidget) if w.isVisible() and w.parent() is panel.controls]
    shown.sort(key=lambda w: w.x())
    assert panel.controls.menu_button in shown
    assert shown[-1].geometry().right() < width
    for left, right in itertools.pairwise(shown):
        assert left.geometry().right() < right.x()


def test_the_menu_holds_every_choice(make) -> None:
    panel = make(size=(220, 200))
    panel._fill_menu(panel._menu)
    words = [action.text() for action in panel._menu.actions()]
    for word in ("Indicator", "Markets", "Depths and lines", "Time range", "Curves shown", "Save values as CSV…"):
        assert word in words


def test_choices_survive_save_and_restore(make, source) -> None:
    panel = make()
    config = replace(
        DEFAULT_CHARTS[3],
        subject=Subject(pair="SOLUSDT"),
        markets=(Market.BINANCE_USDM,),
        strict=True,
        span_s=14_400.0,
        hidden=("usdm/bid-ask:ask5",),
    )
    panel.model.configure(config)
    settle(panel, source)
    other = make()
    other.restore_state(panel.save_state())
    settle(other, source)
    assert other.model.config == config
    start, end = other.plot.time_range
    assert end - start == pytest.approx(14_400)
    assert other.controls.subject.currentText() == "SOLUSDT"


def test_the_csv_is_what_is_shown(make, source) -> None:
    source.silence(START_MS - 500_000, START_MS - 300_000)
    panel = make(
        replace(DEFAULT_CHARTS[3], line_keys=("bid-ask:bid5", "bid-ask:ask15"), markets=(Market.BINANCE_SPOT,))
    )
    panel.plot.toggle_curve("spot/bid-ask:bid5")
    rows = list(csv.DictReader(io.StringIO(panel.csv_text())))
    curve = panel.model.curves()[1]
    start, end = panel.plot.time_range
    shown = (curve.x >= start) & (curve.x <= end) & np.isfinite(curve.y)
    assert [float(row["value"]) for row in rows] == curve.y[shown].tolist()
    assert [int(row["epoch_ms"]) for row in rows] == np.rint(curve.x[shown] * 1000).astype(int).tolist()
    assert {row["known"] for row in rows} == {"floor"}
    assert {row["curve"] for row in rows} == {"ASK 15 % BTCUSDT SPOT"}
    panel.copy_csv()
    assert QGuiApplication.clipboard().text() == panel.csv_text()


async def test_a_picture_and_a_table_are_saved_where_the_person_says(make, qtbot, tmp_path) -> None:
    panel = make()
    for act, name in ((panel.save_csv, "values.csv"), (panel.save_image, "chart.png")):
        act()
        await asyncio.sleep(0)
        dialog = next(d for d in panel.findChildren(QFileDialog) if d.isVisible())
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile(str(tmp_path / name))
        dialog.done(1)
        for _ in range(3):
            await asyncio.sleep(0)
        QApplication.processEvents()
    assert (tmp_path / "values.csv").read_text().startswith("time_utc,epoch_ms,curve,value,known")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_click_on_a_point_explains_it(make, source) -> None:
    panel = make()
    plot = panel.plot
    rows = panel.model.rows(Market.BINANCE_SPOT)
    i = int(np.searchsorted(rows.at_ms, START_MS - 600_000))
    at = QPoint(round(plot._column_of(rows.at_ms[i] / 1000)), round(plot._row_of(rows.y[0, i])))
    viewport = plot.view.viewport()
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(at.x(), viewport.height() - 30))
    assert panel._why_window is None, "a click beside every curve explains nothing"
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=at)
    key, line, stamp = source.explained[-1]
    assert line == "delta:5"
    assert stamp % 60_000 == 0, "a minute is named by its start"
    window = panel._why_window
    assert window.isVisible()
    assert not window.isModal()
    window.copy_button.click()
    assert "XYZUSDT: waiting for snapshot" in QGuiApplication.clipboard().text()
    panel.model.set_cursor(None)
    panel.plot.redraw()
    panel.controls.why_button.click()
    assert source.explained[-1] == (key, "delta:5", None)
    assert panel._why_window is window


def test_a_source_that_stops_is_said_over_the_chart(make, source) -> None:
    panel = make()
    colour = panel.plot.value_axis.tag_places[0][1].colour
    panel.refresh((source.now_ms + 12_000) * NS)
    assert panel.plot.banner.isVisible()
    assert panel.plot.banner.text().startswith("No new values since 10:00:00 UTC (12 s)")
    assert panel.plot.value_axis.tag_places[0][1].colour != colour, "stale values go grey"
    source.advance(12_400)
    settle(panel, source)
    assert not panel.plot.banner.isVisible()
    assert panel.plot.value_axis.tag_places[0][1].colour == colour


def test_an_empty_chart_says_why(make, source) -> None:
    source.primed, source.first_minute_ms = False, START_MS
    panel = make()
    assert panel.plot.message.isVisible()
    assert "books are primed" in panel.plot.message.text()


def test_a_store_that_is_away_is_said_beside_live_values(make, source) -> None:
    source.away = "disk is gone"
    panel = make()
    assert "disk is gone" in panel.plot.banner.text()
    assert panel.plot.value_axis.tag_places


def test_theme_and_zone_changes_repaint(make, qapp) -> None:
    panel = make()
    dark = pixels(panel).copy()
    try:
        theme.apply(qapp, "light")
        panel.refresh(START_MS * NS)
        assert not np.array_equal(dark, pixels(panel))
        zone.choose("local")
        panel.refresh(START_MS * NS)
        assert panel.plot.corner.text() == f"ratio · {zone.label()}"
    finally:
        zone.choose("utc")
        theme.apply(qapp, "dark")


def test_the_fast_cadence_is_asked_for_only_on_screen(make, source) -> None:
    panel = make()
    panel.set_active(True)
    assert sum(source.watched.values()) == 2
    panel.set_active(False)
    assert not any(source.watched.values())


def test_a_hundred_changes_leave_nothing_behind(make, source) -> None:
    panel = make(size=(500, 300))
    subjects = [Subject(group=group) for group in Group] + [Subject(pair=pair) for pair in source.pairs()]

    def change(i: int) -> None:
        indicator = list(Indicator)[i % 4]
        subject = subjects[i % len(subjects)]
        config = panel.model.config.with_subject(subject).with_indicator(indicator)
        panel.model.configure(replace(config, span_s=(120.0, 900.0, 3600.0)[i % 3], strict=i % 5 == 0))
        panel.refresh(source.now_ms * NS)
        QApplication.processEvents()

    for i in range(20):
        change(i)
    gc.collect()
    widgets, scene = len(panel.findChildren(QWidget)), len(panel.plot.view.scene().items())
    objects = len(gc.get_objects())
    for i in range(100):
        change(i)
    gc.collect()
    QApplication.sendPostedEvents(None, 52)  # deferred deletes
    assert len(panel.plot.view.scene().items()) == scene
    assert abs(len(panel.findChildren(QWidget)) - widgets) < 20
    assert len(gc.get_objects()) - objects < 1500
    assert len(panel.model._caches) <= 8


def test_a_closed_panel_dies(qtbot, source) -> None:
    from shiboken6 import isValid

    panel = DepthChartPanel(DepthChartModel(source, spawn=ImmediateSpawn()))
    panel.show()
    settle(panel, source)
    panel.set_active(True)
    panel.explain()
    plot, window = panel.plot, panel._why_window
    panel.shut()
    panel.deleteLater()
    QApplication.sendPostedEvents(None, 52)
    QApplication.processEvents()
    assert not isValid(panel)
    assert not isValid(plot)
    assert not isValid(window)
    assert not any(source.watched.values())
    theme.notifier().changed.emit(theme.current())


def test_the_newest_reading_is_the_last_tick(make) -> None:
    panel = make()
    panel.plot.set_cursor(None)
    reading = panel.plot.reading_under_cursor()
    assert reading is not None
    assert reading.stamp_ms == START_MS
    assert reading.known is Known.EXACT
