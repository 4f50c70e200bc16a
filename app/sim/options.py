"""Turns command-line arguments into the options of the simulator."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.domain.errors import FathomError
from app.sim.binance import VenueLimits
from app.sim.fault_text import TimedFault
from app.sim.faults import FAULTS, Fault, read_fault
from app.sim.market import FASTEST_RATE
from app.sim.sidelines import MOST_SIDELINES
from app.sim.universe import read_symbols


class OptionsError(FathomError, ValueError):
    """An option has a value that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """How to run a simulator; `port` P takes P for spot, P+1 for futures and P+2 for control, 0 any free ones.

    `symbols` are spot symbols (None: the whole list), `sidelines` how many instruments a market has besides, with
    prices but without books; `auto` False leaves the clock to `step()`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    symbols: tuple[str, ...] | None = None
    sidelines: int = 0
    rate: float = 1.0
    faults: tuple[TimedFault[Fault], ...] = ()
    auto: bool = True
    die_with_stdin: bool = False
    spot_limits: VenueLimits = field(default_factory=VenueLimits)
    usdm_limits: VenueLimits = field(default_factory=VenueLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="spot port; futures take the next one, control the one after (0: any)"
    )
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal markets (default: %(default)s)")
    parser.add_argument("--symbols", type=int, metavar="N", help="only the first N pairs of the list")
    parser.add_argument(
        "--sidelines",
        type=int,
        default=200,
        metavar="N",
        help="instruments of each market that have prices but no books (default: %(default)s)",
    )
    parser.add_argument("--rate", type=float, default=1.0, help="how busy the market is (default: %(default)s)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG[,ARG]]@SECONDS",
        help=f"let something go wrong, e.g. gap:BTCUSDT@5 or stall:spot,4@10; names: {', '.join(FAULTS)}",
    )
    parser.add_argument("--spot-weight", type=int, metavar="N", help="request weight a minute on spot (default: 6000)")
    parser.add_argument("--usdm-weight", type=int, metavar="N", help="request weight a minute on USD-M (default: 2400)")
    parser.add_argument(
        "--life", type=float, default=86_400.0, metavar="SECONDS", help="age at which connections are closed (24 h)"
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when standard input is closed")


def options_from(args: argparse.Namespace) -> SimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    symbols = None
    if args.symbols is not None:
        if args.symbols < 1:
            raise OptionsError(f"expected at least 1 symbol, was {args.symbols}")
        symbols = tuple(read_symbols()[: args.symbols])
    if not 0 <= args.port <= 65_533:
        raise OptionsError(f"expected a port from 0 to 65533, was {args.port}")
    if args.seed < 0:
        raise OptionsError(f"expected a seed of 0 or more, was {args.seed}")
    if not 0.0 < args.rate <= FASTEST_RATE:
        raise OptionsError(f"expected a rate above 0 and at most {FASTEST_RATE:g}, was {args.rate:g}")
    if not 0 <= args.sidelines <= MOST_SIDELINES:
        raise OptionsError(f"expected 0 to {MOST_SIDELINES} instruments without books, was {args.sidelines}")
    return SimOptions(
        host=args.host,
        port=args.port,
        seed=args.seed,
        symbols=symbols,
        sidelines=args.sidelines,
        rate=args.rate,
        faults=tuple(read_fault(text) for text in args.fault),
        die_with_stdin=args.die_with_stdin,
        spot_limits=_limits(args.spot_weight, args.life),
        usdm_limits=_limits(args.usdm_weight, args.life),
    )


def _limits(weight_limit: int | None, life_s: float) -> VenueLimits:
    if weight_limit is not None and weight_limit < 1:
        raise OptionsError(f"expected a weight limit of at least 1, was {weight_limit}")
    if not life_s > 0:
        raise OptionsError(f"expected a life above 0 seconds, was {life_s}")
    return VenueLimits(weight_limit=weight_limit, connection_life_s=life_s)
