"""Turns a `SymbolsModel` into the Qt table model of the Symbols panel: texts are cached, one signal per update."""

from __future__ import annotations

import math
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.ui import icons, theme
from app.viewmodels import formats
from app.viewmodels.symbols import Cell, Column, SymbolsModel

_Index = QModelIndex | QPersistentModelIndex

# Comparing enum members costs four times the whole call: roles are compared as plain integers.
_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_DECORATION: Final = int(Qt.ItemDataRole.DecorationRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)

COLUMNS: Final[tuple[tuple[Column, str, str], ...]] = (
    (Column.PAIR, "Pair", "The pair; a star marks favourites"),
    (Column.SPOT_MID, "Spot", "Spot: middle between best bid and best ask"),
    (Column.SPOT_DELTA, "Δ5 S", "Spot: bid / ask volume within 5 %"),
    (Column.FUTURES_DELTA, "Δ5 F", "Futures: bid / ask volume within 5 %"),
    (Column.SPOT_KNOWN, "Kn. S", "Spot: how far from the best price the book is proven (the lesser side)"),
    (Column.FUTURES_KNOWN, "Kn. F", "Futures: how far from the best price the book is proven (the lesser side)"),
    (Column.FUTURES_MID, "Futures", "Futures: middle between best bid and best ask"),
    (Column.SPOT_STATE, "State S", "State of the spot book"),
    (Column.FUTURES_STATE, "State F", "State of the futures book"),
)


class SymbolTable(QAbstractTableModel):
    """Rows in the order of the view model."""

    def __init__(self, model: SymbolsModel) -> None:
        super().__init__()
        self._model = model
        self._rows = len(model)
        self._brushes: dict[str, QBrush] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {
            name: QBrush(QColor(colour))
            for name, colour in (
                ("text", look.text),
                ("muted", look.muted),
                ("up", look.up),
                ("down", look.down),
                ("warning", look.warning),
            )
        }

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return how many pairs pass the filter."""
        return 0 if parent is not None and parent.isValid() else self._rows

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == _DISPLAY:
            return COLUMNS[section][1]
        if role == _TIP:
            return COLUMNS[section][2]
        if role == _ALIGN:
            return _LEFT if section == 0 else _RIGHT
        return None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        if role == _ALIGN:
            return _LEFT if index.column() == 0 else _RIGHT
        if role not in (_DISPLAY, _FOREGROUND, _TIP, _DECORATION) or index.row() >= len(self._model):
            return None
        row = self._model.row(index.row())
        column = COLUMNS[index.column()][0]
        if column is Column.PAIR:
            if role == _DISPLAY:
                return row.pair
            if role == _DECORATION:
                return (
                    icons.icon("star-filled", theme.current().warning) if row.pair in self._model.favourites else None
                )
            return self._tip(row.cells) if role == _TIP else None
        cell = row.cells[int(column) % 2]
        if role == _DISPLAY:
            return text_of(column, cell)
        if role == _FOREGROUND:
            return self._brush(column, cell)
        if role == _TIP:
            return self._tip((cell,))
        return None

    def _brush(self, column: Column, cell: Cell) -> QBrush:
        if not cell.live:
            return self._brushes["muted"]
        if column in (Column.SPOT_DELTA, Column.FUTURES_DELTA) and not math.isnan(cell.delta5):
            return self._brushes["up" if cell.delta5 >= 1 else "down"]
        if column in (Column.SPOT_KNOWN, Column.FUTURES_KNOWN):
            return self._brushes["text" if cell.known_pct >= 60 else "muted"]
        return self._brushes["text"]

    def _tip(self, cells: tuple[Cell, ...]) -> str:
        return "\n\n".join(tip_of(cell) for cell in cells)

    def refresh(self, first: int, last: int) -> None:
        """Announce new values in the rows that are on screen, or another number of rows."""
        if len(self._model) != self._rows:
            self.beginResetModel()
            self._rows = len(self._model)
            self.endResetModel()
        elif self._rows:
            last = min(last, self._rows - 1)
            self.dataChanged.emit(self.index(max(0, first), 0), self.index(last, len(COLUMNS) - 1))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; a column of -1 means by importance."""
        chosen = COLUMNS[column][0] if 0 <= column < len(COLUMNS) else Column.RANK
        self._model.set_sorting(chosen, order is Qt.SortOrder.DescendingOrder)
        self.refresh(0, self._rows)


def text_of(column: Column, cell: Cell) -> str:
    """Return the text of a number or state."""
    if cell.symbol is None:
        return ""
    if column in (Column.SPOT_MID, Column.FUTURES_MID):
        return formats.price(cell.mid, cell.tick_size)
    if column in (Column.SPOT_DELTA, Column.FUTURES_DELTA):
        return formats.known_text(cell.delta5, cell.delta5_known, formatter=formats.ratio, pending=not cell.live)
    if column in (Column.SPOT_KNOWN, Column.FUTURES_KNOWN):
        return formats.known_to_short(cell.known_pct)
    return cell.state


def tip_of(cell: Cell) -> str:
    """Return what is known of one pair on one market, in words."""
    if cell.symbol is None:
        return "Not listed on this market"
    lines = [f"{cell.symbol}: {cell.state}" + (f", {cell.reason}" if cell.reason else "")]
    lines.append(formats.known_to("bid", cell.bid_known_pct))
    lines.append(formats.known_to("ask", cell.ask_known_pct))
    if not math.isnan(cell.delta5):
        sure = "exact" if cell.delta5_known == 3 else "approximate: the 5 % band is not wholly known"
        lines.append(f"bid / ask within 5 %: {formats.ratio(cell.delta5, 4)} ({sure})")
    return "\n".join(lines)
