"""Turns a `ScannerModel` into the Qt table model of the Market Scanner: every column there is, hidden or not.

Texts are made when they are asked for; one signal per update announces the rows on screen. Which digits have just
risen or fallen is worked out here for the whole board at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from app.domain.market import Field
from app.scanner.board import FloatArray
from app.scanner.columns import COLUMNS, FIGURES, Column, Derived
from app.ui import zone
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_cells import SIGNED
from app.viewmodels.scanner_events import badge_words, event_lines

_Index = QModelIndex | QPersistentModelIndex

# Comparing enum members costs four times the whole call: roles are compared as plain integers.
_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)

KEYS: Final = tuple(column.key for column in COLUMNS)
SECTION: Final = {key: section for section, key in enumerate(KEYS)}
_SHORT: Final = {
    "change_24h": "24 h %",
    "spread_bp": "Spread bp",
    "funding": "Funding %",
    "funding_hours": "Fund. every",
    "funding_year": "Fund. %/y",
    "open_interest": "Open int.",
    "open_interest_usd": "Open int. $",
    "volume_24h": "Volume 24 h",
    "gap": "Gap %",
}
LEFT_KEYS: Final = frozenset({"venue", "market", "symbol", "session", "halted", "delayed", "events"})
_LEFT_SECTIONS: Final = frozenset(SECTION[key] for key in LEFT_KEYS)
EVENTS: Final = SECTION["events"]
SYMBOL: Final = SECTION["symbol"]
_SIGNED: Final = frozenset(SECTION[key] for key in SIGNED)
_DELTA: Final = SECTION["delta"]

FLASH_STEPS: Final = 4
"""How many refreshes a changed figure stays coloured, paler at each."""
_FLASHING: Final = np.array(
    [
        Field.LAST,
        Field.BID,
        Field.ASK,
        Field.HIGH,
        Field.LOW,
        Field.MARK,
        Field.INDEX,
        Derived.DEPTH_DELTA,
        Derived.FUNDING_PCT,
    ],
    np.int64,
)
_TIPS_EVENTS: Final = 8


class ScannerTable(QAbstractTableModel):
    """Rows in the order of the view model.

    flash: int8 [FIGURES, rows], how strongly a figure of a board row is to be coloured: positive risen, negative
    fallen, 0 not at all.
    """

    def __init__(self, model: ScannerModel) -> None:
        super().__init__()
        self._model = model
        self._rows = len(model)
        self._before: FloatArray = np.empty((_FLASHING.size, 0))
        self.flash: npt.NDArray[np.int8] = np.zeros((FIGURES, 0), np.int8)
        self.is_flashing = False

    # -- what Qt asks --------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return how many instruments are shown."""
        return 0 if parent is not None and parent.isValid() else self._rows

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of all columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == _DISPLAY:
            return self._title(section)
        if role == _TIP:
            unit = f", in {column.unit}" if column.unit else ""
            return f"{column.title}{unit}: {column.help}\nIn conditions: {column.key}"
        if role == _ALIGN:
            return _LEFT if section in _LEFT_SECTIONS else _RIGHT
        return None

    def _title(self, section: int) -> str:
        """Return a short title, with an arrow when the rows are ordered by it."""
        key = KEYS[section]
        title = f"Δ {self._model.books.depth_pct:g} %" if section == _DELTA else _SHORT.get(key, COLUMNS[section].title)
        sorting = self._model.sorting
        return f"{title} {'▾' if sorting.descending else '▴'}" if sorting.key == key else title

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows or says."""
        section, position = index.column(), index.row()
        if role == _ALIGN:
            return _LEFT if section in _LEFT_SECTIONS else _RIGHT
        if role not in (_DISPLAY, _TIP) or position >= len(self._model):
            return None
        row = self._model.row_at(position)
        return self.text(row, section) if role == _DISPLAY else self.tip(row, section)

    # -- cells ---------------------------------------------------------------------------------------------------

    def text(self, row: int, section: int) -> str:
        """Return the text of a cell of a board row."""
        if section == EVENTS:
            return " ".join(badge_words(badge) for badge in self._model.events.badges(row))
        return self._model.cells.text(row, COLUMNS[section])

    def tip(self, row: int, section: int) -> str:
        """Return what is said of a cell on hover."""
        market, symbol = self._model.instrument(row)
        if section == EVENTS:
            events = self._model.events.of(row)
            lines = [f"{symbol}, {market.full_name}"]
            if not events:
                return f"{lines[0]}\nno event within {self._model.events.minutes} minutes"
            for event in events[:_TIPS_EVENTS]:
                lines += event_lines(event, zone.current())
            if len(events) > _TIPS_EVENTS:
                lines.append(f"and {len(events) - _TIPS_EVENTS} more within {self._model.events.minutes} minutes")
            return "\n".join(lines)
        text = self._model.cells.tip(row, COLUMNS[section])
        if section != SYMBOL:
            return text
        budget = self._model.budget
        marks = []
        if budget.is_pinned(market, symbol):
            marks.append("◆ pinned: it always has full streams")
        if (market, symbol) in budget.hot():
            marks.append("● hot: it has full streams")
        reason = budget.reason_of(market, symbol)
        return "\n".join((text, *marks, *((reason,) if reason else ())))

    def direction_maker(self, section: int) -> Callable[[float], int] | None:
        """Return what tells how a known figure of a column is coloured (1 up, -1 down, 0 plain), None for always 0."""
        if section == _DELTA:
            return _side_of_one
        return _sign if section in _SIGNED else None

    # -- news ----------------------------------------------------------------------------------------------------

    def note_changes(self) -> None:
        """Compare every figure with what it was the last time, and let older colours fade."""
        board = self._model.board
        count = board.count
        now = board.values[_FLASHING, :count]
        if self.flash.shape[1] != count:
            wider = np.zeros((FIGURES, count), np.int8)
            wider[:, : self.flash.shape[1]] = self.flash
            self.flash = wider
        faded = self.flash - np.sign(self.flash)
        with np.errstate(invalid="ignore"):
            before = self._before
            held = before.shape[1]
            moved = np.zeros(now.shape, np.int8)
            moved[:, :held] += now[:, :held] > before
            moved[:, :held] -= now[:, :held] < before
        part = faded[_FLASHING]
        faded[_FLASHING] = np.where(moved != 0, moved * FLASH_STEPS, part)
        self.flash = faded
        self._before = now
        self.is_flashing = bool(faded.any())

    def refresh(self, first: int, last: int) -> None:
        """Announce new values in the rows that are on screen, and more or fewer rows."""
        rows = len(self._model)
        if rows > self._rows:
            self.beginInsertRows(QModelIndex(), self._rows, rows - 1)
            self._rows = rows
            self.endInsertRows()
        elif rows < self._rows:
            self.beginRemoveRows(QModelIndex(), rows, self._rows - 1)
            self._rows = rows
            self.endRemoveRows()
        if rows:
            last = min(last, rows - 1)
            self.dataChanged.emit(self.index(max(0, min(first, last)), 0), self.index(last, len(COLUMNS) - 1))

    def announce_header(self) -> None:
        """Say that titles have changed: another order, another depth."""
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)

    # -- copies --------------------------------------------------------------------------------------------------

    def row_text(self, row: int) -> str:
        """Return the shown cells of a board row, parted by tabs."""
        return "\t".join(self.text(row, SECTION[key]) for key in self._model.columns)

    def export_header(self) -> list[str]:
        """Return the header of a file: titles with units."""
        return [f"{column.title} [{column.unit}]" if column.unit else column.title for column in self._columns()]

    def export_rows(self) -> list[list[str | float]]:
        """Return all shown rows for a file, in their order: plain numbers, "" where nothing is known."""
        result: list[list[str | float]] = []
        for position in range(len(self._model)):
            row = self._model.row_at(position)
            result.append(
                [
                    self.text(row, EVENTS) if column.key == "events" else self._model.cells.export(row, column)
                    for column in self._columns()
                ]
            )
        return result

    def _columns(self) -> list[Column]:
        return self._model.shown_columns()


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _side_of_one(value: float) -> int:
    return 1 if value >= 1.0 else -1
