"""Publish ticks to Redis, off the hot path: `put` only queues, a task of its own writes pipelined batches.

Keys: sorted sets `tick:{symbol}:{market}` and `group:{group}:{market}` (score: epoch ms, trimmed and expiring at
120 s), the last tick of each symbol in `last:{symbol}:{market}` (kept, so that a quiet symbol stays known). Channels:
`ticks` and `tick:{symbol}:{market}` (a tick each), `snapshots` (all ticks of one moment in one message), `indicators`
(group ticks). `tick_messages` describes the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.indicators.groups import GROUPS
from app.settings.store import mask_url
from app.storage.rows import GroupTick, TickBatch
from app.storage.tick_messages import encode_groups, encode_ticks, group_key, last_key, tick_key

_log = logging.getLogger("fathom.storage.redis")

SPAN_MS: Final = 120_000
FLUSH_S: Final = 0.1
_MAX_QUEUED: Final = 2_000
_PIPELINED: Final = 64
_CONNECT_S: Final = 5.0
_REPLY_S: Final = 5.0
_TRIM_EVERY_MS: Final = 1_000
BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

# One call writes a whole batch: reading back one answer per command costs more than making the commands.
# ARGV: time, score below which members go ("": not now), seconds to live, head of the snapshot, then the ticks.
_PUT_TICKS: Final = """
local time, before, ttl, members = ARGV[1], ARGV[2], ARGV[3], {}
for i = 1, #KEYS, 2 do
  local member = ARGV[4 + (i + 1) / 2]
  members[#members + 1] = member
  redis.call('ZADD', KEYS[i], time, member)
  redis.call('EXPIRE', KEYS[i], ttl)
  redis.call('SET', KEYS[i + 1], member)
  redis.call('PUBLISH', KEYS[i], member)
  redis.call('PUBLISH', 'ticks', member)
  if before ~= '' then redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. before) end
end
redis.call('PUBLISH', 'snapshots', ARGV[4] .. table.concat(members, ',') .. ']}')
"""
# ARGV: time, score below which members go, seconds to live, then the groups.
_PUT_GROUPS: Final = """
for i = 1, #KEYS do
  local member = ARGV[3 + i]
  redis.call('ZADD', KEYS[i], ARGV[1], member)
  redis.call('EXPIRE', KEYS[i], ARGV[3])
  redis.call('PUBLISH', 'indicators', member)
  if ARGV[2] ~= '' then redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. ARGV[2]) end
