"""From a fresh socket to confirmed subscriptions that are kept as they are wanted, and that are renewed when silent.

The venue confirms each subscription with an echo, or says in an error text why not; the text names the subscription.
Several are asked for at once. Besides the pings of its own kind, which it answers while data may be missing, a
subscription that brings nothing for long is reported and then asked for anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.explain import LinkLost
from app.venues.heartbeat import Heartbeat
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.protocol import Topic
from app.venues.limiter import RateLimit, wait_turn
from app.venues.link import Send, Tend

_SPEAKS_OFTEN: Final = frozenset(("l2Book", "allMids", "assetCtxs", "allDexsAssetCtxs", "spotAssetCtxs"))
"""What comes at least every few seconds; best prices and trades come only when there are some."""
_REFUSED_PAUSE_S: Final = 5.0
_RECENT_S: Final = 1.5
"""A book that was heard of so recently comes again by itself."""

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTimes:
    """All in seconds. quiet_s: a subscription is said to be silent; renew_s: it is asked for anew; lost_s: a connection
    on which nothing that speaks often does so is given up.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 10.0
    quiet_s: float = 10.0
    renew_s: float = 60.0
    lost_s: float = 130.0
    look_every_s: float = 0.5


class ChannelOwner(Protocol):
    """Who a channel subscribes for."""

    def topics(self) -> Sequence[Topic]:
        """Return what is wanted now."""
        ...

    def on_refused(self, topic: Topic, words: str) -> None:
        """Note that the venue does not take a subscription; it should not be wanted any more."""
        ...

    def on_quiet(self, topics: Collection[Topic], for_s: float) -> None:
        """Note which subscriptions have become silent."""
        ...

    def on_held(self, count: int) -> None:
        """Note how many subscriptions there are."""
        ...


