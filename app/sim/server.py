"""The whole simulated Binance: a market, its two servers, a control address, and the clock that drives them.

`BinanceSim` is for tests and for other programs' loops; `serve` runs one until told to stop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.domain.ids import Market
from app.sim.binance import VenueServer
from app.sim.control import ControlDesk
from app.sim.fault_text import FaultError
from app.sim.faults import Fault, make_fault
from app.sim.http import HttpServer
from app.sim.market import BURSTS_PER_STEP, BookTruth, SimMarket
from app.sim.options import SimOptions, add_arguments, options_from
from app.sim.running import Simulator, run

__all__ = ["BinanceSim", "SimOptions", "add_arguments", "options_from", "serve"]

STEP_S = 0.1


class BinanceSim(Simulator[Fault]):
    """A simulated Binance on loopback; use as an async context manager."""

    options: SimOptions

    def __init__(
        self, options: SimOptions | None = None, *, now_s: Callable[[], float] = time.time, **changes: object
    ) -> None:
        """Build the market; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or SimOptions(), **changes)  # type: ignore[arg-type]  # checked by the dataclass
        if options.symbols is not None:
            options = replace(options, symbols=tuple(options.symbols))
        super().__init__(options, beat_s=STEP_S / BURSTS_PER_STEP)
        self.market = SimMarket(
            seed=options.seed, symbols=options.symbols, rate=options.rate, sidelines=options.sidelines
        )
        self.spot = VenueServer(Market.BINANCE_SPOT, self.market, options.spot_limits, now_s)
        self.usdm = VenueServer(Market.BINANCE_USDM, self.market, options.usdm_limits, now_s)
        self._venues = {Market.BINANCE_SPOT: self.spot, Market.BINANCE_USDM: self.usdm}
        desk = ControlDesk(fault=self.fault, state=self.state, truth=self.truth, pause=self.pause, resume=self.resume)
        self._control = HttpServer(desk.answer)
        self._restarts: set[asyncio.Task[None]] = set()
        self._next_burst = 0

    async def _open(self) -> None:
        host, port = self.options.host, self.options.port
        await self.spot.start(host, port)
        await self.usdm.start(host, port and port + 1)
        await self._control.start(host, port and port + 2)

    async def _close(self) -> None:
        restarts = list(self._restarts)
        for task in restarts:
            task.cancel()
        await asyncio.gather(*restarts, return_exceptions=True)
        await asyncio.gather(self.spot.stop(), self.usdm.stop(), self._control.stop())

    # Addresses

    @property
    def spot_ws(self) -> str:
        """Base of the spot streams, without path."""
        return self._ws(self.spot.port)

    @property
    def spot_rest(self) -> str:
        """Base of spot REST."""
        return self._http(self.spot.port)

    @property
    def usdm_ws(self) -> str:
        """Base of the USD-M streams, without category."""
        return self._ws(self.usdm.port)

    @property
    def usdm_rest(self) -> str:
        """Base of USD-M REST."""
        return self._http(self.usdm.port)

    @property
    def control(self) -> str:
        """Base of the control address; paths begin with /sim."""
        return self._http(self._control.port)

    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""
        return {
            "spot_ws": self.spot_ws,
            "spot_rest": self.spot_rest,
            "usdm_ws": self.usdm_ws,
            "usdm_rest": self.usdm_rest,
            "control": self.control,
        }

    # Time

    def step(self, count: int = 1) -> None:
        """Move the market by `count` x 100 ms at once and send what follows."""
        for _ in range(count):
            for burst in range(BURSTS_PER_STEP):
                self._burst(burst)

    def pause(self) -> None:
        """Stop the market after ending every diff already begun, so that clients can reach the truth's ids."""
        if not self.paused:
            self.paused = True
            self.settle()

    def settle(self) -> None:
        """Send the diffs of windows already begun: from here on snapshots are not ahead of the stream."""
        for market, book, changes in self.market.settle():
            self._venues[market].publish(book, changes)
        for venue in self._venues.values():
            venue.flush()

    def _beat(self) -> None:
        if self.paused:
            for venue in self._venues.values():
                venue.flush()
        else:
            self._burst(self._next_burst)
            self._next_burst = (self._next_burst + 1) % BURSTS_PER_STEP

    def _burst(self, burst: int) -> None:
        for market, book, changes in self.market.move(burst):
            self._venues[market].publish(book, changes)
        for venue in self._venues.values():
            if burst == BURSTS_PER_STEP - 1:
                venue.end_step()
            venue.flush()

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("gap", market="spot", symbol="BTCUSDT")`; raise FaultError if unknown."""
        self._start(make_fault(name, **arguments))

    def _begin(self, fault: Fault) -> None:
        venues = [self._venues[market] for market in self._markets_of(fault)]
        if fault.name == "restart":
            task = asyncio.get_running_loop().create_task(self._restart(venues, fault))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
        else:
            for venue in venues:
                venue.start_fault(fault)

    async def quiet(self) -> None:
        """Return when no restart is under way any more."""
        await asyncio.gather(*self._restarts)

    def _markets_of(self, fault: Fault) -> list[Market]:
        if fault.market is not None:
            return [fault.market]
        if fault.symbol is None:
            return list(self._venues)
        having = [market for market, books in self.market.books.items() if fault.symbol in books]
        if not having:
            raise FaultError(f"expected a symbol of either market, was {fault.symbol!r}")
        return having

    async def _restart(self, venues: Sequence[VenueServer], fault: Fault) -> None:
        await asyncio.gather(*(venue.stop(abrupt=True) for venue in venues))
        self.market.restart([venue.market for venue in venues])
        await asyncio.sleep(1.0 if fault.duration is None else fault.duration)
        for venue in venues:
            venue.forget_faults()
            await venue.start(self.options.host, venue.port)

    # Views

    def truth(self, market: Market | str, symbol: str) -> BookTruth:
        """Return the whole book after its last diff; KeyError for an unknown symbol."""
        return self.market.truth(Market(market), symbol)

    def state(self) -> dict[str, object]:
        """Return counters of both markets and the faults so far."""
        return {
            "step": self.market.step_number,
            "paused": self.paused,
            "faults": dict(Counter(self.faults_fired)),
            "spot": self.spot.state(),
            "usdm": self.usdm.state(),
        }


async def serve(options: SimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set (or standard input ends, if so wished); `announce` gets its addresses."""
    await run(BinanceSim(options), announce, stop)
