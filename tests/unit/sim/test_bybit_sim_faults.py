"""Faults of the simulated Bybit as people write them, and frames as they spoil them."""

from __future__ import annotations

import json

import pytest

from app.domain.ids import Market
from app.sim.bybit.faults import BAD_FRAMES, FAULTS, Fault, make_fault, read_fault, spoil
from app.sim.bybit.topics import FULL, batch_error, read_topic
from app.sim.fault_text import FaultError

LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT


@pytest.mark.parametrize(
    ("text", "fault", "at_s"),
    [
        ("gap:BTCUSDT@5", Fault(name="gap", symbol="BTCUSDT"), 5.0),
        ("gap:BTCUSDT,linear,3@5", Fault(name="gap", symbol="BTCUSDT", market=LINEAR, count=3), 5.0),
        ("gap:BTCUSDT-31DEC27@1", Fault(name="gap", symbol="BTCUSDT-31DEC27"), 1.0),
        ("stall:spot,4@10", Fault(name="stall", market=SPOT, duration=4.0), 10.0),
        ("stall:both@10", Fault(name="stall"), 10.0),
        ("refuse:orderbook.full,9@0", Fault(name="refuse", topic="orderbook.full", duration=9.0), 0.0),
        ("refuse:topic=tickers.BTCUSDT@0", Fault(name="refuse", topic="tickers.BTCUSDT"), 0.0),
        ("badframe:nan,1000pepeusdt@2.5", Fault(name="badframe", kind="nan", symbol="1000PEPEUSDT"), 2.5),
        ("http403:60@1", Fault(name="http403", duration=60.0), 1.0),
        ("giant:70000@1", Fault(name="giant", size=70_000), 1.0),
        ("liquidations:ETHUSDT,40@3", Fault(name="liquidations", symbol="ETHUSDT", count=40), 3.0),
        ("drop@3", Fault(name="drop"), 3.0),
    ],
)
def test_faults_are_read(text: str, fault: Fault, at_s: float) -> None:
    timed = read_fault(text)
    assert (timed.fault, timed.at_s) == (fault, at_s)


@pytest.mark.parametrize(
    "text",
    [
        "gap:BTCUSDT",
        "gap@x",
        "gap@-1",
        "nothing@1",
        "gap:1,2@1",
        "gap:count=0@1",
        "gap:count=many@1",
        "stall:duration=-1@1",
        "stall:market=moon@1",
        "badframe:kind=odd@1",
        "gap:colour=red@1",
    ],
)
def test_what_is_no_fault_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(FaultError, match="expected"):
        read_fault(text)


def test_every_fault_can_be_made_without_arguments() -> None:
    assert [make_fault(name).name for name in FAULTS] == list(FAULTS)


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_a_bad_frame_is_bad(kind: str) -> None:
    good = '{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{"s":"BTCUSDT","b":[["1.5","2"]],"a":[],"u":3}}'
    bad, in_place = spoil(good, kind)
    assert bad != good.encode()
    assert in_place == (kind in ("nan", "negative", "text"))
    if kind in ("malformed", "truncated", "binary"):
        with pytest.raises(ValueError, match=r"."):
            json.loads(bad)
    else:
        assert json.loads(bad) != json.loads(good)


@pytest.mark.parametrize(
    ("market", "name", "expected"),
    [
        (LINEAR, "tickers.BTCUSDT", ("tickers", None, "BTCUSDT")),
        (LINEAR, "tickers.BTCUSDT-31DEC27", ("tickers", None, "BTCUSDT-31DEC27")),
        (SPOT, "orderbook.1000.BTCUSDT", ("orderbook", 1000, "BTCUSDT")),
        (SPOT, "orderbook.full.BTCUSDT", ("orderbook", FULL, "BTCUSDT")),
        (LINEAR, "orderbook.full.BTCUSDT", None),
        (LINEAR, "allLiquidation.BTCUSDT", ("allLiquidation", None, "BTCUSDT")),
        (SPOT, "allLiquidation.BTCUSDT", None),
        (SPOT, "publicTrade.BTCUSDT", ("publicTrade", None, "BTCUSDT")),
        (SPOT, "orderbook.500.BTCUSDT", None),
        (SPOT, "kline.1.BTCUSDT", None),
        (SPOT, "tickers.", None),
        (SPOT, "tickers.BTCUSDT ", None),
    ],
)
def test_topics_are_read(market: Market, name: str, expected: object) -> None:
    assert read_topic(name, market) == expected


def test_batches_are_limited_by_their_count_on_spot_and_by_characters() -> None:
    assert batch_error(SPOT, ["x"] * 10, 0, 100) is None
    assert batch_error(SPOT, ["x"] * 11, 0, 100) is not None
    assert batch_error(LINEAR, ["x"] * 11, 0, 100) is None
    assert batch_error(LINEAR, ["x" * 10], 90, 100) is None
    assert batch_error(LINEAR, ["x" * 11], 90, 100) is not None
