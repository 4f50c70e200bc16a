"""Publish ticks to Redis, off the hot path: `put` only queues, a task of its own writes pipelined batches.

Keys and channels: sorted set `tick:{symbol}:{market}` (score: epoch ms, trimmed and expiring at 120 s), the last tick
of each symbol in `last:{symbol}:{market}` (kept, so that a quiet symbol stays known), channels `ticks`,
`tick:{symbol}:{market}`, `snapshots` and `indicators`. Market words are SPOT and FUTURES. Every member carries the
update id and a sequence number, so that equal ticks never collapse into one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import numpy as np
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from app.domain.coverage import Coverage
from app.domain.ids import Market
from app.indicators.groups import GROUPS
from app.settings.store import mask_url
from app.storage.rows import GroupTick, TickBatch

_log = logging.getLogger("fathom.storage.redis")

SPAN_MS: Final = 120_000
_FLUSH_S: Final = 0.1
_MAX_QUEUED: Final = 2_000
_CONNECT_S: Final = 5.0
_REPLY_S: Final = 5.0
_TRIM_EVERY_MS: Final = 1_000
_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_COVERAGE_LETTERS: Final = np.array([c.name[0] for c in Coverage])


# One call writes a whole batch: reading back one answer per command costs more than making the commands.
_PUT_TICKS: Final = """
local time, before, ttl = ARGV[1], ARGV[2], ARGV[3]
for i = 1, #KEYS, 2 do
  local member = ARGV[4 + (i + 1) / 2]
  redis.call('ZADD', KEYS[i], time, member)
  redis.call('SET', KEYS[i + 1], member)
  redis.call('PUBLISH', KEYS[i], member)
  redis.call('PUBLISH', 'ticks', member)
  if before ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. before)
    redis.call('EXPIRE', KEYS[i], ttl)
  end
end
redis.call('PUBLISH', 'snapshots', ARGV[4])
"""
_PUBLISH_GROUPS: Final = "for i = 1, #ARGV do redis.call('PUBLISH', 'indicators', ARGV[i]) end"


@dataclass(slots=True)
class RedisHealth:
    """State of the publisher: `state` is connecting, ok or away; ticks written and dropped."""

    state: str = "connecting"
    reason: str = ""
    written: int = 0
    dropped: int = 0


def tick_key(symbol: str, market: Market) -> str:
    """Return the name of a symbol's sorted set and channel."""
    return f"tick:{symbol}:{market.label}"


def last_key(symbol: str, market: Market) -> str:
    """Return the name under which a symbol's newest tick is kept."""
    return f"last:{symbol}:{market.label}"


