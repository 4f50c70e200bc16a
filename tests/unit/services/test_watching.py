"""What watches the market beside the screens: books on the board, indicators, alerts; twice the same, and on disk."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from market import MS, START, diff, engine_of, path, snapshot

from app.domain.clock import SystemClock
from app.domain.coverage import Coverage, Known
from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import depth_index
from app.scanner.alerts import AlertKind, AlertRule, IndicatorTerm
from app.scanner.columns import Derived
from app.services.alerting import Notification
from app.services.watching import STEP_NS, Watch
from app.settings.store import Settings

SPOT, USDM = Market.BINANCE_SPOT, Market.BINANCE_USDM
BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"
SECOND = 1000 * MS
BIDS = [(100.0, 1.0), (97.0, 2.0), (60.0, 10.0)]
ASKS = [(101.0, 1.0), (104.0, 2.0), (140.0, 5.0)]


class Bench:
    """An engine of some pairs and what watches it, as a run wires them; time moves by `until`."""

    def __init__(self, folder: Path, *symbols: str, settings: Settings | None = None) -> None:
        self.engine, _ = engine_of(*symbols)
        self.told: list[Notification] = []
        self.watch = Watch(
            settings or Settings(), {SPOT: self.engine}, lambda: (), folder / "alerts.json", deliver=self.told.append
        )
        self.engine.outputs.on_news = self.watch.on_news
        self.engine.outputs.on_liquidations = self.watch.on_liquidations
        self.now_ns = START

    def load(self, symbol: str, *, limit: int = 1000, last: int = 10) -> None:
        """Put a book in; as many levels as asked for mean that the venue may have more."""
        self.engine.on_rest(self.now_ns + 1, path(symbol, limit), snapshot(last, BIDS, ASKS))

    def price(self, symbol: str, last: float, volume: float = 1e7) -> None:
        """Let the venue's table tell a price; a day ago it was 100."""
        figures = {
            "lastPrice": last,
            "openPrice": 100,
            "highPrice": 2000,
            "lowPrice": 1,
            "volume": 5,
            "quoteVolume": volume,
        }
        row = {"symbol": symbol, "closeTime": 1, **{name: str(value) for name, value in figures.items()}}
        self.engine.on_rest(self.now_ns, "/api/v3/ticker/24hr", json.dumps([row]).encode())

    def until(self, seconds: float) -> None:
        """Move time on in steps of 50 ms, as a run does."""
        end_ns = START + round(seconds * SECOND)
        while self.now_ns < end_ns:
            self.now_ns += 50 * MS
            self.engine.advance(self.now_ns)
            self.watch.advance(self.now_ns)

    def figure(self, symbol: str, figure: Field | Derived) -> float:
        """Return what the board shows."""
        board = self.watch.scanning.board
        row = board.find(SPOT, symbol)
        assert row is not None
        return float(board.values[figure, row])

    def indicator(self, subject: str, line: str, market: Market = SPOT) -> tuple[float, Known] | None:
        return self.watch.indicator(IndicatorTerm(subject=subject, market=market, line=line, above=True, level=0.0))

    @property
    def fired(self) -> list[tuple[str, str]]:
        """Return rule and subject of every firing."""
        return [(firing.rule, firing.subject) for firing in self.watch.alerting.history]


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench_of(tmp_path: Path) -> MakeBench:
    def make(*symbols: str, **changes: Settings) -> Bench:
        return Bench(tmp_path, *symbols, **changes)

    return make


def with_values(**values: object) -> Settings:
    settings = Settings()
    settings.override([f"scanner.{key.replace('__', '.')}={value}" for key, value in values.items()])
    return settings


# -- the board -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "delta"),
    [("1.5", 100 / 101), ("5", 294 / 309), ("60", 894 / 1009)],
)
def test_the_delta_of_the_chosen_depth_is_on_the_board(bench_of: MakeBench, depth: str, delta: float) -> None:
    bench = bench_of(BTC, settings=with_values(depth=depth))
    bench.load(BTC)
    bench.until(0.6)
    assert bench.watch.band == depth_index(float(depth))
    assert bench.figure(BTC, Derived.DEPTH_DELTA) == pytest.approx(delta)
    assert (bench.figure(BTC, Field.BID), bench.figure(BTC, Field.ASK)) == (100.0, 101.0)
    assert bench.figure(BTC, Derived.SPREAD_BP) == pytest.approx(1e4 / 100.5)


