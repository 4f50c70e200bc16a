"""The whole simulated Bybit: one tape, two stream servers, REST, a control address, and the clock that drives them.

`BybitSim` is for tests and for other programs' loops; `serve` runs one until told to stop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from app.domain.ids import Market
from app.sim.answers import Answer
from app.sim.bybit.books import WindowState
from app.sim.bybit.contracts import build_catalogue
from app.sim.bybit.control import control_desk
from app.sim.bybit.faults import OF_BOOKS, OF_REST, Fault, make_fault
from app.sim.bybit.gateway import Gateway
from app.sim.bybit.options import BybitSimOptions
from app.sim.bybit.rest import RestDesk
from app.sim.bybit.tape import STEP_S, Tape
from app.sim.bybit.venue import BURSTS_PER_STEP, BybitVenue
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest, HttpServer
from app.sim.running import Simulator, run


class BybitSim(Simulator[Fault]):
    """A simulated Bybit on loopback; use as an async context manager."""

    options: BybitSimOptions

    def __init__(
        self, options: BybitSimOptions | None = None, *, now_s: Callable[[], float] = time.time, **changes: object
    ) -> None:
        """Build the market; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or BybitSimOptions(), **changes)  # type: ignore[arg-type] # checked by the dataclass
        super().__init__(options, beat_s=STEP_S / BURSTS_PER_STEP)
        catalogue = build_catalogue(options.coins)
        self.tape = Tape(catalogue, np.random.default_rng(options.seed), rate=options.rate)
        self.venues = {
            market: BybitVenue(market, contracts, self.tape, options.seed, lambda: int(now_s() * 1000))
            for market, contracts in catalogue.contracts.items()
        }
        self.gateways = {market: Gateway(venue, options.limits) for market, venue in self.venues.items()}
        self.desk = RestDesk(self.venues, now_s, ban_s=options.ban_s)
        self._rest = HttpServer(self._on_rest, json_kind="application/json; charset=utf-8")
        desk = control_desk(self.venues, fault=self.fault, state=self.state, pause=self._set_paused)
        self._control = HttpServer(desk.answer)
        self._next_burst = 0

    async def _open(self) -> None:
        starts = [*(gateway.start for gateway in self.gateways.values()), self._rest.start, self._control.start]
        for place, start in enumerate(starts):
            await start(self.options.host, self.options.port and self.options.port + place)

    async def _close(self) -> None:
        await asyncio.gather(
            *(gateway.stop() for gateway in self.gateways.values()), self._rest.stop(), self._control.stop()
        )

    # Addresses

    @property
    def spot_ws(self) -> str:
        """Base of the spot streams, without path."""
        return self._ws(self.gateways[Market.BYBIT_SPOT].port)

    @property
    def linear_ws(self) -> str:
        """Base of the contracts' streams, without path."""
        return self._ws(self.gateways[Market.BYBIT_LINEAR].port)

    @property
    def rest(self) -> str:
        """Base of REST of both markets."""
        return self._http(self._rest.port)

    @property
    def control(self) -> str:
        """Base of the control address."""
        return self._http(self._control.port)

    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""
        return {"spot_ws": self.spot_ws, "linear_ws": self.linear_ws, "rest": self.rest, "control": self.control}

    # Time

    def step(self, count: int = 1) -> None:
        """Move the market by `count` x 100 ms at once and send what follows."""
        for _ in range(count):
            for burst in range(BURSTS_PER_STEP):
                self._burst(burst)

    def settle(self) -> None:
        """Push what every stream still holds back, so that clients can reach the books as they are."""
        for market, venue in self.venues.items():
            if not self.gateways[market].active("stall"):
                venue.settle()
            self.gateways[market].flush()

    def pause(self) -> None:
        """Stop the market after telling everything."""
        if not self.paused:
            self.paused = True
            self.settle()

    def _set_paused(self, paused: bool) -> None:
        if paused:
            self.pause()
        else:
            self.resume()

    def _beat(self) -> None:
        if self.paused:
            for gateway in self.gateways.values():
                gateway.flush()
        else:
            self._burst(self._next_burst)
            self._next_burst = (self._next_burst + 1) % BURSTS_PER_STEP

    def _burst(self, burst: int) -> None:
        if burst == 0:
            self.tape.step()
        for market, venue in self.venues.items():
            gateway = self.gateways[market]
            gateway.welcome()
            venue.move(burst, silent=gateway.active("stall"))
            gateway.flush()

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("gap", market="linear", symbol="BTCUSDT")`; FaultError if unknown."""
        self._start(make_fault(name, **arguments))

    def _begin(self, fault: Fault) -> None:
        if fault.name in OF_REST or (fault.name == "http403" and fault.market is None):
            try:
                self.desk.start_fault(fault)
            except LookupError:
                raise FaultError(f"expected a symbol of spot, was {fault.symbol!r}") from None
        else:
            if fault.name == "calm":
                self.desk.start_fault(fault)
            for market in self._markets_of(fault):
                self.gateways[market].start_fault(fault)

    def _markets_of(self, fault: Fault) -> list[Market]:
        if fault.name == "liquidations":
            return [Market.BYBIT_LINEAR]
        if fault.market is not None:
            return [fault.market]
        if fault.name not in OF_BOOKS:
            return list(self.venues)
        chosen = [market for market, venue in self.venues.items() if venue.concerns(fault)]
        if not chosen:
            raise FaultError(f"expected a symbol whose book is followed, was {fault.symbol!r}")
        return chosen

    # Views

    def truth(self, market: Market | str, symbol: str, levels: int, u: int | None = None) -> WindowState:
        """Return what a depth stream has told, in ticks and steps; LookupError for an unknown symbol or `u`."""
        return self.venues[Market(market)].told(symbol, levels, u)

    def state(self) -> dict[str, object]:
        """Return counters of both markets and of REST, and the faults so far."""
        return {
            "step": self.tape.step_number,
            "paused": self.paused,
            "events": self.tape.events_begun,
            "faults": dict(Counter(self.faults_fired)),
            "rest": dict(self.desk.counts),
            **{market.word: gateway.state() for market, gateway in self.gateways.items()},
        }

    def _on_rest(self, request: HttpRequest) -> Answer:
        if request.method != "GET":
            return Answer(405, b"Method Not Allowed")
        return self.desk.answer(request.path, request.query)


async def serve(options: BybitSimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set (or standard input ends, if so wished); `announce` gets its addresses."""
    await run(BybitSim(options), announce, stop)
