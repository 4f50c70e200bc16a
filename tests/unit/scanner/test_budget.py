"""Places for close streams: who gets one, who keeps it, who loses it and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_S
from app.scanner.board import Board
from app.scanner.budget import HotBudget, Signals

MARKET = Market.BYBIT_LINEAR
OTHER = Market.BINANCE_SPOT


class Stage:
    """Ten instruments S0..S9, S9 the most traded, and a budget."""

    def __init__(self, places: int = 3, count: int = 10) -> None:
        self.board = Board()
        self.budget = HotBudget(stay_s=60.0, stale_s=60.0)
        self.budget.set_capacity(MARKET, places)
        self.now_s = 1000.0
        for number in range(count):
            self.tell(f"S{number}", {Field.VOLUME: 1000.0 * (number + 1), Field.CHANGE_PCT: 0.0})

    def tell(self, symbol: str, figures: dict[int, float], market: Market = MARKET) -> None:
        self.board.apply(market, [TickerUpdate(symbol, 0, figures)], self.now_ns)

    def tell_all(self, but: Iterable[str] = ()) -> None:
        for market, symbol in zip(self.board.markets, self.board.symbols, strict=True):
            if symbol not in but:
                self.tell(symbol, {}, market)

    @property
    def now_ns(self) -> int:
        return round(self.now_s * NS_PER_S)

    def step(
        self,
        seconds: float = 1.0,
        *,
        events: Iterable[str] = (),
        on_screen: Iterable[str] = (),
        watched: Iterable[str] = (),
    ) -> dict[Market, frozenset[str]]:
        self.now_s += seconds
        n = self.board.count
        signals = Signals(
            event_ns=np.zeros(n, np.int64), on_screen=np.zeros(n, np.bool_), watched=np.zeros(n, np.bool_)
        )
        for symbols, array, value in (
            (events, signals.event_ns, self.now_ns),
            (on_screen, signals.on_screen, True),
            (watched, signals.watched, True),
        ):
            for symbol in symbols:
                array[self.board.find(MARKET, symbol)] = value
        self.board.refresh(self.now_ns)
        return self.budget.advance(self.board, signals, self.now_ns)

    @property
    def hot(self) -> list[str]:
        return sorted(self.budget.hot(MARKET))


def test_the_most_traded_get_the_places_and_the_change_is_told_once() -> None:
    stage = Stage()
    assert stage.step() == {MARKET: frozenset({"S7", "S8", "S9"})}
    assert stage.step() == {}
    usage = stage.budget.usage(MARKET)
    assert (usage.used, usage.capacity, usage.pinned, usage.waiting) == (3, 3, 0, 0)
    assert {turn.symbol for turn in stage.budget.log if turn.got} == {"S7", "S8", "S9"}
    assert stage.budget.lost == 0


def test_what_is_looked_at_watched_or_remarkable_goes_before_turnover_and_says_why() -> None:
    stage = Stage()
    stage.step(on_screen=["S0"], watched=["S1"], events=["S2"])
    assert stage.hot == ["S0", "S1", "S2"]
    reasons = {turn.symbol: turn.reason for turn in stage.budget.log}
    assert reasons == {"S0": "on screen", "S1": "an alert watches it", "S2": "an event 0 s ago"}


def test_a_large_change_counts() -> None:
    stage = Stage(places=1)
    stage.tell("S7", {Field.CHANGE_PCT: -30.0})
    stage.step()
    assert stage.hot == ["S7"]


def test_a_place_is_kept_for_a_minute_and_against_those_that_are_hardly_better() -> None:
    stage = Stage()
    stage.step()
    stage.step(30, on_screen=["S0"])
    assert stage.hot == ["S7", "S8", "S9"], "its minute is not over"
    stage.tell_all()
    stage.step(31, on_screen=["S0"])
    assert stage.hot == ["S0", "S8", "S9"]
    lost = stage.budget.log[-2]
    assert (lost.symbol, lost.got) == ("S7", False)
    assert lost.reason.startswith("S0 scores 3.10, it 0.80")
    stage.now_s += 70
    stage.tell("S7", {Field.VOLUME: 9500.0})
    stage.tell_all()
    assert stage.step(on_screen=["S0"]) == {}, "S7 now trades a little more than S8"


def test_what_is_silent_loses_its_place_with_the_reason_and_the_time() -> None:
    stage = Stage()
    stage.step()
    stage.now_s += 65
    stage.tell_all(but=["S9"])
    assert stage.step() == {MARKET: frozenset({"S6", "S7", "S8"})}
    turn = next(turn for turn in stage.budget.log if not turn.got)
    assert (turn.symbol, turn.reason, turn.ts_ns) == ("S9", "nothing heard for 1 min 7 s", stage.now_ns)
    stage.step()
    assert "S9" not in stage.hot, "it does not come back while it is silent"
    assert stage.budget.lost == 1


def test_when_a_whole_market_is_silent_nothing_is_moved() -> None:
    stage = Stage()
    stage.step()
    assert stage.step(600) == {}
    assert stage.hot == ["S7", "S8", "S9"]


def test_pins_get_a_place_at_once_and_are_never_taken_away() -> None:
    stage = Stage()
    stage.step()
    stage.budget.pin(MARKET, "S0")
    assert stage.step() == {MARKET: frozenset({"S0", "S8", "S9"})}
    assert next(turn for turn in stage.budget.log if not turn.got).reason == "S0 was pinned"
    for _ in range(5):
        stage.now_s += 50
        stage.tell_all(but=["S0"])
        stage.step(on_screen=["S1", "S2", "S3"])
    assert stage.hot == ["S0", "S2", "S3"], "it is silent and on nobody's screen, but pinned"
    assert stage.budget.usage(MARKET).pinned == 1
    stage.budget.unpin(MARKET, "S0")
    stage.tell_all()
    stage.step(on_screen=["S1", "S2", "S3"])
    assert stage.hot == ["S1", "S2", "S3"]


def test_pins_beyond_the_places_wait() -> None:
    stage = Stage(places=2)
    for symbol in ("S1", "S2", "S3"):
        stage.budget.pin(MARKET, symbol)
    stage.step()
    assert stage.hot == ["S1", "S2"]
    assert stage.budget.usage(MARKET).waiting == 1
    stage.budget.unpin(MARKET, "S1")
    stage.step()
    assert stage.hot == ["S2", "S3"]


def test_instruments_with_a_book_need_no_place() -> None:
    stage = Stage()
    stage.step()
    stage.budget.set_covered(MARKET, ["S9"])
    stage.budget.pin(MARKET, "S9")
    stage.step()
    assert stage.hot == ["S6", "S7", "S8"]
    assert "its book is kept now" in [turn.reason for turn in stage.budget.log]
    assert stage.budget.usage(MARKET).waiting == 0


def test_fewer_places_take_the_worst_away() -> None:
    stage = Stage(places=5)
    stage.step()
    stage.budget.set_capacity(MARKET, 2)
    assert stage.step() == {MARKET: frozenset({"S8", "S9"})}
    stage.budget.set_capacity(MARKET, 0)
    assert stage.step() == {MARKET: frozenset()}
    assert stage.step() == {}


def test_markets_have_places_of_their_own() -> None:
    stage = Stage()
    stage.budget.set_capacity(OTHER, 1)
    stage.tell("S9", {Field.VOLUME: 1.0}, OTHER)
    stage.tell("Z", {Field.VOLUME: 2.0}, OTHER)
    assert stage.step()[OTHER] == frozenset({"Z"})
    assert stage.budget.usage(Market.HYPERLIQUID_PERP).capacity == 0


def test_of_more_pins_than_places_the_first_keep_theirs() -> None:
    stage = Stage(3, 6)
    stage.budget.set_covered(MARKET, {"S0", "S3"})
    stage.budget.pin(MARKET, "S0")
    stage.budget.pin(MARKET, "S3")
    stage.tell_all()
    stage.step()
    stage.budget.set_covered(MARKET, set())
    stage.budget.pin(MARKET, "S1")
    stage.budget.pin(MARKET, "S2")
    stage.tell_all()
    stage.step()
    assert stage.budget.hot(MARKET) == {"S0", "S3", "S1"}
    assert stage.budget.usage(MARKET).waiting == 1


@given(st.lists(st.sampled_from(["S0", "S4", "S9"]), max_size=3), st.integers(0, 4))
def test_the_same_history_gives_the_same_places(screen: list[str], places: int) -> None:
    def run() -> tuple[list[str], list[str]]:
        stage = Stage(places)
        for _ in range(4):
            stage.tell_all()
            stage.step(40, on_screen=screen)
        return stage.hot, [f"{turn.symbol} {turn.got} {turn.reason}" for turn in stage.budget.log]

    assert run() == run()


class BudgetMachine(RuleBasedStateMachine):
    """Whatever happens, the bounds hold."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(3, 6)
        self.changed: dict[Market, frozenset[str]] = {}

    symbols = st.sampled_from([f"S{number}" for number in range(6)])

    @rule(symbol=symbols)
    def pin(self, symbol: str) -> None:
        self.stage.budget.pin(MARKET, symbol)

    @rule(symbol=symbols)
    def unpin(self, symbol: str) -> None:
        self.stage.budget.unpin(MARKET, symbol)

    @rule(places=st.integers(0, 5))
    def set_places(self, places: int) -> None:
        self.stage.budget.set_capacity(MARKET, places)

    @rule(symbols=st.sets(symbols))
    def cover(self, symbols: set[str]) -> None:
        self.stage.budget.set_covered(MARKET, symbols)

    @rule(silent=st.sets(symbols), screen=st.sets(symbols), seconds=st.sampled_from([1.0, 30.0, 70.0]))
    def go_on(self, silent: set[str], screen: set[str], seconds: float) -> None:
        self.stage.now_s += seconds
        self.stage.tell_all(silent)
        before = self.stage.budget.hot(MARKET)
        changed = self.stage.step(0.0, on_screen=screen)
        hot = self.stage.budget.hot(MARKET)
        assert (MARKET in changed) is (hot != before)
        budget = self.stage.budget
        usage = budget.usage(MARKET)
        assert len(hot) <= usage.capacity
        pins = [symbol for symbol in budget._pins[MARKET] if symbol not in budget._covered[MARKET]]
        assert set(pins[: usage.capacity]) <= hot
        assert not hot & budget._covered[MARKET]

    @precondition(lambda self: len(self.stage.budget.log) > 0)
    @invariant()
    def places_follow_from_the_log(self) -> None:
        held: set[str] = set()
        for turn in self.stage.budget.log:
            assert turn.reason
            assert (turn.symbol not in held) is turn.got
            (held.add if turn.got else held.remove)(turn.symbol)
        assert held == self.stage.budget.hot(MARKET)


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
