"""Turns what the sessions of a broker tell into ledgers, quote lines, rows of history and news for the screens.

One desk a source; both may be on. A desk asks its session for exactly the lines its budget grants, learns the betas of
what is held from daily closes, and hands quotes to whoever listens (the scanner). Nothing here, or behind it, can place
an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from app.domain.account import DetailsSeen, LineRefused, Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.contracts import Contract, ContractDetails, SecType
from app.domain.health import FeedEvent, LinkState
from app.domain.quotes import QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.beta import Beta, beta
from app.portfolio.hours import ContractHours, Phase
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineBudget, LineGroup
from app.portfolio.orders import OrderBook
from app.portfolio.pnl_minutes import PnlMinute, pnl_minutes
from app.services.order_keeping import OrderKeeping, OrderStore
from app.services.supervisor import supervise
from app.venues.broker import BrokerError, BrokerSession

_log = logging.getLogger("fathom.brokerage")

_PLAN_EVERY_S: Final = 0.25
_KEEP_EVERY_S: Final = 1.0
_MINUTE_NS: Final = 60 * NS_PER_S
_BETA_DAYS: Final = 260
_HAVE_BETA: Final = (SecType.STOCK, SecType.INDEX, SecType.FUND, SecType.FUTURE)
_REFRESH_S: Final = 12 * 3600.0
_ASK_AGAIN_S: Final = 120.0
_LOOK_EVERY_S: Final = 2.0

RawSink = Callable[[int, str, str | bytes], None]
"""Takes receive time (UTC ns), source word of a recording, raw text."""


@dataclass(slots=True, kw_only=True)
class BrokerOutputs:
    """Who is told: rare facts, raw frames for a recording, quotes by source, account and order news by source."""

    on_event: Callable[[FeedEvent], None] = lambda _event: None
    on_raw: RawSink = lambda _recv_ns, _source, _raw: None
    on_quotes: list[Callable[[Source, int, Sequence[QuoteUpdate]], None]] = field(default_factory=list)
    on_events: list[Callable[[Source, int, Sequence[BrokerEvent]], None]] = field(default_factory=list)


class Archive(OrderStore, Protocol):
    """Where orders, fills and profit and loss are kept from run to run."""

    def write_pnl(self, row: PnlMinute) -> None:
        """Take a minute of an account; returns at once."""
        ...


class Desk:
    """One source: its health, ledger, lines and (outside a replay) its session. Implements `BrokerSink`."""

    def __init__(self, health: BrokerHealth, lines_limit: int, outputs: BrokerOutputs) -> None:
        self.source = health.source
        self.health = health
        self.ledger = Ledger(health.source)
        self.lines = LineBudget(lines_limit)
        self.betas: dict[int, Beta] = {}
        self.beta_against = ""
        self.session: BrokerSession | None = None
        self.trust: Callable[[str], None] | None = None
        self.take_over: Callable[[], None] | None = None
        self.login_url = ""
        self._outputs = outputs
        self._asked: tuple[int, ...] = ()
        self._hours: dict[int, ContractHours] = {}

    # -- what a session tells ------------------------------------------------------------------------------------

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take account, order and contract news."""
        for event in events:
            if isinstance(event, LineRefused):
                self.lines.refused(event.con_id, event.code, event.reason, limit=event.limit, now_ns=recv_ns)
        self.ledger.on_events(recv_ns, events)
        for listener in self._outputs.on_events:
            listener(self.source, recv_ns, events)

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        """Take quotes."""
        self.ledger.on_quotes(recv_ns, updates)
        for listener in self._outputs.on_quotes:
            listener(self.source, recv_ns, updates)

    def on_raw(self, recv_ns: int, kind: str, argument: str, raw: str | bytes) -> None:
        """Take a raw frame or answer for the recording."""
        self._outputs.on_raw(recv_ns, f"{self.source.feed}.{kind} {argument}".rstrip(), raw)

    def on_log(self, event: FeedEvent) -> None:
        """Take a rare fact."""
        self._outputs.on_event(event)

    # -- what screens ask ----------------------------------------------------------------------------------------

    def want_lines(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True) -> None:
        """Ask quotes for a group of contracts, in place of what the group asked before."""
        self.lines.want(group, contracts, visible=visible)

    def wake(self) -> None:
        """Let the session try at once, and ask again for what was refused."""
        self.lines.forget_refusals()
        if self.session is not None:
            self.session.wake()

    def plan_lines(self, now_ns: int) -> None:
        """Hand the session the lines that are granted, when they have changed; free those that bring nothing."""
        if self.health.state is LinkState.LIVE:
            self.lines.release_silent(now_ns, self._heard_ns, lambda contract: self._is_open(contract, now_ns))
        granted = self.lines.plan(now_ns)
        asked = tuple(contract.con_id for contract in granted)
        if self.session is not None and asked != self._asked:
            self._asked = asked
            self.session.set_lines(granted)

    def _heard_ns(self, con_id: int) -> int:
        quote = self.ledger.quotes.get(con_id)
        return 0 if quote is None else quote.updated_ns

    def _is_open(self, contract: Contract, now_ns: int) -> bool:
        """Tell whether quotes must come: in the regular session, when the contract's hours are known."""
        details = self.ledger.details.get(contract.con_id)
        if details is None:
            return False
        hours = self._hours.get(contract.con_id)
        if hours is None:
            hours = self._hours[contract.con_id] = ContractHours(details)
        return hours.at(now_ns).phase is Phase.RTH


