"""The whole simulated Client Portal Gateway: one https and wss port, a control address, and the clock that drives them.

`PortalSim` is for tests and for other programs' loops; `serve` runs one until told to stop, and fails when an order was
asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from app.domain.errors import FathomError
from app.sim.http import HttpServer
from app.sim.ibkr import Changes, World
from app.sim.portal.certificates import kept_certificate, make_certificate, server_context
from app.sim.portal.control import control_desk
from app.sim.portal.faults import Fault, make_fault
from app.sim.portal.hub import Hub
from app.sim.portal.marketdata import SnapshotDesk
from app.sim.portal.options import PortalSimOptions
from app.sim.portal.pacing import Pacing
from app.sim.portal.rest import BASE, RestDesk
from app.sim.portal.session import GatewaySession
from app.sim.portal.troubles import Troubles
from app.sim.portal.web import WebServer
from app.sim.portal.writes import OrderWatch
from app.sim.running import Simulator, run

BEAT_S = 0.1
_MOST_STEP_S = 1.0


class OrderRequestedError(FathomError):
    """A client asked the simulated gateway for something that could trade; no program of ours may ever do that."""


class PortalSim(Simulator[Fault]):
    """A simulated gateway on loopback; use as an async context manager.

    With a `world` of somebody else, that one steps it and calls `spread`; without, the gateway has one of its own.
    """

    options: PortalSimOptions

    def __init__(
        self,
        options: PortalSimOptions | None = None,
        world: World | None = None,
        *,
        now_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        **changes: object,
    ) -> None:
        """Build everything; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or PortalSimOptions(), **changes)  # type: ignore[arg-type] # checked by the dataclass
        super().__init__(options, beat_s=BEAT_S)
        self.world = world or World(
            seed=options.seed,
            start_s=now_s(),
            accounts=options.accounts,
            always_open=options.always_open,
            rate=options.rate,
        )
        self._owns_world = world is None
        self._clock_s = now_s
        self.session = GatewaySession(
            monotonic_s,
            options.seed,
            options.idle_s,
            logged_in=options.logged_in,
            established=options.logged_in and options.brokerage_open and not options.competing,
            competing=options.competing,
        )
        self.watch = OrderWatch()
        snapshots = SnapshotDesk(self.world, monotonic_s, options.pieces_s)
        self.hub = Hub(
            self.world,
            self.session,
            options,
            now_s=monotonic_s,
            epoch_ms=lambda: int(now_s() * 1000.0),
            lines_used=lambda: frozenset(snapshots.asked_s),
        )
        self.pacing = Pacing(options.limits, monotonic_s)
        self.desk = RestDesk(
            self.world,
            self.session,
            self.pacing,
            self.watch,
            snapshots,
            options,
            now_s=monotonic_s,
            on_status=self.hub.check_status,
        )
        self.desk.market.streamed = lambda: self.hub.streamed
        certificate = (
            make_certificate(expired=options.expired_certificate)
            if options.key_file is None
            else kept_certificate(options.key_file, expired=options.expired_certificate)
        )
        context = server_context(certificate)
        self._web = WebServer(
            context,
            f"{BASE}/ws",
            answer=self.desk.answer,
            on_open=self.hub.on_open,
            on_message=self.hub.on_message,
            on_gone=self.hub.on_gone,
        )
        self._port = options.port
        self._troubles = Troubles(self.world, self.hub, self.desk, self._web, context, certificate, reopen=self._reopen)
        control = control_desk(
            self.world,
            fault=self.fault,
            state=self.state,
            pause=self._set_paused,
            certificate=lambda: self.certificate_pem,
        )
        self._control = HttpServer(control.answer)

    async def _open(self) -> None:
        await self._web.start(self.options.host, self.options.port)
        self._port = self._web.port
        await self._control.start(self.options.host, self.options.port and self.options.port + 1)

    async def _close(self) -> None:
        await self._troubles.stop()
        await asyncio.gather(self._web.stop(), self._control.stop())

    def _reopen(self) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self._web.start(self.options.host, self._port))

    # Addresses

    @property
    def url(self) -> str:
        """Scheme, host and port of https; wss is the same with `/v1/api/ws`."""
        return f"https://{self.options.host}:{self._port}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate that is shown now, in hex."""
        return self._troubles.certificate.fingerprint

    @property
    def certificate_pem(self) -> str:
        """The certificate that is shown now."""
        return self._troubles.certificate.certificate_pem

    @property
    def control(self) -> str:
        """Base of the control address."""
        return self._http(self._control.port)

    @property
    def order_requests(self) -> list[str]:
        """Requests that must never come, as METHOD and path."""
        return self.watch.order_requests

    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""
        return {"url": self.url, "fingerprint": self.fingerprint, "control": self.control}

    # Time

    def step(self, count: int = 1) -> None:
        """Move the account by `count` x 100 ms at once and send what follows."""
        for _ in range(count):
            self.spread(self.world.step(BEAT_S))
            self.hub.beat()

    def spread(self, changes: Changes) -> None:
        """Send what a step of the world brought."""
        self.hub.spread(changes)

    def pause(self) -> None:
        """Let the account stand still; heartbeats go on."""
        self.paused = True

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused

    def _beat(self) -> None:
        # the account keeps to the clock, also when beats come late
        behind_s = self._clock_s() - self.world.now_s
        if self._owns_world and not self.paused and behind_s > 0.0:
            self.spread(self.world.step(min(behind_s, _MOST_STEP_S)))
        self.hub.beat()

    # The person at the browser

    def login(self) -> None:
        """Log in, as a person does in the browser."""
        self._troubles.login()

    def logout(self) -> None:
        """End the login."""
        self._troubles.logout()

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("penalty", duration=5)`; FaultError if unknown."""
        self._start(make_fault(name, **arguments))

    def _begin(self, fault: Fault) -> None:
        self._troubles.start(fault)

    def state(self) -> dict[str, object]:
        """Return counters and the state of the session."""
        return {
            "paused": self.paused,
            "logged_in": self.session.logged_in,
            "authenticated": self.session.authenticated,
            "competing": self.session.competing,
            "kicked_others": self.session.kicked_others,
            "ended_for_idleness": self.session.ended_for_idleness,
            "order_requests": list(self.order_requests),
            "clients": len(self.hub.clients),
            "lines": self.hub.lines,
            "snapshot_lines": len(self.desk.snapshots.asked_s),
            "refused": self.pacing.refused,
            "refused_in_penalty": self.pacing.refused_in_penalty,
            "most_histories": self.desk.market.most_histories,
            "faults": dict(Counter(self.faults_fired)),
            "rest": dict(self.desk.counts),
            "streams": dict(self.hub.counts),
        }

    def check_orders(self) -> None:
        """Raise OrderRequestedError when a request came that must never come."""
        if self.order_requests:
            raise OrderRequestedError(
                f"{len(self.order_requests)} requests that could trade came in, the first: {self.order_requests[0]}"
            )


async def serve(options: PortalSimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a gateway until `stop` is set (or standard input ends); raise OrderRequestedError when an order was asked."""
    simulator = PortalSim(options)
    await run(simulator, announce, stop)
    simulator.check_orders()
