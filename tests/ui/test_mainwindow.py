"""The window: first paint, layouts, palette, themes, zone, closing, and text that fits a small screen."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import FakeMarket
from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from shell import MarketClock, close, flush

from app.domain.health import LinkState
from app.domain.ids import Market
from app.ui import theme, zone
from app.ui.frameclock import Latency
from app.ui.mainwindow import MainWindow
from app.ui.screenshots import capture_screenshots
from app.ui.statusbar import ElidedLabel, LightButton, StatusBar, light_text, light_texts
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import FeedLight, Mode, StatusModel

MakeWindow = Callable[..., MainWindow]


def press(window: MainWindow, key: Qt.Key, *modifiers: Qt.KeyboardModifier) -> None:
    combined = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        combined |= modifier
    QTest.keyClick(window, key, combined)


def test_the_first_paint_needs_neither_pyqtgraph_nor_numpy_nor_the_dock_library() -> None:
    code = (
        "import sys\nfrom app import runtime\nimport app.ui.mainwindow\n"
        "print([name for name in ('pyqtgraph', 'numpy', 'PySide6QtAds', 'sqlalchemy', 'redis') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_that_needs_the_docks_is_offered_before_they_are_there(make_window: MakeWindow) -> None:
    window = make_window(populate=False)
    for action in window.actions_.all():
        if action.objectName() not in ("quit", "about", "theme", "zone", "fullscreen"):
            action.trigger()
    window.search.ask_symbol("b")
    window.save_layout()
    assert window.exits == []
    window.populate()
    window.frame_clock.stop()
    assert window.actions_.get("palette").isEnabled()


def test_every_tab_tells_its_event_to_screen_time(make_window: MakeWindow, market: FakeMarket) -> None:
    window = make_window()
    window.frame_clock.tick()
    for _ in range(3):
        QApplication.processEvents()
    window._status_ticks = 0
    window._on_status_timer()
    tips = {entry.name: entry.dock.tabWidget().toolTip() for entry in window.docks.panels()}
    assert "event → screen p50 0 ms, p95 0 ms" in tips["ladder:1"]
    assert "nothing shown" in tips["chart:1"]
    assert window.findChild(StatusBar)._timing.text() == "event → screen 0 ms / 0 ms"


def test_the_first_start_shows_the_depth_layout(make_window: MakeWindow) -> None:
    window = make_window()
    kinds = [entry.kind.id for entry in window.docks.panels()]
    assert sorted(kinds) == ["chart"] * 4 + ["feeds", "ladder", "symbols"]
    assert window.perspective == "Depth"
    assert window.windowTitle() == "Fathom · DEMO · READ-ONLY"
    assert all(entry.panel.isVisible() for entry in window.docks.panels())


def test_closing_the_window_only_asks_for_the_exit(make_window: MakeWindow) -> None:
    window = make_window()
    event = QCloseEvent()
    window.closeEvent(event)
    assert not event.isAccepted()
    assert window.exits == ["asked"]
    assert window.isVisible()


def test_layout_theme_zone_and_panels_come_back(make_window: MakeWindow, tmp_path: Path, links: LinkBus) -> None:
    path = tmp_path / "kept.json"
    window = make_window(path=path)
    window.docks.close("feeds:1")
    window.open_panel("chart", {"subject": "ETHUSDT"})
    window.switch_perspective("Single coin")
    window.switch_perspective("Depth")
    window.save_perspective("Mine")
    window.toggle_theme()
    window.toggle_zone()
    window.search.pick("SOLUSDT")
    window.save_layout()
    names = sorted(entry.name for entry in window.docks.panels())
    close(window)
    flush()
    theme.apply(QApplication.instance(), "dark")
    zone.choose("utc")

    again = make_window(path=path)
    assert again.perspective == "Mine"
    assert sorted(entry.name for entry in again.docks.panels()) == names
    assert any(getattr(entry.panel, "state", {}).get("subject") == "ETHUSDT" for entry in again.docks.panels())
    assert theme.current().name == "light"
    assert zone.name() == "local"
    assert links.current("A") == "SOLUSDT"
    assert again.perspective_names() == ["Depth", "Single coin", "Market", "Broker", "Mine"]


def test_a_corrupt_layout_file_gives_the_default_and_one_notice(make_window: MakeWindow, tmp_path: Path) -> None:
    path = tmp_path / "layout.json"
    path.write_bytes(b"{ not json")
    window = make_window(path=path)
    assert len(window.docks.panels()) == 7
    notes = window._status.notes
    assert len(notes) == 1
    assert "damaged" in notes[0]
    assert [entry.name for entry in tmp_path.iterdir() if "broken" in entry.name]


def test_a_layout_that_names_only_unknown_panels_gives_the_default(make_window: MakeWindow, tmp_path: Path) -> None:
    path = tmp_path / "layout.json"
    layout = {"docks": "", "panels": [{"kind": "from the future", "instance": 1, "state": {}}]}
    path.write_text(json.dumps({"schema": 1, "active": "Depth", "layouts": {"Depth": layout}}), encoding="utf-8")
    window = make_window(path=path)
    assert len(window.docks.panels()) == 7


def test_reset_brings_the_built_in_layout_back(make_window: MakeWindow) -> None:
    window = make_window()
    window.docks.close_all()
    window.reset_layout()
    assert len(window.docks.panels()) == 7


def test_the_window_and_its_panels_die_after_the_end(make_window: MakeWindow) -> None:
    window = make_window()
    watched = [weakref.ref(entry.panel) for entry in window.docks.panels()]
    close(window)
    del window
    flush()
    assert [reference() for reference in watched] == [None] * len(watched)


def test_switching_themes_again_and_again_leaves_no_listeners_of_closed_panels(make_window: MakeWindow) -> None:
    window = make_window()
    for kind in ("ladder", "symbols", "feeds"):
        for entry in window.docks.find(kind):
            window.docks.close(entry.name)
    flush()
    for _ in range(4):
        window.toggle_theme()
        QApplication.processEvents()
    assert theme.current().name == "dark"


def test_a_typed_letter_opens_the_symbol_search_and_enter_picks(make_window: MakeWindow, links: LinkBus) -> None:
    window = make_window()
    panel = window.docks.find("ladder")[0].panel
    QTest.keyClick(panel.focus_target(), Qt.Key.Key_S)
    palette = window.search.palette
    assert palette is not None
    assert palette.isVisible()
    QTest.keyClicks(palette._edit, "ol")
    assert palette.texts()[0] == "SOLUSDT"
    QTest.keyClick(palette._edit, Qt.Key.Key_Return)
    assert not palette.isVisible()
    assert links.current("A") == "SOLUSDT"
    window.search.ask_symbol()
    assert palette.texts()[0] == "SOLUSDT"
    QTest.keyClick(palette._edit, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_letters_in_a_text_field_stay_there(make_window: MakeWindow) -> None:
    window = make_window()
    panel = window.docks.find("symbols")[0].panel
    QTest.keyClicks(panel._filter, "eth")
    assert window.search.palette is None
    assert panel._filter.text() == "eth"


def test_the_palette_finds_and_runs_a_command(make_window: MakeWindow) -> None:
    window = make_window()
    window.search.ask_command()
    palette = window.search.palette
    assert palette is not None
    QTest.keyClicks(palette._edit, "light and dark")
    assert palette.texts()[0] == "Switch light and dark"
    QTest.keyClick(palette._edit, Qt.Key.Key_Return)
    assert theme.current().name == "light"
    window.search.ask_command()
    QTest.keyClicks(palette._edit, "zzzz")
    assert palette.texts() == []
    palette.hide()


def test_every_command_has_a_shortcut_of_its_own_or_none(make_window: MakeWindow) -> None:
    window = make_window()
    shortcuts = [action.shortcut().toString() for action in window.actions_.all() if not action.shortcut().isEmpty()]
    assert len(shortcuts) == len(set(shortcuts))
    for name in ("Ctrl+K", "Ctrl+Shift+L", "Ctrl+U", "Ctrl+Q"):
        assert name in shortcuts


def test_a_click_on_a_light_opens_the_feeds_panel(make_window: MakeWindow) -> None:
    window = make_window()
    window.docks.close("feeds:1")
    bar = window.findChild(StatusBar)
    button = bar._lights["binance.spot"]
    assert "Binance SPOT live 50/50" in button.text()
    assert "Reconnects: 1" in button.toolTip()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert [entry.name for entry in window.docks.find("feeds")] == ["feeds:1"]


def test_lights_and_notes_follow_the_feeds(make_window: MakeWindow, market: FakeMarket) -> None:
    window = make_window()
    market.health[0].links[0].state = LinkState.BACKOFF
    market.health[0].links[0].reason = "the venue closed the connection"
    market.note_texts.append("The database is away; minutes are kept on disk")
    window._on_status_timer()
    lights = window._status.lights
    assert (lights[0].light, lights[0].word) == ("red", "down, retrying")
    assert lights[0].reason == "the venue closed the connection"
    assert light_text(lights[1]) == "Binance FUTURES priming books 37/50"
    bar = window.findChild(StatusBar)
    assert "The database is away" in bar._notes.text()


def test_the_clock_shows_the_zone(make_window: MakeWindow) -> None:
    window = make_window()
    bar = window.findChild(StatusBar)
    assert bar._clock.text() == "14:13:20 UTC"
    press(window, Qt.Key.Key_U, Qt.KeyboardModifier.ControlModifier)
    assert zone.name() == "local"
    assert bar._clock.text().endswith(zone.label())


@pytest.mark.parametrize("name", ["dark", "light"])
def test_no_text_is_clipped_at_1366_by_768(make_window: MakeWindow, name: str, market: FakeMarket) -> None:
    theme.apply(QApplication.instance(), name)
    window = make_window((1366, 768))
    for _ in range(3):
        QApplication.processEvents()
        market.step()
        window.frame_clock.tick()
    assert (window.width(), window.height()) == (1366, 768)
    clipped = []
    for label in window.findChildren(QLabel):
        if not label.isVisible() or isinstance(label, ElidedLabel) or label.metaObject().className().startswith("ads"):
            continue
        needed = QFontMetrics(label.font()).horizontalAdvance(label.text())
        if needed > label.width() + 1:
            clipped.append((label.text(), needed, label.width()))
    for button in window.findChildren(QAbstractButton):
        if button.isVisible() and button.text() and button.icon().isNull() is not False:
            needed = QFontMetrics(button.font()).horizontalAdvance(button.text())
            if needed > button.width():
                clipped.append((button.text(), needed, button.width()))
    assert clipped == []
    for entry in window.docks.panels():
        inside = entry.panel.rect()
        for child in entry.panel.findChildren(QLabel):
            if child.isVisible() and entry.kind.id == "ladder":
                assert inside.contains(child.geometry()), child.text()


def test_interactive_controls_have_accessible_names(make_window: MakeWindow) -> None:
    window = make_window()
    window.frame_clock.tick()
    nameless = [
        (entry.name, type(widget).__name__)
        for entry in window.docks.panels()
        for widget in entry.panel.findChildren(QAbstractButton)
        if widget.isVisible()
        and not (widget.accessibleName() or widget.text())
        and widget.metaObject().className() not in ("QTableCornerButton", "QLineEditIconButton")
    ]
    assert nameless == []


def test_a_notice_appears_and_goes(make_window: MakeWindow) -> None:
    window = make_window()
    window.notice("The export is done")
    bar = window.findChild(StatusBar)
    assert bar._notes.text() == "The export is done"
    window._clear_notice()
    window._on_status_timer()
    assert bar._notes.text() == ""


def test_screenshots_of_the_window_and_every_panel(make_window: MakeWindow, tmp_path: Path) -> None:
    window = make_window()
    paths = asyncio.run(capture_screenshots(window, tmp_path / "shots"))
    assert [path.name for path in paths][:2] == ["window.png", "panel-symbols-1.png"]
    assert len(paths) == 8
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


_TWO_TO_ONE = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests/ui"]
from PySide6.QtCore import QRect
from PySide6.QtWidgets import QApplication
from app import runtime
app = runtime.make_application(["fathom"])
from fakes import FakeMarket
from shell import MarketClock, Placeholder
from app.ui.mainwindow import MainWindow
from app.ui.screenshots import capture_screenshots
from app.ui.registry import PanelKind, PanelRegistry
from app.viewmodels.layouts import LayoutStore
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import StatusModel
market = FakeMarket()
kinds = [PanelKind(id="chart", title="Depth chart", factory=Placeholder, icon="chart", multiple=True)]
window = MainWindow(PanelRegistry(kinds), StatusModel(MarketClock(market)), LayoutStore(Path(sys.argv[2])),
                    links=LinkBus(), pairs=market.pairs, request_exit=lambda: None)
window.show()
app.processEvents()
window.populate()
app.processEvents()
if sys.argv[3] == "leave":
    window.setGeometry(2100, 80, 900, 700)
    window.docks.float("chart:2", QRect(2500, 300, 500, 400))
    app.processEvents()
    window.save_layout()
screens = [screen.availableGeometry() for screen in app.screens()]
floats = [entry.panel.window() for entry in window.docks.panels() if entry.dock.isInFloatingContainer()]
def fits(widget):
    return any(screen.contains(widget.geometry().center()) for screen in screens)
print(len(screens), len(floats), fits(window), all(fits(widget) for widget in floats), window.width() > 400)
window.discard()
app.processEvents()
"""


