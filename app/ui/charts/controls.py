"""The row of controls above a chart: turns clicks into a new `ChartConfig` and shows the present one.

What does not fit a narrow dock disappears from the row, the least needed first; the menu button holds everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QFocusEvent, QResizeEvent
from PySide6.QtWidgets import QComboBox, QCompleter, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from app.domain.ids import BOOK_MARKETS, BOOK_VENUES, Market, MarketKind, Venue
from app.indicators.formulas import Convention, Indicator, lines_of
from app.indicators.groups import GROUPS, Subject
from app.viewmodels.chart_config import (
    RANGES,
    ChartConfig,
    depth_words,
    depths_offered,
    side_word,
    toggle_depth,
    toggle_line,
    toggle_side,
)
from app.viewmodels.linking import LINK_GROUPS

HEIGHT = 26
SIDES = ("BID", "ASK", "DIFF")
_KIND_WORDS = {MarketKind.SPOT: "SPOT", MarketKind.FUTURES: "FUT"}
_CHIP_STYLE = "QToolButton { padding: 1px 3px; }"


class SubjectBox(QComboBox):
    """Groups and coins; typing searches by any part of the name."""

    picked = Signal(object)

    def __init__(self, pairs: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self._pairs = pairs
        self._names: tuple[str, ...] = ()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setAccessibleName("Group or coin")
        self.setToolTip("Group or coin; type to search")
        self.setFixedWidth(98)
        completer = QCompleter(self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setModel(self.model())
        self.setCompleter(completer)
        self.textActivated.connect(self._on_text)
        line = self.lineEdit()
        assert line is not None
        line.editingFinished.connect(self._on_edited)
        self._shown = ""
        self.reload()

    def reload(self) -> None:
        """Read the coins again."""
        names = (*(group.value for group in GROUPS), *self._pairs())
        if names == self._names:
            return
        self._names = names
        self.blockSignals(True)
        self.clear()
        self.addItems(list(names))
        self.setEditText(self._shown)
        self.blockSignals(False)

    def show_subject(self, subject: Subject) -> None:
        """Show a subject without reporting it."""
        text = str(subject)
        if text != self._shown:
            self._shown = text
            self.setEditText(text)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Read the coins again: books may have been primed meanwhile."""
        self.reload()
        super().focusInEvent(event)

    def showPopup(self) -> None:
        """Read the coins again, then open."""
        self.reload()
        super().showPopup()

    def _on_edited(self) -> None:
        self._on_text(self.currentText())

    def _on_text(self, text: str) -> None:
        word = text.strip().upper()
        known = {name.upper(): name for name in self._names}
        if word not in known and f"{word}USDT" in known:
            word = f"{word}USDT"
        if word in known and known[word] != self._shown:
            self._shown = known[word]
            self.setEditText(self._shown)
            self.picked.emit(Subject.parse(self._shown))
        elif self.currentText() != self._shown:
            self.setEditText(self._shown)


