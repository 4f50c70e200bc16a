"""What the simulated account is made of: quotes, bars, orders, fills, positions, figures. Times are UTC seconds."""

from __future__ import annotations

from dataclasses import dataclass

WORKING = frozenset({"PendingSubmit", "PendingCancel", "PreSubmitted", "Submitted"})


@dataclass(slots=True, kw_only=True)
class SimQuote:
    """Quote of one contract, prices per unit; None where there is none (no bid, not an option, ...).

    close: previous close. halted: 0, 1 (general) or 2 (volatility). iv: of the option itself, for a stock that of its
    30-day options; hist_vol likewise, as annualised fractions. vega per percentage point, theta per day.
    """

    con_id: int
    bid: float | None
    ask: float | None
    bid_size: float
    ask_size: float
    last: float
    last_size: float
    last_s: float
    volume: float
    open: float
    high: float
    low: float
    close: float
    mark: float
    vwap: float
    trades: int
    halted: int = 0
    iv: float | None = None
    hist_vol: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    model_price: float | None = None
    underlying: float | None = None
    call_open_interest: float | None = None
    put_open_interest: float | None = None
    call_volume: float | None = None
    put_volume: float | None = None
    open_interest: float | None = None
    week_52_high: float | None = None
    week_52_low: float | None = None
    shortable: float | None = None


@dataclass(frozen=True, slots=True)
class SimBar:
    """One bar; time_s is its beginning, day its date at the exchange as YYYYMMDD."""

    day: str
    time_s: float
    open: float
    high: float
    low: float
    close: float
    volume: float
    wap: float
    count: int


@dataclass(slots=True, kw_only=True)
class SimOrder:
    """An order, changed in place as it goes on. status in the broker's words; reason: why it was rejected or
    cancelled. order_id is its client's own number (0 for one entered in TWS)."""

    perm_id: int
    order_id: int
    client_id: int
    account: str
    con_id: int
    action: str
    quantity: float
    order_type: str
    limit_price: float | None
    aux_price: float | None
    time_in_force: str
    outside_rth: bool
    reference: str
    status: str
    submitted_s: float
    updated_s: float
    filled: float = 0.0
    average_price: float = 0.0
    last_fill_price: float = 0.0
    reason: str = ""

    @property
    def remaining(self) -> float:
        """What is not filled; 0 once it cannot be any more."""
        return self.quantity - self.filled

    @property
    def is_working(self) -> bool:
        """Whether it can still be filled."""
        return self.status in WORKING


@dataclass(slots=True, kw_only=True)
class SimFill:
    """An execution. side BOT or SLD; realised: what it realised, None when it only opened. commission_s: when the
    report of the commission comes."""

    exec_id: str
    perm_id: int
    order_id: int
    client_id: int
    account: str
    con_id: int
    side: str
    quantity: float
    price: float
    time_s: float
    exchange: str
    cumulative: float
    average_price: float
    commission: float
    commission_currency: str
    realised: float | None
    liquidity: int
    reference: str
    commission_s: float

    @property
    def signed_quantity(self) -> float:
        """What it adds to the position."""
        return self.quantity if self.side == "BOT" else -self.quantity


@dataclass(slots=True, kw_only=True)
class SimPosition:
    """A position. average_cost is per contract (the multiplier is in it); average_price per unit. Values in the
    contract's currency. opening_quantity and opening_value are those at the previous close; bought_today is the money
    put in today (fills and commissions, negative when taken out)."""

    account: str
    con_id: int
    quantity: float
    average_cost: float
    average_price: float
    realised: float
    opening_quantity: float
    opening_value: float
    bought_today: float


@dataclass(frozen=True, slots=True)
class SimPositionPnl:
    """Profit and loss of a position in the contract's currency; value is its market value (a future's: notional)."""

    quantity: float
    price: float
    value: float
    daily: float
    unrealised: float
    realised: float


@dataclass(frozen=True, slots=True)
class SimPnl:
    """Profit and loss of an account in its base currency; daily already contains today's change of unrealised."""

    daily: float
    unrealised: float
    realised: float


@dataclass(frozen=True, slots=True)
class SimValue:
    """A figure of an account under the broker's tag; currency is a code, BASE or ""."""

    tag: str
    value: float
    currency: str