def test_windows_on_a_monitor_that_is_gone_come_back_on_screen(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    left = {"name": "left", "x": 0, "y": 0, "width": 1920, "height": 1080, "dpi": 96, "dpr": 1}
    right = {"name": "right", "x": 1920, "y": 0, "width": 1920, "height": 1080, "dpi": 96, "dpr": 1}

    def run(screens: list[dict[str, object]], what: str) -> list[str]:
        config = tmp_path / f"{what}.json"
        config.write_text(json.dumps({"screens": screens}), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", _TWO_TO_ONE, str(root), str(tmp_path / "layout.json"), what],
            env={"QT_QPA_PLATFORM": f"offscreen:configfile={config}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert run([left, right], "leave") == ["2", "1", "True", "True", "True"]
    assert run([left], "return") == ["1", "1", "True", "True", "True"]


def test_the_lights_words_get_shorter_instead_of_widening_the_window(qtbot) -> None:
    lights = [
        FeedLight(
            feed=f"f{number}",
            title=market.full_name,
            light="red" if number == 5 else "green",
            word="down, retrying" if number == 5 else "live",
            reason="",
            last_frame_age_ns=0,
            latency_ms=1.0,
            reconnects=0,
            gaps=0,
            resyncs=0,
            drops=0,
            books_primed=100,
            books_total=100,
        )
        for number, market in enumerate(Market)
    ]
    model = StatusModel(MarketClock(FakeMarket()), mode=Mode.DEMO)
    model.lights = tuple(lights)
    bar = StatusBar(model, lambda: Latency(1.0, 2.0, 3.0, 4))
    qtbot.addWidget(bar)
    bar.show()
    assert bar.minimumSizeHint().width() <= 200
    lengths = []
    for width in range(3000, 900, -60):
        bar.resize(width, 24)
        bar.refresh()
        buttons = bar.findChildren(LightButton)
        shown = [button.text().strip() for button in buttons]
        (length,) = [n for n in range(3) if shown == [light_texts(light)[n] for light in lights]]
        lengths.append(length)
        assert "down, retrying" in shown[5], "what is wrong is said at every length"
        if length < 2:
            assert sum(button.width_of(length) for button in buttons) < width
    assert lengths == sorted(lengths)
    assert set(lengths) == {0, 1, 2}
