"""Remembered books come back as they were, or with a sentence; never as wrong levels."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.books.book import OrderBook
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.services import remembered
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.storage.saved_books import SavedBook, SavedSide, load_books, save_books
from app.venues.binance.intake import BinanceIntake

HOUR_NS = 3_600_000_000_000
FEED = FeedId(Venue.BINANCE, Market.BINANCE_SPOT)


def engine() -> MarketEngine:
    listed = [
        Instrument(market=Market.BINANCE_SPOT, symbol=s, pair=s, base=s[:3], quote="USDT")
        for s in ("BTCUSDT", "ETHUSDT")
    ]
    return MarketEngine(FEED, listed, EngineOptions(), EngineOutputs(), FeedHealth(feed=FEED), BinanceIntake)


def fill(book: OrderBook) -> None:
    book.load([(10.0, 1.0), (9.0, 2.0)], [(11.0, 3.0), (12.0, 4.0)], limit=2, unbroken=False)
    book.apply([(5.0, 7.0)], [])


def test_levels_return_unconfirmed_since_the_exit_and_old_ones_are_left_out(tmp_path: Path) -> None:
    before = engine()
    fill(before.rows[0].sync.book)
    before.rows[0].sync.book.distrust(10 * HOUR_NS)
    before.rows[0].sync.book.apply([(10.0, 1.5)], [])
    remembered.remember(before, tmp_path, 20 * HOUR_NS)
    after = engine()
    assert remembered.recall({Market.BINANCE_SPOT: after}, tmp_path, 0) == []
    price, qty, since = after.rows[0].sync.book.bids.levels()
    assert price.tolist() == [10.0, 9.0, 5.0]
    assert qty.tolist() == [1.5, 2.0, 7.0]
    assert since.tolist() == [20 * HOUR_NS, 10 * HOUR_NS, 10 * HOUR_NS]
    young = engine()
    remembered.recall({Market.BINANCE_SPOT: young}, tmp_path, 15 * HOUR_NS)
    assert young.rows[0].sync.book.bids.levels()[0].tolist() == [10.0]
    assert len(young.rows[1].sync.book) == 0


@given(data=st.binary(max_size=300))
def test_a_damaged_file_is_set_aside_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("books")
    path = folder / f"{FEED}.books"
    path.write_bytes(data)
    books, note = load_books(path, str(FEED))
    assert books == {}
    assert note is not None
    assert "damaged" in note
    assert not path.exists()


def test_impossible_levels_are_refused() -> None:
    good = np.array([1.0, 2.0])
    since = np.array([1, 1])
    for price, qty, times in (
        (np.array([1.0, np.nan]), good, since),
        (good, np.array([1.0, -1.0]), since),
        (good, good, np.array([0, 1])),
        (good, good[:1], since),
    ):
        with pytest.raises(ValueError, match=r"levels|lengths"):
            SavedSide.pack(price, qty, times).unpack()


def test_a_file_of_another_feed_or_version_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.books"
    side = SavedSide.pack(np.array([1.0]), np.array([1.0]), np.array([1]))
    save_books(path, "binance.usdm", {"BTCUSDT": SavedBook(side, side)})
    books, note = load_books(path, "binance.spot")
    assert books == {}
    assert note is not None
    path.write_bytes(gzip.compress(msgspec.msgpack.encode({"version": 9, "feed": "binance.spot", "books": {}})))
    assert load_books(path, "binance.spot")[1] is not None
    assert load_books(tmp_path / "missing", "binance.spot") == ({}, None)
