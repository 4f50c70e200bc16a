"""Hyperliquid's intake: which input moves which book, and what is told about the market."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from app.books.keeper import BookState
from app.domain.errors import BadFrameError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.venues.feed import Urgency
from app.venues.hyperliquid import HAS_LIQUIDATIONS
from app.venues.hyperliquid.intake import HyperliquidIntake
from app.venues.hyperliquid.naming import guess_instrument

MS = 1_000_000
SECOND = 1000 * MS
START = 1_800_000_000 * SECOND
HOUR_MS = 3_600_000


class Market_:
    """An engine with a Hyperliquid intake, fed by hand."""

    def __init__(self, *coins: str, market: Market = Market.HYPERLIQUID_PERP) -> None:
        self.events: list[FeedEvent] = []
        self.asked: list[tuple[str, Urgency]] = []
        self.batches: list[Sequence[TickerUpdate]] = []
        self.news: dict[str, dict[int, float]] = {}
        self.health = FeedHealth(feed=market.feed)
        outputs = EngineOutputs(
            on_event=self.events.append,
            ask_snapshot=lambda symbol, urgency: self.asked.append((symbol, urgency)),
            on_news=self._on_news,
        )
        instruments = [guess_instrument(market, coin) for coin in coins]
        self.engine = MarketEngine(market.feed, instruments, EngineOptions(), outputs, self.health, HyperliquidIntake)
        self.engine.begin(START)
        self.now_ns = START

    def _on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        self.batches.append(updates)
        for update in updates:
            self.news.setdefault(update.symbol, {}).update(update.values)

    def up(self, *lines: str, coin: str = "BTC") -> None:
        for line in lines:
            self.engine.on_streams(self.now_ns, (coin,), up=True, line=line)

    def frame(self, channel: str, data: Any, line: str = "", after_ms: int = 10) -> None:
        self.now_ns += after_ms * MS
        self.engine.on_frame(self.now_ns, json.dumps({"channel": channel, "data": data}).encode(), line)

    def book(self, time: int, bids: list[float], asks: list[float], line: str = "full", coin: str = "BTC") -> None:
        self.frame("l2Book", book_of(time, bids, asks, coin), line)

    def rest(self, path: str, body: Any, *, polled: bool = False) -> None:
        self.now_ns += 10 * MS
        self.engine.on_rest(self.now_ns, path, json.dumps(body).encode(), polled=polled)

    def state(self, row: int = 0) -> BookState:
        return self.engine.rows[row].sync.state


def book_of(time: int, bids: list[float], asks: list[float], coin: str = "BTC") -> dict[str, Any]:
    sides = [[{"px": str(price), "sz": "1.0", "n": 1} for price in side] for side in (bids, asks)]
    return {"coin": coin, "time": time, "levels": sides}


def perp(mid: str | None = "101", mark: str = "100", previous: str = "80", **changes: Any) -> dict[str, Any]:
    return {
        "funding": "0.0000125",
        "openInterest": "1000",
        "prevDayPx": previous,
        "dayNtlVlm": "5000",
        "premium": None,
        "oraclePx": "99",
        "markPx": mark,
        "midPx": mid,
        "impactPxs": None,
        "dayBaseVlm": "50",
        **changes,
    }


def universe(*names: str, delisted: str = "") -> dict[str, Any]:
    return {"universe": [{"name": name, "szDecimals": 2, "isDelisted": name == delisted} for name in names]}


def trade(tid: int, px: str, time: int, coin: str = "BTC") -> dict[str, Any]:
    return {"coin": coin, "side": "B", "px": px, "sz": "1", "time": time, "tid": tid, "hash": "0x", "users": []}


# -- books -------------------------------------------------------------------------------------------------------


def test_the_connection_tells_the_resolution_of_a_book() -> None:
    at = Market_("BTC", "ETH")
    at.up("full", "s3")
    at.book(1, [63_000.0], [63_001.0])
    at.book(1, [62_900.0], [63_100.0], line="s3")
    keeper = at.engine.rows[0].sync
    assert keeper.best() == (63_000.0, 63_001.0)
    assert keeper.held == ("full", "s3")  # type: ignore[attr-defined]
    assert (at.health.snapshots_loaded, at.health.applied) == (1, 1)
    assert [e.text for e in at.events if e.kind is FeedEventKind.SNAPSHOT_LOADED] == ["1 bids and 1 asks (full)"]
    assert at.state(1) is BookState.WAITING
    at.book(1, [1.0], [2.0], coin="NOSUCH")
    assert at.health.dropped == 1
    at.frame("l2Book", book_of(2, [63_002.0], [63_003.0]), line="")
    assert keeper.best() == (63_002.0, 63_003.0), "without a name it is full precision"


def test_the_same_book_again_is_heard_but_changes_nothing() -> None:
    at = Market_("BTC")
    at.up("full")
    at.book(1, [100.0], [101.0])
    at.book(2, [100.0], [101.0])
    assert at.health.applied == 0
    assert at.engine.rows[0].last_input_ns == at.now_ns
    assert at.engine.rows[0].sync.last_id == 2
    at.book(1, [99.0], [101.0])
    assert (at.health.applied, at.health.dropped) == (0, 1)
    at.book(3, [99.0], [101.0])
    assert at.health.applied == 1


def test_a_book_is_read_until_its_last_line_is_gone_and_loaded_anew_afterwards() -> None:
    at = Market_("BTC")
    at.up("full", "s2")
    at.book(1, [100.0], [101.0])
    assert at.engine.rows[0].streaming
    at.engine.on_streams(at.now_ns, ("BTC",), up=False, line="full")
    assert at.state() is BookState.LIVE
    assert at.engine.rows[0].streaming
    at.engine.on_streams(at.now_ns, ("BTC",), up=False, line="s2")
    assert at.state() is BookState.WAITING
    assert not at.engine.rows[0].streaming
    at.up("full")
    at.book(2, [100.0], [101.0])
    assert (at.state(), at.health.resyncs, at.health.snapshots_loaded) == (BookState.LIVE, 1, 2)
    at.engine.on_streams(at.now_ns, ("BTC",), up=False)
    assert at.state() is BookState.WAITING, "without a name all lines are meant"


def test_a_crossed_book_is_hidden_and_loaded_again_by_the_next_good_one() -> None:
    at = Market_("BTC")
    at.up("full")
    at.book(1, [100.0], [101.0])
    at.engine.advance(at.now_ns + SECOND)
    assert not math.isnan(at.engine.table.best[0, 0])
    at.now_ns += SECOND
    at.book(2, [102.0], [101.0])
    at.engine.advance(at.now_ns + SECOND)
    assert math.isnan(at.engine.table.best[0, 0])
    assert at.health.crossed == 3
    assert at.asked == [("BTC", Urgency.RESYNC)]
    assert at.state() is BookState.WAITING
    at.now_ns += SECOND
    at.book(3, [100.0], [101.0])
    at.engine.advance(at.now_ns + SECOND)
    assert at.engine.table.best[0].tolist() == [100.0, 101.0]
    assert at.health.resyncs == 1


def test_polled_books_stand_in_until_a_stream_brings_one() -> None:
    at = Market_("BTC")
    at.rest("/info?type=l2Book&coin=BTC", book_of(1, [100.0], [101.0]), polled=True)
    at.rest("/info?type=l2Book&coin=BTC&nSigFigs=2", book_of(1, [100.0], [110.0]), polled=True)
    assert at.state() is BookState.POLLED
    at.up("full")
    assert at.state() is BookState.POLLED
    at.book(2, [100.0], [101.0])
    assert (at.state(), at.health.snapshots_loaded) == (BookState.LIVE, 1)
    at.rest("/info?type=l2Book&coin=BTC", book_of(3, [99.0], [101.0]), polled=True)
    assert at.engine.rows[0].sync.best()[0] == 100.0, "its own stream runs"


def test_bad_answers_are_counted_and_said_but_never_raised() -> None:
    at = Market_("BTC")
    at.rest("/info?type=l2Book&coin=BTC", book_of(1, [1.0], [2.0], "ETH"), polled=True)
    at.rest("/info?type=l2Book&coin=BTC", None, polled=True)
    at.rest("/info?type=metaAndAssetCtxs", {"universe": []})
    at.rest("/depth?symbol=BTC", {})
    at.rest("/info?type=somethingElse", {})
    assert at.health.bad_frames == 4
    refused = [event for event in at.events if event.kind is FeedEventKind.UPDATE_FAILED]
    assert [event.symbol for event in refused] == ["BTC", "BTC"]
    assert "expected the book of BTC, was that of ETH" in refused[0].text
    assert at.asked == []
    at.engine.on_rest_asked(at.now_ns, "/info?type=meta")
    at.engine.on_rest_failed(at.now_ns, "/info?type=meta", "no answer")
    with pytest.raises(BadFrameError):
        at.frame("l2Book", {"coin": "BTC"})
    assert at.health.bad_frames == 5


# -- figures -----------------------------------------------------------------------------------------------------


def test_figures_are_named_by_position_and_delisted_ones_left_out() -> None:
    at = Market_()
    at.rest(
        "/info?type=metaAndAssetCtxs",
        [universe("BTC", "OLD", "kPEPE", delisted="OLD"), [perp(), perp(), perp(mid=None)]],
    )
    assert set(at.news) == {"BTC", "kPEPE"}
    hour = at.now_ns // MS // HOUR_MS
    assert at.news["BTC"] == {
        Field.LAST: 101.0,
        Field.PREVIOUS: 80.0,
        Field.CHANGE_PCT: pytest.approx(26.25),
        Field.VOLUME: 5000.0,
        Field.BASE_VOLUME: 50.0,
        Field.MARK: 100.0,
        Field.INDEX: 99.0,
        Field.FUNDING: 1.25e-05,
        Field.FUNDING_HOURS: 1.0,
        Field.NEXT_FUNDING_MS: float((hour + 1) * HOUR_MS),
        Field.OPEN_INTEREST: 1000.0,
        Field.OPEN_INTEREST_USD: 100_000.0,
    }
    assert at.news["kPEPE"][Field.LAST] == 100.0
    at.frame("assetCtxs", {"ctxs": [perp(mid="102"), perp(), perp()]})
    assert at.news["BTC"][Field.LAST] == 102.0
    at.frame("activeAssetCtx", {"coin": "kPEPE", "ctx": perp(mid="7")})
    assert at.news["kPEPE"][Field.LAST] == 7.0
    at.frame("activeAssetCtx", {"coin": "NOSUCH", "ctx": perp()})
    assert at.health.dropped == 1


def test_more_figures_than_names_are_said_once_and_the_known_ones_are_still_right() -> None:
    at = Market_()
    at.frame("assetCtxs", {"ctxs": [perp()]})
    assert at.batches == []
    at.rest("/info?type=meta", universe("BTC"))
    at.frame("assetCtxs", {"ctxs": [perp(mid="5"), perp(mid="6")]})
    at.frame("assetCtxs", {"ctxs": [perp(mid="7"), perp(mid="8")]})
    assert at.news == {"BTC": at.news["BTC"]}
    assert at.news["BTC"][Field.LAST] == 7.0
    said = [event.text for event in at.events]
    assert said == ["the venue lists 1 more perpetuals than its list had; the list is being read again"]
    assert at.health.dropped == 3
    at.rest("/info?type=meta", universe("BTC", "NEW"))
    at.frame("assetCtxs", {"ctxs": [perp(), perp(mid="9")]})
    assert at.news["NEW"][Field.LAST] == 9.0


def test_unknown_prices_become_blank_and_not_zero() -> None:
    at = Market_()
    row = perp(mid=None, mark="0", previous="0", oraclePx="0", dayBaseVlm=None)
    at.rest("/info?type=metaAndAssetCtxs", [universe("BTC"), [row]])
    figures = at.news["BTC"]
    assert math.isnan(figures[Field.MARK])
    assert math.isnan(figures[Field.INDEX])
    assert math.isnan(figures[Field.PREVIOUS])
    assert math.isnan(figures[Field.OPEN_INTEREST_USD])
    assert Field.LAST not in figures
    assert Field.BASE_VOLUME not in figures
    at.frame("allMids", {"mids": {"BTC": "50"}})
    assert math.isnan(at.news["BTC"][Field.CHANGE_PCT])


def test_middle_prices_are_told_when_they_change_and_for_listed_perpetuals_only() -> None:
    at = Market_("BTC")
    at.frame("allMids", {"mids": {"BTC": "100", "ETH": "5", "@1": "7", "PURR/USDC": "8"}})
    assert [[update.symbol for update in batch] for batch in at.batches] == [["BTC"]], "only what has a book is known"
    at.rest("/info?type=metaAndAssetCtxs", [universe("BTC", "ETH"), [perp(), perp()]])
    at.batches.clear()
    at.frame("allMids", {"mids": {"BTC": "100", "ETH": "6", "@1": "7", "PURR/USDC": "8"}})
    at.frame("allMids", {"mids": {"BTC": "100", "ETH": "6"}})
    ((update,),) = at.batches
    assert (update.symbol, update.values) == ("ETH", {Field.LAST: 6.0, Field.CHANGE_PCT: pytest.approx(-92.5)})
    at.frame("assetCtxs", {"ctxs": [perp(mid=None, mark="90"), perp()]})
    assert at.news["BTC"][Field.LAST] == 100.0, "where a book is empty the last trade counts, not the mark"


def test_the_last_price_is_that_of_trades_while_they_come() -> None:
    at = Market_("BTC")
    at.frame("allMids", {"mids": {"BTC": "100"}})
    at.frame("trades", [trade(1, "101", 1000), trade(2, "102", 1001)])
    assert at.news["BTC"][Field.LAST] == 102.0
    at.frame("allMids", {"mids": {"BTC": "103"}})
    assert at.news["BTC"][Field.LAST] == 102.0
    at.frame("trades", [trade(1, "101", 1000), trade(2, "102", 1001), trade(9, "90", 500)])
    assert at.news["BTC"][Field.LAST] == 102.0, "what a new subscription repeats is old"
    at.frame("allMids", {"mids": {"BTC": "104"}}, after_ms=59_000)
    assert at.news["BTC"][Field.LAST] == 102.0
    at.frame("allMids", {"mids": {"BTC": "105"}}, after_ms=1100)
    assert at.news["BTC"][Field.LAST] == 105.0
    at.frame("trades", [trade(3, "5", 2000, "NOSUCH")])
    assert at.health.dropped == 1


def test_the_ids_of_trades_are_remembered_for_a_while_only() -> None:
    at = Market_("BTC")
    at.frame("trades", [trade(tid, "1", tid) for tid in range(501)])
    intake = at.engine._intake
    assert isinstance(intake, HyperliquidIntake)
    fresh = intake.figures.fresh_trades
    at.frame("trades", [trade(500, "1", 500), trade(1, "1", 1)])
    assert fresh.repeated == 2
    at.frame("trades", [trade(0, "1", 0)])
    assert fresh.repeated == 2, "the oldest was forgotten"


def test_quotes_are_told_and_a_side_without_orders_is_blank() -> None:
    at = Market_("BTC")
    level = {"px": "100.5", "sz": "3", "n": 1}
    at.frame("bbo", {"coin": "BTC", "time": 12, "bbo": [level, None]})
    ((update,),) = at.batches
    assert update.event_ns == 12 * MS
    assert (update.values[Field.BID], update.values[Field.BID_SIZE]) == (100.5, 3.0)
    assert math.isnan(update.values[Field.ASK])
    assert math.isnan(update.values[Field.ASK_SIZE])
    at.frame("bbo", {"coin": "NOSUCH", "time": 12, "bbo": [level, level]})
    assert at.health.dropped == 1


def test_spot_pairs_are_told_under_readable_names() -> None:
    at = Market_(market=Market.HYPERLIQUID_SPOT)
    ctx = {"coin": "@142", "dayNtlVlm": "5", "markPx": "2", "midPx": None, "prevDayPx": "4"}
    at.frame("spotAssetCtxs", [ctx])
    assert at.batches == []
    meta = {
        "tokens": [{"name": "USDC", "index": 0}, {"name": "UBTC", "index": 197}, {"name": "PURR", "index": 1}],
        "universe": [
            {"name": "PURR/USDC", "tokens": [1, 0], "index": 0},
            {"name": "@142", "tokens": [197, 0], "index": 142},
            {"name": "@143", "tokens": [197, 0], "index": 143},
            {"name": "@144", "tokens": [555, 0], "index": 144},
        ],
    }
    at.rest("/info?type=spotMetaAndAssetCtxs", [meta, [ctx, ctx | {"coin": "PURR/USDC"}, ctx | {"coin": "@9"}]])
    assert set(at.news) == {"UBTC/USDC", "PURR/USDC"}
    assert at.news["UBTC/USDC"][Field.CHANGE_PCT] == -50.0
    at.frame("activeSpotAssetCtx", {"coin": "@143", "ctx": ctx})
    at.frame("activeSpotAssetCtx", {"coin": "@144", "ctx": ctx})
    assert {"@143", "@144"} < set(at.news), "pairs of the same tokens, or of unknown ones, keep the venue's name"
    at.frame("allMids", {"mids": {"@142": "3", "BTC": "100"}})
    assert at.news["UBTC/USDC"][Field.LAST] == 3.0
    assert "BTC" not in at.news
    assert at.health.dropped == 2


def test_control_frames_are_no_news_and_liquidations_are_not_to_be_had() -> None:
    at = Market_("BTC")
    at.engine.on_frame(at.now_ns, b"Websocket connection established.")
    at.engine.on_frame(at.now_ns, b'{"channel":"pong"}')
    at.frame("error", "Invalid subscription")
    at.frame("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "allMids"}})
    assert (at.batches, at.health.bad_frames, at.health.dropped) == ([], 0, 0)
    assert not HAS_LIQUIDATIONS
