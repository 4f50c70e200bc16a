"""The scanner's table on screen: paints its visible cells itself and tells what the mouse is over.

Painting cell by cell through item delegates costs several model calls a cell; here one pass goes over what is visible,
with texts laid out once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QFontMetricsF,
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

from app.domain.market import Phase
from app.scanner.columns import COLUMNS, ColumnKind
from app.scanner.ranking import RowArray
from app.ui import icons, theme
from app.ui.models.scanner_table import EVENTS, FLASH_STEPS, KEYS, SYMBOL, ScannerTable
from app.ui.panels.common import QuietTable
from app.viewmodels import formats
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_cells import Mark, price_text
from app.viewmodels.scanner_events import badge_words

PAD: Final = 6
STAR: Final = 16
_KEPT_TEXTS: Final = 4_000
_MUTED_WORDS: Final = frozenset({formats.UNKNOWN, Phase.CLOSED.word})
WIDTHS: Final[dict[str, int]] = {
    "symbol": 124,
    "venue": 80,
    "market": 68,
    "last": 82,
    "change_24h": 68,
    "volume_24h": 96,
    "session": 76,
    "gap": 68,
    "halted": 74,
    "delayed": 68,
    "high_24h": 82,
    "low_24h": 82,
    "bid": 82,
    "ask": 82,
    "spread_bp": 82,
    "mark": 82,
    "index": 82,
    "funding": 84,
    "funding_hours": 86,
    "funding_year": 86,
    "open_interest": 86,
    "open_interest_usd": 92,
    "delta": 66,
    "liq_long": 96,
    "liq_short": 100,
    "events": 120,
    "age": 54,
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One row on screen: the board's row, its upper edge, whether it is stale, and the decimals of its prices."""

    row: int
    top: int
    stale: bool
    decimals: int


