"""Turns order states and fills into orders with a timeline each, and says which news a person should hear of.

Orders go by order_id, fills by exec_id. Messages may come late, twice and in any order: the state they lead to is the
same. What was known when the program started, or happened before, is no news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from app.domain.account import Source
from app.domain.orders import Execution, OrdersListed, OrderState, OrderStatus
from app.domain.units import NS_PER_S
from app.portfolio.order_events import (
    NewsKind,
    OrderNews,
    OrderRecord,
    OrderRecords,
    TimelineEvent,
    is_whole,
    root_of,
    version_of,
)
from app.portfolio.order_track import Track

DAY_NS: Final = 24 * 3600 * NS_PER_S
ORDERS_KEPT: Final = 5_000
_ROOTS_KEPT: Final = 100_000
_TRIM_NS: Final = 60 * NS_PER_S
_ENDS: Final = {
    OrderStatus.FILLED: NewsKind.COMPLETE,
    OrderStatus.CANCELLED: NewsKind.CANCELLED,
    OrderStatus.INACTIVE: NewsKind.REJECTED,
}


class OrderBook:
    """Orders and executions of one source of the last 24 hours, and all that still work.

    orders: the present state by order_id, executions: the newest version of each fill by its exec_id; `revision` moves
    with every change. on_news is called with what happens while the program listens, once for each fill and each end.
    """

    def __init__(self, source: Source, on_news: Callable[[OrderNews], None] = lambda _news: None) -> None:
        self.source = source
        self.on_news = on_news
        self.orders: dict[str, OrderState] = {}
        self.executions: dict[str, Execution] = {}
        self.listed: OrdersListed | None = None
        self.listed_ns = 0
        self.tracks: dict[str, Track] = {}
        self.revision = 0
        self.forgotten = 0
        """Finished orders that were let go of; storage has them."""
        self.changed_ns = 0
        """UTC ns of receipt of what last changed an order or a fill, 0: nothing yet."""
        self._since_ns: int | None = None
        self._first_list_ns = 0
        self._exec_ids: dict[str, str] = {}
        """The exec_id of each fill's newest version by its root."""
        self._roots: dict[str, None] = {}
        """Roots of fills that were ever seen, the oldest first."""
        self._ended: dict[str, None] = {}
        """Orders that were let go of, the oldest first: told again, they are no news."""
        self._unsaved_orders: set[str] = set()
        self._unsaved_fills: dict[str, Execution] = {}
        self._trimmed_ns = 0

    # -- what the source tells -----------------------------------------------------------------------------------

    def on_order(self, recv_ns: int, order: OrderState) -> None:
        """Take a state of an order, the newest or a late one."""
        self._heard(recv_ns)
        track = self.tracks.get(order.order_id)
        if track is None:
            track = self.tracks[order.order_id] = Track(self.source, order.order_id)
            track.announced = order.status if order.order_id in self._ended else None
        was = track.told.status if track.told is not None else None
        marks = len(track.marks) if track.verified else -1
        if track.hear(order) and order.status.is_working:
            track.gone_ns = 0  # it was named again
        first, track.heard, track.verified = not track.heard, True, True
        track.news_ns = recv_ns
        self._changed(track, marks)
        self._tell_end(track, recv_ns, was, first=first)
        self._trim(recv_ns)

    def on_execution(self, recv_ns: int, execution: Execution) -> None:
        """Take a fill, a correction of one, or its commission."""
        self._heard(recv_ns)
        root = root_of(execution.exec_id)
        if not execution.order_id:
            execution = replace(execution, order_id=f"fill {root}")  # the source does not say whose it is
        known_id = self._exec_ids.get(root)
        if known_id is None:
            if execution.time_ns < recv_ns - DAY_NS and root in self._roots:
                return  # an old one that is told again; storage has it
            is_news = root not in self._roots and self._is_now(execution.time_ns)
            self._remember(root)
            self._keep_fill(recv_ns, execution, root)
            if is_news:
                self._tell_fill(execution, recv_ns)
            else:
                self._settle(execution.order_id)
        else:
            known = self.executions[known_id]
            merged = merged_fill(known, execution)
            if merged == known:
                return
            del self.executions[known_id]
            self._keep_fill(recv_ns, merged, root, before=known)
        self._trim(recv_ns)

    def on_listed(self, recv_ns: int, listed: OrdersListed) -> None:
        """Take the list of working orders: one that works by what we know and is not on it has gone."""
        self._heard(recv_ns)
        self._first_list_ns = self._first_list_ns or recv_ns
        self.listed, self.listed_ns = listed, recv_ns
        self.revision += 1
        if not listed.known:
            return
        for track in list(self.tracks.values()):
            told = track.told
            if told is None or not told.status.is_working:
                continue
            if track.order_id in listed.order_ids:
                if track.gone_ns:
                    track.find(recv_ns)
                    self._changed(track)
            elif ":" in track.order_id and not track.fills:
                self._drop(track)  # the id was provisional; the order goes on under its permanent one
            elif not track.gone_ns:
                track.miss(recv_ns)
                track.verified, track.news_ns = True, recv_ns
                self._changed(track)

    def _heard(self, recv_ns: int) -> None:
        if self._since_ns is None:
            self._since_ns = recv_ns

    def _changed(self, track: Track, marks: int = -1) -> None:
        """Show the new state, and let it be stored unless it says what was known: the same words at a later time.

        marks: how many there were before, -1 when something else has changed.
        """
        before, now = self.orders.get(track.order_id), track.state
        self.orders[track.order_id] = now
        if before is None or marks != len(track.marks) or replace(before, updated_ns=now.updated_ns) != now:
            self._unsaved_orders.add(track.order_id)
            self.revision += 1
            self.changed_ns = max(self.changed_ns, track.news_ns)

    def _keep_fill(self, recv_ns: int, execution: Execution, root: str, before: Execution | None = None) -> None:
        if before is not None and before.order_id != execution.order_id:
            self._take_fill_away(before, root)
        self._exec_ids[root] = execution.exec_id
        self.executions[execution.exec_id] = execution
        self._unsaved_fills[execution.exec_id] = execution
        track = self.tracks.get(execution.order_id)
        if track is None:
            track = self.tracks[execution.order_id] = Track(self.source, execution.order_id, verified=True)
        track.fills[root] = execution
        track.news_ns = recv_ns
        self._changed(track)

    def _take_fill_away(self, execution: Execution, root: str) -> None:
        """A correction may name another order (its permanent id, once that is known)."""
        track = self.tracks.get(execution.order_id)
        if track is None:
            return
        track.fills.pop(root, None)
        if track.told is None and not track.fills:
            del self.tracks[execution.order_id]
            del self.orders[execution.order_id]
            self._unsaved_orders.discard(execution.order_id)
        else:
            self._changed(track)

    def _remember(self, root: str) -> None:
        self._roots[root] = None
        if len(self._roots) > _ROOTS_KEPT:
            del self._roots[next(iter(self._roots))]

    # -- news ----------------------------------------------------------------------------------------------------

    def _is_now(self, event_ns: int) -> bool:
        """Tell whether something happened after the program began to listen; stamps may be of whole seconds."""
        return self._since_ns is not None and event_ns >= self._since_ns // NS_PER_S * NS_PER_S

    def _tell_fill(self, execution: Execution, recv_ns: int) -> None:
        track = self.tracks[execution.order_id]
        state = track.state
        if state.status is OrderStatus.FILLED and track.announced is OrderStatus.FILLED:
            return  # "filled" was said when the status came, just before this fill
        whole = not track.fills_only and is_whole(state.filled, state.quantity)
        track.fills_told += 1
        if whole:
            track.announced = OrderStatus.FILLED
        self._tell(NewsKind.COMPLETE if whole else NewsKind.FILL, track, recv_ns, execution)

    def _settle(self, order_id: str) -> None:
        """A fill of earlier does not make the end of its order news."""
        track = self.tracks[order_id]
        if track.state.status is OrderStatus.FILLED and not track.fills_told:
            track.announced = OrderStatus.FILLED

    def _tell_end(self, track: Track, recv_ns: int, was: OrderStatus | None, *, first: bool) -> None:
        """Say that an order has ended, unless that is known or was so before the program listened.

        was: the status before; first: the source had not told a state of it in this run.
        """
        state = track.state
        kind = _ENDS.get(state.status)
        if kind is None:
            if state.status.is_working and was is OrderStatus.INACTIVE:
                track.announced = None  # it works again; should it be refused once more, that is news
            return
        announced, track.announced = track.announced, state.status
        if announced is state.status:
            return
        listening = self._first_list_ns and recv_ns > self._first_list_ns and self._is_now(state.updated_ns)
        if first and not listening:
            return
        if kind is NewsKind.CANCELLED and (track.cancel_asked or announced is OrderStatus.INACTIVE):
            return  # somebody asked for it, or the refusal was told
        if kind is NewsKind.COMPLETE and is_whole(track.executed, state.quantity) and not track.fills_told:
            return  # all its fills are of earlier
        self._tell(kind, track, recv_ns)

    def _tell(self, kind: NewsKind, track: Track, recv_ns: int, fill: Execution | None = None) -> None:
        state = track.state
        self.on_news(
            OrderNews(
                kind=kind,
                source=self.source,
                ts_ns=recv_ns,
                account=state.account,
                order_id=state.order_id,
                contract=state.contract,
                side=state.side,
                exec_id=fill.exec_id if fill is not None else "",
                quantity=fill.quantity if fill is not None else 0.0,
                price=fill.price if fill is not None else None,
                filled=state.filled,
                total=None if track.fills_only else state.quantity,
                average=state.average_price,
                reason=state.reason,
            )
        )

    # -- storage -------------------------------------------------------------------------------------------------

    def restore(self, records: OrderRecords) -> None:
        """Take what an earlier run stored; nothing of it is news. Call it before the source tells anything, or after:
        what was heard since stands."""
        for record in records.orders:
            if record.source is not self.source:
                continue
            track = self.tracks.get(record.state.order_id)
            if track is None:
                track = self.tracks[record.state.order_id] = Track(self.source, record.state.order_id)
            track.restore(record.marks)
            track.news_ns = max(track.news_ns, record.heard_ns)
            if not record.fills_only and not track.verified:
                track.told = record.state
            track.cancel_asked = track.cancel_asked or any(
                mark.status is OrderStatus.PENDING_CANCEL for mark in record.marks
            )
            if not track.heard and not record.fills_only and record.state.status in _ENDS:
                track.announced = record.state.status
        for source, execution in records.executions:
            root = root_of(execution.exec_id)
            if source is not self.source:
                continue
            self._remember(root)
            known = self.executions.get(self._exec_ids.get(root, ""))
            merged = execution if known is None else merged_fill(known, execution)
            if known is not None:
                del self.executions[known.exec_id]
            self._exec_ids[root] = merged.exec_id
            self.executions[merged.exec_id] = merged
            track = self.tracks.get(merged.order_id)
            if track is None:
                track = self.tracks[merged.order_id] = Track(self.source, merged.order_id)
            track.fills[root] = merged
        for order_id, track in list(self.tracks.items()):
            if track.told is None and not track.fills:
                del self.tracks[order_id]  # a line of fills whose fills are of earlier days
            else:
                self.orders[order_id] = track.state
        self.revision += 1

    def take_unsaved(self) -> OrderRecords:
        """Return what has changed since it was last asked; it counts as stored from now on."""
        changed = (self.tracks.get(each) for each in self._unsaved_orders if ":" not in each)
        orders = tuple(self.record_of(track) for track in changed if track is not None)
        fills = tuple((self.source, fill) for fill in self._unsaved_fills.values())
        self._unsaved_orders.clear()
        self._unsaved_fills.clear()
        return OrderRecords(orders=orders, executions=fills)

    def record_of(self, track: Track) -> OrderRecord:
        """Return an order as it is stored."""
        return OrderRecord(
            source=self.source,
            state=self.orders[track.order_id],
            fills_only=track.fills_only,
            marks=tuple(track.marks),
            heard_ns=track.news_ns,
            last_ns=track.last_ns,
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def timeline(self, order_id: str) -> list[TimelineEvent]:
        """Return what happened to an order, oldest first; nothing for one that is not known."""
        track = self.tracks.get(order_id)
        return track.timeline() if track is not None else []

    # -- bounds --------------------------------------------------------------------------------------------------

    def _trim(self, now_ns: int) -> None:
        """Let go of what ended more than a day ago, and of the oldest ends when there are too many orders."""
        if now_ns - self._trimmed_ns < _TRIM_NS and len(self.tracks) <= ORDERS_KEPT:
            return
        self._trimmed_ns = now_ns
        surplus = len(self.tracks) - ORDERS_KEPT
        for place, track in enumerate(sorted(self.tracks.values(), key=self._age)):
            is_old = not self.orders[track.order_id].status.is_working and track.last_ns < now_ns - DAY_NS
            if place < surplus or (is_old and track.order_id not in self._unsaved_orders):
                self._drop(track)
                self.forgotten += 1

    def _age(self, track: Track) -> tuple[bool, int]:
        """Return what orders are let go of by: those that have ended first, the oldest of them first."""
        return self.orders[track.order_id].status.is_working, track.last_ns

    def _drop(self, track: Track) -> None:
        for root, fill in track.fills.items():
            self._exec_ids.pop(root, None)
            self.executions.pop(fill.exec_id, None)
            self._unsaved_fills.pop(fill.exec_id, None)
        del self.tracks[track.order_id]
        self.orders.pop(track.order_id, None)
        self._unsaved_orders.discard(track.order_id)
        self._ended[track.order_id] = None
        if len(self._ended) > _ROOTS_KEPT:
            del self._ended[next(iter(self._ended))]
        self.revision += 1


def merged_fill(known: Execution, news: Execution) -> Execution:
    """Return one fill of two reports of it: the later correction, with whatever figure only one of them has."""
    first, second = (known, news) if version_of(news.exec_id) >= version_of(known.exec_id) else (news, known)
    return replace(
        second,
        exchange=second.exchange or first.exchange,
        cumulative=first.cumulative if second.cumulative is None else second.cumulative,
        average_price=first.average_price if second.average_price is None else second.average_price,
        commission=first.commission if second.commission is None else second.commission,
        commission_currency=second.commission_currency or first.commission_currency,
        realised=first.realised if second.realised is None else second.realised,
        liquidity=second.liquidity or first.liquidity,
    )


def same_fills(first: Iterable[str], second: Iterable[str]) -> bool:
    """Tell whether two orders share a fill, given their exec_ids: then they are one order, told by two sources."""
    return not {root_of(each) for each in first}.isdisjoint(root_of(each) for each in second)
