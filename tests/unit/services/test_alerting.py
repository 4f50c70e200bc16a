"""Alerts of a run: what fires from board, events, indicators and feeds, how bursts are bundled, what disk keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.domain.coverage import Known
from app.domain.health import FeedHealth, LinkHealth, LinkState
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.scanner.alerts import AlertKind, AlertRule, FeedTrouble, IndicatorTerm
from app.scanner.board import Board
from app.scanner.conditions import ConditionError
from app.scanner.events import EventKind, ScanEvent
from app.services.alerting import Alerting, Notification

S = 1_000_000_000
TERM = IndicatorTerm(subject="TOTAL", market=Market.BINANCE_SPOT, line="delta:5", above=True, level=1.2)


class Bench:
    """An `Alerting` whose world the test owns."""

    def __init__(self, folder: Path) -> None:
        self.board = Board()
        self.value: tuple[float, Known] | None = (1.0, Known.EXACT)
        self.feeds: list[FeedHealth] = []
        self.told: list[Notification] = []
        self.path = folder / "alerts.json"
        self.alerting = self.fresh()

    def fresh(self) -> Alerting:
        return Alerting(
            self.board,
            self.path,
            indicator=lambda _term: self.value,
            feeds=lambda: self.feeds,
            deliver=self.told.append,
        )

    def news(self, symbol: str, now_s: float, **figures: float) -> None:
        values = {Field[name.upper()]: value for name, value in figures.items()}
        self.board.apply(Market.BINANCE_SPOT, [TickerUpdate(symbol, 0, values)], int(now_s * S))
        self.board.refresh(int(now_s * S))

    def run(self, start_s: float, end_s: float, step_s: float = 0.25) -> None:
        now = start_s
        while now <= end_s:
            self.alerting.advance(int(now * S))
            now += step_s

    @property
    def subjects(self) -> list[str]:
        return [firing.subject for firing in self.alerting.history]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rule(kind: AlertKind = AlertKind.CONDITION, **changes: object) -> AlertRule:
    given: dict[str, object] = {"id": "r", "name": "Movers", "kind": kind, "cooldown_s": 10.0}
    if kind is AlertKind.CONDITION:
        given["condition"] = "change_24h > 5 and last > 1"
    return AlertRule(**(given | changes))  # type: ignore[arg-type]


def test_a_condition_fires_per_instrument_with_the_numbers_it_looks_at(bench: Bench) -> None:
    bench.alerting.put(rule())
    bench.news("AUSDT", 1, last=10.0, change_pct=6.0)
    bench.news("BUSDT", 1, last=10.0, change_pct=4.0)
    bench.run(1, 4)
    assert bench.subjects == ["AUSDT SPOT"]
    firing = bench.alerting.history[0]
    assert "change_24h 6" in firing.text
    assert "last 10" in firing.text
    assert [(note.title, note.count) for note in bench.told] == [("Movers", 1)]
    bench.news("BUSDT", 5, change_pct=7.0)
    bench.run(5, 12)
    assert bench.subjects == ["AUSDT SPOT", "BUSDT SPOT"]


def test_a_burst_is_one_notification_but_every_firing_is_in_the_history(bench: Bench) -> None:
    bench.alerting.put(rule())
    for number in range(40):
        bench.news(f"C{number:02}USDT", 1 + number / 100, last=10.0, change_pct=9.0)
        bench.alerting.advance(int((1 + number / 100) * S))
    bench.run(1.5, 20)
    assert len(bench.alerting.history) == 40
    assert [note.count for note in bench.told] == [40]
    assert bench.told[0].title == "40 alerts: Movers"
    assert bench.told[0].text.endswith("and 37 more")
    assert bench.alerting.suppressed == 39


def test_an_event_rule_waits_for_its_kinds_and_its_instruments(bench: Bench) -> None:
    bench.alerting.put(rule(AlertKind.EVENT, events=("GAP", "PRICE_SURGE"), condition="volume_24h > 5M"))
    bench.news("AUSDT", 1, volume=9e6)
    bench.news("BUSDT", 1, volume=1e6)

    def event(symbol: str, kind: EventKind) -> ScanEvent:
        return ScanEvent(
            ts_ns=S, market=Market.BINANCE_SPOT, symbol=symbol, kind=kind, text="up 4 % in 5 min", numbers={"pct": 4.0}
        )

    found = [event("AUSDT", EventKind.NEW_HIGH), event("AUSDT", EventKind.PRICE_SURGE), event("BUSDT", EventKind.GAP)]
    bench.alerting.on_scan_events(found, S)
    assert [(firing.subject, firing.text) for firing in bench.alerting.history] == [
        ("AUSDT SPOT", "AUSDT SPOT: up 4 % in 5 min")
    ]


@pytest.mark.parametrize(
    ("above", "strict", "value", "known", "fires"),
    [
        (True, False, 1.3, Known.EXACT, True),
        (True, False, 1.1, Known.EXACT, False),
        (True, False, 1.3, Known.FLOOR, True),
        (False, False, 1.1, Known.FLOOR, False),
        (False, False, 1.1, Known.PARTIAL, True),
        (False, True, 1.1, Known.PARTIAL, False),
        (True, True, 1.3, Known.FLOOR, False),
        (True, False, float("nan"), Known.MISSING, False),
    ],
)
def test_an_indicator_counts_only_as_far_as_it_is_known(
    bench: Bench, above: bool, strict: bool, value: float, known: Known, fires: bool
) -> None:
    term = IndicatorTerm(
        subject="TOTAL", market=Market.BINANCE_SPOT, line="delta:5", above=above, level=1.2, strict=strict
    )
    bench.alerting.put(rule(AlertKind.INDICATOR, indicator=term))
    bench.value = (value, known)
    bench.run(0, 2)
    assert bool(bench.alerting.history) is fires
    if fires:
        assert known.name.lower() in bench.alerting.history[0].text


def test_an_indicator_that_is_not_measured_is_said_and_judged_again_when_it_is(bench: Bench) -> None:
    bench.alerting.put(rule(AlertKind.INDICATOR, indicator=TERM))
    bench.value = None
    bench.run(0, 1)
    assert "not measured" in bench.alerting.fault_of("r")
    bench.value = (2.0, Known.EXACT)
    bench.run(1, 2)
    assert bench.alerting.fault_of("r") == ""
    assert bench.subjects == ["TOTAL SPOT"]


def test_a_feed_that_stays_down_fires_after_its_time_and_one_that_returns_fires_once(bench: Bench) -> None:
    feed = Market.BYBIT_LINEAR.feed
    link = LinkHealth(name="linear 1", feed=feed, state=LinkState.LIVE)
    bench.feeds = [FeedHealth(feed=feed, links=[link])]
    bench.alerting.put(rule(AlertKind.FEED, after_s=5.0))
    bench.alerting.put(rule(AlertKind.FEED, id="up", name="Back", trouble=FeedTrouble.UP))
    bench.run(0, 3)
    assert bench.subjects == [], "a feed that was never down is not back"
    link.state = LinkState.BACKOFF
    bench.run(3.25, 7)
    assert bench.subjects == []
    bench.run(7.25, 9)
    assert [(firing.rule, firing.subject) for firing in bench.alerting.history] == [("Movers", "bybit.linear")]
    link.state = LinkState.LIVE
    bench.run(9.25, 30)
    assert [firing.rule for firing in bench.alerting.history] == ["Movers", "Back"]


def test_a_condition_that_cannot_be_read_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(ConditionError, match="did you mean"):
        bench.alerting.put(rule(condition="chnge_24h > 5"))
    assert not bench.alerting.book.rules


def test_rules_and_history_survive_a_restart_and_do_not_fire_again(bench: Bench) -> None:
    bench.alerting.put(rule())
    bench.news("AUSDT", 1, last=10.0, change_pct=6.0)
    bench.run(1, 5)
    assert bench.alerting.due_to_save(5 * S)
    bench.alerting.save(5 * S)()
    assert not bench.alerting.due_to_save(60 * S)
    again = bench.alerting = bench.fresh()
    again.load()
    assert again.notes == []
    assert bench.subjects == ["AUSDT SPOT"]
    assert not again.due_to_save(60 * S)
    bench.run(60, 64)
    assert bench.subjects == ["AUSDT SPOT"], "it held before the restart"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 99}', b"\xff\xfe"])
def test_a_damaged_file_is_set_aside_and_said(bench: Bench, content: bytes) -> None:
    bench.path.write_bytes(content)
    bench.alerting.load()
    assert len(bench.alerting.notes) == 1
    assert "kept as" in bench.alerting.notes[0]
    assert [path.read_bytes() for path in bench.path.parent.glob("*.broken*")] == [content]


def test_one_damaged_rule_or_firing_in_the_file_loses_nothing_else(bench: Bench) -> None:
    bench.alerting.put(rule())
    document = json.loads(bench.alerting.document())
    document["rules"].append({"id": "bad"})
    document["history"] = [3, {"ts_ns": 1}]
    bench.path.write_text(json.dumps(document))
    again = bench.fresh()
    again.load()
    assert list(again.book.rules) == ["r"]
    assert len(again.notes) == 1
    assert not again.history


def test_a_full_disk_is_tried_again_later_and_stops_nothing(bench: Bench) -> None:
    bench.alerting.put(rule())
    bench.path.mkdir()
    bench.alerting.save(1 * S)()
    assert bench.alerting.due_to_save(40 * S)
    bench.path.rmdir()
    bench.alerting.save(40 * S)()
    assert not bench.alerting.due_to_save(100 * S)
    assert json.loads(bench.path.read_bytes())["version"] == 1
