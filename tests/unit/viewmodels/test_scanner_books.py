"""What the scanner asks of real engines' books."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "services"))

from market import MS, START, diff, engine_of, path, snapshot

from app.domain.coverage import Known
from app.domain.ids import Market
from app.domain.units import DEPTHS_PCT
from app.viewmodels.scanner_books import ScannerBooks


class Band:
    """Holds a band as the running watch does."""

    def __init__(self) -> None:
        self.band = 2

    def set_band(self, band: int) -> None:
        self.band = band


@pytest.fixture
def books() -> ScannerBooks:
    engine, _given = engine_of("BTCUSDT", "ETHUSDT")
    bids = [(100.0 - step, 1.0) for step in range(1, 4)]
    asks = [(100.0 + step, 1.0) for step in range(1, 4)]
    engine.on_streams(START + MS, ("BTCUSDT",), up=True)
    engine.on_frame(START + 2 * MS, diff("BTCUSDT", 11, 12, [], []))
    engine.on_rest(START + 3 * MS, path("BTCUSDT", 3), snapshot(11, bids, asks))
    engine.on_frame(START + 4 * MS, diff("BTCUSDT", 13, 13, [(99.5, 1.0)], []))
    engine.advance(START + 400 * MS)
    return ScannerBooks(Band(), {Market.BINANCE_SPOT: engine})


def test_depths_are_those_of_the_program(books: ScannerBooks) -> None:
    assert books.depth_pct == DEPTHS_PCT[2]
    books.set_depth_pct(15.0)
    assert books.depth_pct == 15.0
    with pytest.raises(ValueError, match="4"):
        books.set_depth_pct(4.0)


def test_a_delta_is_known_as_far_as_its_book(books: ScannerBooks) -> None:
    books.set_depth_pct(1.5)
    assert books.known(Market.BINANCE_SPOT, "BTCUSDT") is Known.EXACT
    books.set_depth_pct(60.0)
    assert books.known(Market.BINANCE_SPOT, "BTCUSDT") is Known.PARTIAL


@pytest.mark.parametrize(
    ("market", "symbol"),
    [(Market.BINANCE_SPOT, "ETHUSDT"), (Market.BINANCE_SPOT, "NOUSDT"), (Market.BYBIT_SPOT, "BTCUSDT")],
)
def test_without_a_book_nothing_is_known(books: ScannerBooks, market: Market, symbol: str) -> None:
    assert books.known(market, symbol) is Known.MISSING


def test_only_instruments_with_a_book_have_a_price_step() -> None:
    engine, _given = engine_of("BTCUSDT")
    engine.instruments = tuple(replace(each, tick_size="0.010") for each in engine.instruments)
    books = ScannerBooks(Band(), {Market.BINANCE_SPOT: engine})
    assert books.tick_size(Market.BINANCE_SPOT, "BTCUSDT") == "0.010"
    assert books.tick_size(Market.BYBIT_SPOT, "BTCUSDT") is None
    assert books.tick_size(Market.BINANCE_SPOT, "NOUSDT") is None
