"""The demo's venues: each one's simulator as a child process on loopback, and the settings that point to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from app.domain.errors import FathomError
from app.domain.ids import Venue
from app.launch import child_environment, command_line
from app.settings.store import Settings

_START_S: Final = 40.0
_STOP_S: Final = 1.5
_LINE_BYTES: Final = 1 << 20


IBKR: Final = "ibkr"
"""Word of the simulated Interactive Brokers: TWS and Client Portal over one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """seed: of every simulated market. faults: NAME@SECONDS, with `bybit/`, `hyperliquid/` or `ibkr/` before it for
    those."""

    seed: int = 1
    faults: tuple[str, ...] = ()

    def arguments(self, name: str) -> list[str]:
        """Return the arguments of one simulator."""
        mine = []
        for fault in self.faults:
            word, slash, rest = fault.partition("/")
            named = word if slash and word in {IBKR, *(each.value for each in Venue)} else ""
            if (named or Venue.BINANCE.value) == name:
                mine.append(f"--fault={rest if named else fault}")
        return ["--seed", str(self.seed), *mine]


@dataclass(frozen=True, slots=True)
class _Simulated:
    """One simulator: its word on the command line, its name for people, and the settings its addresses lead to."""

    word: str
    title: str
    settings: Callable[[Mapping[str, str]], Mapping[str, Any]]


@asynccontextmanager
async def demo_venues(settings: Settings, options: DemoOptions) -> AsyncIterator[dict[str, Any]]:
    """Run the simulators of all that is switched on; yield the settings that point to them."""
    from app.services.feeds import KITS

    chosen = [
        _Simulated(kit.venue.value, kit.venue.full_name, kit.demo_settings)
        for kit in KITS.values()
        if kit.markets_of(settings)
    ]
    sources = settings.text("demo.ibkr")
    if sources != "off":
        chosen.append(_Simulated(IBKR, "Interactive Brokers", lambda found: _broker_settings(found, sources)))
    async with AsyncExitStack() as stack:
        values: dict[str, Any] = {}
        runs = [_simulator(each, options.arguments(each.word)) for each in chosen]
        found = await asyncio.gather(*(stack.enter_async_context(run) for run in runs), return_exceptions=True)
        for each, addresses in zip(chosen, found, strict=True):
            if isinstance(addresses, BaseException):
                raise addresses
            try:
                values |= each.settings(addresses)
            except KeyError as error:
                raise FathomError(f"the demo's {each.title} did not say where {error} is") from None
        yield values


def _broker_settings(addresses: Mapping[str, str], sources: str) -> dict[str, Any]:
    """Return the settings of the sources that the demo shows: tws, portal or both."""
    values: dict[str, Any] = {}
    if sources in ("tws", "both"):
        values |= {
            "ibkr.tws.enabled": True,
            "ibkr.tws.host": addresses["host"],
            "ibkr.tws.port": int(addresses["port"]),
        }
    if sources in ("portal", "both"):
        values |= {
            "ibkr.portal.enabled": True,
            "ibkr.portal.url": addresses["url"],
            "ibkr.portal.fingerprint": addresses["fingerprint"],
        }
    return values


@asynccontextmanager
async def _simulator(simulated: _Simulated, arguments: list[str]) -> AsyncIterator[dict[str, str]]:
    """Run one simulator; yield the addresses it prints."""
    process = await asyncio.create_subprocess_exec(
        *command_line("sim", simulated.word, "--port", "0", "--json", "--die-with-stdin", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if sys.stderr is not None else asyncio.subprocess.DEVNULL,
        env=child_environment(),
        limit=_LINE_BYTES,
    )
    try:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                addresses = json.loads(await process.stdout.readline())
        except (TimeoutError, ValueError) as error:
            raise FathomError(f"the demo's simulated {simulated.title} did not start") from error
        yield addresses
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
