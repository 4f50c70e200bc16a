"""Turns alert rules and their firings into two tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import Qt

from app.scanner.alerts import Firing
from app.ui import zone
from app.ui.models.rows import DISPLAY, Index, RowsTable
from app.viewmodels import formats
from app.viewmodels.alerts import RuleLine

_CHECK: Final = int(Qt.ItemDataRole.CheckStateRole)


class RuleTable(RowsTable[RuleLine]):
    """The rules; the first column switches them. toggle: takes a rule's id and whether it is to be on."""

    header = ("Alert", "Asks for", "State", "Last fired")

    def __init__(self, toggle: Callable[[str, bool], None]) -> None:
        super().__init__()
        self._toggle = toggle

    def show_lines(self, lines: list[RuleLine]) -> None:
        """Take the rules."""
        if lines != self.rows:
            self.show_rows(lines, same=[line.rule.id for line in lines] == [line.rule.id for line in self.rows])

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a rule."""
        line = self.rows[row]
        last = formats.UNKNOWN if line.last_ns is None else formats.clock_text(line.last_ns, zone.current())
        return line.rule.name, line.what, line.state, last

    def tone(self, row: int, column: int) -> str:
        """Return the colour of a rule: it is at fault, off, or on."""
        line = self.rows[row]
        return "bad" if line.fault else "" if line.rule.enabled else "muted"

    def tip(self, row: int) -> str:
        """Return what is wrong with a rule, or what it asks for."""
        line = self.rows[row]
        return line.fault or f"{line.rule.name}\n{line.what}"

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Let the first column be ticked."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == 0 else flags

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        """Return what a cell shows or says, and whether a rule is ticked."""
        if role == _CHECK and index.column() == 0:
            return Qt.CheckState.Checked if self.rows[index.row()].rule.enabled else Qt.CheckState.Unchecked
        return super().data(index, role)

    def setData(self, index: Index, value: Any, role: int = DISPLAY) -> bool:
        """Switch a rule."""
        if role != _CHECK or index.column() != 0:
            return False
        self._toggle(self.rows[index.row()].rule.id, Qt.CheckState(value) is Qt.CheckState.Checked)
        return True


class FiringTable(RowsTable[Firing]):
    """The history, newest first."""

    header = ("Time", "Alert", "What happened")

    def show_firings(self, firings: list[Firing]) -> None:
        """Take the history."""
        self.show_rows(firings, same=False)

    def cells(self, row: int) -> tuple[str, ...]:
        """Return time, rule and words of a row."""
        firing = self.rows[row]
        return formats.clock_text(firing.ts_ns, zone.current()), firing.rule, firing.text

    def tone(self, row: int, column: int) -> str:
        """Return the colour of a cell: times stand back."""
        return "muted" if column == 0 else ""

    def tip(self, row: int) -> str:
        """Return a row whole."""
        return "\n".join(self.cells(row))
