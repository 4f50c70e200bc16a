"""The account bar: source, account, paper or live, and the account's figures in as many lines as they need."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLayout, QLayoutItem, QVBoxLayout, QWidget

from app.domain.account import Source
from app.ui import theme
from app.ui.panels.common import plain_label
from app.viewmodels.portfolio import ALL, PortfolioModel
from app.viewmodels.portfolio_accounts import BarFigure

_GAP: Final = 18
_LEAD: Final = frozenset({"NetLiquidation", "daily"})


class FlowLayout(QLayout):
    """Puts widgets side by side and begins a new line where one is full."""

    def __init__(self, gap: int = _GAP, line_gap: int = 4) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._gap, self._line_gap = gap, line_gap

    def addItem(self, item: QLayoutItem) -> None:
        """Take an item at the end."""
        self._items.append(item)

    def count(self) -> int:
        """Return how many items there are."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        """Return an item, None beyond the last."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        """Remove and return an item, None beyond the last."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        """Claim no room beyond what is needed."""
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        """Say that the height depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height at a width."""
        return self._lay_out(QRect(0, 0, width, 0), apply=False)

    def setGeometry(self, rect: QRect) -> None:
        """Place the items."""
        super().setGeometry(rect)
        self._lay_out(rect, apply=True)

    def sizeHint(self) -> QSize:
        """Return the least size."""
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        """Return the size of the largest item with the margins."""
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        margins = self.contentsMargins()
        return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom())

    def _lay_out(self, rect: QRect, *, apply: bool) -> int:
        margins = self.contentsMargins()
        left, top = rect.x() + margins.left(), rect.y() + margins.top()
        right = rect.right() + 1 - margins.right()
        x, line = left, 0
        for item in self._items:
            if item.isEmpty():
                continue
            size = item.sizeHint()
            if x > left and x + size.width() > right:
                x, top, line = left, top + line + self._line_gap, 0
            if apply:
                item.setGeometry(QRect(QPoint(x, top), size))
            x += size.width() + self._gap
            line = max(line, size.height())
        return top + line - rect.y() + margins.bottom()


class _FigureLabel(QWidget):
    """One figure: its name above, its value below. It never gets narrower, so that the bar does not twitch."""

    def __init__(self, parent: QWidget, figure: BarFigure) -> None:
        super().__init__(parent)
        self._title = plain_label(self, "muted")
        self._value = plain_label(self)
        self._value.setFont(theme.ui_font(bold=figure.key in _LEAD))
        self._widest = 0
        self._shown: tuple[BarFigure, bool, theme.Theme] | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addWidget(self._value)

    def show_figure(self, figure: BarFigure, *, is_stale: bool) -> None:
        """Show a figure, grey when it is not of now."""
        look = theme.current()
        state = (figure, is_stale, look)
        if state == self._shown:
            return
        self._shown = state
        self._title.setText(f"{figure.title} ⚠" if figure.warns else figure.title)
        self._value.setText(figure.text)
        colour = look.muted if is_stale else {1: look.up, -1: look.down, 0: look.text}[figure.sign]
        if figure.warns and not is_stale:
            colour = look.warning
        self._value.setStyleSheet(f"color: {colour};")
        self.setToolTip(figure.tip)
        self.setAccessibleName(f"{figure.title} {figure.text}")

    def sizeHint(self) -> QSize:
        """Return the widest size so far."""
        size = super().sizeHint()
        self._widest = max(self._widest, size.width())
        return QSize(self._widest, size.height())


class PortfolioBar(QWidget):
    """Announces choices of source and account."""

    source_chosen = Signal(object)
    account_chosen = Signal(str)

    def __init__(self, model: PortfolioModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._labels: dict[str, _FigureLabel] = {}
        self.sources = self._box("Source of the account data")
        self.sources.activated.connect(lambda _at: self.source_chosen.emit(Source(self.sources.currentData())))
        self.source_name = plain_label(self, "title")
        self.accounts = self._box("Account")
        self.accounts.activated.connect(lambda _at: self.account_chosen.emit(self.accounts.currentData()))
        self.mode: QLabel = plain_label(self)
        self.status = plain_label(self, "muted")
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 0)
        head.setSpacing(6)
        for widget in (self.source_name, self.sources, self.accounts, self.mode):
            head.addWidget(widget)
        head.addStretch(1)
        head.addWidget(self.status)
        self._figures = FlowLayout()
        self._figures.setContentsMargins(8, 2, 8, 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addLayout(self._figures)

    def _box(self, name: str) -> QComboBox:
        box = QComboBox(self)
        box.setAccessibleName(name)
        box.setToolTip(name)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        return box

    def show_model(self) -> None:
        """Show what the model says, without announcing choices."""
        model = self._model
        sources = model.sources
        source = model.source
        _fill(self.sources, [(each.full_name, each.value) for each in sources], "" if source is None else source.value)
        self.sources.setVisible(len(sources) > 1)
        self.source_name.setText(source.full_name if source is not None else "Interactive Brokers")
        self.source_name.setVisible(len(sources) < 2)
        known = model.known_accounts
        entries = [("All accounts", ALL)] if len(known) > 1 else []
        shown = model.accounts[0] if len(model.accounts) == 1 else ALL
        _fill(self.accounts, [*entries, *((account, account) for account in known)], shown)
        self.accounts.setVisible(bool(known))
        self._show_mode()
        pace = "prices live, sums every second" if model.in_session else "closed: sums every 5 s"
        pace = "not live" if model.state.is_stale else pace
        self.status.setText(pace if model.rows else "")
        self._show_figures()

    def _show_mode(self) -> None:
        state, look = self._model.state, theme.current()
        text = state.mode or ("PAPER OR LIVE?" if self._model.desk is not None else "")
        colour = {"PAPER": look.accent, "LIVE": look.bad}.get(state.mode, look.warning)
        if self.mode.text() != text or self.mode.property("ink") != colour:
            self.mode.setProperty("ink", colour)
            self.mode.setText(text)
            self.mode.setStyleSheet(f"color: {colour}; border: 1px solid {colour}; border-radius: 2px; padding: 0 4px;")
        self.mode.setVisible(bool(text))
        self.mode.setToolTip(f"{state.mode_why}\nREAD-ONLY: Fathom has no way to place an order")

    def _show_figures(self) -> None:
        figures = self._model.view.figures
        keys = [figure.key for figure in figures]
        if list(self._labels) != keys:
            for label in self._labels.values():
                self._figures.removeWidget(label)
                label.deleteLater()
            self._labels = {figure.key: _FigureLabel(self, figure) for figure in figures}
            for label in self._labels.values():
                self._figures.addWidget(label)
                label.show()
        for figure in figures:
            self._labels[figure.key].show_figure(figure, is_stale=self._model.state.is_stale)


def _fill(box: QComboBox, entries: list[tuple[str, str]], current: str) -> None:
    if [(box.itemText(at), box.itemData(at)) for at in range(box.count())] != entries:
        box.clear()
        for text, value in entries:
            box.addItem(text, value)
    box.setCurrentIndex(max(0, box.findData(current)))
