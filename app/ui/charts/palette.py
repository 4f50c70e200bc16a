"""Turns a chart's choices and the theme into the colour and weight of every curve.

Volumes take their side's depth ramp. Ratios and differences belong to no side: their hue is the market, their
brightness the depth. Where markets are overlaid, futures are drawn two pixels thick; volumes of several venues are
tinted with the venue's hue.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from app.domain.ids import Market, MarketKind, Venue
from app.domain.units import ASK, BID
from app.indicators.formulas import MIXED, Kind, Line
from app.ui.charts.raster import Ink
from app.ui.theme import Theme
from app.viewmodels.chart_config import ChartConfig

_RATIO_HUES = {
    Market.BINANCE_SPOT: 0.575,
    Market.BINANCE_USDM: 0.125,
    Market.BYBIT_SPOT: 0.49,
    Market.BYBIT_LINEAR: 0.04,
    Market.HYPERLIQUID_SPOT: 0.68,
    Market.HYPERLIQUID_PERP: 0.33,
}
_DIFF_HUES = {
    Market.BINANCE_SPOT: 0.735,
    Market.BINANCE_USDM: 0.865,
    Market.BYBIT_SPOT: 0.64,
    Market.BYBIT_LINEAR: 0.95,
    Market.HYPERLIQUID_SPOT: 0.80,
    Market.HYPERLIQUID_PERP: 0.42,
}


@dataclass(frozen=True, slots=True)
class CurveStyle:
    """How one curve looks: "#rrggbb", and whether it is two pixels thick."""

    colour: str
    thick: bool


def curve_styles(config: ChartConfig, theme: Theme, market: Market) -> list[CurveStyle]:
    """Return the style of each chosen line on one market, in the order of the config."""
    overlaid = len(config.markets) > 1
    return [_style(line, theme, market, overlaid, config) for line in config.lines]


def _style(line: Line, theme: Theme, market: Market, overlaid: bool, config: ChartConfig) -> CurveStyle:
    futures = market.kind is MarketKind.FUTURES
    if line.kind is Kind.VOLUME:
        side, band = (BID, line.bid) if line.bid is not None else (ASK, line.ask)
        colour = theme.ramp(side)[band or 0]
        if len(config.venues) > 1 and market.venue is not Venue.BINANCE:
            colour = mix(colour, _hue(_RATIO_HUES[market], 0.5, theme.is_dark), 0.55)
        if overlaid and futures:
            colour = mix(colour, theme.text, 0.35)
    elif line.mixed:
        colour = _hue(MIXED.index(line.label) / len(MIXED), 0.5, theme.is_dark)
        if len(config.venues) > 1 and market.venue is not Venue.BINANCE:
            colour = mix(colour, _hue(_RATIO_HUES[market], 0.5, theme.is_dark), 0.4)
    else:
        hues = _DIFF_HUES if line.kind is Kind.DIFF else _RATIO_HUES
        chosen = sorted({other.bid for other in config.lines if other.kind is line.kind and other.bid is not None})
        rank = chosen.index(line.bid) / max(1, len(chosen) - 1) if line.bid in chosen and len(chosen) > 1 else 0.5
        colour = _hue(hues[market], rank, theme.is_dark)
    return CurveStyle(colour, overlaid and futures)


def _hue(hue: float, rank: float, is_dark: bool) -> str:
    """Return a colour of a hue, from light (rank 0) to saturated (rank 1)."""
    lightness = 0.80 - 0.26 * rank if is_dark else 0.52 - 0.24 * rank
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.62 + 0.28 * rank)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def mix(first: str, second: str, share: float) -> str:
    """Return `first` with a share (0..1) of `second`."""
    a, b = (tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)) for text in (first, second))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(a, b, strict=True))


def rgb32(colour: str) -> int:
    """Return 0xffRRGGBB of a "#rrggbb"."""
    return 0xFF000000 | int(colour[1:], 16)


def ink_of(styles: list[CurveStyle], theme: Theme, stale: bool) -> Ink:
    """Return the colours for the rasteriser; stale curves go grey."""
    colours = [mix(style.colour, theme.muted, 0.75) if stale else style.colour for style in styles]
    return Ink(
        np.array([rgb32(colour) for colour in colours], np.uint32),
        np.array([rgb32(mix(colour, theme.panel, 0.45)) for colour in colours], np.uint32),
        np.array([style.thick for style in styles], np.bool_),
    )


__all__ = ["CurveStyle", "curve_styles", "ink_of", "mix", "rgb32"]
