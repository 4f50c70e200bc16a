"""Asks whether the certificate of the Client Portal Gateway may be trusted; it never blocks or trusts by itself."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QFontDatabase
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.ui.panels.common import plain_label
from app.viewmodels.broker_care import BrokerCare, CertificateQuestion, fingerprint_lines

LOOK_MS: Final = 1000
_FIRST: Final = (
    "The gateway shows a certificate that nobody has signed, as it does after every installation. Trust it once, and "
    "from then on no other one is accepted."
)
_CHANGED: Final = (
    "The gateway shows another certificate than the one you trusted. Either it was installed anew, or another program "
    "has taken its port and would get what is meant for the gateway. Nothing is sent to it until you decide."
)
_COMPARE: Final = (
    "To compare: open the gateway's page in the browser, click the lock (or the warning) beside the address, show the "
    "certificate, and look for its SHA-256 fingerprint. Every pair must be the same."
)


class CertificateDialog(QDialog):
    """Shows one certificate; accepted means: trust it. Esc and closing mean: not now."""

    def __init__(self, question: CertificateQuestion, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.question = question
        self.setWindowTitle(f"{question.title}: {'changed' if question.changed else 'new'} certificate")
        self.setModal(False)
        self.setMinimumWidth(520)
        head = plain_label(self, "title")
        head.setText(
            "The certificate of the gateway has CHANGED" if question.changed else "Trust this gateway's certificate?"
        )
        words = self._paragraph(_CHANGED if question.changed else _FIRST)
        look = theme.current()
        if question.changed:
            head.setStyleSheet(f"color: {look.bad};")
            words.setStyleSheet(f"color: {look.warning};")
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        rows: list[tuple[str, QLabel]] = [("Address", self._paragraph(question.address))]
        if question.changed:
            rows.append(("Trusted so far", self._fingerprint(question.old)))
        rows.append(("Shown now" if question.changed else "SHA-256", self._fingerprint(question.new)))
        for line, (name, value) in enumerate(rows):
            label = plain_label(self, "muted")
            label.setText(name)
            value.setAccessibleName(name)
            grid.addWidget(label, line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, line, 1)
        self.buttons = QDialogButtonBox(self)
        self.trust_button = QPushButton("Trust the new one" if question.changed else "Trust", self)
        self.later_button = QPushButton("Not now", self)
        self.page_button = QPushButton("Open the gateway's page", self)
        self.page_button.setToolTip(f"Open {question.address} in the browser, to compare")
        self.buttons.addButton(self.page_button, QDialogButtonBox.ButtonRole.ResetRole)
        self.buttons.addButton(self.trust_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.addButton(self.later_button, QDialogButtonBox.ButtonRole.RejectRole)
        self.trust_button.setAutoDefault(False)
        self.later_button.setDefault(True)  # a careless Enter trusts nothing
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.page_button.clicked.connect(self._open_page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 12)
        layout.setSpacing(10)
        head.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout.addWidget(head)
        layout.addWidget(words)
        layout.addLayout(grid)
        layout.addWidget(self._paragraph(_COMPARE, "muted"))
        layout.addWidget(self.buttons)
        self.later_button.setFocus()

    def _paragraph(self, text: str, role: str = "") -> QLabel:
        label = plain_label(self, role)
        label.setText(text)
        label.setWordWrap(True)
        return label

    def _fingerprint(self, fingerprint: str) -> QLabel:
        label = plain_label(self)
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(theme.FONT_POINTS + 1)
        label.setFont(font)
        label.setText("\n".join(fingerprint_lines(fingerprint)))
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _open_page(self) -> None:
        QDesktopServices.openUrl(QUrl(self.question.address))


class CertificateKeeper(QObject):
    """Looks once a second whether a certificate waits for the user's word, and asks; one question at a time.

    A question whose certificate is gone meanwhile is taken back.
    """

    def __init__(self, care: BrokerCare, window: QWidget) -> None:
        super().__init__(window)
        self._care = care
        self._window = window
        self.dialog: CertificateDialog | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Ask what there is to ask."""
        questions = self._care.questions()
        if self.dialog is not None:
            if self.dialog.question not in questions:
                self._drop()
            return
        if questions:
            self.dialog = CertificateDialog(questions[0], self._window)
            self.dialog.finished.connect(self._on_finished)
            self.dialog.show()

    def _on_finished(self, code: int) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is None:
            return
        if code == QDialog.DialogCode.Accepted.value:
            self._care.trust(dialog.question)
        self._care.not_now(dialog.question)  # trusted or not, this one is not asked about again
        dialog.deleteLater()

    def _drop(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.finished.disconnect(self._on_finished)
            dialog.close()
            dialog.deleteLater()

    def shut(self) -> None:
        """Ask no more, and take back what is asked."""
        self._timer.stop()
        self._drop()
