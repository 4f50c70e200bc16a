"""What the scanner costs: 1,500 instruments told about 3,000 times a second, judged, filtered and sorted at 5 Hz.

A minute of market time is played as fast as it goes, and the CPU seconds of this process are counted: news onto the
board; every fifth of a second derived figures, all detectors, the choice of hot instruments, a filter with a text and
a condition, and a sort. As a measure of size, the time msgspec needs to decode the same number of ticker frames into
floats. Painting is not in it. Run as `make bench ARGS=scanner`.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np

from app.domain.ids import BOOK_MARKETS, Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_S
from app.scanner.conditions import parse
from app.scanner.ranking import matching, ordered
from app.services.scanning import Scanning

INSTRUMENTS = 1500
UPDATES_PER_S = 3000
SECONDS = 60
STEPS_PER_S = 5
CONDITION = "volume_24h > 5M and abs(change_24h) > 1 and spread_bp < 50 and not (age > 60)"
_START_NS = 1_700_000_000 * NS_PER_S


class Ticker(msgspec.Struct, gc=False):
    """A ticker as venues write it: figures as texts."""

    s: str
    c: float
    o: float
    h: float
    l: float  # noqa: E741 - the venue's name
    q: float
    b: float
    a: float


class Frame(msgspec.Struct, gc=False):
    """A ticker in its wrapper."""

    stream: str
    data: Ticker


def frames(updates: list[tuple[Market, TickerUpdate]]) -> list[bytes]:
    """Return the updates as frames."""
    made = []
    for _, (symbol, _, figures) in updates:
        numbers = {
            "c": figures[Field.LAST],
            "o": figures[Field.PREVIOUS],
            "h": figures[Field.HIGH],
            "l": figures[Field.LOW],
            "q": figures[Field.VOLUME],
            "b": figures[Field.BID],
            "a": figures[Field.ASK],
        }
        data = {"s": symbol} | {name: f"{number:.8g}" for name, number in numbers.items()}
        made.append(msgspec.json.encode({"stream": f"{symbol.lower()}@ticker", "data": data}))
    return made


def market_of(number: int) -> Market:
    """Return the market of an instrument."""
    markets = BOOK_MARKETS
    return markets[number % len(markets)]


def play(seconds: int) -> list[list[tuple[Market, TickerUpdate]]]:
    """Return the updates of each fifth of a second: random walks of 1,500 prices."""
    random = np.random.default_rng(1)
    price = np.exp(random.normal(0.0, 3.0, INSTRUMENTS))
    first = price.copy()
    volume = np.exp(random.normal(15.0, 2.0, INSTRUMENTS))
    step = np.where(np.arange(INSTRUMENTS) % 50 == 0, 0.01, 0.0005)  # a few move enough for events
    steps = []
    for _ in range(seconds * STEPS_PER_S):
        chosen = random.integers(0, INSTRUMENTS, UPDATES_PER_S // STEPS_PER_S)
        price[chosen] *= np.exp(random.normal(0.0, step[chosen]))
        volume[chosen] *= 1.0 + random.exponential(1e-6, chosen.size)
        steps.append([(market_of(number), _update(number, price, first, volume)) for number in chosen.tolist()])
    return steps


def _update(number: int, price: Any, first: Any, volume: Any) -> TickerUpdate:
    last, start = float(price[number]), float(first[number])
    figures = {
        Field.LAST: last,
        Field.PREVIOUS: start,
        Field.HIGH: max(last, start) * 1.02,
        Field.LOW: min(last, start) * 0.98,
        Field.VOLUME: float(volume[number]),
        Field.BID: last * 0.9999,
        Field.ASK: last * 1.0001,
    }
    return TickerUpdate(f"COIN{number}USDT", 0, figures)


def run() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    steps = play(SECONDS)
    scanning = Scanning()
    for market in BOOK_MARKETS:
        scanning.budget.set_capacity(market, 50)
    condition = parse(CONDITION)
    spent = dict.fromkeys(("news", "judge", "show"), 0.0)
    clock = time.process_time
    events = shown = 0
    for count, updates in enumerate(steps):
        now_ns = _START_NS + (count + 1) * NS_PER_S // STEPS_PER_S
        begun = clock()
        for market, update in updates:
            scanning.on_news(market, now_ns, (update,))
        told = clock()
        events += len(scanning.advance(now_ns))
        judged = clock()
        among = condition.mask(scanning.board) & matching(scanning.board, "usdt")
        shown += ordered(scanning.board, "change_24h", descending=True, among=among, favourites=(3, 5)).size
        spent["news"] += told - begun
        spent["judge"] += judged - told
        spent["show"] += clock() - judged
    assert scanning.board.count == INSTRUMENTS
    assert shown
    raw = frames([pair for updates in steps for pair in updates])
    decode = msgspec.json.Decoder(Frame, strict=False).decode
    begun = clock()
    for frame in raw:
        decode(frame)
    decoding = clock() - begun
    total = sum(spent.values())
    load = f"{INSTRUMENTS:,} x {UPDATES_PER_S:,}/s"
    assert events
    return [
        _row("board, detectors, filter, sort", 100.0 * total / SECONDS, "% of core", "<= 10", load),
        _row("  news onto the board", 100.0 * spent["news"] / SECONDS, "% of core", "<= 3", "one update a call"),
        _row("  derived, detectors, hot", 100.0 * spent["judge"] / SECONDS, "% of core", "", f"{events} events"),
        _row("  filter and sort", 100.0 * spent["show"] / SECONDS, "% of core", "", "text and condition"),
        _row("all of it against decoding the frames", total / decoding, "x", "", f"msgspec, {len(raw):,} frames"),
        _row("one update onto the board", spent["news"] / len(raw) * 1e6, "us", "<= 10", ""),
    ]


def _row(name: str, value: float, unit: str, target: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<44}{row['value']:>10.3g} {row['unit']:<10}{row['target']:<8}{row['note']}")
