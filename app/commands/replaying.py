"""`book`, `replay` and `import-capture`: recordings in, figures out, without a window."""

from __future__ import annotations

import argparse
import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.books.depth import DepthTable, side_is_complete
from app.books.keeper import BookState
from app.commands.output import clean, print_json
from app.domain.coverage import Coverage, Known
from app.domain.errors import FathomError
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.indicators.formulas import Indicator, evaluate, lines_of
from app.indicators.groups import GROUPS
from app.indicators.window import DepthWindow
from app.services.captures import read_captures
from app.services.feeds import make_intake
from app.services.now import coin_now, group_now
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import Replayer, sample_ms_of, started_ns_of, streams_noted_in, universe_of
from app.storage.recorder import Recorder, Recording
from app.storage.rows import MinuteBlock


def build_engines(
    recording: Recording, sample_ms: int, outputs: Callable[[Market], EngineOutputs]
) -> dict[Market, MarketEngine]:
    """Return one engine per market of the recording."""
    engines: dict[Market, MarketEngine] = {}
    for market, instruments in universe_of(recording).items():
        options = EngineOptions(sample_ms=sample_ms_of(recording, sample_ms))
        health = FeedHealth(feed=market.feed)
        engines[market] = MarketEngine(market.feed, instruments, options, outputs(market), health, make_intake)
    return engines


# -- book --------------------------------------------------------------------------------------------------------


def book(args: argparse.Namespace) -> int:
    """Replay a recording and print one book as it stands at the end."""
    recording = Recording(args.recording)
    market = Market.from_label(args.market)
    symbol = args.symbol.upper()
    engines = build_engines(recording, 200, lambda _market: EngineOutputs())
    engine = engines.get(market)
    index = None if engine is None else engine.index_of(symbol)
    if engine is None or index is None:
        known = ", ".join(engine.symbols[:10]) if engine is not None else "no book of that market"
        raise FathomError(f"the recording holds no {market.value} book of {symbol} (it has: {known})")
    only = {market: engine}
    replayer = Replayer(only, started_ns_of(recording), streams_noted=streams_noted_in(recording))
    sync = engine.rows[index].sync
    seen = sync.counters.applied
    for entry in recording:
        replayer.feed(entry)
        if sync.counters.applied != seen:  # look at the top after every single update
            seen = sync.counters.applied
            if sync.state is BookState.LIVE and sync.crossed():
                sync.counters.crossed += 1
    report = _book_report(engine, index)
    if args.json:
        print_json(report)
    else:
        _print_book(report)
    return 0


def _book_report(engine: MarketEngine, index: int) -> dict[str, Any]:
    row = engine.rows[index]
    sync = row.sync
    table = DepthTable(1)
    readable = sync.state is not BookState.WAITING
    if readable:
        sync.measure(table, 0, 1)
    threshold = table.threshold()[0]
    unconfirmed = table.unconfirmed()[0]
    sides: dict[str, Any] = {}
    for name, side in (("bid", BID), ("ask", ASK)):
        known = float(table.known_to_pct[0, side])
        complete = side_is_complete(side, known)
        sides[name] = {
            "known_to_pct": 100.0 if complete else known,
            "complete": complete,
            "levels": len(sync.levels(side)[0]),
            "bands": [
                {
                    "depth_pct": depth,
                    "coins": table.coins[0, side, i],
                    "usd": table.usd[0, side, i],
                    "threshold": threshold[side, i],
                    "coverage": Coverage(int(table.coverage[0, side, i])).name,
                    "unconfirmed_share": unconfirmed[side, i],
                }
                for i, depth in enumerate(DEPTHS_PCT)
            ],
        }
    counters = sync.counters
    report: dict[str, Any] = clean(
        {
            "symbol": row.symbol,
            "market": engine.market.value,
            "state": sync.state.name.lower(),
            "last_update_id": sync.last_id if readable else None,
            "best_bid": table.best[0, BID],
            "best_ask": table.best[0, ASK],
            **sides,
            "counters": {
                "applied": counters.applied,
                "gaps": counters.gaps,
                "resyncs": counters.resyncs,
                "dropped": counters.dropped,
                "crossed": counters.crossed,
                "quotes_checked": counters.checked,
                "quotes_contradicted": counters.contradicted,
                "bad_frames": engine.health.bad_frames,
            },
        }
    )
    return report


