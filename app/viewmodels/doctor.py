"""The connection doctor as a panel shows it: services with their rows, what is still being looked at, the report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.health import LinkState
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
FIRST_LOOK_WAIT_NS: Final = 15 * NS_PER_S
"""How long the first look waits for sessions that are still being set up."""

_ON_THE_WAY: Final = frozenset({LinkState.IDLE, LinkState.CONNECTING, LinkState.SYNCING})
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
    """Rows of the last look; `revision` moves with each service that is done.

    links: the state of each running session by its name; the first look waits for those that are being set up, and
    the outcome says which have come or gone since.
    """

    def __init__(
        self, doctor: Examiner, clock: Clock, version: str = "", links: Callable[[], Mapping[str, LinkState]] = dict
    ) -> None:
        self._doctor = doctor
        self._clock = clock
        self._version = version
        self._links = links
        self._wanted_ns: int | None = None
        self._live: frozenset[str] = frozenset()
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
        self._live = self._live_now()
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

    def want(self) -> None:
        """Ask for a first look as soon as the sessions are up."""
        if self._wanted_ns is None:
            self._wanted_ns = self._clock.wall_ns()
            self.revision += 1

    @property
    def first_look_due(self) -> bool:
        """Whether a first look is wanted, was not had, and no session that is still on its way is worth the wait."""
        if self._wanted_ns is None or self.running or self.ended_ns is not None:
            return False
        if self._clock.wall_ns() - self._wanted_ns >= FIRST_LOOK_WAIT_NS:
            return True
        return not any(state in _ON_THE_WAY for state in self._links().values())

    def _live_now(self) -> frozenset[str]:
        return frozenset(name for name, state in self._links().items() if state is LinkState.LIVE)

    @property
    def changed(self) -> str:
        """Return which sessions have come or gone since the last look, "" when none has."""
        if self.ended_ns is None or self.running:
            return ""
        now = self._live_now()
        words = [f"{name} is connected" for name in sorted(now - self._live)]
        words += [f"{name} was lost" for name in sorted(self._live - now)]
        return f"{' and '.join(words)} since" if words else ""

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
            return "not run yet" if self._wanted_ns is None else "waits for the connections to come up"
        findings = self.findings
        bad = failed(findings)
        odd = sum(finding.state is State.WARN for finding in findings)
        words = [f"{bad} {'fails' if bad == 1 else 'fail'}"] if bad else []
        words += [f"{odd} to look at"] if odd else []
        outcome = ", ".join(words) or "everything that is switched on works"
        return f"{outcome}; {self.changed}" if self.changed else outcome

    @property
    def light(self) -> str:
        """Return the colour of the summary."""
        if self.running or self.ended_ns is None:
            return "grey"
        states = {finding.state for finding in self.findings}
        if self.trouble or State.FAIL in states:
            return "red"
        return "amber" if State.WARN in states or self.changed else "green"

    def report(self) -> str:
        """Return everything as text to pass on, without account ids, user names, tokens and passwords."""
        now = datetime.fromtimestamp((self.ended_ns or self._clock.wall_ns()) / NS_PER_S, UTC)
        head = f"Fathom {self._version} connection doctor, {now:%Y-%m-%d %H:%M:%S} UTC".replace("  ", " ")
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        return masked(report_text(self.findings, f"{head}\n{system}"))
