"""Edits one alert rule: what to watch, how often to fire, and how to tell."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.domain.ids import Market
from app.scanner.alerts import AlertKind, AlertRule, FeedTrouble, IndicatorTerm
from app.ui import theme
from app.viewmodels.alerts import AlertsModel, event_names, event_words

_PREVIEW_MS = 500
_KINDS = (
    (AlertKind.CONDITION, "Scanner condition"),
    (AlertKind.EVENT, "Scanner event"),
    (AlertKind.INDICATOR, "Depth indicator"),
    (AlertKind.FEED, "Feed state"),
)
_OFTEN = ("when it begins", "again and again while it holds", "once, then off")


class AlertEditor(QDialog):
    """A rule being edited; accepted only when the model has taken it."""

    def __init__(self, model: AlertsModel, rule: AlertRule, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rule = rule
        self.setWindowTitle("Alert")
        self.setMinimumWidth(460)
        self._name = QLineEdit(rule.name, self)
        self._name.setPlaceholderText("named after what it asks for")
        self._name.setAccessibleName("Name of the alert")
        self._kind = QComboBox(self)
        self._kind.setAccessibleName("What to watch")
        for _, words in _KINDS:
            self._kind.addItem(words)
        self._pages = QStackedWidget(self)
        for page in (self._condition_page(), self._event_page(), self._indicator_page(), self._feed_page()):
            self._pages.addWidget(page)
        self._kind.currentIndexChanged.connect(self._pages.setCurrentIndex)
        self._kind.setCurrentIndex([kind for kind, _ in _KINDS].index(rule.kind))
        self._often = QComboBox(self)
        self._often.setAccessibleName("How often it fires")
        self._often.addItems(list(_OFTEN))
        self._often.setCurrentIndex(2 if rule.once else 1 if rule.repeat else 0)
        self._cooldown = QDoubleSpinBox(self)
        self._cooldown.setAccessibleName("Cooldown in seconds")
        self._cooldown.setRange(0, 7 * 86_400)
        self._cooldown.setDecimals(0)
        self._cooldown.setSuffix(" s")
        self._cooldown.setValue(rule.cooldown_s)
        self._cooldown.setToolTip("The same subject does not fire again sooner than this")
        self._sound = QCheckBox("Sound", self)
        self._sound.setChecked(rule.sound)
        self._notify = QCheckBox("Desktop notification", self)
        self._notify.setChecked(rule.notify)
        self._fault = QLabel(self)
        self._fault.setTextFormat(Qt.TextFormat.PlainText)
        self._fault.setWordWrap(True)
        self._fault.setStyleSheet(f"color: {theme.current().bad};")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel, self)
        self.save_button = buttons.button(QDialogButtonBox.StandardButton.Save)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow("Name", self._name)
        form.addRow("Watch", self._kind)
        tells = QHBoxLayout()
        tells.addWidget(self._sound)
        tells.addWidget(self._notify)
        tells.addStretch(1)
        rest = QFormLayout()
        rest.addRow("Fires", self._often)
        rest.addRow("Cooldown", self._cooldown)
        rest.addRow("Tells by", tells)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self._pages)
        layout.addLayout(rest)
        layout.addWidget(self._fault)
        layout.addStretch(1)
        layout.addWidget(buttons)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._show_preview)
        self._timer.start(_PREVIEW_MS)
        self._show_preview()

    # -- pages ---------------------------------------------------------------------------------------------------

    def _condition_page(self) -> QWidget:
        page = QWidget(self)
        self.condition_field = QLineEdit(self._rule.condition, page)
        self.condition_field.setAccessibleName("Condition")
        self.condition_field.setPlaceholderText("change_24h > 5 and spread_bp < 10")
        self.condition_field.textChanged.connect(self._show_preview)
        self._preview = _note(page)
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Condition", self.condition_field)
        form.addRow("", self._preview)
        return page

    def _event_page(self) -> QWidget:
        page = QWidget(self)
        self._events = QListWidget(page)
        self._events.setAccessibleName("Events")
        self._events.setMaximumHeight(150)
        for name in event_names():
            item = QListWidgetItem(event_words(name), self._events)
            item.setData(Qt.ItemDataRole.UserRole, name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if name in self._rule.events else Qt.CheckState.Unchecked)
        self._only = QLineEdit(self._rule.condition, page)
        self._only.setAccessibleName("Only instruments where")
        self._only.setPlaceholderText("every instrument, or for example  volume_24h > 5M")
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Events", self._events)
        form.addRow("Only where", self._only)
        return page

    def _indicator_page(self) -> QWidget:
        page = QWidget(self)
        term = self._rule.indicator
        self._subject = QComboBox(page)
        self._subject.setAccessibleName("Group or coin")
        self._subject.setEditable(True)
        self._subject.addItems(self._model.subjects())
        self._subject.setCurrentText(term.subject if term is not None else "TOTAL")
        self._market = QComboBox(page)
        self._market.setAccessibleName("Market")
        for market in self._model.markets():
            self._market.addItem(market.full_name, market.value)
        self._line = QComboBox(page)
        self._line.setAccessibleName("Line of the indicator")
        self._subject.currentTextChanged.connect(self._fill_lines)
        self._fill_lines()
        self._above = QComboBox(page)
        self._above.setAccessibleName("Above or below")
        self._above.addItems([">", "<"])
        self._above.setFixedWidth(52)
        self.level_field = QLineEdit(page)
        self.level_field.setAccessibleName("Level")
        self._strict = QCheckBox("only wholly known values", page)
        if term is not None:
            self._market.setCurrentIndex(max(0, self._market.findData(term.market.value)))
            self._line.setCurrentIndex(max(0, self._line.findData(term.line)))
            self._above.setCurrentIndex(0 if term.above else 1)
            self.level_field.setText(f"{term.level:g}")
            self._strict.setChecked(term.strict)
        level = QHBoxLayout()
        level.addWidget(self._above)
        level.addWidget(self.level_field, 1)
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Of", self._subject)
        form.addRow("On", self._market)
        form.addRow("Line", self._line)
        form.addRow("Is", level)
        form.addRow("", self._strict)
        return page

    def _feed_page(self) -> QWidget:
        page = QWidget(self)
        self._feed = QComboBox(page)
        self._feed.setAccessibleName("Feed")
        self._feed.addItem("any feed", "")
        for name in self._model.feeds():
            self._feed.addItem(name, name)
        self._feed.setCurrentIndex(max(0, self._feed.findData(self._rule.feed)))
        self._trouble = QComboBox(page)
        self._trouble.setAccessibleName("State")
        self._trouble.addItem("is down", FeedTrouble.DOWN.value)
        self._trouble.addItem("is back", FeedTrouble.UP.value)
        self._trouble.setCurrentIndex(1 if self._rule.trouble is FeedTrouble.UP else 0)
        self._after = QDoubleSpinBox(page)
        self._after.setAccessibleName("Down for at least")
        self._after.setRange(0, 3600)
        self._after.setDecimals(0)
        self._after.setSuffix(" s")
        self._after.setValue(self._rule.after_s)
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Feed", self._feed)
        form.addRow("State", self._trouble)
        form.addRow("For at least", self._after)
        return page

    # -- work ----------------------------------------------------------------------------------------------------

    def _fill_lines(self) -> None:
        held = self._line.currentData()
        self._line.clear()
        for key, words in self._model.lines(self._subject.currentText()):
            self._line.addItem(words, key)
        self._line.setCurrentIndex(max(0, self._line.findData(held)))

    def _show_preview(self) -> None:
        if self._pages.currentIndex() == 0:
            words, usable = self._model.preview(self.condition_field.text())
            self._preview.setText(words)
            look = theme.current()
            colour = look.muted if usable or not self.condition_field.text().strip() else look.bad
            self._preview.setStyleSheet(f"color: {colour};")

    def rule(self) -> AlertRule:
        """Return the rule as it stands in the fields. Raises ValueError for a level that is no number."""
        kind = _KINDS[self._kind.currentIndex()][0]
        condition = {AlertKind.CONDITION: self.condition_field.text(), AlertKind.EVENT: self._only.text()}.get(kind, "")
        term = None
        if kind is AlertKind.INDICATOR:
            term = IndicatorTerm(
                subject=self._subject.currentText().strip().upper(),
                market=Market(self._market.currentData()),
                line=str(self._line.currentData()),
                above=self._above.currentIndex() == 0,
                level=_number(self.level_field.text()),
                strict=self._strict.isChecked(),
            )
        chosen = [self._events.item(row) for row in range(self._events.count())]
        return replace(
            self._rule,
            name=self._name.text().strip(),
            kind=kind,
            condition=condition,
            events=tuple(
                str(item.data(Qt.ItemDataRole.UserRole))
                for item in chosen
                if item.checkState() is Qt.CheckState.Checked
            ),
            indicator=term,
            feed=str(self._feed.currentData()),
            trouble=FeedTrouble(self._trouble.currentData()),
            after_s=self._after.value(),
            enabled=True,
            once=self._often.currentIndex() == 2,
            repeat=self._often.currentIndex() == 1,
            cooldown_s=self._cooldown.value(),
            sound=self._sound.isChecked(),
            notify=self._notify.isChecked(),
        )

    @property
    def preview_text(self) -> str:
        """Return what the condition is said to mean now."""
        return self._preview.text()

    @property
    def preview_format(self) -> Qt.TextFormat:
        """Return how that is shown: instruments are named by venues."""
        return self._preview.textFormat()

    @property
    def fault_text(self) -> str:
        """Return why the rule was not saved, "" when nothing was wrong."""
        return self._fault.text()

    @property
    def event_count(self) -> int:
        """Return how many kinds of events are offered."""
        return self._events.count()

    def _save(self) -> None:
        try:
            fault = self._model.put(self.rule())
        except ValueError as error:
            fault = str(error)
        self._fault.setText(fault)
        if not fault:
            self.accept()


def _note(parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _number(text: str) -> float:
    word = text.strip().replace(",", "").replace(" ", "")
    factor = {"k": 1e3, "m": 1e6, "b": 1e9}.get(word[-1:].lower(), 1.0)
    try:
        value = float(word[:-1] if factor != 1.0 else word) * factor
    except ValueError:
        raise ValueError(f"expected a level such as 1.2 or 40M, was {text!r}") from None
    if not abs(value) < 1e18:
        raise ValueError(f"expected a level such as 1.2 or 40M, was {text!r}")
    return value
