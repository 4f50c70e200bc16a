"""Turns the line icons of `resources/icons` into QIcons in the theme's colours."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app.ui import theme
from app.ui.assets import resource


def icon(name: str, colour: str | None = None, size: int = theme.ICON_SIZE) -> QIcon:
    """Return an icon drawn in a colour (default: the theme's muted text), sharp at one, two and three times scale."""
    return _icon(name, colour or theme.current().muted, size)


@lru_cache(maxsize=256)
def _icon(name: str, colour: str, size: int) -> QIcon:
    svg = resource("icons", f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", colour)
    renderer = QSvgRenderer(QByteArray(svg.encode("utf-8")))
    result = QIcon()
    for scale in (1, 2, 3):
        pixmap = QPixmap(size * scale, size * scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter)
        painter.end()
        pixmap.setDevicePixelRatio(scale)
        result.addPixmap(pixmap)
    return result


def app_icon() -> QIcon:
    """Return the program's icon in the usual sizes."""
    renderer = QSvgRenderer(str(resource("icons", "app.svg")))
    result = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter)
        painter.end()
        result.addPixmap(pixmap)
    return result
