"""What the scanner's table costs: a sorted update against QSortFilterProxyModel, and 1,500 instruments at 5 Hz.

Run as `python tests/bench/bench_scanner_table.py`; every row is measured in this one run, the two tables by turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ui")]

import numpy as np  # noqa: E402
from PySide6.QtCore import QAbstractTableModel, QSortFilterProxyModel, Qt  # noqa: E402
from PySide6.QtWidgets import QApplication, QTableView  # noqa: E402
from scanner_market import START_NS, FakeBooks  # noqa: E402

from app.domain.ids import BOOK_MARKETS, Market  # noqa: E402
from app.domain.market import Field, TickerUpdate  # noqa: E402
from app.domain.units import NS_PER_S  # noqa: E402
from app.services.scanning import Scanning  # noqa: E402
from app.ui import theme  # noqa: E402
from app.ui.panels.scanner import ScannerPanel  # noqa: E402
from app.viewmodels.linking import LinkBus  # noqa: E402
from app.viewmodels.scanner import ScannerModel  # noqa: E402

ROWS, COLUMNS = 500, 12
UPDATES = 25
MANY = 1_500
PER_SECOND = 3_000
HZ = 5
SECONDS = 12.0

Row = dict[str, object]


def run() -> list[Row]:
    """Measure and return rows of name, value, unit, target, note."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    theme.apply(app, "dark")
    return [*_sorted_updates(app), *_live(app)]


class _PlainTable(QAbstractTableModel):
    """A fair model: cached strings, roles as integers, one signal per update."""

    def __init__(self) -> None:
        super().__init__()
        self.values = np.zeros((ROWS, COLUMNS))

    def rowCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else ROWS

    def columnCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else COLUMNS

    def data(self, index: Any, role: int = 0) -> Any:
        if role == 0:
            return f"{self.values[index.row(), index.column()]:,.2f}"
        if role == 256:
            return float(self.values[index.row(), index.column()])
        return 130 if role == 7 else None

    def update(self, values: np.ndarray) -> None:
        self.values = values
        self.dataChanged.emit(self.index(0, 0), self.index(ROWS - 1, COLUMNS - 1))


def _news(random: np.random.Generator, count: int, chosen: list[int]) -> dict[Market, list[TickerUpdate]]:
    """Return tickers of some instruments out of so many, by market."""
    found: dict[Market, list[TickerUpdate]] = {market: [] for market in BOOK_MARKETS}
    markets = BOOK_MARKETS
    moves = random.normal(0, 1e-3, len(chosen)).tolist()
    turnovers = (random.random(len(chosen)) * 1e9).tolist()
    for number, move, volume in zip(chosen, moves, turnovers, strict=True):
        last = (900.0 / (number % 97 + 1)) * (1 + move)
        values = {
            Field.LAST: last,
            Field.CHANGE_PCT: move * 1e3,
            Field.VOLUME: volume,
            Field.HIGH: last * 1.02,
            Field.LOW: last * 0.98,
            Field.BID: last * 0.9999,
            Field.ASK: last * 1.0001,
            Field.FUNDING: move / 10,
            Field.FUNDING_HOURS: 8.0,
            Field.OPEN_INTEREST: 1e6,
        }
        found[markets[number % 6]].append(TickerUpdate(f"X{number}USDT", 0, values))
    return found


def _tell(scanning: Scanning, news: dict[Market, list[TickerUpdate]], now_ns: int) -> None:
    for market, updates in news.items():
        if updates:
            scanning.on_news(market, now_ns, updates)


def _panel(rows: int, app: QApplication) -> tuple[Scanning, ScannerModel, ScannerPanel]:
    scanning = Scanning()
    _tell(scanning, _news(np.random.default_rng(1), rows, list(range(rows))), START_NS)
    scanning.advance(START_NS)
    model = ScannerModel(scanning, FakeBooks(), LinkBus())
    panel = ScannerPanel(model)
    panel.resize(1600, 760)
    panel.show()
    panel.refresh(START_NS)
    app.processEvents()
    return scanning, model, panel


