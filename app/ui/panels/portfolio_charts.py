"""Two small pictures under the positions: what the money is in, and the profit and loss of the day."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from app.domain.units import NS_PER_MS
from app.portfolio.groups import By, Share
from app.ui import theme, zone
from app.ui.charts import scales
from app.ui.panels.common import plain_label
from app.viewmodels import formats
from app.viewmodels.portfolio import PortfolioModel
from app.viewmodels.portfolio_curve import Curve, CurveOf
from app.viewmodels.portfolio_numbers import money, signed

_ROW: Final = 18
_NAME: Final = 128
_NUMBERS: Final = 132
_LEAST_SPAN_MS: Final = 30 * 60_000


class Headed(QWidget):
    """A title, a choice and a picture."""

    def __init__(self, title: str, choices: list[tuple[str, str]], picture: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        name = plain_label(self, "muted")
        name.setText(title)
        self.box = QComboBox(self)
        self.box.setAccessibleName(title)
        for text, value in choices:
            self.box.addItem(text, value)
        self.note = plain_label(self, "muted")
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        head = QHBoxLayout()
        head.setContentsMargins(8, 3, 8, 3)
        head.setSpacing(6)
        head.addWidget(name)
        head.addWidget(self.box)
        head.addWidget(self.note, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(picture, 1)

    def choose(self, value: str) -> None:
        """Show a choice without announcing it."""
        self.box.setCurrentIndex(max(0, self.box.findData(value)))


class AllocationBars(QWidget):
    """One bar a part: long to the right of the axis, short to the left of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shares: list[Share] = []
        self._shown: list[Share] = []
        self._unit = ""
        self._stale = False
        self.setMinimumSize(QSize(200, 5 * _ROW))
        self.setAccessibleName("Allocation")

    def show_shares(self, shares: list[Share], unit: str, *, is_stale: bool) -> None:
        """Take the parts, the largest first."""
        if (shares, unit, is_stale) != (self._shares, self._unit, self._stale):
            self._shares, self._unit, self._stale = shares, unit, is_stale
            self.setAccessibleDescription("; ".join(self._words(share) for share in shares[:10]))
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bars."""
        look, painter = theme.current(), QPainter(self)
        painter.fillRect(self.rect(), theme.colour(look.panel))
        self._shown = self._fitted()
        if not self._shown:
            painter.setPen(theme.colour(look.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter.value, "nothing with a known value in base")
        room = QRect(8 + _NAME, 0, max(10, self.width() - 16 - _NAME - _NUMBERS), self.height())
        long = max((share.long for share in self._shown), default=0.0)
        short = max((share.short for share in self._shown), default=0.0)
        scale = room.width() / (long + short) if long + short > 0 else 0.0
        axis = room.left() + round(short * scale)
        gross = sum(share.gross for share in self._shown)
        ink = (
            (theme.colour(look.muted),) * 2
            if self._stale
            else (
                theme.colour(look.bid_ramp[4]),
                theme.colour(look.ask_ramp[3]),
            )
        )
        for place, share in enumerate(self._shown):
            self._paint_row(painter, share, 4 + place * _ROW, axis, scale, gross, ink)
        if self._shown:
            painter.setPen(theme.colour(look.border))
            painter.drawLine(axis, 2, axis, 4 + len(self._shown) * _ROW)
        painter.end()

    def _paint_row(
        self,
        painter: QPainter,
        share: Share,
        top: int,
        axis: int,
        scale: float,
        gross: float,
        ink: tuple[QColor, ...],
    ) -> None:
        look, middle = theme.current(), Qt.AlignmentFlag.AlignVCenter.value
        painter.setPen(theme.colour(look.text))
        metrics = painter.fontMetrics()
        mark = f" ({share.unknown} unknown)" if share.unknown else ""
        name = metrics.elidedText(share.name + mark, Qt.TextElideMode.ElideRight, _NAME - 8)
        painter.drawText(QRect(8, top, _NAME - 8, _ROW), middle, name)
        painter.fillRect(QRect(axis, top + 4, max(1, round(share.long * scale)) if share.long else 0, _ROW - 8), ink[0])
        width = max(1, round(share.short * scale)) if share.short else 0
        painter.fillRect(QRect(axis - width, top + 4, width, _ROW - 8), ink[1])
        painter.setPen(theme.colour(look.muted if self._stale else look.text))
        net = share.long - share.short
        sign = formats.PARTIAL_SIGN if share.unknown else ""
        right = Qt.AlignmentFlag.AlignRight.value | middle
        left = self.width() - 8 - _NUMBERS
        painter.drawText(QRect(left, top, _NUMBERS - 50, _ROW), right, f"{sign} {formats.volume(net)}".strip())
        painter.setPen(theme.colour(look.muted))
        part = f"{share.gross / gross * 100:.1f} %" if gross else formats.UNKNOWN
        painter.drawText(QRect(left, top, _NUMBERS, _ROW), right, part)

    def _fitted(self) -> list[Share]:
        """Return as many parts as there is room for, the rest as one."""
        known = [share for share in self._shares if share.gross or share.unknown]
        lines = max(2, (self.height() - 8) // _ROW)
        if len(known) <= lines:
            return known
        rest = known[lines - 1 :]
        others = Share(
            f"{len(rest)} others",
            sum(share.long for share in rest),
            sum(share.short for share in rest),
            sum(share.unknown for share in rest),
        )
        return [*known[: lines - 1], others]

    def _words(self, share: Share) -> str:
        parts = [f"{share.name}: long {money(share.long)}, short {money(share.short)} {self._unit}".rstrip()]
        if share.unknown:
            parts.append(f"{share.unknown} more have no price or no rate and are not in it")
        return "\n".join(parts)

    def event(self, event: QEvent) -> bool:
        """Say what a bar is."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            place = (event.pos().y() - 4) // _ROW
            if 0 <= place < len(self._shown):
                QToolTip.showText(event.globalPos(), self._words(self._shown[place]), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


class DayPlot(QWidget):
    """The curve of the day; the mouse reads it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve = Curve(np.empty(0, np.int64), np.empty(0))
        self._now_ms = 0
        self._zero = True
        self._stale = False
        self._mouse: int | None = None
        self.setMinimumSize(QSize(200, 5 * _ROW))
        self.setMouseTracking(True)
        self.setAccessibleName("Profit and loss today")

    def show_curve(self, curve: Curve, now_ms: int, *, zero: bool, is_stale: bool) -> None:
        """Take the points. zero: the axis takes in 0."""
        self._curve, self._now_ms, self._zero, self._stale = curve, now_ms, zero, is_stale
        last = curve.last
        self.setAccessibleDescription("no minute yet" if last is None else f"now {money(last)}")
        self.update()

    def _frame(self) -> tuple[QRect, float, float, float, float] | None:
        known = np.isfinite(self._curve.value)
        if not known.any():
            return None
        values = self._curve.value[known]
        start, end = float(self._curve.at_ms[0]), float(max(self._now_ms, int(self._curve.at_ms[-1])))
        start = min(start, end - _LEAST_SPAN_MS)
        low, high = float(values.min()), float(values.max())
        if self._zero:
            low, high = min(low, 0.0), max(high, 0.0)
        low, high = scales.padded(low, high)
        area = self.rect().adjusted(8, 6, -66, -18)
        return area, start, end, low, high

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes and curve."""
        look, painter = theme.current(), QPainter(self)
        painter.fillRect(self.rect(), theme.colour(look.panel))
        frame = self._frame()
        if frame is None:
            painter.setPen(theme.colour(look.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter.value, "no minute of today yet")
        else:
            self._paint_axes(painter, *frame)
            self._paint_curve(painter, *frame)
            self._paint_reading(painter, *frame)
        painter.end()

    def _paint_axes(self, painter: QPainter, area: QRect, start: float, end: float, low: float, high: float) -> None:
        look = theme.current()
        grid = QPen(theme.colour(look.grid, look.grid_opacity))
        muted = QPen(theme.colour(look.muted))
        step = scales.value_step(high - low, area.height())
        ticks = scales.value_ticks(low, high, step)
        for value, label in zip(ticks, scales.value_labels(ticks, step, money=False), strict=True):
            y = round(area.bottom() - (value - low) / (high - low) * area.height())
            painter.setPen(grid)
            painter.drawLine(area.left(), y, area.right(), y)
            painter.setPen(muted)
            where = QRect(area.right() + 4, y - 8, self.width() - area.right() - 8, 16)
            painter.drawText(where, Qt.AlignmentFlag.AlignVCenter.value, label)
        span_s = (end - start) / 1000
        pace = scales.time_step(span_s, area.width())
        for at_s in scales.time_ticks(start / 1000, end / 1000, pace, zone.current()):
            x = round(area.left() + (at_s * 1000 - start) / (end - start) * area.width())
            painter.setPen(grid)
            painter.drawLine(x, area.top(), x, area.bottom())
            painter.setPen(muted)
            label = scales.time_label(at_s, pace, zone.current())
            if area.left() + 20 < x < area.right() - 20:
                where = QRect(x - 40, area.bottom() + 2, 80, 16)
                painter.drawText(where, Qt.AlignmentFlag.AlignHCenter.value, label)
        if self._zero and low < 0 < high:
            pen = QPen(theme.colour(look.muted), 1, Qt.PenStyle.DashLine)
            painter.setPen(pen)
            y = round(area.bottom() + low / (high - low) * area.height())
            painter.drawLine(area.left(), y, area.right(), y)

    def _paint_curve(self, painter: QPainter, area: QRect, start: float, end: float, low: float, high: float) -> None:
        look = theme.current()
        last = self._curve.last or 0.0
        colour = look.accent if not self._zero else look.up if last >= 0 else look.down
        painter.setPen(QPen(theme.colour(look.muted if self._stale else colour), 1))
        xs = area.left() + (self._curve.at_ms - start) / (end - start) * area.width()
        ys = area.bottom() - (self._curve.value - low) / (high - low) * area.height()
        piece: list[QPointF] = []
        for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
            if y != y:
                _draw(painter, piece)
                piece = []
            else:
                piece.append(QPointF(x, y))
        _draw(painter, piece)

    def _paint_reading(self, painter: QPainter, area: QRect, start: float, end: float, low: float, high: float) -> None:
        if self._mouse is None or not area.left() <= self._mouse <= area.right():
            return
        at_ms = start + (self._mouse - area.left()) / area.width() * (end - start)
        place = int(np.argmin(np.abs(self._curve.at_ms - at_ms)))
        value = float(self._curve.value[place])
        if value != value:
            return
        look = theme.current()
        x = round(area.left() + (float(self._curve.at_ms[place]) - start) / (end - start) * area.width())
        painter.setPen(QPen(theme.colour(look.muted), 1, Qt.PenStyle.DotLine))
        painter.drawLine(x, area.top(), x, area.bottom())
        moment = formats.clock_text(int(self._curve.at_ms[place]) * NS_PER_MS, zone.current())
        text = f"{moment}  {signed(money(value), value) if self._zero else money(value)}"
        width = painter.fontMetrics().horizontalAdvance(text) + 8
        box = QRect(min(x + 6, area.right() - width), area.top(), width, 16)
        painter.fillRect(box, theme.colour(look.raised))
        painter.setPen(theme.colour(look.text))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter.value, text)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read the curve under the mouse."""
        self._read(event.position().toPoint())

    def leaveEvent(self, event: QEvent) -> None:
        """Read nothing."""
        self._read(None)

    def _read(self, at: QPoint | None) -> None:
        self._mouse = None if at is None else at.x()
        self.update()


def _draw(painter: QPainter, piece: list[QPointF]) -> None:
    if len(piece) == 1:
        painter.drawPoint(piece[0])
    elif piece:
        painter.drawPolyline(QPolygonF(piece))


class PortfolioCharts(QWidget):
    """Both pictures side by side with their choices."""

    def __init__(self, model: PortfolioModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._state: Hashable = None
        self.bars, self.plot = AllocationBars(self), DayPlot(self)
        self.allocation = Headed("Allocation by", [(each.value, each.value) for each in By], self.bars, self)
        self.day = Headed("Today", [(each.words, each.value) for each in CurveOf], self.plot, self)
        self.allocation.box.activated.connect(lambda _at: model.set_by(By(self.allocation.box.currentData())))
        self.day.box.activated.connect(lambda _at: model.set_curve(CurveOf(self.day.box.currentData())))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.allocation, 2)
        row.addWidget(self.day, 3)

    def refresh(self) -> None:
        """Show what the model has."""
        model = self._model
        stale = model.state.is_stale
        self.allocation.choose(model.by.value)
        self.day.choose(model.curve_of.value)
        shares = model.shares()
        self.bars.show_shares(shares, model.view.base, is_stale=stale)
        longs = sum(share.long for share in shares)
        shorts = sum(share.short for share in shares)
        unit = model.view.base
        self.allocation.note.setText(f"long {formats.volume(longs)}, short {formats.volume(shorts)} {unit}".rstrip())
        state = (model.day_curve.revision, model.accounts, model.curve_of, stale, model.day[1] // 5_000, zone.name())
        if state == self._state:
            return
        self._state = state
        curve = model.curve()
        zero = model.curve_of is not CurveOf.NET_LIQUIDATION
        self.plot.show_curve(curve, model.day[1], zero=zero, is_stale=stale)
        last = curve.last
        words = "" if last is None else (signed(money(last), last) if zero else money(last))
        self.day.note.setText("  ·  ".join(part for part in (words, model.day_curve.reason) if part))
        self.day.note.setToolTip("the broker's figures of the whole account, one point a minute, since 00:00 New York")
