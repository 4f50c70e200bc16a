"""The scanner's toolbar: list, venues, filter, depth, saved scans, columns. It only shows and announces choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.domain.ids import BOOK_KINDS, Venue
from app.domain.units import DEPTHS_PCT
from app.ui import theme
from app.ui.panels.common import LinkButton, plain_label, tool_button
from app.ui.panels.scanner_filter import FilterBox
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_events import MINUTES
from app.viewmodels.scanner_lists import LISTS, ScanList

ONE_LINE: Final = 1500
"""From this width on everything fits into one line."""
FILTER_WIDTH: Final = 120
LIST_WIDTH: Final = 84
HELD: Final = "order held"
HELD_TIP: Final = (
    "Rows stay where they are while the mouse is over the table; values go on. Click a header to sort now."
)


class ScannerBar(QWidget):
    """All choices above the table. `changed` is announced after a choice was given to the model."""

    changed = Signal()

    def __init__(self, model: ScannerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.lists = self._box("Which instruments", [(kind.title, key.value) for key, kind in LISTS.items()])
        for index, kind in enumerate(LISTS.values()):
            self.lists.setItemData(index, kind.help, 3)
        self.lists.setMinimumWidth(LIST_WIDTH)
        self.lists.activated.connect(self._on_list)
        self.minutes_box = self._box("How long events count as recent", [(f"{each} min", each) for each in MINUTES])
        self.minutes_box.setToolTip("Events of the last so many minutes are shown as badges")
        self.minutes_box.activated.connect(
            lambda _index: self._take(lambda: model.set_minutes(self.minutes_box.currentData()))
        )
        self.depth_box = self._box("Depth of the Delta column", [(f"Δ {each:g} %", each) for each in DEPTHS_PCT])
        self.depth_box.setToolTip("Depth of the Delta column; it holds for every scanner on screen")
        self.depth_box.activated.connect(
            lambda _index: self._take(lambda: model.set_depth(self.depth_box.currentData()))
        )
        self.venues = {venue: self._chip(venue.full_name) for venue in Venue}
        for venue, chip in self.venues.items():
            chip.setVisible(venue.has_books)  # others are offered once there are rows
        self.kinds = {kind: self._chip(kind.value) for kind in BOOK_KINDS}
        self.filter = FilterBox(self)
        self.filter.committed.connect(self._on_filter)
        self.scans = tool_button(self, "Scans ▾", "Saved scans: columns, sorting and filter under a name")
        self.columns = tool_button(self, "Columns ▾", "Choose the columns")
        self.events = tool_button(self, "Events", "Show or hide the list of events")
        self.events.setCheckable(True)
        self.more = tool_button(self, "⋯", "Copy and export")
        self.count = plain_label(self, "muted")
        self.held = plain_label(self, "warning")
        self.held.setText(HELD)
        self.held.setToolTip(HELD_TIP)
        self.link = LinkButton(self)
        self.fault = QToolButton(self)
        self.fault.setProperty("flat", True)
        self.fault.setToolTip("Click to go to the place in the filter")
        self.fault.setAccessibleName("What is wrong with the filter")
        self.fault.clicked.connect(self._go_to_fault)
        self._first, self._second, self._third = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        self._lay_out()

    def _lay_out(self) -> None:
        for row in (self._first, self._second, self._third):
            row.setSpacing(4)
        heads: list[QWidget] = [self.lists, *self.venues.values(), *self.kinds.values()]
        for widget in heads:
            self._first.addWidget(widget)
        self._filter_at = self._first.count()
        self._first.addStretch(1)
        for widget in (self.held, self.count, self.link):
            self._first.addWidget(widget)
        kept = self.held.sizePolicy()
        kept.setRetainSizeWhenHidden(True)  # the table must not move when the mouse comes over it
        self.held.setSizePolicy(kept)
        self._tools = (self.depth_box, self.minutes_box, self.scans, self.columns, self.events, self.more)
        self._third.addWidget(self.fault)
        self._third.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for row in (self._first, self._second, self._third):
            layout.addLayout(row)
        self._first.setContentsMargins(6, 3, 6, 3)
        self._third.setContentsMargins(6, 0, 6, 0)
        self._is_wide = True
        self._arrange(False)

    def _arrange(self, wide: bool) -> None:
        """Put filter and tools into the first line or into a second one."""
        if wide == self._is_wide:
            return
        self._is_wide = wide
        source, target = (self._second, self._first) if wide else (self._first, self._second)
        for widget in (self.filter, *self._tools):
            source.removeWidget(widget)
        at = self._filter_at if wide else 0
        target.insertWidget(at, self.filter, 100)
        at = target.indexOf(self.link) if wide else 1
        for index, tool in enumerate(self._tools):
            target.insertWidget(at + index, tool)
        margins = (0, 0, 0, 0) if wide else (6, 0, 6, 3)
        self._second.setContentsMargins(*margins)

    def _box(self, name: str, entries: list[tuple[str, object]]) -> QComboBox:
        box = QComboBox(self)
        box.setAccessibleName(name)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(max(len(text) for text, _ in entries) - 4)
        for text, value in entries:
            box.addItem(text, value)
        return box

    def _chip(self, text: str) -> QToolButton:
        chip = tool_button(self, text, f"Show or hide {text}")
        chip.setStyleSheet("padding: 2px 4px;")
        chip.setCheckable(True)
        chip.setChecked(True)
        chip.clicked.connect(self._on_chip)
        return chip

    # -- showing -------------------------------------------------------------------------------------------------

    def show_model(self) -> None:
        """Show what is chosen, without announcing it."""
        model = self._model
        self.lists.setCurrentIndex(list(LISTS).index(model.quick))
        self.lists.setToolTip(LISTS[model.quick].help)
        self.minutes_box.setCurrentIndex(MINUTES.index(model.events.minutes))
        self.depth_box.setCurrentIndex(DEPTHS_PCT.index(model.books.depth_pct))
        for venue, chip in self.venues.items():
            chip.setChecked(venue in model.venues)
            if not venue.has_books:
                chip.setVisible(model.has_rows(venue))
        for kind, chip in self.kinds.items():
            chip.setChecked(kind in model.kinds)
        shown, total = len(model), model.total
        self.count.setText(f"{total:,}" if shown == total else f"{shown:,} of {total:,}")
        self.count.setToolTip(f"{shown:,} of {total:,} instruments are shown")
        fault = model.fault
        self.filter.show_fault(fault is not None)
        self.fault.setVisible(fault is not None)
        if fault is not None:
            kept = f"; still showing “{model.filter_in_force}”" if model.filter_in_force else ""
            self.fault.setText(f"⚠ {fault.sentence()}{kept}")
            self.fault.setStyleSheet(f"QToolButton {{ color: {theme.current().bad}; text-align: left; }}")
        self.held.setVisible(model.is_held)
        scan = model.current_scan()
        self.scans.setText(f"{scan if len(scan) <= 16 else scan[:15] + '…'} ▾" if scan else "Scans ▾")

    def minimumSizeHint(self) -> QSize:
        """Return what two lines need, so that a wide bar may become narrow again."""
        venues = [chip for chip in self.venues.values() if not chip.isHidden()]
        heads = (*venues, *self.kinds.values(), self.held, self.count, self.link)
        gap = self._first.spacing()
        first = LIST_WIDTH + gap + sum(widget.minimumSizeHint().width() + gap for widget in heads)
        second = FILTER_WIDTH + sum(tool.minimumSizeHint().width() + gap for tool in self._tools)
        return QSize(max(first, second) + 16, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put everything into one line where there is room."""
        super().resizeEvent(event)
        self._arrange(self.width() >= ONE_LINE)

    # -- choices -------------------------------------------------------------------------------------------------

    def _take(self, choice: Callable[[], object]) -> None:
        choice()
        self.changed.emit()

    def _on_list(self, _index: int) -> None:
        self._take(lambda: self._model.set_quick(ScanList(self.lists.currentData())))

    def _on_chip(self) -> None:
        venues = [venue for venue, chip in self.venues.items() if chip.isChecked()]
        kinds = [kind for kind, chip in self.kinds.items() if chip.isChecked()]
        self._take(lambda: self._model.set_markets(venues, kinds))

    def _on_filter(self, text: str) -> None:
        self._take(lambda: self._model.set_filter(text))

    def _go_to_fault(self) -> None:
        if self._model.fault is not None:
            self.filter.setFocus()
            self.filter.setCursorPosition(self._model.fault.position)
