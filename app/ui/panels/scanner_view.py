"""The scanner's table on screen: paints its visible cells itself and tells what the mouse is over.

Painting cell by cell through item delegates costs several model calls a cell; here one pass goes over what is visible,
with texts laid out once and kept.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QStaticText,
    QTransform,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QWidget

from app.scanner.columns import COLUMNS, Derived
from app.ui import icons, theme
from app.ui.models.scanner_table import EVENTS, FLASH_STEPS, KEYS, LEFT_KEYS, SYMBOL, ScannerTable
from app.ui.panels.common import QuietTable
from app.viewmodels import formats
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_events import badge_words

PAD: Final = 6
STAR: Final = 16
_KEPT_TEXTS: Final = 12_000
_LEFT: Final = tuple(key in LEFT_KEYS for key in KEYS)
WIDTHS: Final[dict[str, int]] = {
    "symbol": 124,
    "venue": 80,
    "market": 68,
    "last": 88,
    "change_24h": 68,
    "volume_24h": 96,
    "high_24h": 88,
    "low_24h": 88,
    "bid": 88,
    "ask": 88,
    "spread_bp": 82,
    "mark": 88,
    "index": 88,
    "funding": 84,
    "funding_hours": 86,
    "funding_year": 86,
    "open_interest": 86,
    "open_interest_usd": 92,
    "delta": 66,
    "liq_long": 96,
    "liq_short": 100,
    "events": 150,
    "age": 54,
}


class ScannerView(QuietTable):
    """The table. hovered: the position under the mouse, -1 for none; message: what to say when there are no rows."""

    pointed = Signal(bool)

    def __init__(self, model: ScannerModel, items: ScannerTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._items = items
        self.hovered = -1
        self.is_pointed = False
        self.message = ""
        self._texts: dict[str, tuple[QStaticText, int]] = {}
        self._font = QFont()
        self.setModel(items)
        self.setAccessibleName("Market scanner")
        self.setMouseTracking(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        rows = self.verticalHeader()
        rows.hide()
        rows.setMinimumSectionSize(16)
        rows.setDefaultSectionSize(theme.ROW_HEIGHT - 2)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(36)
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        header.setStretchLastSection(False)
        header.setSortIndicatorShown(False)  # it would cover the title; the title carries an arrow instead
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.setAccessibleName("Columns of the scanner")
        for section, key in enumerate(KEYS):
            header.resizeSection(section, WIDTHS[key])
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme and forget laid-out texts."""
        look = theme.current()
        self._texts.clear()
        self._font = self.font()
        self._plain = QPen(QColor(look.text))
        self._muted = QPen(QColor(look.muted))
        self._accent = QColor(look.accent)
        self._signs = {1: QPen(QColor(look.up)), -1: QPen(QColor(look.down)), 0: QPen(QColor(look.warning))}
        self._base, self._raised = QColor(look.panel), QColor(look.raised)
        self._selected = QColor(look.selection)
        self._fading = {
            sign: [self._plain, *(QPen(_mixed(look.text, colour, step / 3)) for step in range(1, FLASH_STEPS + 1))]
            for sign, colour in ((1, look.up), (-1, look.down))
        }
        self._star = icons.icon("star-filled", look.warning, 12).pixmap(QSize(12, 12), self.devicePixelRatio())
        self.viewport().update()

    # -- what is visible -----------------------------------------------------------------------------------------

    def shown(self) -> tuple[int, int]:
        """Return the first position on screen and the one after the last."""
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        return first, (last if last >= 0 else len(self._model) - 1) + 1

    def shown_rows(self) -> list[int]:
        """Return the board's rows that are on screen."""
        first, after = self.shown()
        return [self._model.row_at(position) for position in range(first, min(after, len(self._model)))]

    # -- painting ------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows and columns that the event asks for."""
        painter = QPainter(self.viewport())
        area = event.rect()
        painter.fillRect(area, self._base)
        painter.setFont(self._font)
        if not len(self._model):
            self._paint_message(painter)
            return
        first = max(0, self.rowAt(area.top()))
        last = self.rowAt(area.bottom())
        last = min(last if last >= 0 else self._items.rowCount() - 1, len(self._model) - 1)
        height = self.verticalHeader().defaultSectionSize()
        line = painter.fontMetrics().height()
        columns = self._columns(area)
        selected = self.selectionModel().selectedRows()
        chosen = selected[0].row() if selected else -1
        current = self.currentIndex().row() if self.hasFocus() else -1
        top = self.rowViewportPosition(first)
        stale_s = self._model.cells.stale_s
        ages = self._model.board.values[Derived.AGE_S]
        for position in range(first, last + 1):
            if position == chosen:
                painter.fillRect(area.left(), top, area.width(), height, self._selected)
            elif position == self.hovered:
                painter.fillRect(area.left(), top, area.width(), height, self._raised)
            row = self._model.row_at(position)
            self._paint_row(painter, row, columns, top, top + (height - line) // 2, not ages[row] <= stale_s)
            if position == current:
                painter.fillRect(0, top, 2, height, self._accent)
            top += height

    def _columns(self, area: QRect) -> list[tuple[int, int, int]]:
        """Return (section, left edge, width) of the visible columns that lie in an area."""
        header = self.horizontalHeader()
        found = []
        for section in range(header.count()):
            if header.isSectionHidden(section):
                continue
            left, width = self.columnViewportPosition(section), header.sectionSize(section)
            if left <= area.right() and left + width >= area.left():
                found.append((section, left, width))
        return found

    def _paint_row(
        self, painter: QPainter, row: int, columns: list[tuple[int, int, int]], top: int, baseline: int, stale: bool
    ) -> None:
        items, flash = self._items, self._items.flash
        flashing = row < flash.shape[1]
        for section, left, width in columns:
            if section == EVENTS:
                self._paint_badges(painter, row, left, width, baseline, stale)
                continue
            if section == SYMBOL:
                left, width = self._paint_marks(painter, row, left, width, top)
            text = items.text(row, section)
            source = COLUMNS[section].source
            strength = int(flash[source, row]) if source is not None and flashing else 0
            if stale or text == formats.UNKNOWN:
                pen = self._muted
            elif strength:
                sign = 1 if strength > 0 else -1
                pen = self._fading[sign][abs(strength)]
            else:
                direction = items.direction(row, section)
                pen = self._signs[direction] if direction else self._plain
            painter.setPen(pen)
            laid, wide = self._laid(text)
            if wide > width - PAD:
                laid, wide = self._laid(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width - PAD))
            at = left + PAD if _LEFT[section] else left + width - PAD - wide
            painter.drawStaticText(at, baseline, laid)
            if strength and not stale:
                arrow, arrow_width = self._laid("▲" if strength > 0 else "▼")
                if at - left >= arrow_width + 2:
                    painter.drawStaticText(at - arrow_width - 2, baseline, arrow)

    def _paint_marks(self, painter: QPainter, row: int, left: int, width: int, top: int) -> tuple[int, int]:
        """Paint star and hot mark of the symbol cell; return what is left of it."""
        height = self.verticalHeader().defaultSectionSize()
        instrument = self._model.instrument(row)
        if instrument in self._model.favourites:
            painter.drawPixmap(QPoint(left + 4, top + (height - 12) // 2), self._star)
        right = left + width
        if instrument in self._model.budget.hot():
            pinned = self._model.budget.is_pinned(*instrument)
            mark, wide = self._laid("◆" if pinned else "●")
            painter.setPen(QPen(self._accent))
            painter.drawStaticText(right - wide - 3, top + (height - self.fontMetrics().height()) // 2, mark)
            right -= wide + 2
        return left + STAR - PAD + 4, right - left - STAR + PAD - 4

    def _paint_badges(self, painter: QPainter, row: int, left: int, width: int, baseline: int, stale: bool) -> None:
        at, end = left + PAD, left + width - 2
        badges = self._model.events.badges(row)
        for index, badge in enumerate(badges):
            laid, wide = self._laid(badge_words(badge))
            if at + wide > end:
                more, wide = self._laid(f"+{len(badges) - index}")
                painter.setPen(self._muted)
                if at + wide <= end:
                    painter.drawStaticText(at, baseline, more)
                return
            painter.setPen(self._muted if stale else self._signs[badge.direction])
            painter.drawStaticText(at, baseline, laid)
            at += wide + 7

    def _laid(self, text: str) -> tuple[QStaticText, int]:
        """Return a text laid out, and its width in pixels."""
        held = self._texts.get(text)
        if held is None:
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            static = QStaticText(text)
            static.setTextFormat(Qt.TextFormat.PlainText)
            static.prepare(QTransform(), self._font)
            held = self._texts[text] = (static, round(static.size().width()))
        return held

    def _paint_message(self, painter: QPainter) -> None:
        painter.setPen(self._muted)
        room = self.viewport().rect().adjusted(24, 24, -24, -24)
        flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
        painter.drawText(room, flags, self.message)

    # -- mouse and keyboard --------------------------------------------------------------------------------------

    def viewportEvent(self, event: QEvent) -> bool:
        """Notice when the mouse comes over the rows and leaves them."""
        kind = event.type()
        if kind == QEvent.Type.Enter:
            self._point(True)
        elif kind == QEvent.Type.Leave:
            self._hover(-1)
            self._point(False)
        return super().viewportEvent(event)

    def _point(self, pointed: bool) -> None:
        if pointed != self.is_pointed:
            self.is_pointed = pointed
            self.pointed.emit(pointed)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light up the row under the mouse."""
        self._point(True)
        self._hover(self.rowAt(round(event.position().y())))
        super().mouseMoveEvent(event)

    def _hover(self, position: int) -> None:
        if position != self.hovered:
            self.hovered = position
            self.viewport().update()

    def hideEvent(self, event: QHideEvent) -> None:
        """Forget the mouse when the table goes off screen: no leave event comes then."""
        self._hover(-1)
        self._point(False)
        super().hideEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which row has the keyboard."""
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Take the mark of the keyboard away."""
        super().focusOutEvent(event)
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Pick with Enter; leave letters to the search."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.activated.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


def _mixed(first: str, second: str, share: float) -> QColor:
    """Return a colour between two, at most the second."""
    one, two, part = QColor(first), QColor(second), min(1.0, share)
    return QColor(
        round(one.red() + (two.red() - one.red()) * part),
        round(one.green() + (two.green() - one.green()) * part),
        round(one.blue() + (two.blue() - one.blue()) * part),
    )
