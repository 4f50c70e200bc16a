"""Pixels, scales and tag places of charts: pure functions, no window."""

from __future__ import annotations

import itertools
from datetime import UTC, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.coverage import Known
from app.domain.ids import BOOK_MARKETS
from app.domain.units import DEPTHS_PCT
from app.indicators.formulas import Indicator, lines_of
from app.ui import theme
from app.ui.charts import palette, raster, scales
from app.ui.charts.tags import spread
from app.viewmodels.chart_config import ChartConfig, tidy

START = 1_763_719_200_000
WIDTH, HEIGHT = 200, 100
RED, DIM = 0xFFFF0000, 0xFF440000


def ink(curves: int = 1, thick: bool = False) -> raster.Ink:
    return raster.Ink(
        np.full(curves, RED, np.uint32), np.full(curves, DIM, np.uint32), np.full(curves, thick, np.bool_)
    )


def frame(span_ms: float = 200_000, low: float = 0.0, high: float = 100.0) -> raster.Frame:
    return raster.Frame(START, span_ms / WIDTH, high, (high - low) / HEIGHT, WIDTH, HEIGHT)


def drawn(at_ms, y, known=Known.EXACT, thick: bool = False, the_frame: raster.Frame | None = None) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH), np.uint32)
    y = np.atleast_2d(np.asarray(y, float))
    known = np.broadcast_to(np.asarray(known, np.uint8), y.shape)
    raster.draw(image, the_frame or frame(), np.asarray(at_ms, np.int64), y, known, ink(len(y), thick))
    return image


samples = st.lists(st.tuples(st.integers(1, 3_000), st.floats(0.5, 99.0)), min_size=1, max_size=700)


@given(samples)
@settings(max_examples=80, deadline=None)
def test_no_sample_is_lost_however_dense(points: list[tuple[int, float]]) -> None:
    at_ms = START + np.cumsum([step for step, _ in points])
    y = np.array([value for _, value in points])
    image = drawn(at_ms, y)
    f = frame()
    columns = np.floor((at_ms - f.base_ms) / f.ms_per_px).astype(int) - f.first_column
    rows = np.floor((f.top - y) / f.per_px).astype(int)
    for column, row in zip(columns, rows, strict=True):
        if 1 <= column < WIDTH - 1:
            assert image[row, column] == RED or RED in image[row - 1 : row + 2, column - 1 : column + 2]


@pytest.mark.parametrize("step_ms", [100, 4_000])
def test_a_hole_has_no_pixels(step_ms: int) -> None:
    at_ms = np.arange(START, START + 200_000, step_ms)
    inside = (at_ms > START + 60_000) & (at_ms < START + 120_000)
    y = np.where(inside, np.nan, 50.0)
    image = drawn(at_ms, y, the_frame=frame())
    assert (image[:, 62:118] == 0).all()
    assert (image[:, 5:55] == RED).any(axis=0).all()
    assert (image[:, 125:195] == RED).any(axis=0).all()


@pytest.mark.parametrize("step_ms", [100, 5_000])
def test_exact_is_solid_floor_and_partial_are_dashed_and_floor_has_hatch(step_ms: int) -> None:
    at_ms = np.arange(START, START + 200_000, step_ms)
    y = np.full(at_ms.size, 50.0)
    exact, floor, partial = (drawn(at_ms, y, known) for known in (Known.EXACT, Known.FLOOR, Known.PARTIAL))
    filled = {name: (image == RED).any(axis=0)[5:190] for name, image in (("e", exact), ("f", floor), ("p", partial))}
    assert filled["e"].all()
    assert 0.5 < filled["f"].mean() < 0.8
    assert 0.3 < filled["p"].mean() < 0.6
    assert (floor == DIM).sum() > 40
    assert not (exact == DIM).any()
    assert not (partial == DIM).any()


def test_a_curve_that_loses_exactness_changes_its_stroke_there() -> None:
    at_ms = np.arange(START, START + 200_000, 200)
    known = np.where(at_ms < START + 100_000, Known.EXACT, Known.PARTIAL)
    filled = (drawn(at_ms, np.full(at_ms.size, 50.0), known[None]) == RED).any(axis=0)
    assert filled[2:99].all()
    assert not filled[105:195].all()


def test_a_single_sample_between_holes_can_be_seen() -> None:
    y = [np.nan, 30.0, np.nan]
    assert (drawn([START + 20_000, START + 50_000, START + 80_000], y) == RED).sum() == 3


