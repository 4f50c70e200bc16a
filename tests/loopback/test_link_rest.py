"""REST over real sockets: whatever the venue answers becomes a count and a sentence, and bans are obeyed."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from http_server import HttpServer, MovedClock, Reply
from stream_server import until

from app.domain.errors import FatalFeedError
from app.domain.health import FeedHealth, LinkState
from app.domain.ids import FeedId, Market, Venue
from app.domain.units import NS_PER_S
from app.venues.backoff import BackoffPolicy
from app.venues.bans import BanStore
from app.venues.rest import HostStoppedError, RequestRefusedError, RestClient, RestError, UnknownSymbolError


class Desk:
    """A client with its clock and counters."""

    def __init__(self, url: str, bans_file: Path | None = None, timeout_s: float = 5.0) -> None:
        self.clock = MovedClock()
        self.health = FeedHealth(feed=FeedId(Venue.BINANCE, Market.BINANCE_SPOT))
        self.bans = BanStore(bans_file)
        self.bans.load()
        self.client = RestClient(
            url,
            self.health,
            self.clock,
            self.bans,
            weight_limit=6000,
            timeout_s=timeout_s,
            backoff=BackoffPolicy(first_s=40.0, cap_s=40.0),
        )

    async def fails(self, path: str = "/x", weight: int = 1) -> RestError:
        """Return how a request failed."""
        with pytest.raises(RestError) as caught:
            await self.client.send(path, weight)
        return caught.value


@asynccontextmanager
async def desk_at(url: str, bans_file: Path | None = None, timeout_s: float = 5.0) -> AsyncIterator[Desk]:
    desk = Desk(url, bans_file, timeout_s)
    try:
        yield desk
    finally:
        await desk.client.close()


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer().running() as server:
        yield server


async def test_an_answer_comes_as_it_was_sent_and_is_counted(server: HttpServer) -> None:
    body = b'{"lastUpdateId":1,"bids":[],"asks":[]}'
    server.answer = lambda _path: Reply(200, body, {"X-MBX-USED-WEIGHT-1M": "77"})
    async with desk_at(server.url) as desk:
        assert await desk.client.send("/api/v3/depth?symbol=BTCUSDT&limit=500", 25) == body
        health = desk.health
        assert (health.rest_requests, health.rest_errors, health.rest_state) == (1, 0, LinkState.LIVE)
        assert (health.rest_weight_used, health.rest_weight_limit) == (77, 6000)
    assert server.paths == ["/api/v3/depth?symbol=BTCUSDT&limit=500"]
    assert server.agents[0].startswith("Fathom/")


async def test_compressed_answers_are_unpacked(server: HttpServer) -> None:
    server.answer = lambda _path: Reply(200, gzip.compress(b'{"a":1}'), {"Content-Encoding": "gzip"})
    async with desk_at(server.url) as desk:
        assert await desk.client.send("/x", 1) == b'{"a":1}'


async def test_429_stops_every_request_to_the_host_for_as_long_as_the_venue_says(server: HttpServer) -> None:
    server.answer = lambda _path: Reply(429, b'{"code":-1003,"msg":"slow"}', {"Retry-After": "7"})
    async with desk_at(server.url) as desk:
        error = await desk.fails()
        assert (error.status, str(error)) == (429, f"{desk.client.host} asks to slow down (HTTP 429)")
        assert desk.health.rest_state is LinkState.BACKOFF
        assert isinstance(await desk.fails("/other"), HostStoppedError)
        assert 6.0 < desk.client.wait_s(1, 1.0) <= 7.25
        assert len(server.paths) == 1
        server.answer = lambda _path: Reply()
        desk.clock.move_s(7.3)
        assert await desk.client.send("/x", 1) == b"{}"
        assert (desk.health.rest_state, desk.health.rest_reason) == (LinkState.LIVE, "")


async def test_a_ban_is_obeyed_with_zero_requests_also_after_a_restart(server: HttpServer, tmp_path: Path) -> None:
    file = tmp_path / "bans.json"
    server.answer = lambda _path: Reply(418, b"{}", {"Retry-After": "120"})
    async with desk_at(server.url, file) as desk:
        assert (await desk.fails()).status == 418
        assert desk.health.rest_state is LinkState.BANNED
        retry_at_ns = desk.health.rest_retry_at_ns
        assert retry_at_ns is not None
        assert 119 * NS_PER_S < retry_at_ns - desk.clock.wall_ns() <= 120.25 * NS_PER_S
    async with desk_at(server.url, file) as desk:
        assert desk.health.rest_state is LinkState.BANNED
        assert "banned" in desk.health.rest_reason
        assert desk.health.rest_retry_at_ns == retry_at_ns
        for _ in range(5):
            assert isinstance(await desk.fails(), HostStoppedError)
        desk.clock.move_s(60)
        assert isinstance(await desk.fails(), HostStoppedError)
        assert len(server.paths) == 1
        server.answer = lambda _path: Reply()
        desk.clock.move_s(61)
        await desk.client.send("/x", 1)
        assert desk.health.rest_state is LinkState.LIVE
    assert len(server.paths) == 2


async def test_a_ban_of_one_host_does_not_stop_another(server: HttpServer, tmp_path: Path) -> None:
    file = tmp_path / "bans.json"
    server.answer = lambda _path: Reply(418, b"{}", {"Retry-After": "120"})
    async with desk_at(server.url, file) as desk:
        await desk.fails()
    async with HttpServer().running() as other, desk_at(other.url, file) as desk:
        assert await desk.client.send("/x", 1) == b"{}"


@pytest.mark.parametrize("header", [None, "soon", "-5", "1e300", "nan"])
async def test_a_ban_without_a_usable_end_lasts_the_shortest_the_venue_gives(
    server: HttpServer, header: str | None
) -> None:
    server.answer = lambda _path: Reply(418, b"", {} if header is None else {"Retry-After": header})
    async with desk_at(server.url) as desk:
        await desk.fails()
        assert 119.0 < desk.client.stopped_s() <= 120.25


async def test_a_429_that_comes_during_a_ban_does_not_shorten_it(server: HttpServer) -> None:
    statuses = iter([(418, "120"), (429, "1")])

    def answer(_path: str) -> Reply:
        status, seconds = next(statuses)
        return Reply(status, b"", {"Retry-After": seconds})

    server.answer = answer
    async with desk_at(server.url) as desk:
        errors = await asyncio.gather(*(desk.client.send("/x", 1) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(error, RestError) for error in errors)
        assert desk.health.rest_state is LinkState.BANNED
        assert desk.client.stopped_s() > 100.0


async def test_the_unknown_symbol_is_told_from_other_refusals_and_neither_stops_the_host(server: HttpServer) -> None:
    server.answer = lambda path: (
        Reply(400, {"code": -1121, "msg": "Invalid symbol."})
        if "GONE" in path
        else Reply(400, {"code": -1100, "msg": "Illegal <b>\x00characters"})
    )
    async with desk_at(server.url) as desk:
        gone = await desk.fails("/api/v3/depth?symbol=GONEUSDT")
        assert isinstance(gone, UnknownSymbolError)
        assert str(gone) == f"{desk.client.host} refused the request: Invalid symbol."
        other = await desk.fails()
        assert isinstance(other, RequestRefusedError)
        assert not isinstance(other, UnknownSymbolError)
        assert (other.code, str(other)) == (-1100, f"{desk.client.host} refused the request: Illegal <b>characters")
        assert desk.client.stopped_s() == 0.0
        assert desk.health.rest_errors == 2


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(500, b"oops"), "is not available now (HTTP 500): maintenance or overload"),
        (Reply(503, b'{"code":-1008,"msg":"busy"}'), "is not available now (HTTP 503): maintenance or overload"),
        (Reply(302, b"", {"Location": "http://example.org/"}), "answered with HTTP 302"),
        (Reply(200, b"<html>blocked</html>"), "answered something that is not JSON; it begins '<html>blocked</html>'"),
        (Reply(200, b""), "answered something that is not JSON; it begins ''"),
        (Reply(200, b"{" + b" " * 5000, cut=True), "broke off its answer or sent one that is not HTTP"),
        (Reply(200, b"no gzip", {"Content-Encoding": "gzip"}), "broke off its answer or sent one that is not HTTP"),
    ],
)
async def test_failures_of_the_venue_pause_the_host_longer_each_time(
    server: HttpServer, reply: Reply, sentence: str
) -> None:
    server.answer = lambda _path: reply
    async with desk_at(server.url) as desk:
        assert sentence in str(await desk.fails())
        assert desk.health.rest_errors == 1
        assert sentence in desk.health.rest_reason
        assert sentence in str(await desk.fails())  # the first retry comes at once
        assert 0.0 < desk.client.stopped_s() <= 40.0
        assert isinstance(await desk.fails(), HostStoppedError)
        assert len(server.paths) == 2
        server.answer = lambda _path: Reply()
        desk.clock.move_s(41)
        await desk.client.send("/x", 1)
        assert desk.health.rest_state is LinkState.LIVE


async def test_a_firewall_s_refusal_stops_the_host_for_minutes(server: HttpServer) -> None:
    server.answer = lambda _path: Reply(403, b"<html>")
    async with desk_at(server.url) as desk:
        assert "refuses this address (HTTP 403)" in str(await desk.fails())
        assert desk.client.stopped_s() > 60.0


async def test_no_answer_a_refused_connection_and_an_unknown_name_are_told_apart(server: HttpServer) -> None:
    server.answer = lambda _path: None
    async with desk_at(server.url, timeout_s=0.2) as desk:
        assert "did not answer within 0.2 s" in str(await desk.fails())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with desk_at(f"http://127.0.0.1:{taken.getsockname()[1]}") as desk:
            assert "nothing accepts connections at 127.0.0.1:" in str(await desk.fails())
    async with desk_at("http://no-such-host.invalid") as desk:
        assert str(await desk.fails()) == "the name no-such-host.invalid cannot be resolved: is the network up?"


async def test_an_endless_answer_is_cut_off(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.venues.rest._MAX_BODY", 100_000)
    server.answer = lambda _path: Reply(200, b"[" + b"1," * 100_000)
    async with desk_at(server.url) as desk:
        await desk.fails()
        assert desk.health.rest_errors == 1


async def test_requests_wait_for_the_weight_of_the_minute(server: HttpServer) -> None:
    async with desk_at(server.url) as desk:
        minute_ms = 60_000
        desk.clock.move_s((minute_ms - desk.clock.wall_ns() / 1e6 % minute_ms) / 1e3 + 5)
        while desk.client.wait_s(250, 0.6) == 0.0:
            await desk.client.send("/x", 250)
        assert len(server.paths) == 14  # of 6000 x 0.6
        assert 50.0 < desk.client.wait_s(250, 0.6) <= 55.25
        assert desk.client.wait_s(250, 0.85) == 0.0
        waiting = asyncio.create_task(desk.client.get("/late", 250, 0.6))
        await asyncio.sleep(0.05)
        assert "/late" not in server.paths
        waiting.cancel()
        await asyncio.wait((waiting,))
        desk.clock.move_s(60)
        desk.client.refresh()
        assert desk.health.rest_weight_used == 0
        assert await desk.client.get("/late", 250, 0.6) == b"{}"


async def test_a_request_in_flight_is_cancelled_at_once_and_leaves_nothing(server: HttpServer) -> None:
    server.answer = lambda _path: None
    before = asyncio.all_tasks()
    async with desk_at(server.url) as desk:
        asking = asyncio.create_task(desk.client.send("/x", 1))
        await until(lambda: bool(server.paths))
        asking.cancel()
        await asyncio.wait((asking,))
        assert asking.cancelled()
    served = {task for task in asyncio.all_tasks() - before if "_serve_client" in str(task.get_coro())}
    assert asyncio.all_tasks() - before == served


@pytest.mark.parametrize("url", ["ws://x", "nonsense", "http://", "ftp://host"])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(FatalFeedError, match="expected a REST address beginning with http:// or https://"):
        Desk(url)


async def test_an_answer_may_begin_with_white_space(server: HttpServer) -> None:
    server.answer = lambda _path: Reply(200, b'\n {"a": 1}')
    async with desk_at(server.url) as desk:
        assert await desk.client.send("/x", 1) == b'\n {"a": 1}'
