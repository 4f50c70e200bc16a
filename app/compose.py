"""The composition root of the desktop: settings, paths, clock, feeds, stores, view models and window put together.

The window is shown first; everything heavy is imported and built behind it. Modes differ only in what feeds the
engines: the venues (live), simulators on loopback (demo), or a recording (replay).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app import __version__, heap, runtime
from app.demo import DemoOptions, demo_venues
from app.domain.clock import Clock, SystemClock
from app.domain.errors import FathomError
from app.measurements import Measurements
from app.paths import Paths
from app.screens import Screens, Sources
from app.settings.store import Settings
from app.ui import theme
from app.ui.instance import SingleInstance
from app.ui.mainwindow import MainWindow
from app.ui.notifier import Notifier
from app.viewmodels.layouts import LayoutStore
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import Mode, StatusModel

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.services.alerting import Notification
    from app.services.core import Core
    from app.services.playback import ReplayClock
    from app.services.replay_core import ReplayCore
    from app.ui.panels.base import Panel
    from app.viewmodels.live_status import LiveStatus

_log = logging.getLogger("fathom.compose")
_BROKER: Final = ("ib_async", "cryptography.x509", "holidays")
_HEAVY: Final = ("numpy", "msgspec", "sqlalchemy", "httpx", "websockets.asyncio.client", "redis.asyncio", "psutil")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesktopOptions:
    """What the command line asked of the window."""

    settings: Settings
    paths: Paths
    demo: bool = False
    demo_options: DemoOptions = field(default_factory=DemoOptions)
    record: Path | None = None
    replay: Path | None = None
    speed: float | None = 1.0
    screenshots: Path | None = None
    after_s: float | None = None
    quit_after: bool = False
    measure: Path | None = None
    layout: str | None = None
    argv: tuple[str, ...] = ("fathom",)
    started: float = field(default_factory=time.perf_counter)


def run_desktop(options: DesktopOptions) -> int:
    """Open the workstation and return the exit code."""
    heap.keep_compact()
    application = runtime.make_application(options.argv)
    instance = SingleInstance(options.paths.base)
    if not instance.acquire():
        if not instance.ask_first_to_raise():
            raise FathomError(f"another Fathom uses {options.paths.base} and does not answer")
        _log.warning("Fathom runs already with this folder; its window was brought to the front")
        return 0
    stop = runtime.Exit()
    desktop = Desktop(options, application, stop)
    instance.raised.connect(desktop.bring_to_front)
    try:
        return runtime.run(desktop.main, app=application, stop=stop, on_crash=desktop.on_crash)
    finally:
        instance.release()


class Desktop:
    """One run of the window."""

    def __init__(self, options: DesktopOptions, application: QApplication, stop: runtime.Exit) -> None:
        self.options = options
        self._application = application
        self._stop = stop
        self._links = LinkBus()
        self._screens = Screens(
            self._links, lambda: self.clock, options.settings, self._spawn, lambda kind: self._reach_panel(kind)
        )
        self.clock: Clock = SystemClock()
        self.probe = runtime.LagProbe()
        self.measurements = Measurements(options.started, self.probe)
        self._window: MainWindow | None = None
        self._notifier: Notifier | None = None
        self._core_task: asyncio.Task[None] | None = None
        self._sampled = asyncio.Event()
        self._notices: list[str] = list(options.settings.notes)

    @property
    def _sources(self) -> Sources | None:
        return self._screens.sources

    # -- life ----------------------------------------------------------------------------------------------------

    async def main(self) -> int:
        """Show the window, build what it shows, run until asked to stop, and wind down."""
        mode = Mode.REPLAY if self.options.replay else Mode.DEMO if self.options.demo else Mode.LIVE
        if self.options.replay is not None:
            self.clock = await self._replay_clock(self.options.replay)
        theme.apply(self._application, self.options.settings.text("ui.theme"), theme.current().pair)
        status = StatusModel(self.clock, mode=mode, mode_detail=self._mode_detail())
        status.measures = self._measures
        self._window = window = MainWindow(
            self._screens.registry(),
            status,
            LayoutStore(self.options.paths.layouts),
            links=self._links,
            pairs=lambda: () if self._sources is None else self._sources.series.pairs(),
            request_exit=lambda: self._stop.request("the window was closed"),
            version=__version__,
            about=(("Data folder", str(self.options.paths.base)),),
        )
        window.show()
        await window.first_paint()
        self.measurements.first_paint_s = self.measurements.elapsed_s()
        _log.info("first paint after %.0f ms", self.measurements.first_paint_s * 1000)
        code = 0
        try:
            async with AsyncExitStack() as stack:
                if await self._assemble_unless_stopped(stack, status):
                    window.populate()
                    self._choose_layout(window)
                    self._notifier = Notifier(window)
                    self._notifier.clicked.connect(self.bring_to_front)
                    stack.callback(self._notifier.shut)
                    gc.collect()  # what is alive now stays so: without it later collections take 100 ms, not one
                    gc.freeze()
                    for notice in self._notices:
                        window.notice(notice, 30)
                    await self._until_stopped()
                    window.save_layout()
                window.frame_clock.stop()
        except FathomError as error:
            _log.error("%s", error)
            code = 2
        finally:
            self._window = None
            await window.shut()
        return code

    def _choose_layout(self, window: MainWindow) -> None:
        """Open the layout that was asked for."""
        name = self.options.layout
        if name is None:
            return
        known = window.perspective_names()
        if name in known:
            window.switch_perspective(name)
        else:
            self._notices.append(f"There is no layout {name!r}; there are {', '.join(known)}.")

    async def _assemble_unless_stopped(self, stack: AsyncExitStack, status: StatusModel) -> bool:
        """Build everything; False when the end was asked for meanwhile."""
        assembling = asyncio.create_task(self._assemble(stack, status), name="assemble")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait((assembling, stopped), return_when=asyncio.FIRST_COMPLETED)
        finished = assembling.done()
        for task in (assembling, stopped):
            task.cancel()
        await asyncio.gather(assembling, stopped, return_exceptions=True)
        if finished:
            assembling.result()
        return finished and not self._stop.requested

    async def _until_stopped(self) -> None:
        """Run until the end is asked for; the feeds ending by an error is said, the window stays."""
        core_task = self._core_task
        assert core_task is not None
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        helpers = [
            stopped,
            asyncio.create_task(self.probe.run(), name="lag probe"),
            asyncio.create_task(self._draw(), name="frames"),
            asyncio.create_task(self._scripted(), name="scripted"),
        ]
        if self._sources is not None:
            watch = self.measurements.watch(self._sources.status, self._sources.series)
            helpers.append(asyncio.create_task(watch, name="measurements"))
        try:
            while not stopped.done():
                await asyncio.wait([stopped, core_task], return_when=asyncio.FIRST_COMPLETED)
                if core_task.done() and not stopped.done():
                    error = core_task.exception()
                    if error is not None:
                        _log.critical("the feeds ended by an error", exc_info=error)
                        self._note(
                            "core", f"The feeds ended by an error ({type(error).__name__}); details are in the log."
                        )
                    await stopped
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _own_core(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
        """Start the feeds; they end, wound down, before what the stack holds below them."""
        task = self._core_task = asyncio.create_task(work, name="core")

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(end)

    async def _scripted(self) -> None:
        """Do what the command line asked: measure, take pictures after some seconds, perhaps stop."""
        options = self.options
        if options.after_s is None and options.screenshots is None and not options.quit_after:
            return
        await asyncio.sleep(options.after_s or 0.0)
        assert self._window is not None
        if options.measure is not None:
            status = None if self._sources is None else self._sources.status
            panels = {entry.title: entry.panel for entry in self._window.docks.panels()}
            report = self.measurements.report(self._window.frame_clock, panels, status)
            options.measure.write_text(json.dumps(report))
        if options.screenshots is not None:
            options.screenshots.mkdir(parents=True, exist_ok=True)
            from app.ui.screenshots import capture_screenshots

            for path in await capture_screenshots(self._window, options.screenshots):
                _log.info("screenshot %s", path)
        if options.quit_after:
            self._stop.request("--quit")

    def bring_to_front(self) -> None:
        """Show the window to a person who started the program a second time."""
        if self._window is not None:
            self._window.showNormal() if self._window.isMinimized() else self._window.show()
            self._window.raise_()
            self._window.activateWindow()

    def on_crash(self, sentence: str) -> None:
        """Tell the user about an unexpected error."""
        if self._window is not None:
            self._window.notice(sentence, 60)
        else:
            _log.error("%s", sentence)

    # -- parts ---------------------------------------------------------------------------------------------------

    async def _assemble(self, stack: AsyncExitStack, status: StatusModel) -> None:
        """Build feeds, stores and sources, and start the feeds."""
        for name in (*_HEAVY, *(_BROKER if self._has_broker() else ())):
            await asyncio.to_thread(importlib.import_module, name)
            await asyncio.sleep(0)
        if self._has_broker():
            from app.portfolio.hours import calendar_spell

            await asyncio.to_thread(calendar_spell, self.clock.wall_ns())  # works the holidays of the year out
        importlib.import_module("pyqtgraph")  # needs the thread of the window
        await asyncio.sleep(0)
        from app.viewmodels.live_status import LiveStatus

        if self.options.replay is not None:
            await self._assemble_replay(stack, status)
            return
        from app.services.core import Core, CoreOutputs

        settings, paths = self.options.settings, self.options.paths
        if self.options.demo:
            settings.override_values(await stack.enter_async_context(demo_venues(settings, self.options.demo_options)))
        from app.services.feeds import load_universe, make_session

        universe, notes = await load_universe(settings, paths)
        self._notices += notes
        feeds: list[Any] = []
        live_status = LiveStatus(feeds)
        core = Core(
            settings,
            paths,
            self.clock,
            universe,
            CoreOutputs(
                on_event=live_status.add_event,
                on_note=live_status.set_note,
                on_notice=self._say,
                on_sampled=self._on_sampled,
                on_alert=self._on_alert,
                metrics=[self._metrics],
            ),
            record_to=self.options.record,
        )
        live_status.set_feeds(core.feeds)
        await self._connect(stack, core, live_status, status)
        session_clock = self.clock
        self._own_core(stack, core.run(lambda *parts: make_session(settings, paths, session_clock, *parts)))
        live_status.controls = {
            str(engine.feed): (
                partial(core.pause_snapshots, market),
                partial(core.resume_snapshots, market),
                partial(core.cancel_snapshots, market),
            )
            for market, engine in core.engines.items()
        }

    def _has_broker(self) -> bool:
        settings = self.options.settings
        in_demo = self.options.demo and settings.text("demo.ibkr") != "off"
        return in_demo or settings.flag("ibkr.tws.enabled") or settings.flag("ibkr.portal.enabled")

    async def _connect(
        self, stack: AsyncExitStack, core: Core | ReplayCore, live_status: LiveStatus, status: StatusModel
    ) -> None:
        """Make what screens and other programs read from a run; start the local server when it is wanted."""
        from app.paths import resources
        from app.server.service import LocalServer
        from app.server.status import ServerOptions
        from app.services.doctor import Doctor, DoctorFiles
        from app.ui.dialogs.certificate import CertificateKeeper
        from app.viewmodels.broker_care import BrokerCare
        from app.viewmodels.live_books import LiveBooks
        from app.viewmodels.live_series import LiveSeries
        from app.viewmodels.scanner_books import ScannerBooks
        from app.viewmodels.served import Served
        from app.viewmodels.time_link import TimeLinks

        brokerage = core.brokerage
        live_status.set_brokers(brokerage.health())
        care = BrokerCare(lambda: brokerage.desks)
        books = LiveBooks(core.engines, self.clock)
        series = LiveSeries(core.engines, core.ticks, core.history)
        mirror = StatusModel(self.clock, mode=status.mode, mode_detail=status.mode_detail)
        mirror.attach(live_status)
        data = Served(
            books,
            series,
            live_status,
            core.ticks,
            self.clock,
            mirror,
            version=__version__,
            table=core.watch.scanning.board,
            alerts=core.watch.alerting,
            delta_known=ScannerBooks(core.watch, core.engines).known,
        )
        paths, settings = self.options.paths, self.options.settings
        server = LocalServer(
            data,
            ServerOptions.of(settings, token_file=paths.server_token, page=resources() / "web"),
            self.clock,
            live_status.add_event,
            live_status.set_note,
        )
        self._screens.sources = Sources(
            books=books,
            series=series,
            status=live_status,
            engines=core.engines,
            watch=core.watch,
            brokerage=brokerage,
            care=care,
            history=core.history,
            doctor=Doctor(settings, DoctorFiles.of(paths), self.clock, lambda: brokerage.desks),
            server=server,
            time_links=TimeLinks(),
        )
        status.attach(live_status)
        assert self._window is not None
        stack.callback(CertificateKeeper(care, self._window).shut)
        stack.push_async_callback(server.stop)
        if settings.flag("server.enabled"):
            await server.start()

    async def _replay_clock(self, path: Path) -> ReplayClock:
        from app.services.playback import ReplayClock
        from app.services.recording import started_ns_of
        from app.storage.recorder import Recording

        def first_ns() -> int:
            recording = Recording(path)
            started = started_ns_of(recording)
            return started if started is not None else next((entry.recv_ns for entry in recording), 0)

        return ReplayClock(await asyncio.to_thread(first_ns))

    async def _assemble_replay(self, stack: AsyncExitStack, status: StatusModel) -> None:
        from app.services.playback import play
        from app.services.replay_core import ReplayCore
        from app.storage.recorder import Recording
        from app.viewmodels.live_status import LiveStatus

        assert self.options.replay is not None
        recording = Recording(self.options.replay)
        live_status = LiveStatus([])
        folder = Path(tempfile.mkdtemp(prefix="fathom-replay-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        core = await asyncio.to_thread(
            ReplayCore, recording, folder, self.clock, live_status.add_event, self.options.settings, self._on_alert
        )
        live_status.set_feeds(core.feeds)
        await core.history.open()
        stack.push_async_callback(core.history.close)
        await self._connect(stack, core, live_status, status)
        clock: Any = self.clock
        ended = "The recording has ended; what is shown is its last state."
        self._own_core(
            stack,
            play(
                recording,
                core.replayer,
                clock,
                self.options.speed,
                on_done=lambda: live_status.set_note("replay", ended),
                on_sampled=self._on_sampled,
            ),
        )

    # -- telling -------------------------------------------------------------------------------------------------

    def _mode_detail(self) -> str:
        options = self.options
        if options.replay is not None:
            speed = "max" if options.speed is None else f"{options.speed:g}×"
            return f"{options.replay.name} {speed}"
        return f"recording to {options.record.name}" if options.record is not None else ""

    def _on_sampled(self) -> None:
        """Draw at once what was just sampled instead of waiting for the next frame."""
        self._sampled.set()

    async def _draw(self) -> None:
        """Do a frame after each sample; one that comes while a frame is being drawn is drawn with the next."""
        while True:
            await self._sampled.wait()
            self._sampled.clear()
            if self._window is not None:
                await self._window.frame_clock.push()

    def _say(self, sentence: str) -> None:
        _log.warning("%s", sentence)
        if self._window is not None:
            self._window.notice(sentence, 30)

    def _on_alert(self, notification: Notification) -> None:
        """Tell of an alert in the window and beside it."""
        if self._window is None:
            return
        self._window.notice(f"{notification.title}: {notification.text.replace(chr(10), ' · ')}", 30)
        if self._notifier is not None:
            self._notifier.show(
                notification.title, notification.text, notify=notification.notify, sound=notification.sound
            )

    def _spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        assert self._window is not None
        self._window.spawn(coroutine, name)

    def _reach_panel(self, kind: str) -> Panel | None:
        return None if self._window is None else self._window.reach_panel(kind)

    def _note(self, topic: str, text: str | None) -> None:
        if self._sources is not None:
            self._sources.status.set_note(topic, text)

    def _measures(self) -> tuple[tuple[str, str], ...]:
        lag = self.probe.lag()
        if lag.p50_ms is None or lag.p99_ms is None or lag.max_ms is None:
            return ()
        return (("Event loop late by (p50 / p99 / max)", f"{lag.p50_ms:.1f} / {lag.p99_ms:.1f} / {lag.max_ms:.0f} ms"),)

    def _metrics(self) -> Mapping[str, float]:
        lag = self.probe.lag()
        return {"loop_lag_p99_ms": lag.p99_ms or 0.0, "loop_lag_max_ms": lag.max_ms or 0.0}
