"""`sim`: run a simulated venue or broker and print where it listens."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.domain.errors import FathomError


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulator: its name for people, and the module with add_arguments, options_from and serve."""

    title: str
    module: str


SIMULATORS: Final[Mapping[str, Simulated]] = {
    "binance": Simulated("Binance", "app.sim.server"),
    "bybit": Simulated("Bybit", "app.sim.bybit"),
    "hyperliquid": Simulated("Hyperliquid", "app.sim.hyperliquid"),
    "tws": Simulated("TWS", "app.sim.tws"),
    "portal": Simulated("Client Portal", "app.sim.portal"),
    "ibkr": Simulated("Interactive Brokers", "app.sim.ibkr.both"),
}


def run(word: str, arguments: list[str]) -> int:
    """Run a simulator until it is stopped. Raises FathomError when it cannot listen, or was asked for an order."""
    simulated = SIMULATORS[word]
    module: Any = importlib.import_module(simulated.module)
    parser = argparse.ArgumentParser(
        prog=f"fathom sim {word}", description=f"A simulated {simulated.title} on this machine."
    )
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the addresses as one JSON line")
    args = parser.parse_args(arguments)

    def announce(addresses: Mapping[str, str]) -> None:
        if args.json:
            print(json.dumps(dict(addresses)), flush=True)
            return
        for name, address in addresses.items():
            print(f"{name:<10} {address}", flush=True)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            if sys.platform != "win32":
                loop.add_signal_handler(number, stop.set)
        await module.serve(module.options_from(args), announce, stop)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise FathomError(f"the simulated {simulated.title} cannot listen: {error.strerror or error}") from error
    return 0
