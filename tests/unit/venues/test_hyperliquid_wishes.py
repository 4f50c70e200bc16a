"""What Hyperliquid's instruments are called, which are chosen, and what a session subscribes to."""

from __future__ import annotations

import pytest

from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.venues.hyperliquid.allowance import SUBSCRIPTIONS
from app.venues.hyperliquid.api import rank_perps
from app.venues.hyperliquid.messages import PerpContext, PerpListing, PerpMeta, SpotListing, SpotMeta, SpotToken
from app.venues.hyperliquid.naming import SpotNames, guess_instrument, perp_instrument, price_step
from app.venues.hyperliquid.protocol import PerpTable, Topic
from app.venues.hyperliquid.wishes import MOST_HOT, Wishes

PERP, SPOT = Market.HYPERLIQUID_PERP, Market.HYPERLIQUID_SPOT


def names(topics: list[Topic], kind: str) -> list[str | None]:
    return [topic.coin for topic in topics if topic.type == kind]


def context(volume: float, price: float = 10.0) -> PerpContext:
    return PerpContext(
        funding=0.0, openInterest=1.0, prevDayPx=price, dayNtlVlm=volume, oraclePx=price, markPx=price, midPx=None
    )


# -- names -------------------------------------------------------------------------------------------------------


def test_a_perpetual_is_the_pair_of_its_coin_that_other_venues_trade() -> None:
    assert guess_instrument(PERP, "BTC") == Instrument(
        market=PERP, symbol="BTC", pair="BTCUSDT", base="BTC", quote="USDC"
    )
    thousand = guess_instrument(PERP, "kPEPE")
    assert (thousand.symbol, thousand.pair, thousand.base, thousand.units) == ("kPEPE", "PEPEUSDT", "PEPE", 1000)
    assert guess_instrument(PERP, "KAITO").units == 1
    assert not perp_instrument(PerpListing(name="MATIC", isDelisted=True)).trading


def test_a_spot_pair_keeps_its_name_and_bridged_coins_are_the_coins_they_stand_for() -> None:
    bridged = guess_instrument(SPOT, "UBTC/USDC")
    assert (bridged.symbol, bridged.pair, bridged.base, bridged.quote) == ("UBTC/USDC", "BTCUSDT", "BTC", "USDC")
    assert guess_instrument(SPOT, "HYPE/USDH").pair == "HYPEUSDT"
    assert guess_instrument(SPOT, "PURR/HYPE").pair == "PURRHYPE"
    listed = SpotNames(
        SpotMeta(
            tokens=[SpotToken(name="USDC", index=0), SpotToken(name="UBTC", index=7)],
            universe=[SpotListing(name="@5", tokens=(7, 0)), SpotListing(name="@6", tokens=(7, 0))],
        )
    )
    assert listed.symbols == {"@5": "UBTC/USDC", "@6": "@6"}
    assert listed.coins == {"UBTC/USDC": "@5", "@6": "@6"}


@pytest.mark.parametrize(
    ("price", "size_decimals", "step"),
    [
        (105_055.0, 5, "1"),
        (62_000.0, 5, "1"),
        (2_123.6, 4, "0.1"),
        (145.2, 2, "0.01"),
        (0.0123, 0, "0.000001"),
        (2.13, 5, "0.1"),
    ],
)
def test_a_price_step_leaves_five_figures_and_six_decimals_less_those_of_the_size(
    price: float, size_decimals: int, step: str
) -> None:
    assert price_step(price, size_decimals) == step
    assert perp_instrument(PerpListing(name="X", szDecimals=size_decimals), price).tick_size == step


def test_the_most_traded_perpetuals_are_chosen_and_the_named_ones_among_them() -> None:
    coins = {"BTC": 5.0, "OLD": 99.0, "ETH": 7.0, "kPEPE": 3.0, "ADA": 1.0, "BAD": 50.0}
    meta = PerpMeta(universe=[PerpListing(name=name, isDelisted=name == "OLD") for name in coins])
    contexts = [None if name == "BAD" else context(volume) for name, volume in coins.items()]
    table = PerpTable(contexts, 1)
    assert [i.symbol for i in rank_perps(meta, table, 2)] == ["ETH", "BTC"]
    assert [i.symbol for i in rank_perps(meta, table, 3, ["ADA", "PEPE"])] == ["ETH", "kPEPE", "ADA"]
    assert [i.symbol for i in rank_perps(meta, table, 1, ["ADA", "PEPE"])] == ["kPEPE"]
    assert [i.symbol for i in rank_perps(meta, table, 9)] == ["ETH", "BTC", "kPEPE", "ADA"]


