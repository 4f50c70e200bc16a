"""Orders from statuses and fills: any order of arrival leads to the same state, and nothing is told twice."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.account import Source
from app.domain.orders import Execution, OrdersListed, OrderState, OrderStatus
from app.portfolio import orders as orders_module
from app.portfolio.order_events import FILLS_ONLY, NOT_LISTED, EventKind, NewsKind, OrderNews, OrderRecords, root_of
from app.portfolio.orders import OrderBook, same_fills

sys.path.insert(0, str(Path(__file__).parent))
from order_words import T0, S, fill, order

SUBMITTED, FILLED, CANCELLED, INACTIVE = (
    OrderStatus.SUBMITTED,
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.INACTIVE,
)


class Heard:
    """A book that has listened for a while: its first list came at T0 - 10 s."""

    def __init__(self, *, listening: bool = True) -> None:
        self.news: list[OrderNews] = []
        self.book = OrderBook(Source.TWS, self.news.append)
        if listening:
            self.book.on_listed(T0 - 10 * S, OrdersListed(True, ""))

    def tell(self, *messages: OrderState | Execution, at_s: float = 5) -> None:
        for message in messages:
            if isinstance(message, OrderState):
                self.book.on_order(T0 + int(at_s * S), message)
            else:
                self.book.on_execution(T0 + int(at_s * S), message)

    @property
    def kinds(self) -> list[NewsKind]:
        return [each.kind for each in self.news]

    def texts(self, order_id: str = "1001") -> list[str]:
        return [event.text for event in self.book.timeline(order_id)]


def test_partial_fills_lead_to_a_filled_order_with_one_news_each() -> None:
    heard = Heard()
    heard.tell(order(OrderStatus.PENDING_SUBMIT, 0), order(SUBMITTED, 1))
    heard.tell(fill("a.1.01", 2, quantity=30, price=189.4), fill("a.2.01", 3, quantity=70, price=189.5))
    heard.tell(order(FILLED, 4, filled=100, average=189.47))
    state = heard.book.orders["1001"]
    assert (state.status, state.filled, state.remaining) == (FILLED, 100, 0)
    assert heard.kinds == [NewsKind.FILL, NewsKind.COMPLETE]
    assert (heard.news[0].filled, heard.news[0].total, heard.news[0].price) == (30, 100, 189.4)
    assert heard.news[1].average == pytest.approx(189.47)
    assert heard.texts() == [
        "received, PendingSubmit",
        "Submitted",
        "filled 30 at 189.4 on NASDAQ (30/100), commission not known yet",
        "filled 70 at 189.5 on NASDAQ (100/100), commission not known yet",
        "Filled",
    ]


def test_fills_that_are_ahead_of_the_status_count() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), fill(quantity=100))
    assert heard.book.orders["1001"].status is FILLED
    heard.tell(order(FILLED, 4, filled=100))
    assert heard.kinds == [NewsKind.COMPLETE]


def test_a_status_that_is_ahead_of_the_fills_is_told_once() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), order(FILLED, 2, filled=100, average=189.5), fill(quantity=100))
    assert heard.kinds == [NewsKind.COMPLETE]


def test_commission_comes_later_and_stays() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), fill(), fill(commission=1.05), fill())
    known = heard.book.executions[fill().exec_id]
    assert (known.commission, known.commission_currency) == (1.05, "USD")
    assert heard.kinds == [NewsKind.FILL]
    assert heard.texts()[-1] == "filled 30 at 189.5 on NASDAQ (30/100), commission 1.05 USD"


def test_a_correction_replaces_its_fill_and_an_older_version_does_not_come_back() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), fill("e.1.01", quantity=30), fill("e.1.02", quantity=20, price=189.6))
    heard.tell(fill("e.1.01", quantity=30, commission=0.5), fill("e.1.10", quantity=25))
    assert list(heard.book.executions) == ["e.1.10"]
    assert heard.book.executions["e.1.10"].commission == 0.5
    assert heard.book.orders["1001"].filled == 25
    assert heard.kinds == [NewsKind.FILL]


def test_an_order_seen_through_fills_only_says_so_until_its_state_comes() -> None:
    heard = Heard()
    heard.tell(fill("a.1.01", 1, quantity=30), fill("a.2.01", 2, quantity=20, price=190.5))
    state = heard.book.orders["1001"]
    assert (state.status, state.status_text, state.filled) == (OrderStatus.UNKNOWN, FILLS_ONLY, 50)
    assert state.average_price == pytest.approx(189.9)
    assert heard.news[0].total is None
    assert "(50 so far)" in heard.texts()[1]
    heard.tell(order(SUBMITTED, 0))
    assert heard.book.orders["1001"].status is SUBMITTED
    assert heard.book.orders["1001"].filled == 50


def test_what_is_not_listed_any_more_is_not_working_and_comes_back_when_named() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), order(SUBMITTED, 1, order_id="1002"))
    heard.book.on_listed(T0 + 20 * S, OrdersListed(True, "", frozenset({"1002"})))
    state = heard.book.orders["1001"]
    assert (state.status, state.status_text) == (OrderStatus.UNKNOWN, NOT_LISTED)
    assert heard.book.orders["1002"].status is SUBMITTED
    assert heard.book.timeline("1001")[-1].kind is EventKind.GONE
    heard.book.on_listed(T0 + 30 * S, OrdersListed(True, "", frozenset({"1001", "1002"})))
    assert heard.book.orders["1001"].status is SUBMITTED
    heard.book.on_listed(T0 + 40 * S, OrdersListed(True, "", frozenset({"1002"})))
    heard.tell(order(CANCELLED, 41, reason="expired"), at_s=41)
    assert heard.book.orders["1001"].status is CANCELLED
    assert EventKind.GONE not in [event.kind for event in heard.book.timeline("1001")]
    assert heard.kinds == [NewsKind.CANCELLED]


def test_a_list_that_is_not_let_through_changes_no_order() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1))
    heard.book.on_listed(T0 + 20 * S, OrdersListed(False, "TWS is in Read-Only API mode"))
    assert heard.book.orders["1001"].status is SUBMITTED


def test_a_provisional_id_gives_way_to_the_permanent_one() -> None:
    heard = Heard()
    heard.tell(order(OrderStatus.PENDING_SUBMIT, 0, order_id="7:12"), order(SUBMITTED, 1, order_id="9001"))
    heard.book.on_listed(T0 + 9 * S, OrdersListed(True, "", frozenset({"9001"})))
    assert list(heard.book.orders) == ["9001"]
    assert [record.state.order_id for record in heard.book.take_unsaved().orders] == ["9001"]


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        ([order(SUBMITTED, 1), order(CANCELLED, 2)], [NewsKind.CANCELLED]),
        ([order(SUBMITTED, 1), order(OrderStatus.PENDING_CANCEL, 2), order(CANCELLED, 3)], []),
        ([order(SUBMITTED, 1), order(INACTIVE, 2, reason="no margin")], [NewsKind.REJECTED]),
        ([order(INACTIVE, 2), order(INACTIVE, 3), order(CANCELLED, 4)], [NewsKind.REJECTED]),
        ([order(INACTIVE, 2), order(SUBMITTED, 3), order(INACTIVE, 4)], [NewsKind.REJECTED] * 2),
        ([order(SUBMITTED, 1), order(CANCELLED, 2), fill(quantity=100)], [NewsKind.CANCELLED, NewsKind.COMPLETE]),
        (
            [order(SUBMITTED, 1), order(CANCELLED, 2), order(FILLED, 3, filled=100)],
            [NewsKind.CANCELLED, NewsKind.COMPLETE],
        ),
        ([order(FILLED, 2, filled=100)], [NewsKind.COMPLETE]),
    ],
)
def test_ends_are_told_by_how_they_came(messages: list[OrderState | Execution], kinds: list[NewsKind]) -> None:
    heard = Heard()
    heard.tell(*messages)
    heard.tell(*messages)
    assert heard.kinds == kinds


def test_a_rejection_keeps_its_reason_when_it_is_repeated_without_one() -> None:
    heard = Heard()
    heard.tell(order(INACTIVE, 2, reason="insufficient funds"), order(INACTIVE, 3))
    assert heard.book.orders["1001"].reason == "insufficient funds"
    assert heard.news[0].reason == "insufficient funds"


def test_a_reason_inside_the_words_of_a_status_is_found() -> None:
    heard = Heard()
    ended = replace(order(CANCELLED, 2), status_text="Order Canceled - reason: expired")
    heard.tell(order(SUBMITTED, 1), ended)
    assert heard.book.orders["1001"].reason == "expired"
    assert heard.news[0].reason == "expired"


def test_what_happened_before_the_start_is_no_news() -> None:
    heard = Heard(listening=False)
    heard.tell(fill("a.1.01", -60, quantity=100), order(FILLED, 0, filled=100), at_s=1)
    heard.tell(order(CANCELLED, 1, order_id="1002"), order(INACTIVE, 1, order_id="1003"), at_s=1)
    heard.tell(
        order(FILLED, 1, order_id="1004", filled=100), fill("b.1.01", -50, order_id="1004", quantity=100), at_s=1
    )
    heard.book.on_listed(T0 + S, OrdersListed(True, ""))
    assert heard.news == []
    heard.tell(fill("c.1.01", 2, order_id="1005"), at_s=2)
    assert heard.kinds == [NewsKind.FILL]


def test_what_was_stored_is_no_news_and_what_followed_is() -> None:
    first = Heard()
    first.tell(order(SUBMITTED, 1), fill("a.1.01", 2), order(SUBMITTED, 1, order_id="1002"))
    first.tell(order(CANCELLED, 3, order_id="1003"))
    stored = first.book.take_unsaved()
    assert not first.book.take_unsaved()
    again = Heard(listening=False)
    again.book.restore(stored)
    assert again.book.orders == first.book.orders
    assert again.texts() == first.texts()
    again.tell(fill("a.1.01", 2), order(SUBMITTED, 100), order(CANCELLED, 100, order_id="1003"), at_s=100)
    again.book.on_listed(T0 + 101 * S, OrdersListed(True, "", frozenset({"1001"})))
    assert again.news == []
    assert again.book.orders["1002"].status_text == NOT_LISTED
    again.tell(fill("a.2.01", 102, quantity=70), at_s=102)
    assert again.kinds == [NewsKind.COMPLETE]


def test_stored_orders_of_another_source_are_left_alone() -> None:
    first = Heard()
    first.tell(order(SUBMITTED, 1), fill())
    other = OrderBook(Source.PORTAL)
    other.restore(first.book.take_unsaved())
    assert other.orders == {}
    assert other.executions == {}


def test_finished_orders_of_earlier_days_are_let_go_of_and_stay_told() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), fill(quantity=100), order(SUBMITTED, 1, order_id="1002"))
    late_s = 25 * 3600
    heard.tell(order(SUBMITTED, late_s, order_id="1003"), at_s=late_s)
    assert "1001" in heard.book.orders  # nobody has stored it yet
    heard.book.take_unsaved()
    late_s += 120
    heard.tell(order(SUBMITTED, late_s, order_id="1003"), at_s=late_s)
    assert list(heard.book.orders) == ["1002", "1003"]
    assert heard.book.executions == {}
    assert heard.book.forgotten == 1
    told = len(heard.news)
    heard.tell(fill(quantity=100), order(FILLED, late_s, filled=100), at_s=late_s + 1)
    assert len(heard.news) == told


def test_the_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "ORDERS_KEPT", 10)
    heard = Heard()
    for number in range(40):
        heard.tell(order(CANCELLED if number else SUBMITTED, number, order_id=str(number)), at_s=number)
    assert len(heard.book.orders) == 10
    assert "0" in heard.book.orders  # it still works
    assert heard.book.forgotten == 30


def test_a_changed_price_is_a_line_of_the_timeline() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), order(SUBMITTED, 2), order(SUBMITTED, 3, limit=189.75))
    assert heard.texts() == ["received, Submitted", "limit 189.5 → 189.75"]


def test_fills_that_were_not_told_are_seen_in_the_state() -> None:
    heard = Heard()
    heard.tell(order(SUBMITTED, 1), order(SUBMITTED, 2, filled=40))
    assert heard.book.orders["1001"].filled == 40
    assert heard.texts()[-1] == "filled 40/100, the fills themselves were not told"


def test_two_orders_are_one_when_they_share_a_fill() -> None:
    assert same_fills(["x.1.01", "x.2.01"], ["x.2.02"])
    assert not same_fills(["x.1.01"], ["x.3.01"])
    assert root_of("plain") == "plain"


_STATES = st.lists(
    st.builds(
        order,
        st.sampled_from(list(OrderStatus)),
        st.integers(0, 50),
        order_id=st.sampled_from(["1001", "1002"]),
        filled=st.sampled_from([0.0, 40.0]),
        reason=st.sampled_from(["", "", "no margin"]),
        limit=st.sampled_from([189.5, 190.0]),
    ),
    max_size=8,
    unique_by=lambda state: (state.order_id, state.updated_ns),
)
_FILLS = st.lists(
    st.builds(
        lambda root, version, commission: fill(
            f"e.{root}.{version:02d}",
            root,
            order_id="1001" if root % 2 else "1002",
            quantity=10 + root + version,
            price=189 + version / 10,
            commission=commission,
        ),
        st.integers(1, 6),
        st.integers(1, 3),
        st.sampled_from([None, 1.25]),
    ),
    max_size=10,
)


@given(_STATES, _FILLS, st.randoms(use_true_random=False))
def test_any_order_of_messages_gives_the_same_orders_and_nothing_twice(states, fills, random) -> None:
    messages = [*states, *fills]
    shuffled = [*messages, *random.sample(messages, len(messages) // 2)]
    random.shuffle(shuffled)
    plain, mixed = Heard(), Heard()
    plain.tell(*messages)
    mixed.tell(*shuffled)
    for heard in (plain, mixed):
        told_fills = Counter(root_of(each.exec_id) for each in heard.news if each.exec_id)
        assert set(told_fills.values()) <= {1}
        ends = Counter((each.order_id, each.kind) for each in heard.news if each.kind is NewsKind.COMPLETE)
        assert set(ends.values()) <= {1}
    assert plain.book.orders == mixed.book.orders
    assert plain.book.executions == mixed.book.executions
    for order_id in plain.book.orders:
        assert {event.ts_ns for event in plain.book.timeline(order_id) if event.kind is EventKind.FILL} == {
            event.ts_ns for event in mixed.book.timeline(order_id) if event.kind is EventKind.FILL
        }


@given(_STATES, _FILLS)
def test_what_is_stored_comes_back_as_it_was(states, fills) -> None:
    heard = Heard()
    heard.tell(*states, *fills)
    stored = heard.book.take_unsaved()
    again = OrderBook(Source.TWS)
    again.restore(OrderRecords(orders=stored.orders, executions=stored.executions))
    assert again.orders == heard.book.orders
    assert again.executions == heard.book.executions
    for order_id in heard.book.orders:
        assert again.timeline(order_id) == heard.book.timeline(order_id)