def test_another_depth_is_shown_from_the_next_look_on(bench_of: MakeBench) -> None:
    bench = bench_of(BTC)
    bench.load(BTC)
    bench.until(0.6)
    assert bench.figure(BTC, Derived.DEPTH_DELTA) == pytest.approx(294 / 309)
    bench.watch.set_band(depth_index(60.0))
    bench.until(1.0)
    assert bench.figure(BTC, Derived.DEPTH_DELTA) == pytest.approx(894 / 1009)


def test_what_is_not_known_stays_so_and_what_is_lost_becomes_so(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, ETH)
    bench.load(BTC)
    bench.until(0.6)
    assert math.isnan(bench.figure(ETH, Derived.DEPTH_DELTA))
    assert math.isnan(bench.figure(ETH, Field.BID))
    assert math.isfinite(bench.figure(BTC, Derived.DEPTH_DELTA))
    bench.engine.on_frame(bench.now_ns, diff(BTC, 15, 16, [(99.0, 1.0)], []))
    bench.until(1.2)
    assert bench.engine.health.gaps == 1
    assert math.isnan(bench.figure(BTC, Derived.DEPTH_DELTA)), "a book with a gap says nothing"
    assert bench.figure(BTC, Field.BID) == 100.0, "the last best price stays, as one of a ticker would"


def test_a_book_with_an_empty_side_has_no_delta(bench_of: MakeBench) -> None:
    bench = bench_of(BTC)
    bench.engine.on_rest(bench.now_ns + 1, path(BTC), snapshot(10, BIDS, []))
    bench.until(0.6)
    assert math.isnan(bench.figure(BTC, Derived.DEPTH_DELTA))


def test_a_delta_that_rests_on_floors_is_shown_all_the_same(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, settings=with_values(depth="60"))
    bench.load(BTC, limit=3)
    bench.until(0.6)
    assert bench.figure(BTC, Derived.DEPTH_DELTA) == pytest.approx(894 / 1009)
    assert bench.engine.table.coverage[0, :, -1].tolist() == [Coverage.PARTIAL] * 2


# -- indicators ------------------------------------------------------------------------------------------------------


def test_an_indicator_of_a_coin_says_how_well_it_is_known(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, ETH)
    bench.load(BTC, limit=3)  # the snapshot ends at 60 and 140: it proves 40 % below and 38.6 % above
    bench.until(0.6)
    assert bench.indicator(BTC, "delta:5") == (pytest.approx(294 / 309), Known.EXACT)
    assert bench.indicator(BTC, "bid-ask:ask30") == (pytest.approx(309.0), Known.EXACT)
    assert bench.indicator("btcusdt", "bid-ask:8A-3B") == (pytest.approx(309.0 - 294.0), Known.EXACT)
    value = bench.indicator(ETH, "delta:5")
    assert value is not None
    assert math.isnan(value[0])
    assert value[1] is Known.MISSING


def test_an_indicator_of_a_group_sums_what_is_known(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, ETH, SOL)
    empty = bench.indicator("TOTAL", "totals:bid5")
    assert empty is not None
    assert (math.isnan(empty[0]), empty[1]) == (True, Known.MISSING), "before the first sample"
    bench.load(BTC)
    bench.load(ETH, limit=3)
    bench.until(0.6)
    found = bench.indicator("TOTAL", "totals:bid5")
    assert found is not None
    assert found == (pytest.approx(2 * 294.0), Known.FLOOR), "Solana's book is missing, so at least this much"
    bench.load(SOL)
    bench.until(1.2)
    assert bench.indicator("TOTAL", "totals:bid5") == (pytest.approx(3 * 294.0), Known.EXACT)
    assert bench.indicator("total", "delta:5") == (pytest.approx(294 / 309), Known.EXACT)
    assert bench.indicator("TOTAL1", "totals:bid5") == (pytest.approx(2 * 294.0), Known.EXACT)
    assert bench.indicator("TOTAL", "totals:bid60") == (pytest.approx(3 * 894.0), Known.FLOOR), "Ethereum's ends sooner"


