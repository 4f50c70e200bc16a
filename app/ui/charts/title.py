"""The line above a chart: what it shows in words, shortened at the end when there is no room."""

from __future__ import annotations

import re

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.ui.theme import Theme

HEIGHT = 20
_COUNT = re.compile(r"(\d+) of (\d+) books")


class TitleLine(QWidget):
    """One line of text; the words before the last " · " are bright, how well it is known is muted."""

    def __init__(self, font: QFont) -> None:
        super().__init__()
        self.setFont(font)
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.text = ""
        self._look: Theme | None = None

    def sizeHint(self) -> QSize:
        """Return the height; the width is what is given."""
        return QSize(120, HEIGHT)

    def set_look(self, look: Theme) -> None:
        """Put on a theme."""
        self._look = look
        self.update()

    def set_text(self, text: str) -> None:
        """Show a line; its whole text is the tooltip too."""
        if text != self.text:
            self.text = text
            self.setToolTip(text)
            self.setAccessibleName(text)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line."""
        if self._look is None:
            return
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(self._look.panel))
        parts = self.text.split(" · ")
        bright, muted = " · ".join(parts[:3]), " · ".join(parts[3:])
        metrics = painter.fontMetrics()
        room = self.width() - 12
        rect = self.rect().adjusted(8, 0, -4, 0)
        painter.setPen(QColor(self._look.text))
        painter.drawText(
            rect, Qt.AlignmentFlag.AlignVCenter, metrics.elidedText(bright, Qt.TextElideMode.ElideRight, room)
        )
        used = metrics.horizontalAdvance(bright + "  ")
        if muted and metrics.horizontalAdvance(f"· {muted}") > room - used:
            muted = _COUNT.sub(r"\1/\2", muted)
        if muted and room - used > 60:
            painter.setPen(QColor(self._look.muted))
            painter.drawText(
                rect.adjusted(used, 0, 0, 0),
                Qt.AlignmentFlag.AlignVCenter,
                metrics.elidedText(f"· {muted}", Qt.TextElideMode.ElideRight, room - used),
            )
        painter.end()
