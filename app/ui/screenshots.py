"""Turns the window and its panels into pictures in files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.ui.dialogs.ask import write_png

if TYPE_CHECKING:
    from app.ui.mainwindow import MainWindow

_SETTLE_S: Final = 0.4
"""How long a panel that was behind others takes to lay itself out and read its figures."""


async def capture_screenshots(window: MainWindow, directory: Path) -> list[Path]:
    """Write a PNG of the window and of each open panel; return the paths, the window first. Raises OSError.

    Panels behind others are brought to the front one after the other, and put back.
    """
    window.frame_clock.tick()
    await asyncio.sleep(0)
    paths = [directory / "window.png"]
    write_png(paths[0], window.grab())
    in_front = [entry for entry in window.docks.panels() if entry.panel.isVisible()]
    for entry in window.docks.panels():
        if not entry.panel.isVisible():
            entry.dock.setAsCurrentTab()
            await asyncio.sleep(_SETTLE_S)
            window.frame_clock.tick()
        await asyncio.sleep(0)
        path = directory / f"panel-{entry.name.replace(':', '-')}.png"
        write_png(path, entry.panel.grab())
        paths.append(path)
    for entry in in_front:
        if not entry.panel.isVisible():
            entry.dock.setAsCurrentTab()
    return paths
