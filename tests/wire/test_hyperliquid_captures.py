"""The Hyperliquid captures, replayed through the engine and held against sums made by definition from their text."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from reference_book import DEPTHS

from app.books.depth import DepthTable
from app.books.keeper import BookState
from app.domain.coverage import Coverage
from app.domain.errors import RecordingError
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.services.captures_hyperliquid import read_hyperliquid_capture
from app.services.feeds import KITS, make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import Replayer
from app.storage.recorder import Entry
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.intake import HyperliquidIntake
from app.venues.hyperliquid.naming import guess_instrument

FOLDER = "hyperliquid"
BOOKS = "hftbacktest_btc_20250126_part1.raw.gz"
CONTEXTS = "nautilus_ws_all_dexs_asset_ctxs.json.gz"
PERP = Market.HYPERLIQUID_PERP


class Replay:
    """An engine of some coins, and the news it gave out."""

    def __init__(self, *coins: str) -> None:
        self.news: dict[str, dict[int, float]] = {}
        self.batches: list[Sequence[TickerUpdate]] = []
        outputs = EngineOutputs(on_news=self._on_news)
        instruments = [guess_instrument(PERP, coin) for coin in coins]
        self.engine = MarketEngine(
            PERP.feed, instruments, EngineOptions(), outputs, FeedHealth(feed=PERP.feed), make_intake
        )
        self.replayer = Replayer({PERP: self.engine}, None)

    def _on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        self.batches.append(updates)
        for update in updates:
            self.news.setdefault(update.symbol, {}).update(update.values)

    @property
    def intake(self) -> HyperliquidIntake:
        intake = self.engine._intake
        assert isinstance(intake, HyperliquidIntake)
        return intake


def expected_band(side: list[dict[str, Any]], depth: Decimal, sign: int) -> tuple[Decimal, Decimal, bool]:
    """Return USD and coins of the levels within a band, and whether the last level lies at its edge or beyond."""
    levels = [(Decimal(level["px"]), Decimal(level["sz"])) for level in side]
    edge = levels[0][0] * (1 - sign * depth)
    inside = [(p, q) for p, q in levels if sign * p >= sign * edge]
    reached = len(levels) < 20 or sign * levels[-1][0] <= sign * edge
    return sum((p * q for p, q in inside), Decimal(0)), sum((q for _, q in inside), Decimal(0)), reached


def compare(engine: MarketEngine, row: int, levels: list[list[dict[str, Any]]]) -> None:
    """Hold every band of a book against its newest message."""
    table = DepthTable(1)
    engine.rows[row].sync.measure(table, 0, 1)
    for which, (side, sign) in enumerate(zip(levels, (1, -1), strict=True)):
        best, last = Decimal(side[0]["px"]), Decimal(side[-1]["px"])
        assert table.best[0, which] == float(best)
        for band, depth in enumerate(DEPTHS):
            usd, coins, reached = expected_band(side, depth, sign)
            assert math.isclose(table.usd[0, which, band], usd, rel_tol=1e-12)
            assert math.isclose(table.coins[0, which, band], coins, rel_tol=1e-12)
            assert (Coverage(int(table.coverage[0, which, band])) is Coverage.EXACT) is reached
            assert table.bucket_pct[0, which, band] == 0.0
        if len(side) == 20:
            reach = abs(last - best) / best * 100
            assert math.isclose(table.known_to_pct[0, which], reach, rel_tol=1e-9)


def test_the_book_capture_replays_without_gap_or_crossing_and_every_sum_is_right(captures: Path) -> None:
    entries = list(read_hyperliquid_capture(captures / FOLDER / BOOKS))
    assert len(entries) == 30
    assert {entry.source for entry in entries} == {"hyperliquid.perp.ws full", "hyperliquid.perp.ws"}
    replay = Replay("BTC")
    engine = replay.engine
    keeper = engine.rows[0].sync
    looked, previous, changes = 0, None, 0
    for entry in entries:
        replay.replayer.feed(entry)
        message = json.loads(entry.raw)
        if message["channel"] != "l2Book":
            continue
        levels = message["data"]["levels"]
        changes += levels != previous
        previous = levels
        compare(engine, 0, levels)
        assert keeper.last_id == message["data"]["time"]
        bid, ask = keeper.best()
        assert bid < ask
        looked += 1
    replay.replayer.finish()
    assert looked == 26
    assert keeper.state is BookState.LIVE
    counters = keeper.counters
    assert (counters.gaps, counters.crossed, counters.resyncs, counters.dropped) == (0, 0, 0, 0)
    assert (counters.snapshots, counters.applied) == (1, changes - 1)
    health = engine.health
    assert (health.gaps, health.crossed, health.bad_frames, health.dropped) == (0, 0, 0, 0)
    assert replay.news["BTC"] == {Field.LAST: 105_055.0}


def test_trades_that_are_repeated_are_told_once(captures: Path) -> None:
    entries = [e for e in read_hyperliquid_capture(captures / FOLDER / BOOKS) if '"trades"' in e.raw]
    count = sum(len(json.loads(entry.raw)["data"]) for entry in entries)
    replay = Replay("BTC")
    for entry in entries * 2:
        replay.replayer.feed(entry)
    assert replay.intake.figures.fresh_trades.repeated == count
    assert len(replay.batches) == len(entries)
    assert [batch[0].values[Field.LAST] for batch in replay.batches] == [105_055.0, 105_056.0, 105_056.0, 105_055.0]


def test_the_figures_of_the_venues_own_perpetuals_are_taken_and_those_of_other_exchanges_left(captures: Path) -> None:
    (entry,) = read_hyperliquid_capture(captures / FOLDER / CONTEXTS)
    with gzip.open(captures / FOLDER / CONTEXTS, "rt", encoding="utf-8") as file:
        rows = dict(json.load(file)["data"]["ctxs"])[""]
    assert len(rows) == 230 == protocol.count_contexts(entry.raw.encode())
    names = [f"C{position}" for position in range(len(rows))]
    replay = Replay()
    replay.replayer.feed(entry)
    assert replay.news == {}, "nothing has a name yet"
    universe = [{"name": name, "szDecimals": 2, "isDelisted": name == "C7"} for name in names]
    body = json.dumps({"universe": universe})
    replay.replayer.feed(Entry(1, "hyperliquid.perp.rest /info?type=meta", body))
    replay.replayer.feed(entry)
    assert set(replay.news) == {name for name in names if name != "C7"}
    without_mid = 0
    for name, row in zip(names, rows, strict=True):
        if name == "C7":
            continue
        got = replay.news[name]
        price = float(row["midPx"] or row["markPx"])
        without_mid += row["midPx"] is None
        assert got[Field.LAST] == price
        assert got[Field.PREVIOUS] == float(row["prevDayPx"])
        assert got[Field.CHANGE_PCT] == pytest.approx((price / float(row["prevDayPx"]) - 1) * 100)
        assert got[Field.VOLUME] == float(row["dayNtlVlm"])
        assert got[Field.BASE_VOLUME] == float(row["dayBaseVlm"])
        assert got[Field.MARK] == float(row["markPx"])
        assert got[Field.INDEX] == float(row["oraclePx"])
        assert got[Field.FUNDING] == float(row["funding"])
        assert got[Field.OPEN_INTEREST] == float(row["openInterest"])
        assert got[Field.OPEN_INTEREST_USD] == pytest.approx(float(row["openInterest"]) * float(row["markPx"]))
    assert without_mid > 10
    assert replay.engine.health.bad_frames == 0
    assert replay.engine.health.dropped == len(rows), "what had no name"


def test_recorded_rest_answers_are_read(captures: Path) -> None:
    folder = captures / FOLDER / "sdk_cassettes"
    (mids,) = read_hyperliquid_capture(folder / "test_get_all_mids.yaml")
    assert mids.source == "hyperliquid.perp.rest /info?type=allMids"
    frame = b'{"channel":"allMids","data":{"mids":' + mids.raw.encode() + b"}}"
    decoded = protocol.decode(frame)
    assert isinstance(decoded, protocol.Mids)
    assert decoded.prices == {coin: float(text) for coin, text in json.loads(mids.raw).items()}
    meta, book = read_hyperliquid_capture(folder / "test_get_l2_snapshot.yaml")
    assert KITS[PERP.venue].book_symbol(PERP, book.kind, book.argument, book.raw) == "DYDX"
    replay = Replay("DYDX")
    for entry in (meta, Entry(book.recv_ns, book.source.replace(".rest", ".polled"), book.raw)):
        replay.replayer.feed(entry)
    assert replay.engine.rows[0].sync.counters.refused_snapshots == 1, "a stream is taken to run"
    replay.engine.on_streams(book.recv_ns, ("DYDX",), up=False)
    replay.replayer.feed(Entry(book.recv_ns, book.source.replace(".rest", ".polled"), book.raw))
    assert replay.engine.rows[0].sync.state is BookState.POLLED
    compare(replay.engine, 0, json.loads(book.raw)["levels"])
    funding = list(read_hyperliquid_capture(folder / "test_get_funding_history.yaml.gz"))
    assert [entry.source.split("type=")[1][:14] for entry in funding] == ["meta", "fundingHistory"]
    replay.replayer.feed(funding[0])
    names = [listing.name for listing in protocol.decode_meta(funding[0].raw.encode()).universe]
    assert len(names) == 28
    assert (
        protocol.request_body(funding[1].argument)
        == b'{"type":"fundingHistory","coin":"BTC","startTime":1681923833000}'
    )


def test_what_is_no_capture_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.txt"
    for text, words in (
        ("1737918843893903000 {}\nsomething else\n", "line 2: expected a time"),
        ("{broken", "begins like a JSON frame"),
        ("interactions:\n  body: '[1]'\n  string: '{}'\n  - Mon, 17 Jul 2023 21:43:20 GMT\n", "a request with a type"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RecordingError, match=words):
            list(read_hyperliquid_capture(path))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b and then nonsense")
    with pytest.raises(RecordingError, match="cannot read"):
        list(read_hyperliquid_capture(broken))


def test_a_time_in_microseconds_is_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "micro.txt"
    path.write_text('1737918843893903 {"channel":"pong"}\n', encoding="utf-8")
    (entry,) = read_hyperliquid_capture(path)
    assert (entry.recv_ns, entry.source) == (1_737_918_843_893_903_000, "hyperliquid.perp.ws")
