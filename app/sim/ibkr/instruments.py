"""What an instrument of the simulated account is, and how the broker's names find one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.sim.ibkr.hours import Venue


class Access(StrEnum):
    """Which quotes the user is allowed."""

    LIVE = "live"
    DELAYED = "delayed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimContract:
    """An instrument. expiry: YYYYMMDD or ""; right C, P or ""; multiplier 1 for stocks.

    start_price: previous close at the start; beta, volatility (annualised): how it moves; gap: how much it has moved
    since the previous close at the start, as a fraction; volume: shares of a usual day.
    """

    con_id: int
    symbol: str
    sec_type: str = "STK"
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = "NASDAQ"
    expiry: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: float = 1.0
    local_symbol: str = ""
    trading_class: str = "NMS"
    underlying_con_id: int = 0
    name: str = ""
    industry: str = ""
    category: str = ""
    isin: str = ""
    stock_type: str = ""
    tick_size: float = 0.01
    venue: Venue = Venue.US_STOCKS
    access: Access = Access.LIVE
    halted: int = 0
    start_price: float = 0.0
    beta: float = 1.0
    volatility: float = 0.3
    gap: float = 0.0
    volume: float = 1_000_000.0
    shortable: float = 3.0

    @property
    def is_option(self) -> bool:
        """Whether it is priced from an underlying."""
        return self.sec_type == "OPT"


HALTED_SYMBOL = "AMC"
DELAYED_SYMBOL = "NKE"
FORBIDDEN_SYMBOL = "TSM"
CHAIN_SYMBOLS = ("AAPL", "SPY", "MSFT", "NVDA", "TSLA")
SPY = 756733
AAPL = 265598
MSFT = 272093
NVDA = 4815747
TSLA = 76792991
SAP = 14204
EURUSD = 12087792


@dataclass(frozen=True, slots=True)
class Chain:
    """Options of one underlying: the expiries and the strikes of each; not every strike exists at every expiry."""

    underlying: SimContract
    trading_class: str
    multiplier: float
    strikes: dict[str, tuple[float, ...]]
    monthlies: frozenset[str]

    @property
    def expiries(self) -> tuple[str, ...]:
        """All expiries, nearest first."""
        return tuple(sorted(self.strikes))

    @property
    def all_strikes(self) -> tuple[float, ...]:
        """Strikes that exist at any expiry, lowest first."""
        return tuple(sorted({strike for strikes in self.strikes.values() for strike in strikes}))


@dataclass(slots=True)
class Catalogue:
    """All instruments by number, chains by the underlying's number."""

    contracts: dict[int, SimContract] = field(default_factory=dict)
    chains: dict[int, Chain] = field(default_factory=dict)
    options: dict[tuple[int, str, float, str], SimContract] = field(default_factory=dict)

    def find(
        self,
        symbol: str = "",
        *,
        sec_type: str = "",
        currency: str = "",
        expiry: str = "",
        strike: float = 0.0,
        right: str = "",
        exchange: str = "",
        local_symbol: str = "",
        primary_exchange: str = "",
    ) -> list[SimContract]:
        """Return what fits the names that are given (empty ones fit all); expiry may be YYYYMM."""
        wide = ("", "SMART")
        return [
            each
            for each in self.contracts.values()
            if (not symbol or each.symbol == symbol)
            and (not local_symbol or each.local_symbol == local_symbol)
            and (symbol or local_symbol)
            and (not sec_type or each.sec_type == sec_type)
            and (not currency or each.currency == currency)
            and each.expiry.startswith(expiry)
            and (not strike or abs(each.strike - strike) < 1e-6)
            and (not right or each.right == right[:1])
            and (exchange in wide or exchange in (each.exchange, each.primary_exchange))
            and (not primary_exchange or each.is_option or primary_exchange == each.primary_exchange)
        ]

    def matching(self, pattern: str) -> list[SimContract]:
        """Return stocks whose symbol begins with, or whose name contains, that text."""
        text = pattern.upper()
        found = [
            each
            for each in self.contracts.values()
            if each.sec_type == "STK" and (each.symbol.startswith(text) or text in each.name)
        ]
        return sorted(found, key=lambda each: (each.symbol != text, not each.symbol.startswith(text), each.symbol))

    def option(self, underlying: int, expiry: str, strike: float, right: str) -> SimContract | None:
        """Return that option, None where it does not exist."""
        return self.options.get((underlying, expiry, strike, right))