@pytest.mark.parametrize(
    ("subject", "line", "market"),
    [("XYZUSDT", "delta:5", SPOT), (BTC, "delta:5", USDM), (BTC, "delta:77", SPOT), (" ", "delta:5", SPOT)],
)
def test_what_is_not_measured_has_no_indicator(bench_of: MakeBench, subject: str, line: str, market: Market) -> None:
    bench = bench_of(BTC)
    bench.load(BTC)
    bench.until(0.6)
    assert bench.indicator(subject, line, market) is None


# -- alerts ----------------------------------------------------------------------------------------------------------


def rule(kind: AlertKind, **changes: object) -> AlertRule:
    given: dict[str, object] = {"id": kind.value, "name": kind.value, "kind": kind, "cooldown_s": 0.0}
    return AlertRule(**(given | changes))  # type: ignore[arg-type] # checked by the dataclass


@pytest.mark.parametrize("subject", [BTC, "TOTAL"])
def test_an_alert_on_an_indicator_fires_when_the_books_move_and_is_armed_again_when_they_move_back(
    bench_of: MakeBench, subject: str
) -> None:
    bench = bench_of(BTC, ETH)
    term = IndicatorTerm(subject=subject, market=SPOT, line="delta:5", above=True, level=1.2, strict=True)
    bench.watch.alerting.put(rule(AlertKind.INDICATOR, indicator=term))
    bench.load(BTC)
    bench.load(ETH)
    bench.until(2)
    assert bench.fired == []
    for number, qty in enumerate((50.0, 1.0, 60.0), 11):
        bench.engine.on_frame(bench.now_ns, diff(BTC, number, number, [(100.0, qty)], []))
        bench.until(2.0 * (number - 9))
    assert bench.fired == [("indicator", f"{subject} SPOT")] * 2
    assert "delta:5 is " in bench.watch.alerting.history[0].text
    assert "(exact)" in bench.watch.alerting.history[0].text
    bench.until(20)
    assert [note.count for note in bench.told] == [1, 1]


def test_a_condition_on_the_delta_fires_for_the_instruments_that_have_one(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, ETH)
    bench.watch.alerting.put(rule(AlertKind.CONDITION, condition="delta < 0.96 and spread_bp > 50"))
    bench.load(BTC)
    bench.until(1)
    assert bench.fired == [("condition", "BTCUSDT SPOT")]
    bench.load(ETH)
    bench.until(2)
    assert bench.fired[1:] == [("condition", "ETHUSDT SPOT")]


def test_scan_events_reach_the_alerts_that_wait_for_them(bench_of: MakeBench) -> None:
    bench = bench_of(BTC, settings=with_values(price__surge=3))
    wanted = bench.watch.alerting.put
    wanted(rule(AlertKind.EVENT, events=("PRICE_SURGE",), condition="volume_24h > 5M"))
    wanted(rule(AlertKind.EVENT, id="other", name="other", events=("GAP",)))
    bench.until(1)
    for symbol, volume in ((BTC, 9e6), ("XYZUSDT", 1e6), ("ABCUSDT", 8e6)):
        bench.price(symbol, 100.0, volume)
    bench.until(3)
    for symbol, price in ((BTC, 104.0), ("XYZUSDT", 104.0), ("ABCUSDT", 102.0)):
        bench.price(symbol, price, 9e6 if symbol != "XYZUSDT" else 1e6)
    bench.until(4)
    events = bench.watch.scanning.events
    assert sorted((event.symbol, event.kind.name) for event in events) == [
        (BTC, "PRICE_SURGE"),
        ("XYZUSDT", "PRICE_SURGE"),
    ]
    assert bench.fired == [("event", "BTCUSDT SPOT")]
    assert "rose 4.00 %" in bench.watch.alerting.history[0].text
    bench.until(8)
    assert [note.title for note in bench.told] == ["event"]


def test_looks_are_a_fifth_of_a_second_apart(bench_of: MakeBench) -> None:
    bench = bench_of(BTC)
    looks: list[int] = []
    look = bench.watch.scanning.advance
    bench.watch.scanning.advance = lambda now_ns: (looks.append(now_ns), look(now_ns))[1]  # type: ignore[method-assign] # counted
    bench.until(2)
    assert looks[1:] == [START + step * STEP_NS for step in range(1, 11)], "the first came as soon as time began"


# -- twice the same --------------------------------------------------------------------------------------------------


