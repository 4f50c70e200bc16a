"""Turns a day's figures into the JSON texts of Binance's tickers, mark prices and liquidations, streamed or asked.

Written from the venue's documents (web-socket-streams.md and rest-api.md of binance-spot-api-docs; USDS-margined
futures market data), and deliberately not from the program's own decoders. Times are UTC ms.
"""

from __future__ import annotations

from app.domain.ids import Market
from app.sim.day import Day
from app.sim.liquidations import ForcedOrder
from app.sim.market import fixed
from app.sim.sidelines import Quoted

Row = dict[str, object]

_DAY_MS = 86_400_000
_INTEREST_RATE = "0.00010000"


def price_text(row: Quoted, price: float) -> str:
    """Return a price with the tick's decimals."""
    return f"{price:.{row.price_decimals}f}"


def quantity_text(row: Quoted, quantity: float) -> str:
    """Return a quantity with the decimals the market writes."""
    return f"{quantity:.{max(row.quantity_decimals, row.wire_decimals)}f}"


def _money(value: float) -> str:
    return f"{value:.2f}"


def _tags(day: Day, row: Quoted) -> str:
    if day.market is Market.BINANCE_SPOT:
        return ""
    return f',"st":{row.margin},"ps":"{row.symbol.partition("_")[0]}"'


def mini_ticker(day: Day, place: int, time_ms: int) -> str:
    """Return a 24hrMiniTicker event."""
    row = day.rows[place]
    return (
        f'{{"e":"24hrMiniTicker","E":{time_ms},"s":"{row.symbol}","c":"{price_text(row, day.last[place])}",'
        f'"o":"{price_text(row, day.open[place])}","h":"{price_text(row, day.high[place])}",'
        f'"l":"{price_text(row, day.low[place])}","v":"{quantity_text(row, day.base_volume[place])}",'
        f'"q":"{_money(day.quote_volume[place])}"{_tags(day, row)}}}'
    )


def mark_price(day: Day, place: int, time_ms: int) -> str:
    """Return a markPriceUpdate event; the rate is empty where no funding is paid."""
    row = day.rows[place]
    rate = f"{day.funding(place):.8f}" if day.pays_funding(place) else ""
    mark, index = f"{day.last[place]:.8f}", f"{day.index(place):.8f}"
    return (
        f'{{"e":"markPriceUpdate","E":{time_ms},"s":"{row.symbol}","p":"{mark}","ap":"{mark}","P":"{index}",'
        f'"i":"{index}","r":"{rate}","T":{day.next_funding_ms(place, time_ms)}{_tags(day, row)}}}'
    )


def force_order(day: Day, order: ForcedOrder, time_ms: int) -> str:
    """Return a forceOrder event."""
    row = day.rows[order.place]
    quantity = fixed(order.quantity, row.quantity_decimals)
    return (
        f'{{"e":"forceOrder","E":{time_ms},"o":{{"s":"{row.symbol}","S":"{"SELL" if order.sells else "BUY"}",'
        f'"o":"LIMIT","f":"IOC","q":"{quantity}","p":"{price_text(row, order.price)}",'
        f'"ap":"{price_text(row, order.average)}","X":"FILLED","l":"{quantity}","z":"{quantity}",'
        f'"T":{time_ms - 4}{_tags(day, row)}}}}}'
    )


def day_row(day: Day, place: int, time_ms: int) -> Row:
    """Return a row of `ticker/24hr`, without what spot adds of the touch."""
    row = day.rows[place]
    change = float(day.last[place] - day.open[place])
    average = day.quote_volume[place] / day.base_volume[place] if day.base_volume[place] else 0.0
    trades = int(day.trades[place])
    return {
        "symbol": row.symbol,
        "priceChange": price_text(row, change),
        "priceChangePercent": f"{100 * change / float(day.open[place]):.3f}",
        "weightedAvgPrice": price_text(row, average),
        "lastPrice": price_text(row, day.last[place]),
        "lastQty": fixed(1, row.quantity_decimals, row.wire_decimals),
        "openPrice": price_text(row, day.open[place]),
        "highPrice": price_text(row, day.high[place]),
        "lowPrice": price_text(row, day.low[place]),
        "volume": quantity_text(row, day.base_volume[place]),
        "quoteVolume": _money(day.quote_volume[place]),
        "openTime": time_ms - _DAY_MS,
        "closeTime": time_ms,
        "firstId": 1,
        "lastId": trades,
        "count": trades,
    }


def touch_row(day: Day, place: int) -> Row:
    """Return a row of `ticker/bookTicker` for an instrument without a book; zeros while it does not trade."""
    row = day.rows[place]
    bid, bid_size, ask, ask_size = day.touch(place) if day.trading(place) else (0, 0, 0, 0)
    return {
        "symbol": row.symbol,
        "bidPrice": fixed(bid, row.price_decimals),
        "bidQty": fixed(bid_size, row.quantity_decimals, row.wire_decimals),
        "askPrice": fixed(ask, row.price_decimals),
        "askQty": fixed(ask_size, row.quantity_decimals, row.wire_decimals),
    }


def premium_row(day: Day, place: int, time_ms: int) -> Row:
    """Return a row of `premiumIndex`."""
    row = day.rows[place]
    pays = day.pays_funding(place)
    mark, index = f"{day.last[place]:.8f}", f"{day.index(place):.8f}"
    return {
        "symbol": row.symbol,
        "markPrice": mark,
        "indexPrice": index,
        "estimatedSettlePrice": index,
        "lastFundingRate": f"{day.funding(place):.8f}" if pays else "",
        "interestRate": _INTEREST_RATE if pays else "",
        "nextFundingTime": day.next_funding_ms(place, time_ms),
        "time": time_ms,
    }


def funding_row(day: Day, place: int) -> Row:
    """Return a row of `fundingInfo`."""
    return {
        "symbol": day.rows[place].symbol,
        "adjustedFundingRateCap": "0.02000000",
        "adjustedFundingRateFloor": "-0.02000000",
        "fundingIntervalHours": int(day.hours[place]),
        "disclaimer": False,
    }


def interest_row(day: Day, place: int, time_ms: int) -> Row:
    """Return the answer of `openInterest`."""
    row = day.rows[place]
    return {
        "openInterest": f"{day.interest[place]:.{row.quantity_decimals}f}",
        "symbol": row.symbol,
        "time": time_ms,
    }
