"""Turns a list of lines into a Qt table: columns are described once, each with its text, sort key, colour and tip.

Lines are plain values of a view model. They are told apart by a key, so that a line that changes stays where it is, and
while the mouse is over the table nothing moves at all: what is new goes to the end until it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.ui import theme

_Index = QModelIndex | QPersistentModelIndex
L = TypeVar("L")

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)
TONES: Final = ("text", "muted", "accent", "up", "down", "warning", "good", "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineColumn(Generic[L]):
    """One column of lines.

    key: its name in stored layouts. text: what a cell shows. sort: what it is ordered by, None last; without it by the
    text. tone: the name of a theme colour (`TONES`), "" for the line's own. tip: what a cell says on hover, "" for the
    line's own. usual: shown unless chosen otherwise.
    """

    key: str
    title: str
    help: str
    text: Callable[[L], str]
    sort: Callable[[L], Any] | None = None
    tone: Callable[[L], str] | None = None
    tip: Callable[[L], str] | None = None
    number: bool = False
    width: int = 80
    usual: bool = True


class LinesTable(QAbstractTableModel, Generic[L]):
    """Lines as rows. identity: what tells a line from the others; tone: the colour of a whole line, "" for plain text;
    tip: what a line says on hover."""

    def __init__(
        self,
        columns: Sequence[LineColumn[L]],
        identity: Callable[[L], Hashable],
        *,
        tone: Callable[[L], str] = lambda _line: "",
        tip: Callable[[L], str] = lambda _line: "",
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.lines: list[L] = []
        self.waiting = 0
        """How many lines stand at the end only because the table is held."""
        self.sorting: tuple[int, bool] | None = None
        """Column and whether from the largest, None: as the view model gives them."""
        self._identity = identity
        self._tone = tone
        self._tip = tip
        self._keys: list[Hashable] = []
        self._brushes: dict[str, QBrush] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {name: QBrush(QColor(getattr(look, name))) for name in TONES}
        self.redraw()

    def redraw(self) -> None:
        """Announce that texts or colours look different (another time zone or theme)."""
        if self.lines:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.lines) - 1, len(self.columns) - 1))

    # -- lines ---------------------------------------------------------------------------------------------------

    def show_lines(
        self, lines: Sequence[L], *, hold: bool = False, fresh: Callable[[Hashable], L | None] = lambda _key: None
    ) -> None:
        """Take the lines in their order. hold: leave every row where it is; fresh: the present state of a line that
        would have left, by its key."""
        ordered = self._sorted(lines)
        self.waiting = 0
        if hold and self._keys:
            ordered = self._held(ordered, fresh)
        keys = [self._identity(line) for line in ordered]
        if keys == self._keys:
            self._replace(ordered)
            return
        fits = len(keys) - len(self._keys)
        if fits > 0 and keys[fits:] == self._keys:
            self._insert(0, fits, ordered, keys)
        elif fits > 0 and keys[:-fits] == self._keys:
            self._insert(len(self._keys), fits, ordered, keys)
        elif len(keys) == len(self._keys) and set(keys) == set(self._keys):
            self._move(ordered, keys)
        else:
            self.beginResetModel()
            self.lines, self._keys = ordered, keys
            self.endResetModel()

    def _sorted(self, lines: Sequence[L]) -> list[L]:
        if self.sorting is None:
            return list(lines)
        section, descending = self.sorting
        column = self.columns[section]
        value = column.sort or column.text
        known = [line for line in lines if value(line) is not None]
        known.sort(key=value, reverse=descending)
        return known + [line for line in lines if value(line) is None]

    def _held(self, ordered: list[L], fresh: Callable[[Hashable], L | None]) -> list[L]:
        now = {self._identity(line): line for line in ordered}
        held = []
        for key, old in zip(self._keys, self.lines, strict=True):
            line = now.pop(key, None)
            held.append(line if line is not None else fresh(key) or old)
        self.waiting = len(now)
        return held + list(now.values())

    def _replace(self, lines: list[L]) -> None:
        old, self.lines = self.lines, lines
        changed = [row for row, line in enumerate(lines) if line is not old[row] and line != old[row]]
        if changed:
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(self.columns) - 1))

    def _insert(self, row: int, count: int, lines: list[L], keys: list[Hashable]) -> None:
        self.beginInsertRows(QModelIndex(), row, row + count - 1)
        self.lines, self._keys = lines, keys
        self.endInsertRows()
        self.redraw()

    def _move(self, lines: list[L], keys: list[Hashable]) -> None:
        """The same lines in another order: the selection stays with its line."""
        self.layoutAboutToBeChanged.emit()
        places = {key: row for row, key in enumerate(keys)}
        before = self.persistentIndexList()
        after = [self.index(places[self._keys[index.row()]], index.column()) for index in before]
        self.lines, self._keys = lines, keys
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def row_of(self, key: Hashable) -> int | None:
        """Return the row of a line, None when it is not shown."""
        return self._keys.index(key) if key in self._keys else None

    def key_at(self, row: int) -> Hashable:
        """Return the key of a row, None beyond the end."""
        return self._keys[row] if 0 <= row < len(self._keys) else None

    def texts(self, row: int) -> tuple[str, ...]:
        """Return all texts of a row, for copying."""
        return tuple(column.text(self.lines[row]) for column in self.columns)

    # -- what Qt asks --------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of lines."""
        return 0 if parent is not None and parent.isValid() else len(self.lines)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header, with an arrow at the column that orders the lines."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = self.columns[section]
        if role == _DISPLAY:
            if self.sorting is None or self.sorting[0] != section:
                return column.title
            return f"{column.title} {'▾' if self.sorting[1] else '▴'}"
        if role == _ALIGN:
            return _RIGHT if column.number else _LEFT
        return column.help if role == _TIP else None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows or says."""
        if role not in (_DISPLAY, _FOREGROUND, _TIP, _ALIGN) or index.row() >= len(self.lines):
            return None
        column, line = self.columns[index.column()], self.lines[index.row()]
        if role == _ALIGN:
            return _RIGHT if column.number else _LEFT
        if role == _DISPLAY:
            return column.text(line)
        if role == _TIP:
            return (column.tip(line) if column.tip is not None else "") or self._tip(line) or None
        tone = (column.tone(line) if column.tone is not None else "") or self._tone(line)
        return self._brushes[tone] if tone else None
