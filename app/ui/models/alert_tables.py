"""Turns alert rules and their firings into two tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.scanner.alerts import Firing
from app.ui import theme, zone
from app.viewmodels import formats
from app.viewmodels.alerts import RuleLine

_Index = QModelIndex | QPersistentModelIndex

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_CHECK: Final = int(Qt.ItemDataRole.CheckStateRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
RULE_HEADER: Final = ("Alert", "Asks for", "State", "Last fired")
FIRING_HEADER: Final = ("Time", "Alert", "What happened")


class _Table(QAbstractTableModel):
    header: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self.muted, self.bad = QBrush(QColor(look.muted)), QBrush(QColor(look.bad))

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.header)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        return self.header[section] if orientation is Qt.Orientation.Horizontal and role == _DISPLAY else None


class RuleTable(_Table):
    """The rules; the first column switches them. toggle: takes a rule's id and whether it is to be on."""

    header = RULE_HEADER

    def __init__(self, toggle: Callable[[str, bool], None]) -> None:
        super().__init__()
        self._toggle = toggle
        self.lines: list[RuleLine] = []

    def show_lines(self, lines: list[RuleLine]) -> None:
        """Take the rules."""
        if [line.rule.id for line in lines] != [line.rule.id for line in self.lines]:
            self.beginResetModel()
            self.lines = lines
            self.endResetModel()
        elif lines != self.lines:
            self.lines = lines
            self.dataChanged.emit(self.index(0, 0), self.index(len(lines) - 1, len(self.header) - 1))

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of rules."""
        return 0 if parent is not None and parent.isValid() else len(self.lines)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        """Let the first column be ticked."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        line = self.lines[index.row()]
        if role == _DISPLAY:
            last = formats.UNKNOWN if line.last_ns is None else formats.clock_text(line.last_ns, zone.current())
            return (line.rule.name, line.what, line.state, last)[index.column()]
        if role == _CHECK and index.column() == 0:
            return Qt.CheckState.Checked if line.rule.enabled else Qt.CheckState.Unchecked
        if role == _FOREGROUND:
            return self.bad if line.fault else None if line.rule.enabled else self.muted
        if role == _TIP:
            return line.fault or f"{line.rule.name}\n{line.what}"
        return None

    def setData(self, index: _Index, value: Any, role: int = _DISPLAY) -> bool:
        """Switch a rule."""
        if role != _CHECK or index.column() != 0:
            return False
        self._toggle(self.lines[index.row()].rule.id, Qt.CheckState(value) is Qt.CheckState.Checked)
        return True


class FiringTable(_Table):
    """The history, newest first."""

    header = FIRING_HEADER

    def __init__(self) -> None:
        super().__init__()
        self.firings: list[Firing] = []

    def show_firings(self, firings: list[Firing]) -> None:
        """Take the history."""
        self.beginResetModel()
        self.firings = firings
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of firings."""
        return 0 if parent is not None and parent.isValid() else len(self.firings)

    def fields(self, row: int) -> tuple[str, str, str]:
        """Return time, rule and words of a row."""
        firing = self.firings[row]
        return formats.clock_text(firing.ts_ns, zone.current()), firing.rule, firing.text

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        if role == _DISPLAY:
            return self.fields(index.row())[index.column()]
        if role == _FOREGROUND:
            return self.muted if index.column() == 0 else None
        return "\n".join(self.fields(index.row())) if role == _TIP else None
