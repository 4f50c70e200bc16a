"""The frame clock: only what is visible and has moved is refreshed, and what is painted is timed."""

from __future__ import annotations

import asyncio
import time

import pytest
from fakes import FakeMarket
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from shell import Placeholder, flush

from app.domain.units import NS_PER_MS
from app.ui.frameclock import FRAME_MS, IDLE_MS, PUSHED_MS, FrameClock, percentiles


@pytest.fixture
def panel(qtbot, clock: FrameClock):
    made = Placeholder()
    made.resize(200, 100)
    made.show()
    clock.add(made)
    yield made
    clock.remove(made)
    made.hide()
    made.deleteLater()
    flush()


def deliver_paints() -> None:
    """Paint, then deliver the note that follows it."""
    for _ in range(3):
        QApplication.processEvents()


def test_a_panel_is_refreshed_once_per_revision(panel: Placeholder, clock: FrameClock) -> None:
    for _ in range(3):
        clock.tick()
    assert panel.refreshes == 1
    panel.version += 1
    clock.tick()
    assert panel.refreshes == 2
    clock.invalidate()
    clock.tick()
    assert panel.refreshes == 3


def test_hidden_and_minimised_panels_cost_nothing_and_the_clock_slows_down(
    panel: Placeholder, clock: FrameClock
) -> None:
    clock.tick()
    assert clock.interval_ms == FRAME_MS
    panel.hide()
    panel.version += 1
    clock.tick()
    assert panel.refreshes == 1
    assert clock.interval_ms == IDLE_MS
    panel.show()
    clock.tick()
    assert panel.refreshes == 2
    assert clock.interval_ms == FRAME_MS
    panel.setWindowState(Qt.WindowState.WindowMinimized)
    panel.version += 1
    clock.tick()
    assert panel.refreshes == 2
    assert panel.actives == [True, False, True, False]


def test_between_two_samples_only_panels_with_news_of_their_own_have_a_frame(
    panel: Placeholder, clock: FrameClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    asyncio.run(clock.push())
    assert panel.refreshes == 1
    panel.version += 1
    clock._timer.timeout.emit()
    assert panel.refreshes == 1
    panel.has_own_news = True
    clock._timer.timeout.emit()
    assert panel.refreshes == 2
    panel.has_own_news = False
    panel.version += 1
    now_ns += PUSHED_MS * NS_PER_MS
    clock._timer.timeout.emit()
    assert panel.refreshes == 3


def test_a_removed_panel_is_deactivated(panel: Placeholder, clock: FrameClock) -> None:
    clock.tick()
    clock.remove(panel)
    clock.remove(panel)
    assert panel.actives == [True, False]


def test_event_to_painted_time_is_taken_after_the_paint(
    panel: Placeholder, clock: FrameClock, market: FakeMarket
) -> None:
    QApplication.processEvents()
    for age_ms in (10, 20, 30):
        panel.event_ns = market.now_ns - age_ms * NS_PER_MS
        panel.version += 1
        clock.tick()
        assert clock.latency().samples == age_ms // 10 - 1
        deliver_paints()
    timing = clock.latency()
    assert (timing.samples, timing.p50_ms, timing.p99_ms) == (3, 20.0, 30.0)
    assert clock.latency(panel) == timing


def test_events_from_the_future_are_not_counted(panel: Placeholder, clock: FrameClock, market: FakeMarket) -> None:
    QApplication.processEvents()
    panel.event_ns = market.now_ns + NS_PER_MS
    clock.tick()
    deliver_paints()
    assert clock.latency().samples == 0


def test_a_panel_that_fails_is_reported_and_does_not_stop_the_others(
    panel: Placeholder, clock: FrameClock, caplog: pytest.LogCaptureFixture
) -> None:
    other = Placeholder()
    other.show()
    clock.add(other)
    failures: list[tuple[object, str]] = []
    clock.panel_failed.connect(lambda failed, text: failures.append((failed, text)))
    panel.fail = True
    clock.tick()
    clock.tick()
    assert [failed for failed, _ in failures] == [panel]
    assert "broken on purpose" in failures[0][1]
    assert "Traceback" not in failures[0][1]
    assert other.refreshes == 1
    assert any(record.exc_info for record in caplog.records)
    clock.remove(other)
    other.deleteLater()


def test_percentiles_are_nearest_ranks() -> None:
    assert percentiles([]).p50_ms is None
    timing = percentiles([float(value) for value in range(101)])
    assert (timing.p50_ms, timing.p95_ms, timing.p99_ms) == (50.0, 95.0, 99.0)