# -- wishes ------------------------------------------------------------------------------------------------------


def test_books_quotes_and_trades_are_wanted_of_coins_in_view_and_contexts_of_all() -> None:
    wishes = Wishes(PERP, ("BTC", "ETH"), 3)
    assert wishes.books("s3") == [Topic("l2Book", "BTC", 3), Topic("l2Book", "ETH", 3)]
    assert wishes.set_listed(("BTC", "ETH", "SOL"))
    assert not wishes.set_listed(("BTC", "ETH", "SOL"))
    assert wishes.set_hot(["SOL", "NOSUCH", "BTC"])
    assert not wishes.set_hot(["NOSUCH", "SOL"])
    figures = wishes.figures()
    assert names(figures, "bbo") == names(figures, "trades") == ["BTC", "ETH", "SOL"]
    assert [topic for topic in figures if topic.coin is None] == [Topic("assetCtxs"), Topic("allMids")]
    wishes.suspended.add("BTC")
    assert wishes.active == ("ETH",)
    assert names(wishes.figures(), "bbo") == ["ETH", "SOL"]
    assert names(wishes.books("full"), "l2Book") == ["ETH"]


def test_refused_contexts_are_asked_for_in_longer_forms_and_in_the_shortest_on_a_fresh_connection() -> None:
    wishes = Wishes(PERP, ("BTC",), 1)
    wishes.set_listed(("BTC", "ETH"))
    assert wishes.refuse(Topic("assetCtxs")) == "allDexsAssetCtxs"
    assert Topic("allDexsAssetCtxs") in wishes.figures()
    assert wishes.refuse(Topic("allDexsAssetCtxs")) == "activeAssetCtx of each coin"
    assert names(wishes.figures(), "activeAssetCtx") == ["BTC", "ETH"]
    assert wishes.refuse(Topic("activeAssetCtx", "ETH")) is None
    assert names(wishes.figures(), "activeAssetCtx") == ["BTC"]
    assert wishes.refuse(Topic("l2Book", "BTC")) is None
    assert wishes.refuses_book("BTC")
    wishes.forgive(books=False)
    assert Topic("assetCtxs") in wishes.figures()
    assert wishes.refuses_book("BTC")
    wishes.forgive(books=True)
    assert not wishes.refuses_book("BTC")


def test_the_thousand_subscriptions_of_the_venue_are_never_exceeded() -> None:
    assert sum(SUBSCRIPTIONS.values()) <= 1000
    for count in (1, 30, 80):
        coins = tuple(f"B{n}" for n in range(count))
        wishes = Wishes(PERP, coins, 4)
        listed = coins + tuple(f"L{n}" for n in range(400))
        wishes.set_listed(listed)
        wishes.set_hot(listed)
        assert wishes.hot_capacity <= MOST_HOT
        assert len(names(wishes.figures(), "bbo")) == count + wishes.hot_capacity
        for form in ("assetCtxs", "allDexsAssetCtxs", "the last"):
            total = len(wishes.figures()) + 4 * len(wishes.books("full"))
            assert total <= SUBSCRIPTIONS[PERP], (count, form)
            wishes.refuse(Topic(form))


def test_hot_spot_pairs_are_subscribed_by_their_number() -> None:
    wishes = Wishes(SPOT, (), 0)
    wishes.set_hot(["UBTC/USDC", "@6", "NOSUCH/USDC"])
    assert names(wishes.figures(), "bbo") == []
    listed = SpotNames(
        SpotMeta(
            tokens=[SpotToken(name="USDC", index=0), SpotToken(name="UBTC", index=7)],
            universe=[SpotListing(name="@5", tokens=(7, 0)), SpotListing(name="@6", tokens=(7, 0))],
        )
    )
    assert wishes.set_listed(list(listed.symbols), listed)
    assert names(wishes.figures(), "bbo") == ["@5", "@6"]
    assert wishes.refuse(Topic("spotAssetCtxs")) == "activeAssetCtx of each coin"
    assert names(wishes.figures(), "activeAssetCtx") == ["@5", "@6"]
