"""Both simulated ways to Interactive Brokers over one account: a TWS and a Client Portal Gateway that agree.

Faults are written as in either simulator, with `tws/` or `portal/` before the name; else who knows the name gets it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace

from app.sim import portal, tws
from app.sim.fault_text import FaultError, TimedFault
from app.sim.http import HttpServer
from app.sim.ibkr.world import World
from app.sim.portal.control import control_desk
from app.sim.portal.faults import FAULTS as PORTAL_FAULTS
from app.sim.portal.faults import Fault as PortalFault
from app.sim.portal.faults import make_fault as make_portal_fault
from app.sim.portal.faults import read_fault as read_portal_fault
from app.sim.portal.options import add_portal_arguments, portal_values
from app.sim.run_options import OptionsError, RunOptions
from app.sim.running import Simulator, run
from app.sim.tws.faults import FAULTS as TWS_FAULTS
from app.sim.tws.faults import Fault as TwsFault
from app.sim.tws.faults import make_fault as make_tws_fault
from app.sim.tws.faults import read_fault as read_tws_fault
from app.sim.tws.server import STEP_S

_MOST_STEP_S = 1.0
_PORTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BothFault:
    """A fault of one or of both. `name` is as it was written."""

    name: str
    tws: TwsFault | None = None
    portal: PortalFault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BothSimOptions(RunOptions[BothFault]):
    """How to run both; `port` P takes P and the next four: TWS and its control, https and its control, control of both.

    World, host, seed and rate are those of `tws`; what only one simulator has is in its own options.
    """

    tws: tws.TwsSimOptions
    portal: portal.PortalSimOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of both to a command."""
    tws.add_arguments(parser)
    add_portal_arguments(parser)


def options_from(args: argparse.Namespace) -> BothSimOptions:
    """Return options from parsed arguments; raise OptionsError or FaultError with a clear sentence."""
    faults = tuple(read_fault(text) for text in args.fault)
    shared = tws.options_from(argparse.Namespace(**{**vars(args), "fault": []}))
    if shared.port > 65_536 - _PORTS:
        raise OptionsError(f"expected a port from 0 to {65_536 - _PORTS}, was {shared.port}")
    gateway = portal.PortalSimOptions(
        host=shared.host,
        port=shared.port and shared.port + 2,
        seed=shared.seed,
        accounts=shared.accounts,
        always_open=shared.always_open,
        **portal_values(args),
    )
    return BothSimOptions(
        host=shared.host,
        port=shared.port,
        seed=shared.seed,
        rate=shared.rate,
        faults=faults,
        die_with_stdin=shared.die_with_stdin,
        tws=replace(shared, die_with_stdin=False),
        portal=gateway,
    )


def _sides(name: str) -> tuple[str, bool, bool]:
    """Return the name without the word of a side, and whether TWS and the gateway are meant."""
    side, slash, rest = name.partition("/")
    if slash and side not in ("tws", "portal"):
        raise FaultError(f"expected tws/ or portal/ before the fault, was {name!r}")
    plain = rest if slash else name
    word = plain.partition("@")[0].partition(":")[0]
    in_tws = side == "tws" if slash else word in TWS_FAULTS
    in_portal = side == "portal" if slash else word in PORTAL_FAULTS
    if not (in_tws or in_portal):
        raise FaultError(f"expected one of {', '.join(sorted({*TWS_FAULTS, *PORTAL_FAULTS}))}, was {word!r}")
    return plain, in_tws, in_portal


def read_fault(text: str) -> TimedFault[BothFault]:
    """Return the fault a command line names, e.g. `tws/restart:8@20`, `portal/drop@3`, `calm@40`."""
    plain, in_tws, in_portal = _sides(text)
    name = text.partition("@")[0].partition(":")[0]
    of_tws = read_tws_fault(plain) if in_tws else None
    if not in_portal:
        assert of_tws is not None
        return TimedFault(BothFault(name=name, tws=of_tws.fault), of_tws.at_s)
    of_portal = read_portal_fault(plain)
    return TimedFault(
        BothFault(name=name, tws=of_tws.fault if of_tws else None, portal=of_portal.fault), of_portal.at_s
    )


