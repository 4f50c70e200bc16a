"""How Bybit's books are asked for over REST while streams cannot be had: whole windows, a few a second."""

from __future__ import annotations

from typing import Final

from app.venues.bybit.api import BybitApi
from app.venues.bybit.urls import book_path

_LIMIT: Final = 1000


class WindowsByRest:
    """`BooksByRest` of one market; at most `per_s` requests a second."""

    def __init__(self, api: BybitApi, per_s: float) -> None:
        self._api = api
        self._pace_s = 1.0 / per_s

    def pace_s(self) -> float:
        """Return the pause between two requests."""
        return self._pace_s

    def wait_s(self) -> float:
        """Return how long REST is stopped: nothing else holds a request back."""
        return self._api.rest.stopped_s()

    def stopped_s(self) -> float:
        """Return for how long REST is stopped."""
        return self._api.rest.stopped_s()

    async def ask(self, symbol: str) -> tuple[str, bytes]:
        """Ask for a window. Raises RestError."""
        path = book_path(self._api.market, symbol, _LIMIT)
        return path, await self._api.window(path)
