"""Ports of the tick store: who takes ticks, who gives back the last two minutes of them."""

from __future__ import annotations

from typing import Protocol

from app.domain.ids import Market
from app.indicators.groups import Group
from app.indicators.window import DepthWindow
from app.storage.rows import GroupTick, TickBatch, TickWindow


class TickSink(Protocol):
    """Takes ticks; every call is quick and never raises for a store that is away."""

    def put(self, batch: TickBatch) -> None:
        """Take the samples of some symbols of one market at one grid time."""
        ...

    def put_groups(self, tick: GroupTick) -> None:
        """Take all groups of one market at one grid time."""
        ...


class TickSource(Protocol):
    """Gives the ticks of the last two minutes. A symbol that was not sampled for a while has a hole there."""

    def revision(self, market: Market) -> int:
        """Return a number that moves with every batch of the market."""
        ...

    def window(self, market: Market, symbol: str, since_ms: int = 0) -> TickWindow | None:
        """Return the ticks of one symbol at or after `since_ms`, None for an unknown one."""
        ...

    def coin_window(self, market: Market, symbol: str, since_ms: int = 0) -> DepthWindow:
        """Return the same as depth over time, empty for an unknown symbol."""
        ...

    def group_window(self, market: Market, group: Group, since_ms: int = 0) -> DepthWindow:
        """Return the ticks of one group as depth over time; moments without any synced symbol are left out."""
        ...
