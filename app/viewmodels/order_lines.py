"""Turns orders and fills of a broker's books into lines for tables: words, signs and colours, nothing of Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from app.domain.account import Source
from app.domain.contracts import Contract, ContractDetails
from app.domain.orders import Execution, OrderState, OrderStatus, Side
from app.domain.units import NS_PER_S
from app.portfolio.order_events import FILLS_ONLY, NOT_LISTED, root_of
from app.portfolio.order_track import Track
from app.viewmodels import formats

OrderKey = tuple[str, str]
"""Source word and order id."""

_WORDS: Final = {
    OrderStatus.PENDING_SUBMIT: ("◌ Pending submit", "warning"),
    OrderStatus.PENDING_CANCEL: ("◌ Pending cancel", "warning"),
    OrderStatus.PRE_SUBMITTED: ("○ Pre-submitted", "accent"),
    OrderStatus.SUBMITTED: ("● Submitted", "accent"),
    OrderStatus.FILLED: ("✓ Filled", "good"),
    OrderStatus.CANCELLED: ("✕ Cancelled", "muted"),
    OrderStatus.INACTIVE: ("! Inactive", "bad"),
    OrderStatus.UNKNOWN: ("? Unknown", "muted"),
}
_MEANINGS: Final = {
    OrderStatus.PENDING_SUBMIT: "sent, the exchange has not accepted it yet",
    OrderStatus.PENDING_CANCEL: "its cancellation was asked for and is not confirmed; it can still be filled",
    OrderStatus.PRE_SUBMITTED: "accepted by the broker, who holds it until its condition or its hour comes",
    OrderStatus.SUBMITTED: "working at the exchange",
    OrderStatus.FILLED: "all of it was filled",
    OrderStatus.CANCELLED: "it works no more",
    OrderStatus.INACTIVE: "it does not work: rejected, or held by the broker",
    OrderStatus.UNKNOWN: "the source says nothing that tells whether it works",
}
_TYPES: Final = {"LMT": "Limit", "MKT": "Market", "STP": "Stop", "STP LMT": "Stop limit", "TRAIL": "Trailing stop"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order in the table. tick: price step as text, None unknown. is_old: not confirmed by its source now, because
    that is away or has not named the order in this run. also: the other source that tells the same order.
    last_ns: when something last happened to it."""

    source: Source
    state: OrderState
    contract: Contract
    tick: str | None
    first_ns: int
    last_ns: int
    heard_ns: int
    fills_only: bool
    is_old: bool
    roots: frozenset[str]
    also: Source | None = None

    @property
    def key(self) -> OrderKey:
        """Return what tells it from others."""
        return self.source.value, self.state.order_id

    @property
    def status_text(self) -> str:
        """Return the status with its sign."""
        state = self.state
        if state.status is OrderStatus.UNKNOWN and state.status_text == FILLS_ONLY:
            return "◇ Fills only"
        if state.status is OrderStatus.UNKNOWN and state.status_text == NOT_LISTED:
            return "? Not listed"
        if state.status in (OrderStatus.SUBMITTED, OrderStatus.PRE_SUBMITTED) and state.filled > 0:
            return "◐ Part filled"
        return _WORDS[state.status][0]

    @property
    def tone(self) -> str:
        """Return the colour name of the status."""
        return "muted" if self.is_old else _WORDS[self.state.status][1]

    @property
    def status_tip(self) -> str:
        """Return what the status means, with the broker's own word."""
        state = self.state
        meaning = _MEANINGS[state.status]
        if state.status_text == FILLS_ONLY:
            meaning = "only its fills are known: the source does not let orders be seen"
        elif state.status_text == NOT_LISTED:
            meaning = "it worked, and is not among the working orders any more; the source did not say why"
        lines = [f"{self.source.full_name} says {state.status_text or state.status.value}: {meaning}"]
        if state.reason:
            lines.append(f"Reason: {state.reason}")
        if self.is_old:
            lines.append("Not confirmed by the source now: this is what was last heard")
        return "\n".join(lines)

    @property
    def filled_text(self) -> str:
        """Return 30/100, or 30 for an order whose size is not known."""
        state = self.state
        return f"{state.filled:,.10g}" if self.fills_only else f"{state.filled:,.10g}/{state.quantity:,.10g}"

    @property
    def side_text(self) -> str:
        """Return BUY or SELL with a sign."""
        return "▲ BUY" if self.state.side is Side.BUY else "▼ SELL"

    @property
    def type_text(self) -> str:
        """Return the type of order in words."""
        return _TYPES.get(self.state.order_type.upper(), self.state.order_type) or formats.UNKNOWN

    @property
    def source_text(self) -> str:
        """Return who told it, with the client it came from."""
        names = self.source.full_name if self.also is None else f"{self.source.full_name} + {self.also.full_name}"
        return f"{names}, client {self.state.client}" if self.state.client else names

    def price(self, value: float | None) -> str:
        """Return a price by the contract's tick."""
        return price_text(value, self.tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """One fill in the table. also: the other source that tells it."""

    source: Source
    fill: Execution
    contract: Contract
    tick: str | None
    also: Source | None = None

    @property
    def key(self) -> str:
        """Return what a fill has in common with its corrections."""
        return root_of(self.fill.exec_id)

    @property
    def side_text(self) -> str:
        """Return BUY or SELL with a sign."""
        return "▲ BUY" if self.fill.side is Side.BUY else "▼ SELL"

    @property
    def commission_text(self) -> str:
        """Return the commission with its currency, … while it has not come."""
        fill = self.fill
        if fill.commission is None:
            return formats.PENDING
        return f"{fill.commission:,.2f} {fill.commission_currency}".rstrip()

    @property
    def realised_text(self) -> str:
        """Return the realised profit with its sign and currency."""
        if self.fill.realised is None:
            return formats.UNKNOWN
        return f"{self.fill.realised:+,.2f} {self.contract.currency}"

    def price(self, value: float | None) -> str:
        """Return a price by the contract's tick."""
        return price_text(value, self.tick)


@dataclass(frozen=True, slots=True)
class CommissionTotal:
    """What was paid in one currency, and how many fills have not said yet what they cost."""

    currency: str
    amount: float


def changed_ns(track: Track) -> int:
    """Return when an order last changed: not when it was last said to be as it was."""
    times = [mark.start_ns for mark in track.marks[-1:]] + [fill.time_ns for fill in track.fills.values()]
    return max(times, default=track.last_ns)


def tick_of(details: ContractDetails | None) -> str | None:
    """Return a contract's price step as text, None when it is not known."""
    return f"{details.tick_size:.10g}" if details is not None and details.tick_size else None


def commissions(lines: Iterable[FillLine]) -> tuple[list[CommissionTotal], int]:
    """Return what the fills cost by currency, and how many of them have not said yet."""
    sums: dict[str, float] = {}
    pending = 0
    for line in lines:
        if line.fill.commission is None:
            pending += 1
        else:
            currency = line.fill.commission_currency
            sums[currency] = sums.get(currency, 0.0) + line.fill.commission
    return [CommissionTotal(currency, sums[currency]) for currency in sorted(sums)], pending


def price_text(value: float | None, tick: str | None) -> str:
    """Return a price by its tick; without one with two decimals or as many more as it has, up to five."""
    if tick is not None or value is None or not math.isfinite(value):
        return formats.price(value, tick)
    text = f"{value:,.{4 if abs(value) >= 10 else 5}f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def when_text(ts_ns: int, now_ns: int, zone: tzinfo) -> str:
    """Return the time of day, of another day than today only to the minute."""
    if ts_ns <= 0:
        return formats.UNKNOWN
    moment, today = (datetime.fromtimestamp(ns // NS_PER_S, zone) for ns in (ts_ns, now_ns))
    return f"{moment:%H:%M:%S}" if moment.date() == today.date() else f"{moment.day} {moment:%b} {moment:%H:%M}"


def full_time(ts_ns: int, zone: tzinfo) -> str:
    """Return day and time to the millisecond."""
    moment = datetime.fromtimestamp(ts_ns // NS_PER_S, zone)
    return f"{moment:%Y-%m-%d} {formats.clock_text(ts_ns, zone, with_ms=True)}"
