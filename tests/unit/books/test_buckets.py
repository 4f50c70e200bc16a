"""A book of snapshots at several resolutions against a whole book that is known, rounded in every direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.books.buckets import STALE_AFTER_NS, BucketBook, step_at, step_below
from app.books.depth import DepthTable, side_is_complete
from app.books.keeper import BookState
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID, DEPTHS_PCT

LINES = {"full": None, "s4": 4, "s3": 3, "s2": 2}
MOST = 20
SECOND = 1_000_000_000
Side = list[tuple[Decimal, Decimal]]
DIRECTIONS = {
    "outwards": (ROUND_FLOOR, ROUND_CEILING),
    "inwards": (ROUND_CEILING, ROUND_FLOOR),
    "down": (ROUND_FLOOR, ROUND_FLOOR),
    "up": (ROUND_CEILING, ROUND_CEILING),
    "nearest": (ROUND_HALF_EVEN, ROUND_HALF_EVEN),
}


def rounded(side: Side, figures: int | None, direction: str) -> list[tuple[float, float]]:
    """Return what a venue shows of a side at so many significant figures."""
    out: dict[Decimal, Decimal] = {}
    for price, quantity in side:
        at = price
        if figures is not None:
            step = Decimal(1).scaleb(price.adjusted() - figures + 1)
            at = (price / step).to_integral_value(direction) * step
        out[at] = out.get(at, Decimal(0)) + quantity
    return [(float(price), float(quantity)) for price, quantity in out.items()][:MOST]


def book_of(
    bids: Side, asks: Side, direction: str = "outwards", lines: Sequence[str] = tuple(LINES), at_ns: int = SECOND
) -> BucketBook:
    """Return a book that has heard every line."""
    book = BucketBook(LINES, MOST)
    for line in lines:
        book.on_up(at_ns, line)
        down, up = DIRECTIONS[direction]
        bid_levels, ask_levels = rounded(bids, LINES[line], down), rounded(asks, LINES[line], up)
        assert book.on_snapshot(line, 1, bid_levels, ask_levels, at_ns)
    return book


def measured(book: BucketBook) -> DepthTable:
    table = DepthTable(1)
    book.measure(table, 0, 5)
    return table


def truth(side: Side, which: int, depth: float, best: Decimal | None = None) -> tuple[Decimal, Decimal]:
    """Return USD and coins of a whole side within one band, by the definition."""
    best = side[0][0] if best is None else best
    share = Decimal(str(depth)) / 100
    edge = best * (1 - share if which == BID else 1 + share)
    inside = [(p, q) for p, q in side if (p >= edge if which == BID else p <= edge)]
    return sum((p * q for p, q in inside), Decimal(0)), sum((q for _, q in inside), Decimal(0))


def ladder(best: str, tick: str, count: int, which: int, gap: int = 1) -> Side:
    """Return a side of one coin per level."""
    step = Decimal(tick) * gap * (-1 if which == BID else 1)
    return [(Decimal(best) + step * n, Decimal(1)) for n in range(count)]


@st.composite
def sides(draw: st.DrawFn) -> tuple[Side, Side]:
    """Draw a whole book around prices of every size, powers of ten among them."""
    exponent = draw(st.integers(-4, 4))
    mantissa = draw(st.one_of(st.integers(10_000, 99_999), st.sampled_from((10_000, 10_001, 99_999, 10_050))))
    tick = Decimal(1).scaleb(exponent - 4)
    gaps = st.lists(st.integers(1, 900), min_size=0, max_size=70)
    out: list[Side] = []
    for which, start in ((BID, mantissa), (ASK, mantissa + draw(st.integers(1, 30)))):
        at = Decimal(start) * tick
        side: Side = []
        for gap in [0, *draw(gaps)] if draw(st.integers(0, 9)) else []:
            at += gap * tick * (-1 if which == BID else 1)
            if at <= 0:
                break
            side.append((at, Decimal(draw(st.integers(1, 1000))) / 100))
        out.append(side)
    return out[0], out[1]


@given(sides(), st.sampled_from(sorted(DIRECTIONS)), st.sets(st.sampled_from(("s4", "s3", "s2"))))
@settings(max_examples=120, deadline=None)
def test_what_is_exact_is_the_truth_and_everything_else_a_floor_of_it(
    whole: tuple[Side, Side], direction: str, coarse: set[str]
) -> None:
    lines = [line for line in LINES if line == "full" or line in coarse]
    book = book_of(*whole, direction, lines)
    table = measured(book)
    for which, side in enumerate(whole):
        if not side:
            assert math.isnan(table.best[0, which])
            assert not table.usd[0, which].any()
            continue
        assert table.best[0, which] == float(side[0][0])
        floors = []
        for band, depth in enumerate(DEPTHS_PCT):
            usd, coins = truth(side, which, depth)
            got_usd, got_coins = table.usd[0, which, band], table.coins[0, which, band]
            if table.coverage[0, which, band] == Coverage.EXACT:
                assert got_usd == pytest.approx(float(usd), rel=1e-9)
                assert got_coins == pytest.approx(float(coins), rel=1e-9)
                assert table.bucket_pct[0, which, band] == 0.0
            else:
                assert len(side) >= MOST
                assert got_usd <= float(usd) * (1 + 1e-9)
                assert got_coins <= float(coins) * (1 + 1e-9)
            floors.append((got_usd, got_coins))
        for near, far in pairwise(floors):
            assert near[0] <= far[0]
            assert near[1] <= far[1]
        prices, quantities, since = book.levels(which)
        keys = prices if which == ASK else -prices
        assert (np.diff(keys) > 0).all()
        assert quantities.sum() <= float(sum(q for _, q in side)) * (1 + 1e-9)
        assert not since.any()
        assert len(book.levels(which, 3)[0]) == min(3, prices.size)
    assert not book.crossed()


ABOVE_ONE = [(Decimal("1.0042"), Decimal(1)), (Decimal("1.0041"), Decimal(1)), (Decimal("0.9238"), Decimal(1))]


@example((ABOVE_ONE, []), "down", "s4")  # the best price is rounded by more than the buckets at the edge
@given(sides(), st.sampled_from(sorted(DIRECTIONS)), st.sampled_from(("s4", "s3", "s2")))
@settings(max_examples=60, deadline=None)
def test_without_full_precision_nothing_is_exact_but_all_is_still_a_floor(
    whole: tuple[Side, Side], direction: str, line: str
) -> None:
    table = measured(book_of(*whole, direction, [line]))
    bid, ask = table.best[0]
    assert not bid > ask
    for which, side in enumerate(whole):
        if side:
            assert (table.coverage[0, which] == Coverage.PARTIAL).all()
            assert table.known_to_pct[0, which] == 0.0
            for band, depth in enumerate(DEPTHS_PCT):
                usd, coins = truth(side, which, depth)
                assert table.usd[0, which, band] <= float(usd) * (1 + 1e-9)
                assert table.coins[0, which, band] <= float(coins) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("price", "figures", "above", "below"),
    [
        (63_000.0, 2, 1000.0, 1000.0),
        (63_000.0, 3, 100.0, 100.0),
        (99_999.0, 2, 1000.0, 1000.0),
        (100_000.0, 2, 10_000.0, 1000.0),
        (105_055.0, 4, 100.0, 100.0),
        (1.0, 3, 0.01, 0.001),
        (0.1, 2, 0.01, 0.001),
        (0.001565, 3, 1e-5, 1e-5),
        (1e-15, 2, 1e-16, 1e-17),
        (1e-300, 2, 1e-17, 1e-17),
    ],
)
def test_a_bucket_has_the_size_of_its_price_and_shrinks_below_a_power_of_ten(
    price: float, figures: int, above: float, below: float
) -> None:
    assert step_at(price, figures) == above
    assert step_below(price, figures) == below


def test_every_band_is_taken_from_the_finest_resolution_that_reaches_its_edge() -> None:
    # 63,000: full reaches 0.03 %, 4 figures 0.3 %, 3 figures 3.2 %, 2 figures 32 %
    bids, asks = ladder("63000", "1", 60_000, BID), ladder("63001", "1", 60_000, ASK)
    table = measured(book_of(bids, asks))
    assert (table.coverage[0] == Coverage.PARTIAL).all()
    for which in (BID, ASK):
        best = table.best[0, which]
        assert table.bucket_pct[0, which] == pytest.approx([100 / best * 100] * 2 + [1000 / best * 100] * 5)
    coins = table.coins[0, BID].tolist()
    # 1.5 %: the edge is 62,055; of buckets of 100, off by one either way, those of 62,200 to 63,000 surely lie inside
    assert coins[0] == 801.0
    # 5 %: the edge is 59,850; of buckets of 1,000 those of 61,000 to 63,000 do
    assert coins[2] == 2001.0
    # 60 %: no resolution reaches 25,200; the twenty buckets of 1,000 down to 44,000 are there in any case
    assert coins[6] == 19_001.0
    assert table.known_to_pct[0, BID] == pytest.approx(19 / 63_000 * 100)
    assert not side_is_complete(BID, table.known_to_pct[0, BID])


def test_the_step_changes_when_the_price_crosses_a_power_of_ten() -> None:
    asks = ladder("100400", "10", 3000, ASK)
    just_above = measured(book_of(ladder("100300", "10", 4000, BID), asks, lines=("full", "s2")))
    just_below = measured(book_of(ladder("99900", "10", 4000, BID), asks, lines=("full", "s2")))
    # bids end among prices of five digits, whose buckets are of 1,000; asks lie in buckets of 10,000
    assert just_above.bucket_pct[0, BID].tolist() == pytest.approx([1000 / 100_300 * 100] * 7)
    assert just_above.bucket_pct[0, ASK].tolist() == pytest.approx([10_000 / 100_400 * 100] * 7)
    assert just_below.bucket_pct[0, BID].tolist() == pytest.approx([1000 / 99_900 * 100] * 7)
    # 3 % below 100,300 is 97,291: buckets of 99,000 and of the 100,000 that may hold 99,000 to 110,000
    assert just_above.coins[0, BID, 1] == (100_300 - 99_000) / 10 + 1
    # 3 % below 99,900 is 96,903: the bucket of 98,000 may begin at 97,000
    assert just_below.coins[0, BID, 1] == (99_900 - 98_000) / 10 + 1
    # 15 % above 100,400 is 115,460: only the bucket of 100,000..110,000 ends inside, and it may reach to 120,000
    full = [(float(price), 1.0) for price, _ in asks[:MOST]]
    assert just_above.coins[0, ASK, 4] == len(full)


def test_a_side_with_fewer_levels_than_could_be_given_is_exact_at_every_depth() -> None:
    bids, asks = ladder("100", "1", 19, BID, gap=5), ladder("101", "1", 20, ASK)
    table = measured(book_of(bids, asks))
    assert (table.coverage[0, BID] == Coverage.EXACT).all()
    assert table.known_to_pct[0, BID] == 100.0
    assert table.coins[0, BID, 6] == 13.0
    assert table.usd[0, BID, 6] == sum(100 - 5 * n for n in range(13))
    # twenty asks up to 120: 15 % is reached (116.15), 30 % is not
    assert table.coverage[0, ASK].tolist() == [Coverage.EXACT] * 5 + [Coverage.PARTIAL] * 2
    assert table.known_to_pct[0, ASK] == pytest.approx(19 / 101 * 100)
    assert table.known_to_pct[0, BID] == 100.0


def test_a_side_that_is_complete_when_rounded_is_a_floor_without_an_end() -> None:
    bids = ladder("63000", "1", 400, BID)
    table = measured(book_of(bids, ladder("63001", "1", 400, ASK), lines=("full", "s3")))
    # buckets of 63,000 to 62,600 are the whole side; 62,500 at the worst is inside 1.5 % (62,055)
    assert table.coins[0, BID].tolist() == [400.0] * 7
    assert (table.coverage[0, BID] == Coverage.PARTIAL).all()
    assert table.usd[0, BID, 0] < float(truth(bids, BID, 1.5)[0])


def test_an_empty_side_is_known_to_be_empty() -> None:
    book = book_of([], ladder("101", "1", 5, ASK))
    table = measured(book)
    assert math.isnan(table.best[0, BID])
    assert table.usd[0, BID].tolist() == [0.0] * 7
    assert (table.coverage[0, BID] == Coverage.EXACT).all()
    assert table.coins[0, ASK, 6] == 5.0
    assert math.isnan(book.best()[BID])
    assert book.levels(BID)[0].size == 0
    assert not book.crossed()


def test_a_resolution_that_lags_ten_seconds_behind_the_newest_is_not_used() -> None:
    bids, asks = ladder("63000", "1", 30_000, BID), ladder("63001", "1", 30_000, ASK)
    book = book_of(bids, asks, at_ns=SECOND)
    coarse = measured(book).coins[0, BID, 4]
    later = SECOND + STALE_AFTER_NS
    for line in ("full", "s3"):
        book.on_snapshot(
            line, 2, rounded(bids, LINES[line], ROUND_FLOOR), rounded(asks, LINES[line], ROUND_CEILING), later
        )
    assert measured(book).coins[0, BID, 4] == coarse  # just as old as is allowed
    book.on_snapshot("full", 3, rounded(bids[1:], None, ROUND_FLOOR), rounded(asks, None, ROUND_CEILING), later + 1)
    table = measured(book)
    assert table.best[0, BID] == 62_999.0
    # 15 % falls back to buckets of 100 down to 61,100, which are wholly known
    assert table.coins[0, BID, 4] == 1901.0 < coarse
    assert table.bucket_pct[0, BID, 4] == pytest.approx(100 / 62_999 * 100)


def test_the_best_price_is_that_of_the_finest_resolution_that_is_fresh() -> None:
    bids, asks = ladder("63050", "1", 3000, BID), ladder("63051", "1", 3000, ASK)
    book = book_of(bids, asks)
    assert book.best() == (63_050.0, 63_051.0)
    late = SECOND + STALE_AFTER_NS + 1
    book.on_snapshot("s3", 2, [(63_000.0, 50.0)], [(63_100.0, 50.0)], late)
    assert book.best() == (63_000.0, 63_100.0)
    assert measured(book).known_to_pct[0].tolist() == [0.0, 0.0]
    book.on_snapshot("s3", 3, [(63_100.0, 50.0)], [(63_000.0, 50.0)], late)  # rounded past each other
    assert book.best() == (63_000.0, 63_100.0)
    assert not book.crossed()
    book.on_snapshot("full", 4, [(63_060.0, 1.0)], [(63_055.0, 1.0)], late)
    assert book.crossed()


def test_levels_go_on_in_buckets_beyond_the_finest_ones_and_count_nothing_twice() -> None:
    bids, asks = ladder("63000", "1", 60_000, BID), ladder("63001", "1", 30, ASK)
    book = book_of(bids, asks, lines=("full", "s3", "s2"))
    prices, quantities, since = book.levels(BID)
    assert prices[:20].tolist() == [63_000.0 - n for n in range(20)]
    # a bucket at 62,900 may hold up to 63,000, of which the finest levels show a part; 62,800 cannot
    assert prices[20:22].tolist() == [62_800.0, 62_700.0]
    assert prices[-1] == 44_000.0
    assert since.dtype == np.int64
    assert quantities.sum() <= 60_000
    assert book.levels(ASK)[0].size == 20  # the one bucket beyond them overlaps them


def test_nothing_lies_beyond_a_side_that_is_complete_at_full_precision() -> None:
    book = BucketBook(LINES, MOST)
    book.on_up(1)
    book.on_snapshot("s2", 1, [(100.0, 1.0), (50.0, 7.0)], [(110.0, 1.0)], 1)
    book.on_snapshot("full", 2, [(101.0, 1.0)], [(102.0, 1.0)], 2)
    assert book.levels(BID)[0].tolist() == [101.0]
    assert measured(book).coins[0, BID].tolist() == [1.0] * 7


def test_the_book_lives_while_any_line_runs_and_says_what_it_holds() -> None:
    book = BucketBook(LINES, MOST)
    levels = [(100.0, 1.0)], [(101.0, 1.0)]
    assert book.wants_snapshot
    assert (book.state, book.last_id, book.loaded_ns) == (BookState.WAITING, -1, 0)
    book.on_up(1, "s3")
    book.on_up(1, "full")
    assert book.streaming
    assert book.on_snapshot("full", 10, *levels, 5) is True
    assert (book.state, book.last_id, book.loaded_ns) == (BookState.LIVE, 10, 5)
    assert book.on_snapshot("full", 11, *levels, 6) is False, "the same again"
    assert (book.last_id, book.loaded_ns) == (11, 6)
    assert book.on_snapshot("full", 10, [(100.0, 2.0)], [(101.0, 1.0)], 7) is None, "older than what is held"
    assert book.on_snapshot("s3", 9, *levels, 7) is True, "each line has its own time"
    assert book.last_id == 11
    book.on_down(8, "full")
    assert (book.state, book.streaming) == (BookState.LIVE, True)
    book.on_down(9, "s3")
    assert (book.state, book.streaming, book.wants_snapshot) == (BookState.WAITING, False, True)
    table = measured(book)
    assert (table.coverage[0] == Coverage.NONE).all()
    counters = book.counters
    assert (counters.applied, counters.snapshots, counters.dropped, counters.resyncs) == (1, 1, 1, 0)
    book.on_up(10, "s3")
    book.on_snapshot("s3", 12, *levels, 10)
    assert (book.state, counters.resyncs, counters.snapshots) == (BookState.LIVE, 1, 2)


def test_a_polled_snapshot_stands_in_for_a_line_that_is_away_only() -> None:
    book = BucketBook(LINES, MOST)
    levels = [(100.0, 1.0)], [(101.0, 1.0)]
    assert book.on_snapshot("full", 1, *levels, 1, polled=True)
    assert book.state is BookState.POLLED
    book.on_up(2, "full")
    assert book.on_snapshot("full", 2, [(100.0, 2.0)], [(101.0, 1.0)], 2, polled=True) is None
    assert book.counters.refused_snapshots == 1
    assert book.on_snapshot("full", 2, *levels, 3) is True, "the stream's own first book counts although it is the same"
    assert book.state is BookState.LIVE
    assert book.on_snapshot("s2", 2, *levels, 3, polled=True)
    assert book.state is BookState.LIVE


def test_a_time_far_ahead_does_not_stop_the_book_for_ever() -> None:
    book = BucketBook(LINES, MOST)
    book.on_up(1, "full")
    book.on_snapshot("full", 10**12, [(100.0, 1.0)], [], 1)
    assert book.on_snapshot("full", 20, [(99.0, 1.0)], [], 2) is None
    assert book.on_snapshot("full", 21, [(98.0, 1.0)], [], 2 + STALE_AFTER_NS) is True
    assert book.best()[BID] == 98.0


def test_a_distrusted_book_is_forgotten_until_the_next_snapshot() -> None:
    book = book_of(ladder("100", "1", 5, BID), ladder("101", "1", 5, ASK))
    book.invalidate(7)
    assert book.wants_snapshot
    assert book.levels(BID)[0].size == 0
    assert math.isnan(book.best()[ASK])
    book.on_snapshot("full", 2, [(100.0, 1.0)], [(101.0, 1.0)], 8)
    assert book.state is BookState.LIVE
    assert book.expire(10**18) == 0
    assert book.counters.resyncs == 1


def test_clearing_a_row_clears_its_buckets() -> None:
    table = measured(book_of(ladder("63000", "1", 60_000, BID), ladder("63001", "1", 60_000, ASK)))
    assert table.bucket_pct.all()
    table.clear_row(0, 9)
    assert not table.bucket_pct.any()
