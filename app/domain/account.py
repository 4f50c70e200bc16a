"""What a broker tells of an account: money, positions, profit and loss; and in which words a source is named.

Figures a source leaves out, or marks as unset, are None: never 0, never a sentinel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.contracts import Contract, ContractDetails


class Source(StrEnum):
    """The two ways to Interactive Brokers."""

    TWS = "tws"
    PORTAL = "portal"

    @property
    def full_name(self) -> str:
        """Name for people."""
        return "TWS" if self is Source.TWS else "Client Portal"

    @property
    def feed(self) -> str:
        """Name in event logs and recordings, e.g. `ibkr.tws`."""
        return f"ibkr.{self.value}"


BASE = "BASE"
"""Currency word of figures that the broker has already converted to the account's base currency."""


class Tag(StrEnum):
    """Account figures that panels know, under one name for both sources."""

    NET_LIQUIDATION = "NetLiquidation"
    TOTAL_CASH = "TotalCashValue"
    SETTLED_CASH = "SettledCash"
    BUYING_POWER = "BuyingPower"
    EQUITY_WITH_LOAN = "EquityWithLoanValue"
    GROSS_POSITION_VALUE = "GrossPositionValue"
    INITIAL_MARGIN = "InitMarginReq"
    MAINTENANCE_MARGIN = "MaintMarginReq"
    AVAILABLE_FUNDS = "AvailableFunds"
    EXCESS_LIQUIDITY = "ExcessLiquidity"
    CUSHION = "Cushion"
    LEVERAGE = "Leverage"
    DAY_TRADES_REMAINING = "DayTradesRemaining"
    CASH_BALANCE = "CashBalance"
    EXCHANGE_RATE = "ExchangeRate"
    STOCK_VALUE = "StockMarketValue"
    OPTION_VALUE = "OptionMarketValue"
    FUTURES_PNL = "FuturesPNL"
    UNREALIZED_PNL = "UnrealizedPnL"
    REALIZED_PNL = "RealizedPnL"


@dataclass(frozen=True, slots=True)
class AccountsSeen:
    """The accounts of the login, in the source's order. An account that was there before and is not named is gone."""

    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountValue:
    """One figure of an account. tag: a `Tag` or the source's own word. currency: ISO code, `BASE`, or "" for none.

    EXCHANGE_RATE of a currency is what one unit of it is worth in the account's base currency. CASH_BALANCE comes once
    a currency. Tags without a currency of their own (Cushion) have "".
    """

    account: str
    tag: str
    currency: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What an account holds of one contract.

    quantity: contracts or shares, negative when short. average_cost: as the broker sends it, per CONTRACT for
    derivatives (the multiplier is in it), per share for stocks. market_price: per unit, the broker's own.
    market_value, unrealised, realised, daily: in the contract's currency, the broker's own figures.
    """

    account: str
    contract: Contract
    quantity: float
    average_cost: float | None = None
    market_price: float | None = None
    market_value: float | None = None
    unrealised: float | None = None
    realised: float | None = None
    daily: float | None = None


@dataclass(frozen=True, slots=True)
class PositionSeen:
    """News of one position; figures that are None did not come and keep what is known. quantity 0: it is closed."""

    position: Position


@dataclass(frozen=True, slots=True)
class PositionsListed:
    """All positions of an account at once: what is not among them is closed."""

    account: str
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class PositionPnl:
    """Profit and loss of one position as the broker computes it, in the contract's currency. None: did not come."""

    account: str
    con_id: int
    daily: float | None
    unrealised: float | None
    realised: float | None
    value: float | None


@dataclass(frozen=True, slots=True)
class AccountPnl:
    """Profit and loss of an account in its base currency. daily already contains today's change of unrealised."""

    account: str
    daily: float | None
    unrealised: float | None
    realised: float | None


@dataclass(frozen=True, slots=True)
class DetailsSeen:
    """What the source says of a contract."""

    details: ContractDetails


class Severity(StrEnum):
    """How bad a notice is; the order is from harmless to grave."""

    INFO = "info"
    RESTORED = "restored"
    DEGRADED = "degraded"
    FAILED = "failed"
    CONFLICT = "conflict"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something the source said that is not data. code: the source's number, 0 for none. text: its own words.
    advice: a plain sentence of what it means and what to do. con_id: the contract it is about, None for none."""

    code: int
    severity: Severity
    text: str
    advice: str
    con_id: int | None = None


@dataclass(frozen=True, slots=True)
class LineRefused:
    """A quote that was asked for will not come. limit: it is for want of a free line, not of a permission."""

    con_id: int
    code: int
    reason: str
    limit: bool


@dataclass(frozen=True, slots=True)
class ScanSeen:
    """The answer of a server-side scanner, best first. id: that of the `ScanRequest`."""

    scan: str
    contracts: tuple[Contract, ...]


def is_paper(account: str) -> bool | None:
    """Return whether an account id is one of paper trading by its first letter, None for an unusual id.

    Ids that begin with D (DU, DF) are paper, with U or F live; no official page says so: it is custom.
    """
    head = account[:1].upper()
    if head == "D":
        return True
    return False if head in ("U", "F", "I") else None
