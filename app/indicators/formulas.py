"""The four depth indicators as a catalogue of lines, each a small formula on a `DepthWindow`.

AVG: mean over the symbols of a group of bid/ask at 60 %. BID/ASK: bid and ask volume per depth, DIFF = bid - ask, and
ten mixed DIFFs. BID/ASK TOTAL: the sums of a group per depth. Delta: bid/ask per depth, for a group sum of bids / sum
of asks ("D TOTAL"); by switch (bid - ask)/(bid + ask).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.coverage import Coverage, Known
from app.domain.units import ASK, BID, DEPTHS_PCT, depth_index
from app.indicators.window import BANDS, DepthWindow, FloatArray


class Indicator(StrEnum):
    """The four families of lines."""

    AVG = "avg"
    BID_ASK = "bid-ask"
    TOTALS = "totals"
    DELTA = "delta"

    @property
    def heading(self) -> str:
        """Return the name shown on screen."""
        return {"avg": "AVG", "bid-ask": "BID/ASK", "totals": "BID/ASK TOTAL", "delta": "Delta"}[self.value]

    @property
    def for_coins(self) -> bool:
        """Whether the indicator is defined for a single coin."""
        return self in (Indicator.BID_ASK, Indicator.DELTA)


class Kind(StrEnum):
    """Shape of a line's formula."""

    VOLUME = "volume"
    DIFF = "diff"
    RATIO = "ratio"
    MEAN = "mean"


class Convention(StrEnum):
    """How Delta is displayed: bid/ask, or (bid - ask)/(bid + ask)."""

    RATIO = "ratio"
    IMBALANCE = "imbalance"


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of an indicator.

    `bid` and `ask` are band indexes (None: the side is not used). A DIFF is bid - ask, with `negated` ask - bid.
    """

    key: str
    label: str
    indicator: Indicator
    kind: Kind
    bid: int | None
    ask: int | None
    negated: bool = False

    @property
    def depths_pct(self) -> tuple[float, ...]:
        """Return the depths the line rests on, without repetition."""
        return tuple(dict.fromkeys(DEPTHS_PCT[i] for i in (self.bid, self.ask) if i is not None))

    @property
    def mixed(self) -> bool:
        """Whether bid and ask are taken at different depths."""
        return self.bid is not None and self.ask is not None and self.bid != self.ask


BID_ASK_DEPTHS: Final = (1.5, 3.0, 5.0, 8.0, 15.0, 30.0)
DELTA_DEPTHS: Final = (3.0, 5.0, 8.0, 15.0, 30.0)
MIXED: Final = (
    "3B-8A",
    "8B-3A",
    "8B-30A",
    "5B-15A",
    "15B-5A",
    "8B-15A",
    "15B-8A",
    "15B-30A",
    "30B-15A",
    "8A-3B",
)


def _mixed(name: str, indicator: Indicator) -> Line:
    first, second = name.split("-")
    sides = {part[-1]: depth_index(float(part[:-1])) for part in (first, second)}
    return Line(
        f"{indicator.value}:{name}", name, indicator, Kind.DIFF, sides["B"], sides["A"], negated=first.endswith("A")
    )


def _volumes(indicator: Indicator, depths: tuple[float, ...]) -> tuple[Line, ...]:
    lines: list[Line] = []
    for depth in depths:
        i = depth_index(depth)
        name = f"{depth:g}"
        lines.append(Line(f"{indicator.value}:bid{name}", f"BID {name} %", indicator, Kind.VOLUME, i, None))
        lines.append(Line(f"{indicator.value}:ask{name}", f"ASK {name} %", indicator, Kind.VOLUME, None, i))
        lines.append(Line(f"{indicator.value}:diff{name}", f"DIFF {name} %", indicator, Kind.DIFF, i, i))
    return tuple(lines)


def _catalogue() -> dict[Indicator, tuple[Line, ...]]:
    sixty = depth_index(60.0)
    delta = tuple(
        Line(f"delta:{d:g}", f"Delta {d:g} %", Indicator.DELTA, Kind.RATIO, depth_index(d), depth_index(d))
        for d in DELTA_DEPTHS
    )
    return {
        Indicator.AVG: (Line("avg:60", "AVG 60 %", Indicator.AVG, Kind.MEAN, sixty, sixty),),
        Indicator.BID_ASK: _volumes(Indicator.BID_ASK, BID_ASK_DEPTHS)
        + tuple(_mixed(name, Indicator.BID_ASK) for name in MIXED),
        Indicator.TOTALS: _volumes(Indicator.TOTALS, DEPTHS_PCT),
        Indicator.DELTA: delta,
    }


LINES: Final[dict[Indicator, tuple[Line, ...]]] = _catalogue()
LINE_BY_KEY: Final[dict[str, Line]] = {line.key: line for lines in LINES.values() for line in lines}


@dataclass(frozen=True, slots=True)
class Curve:
    """A line over time: values float64 [t] (NaN: missing), known uint8 [t] (`Known`), unconfirmed share [t]."""

    values: FloatArray
    known: npt.NDArray[np.uint8]
    unconfirmed: FloatArray


def _side_known(window: DepthWindow, side: int, band: int) -> npt.NDArray[np.uint8]:
    """Return `Known` per moment of one side's volume."""
    coverage = window.coverage[:, side, band]
    known = np.full(coverage.shape, Known.MISSING, np.uint8)
    partial = coverage == Coverage.PARTIAL
    known[partial] = Known.FLOOR
    known[partial & (window.unconfirmed[:, side, band] > 0)] = Known.PARTIAL
    known[coverage == Coverage.EXACT] = Known.EXACT
    known[~np.isfinite(window.usd[:, side, band])] = Known.MISSING
    return known


