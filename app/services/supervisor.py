"""From a job that may fail to a job that goes on: each failure becomes a pause and a retry, or a sentence and an end.

Retryable errors are tried again for ever, with a pause that grows; fatal ones end the job; anything else is a bug: its
traceback goes to the log, a sentence to the screen, and the job is started again a few times. A job that ends or dies
never ends another one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from app.domain.errors import BadFrameError, FathomError, RetryableFeedError
from app.venues.backoff import Backoff, BackoffPolicy

_log = logging.getLogger("fathom.supervisor")

Report = Callable[[str, str], None]
"""Takes the job's name and a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionPolicy:
    """Pauses between tries, what is worth one, and how often a job that died of a bug is started again."""

    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    retryable: tuple[type[Exception], ...] = (RetryableFeedError, BadFrameError, OSError)
    bug_restarts: int = 3


DEFAULT_POLICY: Final = SupervisionPolicy()


async def supervise(
    name: str,
    factory: Callable[[], Awaitable[None]],
    *,
    on_report: Report,
    policy: SupervisionPolicy = DEFAULT_POLICY,
    random: Random | None = None,
) -> None:
    """Run `factory()` until it returns, is cancelled, or cannot be helped. Raises only CancelledError."""
    backoff = Backoff(policy.backoff, random)
    bugs = 0
    while True:
        started_s = time.monotonic()
        try:
            await factory()
            return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = cause_of(error, policy.retryable)
            healthy_s = time.monotonic() - started_s
            if healthy_s >= policy.backoff.healthy_s:
                bugs = 0
            if isinstance(failure, policy.retryable):
                pause_s = backoff.failed(healthy_s)
                on_report(name, f"{failure}; trying again in {pause_s:.0f} s" if pause_s >= 1 else str(failure))
            elif isinstance(failure, FathomError):
                on_report(name, f"{name} stopped: {failure}")
                return
            else:
                bugs += 1
                _log.exception("%s failed by a bug (%d)", name, bugs, exc_info=failure)
                what = f"{name} failed inside ({type(failure).__name__}); the log has the details"
                if bugs > policy.bug_restarts:
                    on_report(name, f"{what}. It failed {bugs} times and is not started again")
                    return
                on_report(name, f"{what}. It is started again")
                pause_s = backoff.failed(healthy_s)
        await asyncio.sleep(pause_s)


def cause_of(error: BaseException, retryable: tuple[type[Exception], ...]) -> BaseException:
    """Return the one failure that decides out of a group: a bug before a fatal error before a retryable one."""
    if not isinstance(error, BaseExceptionGroup):
        return error

    def rank(failure: BaseException) -> int:
        if isinstance(failure, retryable):
            return 2
        return 1 if isinstance(failure, FathomError) else 0

    return min((cause_of(inner, retryable) for inner in error.exceptions), key=rank)
