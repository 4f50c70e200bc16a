"""The scanner's event list: newest first, filtered by words and kinds; a click selects the instrument's row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QGuiApplication, QKeySequence, QShortcut
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
from app.ui import theme, zone
from app.ui.panels.common import QuietTable, plain_label
from app.viewmodels import formats
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_events import direction_of, event_lines

_Index = QModelIndex | QPersistentModelIndex

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)
HEADER: Final = ("Time", "Symbol", "Market", "Event")
WIDTHS: Final = (60, 92, 92)
EMPTY: Final = "No events yet. Detectors need some minutes of data before they can tell what is unusual."
NOTHING: Final = "No event of these kinds and words."


class EventTable(QAbstractTableModel):
    """Events as rows; new ones are put on top without disturbing the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[ScanEvent] = []
        self._brushes: dict[int, QBrush] = {}
        self._muted = QBrush()
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {
            sign: QBrush(QColor(colour)) for sign, colour in ((1, look.up), (-1, look.down), (0, look.warning))
        }
        self._muted = QBrush(QColor(look.muted))

    def show_events(self, events: list[ScanEvent]) -> None:
        """Take the events to show, newest first."""
        old = self._events
        fresh = next((index for index, event in enumerate(events) if event is old[0]), -1) if old else -1
        if fresh >= 0 and len(old) + fresh == len(events) and events[-1] is old[-1]:
            if fresh:
                self.beginInsertRows(QModelIndex(), 0, fresh - 1)
                self._events = events
                self.endInsertRows()
            return
        self.beginResetModel()
        self._events = events
        self.endResetModel()

    def event_at(self, row: int) -> ScanEvent:
        """Return the event of a row."""
        return self._events[row]

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of events."""
        return 0 if parent is not None and parent.isValid() else len(self._events)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(HEADER)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == _ALIGN:
            return _LEFT
        return HEADER[section] if role == _DISPLAY else None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        if role == _ALIGN:
            return _LEFT
        if role not in (_DISPLAY, _FOREGROUND, _TIP):
            return None
        event = self._events[index.row()]
        if role == _TIP:
            return "\n".join((f"{event.symbol}, {event.market.full_name}", *event_lines(event, zone.current())))
        if role == _FOREGROUND:
            if index.column() == 3:
                return self._brushes[direction_of(event)]
            return None if index.column() == 1 else self._muted
        return self.fields(index.row())[index.column()]

    def fields(self, row: int) -> tuple[str, str, str, str]:
        """Return the texts of a row."""
        event = self._events[row]
        sign = {1: "▲", -1: "▼"}.get(direction_of(event), "")
        when = formats.clock_text(event.ts_ns, zone.current())
        return when, event.symbol, short_name(event.market), f"{sign}{event.kind.badge}  {event.text}"


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
        table.setModel(self.items)
        table.setAccessibleName("Scanner events")
        table.verticalHeader().hide()
        table.verticalHeader().setMinimumSectionSize(16)
        table.verticalHeader().setDefaultSectionSize(theme.ROW_HEIGHT - 2)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        for section, width in enumerate(WIDTHS):
            header.resizeSection(section, width)
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
        if self.items.rowCount():
            last = self.items.index(self.items.rowCount() - 1, len(HEADER) - 1)
            self.items.dataChanged.emit(self.items.index(0, 0), last)

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
        QGuiApplication.clipboard().setText("\n".join("\t".join(self.items.fields(row)) for row in rows))
