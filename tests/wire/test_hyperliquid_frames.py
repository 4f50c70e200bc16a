"""Frames of Hyperliquid, whole and mutilated: each is decoded as documented or refused, and never does harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import BadFrameError
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.messages import (
    ActiveContext,
    ActiveSpotContext,
    BookData,
    QuoteData,
    SubscriptionAnswer,
    TradeData,
)
from app.venues.hyperliquid.protocol import Mids, Peek, PerpTable, Pong, SpotTable, Topic, VenueError

PERP = {
    "funding": "0.0000125",
    "openInterest": "1234.5",
    "prevDayPx": "62000.0",
    "dayNtlVlm": "1169046.29",
    "premium": None,
    "oraclePx": "62990.0",
    "markPx": "62998.0",
    "midPx": None,
    "impactPxs": None,
    "dayBaseVlm": "18.5",
}
SPOT = {"coin": "@142", "dayNtlVlm": "5.0", "markPx": "2.0", "midPx": "2.1", "prevDayPx": "1.5"}
BOOK = {
    "coin": "BTC",
    "time": 1754450974231,
    "levels": [
        [{"px": "113377.0", "sz": "7.6699", "n": 17}, {"px": "113376.0", "sz": "4.13714", "n": 8}],
        [{"px": "113397.0", "sz": "0.11543", "n": 3}],
    ],
    "spread": "20.0",
}
TRADE = {"coin": "BTC", "side": "B", "px": "5.0", "sz": "2", "hash": "0x", "time": 7, "tid": 2**50, "users": ["a", "b"]}
FRAMES: dict[str, Any] = {
    "l2Book": BOOK,
    "bbo": {"coin": "BTC", "time": 5, "bbo": [{"px": "1.5", "sz": "2", "n": 1}, None]},
    "trades": [TRADE],
    "allMids": {"mids": {"BTC": "62998.5", "@142": "0.5", "PURR/USDC": "0.1"}},
    "assetCtxs": {"dex": "", "ctxs": [PERP, PERP]},
    "allDexsAssetCtxs": {"ctxs": [["", [PERP]], ["xyz", [PERP, PERP]]]},
    "activeAssetCtx": {"coin": "BTC", "ctx": PERP},
    "activeSpotAssetCtx": {"coin": "@142", "ctx": SPOT},
    "spotAssetCtxs": [SPOT],
    "subscriptionResponse": {
        "method": "subscribe",
        "subscription": {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None},
    },
    "error": 'Already subscribed: {"type":"allMids"}',
}


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def test_every_channel_is_decoded_as_documented() -> None:
    got = {channel: protocol.decode(frame(channel, data)) for channel, data in FRAMES.items()}
    book = got["l2Book"]
    assert isinstance(book, BookData)
    assert [[(level.px, level.sz) for level in side] for side in book.levels] == [
        [(113377.0, 7.6699), (113376.0, 4.13714)],
        [(113397.0, 0.11543)],
    ]
    quote = got["bbo"]
    assert isinstance(quote, QuoteData)
    assert quote.bbo[0] is not None
    assert (quote.bbo[0].px, quote.bbo[1]) == (1.5, None)
    trades = got["trades"]
    assert isinstance(trades, list)
    assert isinstance(trades[0], TradeData)
    assert (trades[0].px, trades[0].tid) == (5.0, 2**50)
    assert got["allMids"] == Mids({"BTC": 62998.5, "@142": 0.5, "PURR/USDC": 0.1}, 0)
    table, every = got["assetCtxs"], got["allDexsAssetCtxs"]
    assert isinstance(table, PerpTable)
    assert isinstance(every, PerpTable)
    assert (len(table.contexts), len(every.contexts)) == (2, 1)
    assert table.contexts[0] is not None
    assert (table.contexts[0].midPx, table.contexts[0].funding) == (None, 1.25e-05)
    active, spot, spots = got["activeAssetCtx"], got["activeSpotAssetCtx"], got["spotAssetCtxs"]
    assert isinstance(active, ActiveContext)
    assert isinstance(spot, ActiveSpotContext)
    assert isinstance(spots, SpotTable)
    assert spot.ctx.dayBaseVlm is None
    assert (spots.contexts[0].coin, spots.bad) == ("@142", 0)
    assert isinstance(got["subscriptionResponse"], SubscriptionAnswer)
    assert got["error"] == VenueError('Already subscribed: {"type":"allMids"}')
    assert protocol.decode(b'{"channel":"pong"}') == Pong()
    assert protocol.decode(b"Websocket connection established.") is None
    assert protocol.decode(frame("somethingNew", {"x": 1})) is None
    assert protocol.decode(frame("assetCtxs", {"dex": "xyz", "ctxs": [PERP]})) is None
    assert protocol.decode(frame("allMids", {"dex": "xyz", "mids": {"xyz:TSLA": "1"}})) is None
    assert protocol.decode(frame("allDexsAssetCtxs", {"ctxs": [["xyz", [PERP]]]})) is None
    assert protocol.decode(frame("error", {"why": 1})) == VenueError('{"why":1}')


def test_a_frame_tells_what_it_is_about_without_being_decoded() -> None:
    peeks = {channel: protocol.peek(frame(channel, data)) for channel, data in FRAMES.items()}
    assert peeks["l2Book"] == Peek("l2Book", "BTC")
    assert peeks["allMids"] == Peek("allMids")
    assert peeks["trades"] == Peek("trades")
    assert peeks["subscriptionResponse"] == Peek("l2Book", "BTC", "subscribe")
    assert peeks["error"] == Peek("error", words='Already subscribed: {"type":"allMids"}')
    assert protocol.peek(b'{"channel":"pong"}') == Peek("pong")
    assert protocol.peek(b"Websocket connection established.") is None
    assert protocol.peek(b"{not json") is None


def test_a_row_that_cannot_be_read_is_left_out_of_its_table() -> None:
    broken: list[dict[str, Any]] = [PERP | {"openInterest": ""}, PERP | {"funding": "NaN"}, PERP | {"markPx": None}, {}]
    table = protocol.decode(frame("assetCtxs", {"ctxs": [PERP, *broken, PERP]}))
    assert isinstance(table, PerpTable)
    assert table.bad == 4
    assert [context is None for context in table.contexts] == [False, True, True, True, True, False]
    spots = protocol.decode(frame("spotAssetCtxs", [SPOT, SPOT | {"dayNtlVlm": "-1"}, 5]))
    assert isinstance(spots, SpotTable)
    assert (len(spots.contexts), spots.bad) == (1, 2)
    mids = protocol.decode(
        frame("allMids", {"mids": {"A": "1", "B": "nan", "C": "inf", "D": "-1", "E": "x", "": "1", "F": "0"}})
    )
    assert mids == Mids({"A": 1.0}, 6)


def _book(**changes: Any) -> bytes:
    return frame("l2Book", BOOK | changes)


def _sides(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> bytes:
    return _book(levels=[[{"px": px, "sz": sz, "n": 1} for px, sz in side] for side in (bids, asks)])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"channel":5}',
        b'{"data":{}}',
        b'{"channel":"l2Book"}',
        b'{"channel":"l2Book","data":null}',
        b'{"channel":"l2Book","data":' + b"[" * 100_000,
        _book(levels=[[]]),
        _book(levels=[[], [], []]),
        _book(coin=""),
        _book(coin="x" * 65),
        _book(time="soon"),
        _book(time=-1),
        _book(time=2**60),
        _sides([("NaN", "1")], []),
        _sides([("Infinity", "1")], []),
        _sides([("-1", "1")], []),
        _sides([("0", "1")], []),
        _sides([("1", "-1")], []),
        _sides([("1", "nan")], []),
        _sides([("abc", "1")], []),
        _sides([("1", "1"), ("2", "1")], []),
        _sides([("1", "1"), ("1", "1")], []),
        _sides([], [("2", "1"), ("1", "1")]),
        _sides([(str(n), "1") for n in range(2000, 0, -1)], []),
        frame("bbo", {"coin": "BTC", "time": 5, "bbo": [None]}),
        frame("trades", [TRADE | {"side": "X"}]),
        frame("trades", [TRADE | {"tid": -1}]),
        frame("trades", {"coin": "BTC"}),
        frame("allMids", {"mids": {"BTC": 5}}),
        frame("assetCtxs", {"ctxs": {"BTC": PERP}}),
        frame("activeAssetCtx", {"coin": "BTC", "ctx": PERP | {"funding": "11"}}),
        frame("subscriptionResponse", {"method": "subscribe"}),
    ],
)
def test_what_is_not_as_documented_is_refused(raw: bytes) -> None:
    with pytest.raises(BadFrameError):
        protocol.decode(raw)
    protocol.peek(raw)
    assert protocol.count_contexts(raw) is None


@given(st.sampled_from(sorted(FRAMES)), st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutilated_frame_is_decoded_or_refused_but_never_raises_anything_else(
    channel: str, data: st.DataObject
) -> None:
    raw = bytearray(frame(channel, FRAMES[channel]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        how = data.draw(st.integers(0, 2))
        if how == 0:
            raw[at] = data.draw(st.integers(0, 255))
        elif how == 1:
            del raw[at:]
        else:
            raw[at:at] = data.draw(st.sampled_from((b'"', b"}", b"[", b"null", b"-", b"9" * 30, b"\\u0000")))
        if not raw:
            break
    try:
        message = protocol.decode(bytes(raw))
    except BadFrameError:
        message = None
    else:
        if isinstance(message, BookData):
            prices = [[level.px for level in side] for side in message.levels]
            assert prices[0] == sorted(set(prices[0]), reverse=True)
            assert prices[1] == sorted(set(prices[1]))
            assert all(0 < price < 1e15 for side in prices for price in side)
    protocol.peek(bytes(raw))
    protocol.count_contexts(bytes(raw))


def test_requests_are_named_by_paths_and_read_back() -> None:
    path = protocol.book_path("PURR/USDC", "s2")
    assert path == "/info?type=l2Book&coin=PURR%2FUSDC&nSigFigs=2"
    assert protocol.parse_info_path(path) == ("l2Book", "PURR/USDC", "s2")
    assert protocol.request_body(path) == b'{"type":"l2Book","coin":"PURR/USDC","nSigFigs":2}'
    assert protocol.parse_info_path(protocol.book_path("BTC", "full")).line == "full"
    assert protocol.request_body(protocol.info_path("meta")) == b'{"type":"meta"}'
    for wrong in ("/depth?symbol=BTC", "/info", "/info?coin=BTC", "/info?type=l2Book&coin=BTC&nSigFigs=9", ""):
        with pytest.raises(BadFrameError):
            protocol.parse_info_path(wrong)


def test_subscriptions_are_written_as_the_venue_wants_them() -> None:
    assert json.loads(protocol.book_topic("BTC", "full").request("subscribe")) == {
        "method": "subscribe",
        "subscription": {"type": "l2Book", "coin": "BTC"},
    }
    assert json.loads(protocol.book_topic("kPEPE", "s3").request("unsubscribe")) == {
        "method": "unsubscribe",
        "subscription": {"type": "l2Book", "coin": "kPEPE", "nSigFigs": 3},
    }
    assert json.loads(Topic("allMids").request("subscribe"))["subscription"] == {"type": "allMids"}


def test_answers_that_are_no_books_or_tables_are_refused() -> None:
    for decode in (
        protocol.decode_book,
        protocol.decode_meta,
        protocol.decode_perp_market,
        protocol.decode_spot_market,
    ):
        for raw in (b"null", b"{}", b"[]", b'"x"', b"nonsense"):
            with pytest.raises(BadFrameError):
                decode(raw)
    assert protocol.decode_book(json.dumps(BOOK).encode()).coin == "BTC"
