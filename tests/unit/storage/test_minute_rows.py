"""Minutes survive the way to bytes and rows, and two parts of one minute make the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from blocks import MINUTE_MS, minute_block
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import StorageError
from app.storage.minute_rows import (
    GROUP_ROW_COLUMNS,
    SYMBOL_ROW_COLUMNS,
    exact_of_bits,
    group_tuples,
    merge_rows,
    pack_block,
    symbol_tuples,
    unpack_block,
)


def test_bytes_give_back_the_same_minute() -> None:
    block = minute_block(np.random.default_rng(1), exact=0.5)
    again, part = unpack_block(pack_block(block, "abc"))
    assert part == "abc"
    assert again.symbols.symbols == block.symbols.symbols
    assert again.symbols.market is block.symbols.market
    np.testing.assert_array_equal(again.symbols.usd, block.symbols.usd)
    np.testing.assert_array_equal(again.groups.ratio_count, block.groups.ratio_count)
    assert symbol_tuples(again.symbols, "abc") == symbol_tuples(block.symbols, "abc")


def test_a_group_without_a_sample_makes_no_row() -> None:
    groups = minute_block(np.random.default_rng(1)).groups
    count = len(groups.groups)
    samples = np.arange(count)
    assert [row[0] for row in group_tuples(replace(groups, samples=samples), "abc")] == list(groups.groups[1:])
    assert group_tuples(replace(groups, samples=np.zeros(count, np.int64)), "abc") == []


@pytest.mark.parametrize("cut", [0, 1, 10, 200])
def test_cut_or_foreign_bytes_are_refused_with_a_sentence(cut: int) -> None:
    raw = pack_block(minute_block(np.random.default_rng(1)), "abc")
    with pytest.raises(StorageError, match="cannot be read"):
        unpack_block(raw[:cut])


def _rows(samples: int, seed: int, part: str) -> tuple[dict[str, object], dict[str, object]]:
    block = minute_block(np.random.default_rng(seed), samples=samples, partial=True, exact=0.25)
    symbol = dict(zip(SYMBOL_ROW_COLUMNS, symbol_tuples(block.symbols, part)[0], strict=True))
    group = dict(zip(GROUP_ROW_COLUMNS, group_tuples(block.groups, part)[0], strict=True))
    return symbol, group


@settings(max_examples=40, deadline=None)
@given(first=st.integers(1, 300), second=st.integers(1, 300), seed=st.integers(0, 1000))
def test_two_parts_are_averaged_by_their_samples(first: int, second: int, seed: int) -> None:
    (a, ga), (b, gb) = _rows(first, seed, "a"), _rows(second, seed + 1, "b")
    merged = merge_rows(dict(a), dict(b))
    assert merged is not None
    assert merged["samples"] == first + second
    expected = (float(a["bid_usd_5"]) * first + float(b["bid_usd_5"]) * second) / (first + second)
    assert merged["bid_usd_5"] == pytest.approx(expected)
    assert merged["mid"] == pytest.approx((float(a["mid"]) * first + float(b["mid"]) * second) / (first + second))
    heavy, light = float(a["bid_usd_5"]) * first, float(b["bid_usd_5"]) * second
    loose = (float(a["bid_unconfirmed_5"]) * heavy + float(b["bid_unconfirmed_5"]) * light) / (heavy + light)
    assert merged["bid_unconfirmed_5"] == pytest.approx(loose)
    groups = merge_rows(dict(ga), dict(gb))
    assert groups is not None
    assert groups["ratio_count_60"] == min(ga["ratio_count_60"], gb["ratio_count_60"])


def test_the_same_part_again_changes_nothing_and_a_whole_minute_wins() -> None:
    a, _ = _rows(100, 1, "a")
    b, _ = _rows(50, 2, "b")
    merged = merge_rows(dict(a), dict(b))
    assert merged is not None
    assert merge_rows(merged, dict(b)) is None
    assert merge_rows(merged, dict(a)) is None
    whole = {**b, "partial": 0, "parts": "w"}
    assert merge_rows(merged, whole) == whole
    assert merge_rows(whole, dict(a)) is None


def test_exact_bits_name_the_bands_that_were_exact_throughout() -> None:
    block = minute_block(np.random.default_rng(1))
    block.symbols.exact[0, 1, 6] = 0.99
    row = dict(zip(SYMBOL_ROW_COLUMNS, symbol_tuples(block.symbols, "p")[0], strict=True))
    flags = exact_of_bits(np.array([row["exact_bits"]]))
    expected = np.ones((1, 2, 7), bool)
    expected[0, 1, 6] = False
    np.testing.assert_array_equal(flags, expected)
    assert row["minute"] == MINUTE_MS