def story(bench: Bench, seed: int) -> tuple[object, ...]:
    """Tell a bench two minutes of a wild market; return everything that came of it."""
    put = bench.watch.alerting.put
    put(rule(AlertKind.EVENT, events=("PRICE_SURGE", "VOLATILITY_SURGE", "NEW_HIGH", "NEW_LOW"), cooldown_s=5.0))
    put(rule(AlertKind.CONDITION, condition="abs(change_24h) > 3 or delta > 1.1", cooldown_s=2.0))
    term = IndicatorTerm(subject="TOTAL", market=SPOT, line="delta:5", above=True, level=1.0)
    put(rule(AlertKind.INDICATOR, indicator=term, repeat=True, cooldown_s=3.0))
    rng = random.Random(seed)
    names = [BTC, ETH, *(f"C{number:02}USDT" for number in range(30))]
    prices = {name: rng.uniform(1, 1000) for name in names}
    ids = {BTC: 10, ETH: 10}
    bench.load(BTC)
    bench.load(ETH)
    for step in range(1, 601):
        for name in rng.sample(names, 4):
            prices[name] *= math.exp(rng.gauss(0.0, 0.01))
            bench.price(name, round(prices[name], 4), round(rng.uniform(1e6, 1e8)))
        for name in ids:
            ids[name] += 1
            bids = [(rng.choice((100.0, 99.0, 97.0)), rng.choice((0.5, 1.0, 3.0)))]
            bench.engine.on_frame(bench.now_ns, diff(name, ids[name], ids[name], bids, []))
        bench.until(step / 5)
    return list(bench.watch.scanning.events), list(bench.watch.alerting.history), bench.told


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_inputs_give_the_same_events_alerts_and_notifications(tmp_path: Path, seed: int) -> None:
    settings = with_values(price__surge=1, cooldown=10, day__warmup=60)
    first = story(Bench(tmp_path, BTC, ETH, settings=settings), seed)
    again = story(Bench(tmp_path, BTC, ETH, settings=settings), seed)
    events, history, told = first
    assert isinstance(events, list)
    assert isinstance(history, list)
    assert isinstance(told, list)
    assert len(events) > 20
    assert len({firing.rule for firing in history}) == 3
    assert 5 < len(told) < len(history), "firings were bundled"
    assert first == again
    other = story(Bench(tmp_path, BTC, ETH, settings=settings), seed + 10)
    assert other != first


# -- on disk ---------------------------------------------------------------------------------------------------------


async def test_a_run_remembers_rules_and_says_what_it_could_not_read(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    path.write_text("{")
    said: list[str] = []
    told = asyncio.Event()

    def say(sentence: str) -> None:
        said.append(sentence)
        told.set()

    engine, _ = engine_of(BTC)
    watch = Watch(Settings(), {SPOT: engine}, lambda: (), path, on_notice=say)
    running = asyncio.create_task(watch.run(SystemClock()))
    await told.wait()
    assert "could not be read" in said[0]
    watch.alerting.put(rule(AlertKind.CONDITION, condition="last > 1"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = Bench(tmp_path, BTC).watch.alerting
    again.load()
    assert [each.condition for each in again.book.rules.values()] == ["last > 1"]


async def test_a_run_that_ends_while_it_writes_ends_after_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, BTC)
    alerting = bench.watch.alerting
    begun, go_on = threading.Event(), threading.Event()
    save, order = alerting.save, []

    def slow_save(now_ns: int) -> Callable[[], None]:
        write = save(now_ns)

        def work() -> None:
            order.append("begun")
            if not begun.is_set():
                begun.set()
                go_on.wait(20)
            write()
            order.append("written")

        return work

    monkeypatch.setattr(alerting, "save", slow_save)
    running = asyncio.create_task(bench.watch.run(SystemClock()))
    await asyncio.sleep(0)
    alerting.put(rule(AlertKind.CONDITION, condition="last > 1"))
    await asyncio.to_thread(begun.wait, 20)
    alerting.put(rule(AlertKind.CONDITION, id="late", condition="last > 2"))
    running.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(running, return_exceptions=True)
    assert order == ["begun", "written", "begun", "written"], "two writers of one file would spoil it"
    assert [row["id"] for row in json.loads((tmp_path / "alerts.json").read_text())["rules"]] == ["condition", "late"]
