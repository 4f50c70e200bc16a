"""A small WebSocket server with numbered frames and faults on command, a proxy that freezes, and a link's owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.domain.errors import BadFrameError
from app.venues.explain import LinkLost
from app.venues.link import Send

ACK = '{"result":null,"id":1}'
SHUTDOWN = '{"stream":"!serverShutdown","data":{"e":"serverShutdown"}}'


async def until(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    """Return when the condition holds; fail when it never does."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - conditions are of any kind, there is no event to wait for
            await asyncio.sleep(0.005)


class StreamServer:
    """Sends every subscriber the same numbered frames. Faults are attributes that a test sets."""

    def __init__(self) -> None:
        self.url = ""
        self.handshakes = 0
        self.clients: list[ServerConnection] = []
        self.acknowledges = True
        self.sends_data = True
        self.gives_data_to_new = True
        self.refusal: tuple[int, dict[str, str]] | None = None
        self.number = 0
        self._server: Server | None = None

    async def _serve_client(self, client: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for _message in client:
                if self.acknowledges:
                    await client.send(ACK)
                    if self.gives_data_to_new:
                        self.clients.append(client)
        if client in self.clients:
            self.clients.remove(client)

    def _on_request(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.handshakes += 1
        if self.refusal is None:
            return None
        response = connection.respond(HTTPStatus(self.refusal[0]), "no\n")
        response.headers.update(self.refusal[1])
        return response

    async def _publish(self) -> None:
        while True:
            if self.sends_data:
                self.number += 1
                await self.say(f'{{"stream":"x@depth","data":{{"n":{self.number}}}}}')
            await asyncio.sleep(0.01)

    def connections(self) -> list[ServerConnection]:
        """Return every open connection, of subscribers and others."""
        return list(self._server.connections) if self._server is not None else []

    async def say(self, text: str) -> None:
        """Send one frame to every subscriber."""
        for client in list(self.clients):
            with contextlib.suppress(ConnectionClosed):
                await client.send(text)

    async def close_all(self, code: int, reason: str = "") -> None:
        """Close every connection of a subscriber with that code."""
        await asyncio.gather(*(client.close(code, reason) for client in list(self.clients)))

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[StreamServer]:
        """Serve on a free port of 127.0.0.1."""
        async with serve(
            self._serve_client,
            "127.0.0.1",
            port,
            process_request=self._on_request,
            ping_interval=None,
            close_timeout=0.2,
            compression=None,
        ) as server:
            self._server = server
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
            publisher = asyncio.create_task(self._publish())
            try:
                yield self
            finally:
                publisher.cancel()
                await asyncio.wait((publisher,))


class FreezingProxy:
    """Forwards bytes to a port until frozen: then it neither reads nor writes, and sends no FIN."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Stop all present and future connections, silently."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Go on."""
        self._flowing.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._flowing.wait()
                data = await reader.read(65536)
                await self._flowing.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for one in (self._pump(reader, far_writer), self._pump(far_reader, writer)):
            task = asyncio.create_task(one)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FreezingProxy]:
        """Listen on a free port of 127.0.0.1."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()


class NumberChannel:
    """Subscribes with one message and is ready at the first numbered frame after its answer."""

    def __init__(self) -> None:
        self.ready = False
        self.shutdown_announced = False
        self.useless: str | None = None
        self._acknowledged = asyncio.Event()

    async def begin(self, send: Send) -> None:
        """Send one message and wait for its answer."""
        await send('{"method":"SUBSCRIBE","params":["x@depth"],"id":1}')
        await self._acknowledged.wait()

    def inspect(self, raw: bytes) -> None:
        """Tell answers and notices from data."""
        if b'"result"' in raw:
            self._acknowledged.set()
        elif b"serverShutdown" in raw:
            self.shutdown_announced = True
        elif b"give up" in raw:
            raise LinkLost("the channel gave up")
        elif self._acknowledged.is_set():
            self.ready = True

    def silence(self, now_s: float) -> str | None:
        """Return what a test has set."""
        assert now_s > 0.0
        return self.useless


class Diary:
    """Owner of a link that writes down what happens; `numbers` are those of the frames taken."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.numbers: list[int] = []
        self.troubles: list[tuple[str, float]] = []
        self.notices: list[str] = []
        self.channels: list[NumberChannel] = []

    def new_channel(self) -> NumberChannel:
        self.channels.append(NumberChannel())
        return self.channels[-1]

    def on_frame(self, raw: bytes) -> None:
        if b'"result"' in raw or b"serverShutdown" in raw:
            return
        try:
            self.numbers.append(json.loads(raw)["data"]["n"])
        except (ValueError, KeyError, TypeError):
            raise BadFrameError("not a numbered frame") from None
        if self.entries[-1:] != ["frames"]:
            self.entries.append("frames")

    def on_up(self) -> None:
        self.entries.append("up")

    def on_down(self, reason: str) -> None:
        self.entries.append(f"down: {reason}")

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        self.troubles.append((reason, retry_in_s))

    def on_notice(self, text: str) -> None:
        self.notices.append(text)

    @property
    def downs(self) -> list[str]:
        """Return the reasons of all losses."""
        return [entry.removeprefix("down: ") for entry in self.entries if entry.startswith("down")]
