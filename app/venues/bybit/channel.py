"""From a fresh socket to the topics that are wanted, and kept so: Bybit's subscribe and unsubscribe frames, its pings.

What is wanted may change while the connection lives; a topic can also be subscribed anew, which is how the venue gives
a new snapshot. A frame the venue refuses is halved until the topics at fault are found, the others go on. Whether some
of a refused frame was accepted is not documented, so all of it is unsubscribed before its halves are tried.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.bybit import protocol
from app.venues.explain import LinkLost
from app.venues.heartbeat import Heartbeat
from app.venues.link import Send, Tend

_log = logging.getLogger("fathom.bybit")

_PING: Final = '{"req_id":"ping","op":"ping"}'
_ANSWER_MARK: Final = b'"op"'
_BOOK_MARK: Final = b'"orderbook.'
_TOP_MARK: Final = b'"orderbook.1.'
_REFUSED_PAUSE_S: Final = 5.0
_HOPELESS: Final = 8
"""So many refusals and nothing accepted: it is not about single topics."""
_ANSWER_PATIENCE_S: Final = 10.0
_LOOK_EVERY_S: Final = 2.0
_BOOK_PATIENCE: Final = 3.0
"""Books may pause so many times longer than everything together."""


class TopicChannel:
    """The topics of one connection (`app.venues.link.Channel`). Times in seconds.

    args_per_frame: most topics of one subscribe frame. silent_after_s: longest pause of all data together.
    first_after_s: after how long a book topic that brought nothing is subscribed anew. on_refused is told topics that
    the venue does not take once the connection is live, with its words.
    """

    def __init__(
        self,
        topics: Iterable[str],
        clock: Clock,
        *,
        args_per_frame: int,
        silent_after_s: float,
        ping_every_s: float,
        pong_within_s: float,
        first_after_s: float,
        on_refused: Callable[[dict[str, str]], None],
    ) -> None:
        self.ready = False
        self.shutdown_announced = False
        self.refused: dict[str, str] = {}
        """Topics the venue does not take, with its words."""
        self._wanted = dict.fromkeys(topics)
        self._running: dict[str, float] = {}
        """Topics that are subscribed, with the monotonic time since when."""
        self._unheard: set[str] = set()
        """Book topics that have brought nothing since they were subscribed."""
        self._renewals: dict[str, None] = {}
        self._clock = clock
        self._args_per_frame = args_per_frame
        self._silent_after_s = silent_after_s
        self._first_after_s = first_after_s
        self._on_refused = on_refused
        self._pulse = Heartbeat(_PING, ping_every_s, pong_within_s)
        self._wake = asyncio.Event()
        self._asked = 0
        self._answer: asyncio.Future[str | None] | None = None
        self._confirmed_s: float | None = None
        self._data_s = 0.0
        self._book_s = 0.0

    # -- wishes --------------------------------------------------------------------------------------------------

    def want(self, topics: Iterable[str]) -> None:
        """Let exactly these topics be subscribed; those refused before are not tried again."""
        self._wanted = dict.fromkeys(topics)
        self._wake.set()

    def renew(self, topic: str) -> None:
        """Subscribe a topic anew."""
        self._renewals[topic] = None
        self._wake.set()

    # -- life (Channel) ------------------------------------------------------------------------------------------

    async def begin(self, send: Send) -> Tend:
        """Subscribe everything, each frame acknowledged. Raises LinkLost when nothing is accepted."""
        said = await self._subscribe(tuple(self._wanted), send)
        if not self._running:
            raise LinkLost(f"the venue refused the subscription: {said}", _REFUSED_PAUSE_S)
        self._confirmed_s = self._now_s()
        self.ready = self._data_s > 0.0
        return lambda: self._tend(send)

    async def _tend(self, send: Send) -> None:
        """Ping and follow wishes until cancelled. Raises LinkLost."""
        tasks = (asyncio.create_task(self._pulse.run(send)), asyncio.create_task(self._follow(send)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                self._renew_unheard()
            self._wake.clear()
            try:
                await self._change(send)
            except TimeoutError:
                raise LinkLost(f"the venue did not answer a request within {_ANSWER_PATIENCE_S:g} s") from None

    async def _change(self, send: Send) -> None:
        """Make what runs what is wanted, then renew what is to be renewed."""
        extra = [topic for topic in self._running if topic not in self._wanted]
        await self._unsubscribe(extra, send)
        known = dict(self.refused)
        missing = [topic for topic in self._wanted if topic not in self._running and topic not in self.refused]
        await self._subscribe(missing, send)
        while self._renewals:
            topic = next(iter(self._renewals))
            del self._renewals[topic]
            if topic in self._running:
                await self._unsubscribe([topic], send)
                await self._subscribe([topic], send)
        fresh = {topic: words for topic, words in self.refused.items() if topic not in known}
        if fresh:
            self._on_refused(fresh)

    def _renew_unheard(self) -> None:
        """Subscribe book topics anew that were confirmed and brought nothing."""
        now_s = self._now_s()
        for topic in self._unheard:
            if now_s - self._running.get(topic, now_s) >= self._first_after_s:
                _log.info("%s was confirmed and brought nothing; it is subscribed anew", topic)
                self._renewals[topic] = None

    # -- frames --------------------------------------------------------------------------------------------------

    async def _subscribe(self, topics: Sequence[str], send: Send) -> str:
        """Subscribe topics; note those that run and those that are refused. Returns the venue's last words."""
        size = self._args_per_frame
        waiting = deque(topics[start : start + size] for start in range(0, len(topics), size))
        refusals, said = 0, "no reason given"
        while waiting:
            part = waiting.popleft()
            self._unheard.update(topic for topic in part if is_window(topic))
            words = await self._ask("subscribe", part, send)
            if words is None:
                self._running.update(dict.fromkeys(part, self._now_s()))
                continue
            self._unheard.difference_update(part)
            refusals, said = refusals + 1, words or said
            if refusals >= _HOPELESS and not self._running:
                break
            if len(part) == 1:
                self.refused[part[0]] = said
                continue
            await self._ask("unsubscribe", part, send)
            middle = len(part) // 2
            waiting += (part[:middle], part[middle:])
        return said

    async def _unsubscribe(self, topics: Sequence[str], send: Send) -> None:
        """Unsubscribe topics; what the venue says to that does not matter."""
        size = self._args_per_frame
        for start in range(0, len(topics), size):
            part = topics[start : start + size]
            await self._ask("unsubscribe", part, send)
            for topic in part:
                self._running.pop(topic, None)
            self._unheard.difference_update(part)

    async def _ask(self, op: str, topics: Sequence[str], send: Send) -> str | None:
        """Send a request and return None when the venue agrees, else its words. Raises TimeoutError."""
        self._asked += 1
        self._answer = asyncio.get_running_loop().create_future()
        request = {"req_id": str(self._asked), "op": op, "args": list(topics)}
        async with asyncio.timeout(_ANSWER_PATIENCE_S):
            await send(json.dumps(request, separators=(",", ":")))
            try:
                return await self._answer
            finally:
                self._answer = None

    def inspect(self, raw: bytes) -> None:
        """See a frame: note when data came, settle answers and pongs."""
        if _ANSWER_MARK in raw:
            answer = protocol.decode_control(raw)
            if answer is not None:
                self._settle(answer)
                return
        now_s = self._data_s = self._now_s()
        self.ready = self._confirmed_s is not None
        if _BOOK_MARK in raw and _TOP_MARK not in raw:
            self._book_s = now_s
            if self._unheard:
                self._unheard.discard(protocol.frame_head(raw)[0])

    def _settle(self, answer: protocol.ControlAnswer) -> None:
        if answer.is_pong:
            self._pulse.on_pong()
            return
        waiting = self._answer
        if waiting is None or waiting.done() or answer.request not in ("", str(self._asked)):
            return
        waiting.set_result(None if answer.success else answer.words)

    def silence(self, now_s: float) -> str | None:
        """Return what is wrong when no data comes, or books stand still while the rest flows."""
        if self._confirmed_s is None:
            return None
        silent_s = now_s - max(self._data_s, self._confirmed_s)
        if silent_s >= self._silent_after_s:
            return f"no data for {silent_s:.1f} s although the connection looks open"
        has_books = any(is_book(topic) for topic in self._running)
        silent_s = now_s - max(self._book_s, self._confirmed_s)
        if has_books and silent_s >= _BOOK_PATIENCE * self._silent_after_s:
            return f"quotes come, but no book update came for {silent_s:.1f} s"
        return None

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def is_book(topic: str) -> bool:
    """Tell whether a topic is that of a book with depth."""
    return topic.startswith("orderbook.") and not topic.startswith("orderbook.1.")


def is_window(topic: str) -> bool:
    """Tell whether a topic is that of a book whose first message is a snapshot."""
    return is_book(topic) and not topic.startswith("orderbook.full.")
