"""Paints the status model as the window's bottom line: lights, notes, mode, timing, clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.ui import theme, zone
from app.ui.frameclock import Latency
from app.viewmodels import formats
from app.viewmodels.broker_light import BrokerLight
from app.viewmodels.status import FeedLight, Mode, StatusModel

INDENT: Final = "    "
PADDING: Final = 14
NOTE_WIDTH: Final = 90
"""Room that is kept for notes when the lights' words are chosen."""


def light_text(light: FeedLight) -> str:
    """Return the words beside a light: "Binance SPOT live 100/100"."""
    books = f" {light.books_primed}/{light.books_total}" if light.books_total else ""
    return f"{light.title} {light.word}{books}"


def light_texts(light: FeedLight) -> tuple[str, str, str]:
    """Return the words beside a light, long to short; the shape of a light says by itself whether all is well."""
    venue, _, market = light.title.partition(" ")
    calm = light.light == "green"
    middle = light.title if calm else f"{light.title} {light.word}"
    short = f"{venue[:3]} {'Fut' if market == 'FUTURES' else market.title()}"
    return light_text(light), middle, short if calm else f"{short}: {light.word}"


def light_tip(light: FeedLight) -> str:
    """Return the lines shown on hover."""
    lines = [light_text(light)]
    if light.reason:
        lines.append(light.reason)
    age = formats.age(light.last_frame_age_ns)
    lines += [
        f"Last message: {age if age == 'never' else age + ' ago'}",
        f"Latency: {formats.milliseconds(light.latency_ms)}",
        f"Reconnects: {formats.count(light.reconnects)}",
        f"Gaps: {formats.count(light.gaps)}   Resyncs: {formats.count(light.resyncs)}",
        f"Drops: {formats.count(light.drops)}",
        "Click for the Feeds panel",
    ]
    return "\n".join(lines)


def broker_texts(light: BrokerLight) -> tuple[str, str, str]:
    """Return the words beside a broker's light, long to short; whether it is paper or live money is never left out."""
    money = f" {light.money}" if light.money else ""
    calm = light.light == "green"
    whole = f"{light.title}{money} {light.word}"
    name = light.title.removeprefix("IBKR ").removeprefix("Client ")
    short = f"{name}{money}"
    return whole, f"{light.title}{money}" if calm else whole, short if calm else f"{short}: {light.word}"


def broker_tip(light: BrokerLight) -> str:
    """Return the lines shown on hover of a broker's light."""
    lines = [broker_texts(light)[0]]
    lines += [text for text in (light.needs, light.reason) if text]
    if light.money:
        named = "paper trading" if light.money == "PAPER" else "live money"
        lines.append(f"Account: {named}" + (f" ({light.money_why})" if light.money_why else ""))
    else:
        lines.append("Account: not known yet whether paper or live")
    if light.accounts:
        lines.append(", ".join(light.accounts))
    if light.since_age_ns is not None:
        lines.append(f"In this state for {formats.age(light.since_age_ns)}")
    age = formats.age(light.last_message_age_ns)
    lines += [
        f"Last message: {age if age == 'never' else age + ' ago'}",
        f"Reconnects: {formats.count(light.reconnects)}",
        f"Data farms: {light.farms or 'nothing said yet'}",
        f"Market data lines: {formats.count(light.lines_open)} of {formats.count(light.lines_limit)}",
        "Click for the Feeds panel",
    ]
    return "\n".join(lines)


class LightButton(QToolButton):
    """One feed or broker: a dot and words; its shape differs with its colour, so that colour is not the only sign."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("flat", True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self._light = "grey"
        self._texts = ("", "", "")
        self._length = 0

    def show_light(self, light: FeedLight) -> None:
        """Take the state of a feed."""
        self._show(light_texts(light), light.light, light_tip(light))

    def show_broker(self, light: BrokerLight) -> None:
        """Take the state of a way to a broker."""
        self._show(broker_texts(light), light.light, broker_tip(light))

    def _show(self, texts: tuple[str, str, str], colour: str, tip: str) -> None:
        if self._texts != texts:
            self._texts = texts
            self.setAccessibleName(texts[0])
            self.show_length(self._length)
        if self._light != colour:
            self._light = colour
            self.update()
        self.setToolTip(tip)

    def show_length(self, length: int) -> None:
        """Show the long (0), middle (1) or short (2) words."""
        self._length = length
        text = f"{INDENT}{self._texts[length]}"
        if self.text() != text:
            self.setText(text)

    def width_of(self, length: int) -> int:
        """Return how wide the button is with those words."""
        return self.fontMetrics().horizontalAdvance(f"{INDENT}{self._texts[length]}") + PADDING

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the words, then the light."""
        super().paintEvent(event)
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = theme.colour(look.light(self._light))
        middle = self.height() / 2
        if self._light in ("grey", "amber"):
            pen = painter.pen()
            pen.setColor(colour)
            pen.setWidthF(2.0)
            painter.setPen(pen)
            painter.drawEllipse(6, round(middle - 3.5), 7, 7)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            if self._light == "green":
                painter.drawEllipse(5, round(middle - 4), 9, 9)
            else:
                painter.drawRect(5, round(middle - 4), 9, 9)
        painter.end()


class ElidedLabel(QLabel):
    """Plain text that is cut with an ellipsis instead of widening the window; the whole of it is the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        """Allow any width."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what fits."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), int(self.alignment()), text)
        painter.end()


