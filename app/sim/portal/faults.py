"""Faults of the simulated gateway by name: reads `penalty:20@5` and the words of a request to the control address."""

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

BAD_FRAMES = ("malformed", "truncated", "array", "text", "unknown", "binary", "values")

# Fault -> names of its arguments in the order the command line takes numbers; a kind goes by itself.
FAULTS: dict[str, tuple[str, ...]] = {
    "silence": ("duration",),
    "drop": (),
    "half-open": ("duration",),
    "close": (),
    "gone": ("duration",),
    "maintenance": ("duration",),
    "competing": (),
    "idle": (),
    "logout": (),
    "login": (),
    "penalty": ("duration",),
    "foreign-certificate": (),
    "expired-certificate": (),
    "sts-false": ("duration",),
    "smd-expiry": (),
    "badframe": ("count",),
    "bulletin": (),
    "account-vanishes": ("duration",),
    "slow": ("delay", "duration"),
    "http503": ("duration",),
    "calm": (),  # ends what lasts
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with its arguments; None where the fault's own default shall hold. Times in seconds."""

    name: str
    kind: str | None = None
    duration: float | None = None
    delay: float | None = None
    count: int | None = None


def make_fault(name: str, **arguments: object) -> Fault:
    """Return a fault from a name and texts or values; raise FaultError for anything unknown."""
    check_name(name, FAULTS)
    values = {key: _read_argument(key, str(value)) for key, value in arguments.items() if value is not None}
    return replace(Fault(name=name), **values)  # type: ignore[arg-type] # each value was read by its key


def _read_argument(key: str, text: str) -> object:
    if key == "count":
        return read_count(key, text, 10_000, "1 to 10000")
    if key in ("duration", "delay"):
        return read_seconds(key, text)
    if key == "kind":
        return read_kind(text, BAD_FRAMES, "bad frame")
    raise FaultError(f"expected an argument among kind, duration, delay, count, was {key!r}")


def read_fault(text: str) -> TimedFault[Fault]:
    """Return the fault a command line names, e.g. `drop@3`, `penalty:20@5`, `badframe:text@4`."""
    return read_timed(text, _read)


def _read(text: str) -> Fault:
    name, arguments = read_words(text, FAULTS, lambda word: "kind")
    return make_fault(name, **arguments)


def bad_frame(kind: str) -> tuple[bytes, bool]:
    """Return a frame a client has to survive, and whether it goes as bytes."""
    frames: dict[str, tuple[bytes, bool]] = {
        "malformed": (b"{not json at all]", False),
        "truncated": (b'{"server_id":"q0","conidEx":"265598","conid":265598,"_upd', False),
        "array": (b'[1,2,{"topic":"smd+265598"}]', False),
        "text": (b"tic tac", False),
        "unknown": (b'{"topic":"xyz+1","args":{"riddle":[1,{"y":null}]}}', False),
        "binary": (b"\xff\xfe\x00\x80{}", True),
        "values": (
            b'{"server_id":"q0","conidEx":"265598","conid":265598,"_updated":1712596911593,"31":"","84":"n/a",'
            b'"86":"C","88":"1,3,00x","85":null,"87":"12.3Q","7762":"-1","83":"--","topic":"smd+265598"}',
            False,
        ),
    }
    return frames[kind]
