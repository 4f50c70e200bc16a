"""What a book costs: JSON text in, levels applied, 14 band sums every second diff, against ccxt's order book.

The messages are the real ones of BTCUSDT USD-M (`binance_hftbacktest/usdm_btcusdt_20240808.gz`). All contestants run in
turn within each repeat, the CPU seconds of this process are counted, and medians are compared. Ours is the full path:
decoding, the sequence rule, levels, and `DepthTable.measure`, which gives 28 sums, the unconfirmed volume and the
coverage. ccxt's is `binanceusdm.handle_order_book_message` on what orjson decoded, and the faster of two ways to sum
its sides. Run as `python -m tests.bench.bench_books`.
"""

from __future__ import annotations

import gzip
import os
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson

from app.books.depth import FACTORS, DepthTable
from app.books.sync import BookState, BookSync, Rule
from app.venues.binance import protocol
from app.venues.binance.messages import DepthData, DepthFrame

ROOT = Path(__file__).resolve().parents[2]
CAPTURE = "binance_hftbacktest/usdm_btcusdt_20240808.gz"
REPEATS = 7
_EDGES = FACTORS.tolist()


def captures() -> Path:
    """Return the folder of captures."""
    return Path(os.environ.get("FATHOM_CAPTURES") or ROOT.parent / "shared" / "captures")


def load() -> tuple[bytes, list[bytes]]:
    """Return the snapshot's body and every depth frame after it that belongs on it."""
    snapshot, frames = b"", []
    with gzip.open(captures() / CAPTURE, "rb") as file:
        for line in file:
            body = line[20:].strip()
            if body.startswith(b'{"lastUpdateId"'):
                snapshot = body
            elif b"@depth" in body[:96]:
                frames.append(body)
    last = orjson.loads(snapshot)["lastUpdateId"]
    return snapshot, [frame for frame in frames if orjson.loads(frame)["data"]["u"] >= last]


# -- contestants -------------------------------------------------------------------------------------------------


def ours(snapshot: bytes, frames: list[bytes], every: int) -> float:
    """Return CPU seconds of our whole path."""
    sync = BookSync(Rule.FUTURES)
    body = protocol.decode_snapshot(snapshot)
    sync.on_snapshot(body.lastUpdateId, body.bids, body.asks, 1000, 1)
    table, book = DepthTable(1), sync.book
    decode, on_diff, measure = protocol.decode, sync.on_diff, table.measure
    count = 0
    start = time.process_time()
    for raw in frames:
        data = decode(raw)
        assert type(data) is DepthData
        on_diff(data.U, data.u, data.pu, data.b, data.a, 1)
        count += 1
        if count == every:
            count = 0
            measure(0, book, sync.last_id, 1)
    seconds = time.process_time() - start
    assert sync.state is BookState.LIVE
    assert sync.counters.applied == len(frames)
    return seconds


def ours_applying(snapshot: bytes, frames: list[bytes]) -> float:
    """Return the seconds of decoding and applying alone, while every second diff is sampled as in the program.

    The samples, which also merge what was applied into the arrays, are not counted: they are in the other rows.
    """
    sync = BookSync(Rule.FUTURES)
    body = protocol.decode_snapshot(snapshot)
    sync.on_snapshot(body.lastUpdateId, body.bids, body.asks, 1000, 1)
    table, book, now = DepthTable(1), sync.book, time.perf_counter
    seconds = 0.0
    for index, raw in enumerate(frames):
        start = now()
        data = protocol.decode(raw)
        assert type(data) is DepthData
        sync.on_diff(data.U, data.u, data.pu, data.b, data.a, 1)
        seconds += now() - start
        if index & 1:
            table.measure(0, book, sync.last_id, 1)
    return seconds


def _python_sums(side: Any, which: int) -> list[float]:
    keys = side._index
    best = keys[0]
    out, total, start = [], 0.0, 0
    for edge in _EDGES[which]:
        stop = bisect_right(keys, best * edge)
        for price, qty in side[start:stop]:
            total += price * qty
        start = stop
        out.append(total)
    return out


def _numpy_sums(side: Any, which: int) -> list[float]:
    keys = side._index
    best = keys[0]
    stops = [bisect_right(keys, best * edge) for edge in _EDGES[which]]
    count = stops[-1]
    flat = np.fromiter(chain.from_iterable(side[:count]), np.float64, 2 * count)
    sums = np.add.accumulate(flat[::2] * flat[1::2])
    return [float(sums[stop - 1]) for stop in stops]


def ccxt_book(snapshot: bytes) -> tuple[Any, Any]:
    """Return ccxt's exchange object and its order book on the snapshot."""
    import ccxt.pro

    exchange = ccxt.pro.binanceusdm({"newUpdates": True})
    body = orjson.loads(snapshot)
    sides = {name: [[float(p), float(q)] for p, q in body[name]] for name in ("bids", "asks")}
    book = exchange.order_book({}, 1_000_000)
    book.reset({**sides, "nonce": body["lastUpdateId"], "symbol": "BTC/USDT:USDT"})
    return exchange, book


