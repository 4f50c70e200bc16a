"""The drawing area inside the axes: a view box that reports gestures, the layer of curves, and the crosshair.

The layer keeps its picture between frames. New rows are drawn on top of it; everything is drawn again only when the
view, the look or older rows have changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from app.ui import zone
from app.ui.charts import palette, raster, scales
from app.ui.theme import Theme
from app.viewmodels.chart_series import Rows

WHEEL_ZOOM = 1.0015


class ChartBox(pg.ViewBox):  # type: ignore[misc]
    """A view box that leaves every decision to the chart; amounts are in data units, axis 0 is time, 1 value."""

    zoomed = Signal(int, float, float)
    panned = Signal(float, float)
    clicked = Signal(QPointF)
    axis_reset = Signal(int)

    def __init__(self) -> None:
        super().__init__(enableMenu=False, defaultPadding=0.0)
        self.setMouseEnabled(x=True, y=True)
        self.disableAutoRange()

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Zoom time at the cursor; over the value axis, or with Ctrl, zoom value."""
        ev.accept()
        along = axis if axis is not None else int(bool(ev.modifiers() & Qt.KeyboardModifier.ControlModifier))
        at = self.mapSceneToView(ev.scenePos())
        self.zoomed.emit(along, WHEEL_ZOOM ** -ev.delta(), at.y() if along else at.x())

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Pan in the area, stretch on an axis."""
        ev.accept()
        moved = ev.pos() - ev.lastPos()
        (x0, x1), (y0, y1) = self.viewRange()
        width, height = max(self.width(), 1.0), max(self.height(), 1.0)
        if axis == 1:
            self.zoomed.emit(1, 1.005 ** moved.y(), (y0 + y1) / 2)
        elif axis == 0:
            self.zoomed.emit(0, 1.005 ** -moved.x(), x1)
        else:
            self.panned.emit(-moved.x() * (x1 - x0) / width, moved.y() * (y1 - y0) / height)

    def mouseClickEvent(self, ev: Any) -> None:
        """Report clicks; a double click on an axis resets it."""
        if ev.button() != Qt.MouseButton.LeftButton:
            return
        ev.accept()
        inside = self.sceneBoundingRect().contains(ev.scenePos())
        if inside and not ev.double():
            self.clicked.emit(self.mapFromScene(ev.scenePos()))
        elif ev.double() and not inside:
            self.axis_reset.emit(int(ev.scenePos().x() > self.sceneBoundingRect().right()))


class CurveLayer(pg.GraphicsObject):  # type: ignore[misc]
    """The picture of all curves, in the view box's pixels."""

    def __init__(self, box: ChartBox) -> None:
        super().__init__()
        self.setParentItem(box)
        self.setZValue(1)
        self._box = box
        self._parts: list[tuple[Rows, raster.Ink]] = []
        self._drawn: list[int] = []
        self._look: Theme | None = None
        self._reference: float | None = None
        self._dirty = True
        self._frame: raster.Frame | None = None
        self._pixels = np.zeros((0, 0), np.uint32)
        self._image = QImage()
        self.full_draws = 0

    def boundingRect(self) -> QRectF:
        """Return the whole view box."""
        return QRectF(self._box.rect())

    def show_rows(self, parts: list[tuple[Rows, raster.Ink]], look: Theme, reference: float | None) -> None:
        """Draw these rows, all of them, at the next paint."""
        self._parts, self._look, self._reference = parts, look, reference
        self._dirty = True
        self.update()

    def append_rows(self, parts: list[Rows]) -> None:
        """Draw what was appended since the last time on top of the picture; `parts` hold all rows."""
        self._parts = [(rows, ink) for rows, (_, ink) in zip(parts, self._parts, strict=True)]
        if self._dirty or self._frame is None:
            self._dirty = True
            self.update()
        else:
            for i, (rows, ink) in enumerate(self._parts):
                if len(rows) > self._drawn[i]:
                    part = rows.part(max(0, self._drawn[i] - 1), len(rows))
                    raster.draw(self._pixels, self._frame, part.at_ms, part.y, part.known, ink)
                    self._drawn[i] = len(rows)
            # short of the edges, where the axes begin: touching them would repaint them with every tick
            self.update(self.boundingRect().adjusted(0, 0, -4, -4))

    def paint(self, painter: QPainter, option: Any, widget: Any) -> None:
        """Put the picture on screen, drawing it first when it is out of date."""
        if self._look is None:
            return
        ratio = painter.device().devicePixelRatioF() if painter.device() is not None else 1.0
        width = max(1, round(self._box.width() * ratio))
        height = max(1, round(self._box.height() * ratio))
        if self._pixels.shape != (height, width):
            self._pixels = np.zeros((height, width), np.uint32)
            self._image = QImage(self._pixels.data, width, height, width * 4, QImage.Format.Format_RGB32)
            self._image.setDevicePixelRatio(ratio)
            self._dirty = True
        if self._dirty:
            self._draw(width, height)
        painter.drawImage(QPointF(0, 0), self._image)

    def _draw(self, width: int, height: int) -> None:
        assert self._look is not None
        (x0, x1), (y0, y1) = self._box.viewRange()
        self._frame = raster.Frame(x0 * 1000, (x1 - x0) * 1000 / width, y1, (y1 - y0) / height, width, height)
        self._pixels[:] = palette.rgb32(self._look.panel)
        self._draw_grid(x0, x1, y0, y1, width, height)
        for rows, ink in self._parts:
            raster.draw(self._pixels, self._frame, rows.at_ms, rows.y, rows.known, ink)
        self._drawn = [len(rows) for rows, _ in self._parts]
        self._dirty = False
        self.full_draws += 1

    def _draw_grid(self, x0: float, x1: float, y0: float, y1: float, width: int, height: int) -> None:
        assert self._look is not None
        grid = palette.rgb32(palette.mix(self._look.panel, self._look.grid, self._look.grid_opacity))
        box_width, box_height = self._box.width(), self._box.height()
        for at in scales.time_ticks(x0, x1, scales.time_step(x1 - x0, box_width), zone.current()):
            self._pixels[:, min(width - 1, max(0, int((at - x0) / (x1 - x0) * width)))] = grid
        for value in scales.value_ticks(y0, y1, scales.value_step(y1 - y0, box_height)):
            self._pixels[min(height - 1, max(0, int((y1 - value) / (y1 - y0) * height)))] = grid
        if self._reference is not None and y0 < self._reference < y1:
            row = min(height - 1, int((y1 - self._reference) / (y1 - y0) * height))
            self._pixels[row, np.arange(width) % 4 < 2] = palette.rgb32(self._look.muted)


