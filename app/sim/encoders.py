"""Turns simulated book changes into the JSON texts of Binance's spot and USD-M streams and answers.

Written from the venue's documents (web-socket-streams.md of binance-spot-api-docs; USDS-margined futures pages of
developers.binance.com), and deliberately not from the program's own decoders. Prices and quantities are exact decimal
texts made from integers; times are UTC ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from app.domain.ids import Market
from app.sim.book import Changes, Top
from app.sim.market import fixed
from app.sim.universe import Listing

LevelWriter = Callable[[Iterable[tuple[int, int]]], str]


@lru_cache(maxsize=512)
def level_writer(price_decimals: int, quantity_decimals: int, wire_decimals: int) -> LevelWriter:
    """Return a function that writes (ticks, steps) pairs as `[["0.0024","10"],...]`; this is the hot path."""
    price_scale, quantity_scale = 10**price_decimals, 10**quantity_decimals
    zeros = "0" * (wire_decimals - quantity_decimals)
    price_form = f"%d.%0{price_decimals}d"
    if quantity_decimals:
        form = f'["{price_form}","%d.%0{quantity_decimals}d{zeros}"]'

        def write(levels: Iterable[tuple[int, int]]) -> str:
            return ",".join(
                [form % (p // price_scale, p % price_scale, q // quantity_scale, q % quantity_scale) for p, q in levels]
            )
    else:
        whole = f'["{price_form}","%d{"." if zeros else ""}{zeros}"]'

        def write(levels: Iterable[tuple[int, int]]) -> str:
            return ",".join([whole % (p // price_scale, p % price_scale, q) for p, q in levels])

    return write


def write_levels(listing: Listing, levels: Iterable[tuple[int, int]]) -> str:
    """Return the inside of a JSON list of levels."""
    return level_writer(listing.price_decimals, listing.quantity_decimals, listing.wire_decimals)(levels)


def depth_update(listing: Listing, changes: Changes, time_ms: int) -> str:
    """Return the payload of a diff depth event."""
    write = level_writer(listing.price_decimals, listing.quantity_decimals, listing.wire_decimals)
    bids, asks = write(changes.bids.items()), write(changes.asks.items())
    symbol = listing.symbol
    if listing.market is Market.BINANCE_SPOT:
        return (
            f'{{"e":"depthUpdate","E":{time_ms},"s":"{symbol}","U":{changes.first_id},"u":{changes.last_id},'
            f'"b":[{bids}],"a":[{asks}]}}'
        )
    return (
        f'{{"e":"depthUpdate","E":{time_ms},"T":{time_ms - 3},"s":"{symbol}","ps":"{symbol}","st":1,'
        f'"U":{changes.first_id},"u":{changes.last_id},"pu":{changes.previous_id},"b":[{bids}],"a":[{asks}]}}'
    )


def book_ticker(listing: Listing, top: Top, time_ms: int) -> str:
    """Return the payload of a best bid and ask event."""
    price, step, wire = listing.price_decimals, listing.quantity_decimals, listing.wire_decimals
    touch = (
        f'"b":"{fixed(top.bid, price)}","B":"{fixed(top.bid_quantity, step, wire)}",'
        f'"a":"{fixed(top.ask, price)}","A":"{fixed(top.ask_quantity, step, wire)}"'
    )
    if listing.market is Market.BINANCE_SPOT:
        return f'{{"u":{top.update_id},"s":"{listing.symbol}",{touch}}}'
    return (
        f'{{"e":"bookTicker","u":{top.update_id},"s":"{listing.symbol}",{touch},'
        f'"T":{time_ms - 3},"E":{time_ms},"st":1,"ps":"{listing.symbol}"}}'
    )


def partial_depth(
    listing: Listing, changes: Changes, bids: list[tuple[int, int]], asks: list[tuple[int, int]], time_ms: int
) -> str:
    """Return the payload of a partial depth event: spot names no symbol, futures look like a diff."""
    if listing.market is Market.BINANCE_SPOT:
        return (
            f'{{"lastUpdateId":{changes.last_id},"bids":[{write_levels(listing, bids)}],'
            f'"asks":[{write_levels(listing, asks)}]}}'
        )
    whole = Changes(changes.first_id, changes.last_id, changes.previous_id, dict(bids), dict(asks))
    return depth_update(listing, whole, time_ms)


def depth_answer(
    listing: Listing, update_id: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], time_ms: int
) -> str:
    """Return the body of a REST depth answer."""
    times = "" if listing.market is Market.BINANCE_SPOT else f'"E":{time_ms},"T":{time_ms - 3},'
    return (
        f'{{"lastUpdateId":{update_id},{times}"bids":[{write_levels(listing, bids)}],'
        f'"asks":[{write_levels(listing, asks)}]}}'
    )


def server_shutdown(time_ms: int) -> str:
    """Return the payload that announces the end of a spot connection."""
    return f'{{"e":"serverShutdown","E":{time_ms}}}'


def wrapped(stream: str, payload: str) -> str:
    """Return a payload as a combined stream carries it."""
    return f'{{"stream":"{stream}","data":{payload}}}'
