"""Book upkeep per venue on real captures: a frame through the venue's intake, against orjson.loads on the same bytes.

Every second update is followed by a measurement of the book's bands, as on screen. Binance, the venue of the first
version, stands beside the others; Bybit's frames hold far fewer levels. Hyperliquid's capture is short and is played
again and again into fresh books; the simulator's frames at three roundings would flatter it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from app.books.keeper import BookState
from app.domain.health import FeedHealth
from app.services.captures import read_captures
from app.services.feeds import KITS, make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import feed_of
from app.storage.recorder import Entry

Row = dict[str, object]
ROUNDS = 7
CAPTURES = Path(os.environ.get("FATHOM_CAPTURES") or Path(__file__).resolve().parents[3] / "shared" / "captures")
SETS = (
    ("Binance USD-M", "binance_hftbacktest/usdm_btcusdt_20240808.gz", 20_000, 1, b'"depthUpdate"'),
    ("Bybit linear and spot", "bybit/cryptofeed_v5_BTC_SOL_linear_BTC_spot.jsonl.gz", 5_000, 3, b'"orderbook.'),
    ("Hyperliquid", "hyperliquid/hftbacktest_btc_20250126_part1.raw.gz", 5_000, 40, b'"l2Book"'),
)


def run() -> list[Row]:
    """Return the rows of the table."""
    rows: list[Row] = []
    for name, file, most, repeats, word in SETS:
        path = CAPTURES / file
        if not path.is_file():
            rows.append(_row(f"{name}: no captures in {CAPTURES}", 0.0, "", "", ""))
            continue
        entries = [entry for entry, _ in zip(read_captures([path]), range(most), strict=False)]
        ratios, each_us, levels = [], [], 0
        for _ in range(ROUNDS):
            ours, raw, count = _once(entries, repeats, word)
            ratios.append(ours / raw)
            each_us.append(ours / count * 1e6)
            levels = count // repeats
        note = f"{levels} book frames x {repeats}, {statistics.median(each_us):.1f} us each"
        rows.append(_row(f"{name}: upkeep and samples / orjson", statistics.median(ratios), "x", "", note))
    return rows


def _once(entries: Sequence[Entry], repeats: int, word: bytes) -> tuple[float, float, int]:
    """Return the seconds of upkeep with samples, of the bare decoding of the same frames, and how many there were."""
    ours = bare = 0.0
    count = 0
    for _ in range(repeats):
        engines = _engines(entries)
        frames: list[tuple[MarketEngine, int, bytes, str]] = []
        now_ns = entries[0].recv_ns
        for entry in entries:
            engine = engines[entry.feed]
            now_ns = max(now_ns, entry.recv_ns)
            raw = entry.raw.encode()
            if entry.kind == "ws" and word in raw[:400]:
                frames.append((engine, now_ns, raw, entry.argument))
            elif entry.kind == "rest":
                frames.append((engine, now_ns, raw, f"rest {entry.argument}"))
        started = time.perf_counter()
        for number, (engine, recv_ns, raw, argument) in enumerate(frames):
            if argument.startswith("rest "):
                engine.on_rest(recv_ns, argument[5:], raw)
                continue
            engine._intake.on_frame(recv_ns, raw, argument)
            if number % 2:
                for index, row in enumerate(engine.rows):
                    if row.dirty and row.sync.state is not BookState.WAITING:
                        row.dirty = False
                        row.sync.measure(engine.table, index, recv_ns)
        ours += time.perf_counter() - started
        streamed = [raw for _, _, raw, argument in frames if not argument.startswith("rest ")]
        started = time.perf_counter()
        for raw in streamed:
            orjson.loads(raw)
        bare += time.perf_counter() - started
        count += len(streamed)
    return ours, bare, count


def _engines(entries: Sequence[Entry]) -> dict[str, MarketEngine]:
    symbols: dict[str, dict[str, None]] = {}
    for entry in entries:
        market = feed_of(entry.feed).market
        found = KITS[market.venue].book_symbol(market, entry.kind, entry.argument, entry.raw)
        if found is not None:
            symbols.setdefault(entry.feed, {})[found] = None
        symbols.setdefault(entry.feed, {})
    engines = {}
    for name, known in symbols.items():
        feed = feed_of(name)
        kit = KITS[feed.venue]
        listed = [kit.guess_instrument(feed.market, symbol) for symbol in known]
        engine = MarketEngine(feed, listed, EngineOptions(), EngineOutputs(), FeedHealth(feed=feed), make_intake)
        engine.begin(2**62)  # no grid: what is measured here is measured by hand
        for line in kit.lines:
            engine.on_streams(entries[0].recv_ns, engine.symbols, up=True, line=line)
        engines[name] = engine
    return engines


def _row(name: str, value: float, unit: str, target: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}
