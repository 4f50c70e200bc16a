"""The buttons for what only the user can do for a connection to a broker, and a banner that says what is needed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.domain.account import Source
from app.ui import theme
from app.ui.panels.common import plain_label
from app.viewmodels.broker_care import BrokerCare, Care, Need

SURE_MS: Final = 4000
_TIPS: Final = {
    Care.LOGIN: "Open the gateway's login page in the browser",
    Care.TRUST: "See the certificate that waits, and trust it or not",
    Care.TAKE_OVER: "Push the other login out, so that this program gets the live data; asks once more",
    Care.WAKE: "Try to connect at once instead of waiting",
}


class CareButtons(QWidget):
    """A row of what can be offered for one source; pushing another login out needs a second click."""

    def __init__(self, care: BrokerCare, source: Source, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._care = care
        self._source = source
        self._offers: tuple[Care, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.buttons: dict[Care, QPushButton] = {}
        for offer in Care:
            button = QPushButton(offer.value, self)
            button.setToolTip(_TIPS[offer])
            button.setAccessibleName(f"{offer.value}: {source.full_name}")
            button.clicked.connect(lambda _checked=False, offer=offer: self._on_clicked(offer))
            button.hide()
            row.addWidget(button)
            self.buttons[offer] = button
        self._sure = QTimer(self)
        self._sure.setSingleShot(True)
        self._sure.setInterval(SURE_MS)
        self._sure.timeout.connect(self._calm)
        self.hide()

    def show_offers(self, offers: tuple[Care, ...]) -> None:
        """Show the buttons that make sense now."""
        if offers == self._offers:
            return
        self._offers = offers
        for offer, button in self.buttons.items():
            button.setVisible(offer in offers)
        self.setVisible(bool(offers))

    def _on_clicked(self, offer: Care) -> None:
        match offer:
            case Care.LOGIN:
                QDesktopServices.openUrl(QUrl(self._care.login_url(self._source)))
            case Care.TRUST:
                self._care.ask_again(self._source)
            case Care.WAKE:
                self._care.wake(self._source)
            case Care.TAKE_OVER if self._sure.isActive():
                self._calm()
                self._care.take_over(self._source)
            case Care.TAKE_OVER:
                self.buttons[offer].setText("Really take over?")
                self._sure.start()

    def _calm(self) -> None:
        self._sure.stop()
        self.buttons[Care.TAKE_OVER].setText(Care.TAKE_OVER.value)


class BrokerBanner(QWidget):
    """Says above a panel what a broker's connection needs of the user; hidden while nothing is needed.

    The owner calls `poll` at least once a second.
    """

    def __init__(self, care: BrokerCare, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._care = care
        self._lines: dict[Source, tuple[QFrame, QLabel, CareButtons]] = {}
        self._shown: tuple[tuple[Need, str], ...] = ()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        theme.notifier().changed.connect(self._restyle)
        self.hide()

    def poll(self, sources: Collection[Source], said: str = "") -> None:
        """Show what these sources need now. said: what the owner says itself; a need that is in it is not said again,
        only its buttons are shown."""
        shown = tuple((need, _words(need, said)) for need in self._care.needs() if need.source in sources)
        shown = tuple((need, words) for need, words in shown if words)
        if shown == self._shown:
            return
        self._shown = shown
        wanted = {need.source for need, _ in shown}
        for source, (line, _, _) in self._lines.items():
            line.setVisible(source in wanted)
        for need, words in shown:
            line, label, buttons = self._lines.get(need.source) or self._add(need.source)
            label.setText(words)
            label.setAccessibleName(words)
            buttons.show_offers(need.offers)
            line.show()
        self.setVisible(bool(shown))

    def _add(self, source: Source) -> tuple[QFrame, QLabel, CareButtons]:
        line = QFrame(self)
        label = plain_label(line)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons = CareButtons(self._care, source, line)
        row = QHBoxLayout(line)
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(8)
        row.addWidget(label, 1)
        row.addWidget(buttons)
        self._column.addWidget(line)
        self._lines[source] = line, label, buttons
        self._restyle(theme.current())
        return self._lines[source]

    def shut(self) -> None:
        """Let go of the theme."""
        theme.notifier().changed.disconnect(self._restyle)

    @property
    def text(self) -> str:
        """Return what is said now, one line a source."""
        return "\n".join(words for _, words in self._shown)

    def _restyle(self, look: theme.Theme) -> None:
        for line, label, _ in self._lines.values():
            line.setStyleSheet(f"QFrame {{ background: {look.raised}; border-left: 3px solid {look.warning}; }}")
            label.setStyleSheet(f"border: 0; color: {look.text};")


def _words(need: Need, said: str) -> str:
    """Return the words beside the buttons of a need, "" when there is nothing to add to what is said."""
    if need.sentence not in said:
        return f"{need.title}: {need.sentence}"
    return f"{need.title} needs you" if need.offers else ""
