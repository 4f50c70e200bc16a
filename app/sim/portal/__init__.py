"""The simulated Client Portal Gateway: the account of `app.sim.ibkr` over https and wss, with faults on command."""

from __future__ import annotations

from app.sim.portal.options import PortalSimOptions, add_arguments, options_from
from app.sim.portal.pacing import PortalLimits
from app.sim.portal.server import OrderRequestedError, PortalSim, serve

__all__ = [
    "OrderRequestedError",
    "PortalLimits",
    "PortalSim",
    "PortalSimOptions",
    "add_arguments",
    "options_from",
    "serve",
]
