"""The Live Trading panel: it shows orders at once, keeps rows still under the mouse, and can do nothing to an order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QAction, QEnterEvent, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.orders import OrdersListed, OrderStatus, Side
from app.domain.quotes import QuoteField
from app.portfolio.lines import LineGroup
from app.portfolio.orders import OrderBook
from app.ui import theme, zone
from app.ui.panels.live_trading import LiveTradingPanel
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.order_filter import Group, Period

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "viewmodels"))
from trading_desks import AAPL, CALL, READ_ONLY, T0, Rig, S, Store, fill, order

SUBMITTED = OrderStatus.SUBMITTED
VERBS = re.compile(
    r"\b(place|submit|transmit|send|create|new|modify|amend|change|replace|edit|cancel|kill|close|exercise|buy|sell|"
    r"flatten|reverse|roll|liquidate|trade)\b",
    re.IGNORECASE,
)


class Spawned:
    """Coroutines the panel wants to run; the test awaits them."""

    def __init__(self) -> None:
        self.work: list[Coroutine[Any, Any, None]] = []

    def __call__(self, work: Coroutine[Any, Any, None]) -> None:
        self.work.append(work)


def filled_rig(*sources: Source) -> Rig:
    """Return desks with an order of each kind."""
    rig = Rig(*(sources or (Source.TWS,)))
    for desk in rig.desks.values():
        desk.tell(OrdersListed(True, ""), at_s=-10)
        desk.tell(order(SUBMITTED, 1), fill("a.1.01", 2, quantity=30, commission=1.0))
        desk.tell(order(SUBMITTED, 3, order_id="1002", contract=CALL, side=Side.SELL, limit=4.15))
        desk.tell(order(OrderStatus.INACTIVE, 7, order_id="1005", reason="=no margin <b>"))
    return rig


@pytest.fixture
def make(qtbot) -> Iterator[Callable[..., LiveTradingPanel]]:
    made: list[LiveTradingPanel] = []

    def build(rig: Rig, size: tuple[int, int] = (1366, 768)) -> LiveTradingPanel:
        panel = LiveTradingPanel(rig.model, spawn=Spawned())
        qtbot.addWidget(panel)
        panel.resize(*size)
        panel.show()
        panel.set_active(True)
        panel.refresh(rig.now_ns)
        made.append(panel)
        return panel

    yield build
    for panel in made:
        panel.shut()


def ids(panel: LiveTradingPanel) -> list[str]:
    return [line.state.order_id for line in panel.orders.table.lines]


def cells(panel: LiveTradingPanel, key: str) -> list[str]:
    section = next(n for n, column in enumerate(panel.orders.table.columns) if column.key == key)
    return [panel.orders.table.index(row, section).data() for row in range(panel.orders.table.rowCount())]


def test_orders_and_executions_are_shown(make) -> None:
    panel = make(filled_rig())
    assert ids(panel) == ["1005", "1002", "1001"]
    assert cells(panel, "status") == ["! Inactive", "● Submitted", "◐ Part filled"]
    assert cells(panel, "filled") == ["0/100", "0/100", "30/100"]
    assert cells(panel, "contract") == ["AAPL", "AAPL 18 Dec 26 200 C", "AAPL"]
    assert panel.fills_head.text() == "Executions 1 · Commissions 1.00 USD"
    assert panel.bar.paper.text() == "PAPER"
    assert "3 orders" in panel.bar.count.text()
    assert not panel.empty.isVisibleTo(panel)


def test_a_status_is_in_the_table_at_the_first_refresh_after_it_came(make) -> None:
    rig = filled_rig()
    panel = make(rig)
    before = panel.revision()
    rig.tws.tell(order(OrderStatus.FILLED, 60, filled=100), at_s=60)
    rig.now_ns = T0 + 60 * S + 35_000_000
    assert panel.revision() != before
    assert panel.refresh(rig.now_ns) == T0 + 60 * S
    assert cells(panel, "status")[0] == "✓ Filled"
    assert "news in 35 ms" in panel.bar.count.toolTip()
    assert panel.refresh(rig.now_ns) is None


def test_rows_stay_under_the_mouse_and_say_what_is_new(make) -> None:
    rig = filled_rig()
    panel = make(rig)
    QApplication.sendEvent(panel.orders, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    rig.tws.tell(order(OrderStatus.CANCELLED, 50), order(SUBMITTED, 51, order_id="1009"), at_s=51)
    panel.refresh(rig.now_ns)
    assert ids(panel) == ["1005", "1002", "1001", "1009"]
    assert cells(panel, "status")[2:] == ["✕ Cancelled", "● Submitted"]
    assert "1 new at the end" in panel.bar.count.toolTip()
    QApplication.sendEvent(panel.orders, QEvent(QEvent.Type.Leave))
    assert ids(panel) == ["1009", "1001", "1005", "1002"]


def test_a_held_row_that_leaves_the_filter_shows_what_it_has_become(make) -> None:
    rig = filled_rig()
    panel = make(rig)
    panel.bar.groups[Group.WORKING].click()
    assert ids(panel) == ["1002", "1001"]
    QApplication.sendEvent(panel.orders, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    rig.tws.tell(order(OrderStatus.CANCELLED, 50), at_s=50)
    panel.refresh(rig.now_ns)
    assert cells(panel, "status") == ["● Submitted", "✕ Cancelled"]
    QApplication.sendEvent(panel.orders, QEvent(QEvent.Type.Leave))
    assert ids(panel) == ["1002"]


def test_a_click_shows_timeline_and_quote(make) -> None:
    rig = filled_rig()
    panel = make(rig)
    assert panel.detail.nothing.isVisibleTo(panel)
    panel.orders.setCurrentIndex(panel.orders.table.index(2, 0))
    assert panel.detail_head.text() == "Order BUY 30/100 AAPL"
    texts = [event.text for event in panel.detail.items.lines]
    assert texts == ["filled 30 at 189.5 on NASDAQ (30/100), commission 1.00 USD", "received, Submitted"]
    assert rig.tws.wishes[-1] == (LineGroup.ORDERS, (AAPL.con_id,), True)
    rig.tws.quote(AAPL.con_id, {QuoteField.BID: 189.4, QuoteField.ASK: 189.6, QuoteField.KIND: 3}, 59)
    panel.refresh(rig.now_ns)
    quote = panel.detail.quote
    assert quote.figures.text().replace("\N{NO-BREAK SPACE}", " ") == "bid 189.40   ask 189.60   last —   1.0 s ago"
    assert quote.mark.text() == "DELAYED"
    assert quote.distance.text() == "limit 189.50 is 0.10 below the ask (0.05 %)"
    rig.now_ns += 30 * S
    panel.refresh(rig.now_ns)
    assert theme.current().muted in quote.figures.styleSheet()


def test_a_click_on_a_fill_shows_its_order(make) -> None:
    panel = make(filled_rig())
    panel.fills.setCurrentIndex(panel.fills.table.index(0, 0))
    assert panel.model.picked == ("tws", "1001")
    assert [index.row() for index in panel.orders.selectionModel().selectedRows()] == [2]


def test_outside_text_is_never_markup(make) -> None:
    panel = make(filled_rig())
    panel.orders.setCurrentIndex(panel.orders.table.index(0, 0))
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in panel.findChildren(QLabel) if label.text())
    assert "=no margin <b>" in panel.detail.items.index(0, 1).data()


def test_a_filter_that_hides_all_says_so(make, qtbot) -> None:
    panel = make(filled_rig())
    qtbot.keyClicks(panel.bar.text, "margin")
    assert ids(panel) == ["1005"]
    qtbot.keyClicks(panel.bar.text, " xyz")
    assert panel.empty.text() == "None of 3 orders is shown by this filter."
    panel.bar.text.clear()
    panel.bar.groups[Group.CANCELLED].click()
    assert ids(panel) == ["1005"]


def test_read_only_tws_offers_the_portal_in_a_button(make) -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    rig.tws.tell(OrdersListed(False, READ_ONLY), fill("a.1.01", 2, order_id="900"))
    rig.portal.tell(OrdersListed(True, ""), order(SUBMITTED, 1))
    rig.model.choose(Source.TWS)
    panel = make(rig)
    assert panel.notes.labels[0].text().startswith(READ_ONLY)
    assert len(panel.fills.table.lines) == 1
    button = panel.notes.buttons[0]
    assert button.text() == "Show Client Portal"
    button.click()
    assert ids(panel) == ["1001"]
    assert panel.bar.source.currentText() == "Client Portal"
    assert not panel.notes.isVisibleTo(panel)


def test_a_source_that_is_down_is_said_and_its_working_orders_are_grey(make) -> None:
    rig = filled_rig()
    panel = make(rig)
    rig.tws.health.state, rig.tws.health.reason = LinkState.BACKOFF, "nothing answers"
    rig.tws.health.since_ns = T0
    panel.refresh(rig.now_ns)
    assert "nothing answers" in panel.notes.labels[0].text()
    muted = theme.current().muted
    colours = [panel.orders.table.index(row, 1).data(Qt.ItemDataRole.ForegroundRole).color().name() for row in (1, 2)]
    assert colours == [muted, muted]


def test_the_source_is_chosen_among_those_that_are_on(make) -> None:
    panel = make(filled_rig(Source.TWS, Source.PORTAL))
    box = panel.bar.source
    assert [box.itemText(n) for n in range(box.count())] == ["TWS + Client Portal", "TWS", "Client Portal"]
    titles: list[str] = []
    panel.title_changed.connect(titles.append)
    box.setCurrentIndex(2)
    box.activated.emit(2)
    assert panel.model.choice is Source.PORTAL
    assert titles == ["Client Portal PAPER"]


class CareFor:
    """What the user can do for a desk: log in."""

    login_url = "https://localhost:5000"
    trust = None
    take_over = None

    def __init__(self, health: BrokerHealth) -> None:
        self.health = health

    def wake(self) -> None:
        """Nothing."""


def test_what_a_shown_source_needs_of_the_user_has_its_button_and_is_said_once(qtbot) -> None:
    rig = filled_rig(Source.TWS, Source.PORTAL)
    health = rig.portal.health
    panel = LiveTradingPanel(rig.model, care=BrokerCare(lambda: {Source.PORTAL: CareFor(health)}), spawn=Spawned())
    qtbot.addWidget(panel)
    assert panel.banner is not None
    assert not panel.banner.isVisibleTo(panel)
    health.state, health.needs = LinkState.BANNED, "Log in at https://localhost:5000"
    panel.refresh(rig.now_ns)
    assert any("Log in at" in label.text() for label in panel.notes.labels)
    assert panel.banner.text == "IBKR Client Portal needs you"
    rig.model.choose(Source.TWS)
    panel.refresh(rig.now_ns)
    assert not panel.banner.isVisibleTo(panel), "that source is not shown"
    panel.shut()


async def test_earlier_days_are_read_from_the_store(make) -> None:
    earlier = OrderBook(Source.TWS)
    earlier.on_order(T0 - 200_000 * S, order(OrderStatus.CANCELLED, -200_000, order_id="1"))
    rig = Rig(Source.TWS, store=Store(earlier.take_unsaved()))
    panel = make(rig)
    assert panel.empty.text() == "No orders in the last 24 hours."
    panel.bar.period.setCurrentIndex(panel.bar.period.findData(Period.WEEK.value))
    panel.bar.period.activated.emit(0)
    panel.refresh(rig.now_ns)
    for work in panel._work._spawn.work:
        await work
    panel.refresh(rig.now_ns)
    assert ids(panel) == ["1"]


def test_a_day_can_be_chosen(make) -> None:
    panel = make(filled_rig())
    assert not panel.bar.day.isVisibleTo(panel)
    panel.bar.period.setCurrentIndex(panel.bar.period.findData(Period.DAY.value))
    panel.bar.period.activated.emit(0)
    assert panel.bar.day.isVisibleTo(panel)
    panel.bar.day.setDate(panel.bar.day.date().addDays(-3))
    assert panel.model.filter.day == panel.bar.day.date().toPython()
    for work in panel._work._spawn.work:
        work.close()


@pytest.mark.parametrize("size", [(1366, 768), (900, 500), (560, 420), (320, 600)])
def test_the_panel_fits_any_dock(make, size: tuple[int, int]) -> None:
    panel = make(filled_rig(), size)
    QApplication.processEvents()
    assert (panel.width(), panel.height()) == size
    for widget in (panel.bar.source, panel.bar.period, panel.bar.more, panel.bar.groups[Group.CANCELLED]):
        corner = widget.mapTo(panel, widget.rect().bottomRight())
        assert panel.rect().contains(corner)
    wide = Qt.Orientation.Horizontal if size[0] >= 820 else Qt.Orientation.Vertical
    assert panel._lower.orientation() == wide


def test_theme_and_zone_reach_the_tables(make, qapp) -> None:
    panel = make(filled_rig())
    utc = cells(panel, "time")
    theme.apply(qapp, "light")
    colour = panel.orders.table.index(0, 3).data(Qt.ItemDataRole.ForegroundRole).color().name()
    assert colour == theme.current().bad
    zone.choose("local")
    panel.refresh(panel.model.now_ns)
    assert len(cells(panel, "time")) == len(utc)
    zone.choose("utc")
    panel.refresh(panel.model.now_ns)
    assert cells(panel, "time") == utc


def test_what_was_chosen_is_remembered(make) -> None:
    first = make(filled_rig(Source.TWS, Source.PORTAL))
    first.model.choose(Source.PORTAL)
    first.bar.groups[Group.FILLED].click()
    first.orders.show_column("reason", False)
    first.fills.horizontalHeader().resizeSection(1, 177)
    first.model.set_period(Period.TODAY)
    state = first.save_state()
    second = make(filled_rig(Source.TWS, Source.PORTAL))
    second.restore_state(state)
    assert second.save_state()["orders"] == state["orders"]
    assert second.save_state()["fills"] == state["fills"]
    assert (second.model.choice, second.model.filter.group) == (Source.PORTAL, Group.FILLED)
    assert second.model.filter.period is Period.TODAY
    second.restore_state({"source": 5, "group": "none", "period": None, "orders": 1, "split": ["a", 2], "lower": 0})
    assert second.model.filter.group is Group.FILLED


def test_csv_is_safe_against_formulas(make) -> None:
    panel = make(filled_rig())
    rows = panel.csv_text("orders").splitlines()
    assert rows[0].startswith("time_utc,account,contract")
    assert "'=no margin <b>" in rows[1]
    panel.copy_csv("executions")
    copied = QGuiApplication.clipboard().text().splitlines()
    assert len(copied) == 2
    assert copied[1].endswith(",1001,a.1.01,TWS")


def texts_of(widget: QWidget) -> list[str]:
    """Return everything a person can read on a control."""
    found = [widget.toolTip(), widget.accessibleName(), widget.accessibleDescription(), widget.objectName()]
    if isinstance(widget, QAbstractButton):
        found.append(widget.text())
    if isinstance(widget, QLineEdit):
        found.append(widget.placeholderText())
    if isinstance(widget, QComboBox):
        found += [widget.itemText(index) for index in range(widget.count())]
    return found


def actions_of(menu: QMenu) -> list[QAction]:
    """Return the actions of a menu and of those that open from it."""
    found = []
    for action in menu.actions():
        found.append(action)
        sub = action.menu()
        if isinstance(sub, QMenu):
            found += actions_of(sub)
    return found


def test_no_control_could_place_change_or_cancel_an_order(make) -> None:
    rig = filled_rig(Source.TWS, Source.PORTAL)
    rig.tws.tell(OrdersListed(False, READ_ONLY))
    rig.model.choose(Source.TWS)
    panel = make(rig)
    panel.orders.setCurrentIndex(panel.orders.table.index(1, 0))
    controls = [
        widget
        for kind in (QAbstractButton, QComboBox, QLineEdit, QAbstractSpinBox, QToolButton)
        for widget in panel.findChildren(kind)
    ]
    assert len(controls) > 8
    menus = [panel.more_menu(), panel.orders.columns_menu(), panel.fills.columns_menu()]
    actions = [action for menu in menus for action in actions_of(menu)] + panel.findChildren(QAction)
    assert len(actions) > 25
    words = [text for widget in controls for text in texts_of(widget)]
    words += [text for action in actions for text in (action.text(), action.toolTip(), action.statusTip())]
    assert [text for text in words if VERBS.search(text)] == []
    for view in (panel.orders, panel.fills, panel.detail.timeline):
        for row in range(view.table.rowCount()):
            for section in range(view.table.columnCount()):
                flags = view.table.index(row, section).flags()
                assert not flags & (Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable)
        assert view.contextMenuPolicy() is Qt.ContextMenuPolicy.DefaultContextMenu
    for menu in menus:
        menu.close()


def test_the_words_that_are_looked_for_would_be_found() -> None:
    for text in ("Cancel order", "Place", "Modify…", "Buy", "Close position", "Transmit"):
        assert VERBS.search(text)
    assert not VERBS.search("Show cancelled orders")


def test_shutting_lets_go_of_quotes(make) -> None:
    rig = filled_rig()
    panel = LiveTradingPanel(rig.model, spawn=Spawned())
    panel.set_active(True)
    panel.refresh(rig.now_ns)
    panel.orders.setCurrentIndex(panel.orders.table.index(0, 0))
    panel.shut()
    assert rig.tws.wishes[-1] == (LineGroup.ORDERS, (), False)
    panel.deleteLater()
