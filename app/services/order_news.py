"""Turns news of orders into the notifications a person gets: what came together is one, and no fill is told twice.

Both sources may tell the same fill or the same end of an order; the first one counts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final

from app.domain.orders import Side
from app.domain.units import NS_PER_S
from app.portfolio.order_events import NewsKind, OrderNews, root_of
from app.services.alerting import Notification
from app.settings.store import Settings

_COLLECT_NS: Final = NS_PER_S // 4
_APART_NS: Final = 3 * NS_PER_S
_SAME_END_NS: Final = 120 * NS_PER_S
_KEPT: Final = 20_000
_PENDING: Final = 1_000
_NAMED: Final = 3


class OrderNotices:
    """Collects news for a moment and hands over one notification for it, by ibkr.notify_fills and ibkr.sound_fills."""

    def __init__(self, settings: Settings, deliver: Callable[[Notification], None]) -> None:
        self.told = 0
        """News handed over, alone or in a bundle."""
        self.dropped = 0
        """News that fell off because nobody asked for them in time."""
        self._settings = settings
        self._deliver = deliver
        self._fills: OrderedDict[str, None] = OrderedDict()
        self._ends: OrderedDict[Hashable, OrderNews] = OrderedDict()
        self._pending: deque[OrderNews] = deque(maxlen=_PENDING)
        self._pending_since_ns = 0
        self._notified_ns = -_APART_NS

    def on_news(self, news: OrderNews) -> None:
        """Take news of either source."""
        if self._is_known(news):
            return
        if not self._pending:
            self._pending_since_ns = news.ts_ns
        self.dropped += len(self._pending) == _PENDING
        self._pending.append(news)

    def _is_known(self, news: OrderNews) -> bool:
        known = False
        if news.exec_id:
            root = root_of(news.exec_id)
            known = root in self._fills
            self._fills[root] = None
            if len(self._fills) > _KEPT:
                self._fills.popitem(last=False)
        if news.kind is not NewsKind.FILL:
            end = (news.kind, news.account, news.contract.con_id, news.side, news.total)
            before = self._ends.get(end)
            self._ends[end] = news
            self._ends.move_to_end(end)
            if len(self._ends) > _KEPT:
                self._ends.popitem(last=False)
            if before is not None and before.source is not news.source:
                known = known or abs(news.ts_ns - before.ts_ns) < _SAME_END_NS
        return known

    def advance(self, now_ns: int) -> None:
        """Hand over the notification that is due; call it a few times a second."""
        if not self._pending or now_ns - self._pending_since_ns < _COLLECT_NS or now_ns - self._notified_ns < _APART_NS:
            return
        news = list(self._pending)
        self._pending.clear()
        notify, sound = self._settings.flag("ibkr.notify_fills"), self._settings.flag("ibkr.sound_fills")
        if not notify and not sound:
            return
        self._notified_ns = now_ns
        self.told += len(news)
        self._deliver(bundle(news, notify=notify, sound=sound))


def bundle(news: list[OrderNews], *, notify: bool, sound: bool) -> Notification:
    """Return the one notification for news that came together."""
    if len(news) == 1:
        return Notification(title=headline(news[0]), text=sentence(news[0]), count=1, sound=sound, notify=notify)
    fills = sum(bool(each.exec_id) for each in news)
    parts = [f"{fills} fills" if fills > 1 else "1 fill"] if fills else []
    for kind, word in (
        (NewsKind.COMPLETE, "complete"),
        (NewsKind.REJECTED, "rejected"),
        (NewsKind.CANCELLED, "cancelled"),
    ):
        count = sum(each.kind is kind for each in news)
        if count:
            parts.append(f"{count} {word}")
    told = _latest(news)
    lines = [f"{headline(each)}: {sentence(each)}" for each in told[:_NAMED]]
    if len(told) > _NAMED:
        lines.append("and 1 more order" if len(told) == _NAMED + 1 else f"and {len(told) - _NAMED} more orders")
    return Notification(
        title=f"Orders: {', '.join(parts)}", text="\n".join(lines), count=len(news), sound=sound, notify=notify
    )


def _latest(news: list[OrderNews]) -> list[OrderNews]:
    """Return the last news of each order; what a source that tells fills only says of one that is told whole is left
    out."""
    last: dict[tuple[str, str], OrderNews] = {}
    for each in news:
        last[each.source.value, each.order_id] = each
    whole = {_traded(each) for each in last.values() if each.total is not None}
    return [each for each in last.values() if each.total is not None or _traded(each) not in whole]


def _traded(news: OrderNews) -> tuple[str, int, str, float]:
    return news.account, news.contract.con_id, news.side.value, news.filled


def headline(news: OrderNews) -> str:
    """Return what happened to what in a few words."""
    words = {
        NewsKind.FILL: f"filled {_done(news)}",
        NewsKind.COMPLETE: f"filled completely, {_done(news)}",
        NewsKind.REJECTED: "order rejected or inactive",
        NewsKind.CANCELLED: f"order cancelled, {_done(news)} filled" if news.filled else "order cancelled",
    }
    return f"{news.contract.label} {words[news.kind]}"


def sentence(news: OrderNews) -> str:
    """Return what happened in a sentence, with the source that told it."""
    total = news.total if news.total is not None else news.filled
    told = f" ({news.source.full_name})"
    if news.kind in (NewsKind.FILL, NewsKind.COMPLETE):
        verb = "Bought" if news.side is Side.BUY else "Sold"
        if news.exec_id:
            text = f"{verb} {news.quantity:g} at {_price(news.price)}"
            average = f", {news.filled:g} at {_price(news.average)} on average" if news.filled != news.quantity else ""
            return f"{text}{average}{told}"
        return f"{verb} {news.filled:g} at {_price(news.average)} on average{told}"
    side = "Buying" if news.side is Side.BUY else "Selling"
    why = f": {news.reason}" if news.reason else ", no reason was told yet"
    return f"{side} {total:g} {news.contract.label}{why}{told}"


def _done(news: OrderNews) -> str:
    return f"{news.filled:g}/{news.total:g}" if news.total else f"{news.filled:g} so far"


def _price(value: float | None) -> str:
    return "an unknown price" if value is None else f"{value:,.10g}" if value == round(value, 4) else f"{value:,.4f}"