class Crosshair(pg.GraphicsObject):  # type: ignore[misc]
    """Two lines and a dot on every curve, in the view box's pixels."""

    def __init__(self, box: ChartBox) -> None:
        super().__init__()
        self.setParentItem(box)
        self.setZValue(2)
        self._box = box
        self._x: float | None = None
        self._y: float | None = None
        self._dots: list[tuple[float, float, str]] = []
        self.colour = "#888888"
        self.setVisible(False)

    def boundingRect(self) -> QRectF:
        """Return the whole view box."""
        return QRectF(self._box.rect())

    def show_at(self, x: float | None, y: float | None, dots: list[tuple[float, float, str]]) -> None:
        """Move to a pixel (None: hidden); y None leaves the level line out; dots are (column, row, colour)."""
        if (x, y, dots) == (self._x, self._y, self._dots):
            return
        self._x, self._y, self._dots = x, y, dots
        self.setVisible(x is not None)
        self.update()

    def paint(self, painter: QPainter, option: Any, widget: Any) -> None:
        """Draw lines and dots."""
        if self._x is None:
            return
        pen = QPen(QColor(self.colour), 1, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([3, 3])
        pen.setCosmetic(True)
        painter.setPen(pen)
        x = round(self._x) + 0.5
        painter.drawLine(QPointF(x, 0), QPointF(x, self._box.height()))
        if self._y is not None:
            y = round(self._y) + 0.5
            painter.drawLine(QPointF(0, y), QPointF(self._box.width(), y))
        painter.setPen(Qt.PenStyle.NoPen)
        for column, row, colour in self._dots:
            painter.fillRect(QRectF(round(column) - 2, round(row) - 2, 5, 5), QColor(colour))