class Brokerage:
    """All desks of a run, and the tasks that keep them going."""

    def __init__(self, desks: Sequence[Desk], clock: Clock) -> None:
        self.desks: Mapping[Source, Desk] = {desk.source: desk for desk in desks}
        self.orders: OrderKeeping | None = None
        self._clock = clock

    def _books(self) -> list[OrderBook]:
        return [desk.ledger.orders for desk in self.desks.values()]

    def health(self) -> tuple[BrokerHealth, ...]:
        """Return the live counters of every source that is switched on."""
        return tuple(desk.health for desk in self.desks.values())

    async def run(self, on_report: Callable[[str, str], None], archive: Archive | None = None) -> None:
        """Keep every session going until cancelled. A session that cannot be helped never ends another."""
        async with asyncio.TaskGroup() as group:
            for desk in self.desks.values():
                session = desk.session
                if session is None:
                    continue
                name = f"feed {desk.source.feed}"
                group.create_task(supervise(name, session.run, on_report=on_report), name=name)
                group.create_task(self._learn(desk, session), name=f"questions {desk.source.feed}")
            if self.desks:
                group.create_task(self._plan_lines(), name="lines")
            if self.desks and archive is not None:
                self.orders = OrderKeeping(archive, self._books, self._clock.wall_ns)
                group.create_task(self.orders.run(), name="orders kept")
                group.create_task(self._keep(archive), name="profit and loss kept")

    async def _plan_lines(self) -> None:
        while True:
            await asyncio.sleep(_PLAN_EVERY_S)
            now_ns = self._clock.wall_ns()
            for desk in self.desks.values():
                desk.plan_lines(now_ns)

    # -- history -------------------------------------------------------------------------------------------------

    async def _keep(self, archive: Archive) -> None:
        """Store profit and loss by the minute; also at the end."""
        minute = 0
        try:
            while True:
                await asyncio.sleep(_KEEP_EVERY_S)
                now_ns = self._clock.wall_ns()
                if now_ns // _MINUTE_NS != minute:
                    minute = now_ns // _MINUTE_NS
                    self._keep_pnl(archive, now_ns)
        finally:
            self._keep_pnl(archive, self._clock.wall_ns())

    def _keep_pnl(self, archive: Archive, now_ns: int) -> None:
        for desk in self.desks.values():
            if desk.health.state is LinkState.LIVE:
                for row in pnl_minutes(desk.ledger, now_ns):
                    archive.write_pnl(row)

    # -- what must be asked for ----------------------------------------------------------------------------------

    async def _learn(self, desk: Desk, session: BrokerSession) -> None:
        """Ask for what is not sent by itself: trading hours and underlyings of what is held, and its betas."""
        questions = _Questions(asyncio.get_running_loop().time)
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if desk.health.state is LinkState.LIVE:
                try:
                    await self._learn_contracts(desk, session, questions)
                    await self._learn_betas(desk, session, questions)
                except BrokerError as error:
                    _log.info("%s did not answer: %s", desk.source.full_name, error)

    async def _learn_contracts(self, desk: Desk, session: BrokerSession, questions: _Questions) -> None:
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

    async def _learn_betas(self, desk: Desk, session: BrokerSession, questions: _Questions) -> None:
        """Measure how what is held moves with the index, from a year of daily closes; again twice a day."""
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


class _Questions:
    """When a question may be asked (again): soon after a failure, seldom after an answer. Times by the loop's clock."""

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
