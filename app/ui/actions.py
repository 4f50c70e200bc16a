"""Names every command once: menus, shortcuts and the command palette are made from the same QActions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from app.ui import icons


class Actions:
    """The commands of one window, by id."""

    def __init__(self, owner: QWidget) -> None:
        self._owner = owner
        self._actions: dict[str, QAction] = {}

    def add(
        self,
        action_id: str,
        text: str,
        handler: Callable[[], object],
        shortcut: str | None = None,
        icon: str | None = None,
        tip: str = "",
        checkable: bool = False,
    ) -> QAction:
        """Create a command; its handler takes no argument. The shortcut works in every window of the program."""
        action = QAction(text, self._owner)
        action.setObjectName(action_id)
        if icon is not None:
            action.setIcon(icons.icon(icon))
            action.setData(icon)
        if shortcut is not None:
            action.setShortcut(QKeySequence(shortcut))
            action.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)
        if tip:
            action.setStatusTip(tip)
            action.setToolTip(tip)
        action.setCheckable(checkable)
        action.triggered.connect(lambda _checked=False: handler())
        self._owner.addAction(action)
        self._actions[action_id] = action
        return action

    def get(self, action_id: str) -> QAction:
        """Return a command; raise KeyError for an unknown id."""
        return self._actions[action_id]

    def remove(self, action_id: str) -> None:
        """Take a command away."""
        action = self._actions.pop(action_id, None)
        if action is not None:
            self._owner.removeAction(action)
            action.deleteLater()

    def all(self) -> tuple[QAction, ...]:
        """Return every command in the order of creation."""
        return tuple(self._actions.values())

    def restyle(self) -> None:
        """Draw the icons in the colours of the present theme."""
        for action in self._actions.values():
            name = action.data()
            if isinstance(name, str):
                action.setIcon(icons.icon(name))
