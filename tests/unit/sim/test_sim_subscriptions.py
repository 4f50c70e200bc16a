"""Addresses, stream names and control frames as Binance documents them."""

from __future__ import annotations

import json

import pytest

from app.domain.ids import Market
from app.sim.subscriptions import answer, delivered_on, read_control, read_depth_stream, read_path


@pytest.mark.parametrize(
    ("market", "target", "combined", "category", "streams"),
    [
        (Market.BINANCE_SPOT, "/ws", False, None, []),
        (Market.BINANCE_SPOT, "/ws/btcusdt@depth@100ms", False, None, ["btcusdt@depth@100ms"]),
        (Market.BINANCE_SPOT, "/stream?streams=a@depth/b@bookTicker", True, None, ["a@depth", "b@bookTicker"]),
        (Market.BINANCE_SPOT, "/stream", True, None, []),
        (Market.BINANCE_SPOT, "/stream?timeUnit=MICROSECOND&streams=a%40depth", True, None, ["a@depth"]),
        (Market.BINANCE_USDM, "/public/ws/a@depth", False, "public", ["a@depth"]),
        (Market.BINANCE_USDM, "/market/stream?streams=!markPrice@arr", True, "market", ["!markPrice@arr"]),
        (Market.BINANCE_USDM, "/stream?streams=a@depth", True, None, ["a@depth"]),
    ],
)
def test_addresses_open_streams(
    market: Market, target: str, combined: bool, category: str | None, streams: list[str]
) -> None:
    endpoint = read_path(market, target)
    assert endpoint is not None
    assert (endpoint.combined, endpoint.category, endpoint.streams) == (combined, category, streams)


@pytest.mark.parametrize(
    ("market", "target"),
    [
        (Market.BINANCE_SPOT, "/"),
        (Market.BINANCE_SPOT, "/public/ws"),
        (Market.BINANCE_USDM, "/public"),
        (Market.BINANCE_SPOT, "/stream/x"),
    ],
)
def test_other_addresses_open_nothing(market: Market, target: str) -> None:
    assert read_path(market, target) is None


def test_categories_deliver_their_own_streams_only() -> None:
    assert delivered_on("public", "btcusdt@depth@100ms")
    assert delivered_on(None, "btcusdt@bookTicker")
    assert not delivered_on("market", "btcusdt@depth@100ms")
    assert not delivered_on(None, "btcusdt@markPrice@1s")
    assert not delivered_on("private", "btcusdt@depth")


@pytest.mark.parametrize(
    ("market", "name", "expected"),
    [
        (Market.BINANCE_SPOT, "btcusdt@depth", ("BTCUSDT", 1000, None)),
        (Market.BINANCE_SPOT, "btcusdt@depth@100ms", ("BTCUSDT", 100, None)),
        (Market.BINANCE_SPOT, "btcusdt@depth20@100ms", ("BTCUSDT", 100, 20)),
        (Market.BINANCE_USDM, "btcusdt@depth", ("BTCUSDT", 250, None)),
        (Market.BINANCE_USDM, "btcusdt@depth@500ms", ("BTCUSDT", 500, None)),
        (Market.BINANCE_SPOT, "btcusdt@depth@500ms", None),
        (Market.BINANCE_SPOT, "btcusdt@depth7", None),
        (Market.BINANCE_SPOT, "btcusdt@kline_1m", None),
    ],
)
def test_depth_stream_names(market: Market, name: str, expected: tuple[str, int, int | None] | None) -> None:
    stream = read_depth_stream(market, name)
    assert expected == (None if stream is None else (stream.symbol, stream.interval_ms, stream.levels))


def test_control_frames_are_understood_and_answered() -> None:
    control = read_control('{"method":"SUBSCRIBE","params":["a@depth"],"id":7}')
    assert (control.method, control.params, control.error) == ("SUBSCRIBE", ["a@depth"], None)
    assert answer(control) == '{"result":null,"id":7}'
    assert read_control('{"method":"SET_PROPERTY","params":["combined",true],"id":5}').combined is True
    listing = read_control('{"method":"LIST_SUBSCRIPTIONS","id":"x"}')
    assert json.loads(answer(listing, ["a@depth"])) == {"result": ["a@depth"], "id": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"method":"DANCE","id":1}',
        '{"method":"SUBSCRIBE","params":[],"id":1}',
        '{"method":"SUBSCRIBE","params":[1],"id":1}',
        '{"method":"SUBSCRIBE","params":"a@depth","id":1}',
        '{"method":"SET_PROPERTY","params":["combined",1],"id":1}',
        '{"method":"SUBSCRIBE","params":["a@depth"],"id":[1]}',
    ],
)
def test_control_frames_that_are_wrong_are_answered_with_an_error(text: str) -> None:
    control = read_control(text)
    assert control.error
    reply = json.loads(answer(control))
    assert reply.get("error", reply)["code"] == 2
