"""Turns command-line arguments into the options of the simulated Bybit."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.sim.bybit.contracts import coin_names
from app.sim.bybit.faults import FAULTS, Fault, read_fault
from app.sim.bybit.gateway import VenueLimits
from app.sim.run_options import RunOptions, add_run_arguments, run_values

FASTEST_RATE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitSimOptions(RunOptions[Fault]):
    """How to run a simulator; `port` P takes P for spot, then linear, REST and control, 0 any free ones.

    `coins` are the coins there are, in rank order (None: all), `auto` False leaves the clock to `step()`. `ban_s` is
    how long REST says 403 after too many requests.
    """

    coins: tuple[str, ...] | None = None
    ban_s: float = 600.0
    limits: VenueLimits = field(default_factory=VenueLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    add_run_arguments(
        parser,
        ports="spot port; linear, REST and control take the next three",
        symbols="only the first N coins",
        fault_example="gap:BTCUSDT@5 or stall:linear,4@10",
        fault_names=FAULTS,
    )
    parser.add_argument(
        "--lenient-batch", action="store_true", help="take the good topics of a batch that has bad ones as well"
    )


def options_from(args: argparse.Namespace) -> BybitSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    shared = run_values(args, port_count=4, fastest_rate=FASTEST_RATE, read_fault=read_fault)
    return BybitSimOptions(
        **shared,
        coins=None if args.symbols is None else tuple(coin_names(args.symbols)),
        limits=VenueLimits(lenient_batches=args.lenient_batch),
    )
