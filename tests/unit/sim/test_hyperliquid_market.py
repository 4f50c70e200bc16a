"""The simulated Hyperliquid's market over thousands of steps: order, reach, peculiar coins, events, determinism."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from app.sim.hyperliquid import lattice
from app.sim.hyperliquid.book import Side, SimBook
from app.sim.hyperliquid.history import INTERVALS_MS
from app.sim.hyperliquid.market import HyperMarket
from app.sim.hyperliquid.universe import CROSSING_COIN, DELISTED_COIN, ONE_SIDED_COIN, Kind, build_coins

NOW_MS = 1_700_000_000_000
COINS = ("BTC", "SOL", "kPEPE", CROSSING_COIN, "@142", "PURR/USDC")


def market(seed: int = 1, perps: int | None = None) -> HyperMarket:
    return HyperMarket(seed=seed, now_ms=NOW_MS, perps=perps)


def check(book: SimBook, side: Side) -> None:
    prices = side.prices
    assert len(prices) == len(side.sizes) == len(side.orders)
    assert (np.diff(prices) * side.sign < 0).all()
    assert (side.sizes > 0).all()
    assert (side.orders > 0).all()
    assert (prices % lattice.steps(prices, book.coin.price_decimals) == 0).all()


def test_the_venue_lists_what_its_documents_show() -> None:
    coins = {coin.name: coin for coin in build_coins()}
    perps = [coin for coin in coins.values() if coin.kind is Kind.PERP]
    spots = [coin for coin in coins.values() if coin.kind is Kind.SPOT]
    assert 140 <= len(perps) <= 180
    assert 50 <= len(spots) <= 70
    assert [coin.index for coin in perps] == list(range(len(perps)))
    assert [coin.place for coin in coins.values()] == list(range(len(coins)))
    assert coins[DELISTED_COIN].delisted
    assert not coins[ONE_SIDED_COIN].has_mid
    assert coins["kPEPE"].price == pytest.approx(0.0098)
    assert coins["PURR/USDC"].index == 0
    assert {coin.index for coin in spots} != set(range(len(spots)))  # the numbers have holes
    assert (coins["BTC"].size_decimals, coins["BTC"].price_decimals) == (5, 1)


def test_books_stay_ordered_allowed_and_deep_over_thousands_of_steps() -> None:
    market_ = market(seed=4)
    for name in COINS:
        market_.follow(name)
        market_.book(name)
    sizes = {name: len(market_.book(name).bids.prices) for name in COINS}
    for step in range(2000):
        market_.step()
        market_.move_books(NOW_MS + step * 100)
        for name in COINS:
            book = market_.books[name]
            assert 0 < book.best_bid < book.best_ask
    for name in COINS:
        book = market_.books[name]
        check(book, book.bids)
        check(book, book.asks)
        assert book.bids.prices[-1] < 0.35 * book.best_bid
        assert book.asks.prices[-1] > 1.65 * book.best_ask
        assert 0.5 * sizes[name] < len(book.bids.prices) < 2.5 * sizes[name]
        assert book.version > 100


def test_resolutions_reach_different_distances() -> None:
    book = market().book("BTC")
    bids = book.levels()[0]
    reach = {
        figures: 1 - lattice.bucketed(bids, bids=True, figures=figures, mantissa=None).prices[-1] / book.best_bid
        for figures in (None, 4, 3, 2)
    }
    assert reach[None] < reach[4] < reach[3] < reach[2]
    assert reach[3] < 0.05
    assert reach[2] > 0.15


def test_a_mid_is_the_same_with_and_without_a_book() -> None:
    market_ = market()
    for _ in range(30):
        market_.step()
    place = market_.by_name["ETH"].place
    book = market_.book("ETH")
    assert (book.best_bid, book.best_ask) == (market_.bids[place], market_.asks[place])


def test_one_price_swings_around_a_power_of_ten_and_any_can_be_made_to() -> None:
    market_ = market()
    place = market_.by_name[CROSSING_COIN].place
    seen = set()
    for _ in range(400):
        market_.step()
        seen.add(bool(market_.prices[place] > 1.0))
    assert seen == {True, False}
    bitcoin = market_.by_name["BTC"]
    above = market_.prices[bitcoin.place] > 100_000
    for _ in range(3):
        market_.cross_power_of_ten(bitcoin)
        assert (market_.prices[bitcoin.place] > 100_000) != above
        above = not above
        book = market_.book("BTC")
        check(book, book.bids)
        check(book, book.asks)


def test_a_jump_past_the_whole_book_fills_a_new_one() -> None:
    market_ = market()
    book = market_.book("SOL")
    pressure = np.ones((2, 3))
    book.move(100, 110, pressure)
    book.move(90_000_000, 90_010_000, pressure)
    check(book, book.bids)
    check(book, book.asks)
    assert (book.best_bid, book.best_ask) == (90_000_000, 90_010_000)


def test_events_move_prices_and_turnover_within_minutes() -> None:
    market_ = market(seed=2)
    start = market_.prices.copy()
    volume = np.array([market_.day_volume_usd(coin) for coin in market_.coins])
    runs = bursts = 0
    for _ in range(10):
        for _ in range(300):
            market_.step()
        later = np.array([market_.day_volume_usd(coin) for coin in market_.coins])
        usual = np.array([coin.volume_usd for coin in market_.coins]) * 30 / 86_400
        with np.errstate(invalid="ignore"):
            bursts += int((later - volume > 4 * usual).sum())
        volume = later
    runs = int((np.abs(np.log(market_.prices / start)) > 0.03).sum())
    assert runs >= 2
    assert bursts >= 3


def test_a_new_listing_joins_the_end_of_the_universe_and_trades() -> None:
    market_ = market(perps=10)
    coin = market_.list_new()
    assert market_.perps()[-1] is coin
    market_.follow(coin.name)
    for step in range(50):
        market_.step()
        market_.move_books(NOW_MS + step * 100)
    check(market_.book(coin.name), market_.book(coin.name).bids)


def test_equal_seeds_give_equal_markets() -> None:
    def life(seed: int) -> list[object]:
        market_ = market(seed=seed, perps=12)
        market_.follow("BTC")
        trades = []
        for step in range(100):
            market_.step()
            trades += market_.move_books(NOW_MS + step * 100)
        book = market_.book("BTC")
        return [
            market_.prices.tolist(),
            [(each.price, each.size, each.number) for each in trades],
            book.bids.sizes.tolist(),
        ]

    assert life(3) == life(3)
    assert life(3) != life(4)


@pytest.mark.parametrize("interval", sorted(INTERVALS_MS))
def test_candles_join_and_end_at_the_present_price(interval: str) -> None:
    market_ = market()
    coin = market_.by_name["ETH"]
    width = INTERVALS_MS[interval]
    now = NOW_MS + 5_000
    candles = market_.history.candles(coin, interval, now - 20 * width, now, now, 3_400.0)
    assert 20 <= len(candles) <= 21
    for before, after in pairwise(candles):
        assert after.start_ms == before.start_ms + width
        assert after.open == pytest.approx(before.close)
    for candle in candles:
        assert candle.start_ms % width == 0
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        assert candle.volume > 0
    assert candles[-1].close == pytest.approx(3_400.0)


def test_hourly_candles_know_the_price_of_a_day_ago() -> None:
    market_ = market()
    coin = market_.by_name["SOL"]
    before = market_.previous_day_price(coin, NOW_MS)
    candles = market_.history.candles(coin, "5m", NOW_MS - 86_700_000, NOW_MS - 86_100_000, NOW_MS, coin.price)
    assert min(candle.low for candle in candles) * 0.999 <= before <= max(candle.high for candle in candles) * 1.001


def test_no_more_than_five_thousand_candles() -> None:
    market_ = market()
    assert len(market_.history.candles(market_.coins[0], "1m", 0, NOW_MS, NOW_MS, 1.0)) == 5000
