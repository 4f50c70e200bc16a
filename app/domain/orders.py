"""Orders and executions as a broker reports them. Fathom reads them; nothing here can make one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.contracts import Contract


class OrderStatus(StrEnum):
    """Where an order stands, by the broker's own words (both sources map to these)."""

    PENDING_SUBMIT = "PendingSubmit"
    PENDING_CANCEL = "PendingCancel"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"
    UNKNOWN = "Unknown"

    @property
    def is_working(self) -> bool:
        """Return whether it can still be filled."""
        return self in (
            OrderStatus.PENDING_SUBMIT,
            OrderStatus.PENDING_CANCEL,
            OrderStatus.PRE_SUBMITTED,
            OrderStatus.SUBMITTED,
        )


class Side(StrEnum):
    """Direction."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """One order as last heard of, complete (a source that sends only changes has merged them).

    order_id: unique within the source for as long as the order lives and after (TWS: the permId). order_type in the
    broker's words ("LMT", "Limit"). limit_price, stop_price, average_price per unit; None: has none or unknown.
    reason: why it was rejected, held or cancelled, as sent. updated_ns: UTC ns of the source, else of receipt.
    """

    account: str
    order_id: str
    contract: Contract
    side: Side
    quantity: float
    order_type: str
    status: OrderStatus
    status_text: str
    filled: float = 0.0
    remaining: float | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    average_price: float | None = None
    time_in_force: str = ""
    outside_rth: bool | None = None
    reason: str = ""
    reference: str = ""
    client: str = ""
    updated_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. exec_id: the broker's, the same from both sources; a correction differs after its last dot.
    quantity above 0. price per unit. commission in commission_currency, realised in the contract's currency; None:
    not known (yet). time_ns: UTC ns of the venue."""

    exec_id: str
    account: str
    order_id: str
    contract: Contract
    side: Side
    quantity: float
    price: float
    time_ns: int
    exchange: str = ""
    cumulative: float | None = None
    average_price: float | None = None
    commission: float | None = None
    commission_currency: str = ""
    realised: float | None = None
    liquidity: str = ""


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """News of an order."""

    order: OrderState


@dataclass(frozen=True, slots=True)
class ExecutionSeen:
    """A fill, new or repeated (executions are reconciled by exec_id), or the same fill with its commission."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """The working orders of a source at once: one that is not named any more is not working. known: whether the source
    lets orders be seen at all; reason says why not ("TWS is in Read-Only API mode ...")."""

    known: bool
    reason: str
    order_ids: frozenset[str] = frozenset()
