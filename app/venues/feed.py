"""The ports between a venue's session (sockets), its intake (decoding) and the pipeline (books and samples).

Session -> `FeedSink` (recorded here) -> engine -> the venue's `Intake`, which decodes and moves the books -> `Desk`,
the engine's side, which samples, counts, asks for snapshots and passes market news on. A replay enters at `FeedSink`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import Protocol

from app.books.keeper import Keeper
from app.domain.health import FeedEvent, FeedHealth
from app.domain.ids import FeedId
from app.domain.instruments import Instrument
from app.domain.market import Liquidation, TickerUpdate


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

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        """Take one WebSocket data frame exactly as received (control answers included).

        line: a word without spaces that says which subscription the connection carries, where the venue's frames do
        not tell it themselves (Hyperliquid's books of several resolutions).
        """
        ...

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Note that a depth request leaves now: diffs from here on must be kept for its answer."""
        ...

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        """Take the body of an answer that carries market data; `path` with its query says what was asked.

        `polled`: a depth snapshot that stands in for streams.
        """
        ...

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that a depth request got no usable answer."""
        ...

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool, line: str = "") -> None:
        """Note that the book streams of these symbols (on that line) begin (up) or are lost (down)."""
        ...

    def on_event(self, event: FeedEvent) -> None:
        """Take a rare fact for the event log."""
        ...


class Desk(Protocol):
    """The engine's side of an intake: told what happened to which book (by row) and to the market."""

    @property
    def feed(self) -> FeedId:
        """The feed that is decoded."""
        ...

    @property
    def health(self) -> FeedHealth:
        """Its counters: an intake counts `bad_frames` and `dropped` itself, the methods below count the rest."""
        ...

    def on_applied(self, index: int, recv_ns: int, event_ns: int) -> None:
        """Note that an update changed the book; event_ns is the venue's time of it (UTC ns, 0: not given)."""
        ...

    def on_heard(self, index: int, recv_ns: int) -> None:
        """Note that something came for the book which did not change it: it is not stale."""
        ...

    def on_gap(self, index: int, recv_ns: int, text: str) -> None:
        """Note that updates are missing: counted, logged, a snapshot is asked for."""
        ...

    def on_loaded(self, index: int, recv_ns: int, text: str) -> None:
        """Note that a snapshot is in the book; text says how large it is."""
        ...

    def on_polled(self, index: int) -> None:
        """Note that a snapshot which stands in for streams is in the book."""
        ...

    def on_refused(self, index: int, recv_ns: int, text: str, *, again: bool) -> None:
        """Note that a snapshot could not be used; again: ask for another."""
        ...

    def on_quote(self, index: int, recv_ns: int, update_id: int, bid: float, ask: float) -> None:
        """Hold the book's top against a quote (0: empty side) as soon as the book stands at that update."""
        ...

    def on_news(self, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        """Pass on what is new about instruments, followed as books or not."""
        ...

    def on_liquidations(self, recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        """Pass on positions closed by force."""
        ...

    def on_notice(self, recv_ns: int, symbol: str | None, text: str) -> None:
        """Pass on a rare fact for the event log."""
        ...


class Intake(Protocol):
    """Decodes one feed's inputs and moves its books; synchronous, without input or output of its own.

    The same inputs in the same order lead to the same books: nothing else (no clock, no randomness) may matter.
    """

    def open_book(self, instrument: Instrument) -> Keeper:
        """Return the keeper of one book; called once per row of the engine, in the order of the rows."""
        ...

    def on_frame(self, recv_ns: int, raw: bytes, line: str) -> None:
        """Take one frame. Raises BadFrameError (after counting it) for a frame that is not as documented."""
        ...

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Note that a request leaves."""
        ...

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        """Take an answer; a bad one is counted and told to the desk, never raised."""
        ...

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that a request brought nothing."""
        ...

    def on_streams(self, index: int, recv_ns: int, *, up: bool, line: str) -> bool:
        """Note that a book's stream begins or ends; return whether any of its streams runs now."""
        ...


class FeedSession(Protocol):
    """One running feed. Everything but `run` is synchronous and quick."""

    health: FeedHealth

    async def run(self) -> None:
        """Stream until cancelled; may be called again after it ended. Raises FatalFeedError when trying is useless."""
        ...

    def request_snapshot(self, symbol: str, urgency: Urgency) -> None:
        """Ask for the book anew: by REST or by subscribing again, as the venue has it."""
        ...

    def pause_snapshots(self) -> None:
        """Start no snapshot until resumed."""
        ...

    def resume_snapshots(self) -> None:
        """Go on with snapshots."""
        ...

    def cancel_priming(self) -> None:
        """Drop the queue of snapshots."""
        ...

    @property
    def hot_capacity(self) -> int:
        """How many symbols besides those with books may have live quote streams."""
        ...

    def set_hot(self, symbols: Collection[str]) -> None:
        """Stream quotes of exactly these symbols besides those with books; unknown ones are ignored."""
        ...
