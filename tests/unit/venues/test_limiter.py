"""Control frames, connection attempts and REST weight stay within the venue's limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.venues.limiter import RateLimit, WeightBudget, wait_turn

MINUTE_MS = 60_000


@given(st.lists(st.floats(0.0, 0.7), min_size=1, max_size=60), st.integers(1, 6), st.sampled_from([0.5, 1.0, 5.0]))
def test_no_window_ever_holds_more_events_than_allowed(gaps: list[float], count: int, window_s: float) -> None:
    limit, now_s, sent = RateLimit(count, window_s), 1000.0, []
    for gap in gaps:
        now_s += gap
        wait_s = limit.reserve(now_s)
        assert wait_s >= 0.0
        sent.append(now_s + wait_s)
    assert sent == sorted(sent)
    for first, later in zip(sent, sent[count:], strict=False):
        assert later - first >= window_s - 1e-9


def test_events_below_the_limit_never_wait() -> None:
    limit = RateLimit(4, 1.0)
    assert [limit.reserve(now) for now in (0.0, 0.0, 0.0, 0.0)] == [0.0] * 4
    assert limit.reserve(0.25) == 0.75
    assert limit.reserve(1.5) == 0.0


async def test_waiting_for_a_turn_ends_when_the_window_has_room() -> None:
    limit, times = RateLimit(1, 0.05), []
    for _ in range(2):
        await wait_turn(limit, lambda: 7.0)
        times.append(limit.reserve(7.0))
    assert times == pytest.approx([0.05, 0.15])


def test_weight_is_spent_up_to_the_share_of_the_minute_and_anew_in_the_next() -> None:
    budget, now = WeightBudget(1000), 10 * MINUTE_MS + 20_000
    while budget.wait_s(50, 0.6, now) == 0.0:
        budget.spend(50, now)
    assert budget.used == 600
    assert budget.wait_s(50, 0.6, now) == 40.25
    assert budget.wait_s(50, 0.85, now) == 0.0
    assert budget.wait_s(50, 0.6, 11 * MINUTE_MS) == 0.0
    assert budget.used == 0


def test_the_venue_s_own_count_corrects_ours_upward_only() -> None:
    budget, now = WeightBudget(1000), 5 * MINUTE_MS
    minute = budget.spend(50, now)
    budget.settle(50, minute, 590, now + 100)
    assert budget.used == 590
    assert budget.wait_s(50, 0.6, now + 200) > 0.0
    minute = budget.spend(5, now + 300)
    budget.settle(5, minute, 10, now + 400)
    assert budget.used == 595


def test_an_answer_from_before_the_turn_of_the_minute_counts_in_both_and_its_header_is_not_trusted() -> None:
    budget, now = WeightBudget(1000), 5 * MINUTE_MS + 59_900
    minute = budget.spend(250, now)
    budget.settle(250, minute, 900, 6 * MINUTE_MS + 50)
    assert budget.used == 250


def test_a_request_heavier_than_the_share_still_leaves_once_a_minute() -> None:
    budget, now = WeightBudget(300), 5 * MINUTE_MS
    assert budget.wait_s(250, 0.5, now) == 0.0
    budget.spend(250, now)
    assert budget.wait_s(250, 0.5, now) > 0.0


@given(st.lists(st.tuples(st.integers(0, 5000), st.sampled_from([5, 25, 50, 250])), max_size=200))
def test_no_minute_of_the_venue_s_clock_gets_more_than_the_share(steps: list[tuple[int, int]]) -> None:
    budget, now, spent = WeightBudget(6000), 0.0, {}
    for gap_ms, weight in steps:
        now += gap_ms
        wait_s = budget.wait_s(weight, 0.6, now)
        now += wait_s * 1000.0
        assert budget.wait_s(weight, 0.6, now) == 0.0
        budget.spend(weight, now)
        spent[int(now // MINUTE_MS)] = spent.get(int(now // MINUTE_MS), 0) + weight
    assert all(weight <= 3600 for weight in spent.values())


def test_a_clock_that_steps_back_does_not_give_weight_back() -> None:
    budget = WeightBudget(1000)
    budget.spend(500, 7 * MINUTE_MS)
    assert budget.minute_of(6 * MINUTE_MS) == 6
    assert budget.used == 500
