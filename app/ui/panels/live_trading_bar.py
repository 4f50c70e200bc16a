"""The upper part of the Live Trading panel: source, paper or live, filters, and the sentences that must be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QDate, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDateEdit,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.account import Source
from app.ui import theme
from app.ui.panels.common import plain_label
from app.viewmodels.live_trading import LiveTradingModel
from app.viewmodels.order_filter import Group, Period
from app.viewmodels.order_notes import Note

ROOMY: Final = 960
"""From this width on everything stands in one row."""
MEDIUM: Final = 560
"""From this width on the filters stand in one row of their own, else in two."""
_NARROWEST: Final = 300


class TradingBar(QWidget):
    """Source and filters; `changed` when one of them was chosen, `more` is the button of the menu."""

    changed = Signal()

    def __init__(self, model: LiveTradingModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._offered: tuple[Source, ...] | None = None
        self.source = QComboBox(self)
        self.source.setAccessibleName("Source of orders")
        self.source.setToolTip("Where orders and executions come from")
        self.source.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.source.activated.connect(self._on_source)
        self.paper = plain_label(self)
        self.paper.setContentsMargins(2, 0, 2, 0)
        self.read_only = plain_label(self, "muted")
        self.read_only.setText("READ-ONLY")
        self.read_only.setToolTip("Fathom shows orders. It has no way to send, alter or withdraw one.")
        self.count = plain_label(self, "muted")
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.more = QToolButton(self)
        self.more.setText("More ▾")
        self.more.setToolTip("Columns, and export of the tables")
        self.more.setAccessibleName("Columns and export")
        self._make_filters()
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        column.setSpacing(4)
        self._rows = [QHBoxLayout() for _ in range(3)]
        for row in self._rows:
            row.setSpacing(4)
            column.addLayout(row)
        self._used = 0
        self._words: tuple[str, ...] = ()
        self._lay_out(1)

    def _make_filters(self) -> None:
        self._buttons = QButtonGroup(self)
        self._buttons.setExclusive(True)
        self.groups: dict[Group, QToolButton] = {}
        for index, group in enumerate(Group):
            button = QToolButton(self)
            button.setText(group.value)
            button.setCheckable(True)
            button.setToolTip(f"Show {group.value.lower()} orders")
            button.setAccessibleName(f"Show {group.value.lower()} orders")
            self._buttons.addButton(button, index)
            self.groups[group] = button
        self._buttons.idClicked.connect(lambda index: self._on_group(tuple(Group)[index]))
        self.text = QLineEdit(self)
        self.text.setPlaceholderText("Filter by symbol, status, reason…")
        self.text.setAccessibleName("Filter orders and executions")
        self.text.setClearButtonEnabled(True)
        self.text.setMinimumWidth(80)
        self.text.setMaximumWidth(260)
        self.text.textChanged.connect(self._on_text)
        self.period = QComboBox(self)
        self.period.setAccessibleName("Days shown")
        self.period.setToolTip("From when orders and executions are shown")
        for period in Period:
            self.period.addItem(period.value, period.value)
        self.period.activated.connect(self._on_period)
        self.day = QDateEdit(QDate.currentDate(), self)
        self.day.setDisplayFormat("yyyy-MM-dd")
        self.day.setCalendarPopup(True)
        self.day.setAccessibleName("Day shown")
        self.day.dateChanged.connect(lambda _date: self._on_period())
        self.day.hide()

    def _lay_out(self, rows: int) -> None:
        """Put all in one row, the filters in a second one, or their words in a third."""
        if rows == self._used:
            return
        self._used = rows
        for row in self._rows:
            while row.takeAt(0) is not None:
                pass
        top, second, third = self._rows[0], self._rows[min(1, rows - 1)], self._rows[rows - 1]
        for widget in (self.source, self.paper, self.read_only):
            top.addWidget(widget)
        if rows == 1:
            top.addSpacing(8)
        for button in self.groups.values():
            second.addWidget(button)
        third.addWidget(self.text, 3)
        third.addWidget(self.period)
        third.addWidget(self.day)
        if rows > 1:
            second.addStretch(1)
        top.addWidget(self.count, 2)
        top.addWidget(self.more)

    def minimumSizeHint(self) -> QSize:
        """Let the panel be narrow: what stands in one row now would stand in several then."""
        return QSize(_NARROWEST, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use as many rows as the width asks for."""
        super().resizeEvent(event)
        self._lay_out(1 if self.width() >= ROOMY else 2 if self.width() >= MEDIUM else 3)

        self._fit_words()

    def show_words(self, words: Sequence[str], tip: str) -> None:
        """Say how many orders are shown and so on: as much of it as there is room for, each part whole."""
        self._words = tuple(words)
        self.count.setToolTip("\n".join(part for part in (" · ".join(words), tip) if part))
        self._fit_words()

    def _fit_words(self) -> None:
        room, fits = self.count.width(), ""
        for count in range(1, len(self._words) + 1):
            text = " · ".join(self._words[:count])
            if self.count.fontMetrics().horizontalAdvance(text) <= room:
                fits = text
        if self.count.text() != fits:
            self.count.setText(fits)

    # -- showing -------------------------------------------------------------------------------------------------

    def show_model(self) -> None:
        """Show the model's choices without announcing them."""
        model = self._model
        self._show_sources()
        self.groups[model.filter.group].setChecked(True)
        if not self.text.hasFocus() and self.text.text().strip() != model.filter.text:
            self.text.setText(model.filter.text)
        self.period.setCurrentIndex(self.period.findData(model.filter.period.value))
        self.day.setVisible(model.filter.period is Period.DAY)
        word = model.paper
        look = theme.current()
        self.paper.setText(word or "account not known")
        colour = look.muted if not word else look.warning if "LIVE" in word else look.good
        self.paper.setStyleSheet(f"color: {colour}; font-weight: {'bold' if word else 'normal'};")
        self.paper.setToolTip(model.paper_why or "Whether this is a paper or a live account is not known yet")
        self.paper.setAccessibleName(f"Account kind: {word or 'not known'}")

    def _show_sources(self) -> None:
        offered = self._model.sources
        if offered != self._offered:
            self._offered = offered
            self.source.clear()
            if len(offered) != 1:
                self.source.addItem(" + ".join(source.full_name for source in offered) or "No source", None)
            for source in offered:
                self.source.addItem(source.full_name, source.value)
            self.source.setEnabled(len(offered) > 1)
        choice = self._model.choice
        self.source.setCurrentIndex(max(0, self.source.findData(choice.value if choice is not None else None)))

    def _on_source(self, index: int) -> None:
        word = self.source.itemData(index)
        self._model.choose(Source(word) if word else None)
        self.changed.emit()

    def _on_group(self, group: Group) -> None:
        self._model.set_group(group)
        self.changed.emit()

    def _on_text(self, text: str) -> None:
        self._model.set_text(text)
        self.changed.emit()

    def _on_period(self, _index: int = 0) -> None:
        date = self.day.date()
        self._model.set_period(Period(self.period.currentData()), date.toPython())  # type: ignore[arg-type]
        self.changed.emit()


