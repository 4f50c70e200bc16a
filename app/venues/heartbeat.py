"""From silence to proof of life: pings of the venue's own kind, sent beside those of the WebSocket protocol.

A venue whose gateway answers protocol pings while the service behind it is gone says nothing about its data; some also
cut connections on which no message of the client comes.
"""

from __future__ import annotations

import asyncio

from app.venues.explain import LinkLost
from app.venues.link_ports import Send


class Heartbeat:
    """Pings of one connection. `text` is the venue's message; times in seconds."""

    def __init__(self, text: str, every_s: float = 20.0, patience_s: float = 10.0) -> None:
        self._text = text
        self._every_s = every_s
        self._patience_s = patience_s
        self._answered = asyncio.Event()

    def on_pong(self) -> None:
        """Note the venue's answer."""
        self._answered.set()

    async def run(self, send: Send) -> None:
        """Ping until cancelled. Raises LinkLost when an answer does not come in time."""
        while True:
            await asyncio.sleep(self._every_s)
            self._answered.clear()
            await send(self._text)
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._answered.wait()
            except TimeoutError:
                raise LinkLost(f"the venue did not answer its own kind of ping within {self._patience_s:g} s") from None
