"""The connection doctor as a panel shows it: services with their rows, what is still being looked at, the report."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.masking import masked
from app.domain.units import NS_PER_S
from app.services.doctor import SERVICES, Doctor, failed, report_text
from app.services.doctor_checks.finding import Finding, State

__all__ = ["SERVICES", "Doctor", "DoctorModel", "Finding", "Service", "State"]

LIGHTS: Final = {
    State.OK: "green",
    State.WARN: "amber",
    State.FAIL: "red",
    State.OFF: "grey",
    State.UNKNOWN: "grey",
}
WORDS: Final = {
    State.OK: "well",
    State.WARN: "look at it",
    State.FAIL: "fails",
    State.OFF: "off",
    State.UNKNOWN: "not known",
}
_GRAVITY: Final = (State.FAIL, State.WARN, State.OK, State.UNKNOWN, State.OFF)


class Examiner(Protocol):
    """What the model asks for rows: the doctor, or a stand-in of a test."""

    async def run(self, on_done: _OnDone = ...) -> tuple[Finding, ...]:
        """Look at everything."""
        ...


class _OnDone(Protocol):
    def __call__(self, service: str, rows: Sequence[Finding], /) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """One service with its rows. pending: it is being looked at, and these rows are those of the last time."""

    name: str
    rows: tuple[Finding, ...]
    pending: bool

    @property
    def state(self) -> State:
        """Return the gravest state of its rows."""
        states = {row.state for row in self.rows}
        return next((state for state in _GRAVITY if state in states), State.UNKNOWN)


class DoctorModel:
    """Rows of the last look; `revision` moves with each service that is done."""

    def __init__(self, doctor: Examiner, clock: Clock, version: str = "") -> None:
        self._doctor = doctor
        self._clock = clock
        self._version = version
        self._rows: dict[str, tuple[Finding, ...]] = {}
        self._pending: set[str] = set()
        self.running = False
        self.ended_ns: int | None = None
        self.trouble = ""
        self.problems_only = False
        self.revision = 0

    async def run(self) -> None:
        """Look at everything; a second call while one is under way does nothing."""
        if self.running:
            return
        self.running, self.trouble = True, ""
        self._pending = set(SERVICES)
        self.revision += 1
        try:
            await self._doctor.run(self._on_done)
        except Exception as error:
            self.trouble = f"The doctor itself failed ({type(error).__name__}); the log has the details."
            raise
        finally:
            self.running = False
            self._pending.clear()
            self.ended_ns = self._clock.wall_ns()
            self.revision += 1

    def _on_done(self, service: str, rows: Sequence[Finding]) -> None:
        self._rows[service] = tuple(rows)
        self._pending.discard(service)
        self.revision += 1

    def show_problems_only(self, on: bool) -> None:
        """Leave out what is well and what is switched off, or show everything."""
        if on != self.problems_only:
            self.problems_only = on
            self.revision += 1

    @property
    def progress(self) -> tuple[int, int]:
        """Return how many services are done, and how many there are."""
        return len(SERVICES) - len(self._pending), len(SERVICES)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return every row, in the order of the services."""
        return tuple(row for service in SERVICES for row in self._rows.get(service, ()))

    @property
    def services(self) -> tuple[Service, ...]:
        """Return the services to show, each with the rows to show."""
        found = []
        for name in SERVICES:
            service = Service(name, self._rows.get(name, ()), name in self._pending)
            if not self.problems_only:
                found.append(service)
                continue
            rows = tuple(row for row in service.rows if row.state in (State.FAIL, State.WARN))
            if rows:
                found.append(Service(name, rows, service.pending))
        return tuple(found)

    @property
    def summary(self) -> str:
        """Return the outcome in a few words."""
        if self.trouble:
            return self.trouble
        if self.running:
            done, total = self.progress
            return f"looking … {done} of {total} services"
        if self.ended_ns is None:
            return "not run yet"
        findings = self.findings
        bad = failed(findings)
        odd = sum(finding.state is State.WARN for finding in findings)
        if not bad and not odd:
            return "everything that is switched on works"
        words = [f"{bad} {'fails' if bad == 1 else 'fail'}"] if bad else []
        words += [f"{odd} to look at"] if odd else []
        return ", ".join(words)

    @property
    def light(self) -> str:
        """Return the colour of the summary."""
        if self.running or self.ended_ns is None:
            return "grey"
        states = {finding.state for finding in self.findings}
        if self.trouble or State.FAIL in states:
            return "red"
        return "amber" if State.WARN in states else "green"

    def report(self) -> str:
        """Return everything as text to pass on, without account ids, user names, tokens and passwords."""
        now = datetime.fromtimestamp((self.ended_ns or self._clock.wall_ns()) / NS_PER_S, UTC)
        head = f"Fathom {self._version} connection doctor, {now:%Y-%m-%d %H:%M:%S} UTC".replace("  ", " ")
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        return masked(report_text(self.findings, f"{head}\n{system}"))
