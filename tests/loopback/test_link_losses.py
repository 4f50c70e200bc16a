"""A link over real sockets: whatever ends a connection, the link says why and comes back."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from stream_server import Diary, FreezingProxy, StreamServer, until
from websockets.asyncio.server import ServerConnection, serve

from app.domain.clock import SystemClock
from app.domain.errors import FatalFeedError
from app.domain.health import LinkHealth, LinkState
from app.domain.ids import FeedId, Market, Venue
from app.venues.backoff import BackoffPolicy
from app.venues.connection import is_loopback, verifying_context
from app.venues.limiter import RateLimit
from app.venues.link import Link, LinkOptions

QUICK = LinkOptions(
    open_timeout_s=1.0,
    ping_interval_s=0.2,
    ping_timeout_s=5.0,
    close_timeout_s=0.2,
    stale_after_s=0.4,
    subscribe_timeout_s=0.4,
    tick_s=0.02,
    overlap_s=0.1,
    replace_timeout_s=0.3,
    backoff=BackoffPolicy(first_s=0.01, cap_s=0.05),
)


class JumpingClock(SystemClock):
    """The machine's clock, moved by a test."""

    __slots__ = ("jump_ns",)

    def __init__(self) -> None:
        self.jump_ns = 0
        super().__init__()

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.jump_ns


class Running:
    """A link with its diary and health."""

    def __init__(self, url: str, options: LinkOptions) -> None:
        self.diary = Diary()
        self.health = LinkHealth(name="spot 1", feed=FeedId(Venue.BINANCE, Market.BINANCE_SPOT))
        self.clock = JumpingClock()
        self.link = Link(url, self.diary, self.health, self.clock, options, RateLimit(300, 300.0))
        self.task = asyncio.create_task(self.link.run())

    async def live(self, frames: int = 1) -> None:
        """Return when the link is live and has delivered so many more frames."""
        wanted = len(self.diary.numbers) + frames
        await until(lambda: self.link.is_live and len(self.diary.numbers) >= wanted)

    async def troubled(self, times: int = 1) -> str:
        """Return the sentence of the newest trouble once there were so many."""
        await until(lambda: len(self.diary.troubles) >= times)
        return self.diary.troubles[-1][0]


@asynccontextmanager
async def link_to(url: str, options: LinkOptions = QUICK) -> AsyncIterator[Running]:
    """Run a link; cancel it at the end and see that nothing of it is left."""
    before = asyncio.all_tasks()
    running = Running(url, options)
    try:
        yield running
    finally:
        running.task.cancel()
        await asyncio.wait((running.task,))
        await asyncio.sleep(0.01)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before}  # type: ignore[union-attr]
        assert not {name for name in names if name.startswith(("Link", "Connection"))}
        assert running.health.state is LinkState.STOPPED


@pytest.fixture
async def server() -> AsyncIterator[StreamServer]:
    async with StreamServer().running() as server:
        yield server


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


