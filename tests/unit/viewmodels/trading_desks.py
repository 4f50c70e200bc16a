"""Broker desks for tests: ledgers filled by hand, wishes for quotes noted, a store in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from app.domain.account import Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract
from app.domain.errors import StorageError
from app.domain.health import LinkState
from app.domain.orders import Execution, ExecutionSeen, OrderSeen, OrdersListed, OrderState
from app.domain.quotes import QuoteUpdate
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineGroup
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.viewmodels.live_trading import LiveTradingModel

sys.path.insert(0, str(Path(__file__).parents[1] / "portfolio"))
from order_words import AAPL, CALL, T0, S, fill, order

__all__ = ["AAPL", "CALL", "READ_ONLY", "T0", "Desk", "Rig", "S", "Store", "fill", "order"]

READ_ONLY = "TWS is in Read-Only API mode: open orders are not available; fills only"


class Desk:
    """One source that is live; its ledger is filled by the test."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.health = BrokerHealth(source=source, state=LinkState.LIVE, paper=True, paper_why="account and port")
        self.ledger = Ledger(source)
        self.wishes: list[tuple[LineGroup, tuple[int, ...], bool]] = []

    def want_lines(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True) -> None:
        self.wishes.append((group, tuple(contract.con_id for contract in contracts), visible))

    def tell(self, *news: OrderState | Execution | OrdersListed | BrokerEvent, at_s: float = 5) -> None:
        """Let the source tell news, received `at_s` seconds after T0."""
        events: list[BrokerEvent] = []
        for each in news:
            if isinstance(each, OrderState):
                events.append(OrderSeen(each))
            elif isinstance(each, Execution):
                events.append(ExecutionSeen(each))
            else:
                events.append(each)
        self.ledger.on_events(T0 + int(at_s * S), events)

    def quote(self, con_id: int, values: dict[int, float], at_s: float) -> None:
        """Let a quote come."""
        self.ledger.on_quotes(T0 + int(at_s * S), [QuoteUpdate(con_id, 0, values)])


class Store:
    """Orders of earlier days in memory."""

    def __init__(self, records: OrderRecords | None = None) -> None:
        self.records = records or OrderRecords()
        self.asked: list[OrderQuery] = []
        self.error = ""

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        self.asked.append(query)
        if self.error:
            raise StorageError(self.error)
        return self.records


class Rig:
    """A model over desks, with a clock the test owns."""

    def __init__(self, *sources: Source, store: Store | None = None) -> None:
        self.desks = {source: Desk(source) for source in sources}
        self.now_ns = T0 + 60 * S
        self.trouble = ""
        self.model = LiveTradingModel(self, lambda: self.now_ns, store=store, store_trouble=lambda: self.trouble)

    @property
    def tws(self) -> Desk:
        return self.desks[Source.TWS]

    @property
    def portal(self) -> Desk:
        return self.desks[Source.PORTAL]

    def refresh(self) -> LiveTradingModel:
        """Bring the model up to now and return it."""
        self.model.refresh(self.now_ns)
        return self.model

    def statuses(self) -> dict[str, str]:
        """Return the words of the shown orders by their ids."""
        return {line.state.order_id: line.status_text for line in self.refresh().orders}
