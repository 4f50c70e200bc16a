"""Turns the connections of all feeds into a small table."""

from __future__ import annotations

from typing import Final

from app.ui.models.rows import RowsTable
from app.viewmodels import formats
from app.viewmodels.feeds import FeedRow, LinkRow

_TONES: Final = {"grey": "muted", "amber": "warning", "green": "good", "red": "bad"}


class LinkTable(RowsTable[LinkRow]):
    """One row per connection."""

    header = ("Connection", "State", "Msg/s", "Age", "Latency", "Reconn.", "Bad", "Streams")
    header_tips = (
        "Name of the connection",
        "State of the connection",
        "Messages per second, over 3 s",
        "Time since the last message",
        "Receive time minus the venue's event time, corrected by the clock offset when known",
        "Reconnects since the start",
        "Frames that were not understood and left out",
        "Streams subscribed on this connection",
    )
    words = 2

    def show_feeds(self, feeds: tuple[FeedRow, ...]) -> None:
        """Take the connections of these feeds."""
        links = tuple(link for feed in feeds for link in feed.links)
        self.show_rows(links, same=len(links) == len(self.rows))

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a connection."""
        return cells_of(self.rows[row])

    def tone(self, row: int, column: int) -> str:
        """Return the colour of the state."""
        return _TONES[self.rows[row].light] if column == 1 else ""

    def tip(self, row: int) -> str:
        """Return everything that is known of a connection."""
        return tip_of(self.rows[row])


def cells_of(link: LinkRow) -> tuple[str, ...]:
    """Return the texts of a connection."""
    return (
        link.name,
        link.word,
        formats.UNKNOWN if link.rate is None else f"{link.rate:,.0f}",
        formats.age(link.age_ns),
        formats.milliseconds(link.latency_ms),
        formats.count(link.reconnects),
        formats.count(link.bad_frames),
        formats.count(link.streams),
    )


def tip_of(link: LinkRow) -> str:
    """Return everything that is known of a connection, in words."""
    lines = [f"{link.name}: {link.word}"]
    if link.reason:
        lines.append(link.reason)
    if link.retry_in_ns is not None:
        lines.append(f"next try in {formats.age(link.retry_in_ns)}")
    if link.up_ns is not None:
        lines.append(f"connected for {formats.age(link.up_ns)}")
    lines.append(f"{formats.count(link.frames)} messages, {formats.volume(link.bytes)}B")
    lines.append(link.url)
    return "\n".join(lines)
