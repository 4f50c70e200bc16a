"""The doctor's panel: runs once by itself, shows what is done while the rest goes on, copies a masked report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeMarket
from PySide6.QtCore import QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from shell import MarketClock, flush

from app import runtime
from app.domain.clock import SystemClock
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.services.doctor import SERVICES, Doctor, DoctorFiles
from app.services.doctor_checks.finding import Finding, Rows, State
from app.settings.store import Settings
from app.sim.portal import PortalSim
from app.sim.tws import TwsSim
from app.ui import theme
from app.ui.panels import doctor_card
from app.ui.panels.doctor import DoctorPanel
from app.viewmodels.doctor import DoctorModel

Run = Callable[[Coroutine[Any, Any, Any]], Any]
TWS, PORTAL, REDIS = Rows(SERVICES[0]), Rows(SERVICES[1]), Rows("Redis")
FINDINGS = (
    TWS.fail("port", "Nothing listens at 127.0.0.1:7496.", "Start TWS.", took_ms=3.0),
    PORTAL.fail("login", "Nobody is logged in, account DU1234567.", "Log in.", link="https://localhost:5000"),
    *(Rows(name).ok("reachable", "well") for name in SERVICES[2:6]),
    REDIS.off("connection", "Not used."),
    Rows("Database").warn("disk", "Little room.", "Make room."),
    Rows("Data folder").ok("writable", "well"),
    Rows("System clock").unknown("offset", "Nobody told."),
)


class Examiner:
    """Stands for the doctor: reports half of the services, waits for `go`, then the rest."""

    def __init__(self) -> None:
        self.findings: Sequence[Finding] = FINDINGS
        self.go = asyncio.Event()
        self.half = asyncio.Event()
        self.runs = 0
        self.error: Exception | None = None

    async def run(self, on_done: Callable[[str, Sequence[Finding]], None]) -> tuple[Finding, ...]:
        self.runs += 1
        for index, name in enumerate(SERVICES):
            if index == 4:
                self.half.set()
                await self.go.wait()
                if self.error is not None:
                    raise self.error
            on_done(name, [finding for finding in self.findings if finding.service == name])
        return tuple(self.findings)


class Rig:
    """A panel over the stand-in, on the loop the test runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.examiner = Examiner()
        self.tasks: list[asyncio.Task[Any]] = []
        self.market = FakeMarket()
        self.links: dict[str, LinkState] = {}
        self.model = DoctorModel(self.examiner, MarketClock(self.market), "0.1.0", lambda: self.links)
        self.panel = DoctorPanel(self.model, self._spawn)
        self.panel.resize(700, 500)
        self.panel.show()

    def _spawn(self, work: Coroutine[Any, Any, Any], _name: str) -> None:
        self.tasks.append(self.loop.create_task(work))

    async def whole(self) -> None:
        """Run to the end and show it."""
        self.panel.run()
        self.examiner.go.set()
        await asyncio.gather(*self.tasks)
        self.refresh()

    def refresh(self) -> None:
        self.panel.revision()
        self.panel.refresh(0)
        QApplication.processEvents()

    def words(self) -> list[str]:
        return [label.text() for label in self.panel.findChildren(QLabel) if label.isVisibleTo(self.panel)]


@pytest.fixture
def run(qapp: QApplication) -> Iterator[Run]:
    loop = runtime.new_loop(qapp)
    yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 20))
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def rig(qtbot, run: Run) -> Iterator[Rig]:
    made = Rig(asyncio.get_event_loop_policy().get_event_loop())
    qtbot.addWidget(made.panel)
    yield made
    made.panel.shut()
    flush()


