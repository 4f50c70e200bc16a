"""Turns command-line arguments into the options of the simulator."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.sim.binance import VenueLimits
from app.sim.faults import FAULTS, Fault, read_fault
from app.sim.market import FASTEST_RATE
from app.sim.run_options import OptionsError, RunOptions, add_run_arguments, run_values
from app.sim.sidelines import MOST_SIDELINES
from app.sim.universe import read_symbols


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions(RunOptions[Fault]):
    """How to run a simulator; `port` P takes P for spot, P+1 for futures and P+2 for control, 0 any free ones.

    `symbols` are spot symbols (None: the whole list), `sidelines` how many instruments a market has besides, with
    prices but without books; `auto` False leaves the clock to `step()`.
    """

    symbols: tuple[str, ...] | None = None
    sidelines: int = 0
    spot_limits: VenueLimits = field(default_factory=VenueLimits)
    usdm_limits: VenueLimits = field(default_factory=VenueLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    add_run_arguments(
        parser,
        ports="spot port; futures take the next one, control the one after",
        symbols="only the first N pairs of the list",
        fault_example="gap:BTCUSDT@5 or stall:spot,4@10",
        fault_names=FAULTS,
    )
    parser.add_argument(
        "--sidelines",
        type=int,
        default=200,
        metavar="N",
        help="instruments of each market that have prices but no books (default: %(default)s)",
    )
    parser.add_argument("--spot-weight", type=int, metavar="N", help="request weight a minute on spot (default: 6000)")
    parser.add_argument("--usdm-weight", type=int, metavar="N", help="request weight a minute on USD-M (default: 2400)")
    parser.add_argument(
        "--life", type=float, default=86_400.0, metavar="SECONDS", help="age at which connections are closed (24 h)"
    )


def options_from(args: argparse.Namespace) -> SimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    shared = run_values(args, port_count=3, fastest_rate=FASTEST_RATE, read_fault=read_fault)
    if not 0 <= args.sidelines <= MOST_SIDELINES:
        raise OptionsError(f"expected 0 to {MOST_SIDELINES} instruments without books, was {args.sidelines}")
    return SimOptions(
        **shared,
        symbols=None if args.symbols is None else tuple(read_symbols()[: args.symbols]),
        sidelines=args.sidelines,
        spot_limits=_limits(args.spot_weight, args.life),
        usdm_limits=_limits(args.usdm_weight, args.life),
    )


def _limits(weight_limit: int | None, life_s: float) -> VenueLimits:
    if weight_limit is not None and weight_limit < 1:
        raise OptionsError(f"expected a weight limit of at least 1, was {weight_limit}")
    if not life_s > 0:
        raise OptionsError(f"expected a life above 0 seconds, was {life_s}")
    return VenueLimits(weight_limit=weight_limit, connection_life_s=life_s)
