"""The answer to "why this number?": a small window that stays open beside the chart and can be copied as text."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.viewmodels.sources import Explanation
from app.viewmodels.why import explanation_text

_SELECTABLE = Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard


class WhyWindow(QDialog):
    """Shows one explanation at a time; not modal, so the chart goes on."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Why this number?")
        self.setModal(False)
        self.explanation: Explanation | None = None
        self.title, self.formula = QLabel(), QLabel()
        self.title.setFont(theme.ui_font(theme.FONT_POINTS + 1, bold=True))
        self.formula.setProperty("role", "muted")
        for label in (self.title, self.formula):
            label.setWordWrap(True)
            label.setTextInteractionFlags(_SELECTABLE)
        self._facts = QWidget()
        self._facts_grid = QGridLayout(self._facts)
        self._facts_grid.setContentsMargins(0, 4, 0, 4)
        self._facts_grid.setHorizontalSpacing(12)
        self._facts_grid.setVerticalSpacing(2)
        self._facts_grid.setColumnStretch(1, 1)
        self.contributors = _table("Largest contributors")
        self.excluded = _table("Excluded symbols")
        self._contributors_title, self._excluded_title = QLabel("Largest contributors"), QLabel()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy_button = buttons.addButton("Copy as text", QDialogButtonBox.ButtonRole.ActionRole)
        self.copy_button.clicked.connect(self.copy)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(6)
        for widget in (self.title, self.formula, self._facts, self._contributors_title):
            column.addWidget(widget)
        column.addWidget(self.contributors, 3)
        column.addWidget(self._excluded_title)
        column.addWidget(self.excluded, 1)
        column.addWidget(buttons)
        self.resize(520, 460)

    def show_explanation(self, explanation: Explanation) -> None:
        """Show an explanation, opening the window if it is closed."""
        self.explanation = explanation
        self.title.setText(explanation.title)
        self.formula.setText(explanation.formula)
        while self._facts_grid.count():
            item = self._facts_grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for row, (name, value) in enumerate(explanation.facts):
            label, text = QLabel(name), QLabel(value)
            label.setProperty("role", "muted")
            text.setWordWrap(True)
            text.setTextInteractionFlags(_SELECTABLE)
            self._facts_grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            self._facts_grid.addWidget(text, row, 1)
        _fill(self.contributors, explanation.contributor_header, explanation.contributors)
        _fill(self.excluded, ("symbol", "reason"), explanation.excluded)
        self._contributors_title.setVisible(bool(explanation.contributors))
        self.contributors.setVisible(bool(explanation.contributors))
        self._excluded_title.setText(f"Excluded ({len(explanation.excluded)})")
        self._excluded_title.setVisible(bool(explanation.excluded))
        self.excluded.setVisible(bool(explanation.excluded))
        self.show()
        self.raise_()

    def copy(self) -> None:
        """Put the explanation on the clipboard as text."""
        if self.explanation is not None:
            QGuiApplication.clipboard().setText(explanation_text(self.explanation))


def _table(name: str) -> QTableWidget:
    table = QTableWidget()
    table.setAccessibleName(name)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setShowGrid(False)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(theme.ROW_HEIGHT)
    return table


def _fill(table: QTableWidget, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    table.clear()
    table.setColumnCount(len(header))
    table.setRowCount(len(rows))
    table.setHorizontalHeaderLabels(list(header))
    for i, row in enumerate(rows):
        for k, text in enumerate(row[: len(header)]):
            item = QTableWidgetItem(text)
            if k and _is_figure(text):
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            table.setItem(i, k, item)
    table.resizeColumnsToContents()
    table.horizontalHeader().setSectionResizeMode(max(0, len(header) - 1), QHeaderView.ResizeMode.Stretch)


def _is_figure(text: str) -> bool:
    return bool(text) and text.lstrip("≥≈ +-−")[:1].isdigit()
