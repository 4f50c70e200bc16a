"""Every formula against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.coverage import Coverage, Known
from app.domain.units import ASK, BID, DEPTHS_PCT, depth_index
from app.indicators.aggregate import aggregate
from app.indicators.formulas import (
    BID_ASK_DEPTHS,
    DELTA_DEPTHS,
    LINE_BY_KEY,
    LINES,
    MIXED,
    Convention,
    Curve,
    Indicator,
    Kind,
    evaluate,
    lines_of,
    strict,
)
from app.indicators.groups import GROUPS, Group, membership
from app.indicators.window import DepthWindow

# depth      1.5    3    5    8    15    30    60
BIDS = [1.0, 4.0, 9.0, 20.0, 50.0, 110.0, 240.0]
ASKS = [2.0, 3.0, 8.0, 25.0, 40.0, 130.0, 200.0]
E, P, N = Coverage.EXACT, Coverage.PARTIAL, Coverage.NONE


def window(
    bids: list[float] = BIDS,
    asks: list[float] = ASKS,
    coverage: tuple[Coverage, Coverage] = (E, E),
    loose: tuple[float, float] = (0.0, 0.0),
) -> DepthWindow:
    """One moment of one coin."""
    cover = np.repeat(np.array(coverage, np.uint8)[None, :, None], 7, axis=2)
    share = np.repeat(np.array(loose)[None, :, None], 7, axis=2)
    return DepthWindow.of_coin(np.array([60_000]), np.array([[bids, asks]]), cover, share)


def value(key: str, of: DepthWindow | None = None, convention: Convention = Convention.RATIO) -> float:
    return float(evaluate(LINE_BY_KEY[key], of or window(), convention).values[0])


def known(key: str, of: DepthWindow) -> Known:
    return Known(int(evaluate(LINE_BY_KEY[key], of).known[0]))


def group_window(
    usd: np.ndarray, coverage: np.ndarray | None = None, group: Group = Group.TOTAL, bases: list[str] | None = None
) -> DepthWindow:
    """One moment of a group from [n, 2, 7] volumes."""
    count = len(usd)
    cover = np.full((count, 2, 7), E, np.uint8) if coverage is None else coverage
    members = membership(bases or [f"C{n}" for n in range(count)])
    depth = aggregate(members, usd, cover, np.zeros_like(usd), np.ones(count))
    k = GROUPS.index(group)
    one = slice(k, k + 1)
    return DepthWindow(
        ts_ms=np.array([60_000]),
        usd=depth.usd[one],
        coverage=depth.coverage[one],
        unconfirmed=depth.unconfirmed[one],
        ratio_mean=depth.ratio_mean[one],
        included=depth.included[one],
        ratio_count=depth.ratio_count[one],
        ratio_exact=depth.ratio_exact[one],
        exact=depth.exact[one],
        total=int(depth.total[k]),
    )


def two_coins() -> np.ndarray:
    """SOL 197.89/331.67 and ADA 101.01/160.73 at every depth."""
    return np.array([[[197.89] * 7, [331.67] * 7], [[101.01] * 7, [160.73] * 7]])


def test_avg_is_the_mean_of_the_symbols_ratios() -> None:
    of = group_window(two_coins(), bases=["SOL", "ADA"])
    assert value("avg:60", of) == pytest.approx((197.89 / 331.67 + 101.01 / 160.73) / 2, rel=1e-12)
    assert round(value("avg:60", of), 4) == 0.6125
    assert known("avg:60", of) is Known.EXACT


def test_group_delta_is_the_ratio_of_sums_not_the_mean_of_ratios() -> None:
    of = group_window(two_coins(), bases=["SOL", "ADA"])
    for depth in ("3", "5", "8", "15", "30"):
        assert value(f"delta:{depth}", of) == pytest.approx((197.89 + 101.01) / (331.67 + 160.73), rel=1e-12)


def test_totals_are_sums_per_depth_and_their_difference() -> None:
    usd = np.array([[BIDS, ASKS], [[10.0 * b for b in BIDS], [100.0 * a for a in ASKS]]])
    of = group_window(usd)
    for i, depth in enumerate(DEPTHS_PCT):
        assert value(f"totals:bid{depth:g}", of) == pytest.approx(11 * BIDS[i])
        assert value(f"totals:ask{depth:g}", of) == pytest.approx(101 * ASKS[i])
        assert value(f"totals:diff{depth:g}", of) == pytest.approx(11 * BIDS[i] - 101 * ASKS[i])


@pytest.mark.parametrize("depth", BID_ASK_DEPTHS)
def test_bid_ask_and_diff_per_depth(depth: float) -> None:
    i = depth_index(depth)
    assert value(f"bid-ask:bid{depth:g}") == BIDS[i]
    assert value(f"bid-ask:ask{depth:g}") == ASKS[i]
    assert value(f"bid-ask:diff{depth:g}") == BIDS[i] - ASKS[i]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3B-8A", 4 - 25),
        ("8B-3A", 20 - 3),
        ("8B-30A", 20 - 130),
        ("5B-15A", 9 - 40),
        ("15B-5A", 50 - 8),
        ("8B-15A", 20 - 40),
        ("15B-8A", 50 - 25),
        ("15B-30A", 50 - 130),
        ("30B-15A", 110 - 40),
        ("8A-3B", 25 - 4),
    ],
)
def test_mixed_diffs_take_each_side_at_its_own_depth(name: str, expected: float) -> None:
    assert value(f"bid-ask:{name}") == expected
    assert LINE_BY_KEY[f"bid-ask:{name}"].mixed


def test_all_ten_mixed_diffs_are_offered() -> None:
    assert len(MIXED) == 10
    labels = {line.label for line in LINES[Indicator.BID_ASK] if line.mixed}
    assert labels == set(MIXED)


@pytest.mark.parametrize("depth", DELTA_DEPTHS)
def test_delta_in_both_conventions(depth: float) -> None:
    i = depth_index(depth)
    bid, ask = BIDS[i], ASKS[i]
    assert value(f"delta:{depth:g}") == bid / ask
    assert value(f"delta:{depth:g}", convention=Convention.IMBALANCE) == pytest.approx((bid - ask) / (bid + ask))


def test_the_convention_changes_delta_only() -> None:
    for line in LINE_BY_KEY.values():
        if line.kind is not Kind.RATIO:
            one, other = (evaluate(line, window(), convention).values for convention in Convention)
            assert one.tolist() == other.tolist()


def test_lines_are_offered_where_they_are_defined() -> None:
    assert [len(lines_of(indicator, group=True)) for indicator in Indicator] == [1, 28, 21, 5]
    assert [len(lines_of(indicator, group=False)) for indicator in Indicator] == [0, 28, 0, 5]
    assert len(LINE_BY_KEY) == 55
    assert LINE_BY_KEY["bid-ask:8A-3B"].depths_pct == (3.0, 8.0)
    assert LINE_BY_KEY["delta:5"].depths_pct == (5.0,)
    assert [indicator.heading for indicator in Indicator] == ["AVG", "BID/ASK", "BID/ASK TOTAL", "Delta"]


def test_without_asks_a_ratio_is_missing_never_zero_or_infinite() -> None:
    of = window(asks=[0.0] * 7)
    curve = evaluate(LINE_BY_KEY["delta:5"], of)
    assert np.isnan(curve.values).all()
    assert curve.known.tolist() == [Known.MISSING]
    assert value("bid-ask:diff5", of) == 9.0, "a difference needs no division"
    group = group_window(np.array([[BIDS, [0.0] * 7]]))
    assert np.isnan(value("avg:60", group))
    assert known("avg:60", group) is Known.MISSING
    assert known("delta:5", group) is Known.MISSING
    nothing = window(bids=[0.0] * 7, asks=[0.0] * 7)
    curve = evaluate(LINE_BY_KEY["delta:5"], nothing, Convention.IMBALANCE)
    assert np.isnan(curve.values).all()


def test_without_a_primed_book_everything_is_missing() -> None:
    of = window(coverage=(N, N))
    unsampled = window(bids=[np.nan] * 7, asks=[np.nan] * 7, coverage=(N, N))
    group = group_window(np.full((2, 2, 7), np.nan), np.full((2, 2, 7), N, np.uint8))
    for each in (of, unsampled, group, DepthWindow.blank(1)):
        for line in LINE_BY_KEY.values():
            curve = evaluate(line, each)
            assert np.isnan(curve.values).all(), line.key
            assert curve.known.tolist() == [Known.MISSING], line.key


@pytest.mark.parametrize(
    ("coverage", "loose", "volume", "combined"),
    [
        ((E, E), (0.0, 0.0), Known.EXACT, Known.EXACT),
        ((P, P), (0.0, 0.0), Known.FLOOR, Known.PARTIAL),
        ((P, E), (0.0, 0.0), Known.FLOOR, Known.PARTIAL),
        ((E, P), (0.0, 0.0), Known.EXACT, Known.PARTIAL),
        ((P, E), (0.2, 0.0), Known.PARTIAL, Known.PARTIAL),
        ((N, E), (0.0, 0.0), Known.MISSING, Known.MISSING),
    ],
)
def test_how_well_a_value_is_known_follows_from_both_sides(
    coverage: tuple[Coverage, Coverage], loose: tuple[float, float], volume: Known, combined: Known
) -> None:
    of = window(coverage=coverage, loose=loose)
    assert known("bid-ask:bid5", of) is volume
    for key in ("bid-ask:diff5", "bid-ask:3B-8A", "delta:5"):
        assert known(key, of) is combined, key
        curve = strict(evaluate(LINE_BY_KEY[key], of))
        shown = combined is Known.EXACT
        assert np.isfinite(curve.values[0]) == shown
        assert curve.known[0] == (Known.EXACT if shown else Known.MISSING)


def test_strict_blanks_only_what_is_not_proven() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    curve = strict(Curve(values, np.array([3, 2, 1, 0], np.uint8), np.zeros(4)))
    assert np.array_equal(curve.values, [1.0, np.nan, np.nan, np.nan], equal_nan=True)
    assert curve.known.tolist() == [3, 0, 0, 0]


def test_the_unconfirmed_share_of_a_difference_weighs_both_sides() -> None:
    of = window(coverage=(P, P), loose=(0.5, 0.1))
    assert evaluate(LINE_BY_KEY["bid-ask:bid5"], of).unconfirmed.tolist() == [0.5]
    assert evaluate(LINE_BY_KEY["bid-ask:diff5"], of).unconfirmed[0] == pytest.approx((0.5 * 9 + 0.1 * 8) / 17)
    assert evaluate(LINE_BY_KEY["bid-ask:8A-3B"], of).unconfirmed[0] == pytest.approx((0.5 * 4 + 0.1 * 25) / 29)


def test_a_group_is_exact_only_when_every_symbol_is() -> None:
    usd = np.array([[BIDS, ASKS], [BIDS, ASKS]])
    coverage = np.full((2, 2, 7), E, np.uint8)
    coverage[1, BID, 4:] = P
    of = group_window(usd, coverage)
    assert known("totals:bid8", of) is Known.EXACT
    assert known("totals:bid15", of) is Known.FLOOR
    assert known("totals:ask60", of) is Known.EXACT
    assert known("totals:diff15", of) is Known.PARTIAL
    assert known("avg:60", of) is Known.PARTIAL
    assert of.exact[0, BID].tolist() == [2, 2, 2, 2, 1, 1, 1]
    coverage[1] = N
    of = group_window(usd, coverage)
    assert int(of.included[0]) == 1
    assert value("totals:bid8", of) == 20.0
    assert known("totals:bid8", of) is Known.FLOOR
    assert known("avg:60", of) is Known.PARTIAL
    assert value("avg:60", of) == pytest.approx(240 / 200)


def test_windows_are_cut_and_joined_without_repeating_a_moment() -> None:
    moments = [window(bids=[float(n)] * 7) for n in range(4)]
    whole = DepthWindow.empty()
    for n, moment in enumerate(moments):
        stamped = DepthWindow.of_coin(np.array([n]), moment.usd, moment.coverage, moment.unconfirmed)
        whole = whole.then(stamped)
    assert whole.ts_ms.tolist() == [0, 1, 2, 3]
    assert whole.slice(1, 3).usd[:, BID, 0].tolist() == [1.0, 2.0]
    assert whole.slice(0, 3).then(whole.slice(1, 4)).usd[:, BID, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert len(whole.then(whole)) == 4
    assert whole.usd[0, ASK, 0] == ASKS[0]
