"""The order of rows: columns, unknown values, ties, favourites, free text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.scanner.board import Board
from app.scanner.ranking import matching, ordered, top

ROWS = (
    (Market.BINANCE_SPOT, "BTCUSDT", 5.0),
    (Market.BYBIT_LINEAR, "ETHUSDT", math.nan),
    (Market.HYPERLIQUID_PERP, "kPEPE", -3.0),
    (Market.BINANCE_USDM, "ethusdt", 5.0),
    (Market.BYBIT_SPOT, "SOLUSDT", 9.0),
)


@pytest.fixture
def board() -> Board:
    made = Board()
    for market, symbol, change in ROWS:
        made.apply(market, [TickerUpdate(symbol, 0, {Field.LAST: 1.0, Field.CHANGE_PCT: change})], 1)
    made.refresh(2)
    return made


def test_unknown_values_go_last_either_way_and_ties_stay_in_row_order(board: Board) -> None:
    assert ordered(board, "change_24h").tolist() == [2, 0, 3, 4, 1]
    assert ordered(board, "change_24h", descending=True).tolist() == [4, 0, 3, 2, 1]


def test_words_are_sorted_without_regard_to_case(board: Board) -> None:
    assert ordered(board, "symbol").tolist() == [0, 1, 3, 2, 4]
    assert ordered(board, "symbol", descending=True).tolist() == [4, 2, 1, 3, 0]
    assert ordered(board, "venue").tolist() == [0, 3, 1, 4, 2]


def test_favourites_go_first_in_the_same_order(board: Board) -> None:
    assert ordered(board, "change_24h", descending=True, favourites={2, 1, 99}).tolist() == [2, 1, 4, 0, 3]


def test_only_the_rows_asked_for_are_there(board: Board) -> None:
    among = np.array([True, True, False, False, True])
    assert ordered(board, "change_24h", among=among, favourites=[4, 2]).tolist() == [4, 0, 1]
    assert ordered(board, "change_24h", among=np.zeros(5, np.bool_)).tolist() == []
    assert ordered(Board(), "symbol").tolist() == []


def test_gainers_and_losers_are_known(board: Board) -> None:
    assert top(board, 2).tolist() == [4, 0]
    assert top(board, 9, losers=True).tolist() == [2, 0, 3, 4]
    assert top(board, 9, among=np.array([False, True, True, False, False])).tolist() == [2]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("usdt", [0, 1, 3, 4]),
        ("eth bybit", [1]),
        ("FUTURES eth", [1, 3]),
        ("spot", [0, 4]),
        ("pepe", [2]),
        ("doge", []),
    ],
)
def test_every_word_of_a_text_must_be_found(board: Board, text: str, rows: list[int]) -> None:
    assert np.flatnonzero(matching(board, text)).tolist() == rows


@given(st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(math.nan)), max_size=30), st.booleans())
def test_the_order_is_that_of_a_plain_stable_sort(values: list[float], descending: bool) -> None:
    board = Board()
    for number, value in enumerate(values):
        board.apply(Market.BINANCE_SPOT, [TickerUpdate(f"S{number}", 0, {Field.LAST: value})], 1)
    sign = -1.0 if descending else 1.0
    expected = sorted(
        range(len(values)),
        key=lambda row: (math.isnan(values[row]), sign * values[row] if values[row] == values[row] else 0.0),
    )
    assert ordered(board, "last", descending=descending).tolist() == expected
