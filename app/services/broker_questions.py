"""Asks a broker for what it does not send by itself: trading hours and underlyings of what is held, and its betas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from app.domain.account import DetailsSeen
from app.domain.clock import Clock
from app.domain.contracts import Contract, ContractDetails, SecType
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.portfolio.beta import beta
from app.portfolio.ledger import Ledger
from app.services.desk import Desk
from app.venues.broker import BrokerError, BrokerSession

_log = logging.getLogger("fathom.brokerage")

_BETA_DAYS: Final = 260
_HAVE_BETA: Final = (SecType.STOCK, SecType.INDEX, SecType.FUND, SecType.FUTURE)
_REFRESH_S: Final = 12 * 3600.0
_ASK_AGAIN_S: Final = 120.0
_LOOK_EVERY_S: Final = 2.0


class BrokerQuestions:
    """The questions about one desk's positions."""

    def __init__(self, desk: Desk, session: BrokerSession, clock: Clock) -> None:
        self._desk = desk
        self._session = session
        self._clock = clock
        self._turns = _Turns(lambda: clock.monotonic_ns() / NS_PER_S)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._desk.health.state is LinkState.LIVE:
                try:
                    await self._learn_contracts()
                    await self._learn_betas()
                except BrokerError as error:
                    _log.info("%s did not answer: %s", self._desk.source.full_name, error)

    async def _learn_contracts(self) -> None:
        desk, session, questions = self._desk, self._session, self._turns
        for position in list(desk.ledger.positions.values()):
            contract = position.contract
            if contract.con_id not in desk.ledger.details and questions.due("details", contract.con_id):
                details = await session.details(contract)
                desk.on_events(self._clock.wall_ns(), (DetailsSeen(details),))
                questions.answered("details", contract.con_id)
            behind = desk.ledger.contracts[contract.con_id].underlying_con_id
            wanted = contract.sec_type.is_option and behind and behind not in desk.ledger.contracts
            if wanted and questions.due("underlying", behind):
                found = [each for each in await session.find(contract.symbol) if each.con_id == behind]
                news = tuple(DetailsSeen(ContractDetails(contract=each)) for each in found)
                desk.on_events(self._clock.wall_ns(), news)

    async def _learn_betas(self) -> None:
        """Measure how what is held moves with the index, from a year of daily closes; again twice a day."""
        desk, session, questions = self._desk, self._session, self._turns
        held = [each for each in underlyings(desk.ledger) if questions.due("beta", each.con_id)]
        if not held or not desk.beta_against:
            return
        found = await session.find(desk.beta_against)
        if not found:
            return
        desk.on_events(self._clock.wall_ns(), (DetailsSeen(ContractDetails(contract=found[0])),))
        against = await session.daily_bars(found[0], _BETA_DAYS)
        for contract in held:
            measured = beta(await session.daily_bars(contract, _BETA_DAYS), against)
            if measured is not None:
                desk.betas[contract.con_id] = measured
                desk.ledger.revisions.positions += 1
            questions.answered("beta", contract.con_id)


class _Turns:
    """When a question may be asked (again): soon after a failure, seldom after an answer. Times are monotonic."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._at_s: dict[tuple[str, int], float] = {}

    def due(self, what: str, con_id: int) -> bool:
        """Tell whether to ask now; counts as asked."""
        now_s = self._now_s()
        if self._at_s.get((what, con_id), 0.0) > now_s:
            return False
        self._at_s[what, con_id] = now_s + _ASK_AGAIN_S
        return True

    def answered(self, what: str, con_id: int) -> None:
        """Note that it was answered."""
        self._at_s[what, con_id] = self._now_s() + _REFRESH_S


def underlyings(ledger: Ledger) -> list[Contract]:
    """Return the stocks, indices and futures that are held or stand behind what is held, as far as they are known."""
    found: dict[int, Contract] = {}
    for position in list(ledger.positions.values()):
        contract = position.contract
        con_id = contract.underlying_con_id if contract.sec_type.is_option else contract.con_id
        known = ledger.contracts.get(con_id)
        if known is not None and known.sec_type in _HAVE_BETA:
            found[con_id] = known
    return list(found.values())
