"""Turns command-line arguments into the options of the simulated Hyperliquid."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.sim.hyperliquid.faults import FAULTS, HyperFault, read_fault
from app.sim.hyperliquid.venue import HyperLimits
from app.sim.run_options import OptionsError, RunOptions, add_run_arguments, run_values

FASTEST_RATE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperOptions(RunOptions[HyperFault]):
    """How to run a simulator; `port` P takes P for streams, P+1 for REST and P+2 for control, 0 any free ones.

    `symbols` keeps the first N perpetuals and N spot pairs (None: all), `auto` False leaves the clock to `step()`.
    """

    symbols: int | None = None
    limits: HyperLimits = field(default_factory=HyperLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    usual = HyperLimits()
    add_run_arguments(
        parser,
        ports="stream port; REST takes the next one, control the one after",
        symbols="only the first N perpetuals and N spot pairs",
        fault_example="delist:BTC@5 or stall:4@10",
        fault_names=FAULTS,
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


def options_from(args: argparse.Namespace) -> HyperOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    shared = run_values(args, port_count=3, fastest_rate=FASTEST_RATE, read_fault=read_fault)
    if args.weight < 1 or args.connections < 1:
        raise OptionsError(f"expected limits of at least 1, was {args.weight} and {args.connections}")
    if not args.idle > 0:
        raise OptionsError(f"expected a silence above 0 seconds, was {args.idle}")
    return HyperOptions(
        **shared,
        symbols=args.symbols,
        limits=HyperLimits(weight_per_minute=args.weight, connections=args.connections, idle_close_s=args.idle),
    )
