"""A minute that was cut into parts by restarts is, in the database, the minute as if nothing had happened."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.books.depth import DepthTable
from app.domain.coverage import Coverage
from app.domain.ids import Market
from app.indicators.aggregate import aggregate
from app.indicators.groups import GROUPS, membership
from app.services.minutes import MinuteMeans
from app.storage.database import Database, sqlite_url
from app.storage.rows import MinuteBlock
from app.storage.statements import GroupSeries, SymbolSeries

BASES = ("BTC", "ETH", "SOL", "AVAX")
SYMBOLS = tuple(f"{base}USDT" for base in BASES)
MEMBERS = membership(BASES)
MINUTE_MS = 1_700_000_040_000


def observed(seed: int, samples: int) -> list[DepthTable]:
    """Return that many measurements of all symbols."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(samples):
        table = DepthTable(len(SYMBOLS))
        table.usd[:] = rng.uniform(1.0, 1e8, table.usd.shape)
        table.coins[:] = rng.uniform(1.0, 1e5, table.coins.shape)
        table.loose[:] = table.usd * np.where(rng.random(table.usd.shape) < 0.5, 0.0, rng.random(table.usd.shape))
        table.coverage[:] = np.where(rng.random(table.usd.shape) < 0.8, Coverage.EXACT, Coverage.PARTIAL)
        table.best[:] = rng.uniform(10.0, 20.0, table.best.shape)
        tables.append(table)
    return tables


def minute_of(tables: list[DepthTable], *, whole: bool) -> MinuteBlock:
    """Return the means of a run that began with these measurements."""
    means = MinuteMeans(Market.BINANCE_SPOT, SYMBOLS)
    means.roll(MINUTE_MS if whole else MINUTE_MS + 200)
    for table in tables:
        means.add(np.arange(len(SYMBOLS)), table)
        mid = table.best.mean(axis=1)
        means.add_groups(aggregate(MEMBERS, table.usd, table.coverage, table.loose, mid))
    block = means.roll(MINUTE_MS + 60_000) if whole else means.finish()
    assert block is not None
    assert block.symbols.partial is not whole
    return block


def stored(path: Path, parts: list[tuple[MinuteBlock, str]]) -> tuple[list[SymbolSeries], list[GroupSeries]]:
    """Return what the database holds after these parts."""
    database = Database(sqlite_url(path))
    database.open()
    for part in parts:
        database.write_minutes([part])
    symbols = [database.read_symbol(Market.BINANCE_SPOT, symbol, 0, 2**62) for symbol in SYMBOLS]
    groups = [database.read_group(Market.BINANCE_SPOT, group, 0, 2**62) for group in GROUPS]
    with database._connected().connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM depth_minutes ORDER BY symbol, depth_pct").fetchall()
        assert len(rows) == len(SYMBOLS) * 7
    database.close()
    return symbols, groups


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(3, 12),
    cuts=st.lists(st.integers(1, 11), min_size=1, max_size=2, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_parts_in_any_order_and_number_make_the_whole(
    tmp_path_factory: pytest.TempPathFactory, seed: int, samples: int, cuts: list[int], order: object
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    tables = observed(seed, samples)
    edges = [0, *sorted(cut for cut in cuts if cut < samples), samples]
    parts = [(minute_of(tables[start:stop], whole=False), f"run{start}") for start, stop in pairwise(edges)]
    replayed = parts * 2
    order.shuffle(replayed)  # type: ignore[attr-defined]
    symbols, groups = stored(folder / "parts.sqlite", replayed)
    whole_symbols, whole_groups = stored(folder / "whole.sqlite", [(minute_of(tables, whole=True), "w")])
    for found, expected in zip(symbols, whole_symbols, strict=True):
        np.testing.assert_array_equal(found.minute_ms, expected.minute_ms)
        np.testing.assert_allclose(found.usd, expected.usd, rtol=1e-12)
        np.testing.assert_array_equal(found.exact, expected.exact)
        np.testing.assert_allclose(found.unconfirmed, expected.unconfirmed, rtol=1e-5, atol=1e-7)
    for got, wanted in zip(groups, whole_groups, strict=True):
        np.testing.assert_allclose(got.usd, wanted.usd, rtol=1e-12)
        np.testing.assert_allclose(got.ratio_mean, wanted.ratio_mean, rtol=1e-12)
        np.testing.assert_allclose(got.unconfirmed, wanted.unconfirmed, rtol=1e-9)
        for name in ("included", "total", "exact", "ratio_count", "ratio_exact"):
            np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))


def test_a_whole_minute_replaces_its_parts_and_a_late_part_does_not_spoil_it(tmp_path: Path) -> None:
    tables = observed(1, 6)
    whole = (minute_of(tables, whole=True), "w")
    first, second = (minute_of(tables[:3], whole=False), "a"), (minute_of(tables[3:], whole=False), "b")
    expected, _ = stored(tmp_path / "expected.sqlite", [whole])
    found, _ = stored(tmp_path / "found.sqlite", [first, whole, second, whole])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.usd, other.usd)
        np.testing.assert_array_equal(one.unconfirmed, other.unconfirmed)


def test_every_quantity_has_a_column_per_depth(tmp_path: Path) -> None:
    block = minute_of(observed(2, 5), whole=True)
    database = Database(sqlite_url(tmp_path / "h.sqlite"))
    database.open()
    database.write_minutes([(block, "p")])
    with database._connected().connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT bid_usd, ask_usd, bid_coins, ask_coins, bid_threshold, ask_threshold, bid_exact, ask_exact, "
            "bid_unconfirmed, ask_unconfirmed, best_bid, best_ask, mid, spread, samples, partial "
            "FROM depth_minutes WHERE symbol = 'ETHUSDT' AND market = 'spot' ORDER BY depth_pct"
        ).fetchall()
        groups = connection.exec_driver_sql(
            "SELECT bid_usd, ask_usd, included, total, bid_exact, ask_exact, vw_mid, ratio_mean, ratio_count, "
            "ratio_exact, samples FROM group_depth_minutes WHERE name = 'TOTAL1' ORDER BY depth_pct"
        ).fetchall()
    database.close()
    s, g = block.symbols, block.groups
    one = np.array([tuple(row) for row in rows])
    columns = (s.usd, s.coins, s.threshold, s.exact, s.unconfirmed)
    np.testing.assert_allclose(one[:, :10].T, np.concatenate([column[1] for column in columns]), rtol=1e-12)
    np.testing.assert_allclose(one[0, 10:], [s.best_bid[1], s.best_ask[1], s.mid[1], s.spread[1], 5, 0])
    many = np.array([tuple(row) for row in groups])
    np.testing.assert_allclose(many[:, :2].T, g.usd[1])
    np.testing.assert_allclose(many[:, 4:6].T, g.exact[1])
    np.testing.assert_allclose(many[:, 7:10].T, [g.ratio_mean[1], g.ratio_count[1], g.ratio_exact[1]])
    np.testing.assert_allclose(many[0, [2, 3, 6, 10]], [g.included[1], g.total[1], g.vw_mid[1], 5])
