"""The legend inside the plot: one line per curve with its stroke, name and the value under the crosshair.

A click on a line switches its curve off or on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QToolTip, QWidget

from app.domain.coverage import Known
from app.ui.charts.raster import FLOOR_DASH, HATCH_LENGTH, HATCH_STEP, PARTIAL_DASH
from app.ui.theme import Theme

ROW = 15
STROKE = 24


@dataclass(frozen=True, slots=True)
class LegendLine:
    """One curve in the legend; tip says how well it is known, in words."""

    key: str
    name: str
    value: str
    tip: str
    colour: str
    thick: bool
    known: Known
    hidden: bool


class Legend(QWidget):
    """Lies over the plot's upper left corner."""

    toggled = Signal(str)

    def __init__(self, parent: QWidget, font: QFont) -> None:
        super().__init__(parent)
        self.setFont(font)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Legend")
        self._look: Theme | None = None
        self._picture: QPixmap | None = None
        self._lines: list[LegendLine] = []
        self._room = QSize(0, 0)
        self._columns: list[tuple[int, int]] = []
        self._rows = 0
        self._metrics = QFontMetrics(font)

    def set_look(self, look: Theme) -> None:
        """Put on a theme."""
        self._look = look
        self._picture = None
        self.update()

    def set_lines(self, lines: Sequence[LegendLine], room: QSize) -> None:
        """Show these curves within a room in pixels."""
        if list(lines) == self._lines and room == self._room:
            return
        self._lines, self._room = list(lines), room
        self._arrange()
        self._picture = None
        self.update()

    @property
    def shown(self) -> int:
        """Return for how many curves there is room."""
        return min(len(self._lines), self._rows * len(self._columns))

    def _arrange(self) -> None:
        """Lay the lines out in columns no higher than the room; what does not fit is left to the menu."""
        self._rows = max(1, min(len(self._lines), (self._room.height() - 4) // ROW))
        self._columns = []
        left = 4
        for start in range(0, len(self._lines), self._rows):
            part = self._lines[start : start + self._rows]
            width = STROKE + max(
                self._metrics.horizontalAdvance(line.name)
                + (self._metrics.horizontalAdvance(line.value) + 8 if line.value else 0)
                for line in part
            )
            if self._columns and left + width > self._room.width():
                break
            self._columns.append((left, width))
            left += width + 12
        self.setVisible(bool(self._lines))
        self.resize(min(left - 4, self._room.width()), self._rows * ROW + 4)

    def line_at(self, at: QPoint) -> LegendLine | None:
        """Return the curve at a pixel, None beside them."""
        row = (at.y() - 2) // ROW
        for column, (left, width) in enumerate(self._columns):
            index = column * self._rows + row
            if left - 4 <= at.x() < left + width + 8 and 0 <= row < self._rows and index < len(self._lines):
                return self._lines[index]
        return None

    def event(self, event: QEvent) -> bool:
        """Say on hover how well the curve under the pointer is known."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            line = self.line_at(event.pos())
            if line is not None:
                QToolTip.showText(event.globalPos(), f"{line.name}: {line.tip}\nClick to switch it off or on", self)
                return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Toggle the curve under the pointer."""
        line = self.line_at(event.position().toPoint())
        if line is not None and event.button() == Qt.MouseButton.LeftButton:
            self.toggled.emit(line.key)
            event.accept()
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Put the picture of the lines on screen: the curves beneath change far more often than it does."""
        if self._look is None or not self._lines:
            return
        if self._picture is None:
            ratio = self.devicePixelRatioF()
            self._picture = QPixmap(self.size() * ratio)
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            self._draw(QPainter(self._picture), self._look)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.end()

    def _draw(self, painter: QPainter, look: Theme) -> None:
        painter.setFont(self.font())
        back = QColor(look.panel)
        back.setAlphaF(0.72)
        painter.fillRect(self.rect(), back)
        for column, (left, width) in enumerate(self._columns):
            for row in range(self._rows):
                index = column * self._rows + row
                if index >= len(self._lines):
                    break
                line = self._lines[index]
                top = 2 + row * ROW
                colour = QColor(look.muted if line.hidden else line.colour)
                draw_stroke(painter, QRect(left, top, STROKE - 6, ROW), colour, line.known, line.thick, line.hidden)
                text = QRect(left + STROKE, top, width - STROKE + 2, ROW)
                painter.setPen(QColor(look.muted))
                painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, line.name)
                if line.value:
                    painter.setPen(QColor(look.text))
                    painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, line.value)
                if line.hidden:
                    painter.setPen(QColor(look.muted))
                    middle = top + ROW // 2
                    end = left + STROKE + self._metrics.horizontalAdvance(line.name)
                    painter.drawLine(left + STROKE, middle, end, middle)
        painter.end()


def draw_stroke(painter: QPainter, rect: QRect, colour: QColor, known: Known, thick: bool, hidden: bool) -> None:
    """Draw a sample of a curve: solid, long dashes with hatch (floor), short dashes (partial)."""
    y = rect.center().y() - (2 if known is Known.FLOOR else 0)
    period, drawn = {Known.FLOOR: FLOOR_DASH, Known.PARTIAL: PARTIAL_DASH}.get(known, (1, 1))
    height = 2 if thick else 1
    for x in range(rect.width()):
        if x % period < drawn:
            painter.fillRect(rect.left() + x, y, 1, height, colour)
        if known is Known.FLOOR and not hidden and x % HATCH_STEP == HATCH_STEP - 2:
            for step in range(2, 2 + HATCH_LENGTH):
                painter.fillRect(rect.left() + x - step, y + step, 1, 1, colour)
