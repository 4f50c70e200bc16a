"""The scanner as a whole: events are kept, told and counted, and hot instruments follow."""

from __future__ import annotations

import numpy as np

from app.domain.ids import Market
from app.domain.market import Field, Liquidation, PositionSide, TickerUpdate
from app.domain.units import NS_PER_S
from app.scanner.columns import BY_KEY
from app.scanner.conditions import parse
from app.scanner.events import EventKind, ScanEvent
from app.services.scanning import EVENTS_KEPT, Scanning
from app.settings.store import Settings

T0 = 1_700_006_400 * NS_PER_S
SPOT = Market.BINANCE_SPOT


class Run:
    """A scanner that notes what it tells; times are seconds."""

    def __init__(self, *settings: str) -> None:
        known = Settings()
        known.override(settings)
        self.told: list[ScanEvent] = []
        self.hot: list[tuple[Market, frozenset[str]]] = []
        self.scanning = Scanning(
            known, on_event=self.told.append, on_hot=lambda market, symbols: self.hot.append((market, symbols))
        )

    def tell(self, at_s: float, prices: dict[str, float], market: Market = SPOT) -> list[ScanEvent]:
        now_ns = T0 + round(at_s * NS_PER_S)
        updates = [TickerUpdate(symbol, 0, {Field.LAST: price, Field.VOLUME: 1e6}) for symbol, price in prices.items()]
        self.scanning.on_news(market, now_ns, updates)
        return self.scanning.advance(now_ns)


def test_an_event_is_kept_told_and_counted_beside_its_instrument_for_a_while() -> None:
    run = Run("scanner.badges=100")
    run.tell(0, {"A": 100.0, "B": 100.0})
    fired = run.tell(10, {"A": 104.0, "B": 100.0})
    scanning = run.scanning
    assert [event.kind for event in fired] == [EventKind.PRICE_SURGE]
    assert list(scanning.events) == run.told == fired
    assert scanning.events_revision == 1
    assert scanning.badges(0) == (EventKind.PRICE_SURGE,)
    assert scanning.badges(1) == scanning.badges(999) == ()
    events = scanning.board.numbers(BY_KEY["events"])
    assert events.tolist() == [1.0, 0.0]
    assert parse("events > 0").mask(scanning.board).tolist() == [True, False]
    run.tell(100, {"A": 104.0, "B": 100.0})
    assert scanning.badges(0) == (EventKind.PRICE_SURGE,)
    run.tell(111, {"A": 104.0, "B": 100.0})
    assert scanning.badges(0) == ()
    assert scanning.board.numbers(BY_KEY["events"]).tolist() == [0.0, 0.0]
    assert scanning.events_revision == 1


def test_badges_name_the_newest_kind_first_and_each_once() -> None:
    run = Run("scanner.cooldown=0", "scanner.day.warmup=0")
    for at_s, price in [(0, 100.0), (400, 104.0), (800, 99.0), (810, 104.5)]:
        run.tell(at_s, {"A": price})
    kinds = [event.kind for event in run.told]
    assert len(kinds) > len(set(kinds))
    assert run.scanning.badges(0) == tuple(dict.fromkeys(reversed(kinds)))


def test_events_are_bounded_and_the_revision_counts_on() -> None:
    run = Run()
    names = {f"S{number}": 100.0 for number in range(1500)}
    run.tell(0, names)
    run.tell(10, dict.fromkeys(names, 104.0))
    run.tell(200, dict.fromkeys(names, 96.0))
    assert run.scanning.events_revision >= 3000
    assert len(run.scanning.events) == EVENTS_KEPT
    assert len(run.told) == run.scanning.events_revision


def test_hot_instruments_are_told_when_they_change() -> None:
    run = Run()
    run.scanning.budget.set_capacity(SPOT, 1)
    run.tell(0, {"A": 1.0, "B": 1.0})
    assert [market for market, _ in run.hot] == [SPOT]
    (first,) = run.hot[0][1]
    other = "B" if first == "A" else "A"
    row = run.scanning.board.find(SPOT, other)
    assert row is not None
    run.scanning.set_on_screen([row, 12345])
    for at_s in range(1, 70):
        run.tell(at_s, {"A": 1.0, "B": 1.0})
    assert run.hot[1:] == [(SPOT, frozenset({other}))]
    run.scanning.set_on_screen([])
    run.scanning.set_watched([1 - row])
    for at_s in range(70, 140):
        run.tell(at_s, {"A": 1.0, "B": 1.0})
    assert run.hot[2:] == [(SPOT, frozenset({first}))]


def test_what_books_and_liquidations_say_is_on_the_board() -> None:
    run = Run()
    run.scanning.on_liquidations(SPOT, T0, [Liquidation("A", 0, PositionSide.SHORT, 10.0, 2.0, True)])
    run.scanning.set_depth(SPOT, ["A"], np.array([1.25]))
    run.tell(0, {"A": 5.0})
    assert parse("liq_short == 20 and liq_long == 0 and delta == 1.25").mask(run.scanning.board).tolist() == [True]
    run.scanning.set_depth(SPOT, ["A"], np.array([np.nan]), np.array([[4.0, 6.0]]))
    run.scanning.advance(T0 + NS_PER_S)
    assert parse("delta > 0").mask(run.scanning.board).tolist() == [False]
    assert parse("bid == 4 and ask == 6").mask(run.scanning.board).tolist() == [True]


def test_the_same_news_at_the_same_times_gives_the_same_events() -> None:
    def run() -> list[ScanEvent]:
        made = Run("scanner.cooldown=0", "scanner.day.warmup=10")
        random = np.random.default_rng(5)
        prices = np.full(40, 100.0)
        for step in range(400):
            prices *= np.exp(random.normal(0.0, 0.004, prices.size))
            made.tell(step, {f"S{number}": price for number, price in enumerate(prices.tolist())})
        return made.told

    first = run()
    assert first == run()
    assert len(first) > 50
