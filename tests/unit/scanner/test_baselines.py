"""Windows, medians and triggers against plain computations over lists."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scanner.baselines import Extremes, Normal, Past, Trigger

figures = st.one_of(st.floats(0.1, 1e6), st.just(math.nan))
steps = st.lists(st.tuples(st.integers(0, 9), figures, figures), min_size=1, max_size=40)


@given(steps, st.integers(1, 5), st.integers(1, 5))
def test_extremes_are_those_of_the_slots_of_the_window(
    moves: list[tuple[int, float, float]], short: int, long: int
) -> None:
    window = Extremes((short, long), 4)
    seen: list[tuple[int, float, float]] = []
    slot = 100
    for forward, first, second in moves:
        slot += forward
        window.take(slot, np.array([first, second]))
        seen.append((slot, first, second))
        for span in (short, long):
            low, high = window.over(span, 2)
            for column in (0, 1):
                inside = [
                    row[1 + column] for row in seen if slot - span <= row[0] and row[1 + column] == row[1 + column]
                ]
                assert (low[column] == min(inside)) if inside else math.isnan(low[column])
                assert (high[column] == max(inside)) if inside else math.isnan(high[column])


@given(st.lists(figures, min_size=1, max_size=30), st.integers(1, 7), st.integers(1, 7))
def test_the_normal_is_the_median_of_the_last_known_figures_after_the_warmup(
    values: list[float], length: int, warmup: int
) -> None:
    normal = Normal(length, warmup, 1)
    for count, value in enumerate(values, 1):
        normal.take(np.array([value]))
        known = [each for each in values[max(0, count - length) : count] if each == each]
        if len(known) >= warmup:
            assert normal.median[0] == pytest.approx(statistics.median(known))
        else:
            assert math.isnan(normal.median[0])


@given(st.lists(st.tuples(st.integers(0, 6), figures), min_size=1, max_size=30), st.integers(1, 4))
def test_the_past_gives_the_last_value_of_the_slot_so_long_ago(moves: list[tuple[int, float]], back: int) -> None:
    past = Past(4, 1)
    held: dict[int, tuple[float, int]] = {}
    slot = 50
    for now, (forward, value) in enumerate(moves, 1):
        slot += forward
        past.take(slot, now, np.array([value]))
        held[slot] = (value, now)
        values, at = past.before(back, 1)
        expected = held.get(slot - back, (math.nan, 0))
        assert (float(values[0]), at) == pytest.approx(expected, nan_ok=True)


def test_a_row_can_be_forgotten() -> None:
    past = Past(2, 4)
    past.take(1, 10, np.array([1.0, 2.0]))
    past.forget(np.array([True, False]))
    past.take(2, 20, np.array([3.0, 4.0]))
    assert np.isnan(past.before(1, 2)[0][0])
    assert past.before(1, 2)[0][1] == 2.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.integers(0, 6))
def test_a_trigger_fires_once_until_its_condition_has_ceased_and_the_cooldown_is_over(
    moves: list[tuple[bool, bool]], cooldown: int
) -> None:
    trigger = Trigger(cooldown, 2)
    armed, last = True, -100
    for now, (holds, ceased) in enumerate(moves):
        fired = trigger.fire(np.array([False, holds]), np.array([False, ceased]), now)
        armed = armed or ceased
        expected = holds and armed and now - last >= cooldown
        assert fired == ([1] if expected else [])
        if expected:
            armed, last = False, now


def test_all_memory_grows_with_the_board_and_keeps_what_it_knows() -> None:
    window, normal, past, trigger = Extremes((2,), 1), Normal(3, 1, 1), Past(2, 1), Trigger(5, 1)
    window.take(1, np.array([7.0]))
    window.take(2, np.array([8.0]))
    normal.take(np.array([3.0]))
    past.take(1, 10, np.array([9.0]))
    assert trigger.fire(np.array([True]), np.array([False]), 10) == [0]
    for part in (window, normal, past, trigger):
        part.grow(3)
    window.take(2, np.array([8.5, 1.0, 2.0]))
    low, high = window.over(2, 3)
    assert low.tolist() == [7.0, 1.0, 2.0]
    assert high.tolist() == [8.5, 1.0, 2.0]
    assert normal.median[0] == 3.0
    normal.take(np.array([5.0, 1.0, 1.0]))
    assert normal.median.tolist() == [4.0, 1.0, 1.0]
    past.take(2, 20, np.array([1.0, 2.0, 3.0]))
    assert past.before(1, 3)[0][0] == 9.0
    assert trigger.fire(np.array([True, True, False]), np.array([True, False, False]), 12) == [1]
