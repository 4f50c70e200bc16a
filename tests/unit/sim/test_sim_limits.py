"""Allowances of the simulated venue: weight per minute, 429 with a wait, 418 for going on."""

from __future__ import annotations

import pytest

from app.sim.limits import SlidingCount, Verdict, WeightMeter


class Clock:
    """A clock moved by hand, in seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def test_weight_adds_up_within_a_minute_and_starts_again_with_the_next() -> None:
    clock = Clock(120.0)
    meter = WeightMeter(100, clock)
    assert [meter.spend(40).used_weight, meter.spend(40).used_weight] == [40, 80]
    clock.seconds = 180.0
    ruling = meter.spend(5)
    assert (ruling.verdict, ruling.used_weight, ruling.retry_after_s) == (Verdict.ALLOWED, 5, 0)


def test_too_much_weight_is_limited_until_the_minute_ends() -> None:
    clock = Clock(130.5)
    meter = WeightMeter(100, clock)
    meter.spend(100)
    ruling = meter.spend(1)
    assert ruling.verdict is Verdict.LIMITED
    assert ruling.retry_after_s == 50
    clock.seconds = 180.0
    assert meter.spend(1).verdict is Verdict.ALLOWED


def test_going_on_while_limited_earns_a_ban_and_waiting_ends_it() -> None:
    clock = Clock(120.0)
    meter = WeightMeter(10, clock, ban_after=3, ban_s=90.0)
    verdicts = [meter.spend(11).verdict for _ in range(5)]
    assert verdicts == [Verdict.LIMITED] * 3 + [Verdict.BANNED] * 2
    assert meter.requests_while_limited == 3
    assert meter.requests_while_banned == 1
    clock.seconds = 209.0
    ruling = meter.spend(1)
    assert (ruling.verdict, ruling.retry_after_s) == (Verdict.BANNED, 1)
    clock.seconds = 240.0
    assert meter.spend(1).verdict is Verdict.ALLOWED


@pytest.mark.parametrize("patient", [True, False])
def test_a_limit_on_command_ends_by_itself_only_for_those_who_wait(patient: bool) -> None:
    clock = Clock(0.0)
    meter = WeightMeter(1000, clock, ban_after=2)
    meter.limit_for(7.0)
    ruling = meter.spend(1)
    assert (ruling.verdict, ruling.retry_after_s) == (Verdict.LIMITED, 7)
    if not patient:
        meter.spend(1)
    clock.seconds = 7.0
    assert meter.spend(1).verdict is (Verdict.ALLOWED if patient else Verdict.BANNED)
    meter.pardon()
    assert meter.spend(1).verdict is Verdict.ALLOWED


def test_a_sliding_count_looks_back_one_window_only() -> None:
    clock = Clock(0.0)
    count = SlidingCount(2, 1.0, clock)
    assert [count.add(), count.add(), count.add()] == [True, True, False]
    clock.seconds = 1.0
    assert count.add()
