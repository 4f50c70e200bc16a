"""One permanent WebSocket link: connects, subscribes, watches, and comes back after every loss.

A `Channel` (the venue's part: what to subscribe, which frames are data) turns a fresh socket into a live one; a
`LinkOwner` takes the frames. The link's own task is also its watchdog: it looks a few times per second whether frames
still come, whether the computer slept, and whether the connection nears the venue's age limit. A connection that is
replaced as planned stays until its successor delivers, so that the stream of frames has no hole.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from random import Random
from typing import Any, Final

from app.domain.clock import Clock
from app.domain.errors import BadFrameError
from app.domain.health import LinkHealth, LinkState
from app.domain.units import NS_PER_S
from app.venues.backoff import Backoff
from app.venues.connection import Connection
from app.venues.explain import LinkLost
from app.venues.limiter import RateLimit, wait_turn
from app.venues.link_ports import Channel, LinkOptions, LinkOwner, Send, Tend
from app.venues.sleep import SleepSensor

__all__ = ["Channel", "Link", "LinkOptions", "LinkOwner", "Send", "Tend"]

_log = logging.getLogger("fathom.venues.link")

_COVERED: Final = frozenset((LinkState.CONNECTING, LinkState.SYNCING, LinkState.STALE, LinkState.BACKOFF))


class _Life:
    """One connection with its channel and the tasks that read and send. Times are monotonic seconds."""

    def __init__(self, connection: Connection, channel: Channel, now_s: float, replace_at_s: float) -> None:
        self.connection = connection
        self.channel = channel
        self.reader: asyncio.Task[LinkLost] | None = None
        self.subscriber: asyncio.Task[None] | None = None
        self.opened_s = now_s
        self.heard_s = now_s
        self.replace_at_s = replace_at_s
        self.frames_seen = 0
        self.subscribed = False

    def tasks(self) -> list[asyncio.Task[Any]]:
        return [task for task in (self.reader, self.subscriber) if task is not None]

    def ended(self) -> LinkLost | None:
        """Return why this connection is over, None while it is not. Lets bugs of reader and subscriber through."""
        if self.reader is not None and self.reader.done():
            return self.reader.result()
        if self.subscriber is not None and self.subscriber.done():
            try:
                self.subscriber.result()
            except LinkLost as lost:
                return lost
        return None


class Link:
    """Runs one connection after the other until cancelled; `health` is kept up to date."""

    def __init__(
        self,
        url: str,
        owner: LinkOwner,
        health: LinkHealth,
        clock: Clock,
        options: LinkOptions,
        attempts: RateLimit,
        random: Random | None = None,
    ) -> None:
        self._url = url
        self._owner = owner
        self._health = health
        self._clock = clock
        self._options = options
        self._attempts = attempts
        self._random = random or Random()
        self._backoff = Backoff(options.backoff, self._random)
        self._cover: str | None = None
        self._state, self._reason = LinkState.IDLE, ""
        self._bad_times: deque[float] = deque(maxlen=options.bad_frames)
        self._too_bad = False
        self._live_since_s: float | None = None
        self._current: _Life | None = None
        self._sensor = SleepSensor(clock.monotonic_ns(), options.sleep_gap_s)
        health.url = url

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Tell whether data flows."""
        return self._live_since_s is not None

    def set_cover(self, reason: str | None) -> None:
        """Say what stands in for the streams while they are away (REST polling), None: nothing."""
        self._cover = reason
        self._show()

    def _set(self, state: LinkState, reason: str = "") -> None:
        self._state, self._reason = state, reason
        self._show()

    def _show(self) -> None:
        health, state, reason = self._health, self._state, self._reason
        if self._cover is not None and state in _COVERED:
            state, reason = LinkState.POLLING, self._cover
        if health.state is not state:
            health.since_ns = self._clock.wall_ns()
        health.state, health.reason = state, reason

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the link up for ever. Raises FatalFeedError when the address is none."""
        first = True
        try:
            while True:
                await wait_turn(self._attempts, self._now_s)
                self._health.reconnects += not first
                first = False
                self._health.retry_at_ns = None
                self._set(LinkState.CONNECTING)
                try:
                    lost = await self._live_through()
                except LinkLost as failed:
                    lost = failed
                reason = lost.reason
                wait_s = max(lost.wait_s, self._options.forbidden_wait_s if lost.status == 403 else 0.0)
                pause_s = max(self._backoff.failed(self._down(reason)), wait_s)
                self._health.connected_ns = None
                self._health.retry_at_ns = self._clock.wall_ns() + int(pause_s * NS_PER_S)
                self._set(LinkState.BACKOFF, reason)
                self._owner.on_trouble(reason, pause_s)
                await asyncio.sleep(pause_s)
        finally:
            self._down("stopped")
            self._cover = None
            self._set(LinkState.STOPPED)

    def _down(self, reason: str) -> float:
        """Announce the end of data if there was any; return for how many seconds it flowed."""
        if self._live_since_s is None:
            return 0.0
        healthy_s = self._now_s() - self._live_since_s
        self._live_since_s = None
        self._owner.on_down(reason)
        return healthy_s

    async def _live_through(self) -> LinkLost:
        """Open a connection and stay with it and its planned successors; return why the data ended."""
        life = await self._open()
        self._sensor = SleepSensor(self._clock.monotonic_ns(), self._options.sleep_gap_s)
        self._begin(life)
        opening: asyncio.Task[_Life] | None = None
        successor: _Life | None = None
        try:
            while True:
                tasks = [*life.tasks(), *(successor.tasks() if successor else ()), *((opening,) if opening else ())]
                running = [task for task in tasks if not task.done()]
                await _wait_any(running, self._options.tick_s)
                slept = self._sensor.look(self._clock.monotonic_ns())
                if slept is not None:
                    return LinkLost(slept)
                lost = self._verdict(life)
                if opening is not None and opening.done():
                    try:
                        successor = opening.result()
                    except LinkLost as failed:
                        self._put_off_replacement(life, failed)
                    opening = None
                if successor is not None:
                    useless = successor.ended() or self._overdue(successor)
                    if useless is not None:
                        self._put_off_replacement(life, useless)
                        gone, successor = successor, None
                        await self._end_all([gone])
                    elif successor.channel.ready and (lost is not None or self._overlapped(successor)):
                        old, life, successor = life, successor, None
                        await self._hand_over(old, life)
                        continue
                if lost is not None:
                    return lost
                if successor is None and opening is None and self._wants_successor(life):
                    opening = asyncio.create_task(self._open_successor(life), name=f"{self._health.name} successor")
        finally:
            self._current = None
            await self._end_all([life] if successor is None else [life, successor], opening)

    async def _open(self) -> _Life:
        """Open a socket and begin to subscribe on it. Raises LinkLost."""
        options = self._options
        channel = self._owner.new_channel()
        connection = Connection(
            self._url,
            inspect=channel.inspect,
            deliver=self._deliver,
            open_timeout_s=options.open_timeout_s,
            ping_interval_s=options.ping_interval_s,
            ping_timeout_s=options.ping_timeout_s,
            close_timeout_s=options.close_timeout_s,
            max_size=options.max_size,
        )
        await connection.open()
        now_s = self._now_s()
        age_s = options.planned_age_s * (1.0 - self._random.random() * options.planned_jitter)
        life = _Life(connection, channel, now_s, now_s + age_s)
        name = self._health.name
        life.reader = asyncio.create_task(connection.read(), name=f"{name} reader")
        life.subscriber = asyncio.create_task(self._subscribe(life), name=f"{name} subscriber")
        return life

    def _begin(self, life: _Life) -> None:
        """Make a fresh connection the one that goes live as soon as it delivers."""
        self._current = life
        self._too_bad = False
        self._bad_times.clear()
        self._health.connected_ns = self._clock.wall_ns()
        self._set(LinkState.SYNCING, "connected; subscribing")
        life.connection.on_held = self._go_live_when_ready

    async def _subscribe(self, life: _Life) -> None:
        """Let the channel subscribe, then tend its connection."""
        try:
            async with asyncio.timeout(self._options.subscribe_timeout_s):
                tend = await life.channel.begin(life.connection.send)
        except TimeoutError:
            limit = self._options.subscribe_timeout_s
            raise LinkLost(f"the venue did not confirm the subscription within {limit:g} s") from None
        life.subscribed = True
        if tend is not None:
            await tend()

    async def _end(self, life: _Life) -> None:
        """Close a connection: politely when the peer is alive, at once when it is not."""
        life.connection.mute()
        if self._now_s() - life.heard_s >= self._options.stale_after_s:
            life.connection.abort()
        try:
            await life.connection.close()
        finally:
            tasks = life.tasks()
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, LinkLost):
                    _log.error("%s failed while it ended", self._health.name, exc_info=result)

    async def _end_all(self, lives: list[_Life], opening: asyncio.Task[_Life] | None = None) -> None:
        """Close connections, and one that is being opened; when cancelled meanwhile at once, but still all of them."""
        if opening is not None:
            opening.cancel()
        ending = asyncio.create_task(self._close(lives, opening), name=f"{self._health.name} end")
        try:
            await asyncio.wait((ending,))  # unlike awaiting the task itself, this does not pass a cancel on to it
        except asyncio.CancelledError:
            for life in lives:
                life.connection.abort()
            await asyncio.wait((ending,))
            raise
        ending.result()

    async def _close(self, lives: list[_Life], opening: asyncio.Task[_Life] | None) -> None:
        if opening is not None:
            await asyncio.wait((opening,))
            if not opening.cancelled() and opening.exception() is None:
                lives.append(opening.result())
        await asyncio.gather(*map(self._end, lives))

    # -- watching ------------------------------------------------------------------------------------------------

    def _verdict(self, life: _Life) -> LinkLost | None:
        """Return why the connection has to be given up, None when it is well."""
        ended = life.ended()
        if ended is not None:
            return ended
        if self._too_bad:
            options = self._options
            return LinkLost(f"{options.bad_frames} unreadable frames within {options.bad_frames_window_s:g} s")
        now_s = self._now_s()
        frames = life.connection.frames
        if frames != life.frames_seen:
            life.frames_seen, life.heard_s = frames, now_s
        if not life.subscribed:
            return None
        reason = life.channel.silence(now_s)
        silent_s = now_s - life.heard_s
        if reason is None and silent_s >= self._options.stale_after_s:
            reason = f"no data for {silent_s:.1f} s although the connection looks open"
            if not life.channel.ready:
                reason = f"the subscription was confirmed but nothing came for {silent_s:.1f} s"
        if reason is None:
            return None
        self._set(LinkState.STALE, reason)
        return LinkLost(reason)

    def _go_live_when_ready(self) -> None:
        """Announce data and let the held frames through once the first connection of an outage is ready."""
        life = self._current
        if life is None or not life.channel.ready:
            return
        life.connection.on_held = None
        self._live_since_s = self._now_s()
        self._set(LinkState.LIVE)
        self._owner.on_up()
        life.connection.go_live()

    def _deliver(self, raw: bytes) -> None:
        health = self._health
        health.frames += 1
        health.bytes += len(raw)
        health.last_frame_ns = self._clock.wall_ns()
        try:
            self._owner.on_frame(raw)
        except BadFrameError as error:
            self._on_bad_frame(error)

    def _on_bad_frame(self, error: BadFrameError) -> None:
        self._health.bad_frames += 1
        _log.debug("%s: %s", self._health.name, error)
        times, now_s = self._bad_times, self._now_s()
        times.append(now_s)
        if len(times) == times.maxlen and now_s - times[0] <= self._options.bad_frames_window_s:
            self._too_bad = True

    # -- planned replacement -------------------------------------------------------------------------------------

    def _wants_successor(self, life: _Life) -> bool:
        if not self.is_live:
            return False
        return life.channel.shutdown_announced or self._now_s() >= life.replace_at_s

    async def _open_successor(self, life: _Life) -> _Life:
        why = "the venue announced its shutdown" if life.channel.shutdown_announced else "planned, before its age limit"
        life.channel.shutdown_announced = False
        self._owner.on_notice(f"opening a second connection that will take over ({why})")
        await wait_turn(self._attempts, self._now_s)
        self._health.reconnects += 1
        return await self._open()

    def _put_off_replacement(self, life: _Life, failure: LinkLost) -> None:
        life.replace_at_s = self._now_s() + self._options.replace_timeout_s
        self._owner.on_notice(f"the planned second connection failed ({failure.reason}); it is tried again later")

    def _overlapped(self, successor: _Life) -> bool:
        return self._now_s() - successor.opened_s >= self._options.overlap_s

    def _overdue(self, successor: _Life) -> LinkLost | None:
        if self._now_s() - successor.opened_s < self._options.replace_timeout_s or successor.channel.ready:
            return None
        return LinkLost("it delivered nothing")

    async def _hand_over(self, old: _Life, new: _Life) -> None:
        """Let the successor take over: what both delivered is dropped by the books as already known."""
        old.connection.mute()
        self._current = new
        self._too_bad = False
        new.heard_s = self._now_s()
        await new.connection.drain()
        new.connection.go_live()
        self._health.connected_ns = self._clock.wall_ns()
        self._set(LinkState.LIVE)
        self._owner.on_notice("the second connection has taken over; the old one is closed")
        await self._end_all([old])


async def _wait_any(tasks: Collection[asyncio.Task[Any]], limit_s: float) -> None:
    """Return when one of the tasks is done, after `limit_s` at the latest."""
    if tasks:
        await asyncio.wait(tasks, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(limit_s)
