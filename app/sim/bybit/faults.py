"""Faults of the simulated Bybit by name: reads `gap:BTCUSDT@5` and the words of a request to the control address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from app.domain.errors import FathomError
from app.domain.ids import Market
from app.sim.bybit.contracts import MARKETS

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


class FaultError(FathomError, ValueError):
    """A fault that cannot be understood or begun; the text says what was expected."""


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


@dataclass(frozen=True, slots=True)
class TimedFault:
    """A fault and the seconds after the start at which it happens."""

    fault: Fault
    at_s: float


def read_market(text: str) -> Market:
    """Return the market a person means by spot, linear or a market's value; raise FaultError otherwise."""
    for market in MARKETS:
        if text.lower() in (market.word, market.value):
            return market
    raise FaultError(f"expected a market, spot or linear, was {text!r}")


def make_fault(name: str, **arguments: object) -> Fault:
    """Return a fault from a name and texts or values; raise FaultError for anything unknown."""
    if name not in FAULTS:
        raise FaultError(f"expected one of {', '.join(FAULTS)}, was {name!r}")
    values = {key: _read_argument(key, str(value)) for key, value in arguments.items() if value is not None}
    return replace(Fault(name=name), **values)  # type: ignore[arg-type] # each value was read by its key


def _read_argument(key: str, text: str) -> object:
    try:
        if key in ("count", "size"):
            number = int(text)
            if not 1 <= number <= 1 << 27:
                raise ValueError("at least 1")
            return number
        if key == "duration":
            seconds = float(text)
            if not 0.0 <= seconds < 1e9:
                raise ValueError("0 or more")
            return seconds
    except ValueError as error:
        raise FaultError(f"expected a usable {key}, was {text!r} ({error})") from None
    if key == "market":
        return None if text in ("both", "all") else read_market(text)
    if key == "symbol":
        return text.upper()
    if key == "topic":
        return text
    if key == "kind":
        if text not in BAD_FRAMES:
            raise FaultError(f"expected a kind of bad frame among {', '.join(BAD_FRAMES)}, was {text!r}")
        return text
    raise FaultError(f"expected an argument among market, symbol, kind, topic, duration, count, size, was {key!r}")


def read_fault(text: str) -> TimedFault:
    """Return a fault written as `NAME[:ARG[,ARG]]@SECONDS`; raise FaultError when it is not understood."""
    head, at, seconds = text.rpartition("@")
    name, _, tail = head.partition(":")
    try:
        at_s = float(seconds)
    except ValueError:
        at_s = -1.0
    if not at or not 0.0 <= at_s < 1e9:
        raise FaultError(f"expected NAME[:ARG[,ARG]]@SECONDS, was {text!r}")
    if name not in FAULTS:
        raise FaultError(f"expected one of {', '.join(FAULTS)}, was {name!r}")
    numbers = list(FAULTS[name])
    arguments: dict[str, object] = {}
    for word in filter(None, tail.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = _key_of(word, numbers), word
        arguments[key] = value
    return TimedFault(make_fault(name, **arguments), at_s)


def _key_of(word: str, numbers: list[str]) -> str:
    if word.lower() in (*(market.word for market in MARKETS), *(market.value for market in MARKETS), "both"):
        return "market"
    if word in BAD_FRAMES:
        return "kind"
    if word.partition(".")[0] in TOPIC_KINDS:
        return "topic"
    if re.fullmatch(r"\d+(\.\d*)?", word):
        if not numbers:
            raise FaultError(f"expected no (more) numbers, was {word!r}")
        return numbers.pop(0)
    return "symbol"


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
