"""The simulated Bybit's numbers: the same for the same seed, plausible, and with something to find now and then."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.ids import Market
from app.sim.bybit.contracts import Status, build_catalogue, coin_names
from app.sim.bybit.tape import EventKind, Tape

LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT


def tape(seed: int = 1, rate: float = 1.0, coins: int | None = None) -> Tape:
    return Tape(build_catalogue(coin_names(coins)), np.random.default_rng(seed), rate=rate)


def test_equal_seeds_make_equal_markets_and_others_do_not() -> None:
    one, same, other = tape(), tape(), tape(seed=2)
    for each in (one, same, other):
        for _ in range(300):
            each.step()
    for market in (LINEAR, SPOT):
        assert np.array_equal(one.figures[market].last, same.figures[market].last)
        assert np.array_equal(one.figures[market].turnover_24h, same.figures[market].turnover_24h)
        assert not np.array_equal(one.figures[market].last, other.figures[market].last)
    assert one.events_begun == same.events_begun > 0


def test_prices_stay_inside_the_day_s_range_and_quotes_do_not_cross() -> None:
    market = tape(rate=4.0)
    for _ in range(600):
        market.step()
    for figures in market.figures.values():
        assert (figures.low_24h <= figures.last).all()
        assert (figures.last <= figures.high_24h).all()
        assert (figures.spread >= 1).all()
        assert (figures.volume_24h > 0).all()
        assert (np.abs(figures.funding) <= 0.005).all()


def test_spot_and_contracts_of_a_coin_move_together() -> None:
    market = tape(coins=12)
    market.begin(EventKind.SURGE, 3, 0.05, 5.0)
    spot, linear = market.figures[SPOT], market.figures[LINEAR]
    before = spot.mid[3], linear.mid[3], linear.mid[4]
    for _ in range(60):
        market.step()
    assert spot.mid[3] / before[0] == pytest.approx(1.05, abs=0.012)
    assert linear.mid[3] / before[1] == pytest.approx(1.05, abs=0.012)
    assert abs(linear.mid[4] / before[2] - 1.0) < 0.02


def test_a_burst_of_volume_shows_in_the_turnover() -> None:
    quiet, loud = tape(coins=12), tape(coins=12)
    loud.begin(EventKind.VOLUME, 8, 40.0, 60.0)
    for each in (quiet, loud):
        each.events = [event for event in each.events if event.coin == 8]
    gained = []
    for each in (quiet, loud):
        before = each.figures[LINEAR].turnover_24h[8]
        for _ in range(300):
            each.step()
        gained.append(each.figures[LINEAR].turnover_24h[8] - before)
    assert gained[1] > 10 * abs(gained[0])


def test_a_spread_closes_and_opens_again() -> None:
    market = tape()
    wide = int(np.argmax(market.figures[LINEAR].usual_spread))
    coin = int(market.figures[LINEAR].coin[wide])
    market.begin(EventKind.TIGHT, coin, 1.0, 1.0)
    market.step()
    assert market.figures[LINEAR].spread[wide] == 1.0
    for _ in range(15):
        market.step()
    assert market.figures[LINEAR].spread[wide] == market.figures[LINEAR].usual_spread[wide] > 5.0


def test_a_falling_price_liquidates_longs_and_a_rising_one_shorts() -> None:
    for size, long in ((-0.05, True), (0.05, False)):
        market = tape(rate=1e-6, coins=12)
        market.begin(EventKind.SURGE, 6, size, 30.0)
        sides = []
        for _ in range(200):
            market.step()
            sides += [each.long for each in market.liquidations]
        assert len(sides) > 10
        assert set(sides) == {long}


def test_what_does_not_trade_does_not_move() -> None:
    market = tape(rate=5.0)
    rows = [each.row for each in build_catalogue().contracts[LINEAR] if each.status is not Status.TRADING]
    figures = market.figures[LINEAR]
    before = figures.last[rows].copy()
    for _ in range(50):
        market.step()
        assert not figures.touched[rows].any()
    assert np.array_equal(figures.last[rows], before)


def test_the_catalogue_holds_what_a_client_has_to_sort_out() -> None:
    contracts = build_catalogue().contracts
    linear, spot = ({each.symbol: each for each in contracts[market]} for market in (LINEAR, SPOT))
    assert (len(linear), len(spot)) == (200, 150)
    assert linear["1000PEPEUSDT"].units == 1000
    assert linear["1000PEPEUSDT"].quantity_step == "100"
    assert linear["BTCUSDT"].tick_size == "0.10"
    assert {each.quote for each in linear.values()} == {"USDT", "USDC"}
    assert {each.status for each in linear.values()} == set(Status)
    assert {each.funding_hours for each in linear.values()} == {0, 1, 2, 4, 8}
    assert sum(each.listing.levels < 1000 for each in linear.values()) > 5
    assert all(each.row == row for rows in contracts.values() for row, each in enumerate(rows))
    few = build_catalogue(["ETH"]).contracts[LINEAR]
    assert [each.symbol for each in few] == ["ETHUSDT", "ETHPERP", "FLEDGEUSDT", "FADEDUSDT"]
