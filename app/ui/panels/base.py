"""What every panel promises to the docks and to the frame clock."""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

_MODIFIERS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier


def typed_text(event: QKeyEvent) -> str:
    """Return the letter or digit that was typed without a modifier, "" for every other key."""
    text = event.text()
    return text if len(text) == 1 and text.isalnum() and not event.modifiers() & _MODIFIERS else ""


class Panel(QWidget):
    """A screen in a dock: pulls from its view model when the frame clock says so.

    `title_changed` carries the words after the kind's name in the dock title ("BTCUSDT SPOT"). `typed` carries a
    letter that no child wanted: it opens the symbol search.
    """

    title_changed = Signal(str)
    typed = Signal(str)
    has_own_news = False
    """Whether its news come at other times than the samples of the books: it then has a frame between these too."""

    def revision(self) -> Hashable:
        """Return a value that differs from the last one when there is something new to paint."""
        raise NotImplementedError

    def refresh(self, now_ns: int) -> int | None:
        """Pull and repaint; return the UTC ns of the newest sample now shown, None when none is."""
        raise NotImplementedError

    def set_active(self, active: bool) -> None:
        """Learn that the panel came on screen or left it (for counted subscriptions)."""

    def save_state(self) -> dict[str, object]:
        """Return what must be remembered of this panel, as JSON values."""
        return {}

    def restore_state(self, state: dict[str, object]) -> None:
        """Take a remembered state; unknown or ill-typed entries are ignored."""

    def shut(self) -> None:
        """Let go of every subscription; the panel is about to be destroyed."""

    def focus_target(self) -> QWidget:
        """Return the widget that takes the keyboard when the panel is chosen."""
        return self

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Pass an unclaimed letter on to the symbol search."""
        text = typed_text(event)
        if text:
            self.typed.emit(text)
            event.accept()
        else:
            super().keyPressEvent(event)
