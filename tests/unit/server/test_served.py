"""What is served is what the screens show: the same numbers, words and ages, as plain values."""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.ids import Market, Venue
from app.domain.market import Field, TickerUpdate
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.indicators.formulas import LINES, Indicator, Kind, evaluate
from app.indicators.groups import Group, Subject, SubjectMarket
from app.indicators.window import DepthWindow
from app.scanner.board import Board
from app.server.ports import BookKey, IndicatorKey, Json, ServerData
from app.storage.ticks_memory import MemoryTickStore
from app.viewmodels.chart_words import KNOWN_WORDS
from app.viewmodels.live_books import LiveBooks
from app.viewmodels.live_series import LiveSeries
from app.viewmodels.live_status import LiveStatus
from app.viewmodels.served import Served
from app.viewmodels.served_depth import side_words
from app.viewmodels.status import Mode, StatusModel
from tests.unit.services.market import MS, START, diff, engine_of, path, snapshot

SPOT = Market.BINANCE_SPOT
BOOK = BookKey(SPOT, "AUSDT")


@dataclass
class RunClock:
    now_ns: int

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


class Run:
    """An engine of two coins with sources and what is served of them."""

    def __init__(self) -> None:
        self.engine, given = engine_of("AUSDT", "BUSDT")
        self.clock = RunClock(START)
        self.ticks = MemoryTickStore({SPOT: tuple(self.engine.symbols)})
        given.put = self.ticks.put  # type: ignore[method-assign] # the engine keeps the sink, not the method
        given.put_groups = self.ticks.put_groups  # type: ignore[method-assign]
        engines = {SPOT: self.engine}
        self.board = Board()
        self.status = LiveStatus([self.engine.health])
        self.served = Served(
            LiveBooks(engines, self.clock),
            LiveSeries(engines, self.ticks, None),
            self.status,
            self.ticks,
            self.clock,
            StatusModel(self.clock, mode=Mode.DEMO, mode_detail="x"),
            version="1.2",
            table=self.board,
        )
        self.port: ServerData = self.served

    def prime(self) -> None:
        """Load a whole book of A, B stays without one, and sample for a second."""
        self.engine.on_streams(self.clock.now_ns, ("AUSDT", "BUSDT"), up=True)
        self.engine.on_frame(self.clock.now_ns, diff("AUSDT", 11, 12, [(100.0, 2.0)], [(101.0, 3.0)]))
        body = snapshot(10, [(100.0, 1.0), (90.0, 5.0)], [(101.0, 1.0), (120.0, 5.0)])
        self.engine.on_rest(self.clock.now_ns, path("AUSDT"), body)
        self.pass_ms(1000)

    def pass_ms(self, ms: int) -> None:
        self.clock.now_ns += ms * MS
        self.engine.advance(self.clock.now_ns)


@pytest.fixture
def run() -> Run:
    run = Run()
    run.prime()
    return run


def plain(value: Json) -> Json:
    """Return what a client reads."""
    decoded: Json = msgspec.json.decode(msgspec.json.encode(value))
    return decoded


def test_the_depth_of_a_book_with_coverage_and_age(run: Run) -> None:
    tick = plain(run.served.tick(BOOK))
    assert (tick["symbol"], tick["venue"], tick["marketType"], tick["state"]) == ("AUSDT", "binance", "SPOT", "live")
    assert (tick["bid"], tick["ask"], tick["age_ms"]) == (100.0, 101.0, 1000)
    assert tick["depths"] == list(DEPTHS_PCT)
    assert tick["bid_usd"][0] == 200.0
    assert tick["bid_usd"][-1] == 200.0 + 450.0
    assert tick["ask_usd"][0] == 303.0
    assert set(tick["bid_coverage"]) <= set(KNOWN_WORDS.values())
    assert 0 < tick["time"] <= run.served.now_ms()


def test_a_book_without_a_snapshot_has_no_numbers(run: Run) -> None:
    for value in (run.served.tick, lambda key: run.served.snapshot(key, 5), run.served.validation):
        served = plain(value(BookKey(SPOT, "BUSDT")))
        assert served["state"] == "waiting for snapshot"
        assert served["bid"] is None
        assert served["bid_usd"] == [None] * 7
        assert served["ask_coverage"] == ["missing"] * 7