class ControlRow(QWidget):
    """The controls of one chart. `chosen` carries the new config, `range_picked` seconds, `picked` a
    subject.
    """

    chosen = Signal(object)
    range_picked = Signal(float)
    picked = Signal(object)
    why = Signal()

    def __init__(
        self,
        config: ChartConfig,
        pairs: Callable[[], Sequence[str]],
        venues: Callable[[], Sequence[Venue]],
    ) -> None:
        super().__init__()
        self._config = config
        self._venues = venues
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(4, 2, 4, 2)
        self._row.setSpacing(3)
        self.indicator = QComboBox()
        self.indicator.setAccessibleName("Indicator")
        self.indicator.setFixedWidth(120)
        for indicator in Indicator:
            self.indicator.addItem(indicator.heading, indicator.value)
        self.indicator.activated.connect(self._on_indicator)
        self.subject = SubjectBox(pairs)
        self.subject.picked.connect(self.picked)
        self.markets = {kind: self._chip(word, f"{kind.value} curves") for kind, word in _KIND_WORDS.items()}
        for kind, chip in self.markets.items():
            chip.clicked.connect(lambda _=False, k=kind: self._choose(self._config.with_kind_toggled(k)))
        self.venues = self._menu_chip("Venue", "Venues whose books are drawn", self._fill_venues)
        self.range = QComboBox()
        self.range.setAccessibleName("Time range")
        self.range.setFixedWidth(76)
        for name, seconds in RANGES:
            self.range.addItem(name, seconds)
        self.range.activated.connect(self._on_range)
        self.depths = self._menu_chip("Depths", "Depths and lines", self._fill_lines)
        self.depth_chips: dict[float, QToolButton] = {}
        self.side_chips = {word: self._chip(word, f"{word} curves") for word in SIDES}
        for word, chip in self.side_chips.items():
            chip.clicked.connect(lambda _=False, w=word: self._choose(toggle_side(self._config, w)))
        self.mixed = self._menu_chip("Mixed", "DIFFs of two depths", self._fill_mixed)
        self.convention = self._chip("±1", "Show Delta as (bid − ask)/(bid + ask), from −1 to +1")
        self.convention.clicked.connect(self._toggle_convention)
        self.strict = self._chip("Strict", "Blank every value that is not wholly known")
        self.strict.clicked.connect(self._toggle_strict)
        self.why_button = self._chip("Why?", "Explain the value at the crosshair, or the newest one")
        self.why_button.setCheckable(False)
        self.why_button.clicked.connect(self.why)
        self.menu_button = QToolButton()
        self.menu_button.setText("☰")
        self.menu_button.setToolTip("All choices and exports")
        self.menu_button.setAccessibleName("Chart menu")
        self.menu_button.setStyleSheet(_CHIP_STYLE)
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._chips_at = 5
        for widget in (self.indicator, self.subject, *self.markets.values(), self.venues):
            self._row.addWidget(widget)
        for widget in (*self.side_chips.values(), self.mixed, self.depths, self.convention, self.strict):
            self._row.addWidget(widget)
        self._row.addStretch(1)
        for widget in (self.range, self.why_button, self.menu_button):
            self._row.addWidget(widget)
        self.show_config(config, config.span_s)

    def _chip(self, text: str, tip: str) -> QToolButton:
        chip = QToolButton()
        chip.setText(text)
        chip.setToolTip(tip)
        chip.setAccessibleName(tip)
        chip.setCheckable(True)
        chip.setStyleSheet(_CHIP_STYLE)
        chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return chip

    def _menu_chip(self, text: str, tip: str, fill: Callable[[QMenu], None]) -> QToolButton:
        chip = self._chip(text, tip)
        chip.setCheckable(False)
        chip.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(chip)
        menu.aboutToShow.connect(lambda: fill(menu))
        chip.setMenu(menu)
        return chip

    # -- showing ------------------------------------------------------------------------------------------------

    def show_config(self, config: ChartConfig, span_s: float) -> None:
        """Show these choices without reporting them; span_s is the present width of the time axis."""
        self._config = config
        self.indicator.setCurrentIndex(self.indicator.findData(config.indicator.value))
        self.subject.show_subject(config.subject)
        for kind, kind_chip in self.markets.items():
            kind_chip.setChecked(kind in config.kinds)
        drawn = config.venues
        self.venues.setText(f"{drawn[0].full_name if len(drawn) == 1 else f'{len(drawn)} venues'} ▾")
        index = next((i for i, (_, seconds) in enumerate(RANGES) if abs(seconds - span_s) < 0.5), -1)
        self.range.setCurrentIndex(index)
        self.range.setPlaceholderText(span_words(span_s))
        self._make_depth_chips(depths_offered(config))
        shown = {depth for line in config.lines if not line.mixed for depth in line.depths_pct}
        for depth, chip in self.depth_chips.items():
            chip.setChecked(depth in shown)
        for word, chip in self.side_chips.items():
            chip.setChecked(any(side_word(line) == word for line in config.lines))
        self.convention.setChecked(config.convention is Convention.IMBALANCE)
        self.strict.setChecked(config.strict)
        words = depth_words(config.lines)
        self.depths.setText(f"{words or 'Lines'} ▾")
        mixed = sum(line.mixed for line in config.lines)
        self.mixed.setText(f"Mixed {mixed} ▾" if mixed else "Mixed ▾")
        self._fit()

    def _make_depth_chips(self, depths: tuple[float, ...]) -> None:
        if tuple(self.depth_chips) == depths:
            return
        for chip in self.depth_chips.values():
            self._row.removeWidget(chip)
            chip.setParent(None)
            chip.deleteLater()
        self.depth_chips = {}
        for i, depth in enumerate(depths):
            chip = self._chip(f"{depth:g}", f"Depth {depth:g} %")
            chip.clicked.connect(lambda _=False, d=depth: self._choose(toggle_depth(self._config, d)))
            self.depth_chips[depth] = chip
            self._row.insertWidget(self._chips_at + i, chip)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show what fits."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """Return the height; the width is what is given."""
        return QSize(240, HEIGHT)

    def _fit(self) -> None:
        """Hide the controls that do not fit or do not apply, the least needed first."""
        volumes = self._config.indicator in (Indicator.BID_ASK, Indicator.TOTALS)
        single = len(self.depth_chips) < 2
        sides = list(self.side_chips.values()) if volumes else []
        order: list[list[QToolButton | QComboBox]] = [[self.menu_button], [self.indicator], [self.subject]]
        order += [list(self.markets.values()), [self.range]]
        if len(self._venues()) > 1 or self._config.venues != (Venue.BINANCE,):
            order.append([self.venues])
        lines: list[QToolButton | QComboBox] = [] if single else [*self.depth_chips.values(), *sides]
        rest: list[list[QToolButton | QComboBox]] = [[self.why_button]]
        if self._config.indicator is Indicator.DELTA:
            rest.append([self.convention])
        rest.append([self.strict])
        if self._config.indicator is Indicator.BID_ASK:
            rest.append([self.mixed])
        fitting = set()
        room = self.width() - 8
        room_for_all = room - sum(self._width(w) for group in (*order, *rest) for w in group)
        chips_fit = bool(lines) and sum(self._width(w) for w in lines) <= room_for_all
        if not single:
            order.append(lines if chips_fit else [self.depths])
        for group in (*order, *rest):
            need = sum(self._width(widget) for widget in group)
            if need <= room:
                room -= need
                fitting.update(group)
        for widget in (
            *(self.indicator, self.subject, self.range, self.depths, self.mixed),
            *(self.convention, self.strict, self.why_button, self.menu_button, self.venues),
            *self.markets.values(),
            *self.depth_chips.values(),
            *self.side_chips.values(),
        ):
            widget.setVisible(widget in fitting)

    def _width(self, widget: QWidget) -> int:
        fixed = widget.maximumWidth() if widget.maximumWidth() < 1000 else widget.sizeHint().width()
        return fixed + self._row.spacing()

    # -- choosing -----------------------------------------------------------------------------------------------

    def _choose(self, config: ChartConfig) -> None:
        if config != self._config:
            self.chosen.emit(config)
        else:
            self.show_config(self._config, float(self.range.currentData() or self._config.span_s))

    def _on_indicator(self, index: int) -> None:
        self._choose(self._config.with_indicator(Indicator(self.indicator.itemData(index))))

    def _on_range(self, index: int) -> None:
        self.range_picked.emit(float(self.range.itemData(index)))

    def _markets_offered(self) -> tuple[Market, ...]:
        """Return the markets of the venues that have books, and those that are drawn."""
        return tuple(m for m in BOOK_MARKETS if m.venue in self._venues() or m in self._config.markets)

    def _toggle_market(self, market: Market) -> None:
        config = self._config
        markets = tuple(m for m in BOOK_MARKETS if (m in config.markets) != (m is market))
        self._choose(replace(config, markets=markets) if markets else config)

    def _fill_venues(self, menu: QMenu) -> None:
        menu.clear()
        for venue in BOOK_VENUES:
            if venue in self._venues() or venue in self._config.venues:
                action = menu.addAction(venue.full_name)
                action.setCheckable(True)
                action.setChecked(venue in self._config.venues)
                action.triggered.connect(lambda _=False, v=venue: self._choose(self._config.with_venue_toggled(v)))

    def _toggle_convention(self) -> None:
        other = Convention.RATIO if self._config.convention is Convention.IMBALANCE else Convention.IMBALANCE
        self._choose(replace(self._config, convention=other))

    def _toggle_strict(self) -> None:
        self._choose(replace(self._config, strict=not self._config.strict))

    # -- menus --------------------------------------------------------------------------------------------------

    def fill_choices(self, menu: QMenu) -> None:
        """Add every choice of the chart to a menu."""
        indicators = menu.addMenu("Indicator")
        for indicator in Indicator:
            chosen = indicator is self._config.indicator
            self._check(indicators, indicator.heading, chosen, partial(self._with_indicator, indicator))
        markets = menu.addMenu("Markets")
        for market in self._markets_offered():
            action = markets.addAction(market.label)
            action.setCheckable(True)
            action.setChecked(market in self._config.markets)
            action.triggered.connect(lambda _=False, m=market: self._toggle_market(m))
        self._fill_lines(menu.addMenu("Depths and lines"))
        ranges = menu.addMenu("Time range")
        for name, seconds in RANGES:
            action = ranges.addAction(name)
            action.setCheckable(True)
            action.setChecked(self.range.currentData() == seconds)
            action.triggered.connect(lambda _=False, s=seconds: self.range_picked.emit(float(s)))
        colours = menu.addMenu("Link colour")
        for group in (None, *LINK_GROUPS):
            name = group or "None"
            chosen = group == self._config.link_group
            self._check(colours, name, chosen, partial(self._with_link, group))
        menu.addSeparator()
        if self._config.indicator is Indicator.DELTA:
            action = menu.addAction("Delta as (bid − ask)/(bid + ask)")
            action.setCheckable(True)
            action.setChecked(self._config.convention is Convention.IMBALANCE)
            action.triggered.connect(self._toggle_convention)
        action = menu.addAction("Strict: only wholly known values")
        action.setCheckable(True)
        action.setChecked(self._config.strict)
        action.triggered.connect(self._toggle_strict)

    def _fill_lines(self, menu: QMenu) -> None:
        menu.clear()
        lines = lines_of(self._config.indicator, group=self._config.subject.is_group)
        for depth in depths_offered(self._config):
            part = [line for line in lines if not line.mixed and depth in line.depths_pct]
            if len(part) == 1:
                self._line_action(menu, part[0].key, part[0].label)
                continue
            section = menu.addMenu(f"{depth:g} %")
            for line in part:
                self._line_action(section, line.key, line.label)
        if any(line.mixed for line in lines):
            mixed = menu.addMenu("Mixed DIFFs")
            for line in lines:
                if line.mixed:
                    self._line_action(mixed, line.key, line.label)

    def _fill_mixed(self, menu: QMenu) -> None:
        menu.clear()
        for line in lines_of(self._config.indicator, group=self._config.subject.is_group):
            if line.mixed:
                self._line_action(menu, line.key, line.label)

    def _with_indicator(self, indicator: Indicator) -> ChartConfig:
        return self._config.with_indicator(indicator)

    def _with_link(self, group: str | None) -> ChartConfig:
        return replace(self._config, link_group=group)

    def _line_action(self, menu: QMenu, key: str, label: str) -> None:
        self._check(menu, label, key in self._config.line_keys, lambda: toggle_line(self._config, key))

    def _check(self, menu: QMenu, text: str, chosen: bool, config: Callable[[], ChartConfig]) -> QAction:
        action = menu.addAction(text)
        action.setCheckable(True)
        action.setChecked(chosen)
        action.triggered.connect(lambda _=False: self._choose(config()))
        return action


def span_words(span_s: float) -> str:
    """Return the width of a time axis in one or two units: "42 s", "7 min", "2.5 h"."""
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if span_s >= seconds:
            return f"{span_s / seconds:.3g} {unit}"
    return f"{span_s:.0f} s"
