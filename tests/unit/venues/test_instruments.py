"""Which rows of exchangeInfo become instruments, and in which units."""

from __future__ import annotations

import pytest

from app.domain.ids import Market
from app.venues.binance.api import to_instruments
from app.venues.binance.reference import Filter, ListedSymbol
from app.venues.binance.urls import BinanceEndpoints, depth_weight

SPOT_BASES = {"BTC", "PEPE", "SHIB", "1000SATS", "1000CAT", "1INCH", "1MBABYDOGE", "BONK", "XEC"}


def row(symbol: str, base: str, **changes: object) -> ListedSymbol:
    """Return a row of a perpetual or spot pair that trades."""
    values: dict[str, object] = {"status": "TRADING", "quoteAsset": "USDT", "contractType": "PERPETUAL", **changes}
    return ListedSymbol(symbol=symbol, baseAsset=base, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("symbol", "base", "pair", "coin", "units"),
    [
        ("BTCUSDT", "BTC", "BTCUSDT", "BTC", 1),
        ("1000PEPEUSDT", "1000PEPE", "PEPEUSDT", "PEPE", 1000),
        ("1000SHIBUSDT", "1000SHIB", "SHIBUSDT", "SHIB", 1000),
        ("1000SATSUSDT", "1000SATS", "1000SATSUSDT", "1000SATS", 1),
        ("1000CATUSDT", "1000CAT", "1000CATUSDT", "1000CAT", 1),
        ("1INCHUSDT", "1INCH", "1INCHUSDT", "1INCH", 1),
        ("1MBABYDOGEUSDT", "1MBABYDOGE", "1MBABYDOGEUSDT", "1MBABYDOGE", 1),
        ("1000WHYUSDT", "1000WHY", "1000WHYUSDT", "1000WHY", 1),  # spot does not know WHY
        ("1000000BONKUSDT", "1000000BONK", "BONKUSDT", "BONK", 1_000_000),
        ("10000XECUSDT", "10000XEC", "XECUSDT", "XEC", 10_000),
    ],
)
def test_a_perpetual_of_a_thousand_coins_belongs_to_the_spot_pair_of_that_coin(
    symbol: str, base: str, pair: str, coin: str, units: int
) -> None:
    (found,) = to_instruments(Market.BINANCE_USDM, [row(symbol, base)], SPOT_BASES)
    assert (found.symbol, found.pair, found.base, found.units) == (symbol, pair, coin, units)


def test_spot_names_are_never_taken_apart() -> None:
    (found,) = to_instruments(Market.BINANCE_SPOT, [row("1000SHIBUSDT", "1000SHIB", contractType=None)], SPOT_BASES)
    assert (found.base, found.units) == ("1000SHIB", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"quoteAsset": "USDC"},
        {"status": "SETTLING"},
        {"contractType": "CURRENT_QUARTER"},
        {"contractType": "TRADIFI_PERPETUAL"},
        {"contractType": None},
    ],
)
def test_what_is_no_trading_usdt_perpetual_is_left_out(changes: dict[str, object]) -> None:
    assert to_instruments(Market.BINANCE_USDM, [row("XUSDT", "X", **changes)], SPOT_BASES) == []


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY", ""])
def test_a_spot_pair_that_does_not_trade_is_left_out(status: str) -> None:
    assert to_instruments(Market.BINANCE_SPOT, [row("XUSDT", "X", status=status, contractType=None)], ()) == []


@pytest.mark.parametrize(
    ("told", "tick"),
    [("0.01000000", "0.01"), ("1.00", "1"), ("100", "100"), ("0.00", None), ("NaN", None), ("-1", None), (None, None)],
)
def test_the_price_step_is_that_of_the_price_filter(told: str | None, tick: str | None) -> None:
    filters = [Filter(filterType="LOT_SIZE"), Filter(filterType="PRICE_FILTER", tickSize=told)]
    (found,) = to_instruments(Market.BINANCE_USDM, [row("BTCUSDT", "BTC", filters=filters)], SPOT_BASES)
    assert found.tick_size == tick


@pytest.mark.parametrize(
    ("market", "limit", "weight"),
    [
        (Market.BINANCE_SPOT, 100, 5),
        (Market.BINANCE_SPOT, 101, 25),
        (Market.BINANCE_SPOT, 500, 25),
        (Market.BINANCE_SPOT, 1000, 50),
        (Market.BINANCE_SPOT, 5000, 250),
        (Market.BINANCE_USDM, 50, 2),
        (Market.BINANCE_USDM, 100, 5),
        (Market.BINANCE_USDM, 500, 10),
        (Market.BINANCE_USDM, 1000, 20),
    ],
)
def test_snapshots_weigh_what_the_documents_say(market: Market, limit: int, weight: int) -> None:
    assert depth_weight(market, limit) == weight


def test_futures_streams_are_under_public_however_the_address_is_given() -> None:
    for base in ("wss://f.example", "wss://f.example/", "wss://f.example/public", "wss://f.example/public/"):
        endpoints = BinanceEndpoints("wss://s.example/", "https://s.example/", base, "https://f.example")
        assert endpoints.streams(Market.BINANCE_USDM) == "wss://f.example/public/stream"
        assert endpoints.streams(Market.BINANCE_SPOT) == "wss://s.example/stream"
        assert endpoints.rest(Market.BINANCE_SPOT) == "https://s.example"
