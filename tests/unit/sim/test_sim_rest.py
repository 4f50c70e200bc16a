"""Answers of the simulated REST interface: documented weights, limits, errors, and instruments to be left out."""

from __future__ import annotations

import json

import pytest

from app.domain.ids import Market
from app.sim.limits import WeightMeter
from app.sim.market import SimMarket
from app.sim.rest import Answer, OldBook, RestDesk

SYMBOLS = ["BTCUSDT", "LINKUSDT", "PEPEUSDT"]
SOURCE = SimMarket(seed=1, symbols=SYMBOLS)


def desk(market: Market, limit: int = 1_000_000) -> RestDesk:
    return RestDesk(market, SOURCE, WeightMeter(limit, lambda: 30.0), lambda: 1_700_000_000_000)


def weight(answer: Answer) -> int:
    return int(answer.headers["X-MBX-USED-WEIGHT-1M"])


@pytest.mark.parametrize(
    ("market", "path", "query", "expected"),
    [
        (Market.BINANCE_SPOT, "/api/v3/ping", "", 1),
        (Market.BINANCE_SPOT, "/api/v3/time", "", 1),
        (Market.BINANCE_SPOT, "/api/v3/exchangeInfo", "", 20),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT", 5),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT&limit=100", 5),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT&limit=500", 25),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT&limit=1000", 50),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT&limit=5000", 250),
        (Market.BINANCE_SPOT, "/api/v3/ticker/24hr", "symbol=BTCUSDT", 2),
        (Market.BINANCE_SPOT, "/api/v3/ticker/24hr", 'symbols=["BTCUSDT","LINKUSDT"]', 2),
        (Market.BINANCE_SPOT, "/api/v3/ticker/24hr", "", 80),
        (Market.BINANCE_SPOT, "/api/v3/ticker/bookTicker", "symbol=BTCUSDT", 2),
        (Market.BINANCE_SPOT, "/api/v3/ticker/bookTicker", "", 4),
        (Market.BINANCE_USDM, "/fapi/v1/ping", "", 1),
        (Market.BINANCE_USDM, "/fapi/v1/exchangeInfo", "", 1),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=BTCUSDT&limit=50", 2),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=BTCUSDT&limit=100", 5),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=BTCUSDT", 10),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000", 20),
        (Market.BINANCE_USDM, "/fapi/v1/ticker/24hr", "", 40),
        (Market.BINANCE_USDM, "/fapi/v1/ticker/bookTicker", "", 5),
    ],
)
def test_requests_weigh_what_is_documented(market: Market, path: str, query: str, expected: int) -> None:
    answer = desk(market).answer(path, query)
    assert answer.status == 200
    assert weight(answer) == expected


@pytest.mark.parametrize(
    ("market", "path", "query", "status", "code"),
    [
        (Market.BINANCE_SPOT, "/api/v3/depth", "", 400, -1102),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=NOPEUSDT", 400, -1121),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=btcusdt", 400, -1121),
        (Market.BINANCE_SPOT, "/api/v3/depth", "symbol=BTCUSDT&limit=many", 400, -1100),
        (Market.BINANCE_SPOT, "/api/v1/depth", "symbol=BTCUSDT", 404, -5000),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=PEPEUSDT", 400, -1121),
        (Market.BINANCE_USDM, "/fapi/v1/depth", "symbol=BTCUSDT&limit=1001", 400, -4021),
        (Market.BINANCE_USDM, "/api/v3/depth", "symbol=BTCUSDT", 404, -5000),
    ],
)
def test_wrong_requests_get_the_venues_codes(market: Market, path: str, query: str, status: int, code: int) -> None:
    answer = desk(market).answer(path, query)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_depth_is_cut_at_the_markets_largest_limit_and_ordered_best_first() -> None:
    spot = json.loads(desk(Market.BINANCE_SPOT).answer("/api/v3/depth", "symbol=BTCUSDT&limit=9999").body)
    usdm = json.loads(desk(Market.BINANCE_USDM).answer("/fapi/v1/depth", "symbol=BTCUSDT&limit=1000").body)
    truth = SOURCE.truth(Market.BINANCE_SPOT, "BTCUSDT")
    assert spot["bids"] == [list(level) for level in truth.bids]
    assert spot["asks"] == [list(level) for level in truth.asks]
    assert len(usdm["bids"]) == len(usdm["asks"]) == 1000
    for side, reverse in (("bids", True), ("asks", False)):
        prices = [float(price) for price, _ in usdm[side]]
        assert prices == sorted(prices, reverse=reverse)
    assert float(usdm["bids"][0][0]) < float(usdm["asks"][0][0])


