"""Clients that take more than their share: floods, giant messages, readers that are slow or stop. The others lose
nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.server import ServerProtocol

from app.domain.ids import Market
from app.server.client import Client
from app.server.limits import SEND_BUFFER_BYTES, Admission, Limits
from app.server.target import Target
from tests.loopback.server_rig import TOKEN, ServerRig, hear, say, serving
from tests.loopback.server_stand_in import StandInData

SPOT = Market.BINANCE_SPOT
PATIENT = Limits(slow_s=60.0, backlog_bytes=50_000)
MANY = [f"C{n}USDT" for n in range(200)]


@asynccontextmanager
async def frozen(rig: ServerRig, path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect a client that completes the handshake and then never reads again, until the end of the block."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", rig.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=2048)
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{rig.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {TOKEN}",
    ]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    await reader.readuntil(b"\r\n\r\n")
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    try:
        yield reader, writer
    finally:
        transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def clients_of(rig: ServerRig) -> list[Client]:
    """Return the clients once there are any."""
    await rig.until(lambda: rig.server._pump.clients)
    return list(rig.server._pump.clients)


async def count_changes(client: ClientConnection, seen: dict[str, float], done: asyncio.Event) -> int:
    """Take in rows until told to stop; return how many frames came."""
    frames = 0
    while not done.is_set():
        heard = json.loads(await client.recv())
        if heard["type"] == "pong":
            break
        frames += 1
        seen.update({row["symbol"]: row["price"] for row in heard["data"]})
    return frames


async def test_a_frozen_reader_is_dropped_and_the_others_lose_nothing() -> None:
    data = StandInData(MANY, [SPOT])
    limits = Limits(slow_s=0.6, backlog_bytes=60_000)
    async with serving(data, limits=limits, interval_s=0.02) as rig, AsyncExitStack() as stack:
        await stack.enter_async_context(frozen(rig, "/ws/realtime/binance?limit=200"))
        (victim,) = await clients_of(rig)
        healthy = [await stack.enter_async_context(rig.client("/ws/realtime/binance?limit=200")) for _ in range(3)]
        seen: list[dict[str, float]] = [{} for _ in healthy]
        done = asyncio.Event()
        readers = [
            asyncio.create_task(count_changes(client, known, done)) for client, known in zip(healthy, seen, strict=True)
        ]
        highest, price = 0, 1.0
        while not rig.server.status.dropped:
            price += 1.0
            for symbol in MANY:
                data.move(SPOT, symbol, price)
            highest = max(highest, *(client.unsent for client in rig.server._pump.clients), 0)
            await asyncio.sleep(0.01)
        assert rig.server.status.dropped == (("too slow", 1),)
        frame_bytes = len(json.dumps(data.rows(range(200))))
        assert highest <= limits.backlog_bytes + 2 * frame_bytes
        assert victim.conflated > 0
        await rig.until(lambda: all(known.get(MANY[-1]) == price for known in seen), "the last price everywhere")
        assert all(known == dict.fromkeys(MANY, price) for known in seen)
        done.set()
        for client in healthy:
            await client.send('{"type":"ping"}')
        assert all(frames > 5 for frames in await asyncio.gather(*readers))
        assert len(rig.server.status.clients) == 3
        assert [event.text for event in rig.events if "too slow" in event.text] != []


async def test_the_kernel_holds_little_for_a_client_so_that_a_frozen_one_shows_soon() -> None:
    async with serving() as rig, rig.client():
        (here,) = await clients_of(rig)
        raw = here.transport.get_extra_info("socket")
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BUFFER_BYTES


async def test_a_client_that_hung_up_before_it_was_let_in_takes_no_place() -> None:
    admission = Admission(Limits())
    gone = Client(ServerProtocol(), None, admission=admission, peers=set())
    gone.enter(Target("/ws"), 1)
    assert (admission.clients, gone.target) == (0, None)


async def test_a_slow_reader_gets_fewer_frames_but_ends_with_every_last_value() -> None:
    data = StandInData(MANY, [SPOT])
    limits = Limits(slow_s=30.0, backlog_bytes=50_000)
    path = "/ws/realtime/binance?limit=200"
    async with serving(data, limits=limits, interval_s=0.01) as rig, rig.client(path, max_queue=1) as client:
        await hear(client, "initial_data")
        (here,) = rig.server._pump.clients
        price = 1.0
        while here.conflated < 5:
            price += 1.0
            for symbol in MANY:
                data.move(SPOT, symbol, price)
            await asyncio.sleep(0.01)
        known: dict[str, float] = {}
        frames = 0
        while known != dict.fromkeys(MANY, price):
            heard = await hear(client, "market_data")
            frames += 1
            assert len({row["symbol"] for row in heard["data"]}) == heard["count"] <= 200
            known.update({row["symbol"]: row["price"] for row in heard["data"]})
        assert frames < rig.server._hub.tick
        assert rig.server.status.dropped == ()


async def test_memory_does_not_grow_with_what_a_frozen_client_misses() -> None:
    data = StandInData(MANY, [SPOT])
    async with serving(data, limits=PATIENT, interval_s=0.01) as rig, frozen(rig, "/ws/realtime/binance?limit=200"):
        await rig.until(lambda: len(rig.server._pump.clients) == 1)
        (here,) = rig.server._pump.clients
        price = 1.0

        async def pass_ticks(count: int) -> None:
            nonlocal price
            until = here.conflated + count
            while here.conflated < until:
                price += 1.0
                for symbol in MANY:
                    data.move(SPOT, symbol, price)
                await asyncio.sleep(0.01)

        await pass_ticks(3)
        held = here.unsent
        await pass_ticks(30)
        assert here.unsent <= held


async def test_a_flood_of_messages_ends_the_client_that_sends_it_only() -> None:
    async with serving() as rig, rig.client("/ws/realtime/binance") as calm, rig.client() as flooding:
        await hear(calm)
        with pytest.raises(ConnectionClosed) as closed:
            await talk(flooding, 200)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "too many messages")
        await rig.until(lambda: rig.server.status.dropped == (("too many messages", 1),))
        rig.data.move(SPOT, "BTCUSDT", 4.0)
        assert (await hear(calm, "market_data"))["count"] == 1


async def test_pings_of_the_protocol_count_as_messages_too() -> None:
    async with serving() as rig, rig.client() as flooding:
        with pytest.raises(ConnectionClosed):
            await ping(flooding, 200)
        await rig.until(lambda: rig.server.status.dropped == (("too many messages", 1),))


async def test_twenty_messages_in_a_second_are_welcome() -> None:
    async with serving() as rig, rig.client() as client:
        for n in range(20):
            assert (await say(client, type="ping", id=n))["id"] == n


@pytest.mark.parametrize("size", [65_537, 100_000_000])
async def test_a_giant_message_ends_its_client_before_it_is_read(size: int) -> None:
    async with (
        serving() as rig,
        rig.client("/ws/realtime/binance") as calm,
        frozen(rig, "/ws") as (reader, writer),
    ):
        await hear(calm)
        writer.transport.resume_reading()  # type: ignore[attr-defined] # it reads after all
        writer.write(bytes((0x81, 0xFF)) + size.to_bytes(8, "big") + bytes(4) + b"x" * 1000)
        closing = await reader.readexactly(4)
        assert (closing[0], int.from_bytes(closing[2:])) == (0x88, 1009)
        await rig.until(lambda: rig.server.status.dropped == (("message too big", 1),))
        assert (await say(calm, type="ping"))["type"] == "pong"


async def test_a_message_of_the_greatest_size_is_read() -> None:
    async with serving() as rig, rig.client() as client:
        await client.send(json.dumps({"type": "ping", "filler": "x" * 65_000}))
        assert (await hear(client))["type"] == "pong"


async def test_fragments_of_a_message_that_never_ends_are_cut_off() -> None:
    async with serving() as rig, rig.client() as client:
        with pytest.raises(ConnectionClosed):
            await client.send(pieces(400))
        await rig.until(lambda: rig.server.status.dropped == (("too many messages", 1),))


async def pieces(count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield "x" * 10
        await asyncio.sleep(0)


async def talk(client: ClientConnection, count: int) -> None:
    for _ in range(count):
        await say(client, type="ping")


async def ping(client: ClientConnection, count: int) -> None:
    for _ in range(count):
        await (await client.ping())


async def test_one_client_more_than_there_are_places_gets_503() -> None:
    async with serving(max_clients=3) as rig, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(rig.client())
        with pytest.raises(InvalidStatus) as refused:
            await rig.client()
        answer = refused.value.response
        assert (answer.status_code, json.loads(answer.body)["error"]) == (503, "full")
        assert answer.headers["Retry-After"]
        assert (await rig.get("/health")).status == 200
        assert rig.server.status.refused == (("full", 1),)
        await stack.aclose()
        await rig.until(lambda: not rig.server.status.clients)
        async with rig.client() as client:
            assert (await say(client, type="ping"))["type"] == "pong"


async def test_addresses_beyond_this_machine_have_fewer_places() -> None:
    async with serving(limits=Limits(address=2)) as rig, AsyncExitStack() as stack:
        admission = rig.server._admission
        for _ in range(3):
            await stack.enter_async_context(rig.client())
        assert admission.refusal("127.0.0.1", is_local=True) is None
        assert admission.refusal("127.0.0.1", is_local=False) == "2 clients of one address are the most"
        assert admission.refusal("192.0.2.7", is_local=False) is None


async def test_a_flood_of_connections_that_say_nothing_is_turned_away_and_ends() -> None:
    async with serving(limits=Limits(unknown=10, open_s=0.5)) as rig:
        async with rig.client("/ws/realtime/binance") as calm:
            await hear(calm)
            silent = [await asyncio.open_connection("127.0.0.1", rig.port) for _ in range(30)]
            await rig.until(lambda: dict(rig.server.status.refused).get("too many handshakes") == 20)
            turned_away = 0
            for reader, _ in silent[10:]:
                turned_away += b"503" in await reader.read()
            assert turned_away == 20
            rig.data.move(SPOT, "BTCUSDT", 4.0)
            assert (await hear(calm, "market_data"))["count"] == 1
            for reader, _ in silent[:10]:  # handshakes that never come are given up
                assert await reader.read() == b""
            for _, writer in silent:
                writer.close()
            await rig.until(lambda: rig.server._admission.unknown == 0)
        assert (await rig.get("/health")).status == 200


async def test_asking_without_reading_is_bounded() -> None:
    data = StandInData(MANY, [SPOT])
    limits = Limits(messages_per_s=1000.0, slow_s=60.0)
    async with serving(data, limits=limits) as rig, frozen(rig, "/ws") as (_, writer):
        (here,) = await clients_of(rig)
        highest = 0
        mask = bytes(4)
        for n in range(2000):
            action = "subscribe" if n % 2 == 0 else "unsubscribe"
            text = json.dumps({"action": action, "venue": "binance", "marketType": "SPOT", "top": 200}).encode()
            writer.write(bytes((0x81, 0x80 | len(text))) + mask + text)
            await asyncio.sleep(0.001)
            highest = max(highest, here.unsent)
            if rig.server.status.dropped:
                break
        assert rig.server.status.dropped == (("asked for more than it read", 1),)
        assert highest < 1_400_000


async def test_stopping_does_not_wait_for_a_client_that_reads_nothing() -> None:
    data = StandInData(MANY, [SPOT])
    async with serving(data, limits=PATIENT, interval_s=0.01) as rig, frozen(rig, "/ws/realtime/binance?limit=200"):
        (here,) = await clients_of(rig)
        price = 1.0
        while not here.conflated:
            price += 1.0
            for symbol in MANY:
                data.move(SPOT, symbol, price)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            await rig.server.stop()
        assert not rig.server._peers
