"""The Server panel: the local server's switch, link and QR code, and the clients that read from it."""

from __future__ import annotations

import io
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final

import segno
from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.ui import theme
from app.ui.models.client_table import ClientTable
from app.ui.panels.base import Panel
from app.ui.panels.common import QuietTable, plain_label, push_button
from app.viewmodels import formats
from app.viewmodels.server import VIEWS, ServerModel

QR_SIZE: Final = 148
WIDTHS: Final = (130, 150, 76, 62, 76, 76, 76, 84)
OFF: Final = (
    "The local server is off. Switched on, a browser on this machine can show charts, scanner and feeds on a second "
    "screen. It is view-only and asks for the token in the link."
)

Spawn = Callable[[Coroutine[Any, Any, Any], str], None]


class ServerPanel(Panel):
    """Shows and switches the local server; `spawn` runs a coroutine that ends with the window."""

    def __init__(self, model: ServerModel, spawn: Spawn, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._spawn = spawn
        self._drawn = ""
        self.switch = QCheckBox("Local server", self)
        self.switch.setToolTip("Serve charts, scanner and feeds to a browser of yours")
        self.switch.clicked.connect(self._on_switch)
        self._state = plain_label(self, "muted")
        self._state.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._interval = QDoubleSpinBox(self)
        self._interval.setAccessibleName("Seconds between updates")
        self._interval.setToolTip("How often changes are sent")
        self._interval.setRange(0.1, 1.0)
        self._interval.setSingleStep(0.1)
        self._interval.setDecimals(1)
        self._interval.setSuffix(" s")
        self._interval.setValue(model.interval_s)
        self._interval.valueChanged.connect(model.set_interval)
        self._view = QComboBox(self)
        self._view.setAccessibleName("Page to link")
        for name, query in VIEWS:
            self._view.addItem(name, query)
        self._view.activated.connect(self._on_view)
        self._link = QLineEdit(self)
        self._link.setReadOnly(True)
        self._link.setAccessibleName("Link without its token")
        self._link.setToolTip("The token is left out here; “Copy link” and the QR code hold it")
        self.copy_button = push_button(self, "Copy link", "Copy the link with its token", self.copy_link)
        self._open = push_button(self, "Open", "Open the page in the browser", self._on_open)
        self._renew = push_button(self, "New token", "End every link and cookie given out so far", self._on_renew)
        self._qr = QLabel(self)
        self._qr.setFixedSize(QR_SIZE, QR_SIZE)
        self._qr.setAccessibleName("QR code of the link")
        self._warning = plain_label(self)
        self._warning.setWordWrap(True)
        self._words = plain_label(self, "muted")
        self._words.setWordWrap(True)
        self.client_view = QuietTable(self)
        self._clients = ClientTable()
        self._clients.setParent(self)
        self.client_view.show_model(self._clients, "Clients", WIDTHS)
        self._lay_out()
        self._restyle(theme.current())
        theme.notifier().changed.connect(self._restyle)
        self._show()

    def _lay_out(self) -> None:
        first, second, third = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.switch)
        first.addWidget(self._state, 1)
        first.addWidget(QLabel("every", self))
        first.addWidget(self._interval)
        second.addWidget(self._view)
        second.addWidget(self._link, 1)
        for button in (self.copy_button, self._open, self._renew):
            third.addWidget(button)
        third.addStretch(1)
        left = QVBoxLayout()
        left.setSpacing(6)
        for part in (first, second, third):
            part.setSpacing(6)
            left.addLayout(part)
        left.addWidget(self._warning)
        left.addWidget(self._words)
        left.addStretch(1)
        top = QHBoxLayout()
        top.setContentsMargins(8, 6, 8, 6)
        top.setSpacing(10)
        top.addLayout(left, 1)
        top.addWidget(self._qr, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.client_view, 1)

    # -- showing -------------------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Read the server's state now and then and tell whether it has moved."""
        self._model.poll()
        return self._model.revision

    def refresh(self, now_ns: int) -> int | None:
        """Show the server as it is."""
        self._show()
        return None

    def _show(self) -> None:
        status = self._model.status
        look = theme.current()
        self.switch.setChecked(status.running)
        count = len(status.clients)
        words = f"on at {status.address} · {count} client{'' if count == 1 else 's'}" if status.running else "off"
        self._state.setText(words)
        for widget in (self.copy_button, self._open, self._renew, self._view, self._link, self._qr):
            widget.setVisible(status.running)
        self._link.setText(self._model.shown_link)
        fault = status.error or status.warning
        self._warning.setText(fault)
        self._warning.setVisible(bool(fault))
        self._warning.setStyleSheet(f"color: {look.bad if status.error else look.warning};")
        self._words.setText(self._sent_words() if status.running else OFF)
        self.client_view.setVisible(status.running)
        self._clients.show_clients(status.clients)
        self._draw_code(self._model.link)

    def _sent_words(self) -> str:
        status = self._model.status
        sent = f"{formats.count(status.frames)} frames, {formats.volume(status.bytes)}B sent"
        away = self._model.turned_away()
        return f"{sent} · turned away: {away}" if away else sent

    def _draw_code(self, link: str) -> None:
        """Draw the link as a QR code, black on white in every theme so that any camera reads it."""
        if link == self._drawn:
            return
        self._drawn = link
        if not link:
            self._qr.clear()
            return
        buffer = io.BytesIO()
        segno.make(link, micro=False, error="m").save(buffer, kind="png", scale=4, border=3)
        pixmap = QPixmap()
        pixmap.loadFromData(buffer.getvalue())
        ratio = self.devicePixelRatioF()
        side = round(QR_SIZE * ratio)
        mode = Qt.TransformationMode.FastTransformation
        scaled = pixmap.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, mode)
        scaled.setDevicePixelRatio(ratio)
        self._qr.setPixmap(scaled)

    def _restyle(self, _look: theme.Theme) -> None:
        self._show()

    # -- work ----------------------------------------------------------------------------------------------------

    def _on_switch(self, on: bool) -> None:
        self.switch.setChecked(not on)  # shown when it is so
        self._run(self._model.switch(on), "switch the local server")

    def _on_renew(self) -> None:
        self._run(self._model.renew_token(), "new token")

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        async def then_show() -> None:
            await work
            self._show()

        self._spawn(then_show(), name)

    def _on_view(self, index: int) -> None:
        self._model.view = str(self._view.itemData(index))
        self._show()

    def copy_link(self) -> None:
        """Put the link with its token on the clipboard."""
        if self._model.link:
            QGuiApplication.clipboard().setText(self._model.link)
            self.copy_button.setText("Copied")
            QTimer.singleShot(1500, self.copy_button, lambda: self.copy_button.setText("Copy link"))

    def _on_open(self) -> None:
        QDesktopServices.openUrl(QUrl(self._model.link))

    @property
    def state_text(self) -> str:
        """Return what is said of the server's state."""
        return self._state.text()

    @property
    def link_text(self) -> str:
        """Return the link as it is shown, without its token."""
        return self._link.text()

    @property
    def warning_text(self) -> str:
        """Return what is wrong or to be known, "" when nothing is."""
        return self._warning.text()

    @property
    def qr_pixmap(self) -> QPixmap:
        """Return the QR code, a null pixmap while there is no link."""
        return self._qr.pixmap()

    def focus_target(self) -> QWidget:
        """Give the keyboard to the switch."""
        return self.switch

    def shut(self) -> None:
        """Let go of the theme."""
        theme.notifier().changed.disconnect(self._restyle)

    def save_state(self) -> dict[str, object]:
        """Return the chosen page."""
        return {"view": self._model.view}

    def restore_state(self, state: dict[str, object]) -> None:
        """Take a stored page."""
        index = self._view.findData(state.get("view"))
        if index >= 0:
            self._view.setCurrentIndex(index)
            self._on_view(index)