def evaluate(line: Line, window: DepthWindow, convention: Convention = Convention.RATIO) -> Curve:
    """Compute a line over a window; a value that is undefined is NaN and MISSING, never 0 or inf."""
    if line.kind is Kind.VOLUME:
        side, band = (BID, line.bid) if line.bid is not None else (ASK, line.ask)
        assert band is not None
        known = _side_known(window, side, band)
        values = np.where(known == Known.MISSING, np.nan, window.usd[:, side, band])
        return Curve(values, known, window.unconfirmed[:, side, band])
    assert line.bid is not None
    assert line.ask is not None
    bid, ask = window.usd[:, BID, line.bid], window.usd[:, ASK, line.ask]
    bid_known, ask_known = _side_known(window, BID, line.bid), _side_known(window, ASK, line.ask)
    exact = (bid_known == Known.EXACT) & (ask_known == Known.EXACT)
    defined = (bid_known != Known.MISSING) & (ask_known != Known.MISSING)
    unconfirmed = _mixed_share(window, line.bid, line.ask)
    values = np.full(bid.shape, np.nan)
    if line.kind is Kind.DIFF:
        np.subtract(bid, ask, out=values, where=defined)
        if line.negated:
            values = -values
    elif line.kind is Kind.MEAN:
        counts = window.ratio_count[:, line.bid]
        defined = (counts > 0) & np.isfinite(window.ratio_mean[:, line.bid])
        values[defined] = window.ratio_mean[defined, line.bid]
        exact = (window.ratio_exact[:, line.bid] == window.total) & (counts == window.total)
    elif convention is Convention.RATIO:
        defined = defined & (ask > 0)
        np.divide(bid, ask, out=values, where=defined)
    else:
        total = bid + ask
        defined = defined & (total > 0)
        np.divide(bid - ask, total, out=values, where=defined)
    known = np.where(exact, np.uint8(Known.EXACT), np.uint8(Known.PARTIAL))
    known[~defined] = Known.MISSING
    return Curve(values, known, unconfirmed)


def _mixed_share(window: DepthWindow, bid: int, ask: int) -> FloatArray:
    """Return the unconfirmed share of the volume on both sides together, 0 where there is no volume."""
    volumes = np.nan_to_num(np.stack((window.usd[:, BID, bid], window.usd[:, ASK, ask])))
    shares = np.stack((window.unconfirmed[:, BID, bid], window.unconfirmed[:, ASK, ask]))
    total = volumes.sum(axis=0)
    out = np.zeros(total.shape)
    np.divide((volumes * shares).sum(axis=0), total, out=out, where=total > 0)
    return out


def strict(curve: Curve) -> Curve:
    """Return the curve with everything that is not EXACT blanked (the strict switch)."""
    keep = curve.known == Known.EXACT
    return Curve(
        np.where(keep, curve.values, np.nan), np.where(keep, curve.known, np.uint8(Known.MISSING)), curve.unconfirmed
    )


def lines_of(indicator: Indicator, *, group: bool) -> tuple[Line, ...]:
    """Return the lines an indicator offers; empty for AVG and BID/ASK TOTAL of a coin."""
    if not group and not indicator.for_coins:
        return ()
    return LINES[indicator]


__all__ = [
    "BANDS",
    "LINES",
    "LINE_BY_KEY",
    "Convention",
    "Curve",
    "Indicator",
    "Kind",
    "Line",
    "evaluate",
    "lines_of",
    "strict",
]
