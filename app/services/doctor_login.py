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
from app.domain.contracts import SecType
from app.domain.health import LinkState
from app.domain.quotes import QuoteField
from app.paths import Paths
from app.services.broker_desks import make_brokerage
from app.services.desk import BrokerOutputs, Desk
from app.services.supervisor import supervise
from app.settings.store import Settings
from app.venues.broker import BrokerError, BrokerSession

_log = logging.getLogger("fathom.doctor")
SETTLED_WITHIN_S: Final = 20.0
_LOOK_S: Final = 0.1
_QUOTE_WITHIN_S: Final = 4.0
_SAMPLE: Final = "SPY"


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
        if desk.health.state is LinkState.LIVE:
            await _quoted(desk, session)
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


async def _quoted(desk: Desk, session: BrokerSession) -> None:
    """Ask for the quotes of one contract, so that it shows whether they come live; give up soon."""
    try:
        held = [position.contract for position in desk.ledger.positions.values()]
        stocks = [contract for contract in held if contract.sec_type is SecType.STOCK]
        wanted = (stocks or held or list(await session.find(_SAMPLE)))[:1]
    except BrokerError as error:
        _log.info("no contract to ask quotes for: %s", error)
        return
    session.set_lines(wanted)
    clock = asyncio.get_running_loop().time
    end_s = clock() + _QUOTE_WITHIN_S
    while wanted and clock() < end_s:
        quote = desk.ledger.quote(wanted[0].con_id)
        if quote is not None and (quote.refused or quote[QuoteField.KIND] > 0):
            return
        await asyncio.sleep(_LOOK_S)
