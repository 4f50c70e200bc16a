"""The Portfolio's tree on screen: tells when the mouse is over it, leaves letters to the search, covers itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, Qt, Signal
from PySide6.QtGui import QFontMetrics, QHideEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from app.ui import theme
from app.ui.models.portfolio_table import PortfolioTree
from app.ui.panels.base import typed_text
from app.viewmodels.portfolio_columns import COLUMNS


class PortfolioView(QTreeView):
    """message: what to say instead of rows; cover: a sentence that lies over the (grey) rows, "" for none."""

    pointed = Signal(bool)

    def __init__(self, tree: PortfolioTree, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = ""
        self.cover = ""
        self.is_pointed = False
        self.setModel(tree)
        self.setAccessibleName("Positions")
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setAllColumnsShowFocus(True)
        self.setMouseTracking(True)
        self.setExpandsOnDoubleClick(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header = self.header()
        header.setMinimumSectionSize(36)
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setFirstSectionMovable(False)
        header.setStretchLastSection(False)
        header.setSortIndicatorShown(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.setAccessibleName("Columns of the portfolio")
        for section, column in enumerate(COLUMNS):
            header.resizeSection(section, column.width)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows, then what lies over them."""
        super().paintEvent(event)
        text = self.cover or self.message
        if text:
            painter = QPainter(self.viewport())
            self._paint_words(painter, text)
            painter.end()

    def _paint_words(self, painter: QPainter, text: str) -> None:
        look, area = theme.current(), self.viewport().rect()
        room = area.adjusted(24, 12, -24, -12)
        flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
        if not self.cover:
            painter.setPen(theme.colour(look.muted))
            painter.drawText(room, flags, text)
            return
        painter.fillRect(area, theme.colour(look.panel, 0.45))
        room.setWidth(min(room.width(), 620))
        room.moveLeft((area.width() - room.width()) // 2)
        needed = QFontMetrics(painter.font()).boundingRect(room, flags, text)
        box = QRect(needed.adjusted(-14, -10, 14, 10))
        painter.fillRect(box, theme.colour(look.raised))
        painter.setPen(theme.colour(look.warning))
        painter.drawRect(box)
        painter.setPen(theme.colour(look.text))
        painter.drawText(room, flags, text)

    def show_words(self, message: str, cover: str) -> None:
        """Show what there is to say; nothing is repainted when it is the same."""
        if (message, cover) != (self.message, self.cover):
            self.message, self.cover = message, cover
            self.setAccessibleDescription(cover or message)
            self.viewport().update()

    def viewportEvent(self, event: QEvent) -> bool:
        """Notice when the mouse comes over the rows and leaves them."""
        if event.type() in (QEvent.Type.Enter, QEvent.Type.HoverEnter):
            self._point(True)
        elif event.type() == QEvent.Type.Leave:
            self._point(False)
        return super().viewportEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Forget the mouse when the table goes off screen: no leave event comes then."""
        self._point(False)
        super().hideEvent(event)

    def _point(self, pointed: bool) -> None:
        if pointed != self.is_pointed:
            self.is_pointed = pointed
            self.pointed.emit(pointed)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave letters and digits to the symbol search."""
        if typed_text(event):
            event.ignore()
        else:
            super().keyPressEvent(event)
