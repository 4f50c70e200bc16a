"""Turns command-line arguments into the options of the simulated gateway."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from app.sim.portal.faults import FAULTS, Fault, read_fault
from app.sim.portal.pacing import PortalLimits
from app.sim.run_options import RunOptions, add_run_arguments, run_values

FASTEST_RATE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSimOptions(RunOptions[Fault]):
    """How to run a gateway; `port` P takes P for https and wss and the next for the control address, 0 any free ones.

    logged_in: the browser login is done. brokerage_open: the brokerage session came with it. competing: another
    program with the same user holds it. sts_s: how late `sts` comes. pieces_s: how much later the second half of a
    contract's fields comes. bytes_every: each so-manieth frame goes as bytes (0: none). key_file keeps the certificate.
    smd_needs_lookup: derivatives that were never looked up stay silent. Times in seconds.
    """

    logged_in: bool = True
    brokerage_open: bool = True
    competing: bool = False
    live_account: bool = False
    second_account: bool = False
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
    add_run_arguments(
        parser,
        ports="port of https and wss; the control address takes the next",
        symbols="not used here",
        fault_example="drop@5 or penalty:20@10",
        fault_names=FAULTS,
    )
    add_portal_arguments(parser)


def add_portal_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this simulator can be told."""
    parser.add_argument("--logged-out", action="store_true", help="wait for POST /login at the control address")
    parser.add_argument("--brokerage-closed", action="store_true", help="begin without a brokerage session")
    parser.add_argument("--competing", action="store_true", help="another program holds the brokerage session")
    parser.add_argument("--expired-certificate", action="store_true", help="show a certificate that is no longer valid")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="keep key and certificate here between runs")
    parser.add_argument("--smd-life", type=float, default=600.0, metavar="S", help="seconds a quote stream lives")
    parser.add_argument("--sts-delay", type=float, default=0.05, metavar="S", help="seconds until the first sts frame")


def portal_values(args: argparse.Namespace) -> dict[str, object]:
    """Return the values of what only this simulator can be told, by name."""
    return {
        "logged_in": not args.logged_out,
        "brokerage_open": not args.brokerage_closed,
        "competing": args.competing,
        "expired_certificate": args.expired_certificate,
        "key_file": args.key_file,
        "smd_life_s": args.smd_life,
        "sts_s": args.sts_delay,
    }


def options_from(args: argparse.Namespace) -> PortalSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    shared = run_values(args, port_count=2, fastest_rate=FASTEST_RATE, read_fault=read_fault)
    return PortalSimOptions(**shared, **portal_values(args))  # type: ignore[arg-type] # named as the options are
