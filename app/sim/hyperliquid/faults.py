"""Faults of the simulated Hyperliquid by name: reads `delist:BTC@5` and control requests."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.sim.faults import FaultError

HUGE_FRAME_BYTES = 5 * 1024 * 1024
BAD_FRAMES = {
    "malformed": "{not json at all]",
    "truncated": '{"channel":"l2Book","data":{"coin":"BTC","time":17',
    "nan": '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[{"px":"NaN","sz":"1.0","n":1}],[]]}}',
    "negative": '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[{"px":"1.0","sz":"-1.5","n":1}],[]]}}',
    "crossed": '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":'
    '[[{"px":"2.0","sz":"1.0","n":1}],[{"px":"1.0","sz":"1.0","n":1}]]}}',
    "shape": '{"channel":"assetCtxs","data":[1,2,{"ctxs":null}]}',
    "unknown": '{"channel":"somethingNew","data":{"x":[1,2,{"y":null}]}}',
}
# What a fault is about besides: a coin, seconds, a kind of bad frame.
FAULTS: dict[str, tuple[str, ...]] = {
    "stall": ("duration",),
    "close": (),
    "nopong": ("duration",),
    "badframe": ("kind",),
    "giant": (),
    "halfopen": (),
    "http429": ("duration",),
    "refuse": ("duration",),
    "noctxs": ("duration",),
    "delist": ("coin",),
    "grow": (),
    "nullmid": ("coin",),
    "crosspower": ("coin",),
    "surge": ("coin",),
    "idle": (),
}
USUAL_S = {"stall": 5.0, "nopong": 15.0, "http429": 7.0, "refuse": 5.0, "noctxs": 300.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperFault:
    """A fault with its arguments; `duration` in seconds, None where the fault's own default shall hold."""

    name: str
    coin: str | None = None
    duration: float | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class TimedFault:
    """A fault and the seconds after the start at which it happens."""

    fault: HyperFault
    at_s: float


def make_fault(name: str, *, coin: object = None, duration: object = None, kind: object = None) -> HyperFault:
    """Return a fault from texts or values; raise FaultError for anything unknown."""
    if name not in FAULTS:
        raise FaultError(f"expected one of {', '.join(FAULTS)}, was {name!r}")
    given = {"coin": coin, "duration": duration, "kind": kind}
    for key, value in given.items():
        if value is not None and key not in FAULTS[name]:
            raise FaultError(f"expected no {key} for {name}, was {value!r}")
    if "coin" in FAULTS[name] and not coin:
        raise FaultError(f"expected a coin for {name}")
    if kind is not None and kind not in BAD_FRAMES:
        raise FaultError(f"expected a kind among {', '.join(BAD_FRAMES)}, was {kind!r}")
    return HyperFault(
        name=name,
        coin=None if coin is None else str(coin),
        duration=None if duration is None else _seconds(duration),
        kind=None if kind is None else str(kind),
    )


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 1e9:
        raise FaultError(f"expected seconds from 0 to 1e9, was {value!r}")
    return seconds


def read_words(text: str) -> HyperFault:
    """Return the fault of `NAME[:ARG[,ARG]]`, e.g. `stall:4` or `delist:@142`."""
    name, _, tail = text.partition(":")
    arguments: dict[str, str] = {}
    for word in filter(None, tail.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = _key_of(word), word
        if key not in ("coin", "duration", "kind"):
            raise FaultError(f"expected coin, duration or kind, was {key!r}")
        arguments[key] = value
    return make_fault(name, **arguments)


def _key_of(word: str) -> str:
    if word in BAD_FRAMES:
        return "kind"
    return "duration" if re.fullmatch(r"\d+(\.\d*)?", word) else "coin"


def read_fault(text: str) -> TimedFault:
    """Return the fault a command line names, e.g. `delist:BTC@5`."""
    head, at, seconds = text.rpartition("@")
    try:
        at_s = float(seconds)
    except ValueError:
        at_s = -1.0
    if not at or not 0.0 <= at_s < 1e9:
        raise FaultError(f"expected NAME[:ARG[,ARG]]@SECONDS, was {text!r}")
    return TimedFault(read_words(head), at_s)
