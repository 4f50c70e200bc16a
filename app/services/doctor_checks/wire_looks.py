"""Finds out who listens at a TCP port from the first bytes it sends: TWS, a web server, TLS, something else, nobody.

The handshake of TWS: `API\0`, a length as uint32 in network order, the versions offered; the answer is a frame of
the server's version and its time (section 2 of the socket protocol). Nothing is logged in by that and no client id is
used up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
import struct
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HELLO: Final = b"v157..178"
_GREETING: Final = b"API\0" + struct.pack(">I", len(HELLO)) + HELLO
_LONGEST_FRAME: Final = 256
_SAMPLE: Final = 64


class Answerer(StrEnum):
    """Who listens."""

    NOBODY = "nobody"
    UNREACHABLE = "unreachable"
    TWS = "tws"
    WEB = "web"
    TLS = "tls"
    OTHER = "other"
    SILENT = "silent"
    HANGS_UP = "hangs up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What came from a port. version and time: TWS's own, 0 and "" for others. said: the first words of something
    else, or why the port cannot be reached. took_ms: until the answer, which came at at_ns (UTC)."""

    port: int
    who: Answerer
    version: int = 0
    time: str = ""
    said: str = ""
    took_ms: float = 0.0
    at_ns: int = 0


async def look_at(host: str, port: int, *, patience_s: float = 2.0) -> Look:
    """Return who listens at a port; an answer that does not come within `patience_s` is silence."""
    began = time.perf_counter()
    first = await _first_words(host, port, _GREETING, patience_s)
    took_ms = (time.perf_counter() - began) * 1000
    if isinstance(first, Look):
        return Look(port=port, who=first.who, said=first.said, took_ms=took_ms)
    look = _judge(port, first, took_ms)
    if look.who in (Answerer.SILENT, Answerer.HANGS_UP):
        return await _look_closer(host, look, patience_s)
    return look


def _judge(port: int, first: bytes | None, took_ms: float) -> Look:
    if first is None:
        return Look(port=port, who=Answerer.SILENT, took_ms=took_ms)
    if not first:
        return Look(port=port, who=Answerer.HANGS_UP, took_ms=took_ms)
    frame = greeting_of(first)
    if frame is not None:
        return Look(port=port, who=Answerer.TWS, version=frame[0], time=frame[1], took_ms=took_ms, at_ns=time.time_ns())
    if first[:5] == b"HTTP/" or first[:1] == b"<":
        return Look(port=port, who=Answerer.WEB, said=words_of(first), took_ms=took_ms)
    if first[:2] in (b"\x15\x03", b"\x16\x03"):
        return Look(port=port, who=Answerer.TLS, took_ms=took_ms)
    return Look(port=port, who=Answerer.OTHER, said=words_of(first), took_ms=took_ms)


async def _look_closer(host: str, look: Look, patience_s: float) -> Look:
    """Ask something that has nothing to say to TWS's greeting as a browser would."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    answer = await _first_words(host, look.port, request, patience_s)
    if isinstance(answer, bytes) and answer[:5] == b"HTTP/":
        return Look(port=look.port, who=Answerer.WEB, said=words_of(answer), took_ms=look.took_ms)
    if await speaks_tls(host, look.port, patience_s):
        return Look(port=look.port, who=Answerer.TLS, took_ms=look.took_ms)
    return look


async def speaks_tls(host: str, port: int, patience_s: float) -> bool:
    """Tell whether a server greets by TLS (its certificate is not looked at here)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    answer = await _first_words(host, port, outgoing.read(), patience_s)
    return isinstance(answer, bytes) and answer[:2] in (b"\x15\x03", b"\x16\x03")


async def _first_words(host: str, port: int, greeting: bytes, patience_s: float) -> bytes | Look | None:
    """Return the first bytes after a greeting: b"" when it hung up, None for silence, a Look when none is there."""
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Look(port=port, who=Answerer.UNREACHABLE, said=f"no answer within {patience_s:g} s")
    except OSError as error:
        refused = error.errno == errno.ECONNREFUSED or "Connect call failed" in str(error)
        who = Answerer.NOBODY if refused else Answerer.UNREACHABLE
        return Look(port=port, who=who, said=error.strerror or str(error))
    try:
        writer.write(greeting)
        async with asyncio.timeout(patience_s):
            return await _read_some(reader)
    except TimeoutError:
        return None
    except OSError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await writer.wait_closed()


async def _read_some(reader: asyncio.StreamReader) -> bytes:
    """Read until a frame of TWS is whole, or until what came cannot become one."""
    got = b""
    while len(got) < 4 + _LONGEST_FRAME:
        part = await reader.read(4 + _LONGEST_FRAME - len(got))
        if not part:
            return got
        got += part
        if len(got) >= 4:
            length = struct.unpack(">I", got[:4])[0]
            if length > _LONGEST_FRAME or len(got) >= 4 + length:
                return got
    return got


def greeting_of(data: bytes) -> tuple[int, str] | None:
    """Return version and time out of TWS's answer to the handshake, None when it is none."""
    if len(data) < 4:
        return None
    length = struct.unpack(">I", data[:4])[0]
    if not 2 <= length <= _LONGEST_FRAME or len(data) < 4 + length:
        return None
    fields = data[4 : 4 + length].split(b"\0")
    if len(fields) != 3 or fields[2] or not fields[0].isdigit() or len(fields[0]) > 6:
        return None
    return int(fields[0]), fields[1].decode("ascii", "replace")


def words_of(data: bytes) -> str:
    """Return the first line of what a server said, as far as it can be read."""
    line = data.lstrip().splitlines()[0] if data.strip() else b""
    return "".join(letter for letter in line[:_SAMPLE].decode("utf-8", "replace") if letter.isprintable())
