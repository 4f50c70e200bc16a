"""The ladder's arithmetic: grouping, cumulating, band edges, reach; and which symbol it shows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeMarket
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.viewmodels.ladder import LadderModel, auto_step, group_side, price_steps
from app.viewmodels.linking import LinkBus
from app.viewmodels.naming import pair_of, symbol_of
from app.viewmodels.sources import BookView

BOOK = FakeMarket().book(Market.BINANCE_SPOT, "ETHUSDT", 400)


def book_of(side: int, levels: list[tuple[float, float]], known_pct: float = 100.0) -> BookView:
    """Return a book whose one side has these (price, quantity) levels, best first."""
    assert BOOK is not None
    price = np.array([level[0] for level in levels])
    qty = np.array([level[1] for level in levels])
    since = np.zeros(len(levels), np.int64)
    empty, none = np.empty(0), np.empty(0, np.int64)
    best = np.array([price[0], math.nan]) if side == BID else np.array([math.nan, price[0]])
    return replace(
        BOOK,
        price=(price, empty) if side == BID else (empty, price),
        qty=(qty, empty) if side == BID else (empty, qty),
        since=(since, none) if side == BID else (none, since),
        best=best,
        known_to_pct=np.array([known_pct, known_pct]),
        tick_size="0.1",
    )


def test_bids_round_down_and_asks_round_up() -> None:
    bids = group_side(book_of(BID, [(100.4, 1), (100.1, 2), (99.9, 4), (98.0, 8)]), BID, 1.0, 10)
    assert bids.price.tolist() == [100.0, 99.0, 98.0]
    assert bids.qty.tolist() == [3.0, 4.0, 8.0]
    assert bids.cum_qty.tolist() == [3.0, 7.0, 15.0]
    asks = group_side(book_of(ASK, [(100.5, 1), (101.0, 2), (101.1, 4)]), ASK, 1.0, 10)
    assert asks.price.tolist() == [101.0, 102.0]
    assert asks.qty.tolist() == [3.0, 4.0]
    assert asks.cum_usd.tolist() == pytest.approx([100.5 + 202.0, 100.5 + 202.0 + 404.4])


def test_decimal_prices_stay_in_their_own_bucket() -> None:
    prices = [round(0.3 - index * 0.1, 1) for index in range(3)]
    side = group_side(book_of(BID, [(price, 1.0) for price in prices]), BID, 0.1, 10)
    assert side.price.tolist() == pytest.approx([0.3, 0.2, 0.1])


def test_edges_lie_behind_the_last_row_of_their_band() -> None:
    levels = [(100.0, 1.0), (98.5, 1.0), (98.4, 1.0), (97.0, 1.0), (96.9, 1.0), (39.0, 1.0)]
    side = group_side(book_of(BID, levels), BID, 0.1, 10)
    assert side.band.tolist() == [0, 0, 1, 1, 2, 7]
    assert (2, 0) in side.edges
    assert (4, 1) in side.edges
    assert (5, 6) in side.edges


def test_rows_beyond_the_proven_reach_begin_at_known_row() -> None:
    levels = [(100.0 + index, 1.0) for index in range(8)]
    assert group_side(book_of(ASK, levels, 3.0), ASK, 0.1, 10).known_row == 4
    assert group_side(book_of(ASK, levels, math.inf), ASK, 0.1, 10).known_row == 8
    assert group_side(book_of(ASK, levels, math.nan), ASK, 0.1, 10).known_row == 0


def test_unconfirmed_levels_keep_their_share_and_oldest_stamp() -> None:
    book = book_of(BID, [(100.4, 1), (100.1, 3), (99.0, 5)])
    book.since[BID][:] = [0, 77, 0]
    side = group_side(book, BID, 1.0, 10)
    assert side.unconfirmed.tolist() == [0.75, 0.0]
    assert side.since_ns.tolist() == [77, 0]


@given(
    st.dictionaries(st.integers(1, 20_000), st.floats(0.01, 1e6), min_size=1, max_size=60),
    st.sampled_from([0.1, 0.2, 0.5, 1.0, 5.0, 50.0]),
    st.sampled_from([BID, ASK]),
    st.integers(1, 70),
)
def test_grouping_loses_nothing_and_keeps_the_order(
    levels: dict[int, float], step: float, side: int, rows: int
) -> None:
    ordered = sorted(levels.items(), reverse=side == BID)
    book = book_of(side, [(ticks / 10, qty) for ticks, qty in ordered])
    grouped = group_side(book, side, step, rows)
    assert 1 <= len(grouped) <= rows
    assert np.all(np.diff(grouped.price) < 0 if side == BID else np.diff(grouped.price) > 0)
    assert np.all(np.diff(grouped.band) >= 0)
    if len(grouped) < rows:
        assert grouped.cum_qty[-1] == pytest.approx(sum(qty for _, qty in ordered))
    naive: dict[int, float] = {}
    for ticks, qty in ordered:
        per_step = round(step * 10)
        bucket = ticks // per_step if side == BID else -(-ticks // per_step)
        naive[bucket] = naive.get(bucket, 0.0) + qty
    assert grouped.qty.tolist() == pytest.approx(list(naive.values())[:rows])


def test_price_steps_begin_with_the_tick_and_auto_reaches_the_five_percent_band() -> None:
    assert BOOK is not None
    steps = price_steps(BOOK)
    assert steps[0] == float(BOOK.tick_size or 0)
    assert list(steps) == sorted(set(steps))
    assert steps[-1] <= BOOK.best[BID] * 0.05
    step = auto_step(BOOK, 20)
    assert step in steps
    assert step * 20 >= BOOK.best[BID] * 0.05
    nothing = replace(BOOK, best=np.array([math.nan, math.nan]))
    assert auto_step(nothing, 20) == steps[0]


@pytest.mark.parametrize("tick", ["0", "-1", "nan", "much"])
def test_a_useless_tick_is_replaced_by_one_with_six_digits(tick: str) -> None:
    assert BOOK is not None
    assert price_steps(replace(BOOK, tick_size=tick))[0] == pytest.approx(0.01)


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket()


@pytest.fixture
def links() -> LinkBus:
    return LinkBus()


def test_it_starts_with_the_most_important_pair_and_follows_its_group(market: FakeMarket, links: LinkBus) -> None:
    model = LadderModel(market, links)
    assert (model.pair, model.symbol) == ("BTCUSDT", "BTCUSDT")
    links.publish("B", "SOLUSDT")
    assert model.symbol == "BTCUSDT"
    links.publish("A", "ETHUSDT")
    assert model.symbol == "ETHUSDT"
    model.set_link_group("B")
    assert model.symbol == "SOLUSDT"
    model.set_link_group(None)
    links.publish("B", "XRPUSDT")
    assert model.symbol == "SOLUSDT"
    model.shut()
    assert links.subscriber_count("A") == links.subscriber_count("B") == 0


def test_the_other_market_has_its_own_symbol(market: FakeMarket, links: LinkBus) -> None:
    model = LadderModel(market, links)
    model.choose_pair("SHIBUSDT")
    assert links.current("A") == "SHIBUSDT"
    model.show_market(Market.BINANCE_USDM)
    assert model.symbol == "1000SHIBUSDT"
    model.show_pair("NOSUCHUSDT")
    assert model.symbol is None
    assert model.view(10) is None


def test_fast_sampling_is_asked_for_only_while_on_screen(market: FakeMarket, links: LinkBus) -> None:
    model = LadderModel(market, links)
    assert not +market.watched
    model.set_active(True)
    model.show_pair("ETHUSDT")
    model.show_market(Market.BINANCE_USDM)
    assert +market.watched == {(Market.BINANCE_USDM, "ETHUSDT"): 1}
    model.set_active(False)
    assert not +market.watched
    model.set_active(True)
    model.shut()
    assert not +market.watched


def test_the_revision_moves_with_the_book_and_with_every_choice(market: FakeMarket, links: LinkBus) -> None:
    model = LadderModel(market, links)
    seen = {model.revision}
    for act in (market.step, lambda: model.set_step(1.0), lambda: model.show_pair("ETHUSDT")):
        act()
        assert model.revision not in seen
        seen.add(model.revision)
    assert model.revision in seen


def test_a_view_has_both_sides_and_the_spread(market: FakeMarket, links: LinkBus) -> None:
    model = LadderModel(market, links)
    view = model.view(15)
    assert view is not None
    assert [len(side) for side in view.sides] == [15, 15]
    assert view.spread == pytest.approx(float(view.book.best[ASK] - view.book.best[BID]))
    assert view.spread_bp == pytest.approx(0.8, abs=0.1)
    model.show_pair("TONUSDT")
    pending = model.view(15)
    assert pending is not None
    assert [len(side) for side in pending.sides] == [0, 0]
    assert pending.spread is None


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("1000SHIBUSDT", "SHIBUSDT"),
        ("1000000MOGUSDT", "MOGUSDT"),
        ("1MBABYDOGEUSDT", "BABYDOGEUSDT"),
        ("1INCHUSDT", "1INCHUSDT"),
        ("10000USDT", "10000USDT"),
    ],
)
def test_names_across_markets(symbol: str, pair: str) -> None:
    assert pair_of(symbol) == pair
    assert symbol_of(pair, ["XUSDT", symbol]) == symbol
    assert symbol_of("YUSDT", [symbol]) is None


def test_depths_are_the_seven_of_the_program() -> None:
    assert BOOK is not None
    side = group_side(BOOK, BID, auto_step(BOOK, 60), 200)
    assert {band for _, band in side.edges} <= set(range(len(DEPTHS_PCT)))
