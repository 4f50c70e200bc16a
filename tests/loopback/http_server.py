"""A small HTTP server whose answers a test sets, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.domain.clock import SystemClock


class MovedClock(SystemClock):
    """The machine's clock plus what a test adds."""

    __slots__ = ("ahead_ns",)

    def __init__(self) -> None:
        self.ahead_ns = 0
        super().__init__()

    def wall_ns(self) -> int:
        return super().wall_ns() + self.ahead_ns

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns

    def move_s(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead_ns += int(seconds * 1e9)


class Reply:
    """Status, body and headers of an answer; `cut` ends the connection in the middle of the body."""

    def __init__(
        self,
        status: int = 200,
        body: bytes | object = b"{}",
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers or {}
        self.cut = cut


class HttpServer:
    """Answers every GET by `answer(path)`; None means never."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.agents: list[str] = []
        self.answer: Callable[[str], Reply | None] = lambda _path: Reply()
        self._clients: set[asyncio.StreamWriter] = set()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                path = lines[0].split(" ")[1]
                self.paths.append(path)
                self.agents += [line[12:] for line in lines if line.lower().startswith("user-agent:")]
                reply = self.answer(path)
                if reply is None:
                    await reader.read()
                    return
                headers = {"Content-Length": str(len(reply.body)), **reply.headers}
                text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {reply.status} Word\r\n{text}\r\n".encode())
                writer.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
                await writer.drain()
                if reply.cut:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._clients.discard(writer)
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HttpServer]:
        """Serve on a free port of 127.0.0.1."""
        server = await asyncio.start_server(self._serve_client, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._clients):
                writer.close()
            await server.wait_closed()
            await asyncio.sleep(0.01)
