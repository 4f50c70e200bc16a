"""Runs a simulated venue: opens its servers, drives its market in real time, starts faults on time, ends cleanly."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self

from app.sim.ending import until_told
from app.sim.fault_text import FaultError, FaultT
from app.sim.run_options import RunOptions

log = logging.getLogger("fathom.sim")

_BEHIND_S = 1.0  # a clock this late does not catch up beat by beat


class Simulator(ABC, Generic[FaultT]):
    """A simulated venue on loopback; use as an async context manager."""

    def __init__(self, options: RunOptions[FaultT], *, beat_s: float) -> None:
        """Take the options and the time between two beats of the market."""
        self.options = options
        self.paused = False
        self.faults_fired: list[str] = []
        self._beat_s = beat_s
        self._driver: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    @abstractmethod
    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""

    @abstractmethod
    async def _open(self) -> None:
        """Start the servers."""

    @abstractmethod
    async def _close(self) -> None:
        """Stop the servers, also when only some of them were started."""

    @abstractmethod
    def _beat(self) -> None:
        """Move the market by one beat, unless paused, and send what follows."""

    @abstractmethod
    def _begin(self, fault: FaultT) -> None:
        """Begin a fault; raise FaultError when it cannot be begun."""

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(each.at_s, self._fire, each.fault) for each in self.options.faults]
        if self.options.auto:
            self._driver = asyncio.create_task(self._drive(), name="sim clock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        await self._close()

    def resume(self) -> None:
        """Let the market go on."""
        self.paused = False

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._beat_s
            wait = due - loop.time()
            if wait < -_BEHIND_S:
                due = loop.time()
            await asyncio.sleep(max(0.0, wait))
            self._beat()

    def _fire(self, fault: FaultT) -> None:
        try:
            self._start(fault)
        except FaultError as error:
            log.error("fault %s was not started: %s", fault.name, error)

    def _start(self, fault: FaultT) -> None:
        self._begin(fault)
        self.faults_fired.append(fault.name)
        log.info("fault %s", fault)

    def _http(self, port: int) -> str:
        return f"http://{self.options.host}:{port}"

    def _ws(self, port: int) -> str:
        return f"ws://{self.options.host}:{port}"


async def run(simulator: Simulator[Any], announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run until `stop` is set (or standard input ends, if so wished); `announce` gets the addresses."""
    async with simulator:
        announce(simulator.addresses())
        await until_told(stop, die_with_stdin=simulator.options.die_with_stdin)
