"""Words for what happens to orders: an order's statuses in time, the lines of its timeline, and news for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.account import Source
from app.domain.contracts import Contract
from app.domain.orders import Execution, OrderState, OrderStatus, Side

FILLS_ONLY: Final = "fills only"
"""Status text of an order that is known by its fills alone."""
NOT_LISTED: Final = "not listed any more"
"""Status text of an order that was working and is no longer among the working ones, without a word why."""
_TINY: Final = 1e-9


def root_of(exec_id: str) -> str:
    """Return what a fill and its corrections have in common: the id without what stands after its last dot."""
    return exec_id.rpartition(".")[0] or exec_id


def version_of(exec_id: str) -> tuple[int, str]:
    """Return which correction of a fill an id is, for comparing: the later one is larger."""
    root, _, tail = exec_id.rpartition(".")
    if not root:
        return 0, ""
    return (int(tail), tail) if tail.isdecimal() else (0, tail)


def is_final(status: OrderStatus) -> bool:
    """Tell whether nothing more happens to an order of that status."""
    return status in (OrderStatus.FILLED, OrderStatus.CANCELLED)


def is_whole(filled: float, quantity: float) -> bool:
    """Tell whether so much is all of the order."""
    return quantity > 0 and filled >= quantity * (1 - _TINY)


def precedence(order: OrderState) -> tuple[int, int]:
    """Return what makes one state of an order the later one, whatever order they arrive in (of equal ones: the last).

    A final status is never taken back, except that a cancelled order may turn out to have been filled; else the time
    decides.
    """
    final = {OrderStatus.FILLED: 2, OrderStatus.CANCELLED: 1}.get(order.status, 0)
    return final, order.updated_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMark:
    """An order's words for a stretch of time: what was first heard at start_ns and held until at least end_ns."""

    start_ns: int
    end_ns: int
    status: OrderStatus
    status_text: str
    quantity: float
    filled: float
    limit_price: float | None
    stop_price: float | None
    reason: str

    @classmethod
    def of(cls, order: OrderState) -> StatusMark:
        """Return the words of a state."""
        return cls(
            start_ns=order.updated_ns,
            end_ns=order.updated_ns,
            status=order.status,
            status_text=order.status_text,
            quantity=order.quantity,
            filled=order.filled,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            reason=order.reason,
        )

    @property
    def words(self) -> tuple[object, ...]:
        """Return all but the times: two marks with the same words say the same."""
        return (
            self.status,
            self.status_text,
            self.quantity,
            self.filled,
            self.limit_price,
            self.stop_price,
            self.reason,
        )


class EventKind(StrEnum):
    """Kinds of lines in a timeline."""

    RECEIVED = "received"
    STATUS = "status"
    CHANGED = "changed"
    FILL = "fill"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """One line of an order's timeline: when (UTC ns of the source), what kind, in words, with the reason if any."""

    ts_ns: int
    kind: EventKind
    text: str
    reason: str = ""


class NewsKind(StrEnum):
    """What a person wants to hear of at once."""

    FILL = "fill"
    COMPLETE = "complete"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNews:
    """Something that happened to an order while the program was listening.

    exec_id: of the fill it is about, "" for a status. quantity and price: of the fill; filled: of the order so far;
    total: the order's size, None when it is known by its fills only. average: mean price of what is filled.
    """

    kind: NewsKind
    source: Source
    ts_ns: int
    account: str
    order_id: str
    contract: Contract
    side: Side
    exec_id: str = ""
    quantity: float = 0.0
    price: float | None = None
    filled: float = 0.0
    total: float | None = None
    average: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """One order as it is stored, with its statuses in time, oldest first.

    heard_ns: UTC ns of receipt of what was heard last: of two records the later one holds. last_ns: when something
    last happened to it, by the source's clock.
    """

    source: Source
    state: OrderState
    fills_only: bool
    marks: tuple[StatusMark, ...]
    heard_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecords:
    """What is stored of orders: the orders, and the fills with the source that told them."""

    orders: tuple[OrderRecord, ...] = ()
    executions: tuple[tuple[Source, Execution], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.orders or self.executions)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """What is asked of the stored orders: those to which something happened from start_ns to before end_ns (UTC ns).

    working: also those that worked when they were last heard of, whenever that was. symbol: part of the symbol, in any
    case, "" for all. statuses: only these, none for all. limit: at most so many, the newest.
    """

    start_ns: int
    end_ns: int
    working: bool = False
    symbol: str = ""
    statuses: tuple[OrderStatus, ...] = ()
    limit: int = 2_000


def average_of(executions: list[Execution]) -> float | None:
    """Return the mean price of fills by quantity, None without any."""
    quantity = sum(each.quantity for each in executions)
    return sum(each.quantity * each.price for each in executions) / quantity if quantity > 0 else None
