"""Turns the simulated Hyperliquid's books, trades and contexts into the JSON texts of its WebSocket and info endpoint.

Written from the venue's documents (websocket/subscriptions, info endpoint), and deliberately not from the program's own
decoders. All figures are decimal texts with at least one decimal and no further zeros; times are UTC ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from app.sim.hyperliquid.book import SimBook
from app.sim.hyperliquid.lattice import Levels, bucketed
from app.sim.hyperliquid.market import HyperMarket, Trade
from app.sim.hyperliquid.universe import Coin, Kind

_BUYER = "0x" + "ab" * 20
_SELLER = "0x" + "cd" * 20


def decimal_text(value: int, decimals: int) -> str:
    """Return `value` x 10^-decimals as the venue writes it, e.g. `105055.0`, `0.1428`."""
    number = value / 10**decimals
    text = repr(number)
    return figure(number, decimals) if "e" in text else text


def figure(value: float, decimals: int) -> str:
    """Return a number rounded to some decimals, without trailing zeros but the first."""
    if not decimals:
        return f"{value:.0f}.0"
    text = f"{value:.{decimals}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _levels(levels: Levels, coin: Coin) -> str:
    price, size = coin.price_decimals, coin.size_decimals
    return ",".join(
        [
            f'{{"px":"{decimal_text(p, price)}","sz":"{decimal_text(q, size)}","n":{n}}}'
            for p, q, n in zip(levels.prices.tolist(), levels.sizes.tolist(), levels.orders.tolist(), strict=True)
        ]
    )


def book_levels(book: SimBook, figures: int | None, mantissa: int | None) -> str:
    """Return what a book says at some resolution, without its frame and time."""
    bids, asks = book.levels()
    bids = bucketed(bids, bids=True, figures=figures, mantissa=mantissa)
    asks = bucketed(asks, bids=False, figures=figures, mantissa=mantissa)
    spread = ""
    if figures is not None and len(bids.prices) and len(asks.prices):
        gap = decimal_text(int(asks.prices[0]) - int(bids.prices[0]), book.coin.price_decimals)
        spread = f',"spread":"{gap}"'
    return f'"levels":[[{_levels(bids, book.coin)}],[{_levels(asks, book.coin)}]]{spread}'


def l2_book(coin: Coin, levels: str, time_ms: int) -> str:
    """Return a snapshot of a book."""
    return f'{{"coin":"{coin.name}","time":{time_ms},{levels}}}'


def bbo(book: SimBook) -> str:
    """Return the best levels, null for an empty side, without time."""
    sides = [_levels(Levels(*(each[:1] for each in side)), book.coin) or "null" for side in book.levels()]
    return f'"bbo":[{sides[0]},{sides[1]}]'


def trade(each: Trade) -> str:
    """Return one trade."""
    coin = each.coin
    price, size = decimal_text(each.price, coin.price_decimals), decimal_text(each.size, coin.size_decimals)
    return (
        f'{{"coin":"{coin.name}","side":"{"B" if each.buys else "A"}","px":"{price}","sz":"{size}"'
        f',"time":{each.time_ms},"hash":"0x{each.number:064x}"'
        f',"tid":{each.number},"users":["{_BUYER}","{_SELLER}"]}}'
    )


def trades(each: Iterable[Trade]) -> str:
    """Return a list of trades."""
    return f"[{','.join(map(trade, each))}]"


def mid_text(market: HyperMarket, coin: Coin) -> str:
    """Return the middle of the touch, which may have one decimal more than prices have."""
    middle = int(market.bids[coin.place]) + int(market.asks[coin.place])
    return decimal_text(middle * 5, coin.price_decimals + 1)


def all_mids(market: HyperMarket, dex: str = "") -> str:
    """Return mids of perpetuals and, on the first exchange, of spot pairs; an empty book shows its last price."""
    coins = [coin for coin in market.coins if coin.kind is not Kind.BUILDER] if not dex else market.perps(Kind.BUILDER)
    return "{" + ",".join([f'"{coin.name}":"{mid_text(market, coin)}"' for coin in coins]) + "}"


def _price(value: float, coin: Coin) -> str:
    return figure(value, coin.price_decimals)


def context(market: HyperMarket, coin: Coin, now_ms: int) -> str:
    """Return the context of a perpetual or, with its coin's name, of a spot pair."""
    price = float(market.prices[coin.place])
    volume = market.day_volume_usd(coin)
    mid = f'"{mid_text(market, coin)}"' if coin.has_mid else "null"
    before = _price(market.previous_day_price(coin, now_ms), coin)
    mark = decimal_text(int(market.bids[coin.place]), coin.price_decimals)
    day = f'"dayNtlVlm":"{figure(volume, 8)}","dayBaseVlm":"{figure(volume / price, 6)}"'
    if coin.kind is Kind.SPOT:
        supply = figure(1e9 / max(price, 0.001) ** 0.5, 2)
        return (
            f'{{"coin":"{coin.name}","prevDayPx":"{before}",{day},"markPx":"{mark}","midPx":{mid},'
            f'"circulatingSupply":"{supply}","totalSupply":"{supply}"}}'
        )
    premium = market.premium(coin)
    quiet = coin.delisted
    funding = "0.0" if quiet else figure(market.funding(coin), 10)
    oracle = _price(price / (1.0 + premium), coin)
    impact = premium_text = "null"
    if coin.has_mid:
        premium_text = f'"{figure(premium, 10)}"'
        impact = f'["{_price(price * 0.9997, coin)}","{_price(price * 1.0003, coin)}"]'
    return (
        f'{{"funding":"{funding}","openInterest":"{figure(market.open_interest(coin), coin.size_decimals)}",'
        f'"prevDayPx":"{before}",{day},"premium":{premium_text},"oraclePx":"{oracle}","markPx":"{mark}",'
        f'"midPx":{mid},"impactPxs":{impact}}}'
    )


def contexts(market: HyperMarket, coins: Iterable[Coin], now_ms: int) -> str:
    """Return a list of contexts in the order given."""
    return f"[{','.join([context(market, coin, now_ms) for coin in coins])}]"


def universe_row(coin: Coin) -> dict[str, object]:
    """Return a perpetual as `meta` lists it."""
    row: dict[str, object] = {
        "szDecimals": coin.size_decimals,
        "name": coin.name,
        "maxLeverage": coin.max_leverage,
        "marginTableId": coin.max_leverage,
    }
    if coin.delisted:
        row["isDelisted"] = True
    return row


def dump(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def message(channel: str, data: str) -> str:
    """Return a frame of a channel around data that is JSON already."""
    return f'{{"channel":"{channel}","data":{data}}}'


def error(text: str) -> str:
    """Return a frame of the error channel, whose data is a plain string."""
    return message("error", json.dumps(text))


PONG = '{"channel":"pong"}'
GREETING = "Websocket connection established."
