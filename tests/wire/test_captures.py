"""Every Binance capture, replayed through the engine and held against the venue's own quotes and a second book."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from capture_sets import BY_NAME, SETS, CaptureSet, engine_for
from reference_book import ReferenceBook

from app.books.depth import DepthTable
from app.books.sync import BookState
from app.domain.coverage import Coverage
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.services.pipeline import EngineOutputs, MarketEngine
from app.services.recording import Replayer
from app.storage.recorder import Entry
from app.venues.binance import protocol
from app.venues.feed import Urgency

MOMENTS = 9


def messages(entries: list[Entry]) -> list[tuple[Entry, dict[str, Any]]]:
    """Return every entry with its JSON, unwrapped."""
    out = []
    for entry in entries:
        body = json.loads(entry.raw) if entry.raw.startswith("{") else {}
        out.append((entry, body.get("data", body) if entry.kind == "ws" else body))
    return out


def is_diff(data: dict[str, Any]) -> bool:
    return data.get("e") == "depthUpdate"


def is_quote(entry: Entry, data: dict[str, Any]) -> bool:
    return entry.kind == "ws" and {"u", "s", "b", "B", "a", "A"} <= data.keys() and not isinstance(data["b"], list)


def compare(engine: MarketEngine, reference: ReferenceBook, symbol: str) -> None:
    """Hold one book's bands, edges and coverage against the second book."""
    index = engine.index_of(symbol)
    assert index is not None
    sync = engine.rows[index].sync
    table = DepthTable(1)
    table.measure(0, sync.book, sync.last_id, 1)
    assert sync.last_id == reference.last_id
    edges = table.threshold()[0]
    for which, side in enumerate("ba"):
        for band, expected in enumerate(reference.bands(side)):
            where = f"{symbol} {side} band {band} at {sync.last_id}"
            assert math.isclose(table.coins[0, which, band], expected.coins, rel_tol=1e-9), where
            assert math.isclose(table.usd[0, which, band], expected.usd, rel_tol=1e-9), where
            assert math.isclose(edges[which, band], expected.edge, rel_tol=1e-12), where
            proven = Coverage(int(table.coverage[0, which, band])) is Coverage.EXACT
            assert proven == expected.proven, where
    assert not table.loose.any()


