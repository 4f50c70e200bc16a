"""Turns command-line arguments into the options of the simulated gateway."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.sim.ibkr.options import account_values, add_account_arguments, add_begin_arguments, add_hours_argument
from app.sim.ibkr.world import PAPER_ACCOUNT
from app.sim.portal.faults import FAULTS, Fault, read_fault
from app.sim.portal.pacing import PortalLimits
from app.sim.run_options import OptionsError, RunOptions, add_fault_arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSimOptions(RunOptions[Fault]):
    """How to run a gateway; `port` P takes P for https and wss and the next for the control address, 0 any free ones.

    logged_in: the browser login is done. brokerage_open: the brokerage session came with it. competing: another
    program with the same user holds it. sts_s: how late `sts` comes. pieces_s: how much later the second half of a
    contract's fields comes. bytes_every: each so-manieth frame goes as bytes (0: none). key_file keeps the certificate.
    smd_needs_lookup: derivatives that were never looked up stay silent. idle_s: when a session without requests ends.
    history_s: how long bars take. `rate` is how busy orders are. Times in seconds.
    """

    accounts: tuple[str, ...] = (PAPER_ACCOUNT,)
    always_open: bool = True
    logged_in: bool = True
    brokerage_open: bool = True
    competing: bool = False
    expired_certificate: bool = False
    key_file: Path | None = None
    sts_s: float = 0.05
    heartbeat_s: float = 10.0
    smd_life_s: float = 600.0
    smd_cadence_s: float = 0.5
    smd_needs_lookup: bool = True
    pieces_s: float = 0.3
    account_push_s: float = 10.0
    pnl_push_s: float = 1.0
    bytes_every: int = 7
    idle_s: float = 330.0
    history_s: float = 0.05
    limits: PortalLimits = field(default_factory=PortalLimits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a command."""
    add_begin_arguments(parser, "port of https and wss; the control address takes the next one")
    add_account_arguments(parser)
    add_hours_argument(parser)
    add_portal_arguments(parser)
    add_fault_arguments(parser, "drop@5 or penalty:20@10", FAULTS)


def add_portal_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this simulator can be told."""
    group = parser.add_argument_group("the gateway")
    group.add_argument("--logged-out", action="store_true", help="wait for POST /login at the control address")
    group.add_argument("--brokerage-closed", action="store_true", help="begin without a brokerage session")
    group.add_argument("--competing", action="store_true", help="another program holds the brokerage session")
    group.add_argument("--expired-certificate", action="store_true", help="show a certificate that is no longer valid")
    group.add_argument("--key-file", type=Path, metavar="FILE", help="keep key and certificate here between runs")
    group.add_argument("--smd-life", type=float, default=600.0, metavar="S", help="seconds a quote stream lives")
    group.add_argument("--sts-delay", type=float, default=0.05, metavar="S", help="seconds until the first sts frame")
    group.add_argument("--penalty", type=float, default=600.0, metavar="S", help="seconds in the penalty box")


def portal_values(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values of what only this simulator can be told, by name."""
    for name, value in (("smd-life", args.smd_life), ("sts-delay", args.sts_delay), ("penalty", args.penalty)):
        if not 0.0 <= value < 1e9:
            raise OptionsError(f"expected {name} of 0 or more seconds, was {value:g}")
    return {
        "logged_in": not args.logged_out,
        "brokerage_open": not args.brokerage_closed,
        "competing": args.competing,
        "expired_certificate": args.expired_certificate,
        "key_file": args.key_file,
        "smd_life_s": args.smd_life,
        "sts_s": args.sts_delay,
        "limits": PortalLimits(penalty_s=args.penalty),
    }


def options_from(args: argparse.Namespace) -> PortalSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    return PortalSimOptions(**account_values(args, read_fault), **portal_values(args))
