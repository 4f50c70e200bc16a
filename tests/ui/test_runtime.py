"""The Qt loop: precise timers, the clean way out, and what happens when something does not want to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QWidget

from app import runtime


@pytest.fixture
def stop() -> runtime.Exit:
    return runtime.Exit()


def test_void_qt_calls_do_not_lose_references(qapp: QApplication) -> None:
    assert abs(runtime.reference_drift(2000)) <= 10


def test_five_thousand_emits_do_not_lose_references(qapp: QApplication) -> None:
    class Sender(QObject):
        fired = Signal(int)
        flagged = Signal(bool)

    sender = Sender()
    seen: list[int] = []
    sender.fired.connect(seen.append)
    before = sys.getrefcount(None), sys.getrefcount(True)
    for number in range(5000):
        sender.fired.emit(number)
        sender.flagged.emit(True)
    assert len(seen) == 5000
    if sys.version_info >= (3, 12):
        return  # None and True are immortal there: their counts mean nothing
    assert abs(sys.getrefcount(None) - before[0]) <= 10
    assert abs(sys.getrefcount(True) - before[1]) <= 10


def test_a_qt_that_loses_references_is_refused_with_a_sentence(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "reference_drift", lambda: -1000)
    with pytest.raises(runtime.BrokenQtError, match=r"expected PySide6 6\.11\.2"):
        runtime.make_application(["fathom"])


def test_the_application_outlives_its_last_window(qapp: QApplication) -> None:
    app = runtime.make_application(["fathom"])
    assert app is qapp
    assert not app.quitOnLastWindowClosed()


def test_every_timer_of_the_loop_is_precise(qapp: QApplication) -> None:
    loop = runtime.new_loop(qapp)
    kinds: list[Qt.TimerType] = []
    timer = loop._timer  # type: ignore[attr-defined]
    wrapped = timer.startTimer

    def spy(milliseconds: int, *rest: Qt.TimerType) -> int:
        kinds.append(rest[0] if rest else wrapped.__defaults__[0])
        return int(wrapped(milliseconds, *rest))

    timer.startTimer = spy
    try:
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        loop.run_until_complete(asyncio.sleep(0.01))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    assert kinds
    assert set(kinds) == {Qt.TimerType.PreciseTimer}


def test_a_loop_without_the_private_timer_is_noticed() -> None:
    loop = asyncio.new_event_loop()
    try:
        assert not runtime.make_timers_precise(loop)
    finally:
        loop.close()


def test_the_result_of_main_is_the_exit_code(qapp: QApplication, stop: runtime.Exit) -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 3

    async def quiet() -> None:
        await asyncio.sleep(0)

    assert runtime.run(main, app=qapp, stop=stop) == 3
    assert runtime.run(quiet, app=qapp, stop=stop) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request_to_stop(qapp: QApplication, stop: runtime.Exit, number: signal.Signals) -> None:
    steps: list[str] = []

    async def main() -> int:
        os.kill(os.getpid(), number)
        steps.append(await stop.wait())
        await asyncio.sleep(0.01)
        steps.append("saved")
        return 0

    assert runtime.run(main, app=qapp, stop=stop) == 0
    assert steps == [number.name, "saved"]
    assert signal.getsignal(number) is not signal.SIG_IGN


def test_closing_the_last_window_does_not_end_the_loop(qapp: QApplication, stop: runtime.Exit) -> None:
    runtime.make_application([])

    async def main() -> int:
        window = QWidget()
        window.show()
        await asyncio.sleep(0.01)
        window.close()
        window.deleteLater()
        await asyncio.sleep(0.01)
        return 5

    assert runtime.run(main, app=qapp, stop=stop) == 5


def test_after_the_deadline_the_living_are_named_and_cancelled(
    qapp: QApplication, stop: runtime.Exit, caplog: pytest.LogCaptureFixture
) -> None:
    async def stubborn() -> None:
        await asyncio.Event().wait()

    async def main() -> int:
        helper = asyncio.create_task(stubborn(), name="stubborn feed")
        stop.request("test")
        await helper
        return 0

    with caplog.at_level(logging.ERROR, "fathom.runtime"):
        assert runtime.run(main, app=qapp, stop=stop, deadline_s=0.05) == 1
    assert any("stubborn feed" in record.getMessage() for record in caplog.records)
    assert not [thread for thread in threading.enumerate() if thread.name == "exit deadline"]


def test_asking_twice_cancels_at_once(qapp: QApplication, stop: runtime.Exit) -> None:
    async def main() -> int:
        stop.request("first")
        stop.request("second")
        await asyncio.Event().wait()
        return 0

    assert runtime.run(main, app=qapp, stop=stop, deadline_s=60) == 1


def test_a_process_that_hangs_is_ended_from_outside(
    qapp: QApplication, stop: runtime.Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "HARD_EXIT_S", 0.05)
    codes: list[int] = []
    killed = threading.Event()

    def kill(code: int) -> None:
        codes.append(code)
        killed.set()

    async def main() -> int:
        stop.request("test")
        assert killed.wait(10), "the watchdog did not act while the loop was blocked"
        return 0

    runtime.run(main, app=qapp, stop=stop, deadline_s=0.05, kill=kill)
    assert codes == [70]


def test_a_failing_main_becomes_a_sentence_and_code_one(
    qapp: QApplication, stop: runtime.Exit, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    async def main() -> int:
        raise ValueError("wrong number")

    assert runtime.run(main, app=qapp, stop=stop, on_crash=told.append) == 1
    assert told == ["Fathom had to stop: wrong number"]
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.qt_no_exception_capture
def test_errors_in_slots_callbacks_and_threads_are_told_and_the_program_goes_on(
    qapp: QApplication, stop: runtime.Exit, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError("in a slot")

    async def main() -> int:
        QTimer.singleShot(0, fail)
        await asyncio.sleep(0.02)
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0.02)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        return 0

    hooks = sys.excepthook, threading.excepthook
    assert runtime.run(main, app=qapp, stop=stop, on_crash=told.append) == 0
    assert len(told) == 3
    assert all("ZeroDivisionError" in text and "Traceback" not in text for text in told)
    assert len([record for record in caplog.records if record.exc_info]) == 3
    assert (sys.excepthook, threading.excepthook) == hooks


def test_lag_percentiles_and_slow_callbacks(caplog: pytest.LogCaptureFixture) -> None:
    probe = runtime.LagProbe(period_s=0.05, window_s=5.0, slow_ms=100.0)
    assert probe.lag() == runtime.Lag(None, None, None, 0)
    for value in range(200):
        probe.record(float(value))
    probe.record(-5.0)
    lag = probe.lag()
    assert lag.samples == 100
    assert lag.max_ms == 199.0
    assert lag.p50_ms == 150.0
    assert probe.slow_count == 100
    assert "held up" in caplog.text


def test_the_probe_measures_a_blocked_loop(qapp: QApplication, stop: runtime.Exit) -> None:
    probe = runtime.LagProbe(period_s=0.01, slow_ms=1e9)

    async def main() -> int:
        task = asyncio.create_task(probe.run())
        await asyncio.sleep(0.03)
        threading.Event().wait(0.05)
        await asyncio.sleep(0.03)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return 0

    assert runtime.run(main, app=qapp, stop=stop) == 0
    lag = probe.lag()
    assert lag.samples >= 2
    assert lag.max_ms is not None
    assert lag.max_ms > 20


class _Knot:
    """An object in a cycle that writes down which thread destroyed it."""

    def __init__(self, ends: list[int]) -> None:
        self.me = self
        self.ends = ends

    def __del__(self) -> None:
        self.ends.append(threading.get_ident())


def test_cycles_are_destroyed_on_the_thread_of_the_window_alone(qapp: QApplication, stop: runtime.Exit) -> None:
    ends: list[int] = []

    def other_thread() -> list[list[int]]:
        for _ in range(50):
            _Knot(ends)
        return [[number] for number in range(20_000)]  # enough for CPython to collect there, many times over

    async def main() -> int:
        held = await asyncio.to_thread(other_thread)  # while these live, a collection is due
        for _ in range(400):
            if len(ends) == 50:
                break
            await asyncio.sleep(0.05)
        return 0 if held else 1

    gc.enable()
    try:
        assert runtime.run(main, app=qapp, stop=stop) == 0
        assert gc.isenabled()
    finally:
        gc.disable()
    assert ends == [threading.get_ident()] * 50


_PROGRAM = """
import asyncio, sys
from app import runtime
app = runtime.make_application(["fathom"])
stop = runtime.Exit()
async def main():
    print("ready", flush=True)
    print(await stop.wait(), flush=True)
sys.exit(runtime.run(main, app=app, stop=stop))
"""


def test_a_real_process_ends_cleanly_on_sigterm() -> None:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, cwd=root, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        assert process.wait(10) == 0
