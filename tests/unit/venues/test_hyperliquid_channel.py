"""The subscriptions of one Hyperliquid connection: what confirms them, what refuses them, what keeps them alive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import pytest

from app.domain.units import NS_PER_S
from app.venues.explain import LinkLost
from app.venues.hyperliquid.channel import ChannelTimes, TopicChannel
from app.venues.hyperliquid.protocol import Topic
from app.venues.limiter import RateLimit

BTC, ETH, MIDS = Topic("l2Book", "BTC", 3), Topic("l2Book", "ETH", 3), Topic("allMids")
DATA = {BTC: {"coin": "BTC", "time": 1, "levels": [[], []]}, MIDS: {"mids": {}}}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_ns(self) -> int:
        return int(self.now_s * NS_PER_S)

    def wall_ns(self) -> int:
        return self.monotonic_ns()


class Client:
    """A channel, its owner, and the venue at the other end, played by the test."""

    def __init__(self, *topics: Topic, times: ChannelTimes | None = None) -> None:
        self.wanted = list(topics)
        self.refused: list[tuple[Topic, str]] = []
        self.quiet: list[list[Topic]] = []
        self.held = -1
        self.sent: list[tuple[str, str, str | None]] = []
        self.clock = Clock()
        times = times or ChannelTimes(look_every_s=0.001)
        self.channel = TopicChannel(self, RateLimit(1000, 60.0), self.clock, times)

    def topics(self) -> Sequence[Topic]:
        return list(self.wanted)

    def on_refused(self, topic: Topic, words: str) -> None:
        self.refused.append((topic, words))
        self.wanted.remove(topic)

    def on_quiet(self, topics: Collection[Topic], for_s: float) -> None:
        self.quiet.append(list(topics))

    def on_held(self, count: int) -> None:
        self.held = count

    async def send(self, text: str) -> None:
        frame = json.loads(text)
        if "subscription" in frame:
            wanted = frame["subscription"]
            self.sent.append((frame["method"], wanted["type"], wanted.get("coin")))

    def say(self, channel: str, data: object) -> None:
        self.channel.inspect(json.dumps({"channel": channel, "data": data}).encode())

    def confirm(self, *topics: Topic, method: str = "subscribe") -> None:
        for topic in topics:
            wanted = {"type": topic.type, "coin": topic.coin, "nSigFigs": topic.figures}
            self.say("subscriptionResponse", {"method": method, "subscription": wanted})

    def bring(self, topic: Topic) -> None:
        self.say(topic.type, DATA[topic])

    async def rest(self) -> None:
        """Let the channel do what it can do now."""
        for _ in range(20):
            await asyncio.sleep(0.001)

    @asynccontextmanager
    async def beginning(self) -> AsyncIterator[asyncio.Task[object]]:
        """Subscribe, and tend once that is confirmed."""

        async def live() -> None:
            await (await self.channel.begin(self.send))()

        task: asyncio.Task[object] = asyncio.create_task(live())
        try:
            await self.rest()
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_is_ready_when_every_subscription_is_answered_and_data_came() -> None:
    client = Client(BTC, MIDS)
    async with client.beginning():
        assert client.sent == [("subscribe", "l2Book", "BTC"), ("subscribe", "allMids", None)]
        client.channel.inspect(b"Websocket connection established.")
        client.bring(BTC)
        client.confirm(BTC)
        await client.rest()
        assert not client.channel.ready
        client.confirm(MIDS)
        await client.rest()
        assert client.channel.ready
    late = Client(BTC)
    async with late.beginning():
        late.confirm(BTC)
        late.say("pong", None)
        late.say("somethingNew", {})
        await late.rest()
        assert not late.channel.ready
        late.bring(BTC)
        assert late.channel.ready
    assert late.held == 1


async def test_a_refusal_is_told_by_its_words_and_the_rest_goes_on() -> None:
    client = Client(BTC, ETH, MIDS)
    async with client.beginning():
        client.confirm(BTC)
        client.say("error", 'Error parsing JSON into valid websocket request: {"subscription": {"type": "allMids"}}')
        client.say("error", "Already subscribed: " + '{"type":"l2Book","coin":"ETH"}')
        client.bring(BTC)
        await client.rest()
        assert [topic for topic, _ in client.refused] == [MIDS]
        assert client.channel.ready
        assert client.held == 2


async def test_an_error_that_names_nothing_is_about_the_oldest_open_question() -> None:
    client = Client(BTC, ETH)
    async with client.beginning():
        client.say("error", "Cannot track more than 1000 subscriptions.")
        client.confirm(ETH)
        client.bring(BTC)
        await client.rest()
        assert client.refused == [(BTC, "Cannot track more than 1000 subscriptions.")]
        assert client.channel.ready
        client.say("error", "about nothing that is open")
        assert len(client.refused) == 1


async def test_a_connection_on_which_everything_is_refused_is_given_up() -> None:
    client = Client(BTC)
    async with client.beginning() as task:
        client.say("error", "Invalid subscription")
        await client.rest()
        with pytest.raises(LinkLost, match="refused every subscription: Invalid subscription"):
            await task


async def test_a_subscription_that_was_gone_already_is_no_refusal() -> None:
    client = Client(BTC, times=ChannelTimes(look_every_s=0.001, renew_s=5.0))
    async with client.beginning():
        client.confirm(BTC)
        client.bring(BTC)
        await client.rest()
        client.clock.now_s += 6.0
        await client.rest()
        assert client.sent[1:] == [("unsubscribe", "l2Book", "BTC"), ("subscribe", "l2Book", "BTC")]
        client.say("error", 'Already unsubscribed: {"type":"l2Book","coin":"BTC"}')
        client.confirm(BTC)
        await client.rest()
        assert client.refused == []
        assert client.sent[3:] == []


async def test_what_is_wanted_later_is_followed() -> None:
    client = Client(BTC, MIDS)
    async with client.beginning():
        client.confirm(BTC, MIDS)
        await client.rest()
        client.wanted = [BTC, ETH]
        await client.rest()
        assert len(client.sent) == 2
        client.channel.change()
        await client.rest()
        assert client.sent[2:] == [("unsubscribe", "allMids", None), ("subscribe", "l2Book", "ETH")]
        assert client.held == 2
        client.confirm(MIDS, method="unsubscribe")
        client.say("error", 'Invalid subscription {"type":"l2Book","coin":"ETH"}')
        await client.rest()
        assert [topic for topic, _ in client.refused] == [ETH]
        assert client.held == 1


async def test_silence_is_told_once_then_renewed_then_given_up() -> None:
    trades = Topic("trades", "BTC")
    client = Client(BTC, MIDS, trades)
    async with client.beginning():
        client.confirm(BTC, MIDS, trades)
        client.bring(BTC)
        client.bring(MIDS)
        client.clock.now_s += 9.9
        await client.rest()
        assert client.quiet == []
        client.bring(BTC)
        client.clock.now_s += 0.2
        await client.rest()
        await client.rest()
        assert client.quiet == [[MIDS]], "trades may be rare"
        assert client.channel.silence(client.clock.now_s) is None
        client.clock.now_s += 50.0
        client.bring(BTC)
        await client.rest()
        assert client.sent[3:] == [("unsubscribe", "allMids", None), ("subscribe", "allMids", None)]
        client.confirm(MIDS)
        client.clock.now_s += 130.0
        assert "no data came for 130 s" in str(client.channel.silence(client.clock.now_s))
        client.bring(MIDS)
        assert client.channel.silence(client.clock.now_s) is None


async def test_a_snapshot_is_fetched_only_where_the_stream_is_not_alive() -> None:
    client = Client(BTC)
    async with client.beginning():
        client.channel.renew(BTC)
        client.confirm(BTC)
        client.bring(BTC)
        client.clock.now_s += 1.0
        client.channel.renew(BTC)
        client.channel.renew(ETH)
        await client.rest()
        assert len(client.sent) == 1
        client.clock.now_s += 1.0
        client.channel.renew(BTC)
        client.channel.renew(BTC)
        await client.rest()
        assert client.sent[1:] == [("unsubscribe", "l2Book", "BTC"), ("subscribe", "l2Book", "BTC")]


async def test_a_connection_without_any_wish_is_ready_at_once() -> None:
    client = Client()
    async with client.beginning():
        assert client.channel.ready
        assert client.channel.silence(client.clock.now_s + 10_000) is None
