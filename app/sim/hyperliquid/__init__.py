"""A simulated Hyperliquid: streams, info endpoint and control address on this machine."""

from app.sim.hyperliquid.options import HyperOptions, add_arguments, options_from
from app.sim.hyperliquid.server import HyperliquidSim, HyperTruth, serve
from app.sim.hyperliquid.venue import HyperLimits

__all__ = ["HyperLimits", "HyperOptions", "HyperTruth", "HyperliquidSim", "add_arguments", "options_from", "serve"]
