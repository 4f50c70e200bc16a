"""The simulated market keeps the venue's promises over thousands of steps: chains, ids, sides, depth, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.ids import Market
from app.sim.book import Changes, SimBook
from app.sim.market import SimMarket
from app.sim.universe import THOUSANDS, build_listings, read_symbols

SYMBOLS = ["BTCUSDT", "SOLUSDT", "LINKUSDT", "PEPEUSDT", "CKBUSDT"]
TEN = ["BTC", "ETH", "XRP", "BNB", "SOL", "TRX", "DOGE", "ADA", "LINK", "BCH"]
STABLE = {"USDC", "FDUSD", "TUSD", "DAI", "USDE", "PYUSD", "EUR", "USD1", "XUSD", "BFUSD"}


class Reader:
    """Holds one book from diffs only, by the plain rules."""

    def __init__(self, book: SimBook) -> None:
        self.update_id, bids, asks = book.snapshot(None, ahead=False)
        self.bids, self.asks = dict(bids), dict(asks)

    def apply(self, changes: Changes) -> None:
        for side, levels in ((self.bids, changes.bids), (self.asks, changes.asks)):
            for price, quantity in levels.items():
                assert quantity >= 0
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.update_id = changes.last_id

    def equals(self, book: SimBook) -> bool:
        update_id, bids, asks = book.snapshot(None, ahead=False)
        return (update_id, dict(bids), dict(asks)) == (self.update_id, self.bids, self.asks)


def test_the_shipped_list_names_a_hundred_pairs_without_stablecoins() -> None:
    symbols = read_symbols()
    assert len(symbols) == len(set(symbols)) == 100
    assert {f"{base}USDT" for base in TEN} <= set(symbols)
    assert all(symbol.endswith("USDT") and symbol.removesuffix("USDT") not in STABLE for symbol in symbols)
    assert symbols[:2] == ["BTCUSDT", "ETHUSDT"]


def test_cheap_coins_trade_by_the_thousand_on_futures_only() -> None:
    listings = build_listings()
    spot = {listing.symbol: listing for listing in listings[Market.BINANCE_SPOT]}
    for listing in listings[Market.BINANCE_USDM]:
        pair = listing.symbol.removeprefix("1000") if listing.units == 1000 else listing.symbol
        assert (listing.units == 1000) == (pair.removesuffix("USDT") in THOUSANDS)
        assert listing.price == pytest.approx(spot[pair].price * listing.units)
        assert float(listing.tick_size) < listing.price / 500
        assert float(listing.step_size) * listing.price < 100


def test_a_symbol_that_is_not_a_usdt_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="USDT"):
        build_listings(["BTCEUR"])


def test_chains_hold_and_books_never_cross_over_thousands_of_steps() -> None:
    market = SimMarket(seed=5, symbols=SYMBOLS)
    readers = {id(book): Reader(book) for books in market.books.values() for book in books.values()}
    latest_usdm = 0
    jumps = 0
    diffs = 0
    for _ in range(2500):
        for kind, book, changes in market.move():
            reader = readers[id(book)]
            diffs += 1
            assert changes.first_id <= changes.last_id
            if kind is Market.BINANCE_SPOT:
                assert changes.first_id == reader.update_id + 1
            else:
                assert changes.previous_id == reader.update_id < changes.first_id
                assert changes.last_id > latest_usdm
                jumps += changes.first_id != changes.previous_id + 1
                latest_usdm = changes.last_id
            reader.apply(changes)
            assert 0 < book.best_bid < book.best_ask
            if changes.tops:
                top = changes.tops[-1]
                assert top.update_id == changes.last_id
                assert (top.bid, top.ask) == (book.best_bid, book.best_ask)
                assert top.bid_quantity == reader.bids[top.bid]
                assert top.ask_quantity == reader.asks[top.ask]
    for books in market.books.values():
        for book in books.values():
            assert readers[id(book)].equals(book)
    assert diffs > 5000
    assert jumps > diffs / 4  # futures ids are shared by all symbols


def test_the_same_seed_gives_the_same_market_and_another_seed_does_not() -> None:
    def life(seed: int) -> list[object]:
        market = SimMarket(seed=seed, symbols=SYMBOLS)
        return [
            (kind, book.listing.symbol, changes.first_id, changes.last_id, changes.bids, changes.asks)
            for _ in range(50)
            for kind, book, changes in market.move()
        ]

    assert life(3) == life(3)
    assert life(3) != life(4)


def test_bursts_together_make_one_step() -> None:
    market = SimMarket(seed=2, symbols=SYMBOLS, rate=20)
    moved = [book.listing.symbol for burst in range(5) for _, book, _ in market.move(burst)]
    assert sorted(moved) == sorted([*SYMBOLS, *("1000PEPEUSDT" if s == "PEPEUSDT" else s for s in SYMBOLS)])
    assert market.step_number == 1


def test_a_snapshot_ahead_of_the_stream_lies_inside_the_next_diff() -> None:
    market = SimMarket(seed=8, symbols=SYMBOLS)
    everybody = [book for books in market.books.values() for book in books.values()]
    ahead = 0
    waiting: dict[int, Reader] = {}
    for _ in range(200):
        for _, book, changes in market.move():
            reader = waiting.pop(id(book), None)
            if reader is not None:
                assert changes.first_id <= reader.update_id <= changes.last_id
                reader.apply(changes)
                assert reader.equals(book)
        for book in everybody:
            if book.pending_id and id(book) not in waiting:
                ahead += 1
                reader = waiting[id(book)] = Reader(book)
                reader.update_id, bids, asks = book.snapshot(None, ahead=True)
                reader.bids, reader.asks = dict(bids), dict(asks)
                assert reader.update_id > book.update_id
    assert ahead > 100


def test_settling_ends_every_window_that_has_begun() -> None:
    market = SimMarket(seed=8, symbols=SYMBOLS)
    for _ in range(20):
        list(market.move())
    begun = [book for books in market.books.values() for book in books.values() if book.pending_id]
    assert begun
    assert {id(book) for _, book, _ in market.settle()} == {id(book) for book in begun}
    assert all(book.snapshot(5, ahead=True)[0] == book.update_id for book in begun)


def test_every_book_reaches_past_the_widest_band_and_only_majors_are_cut_by_a_futures_snapshot() -> None:
    market = SimMarket(seed=1)
    for _ in range(30):
        list(market.move())
    for books in market.books.values():
        for book in books.values():
            _, bids, asks = book.snapshot(None, ahead=False)
            assert bids[-1][0] < bids[0][0] * 0.38
            assert asks[-1][0] > asks[0][0] * 1.62
            assert len(bids) <= 4200
            if book.listing.major:
                assert len(bids) > 2500
                assert bids[999][0] > bids[0][0] * 0.92
                assert asks[999][0] < asks[0][0] * 1.10
            else:
                assert 280 <= len(bids) <= 950


def test_depth_moves_visibly_within_a_minute_and_together() -> None:
    market = SimMarket(seed=11, symbols=["BTCUSDT", "SOLUSDT", "LINKUSDT", "ADAUSDT", "TRXUSDT", "DOTUSDT"])
    rows = []
    for step in range(1200):
        list(market.move())
        if step % 10 == 0:
            row = []
            for book in market.books[Market.BINANCE_USDM].values():
                _, bids, _ = book.snapshot(None, ahead=False)
                row.append(sum(price * quantity for price, quantity in bids if price >= bids[0][0] * 0.97))
            rows.append(row)
    depths = np.log(np.array(rows))
    assert (depths.std(axis=0) > 0.08).all()
    matrix = np.corrcoef(depths.T)
    assert matrix[np.triu_indices(len(matrix), 1)].mean() > 0.15


def test_a_restart_fills_new_books_with_higher_ids() -> None:
    market = SimMarket(seed=4, symbols=SYMBOLS)
    list(market.move())
    before = {(kind, symbol): book.update_id for kind, books in market.books.items() for symbol, book in books.items()}
    market.restart()
    for (kind, symbol), update_id in before.items():
        assert market.book(kind, symbol).update_id > update_id + 1_000_000
    first = {id(book): changes for _, book, changes in market.move()}
    for books in market.books.values():
        for book in books.values():
            if changes := first.get(id(book)):
                assert changes.previous_id < changes.first_id


def test_a_halted_pair_stands_still() -> None:
    market = SimMarket(seed=4, symbols=SYMBOLS, rate=20)
    market.book(Market.BINANCE_SPOT, "BTCUSDT").trading = False
    moved = {(kind, book.listing.symbol) for _ in range(5) for kind, book, _ in market.move()}
    assert (Market.BINANCE_SPOT, "BTCUSDT") not in moved
    assert (Market.BINANCE_USDM, "BTCUSDT") in moved


def test_a_rate_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="rate"):
        SimMarket(rate=0)
