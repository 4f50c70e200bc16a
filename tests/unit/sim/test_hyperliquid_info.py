"""Answers of the simulated info endpoint: shapes, weights, refusals; texts as recorded from the venue."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from app.sim.hyperliquid import encoders
from app.sim.hyperliquid.info import InfoDesk
from app.sim.hyperliquid.market import HyperMarket
from app.sim.hyperliquid.universe import DELISTED_COIN, ONE_SIDED_COIN
from app.sim.limits import WeightMeter

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
MARKET = HyperMarket(seed=1, now_ms=NOW_MS)


def desk(limit: int = 1_000_000) -> InfoDesk:
    return InfoDesk(MARKET, WeightMeter(limit, lambda: 30.0, ban_after=2**60), lambda: NOW_MS)


def ask(request: dict[str, Any]) -> Any:
    answer = desk().answer(request)
    assert answer.status == 200
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1_050_550, 1, "105055.0"),
        (14_280, 5, "0.1428"),
        (2790, 0, "2790.0"),
        (1, 6, "0.000001"),
        (0, 3, "0.0"),
        (30 * 10**16, 0, "300000000000000000.0"),
    ],
)
def test_figures_are_written_as_the_venue_writes_them(value: int, decimals: int, text: str) -> None:
    assert encoders.decimal_text(value, decimals) == text
    assert encoders.figure(value / 10**decimals, decimals) == text


@pytest.mark.parametrize(
    ("request_", "weight"),
    [
        ({"type": "meta"}, 20),
        ({"type": "metaAndAssetCtxs"}, 20),
        ({"type": "spotMetaAndAssetCtxs"}, 20),
        ({"type": "allMids"}, 2),
        ({"type": "l2Book", "coin": "BTC"}, 2),
        ({"type": "l2Book", "coin": "NOPE"}, 2),
        ({"type": "exchangeStatus"}, 2),
        ({"type": "predictedFundings"}, 20),
        ({"type": "recentTrades", "coin": "BTC"}, 20 + 1),
        ({"type": "fundingHistory", "coin": "ETH", "startTime": NOW_MS - 100 * HOUR_MS}, 20 + 5),
        (
            {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "1h", "startTime": NOW_MS - 120 * HOUR_MS}},
            20 + 2,
        ),
    ],
)
def test_requests_weigh_what_is_documented(request_: dict[str, Any], weight: int) -> None:
    asked = desk()
    assert asked.answer(request_).status == 200
    assert asked.meter.used_weight == weight


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ([], 422),
        ("meta", 422),
        ({}, 422),
        ({"type": "nothing"}, 422),
        ({"type": "l2Book"}, 422),
        ({"type": "l2Book", "coin": 7}, 422),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 6}, 422),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2}, 422),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 3}, 422),
        ({"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m", "startTime": 0}}, 422),
        ({"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "1h"}}, 422),
        ({"type": "candleSnapshot"}, 422),
        ({"type": "fundingHistory", "coin": "BTC", "startTime": "now"}, 422),
        ({"type": "fundingHistory", "coin": "NOPE", "startTime": 0}, 500),
        ({"type": "recentTrades", "coin": "NOPE"}, 500),
        ({"type": "meta", "dex": "nowhere"}, 500),
    ],
)
def test_requests_that_make_no_sense_are_refused(request_: Any, status: int) -> None:
    assert desk().answer(request_).status == status


def test_over_its_weight_everything_is_429() -> None:
    asked = desk(limit=40)
    assert [asked.answer({"type": "meta"}).status for _ in range(4)] == [200, 200, 429, 429]


def test_contexts_stand_in_the_order_of_the_universe() -> None:
    meta, contexts = ask({"type": "metaAndAssetCtxs"})
    assert len(meta["universe"]) == len(contexts) > 140
    by_name = {row["name"]: context for row, context in zip(meta["universe"], contexts, strict=True)}
    assert 90_000 < float(by_name["BTC"]["markPx"]) < 100_000
    assert by_name[DELISTED_COIN]["midPx"] is None
    assert float(by_name[DELISTED_COIN]["openInterest"]) == 0.0
    assert by_name[ONE_SIDED_COIN]["midPx"] is by_name[ONE_SIDED_COIN]["impactPxs"] is None
    assert [row["name"] for row in meta["universe"] if row.get("isDelisted")] == [DELISTED_COIN]
    rates = [float(context["funding"]) for context in contexts]
    assert all(abs(rate) < 0.04 for rate in rates)
    assert rates.count(0.0000125) > len(rates) / 2  # most premiums are small


def test_spot_contexts_have_to_be_joined_by_name() -> None:
    meta, contexts = ask({"type": "spotMetaAndAssetCtxs"})
    names = [row["name"] for row in meta["universe"]]
    coins = [context["coin"] for context in contexts]
    assert set(names) < set(coins)
    assert names != coins[: len(names)]
    tokens = {token["index"]: token["name"] for token in meta["tokens"]}
    pairs = {row["name"]: [tokens[index] for index in row["tokens"]] for row in meta["universe"]}
    assert pairs["PURR/USDC"] == ["PURR", "USDC"]
    assert pairs["@142"] == ["UBTC", "USDC"]
    assert pairs["@232"] == ["HYPE", "USDH"]


def test_the_builders_exchange_is_apart() -> None:
    meta, contexts = ask({"type": "metaAndAssetCtxs", "dex": "xyz"})
    assert [row["name"] for row in meta["universe"]] == ["xyz:TSLA", "xyz:NVDA", "xyz:XYZ100"]
    assert len(contexts) == 3
    assert set(ask({"type": "allMids", "dex": "xyz"})) == {"xyz:TSLA", "xyz:NVDA", "xyz:XYZ100"}
    mids = ask({"type": "allMids"})
    assert {"BTC", "@142", "PURR/USDC"} < set(mids)
    assert not any(name.startswith("xyz:") for name in mids)


def test_a_book_of_an_unknown_market_is_null() -> None:
    assert ask({"type": "l2Book", "coin": "NOPE"}) is None


@pytest.mark.parametrize("figures", [None, 2, 3, 4, 5])
def test_books_are_whole_snapshots_of_twenty_levels(figures: int | None) -> None:
    answer = ask({"type": "l2Book", "coin": "ETH", "nSigFigs": figures})
    bids, asks = answer["levels"]
    assert 15 <= len(bids) <= 20
    assert len(asks) == 20 or figures == 2
    assert [float(level["px"]) for level in bids] == sorted({float(level["px"]) for level in bids}, reverse=True)
    assert float(bids[0]["px"]) < float(asks[0]["px"])
    assert ("spread" in answer) == (figures is not None)
    if figures is not None:
        assert float(answer["spread"]) == pytest.approx(float(asks[0]["px"]) - float(bids[0]["px"]))


def test_predicted_fundings_name_three_venues() -> None:
    rows = dict(ask({"type": "predictedFundings"}))
    assert DELISTED_COIN not in rows
    venues = dict(rows["BTC"])
    assert set(venues) == {"BinPerp", "HlPerp", "BybitPerp"}
    assert venues["HlPerp"]["nextFundingTime"] % HOUR_MS == 0


def shape(value: Any) -> Any:
    """Return what a JSON value is made of, leaving figures out."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_books_trades_and_contexts_have_the_recorded_shape(captures: Path) -> None:
    folder = captures / "hyperliquid"
    with gzip.open(folder / "hftbacktest_btc_20250126_part1.raw.gz", "rt") as file:
        frames = [json.loads(line.partition(" ")[2]) for line in file]
    recorded = {frame["channel"]: frame for frame in frames}
    book = MARKET.book("BTC")
    ours = encoders.l2_book(book.coin, encoders.book_levels(book, None, None), NOW_MS)
    assert shape(json.loads(encoders.message("l2Book", ours))) == shape(recorded["l2Book"])
    ours = encoders.trades(MARKET.recent_trades("BTC", NOW_MS))
    assert shape(json.loads(encoders.message("trades", ours))) == shape(recorded["trades"])
    with gzip.open(folder / "nautilus_ws_all_dexs_asset_ctxs.json.gz", "rt") as file:
        contexts = json.load(file)["data"]["ctxs"][0][1]
    for coin in ("BTC", DELISTED_COIN):
        own = shape(json.loads(encoders.context(MARKET, MARKET.by_name[coin], NOW_MS)))
        assert own in [shape(context) for context in contexts]