def _print_book(report: dict[str, Any]) -> None:
    print(f"{report['symbol']} {report['market']}  {report['state']}  update {report['last_update_id']}")
    for name in ("bid", "ask"):
        side = report[name]
        known = "completely" if side["complete"] else _number(side["known_to_pct"], " %")
        print(f"\nbest {name} {_number(report[f'best_{name}'])}   {side['levels']} levels   known to {known}")
        print(f"{'depth %':>8} {'threshold':>16} {'coins':>20} {'USD':>20}  coverage")
        for band in side["bands"]:
            sign = ">=" if band["coverage"] == "PARTIAL" else ""
            loose = f" ({band['unconfirmed_share']:.0%} unconfirmed)" if band["unconfirmed_share"] else ""
            print(
                f"{band['depth_pct']:>8g} {_number(band['threshold']):>16} {sign + _number(band['coins']):>20} "
                f"{sign + _number(band['usd']):>20}  {band['coverage']}{loose}"
            )
    print("\n" + "  ".join(f"{key} {value}" for key, value in report["counters"].items()))


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}{unit}" if abs(value) >= 1e6 else f"{value:,.8g}{unit}"


# -- replay ------------------------------------------------------------------------------------------------------


def replay(args: argparse.Namespace) -> int:
    """Replay a recording headless and print its minute rows and the indicators at the end."""
    recording = Recording(args.file)
    blocks: list[MinuteBlock] = []
    engines = build_engines(recording, args.sample_ms, lambda _market: EngineOutputs(on_minute=blocks.append))
    replayer = Replayer(engines, started_ns_of(recording), streams_noted=streams_noted_in(recording))
    for entry in recording:
        replayer.feed(entry)
    replayer.finish()
    minutes = [row for block in blocks for row in minute_rows(block)]
    groups = [row for block in blocks for row in group_rows(block)]
    values = [row for engine in engines.values() for row in indicator_rows(engine)]
    counters = {
        engine.market.value: {
            "applied": engine.health.applied,
            "gaps": engine.health.gaps,
            "resyncs": engine.health.resyncs,
            "dropped": engine.health.dropped,
            "crossed": engine.health.crossed,
            "bad_frames": engine.health.bad_frames,
            "books": engine.health.books_total,
            "books_primed": sum(row.sync.state is not BookState.WAITING for row in engine.rows),
        }
        for engine in engines.values()
    }
    if args.json:
        print_json({"minutes": minutes, "group_minutes": groups, "indicators": values, "counters": counters})
        return 0
    _print_rows("Minutes", minutes, ("minute", "market", "symbol", "depth_pct", "bid_usd", "ask_usd", "mid", "samples"))
    columns = ("minute", "market", "group", "depth_pct", "bid_usd", "ask_usd", "symbols", "exact_bid", "exact_ask")
    _print_rows("Groups", groups, columns)
    _print_rows("Indicators at the end", values, ("market", "subject", "line", "value", "known"))
    for market, row in counters.items():
        print(f"{market}: " + "  ".join(f"{key} {value}" for key, value in row.items()))
    return 0


def minute_rows(block: MinuteBlock) -> list[dict[str, Any]]:
    """Return one row per symbol and depth of a minute."""
    m = block.symbols
    rows: list[dict[str, Any]] = []
    for k, symbol in enumerate(m.symbols):
        for i, depth in enumerate(DEPTHS_PCT):
            row = {"minute": _time(m.minute_ms), "market": m.market.value, "symbol": symbol, "depth_pct": depth}
            for name, side in (("bid", BID), ("ask", ASK)):
                row |= {
                    f"{name}_usd": m.usd[k, side, i],
                    f"{name}_coins": m.coins[k, side, i],
                    f"{name}_threshold": m.threshold[k, side, i],
                    f"{name}_exact": m.exact[k, side, i],
                    f"{name}_unconfirmed": m.unconfirmed[k, side, i],
                }
            row |= {"best_bid": m.best_bid[k], "best_ask": m.best_ask[k], "mid": m.mid[k], "spread": m.spread[k]}
            row |= {"samples": int(m.samples[k]), "partial": m.partial}
            rows.append(clean({key: _plain(value) for key, value in row.items()}))
    return rows


