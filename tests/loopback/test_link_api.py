"""The slow REST answers of both markets over real sockets: clock, listing, universe, ranking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from http_server import HttpServer, MovedClock, Reply

from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.venues.bans import BanStore
from app.venues.binance.api import MarketApi, load_universe, open_api, rank_pairs
from app.venues.binance.urls import BinanceEndpoints
from app.venues.rest import RestError

LIMITS = [
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 9},
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "DAY", "intervalNum": 1, "limit": 8},
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1234},
]


def spot_row(base: str, **changes: object) -> dict[str, object]:
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.0100"}, {"filterType": "X", "more": [1]}],
        "extra": {"deep": []},
        **changes,
    }


def perpetual_row(base: str, **changes: object) -> dict[str, object]:
    return {**spot_row(base), "contractType": "PERPETUAL", **changes}


class TwoMarkets:
    """Both markets on one server."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {
            "/api/v3/exchangeInfo": Reply(
                body={
                    "rateLimits": LIMITS,
                    "symbols": [
                        *(spot_row(base) for base in ("BTC", "ETH", "PEPE", "1000SATS", "ЯБЛ")),
                        spot_row("OLD", status="BREAK"),
                        {**spot_row("ETHBTC"), "symbol": "ETHBTC", "quoteAsset": "BTC"},
                    ],
                }
            ),
            "/fapi/v1/exchangeInfo": Reply(
                body={
                    "rateLimits": LIMITS,
                    "symbols": [
                        *(perpetual_row(base) for base in ("BTC", "1000PEPE", "1000SATS", "NEW")),
                        perpetual_row("ETH", symbol="ETHUSDT_260626", contractType="CURRENT_QUARTER"),
                        perpetual_row("TSLA", contractType="TRADIFI_PERPETUAL"),
                    ],
                }
            ),
            "/api/v3/ticker/24hr": Reply(
                body=[
                    {"symbol": symbol, "quoteVolume": volume}
                    for symbol, volume in [
                        ("BTCUSDT", "900.5"),
                        ("ETHUSDT", "800"),
                        ("PEPEUSDT", "950"),
                        ("1000SATSUSDT", "1"),
                        ("ETHBTC", "99999"),
                        ("OLDUSDT", "99999"),
                    ]
                ]
            ),
        }

    def answer(self, path: str) -> Reply:
        return self.answers.get(path.partition("?")[0], Reply(404, b"no"))


@asynccontextmanager
async def market_api(url: str, market: Market, clock: MovedClock | None = None) -> AsyncIterator[MarketApi]:
    endpoints = BinanceEndpoints(url, url, url, url)
    health = FeedHealth(feed=FeedId(Venue.BINANCE, market))
    api = open_api(market, endpoints, health, clock or MovedClock(), BanStore(None))
    try:
        yield api
    finally:
        await api.close()


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer().running() as server:
        yield server


@pytest.fixture
def venue(server: HttpServer) -> TwoMarkets:
    venue = TwoMarkets()
    server.answer = venue.answer
    return venue


@pytest.mark.usefixtures("venue")
async def test_the_universe_keeps_the_wanted_order_and_leaves_out_what_a_market_does_not_trade(
    server: HttpServer,
) -> None:
    async with market_api(server.url, Market.BINANCE_SPOT) as spot, market_api(server.url, Market.BINANCE_USDM) as usdm:
        wanted = ["PEPEUSDT", "OLDUSDT", "BTCUSDT", "ETHUSDT", "1000SATSUSDT", "TSLAUSDT", "BTCUSDT"]
        universe = await load_universe({Market.BINANCE_SPOT: spot, Market.BINANCE_USDM: usdm}, wanted)
        names = {market: [(i.symbol, i.pair, i.units) for i in found] for market, found in universe.items()}
        assert names == {
            Market.BINANCE_SPOT: [
                ("PEPEUSDT", "PEPEUSDT", 1),
                ("BTCUSDT", "BTCUSDT", 1),
                ("ETHUSDT", "ETHUSDT", 1),
                ("1000SATSUSDT", "1000SATSUSDT", 1),
            ],
            Market.BINANCE_USDM: [
                ("1000PEPEUSDT", "PEPEUSDT", 1000),
                ("BTCUSDT", "BTCUSDT", 1),
                ("1000SATSUSDT", "1000SATSUSDT", 1),
            ],
        }
        assert universe[Market.BINANCE_SPOT][0].tick_size == "0.01"


