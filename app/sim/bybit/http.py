"""A small HTTP/1.1 server for simulated venues: GET and POST with keep-alive, answers made by one function.

Handshake hooks of a WebSocket server answer GETs only and end the connection with each; real venues do neither.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.sim.answers import Answer

MOST_HEAD_BYTES = 64 * 1024
MOST_BODY_BYTES = 1 << 20
_IDLE_S = 120.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as the server read it; `path` is without the query."""

    method: str
    path: str
    query: str
    body: bytes


class HttpServer:
    """Answers requests on one port. A second server on the same loop is a second object."""

    def __init__(self, answer: Callable[[HttpRequest], Answer]) -> None:
        """Take what makes answers; it must not raise for what a caller wrote."""
        self.port = 0
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._server = await asyncio.start_server(self._serve_client, host, port, limit=MOST_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and end every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await server.wait_closed()

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the client is gone, or speaks something else
        except asyncio.CancelledError:
            if self._server is not None:  # somebody else's wish, not our `stop`
                raise
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request; return whether the connection stays."""
        async with asyncio.timeout(_IDLE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        target = rest.rpartition(" ")[0]
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES or not target.startswith("/"):
            writer.write(_encoded(Answer(400, b"Bad Request"), stays=False))
            return False
        body = await reader.readexactly(int(length))
        path, _, query = target.partition("?")
        stays = headers.get("connection", "").lower() != "close"
        if method in ("GET", "POST"):
            answer = self._answer(HttpRequest(method, path, query, body))
        else:
            answer = Answer(405, b"Method Not Allowed")
        writer.write(_encoded(answer, stays=stays))
        await writer.drain()
        return stays


def _encoded(answer: Answer, *, stays: bool) -> bytes:
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    kind = "application/json; charset=utf-8" if answer.body[:1] in (b"{", b"[") else "text/plain"
    headers = {
        "Content-Type": kind,
        "Content-Length": str(len(answer.body)),
        "Connection": "keep-alive" if stays else "close",
        **answer.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} {phrase}\r\n{head}\r\n".encode() + answer.body
