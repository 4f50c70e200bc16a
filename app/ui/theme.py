"""Turns a theme name into colours, a palette, one small style sheet and the program's font.

Everything that paints asks `current()` for its colours and listens to `notifier().changed`. Colours are "#rrggbb"
strings, so that charts can hand them to pyqtgraph and Qt alike.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from string import Template
from typing import Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from app.ui.assets import resource

ROW_HEIGHT: Final = 22
DOCK_TITLE_HEIGHT: Final = 26
STATUS_BAR_HEIGHT: Final = 24
SPACE: Final = 4
ICON_SIZE: Final = 16
FONT_POINTS: Final = 9.0


class Pair(StrEnum):
    """Which two colours mean up and down."""

    STANDARD = "standard"
    COLOUR_BLIND = "colour-blind"
    RED_UP = "red-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of one look, each "#rrggbb".

    up and down follow the chosen colour pair; good and bad are the status lights and do not turn round with it.
    grid is meant to be drawn at `grid_opacity`. bid_ramp and ask_ramp hold one colour per band of `DEPTHS_PCT`, light
    to saturated with depth; they are the same everywhere in the program.
    """

    name: str
    is_dark: bool
    window: str
    panel: str
    raised: str
    border: str
    text: str
    muted: str
    accent: str
    up: str
    down: str
    warning: str
    good: str
    bad: str
    grid: str
    selection: str
    bid_ramp: tuple[str, ...]
    ask_ramp: tuple[str, ...]
    grid_opacity: float = 0.12
    pair: Pair = Pair.STANDARD

    def light(self, word: str) -> str:
        """Return the colour of a status light named grey, amber, green or red."""
        return {"grey": self.muted, "amber": self.warning, "green": self.good, "red": self.bad}[word]

    def ramp(self, side: int) -> tuple[str, ...]:
        """Return the ramp of a side (BID 0, ASK 1)."""
        return self.bid_ramp if side == 0 else self.ask_ramp


DARK: Final = Theme(
    name="dark",
    is_dark=True,
    window="#0e1116",
    panel="#151a21",
    raised="#1b222b",
    border="#252d38",
    text="#d7dde5",
    muted="#8b96a5",
    accent="#4c9be8",
    up="#2ebd85",
    down="#f6465d",
    warning="#f0b90b",
    good="#2ebd85",
    bad="#f6465d",
    grid="#d7dde5",
    selection="#22364d",
    bid_ramp=("#cdf3ea", "#a2e8da", "#74d8cc", "#48c2c6", "#2aa6c8", "#2b88d6", "#3f6ae6"),
    ask_ramp=("#ffeac4", "#ffd694", "#ffbd68", "#ff9c4e", "#fb7748", "#f1524e", "#e0325f"),
)
LIGHT: Final = Theme(
    name="light",
    is_dark=False,
    window="#f4f6f8",
    panel="#ffffff",
    raised="#eef1f4",
    border="#d9dfe6",
    text="#1a212b",
    muted="#5b6675",
    accent="#1769c2",
    up="#0b8f5a",
    down="#c9283e",
    warning="#a66f00",
    good="#0b8f5a",
    bad="#c9283e",
    grid="#1a212b",
    selection="#d3e5f8",
    bid_ramp=("#7ccdbd", "#52bdb0", "#2ea9a8", "#1892a2", "#12789b", "#135d96", "#1a418b"),
    ask_ramp=("#f0b55f", "#eb9d3e", "#e28027", "#d6621d", "#c5461f", "#ad2a29", "#8c1535"),
)
THEMES: Final[dict[str, Theme]] = {"dark": DARK, "light": LIGHT}

