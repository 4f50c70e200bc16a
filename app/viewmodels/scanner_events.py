"""Turns the scanner's events into badges per row and into the filterable list beside the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

import numpy as np

from app.domain.ids import Market
from app.domain.units import NS_PER_MINUTE
from app.scanner.board import Board, FloatArray
from app.scanner.events import EventKind, ScanEvent
from app.viewmodels import formats

MINUTES: Final[tuple[int, ...]] = (5, 15, 30, 60, 240)
EXTREMES: Final = frozenset({EventKind.NEW_HIGH, EventKind.NEW_LOW})
_UP: Final = frozenset({EventKind.NEW_HIGH})
_DOWN: Final = frozenset({EventKind.NEW_LOW})
_DIRECTION_KEYS: Final = ("change_pct", "gap_pct")
MAX_BADGES: Final = 6
MAX_LISTED: Final = 500


def direction_of(event: ScanEvent) -> int:
    """Return 1 for an event upwards, -1 downwards, 0 for one without a direction."""
    if event.kind in _UP:
        return 1
    if event.kind in _DOWN:
        return -1
    for key in _DIRECTION_KEYS:
        value = event.numbers.get(key, 0.0)
        if value > 0.0:
            return 1
        if value < 0.0:
            return -1
    return 0


@dataclass(frozen=True, slots=True)
class Badge:
    """One kind of recent event of a row: its short word, direction, how often, and the newest one."""

    word: str
    direction: int
    times: int
    newest: ScanEvent


class ScannerEvents:
    """Recent events by row, newest first, and the list of all events with its own filter."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[int, list[ScanEvent]] = {}
        self._seen: object = None
        self._built_ns = 0
        self.minutes = 15
        self.filter = ""
        self.kinds: frozenset[EventKind] = frozenset(EventKind)
        self.revision = 0

    def set_minutes(self, minutes: int) -> None:
        """Choose for how long an event counts as recent."""
        self.minutes = minutes
        self._seen = None

    def take(self, events: Sequence[ScanEvent], events_revision: int, now_ns: int) -> bool:
        """Sort recent events by row anew when some came or some have grown old; return whether badges have changed."""
        if self._seen == events_revision and 0 <= now_ns - self._built_ns < NS_PER_MINUTE // 12:
            return False
        if self._seen != events_revision:
            self.revision += 1
        self._seen, self._built_ns = events_revision, now_ns
        oldest_ns = now_ns - self.minutes * NS_PER_MINUTE
        told: dict[int, list[ScanEvent]] = {}
        for event in reversed(events):
            if event.ts_ns < oldest_ns:
                continue
            row = self._board.find(event.market, event.symbol)
            if row is not None:
                told.setdefault(row, []).append(event)
        self._told = told
        return True

    def rows(self, kinds: frozenset[EventKind] | None = None) -> list[int]:
        """Return the rows with recent events (of some kinds)."""
        if kinds is None:
            return list(self._told)
        return [row for row, told in self._told.items() if any(event.kind in kinds for event in told)]

    def of(self, row: int) -> Sequence[ScanEvent]:
        """Return the recent events of a row, newest first."""
        return self._told.get(row, ())

    def newest_ns(self) -> FloatArray:
        """Return float64 [count]: when each row's newest event was, NaN without one."""
        result = np.full(self._board.count, np.nan)
        for row, told in self._told.items():
            result[row] = told[0].ts_ns
        return result

    def badges(self, row: int) -> list[Badge]:
        """Return what a row's cell shows: one badge per kind, most recent first."""
        events = self.of(row)
        times = Counter(event.kind for event in events)
        newest: dict[EventKind, ScanEvent] = {}
        for event in events:
            newest.setdefault(event.kind, event)
        return [
            Badge(kind.badge, direction_of(event), times[kind], event)
            for kind, event in list(newest.items())[:MAX_BADGES]
        ]

    def listed(
        self, events: Sequence[ScanEvent], only_rows: frozenset[tuple[Market, str]] | None = None
    ) -> list[ScanEvent]:
        """Return what the list shows, newest first: kinds and words that were chosen, at most `MAX_LISTED`."""
        words = self.filter.casefold().split()
        found: list[ScanEvent] = []
        for event in reversed(events):
            if event.kind not in self.kinds:
                continue
            if only_rows is not None and (event.market, event.symbol) not in only_rows:
                continue
            if words:
                text = f"{event.symbol} {event.market.full_name} {event.kind.value} {event.text}".casefold()
                if not all(word in text for word in words):
                    continue
            found.append(event)
            if len(found) == MAX_LISTED:
                break
        return found


def badge_words(badge: Badge) -> str:
    """Return a badge as text: "▲SURGE", "VOL×3"."""
    sign = "▲" if badge.direction > 0 else "▼" if badge.direction < 0 else ""
    return f"{sign}{badge.word}{f'×{badge.times}' if badge.times > 1 else ''}"


def event_lines(event: ScanEvent, zone: tzinfo = UTC) -> list[str]:
    """Return an event in words: when, what, and each number that led to it."""
    head = f"{formats.clock_text(event.ts_ns, zone)}  {event.kind.value}: {event.text}"
    numbers = [f"    {key.replace('_', ' ')}: {number_text(value)}" for key, value in event.numbers.items()]
    return [head, *numbers]


def number_text(value: float) -> str:
    """Return a number of an event as a person reads it."""
    if not np.isfinite(value):
        return formats.UNKNOWN
    if abs(value) >= 100_000:
        return formats.full(value, 0)
    return f"{value:.12f}".rstrip("0").rstrip(".") if 0 < abs(value) < 1e-3 else f"{value:,.6g}"
