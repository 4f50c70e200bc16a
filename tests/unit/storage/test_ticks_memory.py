"""The tick rings hold exactly the last two minutes, in order, and nothing invented."""

from __future__ import annotations

import numpy as np
from blocks import tick_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.ids import Market
from app.indicators.aggregate import aggregate
from app.indicators.groups import GROUPS, Group, membership
from app.storage.rows import GroupTick
from app.storage.ticks import TickSink, TickSource
from app.storage.ticks_memory import MemoryTickStore

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.integers(1, 9), min_size=1, max_size=120), span_s=st.integers(2, 8))
def test_a_window_is_the_ticks_of_the_span_in_order(steps: list[int], span_s: int) -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS}, span_s=span_s, interval_ms=200)
    rng = np.random.default_rng(1)
    sent: list[tuple[int, float]] = []
    now = 1_000_000
    for step in steps:
        now += step * 200
        batch = tick_batch(rng, now, SYMBOLS, Market.BINANCE_SPOT)
        store.put(batch)
        sent.append((now, float(batch.usd[1, 0, 3])))
    window = store.window(Market.BINANCE_SPOT, "ETHUSDT")
    assert window is not None
    expected = [(t, v) for t, v in sent if t >= now - span_s * 1000]
    assert list(zip(window.ts_ms.tolist(), window.usd[:, 0, 3].tolist(), strict=True)) == expected


def test_a_symbol_without_ticks_has_an_empty_window_and_an_unknown_one_none() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS})
    window = store.window(Market.BINANCE_SPOT, "BTCUSDT")
    assert window is not None
    assert window.ts_ms.size == 0
    assert store.window(Market.BINANCE_SPOT, "NOUSDT") is None
    assert store.window(Market.BINANCE_USDM, "BTCUSDT") is None
    assert len(store.coin_window(Market.BINANCE_SPOT, "NOUSDT")) == 0


def test_only_the_symbols_of_a_batch_get_a_tick() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS})
    rng = np.random.default_rng(2)
    batch = tick_batch(rng, 5_000, ("ETHUSDT",), Market.BINANCE_SPOT)
    object.__setattr__(batch, "rows", np.array([1]))
    store.put(batch)
    assert len(store.coin_window(Market.BINANCE_SPOT, "ETHUSDT")) == 1
    assert len(store.coin_window(Market.BINANCE_SPOT, "BTCUSDT")) == 0


def test_group_windows_leave_out_moments_without_any_book() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS})
    members = membership(["BTC", "ETH", "SOL"])
    usd = np.full((3, 2, 7), np.nan)
    coverage = np.zeros((3, 2, 7), np.uint8)
    loose, mid = np.zeros((3, 2, 7)), np.full(3, np.nan)
    store.put_groups(
        GroupTick(ts_ms=1_000, market=Market.BINANCE_SPOT, depth=aggregate(members, usd, coverage, loose, mid))
    )
    usd[0], coverage[0], mid[0] = 10.0, 2, 5.0
    store.put_groups(
        GroupTick(ts_ms=1_200, market=Market.BINANCE_SPOT, depth=aggregate(members, usd, coverage, loose, mid))
    )
    total = store.group_window(Market.BINANCE_SPOT, Group.TOTAL)
    assert total.ts_ms.tolist() == [1_200]
    assert total.usd[0, 0, 0] == 10.0
    assert total.total == 3
    assert total.included.tolist() == [1]
    assert len(store.group_window(Market.BINANCE_SPOT, Group.TOTAL1)) == 0, "BTC is not in TOTAL1"
    assert GROUPS[0] is Group.TOTAL


def test_subscribers_get_every_batch_until_they_leave() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS})
    seen: list[object] = []
    leave = store.subscribe(seen.append)
    rng = np.random.default_rng(3)
    store.put(tick_batch(rng, 1_000, SYMBOLS, Market.BINANCE_SPOT))
    leave()
    leave()
    store.put(tick_batch(rng, 1_200, SYMBOLS, Market.BINANCE_SPOT))
    assert len(seen) == 1


def test_a_quiet_symbol_keeps_no_tick_older_than_the_span_of_its_market() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS}, span_s=2)
    rng = np.random.default_rng(4)
    store.put(tick_batch(rng, 10_000, SYMBOLS, Market.BINANCE_SPOT))
    assert len(store.coin_window(Market.BINANCE_SPOT, "SOLUSDT")) == 1
    store.put(tick_batch(rng, 12_001, SYMBOLS[:1], Market.BINANCE_SPOT))
    assert len(store.coin_window(Market.BINANCE_SPOT, "SOLUSDT")) == 0
    assert store.coin_window(Market.BINANCE_SPOT, "BTCUSDT").ts_ms.tolist() == [12_001]


def test_a_time_that_steps_back_starts_that_market_over() -> None:
    store = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS, Market.BINANCE_USDM: SYMBOLS})
    rng = np.random.default_rng(5)
    for market in (Market.BINANCE_SPOT, Market.BINANCE_USDM):
        store.put(tick_batch(rng, 10_000, SYMBOLS, market))
    store.put(tick_batch(rng, 4_000, SYMBOLS[:1], Market.BINANCE_SPOT))
    assert store.coin_window(Market.BINANCE_SPOT, "BTCUSDT").ts_ms.tolist() == [4_000]
    assert len(store.coin_window(Market.BINANCE_SPOT, "ETHUSDT")) == 0
    assert store.coin_window(Market.BINANCE_USDM, "ETHUSDT").ts_ms.tolist() == [10_000]


def test_the_revision_of_a_market_moves_with_its_batches_only() -> None:
    store: TickSource = MemoryTickStore({Market.BINANCE_SPOT: SYMBOLS, Market.BINANCE_USDM: SYMBOLS})
    sink: TickSink = store  # type: ignore[assignment] # one object is both
    before = store.revision(Market.BINANCE_SPOT), store.revision(Market.BINANCE_USDM)
    sink.put(tick_batch(np.random.default_rng(6), 1_000, SYMBOLS, Market.BINANCE_SPOT))
    assert store.revision(Market.BINANCE_SPOT) > before[0]
    assert store.revision(Market.BINANCE_USDM) == before[1]
