"""A small HTTP/1.1 server on asyncio streams: turns requests with bodies into answers, on connections that stay open.

`websockets` answers GET only, while the info endpoint is a POST.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from contextlib import suppress

from app.sim.answers import Answer

_HEAD_BYTES = 16 * 1024
_BODY_BYTES = 64 * 1024

Handler = Callable[[str, str, bytes], Answer | None]


class HttpServer:
    """Listens on one port; `handle(method, target, body)` answers at once, None cuts the connection."""

    def __init__(self, handle: Handler) -> None:
        """Take what answers."""
        self.port = 0
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
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
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="sim http client")
        self._clients[task] = writer
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client left, or talks nonsense
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, _, rest = head[0].partition(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > _BODY_BYTES:
            await _write(writer, Answer(413, b"Payload Too Large"), stays=False)
            return False
        body = await reader.readexactly(int(size))
        result = self._handle(method, rest.rpartition(" ")[0], body)
        if result is None:
            writer.transport.abort()
            return False
        stays = headers.get("connection", "").lower() != "close"
        await _write(writer, result, stays=stays)
        return stays


async def _write(writer: asyncio.StreamWriter, result: Answer, *, stays: bool) -> None:
    try:
        phrase = http.HTTPStatus(result.status).phrase
    except ValueError:
        phrase = "Unknown"
    kind = "application/json" if result.body[:1] in (b"{", b"[", b"n") else "text/plain"
    lines = [
        f"HTTP/1.1 {result.status} {phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(result.body)}",
        f"Connection: {'keep-alive' if stays else 'close'}",
        *(f"{name}: {value}" for name, value in result.headers.items()),
    ]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + result.body)
    await writer.drain()
