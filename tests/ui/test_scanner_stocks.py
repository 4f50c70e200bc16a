"""Stocks of a broker in the Market Scanner on screen, and the bar of market data lines below it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QToolTip
from shell import flush
from stock_office import STOCKS, StockOffice

from app.domain.account import Source
from app.domain.ids import Market, Venue
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_MS
from app.portfolio.lines import LineGroup
from app.scanner.columns import BY_KEY
from app.ui import theme
from app.ui.models.scanner_table import SECTION
from app.ui.panels.lines_bar import BAR_WIDTH, LinesBar, group_colour
from app.ui.panels.scanner import ScannerPanel
from app.ui.panels.scanner_menus import alert_condition, condition_of
from app.viewmodels.broker_lines import BrokerLines
from app.viewmodels.linking import LinkBus
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_cells import Mark
from app.viewmodels.scanner_scans import DEFAULT_COLUMNS, STOCK_COLUMNS


class Scene:
    """A scanner over coins and stocks."""

    def __init__(self, office: StockOffice) -> None:
        self.office = office
        self.links = LinkBus()
        self.lines = BrokerLines(office)
        self.model = ScannerModel(office.market.scanning, office.market.books, self.links, lines=self.lines)
        self.time_ns = 0
        self.panel = ScannerPanel(self.model, monotonic_ns=lambda: self.time_ns)
        self.panel.resize(1366, 700)
        self.panel.show()
        self.frame()

    def frame(self, seconds: float = 0.2) -> None:
        """Let time pass and paint once."""
        self.time_ns += round(seconds * 1000) * NS_PER_MS
        self.office.advance(seconds)
        self.panel.revision()
        self.panel.refresh(self.office.now_ns)
        QApplication.processEvents()

    def filter(self, text: str) -> list[str]:
        """Filter and return the symbols that are left."""
        self.panel.bar.filter.setText(text)
        self.panel.bar.filter.commit()
        self.frame(1.1)
        return [self.model.board.symbols[row] for row in self.model.order.tolist()]

    def text(self, symbol: str, key: str) -> str:
        return str(self.panel.items.text(self.office.row(symbol), SECTION[key]))

    def tip(self, symbol: str, key: str) -> str:
        return str(self.panel.items.tip(self.office.row(symbol), SECTION[key]))


@pytest.fixture
def office() -> StockOffice:
    return StockOffice()


@pytest.fixture
def scene(office: StockOffice, qtbot: object) -> Iterator[Scene]:
    office.open()
    made = Scene(office)
    yield made
    made.panel.shut()
    made.panel.hide()
    made.panel.deleteLater()
    flush()


# -- rows ------------------------------------------------------------------------------------------------------------


def test_the_venue_is_offered_once_there_are_stocks(office: StockOffice, qtbot: object) -> None:
    office.market.open()
    made = Scene(office)
    chip = made.panel.bar.venues[Venue.IBKR]
    assert not chip.isVisible()
    assert made.model.columns == DEFAULT_COLUMNS
    office.open()
    made.frame()
    assert chip.isVisible()
    assert made.model.columns == STOCK_COLUMNS
    assert not made.panel.table.horizontalHeader().isSectionHidden(SECTION["gap"])
    made.panel.shut()
    made.panel.deleteLater()
    flush()


def test_columns_the_user_chose_are_left_alone(office: StockOffice) -> None:
    model = ScannerModel(office.market.scanning, office.market.books, LinkBus())
    model.set_columns(["symbol", "last"])
    office.open()
    model.advance(office.now_ns)
    assert model.columns == ("symbol", "last")
    again = ScannerModel(office.market.scanning, office.market.books, LinkBus())
    again.advance(office.now_ns)
    again.set_columns(DEFAULT_COLUMNS)
    later = ScannerModel(office.market.scanning, office.market.books, LinkBus())
    later.restore(again.state())
    later.advance(office.now_ns)
    assert later.columns == DEFAULT_COLUMNS, "taken away once, they stay away"


def test_layouts_from_before_there_were_stocks_show_them(office: StockOffice) -> None:
    model = ScannerModel(office.market.scanning, office.market.books, LinkBus())
    model.restore({"venues": ["binance", "bybit", "hyperliquid"], "kinds": ["FUTURES", "SPOT"]})
    assert model.venues == frozenset(Venue)
    model.set_markets([Venue.BYBIT], model.kinds)
    other = ScannerModel(office.market.scanning, office.market.books, LinkBus())
    other.restore(model.state())
    assert other.venues == {Venue.BYBIT}
    other.restore({"venues": ["bybit"]})
    assert other.venues == {Venue.BYBIT, Venue.IBKR}


def test_chips_of_spot_and_futures_say_nothing_of_stocks(scene: Scene) -> None:
    scene.panel.bar.kinds[list(scene.panel.bar.kinds)[1]].click()
    scene.frame(1.1)
    shown = {scene.model.board.markets[row] for row in scene.model.order.tolist()}
    assert Market.IBKR_STOCK in shown
    scene.panel.bar.venues[Venue.IBKR].click()
    scene.frame(1.1)
    assert Market.IBKR_STOCK not in {scene.model.board.markets[row] for row in scene.model.order.tolist()}


def test_conditions_choose_by_session_gap_halt_and_delay(scene: Scene) -> None:
    everything = scene.filter('venue == "ibkr"')
    assert sorted(everything) == sorted(STOCKS)
    assert scene.filter('session == "PRE" and halted') == ["GME"]
    assert scene.filter("delayed") == ["XYZD"]
    assert scene.filter("halted") == ["GME"]
    assert scene.filter("gap > 6") == ["ZZZ"]
    assert scene.filter('session == "RTH"') == []
    assert scene.panel.table.message.startswith("None of 132 instruments")


def test_marks_tell_halted_delayed_frozen_refused_and_waiting_apart(scene: Scene) -> None:
    def marks(symbol: str) -> tuple[Mark, ...]:
        return scene.model.cells.marks(scene.office.row(symbol))

    assert marks("AAPL") == ()
    assert marks("GME") == (Mark.VOLATILITY,)
    assert marks("XYZD") == (Mark.DELAYED,)
    assert marks("FRZN") == (Mark.FROZEN,)
    assert marks("NOPE") == (Mark.REFUSED,)
    scene.office.desk.lines.set_capacity(0)
    scene.frame(1)
    assert marks("AAPL") == (Mark.WAITING,)
    assert marks("GME") == (Mark.VOLATILITY, Mark.WAITING)
    assert scene.model.cells.is_stale(scene.office.row("AAPL")), "a price without a line must not look live"


def test_marks_are_painted_beside_the_name(scene: Scene) -> None:
    def reds() -> int:
        scene.filter('symbol == "GME"')
        image = (
            scene.panel.table.viewport()
            .grab(scene.panel.table.visualRect(scene.panel.items.index(0, SECTION["symbol"])))
            .toImage()
        )
        bad = theme.current().bad
        return sum(image.pixelColor(x, y).name() == bad for x in range(image.width()) for y in range(image.height()))

    assert reds() > 5
    scene.office.tell("GME", 25.0, halted=0.0)
    scene.frame()
    assert reds() == 0


def test_a_refused_row_stays_with_its_reason(scene: Scene) -> None:
    assert "NOPE" in scene.filter('venue == "ibkr"')
    assert scene.text("NOPE", "last") == "—"
    assert "refused: 354: Requested market data is not subscribed" in scene.tip("NOPE", "last")
    assert "refused: 354" in scene.tip("NOPE", "gap")


def test_cells_and_their_tips_say_what_figures_rest_on(scene: Scene) -> None:
    scene.office.tell("AAPL", 206.0, close=200.0)
    scene.frame()
    assert scene.text("AAPL", "session") == "PRE"
    assert scene.text("AAPL", "gap") == "+3.00"
    assert "last 206 against the close of 20 Nov, 200" in scene.tip("AAPL", "gap")
    assert "against the previous close: close of 20 Nov" in scene.tip("AAPL", "change_24h")
    assert "APPLE INC · NASDAQ · USD" in scene.tip("AAPL", "symbol")
    assert "PRE until Mon 09:30 New York" in scene.tip("AAPL", "session")
    assert "there is none of stocks" in scene.tip("AAPL", "funding")
    assert scene.text("AAPL", "halted") == "no"
    assert scene.text("GME", "halted") == "volatility"
    assert scene.text("XYZD", "delayed") == "delayed"
    assert "quotes are DELAYED" in scene.tip("XYZD", "symbol")
    row = scene.office.market.row(Market.BYBIT_LINEAR, "BTC")
    assert scene.model.cells.text(row, BY_KEY["session"]) == "—"
    assert "round the clock" in scene.model.cells.tip(row, BY_KEY["gap"])


def test_what_is_not_listed_any_more_leaves_the_table(scene: Scene) -> None:
    assert len(scene.filter('venue == "ibkr"')) == 12
    scene.office.stocks.scans = ()
    scene.office.desk.ledger.revisions.scans += 1
    scene.frame(1.1)
    assert len(scene.filter('venue == "ibkr"')) == 7
    assert scene.model.total == 127


def test_a_cell_of_words_becomes_a_condition_only_where_there_is_a_word(scene: Scene) -> None:
    stock, coin = scene.office.row("AAPL"), scene.office.market.row(Market.BYBIT_LINEAR, "BTC")
    assert condition_of(scene.model, stock, BY_KEY["session"]) == 'session == "pre"'
    assert condition_of(scene.model, coin, BY_KEY["session"]) == ""
    assert alert_condition(scene.model, stock, BY_KEY["gap"]).startswith(
        'symbol == "AAPL" and venue == "ibkr" and market == "stock" and gap'
    )


def test_stocks_lead_no_order_book_and_no_other_panel(scene: Scene) -> None:
    wanted: list[object] = []
    scene.panel.book_wanted.connect(lambda market, symbol: wanted.append((market, symbol)))
    scene.links.publish("A", "ETHUSDT")
    row = scene.office.row("AAPL")
    scene.panel.open_book(row)
    assert wanted == []
    assert scene.links.current("A") == "ETHUSDT"
    assert scene.model.picked == row
    menu = scene.panel.menu_of(row, 0)
    assert not [action for action in menu.actions() if "order book" in action.text()]
    menu.deleteLater()
    scene.links.publish("A", "BTCUSDT")
    picked = scene.model.picked
    assert picked is not None
    assert scene.model.board.symbols[picked].startswith("BTC"), "another panel leads again"


def test_rows_on_screen_get_the_lines(scene: Scene) -> None:
    scene.office.desk.lines.set_capacity(1)
    assert scene.filter('symbol == "SPY"') == ["SPY"]
    for _ in range(3):
        scene.frame(6)
    assert scene.office.desk.lines.has_line(STOCKS["SPY"].con_id)


# -- the bar ---------------------------------------------------------------------------------------------------------


def test_the_bar_says_who_uses_the_lines(scene: Scene) -> None:
    scene.office.fill_lines()
    scene.frame()
    bar = scene.panel.lines
    assert bar is not None
    assert bar.isVisible()
    assert bar.words() == "lines 79/100: chain 40, positions 15, pinned 13, scanner 11 · 1 refused"
    assert bar.accessibleDescription() == bar.words()
    shares = [(share.group, share.count) for share in scene.lines.shares(Source.TWS)]
    assert shares == [
        (LineGroup.PINNED, 13),
        (LineGroup.POSITIONS, 15),
        (LineGroup.CHAIN, 40),
        (LineGroup.SCANNER, 11),
        (None, 21),
    ]


def _colours(image: QImage, width: int) -> set[str]:
    return {image.pixelColor(x, image.height() // 2).name() for x in range(6, 6 + width)}


@pytest.mark.parametrize("look", ["dark", "light"])
def test_the_bar_paints_a_part_per_group(scene: Scene, look: str) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, look)
    scene.office.fill_lines()
    scene.frame()
    bar = scene.panel.lines
    assert bar is not None
    seen = _colours(bar.grab().toImage(), BAR_WIDTH)
    groups = (LineGroup.PINNED, LineGroup.POSITIONS, LineGroup.CHAIN, LineGroup.SCANNER)
    colours = {group_colour(group, theme.current()) for group in groups}
    assert colours <= seen
    assert len(colours) == 4
    assert group_colour(LineGroup.ORDERS, theme.current()) not in seen


def test_the_tip_tells_who_waits_who_was_refused_and_who_lost_a_line(scene: Scene) -> None:
    scene.office.desk.lines.set_capacity(8)
    scene.office.fill_lines()
    tip = scene.lines.tip(Source.TWS)
    assert tip.startswith("TWS: lines 8/8: pinned 8")
    assert "contracts wait for a line" in tip
    assert "NOPE: 354 Requested market data is not subscribed" in tip
    assert "AAPL (scanner): only 8 lines" in tip or "(scanner): " in tip
    assert "Lost their lines last:" in tip
    bar = scene.panel.lines
    assert bar is not None
    scene.frame()
    at = QPoint(20, 8)
    QApplication.sendEvent(bar, QHelpEvent(QEvent.Type.ToolTip, at, bar.mapToGlobal(at)))
    assert QToolTip.text() == bar.tip()
    QToolTip.hideText()


def test_a_click_opens_the_details_as_text(scene: Scene) -> None:
    bar = scene.panel.lines
    assert bar is not None
    frame = bar.open_details()
    label = frame.findChild(QLabel)
    assert label is not None
    assert label.textFormat() is Qt.TextFormat.PlainText
    assert label.text() == bar.tip()
    frame.close()
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton)
    popup = QApplication.activePopupWidget()
    assert popup is not None
    popup.close()


def test_fewer_lines_than_there_should_be_are_pointed_out(scene: Scene) -> None:
    scene.office.fill_lines()
    scene.office.desk.lines.refused(5000, 101, "Max number of tickers", limit=True, now_ns=scene.office.now_ns)
    scene.frame()
    assert "of 100: chain" in scene.lines.text(Source.TWS)
    assert "The broker gives 78 instead of 100: Max number of tickers" in scene.lines.tip(Source.TWS)
    bar = scene.panel.lines
    assert bar is not None
    assert theme.current().warning in _colours(bar.grab().toImage(), BAR_WIDTH)


def test_without_a_source_there_is_no_bar(office: StockOffice, qtbot: object) -> None:
    office.desk.session = None
    bar = LinesBar(BrokerLines(office))
    assert bar.source is None
    assert bar.isHidden()
    office.desk.session = office.desk.answers
    bar.show_source(Source.TWS)
    assert str(bar.source) == "tws"
    bar.show_source(Source.PORTAL)
    assert str(bar.source) == "None"
    bar.deleteLater()
    flush()


def test_delayed_quotes_that_become_live_lose_their_mark(scene: Scene) -> None:
    scene.office.tell("XYZD", 12.6, kind=float(DataKind.LIVE))
    scene.frame()
    assert scene.model.cells.marks(scene.office.row("XYZD")) == ()
