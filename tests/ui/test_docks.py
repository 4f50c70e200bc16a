"""Docks: opening, closing, remembering, and what a stored layout may not break."""

from __future__ import annotations

import weakref

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QApplication, QMainWindow
from shell import Placeholder, flush

from app.ui.docks import Arrangement, DockHost, Place, Side
from app.ui.frameclock import FrameClock
from app.ui.registry import PanelKind, PanelRegistry
from app.viewmodels.layouts import LayoutRecord, PanelRecord


@pytest.fixture
def host(qtbot, clock: FrameClock):
    window = QMainWindow()
    window.resize(1200, 800)
    kinds = [
        PanelKind(id="chart", title="Depth chart", factory=Placeholder, icon="chart", multiple=True),
        PanelKind(id="feeds", title="Feeds", factory=Placeholder, icon="feeds"),
    ]
    made = DockHost(window, PanelRegistry(kinds), clock)
    window.show()
    yield made
    made.shut()
    window.close()
    window.deleteLater()
    flush()


def test_several_charts_are_numbered_and_a_single_kind_opens_once(host: DockHost) -> None:
    titles = [host.open("chart").title for _ in range(3)]
    assert titles == ["Depth chart", "Depth chart 2", "Depth chart 3"]
    assert host.open("feeds") is host.open("feeds")
    assert host.open("nothing") is None
    host.close("chart:2")
    assert host.open("chart").name == "chart:2"


def test_a_kind_can_be_registered_only_once() -> None:
    kind = PanelKind(id="chart", title="Depth chart", factory=Placeholder, icon="chart")
    with pytest.raises(ValueError, match="chart"):
        PanelRegistry([kind, kind])


def test_a_closed_panel_dies_and_leaves_the_frame_clock(host: DockHost, clock: FrameClock) -> None:
    entry = host.open("chart")
    panel = weakref.ref(entry.panel)
    clock.tick()
    assert panel().refreshes == 1
    del entry
    host.close("chart:1")
    flush()
    assert panel() is None
    clock.tick()
    assert host.panels() == ()


def test_a_click_on_the_tab_close_button_closes_the_panel(host: DockHost) -> None:
    entry = host.open("chart")
    entry.dock.requestCloseDockWidget()
    assert host.panels() == ()


def test_a_subtitle_joins_the_dock_title(host: DockHost) -> None:
    entry = host.open("chart")
    entry.panel.title_changed.emit("BTCUSDT SPOT")
    assert entry.dock.windowTitle() == "Depth chart · BTCUSDT SPOT"


def test_layout_and_panel_states_come_back(host: DockHost) -> None:
    first = host.open("chart", {"subject": "TOTAL"})
    host.open("chart", {"subject": "ETHUSDT"}, Side.BOTTOM, first.name)
    host.open("feeds", None, Side.TAB, first.name)
    host.float("chart:2", QRect(40, 50, 400, 300))
    record = host.save()
    host.close_all()
    assert host.restore(record)
    assert {entry.name: entry.panel.state for entry in host.panels()} == {
        "chart:1": {"subject": "TOTAL"},
        "chart:2": {"subject": "ETHUSDT"},
        "feeds:1": {},
    }
    assert host.panels()[1].dock.isInFloatingContainer()
    assert host.panels()[0].dock.dockAreaWidget() is host.panels()[2].dock.dockAreaWidget()


def test_a_panel_that_the_blob_does_not_name_is_put_back(host: DockHost) -> None:
    host.open("chart")
    alone = host.save()
    record = LayoutRecord(
        panels=(*alone.panels, PanelRecord(kind="feeds", instance=1, state={})),
        docks=alone.docks,
    )
    assert host.restore(record)
    assert [entry.name for entry in host.panels()] == ["chart:1", "feeds:1"]
    QApplication.processEvents()
    assert all(entry.panel.isVisible() for entry in host.panels())


@pytest.mark.parametrize("blob", [b"", b"\x00\xff not a layout", b"<QtAdvancedDockingSystem"])
def test_a_blob_of_rubbish_still_opens_every_panel(host: DockHost, blob: bytes) -> None:
    panels = (PanelRecord(kind="chart", instance=2, state={"a": 1}), PanelRecord(kind="gone", instance=1, state={}))
    assert not host.restore(LayoutRecord(panels=panels, docks=blob))
    assert [entry.name for entry in host.panels()] == ["chart:2"]
    assert host.panels()[0].panel.isVisible()


def test_a_floating_window_off_every_screen_is_brought_back(host: DockHost) -> None:
    host.open("chart")
    host.float("chart:1", QRect(9000, 7000, 500, 400))
    host.bring_on_screen()
    container = host.panels()[0].dock.floatingDockContainer()
    screen = QApplication.primaryScreen().availableGeometry()
    assert screen.contains(container.geometry())


def test_an_arrangement_places_panels_side_by_side_and_in_tabs(host: DockHost) -> None:
    host.arrange(
        Arrangement(
            name="test",
            places=(
                Place(kind="chart", state={"n": 1}),
                Place(kind="chart", state={"n": 2}, side=Side.BOTTOM, beside=0),
                Place(kind="unknown"),
                Place(kind="feeds", side=Side.TAB, beside=1),
            ),
            shares=((0, (30, 70)),),
        )
    )
    first, second, third = host.panels()
    assert (first.panel.state, second.panel.state) == ({"n": 1}, {"n": 2})
    assert second.dock.dockAreaWidget() is third.dock.dockAreaWidget()
    QApplication.processEvents()
    assert first.panel.mapTo(host.widget, first.panel.rect().topLeft()).y() < second.dock.dockAreaWidget().y() + 800
    assert first.panel.height() < second.dock.dockAreaWidget().height()


def test_a_locked_layout_cannot_be_moved_or_closed_by_hand(host: DockHost) -> None:
    entry = host.open("chart")
    host.set_locked(True)
    from PySide6QtAds import CDockWidget

    locked = entry.dock.features()
    assert not locked & CDockWidget.DockWidgetMovable
    assert not locked & CDockWidget.DockWidgetClosable
    host.set_locked(False)
    assert entry.dock.features() & CDockWidget.DockWidgetMovable


def test_the_keyboard_goes_round_all_panels(host: DockHost) -> None:
    for _ in range(3):
        host.open("chart").panel.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    QApplication.processEvents()
    seen = []
    for _ in range(4):
        host.show_next()
        seen.append(host.active().name)
    assert sorted(set(seen)) == ["chart:1", "chart:2", "chart:3"]
    assert seen[0] == seen[3]