end
"""


@dataclass(slots=True)
class RedisHealth:
    """State of the publisher: `state` is connecting, ok or away; ticks written and dropped."""

    state: str = "connecting"
    reason: str = ""
    written: int = 0
    dropped: int = 0


def new_client(url: str) -> redis.Redis:
    """Return a client that never retries or waits by itself; raise ValueError for a URL that is none."""
    return redis.Redis.from_url(
        url, socket_timeout=None, socket_connect_timeout=_CONNECT_S, retry=Retry(NoBackoff(), 0), max_connections=8
    )


async def connect(client: redis.Redis) -> None:
    """Connect within a few seconds; raise RedisError, OSError or TimeoutError otherwise."""
    async with asyncio.timeout(_CONNECT_S):
        await client.ping()


async def let_go(client: redis.Redis) -> None:
    """Close a connection that may be dead."""
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await client.aclose()


@dataclass(frozen=True, slots=True)
class _Queued:
    item: TickBatch | GroupTick
    seq: int

    @property
    def ticks(self) -> int:
        return len(self.item.symbols) if isinstance(self.item, TickBatch) else 0


class RedisTickSink:
    """Takes ticks at any rate and writes them when Redis takes them; the oldest are dropped and counted otherwise."""

    def __init__(
        self,
        url: str,
        *,
        on_note: Callable[[str | None], None] = lambda _text: None,
        backoff_s: tuple[float, ...] = BACKOFF_S,
        reply_s: float = _REPLY_S,
    ) -> None:
        self._url = url
        self._on_note = on_note
        self._backoff_s = backoff_s
        self._reply_s = reply_s
        self._queue: deque[_Queued] = deque()
        self._wake = asyncio.Event()
        self._sequence = 0
        self._trimmed_ms: dict[str, int] = {}
        self._asked_s: float | None = None
        """Monotonic time since when an answer is awaited."""
        self.health = RedisHealth()

    def put(self, batch: TickBatch) -> None:
        """Queue samples of some symbols; never waits, never raises."""
        if batch.symbols:
            self._push(batch, len(batch.symbols))

    def put_groups(self, tick: GroupTick) -> None:
        """Queue all groups at one moment; never waits, never raises."""
        self._push(tick, len(GROUPS))

    def _push(self, item: TickBatch | GroupTick, numbers: int) -> None:
        queue = self._queue
        if len(queue) >= _MAX_QUEUED:
            self.health.dropped += queue.popleft().ticks
        queue.append(_Queued(item, self._sequence))
        self._sequence += numbers
        self._wake.set()

    async def run(self) -> None:
        """Write for ever; a Redis that is away is tried again with growing pauses."""
        failures = 0
        while True:
            try:
                client = new_client(self._url)
                try:
                    await connect(client)
                    failures = 0
                    self._tell("ok", "")
                    await self._write_watched(client)
                finally:
                    await let_go(client)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                words = str(error).rstrip(".") or "no answer"
                self._tell("away", f"Redis at {mask_url(self._url)} cannot be reached ({words}); ticks stay in memory.")
            await asyncio.sleep(self._backoff_s[min(failures, len(self._backoff_s) - 1)])
            failures += 1

    async def _write_watched(self, client: redis.Redis) -> None:
        """Write until the connection fails; raise TimeoutError when an answer does not come.

        One look a second instead of a timeout per request: a cancelled timeout stays a live timer of the Qt loop.
        """
        self._asked_s = None
        writer = asyncio.create_task(self._write(client), name="redis writer")
        try:
            while not writer.done():
                await asyncio.wait({writer}, timeout=min(1.0, self._reply_s))
                if self._waited_s() > self._reply_s:
                    raise TimeoutError("it does not answer")
            writer.result()
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _waited_s(self) -> float:
        return 0.0 if self._asked_s is None else time.monotonic() - self._asked_s

    async def _write(self, client: redis.Redis) -> None:
        while True:
            while self._queue:
                await self._flush(client)
            await asyncio.sleep(FLUSH_S)
            self._wake.clear()
            if not self._queue:
                await self._wake.wait()

    async def _flush(self, client: redis.Redis) -> None:
        """Hand a part of the queue to Redis in one round trip; it leaves the queue when the answer has come."""
        parts = [self._queue[k] for k in range(min(_PIPELINED, len(self._queue)))]
        async with client.pipeline(transaction=False) as pipeline:
            for part in parts:
                script, keys, arguments = self._call(part)
                pipeline.eval(script, len(keys), *keys, *arguments)
            self._asked_s = time.monotonic()
            await pipeline.execute()
            self._asked_s = None
        done = {part.seq for part in parts}
        while self._queue and self._queue[0].seq in done:
            self._queue.popleft()
        self.health.written += sum(part.ticks for part in parts)

    def _call(self, part: _Queued) -> tuple[str, list[str], list[Any]]:
        """Return script, keys and arguments that write one batch."""
        item = part.item
        if isinstance(item, GroupTick):
            keys = [group_key(group, item.market) for group in GROUPS]
            arguments = [item.ts_ms, self._trim_before(keys[0], item.ts_ms), SPAN_MS // 1000]
            return _PUT_GROUPS, keys, [*arguments, *encode_groups(item, part.seq)]
        keys = [
            key for symbol in item.symbols for key in (tick_key(symbol, item.market), last_key(symbol, item.market))
        ]
        head = f'{{"marketType":"{item.market.label}","time":{item.ts_ms},"ticks":['
        arguments = [item.ts_ms, self._trim_before(keys[0], item.ts_ms), SPAN_MS // 1000, head]
        return _PUT_TICKS, keys, [*arguments, *encode_ticks(item, part.seq)]

    def _trim_before(self, key: str, ts_ms: int) -> int | str:
        """Return the score below which members go, "" when they were trimmed less than a second ago."""
        if 0 <= ts_ms - self._trimmed_ms.get(key, -_TRIM_EVERY_MS) < _TRIM_EVERY_MS:
            return ""
        self._trimmed_ms[key] = ts_ms
        return ts_ms - SPAN_MS

    def _tell(self, state: str, reason: str) -> None:
        if state != self.health.state or reason != self.health.reason:
            self.health.state, self.health.reason = state, reason
            self._on_note(reason or None)
            if reason:
                _log.warning("%s", reason)
