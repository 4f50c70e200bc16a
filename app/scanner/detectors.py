"""From the board over time to events: what is remarkable now about which instrument, with the numbers that say so.

All rows are judged at once, a few times a second. Only believable data counts: news not older than `stale_s`, positive
prices, and no last price far off a quote; what cannot be believed is unknown, and nothing unknown ever fires. An event
of one kind and direction needs, per instrument, that its condition has clearly ceased since the last (hysteresis) and
that the cooldown is over. Times are the caller's: the same board at the same times gives the same events.

Of stocks only live quotes of an open, unhalted market count, and each session (before, in and after regular hours) is
a world of its own: no window, no high of the day and nothing normal reaches over its edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from app.scanner.baselines import Extremes
from app.scanner.board import Board
from app.scanner.events import ScanEvent
from app.scanner.flow_detectors import SpikeDetector, SpreadDetector
from app.scanner.gaps import GapDetector
from app.scanner.moment import Detector, Sessions, look, slots_of
from app.scanner.price_detectors import DayDetector, RangeDetector, SurgeDetector
from app.scanner.thresholds import Thresholds

_FIRST_ROWS: Final = 256


class Detectors:
    """Every detector over every instrument, in fixed memory per row. `gaps` tells which jumps were refused and why."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.thresholds = known = thresholds or Thresholds()
        spans = (slots_of(known.price_window_s, known.slot_s), slots_of(known.volatility_window_s, known.slot_s))
        self._extremes = Extremes(spans, _FIRST_ROWS)
        self.gaps = GapDetector(known, _FIRST_ROWS)
        self._all: tuple[Detector, ...] = (
            SurgeDetector(known, self._extremes, _FIRST_ROWS),
            RangeDetector(known, self._extremes, _FIRST_ROWS),
            SpikeDetector(known, _FIRST_ROWS),
            SpreadDetector(known, _FIRST_ROWS),
            DayDetector(known, _FIRST_ROWS),
            self.gaps,
        )
        self._sessions = Sessions()
        self._capacity = _FIRST_ROWS
        self._now_ns = 0

    def advance(self, board: Board, now_ns: int) -> list[ScanEvent]:
        """Judge the refreshed board as of now (UTC ns) and return what fires; nothing unless time goes on."""
        if now_ns <= self._now_ns or board.count == 0:
            return []
        self._now_ns = now_ns
        if board.count > self._capacity:
            self._capacity = board.capacity
            self._extremes.grow(self._capacity)
            for detector in self._all:
                detector.grow(self._capacity)
        moment = look(board, now_ns, self.thresholds.stale_s, self.thresholds.slot_s, self._sessions)
        if moment.begun.any():
            self._extremes.forget(moment.begun)
        self._extremes.take(moment.slot, moment.prices)
        events: list[ScanEvent] = []
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for detector in self._all:
                events += detector.advance(moment)
        return events
