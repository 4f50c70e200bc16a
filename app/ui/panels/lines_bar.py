"""A segmented bar of a broker's market data lines: how many are used for what, with words beside it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QToolTip, QWidget

from app.domain.account import Source
from app.portfolio.lines import LineGroup
from app.ui import theme, zone
from app.ui.panels.common import open_text
from app.viewmodels.broker_lines import BrokerLines

BAR_WIDTH: Final = 120
HEIGHT: Final = 22
_BAR_HEIGHT: Final = 10
_SWATCH: Final = 7
_GAP: Final = 6
_PAD: Final = 6


def group_colour(group: LineGroup | None, look: theme.Theme) -> str:
    """Return the colour of a group of lines, that of nothing for None."""
    if group is None:
        return look.raised
    cool, warm = look.ramp(0), look.ramp(1)
    at = 3 if look.is_dark else 6
    return {
        LineGroup.PINNED: look.warning,
        LineGroup.POSITIONS: look.accent,
        LineGroup.ORDERS: cool[at],
        LineGroup.CHAIN: warm[4],
        LineGroup.SCANNER: look.muted,
    }[group]


class LinesBar(QWidget):
    """The lines of one source, or of the first there is. Hidden while there is none."""

    def __init__(self, lines: BrokerLines, source: Source | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines = lines
        self._chosen = source
        self._shown: Hashable = None
        self._text = ""
        self._trouble = ""
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setVisible(self.source is not None)
        self.refresh()

    @property
    def source(self) -> Source | None:
        """Return the source whose lines are shown, None when there is none."""
        sources = self._lines.sources
        if self._chosen in sources:
            return self._chosen
        return sources[0] if sources and self._chosen is None else None

    def show_source(self, source: Source | None) -> None:
        """Show the lines of another source."""
        self._chosen = source
        self.refresh()

    def refresh(self) -> None:
        """Show the present use."""
        source = self.source
        shown = (source, self._lines.revision)
        if shown == self._shown:
            return
        self._shown = shown
        self.setVisible(source is not None)
        if source is None:
            return
        self._text, self._trouble = self._lines.text(source), self._lines.trouble(source)
        self.setAccessibleName("Market data lines")
        self.setAccessibleDescription(self.words())
        self.update()

    def words(self) -> str:
        """Return the text of the bar."""
        return f"{self._text} · {self._trouble}" if self._trouble else self._text

    def sizeHint(self) -> QSize:
        """Return what bar and words need."""
        metrics = QFontMetrics(self.font())
        swatches = 0 if self.source is None else len(self._lines.shares(self.source)) * (_SWATCH + 3)
        return QSize(BAR_WIDTH + 3 * _PAD + metrics.horizontalAdvance(self.words()) + swatches, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Return what the bar alone needs."""
        return QSize(BAR_WIDTH + 2 * _PAD, HEIGHT)

    # -- painting ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the bar and, as far as there is room, the words with a swatch before each group."""
        source = self.source
        if source is None:
            return
        painter, look = QPainter(self), theme.current()
        self._paint_bar(painter, source, look)
        metrics = QFontMetrics(self.font())
        base = (self.height() + metrics.ascent() - metrics.descent()) // 2
        left, right = _PAD + BAR_WIDTH + _GAP, self.width() - _PAD
        for text, colour, swatch in self._pieces(source, look):
            if swatch and right - left > _SWATCH + 3:
                painter.fillRect(left, (self.height() - _SWATCH) // 2, _SWATCH, _SWATCH, QColor(swatch))
                left += _SWATCH + 3
            wide = metrics.horizontalAdvance(text)
            if left + wide > right:
                text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0, right - left))
                wide = right - left
            painter.setPen(QColor(colour))
            painter.drawText(left, base, text)
            left += wide
            if left >= right:
                return

    def _pieces(self, source: Source, look: theme.Theme) -> list[tuple[str, str, str]]:
        """Return the words in pieces: text, its colour, the colour of the swatch before it ("": none)."""
        usage = self._lines.usage(source)
        head, colon, _ = self._text.partition(": ")
        short = usage.effective < usage.capacity
        pieces = [(f"{head}{colon}", look.warning if short else look.text, "")]
        for index, (group, count) in enumerate(usage.by_group):
            comma = ", " if index < len(usage.by_group) - 1 else ""
            pieces.append((f"{group.value} {count}{comma}", look.text, group_colour(group, look)))
        if self._trouble:
            pieces.append((f" · {self._trouble}", look.warning, ""))
        return pieces

    def _paint_bar(self, painter: QPainter, source: Source, look: theme.Theme) -> None:
        usage, top = self._lines.usage(source), (self.height() - _BAR_HEIGHT) // 2
        frame = QRect(_PAD, top, BAR_WIDTH, _BAR_HEIGHT)
        painter.fillRect(frame, QColor(look.window))
        room, taken = BAR_WIDTH - 2, 0
        whole = max(1, usage.capacity)
        for share in self._lines.shares(source):
            left = frame.left() + 1 + room * taken // whole
            taken += share.count
            right = frame.left() + 1 + room * min(taken, whole) // whole
            if share.group is not None:
                width = max(1, right - left - 1)  # a pixel between parts, so that colour is not the only sign
                painter.fillRect(left, top + 1, width, _BAR_HEIGHT - 2, QColor(group_colour(share.group, look)))
        lost = frame.left() + 1 + room * usage.effective // whole
        if usage.effective < usage.capacity:
            hatched = QBrush(QColor(look.warning), Qt.BrushStyle.BDiagPattern)
            painter.fillRect(QRect(lost, top + 1, frame.right() - lost, _BAR_HEIGHT - 2), hatched)
        painter.setPen(QColor(look.border))
        painter.drawRect(frame.adjusted(0, 0, -1, -1))

    # -- what it says --------------------------------------------------------------------------------------------

    def tip(self) -> str:
        """Return everything there is to know about the lines."""
        source = self.source
        return "" if source is None else self._lines.tip(source, zone.current())

    def event(self, event: QEvent) -> bool:
        """Show the tip when the mouse rests: it is made only then."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip(), self)
            return True
        return super().event(event)

    def mousePressEvent(self, _event: QMouseEvent) -> None:
        """Open the details."""
        self.open_details()

    def open_details(self) -> QFrame:
        """Open a small window with use, waiting, refusals and evictions, from which the text can be taken."""
        return open_text(self, self.tip(), above=self)
