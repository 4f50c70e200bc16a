"""What the depth table says of a book: sums, edges, coverage and how far each side is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.books.book import OrderBook
from app.books.depth import BANDS, DepthTable, known_to_pct
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID, DEPTHS_PCT

E, P, N = Coverage.EXACT, Coverage.PARTIAL, Coverage.NONE


def measured(book: OrderBook, last_id: int = 7) -> DepthTable:
    table = DepthTable(2)
    table.measure(1, book, last_id, 1234)
    assert (table.coverage[0] == N).all()
    assert np.isnan(table.usd[0]).all()
    return table


def loaded(bids: list[tuple[float, float]], asks: list[tuple[float, float]], limit: int) -> OrderBook:
    book = OrderBook()
    book.load(bids, asks, limit=limit, unbroken=False)
    return book


def test_bands_hold_the_levels_up_to_their_edge_and_the_edge_itself() -> None:
    # 200 x 1.015 is 202.99999999999997 in floats: the level at 203 belongs to the band all the same
    book = loaded(
        [(200.0, 1.0), (197.0, 2.0), (196.99, 50.0), (194.0, 4.0), (80.0, 8.0), (79.99, 100.0)],
        [(200.0, 1.0), (203.0, 2.0), (203.01, 50.0), (206.0, 4.0), (320.0, 8.0), (320.01, 100.0)],
        1000,
    )
    table = measured(book)
    assert table.coins[1, BID].tolist() == [3, 57, 57, 57, 57, 57, 65]
    assert table.coins[1, ASK].tolist() == [3, 57, 57, 57, 57, 57, 65]
    assert table.usd[1, BID, 0] == 200 + 394
    assert table.usd[1, ASK, 0] == 200 + 406
    assert table.usd[1, BID, 6] == pytest.approx(200 + 394 + 196.99 * 50 + 776 + 640, rel=1e-12)
    assert table.threshold()[1, BID].tolist() == pytest.approx([197, 194, 190, 184, 170, 140, 80])
    assert table.threshold()[1, ASK].tolist() == pytest.approx([203, 206, 210, 216, 230, 260, 320])
    assert table.best[1].tolist() == [200, 200]
    assert table.last_id[1] == 7
    assert table.sampled_ns[1] == 1234


def test_coverage_ends_where_the_snapshot_ended() -> None:
    book = loaded([(100.0, 1.0), (97.0, 1.0)], [(100.0, 1.0), (105.0, 1.0)], 2)
    table = measured(book)
    assert table.coverage[1].tolist() == [[E, E, P, P, P, P, P], [E, E, E, P, P, P, P]]
    assert table.known_to_pct[1].tolist() == pytest.approx([3.0, 5.0])


def test_an_edge_exactly_on_the_furthest_proven_price_is_proven_despite_rounding() -> None:
    for best in (0.07, 0.3, 1.1, 7.7, 31.3, 57.1, 123.7, 58309.3):
        for depth in DEPTHS_PCT:
            far_bid, far_ask = best * (100 - depth) / 100, best * (100 + depth) / 100
            table = measured(loaded([(best, 1.0), (far_bid, 1.0)], [(best, 1.0), (far_ask, 1.0)], 2))
            band = DEPTHS_PCT.index(depth)
            for side in (BID, ASK):
                expected = [E] * (band + 1) + [P] * (BANDS - band - 1)
                assert table.coverage[1, side].tolist() == expected, (best, depth, side)
                assert table.coins[1, side, band] == 2.0


def test_a_side_with_fewer_levels_than_asked_is_complete() -> None:
    table = measured(loaded([(100.0, 1.0)], [(101.0, 1.0)], 2))
    assert (table.coverage[1] == E).all()
    assert table.known_to_pct[1].tolist() == [100.0, math.inf]


def test_coverage_wears_off_as_the_price_moves_and_an_unbroken_snapshot_renews_it() -> None:
    book = loaded([(100.0, 1.0), (95.0, 1.0)], [(101.0, 1.0), (106.0, 1.0)], 2)
    assert measured(book).coverage[1, BID].tolist() == [E, E, E, P, P, P, P]
    book.apply([(100.0, 0.0), (96.0, 2.0)], [(98.0, 1.0)])
    table = measured(book)
    assert table.coverage[1, BID].tolist() == [P] * 7
    assert table.known_to_pct[1, BID] == pytest.approx(100 / 96)
    assert table.coverage[1, ASK].tolist() == [E, E, E, E, P, P, P]
    book.apply([(96.0, 0.0), (95.0, 0.0), (90.0, 1.0)], [])
    table = measured(book)
    assert table.known_to_pct[1, BID] == 0.0, "not even the best price is proven"
    assert table.coverage[1, BID].tolist() == [P] * 7
    book.load([(90.0, 1.0), (80.0, 1.0)], [(98.0, 1.0), (101.0, 1.0)], limit=2, unbroken=True)
    table = measured(book)
    assert table.coverage[1, BID].tolist() == [E, E, E, E, P, P, P]
    assert table.coverage[1, ASK].tolist() == [E, E, E, E, P, P, P], "the reach proven before stays"


def test_an_empty_side_is_exact_only_when_it_is_known_to_be_empty() -> None:
    table = measured(loaded([], [(101.0, 1.0)], 1))
    assert (table.coverage[1, BID] == E).all()
    assert (table.usd[1, BID] == 0).all()
    assert math.isnan(table.best[1, BID])
    assert math.isnan(table.known_to_pct[1, BID])
    assert np.isnan(table.threshold()[1, BID]).all()
    book = loaded([(100.0, 1.0)], [(101.0, 1.0)], 1)
    book.apply([(100.0, 0.0)], [])
    assert (measured(book).coverage[1, BID] == P).all()


def test_the_unconfirmed_share_is_measured_per_band() -> None:
    book = OrderBook()
    book.bids.add_unconfirmed(np.array([99.0, 96.0, 50.0]), np.array([1.0, 1.0, 1.0]), np.array([1, 1, 1]))
    book.load([(100.0, 1.0), (98.0, 1.0)], [(101.0, 1.0)], limit=2, unbroken=False)
    table = measured(book)
    share = table.unconfirmed()[1, BID]
    assert share[0] == 0.0, "the snapshot spoke of 99"
    assert share[2] == pytest.approx(96 / (100 + 98 + 96))
    assert share[5] == pytest.approx(96 / 294)
    assert share[6] == pytest.approx(146 / 344)
    assert (table.unconfirmed()[1, ASK] == 0).all()
    assert table.unconfirmed()[0].tolist() == [[0.0] * BANDS] * 2
    table.clear_row(1, 99)
    assert np.isnan(table.usd[1]).all()
    assert (table.coverage[1] == N).all()
    assert table.sampled_ns[1] == 99


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.dictionaries(st.integers(1, 400), st.integers(1, 5), min_size=1, max_size=40),
    st.dictionaries(st.integers(401, 1200), st.integers(1, 5), min_size=1, max_size=40),
    st.integers(1, 50),
)
def test_coverage_and_known_to_agree_with_their_definition(
    bids: dict[int, int], asks: dict[int, int], limit: int
) -> None:
    best_bids = [(float(p), float(q)) for p, q in sorted(bids.items(), reverse=True)][:limit]
    best_asks = [(float(p), float(q)) for p, q in sorted(asks.items())][:limit]
    book = loaded(best_bids, best_asks, limit)
    table = measured(book)
    for which, levels in ((BID, best_bids), (ASK, best_asks)):
        best, furthest = levels[0][0], levels[-1][0]
        complete = len(levels) < limit
        expected = [
            complete
            or (
                furthest * 1000 <= best * (1000 - round(d * 10))
                if which == BID
                else furthest * 1000 >= best * (1000 + round(d * 10))
            )
            for d in DEPTHS_PCT
        ]
        assert (table.coverage[1, which] == E).tolist() == expected
        known = known_to_pct(book.side(which), book.side(which).sign * best)
        if complete:
            assert known == (100.0 if which == BID else math.inf)
        else:
            assert known == pytest.approx(abs(furthest - best) / best * 100)
