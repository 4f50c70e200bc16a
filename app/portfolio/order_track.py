"""One order as it is followed: its newest state, its statuses in time and its fills, told as a timeline."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from app.domain.account import Source
from app.domain.orders import Execution, OrderState, OrderStatus
from app.portfolio.order_events import (
    FILLS_ONLY,
    NOT_LISTED,
    EventKind,
    StatusMark,
    TimelineEvent,
    average_of,
    is_final,
    is_whole,
    precedence,
)

MARKS_KEPT: Final = 200


@dataclass(slots=True, eq=False)
class Track:
    """An order. told: what the source said last, None while it is known by its fills alone.

    verified: its state was heard in this run (else it is what was stored). gone_ns: since when it is not listed any
    more although nothing final was said, 0 while it is. news_ns: UTC ns of receipt of what was heard last.
    marks_lost: statuses that fell off the far end of the timeline.
    """

    source: Source
    order_id: str
    told: OrderState | None = None
    fills: dict[str, Execution] = field(default_factory=dict)
    marks: list[StatusMark] = field(default_factory=list)
    marks_lost: int = 0
    verified: bool = False
    gone_ns: int = 0
    news_ns: int = 0
    heard: bool = False
    """Whether the source told a state in this run."""
    announced: OrderStatus | None = None
    """The end (filled, inactive, cancelled) that is known to the person, or was never news."""
    fills_told: int = 0
    """How many of its fills were news."""
    cancel_asked: bool = False

    # -- what is heard -------------------------------------------------------------------------------------------

    def hear(self, order: OrderState) -> bool:
        """Take a state, however late; return whether it is the newest one."""
        self._mark(StatusMark.of(order))
        self.cancel_asked = self.cancel_asked or order.status is OrderStatus.PENDING_CANCEL
        if self.told is not None and precedence(order) < precedence(self.told):
            return False
        self.told = order
        return True

    def miss(self, now_ns: int) -> None:
        """Note that it is not listed any more."""
        self.gone_ns = now_ns
        self._mark(StatusMark.of(replace(self.state, updated_ns=now_ns)))

    def find(self, now_ns: int) -> None:
        """Note that it is listed again."""
        self.gone_ns = 0
        self._mark(StatusMark.of(replace(self.state, updated_ns=now_ns)))

    def _mark(self, new: StatusMark) -> None:
        """Keep words and time, joined with neighbours that say the same; what comes late finds its place in between."""
        marks = self.marks
        place = bisect_right(marks, new.start_ns, key=lambda mark: mark.start_ns)
        before = marks[place - 1] if place else None
        if before is not None and before.words == new.words:
            if new.end_ns > before.end_ns:
                marks[place - 1] = replace(before, end_ns=new.end_ns)
            return
        if before is not None and before.end_ns > new.end_ns and before.start_ns < new.start_ns:
            # other words in the midst of a stretch: it was two stretches
            marks[place - 1] = replace(before, end_ns=before.start_ns)
            marks[place:place] = [new, replace(before, start_ns=before.end_ns)]
        elif place < len(marks) and marks[place].words == new.words:
            marks[place] = replace(marks[place], start_ns=new.start_ns)
        else:
            marks.insert(place, new)
        if len(marks) > MARKS_KEPT:
            self.marks_lost += 1
            del marks[1]  # the first one says when it was received

    def restore(self, marks: Iterable[StatusMark]) -> None:
        """Take stored marks, oldest first."""
        for mark in marks:
            self._mark(mark)

    # -- how it stands -------------------------------------------------------------------------------------------

    @property
    def executed(self) -> float:
        """Return the sum of the fills that are known."""
        return sum(fill.quantity for fill in self.fills.values())

    @property
    def state(self) -> OrderState:
        """Return the order as all that was heard makes it: what the source said, its fills, its place in the list."""
        fills = self.in_time()
        executed = sum(fill.quantity for fill in fills)
        told = self.told
        if told is None:
            return self._of_fills(fills, executed)
        filled = max(told.filled, executed)
        status, text = told.status, told.status_text
        if is_whole(filled, told.quantity) and status is not OrderStatus.FILLED:
            status, text = OrderStatus.FILLED, OrderStatus.FILLED.value  # the fills are ahead of the status
        elif self.gone_ns and status.is_working:
            status, text = OrderStatus.UNKNOWN, NOT_LISTED
        average = told.average_price
        if average is None or (executed > told.filled and fills):
            average = average_of(fills)
        remaining = told.remaining if filled == told.filled and told.remaining is not None else told.quantity - filled
        return replace(
            told,
            status=status,
            status_text=text,
            filled=filled,
            remaining=max(0.0, remaining),
            average_price=average,
            reason=told.reason or self._reason(told.status),
        )

    def _reason(self, status: OrderStatus) -> str:
        """Return the reason that was given for a status, also when a later message left it out or when it is a part of
        the status's own words ("Order Canceled - reason: expired")."""
        marks = [mark for mark in reversed(self.marks) if mark.status is status]
        given = next((mark.reason for mark in marks if mark.reason), "")
        if given or status not in (OrderStatus.CANCELLED, OrderStatus.INACTIVE):
            return given
        said = (mark.status_text.partition("reason:")[2].strip() for mark in marks)
        return next((text for text in said if text), "")

    def _of_fills(self, fills: list[Execution], executed: float) -> OrderState:
        first, last = fills[0], fills[-1]
        return OrderState(
            account=first.account,
            order_id=self.order_id,
            contract=first.contract,
            side=first.side,
            quantity=0.0,
            order_type="",
            status=OrderStatus.UNKNOWN,
            status_text=FILLS_ONLY,
            filled=max(executed, *(fill.cumulative or 0.0 for fill in fills)),
            average_price=average_of(fills),
            updated_ns=last.time_ns,
        )

    @property
    def fills_only(self) -> bool:
        """Return whether nothing but fills was heard."""
        return self.told is None

    @property
    def last_ns(self) -> int:
        """Return when something last happened to it, by the source's clock."""
        told_ns = self.told.updated_ns if self.told is not None else 0
        return max(told_ns, self.gone_ns, *(fill.time_ns for fill in self.fills.values()), 0)

    @property
    def first_ns(self) -> int:
        """Return when it was first heard of, by the source's clock."""
        times = [mark.start_ns for mark in self.marks[:1]] + [fill.time_ns for fill in self.fills.values()]
        return min(times, default=0)

    def in_time(self) -> list[Execution]:
        """Return the fills, oldest first."""
        return sorted(self.fills.values(), key=lambda fill: (fill.time_ns, fill.cumulative or 0.0, fill.exec_id))

    # -- its story -----------------------------------------------------------------------------------------------

    def timeline(self) -> list[TimelineEvent]:
        """Return everything that happened, oldest first."""
        fills = self.in_time()
        total = self.told.quantity if self.told is not None else None
        told = [(mark.start_ns, 0, index, event) for index, (mark, event) in enumerate(self._status_events())]
        filled = 0.0
        for index, fill in enumerate(fills):
            filled = max(filled + fill.quantity, fill.cumulative or 0.0)
            told.append((fill.time_ns, 1, index, _fill_event(fill, filled, total)))
        return [event for _, _, _, event in sorted(told, key=lambda entry: entry[:3])]

    def _status_events(self) -> list[tuple[StatusMark, TimelineEvent]]:
        executed = self.executed
        events: list[tuple[StatusMark, TimelineEvent]] = []
        before: StatusMark | None = None
        ended = is_final(self.state.status)
        for mark in self.marks:
            if ended and mark.status_text == NOT_LISTED:
                continue  # the list was ahead of the word why
            event = _status_event(before, mark, executed)
            if event is not None:
                events.append((mark, event))
            before = mark
        return events


