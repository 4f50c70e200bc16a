"""Paints the seven bands of a book side by side: USD, coins and threshold, each with how well it is known."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.domain.coverage import Coverage
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.ui import theme
from app.viewmodels import formats
from app.viewmodels.sources import BookView

ROW: Final = 18
MIDDLE: Final = 62
WIDE: Final = 470
MEDIUM: Final = 290

_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT: Final = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_CENTER: Final = int(Qt.AlignmentFlag.AlignCenter)


class BandTable(QWidget):
    """Bids to the left, asks to the right of the band; columns that do not fit are in the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._book: BookView | None = None
        self._stale = False
        self.setFixedHeight(2 * ROW + len(DEPTHS_PCT) * ROW + 4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Depth per band")

    def minimumSizeHint(self) -> QSize:
        """Return the least width that is readable."""
        return QSize(220, self.height())

    def show_book(self, book: BookView | None, stale: bool) -> None:
        """Take a book; a stale one is painted grey."""
        self._book, self._stale = book, stale
        self.update()

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a side that fit, nearest the middle first."""
        if self.width() >= WIDE:
            return ("usd", "coins", "to")
        return ("usd", "coins") if self.width() >= MEDIUM else ("usd",)

    def cell(self, name: str, side: int, band: int) -> str:
        """Return the text of one cell."""
        book = self._book
        if book is None:
            return formats.UNKNOWN
        coverage = Coverage(int(book.coverage[side, band]))
        if name == "to":
            threshold = float(book.threshold[side, band])
            return formats.price(threshold, book.tick_size) if coverage is not Coverage.NONE else formats.UNKNOWN
        values = book.usd if name == "usd" else book.coins
        unconfirmed = float(book.unconfirmed[side, band])
        return formats.known_text(float(values[side, band]), coverage, unconfirmed, pending=not book.live)

    def short_threshold(self, side: int, band: int) -> str:
        """Return a threshold price without decimals, for a narrow column; never one that is cut off."""
        book = self._book
        if book is None or Coverage(int(book.coverage[side, band])) is Coverage.NONE:
            return formats.UNKNOWN
        threshold = float(book.threshold[side, band])
        return f"{threshold:,.0f}" if threshold >= 1000 else f"{threshold:.3g}"

    def band_tip(self, side: int, band: int) -> str:
        """Return how well a cell is known, in words and full numbers."""
        book = self._book
        if book is None:
            return ""
        name = ("bid", "ask")[side]
        coverage = Coverage(int(book.coverage[side, band]))
        head = f"{name.capitalize()} within {DEPTHS_PCT[band]:g} %"
        if coverage is Coverage.NONE:
            return f"{head}: not known, {book.reason or 'the book is not in step yet'}"
        known = formats.known_to(name, float(book.known_to_pct[side]))
        unconfirmed = float(book.unconfirmed[side, band])
        words = {
            Coverage.EXACT: "exact: every price of the band is proven",
            Coverage.PARTIAL: "a floor: at least this much is there" if not unconfirmed > 0 else "approximate",
        }[coverage]
        lines = [
            f"{head}: {words}",
            f"{formats.full(float(book.usd[side, band]))} USD, {formats.full(float(book.coins[side, band]), 4)} coins",
            f"Threshold price {formats.price(float(book.threshold[side, band]), book.tick_size)}",
            known.capitalize(),
        ]
        if book.bucket_pct[side, band] > 0:
            lines.append(formats.bucket_words(float(book.bucket_pct[side, band])).capitalize())
        if unconfirmed > 0:
            lines.append(f"{formats.percent(unconfirmed * 100, 0)} of the volume rests on unconfirmed levels")
        return "\n".join(lines)

    def _geometry(self, side: int) -> list[tuple[str, int, int]]:
        names = self.columns()
        room = (self.width() - MIDDLE) // 2 - 6
        width = room // len(names)
        start = self.width() // 2
        if side == BID:
            return [(name, start - MIDDLE // 2 - (i + 1) * width, width) for i, name in enumerate(names)]
        return [(name, start + MIDDLE // 2 + i * width, width) for i, name in enumerate(names)]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the table."""
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.panel))
        painter.setPen(QColor(look.border))
        painter.drawLine(0, 0, self.width(), 0)
        words = {"usd": "USD", "coins": "Coins", "to": "Threshold"}
        middle = self.width() // 2 - MIDDLE // 2
        painter.setPen(QColor(look.muted))
        painter.drawText(QRect(middle, ROW + 2, MIDDLE, ROW), _CENTER, "Band")
        for side in (BID, ASK):
            columns = self._geometry(side)
            left = min(x for _, x, _ in columns)
            room = QRect(left + 4, 2, sum(width for _, _, width in columns) - 8, ROW)
            painter.setPen(QColor(look.up if side == BID else look.down))
            known = self._known_words(side)
            painter.drawText(room, _RIGHT if side == BID else _LEFT, known)
            painter.setPen(QColor(look.muted))
            for name, x, width in columns:
                painter.drawText(QRect(x, ROW + 2, width - 8, ROW), _RIGHT, words[name])
        for band, depth in enumerate(DEPTHS_PCT):
            top = (2 + band) * ROW + 2
            painter.setPen(QColor(look.border))
            painter.drawLine(0, top, self.width(), top)
            painter.setPen(QColor(look.text))
            painter.drawText(QRect(middle, top, MIDDLE, ROW), _CENTER, f"{depth:g} %")
            painter.fillRect(middle, top + 4, 3, ROW - 7, QColor(look.bid_ramp[band]))
            painter.fillRect(middle + MIDDLE - 3, top + 4, 3, ROW - 7, QColor(look.ask_ramp[band]))
            for side in (BID, ASK):
                exact = self._book is not None and self._book.coverage[side, band] == Coverage.EXACT
                for name, x, width in self._geometry(side):
                    sure = exact and not self._stale and name != "to"
                    painter.setPen(QColor(look.text if sure else look.muted))
                    text = self.cell(name, side, band)
                    if name == "to" and painter.fontMetrics().horizontalAdvance(text) > width - 8:
                        text = self.short_threshold(side, band)
                    painter.drawText(QRect(x, top, width - 8, ROW), _RIGHT, text)
        painter.end()

    def _known_words(self, side: int) -> str:
        name = ("Bid", "Ask")[side]
        if self._book is None:
            return name
        reach = formats.known_to_short(float(self._book.known_to_pct[side]))
        if reach == formats.UNKNOWN:
            return name
        return f"{name} known: all" if reach == "all" else f"{name} known to {reach}"

    def event(self, event: QEvent) -> bool:
        """Explain the cell under the cursor."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            band = (event.pos().y() - 2) // ROW - 2
            side = BID if event.pos().x() < self.width() // 2 else ASK
            if 0 <= band < len(DEPTHS_PCT):
                QToolTip.showText(event.globalPos(), self.band_tip(side, band), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)
