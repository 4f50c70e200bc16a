"""Ticks through a real Redis server: started, killed, frozen and started again by the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from redis.asyncio import Redis
from servers import RedisServer

from app.domain.errors import StorageError
from app.domain.ids import Market
from app.indicators.aggregate import aggregate
from app.indicators.groups import Group, membership
from app.storage.rows import GroupTick, TickBatch
from app.storage.tick_messages import last_key, tick_key
from app.storage.ticks_redis import SPAN_MS, RedisTickSink
from app.storage.ticks_redis_reader import RedisTickReader

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NOW_MS = 1_700_000_000_000
BTC = tick_key("BTCUSDT", Market.BINANCE_USDM)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


def batch(ts_ms: int, symbols: tuple[str, ...] = SYMBOLS) -> TickBatch:
    rng = np.random.default_rng(ts_ms)
    k = len(symbols)
    return TickBatch(
        ts_ms=ts_ms,
        market=Market.BINANCE_USDM,
        rows=np.arange(k),
        symbols=symbols,
        best=np.array([[1.0, 2.0], [np.nan, 3.0]])[:k],
        usd=rng.uniform(1, 1e9, (k, 2, 7)),
        coins=rng.uniform(1, 1e6, (k, 2, 7)),
        coverage=np.array([[[2] * 7, [2] * 6 + [1]], [[2] * 7, [0] * 7]], np.uint8)[:k],
        unconfirmed=np.full((k, 2, 7), 0.25),
        last_update_id=np.array([7, 8])[:k],
    )


def groups(ts_ms: int) -> GroupTick:
    members = membership(["BTC", "ETH"])
    usd, coverage = np.ones((2, 2, 7)), np.full((2, 2, 7), 2, np.uint8)
    depth = aggregate(members, usd, coverage, np.zeros((2, 2, 7)), np.ones(2))
    return GroupTick(ts_ms=ts_ms, market=Market.BINANCE_USDM, depth=depth)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 # what is awaited is a plain counter
            await asyncio.sleep(0.01)


async def answered(question: Callable[[], Awaitable[object]], expected: object) -> None:
    """Ask until the answer is the expected one."""
    async with asyncio.timeout(30):
        while await question() != expected:  # noqa: ASYNC110 # the server is asked
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_ticks_come_back_trimmed_and_expiring_and_equal_ones_do_not_collapse(server: RedisServer) -> None:
    sink, reader = RedisTickSink(server.url), RedisTickReader(server.url)
    async with running(sink.run()):
        sink.put(batch(NOW_MS - SPAN_MS - 5_000))
        await until(lambda: sink.health.written == 2)
        sink.put(batch(NOW_MS))
        sink.put(batch(NOW_MS))
        sink.put(batch(NOW_MS + 200, ("BTCUSDT",)))
        sink.put_groups(groups(NOW_MS))
        await until(lambda: sink.health.written == 7)
    window = await reader.window(Market.BINANCE_USDM, "BTCUSDT")
    assert window is not None
    assert window.ts_ms.tolist() == [NOW_MS, NOW_MS, NOW_MS + 200], "what is older than two minutes is trimmed"
    sent = batch(NOW_MS)
    for name in ("best", "usd", "coins", "coverage", "unconfirmed"):
        np.testing.assert_array_equal(getattr(window, name)[0], getattr(sent, name)[0])
    later = await reader.coin_window(Market.BINANCE_USDM, "BTCUSDT", NOW_MS + 1)
    assert later.ts_ms.tolist() == [NOW_MS + 200]
    group = await reader.group_window(Market.BINANCE_USDM, Group.TOTAL)
    assert group.usd[0, 0].tolist() == [2.0] * 7
    assert (group.total, group.included.tolist()) == (2, [2])
    assert await reader.window(Market.BINANCE_SPOT, "BTCUSDT") is None
    async with Redis.from_url(server.url) as client:
        assert 0 < await client.ttl(BTC) <= 120
        assert await client.ttl(last_key("BTCUSDT", Market.BINANCE_USDM)) == -1
    await reader.close()


async def test_a_quiet_symbol_keeps_its_last_book(server: RedisServer) -> None:
    sink, reader = RedisTickSink(server.url), RedisTickReader(server.url)
    async with running(sink.run()):
        sink.put(batch(NOW_MS))
        await until(lambda: sink.health.written == 2)
    async with Redis.from_url(server.url) as client:
        await client.pexpire(tick_key("ETHUSDT", Market.BINANCE_USDM), 1)
        await answered(lambda: client.exists(tick_key("ETHUSDT", Market.BINANCE_USDM)), 0)
    window = await reader.window(Market.BINANCE_USDM, "ETHUSDT")
    assert window is not None
    assert window.ts_ms.size == 0
    last = await reader.last(Market.BINANCE_USDM, "ETHUSDT")
    assert last is not None
    assert last.ts_ms.tolist() == [NOW_MS]
    np.testing.assert_array_equal(last.best, [[np.nan, 3.0]])
    await reader.close()


async def test_every_channel_carries_its_messages_and_is_subscribed_once(server: RedisServer) -> None:
    sink, reader = RedisTickSink(server.url), RedisTickReader(server.url)
    heard: list[tuple[str, dict[str, object]]] = []

    def hear(channel: str, body: bytes) -> None:
        heard.append((channel, msgspec.json.decode(body)))

    async with running(reader.run()), running(sink.run()), Redis.from_url(server.url) as client:
        leave_first = await reader.follow(BTC, hear)
        leave_second = await reader.follow(BTC, hear)
        for channel in ("ticks", "snapshots", "indicators"):
            await reader.follow(channel, hear)
        for channel in (BTC, "ticks", "snapshots", "indicators"):
            await answered(lambda channel=channel: client.pubsub_numsub(channel), [(channel.encode(), 1)])
        sink.put(batch(NOW_MS))
        sink.put_groups(groups(NOW_MS))
        await until(lambda: len(heard) == 2 + 2 + 1 + 5)
        ticks = [body for channel, body in heard if channel == "ticks"]
        assert [(body["symbol"], body["marketType"], body["u"]) for body in ticks] == [
            ("BTCUSDT", "FUTURES", 7),
            ("ETHUSDT", "FUTURES", 8),
        ]
        assert ticks[0]["coverage"] == ["EEEEEEE", "EEEEEEP"]
        assert [body for channel, body in heard if channel == BTC] == [ticks[0], ticks[0]]
        (snapshot,) = (body for channel, body in heard if channel == "snapshots")
        assert snapshot == {"marketType": "FUTURES", "time": NOW_MS, "ticks": ticks}
        assert [body["category"] for channel, body in heard if channel == "indicators"] == [g.value for g in Group]
        await leave_first()
        await leave_first()
        assert await client.pubsub_numsub(BTC) == [(BTC.encode(), 1)], "one still follows"
        await leave_second()
        await answered(lambda: client.pubsub_numsub(BTC), [(BTC.encode(), 0)])
    await reader.close()


async def test_a_redis_that_dies_and_returns_gets_and_gives_ticks_again(server: RedisServer) -> None:
    notes: list[str | None] = []
    heard: list[bytes] = []
    sink = RedisTickSink(server.url, on_note=notes.append, backoff_s=(0.05,))
    reader = RedisTickReader(server.url, backoff_s=(0.05,))
    async with running(sink.run()), running(reader.run()):
        await reader.follow(BTC, lambda _channel, body: heard.append(body))
        sink.put(batch(NOW_MS))
        await until(lambda: sink.health.written == 2)
        server.kill()
        sink.put(batch(NOW_MS + 200))
        await until(lambda: sink.health.state == "away")
        assert notes[-1] is not None
        assert "cannot be reached" in notes[-1]
        with pytest.raises(StorageError, match="cannot be reached"):
            await reader.window(Market.BINANCE_USDM, "BTCUSDT")
        heard.clear()
        server.start()
        await until(lambda: sink.health.state == "ok" and sink.health.written >= 4)
        assert notes[-1] is None
        window = await reader.window(Market.BINANCE_USDM, "BTCUSDT")
        assert window is not None
        assert window.ts_ms.tolist()[-1] == NOW_MS + 200
        while not heard:
            sink.put(batch(NOW_MS + 400))
            await asyncio.sleep(0.05)
    await reader.close()


async def test_a_frozen_redis_never_holds_the_ticks_up(server: RedisServer) -> None:
    sink = RedisTickSink(server.url, backoff_s=(0.05,), reply_s=0.3)
    async with running(sink.run()):
        await until(lambda: sink.health.state == "ok")
        server.freeze()
        try:
            for i in range(2_500):
                sink.put(batch(NOW_MS + i))  # returns at once, whatever Redis does
            assert sink.health.dropped == 2 * 500, "the oldest are dropped and counted"
            await until(lambda: sink.health.state == "away")
            assert "does not answer" in sink.health.reason
        finally:
            server.thaw()
        await until(lambda: sink.health.state == "ok" and sink.health.written >= 4_000)


@pytest.mark.parametrize("url", ["redis://user:hunter2@127.0.0.1:1/0", "nonsense://user:hunter2@x"])
async def test_a_wrong_address_is_a_sentence_without_the_password(url: str) -> None:
    sink = RedisTickSink(url, backoff_s=(0.01,))
    sink.put(batch(NOW_MS))
    async with running(sink.run()):
        await until(lambda: sink.health.state == "away")
    assert "hunter2" not in sink.health.reason
    assert "cannot be reached" in sink.health.reason


async def test_a_foreign_member_is_a_sentence(server: RedisServer) -> None:
    reader = RedisTickReader(server.url)
    async with Redis.from_url(server.url) as client:
        await client.zadd(BTC, {b'{"time": "soon"}': NOW_MS})
    with pytest.raises(StorageError, match="expected form"):
        await reader.window(Market.BINANCE_USDM, "BTCUSDT")
    await reader.close()
    with pytest.raises(StorageError, match="cannot be used"):
        RedisTickReader("nonsense://x")
