"""One client of the simulated TWS: its socket, what it has subscribed to, and what waits to be sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.sim.ibkr.instruments import SimContract
from app.sim.limits import SlidingCount
from app.sim.tws.requests import AskedHistory, AskedScan
from app.sim.tws.ticks import LIVE, TickWriter

WRITE_BUFFER_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Told:
    """A subscription to account figures and what it has been told: (account, tag, currency) -> text."""

    accounts: tuple[str, ...]
    model: str = ""
    tags: frozenset[str] = frozenset()
    figures: dict[tuple[str, str, str], str] = field(default_factory=dict)


@dataclass(slots=True)
class Subscriptions:
    """What a client wants to be told of, by request id."""

    positions: bool = False
    account: Told | None = None
    multi: dict[int, Told] = field(default_factory=dict)
    summaries: dict[int, Told] = field(default_factory=dict)
    pnl: dict[int, str] = field(default_factory=dict)
    pnl_single: dict[int, tuple[str, int]] = field(default_factory=dict)
    lines: dict[int, TickWriter] = field(default_factory=dict)
    scans: dict[int, AskedScan] = field(default_factory=dict)
    histories: dict[int, tuple[AskedHistory, SimContract]] = field(default_factory=dict)
    bars: dict[int, SimContract] = field(default_factory=dict)


class TwsClient:
    """A connection. `say` queues messages, `flush` sends them."""

    def __init__(self, writer: asyncio.StreamWriter, *, messages_per_s: int, now: Callable[[], float]) -> None:
        """Take the way out to the client."""
        self.client_id: int | None = None
        self.subscriptions = Subscriptions()
        self.data_type = LIVE
        self.rate = SlidingCount(messages_per_s, 1.0, now)
        self.strikes = 0
        self.strike_s = 0.0
        self.frozen = False
        self.ends = False
        self.frames_dropped = 0
        self._writer = writer
        self._outbox: list[bytes] = []

    @property
    def ready(self) -> bool:
        """Whether it has started the API."""
        return self.client_id is not None and not self.ends

    def say(self, *frames: bytes) -> None:
        """Queue messages."""
        self._outbox.extend(frames)

    def say_all(self, frames: Iterable[bytes]) -> None:
        """Queue messages."""
        self._outbox.extend(frames)

    def flush(self) -> bool:
        """Send what waits; return whether the client keeps up."""
        if not self._outbox:
            return True
        if self.frozen or self._writer.is_closing():
            self.frames_dropped += len(self._outbox)
            self._outbox.clear()
            return True
        data = b"".join(self._outbox)
        self._outbox.clear()
        self._writer.write(data)
        return self._writer.transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES

    def end(self) -> None:
        """Send what waits, then close."""
        self.ends = True
        self.flush()
        self._writer.close()

    def cut(self) -> None:
        """Close without a word."""
        self.ends = True
        self._writer.transport.abort()
