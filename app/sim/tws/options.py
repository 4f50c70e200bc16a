"""Turns command-line arguments into the options of the simulated TWS."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from app.sim.ibkr.options import account_values, add_account_arguments, add_begin_arguments, add_hours_argument
from app.sim.ibkr.world import PAPER_ACCOUNT
from app.sim.run_options import OptionsError, RunOptions, add_fault_arguments
from app.sim.tws.faults import FAULTS, Fault, read_fault

FASTEST_TICKS_PER_S = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwsSimOptions(RunOptions[Fault]):
    """How to run a simulator; `port` P takes P for the API, then the control address, 0 any free ones.

    read_only: orders cannot be seen (321), as with TWS's Read-Only API. push_orders: where they can, every client is
    told of all orders as they change (as the master client is). lines: market data lines of the user. always_open:
    quotes go on outside trading hours. account_every_s: how often figures of accounts are sent. pacing: historical
    requests that come too soon are refused. messages_per_s: more are answered by error 100. `rate` is how busy orders
    are.
    """

    accounts: tuple[str, ...] = (PAPER_ACCOUNT,)
    read_only: bool = True
    push_orders: bool = True
    lines: int = 100
    ticks_per_s: float = 4.0
    always_open: bool = True
    account_every_s: float = 10.0
    scan_every_s: float = 30.0
    pacing: bool = True
    messages_per_s: int = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    add_begin_arguments(parser, "API port; the control address takes the next one")
    parser.add_argument(
        "--ticks", type=float, default=4.0, metavar="N", help="ticks per second of a line (default: %(default)s)"
    )
    parser.add_argument("--lines", type=int, default=100, help="market data lines there are (default: %(default)s)")
    add_account_arguments(parser)
    parser.add_argument(
        "--read-write", action="store_true", help="switch the Read-Only API off: orders can be seen (not made)"
    )
    add_hours_argument(parser)
    parser.add_argument(
        "--account-every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how often figures of accounts are sent (default: %(default)s)",
    )
    add_fault_arguments(parser, "restart:8@20 or notsubscribed:KO@5", FAULTS)


def options_from(args: argparse.Namespace) -> TwsSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    shared = account_values(args, read_fault)
    if not 0.0 < args.ticks <= FASTEST_TICKS_PER_S:
        raise OptionsError(f"expected ticks above 0 and at most {FASTEST_TICKS_PER_S:g} per second, was {args.ticks:g}")
    if args.lines < 1:
        raise OptionsError(f"expected at least 1 line, was {args.lines}")
    if not 0.1 <= args.account_every <= 3600.0:
        raise OptionsError(f"expected account figures every 0.1 to 3600 seconds, was {args.account_every:g}")
    return TwsSimOptions(
        **shared,
        read_only=not args.read_write,
        lines=args.lines,
        ticks_per_s=args.ticks,
        account_every_s=args.account_every,
    )
