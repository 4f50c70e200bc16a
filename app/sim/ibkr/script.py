"""The seeded life of orders: they appear, are acknowledged, filled in parts, cancelled or rejected, all by themselves.

Nobody outside can make one; the simulated servers only show what happens here.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from app.sim.ibkr.instruments import SimContract
from app.sim.ibkr.records import SimFill, SimOrder, SimQuote

_REJECTIONS = (
    "Order rejected - reason:The contract is not available for trading.",
    "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN"
    " VALUE [120.55 USD] MUST EXCEED THE INITIAL MARGIN [98211.20 USD]",
)
_CANCELLED = "Order Canceled - reason:"
_FIRST_PERM_ID = 1_426_086_000
_MOST_ENDED = 400
_MOST_FILLS = 5000


@dataclass(slots=True)
class News:
    """What a stretch of time brought: copies of orders, in order; fills; fills whose commission came."""

    orders: list[SimOrder] = field(default_factory=list)
    fills: list[SimFill] = field(default_factory=list)
    commissions: list[SimFill] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choice:
    """Something the script may trade: contract, the quantity it strays around, the size of an order."""

    contract: SimContract
    account: str
    usual: float
    lot: float


class OrderScript:
    """Plays orders by a timetable. `quote_of` gives prices, `held` a position's quantity, `book` takes fills."""

    def __init__(
        self,
        seed: int,
        start_s: float,
        *,
        choices: Sequence[Choice],
        quote_of: Callable[[int], SimQuote],
        held: Callable[[str, int], float],
        book: Callable[[SimFill], None],
        every_s: float,
    ) -> None:
        """Plan the first order; `every_s` is the mean time between two, 0 for none."""
        self.orders: dict[int, SimOrder] = {}
        self.fills: list[SimFill] = []
        self.news = News()
        self._random = Random(f"{seed}:orders")
        self._now_s = start_s
        self._choices = list(choices)
        self._quote_of = quote_of
        self._held = held
        self._book = book
        self._every_s = every_s
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._made = 0
        self._filled = 0
        if every_s > 0.0 and self._choices:
            self._plan(min(1.0, every_s) * (1.0 + self._random.random()), self._next)

    def advance(self, now_s: float) -> News:
        """Play everything up to that time and return what it brought."""
        while self._plans and self._plans[0][0] <= now_s:
            self._now_s, _, act = heapq.heappop(self._plans)
            act()
        self._now_s = now_s
        news, self.news = self.news, News()
        return news

    def begin(
        self,
        account: str,
        contract: SimContract,
        action: str,
        quantity: float,
        *,
        order_type: str = "LMT",
        limit_price: float | None = None,
        fate: str = "fill",
        parts: int = 1,
        client_id: int = 0,
        order_id: int = 0,
    ) -> SimOrder:
        """Let an order appear now; fate: fill, rest, cancel or reject, or none for nothing to follow."""
        self._made += 1
        resting = fate in ("rest", "cancel")
        order = SimOrder(
            perm_id=_FIRST_PERM_ID + self._made,
            order_id=order_id,
            client_id=client_id,
            account=account,
            con_id=contract.con_id,
            action=action,
            quantity=quantity,
            order_type=order_type,
            limit_price=limit_price,
            aux_price=None,
            time_in_force="GTC" if resting else "DAY",
            outside_rth=self._random.random() < 0.3,
            reference="" if client_id == 0 else f"job-{self._made}",
            status="PendingSubmit",
            submitted_s=self._now_s,
            updated_s=self._now_s,
        )
        self.orders[order.perm_id] = order
        self._say(order)
        if fate == "none":
            return order
        wait = 0.15 + 0.3 * self._random.random()
        if fate == "reject":
            text = _REJECTIONS[self._made % len(_REJECTIONS)]
            self._plan(wait, lambda: self._become(order, "Inactive", text))
            return order
        self._plan(wait, lambda: self._become(order, "PreSubmitted"))
        self._plan(wait + 0.4, lambda: self._become(order, "Submitted"))
        if fate == "cancel":
            self._plan(wait + 15.0 + 30.0 * self._random.random(), lambda: self._cancel(order))
        elif fate == "fill":
            self._plan_fills(order, contract, wait + 0.6, parts)
        return order

    def begin_past(
        self,
        account: str,
        contract: SimContract,
        action: str,
        quantity: float,
        price: float,
        *,
        status: str,
        age_s: float,
    ) -> SimOrder:
        """Let an order be there that appeared `age_s` seconds ago and got that status; nothing is told of it."""
        now_s = self._now_s
        self._now_s = now_s - age_s
        try:
            order = self.begin(account, contract, action, quantity, limit_price=price, fate="none")
            if status == "Filled":
                self.record_fill(order, quantity, price, contract, contract.primary_exchange or "CBOE")
            order.status = status
            if status == "Inactive":
                order.reason = _REJECTIONS[1]
            elif status == "Cancelled":
                order.reason = _CANCELLED
        finally:
            self._now_s = now_s
        self.news = News()
        self._plans = [plan for plan in self._plans if plan[0] > now_s]  # its commission was told long ago
        heapq.heapify(self._plans)
        return order

    def record_fill(self, order: SimOrder, quantity: float, price: float, contract: SimContract, exchange: str) -> None:
        """Fill a part of an order now, book it, and plan its commission."""
        done = order.filled
        order.filled = done + quantity
        order.average_price = (done * order.average_price + quantity * price) / order.filled
        order.last_fill_price = price
        order.updated_s = self._now_s
        if order.remaining <= 1e-9:
            order.status = "Filled"
        self._filled += 1
        fill = SimFill(
            exec_id=f"0000e0d5.{order.perm_id:08x}.{self._filled:02x}.01",
            perm_id=order.perm_id,
            order_id=order.order_id,
            client_id=order.client_id,
            account=order.account,
            con_id=order.con_id,
            side="BOT" if order.action == "BUY" else "SLD",
            quantity=quantity,
            price=price,
            time_s=self._now_s,
            exchange=exchange,
            cumulative=order.filled,
            average_price=order.average_price,
            commission=commission_of(contract, quantity),
            commission_currency=contract.currency,
            realised=None,
            liquidity=1 + self._random.randrange(2),
            reference=order.reference,
            commission_s=self._now_s + 0.2 + 0.4 * self._random.random(),
        )
        self.fills.append(fill)
        self._book(fill)
        self.news.fills.append(replace(fill))
        self._say(order)
        self._plan(fill.commission_s - self._now_s, lambda: self.news.commissions.append(replace(fill)))

    def forget_day(self) -> None:
        """Begin a new day: fills and ended orders of the last one are not told any more."""
        self.fills.clear()
        for number in [each.perm_id for each in self.orders.values() if not each.is_working]:
            del self.orders[number]

    def commission_told(self, fill: SimFill) -> bool:
        """Return whether the report of a fill's commission has come."""
        return fill.commission_s <= self._now_s

    # Playing

    def _plan(self, after_s: float, act: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._plans, (self._now_s + after_s, self._planned, act))

    def _say(self, order: SimOrder) -> None:
        self.news.orders.append(replace(order))

    def _become(self, order: SimOrder, status: str, reason: str = "") -> None:
        if order.is_working:
            order.status, order.reason, order.updated_s = status, reason, self._now_s
            self._say(order)

    def _cancel(self, order: SimOrder) -> None:
        if order.is_working:
            self._become(order, "PendingCancel")
            self._plan(0.3, lambda: self._become(order, "Cancelled", _CANCELLED))

    def _next(self) -> None:
        self._plan(self._every_s * (0.5 + self._random.random()), self._next)
        self._trim()
        choice = self._choices[self._random.randrange(len(self._choices))]
        contract = choice.contract
        above = self._held(choice.account, contract.con_id) - choice.usual
        lean = 0.5 - math.copysign(min(0.45, abs(above) / (5.0 * choice.lot)), above)
        action = "BUY" if self._random.random() < lean else "SELL"
        fate = self._random.choices(("fill", "cancel", "reject"), (0.68, 0.22, 0.10))[0]
        quote = self._quote_of(contract.con_id)
        market = fate == "fill" and self._random.random() < 0.25
        quantity = choice.lot * self._random.randint(1, 1 if contract.sec_type == "FUT" else 4)
        client = self._random.choice((0, 0, 17))
        self.begin(
            choice.account,
            contract,
            action,
            quantity,
            order_type="MKT" if market else "LMT",
            limit_price=None if market else self._limit(contract, quote, action, far=fate == "cancel"),
            fate=fate,
            parts=self._random.randint(1, 4),
            client_id=client,
            order_id=0 if client == 0 else self._made + 100,
        )

    def _limit(self, contract: SimContract, quote: SimQuote, action: str, *, far: bool) -> float:
        tick = 0.05 if contract.is_option else contract.tick_size
        away = quote.mark * (0.02 if far else -0.0005)
        price = quote.mark - away if action == "BUY" else quote.mark + away
        return round(max(tick, round(price / tick) * tick), 6)

    def _plan_fills(self, order: SimOrder, contract: SimContract, after_s: float, parts: int) -> None:
        whole = max(1, int(order.quantity))
        parts = min(parts, whole)
        sizes = [whole // parts] * parts
        sizes[-1] += whole - sum(sizes)
        for size in sizes:
            after_s += 0.3 + 1.5 * self._random.random()
            self._plan(after_s, partial(self._fill_part, order, contract, float(size)))

    def _fill_part(self, order: SimOrder, contract: SimContract, quantity: float) -> None:
        if not order.is_working:
            return
        quote = self._quote_of(order.con_id)
        price = quote.ask if order.action == "BUY" else quote.bid
        if price is None:
            price = quote.mark
        if order.limit_price is not None:
            price = min(price, order.limit_price) if order.action == "BUY" else max(price, order.limit_price)
        exchange = contract.primary_exchange or self._random.choice(("CBOE", "PHLX", "AMEX"))
        self.record_fill(order, quantity, price, contract, exchange)

    def _trim(self) -> None:
        ended = [each.perm_id for each in self.orders.values() if not each.is_working]
        for number in ended[: max(0, len(ended) - _MOST_ENDED)]:
            del self.orders[number]
        if len(self.fills) > _MOST_FILLS:
            del self.fills[: len(self.fills) - _MOST_FILLS]


def commission_of(contract: SimContract, quantity: float) -> float:
    """Return the commission of a fill in the contract's currency."""
    if contract.sec_type == "OPT":
        return round(max(1.0, 0.65 * quantity), 4)
    if contract.sec_type == "FUT":
        return round(2.25 * quantity, 4)
    return round(max(1.0, 0.005 * quantity), 4)
