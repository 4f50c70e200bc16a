"""The connection doctor: everything the program depends on, how it is, and what to do where it is not well."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.ui.panels.base import Panel
from app.ui.panels.common import plain_label
from app.ui.panels.doctor_card import ServiceCard
from app.ui.statusbar import ElidedLabel
from app.viewmodels.doctor import SERVICES, DoctorModel

NARROW: Final = 460

Spawn = Callable[[Coroutine[Any, Any, Any], str], None]


class DoctorPanel(Panel):
    """Shows and starts the doctor; `spawn` runs a coroutine that ends with the window.

    It looks once by itself, when the sessions are up.
    """

    def __init__(self, model: DoctorModel, spawn: Spawn, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._spawn = spawn
        self._asked = False
        self._cards = {name: ServiceCard(name, self) for name in SERVICES}
        self._summary = ElidedLabel(self)
        self._summary.setAccessibleName("Outcome")
        self._progress = QProgressBar(self)
        self._progress.setTextVisible(False)
        self._progress.setStyleSheet("min-height: 3px; max-height: 3px; border: 0;")
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        self._progress.setAccessibleName("Services looked at")
        self.run_button = QPushButton("Run again", self)
        self.run_button.setToolTip("Look at everything anew; nothing is changed by it")
        self.run_button.clicked.connect(self.run)
        self.copy_button = QPushButton("Copy report", self)
        self.copy_button.setToolTip("Copy all rows as text; account ids, user names, tokens and passwords are masked")
        self.copy_button.clicked.connect(self.copy_report)
        self.filter_box = QCheckBox("Problems only", self)
        self.filter_box.setToolTip("Leave out what is well and what is switched off")
        self.filter_box.toggled.connect(self._on_filter)
        self._nothing = plain_label(self, "muted")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setWordWrap(True)
        holder = QWidget(self)
        holder.setAutoFillBackground(True)
        holder.setBackgroundRole(QPalette.ColorRole.Base)
        self._column = QVBoxLayout(holder)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        for card in self._cards.values():
            self._column.addWidget(card)
        self._column.addWidget(self._nothing)
        self._column.addStretch(1)
        self._scroll = QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidget(holder)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._lay_out()
        self._restyle(theme.current())
        theme.notifier().changed.connect(self._restyle)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for widget in (self.filter_box, self.copy_button, self.run_button):
            buttons.addWidget(widget)
        head = self._head
        head.setContentsMargins(8, 6, 8, 4)
        head.setSpacing(6)
        head.addWidget(self._summary, 1)
        head.addLayout(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._progress)
        layout.addWidget(self._scroll, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the buttons beneath the outcome where there is little width."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        direction = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._head.direction() != direction:
            self._head.setDirection(direction)

    # -- work ----------------------------------------------------------------------------------------------------

    def set_active(self, active: bool) -> None:
        """Ask for a first look when the panel is on screen."""
        if active:
            self._model.want()
            self._begin()

    def _begin(self) -> None:
        if self._model.first_look_due:
            self.run()

    def run(self) -> None:
        """Look at everything."""
        if not self._asked and not self._model.running:
            self._asked = True
            self._spawn(self._run(), "connection doctor")

    async def _run(self) -> None:
        try:
            await self._model.run()
        finally:
            self._asked = False

    def copy_report(self) -> None:
        """Put the report on the clipboard."""
        QGuiApplication.clipboard().setText(self._model.report())
        self.copy_button.setText("Copied")
        QTimer.singleShot(1500, self.copy_button, lambda: self.copy_button.setText("Copy report"))

    def _on_filter(self, on: bool) -> None:
        self._model.show_problems_only(on)
        self._show()

    # -- showing -------------------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Tell whether a service is done, the first look is due, or a session has come or gone since the last."""
        return self._model.revision, self._model.first_look_due, self._model.changed

    def refresh(self, now_ns: int) -> int | None:
        """Show the rows that are there; begin a first look that is due."""
        self._begin()
        self._show()
        return None

    def _show(self) -> None:
        model = self._model
        services = model.services
        shown = {service.name: service for service in services}
        for name, card in self._cards.items():
            if name in shown:
                card.show_service(shown[name])
            card.setVisible(name in shown)
        self._nothing.setVisible(not services)
        self._nothing.setText("" if services else f"\nNothing to show: {model.summary}.")
        done, total = model.progress
        self._progress.setMaximum(total)
        self._progress.setValue(done if model.running else 0)
        self._progress.setVisible(model.running)
        self.run_button.setEnabled(not model.running)
        self.run_button.setText("Run" if model.ended_ns is None else "Run again")
        self.copy_button.setEnabled(bool(model.findings))
        self._summary.setText(model.summary)
        self._summary.setToolTip(model.summary)
        self._summary.setStyleSheet(f"color: {theme.current().light(model.light)};")

    def _restyle(self, _look: theme.Theme) -> None:
        for card in self._cards.values():
            card.restyle()
        self._show()

    @property
    def summary_text(self) -> str:
        """Return the outcome as it is shown."""
        return self._summary.text()

    def focus_target(self) -> QWidget:
        """Give the keyboard to the button that runs it."""
        return self.run_button

    def shut(self) -> None:
        """Let go of the theme."""
        theme.notifier().changed.disconnect(self._restyle)

    def save_state(self) -> dict[str, object]:
        """Return the filter."""
        return {"problems_only": self._model.problems_only}

    def restore_state(self, state: dict[str, object]) -> None:
        """Take a stored filter."""
        if isinstance(state.get("problems_only"), bool):
            self.filter_box.setChecked(state["problems_only"] is True)
