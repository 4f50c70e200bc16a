"""Logs in to TWS for the length of one look, when the user asks for it: what only a session knows is then known too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import LinkState
from app.paths import Paths
from app.services.broker_desks import make_brokerage
from app.services.brokerage import BrokerOutputs, Desk
from app.services.supervisor import supervise
from app.settings.store import Settings

_log = logging.getLogger("fathom.doctor")
SETTLED_WITHIN_S: Final = 20.0
_LOOK_S: Final = 0.1


@asynccontextmanager
async def tws_login(
    settings: Settings, paths: Paths, clock: Clock, patience_s: float = SETTLED_WITHIN_S
) -> AsyncIterator[Mapping[Source, Desk]]:
    """Keep a session to TWS open meanwhile; give its desk once it is up or has failed (no desk: TWS is off)."""
    desk = make_brokerage(settings, paths, clock, BrokerOutputs()).desks.get(Source.TWS)
    if desk is None or desk.session is None:
        yield {}
        return
    session = desk.session
    work = supervise("login", session.run, on_report=lambda name, text: _log.info("%s: %s", name, text))
    running = asyncio.create_task(work, name="doctor login")
    try:
        await _settled(desk.health, running, patience_s)
        yield {Source.TWS: desk}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _settled(health: BrokerHealth, running: asyncio.Task[None], patience_s: float) -> None:
    """Wait until the session is up and has probed what it probes, has failed, or the time is over."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + patience_s
    while clock() < end_s and not running.done():
        if health.state in (LinkState.BACKOFF, LinkState.BANNED):
            return
        if health.state is LinkState.LIVE and health.read_only is not None:
            return
        await asyncio.sleep(_LOOK_S)
