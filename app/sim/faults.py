"""Faults by name: reads `gap:BTCUSDT@5` and HTTP queries, and spoils diffs on their way out.

A fault of the transport, of REST or of the whole venue is carried out by the venue's server (`binance.py`); those that
touch single diffs of a symbol are the tamperings below, each used up by the next diff (or two) that somebody receives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from app.domain.ids import Market
from app.sim import encoders
from app.sim.book import Changes, SimBook
from app.sim.fault_text import FaultError, TimedFault, check_name, read_kind, read_timed, read_words

GARBAGE_KINDS = ("malformed", "truncated", "nan", "negative", "text", "unknown", "huge")
HUGE_FRAME_BYTES = 5 * 1024 * 1024

# Fault -> names of its arguments in the order the command line takes numbers; symbol, market and kind go by themselves.
FAULTS: dict[str, tuple[str, ...]] = {
    "drop": (),
    "close24h": ("notice",),
    "stall": ("duration",),
    "half_open": ("duration",),
    "gap": ("count",),
    "burst": ("duration",),
    "reorder": ("count",),
    "duplicate": ("count",),
    "garbage": ("count",),
    "http429": ("retry_after",),
    "http418": ("duration",),
    "rest_down": ("duration", "status"),
    "lagged_snapshot": ("count",),
    "restart": ("duration",),
    "delist": (),
    "crossed": ("count",),
    "silent_ack": ("duration",),
    "refuse": ("duration",),
}
NUMBERS = frozenset({"notice", "duration", "count", "retry_after", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with its arguments; None where the fault's own default shall hold.

    `market` None means both, `symbol` None lets the fault choose; `duration`, `notice` and `retry_after` are seconds.
    """

    name: str
    market: Market | None = None
    symbol: str | None = None
    kind: str | None = None
    duration: float | None = None
    count: int | None = None
    retry_after: float | None = None
    status: int | None = None
    notice: float | None = None


def make_fault(name: str, **arguments: object) -> Fault:
    """Return a fault from a name and texts or values; raise FaultError for anything unknown."""
    check_name(name, FAULTS)
    values: dict[str, object] = {}
    for key, value in arguments.items():
        if value is not None:
            values[key] = _read_argument(key, value)
    return replace(Fault(name=name), **values)  # type: ignore[arg-type]  # each value was read by its key


def _read_argument(key: str, value: object) -> object:
    text = str(value)
    try:
        if key == "market":
            return None if text in ("both", "all") else Market.from_label(text)
        if key in ("count", "status"):
            return _at_least(int(text), 1)
        if key in NUMBERS:
            return _at_least(float(text), 0)
    except ValueError as error:
        raise FaultError(f"expected a usable {key}, was {text!r} ({error})") from None
    if key == "symbol":
        return text.upper()
    if key == "kind":
        return read_kind(text, GARBAGE_KINDS, "garbage")
    raise FaultError(f"expected an argument among market, symbol, kind, {', '.join(sorted(NUMBERS))}, was {key!r}")


def _at_least(value: float, least: int) -> float:
    if not least <= value < 1e9:
        raise ValueError(f"must be from {least} to 1e9")
    return value


def read_fault(text: str) -> TimedFault[Fault]:
    """Return the fault a command line names, e.g. `drop@3`, `gap:BTCUSDT@5`, `stall:market=spot,4@10`."""
    return read_timed(text, _read)


def _read(text: str) -> Fault:
    name, arguments = read_words(text, FAULTS, _key_of)
    return make_fault(name, **arguments)


def _key_of(word: str) -> str:
    if word in (Market.BINANCE_SPOT.value, Market.BINANCE_USDM.value, "futures", "both"):
        return "market"
    return "kind" if word in GARBAGE_KINDS else "symbol"


def _plain(book: SimBook, changes: Changes, now_ms: int) -> str:
    return encoders.depth_update(book.listing, changes, now_ms)


@dataclass(slots=True)
class Gap:
    """Leaves out `count` diffs."""

    count: int = 1

    def __call__(self, book: SimBook, changes: Changes, now_ms: int) -> tuple[list[str], bool]:
        self.count -= 1
        return [], self.count <= 0


