"""The Server panel on a real local server: switch, link, QR code, clients, and what goes wrong in words."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication
from shell import flush
from websockets.asyncio.client import connect

from app import runtime
from app.domain.clock import SystemClock
from app.server.service import LocalServer
from app.server.status import ServerOptions
from app.settings.store import Settings
from app.ui.panels.server import ServerPanel
from app.viewmodels.server import ServerModel
from tests.loopback.server_stand_in import StandInData

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Rig:
    """A panel over a server that is off, on the loop the test runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, port: int = 0) -> None:
        self.loop = loop
        self.settings_file = folder / "settings.json"
        self.settings = Settings(self.settings_file)
        self.server = LocalServer(StandInData(), ServerOptions(port=port, token_file=folder / "token"), SystemClock())
        self.tasks: list[asyncio.Task[None]] = []
        self.model = ServerModel(self.server, self.settings, SystemClock().monotonic_ns)
        self.panel = ServerPanel(self.model, self._spawn)
        self.panel.resize(620, 360)
        self.panel.show()

    def _spawn(self, coroutine: Coroutine[Any, Any, None], _name: str) -> None:
        self.tasks.append(self.loop.create_task(coroutine))

    async def click(self) -> None:
        self.panel.switch.click()
        await asyncio.gather(*self.tasks)
        self.tasks.clear()


@pytest.fixture
def run(qapp: QApplication) -> Iterator[Run]:
    loop = runtime.new_loop(qapp)
    yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 20))
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def rig(qtbot, run: Run, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(asyncio.get_event_loop_policy().get_event_loop(), tmp_path)
    qtbot.addWidget(made.panel)
    yield made
    made.panel.shut()
    run(made.server.stop())
    flush()


def test_the_server_is_switched_on_and_off_and_that_is_remembered(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        assert "off" in rig.panel.state_text
        assert not rig.panel.copy_button.isVisible()
        await rig.click()
        assert rig.model.status.running
        assert rig.panel.state_text.startswith("on at 127.0.0.1:")
        assert json.loads(rig.settings_file.read_text())["values"]["server.enabled"] is True
        await rig.click()
        assert not rig.model.status.running
        assert json.loads(rig.settings_file.read_text())["values"]["server.enabled"] is False

    run(scenario())


def test_the_link_opens_the_page_but_its_token_is_never_on_screen(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        await rig.click()
        rig.panel.restore_state({"view": "view=scanner"})
        rig.panel.copy_link()
        link = QGuiApplication.clipboard().text()
        token = link.partition("token=")[2].partition("&")[0]
        assert len(token) >= 32
        assert link.endswith("&view=scanner")
        assert token not in rig.panel.link_text
        assert rig.panel.link_text.endswith("?token=…&view=scanner")

        def fetch() -> int:
            request = urllib.request.Request(
                f"http://{rig.model.status.address}/health", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)

        assert await asyncio.to_thread(fetch) == 200

    run(scenario())


def test_the_qr_code_is_black_on_white_and_changes_with_the_link(rig: Rig, run: Run) -> None:
    def picture() -> QImage:
        return rig.panel.qr_pixmap.toImage()

    async def scenario() -> None:
        assert rig.panel.qr_pixmap.isNull()
        await rig.click()
        first = picture()
        colours = {first.pixelColor(x, y).name() for x in range(first.width()) for y in range(first.height())}
        assert colours == {"#000000", "#ffffff"}
        rig.panel.restore_state({"view": "view=feeds"})
        assert picture() != first
        await rig.click()
        assert rig.panel.qr_pixmap.isNull()

    run(scenario())


def test_clients_are_listed_with_what_they_read(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        await rig.click()
        token = rig.model.status.links[0].partition("token=")[2]
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(f"ws://{rig.model.status.address}/ws", additional_headers=headers, proxy=None) as socket:
            await socket.send(json.dumps({"action": "subscribe", "tickers": ["BTCUSDT"]}))
            await socket.recv()
            await socket.recv()
            rig.model.read()
            rig.panel.refresh(0)
            assert "1 client" in rig.panel.state_text
            table = rig.panel.client_view.model()
            assert table.rowCount() == 1
            assert table.index(0, 0).data().startswith("127.0.0.1")
            assert table.index(0, 1).data() == "/ws"

    run(scenario())


def test_a_port_in_use_is_said_in_a_sentence_and_the_switch_stays_off(qtbot, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        rig = Rig(asyncio.get_running_loop(), tmp_path, port)
        qtbot.addWidget(rig.panel)
        await rig.click()
        assert not rig.panel.switch.isChecked()
        assert f"port {port} is in use" in rig.panel.warning_text
        taken.close()
        await taken.wait_closed()
        await rig.click()
        assert rig.panel.switch.isChecked()
        assert rig.panel.warning_text == ""
        await rig.server.stop()
        rig.panel.shut()

    run(scenario())


def test_a_new_token_ends_the_links_given_out_so_far(rig: Rig, run: Run) -> None:
    async def scenario() -> None:
        await rig.click()
        before = rig.model.link
        await rig.model.renew_token()
        assert rig.model.status.running
        assert rig.model.link != before

    run(scenario())
