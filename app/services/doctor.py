"""Looks at everything the program depends on, all at once, and says in rows what is wrong and what to do about it.

Each look has its own time limit; one that fails, hangs or has a bug never stops another, and none of them holds up the
loop. Rows are masked before anybody sees them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import LinkState
from app.paths import Paths
from app.portfolio.ledger import Ledger
from app.services.doctor_checks import machine, portal, stores, tws, venues
from app.services.doctor_checks.finding import Finding, Rows, State
from app.settings.store import Settings
from app.venues.bans import BanStore

_log = logging.getLogger("fathom.doctor")

PATIENCE_S: Final = 4.0
"""How long one question may take."""
LIMIT_S: Final = 15.0
"""How long all questions about one service may take."""

SERVICES: Final = (
    tws.SERVICE,
    portal.SERVICE,
    *(host.service for host in venues.HOSTS),
    stores.REDIS_SERVICE,
    stores.DATABASE_SERVICE,
    machine.FOLDER_SERVICE,
    machine.CLOCK_SERVICE,
)
"""Every service, in the order of the report."""


class DeskView(Protocol):
    """What the doctor reads of a running session's desk."""

    @property
    def health(self) -> BrokerHealth:
        """Live state of the session."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What the session has told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFiles:
    """Where the program keeps things: data folder, SQLite file, bans, trusted certificate (None: none kept)."""

    base: Path
    database: Path
    bans: Path
    pin: Path | None = None

    @classmethod
    def of(cls, paths: Paths) -> DoctorFiles:
        """Return the files of a profile."""
        return cls(base=paths.base, database=paths.database, bans=paths.bans, pin=paths.gateway_certificate)


@dataclass(slots=True)
class _Seen:
    offsets_ms: dict[str, float] = field(default_factory=dict)


class Doctor:
    """One look after the other may be run; desks: the desks of the running sessions, empty on the command line."""

    def __init__(
        self,
        settings: Settings,
        files: DoctorFiles,
        clock: Clock,
        desks: Callable[[], Mapping[Source, DeskView]] = dict,
        *,
        patience_s: float = PATIENCE_S,
        limit_s: float = LIMIT_S,
        free: machine.FreeBytes = machine.free_bytes,
    ) -> None:
        self._settings = settings
        self._files = files
        self._clock = clock
        self._desks = desks
        self._patience_s = patience_s
        self._limit_s = limit_s
        self._free = free

    def links(self) -> dict[str, LinkState]:
        """Return the state of each running session by its service."""
        names = {Source.TWS: tws.SERVICE, Source.PORTAL: portal.SERVICE}
        return {names[source]: desk.health.state for source, desk in self._desks().items()}

    async def run(
        self, on_done: Callable[[str, Sequence[Finding]], None] = lambda _service, _rows: None
    ) -> tuple[Finding, ...]:
        """Look at everything; return all rows in the order of `SERVICES`. on_done hears of each service at its end."""
        seen = _Seen()
        for desk in self._desks().values():
            if desk.health.clock_offset_ms is not None and desk.health.state is LinkState.LIVE:
                seen.offsets_ms[f"IBKR {desk.health.source.full_name}"] = desk.health.clock_offset_ms
        accounts = tuple(account for desk in self._desks().values() for account in desk.health.accounts)
        found: dict[str, list[Finding]] = {}

        def keep(service: str, rows: Iterable[Finding]) -> None:
            found[service] = [row.masked(accounts) for row in rows]
            on_done(service, found[service])

        async def look(service: str, work: Awaitable[list[Finding]]) -> None:
            keep(service, await self._guarded(service, work))

        async with asyncio.TaskGroup() as group:
            for service, work in self._looks(seen).items():
                group.create_task(look(service, work), name=f"doctor: {service}")
        keep(machine.CLOCK_SERVICE, [machine.clock_row(seen.offsets_ms)])
        return tuple(row for service in SERVICES for row in found[service])

    def _looks(self, seen: _Seen) -> dict[str, Awaitable[list[Finding]]]:
        now_ns, settings, files = self._clock.wall_ns(), self._settings, self._files
        url, patience_s = settings.text("database.url"), self._patience_s
        looks: dict[str, Awaitable[list[Finding]]] = {
            tws.SERVICE: tws.check_tws(
                tws.TwsPlace.of(settings), *self._desk(Source.TWS), now_ns, patience_s=patience_s
            ),
            portal.SERVICE: portal.check_portal(
                portal.PortalPlace.of(settings, files.pin, files.bans),
                *self._desk(Source.PORTAL),
                now_ns,
                patience_s=patience_s,
            ),
            stores.REDIS_SERVICE: stores.check_redis(settings.text("redis.url"), patience_s),
            stores.DATABASE_SERVICE: stores.check_database(url, files.database, self._free),
            machine.FOLDER_SERVICE: machine.check_folder(files.base, self._free),
        }
        for host in venues.HOSTS:
            looks[host.service] = self._venue(host, seen)
        return looks

    def _desk(self, source: Source) -> tuple[BrokerHealth | None, Ledger | None]:
        desk = self._desks().get(source)
        return (None, None) if desk is None else (desk.health, desk.ledger)

    async def _venue(self, host: venues.VenueHost, seen: _Seen) -> list[Finding]:
        bans = BanStore(self._files.bans)
        await asyncio.to_thread(bans.load)
        look = await venues.check_venue(host, self._settings, bans, self._clock.wall_ns(), self._patience_s)
        if look.offset_ms is not None:
            seen.offsets_ms[host.service] = look.offset_ms
        return look.rows

    async def _guarded(self, service: str, work: Awaitable[list[Finding]]) -> list[Finding]:
        """Await a look; a limit that is passed and a bug in the look become rows."""
        rows = Rows(service)
        try:
            async with asyncio.timeout(self._limit_s):
                return await work
        except TimeoutError:
            words = f"The look did not end within {self._limit_s:g} s."
            return [rows.fail("look", words, "Something hangs there: try again, then look at that service itself.")]
        except Exception as error:  # one look's bug must not take the report away
            _log.exception("the doctor's look at %s failed", service)
            words = f"The look itself failed ({type(error).__name__}); the log has the details."
            return [rows.unknown("look", words, "Please report this.")]


def failed(findings: Iterable[Finding]) -> int:
    """Return how many rows say that something which is switched on does not work."""
    return sum(finding.state is State.FAIL for finding in findings)


def report_text(findings: Sequence[Finding], head: str) -> str:
    """Return the rows as text to pass on: the head, then every service with its rows."""
    lines = [head]
    for service in dict.fromkeys(finding.service for finding in findings):
        lines += ["", service]
        for finding in (each for each in findings if each.service == service):
            took = "" if finding.took_ms is None else f"  ({finding.took_ms:.0f} ms)"
            lines.append(f"  {finding.state.value.upper():<7} {finding.check:<14} {finding.cause}{took}")
            if finding.advice:
                lines.append(f"  {'':<22} -> {finding.advice}")
    return "\n".join(lines) + "\n"
