"""Colour link groups: picking a pair in one panel drives every panel of the same colour.

Pairs are named as on the spot market ("BTCUSDT"); each subscriber turns them into its own market's symbol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LINK_GROUPS: Final[tuple[str, ...]] = ("A", "B", "C", "D", "E")
DEFAULT_GROUP: Final = "A"


class LinkBus:
    """Carries the picked pair of each group and remembers it for panels that join later."""

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[int, Callable[[str], None]]] = {}
        self._pairs: dict[str, str] = {}
        self._next_token = 0

    def current(self, group: str) -> str | None:
        """Return the pair last picked in the group, None when none was."""
        return self._pairs.get(group)

    def groups(self) -> dict[str, str]:
        """Return the picked pair of every group that has one."""
        return dict(self._pairs)

    def publish(self, group: str, pair: str) -> None:
        """Pick a pair for a group; subscribers hear of it only when it is a new one."""
        if self._pairs.get(group) == pair:
            return
        self._pairs[group] = pair
        for callback in tuple(self._subscribers.get(group, {}).values()):
            callback(pair)

    def subscribe(self, group: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback(pair)` at every pick of the group; return a function that ends it (may be called twice)."""
        token = self._next_token
        self._next_token += 1
        members = self._subscribers.setdefault(group, {})
        members[token] = callback

        def unsubscribe() -> None:
            members.pop(token, None)

        return unsubscribe

    def subscriber_count(self, group: str) -> int:
        """Return how many listeners a group has."""
        return len(self._subscribers.get(group, {}))