def test_a_snapshot_has_levels_and_reach(run: Run) -> None:
    served = plain(run.served.snapshot(BOOK, 1))
    assert served["bids"] == [[100.0, 2.0]]
    assert served["asks"] == [[101.0, 3.0]]
    assert served["last_update_id"] == 12
    assert served["bid_threshold"][0] == pytest.approx(98.5)
    assert served["bid_coins"][0] == 2.0
    assert len(plain(run.served.snapshot(BOOK, 20))["bids"]) == 2


def test_validation_names_counters_and_mid(run: Run) -> None:
    served = plain(run.served.validation(BOOK))
    assert (served["mid"], served["live"], served["counters"]["gaps"]) == (100.5, True, 0)
    assert "refused_snapshots" in served["counters"]
    assert served["formula"]


def test_ticks_are_those_of_the_store(run: Run) -> None:
    ticks = run.served.ticks(BOOK, 10.0)
    window = run.ticks.window(SPOT, "AUSDT")
    assert window is not None
    assert [tick["time"] for tick in ticks] == window.ts_ms.tolist()
    assert len(ticks) >= 4
    assert len(run.served.ticks(BOOK, 0.5)) < len(ticks)
    assert ticks[-1]["bid_usd"] == run.served.tick(BOOK)["bid_usd"]
    assert ticks[-1]["bid_coverage"] == run.served.tick(BOOK)["bid_coverage"]


def test_revisions_move_with_the_book(run: Run) -> None:
    before = run.served.book_revision(BOOK)
    run.engine.on_frame(run.clock.now_ns, diff("AUSDT", 13, 13, [(100.0, 7.0)], []))
    run.pass_ms(400)
    assert run.served.book_revision(BOOK) > before
    assert run.served.tick(BOOK)["bid_usd"][0] == 700.0


@pytest.mark.parametrize("name", ["AUSDT", "ausdt", "AuSdT"])
def test_a_book_is_found_however_it_is_spelled(run: Run, name: str) -> None:
    assert run.served.find_book(SPOT, name) == "AUSDT"
    assert run.served.find_book(SPOT, "NOPE") is None
    assert run.served.find_book(Market.BYBIT_SPOT, name) is None


@pytest.mark.parametrize("indicator", list(Indicator))
def test_indicators_are_those_of_the_formulas(run: Run, indicator: Indicator) -> None:
    key = IndicatorKey(indicator, Subject(group=Group.TOTAL), SPOT)
    served = run.served.indicator(key)
    series = LiveSeries({SPOT: run.engine}, run.ticks, None)
    window = series.live(SubjectMarket(key.subject, SPOT))
    assert served["time"] == int(window.ts_ms[-1])
    assert (served["included"], served["total"]) == (1, 2)
    for line, shown in zip(LINES[indicator], served["lines"], strict=True):
        curve = evaluate(line, window)
        assert shown["value"] == pytest.approx(float(curve.values[-1]), nan_ok=True)
        assert shown["coverage"] == list(KNOWN_WORDS.values())[int(curve.known[-1])]
    points = plain(run.served.indicator_points(key, 60.0))
    assert points["times"] == window.ts_ms.tolist()
    assert len(points["lines"]) == len(LINES[indicator])
    assert all(len(line["values"]) == len(line["coverage"]) == len(window) for line in points["lines"])


def test_a_depth_picks_the_lines_that_rest_on_it_alone(run: Run) -> None:
    def keys(indicator: Indicator, depth: float) -> list[str]:
        served = run.served.indicator(IndicatorKey(indicator, Subject(pair="AUSDT"), SPOT, depth))
        return [line["key"] for line in served["lines"]]

    assert keys(Indicator.DELTA, 5.0) == ["delta:5"]
    assert keys(Indicator.BID_ASK, 3.0) == ["bid-ask:bid3", "bid-ask:ask3", "bid-ask:diff3"]


def test_an_indicator_of_nothing_yet_is_missing_and_an_unknown_one_has_no_revision() -> None:
    run = Run()
    key = IndicatorKey(Indicator.DELTA, Subject(group=Group.TOTAL), SPOT)
    served = plain(run.served.indicator(key))
    assert (served["time"], served["age_ms"]) == (None, None)
    assert {(line["value"], line["coverage"]) for line in served["lines"]} == {(None, "missing")}
    assert run.served.indicator_revision(key._replace(market=Market.BYBIT_SPOT)) == -1
    assert run.served.indicator_revision(key._replace(subject=Subject(pair="NOPE"))) == -1
    assert plain(run.served.indicator_points(key, 5.0))["times"] == []


async def test_minutes_come_from_the_history_and_its_absence_is_not_hidden(run: Run) -> None:
    asked: list[tuple[int, int]] = []

    async def minutes(key: SubjectMarket, start_ms: int, end_ms: int) -> DepthWindow:
        asked.append((start_ms, end_ms))
        if len(asked) > 1:
            raise StorageError("away")
        return DepthWindow.blank(3)

    run.served._series.minutes = minutes  # type: ignore[method-assign]
    key = IndicatorKey(Indicator.DELTA, Subject(group=Group.TOTAL), SPOT)
    assert len((await run.served.indicator_minutes(key, 30))["times"]) == 3
    assert asked[0][1] - asked[0][0] == 30 * 60_000
    assert asked[0][1] % 60_000 == 0
    assert asked[0][1] <= run.served.now_ms()
    with pytest.raises(StorageError):
        await run.served.indicator_minutes(key, 30)


def test_words_agree_with_the_formulas_for_every_state_of_a_band() -> None:
    states = list(itertools.product(Coverage, (0.0, 0.4), (1.0, math.nan)))
    shape = (len(states), 2, 7)
    coverage, loose, usd = (
        np.broadcast_to(np.array([state[k] for state in states])[:, None, None], shape) for k in range(3)
    )
    coverage = coverage.astype(np.uint8)
    words = side_words(coverage, usd, loose)
    window = DepthWindow.of_coin(np.arange(len(states)), usd.copy(), coverage, loose.copy())
    for line in (line for line in LINES[Indicator.TOTALS] if line.kind is Kind.VOLUME):
        side, band = (BID, line.bid) if line.bid is not None else (ASK, line.ask)
        known = evaluate(line, window).known
        assert band is not None
        assert [row[side][band] for row in words] == [list(KNOWN_WORDS.values())[k] for k in known]


def test_rows_have_the_promised_fields_and_unknown_is_null(run: Run) -> None:
    now_ns = run.clock.now_ns
    values = {Field.LAST: 5.0, Field.VOLUME: 7e6, Field.CHANGE_PCT: -2.0, Field.BID: 4.99, Field.ASK: 5.01}
    run.board.apply(SPOT, [TickerUpdate("AUSDT", 0, values)], now_ns)
    run.board.row(Market.BYBIT_LINEAR, "AUSDT")
    run.board.refresh(now_ns)
    run.clock.now_ns += 1500 * MS
    row, quiet = (plain(each) for each in run.served.rows([0, 1]))
    assert (row["symbol"], row["price"], row["volume_24h"], row["change_24h"]) == ("AUSDT", 5.0, 7e6, -2.0)
    assert (row["high_24h"], row["bid"], row["ask"]) == (None, 4.99, 5.01)
    assert row["spread_bp"] == pytest.approx(40.0)
    assert (row["timestamp"], row["age_ms"]) == (now_ns // MS, 1500)
    assert (quiet["venue"], quiet["marketType"], quiet["timestamp"], quiet["age_ms"]) == (
        "bybit",
        "FUTURES",
        None,
        None,
    )
    assert run.served.symbol_counts() == {Venue.BINANCE: 1, Venue.BYBIT: 1}
    assert run.served.row_market(1) is Market.BYBIT_LINEAR


def test_a_row_has_changed_when_a_figure_or_its_time_is_another(run: Run) -> None:
    now_ns = run.clock.now_ns
    for symbol in ("AUSDT", "BUSDT"):
        run.board.apply(SPOT, [TickerUpdate(symbol, 0, {Field.LAST: 5.0})], now_ns)
    first = run.served.row_revisions([0, 1])
    assert run.served.row_revisions([1, 0]) == first[::-1]
    run.board.apply(SPOT, [TickerUpdate("AUSDT", 0, {Field.LAST: 6.0})], now_ns)
    second = run.served.row_revisions([0, 1])
    assert (second[0] > first[0], second[1]) == (True, first[1])
    run.board.apply(SPOT, [TickerUpdate("BUSDT", 0, {})], now_ns + 1)
    third = run.served.row_revisions([0, 1])
    assert (third[0], third[1] > second[1]) == (second[0], True)
    run.board.set_books(SPOT, ["AUSDT"], np.array([[1.0, 2.0]]), np.array([np.nan]))
    fourth = run.served.row_revisions([0, 1])
    assert (fourth[0] > third[0], fourth[1]) == (True, third[1])
    for n in range(2000):  # the board grows
        run.board.row(SPOT, f"N{n}USDT")
    assert run.served.row_revisions([0, 1]) == fourth


def test_rows_are_found_by_any_spelling_and_ranked_by_turnover(run: Run) -> None:
    perp = Market.HYPERLIQUID_PERP
    for market, symbol, volume in (
        (SPOT, "AUSDT", 5.0),
        (SPOT, "BUSDT", math.nan),
        (SPOT, "CUSDT", 9.0),
        (perp, "kPEPE", 7.0),
    ):
        run.board.apply(market, [TickerUpdate(symbol, 0, {Field.VOLUME: volume})], 1)
    find = run.served.find_row
    assert [find(SPOT, "ausdt"), find(SPOT, "CUSDT"), find(SPOT, "NOPE")] == [0, 2, None]
    assert [find(perp, "kPEPE"), find(perp, "KPEPE"), find(perp, "PEPEUSDT"), find(SPOT, "PEPEUSDT")] == [3, 3, 3, None]
    assert run.served.top_rows([SPOT], 10) == [2, 0, 1]
    assert run.served.top_rows([SPOT, perp], 2) == [2, 3]
    assert run.served.top_rows([Market.BYBIT_SPOT], 2) == []
    run.board.row(SPOT, "DUSDT")
    assert find(SPOT, "dusdt") == 4


def test_without_a_board_there_are_books_and_no_rows(run: Run) -> None:
    run.served.table = None
    assert run.served.find_row(SPOT, "AUSDT") is None
    assert run.served.top_rows([SPOT], 5) == []
    assert run.served.symbol_counts() == {Venue.BINANCE: 2}


def test_status_and_mode(run: Run) -> None:
    run.status.set_note("disk", "The disk is full.")
    about, status = plain(run.served.about()), plain(run.served.status())
    assert about == {"program": "Fathom", "version": "1.2", "mode": "DEMO", "mode_detail": "x"}
    (light,) = status["feeds"]
    assert (light["feed"], light["books_primed"], light["books_total"]) == ("binance.spot", 1, 2)
    assert status["notes"] == ["The disk is full."]


@dataclass
class Fired:
    ts_ns: int
    rule: str
    subject: str
    text: str


def test_alerts_are_numbered_and_the_oldest_may_be_gone(run: Run) -> None:
    assert (run.served.alerts_seq(), run.served.alerts_since(0)) == (0, [])

    @dataclass
    class History:
        history: deque[Fired] = field(default_factory=lambda: deque(maxlen=3))
        history_revision: int = 0

    history = History()
    run.served.alerts = history
    for n in range(1, 6):
        history.history.append(Fired(n * MS, "rule", "AUSDT", f"text {n}"))
        history.history_revision += 1
    assert run.served.alerts_seq() == 5
    assert [(each["seq"], each["text"]) for each in run.served.alerts_since(3)] == [(4, "text 4"), (5, "text 5")]
    assert [each["seq"] for each in run.served.alerts_since(0)] == [3, 4, 5]
    assert run.served.alerts_since(5) == []
    assert run.served.alerts_since(9) == []


def test_no_account_without_one(run: Run) -> None:
    assert run.served.portfolio() is None
