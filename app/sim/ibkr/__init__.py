"""The simulated Interactive Brokers account that the servers of `app.sim.tws` and `app.sim.portal` show.

`world.World` is all of it: instruments, quotes, history, orders, fills, positions, cash, profit and loss.
"""

from __future__ import annotations

from app.sim.ibkr.records import SimBar, SimFill, SimOrder, SimPnl, SimPosition, SimPositionPnl, SimQuote, SimValue
from app.sim.ibkr.world import Changes, World

__all__ = [
    "Changes",
    "SimBar",
    "SimFill",
    "SimOrder",
    "SimPnl",
    "SimPosition",
    "SimPositionPnl",
    "SimQuote",
    "SimValue",
    "World",
]
