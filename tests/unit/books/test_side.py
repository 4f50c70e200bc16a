"""One side against a dictionary, over long lives with many levels, removals and snapshots."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.books.book import OrderBook
from app.books.depth import FACTORS
from app.books.side import Side

BULK = st.integers(0, 2**32 - 1)


def levels_of(side: Side) -> dict[float, tuple[float, int]]:
    price, qty, since = side.levels()
    return {p: (q, s) for p, q, s in zip(price.tolist(), qty.tolist(), since.tolist(), strict=True)}


class SideMachine(RuleBasedStateMachine):
    """`model` holds price -> (quantity, unconfirmed since); the side is read only by `look` and the merging rules."""

    @initialize(sign=st.sampled_from((-1, 1)))
    def start(self, sign: int) -> None:
        self.side = Side(sign)
        self.sign = sign
        self.model: dict[float, tuple[float, int]] = {}
        self.reach = -math.inf
        self.now = 1

    def take(self, levels: list[tuple[float, float]]) -> None:
        self.side.queue(levels)
        for price, qty in levels:
            if qty > 0:
                self.model[price] = (qty, 0)
            else:
                self.model.pop(price, None)

    @rule(seed=BULK, count=st.integers(1, 400), span=st.sampled_from((20, 300, 3000)), removals=st.floats(0.0, 1.0))
    def many_changes(self, seed: int, count: int, span: int, removals: float) -> None:
        random = np.random.default_rng(seed)
        prices = (1000 + random.integers(0, span, count)).astype(float)
        quantities = np.where(random.random(count) < removals, 0.0, random.integers(1, 9, count))
        self.take(list(zip(prices.tolist(), quantities.tolist(), strict=True)))

    @rule(levels=st.lists(st.tuples(st.integers(995, 1010).map(float), st.sampled_from((0.0, 1.0, 2.0))), max_size=6))
    def few_changes(self, levels: list[tuple[float, float]]) -> None:
        self.take(levels)

    @rule(seed=BULK, repeats=st.integers(2, 60))
    def the_same_ticks_come_and_go(self, seed: int, repeats: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(repeats):
            price = float(2000 + random.integers(0, 400))
            self.take([(price, 1.0)])
            self.side.merge()
            self.take([(price, 0.0)])

    @precondition(lambda self: self.model)
    @rule(complete=st.booleans(), keep=st.booleans(), share=st.floats(0.0, 1.0))
    def a_snapshot(self, complete: bool, keep: bool, share: float) -> None:
        inside = sorted(self.model, key=lambda price: self.sign * price)
        inside = inside[: max(1, int(len(inside) * share))]
        levels = [(price, self.model[price][0] + 1.0) for price in inside[::2]] or [(inside[0], 5.0)]
        if complete and share < 0.05:
            levels = []
        self.side.replace([*levels, (1.0, 0.0)], complete=complete, keep_reach=keep)
        bound = math.inf if complete else self.sign * levels[-1][0]
        beyond = {p: v for p, v in self.model.items() if self.sign * p > bound}
        self.model = beyond | {price: (qty, 0) for price, qty in levels}
        self.reach = max(self.reach, bound) if keep else bound
        assert self.side.reach_key == self.reach

    @rule(beyond=st.booleans())
    def distrust(self, beyond: bool) -> None:
        self.now += 1
        self.side.distrust(self.now, beyond_reach=beyond)
        self.model = {
            p: (q, since or (0 if beyond and self.sign * p <= self.reach else self.now))
            for p, (q, since) in self.model.items()
        }
        if not beyond:
            self.reach = -math.inf

    @rule(age=st.integers(0, 4))
    def expire(self, age: int) -> None:
        before = self.now - age
        gone = {p for p, (_, since) in self.model.items() if 0 < since < before}
        assert self.side.expire(before) == len(gone)
        self.model = {p: v for p, v in self.model.items() if p not in gone}

    @rule(price=st.integers(990, 1400).map(float))
    def drop_ghosts(self, price: float) -> None:
        gone = {p for p, (_, since) in self.model.items() if since and self.sign * p <= self.sign * price}
        assert self.side.drop_unconfirmed_better_than(price) == len(gone)
        self.model = {p: v for p, v in self.model.items() if p not in gone}

    @rule()
    def clear(self) -> None:
        self.side.clear()
        self.model.clear()
        self.reach = -math.inf

    @rule()
    def look(self) -> None:
        self.check()

    def teardown(self) -> None:
        if hasattr(self, "side"):
            self.check()

    def check(self) -> None:
        side, model = self.side, self.model
        order = sorted(model, key=lambda price: self.sign * price)
        usd, coins, loose = np.ones(7), np.ones(7), np.ones(7)
        which = 0 if self.sign < 0 else 1
        key = side.measure(FACTORS[which], usd, coins, loose)  # before anything else has merged
        assert levels_of(side) == model
        assert len(side) == len(model)
        price, _, _ = side.levels()
        assert price.tolist() == order
        assert side.nbytes() > 0
        for count in (0, 1, 3, len(model), len(model) + 5):
            assert side.levels(count)[0].tolist() == order[:count]
        sure = [p for p in order if not model[p][1]]
        assert np.array_equal([side.best_confirmed()], [sure[0] if sure else math.nan], equal_nan=True)
        assert side.complete == (side.reach_key == math.inf)
        if not model:
            assert math.isnan(key)
            assert math.isnan(side.best())
            assert [usd.any(), coins.any(), loose.any()] == [False] * 3
            return
        assert side.best() == order[0] == self.sign * key
        edges = key * FACTORS[which]
        for band in range(7):
            inside = [p for p in order if self.sign * p <= edges[band]]
            assert coins[band] == sum(model[p][0] for p in inside)
            assert usd[band] == sum(p * model[p][0] for p in inside)
            assert loose[band] == sum(p * model[p][0] for p in inside if model[p][1])


def test_a_side_equals_a_dictionary_over_any_life() -> None:
    run_state_machine_as_test(
        SideMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_last_of_several_changes_of_one_price_counts(sign: int) -> None:
    side = Side(sign)
    side.queue([(10.0, 1.0), (11.0, 5.0), (10.0, 0.0), (10.0, 3.0), (12.0, 4.0), (12.0, 0.0)])
    assert levels_of(side) == {10.0: (3.0, 0), 11.0: (5.0, 0)}
    side.queue([(11.0, 7.0), (11.0, 0.0), (10.0, 8.0), (10.0, 9.0), (13.0, 1.0)])
    assert levels_of(side) == {10.0: (9.0, 0), 13.0: (1.0, 0)}


def test_a_price_that_a_snapshot_repeats_counts_once() -> None:
    side = Side(1)
    side.replace([(10.0, 1.0), (10.0, 2.0), (11.0, 1.0)], complete=True, keep_reach=False)
    assert levels_of(side) == {10.0: (2.0, 0), 11.0: (1.0, 0)}


def test_removing_what_is_not_held_is_normal() -> None:
    side = Side(-1)
    side.queue([(5.0, 0.0)])
    assert len(side) == 0
    assert math.isnan(side.best())
    side.queue([(7.0, 1.0), (5.0, 0.0)])
    assert levels_of(side) == {7.0: (1.0, 0)}


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), max_size=5000))
def test_a_long_queue_is_merged_on_the_way(changes: list[tuple[int, int]]) -> None:
    side = Side(1)
    for start in range(0, len(changes), 700):
        side.queue([(float(p), float(q)) for p, q in changes[start : start + 700]])
    expected = {float(p): (float(q), 0) for p, q in dict(changes).items() if q}
    assert levels_of(side) == expected


def test_unconfirmed_levels_keep_their_age_until_a_diff_or_a_snapshot_speaks_of_them() -> None:
    side = Side(1)
    side.add_unconfirmed(np.array([103.0, 101.0, 102.0]), np.array([3.0, 1.0, 2.0]), np.array([30, 10, 20]))
    assert levels_of(side) == {101.0: (1.0, 10), 102.0: (2.0, 20), 103.0: (3.0, 30)}
    assert side.reach_key == -math.inf
    side.queue([(102.0, 2.0)])
    assert levels_of(side)[102.0] == (2.0, 0)
    side.replace([(101.0, 9.0)], complete=False, keep_reach=False)
    assert levels_of(side) == {101.0: (9.0, 0), 102.0: (2.0, 0), 103.0: (3.0, 30)}
    assert side.has_unconfirmed
    side.replace([(101.0, 9.0)], complete=True, keep_reach=False)
    assert levels_of(side) == {101.0: (9.0, 0)}
    assert not side.has_unconfirmed


def test_ghosts_are_dropped_only_when_a_proven_price_refutes_them() -> None:
    book = OrderBook()
    book.bids.add_unconfirmed(np.array([104.0, 99.0]), np.array([1.0, 1.0]), np.array([5, 5]))
    book.asks.add_unconfirmed(np.array([98.0, 105.0]), np.array([1.0, 1.0]), np.array([5, 5]))
    assert book.crossed(), "nothing is proven: nothing may be dropped"
    assert len(book) == 4
    assert book.ghosts == 0
    book.apply([], [(103.0, 2.0)])
    assert book.crossed(), "the ask at 98 is still there, and nothing proves that it is not"
    assert levels_of(book.bids) == {99.0: (1.0, 5)}
    book.apply([(99.0, 1.0)], [])
    assert not book.crossed()
    assert levels_of(book.asks) == {103.0: (2.0, 0), 105.0: (1.0, 5)}
    assert book.ghosts == 2


def test_levels_that_touch_are_locked_not_crossed() -> None:
    book = OrderBook()
    book.apply([(100.0, 1.0)], [(100.0, 1.0)])
    assert not book.crossed()
    assert book.best() == (100.0, 100.0)
    assert book.nbytes() < 20_000
    book.clear()
    assert len(book) == 0


def test_the_furthest_level_is_that_with_quantity() -> None:
    bids, asks = Side(-1), Side(1)
    assert bids.furthest_key() == -math.inf
    for side in (bids, asks):
        side.queue([(100.0, 1.0), (101.0, 1.0), (99.0, 1.0)])
    assert (bids.furthest_key(), asks.furthest_key()) == (-99.0, 101.0)
    for side in (bids, asks):
        side.queue([(99.0, 0.0), (101.0, 0.0)])
    assert (bids.furthest_key(), asks.furthest_key()) == (-100.0, 100.0)
