"""Turns what a chart shows into a table: one row per visible curve and moment, nothing that is not on screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.viewmodels.chart_series import BREAK
from app.viewmodels.chart_words import KNOWN_WORDS
from app.viewmodels.depth_chart import DepthChartModel

HEADER: Final = ("time_utc", "epoch_ms", "curve", "value", "known", "unconfirmed_share", "sample")


def chart_rows(model: DepthChartModel, start_s: float, end_s: float) -> Iterator[tuple[str | int | float, ...]]:
    """Yield the rows of `HEADER` for start_s <= time <= end_s, curve by curve, oldest first.

    A moment at which a curve is undefined has an empty value and the word "missing"; holes have no row at all. sample
    is "tick", or "minute" for a minute's mean, whose time is the middle of that minute.
    """
    for curve in model.curves():
        if model.is_hidden(curve.key):
            continue
        name = f"{curve.line.label} {model.config.subject} {curve.market.label}"
        at_ms = np.rint(curve.x * 1000).astype(np.int64)
        inside = (at_ms >= start_s * 1000) & (at_ms <= end_s * 1000) & (curve.stamp_ms != BREAK)
        for i in np.flatnonzero(inside):
            moment_ms = int(at_ms[i])
            value, known = float(curve.y[i]), Known(int(curve.known[i]))
            missing = known is Known.MISSING or not np.isfinite(value)
            yield (
                datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
                + f".{moment_ms % 1000:03d}Z",
                moment_ms,
                name,
                "" if missing else value,
                KNOWN_WORDS[Known.MISSING if missing else known],
                "" if missing else round(float(curve.unconfirmed[i]), 6),
                "tick" if moment_ms == int(curve.stamp_ms[i]) else "minute",
            )


def file_stem(model: DepthChartModel, at_s: float) -> str:
    """Return a file name without suffix: "fathom-delta-TOTAL-20251121-100037"."""
    moment = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d-%H%M%S")
    subject = "".join(letter for letter in str(model.config.subject) if letter.isalnum())
    return f"fathom-{model.config.indicator.value}-{subject}-{moment}"