async def test_data_is_announced_before_its_first_frame_and_counted(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live(10)
        assert run.diary.entries == ["up", "frames"]
        assert run.diary.numbers == list(range(run.diary.numbers[0], run.diary.numbers[-1] + 1))
        health = run.health
        assert (health.state, health.reason, health.reconnects, health.url) == (LinkState.LIVE, "", 0, server.url)
        assert health.frames == len(run.diary.numbers) + 1  # and the answer to the subscription
        assert health.bytes > health.frames
        assert health.connected_ns is not None
        assert health.last_frame_ns is not None
    assert run.diary.downs == ["stopped"]


@pytest.mark.parametrize(
    ("code", "sentence", "wait_s"),
    [
        (1001, "the venue closed the connection (1001: its server goes away)", 0.0),
        (1008, "the venue closed the connection (1008): against its rules, such as too many messages", 0.0),
        (4000, "the venue closed the connection (code 4000)", 0.0),
        (1012, "the venue is restarting (1012)", 2.0),
        (1013, "the venue is overloaded and asks to come back later (1013)", 2.0),
    ],
)
async def test_a_close_by_the_venue_is_told_and_the_link_comes_back(
    server: StreamServer, code: int, sentence: str, wait_s: float
) -> None:
    async with link_to(server.url) as run:
        await run.live()
        await server.close_all(code)
        assert await run.troubled() == sentence
        assert run.diary.downs == [sentence]
        assert run.diary.troubles[0][1] == wait_s
        if not wait_s:
            await run.live()
            assert run.diary.entries[-2:] == ["up", "frames"]
            assert run.health.reconnects == 1
        else:
            assert (run.health.state, run.health.reason) == (LinkState.BACKOFF, sentence)
            assert run.health.retry_at_ns is not None


async def test_a_feed_that_stalls_but_answers_pings_is_given_up(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        server.sends_data = False
        assert "although the connection looks open" in await run.troubled()
        server.sends_data = True
        await run.live()
        assert len(run.diary.downs) == 1


async def test_a_half_open_connection_is_given_up_without_waiting_for_the_peer(server: StreamServer) -> None:
    async with (
        FreezingProxy(port_of(server.url)).running() as proxy,
        link_to(f"ws://127.0.0.1:{proxy.port}/stream") as run,
    ):
        await run.live()
        proxy.freeze()
        assert "no data for" in await run.troubled()
        assert await run.troubled(2) == f"127.0.0.1:{proxy.port} did not answer within 1 s"
        proxy.thaw()
        await run.live()


async def test_a_link_to_a_frozen_peer_is_cancelled_in_time(server: StreamServer) -> None:
    async with FreezingProxy(port_of(server.url)).running() as proxy:
        async with asyncio.timeout(10):
            async with link_to(f"ws://127.0.0.1:{proxy.port}/stream", replace(QUICK, stale_after_s=60.0)) as run:
                await run.live()
                proxy.freeze()
        assert run.task.cancelled()


async def test_a_link_cancelled_while_it_gives_a_connection_up_leaves_nothing_behind(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        server.sends_data = False
        while run.health.state is not LinkState.STALE:  # noqa: ASYNC110 - the very next step matters, no event says it
            await asyncio.sleep(0)
        run.task.cancel()


async def test_a_confirmed_subscription_without_data_never_counts_as_up(server: StreamServer) -> None:
    server.gives_data_to_new = False
    async with link_to(server.url) as run:
        assert "the subscription was confirmed but nothing came" in await run.troubled(2)
        assert run.diary.entries == []
        server.gives_data_to_new = True
        await run.live()


async def test_a_subscription_that_is_not_confirmed_is_given_up(server: StreamServer) -> None:
    server.acknowledges = False
    async with link_to(server.url) as run:
        assert await run.troubled() == "the venue did not confirm the subscription within 0.4 s"


async def test_a_channel_ends_a_connection_at_once_or_at_the_next_look(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        await server.say("give up")
        assert await run.troubled() == "the channel gave up"
        await run.live()
        run.diary.channels[-1].useless = "no depth updates"
        assert await run.troubled(2) == "no depth updates"


async def test_an_oversized_frame_ends_the_connection_not_the_link(server: StreamServer) -> None:
    async with link_to(server.url, replace(QUICK, max_size=64 * 1024)) as run:
        await run.live()
        await server.say("x" * 65 * 1024)
        assert await run.troubled() == "a message larger than 64 kB was refused (1009)"
        await run.live()


async def test_single_bad_frames_are_counted_and_many_at_once_end_the_connection(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        for _ in range(99):
            await server.say("garbage")
        await until(lambda: run.health.bad_frames == 99)
        await run.live()
        assert run.diary.troubles == []
        await server.say('{"data":[]}')
        assert await run.troubled() == "100 unreadable frames within 10 s"
        await run.live()


async def test_a_flood_before_the_answer_does_not_fill_the_memory(
    server: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.venues.connection._MAX_HELD_BYTES", 2000)
    server.acknowledges = False
    async with link_to(server.url, replace(QUICK, subscribe_timeout_s=30.0)) as run:
        await until(lambda: bool(server.connections()))
        server.clients = server.connections()
        assert await run.troubled() == "too much data arrived before the streams were confirmed"


async def test_nothing_listens_there_or_the_name_is_unknown() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with link_to(f"ws://127.0.0.1:{port}/stream") as run:
            assert await run.troubled(2) == f"nothing accepts connections at 127.0.0.1:{port} (refused)"
            assert run.diary.entries == []
    async with link_to("ws://no-such-host.invalid:1/stream", replace(QUICK, open_timeout_s=10.0)) as run:
        assert await run.troubled() == "the name no-such-host.invalid cannot be resolved: is the network up?"


async def test_a_server_without_encryption_is_not_accepted_as_a_secure_one() -> None:
    async def answer_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer_in_clear, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        async with link_to(f"wss://127.0.0.1:{port}/stream") as run:
            assert f"no encrypted connection to 127.0.0.1:{port}" in await run.troubled()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    make = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    maker = await asyncio.create_subprocess_exec(
        *make.split(), "-keyout", key, "-out", certificate, stderr=asyncio.subprocess.DEVNULL
    )
    assert await maker.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def never(_client: ServerConnection) -> None:
        raise AssertionError("a client went through the handshake")

    async with serve(never, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with link_to(f"wss://127.0.0.1:{port}/stream") as run:
            assert f"the certificate of 127.0.0.1:{port} is not trusted: self" in await run.troubled()


def test_secure_connections_check_certificate_and_host_name() -> None:
    context = verifying_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("status", "sentence", "wait_s"),
    [
        (503, "is not available now (HTTP 503): maintenance or overload", 2.0),
        (403, "refuses this address (HTTP 403)", 0.0),
        (429, "asks to slow down (HTTP 429)", 7.0),
        (418, "has banned this address for a while (HTTP 418)", 7.0),
        (404, "does not know the path asked for (HTTP 404)", 0.0),
    ],
)
async def test_a_refused_handshake_is_told_and_its_retry_after_obeyed(
    server: StreamServer, status: int, sentence: str, wait_s: float
) -> None:
    server.refusal = (status, {"Retry-After": "7"} if status in (418, 429) else {})
    async with link_to(server.url) as run:
        assert sentence in await run.troubled()
        assert run.diary.troubles[0][1] == wait_s


async def test_an_address_that_is_none_stops_the_link() -> None:
    for url in ("http://127.0.0.1:1/", "wss://", "nonsense"):
        run = Running(url, QUICK)
        with pytest.raises(FatalFeedError, match="expected an address that begins with ws:// or wss://"):
            await run.task
        assert run.health.state is LinkState.STOPPED


async def test_after_sleep_the_connection_is_made_anew(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        run.clock.jump_ns += 60 * 10**9
        assert "by 60 s" in await run.troubled()
        await run.live()


async def test_what_stands_in_for_the_streams_is_shown_until_they_are_back(server: StreamServer) -> None:
    server.gives_data_to_new = False
    async with link_to(server.url) as run:
        await run.troubled()
        run.link.set_cover("polling REST every 8 s")
        await run.troubled(2)
        assert (run.health.state, run.health.reason) == (LinkState.POLLING, "polling REST every 8 s")
        server.gives_data_to_new = True
        await run.live()
        assert run.health.state is LinkState.LIVE
        run.link.set_cover(None)
        assert run.health.state is LinkState.LIVE


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("example.org", False), ("", False)],
)
def test_only_this_computer_is_reached_without_a_proxy(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
