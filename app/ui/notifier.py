"""Shows notifications outside the window: the system's tray and its alert sound."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from app.ui import icons

_SHOWN_MS = 10_000


class Notifier(QObject):
    """The tray icon; without a tray (or offscreen) only the sound is left, and `available` says so."""

    clicked = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.shown: list[tuple[str, str]] = []
        """The last notifications, newest last, also where no tray can show them."""
        self.sounded = 0
        self._tray: QSystemTrayIcon | None = None
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._tray = QSystemTrayIcon(icons.app_icon(), self)
            self._tray.setToolTip("Fathom")
            self._tray.messageClicked.connect(self.clicked)
            self._tray.activated.connect(lambda _reason: self.clicked.emit())
            self._tray.show()

    @property
    def available(self) -> bool:
        """Whether this desktop can show notifications."""
        return self._tray is not None and QSystemTrayIcon.supportsMessages()

    def show(self, title: str, text: str, *, notify: bool, sound: bool) -> None:
        """Show a notification, sound the alert, or both."""
        if notify:
            self.shown = [*self.shown[-49:], (title, text)]
            if self._tray is not None:
                self._tray.showMessage(title, text, icons.app_icon(), _SHOWN_MS)
        if sound:
            self.sounded += 1
            QApplication.beep()

    def shut(self) -> None:
        """Take the icon away."""
        if self._tray is not None:
            self._tray.hide()
