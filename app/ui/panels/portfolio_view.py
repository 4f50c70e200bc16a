"""The Portfolio's tree on screen: paints its rows itself, tells when the mouse is over it, covers itself with words.

Painting through item delegates costs several model calls a cell; here a row is painted in one pass, only the columns
that are asked for, with texts laid out once and kept.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHideEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QStaticText,
    QTransform,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from app.ui import theme
from app.ui.models.portfolio_table import FLASHING, SECTION, PortfolioTree
from app.ui.panels.base import typed_text
from app.viewmodels.portfolio_columns import COLUMNS, LIVE, Column

PAD: Final = 6
_KEPT_TEXTS: Final = 4_000
_MOVING: Final = tuple(dict.fromkeys((*LIVE, *FLASHING)))


class PortfolioView(QTreeView):
    """message: what to say instead of rows; cover: a sentence that lies over the (grey) rows, "" for none."""

    pointed = Signal(bool)

    def __init__(self, tree: PortfolioTree, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = ""
        self.cover = ""
        self.is_pointed = False
        self._tree = tree
        self._asked: list[tuple[Column, str, int, int]] = []
        self._texts: dict[tuple[str, bool], tuple[QStaticText, int]] = {}
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

        self.restyle()

    def restyle(self) -> None:
        """Take the colours and the font of the present theme and forget laid-out texts."""
        look = theme.current()
        self._texts.clear()
        self._fonts: tuple[QFont, QFont] = (theme.ui_font(), theme.ui_font(bold=True))
        self._metrics = tuple(QFontMetrics(font) for font in self._fonts)
        self._plain = QPen(QColor(look.text))
        self._chosen, self._hovered = QColor(look.selection), QColor(look.raised)

    def repaint_moving(self) -> None:
        """Repaint the columns that follow quotes or fade, as far as they are on screen."""
        header, area = self.header(), self.viewport().rect()
        region = QRegion()
        for key in _MOVING:
            section = SECTION[key]
            if not header.isSectionHidden(section):
                region += QRect(header.sectionViewportPosition(section), 0, header.sectionSize(section), area.height())
        self.viewport().update(region & QRegion(area))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows, then what lies over them."""
        self._asked = self._columns_in(event.region())
        super().paintEvent(event)
        text = self.cover or self.message
        if text:
            painter = QPainter(self.viewport())
            self._paint_words(painter, text)
            painter.end()

    def _columns_in(self, region: QRegion) -> list[tuple[Column, str, int, int]]:
        """Return the columns that a region touches: column, key, left edge, width."""
        header, height, found = self.header(), self.viewport().height(), []
        for place in range(header.count()):
            section = header.logicalIndex(place)
            if not header.isSectionHidden(section):
                x, width = header.sectionViewportPosition(section), header.sectionSize(section)
                if region.intersects(QRect(x, 0, width, height)):
                    found.append((COLUMNS[section], COLUMNS[section].key, x, width))
        return found

    def drawRow(
        self, painter: QPainter, options: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Paint one line: ground, branch and the cells that are asked for."""
        node = self._tree.node(index)
        if node is None:
            return
        line = QRect(options.rect)
        line.setLeft(0)
        line.setRight(self.viewport().width())
        state = options.state
        if self.selectionModel().isSelected(index):
            painter.fillRect(line, self._chosen)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(line, self._hovered)
        bold = node.subtotal is not None
        painter.setFont(self._fonts[bold])
        drop = (line.height() - self._metrics[bold].height()) // 2
        for column, key, x, width in self._asked:
            cell = QRect(x, line.top(), width, line.height())
            tint = self._tree.tint(node, key)
            if tint is not None:
                painter.fillRect(cell, tint)
            ink = self._tree.ink(node, key, column.signed)
            painter.setPen(self._plain if ink is None else ink.color())
            if key == "instrument":
                self._paint_name(painter, cell, drop, index, self._tree.text(node, key), bold)
            else:
                self._paint_text(painter, cell, drop, self._tree.text(node, key), bold, left=column.is_left)

    def _paint_name(
        self,
        painter: QPainter,
        cell: QRect,
        drop: int,
        index: QModelIndex | QPersistentModelIndex,
        text: str,
        bold: bool,
    ) -> None:
        depth = int(self.rootIsDecorated()) + int(index.parent().isValid())
        branch = QRect(cell.left(), cell.top(), depth * self.indentation(), cell.height())
        if depth:
            pen = painter.pen()
            self.drawBranches(painter, branch, index.model().index(index.row(), 0, index.parent()))
            painter.setPen(pen)
        self._paint_text(painter, cell.adjusted(branch.width(), 0, 0, 0), drop, text, bold, left=True)

    def _paint_text(self, painter: QPainter, cell: QRect, drop: int, text: str, bold: bool, *, left: bool) -> None:
        if not text:
            return
        laid, width = self._laid(text, bold)
        room = cell.width() - PAD - 2
        if width > room:
            laid, width = self._laid(self._metrics[bold].elidedText(text, Qt.TextElideMode.ElideRight, room), bold)
        at = cell.left() + 4 if left else cell.right() + 1 - PAD - width
        painter.drawStaticText(at, cell.top() + drop, laid)

    def _laid(self, text: str, bold: bool) -> tuple[QStaticText, int]:
        """Return a text laid out, and its width in pixels."""
        held = self._texts.get((text, bold))
        if held is None:
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            static = QStaticText(text)
            static.setTextFormat(Qt.TextFormat.PlainText)
            static.prepare(QTransform(), self._fonts[bold])
            held = self._texts[text, bold] = (static, round(static.size().width()))
        return held

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
