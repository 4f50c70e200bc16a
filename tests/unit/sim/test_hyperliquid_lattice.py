"""Prices the simulated Hyperliquid allows, and the buckets it cuts books into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sim.hyperliquid.lattice import MOST_LEVELS, Levels, bucketed, round_down, round_up, steps


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def side(levels: dict[int, int], *, bids: bool) -> Levels:
    prices = sorted(levels, reverse=bids)
    return Levels(ints(*prices), ints(*(levels[price] for price in prices)), ints(*([1] * len(prices))))


@pytest.mark.parametrize(
    ("atoms", "decimals", "step"),
    [
        (1_133_770, 1, 10),  # 113377.0: six figures, but a whole number
        (99_999, 1, 1),  # 9999.9
        (100_000, 1, 10),  # 10000.0: the step grows with the power of ten
        (17_201, 4, 1),
        (12_345_678, 6, 1000),  # 12.345678 may only be 12.345 or 12.346
        (9_799, 6, 1),
    ],
)
def test_a_price_has_five_figures_or_is_whole(atoms: int, decimals: int, step: int) -> None:
    assert steps(ints(atoms), decimals).tolist() == [step]
    assert round_down(ints(atoms), decimals)[0] == atoms // step * step
    assert round_up(ints(atoms), decimals)[0] == -(-atoms // step) * step


def test_bids_are_rounded_down_asks_up_and_empty_buckets_are_left_out() -> None:
    bids = side({965_000: 1, 961_200: 2, 960_000: 4, 931_000: 8}, bids=True)
    asks = side({965_010: 1, 970_000: 2, 970_010: 4, 1_010_000: 8}, bids=False)
    assert [each.tolist() for each in bucketed(bids, bids=True, figures=2, mantissa=None)] == [
        [960_000, 930_000],
        [7, 8],
        [3, 1],
    ]
    assert [each.tolist() for each in bucketed(asks, bids=False, figures=2, mantissa=None)] == [
        [970_000, 980_000, 1_100_000],
        [3, 4, 8],
        [2, 1, 1],
    ]


def test_below_a_power_of_ten_the_buckets_are_ten_times_finer() -> None:
    bids = side({10_050: 1, 10_000: 1, 9_990: 1, 9_950: 1}, bids=True)
    assert bucketed(bids, bids=True, figures=3, mantissa=None).prices.tolist() == [10_000, 9_990, 9_950]


def test_a_mantissa_widens_the_finest_buckets() -> None:
    bids = side({965_039: 1, 965_030: 1, 965_019: 1}, bids=True)
    assert bucketed(bids, bids=True, figures=5, mantissa=None).prices.tolist() == [965_030, 965_010]
    assert bucketed(bids, bids=True, figures=5, mantissa=2).prices.tolist() == [965_020, 965_000]
    assert bucketed(bids, bids=True, figures=5, mantissa=5).prices.tolist() == [965_000]


def test_an_empty_side_stays_empty() -> None:
    assert not len(bucketed(side({}, bids=True), bids=True, figures=2, mantissa=None).prices)


@given(
    levels=st.dictionaries(st.integers(1, 10**9), st.integers(1, 10**6), min_size=1, max_size=200),
    figures=st.sampled_from([None, 2, 3, 4, 5]),
    bids=st.booleans(),
)
def test_buckets_lose_nothing_but_what_lies_beyond_the_twentieth(
    levels: dict[int, int], figures: int | None, bids: bool
) -> None:
    found = bucketed(side(levels, bids=bids), bids=bids, figures=figures, mantissa=None)
    prices, sizes = found.prices.tolist(), found.sizes.tolist()
    assert 0 < len(prices) <= MOST_LEVELS
    assert prices == sorted(set(prices), reverse=bids)
    for place, price in enumerate(prices):
        if bids:
            true = sum(size for each, size in levels.items() if each >= price)
        else:
            true = sum(size for each, size in levels.items() if each <= price)
        assert sum(sizes[: place + 1]) == true
    if figures is not None:
        assert all(len(str(price).rstrip("0")) <= figures for price in prices)