@pytest.mark.parametrize("run", SETS, ids=lambda run: run.name)
def test_a_capture_replays_without_gap_or_crossing_and_its_top_equals_the_quotes(
    run: CaptureSet, captures: Path
) -> None:
    entries = run.entries(captures)
    read = messages(entries)
    quotes = {
        (data["s"], data["u"]): (float(data["b"]), float(data["a"])) for entry, data in read if is_quote(entry, data)
    }
    engine = engine_for(entries)
    futures = engine.market is Market.BINANCE_USDM
    references = {symbol: ReferenceBook(futures) for symbol in engine.symbols}
    diffs = sum(is_diff(data) for _, data in read)
    look_at = {diffs * (2 * k + 1) // (2 * MOMENTS) for k in range(MOMENTS)} | {diffs - 1}
    replayer = Replayer({engine.market: engine}, None)
    assert len(engine.symbols) == run.symbols
    seen = matching = looked = 0
    for entry, data in read:
        replayer.feed(entry)
        if entry.kind == "rest" and "/depth" in entry.argument:
            request = protocol.parse_depth_path(engine.market, entry.argument)
            references[request.symbol].snapshot(data, request.limit)
        if not is_diff(data):
            continue
        symbol = data["s"]
        references[symbol].diff(data)
        index = engine.index_of(symbol)
        assert index is not None
        sync = engine.rows[index].sync
        if sync.state is BookState.LIVE:
            bid, ask = sync.best()
            assert bid < ask, f"{symbol} crossed at {data['u']}"
            if sync.last_id == data["u"] and (symbol, data["u"]) in quotes:
                matching += 1
                assert (bid, ask) == quotes[symbol, data["u"]], f"{symbol} at {data['u']}"
        if seen in look_at:
            for each, reference in references.items():
                if reference.primed:
                    looked += 1
                    compare(engine, reference, each)
        seen += 1
    replayer.finish()
    assert looked > MOMENTS // 2
    for row in engine.rows:
        counters = row.sync.counters
        assert row.sync.state is BookState.LIVE, row.symbol
        assert (counters.gaps, counters.crossed, counters.contradicted, counters.resyncs) == (0, 0, 0, 0), row.symbol
        assert counters.applied == references[row.symbol].applied
        assert references[row.symbol].gaps == 0
    assert (engine.health.gaps, engine.health.crossed, engine.health.bad_frames) == (0, 0, 0)
    assert engine.health.applied == sum(row.sync.counters.applied for row in engine.rows)
    if run.applied is not None:
        assert engine.health.applied == run.applied
    if run.matching is not None:
        assert matching == run.matching
    else:
        assert matching > 10


@pytest.mark.parametrize("name", ["spot-limit5000", "usdm-2021"])
def test_books_of_rare_coins_are_exact_to_every_depth_while_majors_are_floors(name: str, captures: Path) -> None:
    entries = BY_NAME[name].entries(captures)
    engine = engine_for(entries)
    replayer = Replayer({engine.market: engine}, None)
    for entry in entries:
        replayer.feed(entry)
    replayer.finish()
    coverage = {s: engine.table.coverage[i].tolist() for i, s in enumerate(engine.symbols)}
    if name == "spot-limit5000":  # both sides reach past 60 %
        assert all(row == [[Coverage.EXACT] * 7] * 2 for row in coverage.values())
    else:  # SUSHIUSDT: 1,000 levels reach -16.6 % / +19.8 %
        within, beyond = [Coverage.EXACT] * 5, [Coverage.PARTIAL] * 2
        assert coverage["SUSHIUSDT"] == [within + beyond] * 2
        assert coverage["AKROUSDT"] == [[Coverage.EXACT] * 7] * 2


@pytest.mark.parametrize("name", ["spot-2021", "usdm-2021", "usdm-2023", "spot-20210404"])
def test_a_missing_row_is_a_gap_that_gates_the_book_until_the_next_snapshot(name: str, captures: Path) -> None:
    entries = BY_NAME[name].entries(captures)
    probe = engine_for(entries)
    symbol = probe.symbols[-1] if name == "usdm-2021" else probe.symbols[0]
    read = messages(entries)
    depth_rows = [n for n, (_, data) in enumerate(read) if is_diff(data) and data["s"] == symbol]
    snapshot_at = next(n for n, (e, _) in enumerate(read) if e.kind == "rest" and f"symbol={symbol}&" in e.argument)
    after = [n for n in depth_rows if n > snapshot_at]
    cut, heal = after[len(after) // 3], after[2 * len(after) // 3]
    asked: list[tuple[str, Urgency]] = []
    events: list[FeedEvent] = []
    outputs = EngineOutputs(ask_snapshot=lambda s, urgency: asked.append((s, urgency)), on_event=events.append)
    engine = engine_for(entries, outputs)
    index = engine.index_of(symbol)
    assert index is not None
    sync = engine.rows[index].sync
    reference = ReferenceBook(engine.market is Market.BINANCE_USDM)
    replayer = Replayer({engine.market: engine}, None)
    gated = 0
    for n, (entry, data) in enumerate(read):
        if n == snapshot_at:
            reference.snapshot(data, 1000)
        elif is_diff(data) and data["s"] == symbol:
            reference.diff(data)
        if n != cut:
            replayer.feed(entry)
        if cut < n < heal and n > after[after.index(cut) + 1]:
            gated += 1
            assert sync.state is BookState.WAITING
        if n == heal:
            body = {
                "lastUpdateId": reference.last_id,
                "bids": [[str(p), str(q)] for p, q in sorted(reference.sides["b"].items(), reverse=True)],
                "asks": [[str(p), str(q)] for p, q in sorted(reference.sides["a"].items())],
            }
            reference.bound = {"b": None, "a": None}
            path = protocol.depth_path(engine.market, symbol, 5000)
            limit = protocol.parse_depth_path(engine.market, path).limit
            for side, levels in (("b", body["bids"]), ("a", body["asks"])):
                del levels[limit:]  # type: ignore[union-attr]
                if len(levels) == limit:  # type: ignore[arg-type]
                    prices = sorted(reference.sides[side], reverse=True)
                    reference.bound[side] = prices[limit - 1] if side == "b" else prices[-limit]
            feed = f"binance.{engine.market.value}.rest {path}"
            replayer.feed(Entry(entry.recv_ns, feed, json.dumps(body)))
            assert sync.state is BookState.LIVE
    assert gated > 3
    assert (sync.counters.gaps, sync.counters.resyncs, sync.counters.crossed) == (1, 1, 0)
    assert engine.health.gaps == engine.health.resyncs == 1
    assert (symbol, Urgency.RESYNC) in asked
    gaps = [event for event in events if event.kind is FeedEventKind.GAP_DETECTED]
    assert [event.symbol for event in gaps] == [symbol]
    assert sync.last_id == reference.last_id
    assert sync.best() == tuple(float(price) for price in reference.top())
    # Inside the second snapshot everything is right and proven; beyond it the sum counts what is not confirmed.
    table = DepthTable(1)
    table.measure(0, sync.book, sync.last_id, 1)
    for which, side in enumerate("ba"):
        for band, expected in enumerate(reference.bands(side)):
            exact = Coverage(int(table.coverage[0, which, band])) is Coverage.EXACT
            assert exact == expected.proven
            if exact:
                assert math.isclose(table.usd[0, which, band], expected.usd, rel_tol=1e-9)
            else:
                floor = table.usd[0, which, band] - table.loose[0, which, band]
                assert floor <= float(expected.usd) * (1 + 1e-9)
