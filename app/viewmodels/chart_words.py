"""Turns a chart's choices and its newest sample into sentences: title line, coverage, and why nothing can be seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.domain.coverage import Coverage, Known
from app.domain.ids import Market
from app.domain.units import ASK, BID
from app.indicators.formulas import Convention, Indicator, Kind, Line
from app.indicators.window import DepthWindow
from app.viewmodels.chart_config import ChartConfig, depth_words

KNOWN_WORDS: dict[Known, str] = {
    Known.MISSING: "missing",
    Known.PARTIAL: "partial",
    Known.FLOOR: "floor",
    Known.EXACT: "exact",
}


def chart_name(config: ChartConfig) -> str:
    """Return what is drawn, without how well it is known: "Delta 5 % · TOTAL · SPOT + FUTURES"."""
    lines = config.lines
    if config.indicator is Indicator.AVG:
        what = "AVG bid/ask 60 %"
    else:
        words = [depth_words(lines), *(line.label for line in lines if line.mixed)]
        if len(words) > 3:
            words = [*words[:2], f"{len(words) - 2} more"]
        what = f"{config.indicator.heading} {', '.join(word for word in words if word)}"
        if config.indicator is Indicator.DELTA and config.convention is Convention.IMBALANCE:
            what += " (bid − ask)/(bid + ask)"
    markets = " + ".join(market.label for market in config.markets)
    return f"{what} · {config.subject} · {markets}"


def summary_words(config: ChartConfig, newest: Mapping[Market, DepthWindow | None]) -> str:
    """Return the title line; the coverage is that of the least known chosen line."""
    parts = [chart_name(config)]
    coverage = [(market, _coverage(config, newest.get(market))) for market in config.markets]
    words = {text for _, text in coverage}
    if len(words) == 1:
        parts.append(coverage[0][1])
    else:
        parts.append(", ".join(f"{market.label} {text}" for market, text in coverage))
    if config.strict:
        parts.append("strict")
    return " · ".join(part for part in parts if part)


def _coverage(config: ChartConfig, window: DepthWindow | None) -> str:
    if window is None or not len(window):
        return "no value yet"
    if config.subject.is_group:
        exact = min(exact_count(line, window) for line in config.lines)
        return f"{exact} of {window.total} books exact"
    texts = [known_words(line, window, False) for line in config.lines]
    order = ("not primed", "partial", "floor", "exact")
    return min(texts, key=lambda text: next((i for i, word in enumerate(order) if text.startswith(word)), 0))


def exact_count(line: Line, window: DepthWindow) -> int:
    """Return how many symbols of a group are wholly known for this line at the window's last moment."""
    if line.bid is not None and line.bid == line.ask and line.kind is not Kind.DIFF:
        return int(window.ratio_exact[-1, line.bid])
    counts = []
    if line.bid is not None:
        counts.append(int(window.exact[-1, BID, line.bid]))
    if line.ask is not None:
        counts.append(int(window.exact[-1, ASK, line.ask]))
    return min(counts)


def known_words(line: Line, window: DepthWindow | None, group: bool) -> str:
    """Return how well the newest value of a line is known, in words."""
    if window is None or not len(window):
        return "no value yet"
    if group:
        return f"{exact_count(line, window)} of {window.total} books exact, {int(window.included[-1])} in the sum"
    sides = []
    for name, side, band in (("bid", BID, line.bid), ("ask", ASK, line.ask)):
        if band is None:
            continue
        coverage = int(window.coverage[-1, side, band])
        if coverage == Coverage.NONE or not np.isfinite(window.usd[-1, side, band]):
            return f"not primed: no {name} side yet"
        if coverage == Coverage.PARTIAL:
            share = float(window.unconfirmed[-1, side, band])
            sides.append(f"{name} {share:.0%} unconfirmed" if share > 0 else f"{name} a floor")
    if not sides:
        return "exact"
    unmixed_floor = line.kind is Kind.VOLUME and sides[0].endswith("a floor")
    return "floor" if unmixed_floor else f"partial: {', '.join(sides)}"


def empty_words(config: ChartConfig, *, loading: bool, error: str, ticking: bool) -> str:
    """Return why there is nothing to see and what happens next."""
    if error:
        return f"Stored minutes cannot be read ({error}). Trying again; live values appear as they come."
    if ticking and config.strict:
        return "Strict: no value here is wholly known. Switch strict off to see partial values."
    if ticking:
        what = "books of this group are" if config.subject.is_group else "book is"
        return f"Waiting: the {what} not primed deep enough for a value yet."
    if loading:
        return "Loading the stored minutes…"
    return f"No depth of {config.subject} yet. The first values appear when its books are primed (see Feeds)."
