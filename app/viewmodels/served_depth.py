"""Turns book views, ticks and depth windows into the plain values that the local server sends."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.books.depth import side_is_complete
from app.domain.coverage import Coverage, Known
from app.domain.units import ASK, BID, DEPTHS_PCT, NS_PER_MS
from app.indicators.formulas import LINES, Line, evaluate
from app.indicators.window import CoverageArray, DepthWindow, FloatArray
from app.server.ports import IndicatorKey, Json
from app.storage.rows import TickWindow
from app.viewmodels.chart_words import KNOWN_WORDS
from app.viewmodels.sources import BookView

_WORDS: Final = np.array([KNOWN_WORDS[known] for known in Known])


def depth_of(view: BookView) -> Json:
    """Return place, age and the volume of each band of a book with its coverage."""
    words = side_words(view.coverage[None], view.usd[None], view.unconfirmed[None])[0]
    sampled_ms = view.sampled_ns // NS_PER_MS
    loose = view.unconfirmed.round(6).tolist()
    return {
        "symbol": view.symbol,
        "venue": view.market.venue.value,
        "marketType": view.market.kind.value,
        "time": sampled_ms or None,
        "age_ms": None if view.age_ns is None else view.age_ns // NS_PER_MS,
        "state": view.state,
        "bid": float(view.best[BID]),
        "ask": float(view.best[ASK]),
        "depths": DEPTHS_PCT,
        "bid_usd": view.usd[BID].tolist(),
        "ask_usd": view.usd[ASK].tolist(),
        "bid_coverage": words[BID],
        "ask_coverage": words[ASK],
        "bid_unconfirmed": loose[BID],
        "ask_unconfirmed": loose[ASK],
    }


def ticks_of(window: TickWindow) -> list[Json]:
    """Return the ticks of one book, oldest first."""
    words = side_words(window.coverage, window.usd, window.unconfirmed)
    usd, loose = window.usd.tolist(), window.unconfirmed.round(6).tolist()
    return [
        {
            "time": at,
            "bid": best[BID],
            "ask": best[ASK],
            "depths": DEPTHS_PCT,
            "bid_usd": usd[t][BID],
            "ask_usd": usd[t][ASK],
            "bid_coverage": words[t][BID],
            "ask_coverage": words[t][ASK],
            "bid_unconfirmed": loose[t][BID],
            "ask_unconfirmed": loose[t][ASK],
        }
        for t, (at, best) in enumerate(zip(window.ts_ms.tolist(), window.best.tolist(), strict=True))
    ]


def lines_of(key: IndicatorKey) -> list[Line]:
    """Return the lines asked for: all, or those that rest on one depth only."""
    lines = LINES[key.indicator]
    if key.depth_pct is None:
        return list(lines)
    return [line for line in lines if line.depths_pct == (key.depth_pct,)]


def line_now(line: Line, newest: DepthWindow) -> Json:
    """Return a line's value at the only moment of a window, missing when it has none."""
    named: dict[str, Any] = {"key": line.key, "label": line.label}
    if not len(newest):
        return {**named, "value": None, "coverage": KNOWN_WORDS[Known.MISSING], "unconfirmed": 0.0}
    curve = evaluate(line, newest)
    word = KNOWN_WORDS[Known(int(curve.known[-1]))]
    return {
        **named,
        "value": float(curve.values[-1]),
        "coverage": word,
        "unconfirmed": round(float(curve.unconfirmed[-1]), 6),
    }


def points(key: IndicatorKey, window: DepthWindow) -> Json:
    """Return the lines of an indicator over a window."""
    lines = []
    for line in lines_of(key):
        curve = evaluate(line, window)
        lines.append(
            {
                "key": line.key,
                "label": line.label,
                "values": curve.values.tolist(),
                "coverage": _WORDS[curve.known].tolist(),
            }
        )
    return {"times": window.ts_ms.tolist(), "lines": lines}


def side_words(
    coverage: CoverageArray, usd: FloatArray, unconfirmed: npt.NDArray[np.floating[Any]]
) -> list[list[list[str]]]:
    """Return how well each volume is known, [t, 2, 7] words."""
    known = np.full(coverage.shape, Known.MISSING, np.uint8)
    partial = coverage == Coverage.PARTIAL
    known[partial] = Known.FLOOR
    known[partial & (unconfirmed > 0)] = Known.PARTIAL
    known[coverage == Coverage.EXACT] = Known.EXACT
    known[~np.isfinite(usd)] = Known.MISSING
    words: list[list[list[str]]] = _WORDS[known].tolist()
    return words


def reach(view: BookView) -> Json:
    """Return band edges and how far each side is proven, in percent of its best price."""
    bid_pct, ask_pct = view.known_to_pct.tolist()
    return {
        "bid_threshold": view.threshold[BID].tolist(),
        "ask_threshold": view.threshold[ASK].tolist(),
        "known_to_pct": [bid_pct, ask_pct],
        "bid_complete": side_is_complete(BID, bid_pct),
        "ask_complete": side_is_complete(ASK, ask_pct),
    }