def _sorted_updates(app: QApplication) -> list[Row]:
    """Take the CPU time from new random values in every cell until both tables are sorted and painted."""
    random = np.random.default_rng(7)
    plain = _PlainTable()
    proxy = QSortFilterProxyModel()
    proxy.setSourceModel(plain)
    proxy.setSortRole(256)
    proxy.setDynamicSortFilter(True)
    view = QTableView()
    view.setModel(proxy)
    view.setSortingEnabled(True)
    view.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    view.verticalHeader().setDefaultSectionSize(theme.ROW_HEIGHT - 2)
    view.resize(1600, 735)
    view.show()
    scanning, model, panel = _panel(ROWS, app)
    panel.show_events(False)
    model.set_columns(model.columns[:COLUMNS])
    panel._on_choice()
    now_ns = START_NS
    times: dict[str, list[float]] = {"proxy": [], "scanner": []}
    visible = 0
    for _ in range(UPDATES):
        values = random.normal(0, 1e6, (ROWS, COLUMNS))
        now_ns += NS_PER_S
        _tell(scanning, _news(random, ROWS, list(range(ROWS))), now_ns)
        scanning.board.refresh(now_ns)

        def by_proxy(values: np.ndarray = values) -> None:
            plain.update(values)
            _settle(app)

        def by_scanner(now_ns: int = now_ns) -> None:
            panel.refresh(now_ns)
            _settle(app)

        jobs: dict[str, Callable[[], None]] = {"proxy": by_proxy, "scanner": by_scanner}
        for name, job in jobs.items():
            begin = time.process_time()
            job()
            times[name].append((time.process_time() - begin) * 1000)
        order = model.board.values[Field.VOLUME][model.order]
        if (np.diff(order) > 0).any():
            raise RuntimeError("expected the scanner's rows to be sorted after each update")
        first, after = panel.table.shown()
        visible = after - first
    plain_visible = view.rowAt(view.viewport().height() - 1) - view.rowAt(0) + 1
    view.close()
    _close(panel)
    proxy_ms, scanner_ms = (statistics.median(times[name]) for name in ("proxy", "scanner"))
    size = f"{ROWS} x {COLUMNS}, all values new, sorted, painted"
    return [
        _row("QSortFilterProxyModel, dynamic sort", proxy_ms, "ms", "", f"{size}; {plain_visible} rows on screen"),
        _row("scanner's table", scanner_ms, "ms", "", f"{size}; {visible} rows on screen"),
        _row("ratio", scanner_ms / proxy_ms, "x", "<= 0.1", "same run, by turns"),
    ]


def _settle(app: QApplication) -> None:
    """Let everything that was put off happen: a view lays its rows out one turn of the loop later."""
    for _ in range(4):
        app.processEvents()


def _live(app: QApplication) -> list[Row]:
    """Tell 3,000 tickers a second of 1,500 instruments and paint at 5 Hz; take the CPU time of each part."""
    random = np.random.default_rng(9)
    scanning, model, panel = _panel(MANY, app)
    model.set_filter("volume_24h > 1e6 and spread_bp < 50")
    panel._on_choice()
    batches = [_news(random, MANY, random.integers(0, MANY, PER_SECOND // HZ).tolist()) for _ in range(20)]
    core_s = panel_s = 0.0
    frames: list[float] = []
    now_ns = START_NS
    begin_wall = due = time.perf_counter()
    number = 0
    while due - begin_wall < SECONDS:
        now_ns += NS_PER_S // HZ
        before = time.process_time()
        _tell(scanning, batches[number % len(batches)], now_ns)
        scanning.advance(now_ns)
        core_s += time.process_time() - before
        begin, before = time.perf_counter(), time.process_time()
        panel.revision()
        panel.refresh(now_ns)
        app.processEvents()
        panel_s += time.process_time() - before
        frames.append((time.perf_counter() - begin) * 1000)
        number += 1
        due += 1 / HZ
        time.sleep(max(0.0, due - time.perf_counter()))
    wall = time.perf_counter() - begin_wall
    first, after = panel.table.shown()
    note = f"{len(model.columns)} columns, {after - first} rows on screen, condition, sort, flashes"
    _close(panel)
    frames.sort()
    return [
        _row("1,500 rows at 5 Hz: table and panel", 100 * panel_s / wall, "% core", "", note),
        _row(
            "the same with board and detectors", 100 * (panel_s + core_s) / wall, "% core", "<= 15", "3,000 updates/s"
        ),
        _row("one frame, p50", frames[len(frames) // 2], "ms", "", "refresh, sort and paint"),
        _row("one frame, p99", frames[int(len(frames) * 0.99)], "ms", "<= 30", "it blocks the loop for this long"),
    ]


def _close(panel: ScannerPanel) -> None:
    panel.shut()
    panel.close()
    panel.deleteLater()


def _row(name: str, value: float, unit: str, target: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']!s:<40}{row['value']:>9.2f} {row['unit']!s:<7}{row['target']!s:<8}{row['note']}")