def _fill_event(fill: Execution, filled: float, total: float | None) -> TimelineEvent:
    done = f"{filled:g}/{total:g}" if total else f"{filled:g} so far"
    place = f" on {fill.exchange}" if fill.exchange else ""
    if fill.commission is None:
        cost = "commission not known yet"
    else:
        cost = f"commission {fill.commission:,.2f} {fill.commission_currency}".rstrip()
    text = f"filled {fill.quantity:g} at {fill.price:,.10g}{place} ({done}), {cost}"
    return TimelineEvent(ts_ns=fill.time_ns, kind=EventKind.FILL, text=text)


def _status_event(before: StatusMark | None, mark: StatusMark, executed: float) -> TimelineEvent | None:
    """Return the line of a mark, None when it says nothing that is not told by the fills."""
    word = mark.status_text or mark.status.value
    kind = EventKind.STATUS
    if mark.status is OrderStatus.INACTIVE:
        kind = EventKind.REJECTED
    elif mark.status is OrderStatus.CANCELLED:
        kind = EventKind.CANCELLED
    elif mark.status_text == NOT_LISTED:
        kind, word = EventKind.GONE, "not among the working orders any more; the source did not say why"
    if before is None:
        text = f"first heard of as {word}" if is_final(mark.status) else f"received, {word}"
        kind = EventKind.RECEIVED if kind is EventKind.STATUS else kind
        return TimelineEvent(ts_ns=mark.start_ns, kind=kind, text=text, reason=mark.reason)
    parts = []
    if (mark.status, mark.status_text) != (before.status, before.status_text):
        parts.append(word)
    changes = [
        f"{name} {_figure(old)} → {_figure(new)}"
        for name, old, new in (
            ("quantity", before.quantity, mark.quantity),
            ("limit", before.limit_price, mark.limit_price),
            ("stop", before.stop_price, mark.stop_price),
        )
        if old != new
    ]
    if changes and not parts:
        kind = EventKind.CHANGED
    parts += changes
    if mark.filled != before.filled and mark.filled > executed:
        parts.append(f"filled {mark.filled:g}/{mark.quantity:g}, the fills themselves were not told")
    reason = mark.reason if mark.reason != before.reason else ""
    if not parts and not reason:
        return None
    return TimelineEvent(ts_ns=mark.start_ns, kind=kind, text=", ".join(parts) or word, reason=reason)


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:,.10g}"
