"""Notices of fills, bundled and told once over both sources; orders brought back at the start, kept as they change."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.account import Source
from app.domain.errors import StorageError
from app.domain.orders import OrdersListed, OrderStatus, Side
from app.portfolio.order_events import NewsKind, OrderNews, OrderQuery, OrderRecords
from app.portfolio.orders import DAY_NS, OrderBook
from app.services.alerting import Notification
from app.services.order_keeping import OrderKeeping
from app.services.order_news import OrderNotices
from app.settings.store import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "portfolio"))
from order_words import AAPL, CALL, T0, S, fill, order


def news(kind: NewsKind = NewsKind.FILL, at_s: float = 0, source: Source = Source.TWS, **more: object) -> OrderNews:
    base = OrderNews(
        kind=kind,
        source=source,
        ts_ns=T0 + int(at_s * S),
        account="DU1234567",
        order_id="1001",
        contract=AAPL,
        side=Side.BUY,
        exec_id="a.1.01" if kind is NewsKind.FILL else "",
        quantity=30,
        price=189.5,
        filled=30,
        total=100,
        average=189.5,
    )
    return replace(base, **more)


class Told:
    """The chooser with what it handed over."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.shown: list[Notification] = []
        self.notices = OrderNotices(self.settings, self.shown.append)

    def take(self, *many: OrderNews, at_s: float = 1) -> None:
        for each in many:
            self.notices.on_news(each)
        self.notices.advance(T0 + int(at_s * S))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.mark.parametrize(
    ("item", "title", "text"),
    [
        (news(), "AAPL filled 30/100", "Bought 30 at 189.5 (TWS)"),
        (
            news(filled=50, average=189.4733333, total=None, side=Side.SELL),
            "AAPL filled 50 so far",
            "Sold 30 at 189.5, 50 at 189.4733 on average (TWS)",
        ),
        (
            news(NewsKind.COMPLETE, filled=100, source=Source.PORTAL),
            "AAPL filled completely, 100/100",
            "Bought 100 at 189.5 on average (Client Portal)",
        ),
        (
            news(NewsKind.REJECTED, contract=CALL, filled=0, reason="no margin"),
            "AAPL 18 Dec 26 200 C order rejected or inactive",
            "Buying 100 AAPL 18 Dec 26 200 C: no margin (TWS)",
        ),
        (
            news(NewsKind.CANCELLED, side=Side.SELL),
            "AAPL order cancelled, 30/100 filled",
            "Selling 100 AAPL, no reason was told yet (TWS)",
        ),
    ],
)
def test_one_piece_of_news_is_said_in_words(told: Told, item: OrderNews, title: str, text: str) -> None:
    told.take(item)
    assert [(each.title, each.text, each.notify, each.sound) for each in told.shown] == [(title, text, True, True)]


def test_what_comes_together_is_one_notification(told: Told) -> None:
    told.take(
        *(news(exec_id=f"a.{number}.01") for number in range(4)),
        news(NewsKind.REJECTED, filled=0, order_id="2", total=7, reason="closed"),
    )
    assert [each.title for each in told.shown] == ["Orders: 4 fills, 1 rejected"]
    assert told.shown[0].count == 5
    assert told.shown[0].text.splitlines() == [
        "AAPL filled 30/100: Bought 30 at 189.5 (TWS)",
        "AAPL order rejected or inactive: Buying 7 AAPL: closed (TWS)",
    ]
    told.take(news(exec_id="b.1.01"), at_s=2)
    assert len(told.shown) == 1  # two notifications are some seconds apart
    told.take(at_s=4.5)
    assert len(told.shown) == 2
    assert told.notices.told == 6


def test_many_orders_are_named_in_part(told: Told) -> None:
    told.take(*(news(exec_id=f"a.{number}.01", order_id=str(number)) for number in range(5)))
    assert told.shown[0].text.splitlines()[-1] == "and 2 more orders"