@dataclass(slots=True)
class Duplicate:
    """Sends `count` diffs twice."""

    count: int = 1

    def __call__(self, book: SimBook, changes: Changes, now_ms: int) -> tuple[list[str], bool]:
        self.count -= 1
        payload = _plain(book, changes, now_ms)
        return [payload, payload], self.count <= 0


@dataclass(slots=True)
class Reorder:
    """Holds one diff back and sends it after the next."""

    held: str | None = None

    def __call__(self, book: SimBook, changes: Changes, now_ms: int) -> tuple[list[str], bool]:
        payload = _plain(book, changes, now_ms)
        if self.held is None:
            self.held = payload
            return [], False
        return [payload, self.held], True


@dataclass(slots=True)
class Crossed:
    """Adds a bid above the best ask to `count` diffs, and takes it back with the one after."""

    count: int = 1
    ticks: int = 0

    def __call__(self, book: SimBook, changes: Changes, now_ms: int) -> tuple[list[str], bool]:
        bids = dict(changes.bids)
        if self.count > 0:
            self.count -= 1
            self._take_back(book, bids)
            self.ticks = book.best_ask + 3
            bids[self.ticks] = 10**book.listing.quantity_decimals
            return [_plain(book, replace(changes, bids=bids), now_ms)], False
        self._take_back(book, bids)
        return [_plain(book, replace(changes, bids=bids), now_ms)], True

    def _take_back(self, book: SimBook, bids: dict[int, int]) -> None:
        if self.ticks:
            bids[self.ticks] = book.bids.quantities.get(self.ticks, 0)


@dataclass(slots=True)
class Garbage:
    """Sends nonsense: before a good diff, or in its place where the nonsense is one of its quantities."""

    kinds: list[str] = field(default_factory=lambda: list(GARBAGE_KINDS))

    def __call__(self, book: SimBook, changes: Changes, now_ms: int) -> tuple[list[str], bool]:
        kind = self.kinds.pop(0)
        good = _plain(book, changes, now_ms)
        done = not self.kinds
        if kind == "malformed":
            return ["{not json at all]", good], done
        if kind == "truncated":
            return [good[: len(good) * 2 // 3], good], done
        if kind == "unknown":
            return [f'{{"e":"somethingNew","E":{now_ms},"x":[1,2,{{"y":null}}]}}', good], done
        if kind == "huge":
            return ['{"e":"padding","x":"' + "x" * HUGE_FRAME_BYTES + '"}', good], done
        bad = {"nan": '"NaN"', "negative": '"-1.5"', "text": '"many"'}[kind]
        spoiled, found = re.subn(r'(\["[0-9.]+",)"[0-9.]+"\]', rf"\g<1>{bad}]", good, count=1)
        if not found:
            self.kinds.insert(0, kind)
            return [good], False
        return [spoiled], done


Tamper = Gap | Duplicate | Reorder | Crossed | Garbage


class Tampering:
    """The spoilers that wait for the next diffs of a symbol."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting: dict[str, list[Tamper]] = {}

    def add(self, symbol: str, tamper: Tamper) -> None:
        """Let a spoiler wait for a symbol's next diff."""
        self._waiting.setdefault(symbol, []).append(tamper)

    def concerns(self, symbol: str) -> bool:
        """Tell whether a symbol's next diff will be spoiled."""
        return symbol in self._waiting

    def apply(self, book: SimBook, changes: Changes, now_ms: int) -> list[str]:
        """Return the payloads to send in place of a diff, in order."""
        waiting = self._waiting[book.listing.symbol]
        payloads, done = waiting[0](book, changes, now_ms)
        if done:
            waiting.pop(0)
            if not waiting:
                del self._waiting[book.listing.symbol]
        return payloads

    def clear(self) -> None:
        """Let no diff be spoiled any more."""
        self._waiting.clear()


def make_tamper(fault: Fault) -> Tamper:
    """Return a new spoiler as a fault asks for; raise FaultError when the fault touches no single diffs."""
    count = fault.count or 1
    if fault.name == "gap":
        return Gap(count if fault.symbol else 1)
    if fault.name == "duplicate":
        return Duplicate(count)
    if fault.name == "reorder":
        return Reorder()
    if fault.name == "crossed":
        return Crossed(count)
    if fault.name == "garbage":
        return Garbage([fault.kind] * count if fault.kind else list(GARBAGE_KINDS) * count)
    raise FaultError(f"expected a fault of single diffs, was {fault.name!r}")
