"""Agrees with a client on the version of the protocol: a greeting, the versions it knows, the one that is spoken."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from datetime import datetime

from app.sim.tws.conditions import Conditions
from app.sim.tws.faults import OLD_VERSION
from app.sim.tws.wire import GREETING, frame, read_frame

log = logging.getLogger("fathom.sim.tws")

VERSION = 178
_PATIENCE_S = 30.0
_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"
    b"Bad Request"
)


async def shake_hands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    conditions: Conditions,
    counts: Counter[str],
    now_s: float,
) -> bool:
    """Return whether the client may go on; raise TimeoutError for one that says nothing."""
    async with asyncio.timeout(_PATIENCE_S):
        greeting = await reader.readexactly(len(GREETING))
        if conditions.active("http"):
            writer.write(_HTTP_ANSWER)
            await writer.drain()
            return False
        if greeting != GREETING:
            counts["strangers"] += 1
            return False
        hello = (await read_frame(reader)).decode(errors="replace")
    counts["greetings"] += 1
    if conditions.active("freeze"):
        return True
    if conditions.active("wrongversion"):
        writer.write(frame(OLD_VERSION, "20110101 09:30:00 EST"))
        return True
    versions = re.match(r"v(\d+)\.\.(\d+)", hello)
    if versions is None or not int(versions[1]) <= VERSION <= int(versions[2]):
        log.warning("a client offers versions %r, this server speaks %d only", hello, VERSION)
        counts["versions_refused"] += 1
        return False
    local = datetime.fromtimestamp(now_s).astimezone()
    writer.write(frame(VERSION, f"{local:%Y%m%d %H:%M:%S} {time.tzname[0]}"))
    return True
