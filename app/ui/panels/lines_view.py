"""A table of lines on screen: columns can be chosen, moved, sized and sorted by, and are remembered."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from PySide6.QtCore import QEvent, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QEnterEvent, QGuiApplication, QHideEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QWidget

from app.ui.models.lines import LinesTable
from app.ui.panels.common import QuietTable

_NARROWEST: Final = 24
_WIDEST: Final = 900
_STYLE: Final = "QTableView::item { padding: 0 3px; }"
"""Cells begin and end where the titles above them do."""


class LinesView(QuietTable):
    """Shows a `LinesTable`. `picked` carries the key of the line that was chosen; `left`: the mouse has left, so that
    lines may move again; `resorted`: another order was asked for."""

    picked = Signal(object)
    left = Signal()
    resorted = Signal()

    def __init__(self, lines: LinesTable[Any], name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = lines
        self.is_pointed = False
        self._is_syncing = False
        self.setModel(lines)
        lines.setParent(self)
        self.setAccessibleName(name)
        self.setStyleSheet(_STYLE)
        self.setTabKeyNavigation(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(_NARROWEST)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_columns)
        header.sectionClicked.connect(self._on_sort)
        self.usual_columns()
        self.selectionModel().currentRowChanged.connect(self._on_current)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy)

    # -- columns -------------------------------------------------------------------------------------------------

    def usual_columns(self) -> None:
        """Show the usual columns in the usual order and width."""
        header = self.horizontalHeader()
        for section, column in enumerate(self.table.columns):
            self.setColumnHidden(section, not column.usual)
            header.resizeSection(section, column.width)
            header.moveSection(header.visualIndex(section), section)

    def show_column(self, key: str, shown: bool) -> None:
        """Show or hide a column; one always stays."""
        sections = [section for section, column in enumerate(self.table.columns) if column.key == key]
        visible = [section for section in range(len(self.table.columns)) if not self.isColumnHidden(section)]
        if sections and (shown or visible != sections):
            self.setColumnHidden(sections[0], not shown)

    def columns_menu(self) -> QMenu:
        """Return a menu of all columns with marks at the visible ones."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        for section, column in enumerate(self.table.columns):
            action = menu.addAction(column.title.replace("&", "&&") or column.key)
            action.setToolTip(column.help)
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(section))
            action.toggled.connect(lambda shown, key=column.key: self.show_column(key, shown))
        menu.addSeparator()
        menu.addAction("Usual columns").triggered.connect(lambda _checked=False: self.usual_columns())
        return menu

    def _open_columns(self, position: QPoint) -> None:
        self.columns_menu().popup(self.horizontalHeader().mapToGlobal(position))

    def _on_sort(self, section: int) -> None:
        """Order by a column, numbers from the largest; once more turns it round, a third time ends it."""
        sorting, first = self.table.sorting, self.table.columns[section].number
        if sorting is None or sorting[0] != section:
            self.table.sorting = (section, first)
        else:
            self.table.sorting = (section, not first) if sorting[1] is first else None
        self.table.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(self.table.columns) - 1)
        self.resorted.emit()

    # -- rows ----------------------------------------------------------------------------------------------------

    def pick(self, key: Hashable) -> None:
        """Select the line of a key without announcing it; leave the scroll position alone."""
        row = self.table.row_of(key) if key is not None else None
        current = self.currentIndex()
        self._is_syncing = True
        if row is None:
            self.clearSelection()
        elif current.row() != row or not self.selectionModel().hasSelection():
            offset = self.verticalScrollBar().value()
            self.selectRow(row)
            self.verticalScrollBar().setValue(offset)
        self._is_syncing = False

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and not self._is_syncing:
            self.picked.emit(self.table.key_at(current.row()))

    def copy(self) -> None:
        """Put the chosen line on the clipboard as it is shown, cells parted by tabs."""
        row = self.currentIndex().row()
        if 0 <= row < len(self.table.lines):
            header = self.horizontalHeader()
            order = [header.logicalIndex(place) for place in range(len(self.table.columns))]
            texts = self.table.texts(row)
            shown = (texts[section] for section in order if not self.isColumnHidden(section))
            QGuiApplication.clipboard().setText("\t".join(shown))

    def enterEvent(self, event: QEnterEvent) -> None:
        """Hold the rows while the mouse is over them."""
        self.is_pointed = True
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Let rows move again."""
        self.is_pointed = False
        super().leaveEvent(event)
        self.left.emit()

    def hideEvent(self, event: QHideEvent) -> None:
        """A hidden table is not pointed at."""
        self.is_pointed = False
        super().hideEvent(event)

    # -- layout --------------------------------------------------------------------------------------------------

    def save_state(self) -> dict[str, object]:
        """Return columns by key in their order with widths, the hidden ones, and the sorting."""
        header, columns = self.horizontalHeader(), self.table.columns
        order = [columns[header.logicalIndex(place)].key for place in range(len(columns))]
        sorting = self.table.sorting
        # a hidden section, and the last one that fills the rest, tell no width of their own
        last = next((key for key in reversed(order) if not self.isColumnHidden(self._section(key))), "")
        return {
            "order": order,
            "hidden": [column.key for section, column in enumerate(columns) if self.isColumnHidden(section)],
            "widths": {
                column.key: header.sectionSize(section)
                for section, column in enumerate(columns)
                if not self.isColumnHidden(section) and column.key != last
            },
            "sort": None if sorting is None else [columns[sorting[0]].key, sorting[1]],
        }

    def restore_state(self, state: object) -> None:
        """Take what fits of a stored state."""
        if not isinstance(state, dict):
            return
        header = self.horizontalHeader()
        keys = [column.key for column in self.table.columns]
        hidden = state.get("hidden")
        if isinstance(hidden, list) and not set(keys) <= {key for key in hidden if isinstance(key, str)}:
            for section, key in enumerate(keys):
                self.setColumnHidden(section, key in hidden)
        order = state.get("order")
        if isinstance(order, list):
            known = [key for key in order if key in keys]
            for place, key in enumerate(dict.fromkeys(known)):
                header.moveSection(header.visualIndex(keys.index(key)), place)
        widths = state.get("widths")
        if isinstance(widths, dict):
            for key, width in widths.items():
                if key in keys and isinstance(width, int) and _NARROWEST <= width <= _WIDEST:
                    header.resizeSection(keys.index(key), width)
        sort = state.get("sort")
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in keys and isinstance(sort[1], bool):
            self.table.sorting = (keys.index(sort[0]), sort[1])
            self.resorted.emit()

    def _section(self, key: str) -> int:
        return next(section for section, column in enumerate(self.table.columns) if column.key == key)
