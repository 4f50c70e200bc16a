"""Jobs go on, stop with a sentence, or are started again a few times."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from app.domain.errors import BadFrameError, FatalFeedError, RetryableFeedError, SettingsError
from app.services.supervisor import SupervisionPolicy, supervise
from app.venues.backoff import BackoffPolicy

QUICK = SupervisionPolicy(backoff=BackoffPolicy(first_s=0.001, cap_s=0.002, healthy_s=60.0))


class Job:
    """Raises one outcome after the other, then returns."""

    def __init__(self, outcomes: Sequence[BaseException]) -> None:
        self.outcomes = list(outcomes)
        self.starts = 0
        self.said: list[str] = []

    async def run(self) -> None:
        self.starts += 1
        if self.outcomes:
            raise self.outcomes.pop(0)

    def report(self, name: str, text: str) -> None:
        assert name == "feed"
        self.said.append(text)

    async def supervised(self) -> None:
        await supervise("feed", self.run, on_report=self.report, policy=QUICK)


async def test_a_job_that_returns_is_done() -> None:
    job = Job([])
    await job.supervised()
    assert (job.starts, job.said) == (1, [])


async def test_retryable_failures_are_tried_again_as_often_as_it_takes() -> None:
    job = Job([RetryableFeedError("no network")] * 20 + [ConnectionResetError("gone"), BadFrameError("odd")])
    await job.supervised()
    assert job.starts == 23
    assert job.said[0] == "no network"
    assert len(job.said) == 22


async def test_a_fatal_failure_stops_the_job_and_says_why() -> None:
    job = Job([FatalFeedError("the address is none")])
    await job.supervised()
    assert (job.starts, job.said) == (1, ["feed stopped: the address is none"])


async def test_an_error_of_ours_that_no_retry_can_cure_stops_the_job() -> None:
    job = Job([SettingsError("expected a number")])
    await job.supervised()
    assert (job.starts, job.said) == (1, ["feed stopped: expected a number"])


async def test_a_bug_is_logged_with_its_traceback_and_restarted_three_times(caplog: pytest.LogCaptureFixture) -> None:
    job = Job([KeyError("x")] * 10)
    with caplog.at_level(logging.ERROR):
        await job.supervised()
    assert job.starts == 4
    assert caplog.text.count("Traceback") == 4
    assert "the log has the details" in job.said[0]
    assert "is not started again" in job.said[-1]
    assert not any("'x'" in text for text in job.said)


async def test_in_a_group_a_bug_outweighs_a_fatal_error_and_that_a_retryable_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = RetryableFeedError("lost")
    job = Job(
        [ExceptionGroup("", [lost, ExceptionGroup("", [lost])]), ExceptionGroup("", [lost, FatalFeedError("no")])]
    )
    await job.supervised()
    assert job.said == ["lost", "feed stopped: no"]
    bug = Job([ExceptionGroup("", [FatalFeedError("no"), ValueError("bug")])])
    with caplog.at_level(logging.ERROR):
        await bug.supervised()
    assert bug.starts == 2
    assert "ValueError" in bug.said[0]


async def test_cancellation_ends_the_job_while_it_runs_and_while_it_waits() -> None:
    running = asyncio.Event()

    async def work() -> None:
        running.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise("feed", work, on_report=lambda _name, _text: None))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    failed = asyncio.Event()

    async def fail() -> None:
        raise RetryableFeedError("no network")

    slow = SupervisionPolicy(backoff=BackoffPolicy(first_s=60.0, cap_s=60.0))
    said: list[str] = []

    def report(_name: str, text: str) -> None:
        said.append(text)
        if len(said) == 2:
            failed.set()

    task = asyncio.create_task(supervise("feed", fail, on_report=report, policy=slow))
    await failed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(said) == 2
