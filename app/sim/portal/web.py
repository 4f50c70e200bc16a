"""One TLS port that answers HTTP/1.1 requests with bodies and takes WebSockets, as the gateway does.

`websockets` takes no requests with bodies in place of a handshake, so its protocol without sockets is fed here.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from app.sim.answers import Answer
from app.sim.http import MOST_HEAD_BYTES, Head, HttpRequest, encode_answer, read_head

_IDLE_S = 120.0
_TLS_GOODBYE_S = 1.0
_READ_BYTES = 64 * 1024
_MOST_MESSAGE_BYTES = 256 * 1024
_MOST_WAITING_BYTES = 16 * 1024 * 1024
_JSON = "application/json; charset=utf-8"


class SocketClient:
    """One WebSocket client of the gateway."""

    _numbers = itertools.count(1)

    def __init__(self, writer: asyncio.StreamWriter, protocol: ServerProtocol, head: Head) -> None:
        """Take the connection after its handshake."""
        self.number = next(self._numbers)
        self.cookie = head.headers.get("cookie", "")
        self.query = head.target.partition("?")[2]
        self.half_open = False
        self.has_ended = False
        self.frames_sent = 0
        self.bytes_frames_sent = 0
        self._writer = writer
        self._protocol = protocol
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Tell whether frames can be sent."""
        return self._protocol.state is State.OPEN and not self.half_open

    def send(self, payload: bytes, *, as_bytes: bool = False) -> bool:
        """Send one frame, as text or as bytes; False where the client is gone, or reads too slowly and is cut off."""
        if not self.is_open:
            return False
        if as_bytes:
            self._protocol.send_binary(payload)
            self.bytes_frames_sent += 1
        else:
            self._protocol.send_text(payload)
        self.frames_sent += 1
        self.write_out()
        if self._writer.transport.get_write_buffer_size() > _MOST_WAITING_BYTES:
            self.abort()
            return False
        return True

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye with a code."""
        if self.is_open:
            self._protocol.send_close(code, reason)
            self.write_out()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._writer.transport.abort()

    def go_half_open(self) -> None:
        """Read and write nothing any more, and never say so."""
        self.half_open = True
        self._writer.transport.pause_reading()  # type: ignore[attr-defined] # a TLS transport reads as well

    def write_out(self) -> None:
        """Write what the protocol has to say."""
        parts = self._protocol.data_to_send()
        if self.half_open or self._writer.is_closing():
            return
        self._writer.write(b"".join(parts))
        if b"" in parts:  # the protocol's word for the end of the connection
            self.has_ended = True
            self._writer.close()

    def take(self, data: bytes) -> list[str]:
        """Give the protocol what was read; return the messages that are whole."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        messages = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    messages.append(b"".join(self._parts).decode(errors="replace"))
                    self._parts.clear()
        self.write_out()
        return messages


class WebServer:
    """Serves the gateway's one port."""

    def __init__(
        self,
        context: ssl.SSLContext,
        ws_path: str,
        *,
        answer: Callable[[HttpRequest], Awaitable[Answer]],
        on_open: Callable[[SocketClient], None],
        on_message: Callable[[SocketClient, str], None],
        on_gone: Callable[[SocketClient], None],
    ) -> None:
        """Take the TLS context, the path of WebSockets, and what is told of requests and clients."""
        self.port = 0
        self.sockets: dict[int, SocketClient] = {}
        self.counts: Counter[str] = Counter()
        self._context = context
        self._ws_path = ws_path
        self._answer = answer
        self._on_open = on_open
        self._on_message = on_message
        self._on_gone = on_gone
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._server = await asyncio.start_server(
            self._accept,
            host,
            port,
            limit=MOST_HEAD_BYTES,
            ssl=self._context,
            ssl_shutdown_timeout=_TLS_GOODBYE_S,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and cut every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.cut()
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    def cut(self) -> None:
        """Cut every connection, of requests as well as of WebSockets."""
        for writer in list(self._clients.values()):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve_client(reader, writer), name="sim portal client")
        self._clients[task] = writer
        task.add_done_callback(lambda done: self._clients.pop(done, None))

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the client is gone, or speaks something else
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await writer.wait_closed()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request; return whether the connection stays."""
        async with asyncio.timeout(_IDLE_S):
            raw = await reader.readuntil(b"\r\n\r\n")
        head = read_head(raw)
        path = head.target.partition("?")[0]
        if path == self._ws_path and head.headers.get("upgrade", "").lower() == "websocket":
            await self._serve_socket(raw, head, reader, writer)
            return False
        answer = head.refusal()
        stays = answer is None and head.stays
        if answer is None:
            answer = await self._answer(head.request(await reader.readexactly(head.length or 0)))
        writer.write(encode_answer(answer, json_kind=_JSON, stays=stays))
        await writer.drain()
        return stays

    async def _serve_socket(
        self, raw: bytes, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        protocol = ServerProtocol(max_size=_MOST_MESSAGE_BYTES)
        protocol.receive_data(raw)
        requests = [event for event in protocol.events_received() if isinstance(event, Request)]
        if not requests:
            return
        protocol.send_response(protocol.accept(requests[0]))
        client = SocketClient(writer, protocol, head)
        client.write_out()
        if protocol.state is not State.OPEN:
            return
        self.counts["sockets"] += 1
        self.sockets[client.number] = client
        try:
            self._on_open(client)
            data = b"?"
            while data and not client.has_ended:
                data = await reader.read(_READ_BYTES)
                for message in client.take(data):
                    self._on_message(client, message)
        finally:
            del self.sockets[client.number]
            self._on_gone(client)
