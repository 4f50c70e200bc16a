"""Turns feed events into the table of the event log, newest first."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.domain.health import FeedEvent, FeedEventKind
from app.ui import theme, zone
from app.viewmodels import formats

_Index = QModelIndex | QPersistentModelIndex

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)
HEADER: Final = ("Time", "Feed", "Event")

_BAD: Final = (
    FeedEventKind.DISCONNECTED,
    FeedEventKind.ERROR,
    FeedEventKind.GAP_DETECTED,
    FeedEventKind.UPDATE_FAILED,
)


class EventLog(QAbstractTableModel):
    """Events as rows; new ones are put on top without disturbing the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[FeedEvent] = []
        self._brushes: dict[str, QBrush] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {
            name: QBrush(QColor(colour))
            for name, colour in (("muted", look.muted), ("bad", look.bad), ("good", look.good), ("amber", look.warning))
        }

    def show_events(self, events: list[FeedEvent]) -> None:
        """Take the events to show, newest first."""
        old = self._events
        fresh = 0
        if old:
            head = old[0]
            fresh = next((index for index, event in enumerate(events) if event is head), -1)
        if old and fresh >= 0 and len(old) + fresh == len(events):
            if fresh:
                self.beginInsertRows(QModelIndex(), 0, fresh - 1)
                self._events = events
                self.endInsertRows()
            return
        self.beginResetModel()
        self._events = events
        self.endResetModel()

    def redraw(self) -> None:
        """Announce that texts look different (another time zone)."""
        if self._events:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._events) - 1, len(HEADER) - 1))

    def event_at(self, row: int) -> FeedEvent:
        """Return the event of a row."""
        return self._events[row]

    def fields(self, row: int) -> tuple[str, ...]:
        """Return time, source, kind, symbol and text of a row, for copying."""
        event = self._events[row]
        time = formats.clock_text(event.ts_ns, zone.current())
        return time, event.source, event.kind.value, event.symbol or "", event.text

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a row; symbol, kind and words make one sentence."""
        time, source, kind, symbol, text = self.fields(row)
        source = source.removeprefix("binance.")
        subject = f"{symbol} {kind}" if symbol else kind
        return time, source, f"{subject}: {text}" if text else subject

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
        if role == _DISPLAY:
            return self.cells(index.row())[index.column()]
        if role == _FOREGROUND:
            kind = self._events[index.row()].kind
            if index.column() < 2:
                return self._brushes["muted"]
            if kind in _BAD:
                return self._brushes["bad"]
            if kind in (FeedEventKind.RECONNECTING, FeedEventKind.NOTICE):
                return self._brushes["amber"]
            return self._brushes["good"] if kind is FeedEventKind.CONNECTED else None
        if role == _TIP:
            return "\n".join(field for field in self.fields(index.row()) if field)
        return None
