"""The two axes of a chart: round times of the program's zone below, values with last-value tags on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from app.ui import zone
from app.ui.charts import scales
from app.ui.charts.tags import spread
from app.ui.theme import Theme

VALUE_AXIS_WIDTH = 70
TIME_AXIS_HEIGHT = 20
TAG_HEIGHT = 15


@dataclass(frozen=True, slots=True)
class Tag:
    """A last value: its text, where it belongs, and its curve's colour."""

    text: str
    value: float
    colour: str


class _ChartAxis(pg.AxisItem):  # type: ignore[misc]
    """An axis in the theme's colours and the chart's small font; it paints itself, with no picture kept between."""

    def __init__(self, orientation: str, font: QFont) -> None:
        super().__init__(orientation, showValues=False, maxTickLength=-4)
        self.enableAutoSIPrefix(False)
        self.small_font = font
        self.look: Theme | None = None

    def boundingRect(self) -> QRectF:
        """Return the axis alone; pyqtgraph's own reaches into the plot, so that every new tick would repaint it."""
        return QRectF(0, 0, self.width(), self.height())

    def restyle(self, look: Theme) -> None:
        """Put on a theme."""
        self.look = look
        self.update()


class TimeAxis(_ChartAxis):
    """Times at round moments; `marker` is the moment under the crosshair."""

    def __init__(self, font: QFont) -> None:
        super().__init__("bottom", font)
        self.setHeight(TIME_AXIS_HEIGHT)
        self._marker: tuple[float, str] | None = None

    def set_marker(self, x: float | None, text: str) -> None:
        """Show the moment under the crosshair at a pixel, or take it away (None)."""
        marker = None if x is None else (x, text)
        if marker != self._marker:
            self._marker = marker
            self.update()

    def paint(self, painter: QPainter, option: Any, widget: Any) -> None:
        """Draw the axis, then the marker over it."""
        if self.look is None:
            return
        start, end = self.range
        length = self.width()
        painter.setFont(self.small_font)
        painter.setPen(QColor(self.look.border))
        painter.drawLine(QPointF(0, 0), QPointF(length, 0))
        painter.setPen(QColor(self.look.muted))
        step = scales.time_step(end - start, length)
        for at in scales.time_ticks(start, end, step, zone.current()):
            x = (at - start) / (end - start) * length
            text = scales.time_label(at, step, zone.current())
            half = painter.fontMetrics().horizontalAdvance(text) / 2 + 2
            if half <= x <= length - half:
                painter.drawText(QRectF(x - 40, 2, 80, self.height() - 3), Qt.AlignmentFlag.AlignCenter, text)
        if self._marker is None:
            return
        x, text = self._marker
        width = painter.fontMetrics().horizontalAdvance(text) + 10
        left = min(max(x - width / 2, 0.0), max(0.0, self.width() - width))
        _label(painter, QRectF(left, 1, width, self.height() - 2), text, self.look.raised, self.look.text, self.look)


class ValueAxis(_ChartAxis):
    """Values on the right, with the newest value of each curve as a tag in its colour."""

    def __init__(self, font: QFont) -> None:
        super().__init__("right", font)
        self.setWidth(VALUE_AXIS_WIDTH)
        self.money = True
        self._tags: list[Tag] = []
        self._placed: list[tuple[float, float, Tag]] = []
        self._marker: tuple[float, str] | None = None

    @property
    def tag_places(self) -> list[tuple[float, Tag]]:
        """Return (middle in pixels, tag) of every tag drawn."""
        return [(middle, tag) for middle, _, tag in self._placed]

    def set_tags(self, tags: Sequence[Tag]) -> None:
        """Show these tags; the first ones win when there is not enough room."""
        self._tags = list(tags)
        low, high = self.range
        height = self.height()
        if not high > low or height <= 0:
            return
        wanted = [(high - tag.value) / (high - low) * height for tag in self._tags]
        inside = [min(max(y, 0.0), height) for y in wanted]
        places = spread(inside, TAG_HEIGHT, 0, height)
        placed = [
            (round(middle), round(y), tag)
            for middle, y, tag in zip(places, inside, self._tags, strict=True)
            if middle is not None
        ]
        if placed != self._placed:
            self._placed = [(float(middle), float(y), tag) for middle, y, tag in placed]
            self.update()

    def place_tags(self) -> None:
        """Lay the present tags out again, after a change of range or size."""
        self.set_tags(self._tags)

    def set_marker(self, y: float | None, text: str) -> None:
        """Show the value under the crosshair at a pixel, or take it away (None)."""
        marker = None if y is None else (y, text)
        if marker != self._marker:
            self._marker = marker
            self.update()

    def paint(self, painter: QPainter, option: Any, widget: Any) -> None:
        """Draw the axis, then tags and marker over it."""
        if self.look is None:
            return
        painter.setFont(self.small_font)
        painter.setPen(QColor(self.look.border))
        painter.drawLine(QPointF(0, 0), QPointF(0, self.height()))
        self._paint_labels(painter, self.look)
        width = self.width()
        for middle, y, tag in self._placed:
            rect = QRectF(6, middle - TAG_HEIGHT / 2, width - 7, TAG_HEIGHT - 1)
            painter.setPen(QPen(QColor(tag.colour), 1))
            painter.drawLine(QPointF(0, y), QPointF(6, middle))
            _label(painter, rect, tag.text, tag.colour, ink_on(tag.colour), None)
        if self._marker is not None:
            y, text = self._marker
            rect = QRectF(6, min(max(y - 8, 0.0), self.height() - 16), width - 7, 16)
            _label(painter, rect, text, self.look.raised, self.look.text, self.look)

    def _paint_labels(self, painter: QPainter, look: Theme) -> None:
        """Write the round values, except where a tag lies."""
        low, high = self.range
        height = self.height()
        if not high > low or height <= 0:
            return
        step = scales.value_step(high - low, height)
        values = scales.value_ticks(low, high, step)
        painter.setPen(QColor(look.muted))
        for value, text in zip(values, scales.value_labels(values, step, self.money), strict=True):
            y = (high - value) / (high - low) * height
            covered = any(abs(middle - y) < TAG_HEIGHT - 1 for middle, _, _ in self._placed)
            if not covered and 6 <= y <= height - 6:
                painter.drawText(QRectF(8, y - 8, self.width() - 8, 16), Qt.AlignmentFlag.AlignVCenter, text)


def ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#0b0e12" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.52 else "#ffffff"


def _label(painter: QPainter, rect: QRectF, text: str, back: str, ink: str, bordered: Theme | None) -> None:
    painter.fillRect(rect, QColor(back))
    if bordered is not None:
        painter.setPen(QPen(QColor(bordered.muted), 1))
        painter.drawRect(rect.adjusted(0, 0, -1, -1))
    painter.setPen(QColor(ink))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)