@pytest.mark.usefixtures("venue")
async def test_the_weight_limit_is_the_one_the_venue_names(server: HttpServer) -> None:
    async with market_api(server.url, Market.BINANCE_SPOT) as api:
        assert (api.rest.budget.limit, api.limits_known) == (6000, False)
        await api.listing()
        assert (api.rest.budget.limit, api.limits_known) == (1234, True)


async def test_a_stand_in_that_does_not_know_the_short_listing_is_asked_for_the_long_one(
    server: HttpServer, venue: TwoMarkets
) -> None:
    server.answer = lambda path: Reply(400, {"code": -1101, "msg": "too many"}) if "?" in path else venue.answer(path)
    async with market_api(server.url, Market.BINANCE_SPOT) as api:
        assert len(await api.listing()) == 6
    assert [path.partition("?")[2] != "" for path in server.paths] == [True, False]


@pytest.mark.usefixtures("venue")
async def test_pairs_are_ranked_by_volume_and_some_are_in_whatever_theirs(server: HttpServer) -> None:
    async with market_api(server.url, Market.BINANCE_SPOT) as api:
        assert await rank_pairs(api, 2) == ["PEPEUSDT", "BTCUSDT"]
        assert await rank_pairs(api, 3, always=["1000SATSUSDT", "OLDUSDT"]) == ["PEPEUSDT", "BTCUSDT", "1000SATSUSDT"]
        assert len(await rank_pairs(api, 100)) == 5


async def test_the_clock_s_offset_is_measured_by_the_quickest_answer(server: HttpServer) -> None:
    clock = MovedClock()
    server.answer = lambda _path: Reply(body={"serverTime": (clock.wall_ns() // 10**6) + 5000})
    async with market_api(server.url, Market.BINANCE_USDM, clock) as api:
        offset_ms = await api.measure_clock()
        assert 4900.0 < offset_ms < 5100.0
        assert api.rest.venue_offset_ms == offset_ms
    assert server.paths == ["/fapi/v1/time"] * 3


@pytest.mark.parametrize(
    "body", [b'{"serverTime":"x"}', b'{"serverTime":-1}', b'{"serverTime":1e99}', b"{}", b"[]", b"{", b'{"a":"\xff"}']
)
async def test_a_time_that_is_none_is_told_and_changes_nothing(server: HttpServer, body: bytes) -> None:
    server.answer = lambda _path: Reply(200, body)
    async with market_api(server.url, Market.BINANCE_SPOT) as api:
        with pytest.raises(RestError, match="sent its time in a form that is not documented"):
            await api.measure_clock()
        assert api.rest.venue_offset_ms == 0.0


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"symbols":[{"symbol":1}]}',
        b'{"symbols":null}',
        b'{"symbols":' + b"[" * 5000,
        b'{"symbols":[],"rateLimits":[{"rateLimitType":"X"}]}',
    ],
)
async def test_a_listing_that_is_none_is_told(server: HttpServer, body: bytes) -> None:
    server.answer = lambda _path: Reply(200, body)
    async with market_api(server.url, Market.BINANCE_USDM) as api:
        with pytest.raises(RestError, match="sent its list of instruments in a form"):
            await api.listing()


async def test_volumes_that_are_none_are_told(server: HttpServer, venue: TwoMarkets) -> None:
    for volume in ("NaN", "-1", "inf", "many"):
        venue.answers["/api/v3/ticker/24hr"] = Reply(body=[{"symbol": "BTCUSDT", "quoteVolume": volume}])
        async with market_api(server.url, Market.BINANCE_SPOT) as api:
            with pytest.raises(RestError, match="sent its volumes in a form"):
                await rank_pairs(api, 5)


@pytest.mark.usefixtures("venue")
async def test_a_universe_without_one_market_s_listing_fails_with_that_market_s_sentence(server: HttpServer) -> None:
    async with (
        HttpServer().running() as broken,
        market_api(server.url, Market.BINANCE_SPOT) as spot,
        market_api(broken.url, Market.BINANCE_USDM) as usdm,
    ):
        broken.answer = lambda _path: Reply(503, b"")
        with pytest.raises(RestError, match="is not available now"):
            await load_universe({Market.BINANCE_SPOT: spot, Market.BINANCE_USDM: usdm}, ["BTCUSDT"])