def test_exchange_info_lists_strangers_that_a_client_must_leave_out() -> None:
    spot = json.loads(desk(Market.BINANCE_SPOT, 6000).answer("/api/v3/exchangeInfo", "").body)
    usdm = json.loads(desk(Market.BINANCE_USDM, 2400).answer("/fapi/v1/exchangeInfo", "").body)
    for info, limit in ((spot, 6000), (usdm, 2400)):
        weights = [row["limit"] for row in info["rateLimits"] if row["rateLimitType"] == "REQUEST_WEIGHT"]
        assert weights == [limit]
        assert any(not row["symbol"].isascii() for row in info["symbols"])
        assert any(row["quoteAsset"] != "USDT" for row in info["symbols"])
    assert any(row["status"] == "BREAK" for row in spot["symbols"])
    assert {"TRADIFI_PERPETUAL", "CURRENT_QUARTER"} <= {row["contractType"] for row in usdm["symbols"]}
    wanted = {
        row["symbol"]
        for row in usdm["symbols"]
        if row["symbol"].isascii()
        and (row["contractType"], row["quoteAsset"], row["status"]) == ("PERPETUAL", "USDT", "TRADING")
    }
    assert wanted == {"BTCUSDT", "LINKUSDT", "1000PEPEUSDT"}


def test_a_halted_pair_is_listed_as_such_and_unknown_to_depth() -> None:
    source = SimMarket(seed=1, symbols=SYMBOLS)
    source.book(Market.BINANCE_SPOT, "LINKUSDT").trading = False
    rest = RestDesk(Market.BINANCE_SPOT, source, WeightMeter(6000, lambda: 0.0), lambda: 0)
    statuses = {
        row["symbol"]: row["status"] for row in json.loads(rest.answer("/api/v3/exchangeInfo", "").body)["symbols"]
    }
    assert (statuses["LINKUSDT"], statuses["BTCUSDT"]) == ("BREAK", "TRADING")
    assert json.loads(rest.answer("/api/v3/depth", "symbol=LINKUSDT").body)["code"] == -1121


def test_too_much_weight_is_refused_with_the_time_to_wait() -> None:
    rest = desk(Market.BINANCE_USDM, 45)
    answers = [rest.answer("/fapi/v1/depth", "symbol=BTCUSDT&limit=1000") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "30"
    assert json.loads(answers[2].body)["code"] == -1003


def test_day_tickers_carry_the_volume_that_ranks_pairs() -> None:
    rows = json.loads(desk(Market.BINANCE_SPOT).answer("/api/v3/ticker/24hr", "").body)
    volumes = {row["symbol"]: float(row["quoteVolume"]) for row in rows}
    assert volumes["BTCUSDT"] > volumes["LINKUSDT"] > 0
    tops = json.loads(desk(Market.BINANCE_SPOT).answer("/api/v3/ticker/bookTicker", "").body)
    assert set(SYMBOLS) < {row["symbol"] for row in tops}


def test_a_lagging_snapshot_is_served_as_often_as_asked_for() -> None:
    source = SimMarket(seed=1, symbols=SYMBOLS, rate=20)
    rest = RestDesk(Market.BINANCE_SPOT, source, WeightMeter(6000, lambda: 0.0), lambda: 0)
    book = source.book(Market.BINANCE_SPOT, "LINKUSDT")
    rest.lagged["LINKUSDT"] = OldBook(*book.snapshot(None, ahead=False))
    rest.lagged_answers_left = 1
    old_id = book.update_id
    for _ in range(5):
        list(source.move())
    ids = [json.loads(rest.answer("/api/v3/depth", "symbol=LINKUSDT").body)["lastUpdateId"] for _ in range(2)]
    assert ids[0] == old_id
    assert ids[1] >= book.update_id > old_id
