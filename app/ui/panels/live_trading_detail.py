"""The lower right of the Live Trading panel: the chosen order's contract as it is quoted now, and its timeline."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.ui import theme
from app.ui.models.order_tables import timeline_table
from app.ui.panels.common import plain_label
from app.ui.panels.lines_view import LinesView
from app.viewmodels.live_trading import LiveTradingModel
from app.viewmodels.order_quote import QuickQuote

NOTHING: Final = "Choose an order to see what happened to it and how its contract is quoted."


class QuoteLine(QWidget):
    """Bid, ask and last of a contract with their age, and the order's distance from them, in lines that wrap."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.title = plain_label(self, "title")
        self.mark = plain_label(self, "warning")
        self.figures = plain_label(self)
        self.distance = plain_label(self)
        self.note = plain_label(self, "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(2)
        for label in (self.title, self.figures, self.mark, self.distance, self.note):
            label.setWordWrap(True)
            column.addWidget(label)

    def show_quote(self, quote: QuickQuote) -> None:
        """Show a quote; one that is old is grey."""
        self.title.setText(quote.title)
        parts = [f"bid {quote.bid}", f"ask {quote.ask}", f"last {quote.last}"]
        if quote.age:
            parts.append(f"{quote.age} ago")
        # a figure stays whole: lines break between the parts only
        self.figures.setText("   ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts))
        for label, text in ((self.mark, quote.mark.upper()), (self.distance, quote.distance), (self.note, quote.note)):
            label.setText(text)
            label.setVisible(bool(text))
        look = theme.current()
        style = f"color: {look.muted if quote.is_old else look.text};"
        for label in (self.figures, self.distance):
            if label.styleSheet() != style:
                label.setStyleSheet(style)


class OrderDetail(QWidget):
    """Quote and timeline of the picked order; a sentence while none is picked."""

    def __init__(self, model: LiveTradingModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self.items = timeline_table(model)
        self.timeline = LinesView(self.items, "Timeline of the order", self)
        self.quote = QuoteLine(self)
        self.nothing = plain_label(self, "muted")
        self.nothing.setText(NOTHING)
        self.nothing.setWordWrap(True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.nothing.setContentsMargins(10, 10, 10, 10)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.quote)
        column.addWidget(self.timeline, 1)
        column.addWidget(self.nothing, 1)
        self.refresh()

    def refresh(self) -> None:
        """Show the picked order."""
        quote = self._model.quote()
        chosen = quote is not None
        self.nothing.setVisible(not chosen)
        self.timeline.setVisible(chosen)
        self.quote.setVisible(chosen)
        if quote is not None:
            self.quote.show_quote(quote)
        self.items.show_lines(self._model.timeline())
