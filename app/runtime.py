"""Turns a coroutine into a running program: Qt and asyncio on one loop, and a clean way out.

The only importer of qasync. `make_application` builds the QApplication, `run` drives a coroutine to its end, `Exit` is
how everyone asks for the end, `LagProbe` says how late the loop is.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

os.environ["QT_API"] = "pyside6"
os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"

import qasync
from PySide6 import __version__ as pyside_version
from PySide6.QtCore import QMessageLogContext, Qt, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app import garbage
from app.domain.errors import FathomError

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("fathom.runtime")

EXIT_DEADLINE_S: Final = 5.0
HARD_EXIT_S: Final = 3.0
"""How long after the deadline a process that still hangs is ended from outside the loop."""
COLLECT_EVERY_MS: Final = 25


class BrokenQtError(FathomError):
    """The installed PySide6 cannot be used with this Python."""


def reference_drift(calls: int = 1000) -> int:
    """Return by how much void Qt calls move the reference count of None (0 for a sound PySide6)."""
    timer = QTimer()
    before = sys.getrefcount(None)
    for interval in range(calls):
        timer.setInterval(interval)
    return sys.getrefcount(None) - before


def check_qt() -> None:
    """Raise BrokenQtError when PySide6 loses references (6.12.0 on Python before 3.12 would abort after minutes)."""
    drift = reference_drift()
    if drift < -10:
        raise BrokenQtError(
            f"PySide6 {pyside_version} loses references on Python {sys.version_info.major}.{sys.version_info.minor} "
            f"({-drift} in 1,000 calls) and would abort; expected PySide6 6.11.2"
        )


def make_application(argv: Sequence[str]) -> QApplication:
    """Return the QApplication, built once; raise BrokenQtError for an unusable PySide6."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        app = existing
    else:
        QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        app = QApplication(list(argv))
    app.setApplicationName("Fathom")
    app.setDesktopFileName("fathom")
    app.setQuitOnLastWindowClosed(False)
    check_qt()
    return app


def new_loop(app: QApplication) -> asyncio.AbstractEventLoop:
    """Return a qasync loop with precise timers and make it the current one (some libraries ask the policy)."""
    loop: asyncio.AbstractEventLoop = qasync.QEventLoop(app)
    if not make_timers_precise(loop):
        _log.warning("qasync has changed: its timers stay coarse, delays may be off by 5 %%")
    asyncio.set_event_loop(loop)
    return loop


def make_timers_precise(loop: asyncio.AbstractEventLoop) -> bool:
    """Give qasync's timers the precise type instead of the coarse one (off by 5 %); False when it has no such timer.

    `_timer` is private to qasync 0.28; this can go when it offers a choice of timer type.
    """
    timer = getattr(loop, "_timer", None)
    start = getattr(timer, "startTimer", None)
    if timer is None or not callable(start):
        return False

    def start_precise(milliseconds: int, kind: Qt.TimerType = Qt.TimerType.PreciseTimer) -> int:
        return int(start(milliseconds, kind))

    timer.startTimer = start_precise
    return True


class Exit:
    """The one way out: anyone may ask, the root coroutine waits and winds down."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._listeners: list[Callable[[str], None]] = []
        self.reason: str | None = None

    @property
    def requested(self) -> bool:
        """Whether someone has asked for the end."""
        return self.reason is not None

    def request(self, reason: str) -> None:
        """Ask for the end; a second request is passed to the listeners too, which then hurry."""
        first = self.reason is None
        if first:
            self.reason = reason
            _log.info("stopping: %s", reason)
            self._event.set()
        for listener in tuple(self._listeners):
            listener(reason)

    async def wait(self) -> str:
        """Wait until the end is asked for; return the reason."""
        await self._event.wait()
        return self.reason or ""

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call `listener(reason)` at every request."""
        self._listeners.append(listener)


def run(
    main: Callable[[], Coroutine[Any, Any, int | None]],
    *,
    app: QApplication,
    stop: Exit,
    on_crash: Callable[[str], None] | None = None,
    deadline_s: float = EXIT_DEADLINE_S,
    kill: Callable[[int], None] = os._exit,
) -> int:
    """Drive `main()` to its end on the Qt loop and return the exit code (None counts as 0, a failure as 1).

    SIGINT and SIGTERM request `stop`. From the request on, main has `deadline_s`: then what is still alive is logged
    and cancelled; a process that hangs even so is ended by `kill(70)`. on_crash gets a sentence for the user when
    code outside main failed.
    """
    guard = _Deadline(deadline_s, kill)
    try:
        with _hooks(on_crash), asyncio.Runner(loop_factory=lambda: new_loop(app)) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _, context: _on_loop_exception(context, on_crash))
            with _signals(loop, stop), garbage_collected_here():
                return _outcome(runner, main, stop, guard, on_crash)
    finally:
        guard.done()
        asyncio.set_event_loop(None)


def _outcome(
    runner: asyncio.Runner,
    main: Callable[[], Coroutine[Any, Any, int | None]],
    stop: Exit,
    guard: _Deadline,
    on_crash: Callable[[str], None] | None,
) -> int:
    try:
        return runner.run(_root(main, stop, guard))
    except asyncio.CancelledError:
        return 1
    except Exception as error:
        _log.critical("the program ended by an error", exc_info=error)
        if on_crash is not None:
            on_crash(f"Fathom had to stop: {error}")
        return 1


async def _root(main: Callable[[], Coroutine[Any, Any, int | None]], stop: Exit, guard: _Deadline) -> int:
    task = asyncio.current_task()
    assert task is not None
    stop.listen(lambda _: guard.begin(asyncio.get_running_loop(), task))
    return await main() or 0


