"""The window: menus, docks, status bar, palette; everything it shows comes from view models.

It is painted before anything heavy is imported; `populate` then builds the docks. Closing it only asks for the exit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QGuiApplication, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QStatusBar, QWidget

from app.ui import icons, theme, zone
from app.ui.actions import Actions
from app.ui.frameclock import FrameClock
from app.ui.panels.base import Panel, typed_text
from app.ui.registry import PanelRegistry
from app.ui.screens import fit_to_screens
from app.ui.search import Search
from app.ui.statusbar import StatusBar
from app.ui.tasks import TaskBag
from app.viewmodels.layouts import LayoutDocument, LayoutStore
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import StatusModel

if TYPE_CHECKING:
    from app.ui.docks import DockHost

_log = logging.getLogger("fathom.ui.window")

STATUS_MS: Final = 500
TIMING_TICKS: Final = 4
USUAL_SIZE: Final = QSize(1600, 940)


class _Welcome(QWidget):
    """What the window shows until the docks are there."""

    painted = False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.current().window))
        painter.setPen(theme.colour(theme.current().muted))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter.value, "Fathom is starting …")
        painter.end()
        self.painted = True


class MainWindow(QMainWindow):
    """The workstation's window.

    panels: what can be opened. status: the bottom line. layouts: where arrangements are kept. links: the colour link
    groups. pairs: the coins for the symbol search, best first. request_exit: called when the user closes the window;
    the exit protocol later calls `save_layout` and `shut`.
    """

    populated = Signal()

    def __init__(
        self,
        panels: PanelRegistry,
        status: StatusModel,
        layouts: LayoutStore,
        *,
        links: LinkBus,
        pairs: Callable[[], Sequence[str]],
        request_exit: Callable[[], None],
        version: str = "",
        about: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self._registry = panels
        self._status = status
        self._layouts = layouts
        self._links = links
        self._request_exit = request_exit
        self._version = version
        self._about = tuple(about)
        self._docks: DockHost | None = None
        stored, notice = layouts.load()
        self._document = stored or LayoutDocument()
        self.tasks = TaskBag(self.notice)
        self.frame_clock = FrameClock(status.clock.wall_ns, self)
        self.frame_clock.panel_failed.connect(self._on_panel_failed)
        self._apply_options()
        self.setWindowIcon(icons.app_icon())
        self.setWindowTitle(self._title())
        self._welcome = _Welcome(self)
        self.setCentralWidget(self._welcome)
        self.actions_ = Actions(self)
        self.search = Search(
            self,
            self.actions_,
            links,
            pairs=pairs,
            group=self._link_group,
            recent=_texts(self._document.options.get("recent")),
        )
        self._status_ticks = 0
        self._notice_timer = QTimer(self)
        self._notice_timer.setSingleShot(True)
        self._notice_timer.timeout.connect(self._clear_notice)
        self._build_menus()
        self._status_bar = StatusBar(status, self.frame_clock.latency, self)
        self._status_bar.feed_clicked.connect(self._on_feed_clicked)
        self._status_bar.zone_clicked.connect(self.toggle_zone)
        holder = QStatusBar(self)
        holder.setSizeGripEnabled(False)
        holder.setFixedHeight(theme.STATUS_BAR_HEIGHT)
        holder.setContentsMargins(0, 0, 0, 0)
        holder.addPermanentWidget(self._status_bar, 1)
        self.setStatusBar(holder)
        self._status_timer = QTimer(self)
        self._status_timer.setInterval(STATUS_MS)
        self._status_timer.timeout.connect(self._on_status_timer)
        theme.notifier().changed.connect(self._on_theme)
        zone.notifier().changed.connect(self._on_zone)
        self._enable_dock_actions(False)
        self._place_window()
        if notice:
            self.notice(notice, 60)

    # start and end

    async def first_paint(self) -> None:
        """Wait until the window has been painted once, at most a second (a window may come up covered)."""
        for _ in range(200):
            if self._welcome.painted:
                return
            await asyncio.sleep(0.005)

    def populate(self) -> None:
        """Build the docks from the stored or the built-in layout and begin to refresh."""
        from app.ui.docks import DockHost
        from app.ui.perspectives import BUILT_IN

        self._docks = DockHost(self, self._registry, self.frame_clock)
        self._enable_dock_actions(True)
        self._docks.set_floating_title(self._title())
        self._docks.typed.connect(self.search.ask_symbol)
        names = [arrangement.name for arrangement in BUILT_IN]
        active = self._document.active
        if active not in names and active not in self._document.layouts:
            active = names[0]
        self._show_perspective(active)
        self._docks.set_locked(self._document.options.get("locked") is True)
        self._fill_layout_menu()
        self._docks.changed.connect(self._fill_panel_menu)
        self._fill_panel_menu()
        self.actions_.get("lock").setChecked(self._docks.locked)
        self.frame_clock.start()
        self._status_timer.start()
        self._on_status_timer()
        self.populated.emit()

    @property
    def docks(self) -> DockHost:
        """Return the docks; raise RuntimeError before `populate`."""
        if self._docks is None:
            raise RuntimeError("expected populate() before the docks are used")
        return self._docks

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        """Run a coroutine that ends with the window; a failure becomes a notice."""
        self.tasks.spawn(coroutine, name)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave the window open and ask the exit protocol, which saves and then closes it."""
        event.ignore()
        self._request_exit()

    def save_layout(self) -> None:
        """Write the present arrangement, geometry and options; a failure is logged and told, never raised."""
        if self._docks is not None:
            self._document.layouts[self._document.active] = self._docks.save()
            self._document.options["locked"] = self._docks.locked
        self._document.geometry = bytes(self.saveGeometry().data())
        self._document.options.update(
            theme=theme.current().name,
            pair=theme.current().pair.value,
            zone=zone.name(),
            recent=list(self.search.recent),
            links=dict(self._links.groups()),
        )
        try:
            self._layouts.save(self._document)
        except OSError as error:
            _log.warning("the layout could not be saved: %s", error)
            self.notice(f"The layout could not be saved: {error.strerror or error}")

    async def shut(self) -> None:
        """Close panels, tasks and the window itself."""
        self.frame_clock.stop()
        self._status_timer.stop()
        self._notice_timer.stop()
        await self.tasks.close()
        self.discard()

    def discard(self) -> None:
        """Hide and destroy the window, without tasks to wait for."""
        theme.notifier().changed.disconnect(self._on_theme)
        zone.notifier().changed.disconnect(self._on_zone)
        self.search.hide()
        if self._docks is not None:
            self._docks.shut()
        self.hide()
        self.deleteLater()

    def _apply_options(self) -> None:
        options = self._document.options
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        name, pair = options.get("theme"), options.get("pair")
        theme.apply(
            app,
            name if isinstance(name, str) and name in theme.THEMES else theme.current().name,
            theme.Pair(pair) if pair in {member.value for member in theme.Pair} else theme.current().pair,
        )
        wanted = options.get("zone")
        if wanted in zone.ZONES:
            zone.choose(str(wanted))
        links = options.get("links")
        if isinstance(links, dict):
            for group, pair_name in links.items():
                if isinstance(group, str) and isinstance(pair_name, str):
                    self._links.publish(group, pair_name)

    def _place_window(self) -> None:
        screen = QGuiApplication.primaryScreen().availableGeometry()
        restored = bool(self._document.geometry) and self.restoreGeometry(QByteArray(self._document.geometry))
        if not restored or self.width() < 400 or self.height() < 300:
            size = USUAL_SIZE.boundedTo(screen.size())
            self.resize(size)
            self.move(screen.center() - self.rect().center())
        fitted = fit_to_screens(self.frameGeometry())
        if fitted != self.frameGeometry():
            self.setGeometry(fitted)

    def _title(self) -> str:
        parts = ["Fathom", self._status.mode.value]
        if self._status.mode_detail:
            parts[-1] += f" {self._status.mode_detail}"
        if self._status.read_only:
            parts.append("READ-ONLY")
        return " · ".join(parts)

    # menus

    def _build_menus(self) -> None:
        add = self.actions_.add
        bar = self.menuBar()
        file_menu = bar.addMenu("&File")
        file_menu.addAction(
            add(
                "screenshot",
                "Save screenshots …",
                self._on_screenshot,
                "Ctrl+Shift+S",
                "camera",
                "A PNG of every panel",
            )
        )
        file_menu.addSeparator()
        file_menu.addAction(add("quit", "&Quit", self._request_exit, "Ctrl+Q", "exit"))
        view = bar.addMenu("&View")
        view.addAction(add("palette", "Command palette …", self.search.ask_command, "Ctrl+K", "search"))
        view.addAction(add("symbol", "Find a symbol …", self.search.ask_symbol, "Ctrl+F", "search"))
        view.addSeparator()
        view.addAction(add("theme", "Switch light and dark", self.toggle_theme, "Ctrl+Shift+L", "theme"))
        pairs = view.addMenu("Colours of up and down")
        for pair, words in (
            (theme.Pair.STANDARD, "Green up, red down"),
            (theme.Pair.RED_UP, "Red up, green down"),
            (theme.Pair.COLOUR_BLIND, "Blue and orange (colour-blind safe)"),
        ):
            pairs.addAction(add(f"pair-{pair.value}", words, partial(self.choose_pair, pair)))
        view.addAction(add("zone", "Switch UTC and local time", self.toggle_zone, "Ctrl+U", "clock"))
        view.addSeparator()
        view.addAction(add("fullscreen", "Full screen", self._toggle_full_screen, "F11", "window"))
        self._panel_menu = bar.addMenu("&Panels")
        for number, kind in enumerate(self._registry.kinds(), start=1):
            words = f"New {kind.title.lower()}" if kind.multiple else kind.title
            shortcut = f"Ctrl+{number}" if number < 10 else None
            add(f"open-{kind.id}", words, partial(self.open_panel, kind.id), shortcut, kind.icon)
        add("next-panel", "Next panel", lambda: self.docks.show_next(1), "Ctrl+Tab", "tabs")
        add("previous-panel", "Previous panel", lambda: self.docks.show_next(-1), "Ctrl+Shift+Tab")
        add("float-panel", "Float this panel", self._float_active, "Ctrl+Shift+F", "float")
        add("close-panel", "Close this panel", self._close_active, "Ctrl+W", "close")
        self._layout_menu = bar.addMenu("&Layout")
        add("lock", "Lock the layout", self._toggle_lock, "Ctrl+Shift+K", "lock", checkable=True)
        add("save-layout", "Save the layout as …", self._on_save_as, None, "save")
        add("reset-layout", "Reset this layout", self.reset_layout, "Ctrl+Shift+R", "reset")
        help_menu = bar.addMenu("&Help")
        help_menu.addAction(add("about", "About Fathom", self._on_about, "F1", "info"))

    def _enable_dock_actions(self, enabled: bool) -> None:
        """Offer what needs the docks only once they are there."""
        needy = {"palette", "symbol", "screenshot", "next-panel", "previous-panel", "float-panel", "close-panel"}
        needy |= {"lock", "save-layout", "reset-layout"}
        for action in self.actions_.all():
            if action.objectName() in needy or action.objectName().startswith("open-"):
                action.setEnabled(enabled)

    def _fill_panel_menu(self) -> None:
        menu = self._panel_menu
        _clear(menu)
        for kind in self._registry.kinds():
            menu.addAction(self.actions_.get(f"open-{kind.id}"))
        menu.addSeparator()
        for action_id in ("next-panel", "previous-panel", "float-panel", "close-panel"):
            menu.addAction(self.actions_.get(action_id))
        menu.addSeparator()
        for entry in self.docks.panels():
            action = QAction(icons.icon(entry.kind.icon), entry.title, menu)
            action.triggered.connect(lambda _checked=False, name=entry.name: self.docks.show(name))
            menu.addAction(action)

    def _fill_layout_menu(self) -> None:
        menu = self._layout_menu
        _clear(menu)
        for number, name in enumerate(self.perspective_names(), start=1):
            action_id = f"layout-{name}"
            self.actions_.remove(action_id)
            shortcut = f"Ctrl+Alt+{number}" if number < 10 else None
            action = self.actions_.add(
                action_id, f"Layout: {name}", partial(self.switch_perspective, name), shortcut, checkable=True
            )
            action.setChecked(name == self._document.active)
            menu.addAction(action)
        menu.addSeparator()
        for action_id in ("save-layout", "reset-layout", "lock"):
            menu.addAction(self.actions_.get(action_id))

    # panels and layouts

    def open_panel(self, kind_id: str, state: dict[str, object] | None = None) -> Panel | None:
        """Open a panel beside the one that has the keyboard and give it the keyboard."""
        from app.ui.docks import Side

        active = self.docks.active()
        beside = active.name if active is not None else None
        entry = self.docks.open(kind_id, state, Side.TAB if beside else Side.RIGHT, beside)
        if entry is None:
            return None
        self.docks.show(entry.name)
        return entry.panel

    def reach_panel(self, kind_id: str) -> Panel | None:
        """Bring the first open panel of a kind to the front; open one when there is none."""
        for entry in self.docks.panels():
            if entry.kind.id == kind_id:
                self.docks.show(entry.name)
                return entry.panel
        return self.open_panel(kind_id)

    def perspective_names(self) -> list[str]:
        """Return the names of all layouts, built-in ones first."""
        from app.ui.perspectives import BUILT_IN

        names = [arrangement.name for arrangement in BUILT_IN]
        return names + sorted(name for name in self._document.layouts if name not in names)

    @property
    def perspective(self) -> str:
        """Return the name of the layout in use."""
        return self._document.active

    def switch_perspective(self, name: str) -> None:
        """Remember the present layout under its name and show another one."""
        if name != self._document.active:
            self._document.layouts[self._document.active] = self.docks.save()
            self._show_perspective(name)
        self._fill_layout_menu()

    def save_perspective(self, name: str) -> None:
        """Keep the present layout under a name and go on with it."""
        self._document.layouts[name] = self.docks.save()
        self._document.active = name
        self._fill_layout_menu()

    def reset_layout(self) -> None:
        """Bring back the built-in form of this layout (of the first one for a layout of the user's own)."""
        self._document.layouts.pop(self._document.active, None)
        self._show_perspective(self._document.active)
        self._fill_layout_menu()

    def _show_perspective(self, name: str) -> None:
        from app.ui.perspectives import BUILT_IN, COLUMN_SHARES

        self._document.active = name
        record = self._document.layouts.get(name)
        if record is not None and any(self._registry.get(panel.kind) for panel in record.panels):
            if not self.docks.restore(record):
                self.notice("The stored layout did not fit this version; the panels were opened side by side.")
            return
        arrangement = next((item for item in BUILT_IN if item.name == name), BUILT_IN[0])
        self._document.active = arrangement.name
        self.docks.arrange(arrangement)
        QTimer.singleShot(0, self, partial(self.docks.set_columns, COLUMN_SHARES.get(arrangement.name, ())))

    def _float_active(self) -> None:
        active = self.docks.active()
        if active is not None:
            self.docks.float(active.name)

    def _close_active(self) -> None:
        active = self.docks.active()
        if active is not None and not self.docks.locked:
            self.docks.close(active.name)

    def _toggle_lock(self) -> None:
        self.docks.set_locked(not self.docks.locked)
        self.actions_.get("lock").setChecked(self.docks.locked)

    # keyboard

    def _link_group(self) -> str | None:
        """Return the link group of the panel that has the keyboard, None when it has none."""
        active = self._docks.active() if self._docks is not None else None
        group = getattr(active.panel, "link_group", None) if active is not None else None
        return group if isinstance(group, str) else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open the symbol search with a letter that nobody else wanted."""
        text = typed_text(event)
        if text and self._docks is not None:
            self.search.ask_symbol(text)
            event.accept()
        else:
            super().keyPressEvent(event)

    # look

    def toggle_theme(self) -> None:
        """Change between light and dark."""
        self._apply_theme("light" if theme.current().is_dark else "dark", theme.current().pair)

    def choose_pair(self, pair: theme.Pair) -> None:
        """Choose the colours of up and down."""
        self._apply_theme(theme.current().name, pair)

    def _apply_theme(self, name: str, pair: theme.Pair) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, name, pair)

    def _on_theme(self, _look: theme.Theme) -> None:
        self.actions_.restyle()
        self._status_bar.restyle()
        self.frame_clock.invalidate()

    def toggle_zone(self) -> None:
        """Change between UTC and local time, everywhere."""
        zone.choose("local" if zone.name() == "utc" else "utc")

    def _on_zone(self, _name: str) -> None:
        self._status_bar.refresh_clock()
        self.frame_clock.invalidate()

    def _toggle_full_screen(self) -> None:
        self.showNormal() if self.isFullScreen() else self.showFullScreen()

    # notices and status

    def notice(self, text: str, seconds: int = 15) -> None:
        """Show a sentence in the bottom line for a while."""
        _log.info("notice: %s", text)
        self._status.set_note("notice", text)
        self._notice_timer.start(seconds * 1000)
        if hasattr(self, "_status_bar"):
            self._status_bar.refresh()

    def _clear_notice(self) -> None:
        self._status.set_note("notice", None)

    def _on_panel_failed(self, _panel: object, text: str) -> None:
        self.notice(text)

    def _on_status_timer(self) -> None:
        if self.isMinimized():
            return
        self._status.poll()
        self._status_bar.refresh()
        self._status_ticks += 1
        if self._status_ticks % TIMING_TICKS == 1:
            self._status_bar.refresh_timing()
            if self._docks is not None:
                self._docks.show_timings()

    def _on_feed_clicked(self, _feed: str) -> None:
        from app.ui.perspectives import FEEDS

        if self._docks is not None:
            self.open_panel(FEEDS)

    def changeEvent(self, event: QEvent) -> None:
        """Catch up at once when the window comes back."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange and not self.isMinimized() and self._docks is not None:
            self.frame_clock.tick()

    # dialogs

    def _on_about(self) -> None:
        from app.ui.dialogs import ask

        facts = "\n".join(f"{name}: {value}" for name, value in self._about)
        detail = f"Order-book depth that always says how far a book is known.\n\n{facts}"
        self.spawn(ask.tell(self, "About Fathom", f"Fathom {self._version}".strip(), detail), "about")

    def _on_save_as(self) -> None:
        self.spawn(self._save_as(), "saving the layout")

    async def _save_as(self) -> None:
        from app.ui.dialogs import ask

        name = await ask.text_line(self, "Save the layout", "Name of the layout", self.perspective)
        if name:
            self.save_perspective(name)

    def _on_screenshot(self) -> None:
        self.spawn(self._screenshots(), "saving screenshots")

    async def _screenshots(self) -> None:
        from app.ui.dialogs import ask
        from app.ui.screenshots import capture_screenshots

        target = await ask.file_to_save(self, "Save screenshots", "fathom.png", "PNG pictures (*.png)")
        if target is not None:
            paths = await capture_screenshots(self, target.parent / target.stem)
            self.notice(f"{len(paths)} pictures saved in {paths[0].parent}")


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _clear(menu: QMenu) -> None:
    for action in menu.actions():
        menu.removeAction(action)
        if action.parent() is menu:
            action.deleteLater()
