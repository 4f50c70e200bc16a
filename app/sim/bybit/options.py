"""Turns command-line arguments into the options of the simulated Bybit."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from app.domain.errors import FathomError
from app.sim.bybit.contracts import coin_names
from app.sim.bybit.faults import FAULTS, Fault, read_fault
from app.sim.bybit.gateway import VenueLimits
from app.sim.fault_text import TimedFault

FASTEST_RATE = 20.0


class OptionsError(FathomError, ValueError):
    """An option has a value that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitSimOptions:
    """How to run a simulator; `port` P takes P for spot, then linear, REST and control, 0 any free ones.

    `coins` are the coins there are, in rank order (None: all), `auto` False leaves the clock to `step()`. `ban_s` is
    how long REST says 403 after too many requests.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    coins: tuple[str, ...] | None = None
    rate: float = 1.0
    faults: tuple[TimedFault[Fault], ...] = ()
    auto: bool = True
    die_with_stdin: bool = False
    ban_s: float = 600.0
    limits: VenueLimits = field(default_factory=VenueLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="spot port; linear, REST and control take the next three (0: any)"
    )
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal markets (default: %(default)s)")
    parser.add_argument("--symbols", type=int, metavar="N", help="only the first N coins")
    parser.add_argument("--rate", type=float, default=1.0, help="how busy the market is (default: %(default)s)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG[,ARG]]@SECONDS",
        help=f"let something go wrong, e.g. gap:BTCUSDT@5 or stall:linear,4@10; names: {', '.join(FAULTS)}",
    )
    parser.add_argument(
        "--lenient-batch", action="store_true", help="take the good topics of a batch that has bad ones as well"
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when standard input is closed")


def options_from(args: argparse.Namespace) -> BybitSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    coins = None
    if args.symbols is not None:
        if args.symbols < 1:
            raise OptionsError(f"expected at least 1 symbol, was {args.symbols}")
        coins = tuple(coin_names(args.symbols))
    if not 0 <= args.port <= 65_532:
        raise OptionsError(f"expected a port from 0 to 65532, was {args.port}")
    if args.seed < 0:
        raise OptionsError(f"expected a seed of 0 or more, was {args.seed}")
    if not 0.0 < args.rate <= FASTEST_RATE:
        raise OptionsError(f"expected a rate above 0 and at most {FASTEST_RATE:g}, was {args.rate:g}")
    return BybitSimOptions(
        host=args.host,
        port=args.port,
        seed=args.seed,
        coins=coins,
        rate=args.rate,
        faults=tuple(read_fault(text) for text in args.fault),
        die_with_stdin=args.die_with_stdin,
        limits=VenueLimits(lenient_batches=args.lenient_batch),
    )
