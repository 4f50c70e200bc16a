"""Faults of the simulated Hyperliquid by name: reads `delist:BTC@5` and control requests."""

from __future__ import annotations

from dataclasses import dataclass

from app.sim.fault_text import FaultError, TimedFault, check_name, read_timed, read_words

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
_NUMBERS = {name: tuple(key for key in keys if key == "duration") for name, keys in FAULTS.items()}
USUAL_S = {"stall": 5.0, "nopong": 15.0, "http429": 7.0, "refuse": 5.0, "noctxs": 300.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperFault:
    """A fault with its arguments; `duration` in seconds, None where the fault's own default shall hold."""

    name: str
    coin: str | None = None
    duration: float | None = None
    kind: str | None = None


def make_fault(name: str, *, coin: object = None, duration: object = None, kind: object = None) -> HyperFault:
    """Return a fault from texts or values; raise FaultError for anything unknown."""
    check_name(name, FAULTS)
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


def read_untimed(text: str) -> HyperFault:
    """Return the fault of `NAME[:ARG[,ARG]]`, e.g. `stall:4` or `delist:@142`."""
    name, arguments = read_words(text, _NUMBERS, _key_of)
    unknown = set(arguments) - {"coin", "duration", "kind"}
    if unknown:
        raise FaultError(f"expected coin, duration or kind, was {', '.join(sorted(unknown))}")
    return make_fault(name, **arguments)


def _key_of(word: str) -> str:
    return "kind" if word in BAD_FRAMES else "coin"


def read_fault(text: str) -> TimedFault[HyperFault]:
    """Return the fault a command line names, e.g. `delist:BTC@5`."""
    return read_timed(text, read_untimed)
