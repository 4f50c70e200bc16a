"""Literal, foreign and mutilated frames through the decoder, and what the engine makes of the bad ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import BadFrameError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.market import Field, TickerUpdate
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.venues.binance import protocol
from app.venues.binance.intake import BinanceIntake
from app.venues.binance.messages import DepthData, QuoteData
from app.venues.feed import Urgency
from app.venues.naming import guess_instrument

SPOT = (
    b'{"stream":"bnbbtc@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,'
    b'"b":[["0.0024","10"]],"a":[["0.0026","100"],["0.0027","0.00000000"]]}}'
)
FUTURES = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BTCUSDT",'
    b'"ps":"BTCUSDT","st":1,"U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}'
)
QUOTE = (
    b'{"stream":"bnbusdt@bookTicker","data":{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000",'
    b'"a":"25.36520000","A":"40.66000000"}}'
)
LEVEL = b'{"stream":"x@depth","data":{"e":"depthUpdate","E":1,"s":"X","U":1,"u":2,"b":[[%s,%s]],"a":[]}}'


def unwrapped(raw: bytes) -> bytes:
    return json.dumps(json.loads(raw)["data"]).encode()


def test_a_spot_diff_is_read() -> None:
    data = protocol.decode(SPOT)
    assert isinstance(data, DepthData)
    assert (data.s, data.U, data.u, data.pu, data.E) == ("BNBBTC", 157, 160, -1, 1672515782136)
    assert data.b == [(0.0024, 10.0)]
    assert data.a == [(0.0026, 100.0), (0.0027, 0.0)]


def test_a_futures_diff_is_read() -> None:
    data = protocol.decode(FUTURES)
    assert isinstance(data, DepthData)
    assert (data.s, data.U, data.u, data.pu, data.st) == ("BTCUSDT", 157, 160, 149, 1)


def test_a_quote_is_read_with_or_without_an_event_name() -> None:
    plain = protocol.decode(QUOTE)
    assert isinstance(plain, QuoteData)
    assert (plain.s, plain.u, plain.b, plain.B, plain.a, plain.A) == (
        "BNBUSDT",
        400900217,
        25.3519,
        31.21,
        25.3652,
        40.66,
    )
    named = protocol.decode(QUOTE.replace(b'"data":{', b'"data":{"e":"bookTicker","E":5,"T":4,'))
    assert isinstance(named, QuoteData)
    assert (named.u, named.E) == (400900217, 5)


@pytest.mark.parametrize("raw", [SPOT, FUTURES, QUOTE], ids=["spot", "futures", "quote"])
def test_raw_streams_and_other_key_orders_say_the_same(raw: bytes) -> None:
    expected = protocol.decode(raw)
    assert protocol.decode(unwrapped(raw)) == expected
    body = json.loads(raw)
    assert protocol.decode(json.dumps({"data": body["data"], "stream": body["stream"]}).encode()) == expected
    assert protocol.decode(b"  " + raw + b"\n") == expected


def test_a_symbol_may_be_of_any_script() -> None:
    data = protocol.decode(SPOT.replace(b"BNBBTC", "币安人生USDT".encode()))
    assert isinstance(data, DepthData)
    assert data.s == "币安人生USDT"


@pytest.mark.parametrize("raw", [FUTURES, unwrapped(FUTURES)], ids=["combined", "raw"])
def test_coin_margined_data_is_left_out(raw: bytes) -> None:
    assert protocol.decode(raw.replace(b'"st":1', b'"st":2').replace(b'"st": 1', b'"st": 2')) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"result":null,"id":1}',
        b'{"result":null,"id":null}',
        b'{"result":["btcusdt@depth@100ms"],"id":3}',
        b'{"id":"a-7","result":null}',
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT"}}',
        b'{"e":"24hrMiniTicker","s":"BTCUSDT"}',
    ],
)
def test_answers_and_streams_not_asked_for_carry_nothing(raw: bytes) -> None:
    assert protocol.decode(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"e":"serverShutdown","E":1770123456789}',
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
    ],
)
def test_a_shutdown_is_announced(raw: bytes) -> None:
    assert protocol.decode(raw) == protocol.ServerShutdown()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"code":2,"msg":"Invalid request: unknown variant"}', "Invalid request: unknown variant"),
        (b'{"error":{"code":3,"msg":"Too many parameters"},"id":4}', "Too many parameters"),
    ],
)
def test_a_refused_request_is_said_in_the_venues_words(raw: bytes, said: str) -> None:
    with pytest.raises(BadFrameError, match=said):
        protocol.decode(raw)


@pytest.mark.parametrize(
    "quantity",
    [
        b'"nan"',
        b'"-1"',
        b'"-0.001"',
        b'"inf"',
        b'"1e999"',
        b'"1e20"',
        b'"ten"',
        b'""',
        b'"1_0"',
        b'"0x10"',
        b'" 1"',
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"NaN",
        b"Infinity",
    ],
)
def test_impossible_numbers_are_refused(quantity: bytes) -> None:
    for level in (LEVEL % (b'"1"', quantity), LEVEL % (quantity, b'"1"')):
        with pytest.raises(BadFrameError, match="not a market data frame"):
            protocol.decode(level)
    with pytest.raises(BadFrameError):
        protocol.decode_snapshot(b'{"lastUpdateId":1,"bids":[["1",%s]],"asks":[]}' % quantity)


def test_a_price_of_zero_is_refused_in_a_level_and_means_an_empty_side_in_a_quote() -> None:
    with pytest.raises(BadFrameError):
        protocol.decode(LEVEL % (b'"0.00"', b'"1"'))
    quote = protocol.decode(QUOTE.replace(b"25.35190000", b"0.00000000"))
    assert isinstance(quote, QuoteData)
    assert quote.b == 0.0


@pytest.mark.parametrize("number", [b"-1", b"1.5", b"null", b'"x"', b"9223372036854775808", b"9" * 40, b"1e30"])
def test_impossible_update_ids_are_refused(number: bytes) -> None:
    for key in (b"U", b"u"):
        before = b'"%s":%d' % (key, 157 if key == b"U" else 160)
        with pytest.raises(BadFrameError):
            protocol.decode(SPOT.replace(before, b'"%s":%s' % (key, number)))
    with pytest.raises(BadFrameError):
        protocol.decode_snapshot(b'{"lastUpdateId":%s,"bids":[],"asks":[]}' % number)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        b'{"stream":"x@depth","data":{"x":' + b'{"a":' * 100_000,
        b'{"stream":"x@depth","data":null}',
        b'{"stream":"x@depth","data":{"s":"X","U":1,"u":2,"b":[["1"]],"a":[]}}',
        b'{"stream":"x@depth","data":{"s":"X","U":1,"u":2,"b":[["1","2","3"]],"a":[]}}',
        b'{"stream":"x@depth","data":{"s":"X","U":1,"u":2,"b":{},"a":[]}}',
        b'{"stream":"x@depth","data":{"s":7,"U":1,"u":2,"b":[],"a":[]}}',
        b'{"stream":"x@depth","data":{"U":1,"u":2,"b":[],"a":[]}}',
        b'{"stream":"x@depth5","data":{"lastUpdateId":160,"bids":[],"asks":[]}}',
        b'{"something":"else"}',
        b'{"stream":7}',
    ],
)
def test_what_is_no_market_data_is_refused_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(BadFrameError, match=r"not a market data frame|unknown frame") as caught:
        protocol.decode(raw)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("raw", [SPOT, FUTURES, QUOTE, unwrapped(QUOTE)], ids=["spot", "futures", "quote", "raw"])
def test_every_truncation_is_refused(raw: bytes) -> None:
    for end in range(len(raw)):
        with pytest.raises(BadFrameError):
            protocol.decode(raw[:end])


@settings(max_examples=400, deadline=None, database=None)
@given(
    st.sampled_from([SPOT, FUTURES, QUOTE]), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)
)
def test_mutilated_frames_are_decoded_or_refused_but_nothing_else(raw: bytes, changes: list[tuple[int, int]]) -> None:
    body = bytearray(raw)
    for place, value in changes:
        body[place % len(body)] = value
    try:
        data = protocol.decode(bytes(body))
    except BadFrameError:
        return
    if isinstance(data, DepthData):
        assert all(price > 0 and qty >= 0 for price, qty in [*data.b, *data.a])
        assert 0 <= data.u < 2**63


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_carry_nothing(raw: bytes) -> None:
    for decode in (protocol.decode, protocol.decode_snapshot):
        try:
            assert decode(raw) is None
        except BadFrameError:
            continue


@pytest.mark.parametrize(
    ("market", "path", "symbol", "limit"),
    [
        (Market.BINANCE_SPOT, "/api/v3/depth?symbol=BTCUSDT&limit=1000", "BTCUSDT", 1000),
        (Market.BINANCE_SPOT, "/api/v3/depth?limit=5000&symbol=btcusdt", "BTCUSDT", 5000),
        (Market.BINANCE_SPOT, "/api/v3/depth?symbol=BTCUSDT", "BTCUSDT", 100),
        (Market.BINANCE_USDM, "/fapi/v1/depth?symbol=BTCUSDT", "BTCUSDT", 500),
        (Market.BINANCE_USDM, "/fapi/v1/depth?symbol=BTCUSDT&limit=5000", "BTCUSDT", 1000),
        (Market.BINANCE_SPOT, protocol.depth_path(Market.BINANCE_SPOT, "ETHUSDT", 50), "ETHUSDT", 50),
    ],
)
def test_a_depth_path_names_symbol_and_limit(market: Market, path: str, symbol: str, limit: int) -> None:
    assert protocol.parse_depth_path(market, path) == protocol.SnapshotRequest(symbol, limit)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/api/v3/depth",
        "/api/v3/time?symbol=X",
        "/api/v3/depth?symbol=X&limit=-5",
        "/api/v3/depth?symbol=X&limit=many",
    ],
)
def test_a_path_that_asks_for_no_depth_is_refused(path: str) -> None:
    with pytest.raises(BadFrameError, match="expected a depth request"):
        protocol.parse_depth_path(Market.BINANCE_SPOT, path)


def test_bad_input_is_counted_and_said_and_costs_one_symbol_a_resync_at_most() -> None:
    feed = FeedId(Venue.BINANCE, Market.BINANCE_SPOT)
    events: list[FeedEvent] = []
    asked: list[tuple[str, Urgency]] = []
    news: list[TickerUpdate] = []
    outputs = EngineOutputs(
        on_event=events.append,
        ask_snapshot=lambda symbol, urgency: asked.append((symbol, urgency)),
        on_news=lambda _market, _recv_ns, updates: news.extend(updates),
    )
    symbols = ("BNBBTC", "ETHBTC")
    instruments = [guess_instrument(Market.BINANCE_SPOT, symbol) for symbol in symbols]
    engine = MarketEngine(feed, instruments, EngineOptions(), outputs, FeedHealth(feed=feed), BinanceIntake)
    engine.begin(1_000_000_000)
    good = b'{"lastUpdateId":156,"bids":[["0.0023","1"]],"asks":[["0.0028","1"]]}'
    path = protocol.depth_path(Market.BINANCE_SPOT, "BNBBTC", 1000)
    other = protocol.depth_path(Market.BINANCE_SPOT, "ETHBTC", 1000)
    engine.on_rest(1_000_000_001, path, good)
    engine.on_rest(1_000_000_002, other, good)
    for bad in (b"{", b"[]", LEVEL % (b'"nan"', b'"1"')):
        with pytest.raises(BadFrameError):
            engine.on_frame(1_000_000_003, bad)
    assert engine.health.bad_frames == 3
    engine.on_frame(1_000_000_004, SPOT.replace(b"BNBBTC", b"DELISTED"))
    engine.on_frame(1_000_000_005, QUOTE)
    assert engine.health.dropped == 1
    assert [(update.symbol, update.values[Field.BID]) for update in news] == [("BNBUSDT", 25.3519)]
    engine.on_frame(1_000_000_006, SPOT)
    assert engine.rows[0].sync.last_id == 160
    assert engine.rows[1].sync.last_id == 156
    engine.on_rest(1_000_000_007, path, b'{"code":-1121,"msg":"Invalid symbol."}')
    assert engine.health.bad_frames == 4
    assert asked == [("BNBBTC", Urgency.RESYNC)]
    assert events[-1].kind is FeedEventKind.UPDATE_FAILED
    assert "snapshot refused" in events[-1].text
    engine.on_rest(1_000_000_008, protocol.depth_path(Market.BINANCE_SPOT, "UNKNOWN", 5), good)
    assert engine.health.dropped == 2
    engine.advance(1_300_000_000)
    assert engine.table.best.tolist() == [[0.0024, 0.0026], [0.0023, 0.0028]]
    assert (engine.health.gaps, engine.health.resyncs) == (0, 0)
