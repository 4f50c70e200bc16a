"""Books under random diffs, losses, duplicates, delays, snapshots, polls and breaks, held against the true book."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from exchange_model import DEPTHS, Book, Diff, Exchange, Snapshot, band_sums
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.books.depth import DepthTable
from app.books.side import Side
from app.books.sync import BookState, BookSync, Outcome, Rule
from app.domain.coverage import Coverage

LOW, HIGH = 60, 140
BID_PRICES = st.integers(LOW, 104)
ASK_PRICES = st.integers(97, HIGH)
QUANTITIES = st.integers(0, 4)
LIMITS = st.sampled_from((1, 2, 3, 4, 5, 8, 1000))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just(0), BID_PRICES, QUANTITIES),
        st.tuples(st.just(1), ASK_PRICES, QUANTITIES),
    ),
    min_size=1,
    max_size=4,
)


class BookMachine(RuleBasedStateMachine):
    """`wire`: events on their way; `answers`: snapshots on their way. Nothing here reads the book but `look`."""

    futures = False

    @initialize(
        bids=st.dictionaries(st.integers(LOW, 99), st.integers(1, 4), min_size=1, max_size=12),
        asks=st.dictionaries(st.integers(101, HIGH), st.integers(1, 4), min_size=1, max_size=12),
        eager=st.booleans(),
        up=st.booleans(),
        remembered=st.one_of(
            st.just(([], [])), st.tuples(st.lists(BID_PRICES, unique=True), st.lists(ASK_PRICES, unique=True))
        ),
    )
    def start(self, bids: Book, asks: Book, eager: bool, up: bool, remembered: tuple[list[int], list[int]]) -> None:
        self.venue = Exchange(futures=self.futures, bids=bids, asks=asks)
        self.sync = BookSync(Rule.FUTURES if self.futures else Rule.SPOT)
        self.wire: list[Diff] = []
        self.answers: list[Snapshot] = []
        self.sent: list[Diff] = []
        self.now = 1_000
        self.eager = eager
        self.gaps = self.ignored = self.applied = 0
        for side, prices in zip(self.sync.book.sides, remembered, strict=True):
            if prices:
                ages = np.arange(1, len(prices) + 1, dtype=np.int64)
                side.add_unconfirmed(np.array(prices, float), np.ones(len(prices)), ages)
        if up:
            self.sync.on_up(self.tick())

    def tick(self) -> int:
        self.now += 1
        return self.now

    def trade(self, changes: list[tuple[int, int, int]]) -> None:
        for change in changes:
            self.venue.put(*change)

    def send(self) -> None:
        diff = self.venue.report()
        if diff is not None:
            self.wire.append(diff)

    def hand_over(self, diff: Diff) -> Outcome:
        before = self.sync.counters.applied
        outcome = self.sync.on_diff(diff.first, diff.last, diff.previous, diff.bids, diff.asks, self.tick())
        self.sent.append(diff)
        self.gaps += outcome is Outcome.GAP
        self.ignored += outcome is Outcome.IGNORED
        assert self.sync.counters.applied - before == (outcome is Outcome.APPLIED)
        self.peek()
        return outcome

    def hand_over_snapshot(self, snapshot: Snapshot) -> Outcome:
        s = snapshot
        before = self.sync.state
        outcome = self.sync.on_snapshot(s.last, s.bids, s.asks, s.limit, self.tick())
        if outcome is Outcome.LOADED:
            assert self.sync.state is BookState.LIVE
        elif outcome is Outcome.AHEAD:
            assert before is BookState.LIVE
            assert s.last > self.sync.last_id
        else:
            assert outcome is Outcome.TOO_OLD
            assert self.sync.state is (BookState.LIVE if before is BookState.LIVE else BookState.WAITING)
        self.peek()
        return outcome

    def peek(self) -> None:
        if self.eager:
            self.check()

    # -- the venue -------------------------------------------------------------------------------------------------

    @rule(changes=CHANGES)
    def the_market_moves_and_says_so(self, changes: list[tuple[int, int, int]]) -> None:
        self.trade(changes)
        self.send()

    @rule(changes=CHANGES)
    def the_market_moves_quietly(self, changes: list[tuple[int, int, int]]) -> None:
        self.trade(changes)

    @rule(count=st.integers(1, 9))
    def other_symbols_trade(self, count: int) -> None:
        self.venue.others_trade(count)

    @rule(changes=CHANGES)
    def the_market_moves_and_it_arrives(self, changes: list[tuple[int, int, int]]) -> None:
        self.trade(changes)
        self.send()
        self.everything_arrives()

    # -- the wire --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.wire)
    @rule()
    def the_next_event_arrives(self) -> None:
        self.hand_over(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule()
    def everything_arrives(self) -> None:
        while self.wire:
            self.hand_over(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule()
    def the_next_event_is_lost(self) -> None:
        self.wire.pop(0)

    @precondition(lambda self: len(self.wire) > 1)
    @rule(data=st.data())
    def an_event_overtakes(self, data: st.DataObject) -> None:
        self.hand_over(self.wire.pop(data.draw(st.integers(1, len(self.wire) - 1))))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def an_event_arrives_again(self, data: st.DataObject) -> None:
        self.hand_over(data.draw(st.sampled_from(self.sent[-4:])))

    # -- snapshots -------------------------------------------------------------------------------------------------

    @rule(limit=LIMITS, asked=st.booleans())
    def a_snapshot_is_taken(self, limit: int, asked: bool) -> None:
        if asked:
            self.sync.on_snapshot_asked()
        self.answers.append(self.venue.snapshot(limit))

    @rule(limit=LIMITS, back=st.integers(1, 12))
    def an_old_snapshot_is_taken(self, limit: int, back: int) -> None:
        self.answers.append(self.venue.snapshot(limit, max(100, self.venue.now_id - back)))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def a_snapshot_arrives(self, data: st.DataObject) -> None:
        self.hand_over_snapshot(self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    @rule(limit=LIMITS)
    def a_snapshot_comes_at_once(self, limit: int) -> None:
        self.sync.on_snapshot_asked()
        self.hand_over_snapshot(self.venue.snapshot(limit))

    @precondition(lambda self: self.answers)
    @rule(again=st.booleans())
    def a_snapshot_fails(self, again: bool) -> None:
        self.answers.pop(0)
        self.sync.on_snapshot_failed()
        if again:
            self.sync.on_snapshot_asked()

    @rule(limit=LIMITS, back=st.integers(0, 6))
    def a_poll_is_answered(self, limit: int, back: int) -> None:
        s = self.venue.snapshot(limit, max(100, self.venue.now_id - back))
        live, held = self.sync.state is BookState.LIVE, self.sync.last_id
        outcome = self.sync.on_polled(s.last, s.bids, s.asks, s.limit, self.tick())
        assert (outcome is Outcome.LOADED) == (not live and s.last >= held)
        self.peek()

    # -- the connection --------------------------------------------------------------------------------------------

    @rule(lost=st.booleans())
    def the_stream_breaks(self, lost: bool) -> None:
        if lost:
            self.wire.clear()
        self.sync.on_down(self.tick())
        assert self.sync.state is not BookState.LIVE
        self.peek()

    @rule()
    def the_stream_begins(self) -> None:
        self.sync.on_up(self.tick())
        assert self.sync.state is not BookState.POLLED
        self.peek()

    @rule(
        limit=LIMITS,
        events=st.lists(st.tuples(CHANGES, st.sampled_from(("arrives", "lost", "repeats"))), min_size=2, max_size=5),
        taken=st.integers(0, 4),
        late=st.integers(0, 3),
        start=st.sampled_from(("as it is", "anew", "live")),
    )
    def a_snapshot_crosses_events_of_which_some_are_lost(
        self, limit: int, events: list[tuple[list[tuple[int, int, int]], str]], taken: int, late: int, start: str
    ) -> None:
        if start == "anew":
            self.the_stream_breaks(lost=True)
            self.the_stream_begins()
        elif start == "live":
            self.the_book_heals(limit)
        self.sync.on_snapshot_asked()
        for n, (changes, fate) in enumerate(events):
            if n == taken:
                self.answers.append(self.venue.snapshot(limit))
            if n == taken + late:
                self.hand_over_snapshot(self.answers.pop())
            self.trade(changes)
            self.send()
            if fate == "lost":
                self.wire.clear()
                continue
            self.everything_arrives()
            if fate == "repeats":
                for diff in self.sent[-3:]:
                    self.hand_over(diff)
        if taken < len(events) <= taken + late:
            self.hand_over_snapshot(self.answers.pop())

    @rule()
    def the_book_is_contradicted(self) -> None:
        self.sync.invalidate(self.tick())
        assert self.sync.state is BookState.WAITING
        self.peek()

    @rule(age=st.integers(0, 60))
    def old_levels_expire(self, age: int) -> None:
        before = [self.confirmed(side) for side in self.sync.book.sides]
        self.sync.book.expire(self.now - age)
        assert [self.confirmed(side) for side in self.sync.book.sides] == before
        for side in self.sync.book.sides:
            since = side.levels()[2]
            assert not ((since > 0) & (since < self.now - age)).any()

    @rule(limit=LIMITS)
    def the_book_heals(self, limit: int) -> None:
        """After all events in order, a snapshot that was asked for makes the book live, whatever happened before."""
        self.answers.clear()
        self.venue.put(0, 90, 2)
        self.send()
        while self.wire:
            self.hand_over(self.wire.pop(0))
        self.sync.on_snapshot_asked()
        snapshot = self.venue.snapshot(limit)
        outcome = self.hand_over_snapshot(snapshot)
        if outcome is Outcome.AHEAD:  # ids went on with other symbols
            self.venue.put(1, 120, 1)
            self.send()
            self.hand_over(self.wire.pop(0))
        assert self.sync.state is BookState.LIVE
        for side, levels in zip(self.sync.book.sides, (snapshot.bids, snapshot.asks), strict=True):
            furthest = math.inf if len(levels) < limit else side.sign * levels[-1][0]
            assert side.reach_key >= furthest
        self.check()

    # -- what must hold --------------------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self.check()

    def teardown(self) -> None:
        if hasattr(self, "sync"):
            self.check()

    @staticmethod
    def confirmed(side: Side) -> Book:
        price, qty, since = side.levels()
        return {int(p): int(q) for p, q, s in zip(price.tolist(), qty.tolist(), since.tolist(), strict=True) if s == 0}

    def check(self) -> None:
        sync = self.sync
        assert sync.counters.gaps == self.gaps
        assert sync.counters.dropped >= self.ignored
        for side in sync.book.sides:
            self.check_order(side)
        if not sync.is_readable():
            assert all(side.reach_key == -math.inf or sync.loaded_ns for side in sync.book.sides)
            return
        truth = self.venue.true_book(sync.last_id)
        # Between a snapshot and the first event behind it, far levels are known as of the last event before.
        known_at = sync._tail if sync._bridging and sync._tail >= 0 else sync.last_id
        far_truth = self.venue.true_book(known_at)
        for which, side in enumerate(sync.book.sides):
            self.check_levels(side, truth[which], far_truth[which])
        self.check_measurement(truth, far_truth)
        self.check_crossing()

    def check_order(self, side: Side) -> None:
        price, qty, _ = side.levels()
        assert (np.diff(price * side.sign) > 0).all()
        assert (qty > 0).all()
        assert len(side) == price.size

    def check_levels(self, side: Side, truth: Book, far_truth: Book) -> None:
        price, qty, since = side.levels()
        held = {int(p): (int(q), int(s)) for p, q, s in zip(price.tolist(), qty.tolist(), since.tolist(), strict=True)}
        for p in range(LOW - 1, HIGH + 2):
            if side.sign * p <= side.reach_key:
                assert held.get(p, (0, 0)) == (truth.get(p, 0), 0), f"{p} is wrong within what is proven"
            elif p in held and held[p][1] == 0:
                assert held[p][0] == far_truth.get(p, 0), f"{p} is called confirmed"
        if truth:
            best = max(truth) if side.sign < 0 else min(truth)
            if side.sign * best <= side.reach_key:
                assert side.best() == best

    def check_measurement(self, truth: tuple[Book, Book], far_truth: tuple[Book, Book]) -> None:
        table = DepthTable(1)
        table.measure(0, self.sync.book, self.sync.last_id, self.now)
        for which in (0, 1):
            book = truth[which]
            best = table.best[0, which]
            side = self.sync.book.sides[which]
            for band, depth in enumerate(DEPTHS):
                coverage = Coverage(int(table.coverage[0, which, band]))
                usd, coins = table.usd[0, which, band], table.coins[0, which, band]
                loose = table.loose[0, which, band]
                assert coverage is not Coverage.NONE
                if coverage is Coverage.EXACT:
                    assert (coins, usd) == band_sums(book, which, depth), f"side {which} band {band} called EXACT"
                    assert loose == 0
                    assert math.isnan(best) if not book else best == (max(book) if which == 0 else min(book))
                elif best == best:
                    merged = {p: q for p, q in far_truth[which].items() if side.sign * p > side.reach_key} | {
                        p: q for p, q in book.items() if side.sign * p <= side.reach_key
                    }
                    most = band_sums(merged, which, depth, Fraction(best))[1]
                    assert usd - loose <= most, f"side {which} band {band} is no floor"
                else:
                    assert usd == coins == loose == 0

    def check_crossing(self) -> None:
        before = [self.confirmed(side) for side in self.sync.book.sides]
        crossed = self.sync.book.crossed()
        assert [self.confirmed(side) for side in self.sync.book.sides] == before
        bid, ask = self.sync.best()
        assert crossed == (bid > ask)


class SpotMachine(BookMachine):
    futures = False


class FuturesMachine(BookMachine):
    futures = True


@pytest.mark.parametrize("machine", [SpotMachine, FuturesMachine])
def test_no_value_is_called_exact_that_the_true_book_contradicts(machine: type[BookMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=250,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
