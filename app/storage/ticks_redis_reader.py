"""Read ticks back from Redis and follow its channels, for a desktop or a script that does not collect by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

import redis.asyncio as redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from app.domain.errors import StorageError
from app.domain.ids import Market
from app.indicators.groups import Group
from app.indicators.window import DepthWindow
from app.settings.store import mask_url
from app.storage.rows import TickWindow
from app.storage.tick_messages import decode_groups, decode_ticks, group_key, last_key, tick_key
from app.storage.ticks_redis import BACKOFF_S, connect, let_go, new_client

_log = logging.getLogger("fathom.storage.redis")

Follower = Callable[[str, bytes], None]


class RedisTickReader:
    """Windows on demand, and messages as they are published.

    Reads raise StorageError when Redis is away. `run` must be running for followers to hear anything; one subscription
    per channel is kept however many follow it, and is made anew after a loss.
    """

    def __init__(self, url: str, *, backoff_s: tuple[float, ...] = BACKOFF_S) -> None:
        self._url = url
        self._backoff_s = backoff_s
        try:
            self._client = new_client(url)
        except ValueError as error:
            raise StorageError(f"The Redis URL {mask_url(url)} cannot be used: {error}.") from error
        self._followers: dict[str, list[Follower]] = {}
        self._some = asyncio.Event()
        self._subscription: PubSub | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        await let_go(self._client)

    # -- windows -------------------------------------------------------------------------------------------------

    async def window(self, market: Market, symbol: str, since_ms: int = 0) -> TickWindow | None:
        """Return the ticks of one symbol at or after `since_ms`; None when there never was one."""
        members = await self._members(tick_key(symbol, market), since_ms)
        if not members and await self.last(market, symbol) is None:
            return None
        return decode_ticks(members)

    async def last(self, market: Market, symbol: str) -> TickWindow | None:
        """Return the newest tick of a symbol, however old; None when there never was one."""
        member = await self._ask(self._client.get(last_key(symbol, market)))
        return None if member is None else decode_ticks([cast(bytes, member)])

    async def coin_window(self, market: Market, symbol: str, since_ms: int = 0) -> DepthWindow:
        """Return the ticks of one symbol as depth over time."""
        ticks = decode_ticks(await self._members(tick_key(symbol, market), since_ms))
        return DepthWindow.of_coin(ticks.ts_ms, ticks.usd, ticks.coverage, ticks.unconfirmed)

    async def group_window(self, market: Market, group: Group, since_ms: int = 0) -> DepthWindow:
        """Return the ticks of one group as depth over time."""
        return decode_groups(await self._members(group_key(group, market), since_ms))

    async def _members(self, key: str, since_ms: int) -> list[bytes]:
        return cast(list[bytes], await self._ask(self._client.zrangebyscore(key, since_ms, "+inf")))

    async def _ask(self, question: Awaitable[object]) -> object:
        try:
            return await question
        except (RedisError, OSError) as error:
            raise StorageError(f"Redis at {mask_url(self._url)} cannot be reached: {error}") from error

    # -- channels ------------------------------------------------------------------------------------------------

    async def follow(self, channel: str, follower: Follower) -> Callable[[], Awaitable[None]]:
        """Call `follower` with every message (channel, body) from now on; await what is returned to end it."""
        followers = self._followers.setdefault(channel, [])
        followers.append(follower)
        self._some.set()
        if len(followers) == 1 and self._subscription is not None:
            await self._tell_server(self._subscription.subscribe, channel)

        following = True

        async def leave() -> None:
            nonlocal following
            if not following:
                return
            following = False
            followers.remove(follower)
            if not followers and self._followers.pop(channel, None) is not None and self._subscription is not None:
                await self._tell_server(self._subscription.unsubscribe, channel)

        return leave

    async def _tell_server(self, command: Callable[[str], Awaitable[object]], channel: str) -> None:
        try:
            await command(channel)
        except (RedisError, OSError) as error:  # `run` notices the loss too and subscribes to what is wanted then
            _log.debug("%s: %s", channel, error)

    async def run(self) -> None:
        """Hear the channels that are followed, for ever; a Redis that is away is tried again with growing pauses."""
        failures = 0
        while True:
            await self._some.wait()
            self._some.clear()
            client = new_client(self._url)
            try:
                await connect(client)
                failures = 0
                await self._hear(client)
                continue
            except (RedisError, OSError, TimeoutError) as error:
                _log.warning("Redis at %s is away: %s", mask_url(self._url), error)
                self._some.set()
            finally:
                await let_go(client)
            await asyncio.sleep(self._backoff_s[min(failures, len(self._backoff_s) - 1)])
            failures += 1

    async def _hear(self, client: redis.Redis) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as subscription:
            if not self._followers:
                return
            await subscription.subscribe(*self._followers)
            self._subscription = subscription
            try:
                while self._followers:
                    message = await subscription.get_message(timeout=None)
                    if message is not None:
                        channel = message["channel"].decode()
                        for follower in tuple(self._followers.get(channel, ())):
                            follower(channel, message["data"])
            finally:
                self._subscription = None
