"""What the palette is opened with: every command, every symbol (recent ones first); where a chosen symbol goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from PySide6.QtWidgets import QWidget

from app.ui.actions import Actions
from app.ui.palette import Entry, Palette
from app.viewmodels.linking import DEFAULT_GROUP, LinkBus

MAX_RECENT: Final = 8


class Search:
    """Asks for commands and symbols over a window. pairs: the coins, best first; recent: those chosen last, the newest
    first; group: the link group of the panel that has the keyboard, None when it has none."""

    def __init__(
        self,
        window: QWidget,
        actions: Actions,
        links: LinkBus,
        *,
        pairs: Callable[[], Sequence[str]],
        group: Callable[[], str | None],
        recent: Sequence[str],
    ) -> None:
        self.recent = list(recent[:MAX_RECENT])
        self.palette: Palette | None = None
        """None before it was used."""
        self._window = window
        self._actions = actions
        self._links = links
        self._pairs = pairs
        self._group_now = group
        self._group = DEFAULT_GROUP

    def ask_command(self) -> None:
        """Offer every command, then every symbol."""
        entries = [
            Entry(
                action.text().replace("&", ""),
                action.shortcut().toString(),
                action.trigger,
                str(action.data() or ""),
            )
            for action in self._actions.all()
            if action.isEnabled() and action.objectName() != "palette"
        ]
        self._ask(entries + self._symbols(), "Type a command or a symbol")

    def ask_symbol(self, text: str = "") -> None:
        """Offer the symbols; the chosen one goes to the panel's link group."""
        self._ask(self._symbols(), "Type a symbol", text)

    def _symbols(self) -> list[Entry]:
        pairs = list(self._pairs())
        recent = [pair for pair in self.recent if pair in pairs]
        ordered = dict.fromkeys([*recent, *pairs])
        return [Entry(pair, "recent" if pair in recent else "", partial(self.pick, pair)) for pair in ordered]

    def _ask(self, entries: Sequence[Entry], placeholder: str, text: str = "") -> None:
        if self.palette is None:
            self.palette = Palette(self._window)
        self._group = self._group_now() or DEFAULT_GROUP
        self.palette.ask(entries, placeholder, text)

    def pick(self, pair: str) -> None:
        """Show a pair in every panel of the present link group."""
        self.recent = [pair, *(other for other in self.recent if other != pair)][:MAX_RECENT]
        self._links.publish(self._group, pair)

    def hide(self) -> None:
        """Put the palette away."""
        if self.palette is not None:
            self.palette.hide()
