"""Lets one profile run once: a second start raises the first window and ends."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Final

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

_log = logging.getLogger("fathom.ui.instance")

WAIT_MS: Final = 1000
_RAISE: Final = b"raise\n"


class SingleInstance(QObject):
    """Guards a profile folder. `raised` is emitted when another start asks for the window."""

    raised = Signal()

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = QLockFile(str(folder / "fathom.lock"))
        self._lock.setStaleLockTime(0)
        digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]
        self._name = f"fathom-{digest}"
        self._server: QLocalServer | None = None

    def acquire(self) -> bool:
        """Take the profile; False when another process has it. The lock of a killed process is taken over."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._name)
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        if server.listen(self._name):
            server.newConnection.connect(self._on_connection)
            self._server = server
        else:
            _log.warning("a second start cannot raise this window: %s", server.errorString())
            server.deleteLater()
        return True

    def ask_first_to_raise(self) -> bool:
        """Ask the process that has the profile to show its window; False when it does not answer."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(WAIT_MS):
            return False
        socket.write(_RAISE)
        sent = bool(socket.waitForBytesWritten(WAIT_MS))
        socket.disconnectFromServer()
        return sent

    def _on_connection(self) -> None:
        while self._server is not None and (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(self._on_ready)
            socket.disconnected.connect(socket.deleteLater)
            if socket.bytesAvailable():
                self._read(socket)

    def _on_ready(self) -> None:
        socket = self.sender()
        if isinstance(socket, QLocalSocket):
            self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if bytes(socket.read(64).data()).startswith(_RAISE):
            self.raised.emit()

    def release(self) -> None:
        """Give the profile back."""
        if self._server is not None:
            self._server.close()
            self._server.deleteLater()
            self._server = None
        self._lock.unlock()
