"""The Portfolio on screen: a tree that keeps its place, digits that flash, words over what is not live, copies."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, QPointF, Qt
from PySide6.QtGui import QAction, QEnterEvent, QGuiApplication, QHelpEvent, QMouseEvent
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QMenu

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "portfolio"))
from portfolio_desk import AAPL, ACCOUNT, CALL, FUTURE, SAP, SPY, FakeBrokerage, FakeDesk, Time, world_desk
from shell import flush

from app.domain.account import AccountPnl, AccountsSeen, Source, Tag
from app.domain.health import LinkState
from app.domain.orders import Side
from app.portfolio.groups import By
from app.portfolio.lines import LineGroup
from app.ui import theme, zone
from app.ui.dialogs import ask
from app.ui.models.portfolio_table import FLASH_MS, SECTION
from app.ui.panels.portfolio import PortfolioPanel
from app.ui.panels.portfolio_bar import FlowLayout
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.linking import LinkBus
from app.viewmodels.portfolio import PortfolioModel
from app.viewmodels.portfolio_columns import COLUMNS
from app.viewmodels.portfolio_curve import CurveOf

CALL_LABEL = "AAPL 18 Dec 26 200 C"


class Scene:
    """A panel over some desks, with a clock of its own."""

    def __init__(self, *desks: FakeDesk, size: tuple[int, int] = (1366, 700)) -> None:
        self.desk = desks[0]
        self.links = LinkBus()
        self.model = PortfolioModel(FakeBrokerage(*desks), self.links, clock=self.desk.time)
        self.panel = PortfolioPanel(self.model, monotonic_ns=self.desk.time.monotonic_ns, spawn=self._run)
        self.panel.resize(*size)
        self.panel.show()
        self.newest_ns: int | None = None
        self.frame(0)

    @staticmethod
    def _run(work: Coroutine[Any, Any, None]) -> None:
        asyncio.run(work)

    def frame(self, ms: int = 1000) -> None:
        """Let time pass and paint once."""
        self.desk.time.add(ms / 1000)
        self.panel.revision()
        self.newest_ns = self.panel.refresh(self.desk.time.now_ns)
        QApplication.processEvents()

    def labels(self) -> list[str]:
        """Return the visible lines in order, positions in groups indented."""
        found, index, view = [], self.panel.items.index(0, 0), self.panel.view
        while index.isValid():
            found.append(("  " if index.parent().isValid() else "") + str(index.data()))
            index = view.indexBelow(index)
        return found

    def index(self, label: str, key: str = "instrument", nth: int = 0) -> QModelIndex:
        index, found = self.panel.items.index(0, 0), []
        while index.isValid():
            if index.data() == label:
                found.append(index.siblingAtColumn(SECTION[key]))
            index = self.panel.view.indexBelow(index)
        return found[nth]

    def text(self, label: str, key: str, nth: int = 0) -> str:
        return str(self.index(label, key, nth).data())

    def ink(self, label: str, key: str, nth: int = 0) -> str | None:
        brush = self.index(label, key, nth).data(Qt.ItemDataRole.ForegroundRole)
        return None if brush is None else brush.color().name()


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk(Time())
    made.tell(AccountsSeen((ACCOUNT,)))
    made.money(Tag.NET_LIQUIDATION, 100_000.0)
    made.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    made.tell(AccountPnl(ACCOUNT, -12.0, 300.0, 4.0))
    made.hold(AAPL, 100, 150.0, market_price=200.0, market_value=20_000.0)
    made.quote(AAPL, bid=199.9, ask=200.1, last=200.0, close=198.0)
    made.hold(CALL, -2, 512.0)
    made.quote(CALL, bid=6.0, ask=6.2, close=5.0, delta=0.4, gamma=0.01, theta=-0.05, vega=0.1)
    made.hold(SAP, 90, 200.0, market_price=220.0)
    made.hold(FUTURE, -1, 250_000.0)
    made.quote(FUTURE, bid=4_999.0, ask=5_001.0, last=5_000.0, close=5_010.0)
    return made


@pytest.fixture
def scene(desk: FakeDesk) -> Iterator[Scene]:
    made = Scene(desk)
    yield made
    made.panel.shut()
    made.panel.close()
    made.panel.deleteLater()
    flush()


# -- the tree ------------------------------------------------------------------------------------------------------


def test_positions_are_grouped_with_the_total_first(scene: Scene) -> None:
    assert scene.labels() == ["Total in USD", "SAP", "AAPL", "  AAPL", f"  {CALL_LABEL}", "ESZ6"]
    assert scene.text("AAPL", "market_value") == "18,780"
    assert scene.text("AAPL", "delta") == "+20.00"
    assert scene.text(CALL_LABEL, "quantity") == "-2"
    assert scene.text("SAP", "currency") == "EUR"


def test_a_flat_list_can_be_chosen(scene: Scene) -> None:
    scene.panel.flat_button.click()
    assert scene.labels() == ["Total in USD", "SAP", "AAPL", CALL_LABEL, "ESZ6"]
    assert scene.panel.flat_button.isChecked()
    scene.panel.tree_button.click()
    assert "  AAPL" in scene.labels()


def test_the_tree_is_a_faithful_model_while_positions_come_and_go(desk: FakeDesk) -> None:
    scene = Scene(desk)
    tester = QAbstractItemModelTester(scene.panel.items, QAbstractItemModelTester.FailureReportingMode.Fatal)
    desk.quote(FUTURE, last=6_000.0)
    scene.frame()
    desk.hold(SPY, 500, 400.0, market_price=500.0)
    scene.frame()
    desk.hold(CALL, 0)
    scene.frame()
    scene.panel.flat_button.click()
    desk.tell(AccountsSeen(()))
    scene.frame()
    assert scene.labels() == []
    tester.deleteLater()
    scene.panel.shut()
    scene.panel.deleteLater()
    flush()


def test_a_collapsed_group_stays_collapsed_when_lines_come(scene: Scene) -> None:
    scene.panel.view.collapse(scene.index("AAPL"))
    scene.desk.hold(SPY, 10, 400.0, market_price=500.0)
    scene.frame()
    assert scene.labels() == ["Total in USD", "SAP", "AAPL", "SPY", "ESZ6"]
    scene.panel.view.expand(scene.index("AAPL"))
    assert not scene.model.collapsed


def test_the_chosen_row_stays_chosen_when_rows_change_places_or_come(scene: Scene) -> None:
    scene.panel.view.setCurrentIndex(scene.index("SAP"))
    scene.desk.quote(AAPL, bid=899.0, ask=901.0, last=900.0)
    scene.frame()
    assert scene.labels().index("SAP") > scene.labels().index("AAPL")
    chosen = scene.panel.chosen
    assert chosen is not None
    assert chosen.label == "SAP"
    scene.desk.hold(SPY, 5_000, 400.0, market_price=500.0)
    scene.frame()
    chosen = scene.panel.chosen
    assert chosen is not None
    assert chosen.label == "SAP"


def test_rows_do_not_jump_away_from_under_the_mouse(scene: Scene) -> None:
    before = scene.labels()
    viewport = scene.panel.view.viewport()
    at = QPointF(20, 20)
    QApplication.sendEvent(viewport, QEnterEvent(at, at, at))
    scene.desk.quote(AAPL, bid=899.0, ask=901.0, last=900.0)
    scene.frame()
    assert scene.labels() == before
    assert scene.text("AAPL", "market_value", 1) == "90,000"
    QApplication.sendEvent(viewport, QEvent(QEvent.Type.Leave))
    scene.frame()
    assert scene.labels() != before


def test_a_click_on_a_header_sorts_and_shows_an_arrow(scene: Scene) -> None:
    header = scene.panel.view.header()
    header.sectionClicked.emit(SECTION["daily"])
    assert scene.labels()[1] == "ESZ6"
    assert scene.panel.items.headerData(SECTION["daily"], Qt.Orientation.Horizontal) == "Daily P&L ▾"
    header.sectionClicked.emit(SECTION["daily"])
    assert scene.panel.items.headerData(SECTION["daily"], Qt.Orientation.Horizontal) == "Daily P&L ▴"


def test_the_filter_box_filters(scene: Scene) -> None:
    QTest.keyClicks(scene.panel.filter, "sap")
    assert scene.labels() == ["SAP"]
    QTest.keyClicks(scene.panel.filter, "x")
    assert scene.labels() == []
    assert "contains" in scene.panel.view.message
    scene.panel.filter.clear()
    assert len(scene.labels()) == 6


# -- digits --------------------------------------------------------------------------------------------------------


def test_a_price_follows_its_quote_within_the_frame_and_flashes(scene: Scene) -> None:
    for _ in range(3):
        scene.frame(10)
    revision = scene.model.revision
    assert scene.ink("AAPL", "price", 1) is None
    scene.desk.quote(AAPL, bid=200.9, ask=201.1, last=201.0)
    quoted_ns = scene.desk.time.now_ns
    scene.frame(10)
    assert scene.model.revision == revision
    assert scene.text("AAPL", "price", 1) == "201.00"
    assert scene.newest_ns == quoted_ns
    assert scene.ink("AAPL", "price", 1) == theme.current().up
    scene.desk.quote(AAPL, bid=198.9, ask=199.1, last=199.0)
    scene.frame(10)
    assert scene.ink("AAPL", "price", 1) == theme.current().down
    scene.frame(FLASH_MS)
    assert scene.ink("AAPL", "price", 1) is None
    assert not scene.panel.items.is_flashing


def test_the_frame_clock_is_asked_for_more_frames_while_digits_fade(scene: Scene) -> None:
    scene.frame(10)
    still = scene.panel.revision()
    scene.desk.time.add(0.3)
    assert scene.panel.revision() == still
    scene.desk.quote(AAPL, bid=200.9, ask=201.1, last=201.0)
    assert scene.panel.revision() != still
    scene.panel.refresh(0)
    flashing = scene.panel.revision()
    scene.desk.time.add(0.3)
    assert scene.panel.revision() != flashing


def test_a_fill_marks_the_quantity(scene: Scene) -> None:
    scene.frame()
    assert scene.index("SAP", "quantity").data(Qt.ItemDataRole.BackgroundRole) is None
    scene.desk.hold(SAP, 95, 200.0)
    scene.frame()
    assert scene.index("SAP", "quantity").data(Qt.ItemDataRole.BackgroundRole) is not None


def test_gains_and_losses_have_colour_and_sign(scene: Scene) -> None:
    look = theme.current()
    assert scene.text("AAPL", "daily", 1) == "+200.00"
    assert scene.ink("AAPL", "daily", 1) == look.up
    assert scene.text(CALL_LABEL, "daily") == "-220.00"
    assert scene.ink(CALL_LABEL, "daily") == look.down


def test_a_dash_says_why(scene: Scene) -> None:
    index = scene.index("SAP", "daily")
    assert index.data() == "—"
    assert "previous close is not known" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_a_price_that_stopped_coming_goes_grey_in_the_session(scene: Scene) -> None:
    scene.desk.time.add(61)
    scene.desk.tell(AccountPnl(ACCOUNT, -12.0, 300.0, 4.0))
    scene.frame()
    assert scene.ink("AAPL", "price", 1) == theme.current().muted


def test_what_differs_from_the_brokers_figures_is_shown(scene: Scene) -> None:
    assert scene.text("AAPL", "check", 1) == "agrees"
    assert "1 position agrees with the broker" in scene.panel.footer.text()
    scene.desk.hold(AAPL, 100, 150.0, market_value=12_345.0)
    scene.frame()
    assert scene.text("AAPL", "check", 1) == "differs"
    assert scene.text("AAPL", "check") == "differs"
    assert "DIFFER" in scene.panel.footer.text()
    assert scene.panel.footer.property("role") == "warning"
    assert "DIFFERS" in scene.index("AAPL", "check", 1).data(Qt.ItemDataRole.ToolTipRole)


# -- what is not live ----------------------------------------------------------------------------------------------


def test_a_source_that_is_down_covers_the_rows_and_turns_them_grey(scene: Scene) -> None:
    assert scene.panel.view.cover == ""
    scene.desk.health.state, scene.desk.health.reason = LinkState.BACKOFF, "TWS closed the connection"
    scene.desk.health.since_ns = scene.desk.time.now_ns
    scene.frame()
    assert "TWS closed the connection." in scene.panel.view.cover
    assert scene.ink("AAPL", "daily", 1) == theme.current().muted
    assert scene.panel.bar.status.text() == "not live"
    picture = scene.panel.view.viewport().grab().toImage()
    assert theme.colour(theme.current().raised).name() in {
        picture.pixelColor(x, picture.height() // 2 - 9).name() for x in range(0, picture.width(), 3)
    }
    scene.desk.health.state = LinkState.LIVE
    scene.frame()
    assert scene.panel.view.cover == ""
    assert scene.ink("AAPL", "daily", 1) == theme.current().up


class CareFor:
    """What the user can do for a desk: log in."""

    login_url = "https://localhost:5000"
    trust = None
    take_over = None

    def __init__(self, desk: FakeDesk) -> None:
        self.health = desk.health

    def wake(self) -> None:
        """Nothing."""


def test_what_the_source_needs_of_the_user_has_its_button_and_is_said_once(desk: FakeDesk) -> None:
    care = BrokerCare(lambda: {Source.TWS: CareFor(desk)})
    model = PortfolioModel(FakeBrokerage(desk), LinkBus(), clock=desk.time)
    panel = PortfolioPanel(model, care=care, monotonic_ns=desk.time.monotonic_ns, spawn=lambda work: work.close())
    assert panel.banner is not None

    def frame() -> None:
        desk.time.add(6)
        panel.revision()
        panel.refresh(desk.time.now_ns)

    frame()
    assert not panel.banner.isVisibleTo(panel)
    desk.health.competing = True
    frame()
    assert panel.banner.text == "IBKR TWS: Another login of the same user has the live data."
    desk.health.competing = False
    desk.health.state, desk.health.needs = LinkState.BANNED, "Log in at https://localhost:5000"
    frame()
    assert "Log in at https://localhost:5000." in panel.view.cover
    assert panel.banner.text == "IBKR TWS needs you"
    assert panel.banner.isVisibleTo(panel)
    panel.shut()
    panel.deleteLater()
    flush()


def test_without_a_source_the_panel_says_what_to_do() -> None:
    panel = PortfolioPanel(PortfolioModel(FakeBrokerage(), LinkBus(), clock=Time()))
    panel.resize(900, 600)
    panel.show()
    panel.revision()
    panel.refresh(0)
    assert "ibkr.tws.enabled" in panel.view.message
    assert not panel.bar.accounts.isVisible()
    panel.shut()
    panel.deleteLater()
    flush()


# -- the account bar -----------------------------------------------------------------------------------------------


def test_the_bar_names_source_account_and_mode(scene: Scene) -> None:
    bar = scene.panel.bar
    assert bar.source_name.text() == "TWS"
    assert not bar.sources.isVisible()
    assert bar.accounts.currentText() == ACCOUNT
    assert bar.mode.text() == "PAPER"
    assert "READ-ONLY" in bar.mode.toolTip()
    scene.desk.health.paper = False
    scene.frame()
    assert bar.mode.text() == "LIVE"
    assert bar._labels["daily"]._value.text() == "-12.00"
    assert bar._labels["daily"]._value.textFormat() is Qt.TextFormat.PlainText


def test_the_bar_wraps_in_a_narrow_panel(scene: Scene) -> None:
    scene.desk.money(Tag.CASH_BALANCE, 1.0, "USD")
    for _ in range(3):
        scene.frame()
    wide = scene.panel.bar.height()
    scene.panel.resize(600, 600)
    for _ in range(5):
        QApplication.processEvents()
    assert scene.panel.width() == 600
    assert scene.panel.bar.height() > wide
    for label in scene.panel.bar._labels.values():
        assert label.geometry().right() <= 600
        assert label.geometry().bottom() <= scene.panel.bar.height()


def test_sources_can_be_switched_when_both_are_on(desk: FakeDesk) -> None:
    portal = FakeDesk(desk.time, Source.PORTAL)
    portal.hold(SPY, 1, 1.0, market_price=2.0)
    scene = Scene(desk, portal)
    box = scene.panel.bar.sources
    assert [box.itemText(at) for at in range(box.count())] == ["TWS", "Client Portal"]
    box.setCurrentIndex(1)
    box.activated.emit(1)
    assert scene.labels() == ["SPY"]
    assert scene.model.source is Source.PORTAL
    scene.panel.shut()
    assert portal.wanted[LineGroup.POSITIONS] == ()
    scene.panel.deleteLater()
    flush()


def test_several_accounts_can_be_chosen_and_have_a_column(desk: FakeDesk) -> None:
    desk.tell(AccountsSeen((ACCOUNT, "DU2")))
    desk.hold(AAPL, 5, 150.0, "DU2", market_price=200.0)
    scene = Scene(desk)
    header = scene.panel.view.header()
    assert scene.panel.bar.accounts.currentText() == "All accounts"
    assert not header.isSectionHidden(SECTION["account"])
    at = scene.panel.bar.accounts.findText("DU2")
    scene.panel.bar.accounts.setCurrentIndex(at)
    scene.panel.bar.accounts.activated.emit(at)
    assert scene.labels() == ["AAPL"]
    assert header.isSectionHidden(SECTION["account"])
    scene.panel.shut()
    scene.panel.deleteLater()
    flush()


def test_a_flow_of_no_widgets_needs_no_room() -> None:
    layout = FlowLayout()
    assert layout.heightForWidth(100) == layout.contentsMargins().top() + layout.contentsMargins().bottom()
    assert layout.itemAt(0) is None
    assert layout.takeAt(0) is None


# -- pictures ------------------------------------------------------------------------------------------------------


def test_the_pictures_show_shares_and_the_day(scene: Scene) -> None:
    charts = scene.panel.charts
    assert "SAP" in charts.bars.accessibleDescription()
    charts.allocation.box.setCurrentIndex(charts.allocation.box.findData("asset class"))
    charts.allocation.box.activated.emit(0)
    scene.frame(10)
    assert scene.model.by is By.ASSET_CLASS
    assert "Futures (notional)" in charts.bars.accessibleDescription()
    assert charts.plot.accessibleDescription() == "now -12.00"
    charts.day.box.setCurrentIndex(charts.day.box.findData("net_liquidation"))
    charts.day.box.activated.emit(0)
    scene.frame(10)
    assert scene.model.curve_of is CurveOf.NET_LIQUIDATION
    assert charts.day.note.text().startswith("100,000")
    for _ in range(3):
        scene.frame(60_000)
        scene.desk.tell(AccountPnl(ACCOUNT, -12.0, 300.0, 4.0))
    look, picture = theme.current(), charts.plot.grab().toImage()
    colours = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(0, picture.height())}
    assert theme.colour(look.accent).name() in colours


def test_pictures_are_read_with_the_mouse(scene: Scene) -> None:
    charts = scene.panel.charts
    for _ in range(3):
        scene.desk.tell(AccountPnl(ACCOUNT, -12.0, 300.0, 4.0))
        scene.frame(60_000)
    plain = charts.plot.grab().toImage()
    at = QPointF(charts.plot.width() - 70, 20)
    none = Qt.MouseButton.NoButton
    move = QMouseEvent(QEvent.Type.MouseMove, at, at, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(charts.plot, move)
    assert charts.plot.grab().toImage() != plain
    QApplication.sendEvent(charts.plot, QEvent(QEvent.Type.Leave))
    assert charts.plot.grab().toImage() == plain
    help_event = QHelpEvent(QEvent.Type.ToolTip, QPoint(20, 10), charts.bars.mapToGlobal(QPoint(20, 10)))
    assert charts.bars.event(help_event)


def test_the_pictures_can_be_hidden(scene: Scene) -> None:
    assert scene.panel.charts.isVisible()
    scene.panel.charts_button.click()
    assert not scene.panel.charts.isVisible()
    scene.frame()
    assert scene.panel.save_state()["charts"] is False


@pytest.mark.parametrize("width", [1366, 700])
def test_the_figures_of_the_account_have_their_height_from_the_first_frame(desk: FakeDesk, width: int) -> None:
    made = Scene(desk, size=(width, 700))
    labels = list(made.panel.bar._labels.values())
    assert labels
    assert [label.height() for label in labels] == [label.sizeHint().height() for label in labels]
    made.panel.shut()
    made.panel.close()
    made.panel.deleteLater()
    flush()


def test_in_a_low_panel_the_positions_have_all_the_room_unless_the_pictures_are_asked_for(scene: Scene) -> None:
    panel = scene.panel
    panel.resize(panel.width(), 380)
    assert not panel.charts.isVisible()
    assert not panel.charts_button.isChecked()
    assert panel.save_state()["charts"] is True
    panel.charts_button.click()
    assert panel.charts.isVisible()
    panel.resize(panel.width(), 700)
    assert panel.charts.isVisible()


# -- menus, copies, layout -----------------------------------------------------------------------------------------


def actions(menu: QMenu) -> dict[str, QAction]:
    return {action.text(): action for action in menu.actions() if not action.isSeparator()}


def test_the_menu_of_a_cell_copies_row_cell_and_reason(scene: Scene) -> None:
    node = scene.panel.items.node(scene.index(CALL_LABEL))
    assert node is not None
    menu = scene.panel.menu_of(node, "unrealised")
    clipboard = QGuiApplication.clipboard()
    found = actions(menu)
    found["Copy cell"].trigger()
    assert clipboard.text() == "-196.00"
    found["Copy why: Unreal. P&&L"].trigger()
    assert "-2 × 100 × (6.1 − 5.12)" in clipboard.text()
    found["Copy symbol"].trigger()
    assert clipboard.text() == "AAPL"
    found["Copy row\tCtrl+C"].trigger()
    assert clipboard.text().split("\t")[:2] == [CALL_LABEL, "-2"]
    found["Show only AAPL"].trigger()
    assert scene.labels() == ["Total", "AAPL", "  AAPL", f"  {CALL_LABEL}"]
    menu.close()


def test_columns_can_be_chosen_and_are_remembered(scene: Scene) -> None:
    panel, header = scene.panel, scene.panel.view.header()
    menu = panel.columns_menu()
    actions(menu)["Bid"].trigger()
    menu.close()
    assert not header.isSectionHidden(SECTION["bid"])
    header.moveSection(header.visualIndex(SECTION["bid"]), 1)
    header.resizeSection(SECTION["bid"], 99)
    state = panel.save_state()
    assert list(scene.model.columns)[1] == "bid"
    other = Scene(scene.desk)
    other.panel.restore_state(state)
    again = other.panel.view.header()
    assert (again.visualIndex(SECTION["bid"]), again.sectionSize(SECTION["bid"])) == (1, 99)
    assert other.panel.save_state()["columns"] == state["columns"]
    menu = other.panel.columns_menu()
    actions(menu)["Usual columns"].trigger()
    menu.close()
    assert again.isSectionHidden(SECTION["bid"])
    other.panel.shut()
    other.panel.deleteLater()


def test_a_spoilt_layout_is_no_harm(scene: Scene) -> None:
    scene.panel.restore_state({"widths": [1], "split": ["x", 2], "charts": 7, "columns": {"a": 1}})
    assert len(scene.labels()) == 6


def test_a_click_drives_the_link_group(scene: Scene) -> None:
    panel = scene.panel
    panel.view.clicked.emit(scene.index(CALL_LABEL))
    assert scene.links.groups() == {}
    panel.link.group_chosen.emit("B")
    panel.view.clicked.emit(scene.index(CALL_LABEL))
    assert scene.links.groups() == {"B": "AAPL"}
    panel.view.clicked.emit(scene.index("SAP"))
    assert scene.links.groups() == {"B": "SAP"}


def test_csv_is_safe_and_has_plain_numbers(desk: FakeDesk) -> None:
    desk.tell(AccountsSeen((ACCOUNT, "=cmd()")))
    desk.hold(SPY, 5, 150.0, "=cmd()", market_price=200.0)
    scene = Scene(desk)
    rows = list(csv.reader(io.StringIO(scene.panel.csv_text())))
    assert rows[0][:3] == ["Account", "Group", "Instrument"]
    assert "'=cmd()" in {row[0] for row in rows}
    call = next(row for row in rows if row[2] == CALL_LABEL)
    assert float(call[rows[0].index("Mkt value")]) == pytest.approx(-1_220.0)
    scene.panel.copy_csv()
    assert QGuiApplication.clipboard().text() == scene.panel.csv_text()
    scene.panel.shut()
    scene.panel.deleteLater()
    flush()


def test_the_table_can_be_saved(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "portfolio.csv"

    async def choose(*_details: object) -> Path:
        return target

    monkeypatch.setattr(ask, "file_to_save", choose)
    scene.panel.save_csv()
    assert target.read_text(encoding="utf-8") == scene.panel.csv_text()


def test_a_file_that_cannot_be_written_is_said(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def choose(*_details: object) -> Path:
        return tmp_path / "missing" / "portfolio.csv"

    async def tell(_parent: object, _title: str, text: str, _detail: str = "") -> None:
        said.append(text)

    monkeypatch.setattr(ask, "file_to_save", choose)
    monkeypatch.setattr(ask, "tell", tell)
    scene.panel.save_csv()
    assert "could not be written" in said[0]


def test_letters_are_left_to_the_search_and_ctrl_c_copies(scene: Scene) -> None:
    view = scene.panel.view
    typed: list[str] = []
    scene.panel.typed.connect(typed.append)
    view.setFocus()
    view.setCurrentIndex(scene.index("SAP"))
    QTest.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.NoModifier)
    assert typed == ["a"]
    QTest.keyClick(view, Qt.Key.Key_Down)
    assert scene.panel.chosen is not None
    assert scene.panel.chosen.label == "AAPL"
    scene.panel.copy_row()
    assert QGuiApplication.clipboard().text().startswith("AAPL\t")


def test_theme_and_zone_can_change_while_it_is_open(scene: Scene) -> None:
    dark = scene.ink("AAPL", "daily", 1)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, "light")
    scene.frame()
    assert scene.ink("AAPL", "daily", 1) == theme.LIGHT.up != dark
    zone.choose("local")
    scene.frame()
    theme.apply(app, "dark")


def test_a_shut_panel_listens_no_more(desk: FakeDesk) -> None:
    scene = Scene(desk)
    assert desk.wanted[LineGroup.POSITIONS]
    scene.panel.shut()
    assert desk.wanted[LineGroup.POSITIONS] == ()
    scene.panel.deleteLater()
    flush()


def test_a_live_account_runs_through_the_panel_without_a_hitch(qapp: QApplication) -> None:
    desk = world_desk(("DU1234567", "DU7654321"), rate=10.0)
    scene = Scene(desk)
    for second in range(24):
        desk.step(20.0 if second % 3 else 0.2)
        scene.frame(0)
        if second == 12:
            scene.panel.flat_button.click()
        if second == 18:
            desk.world.vanish("DU7654321")
            desk.tell(AccountsSeen(tuple(desk.world.accounts)))
    assert {row.account for row in scene.model.rows} == {"DU1234567"}
    assert desk.ledger.orders.executions
    assert not any(row.notable for row in scene.model.rows)
    index = scene.panel.items.index(0, 0)
    scene.panel.view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.Select)
    assert len(COLUMNS) == scene.panel.items.columnCount()
    scene.panel.shut()
    scene.panel.deleteLater()
    flush()


def test_nothing_happened_means_no_new_frame(scene: Scene) -> None:
    for _ in range(4):
        scene.frame(250)
    scene.frame(10)
    assert scene.panel.revision() == scene.panel.revision()
    scene.desk.fill(SAP, Side.BUY, 1, 220.0)
    scene.frame(1000)
    assert scene.text("SAP", "instrument") == "SAP"
