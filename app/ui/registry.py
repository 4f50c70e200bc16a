"""The kinds of panels that can be opened; free of the dock library, so that the window can be shown before it loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.ui.panels.base import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelKind:
    """Something that can be opened. factory builds a fresh panel with its view model inside."""

    id: str
    title: str
    factory: Callable[[], Panel]
    icon: str
    multiple: bool = False


class PanelRegistry:
    """The kinds of panels this program has."""

    def __init__(self, kinds: Sequence[PanelKind] = ()) -> None:
        self._kinds: dict[str, PanelKind] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: PanelKind) -> None:
        """Add a kind; raise ValueError when its id is taken."""
        if kind.id in self._kinds:
            raise ValueError(f"expected a new panel kind, was {kind.id!r} again")
        self._kinds[kind.id] = kind

    def get(self, kind_id: str) -> PanelKind | None:
        """Return the kind of that id, None when there is none."""
        return self._kinds.get(kind_id)

    def kinds(self) -> tuple[PanelKind, ...]:
        """Return all kinds in the order of registration."""
        return tuple(self._kinds.values())
