"""The scanner's event list: newest first, filtered by words and kinds; a click selects the instrument's row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.ids import Market
from app.scanner.events import EventKind, ScanEvent
from app.ui import zone
from app.ui.models.rows import NewestFirst
from app.ui.panels.common import QuietTable, plain_label
from app.viewmodels import formats
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_events import direction_of, event_lines

WIDTHS: Final = (60, 92, 92)
EMPTY: Final = "No events yet. Detectors need some minutes of data before they can tell what is unusual."
NOTHING: Final = "No event of these kinds and words."


class EventTable(NewestFirst[ScanEvent]):
    """Events of the scanner."""

    header = ("Time", "Symbol", "Market", "Event")

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a row."""
        event = self.rows[row]
        sign = {1: "▲", -1: "▼"}.get(direction_of(event), "")
        when = formats.clock_text(event.ts_ns, zone.current())
        return when, event.symbol, short_name(event.market), f"{sign}{event.kind.badge}  {event.text}"

    def tone(self, row: int, column: int) -> str:
        """Return the colour of a cell: what happened has that of its direction, symbols are plain."""
        if column == 3:
            return {1: "up", -1: "down"}.get(direction_of(self.rows[row]), "warning")
        return "" if column == 1 else "muted"

    def tip(self, row: int) -> str:
        """Return everything about an event."""
        event = self.rows[row]
        return "\n".join((f"{event.symbol}, {event.market.full_name}", *event_lines(event, zone.current())))


def short_name(market: Market) -> str:
    """Return venue and kind for a narrow cell: Bybit FUT."""
    return market.full_name.replace("FUTURES", "FUT").replace("Hyperliquid", "Hyperliq.")


class EventList(QWidget):
    """The list with its filter."""

    chosen = Signal(object)

    def __init__(self, model: ScannerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: object = None
        self.items = EventTable()
        self.items.setParent(self)
        self._filter = QLineEdit(self)
        self._filter.setPlaceholderText("Filter events")
        self._filter.setAccessibleName("Filter the events")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._on_filter)
        self._kinds = QToolButton(self)
        self._kinds.setText("Kinds ▾")
        self._kinds.setToolTip("Choose which kinds of events are listed")
        self._kinds.setAccessibleName("Kinds of events")
        self._kinds.clicked.connect(self._open_kinds)
        self._count = plain_label(self, "muted")
        self._empty = plain_label(self, "muted")
        self._empty.setText(EMPTY)
        self._empty.setWordWrap(True)
        self._empty.setContentsMargins(10, 10, 10, 10)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.table = QuietTable(self)
        self._set_up_table()
        top = QHBoxLayout()
        top.setContentsMargins(6, 4, 6, 4)
        top.setSpacing(4)
        top.addWidget(self._filter, 1)
        top.addWidget(self._kinds)
        top.addWidget(self._count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.table, 1)
        self.table.hide()

    def _set_up_table(self) -> None:
        table = self.table
        table.show_model(self.items, "Scanner events", WIDTHS)
        table.setTabKeyNavigation(False)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        table.clicked.connect(self._on_clicked)
        table.activated.connect(self._on_clicked)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), table)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy)

    def refresh(self) -> None:
        """Show the events that pass; cheap when nothing is new."""
        events = self._model.events
        wanted = (self._model.scanning.events_revision, events.filter, events.kinds)
        if wanted == self._shown:
            return
        self._shown = wanted
        every = self._model.scanning.events
        listed = events.listed(every)
        self.items.show_events(listed)
        self._empty.setText(NOTHING if every else EMPTY)
        self._empty.setVisible(not listed)
        self.table.setVisible(bool(listed))
        self._count.setText(str(len(listed)) if len(listed) == len(every) else f"{len(listed)}/{len(every)}")

    def redraw(self) -> None:
        """Announce that texts or colours look different (another time zone or theme)."""
        self.items.restyle()
        self.items.redraw()

    def _on_filter(self, text: str) -> None:
        self._model.events.filter = text
        self.refresh()

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(self.items.event_at(index.row()))

    def _open_kinds(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        every = menu.addAction("All kinds")
        every.triggered.connect(lambda: self.set_kinds(EventKind))
        menu.addSeparator()
        for kind in EventKind:
            action = menu.addAction(kind.value.capitalize())
            action.setCheckable(True)
            action.setChecked(kind in self._model.events.kinds)
            action.triggered.connect(lambda _=False, k=kind: self.set_kinds(self._model.events.kinds ^ {k}))
        menu.popup(self._kinds.mapToGlobal(self._kinds.rect().bottomLeft()))

    def set_kinds(self, kinds: Iterable[EventKind]) -> None:
        """List only these kinds; none means all."""
        self._model.events.kinds = frozenset(kinds) or frozenset(EventKind)
        self.refresh()

    def copy(self) -> None:
        """Put the chosen events on the clipboard, one line each."""
        rows = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        QGuiApplication.clipboard().setText("\n".join("\t".join(self.items.cells(row)) for row in rows))