def _figure_font(font: QFont) -> QFont:
    """Return the font for figures: without shaping, which costs a third, where digits are of one width even so."""
    plain = QFont(font)
    plain.unsetFeature(QFont.Tag("tnum"))
    plain.setKerning(False)
    plain.setStyleStrategy(QFont.StyleStrategy.PreferNoShaping)
    metrics = QFontMetricsF(plain)
    return plain if len({metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1 else font


class _Advances(dict[str, float]):
    """Widths of letters in pixels, measured when first asked for."""

    def __init__(self, metrics: QFontMetricsF) -> None:
        super().__init__()
        self._metrics = metrics

    def __missing__(self, letter: str) -> float:
        width = self[letter] = self._metrics.horizontalAdvance(letter)
        return width


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
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # every pixel is painted here
        self.setTabKeyNavigation(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(36)
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
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
        self._metrics = QFontMetrics(self._font)
        self._height = self.verticalHeader().defaultSectionSize()
        self._drop = (self._height - self._metrics.height()) // 2
        self._figures = _figure_font(self._font)
        self._advances = _Advances(QFontMetricsF(self._figures))
        self._plain = QPen(QColor(look.text))
        self._muted = QPen(QColor(look.muted))
        self._accent = QColor(look.accent)
        self._hot = QPen(self._accent)
        self._signs = {1: QPen(QColor(look.up)), -1: QPen(QColor(look.down)), 0: QPen(QColor(look.warning))}
        self._marks = {
            Mark.HALTED: QPen(QColor(look.bad)),
            Mark.VOLATILITY: QPen(QColor(look.bad)),
            Mark.REFUSED: QPen(QColor(look.bad)),
            Mark.DELAYED: QPen(QColor(look.warning)),
            Mark.FROZEN: QPen(QColor(look.accent)),
            Mark.WAITING: self._muted,
        }
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
        begin = self.rowViewportPosition(first)
        rows = self._model.order[first : last + 1]
        decimals = self._model.cells.decimals
        lines = [
            _Line(row, begin + index * height, stale, decimals(row))
            for index, (row, stale) in enumerate(
                zip(rows.tolist(), self._model.cells.stale(rows).tolist(), strict=True)
            )
        ]
        self._paint_backgrounds(painter, area, first, last, begin, height)
        for section, left, width in self._columns(area):
            if section == EVENTS:
                self._paint_badges(painter, lines, left, width)
            elif section == SYMBOL:
                self._paint_symbols(painter, lines, left, width)
            elif COLUMNS[section].source is None:
                self._paint_words(painter, lines, section, left, width)
            else:
                self._paint_numbers(painter, rows, lines, section, left, width)

    def _paint_backgrounds(
        self, painter: QPainter, area: QRect, first: int, last: int, begin: int, height: int
    ) -> None:
        selected = self.selectionModel().selectedRows()
        chosen = selected[0].row() if selected else -1
        for position, colour in ((self.hovered, self._raised), (chosen, self._selected)):
            if first <= position <= last:
                painter.fillRect(area.left(), begin + (position - first) * height, area.width(), height, colour)
        current = self.currentIndex().row() if self.hasFocus() else -1
        if first <= current <= last:
            painter.fillRect(0, begin + (current - first) * height, 2, height, self._accent)

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

    def _paint_numbers(
        self, painter: QPainter, rows: RowArray, lines: list[_Line], section: int, left: int, width: int
    ) -> None:
        """Paint a column of figures; digits that have just changed in their colour, with an arrow before them."""
        column, flash = COLUMNS[section], self._items.flash
        assert column.source is not None
        values: list[float] = self._model.board.values[column.source, rows].tolist()
        strengths: list[int] = flash[column.source, rows].tolist() if flash.shape[1] > rows.max() else [0] * len(values)
        make, direction_of = self._model.cells.maker(column.key), self._items.direction_maker(section)
        is_price = column.kind is ColumnKind.PRICE
        signs, fading, muted, plain = self._signs, self._fading, self._muted, self._plain
        advance = self._advances.__getitem__
        right, room, rise, drop = left + width - PAD, width - 2, self._drop + self._metrics.ascent(), self._drop
        held: QPen | None = None
        painter.setFont(self._figures)
        for line, value, strength in zip(lines, values, strengths, strict=True):
            if not isfinite(value):
                text, pen = formats.UNKNOWN, muted
            else:
                text = price_text(value, line.decimals) if is_price else make(line.row, value)
                if line.stale:
                    pen = muted
                elif strength:
                    pen = fading[1 if strength > 0 else -1][abs(strength)]
                else:
                    direction = direction_of(value) if direction_of is not None else 0
                    pen = signs[direction] if direction else plain
            if pen is not held:
                held = pen
                painter.setPen(pen)
            wide = round(sum(map(advance, text)))
            if wide > room:
                text = self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
                wide = self._metrics.horizontalAdvance(text)
            painter.drawText(right - wide, line.top + rise, text)
            if strength and pen is not muted:
                arrow, arrow_width = self._laid("▲" if strength > 0 else "▼")
                if room - wide > arrow_width:
                    painter.drawStaticText(right - wide - arrow_width - 1, line.top + drop, arrow)
        painter.setFont(self._font)

    def _paint_words(self, painter: QPainter, lines: list[_Line], section: int, left: int, width: int) -> None:
        for line in lines:
            text = self._items.text(line.row, section)
            painter.setPen(self._muted if line.stale or text in _MUTED_WORDS else self._plain)
            painter.drawStaticText(left + PAD, line.top + self._drop, self._fitted(text, width - PAD))

    def _paint_symbols(self, painter: QPainter, lines: list[_Line], left: int, width: int) -> None:
        """Paint the names of instruments with stars before and hot marks after them."""
        hot, favourites, budget = self._model.budget.hot(), self._model.favourites, self._model.budget
        for line in lines:
            instrument = self._model.instrument(line.row)
            room = width - STAR - 4
            needed = self._laid(instrument[1])[1]
            for mark in self._model.cells.marks(line.row):
                word, wide = self._laid(mark.value)
                if needed + wide + 6 > room:
                    break  # the name goes before marks; the tooltip says all of them
                painter.setPen(self._marks[mark])
                painter.drawStaticText(left + STAR + 4 + room - wide - 3, line.top + self._drop, word)
                room -= wide + 6
            if instrument in favourites:
                painter.drawPixmap(QPoint(left + 4, line.top + (self._height - 12) // 2), self._star)
            if instrument in hot:
                word, wide = self._laid("◆" if budget.is_pinned(*instrument) else "●")
                painter.setPen(self._hot)
                painter.drawStaticText(left + width - wide - 3, line.top + self._drop, word)
                room -= wide
            painter.setPen(self._muted if line.stale else self._plain)
            painter.drawStaticText(left + STAR + 4, line.top + self._drop, self._fitted(instrument[1], room))

    def _paint_badges(self, painter: QPainter, lines: list[_Line], left: int, width: int) -> None:
        for line in lines:
            at, end = left + PAD, left + width - 2
            badges = self._model.events.badges(line.row)
            for index, badge in enumerate(badges):
                laid, wide = self._laid(badge_words(badge))
                if at + wide > end:
                    more, wide = self._laid(f"+{len(badges) - index}")
                    painter.setPen(self._muted)
                    if at + wide <= end:
                        painter.drawStaticText(at, line.top + self._drop, more)
                    break
                painter.setPen(self._muted if line.stale else self._signs[badge.direction])
                painter.drawStaticText(at, line.top + self._drop, laid)
                at += wide + 7

    def _fitted(self, text: str, room: int) -> QStaticText:
        """Return words laid out, shortened where they do not fit."""
        laid, wide = self._laid(text)
        if wide <= room:
            return laid
        return self._laid(self._metrics.elidedText(text, Qt.TextElideMode.ElideRight, room))[0]

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