class NoteRows(QWidget):
    """Sentences, one below the other; one may offer another source. `offered` carries that source."""

    offered = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._notes: tuple[Note, ...] = ()
        self.labels: list[QLabel] = []
        self.buttons: list[QPushButton] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 2, 8, 4)
        self._column.setSpacing(2)
        self.hide()

    def show_notes(self, notes: Sequence[Note]) -> None:
        """Show these sentences."""
        if tuple(notes) != self._notes:
            self._notes = tuple(notes)
            while len(self.labels) < len(notes):
                self._add_row()
            for row, (label, button) in enumerate(zip(self.labels, self.buttons, strict=True)):
                note = self._notes[row] if row < len(self._notes) else None
                label.setVisible(note is not None)
                button.setVisible(note is not None and note.offer is not None)
                if note is not None:
                    label.setText(note.text)
                    if note.offer is not None:
                        button.setText(f"Show {note.offer.full_name}")
                        button.setAccessibleName(f"Show orders of {note.offer.full_name}")
            self.setVisible(bool(notes))
            self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        for label, note in zip(self.labels, self._notes, strict=False):
            label.setStyleSheet(f"color: {getattr(look, note.tone)};")

    def _add_row(self) -> None:
        row = len(self.labels)
        label = plain_label(self)
        label.setWordWrap(True)
        label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        button = QPushButton(self)
        button.clicked.connect(lambda _checked=False: self._on_offered(row))
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(label, 1)
        line.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        self._column.addLayout(line)
        self.labels.append(label)
        self.buttons.append(button)

    def _on_offered(self, row: int) -> None:
        if row < len(self._notes) and self._notes[row].offer is not None:
            self.offered.emit(self._notes[row].offer)
