"""Turns 30 ticks a second into refreshes of the panels that are on screen and have something new.

Screens pull: a panel is asked for its revision and refreshed only when that moved. What a panel reports as the event
time of the sample it shows becomes the event-to-screen time once its window has painted.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from app.domain.units import NS_PER_MS, NS_PER_S
from app.ui.panels.base import Panel

_log = logging.getLogger("fathom.ui.frameclock")

FRAME_MS: Final = 33
IDLE_MS: Final = 250
WINDOW_S: Final = 60
PUSHED_MS: Final = 120
"""For how long after a push the timer leaves the frames to the data."""
_PAINTED: Final = QEvent.Type(QEvent.registerEventType())


@dataclass(frozen=True, slots=True)
class Latency:
    """Event-to-painted time over the last minute in ms; None without samples."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    samples: int


def percentiles(values: list[float]) -> Latency:
    """Return the nearest-rank percentiles of a list (which is sorted in place)."""
    if not values:
        return Latency(None, None, None, 0)
    values.sort()
    last = len(values) - 1
    return Latency(
        values[round(0.50 * last)],
        values[round(0.95 * last)],
        values[round(0.99 * last)],
        len(values),
    )


@dataclass(slots=True, eq=False)
class _Entry:
    panel: Panel
    revision: Hashable = None
    fresh: bool = True
    active: bool = False
    failures: int = 0
    retry_at_ns: int = 0
    samples: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=2400))


class FrameClock(QObject):
    """One precise timer for every panel of the program.

    wall_ns gives UTC ns on the clock that event times are on. `panel_failed` carries the panel and a sentence.
    """

    panel_failed = Signal(object, str)
    frame = Signal()

    def __init__(self, wall_ns: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wall_ns = wall_ns
        self._entries: dict[int, _Entry] = {}
        self._pending: dict[int, list[tuple[_Entry, int]]] = {}
        self._windows: weakref.WeakSet[QWidget] = weakref.WeakSet()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._on_timer)
        self.refreshes = 0
        self._pushed_ns = 0

    def start(self) -> None:
        """Begin ticking."""
        self._timer.start()

    def stop(self) -> None:
        """Stop ticking."""
        self._timer.stop()

    @property
    def interval_ms(self) -> int:
        """Return the present pace: a frame while something is on screen, slower while nothing is."""
        return self._timer.interval()

    def add(self, panel: Panel) -> None:
        """Refresh this panel from now on."""
        self._entries[id(panel)] = _Entry(panel)
        self._set_pace(FRAME_MS)

    def remove(self, panel: Panel) -> None:
        """Forget a panel and deactivate it."""
        entry = self._entries.pop(id(panel), None)
        if entry is None:
            return
        for waiting in self._pending.values():
            waiting[:] = [item for item in waiting if item[0] is not entry]
        if entry.active:
            entry.active = False
            panel.set_active(False)

    def invalidate(self) -> None:
        """Refresh every panel at its next chance, whatever its revision (after a change of theme or zone)."""
        for entry in self._entries.values():
            entry.fresh = True

    def tick(self) -> None:
        """Do one frame."""
        seen = False
        for entry in tuple(self._entries.values()):
            seen = self._visit(entry) or seen
        self._set_pace(FRAME_MS if seen else IDLE_MS)
        self.frame.emit()

    async def push(self) -> None:
        """Do one frame because there is new data, panel by panel: the loop and the painting get a turn after each."""
        self._pushed_ns = time.monotonic_ns()
        for entry in tuple(self._entries.values()):
            refreshes = self.refreshes
            if id(entry.panel) in self._entries:
                self._visit(entry)
            if self.refreshes != refreshes:
                await asyncio.sleep(0)

    def _on_timer(self) -> None:
        """Do a frame; while data drives them, only for panels that it does not drive and for a hand on the mouse."""
        pushed = time.monotonic_ns() - self._pushed_ns < PUSHED_MS * NS_PER_MS
        if pushed and not QGuiApplication.mouseButtons():
            for entry in tuple(self._entries.values()):
                if entry.panel.has_own_news:
                    self._visit(entry)
            self.frame.emit()
            return
        self.tick()

    def _visit(self, entry: _Entry) -> bool:
        """Refresh one panel if it is on screen and has something new; tell whether it is on screen."""
        panel = entry.panel
        window = panel.window()
        visible = panel.isVisible() and not window.isMinimized()
        if visible != entry.active:
            entry.active = visible
            entry.fresh = True
            panel.set_active(visible)
        if visible and not (entry.retry_at_ns and time.monotonic_ns() < entry.retry_at_ns):
            self._refresh(entry, window, self._wall_ns())
        return visible

    def _refresh(self, entry: _Entry, window: QWidget, now_ns: int) -> None:
        try:
            revision = entry.panel.revision()
            if not entry.fresh and revision == entry.revision:
                return
            entry.revision = revision
            entry.fresh = False
            event_ns = entry.panel.refresh(now_ns)
        except Exception as error:  # a supervisor: one panel's bug must not stop the others
            entry.failures += 1
            entry.fresh = True
            pause_s = min(60, 2**entry.failures)
            entry.retry_at_ns = time.monotonic_ns() + pause_s * NS_PER_S
            _log.exception("panel %s failed, next try in %d s", type(entry.panel).__name__, pause_s)
            self.panel_failed.emit(entry.panel, f"This panel could not be drawn ({error}); next try in {pause_s} s")
            return
        self.refreshes += 1
        entry.retry_at_ns = 0
        entry.failures = 0
        if event_ns is not None:
            self._watch(window)
            self._pending.setdefault(id(window), []).append((entry, event_ns))

    def _set_pace(self, interval_ms: int) -> None:
        if self._timer.interval() != interval_ms:
            self._timer.setInterval(interval_ms)

    def _watch(self, window: QWidget) -> None:
        if window not in self._windows:
            self._windows.add(window)
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See a window's repaint begin; the event posted here is delivered after it is done."""
        if event.type() == QEvent.Type.UpdateRequest and (waiting := self._pending.pop(id(watched), None)):
            QCoreApplication.postEvent(self, _PaintedEvent(waiting), Qt.EventPriority.HighEventPriority.value)
        return False

    def customEvent(self, event: QEvent) -> None:
        """Take the time of what has just been painted."""
        if not isinstance(event, _PaintedEvent):
            return
        now_ns = self._wall_ns()
        stamp_ns = time.monotonic_ns()
        for entry, event_ns in event.waiting:
            elapsed_ms = (now_ns - event_ns) / NS_PER_MS
            if elapsed_ms >= 0:
                entry.samples.append((stamp_ns, elapsed_ms))

    def latency(self, panel: Panel | None = None) -> Latency:
        """Return the event-to-painted percentiles of the last 60 s, of one panel or of all."""
        oldest_ns = time.monotonic_ns() - WINDOW_S * NS_PER_S
        entries = self._entries.values() if panel is None else [self._entries[id(panel)]]
        values: list[float] = []
        for entry in entries:
            while entry.samples and entry.samples[0][0] < oldest_ns:
                entry.samples.popleft()
            values.extend(sample for _, sample in entry.samples)
        return percentiles(values)


class _PaintedEvent(QEvent):
    def __init__(self, waiting: list[tuple[_Entry, int]]) -> None:
        super().__init__(_PAINTED)
        self.waiting = waiting
