"""Faults of the simulated Bybit by name: reads `gap:BTCUSDT@5` and the words of a request to the control address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from app.domain.ids import Market
from app.sim.bybit.contracts import MARKETS
from app.sim.fault_text import (
    FaultError,
    TimedFault,
    check_name,
    read_count,
    read_kind,
    read_seconds,
    read_timed,
    read_words,
)

BAD_FRAMES = ("malformed", "truncated", "nan", "negative", "text", "unknown", "binary")
TOPIC_KINDS = ("tickers", "orderbook", "publicTrade", "allLiquidation")

# Fault -> names of its arguments in the order the command line takes numbers; symbol, market, kind and topic go by
# themselves.
FAULTS: dict[str, tuple[str, ...]] = {
    "gap": ("count",),
    "restart": (),
    "delete": ("count",),
    "delist": (),
    "resnapshot": (),
    "badframe": ("count",),
    "liquidations": ("count",),
    "stall": ("duration",),
    "nopong": ("duration",),
    "refuse": ("duration",),
    "halfopen": ("duration",),
    "close": (),
    "drop": (),
    "giant": ("size",),
    "http403": ("duration",),
    "toomany": ("duration",),
    "rest_down": ("duration",),
    "lag": ("count",),
    "mismatch": ("count",),
    "calm": (),  # ends what lasts
}
OF_BOOKS = frozenset({"gap", "restart", "delete", "delist", "resnapshot", "badframe"})
OF_REST = frozenset({"toomany", "rest_down", "lag", "mismatch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with its arguments; None where the fault's own default shall hold.

    `market` None means both (for http403: REST), `symbol` None lets the fault choose; `duration` is in seconds,
    `size` in bytes.
    """

    name: str
    market: Market | None = None
    symbol: str | None = None
    kind: str | None = None
    topic: str | None = None
    duration: float | None = None
    count: int | None = None
    size: int | None = None


def read_market(text: str) -> Market:
    """Return the market a person means by spot, linear or a market's value; raise FaultError otherwise."""
    for market in MARKETS:
        if text.lower() in (market.word, market.value):
            return market
    raise FaultError(f"expected a market, spot or linear, was {text!r}")


def make_fault(name: str, **arguments: object) -> Fault:
    """Return a fault from a name and texts or values; raise FaultError for anything unknown."""
    check_name(name, FAULTS)
    values = {key: _read_argument(key, str(value)) for key, value in arguments.items() if value is not None}
    return replace(Fault(name=name), **values)  # type: ignore[arg-type] # each value was read by its key


def _read_argument(key: str, text: str) -> object:
    if key in ("count", "size"):
        return read_count(key, text, 1 << 27, "at least 1")
    if key == "duration":
        return read_seconds(key, text)
    if key == "kind":
        return read_kind(text, BAD_FRAMES, "bad frame")
    if key == "market":
        return None if text in ("both", "all") else read_market(text)
    if key == "symbol":
        return text.upper()
    if key == "topic":
        return text
    raise FaultError(f"expected an argument among market, symbol, kind, topic, duration, count, size, was {key!r}")


def read_fault(text: str) -> TimedFault[Fault]:
    """Return the fault a command line names, e.g. `drop@3`, `gap:BTCUSDT@5`, `stall:linear,4@10`."""
    return read_timed(text, _read)


def _read(text: str) -> Fault:
    name, arguments = read_words(text, FAULTS, _key_of)
    return make_fault(name, **arguments)


def _key_of(word: str) -> str:
    if word.lower() in (*(market.word for market in MARKETS), *(market.value for market in MARKETS), "both"):
        return "market"
    if word in BAD_FRAMES:
        return "kind"
    return "topic" if word.partition(".")[0] in TOPIC_KINDS else "symbol"


def spoil(payload: str, kind: str) -> tuple[bytes, bool]:
    """Return a bad frame made from a good one, and whether it stands in the good one's place."""
    if kind == "malformed":
        return b"{not json at all]", False
    if kind == "truncated":
        return payload[: len(payload) * 2 // 3].encode(), False
    if kind == "unknown":
        return b'{"topic":"somethingNew.BTCUSDT","type":"riddle","data":{"x":[1,{"y":null}]}}', False
    if kind == "binary":
        return b'\xff\xfe{"topic":\x00\x80}', False
    bad = {"nan": '"NaN"', "negative": '"-1.5"', "text": '"many"'}[kind]
    spoiled, found = re.subn(r'(\["[0-9.]+",)"[0-9.]+"\]', rf"\g<1>{bad}]", payload, count=1)
    return spoiled.encode(), bool(found)
