"""The whole simulated Binance: a market, its two servers, a control address, and the clock that drives them.

`BinanceSim` is for tests and for other programs' loops; `serve` runs one until told to stop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.http11 import Request, Response

from app.domain.ids import Market
from app.sim.answers import respond
from app.sim.binance import VenueServer
from app.sim.control import ControlDesk
from app.sim.ending import until_told
from app.sim.fault_text import FaultError
from app.sim.faults import Fault, make_fault
from app.sim.market import BURSTS_PER_STEP, BookTruth, SimMarket
from app.sim.options import SimOptions, add_arguments, options_from

__all__ = ["BinanceSim", "SimOptions", "add_arguments", "options_from", "serve"]

log = logging.getLogger("fathom.sim")

STEP_S = 0.1
_BEHIND_S = 1.0  # a clock this late does not catch up step by step


class BinanceSim:
    """A simulated Binance on loopback; use as an async context manager."""

    def __init__(
        self, options: SimOptions | None = None, *, now_s: Callable[[], float] = time.time, **changes: object
    ) -> None:
        """Build the market; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or SimOptions(), **changes)  # type: ignore[arg-type]  # checked by the dataclass
        if options.symbols is not None:
            options = replace(options, symbols=tuple(options.symbols))
        self.options = options
        self.market = SimMarket(
            seed=options.seed, symbols=options.symbols, rate=options.rate, sidelines=options.sidelines
        )
        self.spot = VenueServer(Market.BINANCE_SPOT, self.market, options.spot_limits, now_s)
        self.usdm = VenueServer(Market.BINANCE_USDM, self.market, options.usdm_limits, now_s)
        self.paused = False
        self.faults_fired: list[str] = []
        self._venues = {Market.BINANCE_SPOT: self.spot, Market.BINANCE_USDM: self.usdm}
        self._desk = ControlDesk(
            fault=self.fault, state=self.state, truth=self.truth, pause=self.pause, resume=self.resume
        )
        self._control: Server | None = None
        self._control_port = 0
        self._driver: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._next_burst = 0

    async def __aenter__(self) -> Self:
        try:
            await self._start_servers()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(each.at_s, self._fire, each.fault) for each in self.options.faults]
        if self.options.auto:
            self._driver = asyncio.create_task(self._drive(), name="sim clock")
        return self

    async def _start_servers(self) -> None:
        host, port = self.options.host, self.options.port
        await self.spot.start(host, port)
        await self.usdm.start(host, port and port + 1)
        self._control = await serve_websocket(
            _refuse_websocket, host, port and port + 2, process_request=self._on_control_request
        )
        self._control_port = self._control.sockets[0].getsockname()[1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        tasks = [task for task in (self._driver, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._control is not None:
            self._control.close()
        await asyncio.gather(self.spot.stop(), self.usdm.stop())
        if self._control is not None:
            await self._control.wait_closed()

    # Addresses

    @property
    def spot_ws(self) -> str:
        """Base of the spot streams, without path."""
        return f"ws://{self.options.host}:{self.spot.port}"

    @property
    def spot_rest(self) -> str:
        """Base of spot REST."""
        return f"http://{self.options.host}:{self.spot.port}"

    @property
    def usdm_ws(self) -> str:
        """Base of the USD-M streams, without category."""
        return f"ws://{self.options.host}:{self.usdm.port}"

    @property
    def usdm_rest(self) -> str:
        """Base of USD-M REST."""
        return f"http://{self.options.host}:{self.usdm.port}"

    @property
    def control(self) -> str:
        """Base of the control address; paths begin with /sim."""
        return f"http://{self.options.host}:{self._control_port}"

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

    def resume(self) -> None:
        """Let the market go on."""
        self.paused = False

    def settle(self) -> None:
        """Send the diffs of windows already begun: from here on snapshots are not ahead of the stream."""
        for market, book, changes in self.market.settle():
            self._venues[market].publish(book, changes)
        for venue in self._venues.values():
            venue.flush()

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        pace = STEP_S / BURSTS_PER_STEP
        due = loop.time()
        while True:
            due += pace
            wait = due - loop.time()
            if wait < -_BEHIND_S:
                due = loop.time()
            await asyncio.sleep(max(0.0, wait))
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

    def _fire(self, fault: Fault) -> None:
        try:
            self._start(fault)
        except FaultError as error:
            log.error("fault %s was not started: %s", fault.name, error)

    def _start(self, fault: Fault) -> None:
        venues = [self._venues[market] for market in self._markets_of(fault)]
        if fault.name == "restart":
            task = asyncio.get_running_loop().create_task(self._restart(venues, fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            for venue in venues:
                venue.start_fault(fault)
        self.faults_fired.append(fault.name)
        log.info("fault %s", fault)

    async def quiet(self) -> None:
        """Return when no restart is under way any more."""
        await asyncio.gather(*self._tasks)

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

    def _on_control_request(self, connection: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        return respond(self._desk.answer(path, query))


async def _refuse_websocket(connection: ServerConnection) -> None:
    await connection.close(1008)


async def serve(options: SimOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set (or standard input ends, if so wished); `announce` gets its addresses."""
    async with BinanceSim(options) as sim:
        announce(sim.addresses())
        await until_told(stop, die_with_stdin=options.die_with_stdin)