def group_rows(block: MinuteBlock) -> list[dict[str, Any]]:
    """Return one row per group and depth of a minute."""
    g = block.groups
    return [
        clean(
            {
                "minute": _time(g.minute_ms),
                "market": g.market.value,
                "group": name,
                "depth_pct": depth,
                "bid_usd": float(g.usd[k, BID, i]),
                "ask_usd": float(g.usd[k, ASK, i]),
                "symbols": int(g.included[k]),
                "exact_bid": int(g.exact[k, BID, i]),
                "exact_ask": int(g.exact[k, ASK, i]),
                "ratio_mean": float(g.ratio_mean[k, i]),
                "vw_mid": float(g.vw_mid[k]),
                "samples": int(g.samples[k]),
                "partial": g.partial,
            }
        )
        for k, name in enumerate(g.groups)
        if g.samples[k]
        for i, depth in enumerate(DEPTHS_PCT)
    ]


def indicator_rows(engine: MarketEngine) -> list[dict[str, Any]]:
    """Return every indicator line of every group and coin as of the engine's last sample."""
    rows: list[dict[str, Any]] = []
    groups = engine.groups
    if groups is not None:
        for k, group in enumerate(GROUPS):
            if groups.total[k]:
                rows += _line_rows(engine, group.value, group_now(engine, k), group=True)
    for index, symbol in enumerate(engine.symbols):
        rows += _line_rows(engine, symbol, coin_now(engine, index), group=False)
    return rows


def _line_rows(engine: MarketEngine, subject: str, window: DepthWindow, *, group: bool) -> list[dict[str, Any]]:
    rows = []
    for indicator in Indicator:
        for line in lines_of(indicator, group=group):
            curve = evaluate(line, window)
            value = float(curve.values[-1])
            rows.append(
                {
                    "market": engine.market.value,
                    "subject": subject,
                    "line": line.key,
                    "value": value if math.isfinite(value) else None,
                    "known": Known(int(curve.known[-1])).name,
                    "unconfirmed_share": float(curve.unconfirmed[-1]),
                    "symbols": int(window.included[-1]),
                    "symbols_total": window.total,
                }
            )
    return rows


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _time(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_rows(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    print(f"{title} ({len(rows)} rows)")
    print("  " + " ".join(f"{column:>20}" for column in columns))
    for row in rows:
        print("  " + " ".join(f"{_cell(row[column]):>20}" for column in columns))
    print()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


# -- import ------------------------------------------------------------------------------------------------------


def import_capture(args: argparse.Namespace) -> int:
    """Write captures of other recorders as one recording."""
    market = Market.from_label(args.market) if args.market else None
    failures: list[str] = []
    header = {"imported_from": [Path(name).name for name in args.files]}
    entries = read_captures([Path(name) for name in args.files], market)
    first = next(entries, None)
    if first is None:
        raise FathomError("the captures hold nothing")
    recorder = Recorder(args.output, {**header, "started_ns": first.recv_ns}, failures.append)
    counts: dict[str, int] = {}
    try:
        entry = first
        while entry is not None and not failures:
            recorder.write(entry.recv_ns, entry.source, entry.raw)
            word = entry.source.split(" ", 1)[0]
            counts[word] = counts.get(word, 0) + 1
            following = next(entries, None)
            if following is None:
                break
            entry = following
    finally:
        recorder.close()
    if failures:
        raise FathomError(failures[0])
    report = {"recording": str(args.output), "lines": recorder.lines, "sources": counts}
    if args.json:
        print_json(report)
    else:
        print(f"{report['recording']}: {report['lines']} lines")
        for word, count in sorted(counts.items()):
            print(f"  {word:<24} {count}")
    return 0
