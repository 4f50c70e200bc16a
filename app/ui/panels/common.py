"""Small widgets that several panels share: link-group button, market switch, the look of tables, windows of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QAbstractItemModel, QPoint, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.ids import BOOK_KINDS, BOOK_VENUES, Market, MarketKind, Venue
from app.ui import icons, theme
from app.ui.panels.base import typed_text
from app.viewmodels.linking import LINK_GROUPS

GROUP_COLOURS: Final[dict[str, str]] = {
    "A": "#4c9be8",
    "B": "#e0a030",
    "C": "#a06ee8",
    "D": "#35b4a0",
    "E": "#e0609a",
}


def plain_label(parent: QWidget, role: str = "") -> QLabel:
    """Return a label that shows outside text as it is, never as markup."""
    label = QLabel(parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        label.setProperty("role", role)
    return label


def push_button(parent: QWidget, text: str, tip: str, work: Callable[[], object]) -> QPushButton:
    """Return a button that does something."""
    button = QPushButton(text, parent)
    button.setToolTip(tip)
    button.clicked.connect(lambda: work())
    return button


def tool_button(parent: QWidget, text: str, tip: str) -> QToolButton:
    """Return a button of a bar of tools."""
    button = QToolButton(parent)
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(tip.partition(":")[0])
    return button


def open_text(parent: QWidget, text: str, above: QWidget) -> QFrame:
    """Open a small window above a widget, from which the text can be taken; any click elsewhere closes it."""
    frame = QFrame(parent, Qt.WindowType.Popup)
    frame.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    frame.setProperty("role", "card")
    label = plain_label(frame)
    label.setText(text)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(12, 10, 12, 10)
    layout.addWidget(label)
    frame.adjustSize()
    frame.move(above.mapToGlobal(above.rect().topLeft()) - frame.rect().bottomLeft())
    frame.show()
    return frame


def restore_split(splitter: QSplitter, sizes: object) -> bool:
    """Give a splitter of two its stored sizes; return whether they fit."""
    if isinstance(sizes, list) and len(sizes) == 2 and all(isinstance(s, int) and 0 < s < 10_000 for s in sizes):
        splitter.setSizes(sizes)
        return True
    return False


def show_columns(header: QHeaderView, keys: Sequence[str], shown: Sequence[str]) -> None:
    """Show these columns in this order and hide the others; keys: the names of all sections."""
    for section, key in enumerate(keys):
        header.setSectionHidden(section, key not in shown)
    for place, key in enumerate(shown):
        header.moveSection(header.visualIndex(keys.index(key)), place)


def shown_columns(header: QHeaderView, keys: Sequence[str]) -> list[str]:
    """Return the columns that are shown, in their order; keys: the names of all sections."""
    order = [header.logicalIndex(place) for place in range(len(keys))]
    return [keys[section] for section in order if not header.isSectionHidden(section)]


class LinkButton(QToolButton):
    """Shows and chooses the colour link group of a panel."""

    group_chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("flat", True)
        self._group: str | None = None
        self.setAutoRaise(True)
        self.clicked.connect(self._open)
        self.show_group(None)

    def show_group(self, group: str | None) -> None:
        """Show a group without announcing it."""
        self._group = group
        colour = GROUP_COLOURS.get(group or "", theme.current().muted)
        self.setIcon(icons.icon("link", colour))
        self.setText(group or "")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        words = f"Follows link group {group}" if group else "Not linked to other panels"
        self.setToolTip(f"{words}; click to change")
        self.setAccessibleName(words)

    def _open(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for group in (None, *LINK_GROUPS):
            action = QAction(f"Group {group}" if group else "Not linked", menu)
            action.setIcon(icons.icon("link", GROUP_COLOURS.get(group or "", theme.current().muted)))
            action.setData(group)
            action.setCheckable(True)
            action.setChecked(group == self._group)
            menu.addAction(action)
        menu.triggered.connect(self._on_chosen)
        menu.popup(self.mapToGlobal(QPoint(0, self.height())))

    def _on_chosen(self, action: QAction) -> None:
        group = action.data()
        self.show_group(group)
        self.group_chosen.emit(group)


class VenueBox(QComboBox):
    """The venues that have books; hidden while there is only one."""

    venue_chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Venue")
        self.setToolTip("Venue whose books are shown")
        self.setFixedWidth(96)
        self.hide()
        self.activated.connect(lambda index: self.venue_chosen.emit(Venue(self.itemData(index))))

    def show_venues(self, venues: Sequence[Venue], current: Venue) -> None:
        """Offer these venues and show the current one without announcing it."""
        offered = [venue.value for venue in BOOK_VENUES if venue in venues or venue is current]
        if [self.itemData(index) for index in range(self.count())] != offered:
            self.clear()
            for word in offered:
                self.addItem(Venue(word).full_name, word)
            self.setVisible(len(offered) > 1)
        self.setCurrentIndex(offered.index(current.value))


class MarketSwitch(QWidget):
    """Two buttons, SPOT and FUTURES, of which one is down, and the venue where there are several."""

    market_chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._market = Market.BINANCE_SPOT
        self._buttons: dict[MarketKind, QToolButton] = {}
        for index, kind in enumerate(BOOK_KINDS):
            button = QToolButton(self)
            button.setText(kind.value)
            button.setCheckable(True)
            button.setStyleSheet("padding: 2px 4px;")
            button.setAccessibleName(f"Market {kind.value}")
            self._group.addButton(button, index)
            self._buttons[kind] = button
            row.addWidget(button)
        self._venues = VenueBox(self)
        row.addSpacing(3)
        row.addWidget(self._venues)
        self._venues.venue_chosen.connect(lambda venue: self._choose(Market.of(venue, self._market.kind)))
        self._group.idClicked.connect(lambda index: self._choose(Market.of(self._market.venue, BOOK_KINDS[index])))

    def show_market(self, market: Market, venues: Sequence[Venue]) -> None:
        """Show a market without announcing it, beside the other venues that have books."""
        self._market = market
        self._buttons[market.kind].setChecked(True)
        self._venues.show_venues(venues, market.venue)

    def _choose(self, market: Market) -> None:
        self._market = market
        self.market_chosen.emit(market)


class QuietTable(QTableView):
    """A table of narrow rows that leaves typed letters to the symbol search instead of jumping through its rows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(16)
        self.verticalHeader().setDefaultSectionSize(theme.ROW_HEIGHT - 2)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.horizontalHeader().setHighlightSections(False)

    def show_model(self, model: QAbstractItemModel, name: str, widths: Sequence[int]) -> None:
        """Show a model; name: what the table is called by screen readers; widths: of its columns from the left."""
        self.setModel(model)
        self.setAccessibleName(name)
        for section, width in enumerate(widths):
            self.horizontalHeader().resizeSection(section, width)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ignore letters and digits."""
        if typed_text(event):
            event.ignore()
        else:
            super().keyPressEvent(event)
