from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.venues.ibkr_tws.history import duration_of
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.watch import ClockEstimate


@given(st.floats(-5e6, 5e6), st.lists(st.tuples(st.floats(0, 5e6), st.floats(0.1, 900)), min_size=1, max_size=60))
def test_the_offset_is_found_within_what_whole_seconds_allow(offset_ms: float, asks: list[tuple[float, float]]) -> None:
    estimate = ClockEstimate()
    found = 0.0
    for at_ms, took_ms in sorted(asks):
        asked = 1.8e12 + at_ms
        second = int((asked + took_ms / 2 + offset_ms) // 1000)
        found = estimate.read(second, asked, asked + took_ms)
    assert abs(found - offset_ms) <= 1000 + 900


def test_readings_at_different_parts_of_a_second_narrow_it_down() -> None:
    estimate = ClockEstimate()
    found = 0.0
    for part in range(20):
        asked = 1.8e12 + part * 1050.0
        found = estimate.read(int((asked + 300.0) // 1000), asked, asked + 1.0)
    assert found == pytest.approx(300.0, abs=30.0)


def test_a_clock_that_is_set_is_measured_anew() -> None:
    estimate = ClockEstimate()
    estimate.read(1_800_000_000, 1.8e12, 1.8e12 + 1)
    assert estimate.read(1_800_000_090, 1.8e12 + 5000, 1.8e12 + 5001) == pytest.approx(85_500, abs=600)


@pytest.mark.parametrize(("days", "word"), [(1, "1 D"), (252, "252 D"), (365, "365 D"), (366, "2 Y"), (756, "3 Y")])
def test_durations(days: int, word: str) -> None:
    assert duration_of(days) == word


def test_the_options_have_sane_defaults() -> None:
    options = TwsOptions()
    assert options.client_id >= 1
    assert options.backoff.cap_s == 30.0
