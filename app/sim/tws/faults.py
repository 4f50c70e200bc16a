"""Faults of the simulated TWS by name: reads `restart:8@20` and the words of a request to the control address."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from app.sim.tws.wire import UNSET_DOUBLE, frame

FAULTS: dict[str, tuple[str, ...]] = {
    "restart": ("duration",),  # the port closes and opens again
    "freeze": ("duration",),  # nothing is sent any more, sockets stay
    "lost": ("duration",),  # 1100, later 1102
    "dataloss": ("duration",),  # 1100, later 1101: all subscriptions are gone
    "farm": ("duration",),  # 2103 and 2105, later 2104 and 2106
    "server": ("duration",),  # 2110, later 1102
    "competing": ("duration",),  # 10197 for every line
    "vanish": ("duration",),  # the last account is not there any more
    "notsubscribed": ("duration",),  # 354 for a symbol
    "delayed": ("duration",),  # 10167 for a symbol, then delayed quotes
    "halt": ("duration",),  # trading of a symbol is halted
    "garbage": ("count",),  # frames that cannot be read
    "unset": ("duration",),  # figures that are not set
    "noprices": ("duration",),  # bid and ask are -1
    "crossed": ("duration",),  # the bid is above the ask
    "wrongversion": ("duration",),  # a server of long ago
    "http": ("duration",),  # something else answers on the port
    "skew": ("seconds",),  # the server's clock is wrong
    "drop": (),  # every connection is cut
    "calm": (),  # ends what lasts
}
DURATION_S = {"restart": 5.0, "crossed": 1.0, "lost": 5.0, "dataloss": 5.0, "farm": 5.0, "server": 5.0}
GARBAGE: dict[str, bytes] = {
    "unknown": frame(9999, 1, "what is this"),
    "text": frame("hello", "world"),
    "short": frame(1, 6, 1),
    "letters": frame(61, 3, "DU1234567", "many", "X", "STK", *[""] * 8, "lots", "dear"),
    "utf8": b"\x00\x00\x00\x0846\x006\x00\xff\xfe\x00",
    "unset": frame(94, 999_999, UNSET_DOUBLE, UNSET_DOUBLE, ""),
    "empty": b"\x00\x00\x00\x01\x00",
}
OLD_VERSION = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with its arguments; None where the fault's own default shall hold.

    `duration` in seconds, None: until `calm` (where it lasts). `seconds` is how far the clock is wrong.
    """

    name: str
    symbol: str | None = None
    kind: str | None = None
    account: str | None = None
    duration: float | None = None
    count: int | None = None
    seconds: float | None = None


def make_fault(name: str, **arguments: object) -> Fault:
    """Return a fault from a name and texts or values; raise FaultError for anything unknown."""
    check_name(name, FAULTS)
    values = {key: _read_argument(key, str(value)) for key, value in arguments.items() if value is not None}
    fault = replace(Fault(name=name), **values)  # type: ignore[arg-type] # each value was read by its key
    if fault.duration is None:
        fault = replace(fault, duration=DURATION_S.get(name))
    if name in ("notsubscribed", "delayed", "halt") and fault.symbol is None:
        raise FaultError(f"expected a symbol for {name}")
    return fault


def _read_argument(key: str, text: str) -> object:
    if key == "count":
        return read_count(key, text, 1000, "1 to 1000")
    if key in ("duration", "seconds"):
        return read_seconds(key, text, 0.0 if key == "duration" else -1e6)
    if key == "kind":
        return read_kind(text, GARBAGE, "garbage")
    if key == "symbol":
        return text.upper()
    if key == "account":
        return text
    raise FaultError(f"expected an argument among symbol, kind, account, duration, count, seconds, was {key!r}")


def read_fault(text: str) -> TimedFault[Fault]:
    """Return the fault a command line names, e.g. `restart:8@20`, `notsubscribed:KO@5`, `garbage:short@3`."""
    return read_timed(text, _read)


def _read(text: str) -> Fault:
    name, arguments = read_words(text, FAULTS, lambda word: "kind" if word in GARBAGE else "symbol")
    return make_fault(name, **arguments)
