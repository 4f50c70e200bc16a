"""The window of N levels: numbers, counts, what is known, against a venue made of dictionaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.books.depth import DepthTable
from app.books.keeper import BookState
from app.books.sync import Outcome
from app.books.window import WindowSync
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID

Rows = list[tuple[float, float]]
NOW = 1_700_000_000_000_000_000


class Venue:
    """A whole book, of which it tells the best `size` levels per side as Bybit does."""

    def __init__(self, size: int, depth: int, seed: int) -> None:
        self.random = Random(seed)
        self.size = size
        self.depth = depth
        self.number, self.seq = 41, 900
        self.sides = [
            {100.0 - step: 1.0 + step for step in range(depth)},
            {101.0 + step: 2.0 + step for step in range(depth)},
        ]

    def window(self, which: int) -> dict[float, float]:
        prices = sorted(self.sides[which], reverse=which == BID)[: self.size]
        return {price: self.sides[which][price] for price in prices}

    def snapshot(self) -> tuple[int, int, int, Rows, Rows]:
        bids, asks = (list(self.window(which).items()) for which in (BID, ASK))
        return self.size, self.number, self.seq, bids, asks

    def move(self, changes: int = 3) -> tuple[int, int, int, Rows, Rows]:
        """Change the book near its top and return the delta of the window."""
        before = [self.window(BID), self.window(ASK)]
        for _ in range(changes):
            which = self.random.randrange(2)
            side = self.sides[which]
            price = self.random.choice(sorted(side, reverse=which == BID)[: self.size + 2])
            fresh = price + 0.5 if self.random.random() < 0.4 else price
            if self.random.random() < 0.4 and len(side) > 1:
                side.pop(fresh, None)
            elif not (which == BID and fresh >= min(self.sides[ASK])):
                side[fresh] = round(self.random.random() * 5 + 0.1, 3)
        rows = []
        for which in (BID, ASK):
            after = self.window(which)
            gone = [(price, 0.0) for price in before[which] if price not in after]
            rows.append(gone + [item for item in after.items() if before[which].get(item[0]) != item[1]])
        self.number += 1
        self.seq += self.random.randrange(1, 9)
        return self.size, self.number, self.seq, rows[0], rows[1]


def started(size: int = 5, depth: int = 20, seed: int = 1) -> tuple[Venue, WindowSync]:
    venue, keeper = Venue(size, depth, seed), WindowSync()
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    return venue, keeper


def held(keeper: WindowSync, which: int) -> dict[float, float]:
    prices, quantities, _ = keeper.levels(which)
    return dict(zip(prices.tolist(), quantities.tolist(), strict=True))


def expect_equal(keeper: WindowSync, venue: Venue) -> None:
    for which in (BID, ASK):
        assert held(keeper, which) == venue.window(which)


@given(seed=st.integers(0, 10_000), size=st.integers(2, 12), depth=st.integers(14, 40), steps=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_the_window_equals_the_venues_after_every_delta_and_is_known_to_its_last_level(
    seed: int, size: int, depth: int, steps: int
) -> None:
    venue, keeper = started(size, depth, seed)
    table = DepthTable(1)
    for _ in range(steps):
        if min(len(side) for side in venue.sides) <= size + 3:
            break  # a side that comes near N is another test
        assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
        expect_equal(keeper, venue)
        assert keeper.counts() == (size, size)
        keeper.measure(table, 0, NOW)
        assert keeper.book.bids.reach_key == -min(venue.window(BID))
        assert keeper.book.asks.reach_key == max(venue.window(ASK))
        assert table.last_id[0] == venue.seq


@given(seed=st.integers(0, 10_000), lost=st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_a_lost_delta_is_a_gap_at_the_next_one_and_the_next_snapshot_heals(seed: int, lost: int) -> None:
    venue, keeper = started(seed=seed)
    for step in range(12):
        delta = venue.move()
        if step == lost:
            continue
        outcome = keeper.on_delta(*delta, NOW)
        expected = Outcome.APPLIED if step < lost else Outcome.GAP if step == lost + 1 else Outcome.IGNORED
        assert outcome is expected
    assert keeper.state is BookState.WAITING
    assert keeper.wants_snapshot
    assert keeper.counters.gaps == 1
    assert keeper.counters.dropped == 12 - lost - 2
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    assert keeper.counters.resyncs == 1
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)
    assert not keeper.book.has_unconfirmed


@pytest.mark.parametrize("which", [BID, ASK])
@pytest.mark.parametrize("row", ["deletion", "addition"])
def test_a_lost_row_shows_in_the_level_count_of_the_same_delta(which: int, row: str) -> None:
    venue, keeper = started()
    while True:
        size, number, seq, *sides = venue.move()
        wrong = [item for item in sides[which] if (item[1] == 0.0) == (row == "deletion")]
        if row == "addition":
            wrong = [item for item in wrong if item[0] not in held(keeper, which)]
        if wrong:
            sides[which] = [item for item in sides[which] if item != wrong[0]]
            assert keeper.on_delta(size, number, seq, *sides, NOW) is Outcome.GAP
            assert keeper.state is BookState.WAITING
            return
        assert keeper.on_delta(size, number, seq, *sides, NOW) is Outcome.APPLIED


def test_deltas_before_the_first_snapshot_and_repeated_ones_are_dropped() -> None:
    venue, keeper = Venue(5, 20, 1), WindowSync()
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.IGNORED
    assert keeper.state is BookState.WAITING
    keeper.on_snapshot(*venue.snapshot(), NOW)
    delta = venue.move()
    assert keeper.on_delta(*delta, NOW) is Outcome.APPLIED
    assert keeper.on_delta(*delta, NOW) is Outcome.IGNORED
    assert keeper.counters.dropped == 2
    expect_equal(keeper, venue)


def test_a_snapshot_in_the_middle_replaces_everything_without_being_a_gap() -> None:
    venue, keeper = started()
    for _ in range(5):
        venue.move()
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)
    assert (keeper.counters.gaps, keeper.counters.resyncs, keeper.counters.snapshots) == (0, 0, 2)


def test_number_one_is_a_snapshot_whatever_its_type_says() -> None:
    venue, keeper = started()
    venue.move()
    venue.number = 1
    assert keeper.on_delta(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    assert venue.number == 2
    expect_equal(keeper, venue)


def test_deleting_a_level_that_is_not_held_is_harmless() -> None:
    venue, keeper = started()
    size, number, seq, bids, asks = venue.move(0)
    assert keeper.on_delta(size, number, seq, [*bids, (1.25, 0.0)], asks, NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)


def test_a_side_of_fewer_levels_than_asked_for_is_known_completely() -> None:
    keeper = WindowSync()
    keeper.on_snapshot(5, 7, 70, [(10.0, 1.0), (9.0, 1.0)], [(11.0, 1.0)], NOW)
    table = DepthTable(1)
    keeper.measure(table, 0, NOW)
    assert (table.coverage[0] == Coverage.EXACT).all()
    assert keeper.book.bids.reach_key == math.inf
    assert keeper.on_delta(5, 8, 71, [(8.0, 1.0), (7.0, 1.0), (6.0, 2.0)], [], NOW) is Outcome.APPLIED
    keeper.measure(table, 0, NOW)
    assert keeper.book.bids.reach_key == -6.0
    assert keeper.book.asks.complete


def test_more_levels_than_asked_for_are_refused() -> None:
    keeper = WindowSync()
    rows = [(10.0 - step, 1.0) for step in range(6)]
    assert keeper.on_snapshot(5, 7, 70, rows, [], NOW) is Outcome.GAP
    assert keeper.state is BookState.WAITING
    assert keeper.counters.refused_snapshots == 1


def test_a_side_that_hovers_around_n_is_loaded_again_once_and_then_believed() -> None:
    bids = [(10.0 - step, 1.0) for step in range(3)]
    asks = [(11.0, 1.0)]
    keeper = WindowSync()
    keeper.on_snapshot(3, 10, 1, bids, asks, NOW)
    assert keeper.on_delta(3, 11, 2, [(8.0, 0.0)], [], NOW) is Outcome.GAP, "nothing tells it from a lost row"
    assert keeper.on_snapshot(3, 11, 2, bids[:2], asks, NOW) is Outcome.LOADED
    for number in range(12, 40, 2):
        assert keeper.on_delta(3, number, number, [(8.0, 1.0)], [], NOW) is Outcome.APPLIED
        assert keeper.on_delta(3, number + 1, number, [(8.0, 0.0)], [], NOW) is Outcome.APPLIED
    assert keeper.counters.gaps == 1


def test_a_side_that_hovered_and_became_deep_is_watched_again() -> None:
    bids = [(10.0 - step, 1.0) for step in range(3)]
    keeper = WindowSync()
    keeper.on_snapshot(3, 10, 1, bids, [], NOW)
    keeper.on_delta(3, 11, 2, [(8.0, 0.0)], [], NOW)
    keeper.on_snapshot(3, 11, 2, bids[:2], [], NOW)
    for number in range(12, 520):
        assert keeper.on_delta(3, number, number, [(8.0, float(number))], [], NOW) is Outcome.APPLIED
    assert keeper.on_delta(3, 520, 520, [(8.0, 0.0)], [], NOW) is Outcome.GAP


def test_an_empty_book_is_none_and_comes_back_by_deltas() -> None:
    keeper = WindowSync()
    assert keeper.on_snapshot(5, 1, 70, [], [], NOW) is Outcome.LOADED
    assert keeper.state is BookState.WAITING
    assert not keeper.wants_snapshot
    assert keeper.on_delta(5, 2, 71, [(10.0, 1.0)], [(11.0, 1.0)], NOW) is Outcome.APPLIED
    assert keeper.state is BookState.LIVE
    assert keeper.best() == (10.0, 11.0)


@pytest.mark.parametrize("end", ["on_down", "invalidate"])
def test_without_its_stream_or_after_distrust_the_book_waits_for_a_snapshot(end: str) -> None:
    venue, keeper = started()
    getattr(keeper, end)(NOW)
    assert keeper.state is BookState.WAITING
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.IGNORED
    keeper.on_up(NOW)
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)


def test_a_subscription_of_another_size_needs_its_own_snapshot() -> None:
    venue, keeper = started()
    _size, number, seq, bids, asks = venue.move()
    assert keeper.on_delta(200, number, seq, bids, asks, NOW) is Outcome.GAP
    deep = Venue(10, 20, 3)
    assert keeper.on_snapshot(*deep.snapshot(), NOW) is Outcome.LOADED
    assert keeper.size == 10
    expect_equal(keeper, deep)


def test_a_polled_book_can_be_read_and_gives_way_to_the_stream() -> None:
    venue, keeper = Venue(5, 20, 1), WindowSync()
    size, _number, seq, bids, asks = venue.snapshot()
    assert keeper.on_polled(size, seq, bids, asks, NOW) is Outcome.LOADED
    assert keeper.state is BookState.POLLED
    assert keeper.on_polled(size, seq - 1, bids, asks, NOW) is Outcome.TOO_OLD
    keeper.on_up(NOW)
    assert keeper.state is BookState.WAITING
    keeper.on_snapshot(*venue.snapshot(), NOW)
    assert keeper.on_polled(size, seq + 1, bids, asks, NOW) is Outcome.TOO_OLD
    expect_equal(keeper, venue)


def sums(rows: Sequence[tuple[float, float]]) -> float:
    return sum(price * qty for price, qty in rows)


def test_bands_beyond_the_window_are_partial_and_hold_what_is_known() -> None:
    keeper = WindowSync()
    bids = [(100.0, 1.0), (99.0, 1.0), (96.0, 1.0)]
    asks = [(101.0, 1.0), (102.0, 1.0), (150.0, 1.0)]
    keeper.on_snapshot(3, 5, 6, bids, asks, NOW)
    table = DepthTable(1)
    keeper.measure(table, 0, NOW)
    exact = (table.coverage[0] == Coverage.EXACT).sum(axis=1).tolist()
    assert exact == [2, 6]  # bids are known to 4 % (1.5 and 3), asks to 48.5 % (all but 60)
    assert table.usd[0, BID, -1] == sums(bids)
