"""The full book: deltas with two numbers and a snapshot that has to fit them; the choice between it and a window."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.books.depth import DepthTable
from app.books.either import EitherSync
from app.books.full import MAX_LEVELS, FullSync
from app.books.keeper import BookState, Keeper
from app.books.sync import Outcome
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID

Rows = list[tuple[float, float]]
Message = tuple[int, int, Rows, Rows]
NOW = 1_700_000_000_000_000_000


class Venue:
    """A whole book; `seq` grows unevenly, `number` by one."""

    def __init__(self, seed: int = 1) -> None:
        self.random = Random(seed)
        self.number, self.seq = 500, 10_000
        self.sides: list[dict[float, float]] = [
            {100.0 - step: 1.0 for step in range(40)},
            {101.0 + step: 1.0 for step in range(40)},
        ]

    def snapshot(self) -> Message:
        return self.number, self.seq, list(self.sides[BID].items()), list(self.sides[ASK].items())

    def move(self) -> Message:
        rows: list[Rows] = [[], []]
        for _ in range(self.random.randrange(1, 5)):
            which = self.random.randrange(2)
            step = self.random.randrange(60)
            price = 100.0 - step if which == BID else 101.0 + step
            qty = 0.0 if self.random.random() < 0.3 else round(self.random.random() + 0.1, 3)
            rows[which].append((price, qty))
            if qty:
                self.sides[which][price] = qty
            else:
                self.sides[which].pop(price, None)
        self.number += 1
        self.seq += self.random.randrange(1, 50)
        return self.number, self.seq, *rows


def expect_equal(keeper: Keeper, venue: Venue) -> None:
    for which in (BID, ASK):
        prices, quantities, since = keeper.levels(which)
        assert dict(zip(prices.tolist(), quantities.tolist(), strict=True)) == venue.sides[which]
        assert not since.any()


@given(seed=st.integers(0, 9999), before=st.integers(0, 8), between=st.integers(0, 8), after=st.integers(1, 8))
@settings(max_examples=80, deadline=None)
def test_a_snapshot_from_any_moment_joins_the_deltas(seed: int, before: int, between: int, after: int) -> None:
    """`between` deltas happen between the snapshot and its arrival."""
    venue, keeper = Venue(seed), FullSync()
    keeper.on_up(NOW)
    for _ in range(before):
        assert keeper.on_delta(*venue.move(), NOW) is Outcome.KEPT
    keeper.on_snapshot_asked()
    snapshot = venue.snapshot()
    for _ in range(between):
        keeper.on_delta(*venue.move(), NOW)
    outcome = keeper.on_snapshot(*snapshot, NOW)
    if before == 0 and between > 0:
        assert outcome is Outcome.TOO_OLD, "it is older than the first delta kept"
        outcome = keeper.on_snapshot(*venue.snapshot(), NOW)
    assert outcome is Outcome.LOADED
    assert keeper.state is BookState.LIVE
    assert keeper.last_id == venue.seq
    expect_equal(keeper, venue)
    for _ in range(after):
        assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)
    assert keeper.counters.gaps == 0
    assert keeper.last_id == venue.seq
    assert keeper.book.bids.complete


@given(seed=st.integers(0, 9999), lead=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_snapshot_ahead_of_the_stream_waits_for_it(seed: int, lead: int) -> None:
    venue, keeper = Venue(seed), FullSync()
    keeper.on_delta(*venue.move(), NOW)
    late = [venue.move() for _ in range(lead)]
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    for delta in late:
        assert keeper.on_delta(*delta, NOW) is Outcome.IGNORED
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)
    assert keeper.counters.gaps == 0


def live(venue: Venue) -> FullSync:
    keeper = FullSync()
    keeper.on_delta(*venue.move(), NOW)
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    return keeper


@pytest.mark.parametrize(
    "change",
    [
        lambda number, seq: (number, seq + 1),  # the same number, another state of the engine
        lambda number, seq: (number + 1, seq),  # the same state, another number
        lambda number, seq: (number + 1, seq - 1),  # newer by one, older by the other
        lambda number, seq: (number - 5, seq - 5),  # older than the first delta kept
    ],
)
def test_a_snapshot_whose_numbers_do_not_fit_is_asked_for_again(change: object) -> None:
    venue, keeper = Venue(), FullSync()
    keeper.on_delta(*venue.move(), NOW)
    number, seq, bids, asks = venue.snapshot()
    assert keeper.on_snapshot(*change(number, seq), bids, asks, NOW) is Outcome.TOO_OLD  # type: ignore[operator]
    assert keeper.wants_snapshot
    assert keeper.counters.refused_snapshots == 1
    assert keeper.on_snapshot(number, seq, bids, asks, NOW) is Outcome.LOADED
    expect_equal(keeper, venue)


def test_a_lost_delta_is_a_gap_and_the_deltas_behind_it_are_kept_for_the_snapshot() -> None:
    venue = Venue()
    keeper = live(venue)
    venue.move()
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.GAP
    assert keeper.state is BookState.WAITING
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.KEPT
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)
    assert (keeper.counters.gaps, keeper.counters.resyncs) == (1, 1)


def test_a_delta_whose_sequence_went_back_is_dropped() -> None:
    venue = Venue()
    keeper = live(venue)
    number, seq, bids, asks = venue.move()
    assert keeper.on_delta(number, seq - 1000, bids, asks, NOW) is Outcome.IGNORED
    assert keeper.on_delta(number, seq, bids, asks, NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)


def test_number_one_begins_anew() -> None:
    venue = Venue()
    keeper = live(venue)
    stale = venue.snapshot()
    _number, _seq, bids, asks = venue.move()
    venue.number = 1
    assert keeper.on_delta(1, venue.seq, bids, asks, NOW) is Outcome.GAP
    assert keeper.wants_snapshot
    assert keeper.on_snapshot(*stale, NOW) is Outcome.TOO_OLD, "it is of the life before"
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.KEPT
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)
    assert keeper.last_id == venue.seq


def test_number_one_at_the_very_beginning_is_no_gap() -> None:
    keeper = FullSync()
    assert keeper.on_delta(1, 7, [], [], NOW) is Outcome.KEPT
    assert keeper.counters.gaps == 0


def test_a_delta_that_belies_the_snapshot_in_the_book_sends_it_away() -> None:
    venue, keeper = Venue(), FullSync()
    number, seq, bids, asks = venue.snapshot()
    assert keeper.on_snapshot(number, seq, bids, asks, NOW) is Outcome.LOADED
    assert keeper.state is BookState.LIVE
    assert keeper.on_delta(number, seq + 3, [], [], NOW) is Outcome.GAP
    assert keeper.wants_snapshot
    assert keeper.on_snapshot(number, seq + 3, bids, asks, NOW) is Outcome.LOADED


def test_the_next_delta_confirms_a_snapshot_that_was_ahead() -> None:
    venue, keeper = Venue(), FullSync()
    keeper.on_snapshot(*venue.snapshot(), NOW)
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    expect_equal(keeper, venue)


def test_an_empty_snapshot_is_no_book_until_orders_come() -> None:
    keeper = FullSync()
    keeper.on_delta(1, 50, [], [], NOW)
    assert keeper.on_snapshot(1, 50, [], [], NOW) is Outcome.LOADED
    assert keeper.state is BookState.WAITING
    assert not keeper.wants_snapshot, "asking again would bring the same"
    assert keeper.on_delta(2, 51, [(10.0, 1.0)], [(11.0, 1.0)], NOW) is Outcome.APPLIED
    assert keeper.state is BookState.LIVE
    assert keeper.best() == (10.0, 11.0)


def test_a_cut_off_snapshot_is_known_to_its_last_level_only() -> None:
    keeper = FullSync()
    bids = [(100_000.0 - step, 1.0) for step in range(MAX_LEVELS)]
    keeper.on_snapshot(7, 70, bids, [(100_001.0, 1.0)], NOW)
    table = DepthTable(1)
    keeper.measure(table, 0, NOW)
    exact = (table.coverage[0] == Coverage.EXACT).sum(axis=1).tolist()
    assert exact == [4, 7]  # bids reach 10 %, so 1.5, 3, 5 and 8 are known; the only ask is all there is
    keeper.on_delta(8, 71, [(40_000.0, 2.0)], [], NOW)
    keeper.measure(table, 0, NOW)
    assert (table.coverage[0, BID] == Coverage.EXACT).sum() == 4
    assert table.coins[0, BID, -1] == MAX_LEVELS + 2.0, "a level seen beyond counts, the band stays a floor"


def test_a_refresh_of_a_live_book_keeps_it_readable() -> None:
    venue = Venue()
    keeper = live(venue)
    for _ in range(4):
        keeper.on_delta(*venue.move(), NOW)
    keeper.on_snapshot_asked()
    snapshot = venue.snapshot()
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.APPLIED
    assert keeper.on_snapshot(*snapshot, NOW) is Outcome.LOADED
    assert keeper.state is BookState.LIVE
    expect_equal(keeper, venue)
    assert keeper.counters.resyncs == 0


def test_distrust_waits_for_a_snapshot_and_keeps_the_place_in_the_chain() -> None:
    venue = Venue()
    keeper = live(venue)
    keeper.on_delta(*venue.move(), NOW)
    keeper.invalidate(NOW)
    assert keeper.state is BookState.WAITING
    assert keeper.on_delta(*venue.move(), NOW) is Outcome.KEPT
    assert keeper.on_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)


# -- either --------------------------------------------------------------------------------------------------------


def test_a_window_takes_over_from_the_full_book_until_its_stream_ends() -> None:
    venue, keeper = Venue(), EitherSync()
    keeper.on_full_delta(*venue.move(), NOW)
    keeper.on_full_snapshot(*venue.snapshot(), NOW)
    assert keeper.state is BookState.LIVE
    bids, asks = [(50.0, 1.0)], [(51.0, 1.0)]
    assert keeper.on_window_snapshot(200, 7, 70, bids, asks, NOW) is Outcome.LOADED
    assert keeper.best() == (50.0, 51.0)
    assert keeper.on_full_delta(*venue.move(), NOW) is Outcome.IGNORED
    assert keeper.on_full_snapshot(*venue.snapshot(), NOW) is Outcome.IGNORED
    assert keeper.on_window_delta(200, 8, 71, [(50.5, 1.0)], [], NOW) is Outcome.APPLIED
    assert keeper.last_id == 71
    keeper.on_down(NOW)
    assert keeper.state is BookState.WAITING
    keeper.on_up(NOW)
    keeper.on_full_delta(*venue.move(), NOW)
    assert keeper.on_full_snapshot(*venue.snapshot(), NOW) is Outcome.LOADED
    expect_equal(keeper, venue)
    assert keeper.counters.dropped == 2


def test_a_polled_window_stands_in_for_a_full_book_that_waits() -> None:
    venue, keeper = Venue(), EitherSync()
    assert keeper.on_polled(200, 5, [(10.0, 1.0)], [(11.0, 1.0)], NOW) is Outcome.LOADED
    assert keeper.state is BookState.POLLED
    keeper.on_up(NOW)
    keeper.on_full_delta(*venue.move(), NOW)
    keeper.on_full_snapshot(*venue.snapshot(), NOW)
    assert keeper.state is BookState.LIVE
    assert keeper.on_polled(200, 10**9, [(10.0, 1.0)], [(11.0, 1.0)], NOW) is Outcome.TOO_OLD
    expect_equal(keeper, venue)
