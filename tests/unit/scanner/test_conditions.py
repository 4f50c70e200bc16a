"""Conditions: what they mean, what is refused and where, and that reading one is the same as evaluating row by row."""

from __future__ import annotations

import contextlib
import math
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.scanner.board import Board
from app.scanner.columns import BY_KEY, COLUMNS
from app.scanner.conditions import MAX_DEPTH, ConditionError, parse

ROWS = (
    (Market.BINANCE_SPOT, "BTCUSDT", {Field.LAST: 63000.0, Field.CHANGE_PCT: 1.5, Field.VOLUME: 9e8}),
    (
        Market.BYBIT_LINEAR,
        "ETHUSDT",
        {Field.LAST: 3000.0, Field.CHANGE_PCT: -4.0, Field.VOLUME: 4e6, Field.OPEN_INTEREST: 2000.0},
    ),
    (
        Market.HYPERLIQUID_PERP,
        "kPEPE",
        {Field.LAST: 0.01, Field.CHANGE_PCT: 12.0, Field.FUNDING: 0.0001, Field.FUNDING_HOURS: 8.0},
    ),
    (Market.BINANCE_USDM, "SOLUSDT", {Field.LAST: 150.0, Field.VOLUME: 6e6, Field.BID: 149.0, Field.ASK: 151.0}),
)


@pytest.fixture
def board() -> Board:
    made = Board()
    for market, symbol, values in ROWS:
        made.apply(market, [TickerUpdate(symbol, 0, values)], 1_000)
    made.refresh(2_000)
    return made


def shown(board: Board, text: str) -> str:
    return " ".join(board.symbols[row] for row in np.flatnonzero(parse(text).mask(board)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("last > 100", "BTCUSDT ETHUSDT SOLUSDT"),
        ("volume_24h > 5e6 and abs(change_24h) > 1", "BTCUSDT"),
        ("volume_24h > 5M", "BTCUSDT SOLUSDT"),
        ("1 < change_24h < 2 or change_24h < -3", "BTCUSDT ETHUSDT"),
        ("not change_24h > 0", "ETHUSDT"),
        ("not (volume_24h > 5M and last > 1000)", "ETHUSDT kPEPE SOLUSDT"),
        ('venue == "Bybit"', "ETHUSDT"),
        ('market == "futures" and venue != "binance"', "ETHUSDT kPEPE"),
        ("symbol in ('btcusdt', \"SOLUSDT\")", "BTCUSDT SOLUSDT"),
        ('symbol contains "pepe"', "kPEPE"),
        ("spread_bp > 100", "SOLUSDT"),
        ("funding == 0.01", "kPEPE"),
        ("max(last, 100, change_24h) == 100", "kPEPE"),
        ("min(last, 200) == 200", "BTCUSDT ETHUSDT"),
        ("(last - 50) / 100 == 1", "SOLUSDT"),
        ("((last)) > ((60k))", "BTCUSDT"),
        ("-last < -60000", "BTCUSDT"),
        ("2 + 3 * 4 == 14 and last > 1000", "BTCUSDT ETHUSDT"),
        ("last / 0 > 1", ""),
        ("1 < 2", "BTCUSDT ETHUSDT kPEPE SOLUSDT"),
        ("NOT Last > 100 OR symbol Contains 'sol'", "kPEPE SOLUSDT"),
        ("symbol not in ('BTCUSDT', 'ETHUSDT')", "kPEPE SOLUSDT"),
        ("symbol not contains 'USDT'", "kPEPE"),
        ("symbol contains ''", "BTCUSDT ETHUSDT kPEPE SOLUSDT"),
        ("funding_year > 10 and funding_hours == 8", "kPEPE"),
        ("open_interest_usd > 5M", "ETHUSDT"),
        ("age < 1", "BTCUSDT ETHUSDT kPEPE SOLUSDT"),
        ("events == 0 and not events > 0", "BTCUSDT ETHUSDT kPEPE SOLUSDT"),
    ],
)  # fmt: skip
def test_a_condition_shows_the_rows_for_which_it_is_true(board: Board, text: str, expected: str) -> None:
    assert shown(board, text) == expected


