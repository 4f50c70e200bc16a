"""The Market Scanner on screen: it holds still under the mouse, says what it does not know, and is worked by keys."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QEnterEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu
from scanner_market import ScannerMarket
from shell import flush

from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import NS_PER_MS
from app.scanner.events import EventKind
from app.ui import theme, zone
from app.ui.dialogs import ask
from app.ui.models.scanner_table import FLASH_STEPS, KEYS, SECTION
from app.ui.panels.scanner import WAITING, ScannerPanel
from app.ui.panels.scanner_bar import ONE_LINE
from app.viewmodels.linking import LinkBus
from app.viewmodels.scanner import ScannerModel

PERP = Market.HYPERLIQUID_PERP
LINEAR = Market.BYBIT_LINEAR


class Scene:
    """A panel over a small market, with a clock of its own."""

    def __init__(self, market: ScannerMarket, links: LinkBus) -> None:
        self.market = market
        self.links = links
        self.model = ScannerModel(market.scanning, market.books, links)
        self.time_ns = 0
        self.panel = ScannerPanel(self.model, monotonic_ns=lambda: self.time_ns, spawn=self._run)
        self.panel.resize(1600, 700)
        self.panel.show()
        self.frame()

    @staticmethod
    def _run(work) -> None:
        asyncio.run(work)

    def frame(self, ms: int = 200) -> None:
        """Let time pass and paint once."""
        self.time_ns += ms * NS_PER_MS
        self.market.now_ns += ms * NS_PER_MS
        self.market.scanning.advance(self.market.now_ns)
        self.panel.revision()
        self.panel.refresh(self.market.now_ns)
        QApplication.processEvents()

    def row(self, market: Market, coin: str) -> int:
        return self.market.row(market, coin)

    def text(self, market: Market, coin: str, key: str) -> str:
        position = self.model.position_of(self.row(market, coin))
        assert position is not None
        return str(self.panel.items.index(position, SECTION[key]).data())

    def tip(self, market: Market, coin: str, key: str) -> str:
        position = self.model.position_of(self.row(market, coin))
        return str(self.panel.items.index(position, SECTION[key]).data(Qt.ItemDataRole.ToolTipRole))

    def point(self, inside: bool = True) -> None:
        """Move the mouse onto the rows or away from them."""
        viewport = self.panel.table.viewport()
        at = QPointF(50, 50)
        QApplication.sendEvent(viewport, QEnterEvent(at, at, at) if inside else QEvent(QEvent.Type.Leave))

    def order(self) -> list[int]:
        return self.model.order.tolist()

    def click(self, position: int, key: str = "last") -> None:
        table = self.panel.table
        rect = table.visualRect(self.panel.items.index(position, SECTION[key]))
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())

    def filter(self, text: str) -> None:
        self.panel.bar.filter.setText(text)
        self.panel.bar.filter.commit()


@pytest.fixture
def make_scene(qtbot) -> Iterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(coins: int = 20, opened: bool = True) -> Scene:
        market = ScannerMarket(coins=coins)
        if opened:
            market.open()
            market.tell_books()
        made.append(Scene(market, LinkBus()))
        return made[-1]

    yield make
    for scene in made:
        scene.panel.shut()
        scene.panel.hide()
        scene.panel.deleteLater()
    flush()


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    return make_scene()


# showing


def test_before_the_first_tickers_it_says_what_it_waits_for(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(opened=False)
    assert scene.panel.table.message == WAITING
    assert scene.panel.table.accessibleDescription() == WAITING
    scene.market.open()
    scene.frame()
    assert scene.panel.items.rowCount() == 120
    assert scene.panel.bar.count.text() == "120"


def test_a_filter_that_nothing_passes_says_so(scene: Scene) -> None:
    scene.filter("nothing like this")
    assert scene.panel.table.message == "None of 120 instruments passes “nothing like this” in this list."


def test_the_table_has_one_row_per_instrument_and_tells_unknown_from_zero(scene: Scene) -> None:
    assert scene.text(Market.BINANCE_SPOT, "BTC", "funding") == "—"
    assert "there is none on a spot market" in scene.tip(Market.BINANCE_SPOT, "BTC", "funding")
    scene.market.tell(LINEAR, ["BTC"], funding=0.0)
    scene.frame()
    assert scene.text(LINEAR, "BTC", "funding") == "0.0000"


def test_one_signal_announces_just_the_rows_on_screen(scene: Scene) -> None:
    announced: list[tuple[int, int]] = []
    scene.panel.items.dataChanged.connect(lambda first, last: announced.append((first.row(), last.row())))
    scene.market.step()
    first, after = scene.panel.table.shown()
    assert 10 < after - first < 60
    scene.panel.items.refresh(first, after)
    assert announced == [(first, after)]


def test_values_alone_are_painted_at_most_five_times_a_second(scene: Scene) -> None:
    revision = scene.panel.revision()
    scene.market.step()
    scene.time_ns += 100 * NS_PER_MS
    assert scene.panel.revision() == revision
    scene.time_ns += 100 * NS_PER_MS
    assert scene.panel.revision() != revision


def test_ages_go_on_though_nothing_is_told(scene: Scene) -> None:
    for _ in range(FLASH_STEPS + 2):
        scene.frame()
    seen = set()
    for _ in range(10):
        scene.time_ns += 200 * NS_PER_MS
        seen.add(scene.panel.revision())
    assert len(seen) >= 2


def test_digits_flash_in_their_direction_and_fade(scene: Scene) -> None:
    row = scene.row(PERP, "SOL")
    price = float(scene.model.board.values[Field.LAST, row])
    scene.market.tell(PERP, ["SOL"], last=price * 1.01)
    scene.frame()
    assert scene.panel.items.flash[Field.LAST, row] == FLASH_STEPS
    scene.frame()
    assert scene.panel.items.flash[Field.LAST, row] == FLASH_STEPS - 1
    scene.market.tell(PERP, ["SOL"], last=price * 0.99)
    scene.frame()
    assert scene.panel.items.flash[Field.LAST, row] == -FLASH_STEPS
    for _ in range(FLASH_STEPS):
        scene.frame()
    assert scene.panel.items.flash[Field.LAST, row] == 0
    assert not scene.panel.items.is_flashing


def test_a_figure_that_becomes_known_does_not_flash(scene: Scene) -> None:
    row = scene.row(LINEAR, "BTC")
    for _ in range(FLASH_STEPS):
        scene.frame()
    scene.market.tell(LINEAR, ["BTC"], index=67000.0)
    scene.frame()
    assert scene.panel.items.flash[Field.INDEX, row] == 0


def test_a_stale_row_is_painted_grey(scene: Scene) -> None:
    scene.filter("sol hyperliquid futures")
    for _ in range(FLASH_STEPS + 1):
        scene.frame()
    fresh = colours(scene)
    scene.frame(61_000)
    stale = colours(scene)
    assert theme.current().text in fresh
    assert theme.current().text not in stale
    assert theme.current().muted in stale
    assert "STALE" in scene.tip(PERP, "SOL", "last")


def colours(scene: Scene) -> set[str]:
    image = scene.panel.table.viewport().grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(0, image.width()) for y in range(0, 20)}


def test_badges_carry_the_numbers_in_their_tip(scene: Scene) -> None:
    scene.market.happen(PERP, "SOL", EventKind.PRICE_SURGE, "rose 4.12 % within 5 min", change_pct=4.12)
    scene.market.happen(PERP, "SOL", EventKind.VOLUME_SPIKE, "about 3 M USD traded", turnover_usd=3e6)
    scene.frame()
    assert scene.text(PERP, "SOL", "events") == "VOL ▲SURGE"
    tip = scene.tip(PERP, "SOL", "events")
    assert tip.index("volume spike: about 3 M USD traded") < tip.index("price surge: rose 4.12 %")
    assert "change pct: 4.12" in tip
    assert "no event within 15 minutes" in scene.tip(PERP, "BTC", "events")


# holding still


def test_rows_hold_still_under_the_mouse_and_move_when_it_leaves(scene: Scene) -> None:
    before = scene.order()
    scene.point()
    assert scene.panel.bar.held.isVisible()
    scene.market.tell(PERP, ["SUI"], volume=9e12)
    scene.frame(2000)
    assert scene.order() == before
    assert scene.text(PERP, "SUI", "volume_24h") == "9.00 T"
    scene.point(inside=False)
    assert scene.order()[0] == scene.row(PERP, "SUI")
    assert not scene.panel.bar.held.isVisible()


def test_the_hint_does_not_move_the_table(scene: Scene) -> None:
    before = scene.panel.table.geometry()
    scene.point()
    QApplication.processEvents()
    assert scene.panel.table.geometry() == before


def test_a_click_on_a_header_sorts_a_held_table(scene: Scene) -> None:
    scene.point()
    header = scene.panel.table.horizontalHeader()
    for descending in (True, False):
        at = QPoint(header.sectionViewportPosition(SECTION["last"]) + 20, 8)
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
        prices = scene.model.board.values[Field.LAST][scene.model.order].tolist()
        assert prices == sorted(prices, reverse=descending)
    assert header.model().headerData(SECTION["last"], Qt.Orientation.Horizontal) == "Last ▴"


def test_the_chosen_row_stays_chosen_and_in_its_place_when_others_move(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(coins=100)
    table = scene.panel.table
    table.verticalScrollBar().setValue(200)
    row = scene.model.row_at(210)
    scene.panel.open_book(row)
    scene.frame()
    place = table.rowViewportPosition(210)
    scene.market.tell(PERP, scene.market.coins[-30:], volume=9e12)
    scene.frame(2000)
    position = scene.model.position_of(row)
    assert position != 210
    assert table.currentIndex().row() == position
    assert table.rowViewportPosition(position) == place


def test_keys_hold_the_order_for_a_while(scene: Scene) -> None:
    scene.panel.activateWindow()
    scene.panel.table.setFocus()
    scene.click(3)
    before = scene.order()
    scene.point(inside=False)
    scene.market.tell(PERP, ["SUI"], volume=9e12)
    scene.frame(2000)
    assert scene.order() == before
    scene.frame(3000)
    assert scene.order() != before


def test_more_and_fewer_rows_come_without_a_reset(scene: Scene) -> None:
    resets: list[int] = []
    scene.panel.items.modelReset.connect(lambda: resets.append(1))
    scene.filter("btc")
    assert scene.panel.items.rowCount() == 6
    scene.filter("")
    assert scene.panel.items.rowCount() == 120
    assert resets == []


# choosing


def test_a_click_drives_the_link_group_and_enter_opens_the_book(scene: Scene) -> None:
    wanted: list[tuple[Market, str]] = []
    scene.panel.book_wanted.connect(lambda market, symbol: wanted.append((market, symbol)))
    scene.filter("eth hyperliquid futures")
    scene.click(0)
    assert scene.links.current("A") == "ETHUSDT"
    assert wanted == []
    QTest.keyClick(scene.panel.table, Qt.Key.Key_Return)
    assert wanted == [(PERP, "ETH")]


def test_another_panels_pick_is_shown_as_the_chosen_row(scene: Scene) -> None:
    scene.links.publish("A", "SOLUSDT")
    scene.frame()
    assert scene.panel.chosen_row is not None
    assert scene.model.board.symbols[scene.panel.chosen_row].startswith("SOL")
    scene.links.publish("A", "NOSUCHUSDT")
    scene.frame()
    assert not scene.panel.table.selectionModel().hasSelection()


def test_a_click_on_an_event_chooses_its_row(scene: Scene) -> None:
    scene.market.happen(PERP, "TON", EventKind.NEW_LOW, "new low 5.1")
    scene.frame()
    events = scene.panel.events
    assert events.items.cells(0)[1:] == ("TON", "Hyperliq. FUT", "▼LOW  new low 5.1")
    events.table.clicked.emit(events.items.index(0, 0))
    assert scene.panel.chosen_row == scene.row(PERP, "TON")
    assert scene.links.current("A") == "TONUSDT"


def test_new_events_come_on_top_without_disturbing_the_chosen_one(scene: Scene) -> None:
    scene.market.happen(PERP, "TON", EventKind.NEW_LOW, "first")
    scene.frame()
    scene.panel.events.table.selectRow(0)
    scene.market.happen(PERP, "SOL", EventKind.NEW_HIGH, "second")
    scene.frame()
    assert [scene.panel.events.items.event_at(row).text for row in range(2)] == ["second", "first"]
    assert [index.row() for index in scene.panel.events.table.selectionModel().selectedRows()] == [1]


def test_the_list_of_events_can_be_filtered_and_hidden(scene: Scene) -> None:
    scene.market.happen(PERP, "TON", EventKind.NEW_LOW, "first")
    scene.market.happen(PERP, "SOL", EventKind.NEW_HIGH, "second")
    scene.frame()
    scene.panel.events._filter.setText("sol")
    assert scene.panel.events.items.rowCount() == 1
    scene.panel.events._filter.setText("")
    scene.panel.events.set_kinds({EventKind.GAP})
    assert scene.panel.events.items.rowCount() == 0
    QTest.mouseClick(scene.panel.bar.events, Qt.MouseButton.LeftButton)
    assert not scene.panel.events.isVisible()


def test_chips_and_lists_reach_the_model(scene: Scene) -> None:
    bar = scene.panel.bar
    for chip in list(bar.venues.values())[:2]:
        QTest.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert scene.panel.items.rowCount() == 40
    bar.lists.setCurrentIndex(2)
    bar.lists.activated.emit(2)
    changes = scene.model.board.values[Field.CHANGE_PCT][scene.model.order].tolist()
    assert changes == sorted(changes, reverse=True)
    bar.depth_box.setCurrentIndex(6)
    bar.depth_box.activated.emit(6)
    assert scene.market.books.depth_pct == 60.0
    assert scene.panel.items.headerData(SECTION["delta"], Qt.Orientation.Horizontal) == "Δ 60 %"


# filter


def test_a_fault_is_shown_with_its_place_and_leads_there(scene: Scene) -> None:
    scene.filter("btc")
    scene.filter("volume_24h > 5e6 and chnge_24h > 3")
    bar = scene.panel.bar
    assert bar.fault.isVisible()
    assert bar.fault.text().startswith("⚠ column 22, “chnge_24h > 3”: there is no column chnge_24h")
    assert bar.fault.text().endswith("still showing “btc”")
    assert scene.panel.items.rowCount() == 6
    QTest.mouseClick(bar.fault, Qt.MouseButton.LeftButton)
    assert bar.filter.cursorPosition() == 21
    scene.filter("volume_24h > 5e6")
    assert not bar.fault.isVisible()


def test_column_names_are_completed_where_the_cursor_is(scene: Scene) -> None:
    box = scene.panel.bar.filter
    box.setFocus()
    QTest.keyClicks(box, "last > 1 and chan")
    assert box.completer_popup.isVisible()
    box.insert_word("change_24h")
    assert box.text() == "last > 1 and change_24h"
    box.completer_popup.hide()
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert box.text() == ""
    assert scene.model.filter_text == ""


def test_typing_is_taken_when_it_pauses_or_the_box_is_left(scene: Scene, qtbot) -> None:
    box = scene.panel.bar.filter
    QTest.keyClicks(box, "btc")
    assert scene.model.filter_text == ""
    qtbot.waitUntil(lambda: scene.model.filter_text == "btc")
    QTest.keyClicks(box, " bybit")
    box.editingFinished.emit()
    assert scene.model.filter_text == "btc bybit"


# menus


def labels(menu: QMenu) -> list[str]:
    return [action.text().partition("\t")[0] for action in menu.actions() if action.text()]


def trigger(menu: QMenu, label: str) -> None:
    next(action for action in menu.actions() if action.text().partition("\t")[0] == label).trigger()
    menu.close()


def test_a_cell_can_become_an_alert_or_a_filter(scene: Scene) -> None:
    alerts: list[str] = []
    scene.panel.alert_wanted.connect(alerts.append)
    scene.market.tell(PERP, ["SOL"], change_pct=-4.25)
    scene.frame()
    row = scene.row(PERP, "SOL")
    trigger(scene.panel.menu_of(row, SECTION["change_24h"]), "Alert when change_24h <= -4.25…")
    assert alerts == ['symbol == "SOL" and venue == "hyperliquid" and market == "futures" and change_24h <= -4.25']
    scene.filter(alerts[0])
    assert scene.order() == [row]
    trigger(scene.panel.menu_of(row, SECTION["venue"]), 'Show only venue == "hyperliquid"')
    assert scene.panel.items.rowCount() == 40


def test_an_unknown_cell_offers_no_alert(scene: Scene) -> None:
    menu = scene.panel.menu_of(scene.row(Market.BINANCE_SPOT, "SOL"), SECTION["funding"])
    assert not any("Alert" in label or "Show only" in label for label in labels(menu))
    menu.close()


def test_a_row_can_be_pinned_where_the_market_has_places(scene: Scene) -> None:
    row = scene.row(PERP, "SOL")
    menu = scene.panel.menu_of(row, 0)
    assert "Pin hot" not in labels(menu)
    menu.close()
    assert not scene.panel.budget.isVisible()
    scene.market.scanning.budget.set_capacity(PERP, 1)
    trigger(scene.panel.menu_of(row, 0), "Pin hot")
    scene.frame(2000)
    scene.frame()
    assert scene.panel.budget.isVisible()
    assert scene.model.budget.hot() == {(PERP, "SOL")}
    assert "◆ pinned" in scene.tip(PERP, "SOL", "symbol")
    assert "Hyperliquid FUTURES: 1 of 1 places used, 1 pinned" in scene.panel.budget.words()
    menu = scene.panel.menu_of(row, 0)
    assert "Promote to hot" not in labels(menu)
    trigger(menu, "Unpin")
    assert not scene.model.budget.is_pinned(PERP, "SOL")


def test_the_budget_tells_who_lost_a_place_and_why(scene: Scene) -> None:
    budget = scene.market.scanning.budget
    budget.set_capacity(PERP, 1)
    scene.frame(2000)
    lost = next(iter(scene.model.budget.hot()))[1]
    budget.pin(PERP, "TON" if lost != "TON" else "SUI")
    scene.frame(2000)
    frame = scene.panel.budget.open_details()
    assert f"{lost} Hyperliquid FUTURES: " in scene.panel.budget.words()
    assert "was pinned" in scene.panel.budget.words()
    frame.close()


def test_the_rows_on_screen_are_told_to_the_budget_until_the_panel_goes(scene: Scene) -> None:
    scene.frame()
    assert scene.market.scanning._on_screen == frozenset(scene.panel.table.shown_rows())
    scene.panel.set_active(False)
    assert scene.market.scanning._on_screen == frozenset()


def test_columns_are_chosen_by_menu_and_moved_by_hand(scene: Scene) -> None:
    header = scene.panel.table.horizontalHeader()
    scene.model.toggle_column("mark")
    scene.panel._on_choice()
    assert not header.isSectionHidden(SECTION["mark"])
    header.moveSection(header.visualIndex(SECTION["age"]), 1)
    assert scene.model.columns[:2] == ("symbol", "age")
    shown = [KEYS[header.logicalIndex(place)] for place in range(len(scene.model.columns))]
    assert tuple(shown) == scene.model.columns


def test_a_scan_is_saved_under_a_name_and_brought_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def name(*_args: object) -> str:
        return "Wide"

    monkeypatch.setattr(ask, "text_line", name)
    scene.filter("spread_bp > 1")
    scene.panel.save_scan()
    assert scene.panel.bar.scans.text() == "Wide ▾"
    scene.filter("")
    assert scene.panel.bar.scans.text() == "Scans ▾"
    scene.model.apply_scan("Wide")
    scene.panel._on_choice()
    assert scene.panel.bar.filter.text() == "spread_bp > 1"


def test_a_scan_that_cannot_be_saved_says_why(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def name(*_args: object) -> str:
        return "Bad"

    async def tell(_parent: object, _title: str, text: str, _detail: str = "") -> None:
        told.append(text)

    monkeypatch.setattr(ask, "text_line", name)
    monkeypatch.setattr(ask, "tell", tell)
    scene.filter("spread_bp >")
    scene.panel.save_scan()
    assert told == ["The filter cannot be read; it can be saved once it can."]
    assert scene.model.scans == {}


# keyboard, copies, layout


def test_favourites_copy_and_filter_have_keys(scene: Scene) -> None:
    scene.panel.activateWindow()
    scene.filter("sol hyperliquid futures")
    scene.panel.table.setFocus()
    scene.click(0)
    QTest.keyClick(scene.panel.table, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert scene.model.favourites == {(PERP, "SOL")}
    QTest.keyClick(scene.panel.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    cells = QGuiApplication.clipboard().text().split("\t")
    assert cells[:3] == ["SOL", "Hyperliquid", "FUTURES"]
    assert len(cells) == len(scene.model.columns)
    QTest.keyClick(scene.panel.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert scene.panel.bar.filter.hasFocus()


def test_every_control_has_a_name_and_takes_the_keyboard(scene: Scene) -> None:
    bar = scene.panel.bar
    controls = [bar.lists, bar.depth_box, bar.minutes_box, bar.filter, bar.scans, bar.columns, bar.events, bar.more]
    controls += [*bar.venues.values(), *bar.kinds.values(), scene.panel.table, scene.panel.events.table]
    for control in controls:
        assert control.accessibleName(), control
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control.accessibleName()


def test_a_file_has_what_is_shown_and_no_formulas(scene: Scene, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "scan.csv"

    async def where(*_args: object) -> Path:
        return path

    monkeypatch.setattr(ask, "file_to_save", where)
    scene.market.board.row(LINEAR, '=HYPERLINK("x")')
    scene.model.set_columns(["symbol", "venue", "last", "funding"])
    scene.frame(1000)
    scene.panel.save_csv()
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert rows[0] == ["Symbol", "Venue", "Last", "Funding [%]"]
    assert len(rows) == 1 + len(scene.model) == 122
    assert any(row[0] == '\'=HYPERLINK("x")' for row in rows)
    assert not any(cell.startswith("=") for row in rows for cell in row)
    assert [
        "BTCUSDT",
        "Binance",
        str(scene.model.board.values[Field.LAST, scene.row(Market.BINANCE_SPOT, "BTC")]),
        "",
    ] in (rows)


def test_a_name_with_markup_is_shown_as_it_is(scene: Scene) -> None:
    row = scene.market.board.row(LINEAR, "<b>BOLD</b>")
    scene.filter("bold")
    assert scene.panel.items.text(row, SECTION["symbol"]) == "<b>BOLD</b>"
    wide = scene.panel.table._laid("<b>BOLD</b>")[1]
    assert wide > scene.panel.table._laid("BOLD")[1]


def test_the_layout_is_remembered(make_scene: Callable[..., Scene]) -> None:
    one, two = make_scene(), make_scene()
    one.model.set_columns(["last", "symbol", "age"])
    one.panel._on_choice()
    one.panel.table.horizontalHeader().resizeSection(SECTION["last"], 133)
    one.filter("btc")
    one.panel.show_events(False)
    two.panel.restore_state(one.panel.save_state())
    assert two.model.columns == ("last", "symbol", "age")
    assert two.panel.table.horizontalHeader().sectionSize(SECTION["last"]) == 133
    assert not two.panel.events.isVisible()
    assert two.panel.bar.filter.text() == "btc"
    assert two.panel.items.rowCount() == 6
    two.panel.restore_state({"widths": [], "split": ["x", None], "events": 1, "columns": {}})
    assert two.panel.items.rowCount() == 6


@pytest.mark.parametrize("width", [640, 1366, 1920])
def test_the_toolbar_fits_every_width(scene: Scene, width: int) -> None:
    scene.panel.resize(width, 700)
    QApplication.processEvents()
    assert scene.panel.width() == width
    bar = scene.panel.bar
    venues = [chip for venue, chip in bar.venues.items() if venue.has_books]
    shown = [bar.lists, *venues, *bar.kinds.values(), bar.filter, bar.scans, bar.more, bar.link]
    boxes = [widget.geometry() for widget in shown]
    assert all(box.right() < width for box in boxes)
    assert (bar.filter.y() > bar.lists.y() + 10) == (width < ONE_LINE)
    assert not any(a.intersects(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_theme_and_zone_are_followed(scene: Scene, qapp: QApplication) -> None:
    scene.market.happen(PERP, "SOL", EventKind.NEW_HIGH, "new high")
    scene.frame()
    theme.apply(qapp, "light")
    scene.frame()
    image = scene.panel.table.viewport().grab().toImage()
    assert image.pixelColor(image.width() - 2, 2).name() == theme.LIGHT.panel
    zone.choose("local")
    assert scene.panel.events.items.rowCount() == 1


def test_what_is_outside_the_window_is_not_formatted(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene(coins=100)
    asked: set[int] = set()
    original = scene.panel.items.text

    def text(row: int, section: int) -> str:
        asked.add(row)
        return original(row, section)

    scene.panel.items.text = text  # type: ignore[method-assign]
    scene.market.step()
    scene.frame()
    assert len(scene.model) == 600
    assert 10 < len(asked) < 60
