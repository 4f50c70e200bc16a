"""Paints a `LadderView`: asks above, bids below, bars behind the numbers, band edges and the reach of knowledge."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.domain.units import ASK, BID, DEPTHS_PCT
from app.ui import theme
from app.viewmodels import formats
from app.viewmodels.ladder import LadderSide, LadderView

ROW: Final = 18
MID: Final = 24
HEADER: Final = 20
TAG_WIDTH: Final = 42
PAD: Final = 6
WIDE: Final = 330

_RIGHT: Final = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_LEFT: Final = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_CENTER: Final = int(Qt.AlignmentFlag.AlignCenter)


class LadderCanvas(QWidget):
    """The ladder itself; `show_view` takes what it paints."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view: LadderView | None = None
        self._message = ""
        self._now_ns = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Order book ladder")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def sizeHint(self) -> QSize:
        """Prefer room for 14 rows a side."""
        return QSize(360, HEADER + MID + 28 * ROW)

    def minimumSizeHint(self) -> QSize:
        """Allow three rows a side."""
        return QSize(220, HEADER + MID + 6 * ROW)

    def rows(self) -> int:
        """Return how many rows fit on each side."""
        return max(1, (self.height() - HEADER - MID) // 2 // ROW)

    def show_view(self, view: LadderView | None, message: str, now_ns: int) -> None:
        """Take a view and a sentence that covers it (empty: none)."""
        self._view, self._message, self._now_ns = view, message, now_ns
        self.update()

    def _columns(self) -> list[tuple[str, int, int]]:
        """Return (name, left, width) of the columns that fit."""
        names = ["price", "size", "sum", "sum usd"] if self.width() >= WIDE else ["price", "size", "sum usd"]
        shares = {"price": 30, "size": 22, "sum": 24, "sum usd": 24}
        total = sum(shares[name] for name in names)
        room = self.width() - TAG_WIDTH - PAD
        columns, left = [], float(TAG_WIDTH)
        for name in names:
            width = room * shares[name] / total
            columns.append((name, round(left), round(width)))
            left += width
        return columns

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint everything; about 3 ms for 40 rows."""
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.panel))
        columns = self._columns()
        self._paint_header(painter, look, columns)
        view = self._view
        if view is not None:
            if self._message:
                painter.setOpacity(0.35)
            biggest = max((float(side.cum_usd[-1]) for side in view.sides if len(side)), default=0.0)
            largest = max((float(side.usd.max()) for side in view.sides if len(side)), default=0.0)
            middle = self._middle()
            self._paint_side(painter, look, columns, view, ASK, middle, (biggest, largest))
            self._paint_side(painter, look, columns, view, BID, middle, (biggest, largest))
            self._paint_middle(painter, look, view, middle)
            painter.setOpacity(1.0)
        if self._message:
            self._paint_message(painter, look)
        painter.end()

    def _middle(self) -> int:
        """Return the top of the strip between asks and bids."""
        return HEADER + (self.height() - HEADER - MID) // 2

    def _paint_header(self, painter: QPainter, look: theme.Theme, columns: list[tuple[str, int, int]]) -> None:
        painter.setPen(QColor(look.muted))
        words = {"price": "Price", "size": "Size", "sum": "Sum coins", "sum usd": "Sum USD"}
        for name, left, width in columns:
            painter.drawText(QRect(left, 0, width, HEADER), _RIGHT, words[name])
        painter.setPen(QColor(look.border))
        painter.drawLine(0, HEADER - 1, self.width(), HEADER - 1)

    def _row_rect(self, side: int, row: int, middle: int) -> QRect:
        top = middle - (row + 1) * ROW if side == ASK else middle + MID + row * ROW
        return QRect(0, top, self.width(), ROW)

    def _paint_side(
        self,
        painter: QPainter,
        look: theme.Theme,
        columns: list[tuple[str, int, int]],
        view: LadderView,
        side: int,
        middle: int,
        scale: tuple[float, float],
    ) -> None:
        rows = view.sides[side]
        colour, ramp = QColor(look.up if side == BID else look.down), look.ramp(side)
        sum_bar, size_bar = QColor(colour), QColor(colour)
        sum_bar.setAlphaF(0.08)
        size_bar.setAlphaF(0.20)
        text, muted = QColor(look.text), QColor(look.muted)
        faded = QColor(colour)
        faded.setAlphaF(0.72)
        left, room = TAG_WIDTH, self.width() - TAG_WIDTH
        count = min(len(rows), self.rows())
        for row in range(count):
            rect = self._row_rect(side, row, middle)
            top, height = rect.top(), ROW - 1
            for bar, value, most in ((sum_bar, rows.cum_usd[row], scale[0]), (size_bar, rows.usd[row], scale[1])):
                width = round(room * float(value) / most) if most > 0 else 0
                painter.fillRect(left + room - width, top, width, height, bar)
            band = int(rows.band[row])
            if band < len(ramp):
                painter.fillRect(0, top, 3, ROW, QColor(ramp[band]))
            unsure = rows.unconfirmed[row] > 0.5
            for (_, x, width), value in zip(columns, self._cells(rows, row, view), strict=True):
                first = x == columns[0][1]
                painter.setPen((faded if unsure else colour) if first else (muted if unsure else text))
                painter.drawText(QRect(x, top, width, height), _RIGHT, value)
        self._paint_edges(painter, look, rows, side, middle, count)

    def _cells(self, rows: LadderSide, row: int, view: LadderView) -> list[str]:
        price = formats.price(float(rows.price[row]), view.book.tick_size)
        size = formats.volume(float(rows.qty[row]))
        total = formats.volume(float(rows.cum_qty[row]))
        beyond = "≥ " if row >= rows.known_row else ""
        usd = beyond + formats.volume(float(rows.cum_usd[row]))
        return [price, size, total, usd] if self.width() >= WIDE else [price, size, usd]

    def _paint_edges(
        self, painter: QPainter, look: theme.Theme, rows: LadderSide, side: int, middle: int, count: int
    ) -> None:
        ramp = look.ramp(side)
        metrics = QFontMetrics(self.font())
        taken: set[int] = set()
        for row, band in reversed(rows.edges):
            if row > count or row in taken:
                continue
            taken.add(row)
            y = middle - row * ROW if side == ASK else middle + MID + row * ROW - 1
            painter.setPen(QColor(ramp[band]))
            painter.drawLine(0, y, self.width(), y)
            tag = f"{DEPTHS_PCT[band]:g} %"
            box_top = y - ROW if side == BID else y + 1
            painter.drawText(QRect(6, box_top, metrics.horizontalAdvance(tag) + 2, ROW), _LEFT, tag)
        if 0 < rows.known_row < count:
            y = middle - rows.known_row * ROW if side == ASK else middle + MID + rows.known_row * ROW - 1
            pen = QPen(QColor(look.warning))
            pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.drawLine(4, y, self.width(), y)
            if rows.known_row + 1 not in taken:
                painter.drawText(QRect(6, y - ROW if side == ASK else y + 1, TAG_WIDTH, ROW), _LEFT, "known")

    def _paint_middle(self, painter: QPainter, look: theme.Theme, view: LadderView, middle: int) -> None:
        rect = QRect(0, middle, self.width(), MID)
        painter.fillRect(rect, QColor(look.raised))
        tick = view.book.tick_size
        spread, points = view.spread, view.spread_bp
        words = f"spread {formats.price(spread, tick)}"
        if points is not None:
            words += f" · {points:.2f} bp"
        painter.setPen(QColor(look.muted))
        painter.drawText(rect, _CENTER, words)
        painter.setPen(QColor(look.up))
        painter.drawText(rect.adjusted(PAD, 0, 0, 0), _LEFT, formats.price(float(view.book.best[BID]), tick))
        painter.setPen(QColor(look.down))
        painter.drawText(rect.adjusted(0, 0, -PAD, 0), _RIGHT, formats.price(float(view.book.best[ASK]), tick))

    def _paint_message(self, painter: QPainter, look: theme.Theme) -> None:
        room = QRect(0, 0, min(self.width() - 24, 360), 1000)
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        needed = painter.boundingRect(room, flags, self._message)
        box = QRect(0, 0, needed.width() + 32, needed.height() + 20)
        box.moveCenter(self.rect().center())
        painter.fillRect(box, QColor(look.raised))
        painter.setPen(QColor(look.warning))
        painter.drawRect(box)
        painter.setPen(QColor(look.text))
        painter.drawText(box, flags, self._message)

    def row_at(self, position: QPoint) -> tuple[int, int] | None:
        """Return (side, row) under a point, None when there is no row."""
        if self._view is None:
            return None
        middle = self._middle()
        if HEADER <= position.y() < middle:
            side, row = ASK, (middle - 1 - position.y()) // ROW
        elif position.y() >= middle + MID:
            side, row = BID, (position.y() - middle - MID) // ROW
        else:
            return None
        return (side, row) if row < min(len(self._view.sides[side]), self.rows()) else None

    def row_tip(self, side: int, row: int) -> str:
        """Return what a row means, in full numbers and words."""
        if self._view is None:
            return ""
        view, rows = self._view, self._view.sides[side]
        best = float(view.book.best[side])
        price = float(rows.price[row])
        name = ("Bid", "Ask")[side]
        band = int(rows.band[row])
        lines = [
            f"{name} {formats.price(price, view.book.tick_size)}  ({abs(price / best - 1) * 100:.2f} % from the best)",
            f"In this row: {formats.full(float(rows.qty[row]), 4)} coins, {formats.full(float(rows.usd[row]))} USD",
            f"To here: {formats.full(float(rows.cum_qty[row]), 4)} coins, {formats.full(float(rows.cum_usd[row]))} USD",
            f"Within the {DEPTHS_PCT[band]:g} % band" if band < len(DEPTHS_PCT) else "Beyond the 60 % band",
        ]
        if row >= rows.known_row:
            known = formats.known_to(name.lower(), float(view.book.known_to_pct[side]))
            lines.append(f"Beyond what is proven ({known}): more may be there")
        if rows.unconfirmed[row] > 0:
            age = formats.age(self._now_ns - int(rows.since_ns[row]))
            share = formats.percent(float(rows.unconfirmed[row]) * 100, 0)
            lines.append(f"{share} of it unconfirmed for up to {age}")
        return "\n".join(lines)

    def event(self, event: QEvent) -> bool:
        """Explain the row under the cursor."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            hit = self.row_at(event.pos())
            if hit is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.row_tip(*hit), self)
            return True
        return super().event(event)
