"""The chart's view model: one seam, honest holes, incremental growth, words, states. No Qt."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from chart_source import START_MS, TICK_MS, ChartSource, ImmediateSpawn, depth_window
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.coverage import Known
from app.domain.ids import Market
from app.domain.units import MS_PER_MINUTE
from app.indicators.formulas import LINE_BY_KEY, Convention, Indicator, Kind, evaluate
from app.indicators.groups import Group, Subject, SubjectMarket
from app.viewmodels.chart_config import (
    DEFAULT_CHARTS,
    ChartConfig,
    TimeLink,
    tidy,
    toggle_depth,
    toggle_line,
    toggle_side,
)
from app.viewmodels.chart_series import BREAK, MINUTE_MIDDLE_MS, TICK_GAP_MS, MarketTrace
from app.viewmodels.depth_chart import DepthChartModel, TimeLinks, TimeView
from app.viewmodels.export import chart_rows
from app.viewmodels.linking import LinkBus
from app.viewmodels.minute_cache import MinuteCache
from app.viewmodels.why import explanation_text

KEY = SubjectMarket(Subject(group=Group.TOTAL), Market.BINANCE_SPOT)
LINES = (LINE_BY_KEY["delta:5"], LINE_BY_KEY["delta:15"])


def make_model(source: ChartSource, config: ChartConfig = DEFAULT_CHARTS[0], **more: object) -> DepthChartModel:
    model = DepthChartModel(source, config, spawn=ImmediateSpawn(), **more)  # type: ignore[arg-type]
    model.advance(source.now_ms)
    model.advance(source.now_ms)
    return model


def trace_of(minutes: list[int], ticks: list[int]) -> MarketTrace:
    trace = MarketTrace(LINES, Convention.RATIO, False)
    trace.set_minutes(depth_window(KEY, np.array(minutes, np.int64)))
    trace.take_ticks(depth_window(KEY, np.array(ticks, np.int64)))
    return trace


# -- seam and holes -------------------------------------------------------------------------------------------------

minute_lists = st.lists(st.integers(0, 40), unique=True, max_size=25).map(sorted)
tick_lists = st.lists(st.integers(0, 40 * 60_000), unique=True, max_size=60).map(sorted)


@given(minutes=minute_lists, ticks=tick_lists)
@settings(max_examples=150, deadline=None)
def test_minutes_end_where_ticks_begin_and_no_point_is_made_up(minutes: list[int], ticks: list[int]) -> None:
    minute_ms = [START_MS + m * MS_PER_MINUTE for m in minutes]
    tick_ms = [START_MS + t for t in ticks]
    rows = trace_of(minute_ms, tick_ms).rows
    real = rows.stamp_ms != BREAK
    seam = tick_ms[0] if tick_ms else None
    shown = [m for m in minute_ms if seam is None or m + MINUTE_MIDDLE_MS < seam]
    begins = shown and seam is not None and shown[-1] + MS_PER_MINUTE > seam
    if begins and shown[-1] - MS_PER_MINUTE not in shown:
        shown.pop()  # recording began in that minute: the ticks say all there is of it
    assert rows.stamp_ms[real].tolist() == shown + tick_ms
    assert rows.at_ms[real].tolist() == [m + MINUTE_MIDDLE_MS for m in shown] + tick_ms
    assert (np.diff(rows.at_ms) >= 0).all()
    assert np.isnan(rows.y[:, ~real]).all()
    assert (rows.known[:, ~real] == Known.MISSING).all()


@given(minutes=minute_lists, ticks=tick_lists)
@settings(max_examples=150, deadline=None)
def test_curves_break_exactly_at_missing_time(minutes: list[int], ticks: list[int]) -> None:
    rows = trace_of([START_MS + m * MS_PER_MINUTE for m in minutes], [START_MS + t for t in ticks]).rows
    is_tick = rows.stamp_ms == rows.at_ms
    real = np.flatnonzero(rows.stamp_ms != BREAK)
    for a, b in itertools.pairwise(real):
        distance = rows.at_ms[b] - rows.at_ms[a]
        if is_tick[a] and is_tick[b]:
            hole = distance > TICK_GAP_MS
        elif not is_tick[a] and not is_tick[b]:
            hole = distance > MS_PER_MINUTE
        else:
            hole = distance > MS_PER_MINUTE + TICK_GAP_MS
        assert (b - a == 2) == hole, (a, b, distance)
        assert b - a in (1, 2)


@given(
    ticks=st.lists(st.integers(1, 900), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_growing_tick_by_tick_gives_the_same_rows_as_all_at_once(ticks: list[int], cuts: list[int]) -> None:
    ts_ms = START_MS + np.cumsum(np.array(ticks, np.int64)) * 10
    whole = depth_window(KEY, ts_ms)
    minutes = depth_window(KEY, START_MS + np.arange(-5, 0, dtype=np.int64) * MS_PER_MINUTE)
    at_once, grown = MarketTrace(LINES, Convention.RATIO, False), MarketTrace(LINES, Convention.RATIO, False)
    at_once.set_minutes(minutes)
    at_once.take_ticks(whole)
    grown.set_minutes(minutes)
    for stop in [*sorted(c for c in cuts if c < len(whole)), len(whole)]:
        grown.take_ticks(whole.slice(0, stop))
    assert grown.rows.at_ms.tolist() == at_once.rows.at_ms.tolist()
    assert np.array_equal(grown.rows.y, at_once.rows.y, equal_nan=True)


def test_new_ticks_only_append() -> None:
    source = ChartSource()
    model = make_model(source)
    layout, before = model.layout, len(model.rows(Market.BINANCE_SPOT))
    source.advance(2 * TICK_MS)
    model.advance(source.now_ms)
    assert model.layout == layout
    assert len(model.rows(Market.BINANCE_SPOT)) == before + 2


def test_values_are_those_of_the_formula() -> None:
    source = ChartSource()
    model = make_model(source, tidy(replace(DEFAULT_CHARTS[3], line_keys=("bid-ask:bid5", "bid-ask:8A-3B"))))
    key = SubjectMarket(Subject(pair="BTCUSDT"), Market.BINANCE_USDM)
    live = source.live(key)
    for curve in model.curves()[2:]:
        expected = evaluate(curve.line, live)
        ticks = curve.stamp_ms == np.rint(curve.x * 1000)
        assert np.array_equal(curve.y[ticks], expected.values)
        assert np.array_equal(curve.known[ticks], expected.known)


def test_old_ticks_give_way_only_to_stored_minutes() -> None:
    source = ChartSource()
    model = make_model(source)
    source.away = "the database is away"
    for _ in range(5):
        source.advance(60_000)
        model.advance(source.now_ms)
    assert model.seam_s(Market.BINANCE_SPOT) == pytest.approx((START_MS - 120_000) / 1000)
    source.away = ""
    for _ in range(8):
        source.advance(10_000)
        model.advance(source.now_ms)
    seam = model.seam_s(Market.BINANCE_SPOT)
    assert seam is not None
    assert seam >= source.now_ms / 1000 - 160
    rows = model.rows(Market.BINANCE_SPOT)
    assert not (rows.stamp_ms == BREAK).any()


def test_a_chart_hidden_for_long_starts_its_ticks_anew() -> None:
    source = ChartSource()
    model = make_model(source)
    source.advance(30 * 60_000)
    for _ in range(3):
        model.advance(source.now_ms)
    rows = model.rows(Market.BINANCE_SPOT)
    ticks = rows.stamp_ms == rows.at_ms
    assert rows.at_ms[ticks][0] >= source.now_ms - 120_000
    assert not (rows.stamp_ms == BREAK).any()


def test_a_replay_that_jumps_back_in_time_is_shown_from_there() -> None:
    source = ChartSource()
    model = make_model(source)
    source.advance(-86_400_000)
    for _ in range(3):
        model.advance(source.now_ms)
    assert model.edge_s == source.now_ms / 1000
    assert model.rows(Market.BINANCE_SPOT).at_ms[-1] == source.now_ms


def test_strict_blanks_everything_that_is_not_exact() -> None:
    source = ChartSource()
    config = tidy(replace(DEFAULT_CHARTS[0], line_keys=("delta:5", "delta:15"), strict=True))
    model = make_model(source, config)
    exact, partial = (curve for curve in model.curves() if curve.market is Market.BINANCE_SPOT)
    assert np.isfinite(exact.y).any()
    assert not np.isfinite(partial.y).any()
    model.configure(replace(config, strict=False))
    model.advance(source.now_ms)
    partial = model.curves()[1]
    finite = np.isfinite(partial.y)
    assert finite.any()
    assert (partial.known[finite] == Known.PARTIAL).all()


# -- stored minutes -------------------------------------------------------------------------------------------------


def test_minutes_are_read_once_and_then_only_extended() -> None:
    source = ChartSource()
    model = make_model(source)
    first = len(source.reads)
    assert first == 2
    for _ in range(20):
        source.advance(200)
        model.advance(source.now_ms)
    polls = len(source.reads) - first
    assert polls <= 2 * 2
    for _ in range(40):
        source.advance(2_000)
        model.advance(source.now_ms)
    assert all(end - start <= 4 * MS_PER_MINUTE for _, start, end in source.reads[first:])
    assert model.rows(Market.BINANCE_SPOT).stamp_ms[0] == source.reads[0][1]


def test_panning_back_reads_what_is_missing() -> None:
    source = ChartSource()
    model = make_model(source)
    oldest = int(model.rows(Market.BINANCE_SPOT).at_ms[0])
    model.set_view(TimeView(900.0, START_MS / 1000 - 3_600))
    model.advance(source.now_ms)
    model.advance(source.now_ms)
    rows = model.rows(Market.BINANCE_SPOT)
    assert rows.at_ms[0] < START_MS - 4_500_000 < oldest
    assert not (rows.stamp_ms == BREAK).any()


def test_a_store_that_is_away_is_said_and_tried_again() -> None:
    source = ChartSource()
    source.away = "connection refused"
    model = make_model(source)
    assert "connection refused" in model.note()
    assert np.isfinite(model.rows(Market.BINANCE_SPOT).y).any(), "live values go on"
    tries = len(source.reads)
    source.advance(200)
    model.advance(source.now_ms)
    assert len(source.reads) == tries, "not at every frame"
    source.away = ""
    source.advance(6_000)
    model.advance(source.now_ms)
    model.advance(source.now_ms)
    assert model.note() == ""
    assert model.rows(Market.BINANCE_SPOT).at_ms[0] < START_MS - 600_000


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 240)), min_size=1, max_size=25))
@settings(max_examples=100, deadline=None)
def test_the_cache_knows_every_stored_minute_of_the_stretch_it_claims(steps: list[tuple[int, int]]) -> None:
    cache, now_ms, stored = MinuteCache(), START_MS, np.arange(-600, 600, dtype=np.int64) * MS_PER_MINUTE + START_MS
    for back_min, forward_s in steps:
        now_ms += forward_s * 1000
        wanted = cache.wanted(now_ms - back_min * MS_PER_MINUTE, now_ms)
        if wanted is not None:
            start, end = wanted
            assert start < end
            done = stored[(stored >= start) & (stored < end) & (stored + MS_PER_MINUTE <= now_ms)]
            cache.accept(start, end, depth_window(KEY, done), now_ms)
        assert cache.low_ms is not None
        held = cache.window.ts_ms
        assert held.tolist() == stored[(stored >= cache.low_ms) & (stored < cache.high_ms)].tolist()


async def test_a_slow_store_does_not_hold_up_live_values() -> None:
    gate = asyncio.Event()

    class SlowSource(ChartSource):
        async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int):  # type: ignore[no-untyped-def]
            await gate.wait()
            return await super().minutes(key, start_ms, end_ms)

    source = SlowSource()
    source.primed = False
    model = DepthChartModel(source)
    model.advance(source.now_ms)
    assert "Loading" in model.message()
    source.primed = True
    source.advance(200)
    model.advance(source.now_ms)
    assert model.message() == ""
    gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    model.advance(source.now_ms)
    assert model.rows(Market.BINANCE_USDM).at_ms[0] < START_MS - 600_000
    model.close()


async def test_closing_cancels_what_is_being_read() -> None:
    class StuckSource(ChartSource):
        async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int):  # type: ignore[no-untyped-def]
            await asyncio.Event().wait()

    model = DepthChartModel(StuckSource())
    model.advance(START_MS)
    assert len(asyncio.all_tasks()) == 3
    model.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


# -- words and states -----------------------------------------------------------------------------------------------


def test_the_title_line_says_what_and_how_well_known() -> None:
    model = make_model(ChartSource(exact_pct=3.0))
    assert model.summary() == "Delta 5 % · TOTAL · SPOT + FUTURES · 92 of 100 books exact"
    coin = make_model(ChartSource(exact_pct=3.0), DEFAULT_CHARTS[3])
    assert coin.summary() == "BID/ASK 5 % · BTCUSDT · SPOT + FUTURES · partial: bid 10% unconfirmed"
    assert coin.coverage(Market.BINANCE_SPOT, LINE_BY_KEY["bid-ask:ask5"]) == "floor"
    assert coin.coverage(Market.BINANCE_SPOT, LINE_BY_KEY["bid-ask:ask3"]) == "exact"


def test_a_chart_without_values_says_why() -> None:
    source = ChartSource(history_ms=0)
    source.primed = False
    model = make_model(source)
    assert "books are primed" in model.message()
    strict_model = make_model(ChartSource(exact_pct=3.0), replace(DEFAULT_CHARTS[0], strict=True))
    assert strict_model.message().startswith("Strict")


def test_silence_is_noticed_and_ends() -> None:
    source = ChartSource()
    model = make_model(source)
    assert model.silent_ms is None
    model.advance(source.now_ms + 10_000)
    assert model.silent_ms == 10_000
    assert model.edge_s == pytest.approx(source.now_ms / 1000 + 10)
    source.advance(10_400)
    model.advance(source.now_ms)
    assert model.silent_ms is None


def test_the_last_value_carries_how_well_it_is_known() -> None:
    model = make_model(ChartSource(), tidy(replace(DEFAULT_CHARTS[3], line_keys=("bid-ask:bid15", "bid-ask:ask15"))))
    bid, ask = (curve.last() for curve in model.curves()[:2])
    assert bid is not None
    assert ask is not None
    assert (bid.known, ask.known) == (Known.PARTIAL, Known.FLOOR)
    assert bid.at_ms == START_MS


# -- choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", DEFAULT_CHARTS)
def test_choices_survive_a_round_trip(config: ChartConfig) -> None:
    changed = tidy(replace(config, strict=True, span_s=3600.0, hidden=("spot/delta:5",), time_link=TimeLink.OWN))
    assert ChartConfig.from_state(changed.to_state()) == changed


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["spot", "avg", "delta:5"]),
    lambda children: st.lists(children, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(list(ChartConfig().to_state())), json_values))
@settings(max_examples=200, deadline=None)
def test_any_stored_state_gives_a_chart_that_can_be_drawn(state: dict[str, object]) -> None:
    config = ChartConfig.from_state(state)
    assert config.lines
    assert config.markets
    assert all(line.indicator is config.indicator for line in config.lines)
    assert config.subject.is_group or config.indicator.for_coins
    assert ChartConfig.from_state(config.to_state()) == config


@given(st.lists(st.integers(0, 40), max_size=12), st.sampled_from(list(Indicator)))
@settings(max_examples=100, deadline=None)
def test_no_row_of_clicks_leaves_a_chart_without_lines(clicks: list[int], indicator: Indicator) -> None:
    config = ChartConfig().with_indicator(indicator)
    keys = list(LINE_BY_KEY)
    for click in clicks:
        step = (
            lambda c, k=click: toggle_depth(c, (1.5, 3.0, 5.0, 8.0, 15.0, 30.0)[k % 6]),
            lambda c, k=click: toggle_side(c, ("BID", "ASK", "DIFF")[k % 3]),
            lambda c, k=click: toggle_line(c, keys[k]),
        )[click % 3]
        config = step(config)
        assert config.lines
        assert all(line.indicator is indicator for line in config.lines)


def test_toggling_depths_and_sides() -> None:
    config = ChartConfig().with_indicator(Indicator.TOTALS)
    assert config.line_keys == ("totals:bid5", "totals:ask5") or {line.kind for line in config.lines} == {Kind.VOLUME}
    config = toggle_depth(config, 15.0)
    assert config.line_keys == ("totals:bid5", "totals:ask5", "totals:bid15", "totals:ask15")
    config = toggle_side(config, "ASK")
    assert config.line_keys == ("totals:bid5", "totals:bid15")
    assert toggle_side(config, "BID") == config, "the last line stays"
    assert toggle_depth(config, 5.0).line_keys == ("totals:bid15",)


def test_a_coin_has_no_avg_and_no_totals() -> None:
    coin = DEFAULT_CHARTS[1].with_subject(Subject(pair="ETHUSDT"))
    assert coin.indicator is Indicator.BID_ASK
    assert coin.line_keys == ("bid-ask:bid5", "bid-ask:ask5")
    assert coin.with_indicator(Indicator.AVG).subject.is_group


# -- links and watching ---------------------------------------------------------------------------------------------


def test_charts_of_one_group_share_their_time_axis() -> None:
    source, links = ChartSource(), TimeLinks()
    first, second = (make_model(source, config, links=links) for config in DEFAULT_CHARTS[:2])
    alone = make_model(source, replace(DEFAULT_CHARTS[2], time_link=TimeLink.OWN), links=links)
    first.set_view(TimeView(300.0, START_MS / 1000))
    first.set_cursor(START_MS / 1000 - 7)
    assert second.view == first.view
    assert second.cursor_s == START_MS / 1000 - 7
    assert alone.view == TimeView(900.0)
    assert alone.cursor_s is None


def test_a_linked_coin_chart_follows_the_picked_pair() -> None:
    source, bus = ChartSource(), LinkBus()
    coin, group = (make_model(source, config, bus=bus) for config in (DEFAULT_CHARTS[3], DEFAULT_CHARTS[0]))
    bus.publish("A", "ETHUSDT")
    assert str(coin.config.subject) == "ETHUSDT"
    assert str(group.config.subject) == "TOTAL"
    coin.pick_pair("SOLUSDT")
    assert bus.current("A") == "SOLUSDT"
    coin.close()
    assert bus.subscriber_count("A") == 0


def test_series_are_watched_only_while_on_screen() -> None:
    source = ChartSource()
    model = make_model(source)
    model.set_visible(True)
    model.configure(replace(model.config, markets=(Market.BINANCE_USDM,)))
    assert {key.market for key, count in source.watched.items() if count} == {Market.BINANCE_USDM}
    model.close()
    assert not any(source.watched.values())


# -- exports --------------------------------------------------------------------------------------------------------


def test_exported_rows_are_the_shown_points() -> None:
    source = ChartSource()
    source.silence(START_MS - 60_000, START_MS - 30_000)
    model = make_model(source, replace(DEFAULT_CHARTS[0], hidden=("usdm/delta:5",)))
    start, end = START_MS / 1000 - 300, START_MS / 1000 - 10
    rows = list(chart_rows(model, start, end))
    curve = model.curves()[0]
    shown = (curve.x >= start) & (curve.x <= end) & np.isfinite(curve.y)
    assert [row[3] for row in rows] == curve.y[shown].tolist()
    assert [row[1] for row in rows] == np.rint(curve.x[shown] * 1000).astype(int).tolist()
    assert {row[2] for row in rows} == {"Delta 5 % TOTAL SPOT"}
    assert {row[4] for row in rows} == {"exact"}
    assert {row[6] for row in rows} == {"tick", "minute"}
    assert rows[-1][0] == "2025-11-21T09:59:50.000Z"


def test_an_explanation_as_text_holds_every_part() -> None:
    source = ChartSource()
    model = make_model(source)
    explanation = model.explain(Market.BINANCE_SPOT, LINES[0], None)
    text = explanation_text(explanation)
    for part in (explanation.title, explanation.formula, "≈ 0.842", "BTCUSDT", "XYZUSDT: waiting for snapshot"):
        assert part in text


def test_the_view_models_of_charts_work_without_qt() -> None:
    code = (
        "import sys; sys.modules['PySide6'] = None; sys.modules['pyqtgraph'] = None;"
        "import app.viewmodels.depth_chart, app.viewmodels.export, app.viewmodels.why"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
