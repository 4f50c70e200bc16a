"""What 200 books cost: CPU share of one core, memory per book, and pauses of the garbage collector.

20 books take the real updates of BTCUSDT USD-M, 180 take small ones (9 levels, about 284 bytes); each book gets 10
diffs a second and is sampled 5 times a second through `MarketEngine.on_frame`, groups and minutes included. The
schedule's seconds are simulated: it runs as fast as possible, and CPU seconds per simulated second are its share of
one core. Run as `python -m tests.bench.bench_200_books`.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import time
import tracemalloc

import orjson

from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_MS, NS_PER_S
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.venues.binance import protocol
from app.venues.binance.intake import BinanceIntake
from tests.bench.bench_books import ROOT, load

HEAVY, SMALL = 20, 180
PER_SECOND = 10
SECONDS = 20
ROUNDS = 5
FEED = FeedId(Venue.BINANCE, Market.BINANCE_USDM)
START_NS = 1_700_000_000 * NS_PER_S


def _chained(raw: bytes, symbol: str, previous: int) -> tuple[bytes, int]:
    """Return a real update under another symbol, chained behind `previous`."""
    body = orjson.loads(raw)
    body["stream"] = f"{symbol.lower()}@depth@100ms"
    data = body["data"]
    size = data["u"] - data["U"]
    data |= {"s": symbol, "pu": previous, "U": previous + 1, "u": previous + 1 + size}
    return orjson.dumps(body), data["u"]


def _small(symbol: str, previous: int, rng: random.Random) -> tuple[bytes, int]:
    """Return an update of 9 levels as an ordinary coin sends it."""
    last = previous + rng.randint(2, 40)
    sides: dict[str, list[list[str]]] = {"b": [], "a": []}
    for n in range(9):
        near = int(abs(rng.gauss(0, 60)))
        cents = 9_999 - near if n % 2 else 10_001 + near
        quantity = f"{rng.uniform(0.1, 900):.1f}" if rng.random() < 0.8 else "0.0"
        sides["b" if n % 2 else "a"].append([f"{max(cents, 1) / 1000:.3f}", quantity])
    data = {"e": "depthUpdate", "E": 1700000000000, "s": symbol, "U": previous + 1, "u": last, "pu": previous, **sides}
    return orjson.dumps({"stream": f"{symbol.lower()}@depth@100ms", "data": data}), last


def _snapshot(levels: int) -> bytes:
    bids = [[f"{(9_999 - n) / 1000:.3f}", "5.0"] for n in range(levels)]
    asks = [[f"{(10_001 + n) / 1000:.3f}", "5.0"] for n in range(levels)]
    return json.dumps({"lastUpdateId": 1, "bids": bids, "asks": asks}).encode()


def build() -> tuple[MarketEngine, list[list[bytes]]]:
    """Return a primed engine and, per book, its frames for the whole schedule."""
    rng = random.Random(7)
    heavy_snapshot, heavy_frames = load()
    symbols = [f"H{n}USDT" for n in range(HEAVY)] + [f"S{n}USDT" for n in range(SMALL)]
    instruments = [Instrument(market=Market.BINANCE_USDM, symbol=s, pair=s, base=s[:-4], quote="USDT") for s in symbols]
    engine = MarketEngine(FEED, instruments, EngineOptions(), EngineOutputs(), FeedHealth(feed=FEED), BinanceIntake)
    engine.begin(START_NS)
    small_snapshot = _snapshot(400)
    frames = []
    for n, symbol in enumerate(symbols):
        body = heavy_snapshot if n < HEAVY else small_snapshot
        last = protocol.decode_snapshot(body).lastUpdateId
        engine.on_rest(START_NS, protocol.depth_path(Market.BINANCE_USDM, symbol, 1000), body)
        own = []
        for k in range(SECONDS * PER_SECOND):
            if n < HEAVY:
                raw, last = _chained(heavy_frames[k], symbol, last)
            else:
                raw, last = _small(symbol, last, rng)
            own.append(raw)
        frames.append(own)
    return engine, frames


def _schedule(frames: list[list[bytes]]) -> list[tuple[int, bytes]]:
    """Return all frames by receive time; each book has its own offset within 100 ms."""
    step = NS_PER_S // PER_SECOND
    timed = [
        (START_NS + k * step + n * step // len(frames), raw)
        for n, own in enumerate(frames)
        for k, raw in enumerate(own)
    ]
    timed.sort(key=lambda item: item[0])
    return timed


def run() -> list[dict[str, object]]:
    """Measure and return rows of name, value, unit, target, note."""
    tracemalloc.start()
    engine, frames = build()
    timed = _schedule(frames)
    for recv_ns, raw in timed[: len(timed) // ROUNDS]:
        engine.on_frame(recv_ns, raw)
    del frames
    gc.collect()
    app = tracemalloc.Filter(True, str(ROOT / "app" / "*"))
    held = tracemalloc.take_snapshot().filter_traces((app,)).statistics("filename")
    tracemalloc.stop()
    traced = sum(statistic.size for statistic in held)
    arrays = statistics.mean(row.sync.book.nbytes() for row in engine.rows)

    pauses: list[float] = []
    begun = 0.0

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.perf_counter()
        elif info["generation"] == 2:
            pauses.append(time.perf_counter() - begun)

    gc.callbacks.append(watch)
    shares = []
    per_round = len(timed) // ROUNDS
    for round_number in range(1, ROUNDS):
        part = timed[round_number * per_round : (round_number + 1) * per_round]
        start = time.process_time()
        for recv_ns, raw in part:
            engine.on_frame(recv_ns, raw)
        shares.append((time.process_time() - start) / (SECONDS / ROUNDS))
    for _ in range(5):
        gc.collect()
    gc.callbacks.remove(watch)
    assert engine.health.gaps == 0
    assert engine.health.books_primed == HEAVY + SMALL
    books = len(engine.rows)
    note = f"{HEAVY} heavy + {SMALL} small, {books * PER_SECOND} diffs/s and {books * 5} samples/s"
    mean_bytes = statistics.mean(len(raw) for _, raw in timed)
    schedule_ns = NS_PER_MS * 1000 * SECONDS
    assert timed[-1][0] - START_NS < schedule_ns
    return [
        {
            "name": "200 books, share of one core",
            "value": round(statistics.median(shares) * 100, 2),
            "unit": "%",
            "target": "<= 8",
            "note": f"{note}; median of {len(shares)} x {SECONDS // ROUNDS} s, {mean_bytes:.0f} B a frame",
        },
        {
            "name": "memory per book",
            "value": round(traced / books / 1024, 1),
            "unit": "KiB",
            "target": "<= 350",
            "note": f"everything allocated in app/; arrays alone {arrays / 1024:.1f} KiB",
        },
        {
            "name": "longest full garbage collection",
            "value": round(max(pauses) * 1000, 2),
            "unit": "ms",
            "target": "<= 15",
            "note": f"{len(pauses)} collections of generation 2, with the engine and its schedule alive",
        },
    ]


def main() -> None:
    """Print the table."""
    for item in run():
        print(f"{item['name']:<36} {item['value']:>10} {item['unit']:<8} {item['target']:<8} {item['note']}")


if __name__ == "__main__":
    main()
