"""What one connection's life knows: whether the session was confirmed, when the gateway was heard, why it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.domain.errors import FeedError
from app.venues.broker import BrokerError
from app.venues.explain import LinkLost
from app.venues.ibkr_portal.http import NoSessionError, NotLoggedInError
from app.venues.ibkr_portal.polling import Polling


class SessionEndedError(BrokerError):
    """The brokerage session has ended although the gateway answers: maintenance, or another login took it."""


class Life:
    """One connection. live_since_ns: monotonic, None until account data flows."""

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self.established = asyncio.Event()
        self.polling: Polling | None = None
        self.live_since_ns: int | None = None
        self.heard_ns = monotonic_ns()
        self._monotonic_ns = monotonic_ns
        self._ended = asyncio.Event()
        self._why: FeedError = LinkLost("the connection has ended")

    def hear(self, _raw: bytes) -> None:
        """Note that a frame came."""
        self.heard_ns = self._monotonic_ns()

    def last_heard_ns(self) -> int:
        """Return when the last frame came, monotonic."""
        return self.heard_ns

    def end(self, why: FeedError) -> None:
        """End the connection for a reason; the first one counts."""
        if not self._ended.is_set():
            self._why = why
            self._ended.set()

    async def watch(self) -> None:
        """Raise the reason once the connection is to end."""
        await self._ended.wait()
        raise self._why


def decisive(failure: BaseException) -> BaseException:
    """Return the failure that decides out of one or many: a bug before what was foreseen, of that the loss of the
    login first."""
    flat = []
    queue: list[BaseException] = [failure]
    while queue:
        one = queue.pop(0)
        if isinstance(one, BaseExceptionGroup):
            queue += one.exceptions
        else:
            flat.append(one)
    return min(flat, key=_rank)


def _rank(error: BaseException) -> int:
    if not isinstance(error, LinkLost | BrokerError):
        return 0
    return 1 if isinstance(error, NotLoggedInError | NoSessionError | SessionEndedError) else 2
