"""The command palette and the symbol search: type, see what fits, press Enter; Esc closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLabel, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.ui import icons, theme

WIDTH: Final = 480
ROWS: Final = 12
MAX_HITS: Final = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be chosen: its words, a short hint at the right (a shortcut), what it does."""

    text: str
    hint: str
    run: Callable[[], object]
    icon: str = ""


def score(text: str, query: str) -> int | None:
    """Return how well a text fits a query (higher is better), None when it does not.

    Beginnings beat beginnings of words, those beat parts, and those beat letters in the same order.
    """
    if not query:
        return 0
    low, wanted = text.lower(), query.lower()
    if low.startswith(wanted):
        return 400 - len(low)
    at = low.find(wanted)
    if at >= 0:
        return (300 if low[at - 1] in " :·-/" else 200) - len(low) - at
    position = -1
    for letter in wanted:
        position = low.find(letter, position + 1)
        if position < 0:
            return None
    return 100 - len(low)


def matches(entries: Sequence[Entry], query: str, limit: int = MAX_HITS) -> list[Entry]:
    """Return the entries that fit, best first, in their own order among equals."""
    found = [
        (value, -index, entry) for index, entry in enumerate(entries) if (value := score(entry.text, query)) is not None
    ]
    found.sort(key=lambda item: item[:2], reverse=True)
    return [entry for _, _, entry in found[:limit]]


class Palette(QFrame):
    """A list over the window; one instance serves both the commands and the symbols."""

    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint)
        self.setObjectName("palette")
        self.setProperty("role", "card")
        self._entries: Sequence[Entry] = ()
        self._edit = QLineEdit(self)
        self._edit.setClearButtonEnabled(True)
        self._edit.textChanged.connect(self._fill)
        self._edit.installEventFilter(self)
        self._list = QListWidget(self)
        self._list.setUniformItemSizes(True)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.itemClicked.connect(self._choose)
        self._empty = QLabel("Nothing fits", self)
        self._empty.setProperty("role", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._edit)
        layout.addWidget(self._list)
        layout.addWidget(self._empty)
        self.resize(WIDTH, 44 + ROWS * theme.ROW_HEIGHT)

    def ask(self, entries: Sequence[Entry], placeholder: str, text: str = "") -> None:
        """Open over the window with these entries and a first text."""
        self._entries = entries
        self._edit.setPlaceholderText(placeholder)
        self._edit.setAccessibleName(placeholder)
        self._edit.setText(text)
        self._fill(text)
        window = self.parentWidget()
        if window is not None:
            corner = window.mapToGlobal(QPoint((window.width() - self.width()) // 2, max(40, window.height() // 8)))
            self.move(corner)
        self.show()
        self.raise_()
        self.activateWindow()
        self._edit.setFocus()
        self._edit.end(False)

    def texts(self) -> list[str]:
        """Return the words of the entries now shown."""
        return [self._list.item(row).text().split("\t")[0] for row in range(self._list.count())]

    def _fill(self, query: str) -> None:
        self._list.clear()
        found = matches(self._entries, query.strip())
        for entry in found:
            item = QListWidgetItem(entry.text + (f"\t{entry.hint}" if entry.hint else ""))
            item.setData(Qt.ItemDataRole.UserRole, entry)
            if entry.icon:
                item.setIcon(icons.icon(entry.icon))
            self._list.addItem(item)
        self._list.setVisible(bool(found))
        self._empty.setVisible(not found)
        if found:
            self._list.setCurrentRow(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move in the list, choose and close with the keys of the text field."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            key = event.key()
            row, last = self._list.currentRow(), self._list.count() - 1
            moves = {
                Qt.Key.Key_Down: row + 1,
                Qt.Key.Key_Up: row - 1,
                Qt.Key.Key_PageDown: row + ROWS,
                Qt.Key.Key_PageUp: row - ROWS,
            }
            if key in moves:
                self._list.setCurrentRow(max(0, min(last, moves[Qt.Key(key)])))
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                item = self._list.currentItem()
                if item is not None:
                    self._choose(item)
                return True
            if key == Qt.Key.Key_Escape:
                self.hide()
                return True
        return super().eventFilter(watched, event)

    def _choose(self, item: QListWidgetItem) -> None:
        entry = item.data(Qt.ItemDataRole.UserRole)
        self.hide()
        if isinstance(entry, Entry):
            entry.run()

    def event(self, event: QEvent) -> bool:
        """Close when another window is chosen."""
        if event.type() == QEvent.Type.WindowDeactivate:
            self.hide()
        elif event.type() == QEvent.Type.Hide:
            self.closed.emit()
        return super().event(event)