def theirs(exchange: Any, book: Any, frames: list[bytes], every: int, sums: Callable[[Any, int], list[float]]) -> float:
    """Return CPU seconds of ccxt's path."""
    handle, loads = exchange.handle_order_book_message, orjson.loads
    count = 0
    start = time.process_time()
    for raw in frames:
        handle(None, loads(raw)["data"], book)
        count += 1
        if count == every:
            count = 0
            sums(book["bids"], 0)
            sums(book["asks"], 1)
    return time.process_time() - start


def decode_only(frames: list[bytes], decode: Callable[[bytes], object]) -> float:
    """Return CPU seconds of decoding alone."""
    start = time.process_time()
    for raw in frames:
        decode(raw)
    return time.process_time() - start


# -- the table ---------------------------------------------------------------------------------------------------


def check_equal(snapshot: bytes, frames: list[bytes]) -> None:
    """Refuse to compare books that differ."""
    sync = BookSync(Rule.FUTURES)
    body = protocol.decode_snapshot(snapshot)
    sync.on_snapshot(body.lastUpdateId, body.bids, body.asks, 1000, 1)
    exchange, book = ccxt_book(snapshot)
    for raw in frames:
        data = protocol.decode(raw)
        assert type(data) is DepthData
        sync.on_diff(data.U, data.u, data.pu, data.b, data.a, 1)
        exchange.handle_order_book_message(None, orjson.loads(raw)["data"], book)
    table = DepthTable(1)
    table.measure(0, sync.book, sync.last_id, 1)
    for which, name in enumerate(("bids", "asks")):
        for sums in (_python_sums, _numpy_sums):
            np.testing.assert_allclose(table.usd[0, which], sums(book[name], which), rtol=1e-9)


def run() -> list[dict[str, object]]:
    """Measure and return rows of name, value, unit, target, note."""
    snapshot, frames = load()
    check_equal(snapshot, frames)
    exchange, _ = ccxt_book(snapshot)
    msgspec_decode = msgspec.json.Decoder(DepthFrame, strict=False).decode
    contestants: dict[str, Callable[[], float]] = {
        "ours 1:2": lambda: ours(snapshot, frames, 2),
        "ours 1:10": lambda: ours(snapshot, frames, 10),
        "ours applying": lambda: ours_applying(snapshot, frames),
        "orjson": lambda: decode_only(frames, orjson.loads),
        "msgspec": lambda: decode_only(frames, msgspec_decode),
    }
    for spacing in (2, 10):
        for label, sums in (("python", _python_sums), ("numpy", _numpy_sums)):
            contestants[f"ccxt 1:{spacing} {label}"] = lambda spacing=spacing, sums=sums: theirs(
                exchange, ccxt_book(snapshot)[1], frames, spacing, sums
            )
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(REPEATS):
        for name, contest in contestants.items():
            times[name].append(contest())
    micros = {name: statistics.median(values) / len(frames) * 1e6 for name, values in times.items()}
    rows: list[dict[str, object]] = []

    def row(name: str, value: float, unit: str, target: str = "", note: str = "") -> None:
        rows.append({"name": name, "value": round(value, 3), "unit": unit, "target": target, "note": note})

    for spacing in (2, 10):
        ccxt_name = min((f"ccxt 1:{spacing} {label}" for label in ("python", "numpy")), key=lambda n: micros[n])
        note = f"one sample per {spacing} diffs; {len(frames)} diffs, median of {REPEATS}"
        row(f"book, text to bands, 1:{spacing}", micros[f"ours 1:{spacing}"], "us/diff", "", note)
        row(f"ccxt, text to bands, 1:{spacing}", micros[ccxt_name], "us/diff", "", f"sums by {ccxt_name.split()[-1]}")
        target = "<= 0.33" if spacing == 2 else ""
        row(f"ours / ccxt, 1:{spacing}", micros[f"ours 1:{spacing}"] / micros[ccxt_name], "x", target)
    row("book, decode and apply", micros["ours applying"], "us/diff")
    row("orjson.loads alone", micros["orjson"], "us/diff")
    row("msgspec to floats alone", micros["msgspec"], "us/diff")
    row("applying / orjson.loads", micros["ours applying"] / micros["orjson"], "x", "<= 1.8")
    row("share of decoding in ours, 1:2", micros["msgspec"] / micros["ours 1:2"], "x")
    return rows


def main() -> None:
    """Print the table."""
    for item in run():
        print(f"{item['name']:<36} {item['value']:>10} {item['unit']:<8} {item['target']:<8} {item['note']}")


if __name__ == "__main__":
    main()
