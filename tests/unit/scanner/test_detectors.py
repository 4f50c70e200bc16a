"""Detectors on made-up prices: what fires, what must not, and what events say."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_S
from app.scanner.board import Board
from app.scanner.detectors import Detectors
from app.scanner.events import EventKind, ScanEvent
from app.scanner.gaps import Refusal, split_words
from app.scanner.thresholds import Thresholds
from app.settings.schema import BY_KEY
from app.settings.store import Settings

DAY_S = 86_400
MIDNIGHT_S = 19_700 * DAY_S


class Tape:
    """One instrument (or several) and what detectors said about it; times are seconds after a UTC midnight."""

    def __init__(self, thresholds: Thresholds | None = None, symbols: tuple[str, ...] = ("X",)) -> None:
        self.board = Board()
        self.detectors = Detectors(thresholds)
        self.symbols = symbols
        self.events: list[ScanEvent] = []

    def tell(self, at_s: float, figures: dict[int, float], symbols: tuple[str, ...] | None = None) -> None:
        """News and a look right after it."""
        updates = [TickerUpdate(symbol, 0, figures) for symbol in symbols or self.symbols]
        self.board.apply(Market.BYBIT_LINEAR, updates, self.ns(at_s))
        self.look(at_s)

    def look(self, at_s: float) -> None:
        """Let time pass."""
        self.board.refresh(self.ns(at_s))
        self.events += self.detectors.advance(self.board, self.ns(at_s))

    def of(self, kind: EventKind) -> list[int]:
        """Return when events of a kind fired, in seconds."""
        return [round(event.ts_ns / NS_PER_S) - MIDNIGHT_S for event in self.events if event.kind is kind]

    @staticmethod
    def ns(at_s: float) -> int:
        return MIDNIGHT_S * NS_PER_S + round(at_s * NS_PER_S)


def last(price: float) -> dict[int, float]:
    return {Field.LAST: price}


def quote(bid: float, ask: float) -> dict[int, float]:
    return {Field.LAST: (bid + ask) / 2, Field.BID: bid, Field.ASK: ask}


# -- surges ------------------------------------------------------------------------------------------------------


def test_a_rise_of_three_per_cent_within_five_minutes_is_told_with_its_numbers() -> None:
    tape = Tape()
    tape.tell(10, last(100.0))
    tape.tell(200, last(102.9))
    assert tape.events == []
    tape.tell(250, last(103.2))
    (event,) = tape.events
    assert event.kind is EventKind.PRICE_SURGE
    assert event.symbol == "X"
    assert event.market is Market.BYBIT_LINEAR
    assert event.ts_ns == tape.ns(250)
    assert event.text == "rose 3.20 % within 5 min, from 100 (lowest) to 103.2; threshold 3 %"
    assert event.numbers["change_pct"] == pytest.approx(3.2)


def test_a_fall_is_told_apart_and_a_slow_move_is_none() -> None:
    tape = Tape()
    for step in range(100):
        tape.tell(60 * step, last(100.0 * 0.995**step))
    assert tape.of(EventKind.PRICE_SURGE) == [], "half a per cent a minute is 2.5 % in five minutes"
    tape.tell(6000, last(50.0))
    assert [event.text[:4] for event in tape.events if event.kind is EventKind.PRICE_SURGE] == ["fell"]


def test_a_surge_is_told_again_only_after_it_has_ceased_and_the_cooldown_is_over() -> None:
    tape = Tape(Thresholds(cooldown_s=600.0))
    prices = {0: 100.0, 60: 104.0, 120: 105.0, 400: 105.0, 720: 105.0, 780: 109.0, 1300: 109.0, 1320: 105.0}
    for at_s in range(0, 1320, 20):
        known = max(time for time in prices if time <= at_s)
        tape.tell(at_s, last(prices[known]))
    assert tape.of(EventKind.PRICE_SURGE) == [60, 780]
    hasty = Tape(Thresholds(cooldown_s=0.0))
    for at_s in range(0, 600, 20):
        hasty.tell(at_s, last(100.0 if at_s < 60 else 104.0))
    assert hasty.of(EventKind.PRICE_SURGE) == [60], "what goes on is told once, without a cooldown too"


@pytest.mark.parametrize("price", [0.0, -5.0, math.nan, math.inf])
def test_what_is_no_price_never_fires_and_is_no_base_for_a_move(price: float) -> None:
    tape = Tape()
    for at_s in range(0, 300, 10):
        tape.tell(at_s, last(price if at_s % 20 else 100.0))
    assert tape.events == []


def test_a_print_far_off_the_quotes_is_not_believed() -> None:
    tape = Tape()
    tape.tell(0, quote(99.9, 100.1))
    tape.tell(10, {Field.LAST: 150.0})
    assert tape.events == []
    tape.tell(20, quote(149.9, 150.1))
    assert tape.of(EventKind.PRICE_SURGE) == [20]


def test_stale_prices_never_fire() -> None:
    tape = Tape(Thresholds(stale_s=30.0))
    tape.tell(0, last(100.0))
    tape.board.apply(Market.BYBIT_LINEAR, [TickerUpdate("X", 0, last(110.0))], tape.ns(5))
    tape.look(40)
    assert tape.events == []
    tape.tell(41, last(110.0))
    assert tape.of(EventKind.PRICE_SURGE) == [41]


def test_time_that_does_not_go_on_gives_nothing() -> None:
    tape = Tape()
    tape.tell(100, last(100.0))
    tape.tell(110, last(110.0))
    tape.tell(105, last(90.0))
    tape.tell(110, last(90.0))
    assert tape.of(EventKind.PRICE_SURGE) == [110]
    assert Tape().detectors.advance(Board(), 5) == []


def test_instruments_do_not_mix_and_all_are_judged_after_the_board_has_grown() -> None:
    names = tuple(f"S{number}" for number in range(300))
    tape = Tape(symbols=names)
    tape.tell(0, last(100.0), names[:10])
    tape.tell(10, last(100.0))
    tape.tell(20, last(110.0), names[5:6] + names[290:291])
    assert [event.symbol for event in tape.events] == ["S5", "S290"]


# -- ranges ------------------------------------------------------------------------------------------------------


def saw(minutes: int, width: float) -> Iterator[tuple[int, float]]:
    """Yield prices that go up and down by a share."""
    for step in range(minutes * 6):
        yield step * 10, 100.0 * (1.0 + (width if step % 2 else 0.0))


def test_a_range_twice_the_normal_is_told_after_the_warmup_only() -> None:
    thresholds = Thresholds(price_surge_pct=50.0)
    tape = Tape(thresholds)
    for at_s, price in saw(60, 0.004):
        tape.tell(at_s, last(price))
    assert tape.events == []
    tape.tell(3600, last(101.0))
    (event,) = [event for event in tape.events if event.kind is EventKind.VOLATILITY_SURGE]
    assert event.numbers["normal_pct"] == pytest.approx(0.3992, abs=1e-3)
    assert event.numbers["range_pct"] == pytest.approx(0.995, abs=1e-3)
    cold = Tape(thresholds)
    for at_s, price in saw(20, 0.004):
        cold.tell(at_s, last(price))
    cold.tell(1200, last(104.0))
    assert EventKind.VOLATILITY_SURGE not in {event.kind for event in cold.events}


def test_a_calm_price_that_stirs_a_little_is_no_surge() -> None:
    tape = Tape()
    for at_s, price in saw(60, 0.0):
        tape.tell(at_s, last(price))
    tape.tell(3600, last(100.2))
    assert tape.of(EventKind.VOLATILITY_SURGE) == []
    tape.tell(3610, last(100.7))
    assert tape.of(EventKind.VOLATILITY_SURGE) == [3610]


# -- turnover ----------------------------------------------------------------------------------------------------


def trade(tape: Tape, begin_s: int, end_s: int, volume: float, usd_per_s: float, every_s: int = 5) -> float:
    """Trade at a pace and return the 24 h turnover then: what drops out is what comes in when it is as always."""
    always = volume / DAY_S
    for at_s in range(begin_s, end_s, every_s):
        tape.tell(at_s, {Field.LAST: 100.0, Field.VOLUME: volume})
        volume += (usd_per_s - always) * every_s
    return volume


def test_turnover_over_three_times_the_normal_is_told() -> None:
    tape = Tape()
    volume = trade(tape, 0, 3600, 86_400_000.0, 1000.0)
    assert tape.events == []
    volume = trade(tape, 3600, 3660, volume, 2900.0)
    assert tape.events == []
    trade(tape, 3660, 3720, volume, 3500.0)
    (event,) = tape.events
    assert event.kind is EventKind.VOLUME_SPIKE
    assert event.numbers["ratio"] == pytest.approx(3.0, abs=0.3)
    assert event.numbers["normal_usd"] == pytest.approx(60_000, rel=0.02)
    assert "times the normal 60 K USD" in event.text


def test_no_turnover_is_judged_during_warmup_nor_when_it_is_small() -> None:
    cold = Tape()
    volume = trade(cold, 0, 1100, 86_400_000.0, 1000.0)
    trade(cold, 1100, 1200, volume, 9000.0)
    assert cold.events == []
    small = Tape()
    volume = trade(small, 0, 3600, 864_000.0, 10.0)
    trade(small, 3600, 3700, volume, 100.0)
    assert small.events == [], "6,000 USD in a minute are ten times the normal, but nothing"


def test_turnover_that_is_counted_anew_or_known_after_a_hole_is_no_spike() -> None:
    tape = Tape()
    volume = trade(tape, 0, 3600, 86_400_000.0, 1000.0)
    trade(tape, 3600, 3605, volume / 100.0, 1000.0)
    volume = trade(tape, 3605, 4200, volume, 1000.0)
    tape.tell(4800, {Field.LAST: 100.0, Field.VOLUME: volume + 5e6})
    trade(tape, 4805, 5000, volume + 5e6, 1000.0)
    assert tape.of(EventKind.VOLUME_SPIKE) == []


# -- spreads -----------------------------------------------------------------------------------------------------


def quote_for(tape: Tape, begin_s: int, end_s: int, half: float) -> None:
    for at_s in range(begin_s, end_s, 5):
        tape.tell(at_s, quote(100.0 - half, 100.0 + half))


def test_a_spread_under_half_of_the_normal_is_told_once_it_has_held() -> None:
    tape = Tape()
    quote_for(tape, 0, 1200, 0.10)
    quote_for(tape, 1200, 1205, 0.02)
    quote_for(tape, 1205, 1300, 0.10)
    assert tape.events == [], "five seconds are not over"
    quote_for(tape, 1300, 1400, 0.04)
    (event,) = tape.events
    assert event.kind is EventKind.SPREAD_TIGHTENING
    assert tape.of(event.kind) == [1305]
    assert event.text == "spread 8.00 bp (99.96 to 100.04) for 5 s, normal is 20.00 bp; threshold 50% of it"


def test_a_spread_that_wavers_about_the_limit_is_told_once() -> None:
    tape = Tape(Thresholds(cooldown_s=0.0))
    quote_for(tape, 0, 1200, 0.10)
    for start in range(1200, 1500, 20):
        quote_for(tape, start, start + 10, 0.049)
        quote_for(tape, start + 10, start + 20, 0.07)
    assert len(tape.of(EventKind.SPREAD_TIGHTENING)) == 1
    quote_for(tape, 1500, 1510, 0.09)
    quote_for(tape, 1510, 1530, 0.04)
    assert len(tape.of(EventKind.SPREAD_TIGHTENING)) == 2


@pytest.mark.parametrize(
    ("bid", "ask"), [(-1.0, 100.0), (100.0, 100.0), (100.1, 100.0), (math.nan, 100.0), (0.0, 0.01)]
)
def test_quotes_that_are_none_are_no_tight_spread(bid: float, ask: float) -> None:
    tape = Tape()
    quote_for(tape, 0, 1200, 0.10)
    for at_s in range(1200, 1300, 5):
        tape.tell(at_s, {Field.BID: bid, Field.ASK: ask})
    assert tape.of(EventKind.SPREAD_TIGHTENING) == []


def test_a_spread_that_is_always_small_is_not_watched() -> None:
    tape = Tape()
    quote_for(tape, 0, 1200, 0.005)
    quote_for(tape, 1200, 1300, 0.001)
    assert tape.events == []


# -- the day -----------------------------------------------------------------------------------------------------


def test_a_new_high_of_the_day_is_told_after_the_warmup_and_again_when_it_has_come_back() -> None:
    tape = Tape()
    moves = [(0, 100.0), (600, 101.0), (1700, 101.5), (1900, 101.6), (2300, 101.7), (2400, 101.0), (2500, 101.9)]
    for at_s, price in moves:
        tape.tell(at_s, last(price))
    assert tape.of(EventKind.NEW_HIGH) == [1900, 2500]
    assert tape.events[0].text == "new high 101.6 of the UTC day, above 101.5"


@pytest.mark.parametrize(("kind", "sign"), [(EventKind.NEW_LOW, 1.0), (EventKind.NEW_HIGH, -1.0)])
def test_a_new_day_begins_anew(kind: EventKind, sign: float) -> None:
    tape = Tape()
    moves = [(0, 0.0), (2000, -1.0), (9000, -0.4), (40_000, -10.0), (DAY_S + 60, -5.0), (DAY_S + 3000, -6.0)]
    for at_s, change in moves:
        tape.tell(at_s, last(100.0 + sign * change))
    assert tape.of(kind) == [2000, 40_000, DAY_S + 3000]


def test_of_a_day_that_was_not_seen_from_its_beginning_the_high_of_24_h_counts_too() -> None:
    tape = Tape()
    tape.tell(40_000, {Field.LAST: 100.0, Field.HIGH: 105.0, Field.LOW: 90.0})
    tape.tell(42_000, {Field.LAST: 101.0})
    assert tape.events == []
    tape.tell(43_000, {Field.LAST: 105.5, Field.HIGH: 105.5})
    (event,) = [event for event in tape.events if event.kind is EventKind.NEW_HIGH]
    assert event.text == "new high 105.5 of 24 h (the day is watched since 11:06 UTC), above 105"


def test_of_a_day_of_which_nothing_else_is_known_the_event_says_so() -> None:
    tape = Tape()
    tape.tell(40_000, last(100.0))
    tape.tell(42_000, last(101.0))
    assert tape.events[0].text == "new high 101 since 11:06 UTC, what was before is not known, above 100"


# -- gaps --------------------------------------------------------------------------------------------------------


def jump(
    after: float,
    later: float,
    *,
    hole_s: float = 700.0,
    thresholds: Thresholds | None = None,
    begin_s: float = 40_000.0,
) -> Tape:
    """Trade at 100, be silent for a while, go on at `after` and be at `later` a minute later."""
    tape = Tape(thresholds)
    tape.tell(begin_s, last(100.0))
    tape.tell(begin_s + hole_s, last(after))
    tape.tell(begin_s + hole_s + 61, last(later))
    return tape


def test_a_jump_after_a_hole_that_is_kept_is_a_gap() -> None:
    tape = jump(95.0, 94.0)
    (event,) = [event for event in tape.events if event.kind is EventKind.GAP]
    assert event.text == (
        "opened 5.00 % below the last price 11 min 40 s before, after a hole in the data: 100 to 95; -6.00 % "
        "1 min 1 s later; no split by its ratio 1.053; threshold 3 %"
    )
    assert event.numbers["gap_pct"] == pytest.approx(-5.0)
    assert event.numbers["kept_pct"] == pytest.approx(-6.0)


@pytest.mark.parametrize(
    ("after", "later", "hole_s"),
    [(95.0, 98.0, 700.0), (95.0, 103.0, 700.0), (97.5, 97.0, 700.0), (95.0, 94.0, 500.0), (50.2, 50.0, 700.0)],
)
def test_what_comes_back_is_small_has_no_hole_or_is_a_split_is_no_gap(
    after: float, later: float, hole_s: float
) -> None:
    assert jump(after, later, hole_s=hole_s).of(EventKind.GAP) == []


def test_a_jump_over_midnight_needs_no_hole() -> None:
    tape = jump(95.0, 95.0, hole_s=30.0, begin_s=DAY_S - 10.0)
    assert tape.of(EventKind.GAP) == [DAY_S + 81]
    assert "on a new UTC day" in next(event.text for event in tape.events if event.kind is EventKind.GAP)


def test_news_without_a_believable_price_does_not_end_a_hole() -> None:
    tape = Tape()
    tape.tell(0, last(100.0))
    tape.tell(400, last(math.nan))
    tape.tell(700, last(95.0))
    tape.tell(761, last(94.0))
    assert tape.of(EventKind.GAP) == [761]


def test_a_jump_is_decided_by_news_and_not_by_the_price_it_opened_with() -> None:
    tape = Tape()
    tape.tell(0, last(100.0))
    tape.tell(700, last(95.0))
    tape.look(760)
    tape.tell(800, last(100.0))
    assert tape.of(EventKind.GAP) == []
    (refused,) = tape.detectors.gaps.refused
    assert refused.reason is Refusal.REVERTED
    assert refused.text == "opened -5.0 % (100 to 95) but stood at +0.0 % 1 min 40 s later"
    assert tape.detectors.gaps.refusals[Refusal.REVERTED] == 1


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (2.0, "2:1"),
        (0.1, "1:10"),
        (6.965, "7:1"),
        (3.910, "4:1"),
        (1.5, "3:2"),
        (1 / 1.52, "2:3"),
        (1000.0, "1000:1"),
        (1.9023, ""),
        (2.6, ""),
        (1.2, ""),
        (1.0, ""),
        (0.9, ""),
    ],
)
def test_a_split_is_known_by_its_ratio(ratio: float, words: str) -> None:
    assert split_words(ratio, 0.025) == words


# -- settings ----------------------------------------------------------------------------------------------------


def test_thresholds_come_from_the_settings_and_their_defaults_agree() -> None:
    assert Thresholds.of(Settings()) == Thresholds()
    settings = Settings()
    settings.override(["scanner.price.surge=1.5", "scanner.volume.baseline=30"])
    assert Thresholds.of(settings).price_surge_pct == 1.5
    assert Thresholds.of(settings).volume_baseline_min == 30


@pytest.mark.parametrize("bound", ["low", "high"])
def test_detectors_work_at_the_bounds_of_every_setting(bound: str) -> None:
    settings = Settings()
    for key, setting in BY_KEY.items():
        if key.startswith("scanner.") and setting.kind is not str:
            limit = getattr(setting, bound)
            settings.override([f"{key}={setting.kind(limit)}"])
    tape = Tape(Thresholds.of(settings))
    for at_s in range(0, 3600, 60):
        tape.tell(at_s, quote(99.0 + at_s / 1000, 101.0 + at_s / 1000) | {Field.VOLUME: 1e6 + at_s})
    assert all(math.isfinite(number) for event in tape.events for number in event.numbers.values())
