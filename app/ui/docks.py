"""Turns registered panel kinds into docks: open, close, float, tab, arrange, remember. The only importer of QtAds.

A layout is a `LayoutRecord`: the open panels with their state, and the dock manager's blob. The blob is never trusted:
after every restore each panel is looked for, and one that the blob does not name is put back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import PySide6QtAds as QtAds
from PySide6.QtCore import QByteArray, QObject, QRect, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from app.ui import icons, theme
from app.ui.frameclock import FrameClock
from app.ui.panels.base import Panel
from app.ui.registry import PanelKind, PanelRegistry
from app.ui.screens import fit_to_screens
from app.viewmodels import formats
from app.viewmodels.layouts import JsonObject, LayoutRecord, PanelRecord

_log = logging.getLogger("fathom.ui.docks")

BLOB_VERSION: Final = 1


class Side(Enum):
    """Where a panel goes in relation to another one (or to everything)."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"
    TAB = "tab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One step of a built-in layout: open a kind with a state beside an earlier step (None: beside everything)."""

    kind: str
    side: Side = Side.RIGHT
    beside: int | None = None
    state: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """A built-in perspective: steps, and afterwards the shares of splitters, each named by a step inside it."""

    name: str
    places: tuple[Place, ...]
    shares: tuple[tuple[int, tuple[int, ...]], ...] = ()


@dataclass(slots=True, eq=False)
class OpenPanel:
    """A panel in its dock."""

    name: str
    kind: PanelKind
    instance: int
    panel: Panel
    dock: Any
    subtitle: str = ""

    @property
    def title(self) -> str:
        """Return the words of the dock's tab."""
        number = f" {self.instance}" if self.instance > 1 else ""
        return f"{self.kind.title}{number}" + (f" · {self.subtitle}" if self.subtitle else "")


