"""One permanent WebSocket link: connects, subscribes, watches, and comes back after every loss.

A `Channel` (the venue's part: what to subscribe, which frames are data) turns a fresh socket into a live one; a
`LinkOwner` takes the frames. The link's own task is also its watchdog: it looks a few times per second whether frames
still come, whether the computer slept, and whether the connection nears the venue's age limit. A connection that is
replaced as planned stays until its successor delivers, so that the stream of frames has no hole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.errors import BadFrameError
from app.domain.health import LinkHealth, LinkState
from app.domain.units import NS_PER_S
from app.venues.backoff import Backoff, BackoffPolicy
from app.venues.connection import Connection
from app.venues.limiter import RateLimit, wait_turn
from app.venues.reasons import LinkLost
from app.venues.sleep import SleepSensor

_log = logging.getLogger("fathom.venues.link")

Send = Callable[[str], Awaitable[None]]


class Channel(Protocol):
    """The venue's side of one connection."""

    ready: bool
    """Whether every subscription is confirmed and data comes."""
    shutdown_announced: bool

    async def begin(self, send: Send) -> None:
        """Subscribe and return when that is confirmed. Raises LinkLost."""
        ...

    def inspect(self, raw: bytes) -> None:
        """See every frame as it arrives. Raises LinkLost to end the connection."""
        ...

    def silence(self, now_s: float) -> str | None:
        """Return why the connection is useless although frames may come; `now_s` is monotonic."""
        ...


class LinkOwner(Protocol):
    """Who a link works for. All calls are synchronous and quick."""

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection."""
        ...

    def on_frame(self, raw: bytes) -> None:
        """Take one frame. Raises BadFrameError."""
        ...

    def on_up(self) -> None:
        """Note that data begins: called before its first frame."""
        ...

    def on_down(self, reason: str) -> None:
        """Note that data has ended; called once after each `on_up`."""
        ...

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Note a failed attempt or a loss, and when the next attempt follows."""
        ...

    def on_notice(self, text: str) -> None:
        """Note a planned replacement and the like."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Limits in seconds unless named otherwise."""

    open_timeout_s: float = 10.0
    ping_interval_s: float = 5.0
    ping_timeout_s: float = 5.0
    close_timeout_s: float = 1.0
    stale_after_s: float = 3.0
    subscribe_timeout_s: float = 10.0
    tick_s: float = 0.25
    sleep_gap_s: float = 5.0
    planned_age_s: float = (24 * 60 - 10) * 60.0
    """Binance ends a connection after 24 h."""
    planned_jitter: float = 0.05
    """Connections opened together are replaced up to this share of the age earlier, each at its own time."""
    overlap_s: float = 2.0
    """How long a successor fills up beside its predecessor before it takes over."""
    replace_timeout_s: float = 30.0
    max_size: int = 4 * 2**20
    bad_frames: int = 100
    bad_frames_window_s: float = 10.0
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)


_COVERED: Final = frozenset((LinkState.CONNECTING, LinkState.SYNCING, LinkState.STALE, LinkState.BACKOFF))


