"""The simulated TWS: turns a simulated account into the socket API of TWS and IB Gateway, with faults on command."""

from __future__ import annotations

from app.sim.tws.options import TwsSimOptions, add_arguments, options_from
from app.sim.tws.server import OrderAttempted, TwsSim, check_orders, serve

__all__ = ["OrderAttempted", "TwsSim", "TwsSimOptions", "add_arguments", "check_orders", "options_from", "serve"]
