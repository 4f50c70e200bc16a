"""Who belongs to which group, and group sums against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.coverage import Coverage
from app.domain.ids import Market
from app.indicators.aggregate import aggregate
from app.indicators.groups import GROUPS, TOP_TEN, Group, Subject, membership
from app.venues.naming import guess_instrument

OUT = {
    "TOTAL": set(),
    "TOTAL1": {"BTC"},
    "TOTAL2": {"BTC", "ETH"},
    "TOTAL3": {"BTC", "ETH", "SOL"},
    "OTHERS": {"BTC", "ETH", "XRP", "BNB", "SOL", "TRX", "DOGE", "ADA", "LINK", "BCH"},
}


def test_each_group_leaves_out_the_coins_it_is_named_for() -> None:
    bases = [*sorted(TOP_TEN), "PEPE", "SHIB", "WBTC", "BTCDOM", "ETC"]
    mask = membership(bases)
    assert [group.value for group in GROUPS] == list(OUT)
    for row, group in zip(mask, GROUPS, strict=True):
        assert {base for base, member in zip(bases, row, strict=True) if not member} == OUT[group.value]
    assert membership([]).shape == (5, 0)


@pytest.mark.parametrize(
    ("market", "symbol", "base", "pair", "units"),
    [
        (Market.BINANCE_USDM, "1000PEPEUSDT", "PEPE", "PEPEUSDT", 1000),
        (Market.BINANCE_USDM, "1000000MOGUSDT", "MOG", "MOGUSDT", 1_000_000),
        (Market.BINANCE_USDM, "BTCUSDT", "BTC", "BTCUSDT", 1),
        (Market.BINANCE_USDM, "BTCUSDT_250926", "BTC", "BTCUSDT", 1),
        (Market.BINANCE_SPOT, "1000SATSUSDT", "1000SATS", "1000SATSUSDT", 1),
        (Market.BINANCE_SPOT, "1INCHUSDT", "1INCH", "1INCHUSDT", 1),
        (Market.BINANCE_SPOT, "XMRBTC", "XMR", "XMRBTC", 1),
    ],
)
def test_bases_are_told_from_symbols(market: Market, symbol: str, base: str, pair: str, units: int) -> None:
    found = guess_instrument(market, symbol)
    assert (found.base, found.pair, found.units) == (base, pair, units)


def test_a_contract_of_a_thousand_coins_counts_by_its_base() -> None:
    bases = [guess_instrument(Market.BINANCE_USDM, symbol).base for symbol in ("1000PEPEUSDT", "BTCUSDT")]
    mask = dict(zip(GROUPS, membership(bases).tolist(), strict=True))
    assert mask[Group.TOTAL] == [True, True]
    assert mask[Group.OTHERS] == [True, False]


def test_subjects_are_groups_or_coins() -> None:
    assert Subject.parse(" total3 ") == Subject(group=Group.TOTAL3)
    assert Subject.parse("solusdt") == Subject(pair="SOLUSDT")
    assert str(Subject(group=Group.OTHERS)) == "OTHERS"
    assert str(Subject(pair="SOLUSDT")) == "SOLUSDT"
    assert Subject.parse("OTHERS").is_group
    with pytest.raises(ValueError, match="nothing"):
        Subject.parse("  ")
    with pytest.raises(ValueError, match="either"):
        Subject()
    with pytest.raises(ValueError, match="either"):
        Subject(group=Group.TOTAL, pair="BTCUSDT")


@st.composite
def markets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    members = rng.random((5, count)) < draw(st.floats(0, 1))
    usd = rng.integers(0, 5, (count, 2, 7)).astype(float).cumsum(axis=2)
    coverage = rng.choice([0, 1, 2], (count, 2, 7), p=draw(st.sampled_from([(0.02, 0.3, 0.68), (0.3, 0.3, 0.4)])))
    whole = rng.random(count) < 0.6  # real books have both sides or none
    coverage[whole] = np.maximum(coverage[whole], 1)
    usd[coverage == 0] = np.nan
    loose = np.nan_to_num(usd) * rng.choice([0.0, 0.5], usd.shape)
    mid = np.where(rng.random(count) < 0.2, np.nan, rng.integers(1, 100, count))
    return members, usd, coverage.astype(np.uint8), loose, mid


@settings(max_examples=250, deadline=None, database=None)
@given(markets())
def test_group_sums_equal_a_plain_loop(
    market: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    members, usd, coverage, loose, mid = market
    depth = aggregate(members, usd, coverage, loose, mid)
    count = members.shape[1]
    for g in range(5):
        inside = [n for n in range(count) if members[g, n]]
        synced = [n for n in inside if all(coverage[n, s, b] for s in (0, 1) for b in range(7))]
        assert depth.total[g] == len(inside)
        assert depth.included[g] == len(synced)
        heft = {n: usd[n, 0, 6] + usd[n, 1, 6] for n in synced if not math.isnan(mid[n])}
        weight = sum(heft.values())
        expected = sum(heft[n] * mid[n] for n in heft) / weight if weight else math.nan
        assert depth.vw_mid[g] == pytest.approx(expected, nan_ok=True)
        for b in range(7):
            ratios = [usd[n, 0, b] / usd[n, 1, b] for n in synced if usd[n, 1, b] > 0]
            assert depth.ratio_count[g, b] == len(ratios)
            mean = sum(ratios) / len(ratios) if ratios else math.nan
            assert depth.ratio_mean[g, b] == pytest.approx(mean, nan_ok=True)
            proven = [n for n in synced if coverage[n, 0, b] == coverage[n, 1, b] == 2 and usd[n, 1, b] > 0]
            assert depth.ratio_exact[g, b] == len(proven)
            for s in (0, 1):
                total = sum(usd[n, s, b] for n in synced)
                exact = sum(coverage[n, s, b] == 2 for n in synced)
                assert depth.exact[g, s, b] == exact
                if not synced:
                    assert math.isnan(depth.usd[g, s, b])
                    assert depth.coverage[g, s, b] == Coverage.NONE
                    assert depth.unconfirmed[g, s, b] == 0
                    continue
                assert depth.usd[g, s, b] == pytest.approx(total)
                state = Coverage.EXACT if exact == len(inside) else Coverage.PARTIAL
                assert depth.coverage[g, s, b] == state
                share = sum(loose[n, s, b] for n in synced) / total if total else 0.0
                assert depth.unconfirmed[g, s, b] == pytest.approx(share)
