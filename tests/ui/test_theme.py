"""Themes: both complete, switchable, readable, and never with a light that lies."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from app.paths import resources
from app.ui import icons, theme


def _luminance(colour: str) -> float:
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in QColor(colour).getRgbF()[:3]
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _contrast(first: str, second: str) -> float:
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("pair", list(theme.Pair))
@pytest.mark.parametrize("name", list(theme.THEMES))
def test_every_colour_is_valid_and_text_is_readable(name: str, pair: theme.Pair) -> None:
    look = theme.build(name, pair)
    for key, value in asdict(look).items():
        values = value if isinstance(value, tuple) else (value,)
        if key not in ("name", "is_dark", "grid_opacity", "pair"):
            assert all(QColor(colour).isValid() for colour in values), key
    assert _contrast(look.text, look.panel) > 7
    assert _contrast(look.muted, look.panel) > 4.5
    assert len(look.bid_ramp) == len(look.ask_ramp) == 7
    assert all(_contrast(colour, look.panel) > 1.6 for colour in (*look.bid_ramp, *look.ask_ramp))
    assert len({*look.bid_ramp, *look.ask_ramp}) == 14


def test_red_up_turns_prices_but_not_the_lights() -> None:
    usual, turned = theme.build("dark"), theme.build("dark", theme.Pair.RED_UP)
    assert (turned.up, turned.down) == (usual.down, usual.up)
    assert (turned.light("green"), turned.light("red")) == (usual.light("green"), usual.light("red"))


def test_an_unknown_theme_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="purple"):
        theme.build("purple")


def test_applying_a_theme_sets_palette_and_font_and_tells(qapp: QApplication) -> None:
    heard: list[theme.Theme] = []
    theme.notifier().changed.connect(heard.append)
    try:
        look = theme.apply(qapp, "light")
    finally:
        theme.notifier().changed.disconnect(heard.append)
    assert heard == [look]
    assert theme.current() is look
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == theme.LIGHT.window
    assert qapp.font().pointSizeF() == 9
    assert qapp.font().featureValue(QFont.Tag("tnum")) == 1
    assert theme.LIGHT.panel in qapp.styleSheet()
    assert "$" not in qapp.styleSheet()


def test_every_icon_can_be_drawn(qapp: QApplication) -> None:
    names = [path.stem for path in (resources() / "icons").glob("*.svg")]
    assert len(names) > 20
    for name in names:
        image = icons.icon(name, "#ff0000").pixmap(16, 16).toImage()
        assert any(image.pixelColor(x, y).alpha() > 40 for x in range(16) for y in range(16)), name
    assert not icons.app_icon().isNull()
