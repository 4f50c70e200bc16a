"""Rates, places and the verdict on slow clients, over any course of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.limits import Admission, Backlog, Limits, Rate, Verdict

LIMITS = Limits(backlog_bytes=1000, slow_s=5.0)


@given(st.lists(st.floats(0.0, 0.4), max_size=200), st.integers(1, 30))
def test_no_second_ever_lets_more_messages_pass_than_two_buckets(gaps: list[float], per_s: int) -> None:
    rate, now, passed = Rate(float(per_s), 100.0), 100.0, []
    for gap in gaps:
        now += gap
        if rate.take(now):
            passed.append(now)
    for first in passed:
        assert sum(first <= at < first + 1.0 for at in passed) <= 2 * per_s


def test_messages_at_the_allowed_rate_always_pass() -> None:
    rate = Rate(20.0, 0.0)
    assert all(rate.take(n / 20.0) for n in range(1, 500))


def test_a_burst_empties_the_bucket_and_time_fills_it() -> None:
    rate = Rate(3.0, 0.0)
    assert [rate.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not rate.take(0.3)
    assert rate.take(0.4)
    assert [rate.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_client_that_keeps_up_is_always_written_to() -> None:
    backlog = Backlog(LIMITS)
    for n in range(1000):
        assert backlog.judge(0, n * 0.2) is Verdict.WRITE
        backlog.wrote(900)
        assert backlog.behind_s(n * 0.2) == 0.0


def test_a_client_that_stops_reading_is_waited_for_and_then_dropped() -> None:
    backlog = Backlog(LIMITS)
    assert backlog.judge(0, 0.0) is Verdict.WRITE
    backlog.wrote(1500)
    verdicts = [backlog.judge(1500, 0.2 * n) for n in range(1, 40)]
    assert verdicts[:25] == [Verdict.WAIT] * 25
    assert verdicts[25] is Verdict.DROP
    assert backlog.behind_s(0.2 * 26) == pytest.approx(5.0)


def test_a_frozen_client_with_little_to_read_is_dropped_too() -> None:
    backlog = Backlog(LIMITS)
    backlog.wrote(10)
    verdicts = [backlog.judge(10, 0.2 * n) for n in range(1, 40)]
    assert Verdict.WAIT not in verdicts
    assert verdicts.index(Verdict.DROP) == 25


def test_slow_progress_below_the_limit_is_progress() -> None:
    backlog = Backlog(LIMITS)
    backlog.wrote(990)
    assert all(backlog.judge(990 - n, n * 1.0) is Verdict.WRITE for n in range(1, 900))


def test_a_client_that_catches_up_starts_afresh() -> None:
    backlog = Backlog(LIMITS)
    backlog.wrote(1500)
    assert [backlog.judge(1500, t) for t in (1.0, 5.9)] == [Verdict.WAIT, Verdict.WAIT]
    assert backlog.judge(0, 5.95) is Verdict.WRITE
    backlog.wrote(1500)
    assert [backlog.judge(1500, t) for t in (6.0, 10.9)] == [Verdict.WAIT, Verdict.WAIT]
    assert backlog.judge(1500, 11.0) is Verdict.DROP


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.integers(0, 3000)), max_size=60))
def test_nothing_is_written_above_the_limit_and_nobody_is_dropped_early(steps: list[tuple[float, int]]) -> None:
    backlog, now, clean_at = Backlog(LIMITS), 0.0, 0.0
    for gap, size in steps:
        now += gap
        verdict = backlog.judge(size, now)
        if size > LIMITS.backlog_bytes:
            assert verdict is not Verdict.WRITE
        if verdict is Verdict.DROP:
            assert now - clean_at >= LIMITS.slow_s
            return
        if size == 0:
            clean_at = now


def test_places_are_given_back() -> None:
    admission = Admission(Limits(clients=3, address=2))
    for _ in range(2):
        assert admission.refusal("192.0.2.1", is_local=False) is None
        admission.enter("192.0.2.1")
    assert admission.refusal("192.0.2.1", is_local=False) == "2 clients of one address are the most"
    admission.enter("192.0.2.2")
    assert admission.refusal("127.0.0.1", is_local=True) == "all 3 places are taken"
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        admission.leave(address)
    assert admission.clients == 0
    assert not admission.addresses
