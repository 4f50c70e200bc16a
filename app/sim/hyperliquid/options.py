"""Turns command-line arguments into the options of the simulated Hyperliquid."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.sim.fault_text import TimedFault
from app.sim.hyperliquid.faults import FAULTS, HyperFault, read_fault
from app.sim.hyperliquid.venue import HyperLimits
from app.sim.options import OptionsError

FASTEST_RATE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperOptions:
    """How to run a simulator; `port` P takes P for streams, P+1 for REST and P+2 for control, 0 any free ones.

    `symbols` keeps the first N perpetuals and N spot pairs (None: all), `auto` False leaves the clock to `step()`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbols: int | None = None
    rate: float = 1.0
    faults: tuple[TimedFault[HyperFault], ...] = ()
    auto: bool = True
    die_with_stdin: bool = False
    limits: HyperLimits = field(default_factory=HyperLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    usual = HyperLimits()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="stream port; REST takes the next one, control the one after (0: any)"
    )
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal markets (default: %(default)s)")
    parser.add_argument("--symbols", type=int, metavar="N", help="only the first N perpetuals and N spot pairs")
    parser.add_argument("--rate", type=float, default=1.0, help="how busy the market is (default: %(default)s)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG[,ARG]]@SECONDS",
        help=f"let something go wrong, e.g. delist:BTC@5 or stall:4@10; names: {', '.join(FAULTS)}",
    )
    parser.add_argument(
        "--weight",
        type=int,
        default=usual.weight_per_minute,
        metavar="N",
        help="request weight a minute (default: %(default)s)",
    )
    parser.add_argument(
        "--connections",
        type=int,
        default=usual.connections,
        metavar="N",
        help="connections of one address at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--idle",
        type=float,
        default=usual.idle_close_s,
        metavar="SECONDS",
        help="silence after which a connection is closed (default: %(default)s)",
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when standard input is closed")


def options_from(args: argparse.Namespace) -> HyperOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    if args.symbols is not None and args.symbols < 1:
        raise OptionsError(f"expected at least 1 symbol, was {args.symbols}")
    if not 0 <= args.port <= 65_533:
        raise OptionsError(f"expected a port from 0 to 65533, was {args.port}")
    if args.seed < 0:
        raise OptionsError(f"expected a seed of 0 or more, was {args.seed}")
    if not 0.0 < args.rate <= FASTEST_RATE:
        raise OptionsError(f"expected a rate above 0 and at most {FASTEST_RATE:g}, was {args.rate:g}")
    if args.weight < 1 or args.connections < 1:
        raise OptionsError(f"expected limits of at least 1, was {args.weight} and {args.connections}")
    if not args.idle > 0:
        raise OptionsError(f"expected a silence above 0 seconds, was {args.idle}")
    return HyperOptions(
        host=args.host,
        port=args.port,
        seed=args.seed,
        symbols=args.symbols,
        rate=args.rate,
        faults=tuple(read_fault(text) for text in args.fault),
        die_with_stdin=args.die_with_stdin,
        limits=HyperLimits(weight_per_minute=args.weight, connections=args.connections, idle_close_s=args.idle),
    )
