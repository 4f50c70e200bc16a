"""`sim`: run a simulated venue and print where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Mapping

from app.domain.errors import FathomError
from app.sim import server


def run_binance(arguments: list[str]) -> int:
    """Run the simulated Binance until it is stopped."""
    parser = argparse.ArgumentParser(prog="fathom sim binance", description="A simulated Binance on this machine.")
    server.add_arguments(parser)
    if not any("--json" in action.option_strings for action in parser._actions):
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
        await server.serve(server.options_from(args), announce, stop)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise FathomError(f"the simulated venue cannot listen: {error.strerror or error}") from error
    return 0
