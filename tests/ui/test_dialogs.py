"""Dialogs never block the loop; what they lead to is safe; the window's tasks end with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QLineEdit, QMessageBox, QWidget
from shell import flush

from app import runtime
from app.domain.errors import StorageError
from app.ui.dialogs import ask
from app.ui.palette import Entry, matches, score
from app.ui.tasks import TaskBag

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run(qapp: QApplication) -> Iterator[Run]:
    loop = runtime.new_loop(qapp)
    yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 5))
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def parent(qtbot) -> Iterator[QWidget]:
    widget = QWidget()
    widget.show()
    yield widget
    widget.hide()
    widget.deleteLater()
    flush()


async def opened(kind: type[QDialog], parent: QWidget) -> Any:
    """Wait until a dialog of a kind is on screen."""
    while True:
        for dialog in parent.findChildren(kind):
            if dialog.isVisible():
                return dialog
        await asyncio.sleep(0.005)


def test_other_tasks_go_on_while_a_question_is_open(run: Run, parent: QWidget) -> None:
    async def scenario() -> tuple[bool, int]:
        ticks, enough = 0, asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += is_open
                if ticks == 3:
                    enough.set()

        is_open = False
        ticker = asyncio.create_task(tick())
        question = asyncio.create_task(ask.confirm(parent, "Reset", "Reset <b>all</b>?", "Reset"))
        box = await opened(QMessageBox, parent)
        is_open = True
        await enough.wait()
        assert box.textFormat() is Qt.TextFormat.PlainText
        box.defaultButton().click()
        answer = await question
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)
        return answer, ticks

    answer, ticks = run(scenario())
    assert answer is True
    assert ticks >= 3


def test_escape_means_no(run: Run, parent: QWidget) -> None:
    async def scenario() -> bool:
        question = asyncio.create_task(ask.confirm(parent, "Reset", "Reset all?"))
        QTest.keyClick(await opened(QMessageBox, parent), Qt.Key.Key_Escape)
        return await question

    assert run(scenario()) is False


def test_a_cancelled_question_closes_its_dialog(run: Run, parent: QWidget) -> None:
    async def scenario() -> bool:
        question = asyncio.create_task(ask.tell(parent, "Note", "Done"))
        box = await opened(QMessageBox, parent)
        gone = asyncio.Event()
        box.destroyed.connect(gone.set)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
        await gone.wait()
        return question.cancelled()

    assert run(scenario()) is True


def test_a_line_of_text_and_a_file_name_are_asked_for(run: Run, parent: QWidget, tmp_path: Path) -> None:
    async def scenario() -> tuple[str | None, str | None, Path | None]:
        name = asyncio.create_task(ask.text_line(parent, "Layout", "Name", "Mine"))
        (await opened(QInputDialog, parent)).accept()
        first = await name
        name = asyncio.create_task(ask.text_line(parent, "Layout", "Name", "  "))
        (await opened(QInputDialog, parent)).accept()
        second = await name
        choice = asyncio.create_task(ask.file_to_save(parent, "Save", "table.csv", "CSV files (*.csv)"))
        dialog = await opened(QFileDialog, parent)
        dialog.setDirectory(str(tmp_path))
        dialog.findChild(QLineEdit).setText("other")
        dialog.accept()
        return first, second, await choice

    assert run(scenario()) == ("Mine", None, tmp_path / "other.csv")


def test_csv_cells_cannot_become_formulas() -> None:
    rows = [["=1+1", "@x", "-5", -5.5, None, "+49 1", "\tx", 'say "hi"'], ["ok", "a,b", "-cmd", 3, "", "1", "2", "3"]]
    text = ask.csv_text(list("abcdefgh"), rows)
    assert text.splitlines()[0] == "a,b,c,d,e,f,g,h"
    assert text.splitlines()[1] == '\'=1+1,\'@x,-5,-5.5,,\'+49 1,\'\tx,"say ""hi"""'
    assert text.splitlines()[2] == 'ok,"a,b",\'-cmd,3,,1,2,3'


def test_files_are_written_wholly_or_not_at_all(qapp: QApplication, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    ask.write_text(path, "a\nb\n")
    assert path.read_bytes() == b"a\nb\n"
    with pytest.raises(OSError, match="nowhere"):
        ask.write_text(tmp_path / "nowhere" / "table.csv", "a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]
    pixmap = QPixmap(4, 4)
    pixmap.fill(Qt.GlobalColor.red)
    ask.write_png(tmp_path / "deep" / "shot.png", pixmap)
    assert (tmp_path / "deep" / "shot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OSError, match="picture"):
        ask.write_png(tmp_path, pixmap)


def test_blocking_dialogs_exist_nowhere() -> None:
    banned = re.compile(
        r"\.exec\(|QMessageBox\.(information|warning|critical|question|about)\(|QFileDialog\.get|QInputDialog\.get"
    )
    root = Path(__file__).resolve().parents[2] / "app"
    found = [path.name for path in root.rglob("*.py") if banned.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_a_failed_task_of_the_window_becomes_a_sentence(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def fail(error: Exception) -> None:
        raise error

    async def scenario() -> int:
        bag = TaskBag(told.append)
        bag.spawn(fail(StorageError("the database is away")), "export")
        bag.spawn(fail(KeyError("bug")), "import")
        bag.spawn(asyncio.sleep(60), "waiting")
        await asyncio.sleep(0.01)
        left = len(bag)
        await bag.close()
        bag.spawn(fail(ValueError("too late")), "late")
        return left - len(bag)

    assert run(scenario()) == 1
    assert told == ["Export failed: the database is away", "Import failed: 'bug'"]
    assert [bool(record.exc_info) for record in caplog.records if record.name == "fathom.ui.tasks"] == [False, True]


def test_the_better_a_text_fits_the_earlier_it_comes() -> None:
    texts = ["WBTCUSDT", "Reset btc", "BTCUSDT", "B-T-C", "ETHUSDT"]
    entries = [Entry(text, "", lambda: None) for text in texts]
    assert [entry.text for entry in matches(entries, "btc")] == ["BTCUSDT", "Reset btc", "WBTCUSDT", "B-T-C"]
    assert [entry.text for entry in matches(entries, "")] == texts
    assert score("BTCUSDT", "x") is None
