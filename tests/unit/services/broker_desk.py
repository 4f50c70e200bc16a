"""A desk at a broker for tests: a real ledger and real lines, with a session that answers from a list."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.account import Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract, ContractDetails, DailyBar
from app.domain.health import LinkState
from app.domain.quotes import DataKind, QuoteField, QuoteUpdate
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineBudget
from app.venues.broker import BrokerError, ScanRequest, Watchlist


class AnsweringSession:
    """Knows contracts, lists, hours and bars by heart. `asked` is what was asked, in order; `broken` refuses all."""

    def __init__(self, health: BrokerHealth) -> None:
        self.health = health
        self.known: dict[str, tuple[Contract, ...]] = {}
        self.lists: tuple[Watchlist, ...] = ()
        self.hours: dict[int, ContractDetails] = {}
        self.bars: dict[int, tuple[DailyBar, ...]] = {}
        self.scans: tuple[ScanRequest, ...] = ()
        self.lines: tuple[Contract, ...] = ()
        self.asked: list[str] = []
        self.broken = False
        self.woken = 0

    async def run(self) -> None:
        """Nothing to do."""

    def set_lines(self, contracts: Sequence[Contract]) -> None:
        self.lines = tuple(contracts)

    def set_scans(self, scans: Sequence[ScanRequest]) -> None:
        self.scans = tuple(scans)

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.broken:
            raise BrokerError(f"no answer to {what}")

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        self._note(f"find {symbol}")
        return self.known.get(symbol, ())

    async def details(self, contract: Contract) -> ContractDetails:
        self._note(f"details {contract.symbol}")
        return self.hours.get(contract.con_id, ContractDetails(contract=contract))

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        self._note(f"bars {contract.symbol}")
        return self.bars.get(contract.con_id, ())

    async def watchlists(self) -> tuple[Watchlist, ...]:
        self._note("watchlists")
        return self.lists

    def wake(self) -> None:
        self.woken += 1


class LocalDesk:
    """One source. `listener` hears quotes and events after the ledger has them."""

    def __init__(self, source: Source = Source.TWS, lines: int = 100, state: LinkState = LinkState.LIVE) -> None:
        self.source = source
        self.health = BrokerHealth(source=source, state=state)
        self.ledger = Ledger(source)
        self.lines = LineBudget(lines)
        self.answers = AnsweringSession(self.health)
        self.session: AnsweringSession | None = self.answers
        self.listeners: list[object] = []

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        self.ledger.on_events(recv_ns, events)
        for listener in self.listeners:
            listener.on_events(self.source, recv_ns, events)  # type: ignore[attr-defined]  # whoever listens

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        self.ledger.on_quotes(recv_ns, updates)
        for listener in self.listeners:
            listener.on_quotes(self.source, recv_ns, updates)  # type: ignore[attr-defined]  # whoever listens

    def quote(self, recv_ns: int, con_id: int, **figures: float) -> None:
        """Tell a live quote, by the names of `QuoteField` in lower case."""
        values = {int(QuoteField[name.upper()]): value for name, value in figures.items()}
        self.on_quotes(recv_ns, [QuoteUpdate(con_id, 0, {int(QuoteField.KIND): float(DataKind.LIVE), **values})])


def stock(con_id: int, symbol: str, **words: str) -> Contract:
    """Return a stock in USD."""
    return Contract(con_id=con_id, symbol=symbol, **{"primary_exchange": "NASDAQ", **words})  # type: ignore[arg-type]
