"""The Alerts panel: rules are made, changed, switched and deleted; what fired is listed, filtered and copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from shell import flush

from app.domain.coverage import Known
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.scanner.alerts import AlertKind, AlertRule, FeedTrouble
from app.scanner.board import Board
from app.services.alerting import Alerting, Notification
from app.ui import theme
from app.ui.notifier import Notifier
from app.ui.panels.alert_editor import AlertEditor
from app.ui.panels.alerts import AlertsPanel
from app.viewmodels.alerts import AlertsModel, event_names

S = 1_000_000_000


class Desk:
    """A real board and real alerting behind the panel."""

    def __init__(self, folder: Path) -> None:
        self.board = Board()
        self.told: list[Notification] = []
        self.alerting = Alerting(
            self.board,
            folder / "alerts.json",
            indicator=lambda _term: (1.3, Known.EXACT),
            feeds=lambda: (),
            deliver=self.told.append,
        )
        self.model = AlertsModel(
            self.alerting,
            self.board,
            markets=lambda: (Market.BINANCE_SPOT, Market.BYBIT_LINEAR),
            pairs=lambda: ("BTCUSDT", "ETHUSDT"),
            feeds=lambda: ("binance.spot", "bybit.linear"),
        )
        for symbol, change in (("AUSDT", 9.0), ("BUSDT", 2.0)):
            values = {Field.LAST: 10.0, Field.CHANGE_PCT: change}
            self.board.apply(Market.BINANCE_SPOT, [TickerUpdate(symbol, 0, values)], S)
        self.board.refresh(2 * S)

    def run(self, end_s: int) -> None:
        for second in range(2, end_s):
            self.alerting.advance(second * S)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def panel(qtbot, desk: Desk) -> Iterator[AlertsPanel]:
    made = AlertsPanel(desk.model)
    qtbot.addWidget(made)
    made.resize(520, 420)
    made.show()
    made.refresh(0)
    yield made
    made.shut()
    flush()


def editor_of(panel: AlertsPanel) -> AlertEditor:
    return panel.findChildren(AlertEditor)[-1]


def save(editor: AlertEditor) -> None:
    editor.save_button.click()


def test_an_empty_panel_says_what_alerts_can_be_made_of(panel: AlertsPanel) -> None:
    assert panel.empty_note.isVisible()
    assert "scanner condition" in panel.empty_note.text()
    assert not panel.edit_button.isEnabled()


def test_a_condition_is_previewed_while_it_is_written_and_saved_only_when_it_can_be_read(
    panel: AlertsPanel, desk: Desk
) -> None:
    panel.add("chnge_24h > 5")
    editor = editor_of(panel)
    assert "did you mean change_24h" in editor.preview_text
    save(editor)
    assert editor.isVisible()
    assert "did you mean change_24h" in editor.fault_text
    editor.condition_field.setText("change_24h > 5")
    assert "holds for 1 of 2 instruments now: AUSDT SPOT" in editor.preview_text
    save(editor)
    assert not editor.isVisible()
    panel.refresh(0)
    assert [line.rule.name for line in desk.model.rules()] == ["change_24h > 5"], "it is named after what it asks for"
    assert not panel.empty_note.isVisible()


def test_every_kind_of_rule_survives_the_editor_unchanged(panel: AlertsPanel, desk: Desk) -> None:
    rules = [
        AlertRule(id="c", name="c", kind=AlertKind.CONDITION, condition="last > 1", repeat=True, sound=False),
        AlertRule(id="e", name="e", kind=AlertKind.EVENT, events=("NEW_HIGH", "GAP"), condition="last > 1", once=True),
        AlertRule(id="f", name="f", kind=AlertKind.FEED, feed="bybit.linear", trouble=FeedTrouble.UP, after_s=30.0),
    ]
    for rule in rules:
        assert panel.open_editor(rule).rule() == rule
        panel.close_editor()


def test_an_indicator_is_chosen_by_subject_market_line_and_level(panel: AlertsPanel, desk: Desk) -> None:
    editor = panel.open_editor(desk.model.new_rule(AlertKind.INDICATOR))
    editor.level_field.setText("1.2")
    save(editor)
    (line,) = desk.model.rules()
    assert line.rule.indicator is not None
    assert (line.rule.indicator.subject, line.rule.indicator.level) == ("TOTAL", 1.2)
    desk.run(6)
    assert "1.3" in desk.alerting.history[0].text
    editor = panel.open_editor(line.rule)
    editor.level_field.setText("a lot")
    save(editor)
    assert "expected a level" in editor.fault_text
    editor.level_field.setText("40M")
    save(editor)
    assert desk.model.rules()[0].rule.indicator.level == 40e6


def test_rules_are_switched_and_deleted_in_the_list(panel: AlertsPanel, desk: Desk) -> None:
    desk.model.put(AlertRule(id="c", name="Movers", kind=AlertKind.CONDITION, condition="change_24h > 5"))
    panel.refresh(0)
    table = panel.rule_view
    index = table.model().index(0, 0)
    assert index.data(Qt.ItemDataRole.CheckStateRole) is Qt.CheckState.Checked
    table.model().setData(index, Qt.CheckState.Unchecked.value, Qt.ItemDataRole.CheckStateRole)
    assert not desk.alerting.book.rules["c"].enabled
    panel.refresh(0)
    assert table.model().index(0, 2).data() == "off"
    table.selectRow(0)
    panel.activateWindow()
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Delete)
    panel.refresh(0)
    assert not desk.model.rules()
    assert panel.empty_note.isVisible()


def test_what_fired_is_listed_newest_first_filtered_and_copied(panel: AlertsPanel, desk: Desk) -> None:
    desk.model.put(AlertRule(id="c", name="Movers", kind=AlertKind.CONDITION, condition="change_24h > 1"))
    desk.run(6)
    panel.refresh(0)
    model = panel.firing_view.model()
    assert model.rowCount() == 2
    assert [model.index(row, 1).data() for row in range(2)] == ["Movers", "Movers"]
    panel.filter_field.setText("ausdt")
    panel.refresh(0)
    assert model.rowCount() == 1
    panel.copy()
    assert QGuiApplication.clipboard().text().startswith("00:00:02\tMovers\tAUSDT SPOT")


def test_remote_words_are_shown_as_plain_text(panel: AlertsPanel, desk: Desk) -> None:
    desk.board.apply(
        Market.BINANCE_SPOT, [TickerUpdate("<b>X</b>", 0, {Field.LAST: 1.0, Field.CHANGE_PCT: 50.0})], 3 * S
    )
    desk.board.refresh(3 * S)
    panel.add("change_24h > 40")
    editor = editor_of(panel)
    assert "<b>X</b>" in editor.preview_text
    assert editor.preview_format is Qt.TextFormat.PlainText


def test_the_editor_offers_every_event(panel: AlertsPanel, desk: Desk) -> None:
    editor = panel.open_editor(desk.model.new_rule(AlertKind.EVENT))
    assert editor.event_count == len(event_names())
    save(editor)
    assert "at least one event" in editor.fault_text


@pytest.mark.parametrize("name", ["dark", "light"])
def test_the_panel_follows_the_theme(panel: AlertsPanel, desk: Desk, qapp, name: str) -> None:
    desk.model.put(AlertRule(id="c", name="Movers", kind=AlertKind.CONDITION, condition="change_24h > 5"))
    theme.apply(qapp, name)
    panel.refresh(0)
    assert not panel.grab().isNull()


def test_notifications_are_shown_and_sounded_as_the_rule_says(qtbot) -> None:
    from PySide6.QtCore import QObject

    owner = QObject()
    notifier = Notifier(owner)
    notifier.show("Movers", "A moved", notify=True, sound=False)
    notifier.show("Movers", "B moved", notify=False, sound=True)
    assert notifier.shown == [("Movers", "A moved")]
    assert notifier.sounded == 1
    notifier.shut()
