"""Sequences of events and snapshots that are rare in random lives, each written out."""

from __future__ import annotations

import pytest
from exchange_model import Diff, Exchange

from app.books.sync import BookState, BookSync, Outcome, Rule


def hand(sync: BookSync, diff: Diff | None) -> Outcome:
    assert diff is not None
    return sync.on_diff(diff.first, diff.last, diff.previous, diff.bids, diff.asks, 1)


def live(futures: bool) -> tuple[Exchange, BookSync]:
    venue = Exchange(futures=futures, bids={99: 1, 98: 1}, asks={101: 1, 102: 1})
    sync = BookSync(Rule.FUTURES if futures else Rule.SPOT)
    s = venue.snapshot(1000)
    assert sync.on_snapshot(s.last, s.bids, s.asks, s.limit, 1) is Outcome.LOADED
    return venue, sync


@pytest.mark.parametrize("futures", [False, True])
def test_diffs_kept_before_a_gap_never_meet_a_snapshot_from_before_it(futures: bool) -> None:
    venue, sync = live(futures)
    sync.on_snapshot_asked()
    s = venue.snapshot(1000)
    venue.put(0, 97, 1)
    assert hand(sync, venue.report()) is Outcome.APPLIED
    venue.put(0, 96, 5)
    venue.report()  # lost
    venue.put(0, 95, 1)
    assert hand(sync, venue.report()) is Outcome.GAP
    assert sync.on_snapshot(s.last, s.bids, s.asks, s.limit, 2) is Outcome.TOO_OLD
    assert sync.state is BookState.WAITING


@pytest.mark.parametrize("futures", [False, True])
def test_a_snapshot_ahead_of_the_stream_waits_for_it(futures: bool) -> None:
    venue, sync = live(futures)
    venue.put(0, 97, 1)
    first = venue.report()
    venue.put(0, 97, 3)
    s = venue.snapshot(1000)
    second = venue.report()
    assert sync.on_snapshot(s.last, s.bids, s.asks, s.limit, 2) is Outcome.AHEAD
    assert sync.counters.snapshots == 1
    assert hand(sync, first) is Outcome.APPLIED
    assert sync.book.bids.levels()[1].tolist() == [1, 1, 1]
    assert hand(sync, second) is Outcome.APPLIED
    assert sync.counters.snapshots == 2
    assert sync.book.bids.levels()[1].tolist() == [1, 1, 3]


def test_a_first_spot_diff_right_behind_the_snapshot_is_taken() -> None:
    venue, sync = live(futures=False)
    assert sync.on_diff(venue.now_id + 1, venue.now_id + 1, -1, [(100.0, 1.0)], [], 2) is Outcome.APPLIED
    assert sync.on_diff(venue.now_id + 3, venue.now_id + 3, -1, [], [], 3) is Outcome.GAP


def test_futures_ids_of_other_symbols_are_no_gap() -> None:
    venue, sync = live(futures=True)
    for _ in range(3):
        venue.others_trade(50)
        venue.put(0, 97, 2)
        assert hand(sync, venue.report()) is Outcome.APPLIED
    assert sync.counters.gaps == 0


def test_more_diffs_than_can_be_kept_make_an_old_snapshot_too_old() -> None:
    venue = Exchange(futures=False, bids={99: 1}, asks={101: 1})
    sync = BookSync(Rule.SPOT)
    old = venue.snapshot(1000)
    for n in range(3100):
        last = old.last + n + 1
        sync.on_diff(last, last, -1, [(99.0, float(n + 1))], [], 1)
    assert sync.counters.dropped == 750
    assert sync.on_snapshot(old.last, old.bids, old.asks, 1000, 2) is Outcome.TOO_OLD
    assert sync.on_snapshot(old.last + 1000, old.bids, old.asks, 1000, 2) is Outcome.LOADED
    assert sync.book.bids.levels()[1].tolist() == [3100.0]
