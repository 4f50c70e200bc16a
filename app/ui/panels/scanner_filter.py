"""The scanner's filter box: words or a condition, with column names to complete and the place of a fault."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QModelIndex, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView, QWidget

from app.ui import theme
from app.viewmodels.scanner_filter import COMPLETIONS, EXAMPLE, word_before

TYPING_MS: Final = 250
_WORD: Final = Qt.ItemDataRole.UserRole
_POPUP_WIDTH: Final = 460
_LEAST: Final = 2


class FilterBox(QLineEdit):
    """Announces the text once typing pauses, at once on Enter."""

    committed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(f"Filter: words, or a condition such as  {EXAMPLE}")
        self.setAccessibleName("Filter the instruments")
        self.setToolTip(
            f"Words that the name, venue or market must contain, or a condition:\n{EXAMPLE}\n"
            'venue == "bybit" and symbol contains "PEPE"\nCtrl+Space completes column names; Esc clears'
        )
        self.setClearButtonEnabled(True)
        self.setMaxLength(1000)
        self._sent = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TYPING_MS)
        self._timer.timeout.connect(self.commit)
        self.textChanged.connect(self._on_changed)
        self.editingFinished.connect(self.commit)
        self.textEdited.connect(lambda _text: self.offer(_LEAST))
        words = QStandardItemModel(self)
        for completion in COMPLETIONS:
            item = QStandardItem(f"{completion.word}   {completion.meaning}")
            item.setData(completion.word, _WORD)
            words.appendRow(item)
        self._completer = QCompleter(words, self)
        self._completer.setWidget(self)
        self._completer.setCompletionRole(_WORD)
        self._completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self._completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._popup = QListView(self)
        self._popup.setAccessibleName("Column names")
        self._completer.setPopup(self._popup)
        self._completer.activated[QModelIndex].connect(self._on_completion)  # type: ignore[index] # stub: no overloads

    @property
    def completer_popup(self) -> QWidget:
        """Return the list of words that may be typed."""
        return self._popup

    def show_text(self, text: str) -> None:
        """Show a text without announcing it."""
        self._sent = text
        if self.text() != text:
            self.setText(text)
        self._timer.stop()

    def show_fault(self, faulty: bool) -> None:
        """Frame the box in the colour of a fault, or as usual."""
        self.setStyleSheet(f"QLineEdit {{ border-color: {theme.current().bad}; }}" if faulty else "")

    def _on_changed(self, text: str) -> None:
        if not text:
            self.commit()
        else:
            self._timer.start()

    def commit(self) -> None:
        """Announce the text if it is a new one."""
        self._timer.stop()
        if self.text() != self._sent:
            self._sent = self.text()
            self.committed.emit(self._sent)

    # -- completion ----------------------------------------------------------------------------------------------

    def offer(self, least: int) -> None:
        """Offer words that go on from what stands before the cursor, when that has at least so many letters."""
        _, word = word_before(self.text(), self.cursorPosition())
        self._completer.setCompletionPrefix(word)
        matches = self._completer.completionCount()
        done = matches == 1 and str(self._completer.currentIndex().data(_WORD)).lower() == word.lower()
        if len(word) < least or not matches or done:
            self._popup.hide()
            return
        width = min(_POPUP_WIDTH, max(200, self.window().width() - 40))
        self._completer.complete(QRect(max(0, self.cursorRect().left() - 8), 0, width, self.height()))

    def _on_completion(self, index: QModelIndex) -> None:
        self.insert_word(str(index.data(_WORD)))

    def insert_word(self, word: str) -> None:
        """Put a word in place of the one before the cursor."""
        start, typed = word_before(self.text(), self.cursorPosition())
        self.setSelection(start, len(typed))
        self.insert(f"{word} " if word in ("and", "or", "not", "contains") else word)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Complete on Ctrl+Space, announce on Enter, clear on Esc."""
        if event.key() == Qt.Key.Key_Space and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.offer(0)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.commit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)
            return
        event.accept()
