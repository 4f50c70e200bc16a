"""The demo's venues: each one's simulator as a child process on loopback, and the settings that point to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """seed: of every simulated market. faults: NAME@SECONDS, with `bybit/` or `hyperliquid/` before it for those."""

    seed: int = 1
    faults: tuple[str, ...] = ()

    def arguments(self, venue: Venue) -> list[str]:
        """Return the arguments of one venue's simulator."""
        mine = []
        for fault in self.faults:
            word, slash, rest = fault.partition("/")
            named = word if slash and word in {each.value for each in Venue} else ""
            if (named or Venue.BINANCE.value) == venue.value:
                mine.append(f"--fault={rest if named else fault}")
        return ["--seed", str(self.seed), *mine]


@asynccontextmanager
async def demo_venues(settings: Settings, options: DemoOptions) -> AsyncIterator[dict[str, Any]]:
    """Run the simulators of all venues that are switched on; yield the settings that point to them."""
    from app.services.feeds import KITS

    async with AsyncExitStack() as stack:
        values: dict[str, Any] = {}
        kits = [kit for kit in KITS.values() if kit.markets_of(settings)]
        venues = [_venue(kit.venue, options.arguments(kit.venue)) for kit in kits]
        found = await asyncio.gather(*(stack.enter_async_context(venue) for venue in venues), return_exceptions=True)
        for kit, addresses in zip(kits, found, strict=True):
            if isinstance(addresses, BaseException):
                raise addresses
            try:
                values |= kit.demo_settings(addresses)
            except KeyError as error:
                raise FathomError(f"the demo's {kit.venue.full_name} did not say where {error} is") from None
        yield values


@asynccontextmanager
async def _venue(venue: Venue, arguments: list[str]) -> AsyncIterator[dict[str, str]]:
    """Run one simulator; yield the addresses it prints."""
    process = await asyncio.create_subprocess_exec(
        *command_line("sim", venue.value, "--port", "0", "--json", "--die-with-stdin", *arguments),
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
            raise FathomError(f"the demo's simulated {venue.full_name} did not start") from error
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
