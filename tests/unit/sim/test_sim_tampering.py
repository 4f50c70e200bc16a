"""Faults are read from command lines, and diffs are spoiled in the way their names say."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from app.domain.ids import Market
from app.sim.book import Changes, SimBook
from app.sim.fault_text import FaultError
from app.sim.faults import (
    FAULTS,
    GARBAGE_KINDS,
    HUGE_FRAME_BYTES,
    Tampering,
    make_fault,
    make_tamper,
    read_fault,
)
from app.sim.market import SimMarket


@pytest.mark.parametrize(
    ("text", "name", "at_s", "values"),
    [
        ("drop@3", "drop", 3.0, {}),
        ("gap:BTCUSDT@5", "gap", 5.0, {"symbol": "BTCUSDT"}),
        ("gap:usdm,btcusdt@5", "gap", 5.0, {"symbol": "BTCUSDT", "market": Market.BINANCE_USDM}),
        ("stall:market=spot,4@10", "stall", 10.0, {"market": Market.BINANCE_SPOT, "duration": 4.0}),
        ("http429:7@1.5", "http429", 1.5, {"retry_after": 7.0}),
        ("garbage:nan@0", "garbage", 0.0, {"kind": "nan"}),
        ("rest_down:2,502@1", "rest_down", 1.0, {"duration": 2.0, "status": 502}),
    ],
)
def test_a_command_line_names_a_fault(text: str, name: str, at_s: float, values: dict[str, object]) -> None:
    timed = read_fault(text)
    assert (timed.fault.name, timed.at_s) == (name, at_s)
    for key in ("market", "symbol", "kind", "duration", "count", "retry_after", "status", "notice"):
        assert getattr(timed.fault, key) == values.get(key)


@pytest.mark.parametrize(
    "text",
    ["drop", "drop@", "drop@-1", "drop@nan", "dance@1", "gap:count=0@1", "stall:duration=x@1", "drop:5@1", "gap:a=b@1"],
)
def test_a_fault_that_cannot_be_understood_says_what_was_expected(text: str) -> None:
    with pytest.raises(FaultError, match="expected"):
        read_fault(text)


def test_every_fault_can_be_made_by_its_name() -> None:
    assert {make_fault(name).name for name in FAULTS} == set(FAULTS)


def moves() -> Iterator[tuple[SimBook, Changes]]:
    """Yield the diffs of one futures book that change both sides."""
    market = SimMarket(seed=6, symbols=["BTCUSDT"], rate=20)
    while True:
        for kind, book, changes in market.move():
            if kind is Market.BINANCE_USDM and changes.bids and changes.asks:
                yield book, changes


def spoil(name: str, diffs: int, **arguments: object) -> tuple[list[list[str]], list[tuple[int, int]], Tampering]:
    """Return the payloads sent for some diffs, their ids, and what is left of the spoilers."""
    tampering = Tampering()
    tamper = make_tamper(make_fault(name, **arguments))
    assert tamper is not None
    tampering.add("BTCUSDT", tamper)
    sent, ids = [], []
    stream = moves()
    for _ in range(diffs):
        assert tampering.concerns("BTCUSDT")
        book, changes = next(stream)
        sent.append(tampering.apply(book, changes, 1))
        ids.append((changes.previous_id, changes.last_id))
    return sent, ids, tampering


def heads(payloads: list[str]) -> list[tuple[int, int]]:
    return [(event["pu"], event["u"]) for event in map(json.loads, payloads)]


def test_a_gap_leaves_one_diff_out() -> None:
    sent, _, left = spoil("gap", 1)
    assert sent == [[]]
    assert not left.concerns("BTCUSDT")


def test_a_duplicate_is_the_same_diff_twice() -> None:
    sent, ids, left = spoil("duplicate", 1)
    assert heads(sent[0]) == [ids[0], ids[0]]
    assert not left.concerns("BTCUSDT")


def test_reordered_diffs_change_places() -> None:
    sent, ids, left = spoil("reorder", 2)
    assert sent[0] == []
    assert heads(sent[1]) == [ids[1], ids[0]]
    assert not left.concerns("BTCUSDT")


def test_a_crossed_diff_bids_above_the_best_ask_and_the_next_takes_it_back() -> None:
    sent, _, left = spoil("crossed", 2)
    first, second = json.loads(sent[0][0]), json.loads(sent[1][0])
    offered = min(float(price) for price, quantity in first["a"] if float(quantity))
    wrong = [level for level in first["b"] if float(level[0]) > offered and float(level[1])]
    assert len(wrong) == 1
    assert float(dict(second["b"])[wrong[0][0]]) == 0
    assert not left.concerns("BTCUSDT")


def test_garbage_of_every_kind_is_sent_once() -> None:
    sent, _, left = spoil("garbage", len(GARBAGE_KINDS))
    by_kind = dict(zip(GARBAGE_KINDS, sent, strict=True))
    for kind in ("malformed", "truncated"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(by_kind[kind][0])
    assert json.loads(by_kind["unknown"][0])["e"] != "depthUpdate"
    assert len(by_kind["huge"][0]) > HUGE_FRAME_BYTES
    for kind in ("malformed", "truncated", "unknown", "huge"):
        assert json.loads(by_kind[kind][1])["e"] == "depthUpdate"
    for kind, word in (("nan", "NaN"), ("negative", "-1.5"), ("text", "many")):
        (payload,) = by_kind[kind]
        event = json.loads(payload)
        assert word in [quantity for _, quantity in event["b"] + event["a"]]
    assert not left.concerns("BTCUSDT")
