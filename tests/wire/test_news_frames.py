"""Binance's market news on the wire: tickers, funding, liquidations, REST tables, and what is not ours."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest

from app.domain.errors import BadFrameError
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.market import Field, Liquidation, PositionSide, TickerUpdate, annualised_pct
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.venues.binance.intake import BinanceIntake

RECV_NS = 1_700_000_000_000_000_000


class Desk:
    """An engine without books that keeps what it is told."""

    def __init__(self, market: Market = Market.BINANCE_USDM) -> None:
        self.updates: list[TickerUpdate] = []
        self.liquidations: list[Liquidation] = []
        self.events: list[str] = []
        outputs = EngineOutputs(
            on_news=self._on_news,
            on_liquidations=self._on_liquidations,
            on_event=lambda event: self.events.append(event.text),
        )
        feed = market.feed
        self.engine = MarketEngine(feed, (), EngineOptions(), outputs, FeedHealth(feed=feed), BinanceIntake)
        self.engine.begin(RECV_NS)

    def _on_news(self, _market: Market, _recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        self.updates += updates

    def _on_liquidations(self, _market: Market, _recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        self.liquidations += liquidations

    def frame(self, stream: str, data: object) -> None:
        self.engine.on_frame(RECV_NS, json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode())

    def rest(self, path: str, body: object) -> None:
        self.engine.on_rest(RECV_NS, path, json.dumps(body).encode())

    def values(self, symbol: str) -> Mapping[int, float]:
        found: dict[int, float] = {}
        for update in self.updates:
            if update.symbol == symbol:
                found |= update.values
        return found


def mini(symbol: str, **changes: object) -> dict[str, object]:
    row: dict[str, object] = dict(zip("cohlvq", ("110", "100", "120", "90", "10", "1050"), strict=True))
    return {"e": "24hrMiniTicker", "E": 1672515782136, "s": symbol} | row | changes


def test_mini_tickers_give_change_in_percent_and_leave_out_what_is_not_ours() -> None:
    desk = Desk()
    rows = [mini("BTCUSDT"), mini("BTCUSD_PERP", st=2), mini("ETHBTC"), mini("ETHUSDT", st=2), mini("XUSDT", o="0")]
    desk.frame("!miniTicker@arr", rows)
    assert [update.symbol for update in desk.updates] == ["BTCUSDT", "XUSDT"]
    values = desk.values("BTCUSDT")
    assert values[Field.CHANGE_PCT] == pytest.approx(10.0)
    assert (values[Field.VOLUME], values[Field.BASE_VOLUME]) == (1050.0, 10.0)
    assert (values[Field.HIGH], values[Field.LOW]) == (120.0, 90.0)
    assert math.isnan(desk.values("XUSDT")[Field.CHANGE_PCT]), "without a price 24 h ago there is no change"
    assert desk.updates[0].event_ns == 1672515782136 * 1_000_000


def test_funding_is_told_with_its_interval_of_eight_hours_or_what_the_venue_lists() -> None:
    desk = Desk()
    mark = {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "11794.15", "i": "11784.62", "P": "11784.25"}
    mark |= {"r": "0.0001", "T": 1562306400000}
    desk.frame("!markPrice@arr@1s", [mark, mark | {"s": "XUSDT", "r": ""}])
    values = desk.values("BTCUSDT")
    assert (values[Field.FUNDING], values[Field.FUNDING_HOURS]) == (0.0001, 8.0)
    assert annualised_pct(values[Field.FUNDING], values[Field.FUNDING_HOURS]) == pytest.approx(10.95)
    assert values[Field.NEXT_FUNDING_MS] == 1562306400000
    assert math.isnan(desk.values("XUSDT")[Field.FUNDING]), "a contract without funding has none, not 0"
    desk.rest("/fapi/v1/fundingInfo", [{"symbol": "BTCUSDT", "fundingIntervalHours": 4, "disclaimer": False}])
    desk.frame("!markPrice@arr@1s", [mark])
    assert desk.values("BTCUSDT")[Field.FUNDING_HOURS] == 4.0


@pytest.mark.parametrize(("side", "position"), [("SELL", PositionSide.LONG), ("BUY", PositionSide.SHORT)])
def test_a_liquidation_order_sells_a_long_and_buys_a_short_and_is_a_sample(side: str, position: PositionSide) -> None:
    desk = Desk()
    order = {"s": "BTCUSDT", "S": side, "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9911", "T": 5}
    desk.frame("!forceOrder@arr", {"e": "forceOrder", "E": 7, "o": order})
    assert desk.liquidations == [Liquidation("BTCUSDT", 5_000_000, position, 9911.0, 0.014, sampled=True)]
    desk.frame("!forceOrder@arr", {"e": "forceOrder", "E": 7, "st": 2, "o": order | {"s": "BTCUSD_PERP"}})
    assert len(desk.liquidations) == 1


def test_rest_tables_fill_what_streams_do_not_bring() -> None:
    desk = Desk()
    day = {"symbol": "BTCUSDT", "lastPrice": "99", "openPrice": "100", "highPrice": "101", "lowPrice": "98"}
    day |= {"volume": "1", "quoteVolume": "99", "closeTime": 3}
    desk.rest("/fapi/v1/ticker/24hr", [day, day | {"symbol": "BTCUSD_PERP"}])
    quote = {"symbol": "BTCUSDT", "bidPrice": "98.9", "bidQty": "1", "askPrice": "0", "askQty": "0"}
    desk.rest("/fapi/v1/ticker/bookTicker", [quote])
    desk.rest("/fapi/v1/openInterest?symbol=BTCUSDT", {"symbol": "BTCUSDT", "openInterest": "10659.5", "time": 9})
    values = desk.values("BTCUSDT")
    assert values[Field.CHANGE_PCT] == pytest.approx(-1.0)
    assert values[Field.BID] == 98.9
    assert math.isnan(values[Field.ASK]), "0 stands for a side without orders"
    assert values[Field.OPEN_INTEREST] == 10659.5
    assert {update.symbol for update in desk.updates} == {"BTCUSDT"}


def test_the_quote_of_a_symbol_without_a_book_is_news() -> None:
    desk = Desk()
    quote = {"e": "bookTicker", "u": 1, "E": 2, "s": "DOGEUSDT", "b": "0.1", "B": "5", "a": "0.11", "A": "6"}
    desk.frame("dogeusdt@bookTicker", quote)
    assert desk.values("DOGEUSDT")[Field.ASK] == 0.11


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("!miniTicker@arr", [mini("BTCUSDT", c="nan")]),
        ("!miniTicker@arr", [mini("BTCUSDT", q="-1")]),
        ("!miniTicker@arr", [mini("BTCUSDT", h="1e999")]),
        ("!miniTicker@arr", mini("BTCUSDT")),
        ("!markPrice@arr@1s", [{"s": "BTCUSDT"}]),
        ("!markPrice@arr@1s", [{"s": "BTCUSDT", "p": "1", "r": "99"}]),
        ("!markPrice@arr@1s", [{"s": "BTCUSDT", "p": "1", "r": "nan"}]),
        ("!markPrice@arr@1s", [{"s": "BTCUSDT", "p": "1", "r": "1_0"}]),
        ("!markPrice@arr@1s", [{"s": "BTCUSDT", "p": "1", "i": "1e999"}]),
        ("!forceOrder@arr", {"o": {"s": "BTCUSDT", "S": "HOLD", "q": "1", "p": "1"}}),
        ("!forceOrder@arr", []),
    ],
)
def test_malformed_news_is_refused_and_counted(stream: str, data: object) -> None:
    desk = Desk()
    with pytest.raises(BadFrameError):
        desk.frame(stream, data)
    assert desk.engine.health.bad_frames == 1
    assert not desk.updates
    assert not desk.liquidations


def test_a_malformed_table_is_counted_and_said_but_never_raised() -> None:
    desk = Desk()
    desk.rest("/fapi/v1/ticker/24hr", {"code": -1003, "msg": "Too many requests."})
    assert desk.engine.health.bad_frames == 1
    assert "an answer was refused" in desk.events[0]
    desk.rest("/fapi/v1/somethingElse", [])
    assert desk.engine.health.bad_frames == 1
