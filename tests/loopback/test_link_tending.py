"""What a channel does on its connection after it has subscribed: pings of the venue's own, and the end it may bring."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from stream_server import Diary, NumberChannel, StreamServer, until
from test_link_losses import QUICK, link_to

from app.venues import heartbeat, link
from app.venues.explain import LinkLost
from app.venues.heartbeat import Heartbeat


class PingingChannel(NumberChannel):
    """Pings every 20 ms; an answer is any frame with a result, as the server sends to every message."""

    def __init__(self) -> None:
        super().__init__()
        self.pulse = Heartbeat("ping", every_s=0.02, patience_s=0.1)
        self.pongs = 0

    async def begin(self, send: link.Send) -> link.Tend:
        await super().begin(send)
        return lambda: self.pulse.run(send)

    def inspect(self, raw: bytes) -> None:
        super().inspect(raw)
        if b'"result"' in raw:
            self.pongs += 1
            self.pulse.on_pong()


class PingingDiary(Diary):
    def new_channel(self) -> NumberChannel:
        self.channels.append(PingingChannel())
        return self.channels[-1]


@pytest.fixture
async def server() -> AsyncIterator[StreamServer]:
    async with StreamServer().running() as server:
        yield server


@pytest.fixture(autouse=True)
def _pinging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_link_losses.Diary", PingingDiary)


async def test_answered_pings_keep_the_link_and_its_task_ends_with_it(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        channel = run.diary.channels[0]
        assert isinstance(channel, PingingChannel)
        await until(lambda: channel.pongs >= 5)
        assert run.diary.troubles == []
        assert run.link.is_live


async def test_a_ping_without_an_answer_ends_the_connection_although_data_flows(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        server.acknowledges = False
        assert await run.troubled() == "the venue did not answer its own kind of ping within 0.1 s"
        server.acknowledges = True
        await run.live()
        assert run.diary.downs == ["the venue did not answer its own kind of ping within 0.1 s"]


async def test_what_a_channel_runs_may_end_the_connection(
    server: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up(_self: Heartbeat, _send: link.Send) -> None:
        raise LinkLost("enough")

    monkeypatch.setattr(heartbeat.Heartbeat, "run", give_up)
    async with link_to(server.url, QUICK) as run:
        assert await run.troubled() == "enough"
