"""One service of the connection doctor: its light, and a line per check with cause and what to do."""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QLayoutItem, QPushButton, QVBoxLayout, QWidget

from app.ui import theme
from app.ui.panels.common import plain_label
from app.viewmodels import formats
from app.viewmodels.doctor import LIGHTS, WORDS, Finding, Service, State

MARKS: Final = {State.OK: "●", State.WARN: "◐", State.FAIL: "■", State.OFF: "○", State.UNKNOWN: "◌"}
CHECK_WIDTH: Final = 92
_FINGERPRINT: Final = re.compile(r"\b(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\b")
"""Hex pairs are one word to a label: it may break them at a colon."""


class ServiceCard(QFrame):
    """Shows one service; what it says can be selected with the mouse."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._service: Service | None = None
        self._title = plain_label(self, "title")
        self._title.setText(name)
        self._state = plain_label(self)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._state)
        head.addWidget(self._title)
        head.addStretch(1)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(2, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnMinimumWidth(1, CHECK_WIDTH)
        self._grid.setColumnStretch(2, 1)
        rule = QFrame(self)
        rule.setProperty("role", "rule")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addLayout(self._grid)
        layout.addSpacing(3)
        layout.addWidget(rule)

    def show_service(self, service: Service) -> None:
        """Take the rows of a service."""
        if service == self._service:
            return
        known, self._service = self._service, service
        if known is None or known.rows != service.rows:
            self._fill(service)
        self._colour()

    def _fill(self, service: Service) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            _discard(item)
        line = 0
        for finding in service.rows:
            line = self._add(finding, line)

    def _add(self, finding: Finding, line: int) -> int:
        """Put a row into the grid; return the next free line."""
        colour = theme.current().light(LIGHTS[finding.state])
        mark, check = plain_label(self), plain_label(self, "muted")
        mark.setText(MARKS[finding.state])
        mark.setStyleSheet(f"color: {colour};")
        mark.setToolTip(WORDS[finding.state])
        mark.setAccessibleName(f"{finding.check}: {WORDS[finding.state]}")
        check.setText(finding.check)
        cause = self._words(finding.cause)
        took = plain_label(self, "muted")
        took.setText("" if finding.took_ms is None else formats.milliseconds(finding.took_ms))
        took.setToolTip("" if finding.took_ms is None else "How long the look took")
        top = Qt.AlignmentFlag.AlignTop
        self._grid.addWidget(mark, line, 0, top)
        self._grid.addWidget(check, line, 1, top)
        self._grid.addWidget(cause, line, 2)
        self._grid.addWidget(took, line, 3, top | Qt.AlignmentFlag.AlignRight)
        if finding.advice:
            line += 1
            arrow = plain_label(self, "muted")
            arrow.setText("what to do")
            advice = self._words(finding.advice)
            if finding.state in (State.FAIL, State.WARN):
                advice.setStyleSheet(f"color: {theme.current().warning};")
            else:
                advice.setProperty("role", "muted")
            self._grid.addWidget(arrow, line, 1, top)
            self._grid.addWidget(advice, line, 2, 1, 2)
        if finding.link:
            line += 1
            button = QPushButton("Open the page", self)
            button.setToolTip(f"Open {finding.link} in the browser")
            link = finding.link
            button.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(link)))
            self._grid.addWidget(button, line, 2, 1, 2, Qt.AlignmentFlag.AlignLeft)
        return line + 1

    def _words(self, text: str) -> QLabel:
        label = plain_label(self)
        label.setText(_FINGERPRINT.sub(lambda found: found.group().replace(":", ":\u200b"), text))
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setMinimumWidth(80)
        return label

    def _colour(self) -> None:
        service = self._service
        if service is None:
            return
        look = theme.current()
        if service.pending:
            self._state.setText(formats.PENDING)
            self._state.setToolTip("being looked at")
            self._state.setStyleSheet(f"color: {look.muted};")
        elif not service.rows:
            self._state.setText(MARKS[State.UNKNOWN])
            self._state.setToolTip("not looked at yet")
            self._state.setStyleSheet(f"color: {look.muted};")
        else:
            self._state.setText(MARKS[service.state])
            self._state.setToolTip(WORDS[service.state])
            self._state.setStyleSheet(f"color: {look.light(LIGHTS[service.state])};")
        self._state.setAccessibleName(f"{service.name}: {self._state.toolTip()}")

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        if self._service is not None:
            self._fill(self._service)
            self._colour()


def _discard(item: QLayoutItem) -> None:
    widget = item.widget()
    if widget is not None:
        widget.hide()
        widget.deleteLater()