def test_an_unknown_figure_satisfies_neither_a_comparison_nor_its_opposite(board: Board) -> None:
    assert "kPEPE" not in shown(board, "volume_24h > 0")
    assert "kPEPE" not in shown(board, "not volume_24h > 0")
    assert "kPEPE" not in shown(board, "volume_24h != 5")
    assert "kPEPE" in shown(board, "volume_24h > 0 or change_24h > 0"), "what is known decides where it can"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 0, "was the end"),
        ("last >", 6, "expected a column or a number, was the end"),
        ("last", 4, "expected a comparison"),
        ("volume24h > 5", 0, "did you mean volume_24h"),
        ("last > 5 last", 9, "expected and, or, or the end"),
        ("last > (5", 9, "expected ), was the end"),
        ('symbol > "A"', 7, "expected ==, !=, contains or in after symbol"),
        ('last == "BTC"', 8, "expected a column or a number"),
        ("symbol == BTC", 10, "in quotes"),
        ('symbol == "BTC', 10, "closing quote"),
        ("last > 5 & last < 6", 9, "expected and, was '&'"),
        ("last = 5", 5, "expected ==, was '='"),
        ("change_24h > 3%", 14, "in percent without its sign"),
        ('venue == "bibit"', 9, "expected binance or bybit or hyperliquid or ibkr, was bibit; did you mean bybit?"),
        ('market in ("spot", "perp")', 19, "expected spot or futures or stock, was perp"),
        ('symbol not > "x"', 11, "expected in or contains after symbol not"),
        ('symbol == "a\tb"', 10, "characters that can be seen"),
        ("1+" * 300 + "1 > 2", 400, "at most 400"),
        ("abs(last, 2) > 1", 0, "expected one figure"),
        ("max(last) > 1", 0, "two figures or more"),
        ("venue + 1 > 2", 6, "after venue"),
        ("1 + venue > 2", 4, "is a word"),
        ("(last > 5 and ) or last > 3", 14, "expected a column or a number"),
        ("last > 1e400", 7, "smaller number"),
        ("__import__ > 1", 0, "there is no column"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(text: str, position: int, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.position == position, caught.value
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"column {position + 1}:")


@pytest.mark.parametrize(
    "text", ["(" * 5000, "not " * 200 + "last > 1", "-" * 900 + "1 > 0", "(" * 41 + "last" + ")" * 41 + " > 1"]
)
def test_what_is_too_long_or_too_deep_is_refused_quickly(text: str) -> None:
    with pytest.raises(ConditionError):
        parse(text)
    assert str(parse("(" * (MAX_DEPTH - 2) + "last" + ")" * (MAX_DEPTH - 2) + " > 1"))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_but_never_breaks(text: str) -> None:
    with contextlib.suppress(ConditionError):
        parse(text)


WORDS = [
    "last",
    "symbol",
    "venue",
    "(",
    ")",
    ",",
    "<",
    ">=",
    "==",
    "+",
    "-",
    "*",
    "/",
    "not",
    "and",
    "or",
    "in",
    "contains",
    "abs",
    "max",
    "1",
    "5M",
    "1e9999",
    "'x'",
    '"',
    "?",
]


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_any_jumble_of_its_words_is_read_or_refused_with_a_place_inside_the_text(text: str) -> None:
    place, condition = 0, None
    try:
        condition = parse(text)
    except ConditionError as error:
        place = error.position
    assert 0 <= place <= len(text)
    assert condition is None or parse(str(condition)) == condition


KEYS = [column.key for column in COLUMNS if not column.is_text]
numbers = st.one_of(
    st.floats(-1e9, 1e9, allow_nan=False).map(repr), st.sampled_from(KEYS), st.sampled_from(["5M", ".5", "1e-3"])
)
figures = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"abs({t})"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
        inner.map(lambda t: f"-{t}"),
    ),
    max_leaves=4,
)
comparisons = st.tuples(figures, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), figures).map(" ".join)
texts = st.sampled_from(
    [
        'venue == "bybit"',
        'symbol contains "usdt"',
        'market in ("spot", "futures")',
        'symbol not in ("x")',
        'symbol != "kpepe"',
    ]
)
conditions = st.recursive(
    st.one_of(comparisons, texts),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"not ({t})"),
    ),
    max_leaves=5,
)


@given(conditions)
def test_a_condition_that_is_written_out_reads_the_same(text: str) -> None:
    condition = parse(text)
    again = parse(str(condition))
    assert again == condition
    assert str(again) == str(condition)


COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def row_by_row(term: Any, board: Board, row: int) -> object:
    """Evaluate a term for one row the slow way: floats, None for unknown figures and unknown truth."""
    name = type(term).__name__
    if name == "Number":
        return term.value
    if name == "Figure":
        column = BY_KEY[term.key]
        value = float(board.values[column.source, row])
        return None if math.isnan(value) else value
    if name == "Arithmetic":
        left, right = row_by_row(term.left, board, row), row_by_row(term.right, board, row)
        if left is None or right is None:
            return None
        work = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[term.sign]
        try:
            value = work(left, right)
        except (ZeroDivisionError, OverflowError):
            return None
        return value if math.isfinite(value) else None
    if name == "Call":
        values = [row_by_row(each, board, row) for each in term.terms]
        if None in values:
            return None
        return abs(values[0]) if term.name == "abs" else {"min": min, "max": max}[term.name](values)
    if name == "Comparison":
        values = [row_by_row(each, board, row) for each in term.terms]
        works = COMPARE
        seen = [
            None if a is None or b is None else works[sign](a, b)
            for a, sign, b in zip(values, term.signs, values[1:], strict=False)
        ]
        return False if False in seen else None if None in seen else True
    if name == "Words":
        market = board.markets[row]
        have = {"symbol": board.symbols[row], "venue": market.venue.value, "market": market.kind.value}[
            term.key
        ].lower()
        wanted = [word.lower() for word in term.words]
        if term.sign == "contains":
            return wanted[0] in have
        return (have in wanted) is (term.sign != "!=")
    if name == "Not":
        inner = row_by_row(term.term, board, row)
        return None if inner is None else not inner
    left, right = row_by_row(term.left, board, row), row_by_row(term.right, board, row)
    if term.sign == "and":
        return False if False in (left, right) else None if None in (left, right) else True
    return True if True in (left, right) else None if None in (left, right) else False


@given(conditions)
def test_a_mask_equals_the_evaluation_row_by_row(text: str) -> None:
    board = Board()
    for market, symbol, values in ROWS:
        board.apply(market, [TickerUpdate(symbol, 0, values)], 1_000)
    board.refresh(2_000)
    condition = parse(text)
    expected = [row_by_row(condition.term, board, row) is True for row in range(board.count)]
    assert condition.mask(board).tolist() == expected