class Badge(QLabel):
    """A word in a frame of its colour."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def show_word(self, word: str, colour: str) -> None:
        """Show a word in a colour."""
        self.setText(word)
        self.setAccessibleName(word)
        self.setStyleSheet(f"color: {colour}; border: 1px solid {colour}; border-radius: 2px; padding: 0 6px;")


class ClockLabel(QLabel):
    """Time of day and zone; a click changes the zone."""

    clicked = Signal()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Report the click."""
        if event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit()
        super().mousePressEvent(event)


class StatusBar(QWidget):
    """The bottom line of a window."""

    feed_clicked = Signal(str)
    zone_clicked = Signal()

    def __init__(self, model: StatusModel, latency: Callable[[], Latency], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._latency = latency
        self._lights: dict[str, LightButton] = {}
        self.setFixedHeight(theme.STATUS_BAR_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._light_row = QHBoxLayout()
        self._light_row.setSpacing(2)
        self._waiting = QLabel("starting …", self)
        self._waiting.setProperty("role", "muted")
        self._light_row.addWidget(self._waiting)
        self._notes = ElidedLabel(self)
        self._notes.setProperty("role", "warning")
        self._notes.setAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        self._notes.setAccessibleName("notes")
        self._timing = QLabel(self)
        self._timing.setTextFormat(Qt.TextFormat.PlainText)
        self._timing.setProperty("role", "muted")
        self._mode = Badge(self)
        self._read_only = Badge(self)
        self._clock = ClockLabel(self)
        self._clock.setTextFormat(Qt.TextFormat.PlainText)
        self._clock.clicked.connect(self.zone_clicked)
        self._clock.setToolTip("Time zone of the whole program; click or press Ctrl+U to change between UTC and local")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 1, 8, 1)
        row.setSpacing(8)
        row.addLayout(self._light_row)
        row.addWidget(self._notes, 1)
        for widget in (self._timing, self._mode, self._read_only, self._clock):
            row.addWidget(widget)
        self.restyle()
        self.refresh()
        self.refresh_timing()

    def minimumSizeHint(self) -> QSize:
        """Never widen the window: the words get shorter instead."""
        return QSize(200, theme.STATUS_BAR_HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Choose the words that fit."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Shorten the lights' words, then leave out the timing, until everything has room."""
        fixed = sum(widget.sizeHint().width() + 8 for widget in (self._mode, self._read_only, self._clock)) + 20
        timing = self._timing.sizeHint().width() + 8
        lights = list(self._lights.values())
        widths = [sum(light.width_of(length) + 2 for light in lights) for length in range(3)]
        room = self.width() - fixed - NOTE_WIDTH
        length = next((length for length in range(3) if widths[length] + timing <= room), 2)
        for light in lights:
            light.show_length(length)
        self._timing.setVisible(widths[length] + timing <= room + NOTE_WIDTH)

    def refresh(self) -> None:
        """Show the model as it is now."""
        self._show_lights()
        self._fit()
        notes = self._model.notes
        text = "   ·   ".join(notes)
        if self._notes.text() != text:
            self._notes.setText(text)
            self._notes.setToolTip("\n".join(notes))
        self.refresh_clock()

    def refresh_timing(self) -> None:
        """Show the event-to-screen time of the last minute."""
        timing = self._latency()
        p50, p95 = formats.milliseconds(timing.p50_ms), formats.milliseconds(timing.p95_ms)
        self._timing.setText(f"event → screen {p50} / {p95}" if timing.samples else "event → screen —")
        lines = [f"Time from a venue event to the painted screen, last 60 s, {timing.samples:,} frames: "]
        lines.append(f"p50 {p50}   p95 {p95}   p99 {formats.milliseconds(timing.p99_ms)}")
        if self._model.measures is not None:
            lines += [f"{name}: {value}" for name, value in self._model.measures()]
        self._timing.setToolTip("\n".join(lines))

    def refresh_clock(self) -> None:
        """Show the time of day."""
        self._clock.setText(f"{formats.clock_text(self._model.clock.wall_ns(), zone.current())} {zone.label()}")

    def _show_lights(self) -> None:
        feeds, brokers = self._model.lights, self._model.broker_lights
        self._waiting.setVisible(not feeds and not brokers)
        names = [*(light.feed for light in feeds), *(light.feed for light in brokers)]
        for name in [name for name in self._lights if name not in names]:
            self._lights.pop(name).deleteLater()
        for light in feeds:
            self._button(light.feed).show_light(light)
        for broker in brokers:
            self._button(broker.feed).show_broker(broker)

    def _button(self, name: str) -> LightButton:
        button = self._lights.get(name)
        if button is None:
            button = LightButton(self)
            button.setObjectName(name)
            button.clicked.connect(self._on_light_clicked)
            self._lights[name] = button
            self._light_row.addWidget(button)
        return button

    def _on_light_clicked(self) -> None:
        sender = self.sender()
        if sender is not None:
            self.feed_clicked.emit(sender.objectName())

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        look = theme.current()
        colours = {Mode.LIVE: look.good, Mode.REPLAY: look.warning, Mode.DEMO: look.accent}
        detail = f" {self._model.mode_detail}" if self._model.mode_detail else ""
        self._mode.show_word(f"{self._model.mode.value}{detail}", colours[self._model.mode])
        self._read_only.setVisible(self._model.read_only)
        self._read_only.show_word("READ-ONLY", look.muted)
        self._read_only.setToolTip("This program cannot place orders: it contains no control that does")
        for button in self._lights.values():
            button.update()
