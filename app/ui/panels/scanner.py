"""The Market Scanner: every instrument of every venue in one live table, with filter, lists, events and budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QMenu, QSplitter, QVBoxLayout, QWidget

from app.domain.units import NS_PER_MS, NS_PER_S
from app.scanner.columns import COLUMNS
from app.scanner.events import ScanEvent
from app.ui import theme, zone
from app.ui.dialogs import ask
from app.ui.models.scanner_table import KEYS, SECTION, ScannerTable
from app.ui.panels.base import Panel
from app.ui.panels.common import restore_split, show_columns, shown_columns
from app.ui.panels.lines_bar import LinesBar
from app.ui.panels.scanner_bar import ScannerBar
from app.ui.panels.scanner_budget import BudgetBar
from app.ui.panels.scanner_events import EventList
from app.ui.panels.scanner_menus import RowActions, columns_menu, row_menu, scans_menu
from app.ui.panels.scanner_view import ScannerView
from app.ui.panels.work import PanelWork
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_lists import ScanList
from app.viewmodels.scanner_scans import widths_of
from app.viewmodels.spawning import Spawn, spawn_task

PACE_NS: Final = 200 * NS_PER_MS
"""Least time between two paintings for new values."""
QUIET_POLLS: Final = 5
KEYS_HOLD_NS: Final = 4 * NS_PER_S
"""For how long after a key the order is held for the keyboard."""
BESIDE: Final = 1700
"""From this width on the events are beside the table, else below it."""
WAITING: Final = "Waiting for the venues' first tickers…"


class ScannerPanel(Panel):
    """Shows the scanner. book_wanted(market, symbol): open an order book. alert_wanted(condition): make an alert."""

    book_wanted = Signal(object, str)
    alert_wanted = Signal(str)

    def __init__(
        self,
        model: ScannerModel,
        parent: QWidget | None = None,
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        spawn: Spawn = spawn_task,
    ) -> None:
        super().__init__(parent)
        self.model = model
        self._monotonic_ns = monotonic_ns
        self._work = PanelWork(spawn)
        self._news = 0
        self._quiet = 0
        self._polled_ns: int | None = None
        self._key_ns: int | None = None
        self._now_ns = 0
        self._menu_open = False
        self._seen: Hashable = None
        self._order = -1
        self._choices: Hashable = None
        self._is_syncing = False
        self._columns: tuple[str, ...] = ()
        self._is_laid_out = False
        self.items = ScannerTable(model)
        self.items.setParent(self)
        self.table = ScannerView(model, self.items, self)
        self.bar = ScannerBar(model, self)
        self.events = EventList(model, self)
        self.budget = BudgetBar(model.budget, self)
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.table)
        self._splitter.addWidget(self.events)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setStretchFactor(1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self._splitter, 1)
        layout.addWidget(self.budget)
        self.lines = LinesBar(model.lines, parent=self) if model.lines is not None else None
        if self.lines is not None:
            layout.addWidget(self.lines)
        self._connect()
        self._show_columns()
        self._show_choices()

    def _connect(self) -> None:
        bar, table, header = self.bar, self.table, self.table.horizontalHeader()
        bar.changed.connect(self._on_choice)
        bar.link.group_chosen.connect(self._on_group)
        bar.events.clicked.connect(lambda _checked: self.show_events(bar.events.isChecked()))
        bar.columns.clicked.connect(lambda: self._open(columns_menu(self, self.model, self._on_choice), bar.columns))
        bar.scans.clicked.connect(self._open_scans)
        bar.more.clicked.connect(self._open_more)
        table.customContextMenuRequested.connect(self._on_menu)
        table.clicked.connect(self._on_clicked)
        table.activated.connect(self._on_activated)
        table.pointed.connect(self._on_pointed)
        header.sectionClicked.connect(self._on_sort)
        header.sectionMoved.connect(self._on_moved)
        header.customContextMenuRequested.connect(self._on_header_menu)
        self.events.chosen.connect(self._on_event)
        for keys, work in (
            ("Ctrl+D", self._toggle_favourite),
            (QKeySequence.StandardKey.Copy, self.copy_row),
            (QKeySequence.StandardKey.Find, self._to_filter),
        ):
            shortcut = QShortcut(QKeySequence(keys), table)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(work)
        theme.notifier().changed.connect(self._restyle)
        zone.notifier().changed.connect(self._on_zone)

    # -- the frame clock -----------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Return what moves when there is something new to paint, at most five times a second for values alone."""
        now_ns = self._monotonic_ns()
        if self._polled_ns is None or now_ns - self._polled_ns >= PACE_NS:
            self._polled_ns = now_ns
            scanning = self.model.scanning
            self._quiet += 1
            lines = self.model.lines.revision if self.model.lines is not None else ()
            seen = (scanning.board.revision, scanning.events_revision, self.model.budget.revision, lines)
            # ages go on and rows grow stale though nothing is told
            if seen != self._seen or self.items.is_flashing or self._quiet >= QUIET_POLLS:
                self._seen, self._quiet = seen, 0
                self._news += 1
        return self._news, self.model.revision, self.model.picked

    def refresh(self, now_ns: int) -> int | None:
        """Bring the order up to now and paint what is on screen."""
        self._now_ns = now_ns
        self.items.note_changes()
        self.model.advance(now_ns, hold=self._is_held())
        if self._columns != self.model.columns:
            self._show_columns()
        if self._order != self.model.order_revision:
            self._order = self.model.order_revision
            self.items.refresh(0, 0)
            self._keep_selection()
        self._select_picked()
        self.items.refresh(*self.table.shown())
        self.model.budget.show_rows(self.table.shown_rows(), now_ns)
        self._show_choices()
        self.events.refresh()
        self.budget.refresh()
        if self.lines is not None:
            self.lines.refresh()
        return None

    def _is_held(self) -> bool:
        typed = self._key_ns is not None and self._monotonic_ns() - self._key_ns < KEYS_HOLD_NS
        return self.table.is_pointed or self._menu_open or (typed and self.table.hasFocus())

    def set_active(self, active: bool) -> None:
        """Let the budget forget the rows when the panel leaves the screen."""
        if not active:
            self.model.budget.show_rows((), self._now_ns)

    def shut(self) -> None:
        """Let go of open dialogs, theme, zone and budget."""
        self._work.cancel()
        theme.notifier().changed.disconnect(self._restyle)
        zone.notifier().changed.disconnect(self._on_zone)
        self.model.budget.show_rows((), self._now_ns)

    def focus_target(self) -> QWidget:
        """Give the keyboard to the table."""
        return self.table

    # -- showing -------------------------------------------------------------------------------------------------

    def _show_choices(self) -> None:
        model = self.model
        shown = (model.revision, len(model), model.total, model.books.depth_pct, theme.current())
        if shown != self._choices:
            self._choices = shown
            self.bar.show_model()
            self.bar.link.show_group(model.link_group)
        if not self.bar.filter.hasFocus():
            self.bar.filter.show_text(model.filter_text)
        self.bar.events.setChecked(self.events.isVisibleTo(self))
        if not len(model):
            self.table.message = self._message()
            self.table.setAccessibleDescription(self.table.message)

    def _message(self) -> str:
        model = self.model
        if not model.total:
            return WAITING
        if model.quick is ScanList.FAVOURITES and not model.favourites:
            return "No favourites yet: Ctrl+D marks the chosen row."
        if model.quick in (ScanList.EVENTS, ScanList.EXTREMES) and not model.events.rows():
            return f"No events within {model.events.minutes} minutes."
        if model.filter_in_force:
            return f"None of {model.total:,} instruments passes “{model.filter_in_force}” in this list."
        return f"None of {model.total:,} instruments is in this list."

    def _show_columns(self) -> None:
        """Hide, show and order the header's sections as the model has it."""
        self._columns = self.model.columns
        self._is_syncing = True
        show_columns(self.table.horizontalHeader(), KEYS, self._columns)
        self._is_syncing = False

    def _on_choice(self) -> None:
        """Show what was just chosen, in the order it asks for."""
        self._show_columns()
        self.items.announce_header()
        self.refresh(self._now_ns)
        self.table.viewport().update()

    def _keep_selection(self) -> None:
        """Keep the picked row where it is on screen when the order changes, unless the table stands at its top."""
        row = self.model.picked
        current = self.table.currentIndex()
        bar = self.table.verticalScrollBar()
        if row is None or not current.isValid() or not bar.value():
            return
        position = self.model.position_of(row)
        first, after = self.table.shown()
        if position is not None and first <= current.row() < after:
            bar.setValue(bar.value() + position - current.row())

    def _select_picked(self) -> None:
        row = self.model.picked
        position = self.model.position_of(row) if row is not None else None
        current = self.table.currentIndex()
        if position is None:
            if self.table.selectionModel().hasSelection():
                self.table.clearSelection()
        elif current.row() != position or not self.table.selectionModel().hasSelection():
            bar = self.table.verticalScrollBar()
            offset = bar.value()
            self.table.selectRow(position)
            bar.setValue(offset)

    def show_events(self, shown: bool) -> None:
        """Show or hide the list of events."""
        self.events.setVisible(shown)
        self.bar.events.setChecked(shown)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the events beside the table where there is room, else below."""
        super().resizeEvent(event)
        wide = self.width() >= BESIDE
        wanted = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if self._splitter.orientation() != wanted or not self._is_laid_out:
            self._is_laid_out = True
            self._splitter.setOrientation(wanted)
            self._splitter.setSizes([self.width() - 460, 460] if wide else [self.height() - 190, 190])

    def _restyle(self, _look: theme.Theme) -> None:
        self.table.restyle()
        self.events.redraw()
        self._show_choices()

    def _on_zone(self, _zone: str) -> None:
        self.events.redraw()

    # -- choosing rows -------------------------------------------------------------------------------------------

    def _row_of(self, index: QModelIndex) -> int | None:
        return self.model.row_at(index.row()) if index.isValid() and index.row() < len(self.model) else None

    @property
    def chosen_row(self) -> int | None:
        """Return the board's row that has the keyboard, None when none has."""
        return self._row_of(self.table.currentIndex())

    def _on_clicked(self, index: QModelIndex) -> None:
        row = self._row_of(index)
        if row is not None:
            self._key_ns = self._monotonic_ns()
            self.model.pick(row)

    def _on_activated(self, index: QModelIndex) -> None:
        row = self._row_of(index)
        if row is not None:
            self.open_book(row)

    def open_book(self, row: int) -> None:
        """Drive the link group to a row's pair and ask for its order book in the row's market, if there are any."""
        market, symbol = self.model.pick(row)
        if market.has_books:
            self.book_wanted.emit(market, symbol)

    def _on_event(self, event: object) -> None:
        """Select the row of an event; show it if filter or list hide it only by changing neither."""
        if not isinstance(event, ScanEvent):
            return
        row = self.model.board.find(event.market, event.symbol)
        if row is None:
            return
        self.model.pick(row)
        self._select_picked()
        position = self.model.position_of(row)
        if position is not None:
            self.table.scrollTo(self.items.index(position, 0))

    def _on_pointed(self, _pointed: bool) -> None:
        self.refresh(self._now_ns)

    def _toggle_favourite(self, row: int | None = None) -> None:
        chosen = self.chosen_row if row is None else row
        if chosen is not None:
            self.model.toggle_favourite(chosen)
            self._on_choice()

    def _to_filter(self) -> None:
        self.bar.filter.setFocus()

    def _on_group(self, group: object) -> None:
        self.model.link_group = group if isinstance(group, str) else None

    # -- header --------------------------------------------------------------------------------------------------

    def _on_sort(self, section: int) -> None:
        """Order by a column: numbers from the largest, words from A; once more turns it round."""
        key, sorting = KEYS[section], self.model.sorting
        self.model.set_sorting(key, not sorting.descending if sorting.key == key else not COLUMNS[section].is_text)
        self._on_choice()

    def _on_moved(self, _section: int, _before: int, _after: int) -> None:
        if not self._is_syncing:
            self.model.set_columns(shown_columns(self.table.horizontalHeader(), KEYS))

    def _on_header_menu(self, position: QPoint) -> None:
        header = self.table.horizontalHeader()
        columns_menu(self, self.model, self._on_choice).popup(header.mapToGlobal(position))

    # -- menus ---------------------------------------------------------------------------------------------------

    def _open(self, menu: QMenu, under: QWidget) -> None:
        menu.popup(under.mapToGlobal(under.rect().bottomLeft()))

    def _open_scans(self) -> None:
        self._open(scans_menu(self, self.model, self._on_choice, self.save_scan), self.bar.scans)

    def _open_more(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy table as CSV", self.copy_csv)
        menu.addAction("Save table as CSV…", self.save_csv)
        self._open(menu, self.bar.more)

    def _on_menu(self, position: QPoint) -> None:
        index = self.table.indexAt(position)
        row = self._row_of(index)
        if row is None:
            return
        self.table.setCurrentIndex(index)
        menu = self.menu_of(row, index.column())
        self._menu_open = True
        menu.aboutToHide.connect(self._on_menu_closed)
        menu.popup(self.table.viewport().mapToGlobal(position))

    def _on_menu_closed(self) -> None:
        self._menu_open = False

    def menu_of(self, row: int, section: int) -> QMenu:
        """Return the menu of a cell."""
        actions = RowActions(
            favourite=self._toggle_favourite,
            open_book=self.open_book,
            copy_row=self.copy_row,
            copy_symbol=lambda each: QGuiApplication.clipboard().setText(self.model.board.symbols[each]),
            alert=self.alert_wanted.emit,
            filter=self._filter_by,
            now_ns=lambda: self._now_ns,
            changed=self._on_choice,
        )
        return row_menu(self, self.model, row, COLUMNS[section], actions)

    def _filter_by(self, condition: str) -> None:
        self.bar.filter.setText(condition)
        self.bar.filter.commit()

    # -- copies --------------------------------------------------------------------------------------------------

    def copy_row(self, row: int | None = None) -> None:
        """Put a row (default: the chosen one) on the clipboard as it is shown, cells parted by tabs."""
        chosen = self.chosen_row if row is None else row
        if chosen is not None:
            QGuiApplication.clipboard().setText(self.items.row_text(chosen))

    def csv_text(self) -> str:
        """Return all rows and columns that are shown as CSV."""
        return ask.csv_text(self.items.export_header(), self.items.export_rows())

    def copy_csv(self) -> None:
        """Put the table on the clipboard as CSV."""
        QGuiApplication.clipboard().setText(self.csv_text())

    def save_csv(self) -> None:
        """Ask for a file and write the table."""
        self._work.start(ask.save_csv(self, "Export the scanner", "scanner", self._now_ns, self.csv_text()))

    def save_scan(self) -> None:
        """Ask for a name and keep columns, sorting and filter under it."""
        self._work.start(self._save_scan())

    async def _save_scan(self) -> None:
        name = await ask.text_line(self, "Save this scan", "Name of the scan", self.model.current_scan())
        if name is None:
            return
        refused = self.model.save_scan(name)
        if refused:
            await ask.tell(self, "Save this scan", refused)
        self._on_choice()

    # -- layout --------------------------------------------------------------------------------------------------

    def save_state(self) -> dict[str, object]:
        """Return the model's choices with widths and the list of events."""
        header = self.table.horizontalHeader()
        return {
            **self.model.state(),
            "widths": {key: header.sectionSize(SECTION[key]) for key in self.model.columns},
            "events": self.events.isVisibleTo(self),
            "split": self._splitter.sizes(),
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        self.model.restore(state)
        for key, width in widths_of(state.get("widths")).items():
            self.table.horizontalHeader().resizeSection(SECTION[key], width)
        self.show_events(state.get("events") is not False)
        if restore_split(self._splitter, state.get("split")):
            self._is_laid_out = True
        self._on_choice()
