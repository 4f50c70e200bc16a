"""The symbol list: every pair with price, Delta, reach and state per market; picking one drives its link group."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence, QShortcut
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

from app.domain.ids import BOOK_VENUES, Venue
from app.ui import icons, theme
from app.ui.models.symbol_table import COLUMNS, SymbolTable
from app.ui.panels.base import Panel
from app.ui.panels.common import LinkButton, QuietTable, VenueBox, plain_label
from app.viewmodels.linking import LINK_GROUPS
from app.viewmodels.symbols import SymbolsModel

POLL_FRAMES: Final = 6
SORT_POLLS: Final = 5
WIDTHS: Final = (92, 74, 52, 52, 50, 50, 74, 96, 96)


class SymbolsPanel(Panel):
    """Lists all pairs."""

    def __init__(self, model: SymbolsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._frames = 0
        self._polls = 0
        self._order = model.order_revision
        self._filter = QLineEdit(self)
        self._filter.setPlaceholderText("Filter")
        self._filter.setAccessibleName("Filter the symbols")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._on_filter)
        self._stars = QToolButton(self)
        self._stars.setCheckable(True)
        self._stars.setToolTip("Show favourites only")
        self._stars.setAccessibleName("Favourites only")
        self._stars.toggled.connect(self._on_filter)
        self._venues = VenueBox(self)
        self._venues.venue_chosen.connect(self._on_venue)
        self._count = plain_label(self, "muted")
        self._link = LinkButton(self)
        self._link.group_chosen.connect(self._on_group)
        self._table = _SymbolView(self)
        self._items = SymbolTable(model)
        self._items.setParent(self)
        self._set_up_table()
        top = QHBoxLayout()
        top.setContentsMargins(6, 4, 6, 4)
        top.setSpacing(4)
        top.addWidget(self._venues)
        top.addWidget(self._filter, 1)
        top.addWidget(self._stars)
        top.addWidget(self._count)
        top.addWidget(self._link)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._table, 1)
        star = QShortcut(QKeySequence("Ctrl+D"), self._table)
        star.setContext(Qt.ShortcutContext.WidgetShortcut)
        star.activated.connect(self._toggle_favourite)
        self._link.show_group(model.link_group)
        self._restyle(theme.current())
        theme.notifier().changed.connect(self._restyle)
        self._show_count()

    def _set_up_table(self) -> None:
        table = self._table
        header = table.horizontalHeader()
        header.setMinimumSectionSize(36)
        table.show_model(self._items, "Symbols", WIDTHS)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_menu)
        header.setSectionsMovable(True)
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_header_menu)
        header.setSortIndicatorShown(True)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.sortIndicatorChanged.connect(self._items.sort)
        header.setSectionsClickable(True)
        table.clicked.connect(self._on_clicked)
        table.activated.connect(self._on_clicked)

    @property
    def link_group(self) -> str | None:
        """Return the group that picked pairs go to."""
        return self._model.link_group

    @property
    def table(self) -> QuietTable:
        """Return the table widget."""
        return self._table

    def focus_target(self) -> QWidget:
        """Give the keyboard to the table."""
        return self._table

    def shut(self) -> None:
        """Let go of the theme."""
        theme.notifier().changed.disconnect(self._restyle)

    def revision(self) -> Hashable:
        """Read a few books every sixth frame and tell whether anything has moved."""
        self._frames += 1
        if self._frames % POLL_FRAMES == 1:
            self._polls += 1
            if self._polls % SORT_POLLS == 1:
                self._model.reload()
                self._venues.show_venues(self._model.venues(), self._model.venue)
                if not self._table.underMouse():
                    self._model.sort()
            self._model.poll(range(*self._shown()))
        return self._model.revision, self._model.picked

    def refresh(self, now_ns: int) -> int | None:
        """Announce the visible rows."""
        first, last = self._shown()
        self._items.refresh(first, last)
        if self._order != self._model.order_revision:
            self._order = self._model.order_revision
            self._show_count()
        self._select_picked()
        return None

    def _shown(self) -> tuple[int, int]:
        """Return the first row on screen and the one after the last."""
        first = max(0, self._table.rowAt(0))
        last = self._table.rowAt(self._table.viewport().height() - 1)
        return first, (last if last >= 0 else len(self._model) - 1) + 1

    def _select_picked(self) -> None:
        pair = self._model.picked
        position = self._model.position_of(pair) if pair is not None else None
        current = self._table.currentIndex()
        if position is None:
            if current.isValid():
                self._table.clearSelection()
        elif current.row() != position or not self._table.selectionModel().hasSelection():
            bar = self._table.verticalScrollBar()
            offset = bar.value()
            self._table.selectRow(position)
            bar.setValue(offset)

    def _show_count(self) -> None:
        shown, total = len(self._model), self._model.total
        self._count.setText(str(total) if shown == total else f"{shown}/{total}")

    def _on_filter(self) -> None:
        self._model.set_filter(self._filter.text(), self._stars.isChecked())
        self._items.refresh(0, len(self._model))
        self._show_count()

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.isValid() and index.row() < len(self._model):
            self._model.pick(self._model.row(index.row()).pair)

    def _on_venue(self, venue: object) -> None:
        if isinstance(venue, Venue):
            self._model.set_venue(venue)
            self._items.refresh(0, len(self._model))
            self._show_count()

    def _on_group(self, group: object) -> None:
        self._model.set_link_group(group if isinstance(group, str) else None)

    def _toggle_favourite(self) -> None:
        index = self._table.currentIndex()
        if index.isValid() and index.row() < len(self._model):
            self._model.toggle_favourite(self._model.row(index.row()).pair)
            self._items.refresh(0, len(self._model))
            self._show_count()

    def _on_menu(self, position: QPoint) -> None:
        index = self._table.indexAt(position)
        if not index.isValid():
            return
        pair = self._model.row(index.row()).pair
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        words = "Remove from favourites" if pair in self._model.favourites else "Add to favourites"
        star = QAction(f"{words}\tCtrl+D", menu)
        star.triggered.connect(self._toggle_favourite)
        menu.addAction(star)
        self._table.setCurrentIndex(index)
        menu.popup(self._table.viewport().mapToGlobal(position))

    def _on_header_menu(self, position: QPoint) -> None:
        header = self._table.horizontalHeader()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for index, (_, _, tip) in enumerate(COLUMNS):
            action = QAction(tip.split(";")[0], menu)
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(index))
            action.setEnabled(index > 0)
            action.setData(index)
            menu.addAction(action)
        menu.triggered.connect(self._on_column)
        menu.popup(header.mapToGlobal(position))

    def _on_column(self, action: QAction) -> None:
        self._table.setColumnHidden(int(action.data()), not action.isChecked())

    def _restyle(self, _look: theme.Theme) -> None:
        self._items.restyle()
        self._stars.setIcon(icons.icon("star"))
        self._link.show_group(self._model.link_group)

    def save_state(self) -> dict[str, object]:
        """Return favourites, sorting, columns and link group."""
        header = self._table.horizontalHeader()
        column, descending = self._model.sorting
        return {
            "favourites": sorted(self._model.favourites),
            "sort": [int(column), descending],
            "hidden": [index for index in range(len(COLUMNS)) if header.isSectionHidden(index)],
            "widths": [header.sectionSize(index) for index in range(len(COLUMNS))],
            "order": [header.visualIndex(index) for index in range(len(COLUMNS))],
            "link_group": self._model.link_group,
            "venue": self._model.venue.value,
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        header = self._table.horizontalHeader()
        venue = state.get("venue")
        if venue in {known.value for known in BOOK_VENUES}:
            self._model.set_venue(Venue(venue))
        favourites = state.get("favourites")
        if isinstance(favourites, list):
            self._model.favourites = {pair for pair in favourites if isinstance(pair, str)}
        hidden = _numbers(state.get("hidden"))
        for index in range(1, len(COLUMNS)):
            self._table.setColumnHidden(index, index in hidden)
        order = _numbers(state.get("order"))
        if sorted(order) == list(range(len(COLUMNS))):
            for visual in range(len(COLUMNS)):
                header.moveSection(header.visualIndex(order.index(visual)), visual)
        widths = _numbers(state.get("widths"))
        if len(widths) == len(COLUMNS):
            for index, width in enumerate(widths):
                if 20 <= width <= 600:
                    header.resizeSection(index, width)
        if "link_group" in state:
            group = state["link_group"]
            self._model.set_link_group(group if isinstance(group, str) and group in LINK_GROUPS else None)
            self._link.show_group(self._model.link_group)
        sort = state.get("sort")
        if isinstance(sort, list) and len(sort) == 2 and isinstance(sort[0], int):
            section = next((index for index, entry in enumerate(COLUMNS) if entry[0] == sort[0]), -1)
            down = Qt.SortOrder.DescendingOrder if sort[1] is True else Qt.SortOrder.AscendingOrder
            header.setSortIndicator(section, down)
        self._model.sort()
        self._items.refresh(0, len(self._model))
        self._show_count()


class _SymbolView(QuietTable):
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Pick with Enter; leave letters to the search."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.activated.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


def _numbers(value: object) -> list[int]:
    return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []
