"""Turns simulated figures, books and trades into the JSON texts of Bybit v5's public streams, in the venue's own shape.

Written from the venue's v5 documents and from recorded frames, deliberately not from the program's decoders. Spot
strips zeros behind the point and writes `ts` before `type`; contracts write every decimal and, but for level 1, `type`
first. Prices and quantities are exact texts made from integers; times are UTC ms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from app.sim.bybit.contracts import Contract

Writer = Callable[[int], str]


@lru_cache(maxsize=64)
def _writer(decimals: int, zeros: int, strip: bool) -> Writer:
    if decimals <= 0:
        factor = 10**-decimals
        return lambda value: str(value * factor)
    scale, form = 10**decimals, f"%d.%0{decimals}d{'0' * zeros}"
    if strip:
        return lambda value: (form % divmod(value, scale)).rstrip("0").rstrip(".")
    return lambda value: form % divmod(value, scale)


def price_writer(contract: Contract) -> Writer:
    """Return what writes an instrument's ticks as a price."""
    return _writer(contract.listing.price_decimals, contract.zeros, not contract.linear)


def quantity_writer(contract: Contract) -> Writer:
    """Return what writes an instrument's quantity steps; removed levels are `0`."""
    return _writer(contract.listing.quantity_decimals, 0, not contract.linear)


def levels(contract: Contract, rows: Iterable[tuple[int, int]]) -> str:
    """Return `[["65114.20","6.054"],["65114.10","0"]]` for (ticks, steps) rows."""
    price, quantity = price_writer(contract), quantity_writer(contract)
    return "[" + ",".join([f'["{price(p)}","{quantity(q) if q else 0}"]' for p, q in rows]) + "]"


def pairs(contract: Contract, rows: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
    """Return (price, quantity) texts for (ticks, steps) rows."""
    price, quantity = price_writer(contract), quantity_writer(contract)
    return [(price(p), quantity(q)) for p, q in rows]


def depth(
    contract: Contract,
    topic: str,
    kind: str,
    *,
    bids: str,
    asks: str,
    u: int,
    seq: int,
    now_ms: int,
    changed_ms: int,
) -> str:
    """Return a message of a depth topic; `kind` is snapshot or delta, sides are texts of `levels`."""
    data = f'{{"s":"{contract.symbol}","b":{bids},"a":{asks},"u":{u},"seq":{seq}}}'
    if contract.linear and not topic.startswith("orderbook.1."):
        return f'{{"topic":"{topic}","type":"{kind}","ts":{now_ms},"data":{data},"cts":{changed_ms}}}'
    return f'{{"topic":"{topic}","ts":{now_ms},"type":"{kind}","data":{data},"cts":{changed_ms}}}'


def ticker(contract: Contract, kind: str, fields: Mapping[str, str], *, cross_sequence: int, now_ms: int) -> str:
    """Return a ticker message with these fields."""
    data = ",".join([f'"{key}":"{value}"' for key, value in fields.items()])
    body = f'"data":{{"symbol":"{contract.symbol}",{data}}}' if data else f'"data":{{"symbol":"{contract.symbol}"}}'
    topic = f'"topic":"tickers.{contract.symbol}"'
    if contract.linear:
        return f'{{{topic},"type":"{kind}",{body},"cs":{cross_sequence},"ts":{now_ms}}}'
    return f'{{{topic},"ts":{now_ms},"type":"{kind}","cs":{cross_sequence},{body}}}'


def trades(contract: Contract, rows: Iterable[Mapping[str, object]], now_ms: int) -> str:
    """Return a publicTrade message."""
    data = json.dumps(list(rows), separators=(",", ":"))
    if contract.linear:
        return f'{{"topic":"publicTrade.{contract.symbol}","type":"snapshot","ts":{now_ms},"data":{data}}}'
    return f'{{"topic":"publicTrade.{contract.symbol}","ts":{now_ms},"type":"snapshot","data":{data}}}'


def liquidations(contract: Contract, rows: Iterable[tuple[int, bool, str, str]], now_ms: int) -> str:
    """Return an allLiquidation message for (UTC ms, long?, quantity, price) rows; `Buy` is a long position's end."""
    data = ",".join(
        [
            f'{{"T":{when},"s":"{contract.symbol}","S":"{"Buy" if long else "Sell"}","v":"{quantity}","p":"{price}"}}'
            for when, long, quantity, price in rows
        ]
    )
    return f'{{"topic":"allLiquidation.{contract.symbol}","type":"snapshot","ts":{now_ms},"data":[{data}]}}'


def reply(op: str, message: str, connection_id: str, request_id: str | None, *, linear: bool, success: bool) -> str:
    """Return the answer to a request on a connection. Contracts always name a `req_id`, spot the one it was given."""
    parts: dict[str, object] = {"success": success, "ret_msg": message, "conn_id": connection_id}
    if request_id is not None or linear:
        parts["req_id"] = request_id or ""
    return json.dumps({**parts, "op": op}, separators=(",", ":"))


def envelope(result: object, now_ms: int, *, code: int = 0, message: str = "OK") -> bytes:
    """Return the body of a REST answer."""
    whole = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now_ms}
    return json.dumps(whole, separators=(",", ":")).encode()
