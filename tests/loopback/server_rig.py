"""A local server on a free port with stand-in data, and callers that may say anything, by raw HTTP or WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from app.domain.clock import SystemClock
from app.domain.health import FeedEvent
from app.server.limits import Limits
from app.server.service import LocalServer
from app.server.status import ServerOptions
from tests.loopback.server_stand_in import StandInData

TOKEN = "stand-in_token_of_the_tests"
DEADLINE_S = 20.0


@dataclass
class Answer:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServerRig:
    """A running server and what it told."""

    data: StandInData
    server: LocalServer
    events: list[FeedEvent] = field(default_factory=list)
    notes: dict[str, str | None] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}

    async def ask(self, lines: str | list[str]) -> Answer:
        """Send a request as it is, ended by an empty line, and return the answer."""
        text = lines if isinstance(lines, str) else "\r\n".join(lines)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(text.encode("latin-1") + b"\r\n\r\n")
            async with asyncio.timeout(DEADLINE_S):
                raw = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return Answer(int(first.split()[1]) if first else 0, headers, body)

    async def get(self, path: str, *more: str, token: bool = True, host: str = "", method: str = "GET") -> Answer:
        """Ask for a path as a script does."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *more]
        if token:
            lines.append(f"Authorization: Bearer {TOKEN}")
        return await self.ask(lines)

    async def knock(self, *more: str, path: str = "/ws", host: str = "", token: bool = True) -> Answer:
        """Ask for a WebSocket by hand; the answer's status says how far it came (the socket is closed at once)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [
            f"GET {path} HTTP/1.1",
            *([f"Host: {host or f'127.0.0.1:{self.port}'}"] if host != "-" else []),
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            *more,
        ]
        if token:
            lines.append(f"Authorization: Bearer {TOKEN}")
        try:
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            async with asyncio.timeout(DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                body = b"" if b" 101 " in head[:20] else await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        first, *rest = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return Answer(int(first.split()[1]), headers, body)

    def client(self, path: str = "/ws", *, token: bool = True, **options: Any) -> connect:
        """Connect as an independent program does."""
        headers = self.bearer if token else {}
        return connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers, proxy=None, **options)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until something holds."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came: {what or condition}") from None


@asynccontextmanager
async def serving(
    data: StandInData | None = None, *, limits: Limits | None = None, page: Path | None = None, **options: Any
) -> AsyncIterator[ServerRig]:
    """Run a server with stand-in data."""
    data = data or StandInData()
    chosen = {"port": 0, "token": TOKEN, "interval_s": 0.05, "page": page, **options}
    server = LocalServer(data, ServerOptions(**chosen), SystemClock(), limits=limits)
    rig = ServerRig(data, server)
    server._on_event = rig.events.append
    server._on_note = rig.notes.__setitem__
    if not await server.start():
        raise AssertionError(server.status.error)
    try:
        yield rig
    finally:
        await server.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def say(client: ClientConnection, **message: Any) -> Any:
    """Send a message and return the next one."""
    await client.send(json.dumps(message))
    return await hear(client)


async def hear(client: ClientConnection, kind: str = "") -> Any:
    """Return the next message, of a kind if so wished."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            heard = json.loads(await client.recv())
            if not kind or heard["type"] == kind:
                return heard