class DockHost(QObject):
    """Owns the docks of one main window."""

    changed = Signal()
    typed = Signal(str)

    def __init__(self, window: QMainWindow, registry: PanelRegistry, clock: FrameClock) -> None:
        super().__init__(window)
        self._registry = registry
        self._clock = clock
        self._open: dict[str, OpenPanel] = {}
        self._locked = False
        _configure_manager()
        self._manager = QtAds.CDockManager(window)
        self.restyle(theme.current())
        theme.notifier().changed.connect(self.restyle)

    @property
    def widget(self) -> QWidget:
        """Return the widget that holds all docked panels."""
        manager: QWidget = self._manager
        return manager

    @property
    def locked(self) -> bool:
        """Return whether docks are kept from being moved and closed."""
        return self._locked

    def panels(self) -> tuple[OpenPanel, ...]:
        """Return the open panels, oldest first."""
        return tuple(self._open.values())

    def find(self, kind_id: str) -> tuple[OpenPanel, ...]:
        """Return the open panels of one kind."""
        return tuple(entry for entry in self._open.values() if entry.kind.id == kind_id)

    def set_floating_title(self, title: str) -> None:
        """Name every floating window; it carries the mode, the panel's name is on its tab."""
        self._manager.setFloatingContainersTitle(title)

    def restyle(self, look: theme.Theme) -> None:
        """Put on a theme."""
        self._manager.setStyleSheet(theme.style_sheet(look, "docks.qss"))
        for entry in self._open.values():
            entry.dock.setIcon(icons.icon(entry.kind.icon))
        provider = self._manager.iconProvider()
        for role, name in (
            (QtAds.TabCloseIcon, "close"),
            (QtAds.DockAreaCloseIcon, "close"),
            (QtAds.DockAreaUndockIcon, "float"),
            (QtAds.DockAreaMenuIcon, "tabs"),
        ):
            # the provider destroys the icon it is given, so it gets a copy of the shared one
            provider.registerCustomIcon(role, QIcon(icons.icon(name)))

    def open(
        self,
        kind_id: str,
        state: JsonObject | None = None,
        side: Side = Side.RIGHT,
        beside: str | None = None,
        instance: int | None = None,
    ) -> OpenPanel | None:
        """Open a panel, or show the one there is when the kind allows only one; None for an unknown kind."""
        kind = self._registry.get(kind_id)
        if kind is None:
            _log.warning("no panel kind named %s", kind_id)
            return None
        present = self.find(kind_id)
        if present and not kind.multiple:
            self.show(present[0].name)
            return present[0]
        taken = {entry.instance for entry in present}
        if instance is None or instance in taken:
            instance = next(number for number in range(1, len(taken) + 2) if number not in taken)
        entry = self._create(kind, instance, state or {})
        self._place(entry, side, beside)
        self._clock.add(entry.panel)
        self.changed.emit()
        return entry

    def _create(self, kind: PanelKind, instance: int, state: JsonObject) -> OpenPanel:
        name = f"{kind.id}:{instance}"
        panel = kind.factory()
        dock = QtAds.CDockWidget(self._manager, kind.title)
        dock.setObjectName(name)
        dock.setFeature(QtAds.CDockWidget.CustomCloseHandling, True)
        dock.setFeature(QtAds.CDockWidget.DockWidgetFocusable, True)
        dock.setIcon(icons.icon(kind.icon))
        dock.setMinimumSizeHintMode(QtAds.CDockWidget.MinimumSizeHintFromContent)
        dock.setWidget(panel, QtAds.CDockWidget.ForceNoScrollArea)
        entry = OpenPanel(name, kind, instance, panel, dock)
        self._open[name] = entry
        dock.closeRequested.connect(self._on_close_requested)
        panel.title_changed.connect(self._on_title_changed)
        panel.typed.connect(self.typed)
        panel.restore_state(dict(state))
        self._retitle(entry)
        return entry

    def _place(self, entry: OpenPanel, side: Side, beside: str | None) -> None:
        other = self._open.get(beside) if beside is not None else None
        area = other.dock.dockAreaWidget() if other is not None else None
        if area is None and beside is None and side is Side.TAB:
            side = Side.RIGHT
        if side is Side.TAB and area is not None:
            self._manager.addDockWidgetTabToArea(entry.dock, area)
        elif area is not None:
            self._manager.addDockWidget(_AREAS[side], entry.dock, area)
        else:
            self._manager.addDockWidget(_AREAS.get(side, QtAds.RightDockWidgetArea), entry.dock)

    def active(self) -> OpenPanel | None:
        """Return the panel that holds the keyboard, None when none does."""
        focus = QApplication.focusWidget()
        while focus is not None:
            for entry in self._open.values():
                if entry.panel is focus:
                    return entry
            focus = focus.parentWidget()
        return None

    def show_next(self, step: int = 1) -> None:
        """Give the keyboard to the next panel."""
        names = list(self._open)
        if not names:
            return
        active = self.active()
        index = (names.index(active.name) + step) % len(names) if active is not None else 0
        self.show(names[index])

    def set_columns(self, shares: tuple[int, ...]) -> None:
        """Share the width of the outermost columns, when there are that many."""
        splitter = self._manager.rootSplitter()
        if splitter is not None and splitter.count() == len(shares):
            splitter.setSizes([splitter.width() * share // sum(shares) for share in shares])

    def show(self, name: str) -> None:
        """Bring a panel to the front and give it the keyboard."""
        entry = self._open.get(name)
        if entry is None:
            return
        entry.dock.toggleView(True)
        entry.dock.setAsCurrentTab()
        window = entry.panel.window()
        window.raise_()
        entry.panel.focus_target().setFocus()

    def close(self, name: str) -> None:
        """Close a panel and destroy it."""
        entry = self._open.pop(name, None)
        if entry is None:
            return
        self._clock.remove(entry.panel)
        entry.panel.shut()
        self._manager.removeDockWidget(entry.dock)
        entry.dock.deleteLater()
        self.changed.emit()

    def close_all(self) -> None:
        """Close every panel."""
        for name in tuple(self._open):
            self.close(name)

    def float(self, name: str, geometry: QRect | None = None) -> None:
        """Take a panel out into a window of its own."""
        entry = self._open.get(name)
        if entry is None:
            return
        container = self._manager.addDockWidgetFloating(entry.dock)
        if geometry is not None:
            container.setGeometry(geometry)

    def tab(self, name: str, onto: str) -> None:
        """Make a panel a tab beside another one."""
        entry, other = self._open.get(name), self._open.get(onto)
        if entry is None or other is None or entry is other:
            return
        area = other.dock.dockAreaWidget()
        if area is not None:
            self._manager.addDockWidgetTabToArea(entry.dock, area)

    def _on_close_requested(self) -> None:
        dock = self.sender()
        if dock is not None:
            self.close(dock.objectName())

    def _on_title_changed(self, subtitle: str) -> None:
        panel = self.sender()
        for entry in self._open.values():
            if entry.panel is panel:
                entry.subtitle = subtitle
                self._retitle(entry)
                self.changed.emit()
                return

    def _retitle(self, entry: OpenPanel) -> None:
        entry.dock.setWindowTitle(entry.title)
        entry.panel.setAccessibleName(entry.title)

    def show_timings(self) -> None:
        """Say in every tab's tooltip how long an event takes to the screen."""
        for entry in self._open.values():
            timing = self._clock.latency(entry.panel)
            words = "event → screen: nothing shown in the last 60 s"
            if timing.samples:
                p50, p95 = formats.milliseconds(timing.p50_ms), formats.milliseconds(timing.p95_ms)
                words = f"event → screen p50 {p50}, p95 {p95} (last 60 s)"
            entry.dock.setTabToolTip(f"{entry.title}\n{words}")

    def set_locked(self, locked: bool) -> None:
        """Keep docks where they are, or let them move again."""
        self._locked = locked
        features = QtAds.CDockWidget.GloballyLockableFeatures if locked else QtAds.CDockWidget.NoDockWidgetFeatures
        self._manager.lockDockWidgetFeaturesGlobally(features)
        self.changed.emit()

    def save(self) -> LayoutRecord:
        """Return the present arrangement with every panel's state."""
        panels = tuple(
            PanelRecord(kind=entry.kind.id, instance=entry.instance, state=entry.panel.save_state())
            for entry in self._open.values()
        )
        return LayoutRecord(panels=panels, docks=bytes(self._manager.saveState(BLOB_VERSION).data()))

    def restore(self, record: LayoutRecord) -> bool:
        """Replace everything by a stored arrangement; return False when the blob was refused (panels stand anyhow)."""
        self.close_all()
        for panel in record.panels:
            self.open(panel.kind, panel.state, instance=panel.instance)
        accepted = bool(record.docks) and bool(self._manager.restoreState(QByteArray(record.docks), BLOB_VERSION))
        self._put_back_missing()
        self.bring_on_screen()
        self.changed.emit()
        return accepted

    def _put_back_missing(self) -> None:
        """Show panels that the blob did not name: restoreState hides them and still answers True."""
        for entry in self._open.values():
            if entry.dock.isClosed() or entry.dock.dockAreaWidget() is None:
                _log.warning("panel %s was not in the stored layout; put back", entry.name)
                self._manager.addDockWidget(QtAds.RightDockWidgetArea, entry.dock)
                entry.dock.toggleView(True)

    def bring_on_screen(self) -> None:
        """Move floating windows whose monitor is gone onto one that is there."""
        for container in self._manager.floatingWidgets():
            geometry = container.frameGeometry()
            fitted = fit_to_screens(geometry)
            if fitted != geometry:
                container.setGeometry(fitted)

    def arrange(self, arrangement: Arrangement) -> None:
        """Replace everything by a built-in arrangement."""
        self.close_all()
        opened: list[OpenPanel | None] = []
        for place in arrangement.places:
            anchor = opened[place.beside] if place.beside is not None else None
            beside = anchor.name if anchor is not None else None
            opened.append(self.open(place.kind, place.state, place.side, beside))
        for index, shares in arrangement.shares:
            entry = opened[index]
            area = entry.dock.dockAreaWidget() if entry is not None else None
            if area is not None:
                splitter = area.parentSplitter()
                if splitter is not None and splitter.count() == len(shares):
                    self._manager.setSplitterSizes(area, [share * 10 for share in shares])
        self.changed.emit()

    def icon_of(self, kind_id: str) -> QIcon:
        """Return the icon of a kind."""
        kind = self._registry.get(kind_id)
        return icons.icon(kind.icon) if kind is not None else QIcon()

    def shut(self) -> None:
        """Close everything and let go of the theme."""
        theme.notifier().changed.disconnect(self.restyle)
        self.close_all()


_AREAS: Final[dict[Side, Any]] = {
    Side.LEFT: QtAds.LeftDockWidgetArea,
    Side.RIGHT: QtAds.RightDockWidgetArea,
    Side.TOP: QtAds.TopDockWidgetArea,
    Side.BOTTOM: QtAds.BottomDockWidgetArea,
}


def _configure_manager() -> None:
    flags = QtAds.CDockManager
    for flag, on in (
        (flags.DefaultOpaqueConfig, True),
        (flags.OpaqueSplitterResize, True),
        (flags.FocusHighlighting, True),
        (flags.AlwaysShowTabs, True),
        (flags.AllTabsHaveCloseButton, False),
        (flags.ActiveTabHasCloseButton, True),
        (flags.DockAreaHasCloseButton, False),
        (flags.DockAreaHasUndockButton, True),
        (flags.DockAreaHasTabsMenuButton, True),
        (flags.DockAreaDynamicTabsMenuButtonVisibility, True),
        (flags.MiddleMouseButtonClosesTab, True),
        (flags.FloatingContainerHasWidgetTitle, False),
        (flags.XmlCompressionEnabled, False),
    ):
        QtAds.CDockManager.setConfigFlag(flag, on)
