"""The options that both simulated ways to Interactive Brokers have, and what reads them from arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from app.sim.fault_text import FaultT, TimedFault
from app.sim.ibkr.world import LIVE_ACCOUNT, PAPER_ACCOUNT
from app.sim.run_options import OptionsError, add_address_arguments, add_rate_argument, check_address, given_values

FASTEST_RATE: Final = 20.0
SECOND_ACCOUNT: Final = "DU7654321"


def add_begin_arguments(parser: argparse.ArgumentParser, ports: str) -> None:
    """Add what stands first; `ports` is the help text of the port."""
    add_address_arguments(parser, ports)
    add_rate_argument(parser, "orders are")


def add_account_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which accounts there are."""
    parser.add_argument("--two-accounts", action="store_true", help="let the login have a second account")
    parser.add_argument("--live", action="store_true", help=f"call the account {LIVE_ACCOUNT}, as a live one")


def add_hours_argument(parser: argparse.ArgumentParser) -> None:
    """Add when quotes move."""
    parser.add_argument("--market-hours", action="store_true", help="let quotes rest outside trading hours")


def account_values(args: argparse.Namespace, read_fault: Callable[[str], TimedFault[FaultT]]) -> dict[str, Any]:
    """Return the values of both by name; raise OptionsError or FaultError with a clear sentence."""
    check_address(args, port_count=2)
    if not 0.0 <= args.rate <= FASTEST_RATE:
        raise OptionsError(f"expected a rate from 0 to {FASTEST_RATE:g}, was {args.rate:g}")
    first = LIVE_ACCOUNT if args.live else PAPER_ACCOUNT
    return {
        **given_values(args, read_fault),
        "accounts": (first, SECOND_ACCOUNT) if args.two_accounts else (first,),
        "always_open": not args.market_hours,
    }