@given(samples, st.integers(1, 699))
@settings(max_examples=60, deadline=None)
def test_drawing_what_is_new_covers_what_drawing_everything_would(points: list[tuple[int, float]], cut: int) -> None:
    at_ms = START + np.cumsum([step for step, _ in points])
    y = np.array([[value for _, value in points]])
    known = np.full(y.shape, Known.EXACT, np.uint8)
    cut = min(cut, at_ms.size)
    at_once, grown = np.zeros((2, HEIGHT, WIDTH), np.uint32)
    f, colours = frame(), ink()
    raster.draw(at_once, f, at_ms, y, known, colours)
    raster.draw(grown, f, at_ms[:cut], y[:, :cut], known[:, :cut], colours)
    raster.draw(grown, f, at_ms[cut - 1 :], y[:, cut - 1 :], known[:, cut - 1 :], colours)
    missing = np.argwhere((at_once == RED) & (grown == 0))
    for row, column in missing:
        around = grown[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert (around == RED).any()


def test_scrolling_by_whole_columns_only_shifts_the_picture() -> None:
    at_ms = np.arange(START - 50_000, START + 400_000, 100)
    y = 50 + 30 * np.sin(at_ms / 7_000) + 5 * np.sin(at_ms / 313)
    known = np.full(at_ms.size, Known.PARTIAL)
    first = drawn(at_ms, y, known)
    later = drawn(at_ms, y, known, the_frame=raster.Frame(START + 25_000, 1000, 100, 1, WIDTH, HEIGHT))
    assert np.array_equal(first[:, 30:195], later[:, 5:170])


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), samples)
@settings(max_examples=60, deadline=None)
def test_any_zoom_draws_within_the_picture(low: float, span: float, points: list[tuple[int, float]]) -> None:
    at_ms = START + np.cumsum([step for step, _ in points])
    drawn(at_ms, [value for _, value in points], Known.FLOOR, True, frame(50_000, low, low + span))


# -- tags -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-50, 350), max_size=30), st.integers(40, 300))
def test_tags_never_overlap_and_stay_inside(wanted: list[float], height: int) -> None:
    places = spread(wanted, 15, 0, height)
    middles = sorted(place for place in places if place is not None)
    assert len(middles) == min(len(wanted), height // 15)
    assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(middles))
    assert all(7.5 - 1e-6 <= middle <= height - 7.5 + 1e-6 for middle in middles)
    kept = [i for i, place in enumerate(places) if place is not None]
    order = sorted(kept, key=lambda i: (wanted[i], i))
    assert [places[i] for i in order] == middles


def test_tags_with_room_stay_where_they_belong() -> None:
    assert spread([20.0, 80.0, 50.0], 15, 0, 100) == [20.0, 80.0, 50.0]


# -- scales ---------------------------------------------------------------------------------------------------------


@given(st.floats(5, 3e6), st.integers(100, 2000))
def test_time_labels_never_touch_and_are_round(span_s: float, pixels: int) -> None:
    step = scales.time_step(span_s, pixels)
    ticks = scales.time_ticks(START / 1000, START / 1000 + span_s, step, UTC)
    assert step / span_s * pixels >= 76 or step == 1_209_600
    assert all(tick % step == 0 for tick in ticks)


def test_days_begin_at_midnight_of_the_zone() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    ticks = scales.time_ticks(START / 1000, START / 1000 + 3 * 86_400, 86_400, zone)
    assert [scales.time_label(tick, 86_400, zone) for tick in ticks] == ["22 Nov", "23 Nov", "24 Nov"]
    assert [scales.time_label(tick, 3600, UTC) for tick in ticks] == ["18:30"] * 3


@pytest.mark.parametrize(
    ("low", "high", "money", "expected"),
    [
        (0.7, 1.1, False, ["0.7", "0.8", "0.9", "1.0", "1.1"]),
        (100e6, 400e6, True, ["100 M", "200 M", "300 M", "400 M"]),
        (-2e6, 2e6, True, ["−2 M", "−1 M", "0", "1 M", "2 M"]),
        (12.30e6, 12.42e6, True, ["12.30 M", "12.32 M", "12.34 M", "12.36 M", "12.38 M", "12.40 M", "12.42 M"]),
        (400e3, 1.2e6, True, ["0.4 M", "0.6 M", "0.8 M", "1.0 M", "1.2 M"]),
    ],
)
def test_value_labels_share_unit_and_decimals(low: float, high: float, money: bool, expected: list[str]) -> None:
    step = scales.value_step(high - low, 34 * (len(expected) - 1))
    assert scales.value_labels(scales.value_ticks(low, high, step), step, money) == expected


def test_every_curve_of_a_chart_has_its_own_colour_or_weight() -> None:
    for name in ("dark", "light"):
        look = theme.build(name)
        for indicator in Indicator:
            keys = tuple(line.key for line in lines_of(indicator, group=True))
            config = tidy(ChartConfig(indicator=indicator, line_keys=keys, markets=BOOK_MARKETS))
            styles = [style for market in BOOK_MARKETS for style in palette.curve_styles(config, look, market)]
            assert len(set(styles)) == len(styles), (name, indicator)
    assert len(DEPTHS_PCT) == len(look.bid_ramp)
