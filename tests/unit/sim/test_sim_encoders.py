"""The simulator's texts are the venue's, to the letter, and numbers are exact decimals."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.sim import encoders
from app.sim.book import Changes, Top
from app.sim.market import fixed
from app.sim.universe import build_listings

LISTINGS = build_listings(["BTCUSDT", "PEPEUSDT"])
SPOT_BTC, SPOT_PEPE = LISTINGS[Market.BINANCE_SPOT]
USDM_BTC, USDM_PEPE = LISTINGS[Market.BINANCE_USDM]
CHANGES = Changes(157, 160, 149, {9650012: 150_000, 9650000: 0}, {9650013: 7})


@given(st.integers(0, 10**15), st.integers(0, 9), st.integers(0, 9))
def test_fixed_writes_exact_decimals(value: int, decimals: int, more: int) -> None:
    text = fixed(value, decimals, decimals + more)
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    assert len(text.partition(".")[2]) == decimals + more


def test_a_spot_diff_reads_as_documented() -> None:
    assert encoders.depth_update(SPOT_BTC, CHANGES, 1672515782136) == (
        '{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT","U":157,"u":160,'
        '"b":[["96500.12","1.50000000"],["96500.00","0.00000000"]],"a":[["96500.13","0.00007000"]]}'
    )


def test_a_futures_diff_names_the_diff_before() -> None:
    event = json.loads(encoders.depth_update(USDM_BTC, CHANGES, 1672515782136))
    assert event["pu"] == 149
    assert event["st"] == 1
    assert event["b"] == [["965001.2", "150.000"], ["965000.0", "0.000"]]
    assert list(event) == ["e", "E", "T", "s", "ps", "st", "U", "u", "pu", "b", "a"]


def test_a_whole_number_of_coins_is_written_without_a_point_on_futures_and_with_eight_zeros_on_spot() -> None:
    changes = Changes(1, 2, 0, {980: 1_234_567}, {})
    assert json.loads(encoders.depth_update(SPOT_PEPE, changes, 1))["b"] == [["0.00000980", "1234567.00000000"]]
    assert json.loads(encoders.depth_update(USDM_PEPE, changes, 1))["b"] == [["0.0000980", "1234567"]]


def test_tickers_and_wrappers_read_as_documented() -> None:
    top = Top(400, 9650012, 3, 9650013, 5)
    text = encoders.book_ticker(SPOT_BTC, top, 9)
    assert text == ('{"u":400,"s":"BTCUSDT","b":"96500.12","B":"0.00003000","a":"96500.13","A":"0.00005000"}')
    assert json.loads(encoders.wrapped("btcusdt@bookTicker", text)) == {
        "stream": "btcusdt@bookTicker",
        "data": json.loads(text),
    }
    assert json.loads(encoders.book_ticker(USDM_BTC, top, 9))["e"] == "bookTicker"


@pytest.mark.parametrize("listing", [SPOT_BTC, USDM_BTC], ids=["spot", "usdm"])
def test_a_depth_answer_names_no_symbol_and_futures_add_times(listing: object) -> None:
    answer = json.loads(encoders.depth_answer(listing, 5, [(100, 2)], [(101, 3)], 1000))
    assert "s" not in answer
    assert ("E" in answer) == (listing is USDM_BTC)
    assert [len(answer["bids"]), len(answer["asks"])] == [1, 1]
