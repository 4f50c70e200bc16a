"""Bybit's frames and answers: documented samples in any key order, empty figures, and everything that is not right."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import BadFrameError
from app.domain.ids import Market
from app.domain.market import Field, Liquidation, PositionSide
from app.venues.bybit import protocol
from app.venues.bybit.api import guess_instrument, to_instruments
from app.venues.bybit.messages import TickerData
from app.venues.bybit.protocol import BookNews, ControlAnswer, RefusedAnswerError, TickerNews
from app.venues.bybit.urls import BybitEndpoints, full_book_path, instruments_path, parse_path

BOOK: dict[str, Any] = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "snapshot",
    "ts": 1672304484978,
    "data": {
        "s": "BTCUSDT",
        "b": [["16493.50", "0.006"]],
        "a": [["16611.00", "0.029"], ["16612.00", "0"]],
        "u": 18521288,
        "seq": 7961638724,
    },
    "cts": 1672304484976,
}
LINEAR: dict[str, Any] = {
    "topic": "tickers.BTCUSDT",
    "type": "snapshot",
    "data": {
        "symbol": "BTCUSDT",
        "tickDirection": "PlusTick",
        "price24hPcnt": "0.017103",
        "lastPrice": "17216.00",
        "prevPrice24h": "16926.50",
        "highPrice24h": "17281.50",
        "lowPrice24h": "16915.00",
        "prevPrice1h": "17238.00",
        "markPrice": "17217.33",
        "indexPrice": "17227.36",
        "openInterest": "68744.761",
        "openInterestValue": "1183601235.91",
        "turnover24h": "1570383121.943499",
        "volume24h": "91705.276",
        "nextFundingTime": "1673280000000",
        "fundingRate": "-0.000212",
        "bid1Price": "17215.50",
        "bid1Size": "84.489",
        "ask1Price": "17216.00",
        "ask1Size": "83.020",
    },
    "cs": 24987956059,
    "ts": 1673272861686,
}
LIQUIDATION: dict[str, Any] = {
    "topic": "allLiquidation.ROSEUSDT",
    "type": "snapshot",
    "ts": 1739502303204,
    "data": [{"T": 1739502302929, "s": "ROSEUSDT", "S": "Sell", "v": "20000", "p": "0.04499"}],
}


def raw(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def changed(message: dict[str, Any], **changes: Any) -> bytes:
    return raw({**message, "data": {**message["data"], **changes}})


@pytest.mark.parametrize("order", list(itertools.permutations(("topic", "type", "ts", "data", "cts"))))
def test_a_book_is_read_in_any_order_of_keys(order: tuple[str, ...]) -> None:
    news = protocol.decode(raw({key: BOOK[key] for key in order}))
    assert isinstance(news, BookNews)
    assert (news.levels, news.is_snapshot, news.event_ns) == (50, True, 1672304484978 * 10**6)
    assert (news.data.s, news.data.u, news.data.seq) == ("BTCUSDT", 18521288, 7961638724)
    assert news.data.b == [(16493.5, 0.006)]
    assert news.data.a == [(16611.0, 0.029), (16612.0, 0.0)]


@pytest.mark.parametrize(
    ("topic", "levels"), [("orderbook.1.X", 1), ("orderbook.1000.X", 1000), ("orderbook.full.X", 0)]
)
def test_the_topic_tells_how_deep_a_book_is(topic: str, levels: int) -> None:
    news = protocol.decode(raw({**BOOK, "topic": topic, "type": "delta"}))
    assert isinstance(news, BookNews)
    assert (news.levels, news.is_snapshot) == (levels, False)


@pytest.mark.parametrize(
    "topic", ["publicTrade.BTCUSDT", "kline.1.BTCUSDT", "orderbook.rpi.BTCUSDT", "orderbook.0.X", "somethingNew"]
)
def test_topics_we_have_no_use_for_are_nothing(topic: str) -> None:
    assert protocol.decode(raw({**BOOK, "topic": topic, "data": [{"x": 1}]})) is None


def test_a_linear_ticker_is_turned_into_our_units() -> None:
    news = protocol.decode(raw(LINEAR))
    assert isinstance(news, TickerNews)
    values = protocol.figures(news.data)
    assert values == {
        Field.LAST: 17216.0,
        Field.PREVIOUS: 16926.5,
        Field.CHANGE_PCT: pytest.approx(1.7103),
        Field.VOLUME: 1570383121.943499,
        Field.BASE_VOLUME: 91705.276,
        Field.HIGH: 17281.5,
        Field.LOW: 16915.0,
        Field.BID: 17215.5,
        Field.BID_SIZE: 84.489,
        Field.ASK: 17216.0,
        Field.ASK_SIZE: 83.02,
        Field.MARK: 17217.33,
        Field.INDEX: 17227.36,
        Field.FUNDING: -0.000212,
        Field.NEXT_FUNDING_MS: 1673280000000.0,
        Field.OPEN_INTEREST: 68744.761 / 2,
        Field.OPEN_INTEREST_USD: 1183601235.91 / 2,
    }


def test_a_delta_carries_only_what_changed() -> None:
    delta = {**LINEAR, "type": "delta", "data": {"symbol": "BTCUSDT", "bid1Size": "83.120"}}
    news = protocol.decode(raw(delta))
    assert isinstance(news, TickerNews)
    assert not news.is_snapshot
    assert protocol.figures(news.data) == {Field.BID_SIZE: 83.12}


def test_open_interest_of_one_side_is_preferred_and_empty_figures_are_unknown() -> None:
    figures = protocol.figures(
        protocol._ticker.decode(
            b'{"symbol":"XUSDT","openInterest":"10","singleOpenInterest":"4.9","openInterestValue":"20",'
            b'"singleOpenInterestValue":"","fundingRate":"","price24hPcnt":"","bid1Price":"0","fundingIntervalHour":"4"}'
        )
    )
    assert figures[Field.OPEN_INTEREST] == 4.9
    assert figures[Field.OPEN_INTEREST_USD] == 10.0
    assert figures[Field.FUNDING_HOURS] == 4.0
    for field in (Field.FUNDING, Field.CHANGE_PCT, Field.BID):
        assert math.isnan(figures[field])


def test_what_a_snapshot_leaves_out_is_unknown() -> None:
    values = protocol.with_unknown({Field.LAST: 1.0}, protocol.SPOT_FIELDS)
    assert values[Field.LAST] == 1.0
    assert math.isnan(values[Field.VOLUME])
    assert Field.BID not in values, "best prices of spot come from another topic"


def test_a_liquidation_names_the_side_of_the_position() -> None:
    assert protocol.decode(raw(LIQUIDATION)) == [
        Liquidation("ROSEUSDT", 1739502302929 * 10**6, PositionSide.SHORT, 0.04499, 20000.0, sampled=False)
    ]
    bought = {**LIQUIDATION, "data": [{**LIQUIDATION["data"][0], "S": "Buy"}] * 2}
    both = protocol.decode(raw(bought))
    assert isinstance(both, list)
    assert [one.side for one in both] == [PositionSide.LONG] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"s1","op":"subscribe"}',
            ControlAnswer("subscribe", True, "subscribe", "s1", False),
        ),
        (
            '{"success":false,"ret_msg":"Invalid topic: [tickers.NOPE]","conn_id":"x","req_id":"s1","op":"subscribe"}',
            ControlAnswer("subscribe", False, "Invalid topic: [tickers.NOPE]", "s1", False),
        ),
        (
            '{"success":true,"ret_msg":"","conn_id":"x","req_id":"","op":"unsubscribe"}',
            ControlAnswer("unsubscribe", True, "", "", False),
        ),
        (
            '{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"p1","op":"ping"}',
            ControlAnswer("ping", True, "pong", "p1", True),
        ),
        ('{"args":["1672916271846"],"op":"pong"}', ControlAnswer("pong", True, "", "", True)),
    ],
)
def test_answers_to_control_frames_are_read_in_every_shape(text: str, expected: ControlAnswer) -> None:
    assert protocol.decode(text.encode()) == expected
    assert protocol.decode_control(text.encode()) == expected


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b"{}",
        b'{"data":{}}',
        b"\xff\xfe",
        b"[" * 5000,
        raw({**BOOK, "type": "other"}),
        raw({key: BOOK[key] for key in ("topic", "type", "ts")}),
        changed(BOOK, b=[["1", "NaN"]]),
        changed(BOOK, b=[["1", "-1"]]),
        changed(BOOK, b=[["0", "1"]]),
        changed(BOOK, b=[["1"]]),
        changed(BOOK, b=[["Infinity", "1"]]),
        changed(BOOK, u=-1),
        changed(BOOK, u="x"),
        changed(BOOK, s=""),
        changed(LINEAR, lastPrice="many"),
        changed(LINEAR, lastPrice="NaN"),
        changed(LINEAR, lastPrice=[1]),
        raw({**LIQUIDATION, "data": [{**LIQUIDATION["data"][0], "S": "Long"}]}),
        raw({**LIQUIDATION, "data": {"s": "X"}}),
    ],
)
def test_what_is_not_as_documented_is_a_bad_frame(frame: bytes) -> None:
    with pytest.raises(BadFrameError):
        protocol.decode(frame)
    assert protocol.decode_control(frame) is None


@given(frame=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_bad_frame(frame: bytes) -> None:
    with contextlib.suppress(BadFrameError):
        protocol.decode(frame)


@given(cut=st.integers(0, 400), message=st.sampled_from([BOOK, LINEAR, LIQUIDATION]))
def test_a_truncated_frame_never_passes_for_a_whole_one(cut: int, message: dict[str, Any]) -> None:
    whole = raw(message)
    if cut < len(whole):
        with pytest.raises(BadFrameError):
            protocol.decode(whole[:cut])


# -- REST ----------------------------------------------------------------------------------------------------------


def answer(result: object, code: int = 0, words: str = "OK") -> bytes:
    return raw({"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": 1672765737734})


def test_a_list_of_tickers_survives_rows_that_cannot_be_read() -> None:
    rows = [LINEAR["data"], {"symbol": "BADUSDT", "lastPrice": "x"}, {**LINEAR["data"], "symbol": "ETHUSDT"}]
    read, bad, event_ns = protocol.decode_tickers(answer({"category": "linear", "list": rows}))
    assert [row.symbol for row in read] == ["BTCUSDT", "ETHUSDT"]
    assert (bad, event_ns) == (1, 1672765737734 * 10**6)
    assert all(isinstance(row, TickerData) for row in read)


def test_a_book_by_rest_is_read() -> None:
    data = protocol.decode_book(answer({**BOOK["data"], "ts": 1, "cts": 2}))
    assert (data.s, data.u, len(data.b), data.ts) == ("BTCUSDT", 18521288, 1, 1)


def test_instruments_come_with_the_cursor_of_the_next_page() -> None:
    def row(symbol: str, coin: str, **more: object) -> dict[str, object]:
        return {
            "symbol": symbol,
            "baseCoin": coin,
            "quoteCoin": "USDT",
            "status": "Trading",
            "contractType": "LinearPerpetual",
            "priceFilter": {"tickSize": "0.0100"},
            **more,
        }

    listed = [
        row("BTCUSDT", "BTC"),
        row("1000PEPEUSDT", "1000PEPE"),
        row("SHIB1000USDT", "SHIB1000"),
        row("BTCPERP", "BTC", quoteCoin="USDC"),
        row("BTCUSDT-26SEP26", "BTC", contractType="LinearFutures"),
        row("OLDUSDT", "OLD", status="Closed"),
        {"symbol": "BROKEN"},
    ]
    read, bad, cursor = protocol.decode_instruments(answer({"list": listed, "nextPageCursor": "a%3Db"}))
    assert (bad, cursor) == (1, "a%3Db")
    found = to_instruments(Market.BYBIT_LINEAR, read)
    assert [(one.symbol, one.pair, one.base, one.units, one.tick_size) for one in found] == [
        ("BTCUSDT", "BTCUSDT", "BTC", 1, "0.01"),
        ("1000PEPEUSDT", "PEPEUSDT", "PEPE", 1000, "0.01"),
        ("SHIB1000USDT", "SHIBUSDT", "SHIB", 1000, "0.01"),
    ]


def test_a_spot_coin_keeps_the_number_in_its_name() -> None:
    assert guess_instrument(Market.BYBIT_SPOT, "1000CATUSDT").base == "1000CAT"
    assert guess_instrument(Market.BYBIT_LINEAR, "1000000MOGUSDT").units == 1_000_000


def test_the_venues_time_is_read_to_the_nanosecond() -> None:
    body = answer({"timeSecond": "1688639403", "timeNano": "1688639403423213947"})
    assert protocol.decode_time_ms(body) == pytest.approx(1688639403423.213947)


def test_an_error_number_is_a_refusal_whatever_else_the_answer_holds() -> None:
    body = answer({}, 10006, "Too many visits!")
    for decode in (
        protocol.decode_tickers,
        protocol.decode_book,
        protocol.decode_instruments,
        protocol.decode_time_ms,
    ):
        with pytest.raises(RefusedAnswerError, match="10006: Too many visits!") as caught:
            decode(body)  # type: ignore[operator] # all take bytes
        assert caught.value.code == 10006
    assert protocol.refusal_of(body) == (10006, "Too many visits!")
    assert protocol.refusal_of(answer({})) is None
    assert protocol.refusal_of(b"<html>") is None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"retCode":0}', answer([]), answer({"list": 1}), b"<html>"])
def test_an_answer_of_another_shape_is_a_bad_frame(body: bytes) -> None:
    for decode in (
        protocol.decode_tickers,
        protocol.decode_book,
        protocol.decode_instruments,
        protocol.decode_time_ms,
    ):
        with pytest.raises(BadFrameError):
            decode(body)  # type: ignore[operator] # all take bytes


def test_addresses_and_paths() -> None:
    venue = BybitEndpoints("wss://stream.bybit.com/", "https://api.bybit.com")
    assert venue.streams(Market.BYBIT_LINEAR) == "wss://stream.bybit.com/v5/public/linear"
    assert venue.streams(Market.BYBIT_SPOT) == "wss://stream.bybit.com/v5/public/spot"
    apart = BybitEndpoints("ws://a:1", "http://a:2", "ws://a:3/v5/public/spot")
    assert apart.streams(Market.BYBIT_SPOT) == "ws://a:3/v5/public/spot"
    assert parse_path(full_book_path("BTCUSDT")) == (
        "/v5/market/full_orderbook",
        {"category": "spot", "symbol": "BTCUSDT"},
    )
    assert parse_path(instruments_path(Market.BYBIT_LINEAR, "a%3Db&c"))[1]["cursor"] == "a%3Db&c"
