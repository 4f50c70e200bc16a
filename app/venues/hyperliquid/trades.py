"""Trades once each: the venue repeats recent ones whenever a subscription begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from app.venues.hyperliquid.messages import TradeData

_REMEMBERED: Final = 500


class FreshTrades:
    """Remembers the ids of the newest trades of every coin. `repeated` counts what was left out."""

    def __init__(self) -> None:
        self.repeated = 0
        self._order: dict[str, deque[int]] = {}
        self._known: dict[str, set[int]] = {}

    def of(self, trades: Sequence[TradeData]) -> list[TradeData]:
        """Return the trades that were not seen before, in their order."""
        fresh = []
        for trade in trades:
            known = self._known.setdefault(trade.coin, set())
            if trade.tid in known:
                self.repeated += 1
                continue
            order = self._order.setdefault(trade.coin, deque())
            if len(order) == _REMEMBERED:
                known.discard(order.popleft())
            order.append(trade.tid)
            known.add(trade.tid)
            fresh.append(trade)
        return fresh