class BothSim(Simulator[BothFault]):
    """A simulated TWS and a simulated gateway over one account; use as an async context manager."""

    options: BothSimOptions

    def __init__(
        self, options: BothSimOptions | None = None, *, now_s: Callable[[], float] = time.time, **changes: object
    ) -> None:
        """Build everything; `changes` replace single options. `now_s` gives UTC seconds."""
        usual = options or BothSimOptions(tws=tws.TwsSimOptions(), portal=portal.PortalSimOptions())
        options = replace(usual, **changes)  # type: ignore[arg-type] # checked by the dataclass
        super().__init__(options, beat_s=STEP_S)
        self._clock_s = now_s
        self.world = World(
            seed=options.seed,
            start_s=now_s(),
            accounts=options.tws.accounts,
            always_open=options.tws.always_open,
            rate=options.rate,
            ticks_per_s=options.tws.ticks_per_s,
        )
        self.tws = tws.TwsSim(replace(options.tws, auto=options.auto), world=self.world, now_s=now_s)
        self.portal = portal.PortalSim(replace(options.portal, auto=options.auto), self.world, now_s=now_s)
        desk = control_desk(
            self.world,
            fault=self.fault,
            state=self.state,
            pause=self._set_paused,
            certificate=lambda: self.portal.certificate_pem,
        )
        self._control = HttpServer(desk.answer)
        self._stack = AsyncExitStack()

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.tws)
        await self._stack.enter_async_context(self.portal)
        await self._control.start(self.options.host, self.options.port and self.options.port + _PORTS - 1)

    async def _close(self) -> None:
        await self._control.stop()
        await self._stack.aclose()

    def addresses(self) -> dict[str, str]:
        """Return every address by its name; `control` is that of both."""
        gateway = self.portal.addresses()
        return {
            "host": self.options.host,
            "port": str(self.tws.port),
            "url": gateway["url"],
            "fingerprint": gateway["fingerprint"],
            "control": self._http(self._control.port),
            "tws_control": self.tws.control,
            "portal_control": gateway["control"],
        }

    # Time

    def step(self, count: int = 1) -> None:
        """Move the account by `count` x 50 ms at once and send what follows."""
        for _ in range(count):
            self._move(STEP_S)
            self.portal.hub.beat()

    def _beat(self) -> None:
        behind_s = self._clock_s() - self.world.now_s
        if not self.paused and behind_s > 0.0:
            self._move(min(behind_s, _MOST_STEP_S))

    def _move(self, dt_s: float) -> None:
        changes = self.world.step(dt_s)
        self.tws.publish(changes)
        self.portal.spread(changes)

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("tws/restart", duration=2)`; FaultError if unknown."""
        plain, in_tws, in_portal = _sides(name)
        self._start(
            BothFault(
                name=name,
                tws=make_tws_fault(plain, **arguments) if in_tws else None,
                portal=make_portal_fault(plain, **arguments) if in_portal else None,
            )
        )

    def _begin(self, fault: BothFault) -> None:
        if fault.tws is not None:
            self.tws.fault(**asdict(fault.tws))
        if fault.portal is not None:
            self.portal.fault(**asdict(fault.portal))

    def state(self) -> dict[str, object]:
        """Return the counters of both."""
        return {"paused": self.paused, "tws": self.tws.state(), "portal": self.portal.state()}

    def check_orders(self) -> None:
        """Raise an error when a client asked for an order anywhere."""
        tws.check_orders(self.tws)
        self.portal.check_orders()


async def serve(options: BothSimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run both until `stop` is set (or standard input ends); raise when a client asked for an order."""
    simulator = BothSim(options)
    await run(simulator, announce, stop)
    simulator.check_orders()
