"""The local server as a panel shows it: on or off, its links, who reads from it, and what was turned away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from app.server.service import LocalServer
from app.server.status import ClientInfo, ServerStatus
from app.settings.schema import Value
from app.settings.store import Settings
from app.viewmodels import formats

_log = logging.getLogger("fathom.server")

__all__ = ["VIEWS", "ClientInfo", "ServerModel", "ServerStatus"]

VIEWS: Final[tuple[tuple[str, str], ...]] = (
    ("Overview", ""),
    ("Delta of TOTAL", "view=total-delta"),
    ("BID/ASK of TOTAL", "view=total-totals"),
    ("AVG of TOTAL", "view=total-avg"),
    ("Scanner", "view=scanner"),
    ("Feeds", "view=feeds"),
    ("TV wall of four", "view=wall&scale=1.6"),
)
"""Pages that can be linked, as (name, query)."""
_POLL_NS: Final = 500_000_000


class ServerModel:
    """State of the server panel; `revision` moves at most twice a second."""

    def __init__(self, server: LocalServer, settings: Settings, now_ns: Callable[[], int]) -> None:
        self._server = server
        self._settings = settings
        self._now_ns = now_ns
        self._read_ns = 0
        self.revision = 0
        self.status = server.status
        self.view = ""

    def poll(self) -> None:
        """Read the server's state when the last reading is a while ago."""
        now_ns = self._now_ns()
        if abs(now_ns - self._read_ns) >= _POLL_NS:
            self.read()

    def read(self) -> None:
        """Read the server's state now."""
        self._read_ns = self._now_ns()
        status = self._server.status
        if status != self.status or status.clients:
            self.status = status
            self.revision += 1

    async def switch(self, on: bool) -> None:
        """Start or stop the server, and remember it for the next start."""
        if on:
            await self._server.start()
        else:
            await self._server.stop()
        self._remember("server.enabled", on)
        self.read()

    async def renew_token(self) -> None:
        """End all links given out so far."""
        await self._server.renew_token()
        self.read()

    def set_interval(self, interval_s: float) -> None:
        """Send at another interval, and remember it."""
        self._server.set_interval(interval_s)
        self._remember("server.interval", round(interval_s, 2))

    def _remember(self, key: str, value: Value) -> None:
        self._settings.set(key, value)
        try:
            self._settings.save()
        except OSError as error:
            _log.warning("the settings could not be saved: %s", error.strerror or error)

    @property
    def interval_s(self) -> float:
        """Return how often changes are sent, in seconds."""
        return self._settings.number("server.interval")

    @property
    def link(self) -> str:
        """Return the link of the chosen view with the token, "" while the server is off."""
        if not self.status.links:
            return ""
        base = self.status.links[0]
        return f"{base}&{self.view}" if self.view else base

    @property
    def shown_link(self) -> str:
        """Return the same without the token, to be read by whoever looks at the screen."""
        link = self.link
        if not link:
            return ""
        parts = urlsplit(link)
        return f"{parts.scheme}://{parts.netloc}/?token=…{'&' + self.view if self.view else ''}"

    def turned_away(self) -> str:
        """Return how many clients were dropped or refused and why, "" when none was."""
        counts = [*self.status.dropped, *self.status.refused]
        return ", ".join(f"{reason} {formats.count(number)}" for reason, number in counts)
