"""The options that every simulator has, and what reads them from command-line arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic

from app.domain.errors import FathomError
from app.sim.fault_text import FaultT, TimedFault


class OptionsError(FathomError, ValueError):
    """An option has a value that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Generic[FaultT]):
    """What every simulator can be told; `auto` False leaves the clock to `step()`."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    rate: float = 1.0
    faults: tuple[TimedFault[FaultT], ...] = ()
    auto: bool = True
    die_with_stdin: bool = False


def add_address_arguments(parser: argparse.ArgumentParser, ports: str) -> None:
    """Add where to listen and the seed; `ports` is the help text of the port."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help=f"{ports} (0: any)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal markets (default: %(default)s)")


def add_rate_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Add how fast things happen; `what` is busy."""
    parser.add_argument("--rate", type=float, default=1.0, help=f"how busy {what} (default: %(default)s)")


def add_fault_arguments(parser: argparse.ArgumentParser, example: str, names: Iterable[str]) -> None:
    """Add faults, and the end that a parent program decides."""
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG[,ARG]]@SECONDS",
        help=f"let something go wrong, e.g. {example}; names: {', '.join(names)}",
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when standard input is closed")


def add_run_arguments(
    parser: argparse.ArgumentParser, *, ports: str, symbols: str, fault_example: str, fault_names: Iterable[str]
) -> None:
    """Add what every simulated exchange can be told; `ports` and `symbols` are the help texts of these two."""
    add_address_arguments(parser, ports)
    parser.add_argument("--symbols", type=int, metavar="N", help=symbols)
    add_rate_argument(parser, "the market is")
    add_fault_arguments(parser, fault_example, fault_names)


def run_values(
    args: argparse.Namespace,
    *,
    port_count: int,
    fastest_rate: float,
    read_fault: Callable[[str], TimedFault[FaultT]],
) -> dict[str, Any]:
    """Return the values of RunOptions by name; raise OptionsError or FaultError with a clear sentence."""
    if args.symbols is not None and args.symbols < 1:
        raise OptionsError(f"expected at least 1 symbol, was {args.symbols}")
    check_address(args, port_count)
    if not 0.0 < args.rate <= fastest_rate:
        raise OptionsError(f"expected a rate above 0 and at most {fastest_rate:g}, was {args.rate:g}")
    return given_values(args, read_fault)


def check_address(args: argparse.Namespace, port_count: int) -> None:
    """Raise OptionsError for a port or a seed that cannot be."""
    last_port = 65_536 - port_count
    if not 0 <= args.port <= last_port:
        raise OptionsError(f"expected a port from 0 to {last_port}, was {args.port}")
    if args.seed < 0:
        raise OptionsError(f"expected a seed of 0 or more, was {args.seed}")


def given_values(args: argparse.Namespace, read_fault: Callable[[str], TimedFault[FaultT]]) -> dict[str, Any]:
    """Return the values of RunOptions by name, as they were given; raise FaultError with a clear sentence."""
    return {
        "host": args.host,
        "port": args.port,
        "seed": args.seed,
        "rate": args.rate,
        "faults": tuple(read_fault(text) for text in args.fault),
        "die_with_stdin": args.die_with_stdin,
    }
