"""Helpers of the window tests: a clock on the fake market, a placeholder for the chart, a clean end."""

from __future__ import annotations

import gc

from fakes import FakeMarket
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from app.ui.mainwindow import MainWindow
from app.ui.panels.base import Panel


class MarketClock:
    """The fake market's time, for labels and intervals alike."""

    def __init__(self, market: FakeMarket) -> None:
        self._market = market

    def wall_ns(self) -> int:
        return self._market.now_ns

    def monotonic_ns(self) -> int:
        return self._market.now_ns


class Placeholder(Panel):
    """Stands for the chart: remembers its state and counts its refreshes."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        self.refreshes = 0
        self.state: dict[str, object] = {}
        self.actives: list[bool] = []
        self.event_ns: int | None = None
        self.fail = False

    def revision(self) -> int:
        return self.version

    def refresh(self, now_ns: int) -> int | None:
        if self.fail:
            raise RuntimeError("broken on purpose")
        self.refreshes += 1
        self.update()
        return self.event_ns

    def set_active(self, active: bool) -> None:
        self.actives.append(active)

    def save_state(self) -> dict[str, object]:
        return dict(self.state)

    def restore_state(self, state: dict[str, object]) -> None:
        self.state = dict(state)


def flush(collect: bool = True) -> None:
    """Deliver what is posted, destroy what was marked for it, and on demand collect cycles."""
    for _ in range(3):
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    if collect:
        gc.collect()


def close(window: MainWindow) -> None:
    """End a window as the exit protocol does, unless a test did it."""
    if getattr(window, "is_gone", False):
        return
    window.is_gone = True  # type: ignore[attr-defined]
    window.frame_clock.stop()
    window._status_timer.stop()
    window._notice_timer.stop()
    window.discard()