class _Deadline:
    """Watches over the time between the request to stop and the end of the process."""

    def __init__(self, seconds: float, kill: Callable[[int], None]) -> None:
        self._seconds = seconds
        self._kill = kill
        self._handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._thread: threading.Timer | None = None
        self._requests = 0

    def begin(self, loop: asyncio.AbstractEventLoop, root: asyncio.Task[Any]) -> None:
        self._requests += 1
        if self._requests == 1:
            self._handle = loop.call_later(self._seconds, self._expire, loop, root)
            self._thread = threading.Timer(self._seconds + HARD_EXIT_S, self._end_process)
            self._thread.daemon = True
            self._thread.name = "exit deadline"
            self._thread.start()
        elif self._requests == 2:
            _log.warning("asked to stop again: cancelling at once")
            root.cancel()

    def _expire(self, loop: asyncio.AbstractEventLoop, root: asyncio.Task[Any]) -> None:
        for line in describe_alive(loop):
            _log.error("still alive %.0f s after the request to stop: %s", self._seconds, line)
        root.cancel()

    def _end_process(self) -> None:
        _log.critical("the program hangs; ending the process")
        with suppress(Exception):
            faulthandler.dump_traceback(all_threads=True)
        self._kill(70)

    def done(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.cancel()
            self._thread.join(1.0)
            self._thread = None


def describe_alive(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return one line per unfinished task and per thread: its name and where it stands."""
    lines = []
    for task in asyncio.all_tasks(loop):
        frames = task.get_stack(limit=1)
        where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
        lines.append(f"task {task.get_name()}{where}")
    current = threading.current_thread()
    lines.extend(f"thread {thread.name}" for thread in threading.enumerate() if thread is not current)
    return lines


@contextmanager
def garbage_collected_here() -> Iterator[None]:
    """Let this thread, the one of the Qt objects, be the only one that collects cyclic garbage."""
    automatic = gc.isenabled()
    timer = QTimer()
    timer.timeout.connect(garbage.collect_due)
    gc.disable()
    timer.start(COLLECT_EVERY_MS)
    try:
        yield
    finally:
        timer.stop()
        if automatic:
            gc.enable()


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Exit) -> Iterator[None]:
    """Make SIGINT and SIGTERM a request to stop."""
    names = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in names:
            loop.add_signal_handler(number, stop.request, number.name)
    except NotImplementedError:  # Windows: Python's own handlers run whenever a timer wakes the interpreter
        previous = [
            signal.signal(number, lambda taken, _: stop.request(signal.Signals(taken).name)) for number in names
        ]
        waker = QTimer()
        waker.timeout.connect(lambda: None)
        waker.start(250)
        try:
            yield
        finally:
            waker.stop()
            for number, handler in zip(names, previous, strict=True):
                signal.signal(number, handler)
        return
    try:
        yield
    finally:
        if not loop.is_closed():
            for number in names:
                loop.remove_signal_handler(number)


@contextmanager
def _hooks(on_crash: Callable[[str], None] | None) -> Iterator[None]:
    """Log every uncaught exception and tell the user in a sentence, without a traceback."""
    old_hook, old_thread_hook = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log.critical("uncaught exception", exc_info=(kind, error, trace))
        if on_crash is not None:
            on_crash(crash_sentence(error))

    def thread_hook(info: threading.ExceptHookArgs) -> None:
        if info.exc_value is not None:
            hook(info.exc_type, info.exc_value, info.exc_traceback)

    def on_qt_message(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        if text.startswith("This plugin does not support"):
            kind = QtMsgType.QtDebugMsg  # the offscreen platform says so for every window
        _QT_LOG.log(_QT_LEVELS.get(kind, logging.WARNING), "%s", text)

    sys.excepthook, threading.excepthook = hook, thread_hook
    old_qt = qInstallMessageHandler(on_qt_message)
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = old_hook, old_thread_hook
        qInstallMessageHandler(old_qt)


_QT_LOG = logging.getLogger("fathom.qt")
_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def _on_loop_exception(context: dict[str, Any], on_crash: Callable[[str], None] | None) -> None:
    error = context.get("exception")
    _log.error("%s", context.get("message", "unhandled error in the event loop"), exc_info=error)
    if on_crash is not None and error is not None:
        on_crash(crash_sentence(error))


def crash_sentence(error: BaseException) -> str:
    """Return what the user reads about an unexpected error."""
    return f"Something unexpected went wrong ({type(error).__name__}); Fathom goes on, details are in the log."


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the loop was over the window, in ms; None without samples."""

    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    samples: int


class LagProbe:
    """Measures by how much a short periodic sleep overruns: the time other callbacks kept the loop."""

    def __init__(self, period_s: float = 0.05, window_s: float = 60.0, slow_ms: float = 100.0) -> None:
        self._period_s = period_s
        self._slow_ms = slow_ms
        self._samples: deque[float] = deque(maxlen=max(1, round(window_s / period_s)))
        self.slow_count = 0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.perf_counter() + self._period_s
            await asyncio.sleep(self._period_s)
            self.record((time.perf_counter() - due) * 1000)

    def record(self, lag_ms: float) -> None:
        """Take one measurement; a timer that fires early counts as no lag."""
        self._samples.append(max(0.0, lag_ms))
        if lag_ms >= self._slow_ms:
            self.slow_count += 1
            _log.warning("the event loop was held up for %.0f ms", lag_ms)

    def lag(self) -> Lag:
        """Return the percentiles of the window."""
        values = sorted(self._samples)
        if not values:
            return Lag(None, None, None, 0)
        last = len(values) - 1
        return Lag(values[round(0.5 * last)], values[round(0.99 * last)], values[last], len(values))
