"""Turns the clients of the local server into a table."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from app.ui import zone
from app.viewmodels import formats
from app.viewmodels.server import ClientInfo

_Index = QModelIndex | QPersistentModelIndex

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
HEADER: Final = ("Client", "Page", "Since", "Topics", "Frames/s", "Lag", "Left out", "Sent")


class ClientTable(QAbstractTableModel):
    """One row per client."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: tuple[ClientInfo, ...] = ()

    def show_clients(self, clients: tuple[ClientInfo, ...]) -> None:
        """Take the clients."""
        if len(clients) != len(self.clients):
            self.beginResetModel()
            self.clients = clients
            self.endResetModel()
        elif clients:
            self.clients = clients
            self.dataChanged.emit(self.index(0, 0), self.index(len(clients) - 1, len(HEADER) - 1))

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of clients."""
        return 0 if parent is not None and parent.isValid() else len(self.clients)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(HEADER)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == _ALIGN:
            return _LEFT if section < 2 else _RIGHT
        return HEADER[section] if role == _DISPLAY else None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        if role == _ALIGN:
            return _LEFT if index.column() < 2 else _RIGHT
        if role != _DISPLAY:
            return None
        client = self.clients[index.row()]
        return (
            client.address,
            client.path,
            formats.clock_text(client.since_ns, zone.current()),
            formats.count(client.subscriptions),
            f"{client.rate:.1f}",
            formats.milliseconds(client.lag_ms),
            formats.count(client.conflated),
            f"{formats.volume(client.bytes)}B",
        )[index.column()]
