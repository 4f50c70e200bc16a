"""Ports between a broker's sessions and the rest: what a session tells, and what may be asked of it.

There is no verb that places, changes or cancels an order, here or behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract, ContractDetails, DailyBar
from app.domain.errors import FeedError
from app.domain.health import FeedEvent
from app.domain.quotes import QuoteUpdate


class BrokerError(FeedError):
    """A question to the broker got no (useful) answer; the message says why in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """A server-side scanner: code ("TOP_PERC_GAIN"), instrument ("STK"), location ("STK.US.MAJOR"), least price."""

    id: str
    code: str
    instrument: str = "STK"
    location: str = "STK.US.MAJOR"
    price_above: float | None = None
    rows: int = 50


@dataclass(frozen=True, slots=True)
class Watchlist:
    """A list the user keeps at the broker."""

    name: str
    contracts: tuple[Contract, ...]


class BrokerSink(Protocol):
    """Where a session tells what it hears; called on the loop, in order, must not block."""

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take account, order and contract news."""
        ...

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        """Take quotes."""
        ...

    def on_raw(self, recv_ns: int, kind: str, argument: str, raw: str | bytes) -> None:
        """Take a raw frame for the recording: kind "ws" or "rest" (argument: the path). Only Client Portal has them."""
        ...

    def on_log(self, event: FeedEvent) -> None:
        """Take a rare fact for the event log (source: `Source.feed`)."""
        ...


class BrokerSession(Protocol):
    """One connection to a broker that mends itself. Questions raise BrokerError when they get no answer in time."""

    health: BrokerHealth

    async def run(self) -> None:
        """Connect, listen, reconnect, for ever; leave nothing behind when cancelled."""
        ...

    def set_lines(self, contracts: Sequence[Contract]) -> None:
        """Quote exactly these (the most important first); lines of others are freed. Kept over reconnects."""
        ...

    def set_scans(self, scans: Sequence[ScanRequest]) -> None:
        """Run exactly these server-side scanners. Kept over reconnects."""
        ...

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        """Return stocks and indices of that symbol, the US one first; empty when there is none."""
        ...

    async def details(self, contract: Contract) -> ContractDetails:
        """Return tick size and trading hours."""
        ...

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        """Return closes of the last trading days, oldest first."""
        ...

    async def watchlists(self) -> tuple[Watchlist, ...]:
        """Return the lists kept at the broker; empty for a source that has none."""
        ...

    def wake(self) -> None:
        """Try at once instead of waiting for the next try; ask again what was refused (read-only probe, orders)."""
        ...
