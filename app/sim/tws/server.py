"""The whole simulated TWS: a world, the API's socket, a control address, and the clock that drives them.

`TwsSim` is for tests and for other programs' loops; `serve` runs one until told to stop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.domain.errors import FathomError
from app.sim.http import HttpServer
from app.sim.ibkr.world import Changes, World
from app.sim.running import Simulator, run
from app.sim.tws.control import control_desk
from app.sim.tws.faults import Fault, make_fault
from app.sim.tws.gateway import Gateway, SimRequest
from app.sim.tws.options import TwsSimOptions
from app.sim.tws.upsets import Upsets

STEP_S = 0.05
_MOST_STEP_S = 1.0


class OrderAttempted(FathomError):
    """A client asked the simulator for an order, which no part of this program may."""


class TwsSim(Simulator[Fault]):
    """A simulated TWS on loopback; use as an async context manager.

    Given a `world`, it does not move it: whoever does calls `publish` with what changed.
    """

    options: TwsSimOptions

    def __init__(
        self,
        options: TwsSimOptions | None = None,
        *,
        world: World | None = None,
        now_s: Callable[[], float] = time.time,
        **changes: object,
    ) -> None:
        """Build the server; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or TwsSimOptions(), **changes)  # type: ignore[arg-type] # checked by the dataclass
        super().__init__(options, beat_s=STEP_S)
        self._clock_s = now_s
        self._drives = world is None
        self.world = world or World(
            seed=options.seed,
            start_s=now_s(),
            accounts=options.accounts,
            always_open=options.always_open,
            rate=options.rate,
            ticks_per_s=options.ticks_per_s,
        )
        self.gateway = Gateway(self.world, options, lambda: now_s() + self._upsets.skew_s)
        self._upsets = Upsets(self.gateway)
        desk = control_desk(self.world, fault=self.fault, state=self.state, pause=self._set_paused)
        self._control = HttpServer(desk.answer)

    async def _open(self) -> None:
        port = self.options.port
        await self.gateway.start(self.options.host, port)
        await self._control.start(self.options.host, port and port + 1)

    async def _close(self) -> None:
        await self._upsets.close()
        await asyncio.gather(self.gateway.stop(), self._control.stop())

    # Addresses

    @property
    def port(self) -> int:
        """Port of the API."""
        return self.gateway.port

    @property
    def control(self) -> str:
        """Base of the control address."""
        return self._http(self._control.port)

    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""
        return {"host": self.options.host, "port": str(self.port), "control": self.control}

    # Time

    def step(self, count: int = 1) -> None:
        """Move the world by `count` x 50 ms at once and send what follows."""
        for _ in range(count):
            self.publish(self.world.step(STEP_S))

    def publish(self, changes: Changes) -> None:
        """Tell every client what a step of the world changed."""
        self.gateway.publish(changes)

    def _beat(self) -> None:
        if self.paused or not self._drives:
            self.gateway.flush()
            return
        # the world keeps to the clock, also when beats come late
        behind_s = self._clock_s() - self.world.now_s
        if behind_s > 0.0:
            self.publish(self.world.step(min(behind_s, _MOST_STEP_S)))

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("restart", duration=2)`; FaultError if unknown."""
        self._start(make_fault(name, **arguments))

    def _begin(self, fault: Fault) -> None:
        self._upsets.begin(fault)

    # Views

    @property
    def order_requests(self) -> list[SimRequest]:
        """Orders that clients asked for. There must never be one."""
        return self.gateway.order_requests

    @property
    def requests(self) -> Sequence[SimRequest]:
        """The last 2000 requests of all clients, oldest first."""
        return self.gateway.requests

    def state(self) -> dict[str, object]:
        """Return counters, what lasts, and the faults so far."""
        return {
            "now_s": self.world.now_s,
            "paused": self.paused,
            "accounts": list(self.world.accounts),
            "faults": dict(Counter(self.faults_fired)),
            "listening": self.gateway.listening,
            **self.gateway.state(),
        }


async def serve(options: TwsSimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set (or standard input ends, if so wished); `announce` gets its addresses.

    Raise OrderAttempted at the end if any client asked for an order.
    """
    simulator = TwsSim(options)
    await run(simulator, announce, stop)
    check_orders(simulator)


def check_orders(simulator: TwsSim) -> None:
    """Raise OrderAttempted if any client asked for an order."""
    if simulator.order_requests:
        names = ", ".join(request.name for request in simulator.order_requests)
        raise OrderAttempted(f"clients asked the simulated TWS for orders: {names}")