_BLUE, _ORANGE = "#3b82f6", "#f59e0b"
_COLOUR_BLIND: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "dark": (
        ("#d6e6ff", "#b5d3fe", "#93bdfd", "#72a7fb", "#5593f8", "#3b82f6", "#2c6be0"),
        ("#fdecc8", "#fbdda0", "#facd78", "#f8be52", "#f6ae2e", "#f59e0b", "#d98506"),
    ),
    "light": (
        ("#93bdfd", "#7aaffb", "#619ff9", "#4b90f7", "#3b82f6", "#2a66cf", "#1d4ba3"),
        ("#f0b540", "#eaa526", "#e0950f", "#cf8608", "#b47206", "#945c04", "#714503"),
    ),
}


class ThemeNotifier(QObject):
    """Tells when the look has changed; the argument is the new `Theme`."""

    changed = Signal(object)


_current: Theme = DARK
_notifier: ThemeNotifier | None = None


def current() -> Theme:
    """Return the theme in force."""
    return _current


def notifier() -> ThemeNotifier:
    """Return the object whose `changed` signal announces a new theme."""
    global _notifier
    if _notifier is None:
        _notifier = ThemeNotifier()
    return _notifier


def build(name: str, pair: Pair = Pair.STANDARD) -> Theme:
    """Return the theme of that name with a colour pair; raise ValueError for an unknown name."""
    if name not in THEMES:
        raise ValueError(f"expected theme {' or '.join(THEMES)}, was {name!r}")
    theme = THEMES[name]
    if pair is Pair.COLOUR_BLIND:
        bid_ramp, ask_ramp = _COLOUR_BLIND[name]
        return replace(
            theme, pair=pair, up=_BLUE, down=_ORANGE, good=_BLUE, bad="#e8590c", bid_ramp=bid_ramp, ask_ramp=ask_ramp
        )
    if pair is Pair.RED_UP:
        return replace(theme, pair=pair, up=theme.down, down=theme.up)
    return theme


def apply(app: QApplication, name: str, pair: Pair = Pair.STANDARD) -> Theme:
    """Give the whole program a look and announce it; return the theme."""
    global _current
    theme = build(name, pair)
    _current = theme
    app.setStyle("Fusion")
    app.setPalette(palette(theme))
    app.setFont(ui_font())
    app.setStyleSheet(style_sheet(theme))
    notifier().changed.emit(theme)
    return theme


def palette(theme: Theme) -> QPalette:
    """Return the Qt palette of a theme."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    result = QPalette()
    for where, colour in (
        (role.Window, theme.window),
        (role.WindowText, theme.text),
        (role.Base, theme.panel),
        (role.AlternateBase, theme.raised),
        (role.Text, theme.text),
        (role.PlaceholderText, theme.muted),
        (role.Button, theme.raised),
        (role.ButtonText, theme.text),
        (role.BrightText, theme.text),
        (role.ToolTipBase, theme.raised),
        (role.ToolTipText, theme.text),
        (role.Highlight, theme.selection),
        (role.HighlightedText, theme.text),
        (role.Accent, theme.accent),
        (role.Link, theme.accent),
        (role.LinkVisited, theme.accent),
        (role.Light, theme.raised),
        (role.Midlight, theme.border),
        (role.Mid, theme.border),
        (role.Dark, theme.border),
        (role.Shadow, theme.window),
    ):
        result.setColor(where, QColor(colour))
    for where in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        result.setColor(group.Disabled, where, QColor(theme.muted))
    return result


def style_sheet(theme: Theme, file_name: str = "fathom.qss") -> str:
    """Return a style sheet of `resources/themes` with the theme's colours filled in."""
    template = Template(resource("themes", file_name).read_text(encoding="utf-8"))
    tokens = {key: value for key, value in asdict(theme).items() if isinstance(value, str)}
    return template.substitute(tokens, icons=resource("icons").as_posix())


def ui_font(points: float = FONT_POINTS, bold: bool = False) -> QFont:
    """Return the system's interface font with tabular figures."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    font.setPointSizeF(points)
    font.setBold(bold)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def colour(value: str, opacity: float = 1.0) -> QColor:
    """Return a QColor of a theme colour at an opacity of 0..1."""
    result = QColor(value)
    result.setAlphaF(opacity)
    return result
