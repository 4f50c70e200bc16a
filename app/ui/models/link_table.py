"""Turns the connections of all feeds into a small table."""

from __future__ import annotations

from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush, QColor

from app.ui import theme
from app.viewmodels import formats
from app.viewmodels.feeds import FeedRow, LinkRow

_Index = QModelIndex | QPersistentModelIndex

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)

HEADER: Final = ("Connection", "State", "Msg/s", "Age", "Latency", "Reconn.", "Bad", "Streams")
TIPS: Final = (
    "Name of the connection",
    "State of the connection",
    "Messages per second, over 3 s",
    "Time since the last message",
    "Receive time minus the venue's event time, corrected by the clock offset when known",
    "Reconnects since the start",
    "Frames that were not understood and left out",
    "Streams subscribed on this connection",
)


class LinkTable(QAbstractTableModel):
    """One row per connection."""

    def __init__(self) -> None:
        super().__init__()
        self._links: tuple[LinkRow, ...] = ()
        self._brushes: dict[str, QBrush] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        self._brushes = {word: QBrush(QColor(look.light(word))) for word in ("grey", "amber", "green", "red")}

    def show_feeds(self, feeds: tuple[FeedRow, ...]) -> None:
        """Take the connections of these feeds."""
        links = tuple(link for feed in feeds for link in feed.links)
        if len(links) != len(self._links):
            self.beginResetModel()
            self._links = links
            self.endResetModel()
        elif links:
            self._links = links
            self.dataChanged.emit(self.index(0, 0), self.index(len(links) - 1, len(HEADER) - 1))

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return the number of connections."""
        return 0 if parent is not None and parent.isValid() else len(self._links)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(HEADER)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == _DISPLAY:
            return HEADER[section]
        if role == _TIP:
            return TIPS[section]
        if role == _ALIGN:
            return _LEFT if section < 2 else _RIGHT
        return None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows."""
        link = self._links[index.row()]
        if role == _DISPLAY:
            return cells_of(link)[index.column()]
        if role == _ALIGN:
            return _LEFT if index.column() < 2 else _RIGHT
        if role == _FOREGROUND and index.column() == 1:
            return self._brushes[link.light]
        if role == _TIP:
            return tip_of(link)
        return None


def cells_of(link: LinkRow) -> tuple[str, ...]:
    """Return the texts of a connection."""
    return (
        link.name,
        link.word,
        formats.UNKNOWN if link.rate is None else f"{link.rate:,.0f}",
        formats.age(link.age_ns),
        formats.milliseconds(link.latency_ms),
        formats.count(link.reconnects),
        formats.count(link.bad_frames),
        formats.count(link.streams),
    )


def tip_of(link: LinkRow) -> str:
    """Return everything that is known of a connection, in words."""
    lines = [f"{link.name}: {link.word}"]
    if link.reason:
        lines.append(link.reason)
    if link.retry_in_ns is not None:
        lines.append(f"next try in {formats.age(link.retry_in_ns)}")
    if link.up_ns is not None:
        lines.append(f"connected for {formats.age(link.up_ns)}")
    lines.append(f"{formats.count(link.frames)} messages, {formats.volume(link.bytes)}B")
    lines.append(link.url)
    return "\n".join(lines)
