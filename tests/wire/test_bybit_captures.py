"""Every Bybit capture, replayed through intake and engine and held against a second book; damage found and healed."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.books.depth import BANDS, DepthTable
from app.books.either import EitherSync
from app.books.keeper import BookState
from app.books.window import WindowSync
from app.domain.coverage import Coverage
from app.domain.errors import RecordingError
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.services.captures_bybit import is_bybit_capture, read_bybit_capture
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.storage.recorder import Entry
from app.venues.bybit.api import guess_instrument
from app.venues.bybit.intake import BybitIntake

V5 = "bybit/cryptofeed_v5_BTC_SOL_linear_BTC_spot.jsonl.gz"
TOPS = "bybit/cryptofeed_20250613_linear_orderbook1.ws.gz"
DELTAS = {("bybit.linear", "BTCUSDT"): 413, ("bybit.linear", "SOLUSDT"): 382, ("bybit.spot", "BTCUSDT"): 299}


class PlainBook:
    """A second book, written without a look at the first: Decimal prices in dictionaries."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        self.number = -1

    def take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "snapshot":
            self.sides = {"b": {}, "a": {}}
        else:
            assert data["u"] == self.number + 1
        self.number = data["u"]
        for side in "ba":
            for price, qty in data[side]:
                if Decimal(qty):
                    self.sides[side][Decimal(price)] = Decimal(qty)
                else:
                    del self.sides[side][Decimal(price)]

    def levels(self, side: str) -> list[tuple[float, float]]:
        prices = sorted(self.sides[side], reverse=side == "b")
        return [(float(price), float(self.sides[side][price])) for price in prices]

    def band(self, side: str, depth_pct: float) -> tuple[float, bool]:
        """Return USD within a band and whether the band ends inside the window."""
        share = Decimal(str(depth_pct)) / 100
        levels = self.sides[side]
        if side == "b":
            edge = max(levels) * (1 - share)
            inside = [price for price in levels if price >= edge]
            known = min(levels) <= edge
        else:
            edge = min(levels) * (1 + share)
            inside = [price for price in levels if price <= edge]
            known = max(levels) >= edge
        return float(sum((price * levels[price] for price in inside), Decimal(0))), known


class Desk:
    """An engine of one market with what it says."""

    def __init__(self, market: Market, symbols: Sequence[str]) -> None:
        self.events: list[FeedEvent] = []
        self.asked: list[str] = []
        self.news: list[TickerUpdate] = []
        self.engine = MarketEngine(
            market.feed,
            [guess_instrument(market, symbol) for symbol in symbols],
            EngineOptions(),
            EngineOutputs(
                on_event=self.events.append,
                ask_snapshot=lambda symbol, _urgency: self.asked.append(symbol),
                on_news=lambda _market, _recv_ns, updates: self.news.extend(updates),
            ),
            FeedHealth(feed=market.feed),
            BybitIntake,
        )

    def feed(self, entry: Entry) -> None:
        if entry.kind == "ws":
            self.engine.on_frame(entry.recv_ns, entry.raw.encode())
        else:
            self.engine.on_rest(entry.recv_ns, entry.argument, entry.raw.encode())

    def texts(self, kind: FeedEventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]


def window_of(engine: MarketEngine, symbol: str) -> WindowSync:
    index = engine.index_of(symbol)
    assert index is not None
    keeper = engine.rows[index].sync
    return keeper.window if isinstance(keeper, EitherSync) else keeper  # type: ignore[return-value] # the only other


def desks_for(entries: Sequence[Entry]) -> dict[str, Desk]:
    desks = {
        "bybit.linear": Desk(Market.BYBIT_LINEAR, ["BTCUSDT", "SOLUSDT"]),
        "bybit.spot": Desk(Market.BYBIT_SPOT, ["BTCUSDT"]),
    }
    for desk in desks.values():
        desk.engine.begin(entries[0].recv_ns)
    return desks


def book_message(entry: Entry) -> dict[str, Any] | None:
    if entry.kind != "ws" or '"orderbook.' not in entry.raw:
        return None
    message: dict[str, Any] = json.loads(entry.raw)
    return message


def hold_against(desk: Desk, symbol: str, plain: PlainBook) -> None:
    """Compare levels, bands and what is known of them."""
    keeper = window_of(desk.engine, symbol)
    table = DepthTable(1)
    keeper.measure(table, 0, 1)
    for which, side in ((BID, "b"), (ASK, "a")):
        prices, quantities, since = keeper.levels(which)
        assert list(zip(prices.tolist(), quantities.tolist(), strict=True)) == plain.levels(side)
        assert not since.any()
        for band in range(BANDS):
            usd, known = plain.band(side, DEPTHS_PCT[band])
            assert math.isclose(table.usd[0, which, band], usd, rel_tol=1e-9)
            assert (table.coverage[0, which, band] == Coverage.EXACT) == known, (symbol, side, band)


@pytest.fixture(scope="module")
def entries(captures: Path) -> list[Entry]:
    return list(read_bybit_capture(captures / V5))


def test_the_capture_replays_without_a_gap_and_with_200_levels_after_every_delta(entries: list[Entry]) -> None:
    desks = desks_for(entries)
    plains: dict[tuple[str, str], PlainBook] = {key: PlainBook() for key in DELTAS}
    deltas: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        desk = desks[entry.feed]
        desk.feed(entry)
        message = book_message(entry)
        if message is None:
            continue
        key = entry.feed, message["data"]["s"]
        plains[key].take(message["type"], message["data"])
        keeper = window_of(desk.engine, key[1])
        assert keeper.counts() == (200, 200) == tuple(len(plains[key].sides[side]) for side in "ba")
        assert keeper.state is BookState.LIVE
        bid, ask = keeper.best()
        assert bid < ask
        deltas[key] += message["type"] == "delta"
        if deltas[key] % 40 == 0:
            hold_against(desk, key[1], plains[key])
    assert deltas == DELTAS
    for desk in desks.values():
        health = desk.engine.health
        assert (health.gaps, health.bad_frames, health.crossed, health.dropped) == (0, 0, 0, 0)
        assert desk.asked == []
    for (feed, symbol), plain in plains.items():
        hold_against(desks[feed], symbol, plain)


def test_figures_of_a_replay_are_those_of_a_merge_by_hand(entries: list[Entry]) -> None:
    desks = desks_for(entries)
    merged: dict[str, dict[str, str]] = {}
    for entry in entries:
        desks[entry.feed].feed(entry)
        if entry.feed == "bybit.linear" and '"tickers.' in entry.raw:
            data = json.loads(entry.raw)["data"]
            merged.setdefault(data["symbol"], {}).update(data)
    held: dict[str, dict[int, float]] = {}
    for update in desks["bybit.linear"].news:
        held.setdefault(update.symbol, {}).update(update.values)
    assert set(held) == {"BTCUSDT", "SOLUSDT"}
    for symbol, figures in held.items():
        wire = merged[symbol]
        expected = {
            Field.LAST: wire["lastPrice"],
            Field.BID: wire["bid1Price"],
            Field.ASK_SIZE: wire["ask1Size"],
            Field.FUNDING: wire["fundingRate"],
            Field.FUNDING_HOURS: wire["fundingIntervalHour"],
            Field.VOLUME: wire["turnover24h"],
            Field.OPEN_INTEREST: wire["singleOpenInterest"],
            Field.OPEN_INTEREST_USD: wire["singleOpenInterestValue"],
        }
        assert {field: figures[field] for field in expected} == {field: float(text) for field, text in expected.items()}
        assert figures[Field.CHANGE_PCT] == float(wire["price24hPcnt"]) * 100
        # the value of both sides' open interest is twice what is shown
        assert figures[Field.OPEN_INTEREST_USD] * 2 == pytest.approx(float(wire["openInterestValue"]), rel=1e-6)
    spot = {field for update in desks["bybit.spot"].news for field in update.values}
    assert Field.LAST in spot
    assert Field.BID not in spot


def without_delta(message: dict[str, Any]) -> dict[str, Any] | None:
    return None


def without_a_deleted_row(message: dict[str, Any]) -> dict[str, Any] | None:
    """Lose a row that removes a level: one level too many stays."""
    rows = message["data"]["b"]
    rows.remove(next(row for row in rows if row[1] == "0"))
    return message


def without_a_new_row(message: dict[str, Any]) -> dict[str, Any] | None:
    """Lose a row that brings a level: one level too few is left."""
    removed = next(row for row in message["data"]["b"] if row[1] == "0")
    message["data"]["b"], message["data"]["a"] = [removed], []
    return message


@pytest.mark.parametrize("damage", [without_delta, without_a_deleted_row, without_a_new_row])
@pytest.mark.parametrize("feed", ["bybit.linear", "bybit.spot"])
def test_a_lost_delta_or_row_is_found_at_once_and_healed_by_the_next_snapshot(
    entries: list[Entry], damage: Callable[[dict[str, Any]], dict[str, Any] | None], feed: str
) -> None:
    """The next snapshot is made of the second book, as the venue would send it after a new subscription."""
    symbol = "BTCUSDT"
    desk = desks_for(entries)[feed]
    plain = PlainBook()
    damaged_at, healed_at, seen = 100, 130, 0
    for entry in entries:
        message = book_message(entry)
        if entry.feed != feed or message is None or message["data"]["s"] != symbol:
            continue
        plain.take(message["type"], json.loads(json.dumps(message["data"])))
        seen += 1
        if seen >= damaged_at and not desk.asked and any(row[1] == "0" for row in message["data"]["b"]):
            damaged = damage(message)
            if damaged is not None:
                desk.feed(replace(entry, raw=json.dumps(damaged)))
                assert desk.asked == [symbol], "a wrong level count shows in the same delta"
            else:
                damaged_at = 10**9
        elif seen == healed_at:
            book = {side: [[str(p), str(q)] for p, q in plain.sides[side].items()] for side in "ba"}
            snapshot = {**message, "type": "snapshot", "data": {**message["data"], **book}}
            desk.feed(replace(entry, raw=json.dumps(snapshot)))
            hold_against(desk, symbol, plain)
        else:
            desk.feed(entry)
            keeper = window_of(desk.engine, symbol)
            if desk.asked and seen < healed_at:
                assert keeper.state is BookState.WAITING
    assert desk.asked == [symbol]
    assert desk.engine.health.gaps == 1
    assert desk.engine.health.resyncs == 1
    (text,) = desk.texts(FeedEventKind.GAP_DETECTED)
    assert "200 have to be" in text or "updates are missing" in text
    hold_against(desk, symbol, plain)


def test_the_capture_of_best_prices_brings_each_one_and_repeats_are_no_gap(captures: Path) -> None:
    entries = list(read_bybit_capture(captures / TOPS))
    desk = Desk(Market.BYBIT_LINEAR, ["BANDUSDT", "RADUSDT"])
    last: dict[str, tuple[str, str]] = {}
    numbers: Counter[tuple[str, int]] = Counter()
    for entry in entries:
        desk.feed(entry)
        message = book_message(entry)
        if message is not None:
            data = message["data"]
            last[data["s"]] = data["b"][0][0], data["a"][0][0]
            numbers[data["s"], data["u"]] += 1
    assert sum(numbers.values()) == 198
    assert max(numbers.values()) > 1, "the capture holds repeats"
    assert len(desk.news) == sum(numbers.values())
    held = {update.symbol: update.values for update in desk.news}
    assert {symbol: (values[Field.BID], values[Field.ASK]) for symbol, values in held.items()} == {
        symbol: (float(bid), float(ask)) for symbol, (bid, ask) in last.items()
    }
    assert (desk.engine.health.gaps, desk.engine.health.bad_frames) == (0, 0)


def test_captures_are_recognised_and_read_in_order_of_time(captures: Path, entries: list[Entry]) -> None:
    assert is_bybit_capture(captures / V5)
    assert is_bybit_capture(captures / TOPS)
    assert not is_bybit_capture(captures / "cryptofeed/2021/BINANCE.ws.1.0.gz")
    assert [entry.recv_ns for entry in entries] == sorted(entry.recv_ns for entry in entries)
    assert Counter(entry.source.partition(" ")[0] for entry in entries) == {
        "bybit.linear.rest": 1,
        "bybit.spot.rest": 1,
        "bybit.linear.ws": 1312,
        "bybit.spot.ws": 374,
    }
    assert entries[0].argument == "/v5/market/instruments-info?category=linear&status=Trading&limit=1000"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ('{"t":"recv","ts":1.0,"conn":"x","data":"{}"}', "was not opened before"),
        ('{"t":"connect","ts":1.0,"conn":"x","addr":"wss://stream.bybit.com/v5/public/option"}', "linear or spot"),
        ('{"ts":1.0}', "missing required field"),
        ("1.5: {}", "before any line that names"),
        ("wss://stream.bybit.com/v5/public/linear <-> 1.5\nhello", "not a line of a cryptofeed capture"),
    ],
)
def test_a_file_that_is_no_capture_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "capture.jsonl"
    file.write_text(text)
    with pytest.raises(RecordingError, match=complaint):
        list(read_bybit_capture(file))