class RedisTickSink:
    """Takes ticks at any rate and writes them when Redis takes them; the oldest are dropped and counted otherwise."""

    def __init__(
        self,
        url: str,
        *,
        on_note: Callable[[str | None], None] = lambda _text: None,
        backoff_s: tuple[float, ...] = _BACKOFF_S,
    ) -> None:
        self._url = url
        self._on_note = on_note
        self._backoff_s = backoff_s
        self._queue: deque[TickBatch | GroupTick] = deque()
        self._wake = asyncio.Event()
        self._sequence = 0
        self._trimmed_ms: dict[str, int] = {}
        self.health = RedisHealth()

    def put(self, batch: TickBatch) -> None:
        """Queue samples of some symbols; never waits, never raises."""
        self._push(batch)

    def put_groups(self, tick: GroupTick) -> None:
        """Queue all groups at one moment; never waits, never raises."""
        self._push(tick)

    def _push(self, item: TickBatch | GroupTick) -> None:
        queue = self._queue
        if len(queue) >= _MAX_QUEUED:
            dropped = queue.popleft()
            self.health.dropped += len(dropped.symbols) if isinstance(dropped, TickBatch) else 1
        queue.append(item)
        self._wake.set()

    async def run(self) -> None:
        """Write for ever; a Redis that is away is tried again with growing pauses."""
        failures = 0
        while True:
            client = redis.Redis.from_url(
                self._url,
                socket_timeout=None,
                socket_connect_timeout=_CONNECT_S,
                retry=Retry(NoBackoff(), 0),
                single_connection_client=True,
            )
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await client.initialize()
                    await client.ping()
                failures = 0
                self._tell("ok", "")
                scripts = client.register_script(_PUT_TICKS), client.register_script(_PUBLISH_GROUPS)
                while True:
                    self._wake.clear()
                    await self._flush(*scripts)
                    await asyncio.sleep(_FLUSH_S)
                    await self._wake.wait()
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                words = str(error) or "no answer"
                where = mask_url(self._url)
                self._tell("away", f"Redis at {where} cannot be reached ({words}); ticks stay in memory.")
                pause = self._backoff_s[min(failures, len(self._backoff_s) - 1)]
                failures += 1
            finally:
                await _drop(client)
            await asyncio.sleep(pause)

    async def _flush(self, put_ticks: AsyncScript, publish_groups: AsyncScript) -> None:
        """Hand everything queued to Redis, one script call per batch."""
        queue = self._queue
        while queue:
            item = queue[0]
            async with asyncio.timeout(_REPLY_S):
                if isinstance(item, TickBatch):
                    keys, arguments = self._tick_call(item)
                    await put_ticks(keys=keys, args=arguments)
                else:
                    await publish_groups(args=_group_bodies(item))
            if queue and queue[0] is item:
                queue.popleft()
            self.health.written += len(item.symbols) if isinstance(item, TickBatch) else 0

    def _tick_call(self, batch: TickBatch) -> tuple[list[str], list[str | int | bytes]]:
        """Return keys (set and last, in turn) and arguments of the script for one batch."""
        market = batch.market
        letters = _COVERAGE_LETTERS[batch.coverage]
        usd, coins = batch.usd.tolist(), batch.coins.tolist()
        best, unconfirmed = batch.best.tolist(), batch.unconfirmed.round(6).tolist()
        update_ids = batch.last_update_id.tolist()
        first = tick_key(batch.symbols[0], market) if batch.symbols else ""
        trim = batch.ts_ms - self._trimmed_ms.get(first, 0) >= _TRIM_EVERY_MS
        if trim:
            self._trimmed_ms[first] = batch.ts_ms
        keys: list[str] = []
        arguments: list[str | int | bytes] = [
            batch.ts_ms,
            batch.ts_ms - SPAN_MS if trim else "",
            SPAN_MS // 1000,
            msgspec.json.encode({"marketType": market.label, "time": batch.ts_ms, "symbols": batch.symbols}),
        ]
        for k, symbol in enumerate(batch.symbols):
            self._sequence += 1
            keys += (tick_key(symbol, market), last_key(symbol, market))
            body = {
                "symbol": symbol,
                "marketType": market.label,
                "time": batch.ts_ms,
                "u": update_ids[k],
                "seq": self._sequence,
                "best": best[k],
                "usd": usd[k],
                "coins": coins[k],
                "coverage": ["".join(letters[k, 0]), "".join(letters[k, 1])],
                "unconfirmed": unconfirmed[k],
            }
            arguments.append(msgspec.json.encode(body))  # NaN becomes null
        return keys, arguments

    def _tell(self, state: str, reason: str) -> None:
        if state != self.health.state or reason != self.health.reason:
            self.health.state, self.health.reason = state, reason
            self._on_note(reason or None)
            if reason:
                _log.warning("%s", reason)


def _group_bodies(tick: GroupTick) -> list[str | int | bytes]:
    depth = tick.depth
    return [
        msgspec.json.encode(
            {
                "category": group.value,
                "marketType": tick.market.label,
                "time": tick.ts_ms,
                "usd": depth.usd[k].tolist(),
                "ratio_mean": depth.ratio_mean[k].tolist(),
                "included": int(depth.included[k]),
                "total": int(depth.total[k]),
                "exact": depth.exact[k].tolist(),
                "unconfirmed": depth.unconfirmed[k].round(6).tolist(),
            }
        )
        for k, group in enumerate(GROUPS)
    ]


async def _drop(client: redis.Redis) -> None:
    """Let go of a connection that may be dead."""
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await client.aclose()


class RedisTickReader:
    """Reads ticks back and follows channels; one upstream subscription per channel, however many followers."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=None, socket_connect_timeout=_CONNECT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()

    async def window(self, symbol: str, market: Market, since_ms: int = 0) -> list[dict[str, Any]]:
        """Return the stored ticks at or after `since_ms`, oldest first."""
        members = await self._client.zrangebyscore(tick_key(symbol, market), since_ms, "+inf")
        return [msgspec.json.decode(cast(bytes, member)) for member in members]

    async def last(self, symbol: str, market: Market) -> dict[str, Any] | None:
        """Return the newest tick of a symbol, however old, None when there never was one."""
        member = await self._client.get(last_key(symbol, market))
        return None if member is None else msgspec.json.decode(cast(bytes, member))

    async def follow(self, *channels: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield (channel, body) as they are published; ends when closed."""
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(*channels)
            async for message in subscription.listen():
                if message["type"] == "message":
                    yield message["channel"].decode(), msgspec.json.decode(message["data"])