class _Life:
    """One connection with its channel and the tasks that read and subscribe."""

    def __init__(self, connection: Connection, channel: Channel) -> None:
        self.connection = connection
        self.channel = channel
        self.reader: asyncio.Task[str] | None = None
        self.subscriber: asyncio.Task[None] | None = None
        self.opened_s = 0.0
        self.heard_s = 0.0
        self.frames_seen = 0

    def tasks(self) -> list[asyncio.Task[str] | asyncio.Task[None]]:
        return [task for task in (self.reader, self.subscriber) if task is not None]

    def ended(self) -> str | None:
        """Return why this connection is over, None while it is not. Lets bugs of reader and subscriber through."""
        if self.reader is not None and self.reader.done():
            return self.reader.result()
        if self.subscriber is not None and self.subscriber.done():
            try:
                self.subscriber.result()
            except LinkLost as lost:
                return lost.reason
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
                healthy_s = 0.0
                wait_s = 0.0
                try:
                    self._set(LinkState.CONNECTING)
                    self._health.retry_at_ns = None
                    reason = await self._live_through()
                except LinkLost as lost:
                    reason, wait_s = lost.reason, lost.wait_s
                if self._live_since_s is not None:
                    healthy_s = self._now_s() - self._live_since_s
                    self._live_since_s = None
                    self._owner.on_down(reason)
                pause_s = max(self._backoff.failed(healthy_s), wait_s)
                self._health.connected_ns = None
                self._health.retry_at_ns = self._clock.wall_ns() + int(pause_s * NS_PER_S)
                self._set(LinkState.BACKOFF, reason)
                self._owner.on_trouble(reason, pause_s)
                await asyncio.sleep(pause_s)
        finally:
            self._cover = None
            self._set(LinkState.STOPPED)

    async def _live_through(self) -> str:
        """Open a connection and stay with it and its planned successors; return why the data ended."""
        life = await self._open()
        successor: _Life | None = None
        try:
            while True:
                tasks = life.tasks() + (successor.tasks() if successor is not None else [])
                running = [task for task in tasks if not task.done()]
                if running:
                    await asyncio.wait(
                        running, timeout=self._options.tick_s, return_when=asyncio.FIRST_COMPLETED
                    )
                slept = self._sensor.look(self._clock.monotonic_ns())
                if slept is not None:
                    return slept
                reason = self._verdict(life)
                if successor is None:
                    if reason is not None:
                        return reason
                    if self._wants_successor(life):
                        successor = await self._open_successor(life)
                    continue
                failed = successor.ended() or self._overdue(successor)
                if failed is not None:
                    gone, successor = successor, None
                    await self._end(gone)
                    life.opened_s = self._now_s() - self._age_limit_s(life) + self._options.replace_timeout_s
                    self._owner.on_notice(f"the planned new connection failed ({failed}); it is tried again later")
                    if reason is not None:
                        return reason
                elif successor.channel.ready and (reason is not None or self._overlapped(successor)):
                    old, life, successor = life, successor, None
                    await self._hand_over(old, life)
                elif reason is not None:
                    return reason
        finally:
            self._current = None
            await self._end(life)
            if successor is not None:
                await self._end(successor)

    async def _open(self) -> _Life:
        """Open a socket and begin to subscribe on it."""
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
        life = _Life(connection, channel)
        life.opened_s = life.heard_s = self._now_s()
        if self._current is None:
            self._current = life
            self._too_bad = False
            self._bad_times.clear()
            self._health.connected_ns = self._clock.wall_ns()
            self._set(LinkState.SYNCING, "connected; subscribing")
            connection.on_inspected = self._go_live_when_ready
        life.reader = asyncio.create_task(connection.read(), name=f"{self._health.name} reader")
        life.subscriber = asyncio.create_task(
            self._subscribe(channel, connection), name=f"{self._health.name} subscriber"
        )
        return life

    async def _subscribe(self, channel: Channel, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self._options.subscribe_timeout_s):
                await channel.begin(connection.send)
        except TimeoutError:
            limit = self._options.subscribe_timeout_s
            raise LinkLost(f"the venue did not confirm the subscription within {limit:g} s") from None

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
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    # -- watching ------------------------------------------------------------------------------------------------

    def _verdict(self, life: _Life) -> str | None:
        """Return why the connection has to be given up, None when it is well."""
        reason = life.ended()
        if reason is not None:
            return reason
        if self._too_bad:
            options = self._options
            return f"{options.bad_frames} unreadable frames within {options.bad_frames_window_s:g} s"
        now_s = self._now_s()
        frames = life.connection.frames
        if frames != life.frames_seen:
            life.frames_seen, life.heard_s = frames, now_s
        subscribed = life.subscriber is None or life.subscriber.done()
        reason = life.channel.silence(now_s) if subscribed else None
        silent_s = now_s - life.heard_s
        if reason is None and subscribed and silent_s >= self._options.stale_after_s:
            reason = f"no data for {silent_s:.1f} s although the connection looks open"
            if not life.channel.ready:
                reason = f"the subscription was confirmed but nothing came for {silent_s:.1f} s"
        if reason is not None:
            self._set(LinkState.STALE, reason)
        return reason

    def _go_live_when_ready(self) -> None:
        """Announce data and let the held frames through as soon as the first connection of an outage is ready."""
        life = self._current
        if life is None or not life.channel.ready:
            return
        life.connection.on_inspected = None
        self._live_since_s = self._now_s()
        self._set(LinkState.LIVE)
        self._owner.on_up()
        life.connection.go_live()

    def _deliver(self, raw: bytes) -> None:
        health = self._health
        health.frames += 1
        health.bytes += len(raw)
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

    def _age_limit_s(self, life: _Life) -> float:
        # the id of the object gives each connection its own share of the jitter without more state
        share = Random(id(life)).random() * self._options.planned_jitter
        return self._options.planned_age_s * (1.0 - share)

    def _wants_successor(self, life: _Life) -> bool:
        if self._live_since_s is None:
            return False
        return life.channel.shutdown_announced or self._now_s() - life.opened_s >= self._age_limit_s(life)

    async def _open_successor(self, life: _Life) -> _Life | None:
        why = "the venue announced its shutdown" if life.channel.shutdown_announced else "planned, before its 24 h end"
        self._owner.on_notice(f"opening a second connection that will take over ({why})")
        life.channel.shutdown_announced = False
        await wait_turn(self._attempts, self._now_s)
        self._health.reconnects += 1
        try:
            return await self._open()
        except LinkLost as lost:
            life.opened_s = self._now_s() - self._age_limit_s(life) + self._options.replace_timeout_s
            self._owner.on_notice(f"the planned new connection failed ({lost.reason}); it is tried again later")
            return None

    def _overlapped(self, successor: _Life) -> bool:
        return self._now_s() - successor.opened_s >= self._options.overlap_s

    def _overdue(self, successor: _Life) -> str | None:
        if self._now_s() - successor.opened_s < self._options.replace_timeout_s or successor.channel.ready:
            return None
        return "it delivered nothing"

    async def _hand_over(self, old: _Life, new: _Life) -> None:
        """Let the successor take over: what both delivered is dropped by the books as already known."""
        old.connection.mute()
        self._current = new
        new.heard_s = self._now_s()
        await new.connection.drain()
        new.connection.go_live()
        self._health.connected_ns = self._clock.wall_ns()
        self._owner.on_notice("the second connection has taken over; the old one is closed")
        await self._end(old)
