"""Qt tests run without a screen; every test starts with the dark theme, UTC and no window."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyside6"
os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fakes import FakeMarket
from shell import MarketClock, Placeholder, close, flush

from app.ui import theme, zone
from app.ui.frameclock import FrameClock
from app.ui.mainwindow import MainWindow
from app.ui.panels.feeds import FeedsPanel
from app.ui.panels.ladder import LadderPanel
from app.ui.panels.symbols import SymbolsPanel
from app.ui.registry import PanelKind, PanelRegistry
from app.viewmodels.feeds import FeedsModel
from app.viewmodels.ladder import LadderModel
from app.viewmodels.layouts import LayoutStore
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import Mode, StatusModel
from app.viewmodels.symbols import SymbolsModel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow what Qt says of the offscreen platform, and of layout blobs that are rubbish on purpose."""
    for item in items:
        if "/tests/ui/" in item.path.as_posix():
            item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support", "qUncompress", extend=True))


@pytest.fixture(autouse=True)
def _look(qapp: QApplication) -> Iterator[None]:
    zone.choose("utc")
    if theme.current() is not theme.DARK or not qapp.styleSheet():
        theme.apply(qapp, "dark")
    yield
    flush(collect=False)
    zone.choose("utc")


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket()


@pytest.fixture
def links() -> LinkBus:
    return LinkBus()


@pytest.fixture
def clock(market: FakeMarket, qapp: QApplication) -> Iterator[FrameClock]:
    made = FrameClock(market.wall_ns)
    yield made
    made.stop()
    made.deleteLater()


@pytest.fixture
def registry(market: FakeMarket, links: LinkBus) -> PanelRegistry:
    ticking = MarketClock(market)
    return PanelRegistry(
        [
            PanelKind(id="chart", title="Depth chart", factory=Placeholder, icon="chart", multiple=True),
            PanelKind(
                id="ladder",
                title="Order book",
                factory=lambda: LadderPanel(LadderModel(market, links)),
                icon="ladder",
                multiple=True,
            ),
            PanelKind(
                id="symbols",
                title="Symbols",
                factory=lambda: SymbolsPanel(SymbolsModel(market, links)),
                icon="symbols",
            ),
            PanelKind(id="feeds", title="Feeds", factory=lambda: FeedsPanel(FeedsModel(market, ticking)), icon="feeds"),
        ]
    )


@pytest.fixture
def make_window(
    registry: PanelRegistry, market: FakeMarket, links: LinkBus, tmp_path: Path
) -> Iterator[Callable[..., MainWindow]]:
    made: list[MainWindow] = []

    def make(size: tuple[int, int] = (1366, 768), path: Path | None = None, populate: bool = True) -> MainWindow:
        status = StatusModel(MarketClock(market), Mode.DEMO)
        exits: list[str] = []
        window = MainWindow(
            registry,
            status,
            LayoutStore(path or tmp_path / "layout.json"),
            links=links,
            pairs=market.pairs,
            request_exit=lambda: exits.append("asked"),
            version="0.1.0",
        )
        window.exits = exits  # type: ignore[attr-defined]
        made.append(window)
        if not window._document.geometry:
            window.resize(*size)
        window.show()
        QApplication.processEvents()
        status.attach(market)
        if populate:
            window.populate()
            window.frame_clock.stop()
            QApplication.processEvents()
        return window

    yield make
    for window in made:
        close(window)
    flush()