def test_an_order_that_one_source_tells_whole_is_named_once(told: Told) -> None:
    told.take(
        news(total=None, filled=60, order_id="9"),
        news(NewsKind.COMPLETE, source=Source.PORTAL, filled=60, total=60),
    )
    assert told.shown[0].title == "Orders: 1 fill, 1 complete"
    assert told.shown[0].text == "AAPL filled completely, 60/60: Bought 60 at 189.5 on average (Client Portal)"


def test_the_same_fill_or_end_from_both_sources_is_told_once(told: Told) -> None:
    told.take(news(), news(source=Source.PORTAL, exec_id="a.1.02"))
    told.take(news(NewsKind.CANCELLED, 5), at_s=5)
    told.take(news(NewsKind.CANCELLED, 6, Source.PORTAL, order_id="77"), at_s=9)
    assert [each.count for each in told.shown] == [1, 1]


def test_two_ends_of_one_source_are_two(told: Told) -> None:
    told.take(news(NewsKind.CANCELLED), news(NewsKind.CANCELLED, order_id="1002"))
    assert told.shown[0].count == 2


@pytest.mark.parametrize(("notify", "sound"), [(True, False), (False, True), (False, False)])
def test_settings_choose_what_is_done(told: Told, notify: bool, sound: bool) -> None:
    told.settings.override_values({"ibkr.notify_fills": notify, "ibkr.sound_fills": sound})
    told.take(news())
    assert [(each.notify, each.sound) for each in told.shown] == ([(notify, sound)] if notify or sound else [])


def test_news_that_nobody_asks_for_are_bounded_and_counted(told: Told) -> None:
    for number in range(1_100):
        told.notices.on_news(news(exec_id=f"a.{number}.01"))
    told.notices.advance(T0 + S)
    assert told.shown[0].count == 1_000
    assert told.notices.dropped == 100


class Memory:
    """A store in memory that can be away."""

    def __init__(self) -> None:
        self.written: list[OrderRecords] = []
        self.stored = OrderRecords()
        self.asked: list[OrderQuery] = []
        self.away = False

    def write_orders(self, records: OrderRecords) -> None:
        self.written.append(records)

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        self.asked.append(query)
        if self.away:
            raise StorageError("The database does not answer.")
        return self.stored


def a_days_work(source: Source) -> OrderBook:
    book = OrderBook(source)
    book.on_listed(T0, OrdersListed(True, ""))
    book.on_order(T0 + S, order(OrderStatus.SUBMITTED, 1))
    book.on_execution(T0 + 2 * S, fill("a.1.01", 2))
    return book


async def test_orders_come_back_and_changes_are_kept() -> None:
    store = Memory()
    store.stored = a_days_work(Source.TWS).take_unsaved()
    books = [OrderBook(Source.TWS), OrderBook(Source.PORTAL)]
    keeping = OrderKeeping(store, lambda: books, lambda: T0 + 60 * S)
    assert await keeping.restore()
    assert store.asked == [OrderQuery(start_ns=T0 + 60 * S - DAY_NS, end_ns=2**62, working=True)]
    assert [list(book.orders) for book in books] == [["1001"], []]
    keeping.save()
    assert store.written == []  # nothing has changed since
    books[0].on_execution(T0 + 70 * S, fill("a.2.01", 70, quantity=70))
    keeping.save()
    keeping.save()
    assert [execution.exec_id for _, execution in store.written[0].executions] == ["a.2.01"]
    assert len(store.written) == 1


async def test_a_store_that_is_away_is_said_and_news_are_handed_over_all_the_same() -> None:
    store = Memory()
    store.away = True
    book = a_days_work(Source.TWS)
    keeping = OrderKeeping(store, lambda: [book], lambda: T0)
    task = asyncio.create_task(keeping.run())
    async with asyncio.timeout(10):
        while not store.written:  # noqa: ASYNC110 # a plain list
            await asyncio.sleep(0.01)
    assert keeping.trouble == "Orders of earlier runs are missing: The database does not answer."
    assert not keeping.is_restored
    book.on_execution(T0 + 3 * S, fill("a.2.01", 3))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [execution.exec_id for _, execution in store.written[-1].executions] == ["a.2.01"]
    store.away = False
    assert await keeping.restore()
    assert keeping.trouble == ""
