"""What a link needs from its venue (a channel per socket), from its owner, and from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.venues.backoff import BackoffPolicy

Send = Callable[[str], Awaitable[None]]
Tend = Callable[[], Awaitable[None]]
"""What a channel does on its connection for as long as that lives: pings of the venue's own, later subscriptions."""


class Channel(Protocol):
    """The venue's side of one connection."""

    ready: bool
    """Whether every subscription is confirmed and data comes."""
    shutdown_announced: bool

    async def begin(self, send: Send) -> Tend | None:
        """Subscribe and return, when that is confirmed, what to run from then on (None: nothing). Raises LinkLost.

        `send` may be kept until the connection ends. What is run is cancelled then; it raises LinkLost to end it.
        """
        ...

    def inspect(self, raw: bytes) -> None:
        """See every frame as it arrives. Raises LinkLost to end the connection."""
        ...

    def silence(self, now_s: float) -> str | None:
        """Return why the connection is useless although frames may come; `now_s` is monotonic."""
        ...


class LinkOwner(Protocol):
    """Who a link works for. All calls are synchronous and quick."""

    def new_channel(self) -> Channel:
        """Return a channel for a fresh connection."""
        ...

    def on_frame(self, raw: bytes) -> None:
        """Take one frame. Raises BadFrameError."""
        ...

    def on_up(self) -> None:
        """Note that data begins: called before its first frame."""
        ...

    def on_down(self, reason: str) -> None:
        """Note that data has ended; called once after each `on_up`."""
        ...

    def on_trouble(self, reason: str, retry_in_s: float) -> None:
        """Note a failed attempt or a loss, and when the next attempt follows."""
        ...

    def on_notice(self, text: str) -> None:
        """Note a planned replacement and the like."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Limits in seconds unless named otherwise."""

    open_timeout_s: float = 10.0
    ping_interval_s: float = 5.0
    ping_timeout_s: float = 5.0
    close_timeout_s: float = 1.0
    stale_after_s: float = 3.0
    subscribe_timeout_s: float = 10.0
    tick_s: float = 0.25
    sleep_gap_s: float = 5.0
    planned_age_s: float = (24 * 60 - 10) * 60.0
    """Binance ends a connection after 24 h."""
    planned_jitter: float = 0.05
    """Connections opened together are replaced up to this share of the age earlier, each at its own time."""
    overlap_s: float = 2.0
    """How long a successor fills up beside its predecessor before it takes over."""
    replace_timeout_s: float = 30.0
    forbidden_wait_s: float = 0.0
    """Least pause after a handshake that was refused with HTTP 403, where that is how the venue bans."""
    max_size: int = 4 * 2**20
    bad_frames: int = 100
    bad_frames_window_s: float = 10.0
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
