"""Turns command-line arguments into the options of the simulated TWS."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from app.sim.ibkr.world import LIVE_ACCOUNT, PAPER_ACCOUNT
from app.sim.run_options import OptionsError, RunOptions
from app.sim.tws.faults import FAULTS, Fault, read_fault

FASTEST_RATE = 20.0
FASTEST_TICKS_PER_S = 50.0
SECOND_ACCOUNT = "DU7654321"


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
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="API port; the control address takes the next one (0: any)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal markets (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1.0, help="how busy orders are (default: %(default)s)")
    parser.add_argument(
        "--ticks", type=float, default=4.0, metavar="N", help="ticks per second of a line (default: %(default)s)"
    )
    parser.add_argument("--lines", type=int, default=100, help="market data lines there are (default: %(default)s)")
    parser.add_argument("--two-accounts", action="store_true", help="let the login have a second account")
    parser.add_argument("--live", action="store_true", help=f"call the account {LIVE_ACCOUNT}, as a live one")
    parser.add_argument(
        "--read-write", action="store_true", help="switch the Read-Only API off: orders can be seen (not made)"
    )
    parser.add_argument("--market-hours", action="store_true", help="let quotes rest outside trading hours")
    parser.add_argument(
        "--account-every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how often figures of accounts are sent (default: %(default)s)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:ARG[,ARG]]@SECONDS",
        help=f"let something go wrong, e.g. restart:8@20 or notsubscribed:KO@5; names: {', '.join(FAULTS)}",
    )
    parser.add_argument("--die-with-stdin", action="store_true", help="end when standard input is closed")


def options_from(args: argparse.Namespace) -> TwsSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    if not 0 <= args.port <= 65_534:
        raise OptionsError(f"expected a port from 0 to 65534, was {args.port}")
    if args.seed < 0:
        raise OptionsError(f"expected a seed of 0 or more, was {args.seed}")
    if not 0.0 <= args.rate <= FASTEST_RATE:
        raise OptionsError(f"expected a rate from 0 to {FASTEST_RATE:g}, was {args.rate:g}")
    if not 0.0 < args.ticks <= FASTEST_TICKS_PER_S:
        raise OptionsError(f"expected ticks above 0 and at most {FASTEST_TICKS_PER_S:g} per second, was {args.ticks:g}")
    if args.lines < 1:
        raise OptionsError(f"expected at least 1 line, was {args.lines}")
    if not 0.1 <= args.account_every <= 3600.0:
        raise OptionsError(f"expected account figures every 0.1 to 3600 seconds, was {args.account_every:g}")
    first = LIVE_ACCOUNT if args.live else PAPER_ACCOUNT
    return TwsSimOptions(
        host=args.host,
        port=args.port,
        seed=args.seed,
        rate=args.rate,
        faults=tuple(read_fault(text) for text in args.fault),
        die_with_stdin=args.die_with_stdin,
        accounts=(first, SECOND_ACCOUNT) if args.two_accounts else (first,),
        read_only=not args.read_write,
        lines=args.lines,
        ticks_per_s=args.ticks,
        always_open=not args.market_hours,
        account_every_s=args.account_every,
    )
