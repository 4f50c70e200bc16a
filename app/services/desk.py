"""One source of a broker: what its session tells becomes a ledger and goes to listeners, wishes become quote lines.

Nothing here, or behind it, can place an order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.domain.account import LineRefused, Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract
from app.domain.health import FeedEvent, LinkState
from app.domain.quotes import QuoteUpdate
from app.portfolio.beta import Beta
from app.portfolio.hours import ContractHours, Phase
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineBudget, LineGroup
from app.venues.broker import BrokerSession

RawSink = Callable[[int, str, str | bytes], None]
"""Takes receive time (UTC ns), source word of a recording, raw text."""


@dataclass(slots=True, kw_only=True)
class BrokerOutputs:
    """Who is told: rare facts, raw frames for a recording, quotes by source, account and order news by source."""

    on_event: Callable[[FeedEvent], None] = lambda _event: None
    on_raw: RawSink = lambda _recv_ns, _source, _raw: None
    on_quotes: list[Callable[[Source, int, Sequence[QuoteUpdate]], None]] = field(default_factory=list)
    on_events: list[Callable[[Source, int, Sequence[BrokerEvent]], None]] = field(default_factory=list)


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
