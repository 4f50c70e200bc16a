"""Moves rectangles of windows onto the screens that are there."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtGui import QGuiApplication


def fit_to_screens(geometry: QRect) -> QRect:
    """Return a window's rectangle, moved and shrunk so that its title bar and most of it are on a screen."""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    if not screens:
        return geometry
    for screen in screens:
        shared = screen.intersected(geometry)
        if shared.width() >= min(120, geometry.width()) and screen.top() <= geometry.top() < screen.bottom():
            return geometry
    centre = geometry.center()
    best = min(screens, key=lambda screen: (screen.center() - centre).manhattanLength())
    width, height = min(geometry.width(), best.width()), min(geometry.height(), best.height())
    left = min(max(geometry.left(), best.left()), best.right() - width + 1)
    top = min(max(geometry.top(), best.top()), best.bottom() - height + 1)
    return QRect(left, top, width, height)
