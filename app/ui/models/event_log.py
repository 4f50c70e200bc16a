"""Turns feed events into the table of the event log, newest first."""

from __future__ import annotations

from typing import Final

from app.domain.health import FeedEvent, FeedEventKind
from app.ui import zone
from app.ui.models.rows import NewestFirst
from app.viewmodels import formats

_TONES: Final = {
    FeedEventKind.DISCONNECTED: "bad",
    FeedEventKind.ERROR: "bad",
    FeedEventKind.GAP_DETECTED: "bad",
    FeedEventKind.UPDATE_FAILED: "bad",
    FeedEventKind.RECONNECTING: "warning",
    FeedEventKind.NOTICE: "warning",
    FeedEventKind.CONNECTED: "good",
}


class EventLog(NewestFirst[FeedEvent]):
    """Feed events; symbol, kind and words of one make a sentence."""

    header = ("Time", "Feed", "Event")

    def fields(self, row: int) -> tuple[str, ...]:
        """Return time, source, kind, symbol and text of a row, for copying."""
        event = self.rows[row]
        time = formats.clock_text(event.ts_ns, zone.current())
        return time, event.source, event.kind.value, event.symbol or "", event.text

    def cells(self, row: int) -> tuple[str, ...]:
        """Return the texts of a row; symbol, kind and words make one sentence."""
        time, source, kind, symbol, text = self.fields(row)
        source = source.removeprefix("binance.")
        subject = f"{symbol} {kind}" if symbol else kind
        return time, source, f"{subject}: {text}" if text else subject

    def tone(self, row: int, column: int) -> str:
        """Return the colour of the kind of event."""
        return "muted" if column < 2 else _TONES.get(self.rows[row].kind, "")

    def tip(self, row: int) -> str:
        """Return everything about an event, one field a line."""
        return "\n".join(field for field in self.fields(row) if field)
