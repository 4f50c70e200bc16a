"""The only place for dialogs: each is opened without blocking and its answer awaited.

A blocking dialog inside a coroutine would stall the other tasks for good. Also here: what dialogs lead to, the safe
writing of CSV and PNG files.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QDialog, QFileDialog, QMessageBox, QWidget

from app.domain.units import NS_PER_S

CSV_FILES = "CSV files (*.csv)"


async def finished(dialog: QDialog) -> int:
    """Open a dialog, wait until it is closed, return its result code; a cancelled wait closes it."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_finished(code: int) -> None:
        if not future.done():
            future.set_result(code)

    dialog.finished.connect(on_finished)
    dialog.open()
    try:
        return await future
    except asyncio.CancelledError:
        dialog.close()
        raise
    finally:
        dialog.finished.disconnect(on_finished)
        dialog.deleteLater()


def _box(parent: QWidget | None, icon: QMessageBox.Icon, title: str, text: str, detail: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setIcon(icon)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(detail)
    return box


async def tell(parent: QWidget | None, title: str, text: str, detail: str = "") -> None:
    """Show a sentence and wait until it is acknowledged."""
    box = _box(parent, QMessageBox.Icon.Information, title, text, detail)
    box.setStandardButtons(QMessageBox.StandardButton.Ok)
    await finished(box)


async def confirm(parent: QWidget | None, title: str, text: str, yes: str = "OK") -> bool:
    """Ask a question; Esc means no."""
    box = _box(parent, QMessageBox.Icon.Question, title, text, "")
    accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(accept)
    box.setEscapeButton(cancel)
    clicked: list[object] = []
    box.buttonClicked.connect(clicked.append)
    await finished(box)
    return clicked == [accept]


async def file_to_save(parent: QWidget | None, title: str, suggested: str, kind: str) -> Path | None:
    """Ask where to save; kind is a filter such as "CSV files (*.csv)". None: cancelled."""
    dialog = QFileDialog(parent, title)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setNameFilter(kind)
    dialog.setDefaultSuffix(Path(suggested).suffix.removeprefix("."))
    dialog.selectFile(suggested)
    chosen = await finished(dialog)
    files = dialog.selectedFiles()
    return Path(files[0]) if chosen == QDialog.DialogCode.Accepted.value and files else None


async def save_file(
    parent: QWidget | None, title: str, suggested: str, kind: str, write: Callable[[Path], None]
) -> None:
    """Ask where to save and write there; tell when that fails."""
    path = await file_to_save(parent, title, suggested, kind)
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        await tell(parent, title, f"The file could not be written: {error}")


async def save_csv(parent: QWidget | None, title: str, what: str, at_ns: int, text: str) -> None:
    """Ask where to save a table and write it; what and at_ns (UTC) become its name."""
    moment = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y%m%d-%H%M%S")
    await save_file(parent, title, f"fathom-{what}-{moment}.csv", CSV_FILES, lambda path: write_text(path, text))


async def text_line(parent: QWidget | None, title: str, label: str, text: str = "") -> str | None:
    """Ask for one line of text; None: cancelled or empty."""
    from PySide6.QtWidgets import QInputDialog

    dialog = QInputDialog(parent)
    dialog.setWindowTitle(title)
    dialog.setLabelText(label)
    dialog.setTextValue(text)
    code = await finished(dialog)
    value = dialog.textValue().strip()
    return value if code == QDialog.DialogCode.Accepted.value and value else None


def csv_cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: text that begins with = + - @ tab CR gets a leading '."""
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, int | float):
        return text
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        try:
            float(text)
        except ValueError:
            return f"'{text}"
    return text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, safe against formula injection."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([csv_cell(cell) for cell in header])
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there wholly or not at all; raise OSError. Call it off the loop when it is large."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", newline="")
    os.replace(fresh, path)


def write_png(path: Path, pixmap: QPixmap) -> None:
    """Write a picture; raise OSError when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not pixmap.save(str(path), "PNG"):
        raise OSError(f"expected to write a picture to {path}")
