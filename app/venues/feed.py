"""The port between a venue's session (sockets) and the pipeline (books)."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from app.domain.health import FeedEvent


class Urgency(IntEnum):
    """Why a snapshot is wanted; lower goes first."""

    VISIBLE = 0
    RESYNC = 1
    FIRST = 2
    DEEPEN = 3
    REFRESH = 4


class FeedSink(Protocol):
    """Where a session hands its input. Every call is synchronous, quick, and made on the loop's thread.

    `recv_ns` is UTC ns and never decreases within one feed.
    """

    def on_frame(self, recv_ns: int, raw: bytes) -> None:
        """Take one WebSocket data frame exactly as received (control answers included)."""
        ...

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Note that a depth request leaves now: diffs from here on must be kept for its answer."""
        ...

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        """Take the body of a depth answer; `path` with its query names symbol and limit. `polled`: REST fallback."""
        ...

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that a depth request got no usable answer."""
        ...

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool) -> None:
        """Note that the diff streams of these symbols begin (up) or are lost (down)."""
        ...

    def on_event(self, event: FeedEvent) -> None:
        """Take a rare fact for the event log."""
        ...
