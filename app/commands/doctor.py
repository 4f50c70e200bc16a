"""`doctor`: look at everything the program depends on, print rows or one JSON document.

The exit code is 0 when everything that is switched on works, 1 when something fails.
"""

from __future__ import annotations

import argparse
import asyncio
import logging

from app import __version__
from app.commands.output import print_json
from app.domain.clock import SystemClock
from app.paths import Paths
from app.services.doctor import Doctor, DoctorFiles, failed, report_text
from app.services.doctor_checks.finding import Finding, State
from app.settings.store import Settings


def doctor(args: argparse.Namespace, settings: Settings, paths: Paths) -> int:
    """Run the doctor without a window and print what it found."""
    logging.getLogger().addHandler(logging.NullHandler())  # rows say it all: no lines of the log between them
    findings = asyncio.run(_look(settings, paths, login=args.login))
    if args.json:
        print_json(as_json(findings))
    else:
        print(report_text(findings, f"Fathom {__version__} connection doctor"))
        print(verdict(findings))
    return 1 if failed(findings) else 0


async def _look(settings: Settings, paths: Paths, *, login: bool) -> tuple[Finding, ...]:
    clock = SystemClock()
    if not login:
        return await Doctor(settings, DoctorFiles.of(paths), clock).run()
    from app.services.doctor_login import tws_login

    async with tws_login(settings, paths, clock) as desks:
        return await Doctor(settings, DoctorFiles.of(paths), clock, lambda: desks).run()


def as_json(findings: tuple[Finding, ...]) -> dict[str, object]:
    """Return the document for scripts."""
    return {
        "version": __version__,
        "ok": failed(findings) == 0,
        "counts": {state.value: sum(finding.state is state for finding in findings) for state in State},
        "findings": [finding.as_json() for finding in findings],
    }


def verdict(findings: tuple[Finding, ...]) -> str:
    """Return the outcome in a sentence."""
    bad = failed(findings)
    if bad:
        return f"{bad} {'row says' if bad == 1 else 'rows say'} that something does not work."
    return "Everything that is switched on works."
