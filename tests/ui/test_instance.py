"""One profile runs once: a second start raises the first, and a killed one leaves no lock behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from app.ui.instance import SingleInstance

_HOLDER = """
import sys, time
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.ui.instance import SingleInstance
app = QCoreApplication([])
guard = SingleInstance(Path(sys.argv[1]))
print(guard.acquire(), flush=True)
time.sleep(60)
"""


def test_a_second_start_raises_the_first(qtbot, tmp_path: Path) -> None:
    first, second = SingleInstance(tmp_path), SingleInstance(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    with qtbot.waitSignal(first.raised):
        assert second.ask_first_to_raise()
    first.release()
    assert second.acquire()
    second.release()


def test_two_profiles_do_not_know_each_other(qapp, tmp_path: Path) -> None:
    first, second = SingleInstance(tmp_path / "one"), SingleInstance(tmp_path / "two")
    assert first.acquire()
    assert second.acquire()
    first.release()
    second.release()


def test_nobody_answers_when_nobody_runs(qapp, tmp_path: Path) -> None:
    assert not SingleInstance(tmp_path).ask_first_to_raise()


def test_the_lock_of_a_killed_process_is_taken_over(qapp, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        guard = SingleInstance(tmp_path)
        assert not guard.acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    assert guard.acquire()
    guard.release()
