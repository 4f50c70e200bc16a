"""Play what a recording holds of a broker back into a desk without a session. Only Client Portal has raw frames."""

from __future__ import annotations

from typing import Final

from app.domain.account import AccountsSeen, Source, is_paper
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import LinkState
from app.services.brokerage import Brokerage
from app.services.desk import BrokerOutputs, Desk
from app.storage.recorder import Recording
from app.venues.ibkr_portal.intake import PortalIntake

HEADER_KEY: Final = "brokers"
"""Where a recording's header names the sources that were on, e.g. `ibkr.portal`."""


class BrokerReplay:
    """The desk of a recording; none when its header names no broker."""

    def __init__(self, recording: Recording, clock: Clock, outputs: BrokerOutputs, lines: int) -> None:
        self._intake = PortalIntake()
        self._desk: Desk | None = None
        named = recording.header.get(HEADER_KEY)
        if isinstance(named, list) and Source.PORTAL.feed in named:
            address = recording.path.name
            health = BrokerHealth(source=Source.PORTAL, address=address, state=LinkState.LIVE, lines_limit=lines)
            self._desk = Desk(health, lines, outputs)
        self.brokerage = Brokerage(() if self._desk is None else (self._desk,), clock)

    def feed(self, source: Source, recv_ns: int, kind: str, argument: str, raw: str) -> None:
        """Take an entry. Raises BadFrameError."""
        desk = self._desk
        if desk is None or source is not desk.source:
            return
        desk.health.messages += 1
        desk.health.last_message_ns = recv_ns
        if kind == "ws":
            taken = self._intake.on_frame(recv_ns, raw)
        elif kind == "rest":
            taken = self._intake.on_rest(recv_ns, argument, raw)
        else:
            return
        for event in taken.events:
            if isinstance(event, AccountsSeen):
                desk.health.accounts = event.accounts
                desk.health.paper = is_paper(event.accounts[0]) if event.accounts else None
                desk.health.paper_why = "the account id in the recording"
        if taken.quotes:
            desk.on_quotes(recv_ns, taken.quotes)
        if taken.events:
            desk.on_events(recv_ns, taken.events)
