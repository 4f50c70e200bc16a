"""Turns a list of rows into a small Qt table: a subclass says the texts, the colour and the words on hover of a row.

For tables with fixed columns; lines that can be sorted and whose columns can be chosen are a `LinesTable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.ui import theme
from app.ui.models.lines import TONES

Index = QModelIndex | QPersistentModelIndex
R = TypeVar("R")

# Comparing enum members costs four times the whole call: roles are compared as plain integers.
DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)


class RowsTable(QAbstractTableModel, Generic[R]):
    """Rows and what Qt asks of them. header: the titles; header_tips: what they say on hover; words: how many columns,
    from the left, hold words, None: all; the others hold numbers."""

    header: tuple[str, ...] = ()
    header_tips: tuple[str, ...] = ()
    words: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[R] = ()
        self._brushes: dict[str, QBrush] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {name: QBrush(QColor(getattr(look, name))) for name in TONES}

    def redraw(self) -> None:
        """Announce that texts or colours look different (another time zone or theme)."""
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(self.header) - 1))

    def show_rows(self, rows: Sequence[R], *, same: bool) -> None:
        """Take the rows. same: they are those of before with other texts, so that what is selected stays so."""
        if same:
            self.rows = rows
            self.redraw()
        else:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()

    # -- what a subclass says ------------------------------------------------------------------------------------

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a row."""
        raise NotImplementedError

    def tone(self, row: int, column: int) -> str:
        """Return the name of a cell's colour, "" for plain text."""
        return ""

    def tip(self, row: int) -> str:
        """Return what a row says on hover."""
        return ""

    # -- what Qt asks --------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.header)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == DISPLAY:
            return self.header[section]
        if role == _TIP:
            return self.header_tips[section] if self.header_tips else None
        return self._alignment(section) if role == _ALIGN else None

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        """Return what a cell shows or says."""
        if role == DISPLAY:
            return self.cells(index.row())[index.column()]
        if role == _ALIGN:
            return self._alignment(index.column())
        if role == _FOREGROUND:
            tone = self.tone(index.row(), index.column())
            return self._brushes[tone] if tone else None
        return self.tip(index.row()) or None if role == _TIP else None

    def _alignment(self, column: int) -> int:
        return _LEFT if self.words is None or column < self.words else _RIGHT


class NewestFirst(RowsTable[R]):
    """Events as rows; new ones are put on top without disturbing the rest."""

    def show_events(self, events: Sequence[R]) -> None:
        """Take the events to show, newest first."""
        old = self.rows
        fresh = next((at for at, event in enumerate(events) if event is old[0]), -1) if old else -1
        if fresh < 0 or len(old) + fresh != len(events) or events[-1] is not old[-1]:
            self.show_rows(events, same=False)
        elif fresh:
            self.beginInsertRows(QModelIndex(), 0, fresh - 1)
            self.rows = events
            self.endInsertRows()

    def event_at(self, row: int) -> R:
        """Return the event of a row."""
        return self.rows[row]