def test_it_looks_once_by_itself_and_again_by_the_button(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.panel.set_active(True)
        rig.panel.set_active(True)
        rig.examiner.go.set()
        await asyncio.gather(*rig.tasks)
        rig.panel.set_active(False)
        rig.panel.set_active(True)
        await asyncio.gather(*rig.tasks)
        assert rig.examiner.runs == 1
        rig.refresh()
        rig.panel.run_button.click()
        await asyncio.gather(*rig.tasks)
        assert rig.examiner.runs == 2

    run(scenario())


def test_the_first_look_waits_for_sessions_that_are_being_set_up(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.links.update(TWS=LinkState.SYNCING, gateway=LinkState.CONNECTING)
        rig.panel.set_active(True)
        rig.panel.refresh(0)
        assert not rig.tasks
        assert rig.panel.summary_text == "waits for the connections to come up"
        before = rig.panel.revision()
        rig.links.update(TWS=LinkState.LIVE, gateway=LinkState.BACKOFF)
        assert rig.panel.revision() != before
        rig.panel.refresh(0)
        rig.examiner.go.set()
        await asyncio.gather(*rig.tasks)
        assert rig.examiner.runs == 1

    run(scenario())


def test_the_first_look_does_not_wait_for_ever(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.links["TWS"] = LinkState.CONNECTING
        rig.panel.set_active(True)
        rig.market.now_ns += 14 * NS_PER_S
        rig.panel.refresh(0)
        assert not rig.tasks
        rig.market.now_ns += NS_PER_S
        rig.panel.refresh(0)
        rig.examiner.go.set()
        await asyncio.gather(*rig.tasks)
        assert rig.examiner.runs == 1

    run(scenario())


def test_a_session_that_came_or_went_after_the_look_is_named(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.links.update(TWS=LinkState.LIVE, gateway=LinkState.BACKOFF)
        await rig.whole()
        assert rig.panel.summary_text == "2 fail, 1 to look at"
        before = rig.panel.revision()
        rig.links.update(TWS=LinkState.CONNECTING, gateway=LinkState.LIVE)
        assert rig.panel.revision() != before
        rig.panel.refresh(0)
        assert rig.panel.summary_text == "2 fail, 1 to look at; gateway is connected and TWS was lost since"
        rig.panel.run()
        await asyncio.gather(*rig.tasks)
        rig.panel.refresh(0)
        assert rig.panel.summary_text == "2 fail, 1 to look at"

    run(scenario())


def test_what_is_done_is_shown_while_the_rest_goes_on(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.panel.run()
        await rig.examiner.half.wait()
        rig.refresh()
        assert rig.panel.summary_text == f"looking … 4 of {len(SERVICES)} services"
        assert "Nothing listens at 127.0.0.1:7496." in rig.words()
        assert "Little room." not in rig.words()
        assert rig.words().count("…") == len(SERVICES) - 4
        assert not rig.panel.run_button.isEnabled()
        assert rig.panel._progress.isVisibleTo(rig.panel)
        rig.panel.run_button.click()
        rig.examiner.go.set()
        await asyncio.gather(*rig.tasks)
        rig.refresh()
        assert rig.examiner.runs == 1
        assert rig.panel.summary_text == "2 fail, 1 to look at"
        assert "Little room." in rig.words()
        assert "…" not in rig.words()
        assert not rig.panel._progress.isVisibleTo(rig.panel)

    run(scenario())


def test_every_row_says_what_to_do_and_a_page_can_be_opened(
    rig: Rig, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_page(url: QUrl) -> bool:
        opened.append(url.toString())
        return True

    monkeypatch.setattr(doctor_card.QDesktopServices, "openUrl", open_page)
    run(rig.whole())
    assert {"Start TWS.", "Make room."} <= set(rig.words())
    assert rig.words().count("what to do") == 3
    card = rig.panel._cards[PORTAL.service]
    card.findChild(QPushButton).click()
    assert opened == ["https://localhost:5000"]


def test_only_problems_can_be_shown_and_that_is_remembered(qtbot, rig: Rig, run: Run) -> None:
    run(rig.whole())
    rig.panel.filter_box.setChecked(True)
    rig.refresh()
    shown = [name for name, card in rig.panel._cards.items() if card.isVisibleTo(rig.panel)]
    assert shown == [TWS.service, PORTAL.service, "Database"]
    assert "well" not in rig.words()
    state = rig.panel.save_state()
    rig.panel.restore_state({"problems_only": False})
    rig.refresh()
    assert len([card for card in rig.panel._cards.values() if card.isVisibleTo(rig.panel)]) == len(SERVICES)
    rig.panel.restore_state(state)
    assert rig.panel.filter_box.isChecked()
    rig.panel.restore_state({"problems_only": "rubbish"})
    assert rig.panel.filter_box.isChecked()


def test_without_a_problem_the_filter_leaves_a_sentence(rig: Rig, run: Run) -> None:
    rig.examiner.findings = [finding for finding in FINDINGS if finding.state not in (State.FAIL, State.WARN)]
    run(rig.whole())
    rig.panel.filter_box.setChecked(True)
    rig.refresh()
    assert rig.panel.summary_text == "everything that is switched on works"
    assert any("Nothing to show" in word for word in rig.words())


def test_the_report_is_masked_text(rig: Rig, run: Run) -> None:
    run(rig.whole())
    rig.panel.copy_report()
    report = QGuiApplication.clipboard().text()
    assert report.startswith("Fathom 0.1.0 connection doctor, ")
    assert "FAIL    port           Nothing listens at 127.0.0.1:7496.  (3 ms)" in report
    assert "-> Start TWS." in report
    assert "DU•••67" in report
    assert "DU1234567" not in report
    assert rig.panel.copy_button.text() == "Copied"


def test_a_doctor_that_fails_itself_says_so_and_can_be_run_again(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        rig.examiner.error = KeyError("bug")
        rig.panel.run()
        rig.examiner.go.set()
        assert isinstance((await asyncio.gather(*rig.tasks, return_exceptions=True))[0], KeyError)
        rig.refresh()
        assert "The doctor itself failed (KeyError)" in rig.panel.summary_text
        assert rig.panel.run_button.isEnabled()
        rig.examiner.error = None
        rig.tasks.clear()
        await rig.whole()
        assert rig.panel.summary_text == "2 fail, 1 to look at"

    run(scenario())


def test_rows_keep_their_words_when_the_theme_changes_and_nothing_is_cut_in_a_narrow_dock(rig: Rig, run: Run) -> None:
    run(rig.whole())
    before = sorted(rig.words())
    theme.apply(QApplication.instance(), "light")
    rig.refresh()
    flush(collect=False)
    assert sorted(rig.words()) == before
    theme.apply(QApplication.instance(), "dark")
    rig.panel.resize(300, 500)
    rig.refresh()
    flush(collect=False)
    holder = rig.panel._scroll.widget()
    assert holder.width() <= rig.panel._scroll.viewport().width()


def test_a_real_doctor_looks_on_the_windows_loop(qtbot, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = Settings()
        names = ("binance.spot", "binance.usdm", "bybit.spot", "bybit.linear", "hyperliquid.perp", "hyperliquid.spot")
        settings.override([f"{name}.enabled=false" for name in names])
        async with TwsSim() as tws, PortalSim() as gateway:
            settings.override(["ibkr.tws.enabled=true", f"ibkr.tws.port={tws.port}", "ibkr.portal.enabled=true"])
            settings.override([f"ibkr.portal.url={gateway.url}", f"ibkr.portal.fingerprint={gateway.fingerprint}"])
            files = DoctorFiles(base=tmp_path, database=tmp_path / "history.sqlite", bans=tmp_path / "bans.json")
            model = DoctorModel(Doctor(settings, files, SystemClock()), SystemClock())
            tasks: list[asyncio.Task[Any]] = []
            panel = DoctorPanel(model, lambda work, _name: tasks.append(asyncio.get_running_loop().create_task(work)))
            qtbot.addWidget(panel)
            panel.set_active(True)
            await asyncio.gather(*tasks)
            panel.refresh(0)
            words = [label.text() for label in panel.findChildren(QLabel)]
            panel.shut()
        assert panel.summary_text == "everything that is switched on works"
        assert "TWS or IB Gateway, API version 178." in words
        assert "Logged in, and the brokerage session is open." in words

    run(scenario())
