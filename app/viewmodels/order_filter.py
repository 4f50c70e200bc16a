"""Which orders and fills a list shows: by status, by words, by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from app.domain.orders import OrderStatus
from app.domain.units import NS_PER_S
from app.portfolio.orders import DAY_NS
from app.viewmodels.order_lines import FillLine, OrderLine

_FOR_EVER_NS: Final = 2**62


class Group(StrEnum):
    """Statuses that are looked at together."""

    ALL = "All"
    WORKING = "Working"
    FILLED = "Filled"
    CANCELLED = "Cancelled"

    def holds(self, line: OrderLine) -> bool:
        """Tell whether an order belongs to it. Cancelled: also what was rejected or has vanished unfilled."""
        status, filled = line.state.status, line.state.filled
        match self:
            case Group.WORKING:
                return status.is_working
            case Group.FILLED:
                return status is OrderStatus.FILLED or filled > 0
            case Group.CANCELLED:
                ended = (OrderStatus.CANCELLED, OrderStatus.INACTIVE)
                return status in ended or (status is OrderStatus.UNKNOWN and not line.fills_only)
            case _:
                return True


class Period(StrEnum):
    """From when orders are shown."""

    LAST_DAY = "24 hours"
    TODAY = "Today"
    YESTERDAY = "Yesterday"
    WEEK = "7 days"
    MONTH = "30 days"
    DAY = "A day…"

    @property
    def is_stored(self) -> bool:
        """Return whether it reaches farther back than what is kept in memory."""
        return self not in (Period.LAST_DAY, Period.TODAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """What is shown. text: words that all must be in an order; day: of `Period.DAY`."""

    group: Group = Group.ALL
    text: str = ""
    period: Period = Period.LAST_DAY
    day: date | None = None

    def window(self, now_ns: int, zone: tzinfo) -> tuple[int, int]:
        """Return from when to before when (UTC ns), by the calendar of a zone."""
        if self.period is Period.LAST_DAY:
            return now_ns - DAY_NS, _FOR_EVER_NS
        today = datetime.fromtimestamp(now_ns // NS_PER_S, zone).date()
        first, days = {
            Period.YESTERDAY: (today - timedelta(1), 1),
            Period.WEEK: (today - timedelta(6), None),
            Period.MONTH: (today - timedelta(29), None),
            Period.DAY: (self.day or today, 1),
        }.get(self.period, (today, None))
        start_ns = _midnight_ns(first, zone)
        return start_ns, _midnight_ns(first + timedelta(days), zone) if days is not None else _FOR_EVER_NS

    def orders(self, lines: list[OrderLine], now_ns: int, zone: tzinfo) -> list[OrderLine]:
        """Return the orders that are shown; what works now belongs to every time that reaches to now."""
        start_ns, end_ns = self.window(now_ns, zone)
        words = self.text.lower().split()
        return [
            line
            for line in lines
            if self.group.holds(line)
            and (start_ns <= line.last_ns < end_ns or (end_ns == _FOR_EVER_NS and line.state.status.is_working))
            and _has(words, _order_words(line))
        ]

    def fills(self, lines: list[FillLine], now_ns: int, zone: tzinfo) -> list[FillLine]:
        """Return the fills that are shown; the group is about orders only."""
        start_ns, end_ns = self.window(now_ns, zone)
        words = self.text.lower().split()
        return [line for line in lines if start_ns <= line.fill.time_ns < end_ns and _has(words, _fill_words(line))]


def _midnight_ns(day: date, zone: tzinfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS_PER_S


def _has(words: list[str], text: str) -> bool:
    return not words or all(word in text for word in words)


def _order_words(line: OrderLine) -> str:
    state = line.state
    return " ".join(
        (
            line.contract.label,
            line.contract.symbol,
            line.contract.name,
            state.account,
            state.side.value,
            line.type_text,
            line.status_text,
            state.reference,
            state.order_id,
            state.reason,
        )
    ).lower()


def _fill_words(line: FillLine) -> str:
    fill = line.fill
    return " ".join(
        (
            line.contract.label,
            line.contract.symbol,
            line.contract.name,
            fill.account,
            fill.side.value,
            fill.exchange,
            fill.order_id,
            fill.exec_id,
        )
    ).lower()
