"""`sim`: run a simulated venue and print where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

from app.domain.errors import FathomError

Announce = Callable[[Mapping[str, str]], None]
Serve = Callable[[argparse.Namespace, Announce, asyncio.Event], Awaitable[None]]


def run_binance(arguments: list[str]) -> int:
    """Run the simulated Binance until it is stopped."""
    from app.sim import server

    return _run(
        "Binance",
        arguments,
        server.add_arguments,
        lambda args, announce, stop: server.serve(server.options_from(args), announce, stop),
    )


def run_bybit(arguments: list[str]) -> int:
    """Run the simulated Bybit until it is stopped."""
    from app.sim import bybit

    return _run(
        "Bybit",
        arguments,
        bybit.add_arguments,
        lambda args, announce, stop: bybit.serve(bybit.options_from(args), announce, stop),
    )


def run_hyperliquid(arguments: list[str]) -> int:
    """Run the simulated Hyperliquid until it is stopped."""
    from app.sim import hyperliquid

    return _run(
        "Hyperliquid",
        arguments,
        hyperliquid.add_arguments,
        lambda args, announce, stop: hyperliquid.serve(hyperliquid.options_from(args), announce, stop),
    )


def _run(
    venue: str, arguments: list[str], add_arguments: Callable[[argparse.ArgumentParser], None], serve_until: Serve
) -> int:
    parser = argparse.ArgumentParser(
        prog=f"fathom sim {venue.lower()}", description=f"A simulated {venue} on this machine."
    )
    add_arguments(parser)
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
        await serve_until(args, announce, stop)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise FathomError(f"the simulated venue cannot listen: {error.strerror or error}") from error
    return 0
