"""Pauses between tries."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from app.venues.backoff import Backoff, BackoffPolicy


class Longest(Random):
    """Always draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_first_try_after_a_failure_comes_at_once_and_later_ones_double_up_to_the_cap() -> None:
    backoff = Backoff(BackoffPolicy(), Longest())
    assert [backoff.failed() for _ in range(10)] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert backoff.failures == 10


def test_short_service_does_not_forget_failures_but_a_healthy_minute_does() -> None:
    backoff = Backoff(BackoffPolicy(), Longest())
    for _ in range(4):
        backoff.failed(healthy_for_s=59.9)
    assert backoff.ceiling_s() == 2.0
    assert backoff.failed(healthy_for_s=60.0) == 0.0
    backoff.failed()
    backoff.reset()
    assert backoff.failed() == 0.0


@given(st.integers(0, 300), st.integers(0, 2**32))
def test_no_pause_is_negative_or_beyond_the_cap_however_long_the_outage(failures: int, seed: int) -> None:
    backoff = Backoff(BackoffPolicy(first_s=0.5, cap_s=30.0), Random(seed))
    pauses = [backoff.failed() for _ in range(failures + 1)]
    assert all(0.0 <= pause <= 30.0 for pause in pauses)


def test_pauses_are_spread_so_that_clients_do_not_come_back_together() -> None:
    pauses = set()
    for seed in range(20):
        backoff = Backoff(BackoffPolicy(), Random(seed))
        for _ in range(6):
            last = backoff.failed()
        pauses.add(last)
    assert len(pauses) == 20
    assert min(pauses) < 2.0 < max(pauses)
