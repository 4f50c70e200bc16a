"""The simulated Bybit: turns a seed into the venue's v5 public streams and REST, with faults on command."""

from __future__ import annotations

from app.sim.bybit.options import BybitSimOptions, add_arguments, options_from
from app.sim.bybit.server import BybitSim, serve

__all__ = ["BybitSim", "BybitSimOptions", "add_arguments", "options_from", "serve"]
