"""Bybit's intake with a real engine behind it: what reaches books and news, and what is only counted."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from app.books.keeper import BookState
from app.domain.errors import BadFrameError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_MS, NS_PER_S
from app.services.bybit_feed import book_symbol
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.venues.bybit.api import guess_instrument
from app.venues.bybit.intake import BybitIntake
from app.venues.bybit.urls import full_book_path, tickers_path

SPOT, LINEAR = Market.BYBIT_SPOT, Market.BYBIT_LINEAR
START_MS = 1_700_000_000_000
START_NS = START_MS * NS_PER_MS
Rows = list[list[str]]


class Desk:
    """An engine of two symbols, its events, its questions and its news. Times are ms since the start."""

    def __init__(self, market: Market = LINEAR) -> None:
        self.market = market
        self.events: list[FeedEvent] = []
        self.asked: list[str] = []
        self.news: list[TickerUpdate] = []
        outputs = EngineOutputs(
            on_event=self.events.append,
            ask_snapshot=lambda symbol, _urgency: self.asked.append(symbol),
            on_news=lambda _market, _recv_ns, updates: self.news.extend(updates),
        )
        instruments = [guess_instrument(market, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
        health = FeedHealth(feed=market.feed)
        self.engine = MarketEngine(market.feed, instruments, EngineOptions(), outputs, health, BybitIntake)
        self.engine.begin(START_NS)
        self.engine.on_streams(START_NS, self.engine.symbols, up=True)

    def say(self, message: dict[str, Any], at_ms: int = 0) -> None:
        self.engine.on_frame(START_NS + at_ms * NS_PER_MS, json.dumps(message).encode())

    def book(
        self, levels: int | str, kind: str, u: int, bids: Rows, asks: Rows, *, at_ms: int = 0, seq: int | None = None
    ) -> None:
        data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": u * 10 if seq is None else seq}
        message = {"topic": f"orderbook.{levels}.BTCUSDT", "type": kind, "ts": START_MS + at_ms, "data": data}
        self.say(message, at_ms)

    def ticker(self, kind: str, at_ms: int = 0, **figures: str) -> None:
        data = {"symbol": "BTCUSDT", **figures}
        self.say({"topic": "tickers.BTCUSDT", "type": kind, "ts": START_MS + at_ms, "data": data}, at_ms)

    def rest(self, path: str, result: object, at_ms: int = 0, *, polled: bool = False) -> None:
        body = {"retCode": 0, "retMsg": "OK", "result": result, "time": START_MS + at_ms}
        self.engine.on_rest(START_NS + at_ms * NS_PER_MS, path, json.dumps(body).encode(), polled=polled)

    def full(self, u: int, bids: Rows, asks: Rows, *, seq: int | None = None) -> None:
        path = full_book_path("BTCUSDT")
        self.engine.on_rest_asked(START_NS, path)
        self.rest(path, {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": u * 10 if seq is None else seq})

    @property
    def state(self) -> BookState:
        return self.engine.rows[0].sync.state

    def texts(self, kind: FeedEventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]


def test_a_snapshot_loads_and_deltas_move_the_book_with_the_venues_time() -> None:
    desk = Desk()
    desk.book(50, "snapshot", 5, [["100", "1"]], [["101", "1"]])
    desk.book(50, "delta", 6, [["100.5", "2"]], [], at_ms=20)
    assert desk.engine.rows[0].sync.best() == (100.5, 101.0)
    assert desk.engine.rows[0].event_ns == START_NS + 20 * NS_PER_MS
    assert desk.texts(FeedEventKind.SNAPSHOT_LOADED) == ["1 bids and 1 asks"]
    assert (desk.engine.health.applied, desk.engine.health.snapshots_loaded) == (1, 1)


def test_a_delta_before_the_snapshot_and_books_of_others_are_counted_as_dropped() -> None:
    desk = Desk()
    desk.book(50, "delta", 6, [["100", "1"]], [])
    desk.say({"topic": "orderbook.50.X", "type": "delta", "ts": 1, "data": {"s": "XUSDT", "b": [], "a": [], "u": 1}})
    assert desk.engine.health.dropped == 2
    assert desk.asked == []


def test_a_gap_is_told_asked_about_once_and_healed() -> None:
    desk = Desk()
    desk.book(50, "snapshot", 5, [["100", "1"]], [["101", "1"]])
    for u in (7, 8, 9):
        desk.book(50, "delta", u, [["99", "1"]], [])
    assert desk.asked == ["BTCUSDT"]
    assert desk.state is BookState.WAITING
    assert desk.texts(FeedEventKind.GAP_DETECTED) == ["updates are missing before 7; the book is being loaded again"]
    desk.book(50, "snapshot", 9, [["99", "1"]], [["101", "1"]])
    assert desk.state is BookState.LIVE
    assert (desk.engine.health.gaps, desk.engine.health.resyncs) == (1, 1)


def test_a_wrong_level_count_says_what_it_is() -> None:
    desk = Desk()
    rows = [[str(100 - step), "1"] for step in range(50)]
    desk.book(50, "snapshot", 5, rows, [["101", "1"]])
    desk.book(50, "delta", 6, [["100", "0"]], [])
    (text,) = desk.texts(FeedEventKind.GAP_DETECTED)
    assert text == "49 bids and 1 asks where 50 have to be at update 6; the book is being loaded again"


def test_a_full_book_is_kept_and_its_refusals_are_told() -> None:
    desk = Desk(SPOT)
    desk.book("full", "delta", 8, [["99", "2"]], [])
    desk.full(6, [["100", "1"]], [["101", "1"]])
    assert desk.asked == ["BTCUSDT"]
    assert "does not fit the updates" in desk.texts(FeedEventKind.UPDATE_FAILED)[0]
    desk.full(8, [["100", "1"], ["99", "2"]], [["101", "1"]])
    assert desk.state is BookState.LIVE
    desk.book("full", "delta", 9, [], [["100.5", "1"]])
    assert desk.engine.rows[0].sync.best() == (100.0, 100.5)
    desk.book("full", "delta", 1, [], [])
    assert desk.texts(FeedEventKind.GAP_DETECTED) == ["the venue began its book anew; the book is being loaded again"]


def test_a_snapshot_that_cannot_be_read_is_counted_and_asked_for_again() -> None:
    desk = Desk(SPOT)
    path = full_book_path("BTCUSDT")
    for body in (
        b"<html>",
        b'{"retCode":10001,"retMsg":"no"}',
        b'{"retCode":0,"result":{"s":"ETHUSDT","b":[],"a":[],"u":1}}',
    ):
        desk.engine.on_rest(START_NS, path, body)
    assert desk.asked == ["BTCUSDT"] * 3
    assert desk.engine.health.bad_frames == 3
    desk.engine.on_rest_failed(START_NS, path, "no answer")
    assert desk.asked == ["BTCUSDT"] * 3


def test_an_instrument_without_orders_is_told_once_and_not_read() -> None:
    desk = Desk(SPOT)
    desk.book("full", "delta", 1, [], [])
    desk.full(1, [], [])
    desk.full(1, [], [])
    assert desk.state is BookState.WAITING
    assert len([text for text in desk.texts(FeedEventKind.NOTICE) if "holds no orders" in text]) == 1


def test_best_prices_are_news_and_repeats_are_no_gap() -> None:
    desk = Desk(SPOT)
    for _ in range(2):
        desk.book(1, "snapshot", 5, [["100", "1"]], [["101", "2"]])
    desk.book(1, "snapshot", 6, [], [["101", "2"]])
    values = desk.news[0].values
    assert values == {Field.BID: 100.0, Field.BID_SIZE: 1.0, Field.ASK: 101.0, Field.ASK_SIZE: 2.0}
    assert len(desk.news) == 3
    assert math.isnan(desk.news[-1].values[Field.BID])
    assert desk.engine.health.gaps == 0


@pytest.mark.parametrize(("ask", "contradicted"), [("101", False), ("100.5", True)])
def test_at_the_same_sequence_quote_and_book_have_to_agree(ask: str, contradicted: bool) -> None:
    desk = Desk(SPOT)
    desk.book("full", "delta", 8, [], [], seq=80)
    desk.full(8, [["100", "1"]], [["101", "1"]], seq=80)
    desk.book(1, "snapshot", 900, [["100", "1"]], [[ask, "1"]], seq=80)
    assert (desk.asked == ["BTCUSDT"]) is contradicted
    assert (desk.state is BookState.WAITING) is contradicted


@pytest.mark.parametrize("market", [SPOT, LINEAR])
@pytest.mark.parametrize(
    ("later_ms", "bid", "given_up"), [(6000, "99", True), (6000, "100", False), (3000, "99", False)]
)
def test_a_book_whose_stream_is_silent_while_quotes_move_is_given_up(
    market: Market, later_ms: int, bid: str, given_up: bool
) -> None:
    desk = Desk(market)
    desk.book(50, "snapshot", 5, [["100", "1"]], [["101", "1"]])
    if market is SPOT:
        desk.book(1, "snapshot", 7, [[bid, "1"]], [["101", "1"]], at_ms=later_ms, seq=999)
    else:
        desk.ticker("delta", later_ms, bid1Price=bid, bid1Size="1")
    assert (desk.state is BookState.WAITING) is given_up
    assert desk.asked == (["BTCUSDT"] if given_up else [])
    assert len(desk.texts(FeedEventKind.GAP_DETECTED)) == given_up


def test_a_snapshot_of_figures_says_what_is_unknown_and_a_delta_does_not() -> None:
    desk = Desk()
    desk.ticker("snapshot", lastPrice="100", fundingRate="0.0001", fundingIntervalHour="4")
    desk.ticker("delta", lastPrice="101")
    first, second = (update.values for update in desk.news)
    assert (first[Field.FUNDING], first[Field.FUNDING_HOURS]) == (0.0001, 4.0)
    assert math.isnan(first[Field.OPEN_INTEREST])
    assert second == {Field.LAST: 101.0}
    assert desk.news[0].event_ns == START_NS


def test_figures_of_the_whole_market_are_news_where_no_stream_is_fresher() -> None:
    desk = Desk()
    desk.ticker("delta", 0, lastPrice="100")
    rows = [
        {"symbol": name, "lastPrice": "5"} for name in ("BTCUSDT", "XUSDT", "BTCPERP", "BTCUSDT-26SEP26", "ETHUSDC")
    ]
    desk.rest(tickers_path(LINEAR), {"category": "linear", "list": [*rows, {"symbol": 5}]}, at_ms=10_000)
    assert [update.symbol for update in desk.news[1:]] == ["XUSDT"]
    assert desk.engine.health.bad_frames == 1
    desk.rest(tickers_path(LINEAR), {"category": "linear", "list": rows}, at_ms=20_000)
    assert [update.symbol for update in desk.news[2:]] == ["BTCUSDT", "XUSDT"]


def test_a_list_of_figures_that_cannot_be_read_is_told() -> None:
    desk = Desk()
    desk.engine.on_rest(START_NS, tickers_path(LINEAR), b"{}")
    assert desk.engine.health.bad_frames == 1
    assert "could not be used" in desk.texts(FeedEventKind.NOTICE)[0]


def test_bad_frames_are_counted_and_raised_answers_are_neither() -> None:
    desk = Desk()
    with pytest.raises(BadFrameError):
        desk.engine.on_frame(START_NS, b"{nonsense")
    desk.say({"success": False, "ret_msg": "no", "op": "subscribe"})
    desk.say({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": []})
    assert desk.engine.health.bad_frames == 1


def test_a_lost_stream_leaves_the_book_unread_until_its_next_snapshot() -> None:
    desk = Desk()
    desk.book(50, "snapshot", 5, [["100", "1"]], [["101", "1"]])
    desk.engine.on_streams(START_NS + NS_PER_S, ("BTCUSDT",), up=False)
    assert desk.state is BookState.WAITING
    assert not desk.engine.rows[0].streaming
    desk.engine.on_streams(START_NS + 2 * NS_PER_S, ("BTCUSDT",), up=True)
    desk.book(50, "snapshot", 77, [["100", "1"]], [["101", "1"]])
    assert desk.state is BookState.LIVE
    assert desk.engine.health.gaps == 0


def test_a_polled_snapshot_stands_in_for_the_stream() -> None:
    desk = Desk()
    path = "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=500"
    desk.rest(path, {"s": "BTCUSDT", "b": [["100", "1"]], "a": [], "u": 5, "seq": 9}, polled=True)
    assert desk.state is BookState.POLLED


def test_recorded_entries_tell_whose_book_they_begin() -> None:
    snapshot = '{"topic":"orderbook.50.X","type":"snapshot","ts":1,"data":{"s":"XUSDT","b":[],"a":[],"u":1}}'
    assert book_symbol(LINEAR, "ws", "", snapshot) == "XUSDT"
    assert book_symbol(LINEAR, "ws", "", snapshot.replace("snapshot", "delta")) is None
    assert book_symbol(LINEAR, "ws", "", snapshot.replace("orderbook.50", "orderbook.1")) is None
    assert book_symbol(SPOT, "rest", full_book_path("ADAUSDT"), "{}") == "ADAUSDT"
    assert book_symbol(SPOT, "rest", tickers_path(SPOT), "{}") is None
    with pytest.raises(BadFrameError):
        book_symbol(LINEAR, "ws", "", '{"orderbook."snapshot"')
