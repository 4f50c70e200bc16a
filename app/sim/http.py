"""A small HTTP/1.1 server for simulated venues: GET and POST with keep-alive, answers made by one function.

Handshake hooks of a WebSocket server answer GETs only and end the connection with each; most real venues do neither.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from app.sim.answers import Answer

MOST_HEAD_BYTES = 64 * 1024
MOST_BODY_BYTES = 64 * 1024
_IDLE_S = 120.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as the server read it; `path` is without the query, names of headers are in lower case."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the body of a request; `length` is None when it cannot be read."""

    method: str
    target: str
    headers: Mapping[str, str]
    length: int | None

    @property
    def stays(self) -> bool:
        """Tell whether the client wants to keep the connection."""
        return self.headers.get("connection", "").lower() != "close"

    def refusal(self) -> Answer | None:
        """Return the answer to a request that cannot be read, else None."""
        if self.length is None or not self.target.startswith("/"):
            return Answer(400, b"Bad Request")
        return Answer(413, b"Payload Too Large") if self.length > MOST_BODY_BYTES else None

    def request(self, body: bytes) -> HttpRequest:
        """Return the request with its body."""
        path, _, query = self.target.partition("?")
        return HttpRequest(self.method, path, query, body, self.headers)


def read_head(head: bytes) -> Head:
    """Return the head of a request from its bytes up to the empty line."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "0")
    return Head(method, rest.rpartition(" ")[0], headers, int(length) if length.isdecimal() else None)


def encode_answer(answer: Answer, *, json_kind: str, stays: bool) -> bytes:
    """Return the bytes of an answer."""
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = {
        "Content-Type": json_kind if answer.body[:1] in (b"{", b"[", b"n") else "text/plain",
        "Content-Length": str(len(answer.body)),
        "Connection": "keep-alive" if stays else "close",
        **answer.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} {phrase}\r\n{head}\r\n".encode("latin-1") + answer.body


class HttpServer:
    """Answers requests on one port. A second server on the same loop is a second object."""

    def __init__(self, answer: Callable[[HttpRequest], Answer], *, json_kind: str = "application/json") -> None:
        """Take what makes answers, which must not raise for what a caller wrote, and the content type of JSON."""
        self.port = 0
        self._answer = answer
        self._json_kind = json_kind
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=MOST_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and cut every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for task, writer in list(self._clients.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve_client(reader, writer), name="sim http client")
        self._clients[task] = writer
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the client is gone, or speaks something else
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request; return whether the connection stays."""
        async with asyncio.timeout(_IDLE_S):
            head = read_head(await reader.readuntil(b"\r\n\r\n"))
        answer = head.refusal()
        stays = answer is None and head.stays
        if answer is None:
            request = head.request(await reader.readexactly(head.length or 0))
            answer = self._answer(request) if head.method in ("GET", "POST") else Answer(405, b"Method Not Allowed")
        writer.write(encode_answer(answer, json_kind=self._json_kind, stays=stays))
        await writer.drain()
        return stays
