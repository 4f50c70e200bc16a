"""Betas from daily closes: the textbook ratio, over matched days only, and none where there is too little."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contracts import DailyBar
from app.portfolio.beta import LEAST_DAYS, beta


def bars(closes: list[float], first: int = 0) -> list[DailyBar]:
    return [DailyBar(f"{20260000 + first + place:08d}", close) for place, close in enumerate(closes)]


def walk(returns: list[float], start: float = 100.0) -> list[float]:
    closes = [start]
    for each in returns:
        closes.append(closes[-1] * (1 + each))
    return closes


SWING = [0.01 if place % 3 else -0.015 for place in range(80)]


def test_a_stock_that_moves_twice_as_much_has_a_beta_of_two() -> None:
    found = beta(bars(walk([2 * each for each in SWING])), bars(walk(SWING)))
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.days == 80
    assert (found.first_day, found.last_day) == ("20260000", "20260080")


def test_an_offset_of_the_daily_return_does_not_change_beta() -> None:
    found = beta(bars(walk([0.5 * each + 0.001 for each in SWING])), bars(walk(SWING)))
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_a_hand_worked_example_of_three_returns() -> None:
    # index +1 %, -1 %, +3 %: mean 1 %, deviations 0, -2, 2 %; stock +2 %, +1 %, 0 %: mean 1 %, deviations 1, 0, -1 %
    found = beta(bars(walk([0.02, 0.01, 0.0])), bars(walk([0.01, -0.01, 0.03])), least_days=3)
    assert found is not None
    assert found.value == pytest.approx((0.01 * 0 + 0 * -0.02 + -0.01 * 0.02) / (0.02**2 + 0.02**2))


def test_days_that_only_one_series_has_are_left_out() -> None:
    own, index = bars(walk([1.5 * each for each in SWING])), bars(walk(SWING))
    without = [bar for place, bar in enumerate(own) if place != 40]
    found = beta(without, index)
    assert found is not None
    assert found.days == 79
    assert found.value == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("count", [0, 1, LEAST_DAYS])
def test_there_is_none_below_sixty_common_returns(count: int) -> None:
    # `count` closes are count - 1 returns
    assert beta(bars(walk(SWING)[:count]), bars(walk(SWING))) is None


def test_sixty_returns_are_enough() -> None:
    assert beta(bars(walk(SWING)[: LEAST_DAYS + 1]), bars(walk(SWING))) is not None


def test_there_is_none_against_an_index_that_stands_still() -> None:
    assert beta(bars(walk(SWING)), bars([100.0] * 81)) is None


def test_closes_that_are_no_prices_are_left_out() -> None:
    spoilt = bars(walk(SWING))
    spoilt[10] = DailyBar(spoilt[10].day, -1.0)
    spoilt[20] = DailyBar(spoilt[20].day, math.nan)
    found = beta(spoilt, bars(walk(SWING)))
    assert found is not None
    assert found.days == 78
    assert found.value == pytest.approx(1.0)


@given(st.lists(st.floats(-0.05, 0.05), min_size=LEAST_DAYS, max_size=90), st.floats(-3, 3))
def test_beta_grows_with_the_stocks_own_moves(returns: list[float], factor: float) -> None:
    index = walk(returns)
    found = beta(bars(walk([factor * each for each in returns])), bars(index))
    if found is None:
        assert max(returns) - min(returns) < 1e-6
    elif max(returns) - min(returns) > 1e-3:
        assert found.value == pytest.approx(factor, abs=1e-6)