class TopicChannel:
    """The subscriptions of one connection (`app.venues.link.Channel`)."""

    def __init__(self, owner: ChannelOwner, messages: RateLimit, clock: Clock, times: ChannelTimes) -> None:
        self.ready = False
        self.shutdown_announced = False
        self._owner = owner
        self._messages = messages
        self._clock = clock
        self._times = times
        self._heartbeat = Heartbeat(protocol.PING, times.ping_every_s, times.pong_within_s)
        self._send: Send | None = None
        self._held: dict[Key, Topic] = {}
        self._pending: dict[Key, Topic] = {}
        self._heard_s: dict[Key, float] = {}
        self._begun_s: dict[Key, float] = {}
        self._renewed_s: dict[Key, float] = {}
        self._quiet: set[Key] = set()
        self._to_renew: set[Key] = set()
        self._changed = True
        self._answered = asyncio.Event()
        self._confirmed = False
        self._has_data = False
        self._said = ""

    def change(self) -> None:
        """Note that something else is wanted now."""
        self._changed = True
        self._answered.set()

    def renew(self, topic: Topic) -> None:
        """Ask for a subscription anew when it is not alive: the venue then sends its present state."""
        key = topic.key
        if key in self._held and key not in self._pending and self._now_s() - self._since_s(key) > _RECENT_S:
            self._to_renew.add(key)

    # -- Channel -------------------------------------------------------------------------------------------------

    async def begin(self, send: Send) -> Tend:
        """Subscribe to what is wanted; return once each subscription is answered. Raises LinkLost."""
        self._send = send
        while self._changed or self._pending:
            if self._changed:
                await self._follow()
            if self._pending and not self._changed:
                self._answered.clear()
                await self._answered.wait()
        if not self._held and self._said:
            raise LinkLost(f"the venue refused every subscription: {self._said}", _REFUSED_PAUSE_S)
        self._confirmed = True
        self.ready = self._has_data or not self._held
        return self._tend

    def inspect(self, raw: bytes) -> None:
        """See a frame: note what it is about, settle answers."""
        frame = protocol.peek(raw)
        if frame is None:
            return
        if frame.method is not None:
            if frame.method == "subscribe":
                self._settle((frame.channel, frame.coin))
        elif frame.channel == "pong":
            self._heartbeat.on_pong()
        elif frame.channel == "error":
            self._on_error(frame.words)
        elif frame.channel in protocol.DATA_CHANNELS:
            self._heard_s[frame.channel, frame.coin] = self._now_s()
            self._has_data = True
            self.ready = self._confirmed

    def silence(self, now_s: float) -> str | None:
        """Return what is wrong when nothing that speaks often has done so for long, renewals notwithstanding."""
        often = [key for key in self._held if key[0] in _SPEAKS_OFTEN]
        if not self._confirmed or not often:
            return None
        silent_s = now_s - max(self._since_s(key) for key in often)
        if silent_s < self._times.lost_s:
            return None
        return f"pings are answered, but no data came for {silent_s:.0f} s"

    # -- subscribing ---------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Ask for what is wanted and not held, and the other way round."""
        self._changed = False
        wanted = {topic.key: topic for topic in self._owner.topics()}
        for key in [key for key in self._held if key not in wanted]:
            await self._ask("unsubscribe", self._held.pop(key))
            del self._begun_s[key]
        for key, topic in wanted.items():
            if key not in self._held:
                await self._subscribe(topic)
        self._owner.on_held(len(self._held))

    async def _subscribe(self, topic: Topic) -> None:
        self._held[topic.key] = self._pending[topic.key] = topic
        self._renewed_s[topic.key] = now_s = self._now_s()
        self._begun_s.setdefault(topic.key, now_s)
        await self._ask("subscribe", topic)

    async def _ask(self, method: str, topic: Topic) -> None:
        assert self._send is not None
        await wait_turn(self._messages, self._now_s)
        await self._send(topic.request(method))

    def _settle(self, key: Key) -> None:
        if self._pending.pop(key, None) is not None:
            self._answered.set()

    def _on_error(self, words: str) -> None:
        """Find out which subscription an error is about; `Already subscribed` is as good as a confirmation."""
        if words.startswith("Already unsubscribed"):
            return
        self._said = words
        topic = self._meant_by(words)
        if topic is None:
            return
        self._settle(topic.key)
        if not words.startswith("Already subscribed"):
            self._held.pop(topic.key, None)
            self._changed = True
            self._owner.on_refused(topic, words)

    def _meant_by(self, words: str) -> Topic | None:
        """Return the subscription that a text names, else the oldest without an answer: answers come in order."""
        squeezed = words.replace(" ", "")
        for topic in self._pending.values():
            named = topic.coin is None or f'"coin":"{topic.coin}"' in squeezed
            if named and f'"type":"{topic.type}"' in squeezed:
                return topic
        return next(iter(self._pending.values()), None)

    # -- tending -------------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Ping, follow what is wanted, renew what is silent, for as long as the connection lives. Raises LinkLost."""
        assert self._send is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heartbeat.run(self._send), name="hyperliquid heartbeat")
                group.create_task(self._keep_following(), name="hyperliquid subscriptions")
        except* LinkLost as lost:
            failure = lost.exceptions[0]
        else:
            return
        raise failure

    async def _keep_following(self) -> None:
        while True:
            await asyncio.sleep(self._times.look_every_s)
            if self._changed:
                await self._follow()
            self._look_for_silence()
            while self._to_renew:
                topic = self._held.get(self._to_renew.pop())
                if topic is not None:
                    await self._ask("unsubscribe", topic)
                    await self._subscribe(topic)

    def _look_for_silence(self) -> None:
        now_s, times = self._now_s(), self._times
        quiet = set()
        for key in self._held:
            if key[0] not in _SPEAKS_OFTEN:
                continue
            if now_s - max(self._heard_s.get(key, 0.0), self._renewed_s[key]) >= times.renew_s:
                self._to_renew.add(key)
            if now_s - self._since_s(key) >= times.quiet_s:
                quiet.add(key)
        if quiet - self._quiet:
            self._owner.on_quiet([self._held[key] for key in sorted(quiet, key=str)], times.quiet_s)
        self._quiet = quiet

    def _since_s(self, key: Key) -> float:
        """Return when a subscription last brought something, or was first asked for."""
        return max(self._heard_s.get(key, 0.0), self._begun_s[key])

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
