"""How much one client, one address and all clients together may take: pure bookkeeping, times are passed in (seconds).

The numbers follow from what was measured: without a limit a client that stops reading lets the server's buffer grow for
ever, and a library's keepalive does not notice it while frames are written.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

SEND_BUFFER_BYTES: Final = 65_536
"""Asked of the kernel per client (it takes twice that), so that a client which stops reading is noticed in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take.

    backlog_bytes: a client with more than this unsent gets no further frame until it has read; slow_s: how long that,
    or no progress at all, may last. address: connections of one address beyond this machine. unknown: connections that
    have not proven anything yet (handshake or token outstanding).
    """

    clients: int = 64
    address: int = 8
    unknown: int = 64
    messages_per_s: float = 20.0
    backlog_bytes: int = 131_072
    slow_s: float = 5.0
    auth_s: float = 3.0
    open_s: float = 5.0

    @classmethod
    def for_clients(cls, clients: int) -> Limits:
        """Return the limits of a server for so many clients."""
        return cls(clients=clients, unknown=max(64, clients // 4))


class Rate:
    """A bucket of `per_s` messages that fills up again at `per_s` a second."""

    __slots__ = ("_at", "_left", "_per_s")

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none left."""
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Verdict(Enum):
    """What to do with a client at this moment."""

    WRITE = "write"
    WAIT = "wait"
    DROP = "drop"


class Backlog:
    """Tells a client that keeps up from one that is slow or frozen, by what is left unsent.

    A client is behind while more than the limit waits, or while something waits and nothing of it has gone out. Behind
    for longer than the limit of time, it is dropped; while more than the limit waits, nothing is added.
    """

    __slots__ = ("_behind_since", "_last_size", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last_size = 0
        self._behind_since: float | None = None

    def judge(self, size: int, now: float) -> Verdict:
        """Return what to do with so many bytes unsent."""
        over = size > self._limits.backlog_bytes
        stuck = size > 0 and size >= self._last_size > 0
        if not over and not stuck:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since >= self._limits.slow_s:
            return Verdict.DROP
        self._last_size = size
        return Verdict.WAIT if over else Verdict.WRITE

    def wrote(self, size: int) -> None:
        """Note what is unsent after a write."""
        self._last_size = size

    def behind_s(self, now: float) -> float:
        """Return for how long the client has been behind."""
        return 0.0 if self._behind_since is None else now - self._behind_since


@dataclass(slots=True)
class Admission:
    """Who is connected, and how often somebody was turned away or dropped, by reason."""

    limits: Limits
    unknown: int = 0
    clients: int = 0
    addresses: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def refusal(self, address: str, *, is_local: bool) -> str | None:
        """Return why a new WebSocket client of that address is one too many, None when it is welcome."""
        if self.clients >= self.limits.clients:
            return f"all {self.limits.clients} places are taken"
        if not is_local and self.addresses[address] >= self.limits.address:
            return f"{self.limits.address} clients of one address are the most"
        return None

    def enter(self, address: str) -> None:
        """Count a WebSocket client in."""
        self.clients += 1
        self.addresses[address] += 1

    def leave(self, address: str) -> None:
        """Count it out."""
        self.clients -= 1
        self.addresses[address] -= 1
        if self.addresses[address] <= 0:
            del self.addresses[address]
