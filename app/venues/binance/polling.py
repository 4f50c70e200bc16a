"""How Binance's books are asked for over REST while streams cannot be had: 100 levels, with a share of the weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.venues.binance.api import MarketApi
from app.venues.binance.urls import depth_weight
from app.venues.rest import UnknownSymbolError

LIMIT: Final = 100
_MINUTE_S: Final = 60.0


class DepthByRest:
    """`BooksByRest` of one market. share: of the weight a minute that may be spent. on_unknown: told of a symbol that
    the venue does not know any more, with its words."""

    def __init__(self, api: MarketApi, share: float, on_unknown: Callable[[str, str], None]) -> None:
        self._api = api
        self._share = share
        self._on_unknown = on_unknown

    def pace_s(self) -> float:
        """Return the pause that spreads the allowance over the minute."""
        weight = depth_weight(self._api.market, LIMIT)
        return _MINUTE_S * weight / max(weight, self._api.rest.budget.limit * self._share)

    def wait_s(self) -> float:
        """Return how long the allowance makes the next request wait."""
        return self._api.depth_wait_s(LIMIT, self._share)

    def stopped_s(self) -> float:
        """Return for how long REST is stopped."""
        return self._api.rest.stopped_s()

    async def ask(self, symbol: str) -> tuple[str, bytes]:
        """Ask for the depth. Raises RestError."""
        path = self._api.depth_path(symbol, LIMIT)
        try:
            return path, await self._api.depth(path, LIMIT)
        except UnknownSymbolError as error:
            self._on_unknown(symbol, str(error))
            raise
