"""Clients for the simulated TWS that were not written for it, and a bare socket beside them."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from ib_async import IB, StartupFetch, StartupFetchALL
from ibapi.client import EClient  # type: ignore[import-untyped]
from ibapi.wrapper import EWrapper  # type: ignore[import-untyped]

from app.sim.tws import TwsSim
from app.sim.tws.wire import fields_of, frame

PATIENCE_S = 10.0
LIBRARY_LOGS = ("ib_async.Decoder", "ib_async.client", "ib_async.wrapper", "ib_async.ib", "ibapi.")


def complaints(caplog: pytest.LogCaptureFixture, *allowed: str) -> list[str]:
    """Return what the libraries logged as errors, without texts that begin as those allowed."""
    return [
        record.getMessage()
        for record in [*caplog.get_records("setup"), *caplog.get_records("call")]
        if record.levelname in ("ERROR", "CRITICAL")
        and record.name.startswith(LIBRARY_LOGS)
        and not record.getMessage().startswith(allowed or ("\0",))
    ]


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so; fail after a long time."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(
    sim: TwsSim, *, client_id: int = 7, readonly: bool = True, fetch: StartupFetch = StartupFetchALL
) -> AsyncIterator[IB]:
    """Connect ib_async and leave nothing of it behind."""
    ib = IB()
    try:
        await ib.connectAsync(
            "127.0.0.1", sim.port, clientId=client_id, timeout=PATIENCE_S, readonly=readonly, fetchFields=fetch
        )
        yield ib
    finally:
        ib.disconnect()
        await until(lambda: ib.client.conn.transport is None or ib.client.conn.transport.is_closing())
        await asyncio.sleep(0.01)


class RawClient:
    """A client that sends and receives fields."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.version: list[str] = []

    def send(self, *fields: object) -> None:
        """Send a message."""
        self.writer.write(frame(*(str(field) for field in fields)))

    async def receive(self) -> list[str]:
        """Return the next message."""
        async with asyncio.timeout(PATIENCE_S):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            return fields_of(await self.reader.readexactly(length))

    async def receive_until(self, *head: object) -> list[list[str]]:
        """Return messages up to the first that begins with those fields."""
        wanted = [str(field) for field in head]
        found = [await self.receive()]
        while found[-1][: len(wanted)] != wanted:
            found.append(await self.receive())
        return found

    async def ended(self) -> bool:
        """Return whether the server closes, whatever it sends before."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True


@asynccontextmanager
async def raw(sim: TwsSim, *, client_id: int | None = 3, hello: bytes = b"v157..178") -> AsyncIterator[RawClient]:
    """Connect a bare socket; with a client id the API is started, too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    client = RawClient(reader, writer)
    try:
        writer.write(b"API\0" + struct.pack(">I", len(hello)) + hello)
        if client_id is not None:
            client.version = await client.receive()
            client.send(71, 2, client_id, "")
        yield client
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


class OfficialWrapper(EWrapper):  # type: ignore[misc] # the library has no types
    """Keeps every call the official client makes, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[Any, ...]]] = {}

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in ("calls", "of") or not callable(found):
            return found
        calls = self.calls.setdefault(name, [])
        return lambda *args: calls.append(args)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of one name."""
        return list(self.calls.get(name, ()))


class OfficialClient:
    """The official protocol's client, which reads in one thread and decodes in another."""

    def __init__(self) -> None:
        self.wrapper = OfficialWrapper()
        self.client = EClient(self.wrapper)
        self._decoding = threading.Thread(target=self.client.run, name="official client", daemon=True)

    async def connect(self, port: int, client_id: int) -> None:
        """Connect and wait until the API is ready."""
        await asyncio.to_thread(self.client.connect, "127.0.0.1", port, client_id)
        self._decoding.start()
        await until(lambda: self.wrapper.of("nextValidId"))

    async def answers(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """Wait for calls of one name and return their arguments."""
        await until(lambda: len(self.wrapper.of(name)) >= count)
        return self.wrapper.of(name)

    async def close(self) -> None:
        """Disconnect and wait for both threads."""
        reading = self.client.reader
        with suppress(OSError, AttributeError):
            self.client.conn.socket.shutdown(socket.SHUT_RDWR)  # else its reader waits a second
        self.client.disconnect()
        await asyncio.to_thread(self._decoding.join)
        if reading is not None:
            await asyncio.to_thread(reading.join)


@asynccontextmanager
async def official(sim: TwsSim, *, client_id: int = 9) -> AsyncIterator[OfficialClient]:
    """Connect the official client and leave nothing of it behind."""
    client = OfficialClient()
    await client.connect(sim.port, client_id)
    try:
        yield client
    finally:
        await client.close()
