"""The Alerts panel: the rules with their switches, and everything that has fired."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSplitter, QVBoxLayout, QWidget

from app.scanner.alerts import AlertRule
from app.ui import theme
from app.ui.models.alert_tables import FiringTable, RuleTable
from app.ui.panels.alert_editor import AlertEditor
from app.ui.panels.base import Panel
from app.ui.panels.common import QuietTable, plain_label, push_button
from app.viewmodels.alerts import AlertsModel

RULE_WIDTHS = (150, 220, 90)
FIRING_WIDTHS = (64, 130)
EMPTY = "No alerts yet. “New…” makes one from a scanner condition, an event, a depth indicator or a feed's state."


class AlertsPanel(Panel):
    """Shows alert rules and their history."""

    def __init__(self, model: AlertsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._editor: AlertEditor | None = None
        self._shown: Hashable = None
        self._rules = RuleTable(model.enable)
        self._rules.setParent(self)
        self.rule_view = self._table(self._rules, RULE_WIDTHS, "Alert rules")
        self.rule_view.activated.connect(self._on_activated)
        self.rule_view.selectionModel().selectionChanged.connect(lambda *_: self._enable_buttons())
        self._rules.modelReset.connect(self._enable_buttons)
        self._firings = FiringTable()
        self._firings.setParent(self)
        self.firing_view = self._table(self._firings, FIRING_WIDTHS, "Alerts that have fired")
        self._new = push_button(self, "New…", "Make an alert", self.add)
        self.edit_button = push_button(self, "Edit…", "Change the chosen alert (Enter)", self.edit)
        self._delete = push_button(self, "Delete", "Delete the chosen alert (Del)", self.delete)
        self._count = plain_label(self, "muted")
        self.empty_note = plain_label(self, "muted")
        self.empty_note.setWordWrap(True)
        self.empty_note.setText(EMPTY)
        self.empty_note.setContentsMargins(10, 10, 10, 10)
        self.filter_field = QLineEdit(self)
        self.filter_field.setPlaceholderText("Filter the history")
        self.filter_field.setAccessibleName("Filter the history")
        self.filter_field.setClearButtonEnabled(True)
        self.filter_field.textChanged.connect(model.set_filter)
        top, middle = QHBoxLayout(), QHBoxLayout()
        for row in (top, middle):
            row.setContentsMargins(6, 4, 6, 4)
            row.setSpacing(4)
        for button in (self._new, self.edit_button, self._delete):
            top.addWidget(button)
        top.addStretch(1)
        top.addWidget(self._count)
        middle.addWidget(self.filter_field, 1)
        upper, lower = QWidget(self), QWidget(self)
        for part, row, widgets in (
            (upper, top, (self.empty_note, self.rule_view)),
            (lower, middle, (self.firing_view,)),
        ):
            column = QVBoxLayout(part)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(0)
            column.addLayout(row)
            for widget in widgets:
                column.addWidget(widget, 0 if widget is self.empty_note else 1)
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(upper)
        self._splitter.addWidget(lower)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._splitter)
        for key, work in ((QKeySequence.StandardKey.Delete, self.delete), (QKeySequence.StandardKey.New, self.add)):
            shortcut = QShortcut(QKeySequence(key), self.rule_view)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(work)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.firing_view)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy)
        theme.notifier().changed.connect(self._restyle)
        self._enable_buttons()

    def _table(self, model: RuleTable | FiringTable, widths: tuple[int, ...], name: str) -> QuietTable:
        view = QuietTable(self)
        view.show_model(model, name, widths)
        header = view.horizontalHeader()
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return view

    # -- showing -------------------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Return what moves with rules and history."""
        return self._model.revision

    def refresh(self, now_ns: int) -> int | None:
        """Show rules and history."""
        lines = self._model.rules()
        self._rules.show_lines(lines)
        self.empty_note.setVisible(not lines)
        self.rule_view.setVisible(bool(lines))
        on = sum(line.rule.enabled for line in lines)
        self._count.setText(f"{on} of {len(lines)} on" if lines else "")
        if self._model.revision[1:] != self._shown:
            self._shown = self._model.revision[1:]
            self._firings.show_firings(self._model.history())
        self._enable_buttons()
        return None

    def _enable_buttons(self) -> None:
        chosen = self._chosen() is not None
        self.edit_button.setEnabled(chosen)
        self._delete.setEnabled(chosen)

    def _chosen(self) -> AlertRule | None:
        rows = self.rule_view.selectionModel().selectedRows()
        return self._rules.rows[rows[0].row()].rule if rows and rows[0].row() < len(self._rules.rows) else None

    def focus_target(self) -> QWidget:
        """Give the keyboard to the rules."""
        return self.rule_view

    # -- work ----------------------------------------------------------------------------------------------------

    def add(self, condition: str = "") -> None:
        """Open the editor on a fresh rule."""
        self.open_editor(self._model.new_rule(condition=condition))

    def edit(self) -> None:
        """Open the editor on the chosen rule."""
        rule = self._chosen()
        if rule is not None:
            self.open_editor(rule)

    def delete(self) -> None:
        """Delete the chosen rule."""
        rule = self._chosen()
        if rule is not None:
            self._model.remove(rule.id)

    def open_editor(self, rule: AlertRule) -> AlertEditor:
        """Show the editor beside the panel, not blocking it."""
        self.close_editor()
        editor = self._editor = AlertEditor(self._model, rule, self)
        editor.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        editor.finished.connect(self._on_editor_closed)
        editor.open()
        return editor

    def close_editor(self) -> None:
        """Close the editor without saving."""
        if self._editor is not None:
            self._editor.close()

    def _on_editor_closed(self) -> None:
        self._editor = None

    def _on_activated(self, index: QModelIndex) -> None:
        if index.isValid():
            self.edit()

    def copy(self) -> None:
        """Put the chosen firings (all, when none is chosen) on the clipboard, one line each."""
        chosen = sorted({index.row() for index in self.firing_view.selectionModel().selectedRows()})
        rows = chosen or range(self._firings.rowCount())
        QGuiApplication.clipboard().setText("\n".join("\t".join(self._firings.cells(row)) for row in rows))

    def _restyle(self, _look: theme.Theme) -> None:
        self._rules.restyle()
        self._firings.restyle()

    def shut(self) -> None:
        """Close the editor and let go of the theme."""
        self.close_editor()
        theme.notifier().changed.disconnect(self._restyle)

    def save_state(self) -> dict[str, object]:
        """Return the sizes of the parts."""
        return {"sizes": self._splitter.sizes()}

    def restore_state(self, state: dict[str, object]) -> None:
        """Take stored sizes."""
        sizes = state.get("sizes")
        if isinstance(sizes, list) and len(sizes) == 2 and all(isinstance(size, int) and size > 0 for size in sizes):
            self._splitter.setSizes(sizes)
