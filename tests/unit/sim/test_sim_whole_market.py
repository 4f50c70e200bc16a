"""Figures of a whole simulated market: tables by REST with their weights, instruments without books, rare events."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pytest

from app.domain.ids import Market
from app.sim.limits import WeightMeter
from app.sim.market import SimMarket
from app.sim.options import SimOptions, add_arguments, options_from
from app.sim.rest import Answer, RestDesk
from app.sim.run_options import OptionsError
from app.sim.sidelines import MOST_SIDELINES, sideline_bases
from app.sim.surges import Surges
from app.sim.universe import read_symbols

SOURCE = SimMarket(seed=1, symbols=["BTCUSDT", "LINKUSDT", "PEPEUSDT"], sidelines=40)
NOW_MS = 1_700_000_000_000
SPOT, USDM = Market.BINANCE_SPOT, Market.BINANCE_USDM


def ask(market: Market, path: str, query: str = "") -> Answer:
    desk = RestDesk(market, SOURCE, WeightMeter(1_000_000, lambda: 30.0), lambda: NOW_MS)
    return desk.answer(path, query)


def table(market: Market, path: str) -> dict[str, Any]:
    return {row["symbol"]: row for row in json.loads(ask(market, path).body)}


@pytest.mark.parametrize(
    ("path", "query", "weight"),
    [
        ("/fapi/v1/premiumIndex", "symbol=BTCUSDT", 1),
        ("/fapi/v1/premiumIndex", "", 10),
        ("/fapi/v1/openInterest", "symbol=BTCUSDT", 1),
        ("/fapi/v1/fundingInfo", "", 0),
        ("/fapi/v1/ticker/24hr", "symbol=BTCUSDT", 1),
        ("/fapi/v1/ticker/bookTicker", "symbol=BTCUSDT", 2),
    ],
)
def test_tables_of_futures_weigh_what_is_documented(path: str, query: str, weight: int) -> None:
    answer = ask(USDM, path, query)
    assert answer.status == 200
    assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) == weight


@pytest.mark.parametrize(
    ("market", "path", "query", "status"),
    [
        (SPOT, "/api/v3/premiumIndex", "", 404),
        (USDM, "/fapi/v1/openInterest", "", 400),
        (USDM, "/fapi/v1/openInterest", "symbol=BTCUSD_PERP", 400),
        (USDM, "/fapi/v1/premiumIndex", "symbol=NOPE", 400),
    ],
)
def test_wrong_requests_are_refused(market: Market, path: str, query: str, status: int) -> None:
    assert ask(market, path, query).status == status


def test_funding_information_has_a_limit_of_its_own() -> None:
    desk = RestDesk(USDM, SOURCE, WeightMeter(10, lambda: 30.0), lambda: NOW_MS)
    statuses = [desk.answer("/fapi/v1/fundingInfo", "").status for _ in range(501)]
    assert statuses == [200] * 500 + [429]


@pytest.mark.parametrize(("market", "prefix"), [(SPOT, "/api/v3"), (USDM, "/fapi/v1")])
def test_every_listed_instrument_has_a_day_and_a_touch(market: Market, prefix: str) -> None:
    info = json.loads(ask(market, f"{prefix}/exchangeInfo").body)
    listed = {row["symbol"] for row in info["symbols"]}
    days, touches = table(market, f"{prefix}/ticker/24hr"), table(market, f"{prefix}/ticker/bookTicker")
    assert listed == set(days) == set(touches)
    assert len(listed) > 43
    for symbol, day in days.items():
        assert float(day["lowPrice"]) <= float(day["lastPrice"]) <= float(day["highPrice"])
        change = 100 * (float(day["lastPrice"]) / float(day["openPrice"]) - 1)
        assert float(day["priceChangePercent"]) == pytest.approx(change, abs=0.01)
        if symbol != "WAVESUSDT":
            assert 0 < float(touches[symbol]["bidPrice"]) < float(touches[symbol]["askPrice"])
            assert float(day["volume"]) > 0
    assert float(touches["WAVESUSDT"]["askPrice"]) == 0.0


def test_instruments_without_books_trade_less_than_those_with() -> None:
    market = SimMarket(seed=1, symbols=read_symbols()[-2:], sidelines=MOST_SIDELINES)
    for kind in (SPOT, USDM):
        least = min(book.listing.quote_volume_usd for book in market.books[kind].values())
        assert len(market.pit.listings[kind]) == MOST_SIDELINES
        assert max(listing.quote_volume_usd for listing in market.pit.listings[kind]) < least


def test_names_without_books_are_never_those_with() -> None:
    taken = {symbol.removesuffix("USDT") for symbol in read_symbols()}
    bases = sideline_bases(MOST_SIDELINES, taken)
    assert len(bases) == len(set(bases)) == MOST_SIDELINES
    assert not taken & set(bases)


def test_funding_intervals_are_listed_where_they_are_unusual() -> None:
    rows = table(USDM, "/fapi/v1/fundingInfo")
    assert {row["fundingIntervalHours"] for row in rows.values()} == {1, 4}
    assert "BTCUSDT" not in rows
    premiums = table(USDM, "/fapi/v1/premiumIndex")
    for symbol, row in premiums.items():
        hours = rows[symbol]["fundingIntervalHours"] if symbol in rows else 8
        if row["lastFundingRate"]:
            assert row["nextFundingTime"] % (hours * 3_600_000) == 0
    assert premiums["BTCUSDT_261225"]["lastFundingRate"] == ""
    assert premiums["BTCUSDT_261225"]["nextFundingTime"] == 0


def test_books_are_the_same_with_and_without_instruments_beside_them() -> None:
    def life(sidelines: int) -> list[object]:
        market = SimMarket(seed=3, symbols=["BTCUSDT", "LINKUSDT"], sidelines=sidelines)
        return [(changes.last_id, changes.bids) for _ in range(60) for _, _, changes in market.move()]

    assert life(0) == life(25)


def test_events_begin_after_a_while_spare_the_first_and_end() -> None:
    surges = Surges(5, 60)
    started: set[int] = set()
    total = np.zeros(60)
    for step in range(6000):
        surges.step()
        if step < 290:
            assert not surges.drift.any()
        total += surges.drift
        started |= set(np.flatnonzero(surges.turnover > 1.0).tolist())
    assert len(started) > 8
    assert min(started) >= 5
    assert (np.abs(total) > 0.03).sum() >= 3
    assert np.abs(total).max() < 0.2


def test_an_event_moves_a_price_by_so_much_and_is_over() -> None:
    surges = Surges(5, 4)  # so few that none begins by itself
    surges.start(2, log_move=-0.05, turnover=9.0, seconds=3.0)
    total = np.zeros(4)
    busy = 0
    for _ in range(2000):
        surges.step()
        total += surges.drift
        busy += bool(surges.turnover[2] == 9.0)
    assert total[2] == pytest.approx(-0.05)
    assert total.tolist().count(0.0) == 3
    assert busy == 30
    assert surges.turnover.tolist() == [1.0] * 4


def test_so_many_instruments_and_no_more() -> None:
    def options(*words: str) -> SimOptions:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return options_from(parser.parse_args(words))

    assert options().sidelines == 200
    assert options("--sidelines", "0").sidelines == 0
    for text in ("-1", str(MOST_SIDELINES + 1)):
        with pytest.raises(OptionsError, match="expected"):
            options("--sidelines", text)
