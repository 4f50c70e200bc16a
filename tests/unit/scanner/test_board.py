"""The board: what news does to it and what it works out by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.domain.market import Field, Liquidation, PositionSide, TickerUpdate, annualised_pct
from app.domain.units import NS_PER_S
from app.scanner import board as board_module
from app.scanner.board import Board
from app.scanner.columns import BY_KEY, COLUMNS, Derived

SPOT, PERP = Market.BINANCE_SPOT, Market.HYPERLIQUID_PERP
T0 = 1_700_000_000 * NS_PER_S


def told(board: Board, figures: dict[int, float], symbol: str = "X", at_ns: int = T0, market: Market = SPOT) -> None:
    board.apply(market, [TickerUpdate(symbol, 0, figures)], at_ns)


def shown(board: Board, key: str, symbol: str = "X", market: Market = SPOT) -> float:
    row = board.find(market, symbol)
    assert row is not None
    return float(board.numbers(BY_KEY[key])[row])


def after(figures: dict[int, float], key: str, now_ns: int = T0) -> float:
    board = Board()
    told(board, figures)
    board.refresh(now_ns)
    return shown(board, key)


def test_every_column_of_numbers_has_a_place_of_its_own_and_every_key_is_unique() -> None:
    sources = [int(column.source) for column in COLUMNS if column.source is not None]
    assert len(set(sources)) == len(sources)
    assert len(BY_KEY) == len(COLUMNS)
    assert max(sources) < Board().values.shape[0]
    assert all(column.help and column.title for column in COLUMNS)


@pytest.mark.parametrize(
    ("figures", "key", "expected"),
    [
        ({Field.LAST: 110.0, Field.PREVIOUS: 100.0}, "change_24h", 10.0),
        ({Field.LAST: 110.0, Field.PREVIOUS: 100.0, Field.CHANGE_PCT: 9.5}, "change_24h", 9.5),
        ({Field.LAST: 110.0, Field.PREVIOUS: 0.0}, "change_24h", math.nan),
        ({Field.BID: 99.0, Field.ASK: 101.0}, "spread_bp", 200.0),
        ({Field.BID: 100.0, Field.ASK: 100.0}, "spread_bp", 0.0),
        ({Field.BID: 101.0, Field.ASK: 99.0}, "spread_bp", math.nan),
        ({Field.BID: 0.0, Field.ASK: 99.0}, "spread_bp", math.nan),
        ({Field.BID: -1.0, Field.ASK: 99.0}, "spread_bp", math.nan),
        ({Field.FUNDING: 0.0001}, "funding", 0.01),
        ({Field.FUNDING: 0.0001}, "funding_year", math.nan),
        ({Field.FUNDING: 0.0001, Field.FUNDING_HOURS: 8.0}, "funding_year", annualised_pct(0.0001, 8.0)),
        ({Field.FUNDING: 0.0001, Field.FUNDING_HOURS: 0.0}, "funding_year", math.nan),
        ({Field.OPEN_INTEREST: 10.0, Field.LAST: 5.0}, "open_interest_usd", 50.0),
        ({Field.OPEN_INTEREST: 10.0, Field.LAST: 5.0, Field.MARK: 6.0}, "open_interest_usd", 60.0),
        ({Field.OPEN_INTEREST: 10.0, Field.OPEN_INTEREST_USD: 55.0, Field.MARK: 6.0}, "open_interest_usd", 55.0),
        ({Field.LAST: 5.0}, "liq_long", math.nan),
        ({Field.LAST: 5.0}, "events", 0.0),
    ],
)
def test_what_follows_from_the_news(figures: dict[int, float], key: str, expected: float) -> None:
    assert after(figures, key) == pytest.approx(expected, nan_ok=True)


def test_a_change_the_board_works_out_follows_the_price_until_the_venue_tells_one() -> None:
    board = Board()
    told(board, {Field.LAST: 110.0, Field.PREVIOUS: 100.0})
    board.refresh(T0)
    told(board, {Field.LAST: 120.0})
    board.refresh(T0)
    assert shown(board, "change_24h") == pytest.approx(20.0)
    told(board, {Field.CHANGE_PCT: 19.0})
    board.refresh(T0)
    assert shown(board, "change_24h") == 19.0
    told(board, {Field.CHANGE_PCT: math.nan})
    board.refresh(T0)
    assert shown(board, "change_24h") == pytest.approx(20.0)


def test_the_age_counts_from_the_last_news_and_is_never_negative() -> None:
    assert after({Field.LAST: 1.0}, "age", T0 + 1500 * NS_PER_S // 1000) == pytest.approx(1.5)
    assert after({Field.LAST: 1.0}, "age", T0 - NS_PER_S) == 0.0
    board = Board()
    board.row(SPOT, "X")
    board.refresh(T0)
    assert math.isnan(shown(board, "age"))


def test_equal_symbols_of_different_markets_are_different_rows() -> None:
    board = Board()
    told(board, {Field.LAST: 1.0}, "BTC")
    told(board, {Field.LAST: 2.0}, "BTC", market=PERP)
    assert board.count == 2
    assert board.find(SPOT, "BTC") == 0
    assert board.find(PERP, "BTC") == 1
    assert board.find(Market.BYBIT_SPOT, "BTC") is None
    assert board.texts("venue").tolist() == ["BINANCE", "HYPERLIQUID"]
    assert board.texts("market").tolist() == ["SPOT", "FUTURES"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SPOT, PERP]),
            st.integers(0, 1500),
            st.dictionaries(st.sampled_from(list(Field)), st.floats(0.1, 1e6), max_size=4),
        ),
        max_size=60,
    )
)
def test_the_board_holds_the_newest_of_every_figure_however_it_grows(
    news: list[tuple[Market, int, dict[Field, float]]],
) -> None:
    board = Board()
    held: dict[tuple[Market, str], dict[Field, float]] = {}
    for count, (market, number, figures) in enumerate(news):
        symbols = [f"S{number}", *(f"{market.value}{count}-{more}" for more in range(40))]
        told(board, dict(figures), symbols[0], T0 + count, market)
        for symbol in symbols[1:]:
            board.row(market, symbol)
        held.setdefault((market, symbols[0]), {}).update(figures)
    board.refresh(T0)
    for (market, symbol), figures in held.items():
        row = board.find(market, symbol)
        assert row is not None
        assert {field: board.values[field, row] for field in figures} == figures
    assert len(board.symbols) == len(board.markets) == board.count <= board.capacity


def test_liquidations_of_an_hour_are_summed_by_side_and_fade_minute_by_minute() -> None:
    board = Board()
    told(board, {Field.LAST: 1.0}, "QUIET")
    told(board, {Field.LAST: 1.0}, "ELSEWHERE", market=PERP)
    board.apply_liquidations(SPOT, [Liquidation("X", 0, PositionSide.LONG, 100.0, 2.0, False)], T0)
    later = T0 + 1800 * NS_PER_S
    board.apply_liquidations(SPOT, [Liquidation("X", 0, PositionSide.LONG, 50.0, 2.0, False)], later)
    board.apply_liquidations(SPOT, [Liquidation("X", 0, PositionSide.SHORT, 10.0, 3.0, True)], later)
    board.refresh(later)
    assert (shown(board, "liq_long"), shown(board, "liq_short")) == (300.0, 30.0)
    assert shown(board, "liq_long", "QUIET") == 0.0, "a market that tells liquidations tells none of it"
    assert math.isnan(shown(board, "liq_long", "ELSEWHERE", PERP)), "of another market nothing is known"
    board.refresh(T0 + 3570 * NS_PER_S)
    assert shown(board, "liq_long") == 300.0
    board.refresh(T0 + 3600 * NS_PER_S)
    assert shown(board, "liq_long") == 100.0
    board.refresh(later + 10 * 3600 * NS_PER_S)
    assert (shown(board, "liq_long"), shown(board, "liq_short")) == (0.0, 0.0)


def test_liquidations_survive_the_growth_of_the_board_and_bad_amounts_are_dropped() -> None:
    board = Board()
    board.apply_liquidations(SPOT, [Liquidation("X", 0, PositionSide.LONG, 100.0, 2.0, False)], T0)
    for number in range(3000):
        board.row(SPOT, f"N{number}")
    bad = [Liquidation("X", 0, PositionSide.LONG, price, 1.0, False) for price in (math.nan, math.inf, -5.0, 0.0)]
    board.apply_liquidations(SPOT, bad, T0)
    board.refresh(T0)
    assert shown(board, "liq_long") == 200.0
    assert board.dropped == 4


def test_news_without_a_place_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "MAX_ROWS", 2)
    board = Board()
    for symbol in ("A", "B", "C", "", "x" * 41, "a\nb", "A"):
        told(board, {Field.LAST: 1.0}, symbol)
    assert board.symbols == ["A", "B"]
    assert board.dropped == 4
    with pytest.raises(OverflowError):
        board.row(SPOT, "C")
    with pytest.raises(ValueError, match="printable"):
        board.row(SPOT, "\x00")


def test_books_give_quotes_where_they_are_known_and_delta_everywhere() -> None:
    board = Board()
    told(board, {Field.BID: 1.0, Field.ASK: 2.0}, "A")
    best = np.array([[np.nan, np.nan], [10.0, 11.0]])
    board.set_books(SPOT, ["A", "B"], best, np.array([np.nan, 1.5]))
    board.refresh(T0)
    assert (shown(board, "bid", "A"), shown(board, "ask", "A")) == (1.0, 2.0)
    assert math.isnan(shown(board, "delta", "A"))
    assert (shown(board, "bid", "B"), shown(board, "delta", "B")) == (10.0, 1.5)


def test_revisions_move_with_news_and_with_rows() -> None:
    board = Board()
    told(board, {Field.LAST: 1.0})
    first = board.revision, board.listing_revision
    told(board, {Field.LAST: 1.0})
    assert board.revision > first[0]
    assert board.listing_revision == first[1]
    assert board.texts("symbol").tolist() == ["X"]
    told(board, {Field.LAST: 1.0}, "y")
    assert board.listing_revision > first[1]
    assert board.texts("symbol").tolist() == ["X", "Y"]
    assert board.values[Derived.EVENTS, :2].tolist() == [0.0, 0.0]
