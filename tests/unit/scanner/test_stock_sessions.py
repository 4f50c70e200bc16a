"""The board and the detectors with stocks: sessions, halts and delayed quotes, told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.ids import Market
from app.domain.market import Field, Phase, TickerUpdate
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_S
from app.scanner.board import Board
from app.scanner.conditions import ConditionError, parse
from app.scanner.detectors import Detectors
from app.scanner.events import EventKind, ScanEvent

START_S = 1_700_000_000 // 86_400 * 86_400 + 12 * 3600
LIVE: dict[int, float] = {Field.DATA_KIND: float(DataKind.LIVE), Field.HALTED: 0.0}


class Tape:
    """One stock; times are seconds after a UTC noon."""

    def __init__(self) -> None:
        self.board = Board()
        self.detectors = Detectors()
        self.events: list[ScanEvent] = []
        self.row = self.board.row(Market.IBKR_STOCK, "AAPL")

    def phase(self, phase: Phase) -> None:
        self.board.annotate(self.row, {Field.PHASE: float(phase)})

    def tell(self, at_s: float, **figures: float) -> None:
        values = {int(Field[name.upper()]): value for name, value in figures.items()}
        now_ns = (START_S * NS_PER_S) + round(at_s * NS_PER_S)
        self.board.apply(Market.IBKR_STOCK, [TickerUpdate("AAPL", 0, {**LIVE, **values})], now_ns)
        self.board.refresh(now_ns)
        self.events += self.detectors.advance(self.board, now_ns)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]


def surge(tape: Tape, **figures: float) -> None:
    for second in range(0, 120, 5):
        tape.tell(second, last=100.0 + second * 0.05, **figures)


def test_a_live_stock_in_its_session_is_judged_like_anything_else() -> None:
    for phase in (Phase.PRE, Phase.RTH, Phase.POST, Phase.OVERNIGHT):
        tape = Tape()
        tape.phase(phase)
        surge(tape)
        assert tape.kinds() == [EventKind.PRICE_SURGE]


@pytest.mark.parametrize(
    "figures",
    [
        {"halted": 1.0},
        {"halted": 2.0},
        {"data_kind": float(DataKind.DELAYED)},
        {"data_kind": float(DataKind.FROZEN)},
        {"data_kind": float(DataKind.DELAYED_FROZEN)},
        {"data_kind": float("nan")},
    ],
)
def test_nothing_fires_while_halted_or_not_live(figures: dict[str, float]) -> None:
    tape = Tape()
    tape.phase(Phase.RTH)
    surge(tape, **figures)
    assert tape.events == []


def test_nothing_fires_while_the_market_is_closed() -> None:
    tape = Tape()
    tape.phase(Phase.CLOSED)
    surge(tape)
    assert tape.events == []


def test_prices_of_another_session_are_no_measure() -> None:
    tape = Tape()
    tape.phase(Phase.PRE)
    for second in range(0, 60, 5):
        tape.tell(second, last=100.0)
    tape.phase(Phase.RTH)
    for second in range(60, 120, 5):
        tape.tell(second, last=104.0)
    assert tape.events == []
    for second in range(120, 180, 5):
        tape.tell(second, last=108.0)
    assert tape.kinds() == [EventKind.PRICE_SURGE]


def test_the_days_volume_makes_a_spike_by_its_increments() -> None:
    tape = Tape()
    tape.phase(Phase.RTH)
    turnover = 1e9
    for second in range(0, 1500, 5):
        turnover += 5_000.0
        tape.tell(second, last=100.0, volume=turnover)
    assert tape.events == [], "a large day's volume is no spike"
    for second in range(1500, 1620, 5):
        turnover += 50_000.0
        tape.tell(second, last=100.0, volume=turnover)
    assert tape.kinds() == [EventKind.VOLUME_SPIKE]
    numbers = tape.events[0].numbers
    assert numbers["normal_usd"] == pytest.approx(60_000.0)
    assert numbers["turnover_usd"] <= 600_000.0


def test_a_new_session_has_to_learn_what_is_normal_again() -> None:
    tape = Tape()
    tape.phase(Phase.PRE)
    turnover = 1e6
    for second in range(0, 1500, 5):
        turnover += 100.0
        tape.tell(second, last=100.0, volume=turnover)
    tape.phase(Phase.RTH)
    for second in range(1500, 2400, 5):
        turnover += 100_000.0
        tape.tell(second, last=100.0, volume=turnover)
    assert tape.events == [], "the open is always busier than the hour before it"


def test_the_volume_of_a_new_day_is_no_spike() -> None:
    tape = Tape()
    tape.phase(Phase.RTH)
    for second in range(0, 1500, 5):
        tape.tell(second, last=100.0, volume=1e9 + second * 1000.0)
    for second in range(1500, 1700, 5):
        tape.tell(second, last=100.0, volume=(second - 1500) * 1000.0)
    assert tape.events == []


def test_highs_are_of_the_session_and_need_a_warm_up() -> None:
    tape = Tape()
    tape.phase(Phase.PRE)
    tape.tell(0, last=120.0, high=121.0)
    tape.phase(Phase.RTH)
    for second in range(5, 1800, 5):
        tape.tell(second, last=100.0 + second * 1e-4, high=121.0)
    assert tape.events == []
    tape.tell(1810, last=100.5, high=121.0)
    assert tape.kinds() == [EventKind.NEW_HIGH]
    assert "of the session" in tape.events[0].text


def test_a_session_joined_late_is_held_against_the_high_of_the_day() -> None:
    tape = Tape()
    tape.phase(Phase.RTH)
    for second in range(0, 2000, 5):
        tape.tell(second, last=100.0 + second * 1e-4, high=121.0, low=80.0)
    assert tape.events == []
    tape.tell(2005, last=101.0, high=101.0, low=80.0)
    assert EventKind.NEW_HIGH not in tape.kinds()
    tape.tell(2010, last=121.5, high=121.0, low=80.0)
    assert EventKind.NEW_HIGH in tape.kinds()


def test_midnight_in_greenwich_is_nothing_to_a_stock() -> None:
    tape = Tape()
    tape.phase(Phase.POST)
    for second in range(12 * 3600 - 2400, 12 * 3600 + 60, 5):
        tape.tell(second, last=100.0 if second < 12 * 3600 else 104.0)
    assert [kind for kind in tape.kinds() if kind is EventKind.GAP] == []


def test_a_night_between_sessions_is_a_gap_once_it_holds() -> None:
    tape = Tape()
    tape.phase(Phase.POST)
    for second in range(0, 60, 5):
        tape.tell(second, last=100.0)
    tape.phase(Phase.CLOSED)
    tape.tell(3600, last=100.0)
    tape.phase(Phase.PRE)
    for second in range(30_000, 30_200, 5):
        tape.tell(second, last=107.0)
    assert tape.kinds() == [EventKind.GAP]
    assert "after a pause of trading" in tape.events[0].text


# -- conditions ------------------------------------------------------------------------------------------------------


def board() -> Board:
    """Return two stocks and a coin."""
    found = Board()
    rows = {
        "AAPL": {Field.PHASE: Phase.PRE, Field.DATA_KIND: DataKind.LIVE, Field.HALTED: 0.0, Field.GAP_PCT: 3.0},
        "TSLA": {Field.PHASE: Phase.PRE, Field.DATA_KIND: DataKind.DELAYED, Field.HALTED: 1.0, Field.GAP_PCT: -4.0},
        "SAP": {Field.PHASE: Phase.CLOSED, Field.DATA_KIND: DataKind.FROZEN, Field.HALTED: float("nan")},
    }
    for symbol, values in rows.items():
        plain = {int(key): float(value) for key, value in values.items()}
        found.apply(Market.IBKR_STOCK, [TickerUpdate(symbol, 0, plain)], START_S * NS_PER_S)
    found.apply(Market.BINANCE_SPOT, [TickerUpdate("BTCUSDT", 0, {Field.LAST: 1.0})], START_S * NS_PER_S)
    found.refresh(START_S * NS_PER_S)
    return found


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ('session == "PRE"', "AAPL TSLA"),
        ('session == "pre" and not halted', "AAPL"),
        ('session in ("pre", "closed")', "AAPL TSLA SAP"),
        ('session != "PRE"', "SAP BTCUSDT"),
        ("halted", "TSLA"),
        ("not halted", "AAPL"),
        ("halted or gap > 2", "AAPL TSLA"),
        ("(halted)", "TSLA"),
        ("not (halted or delayed)", "AAPL"),
        ("delayed", "TSLA"),
        ("not delayed", "AAPL SAP"),
        ("abs(gap) > 3.5", "TSLA"),
        ("halted == 0 and gap > 0", "AAPL"),
        ('venue == "ibkr"', "AAPL TSLA SAP"),
        ('market == "stock" and delayed', "TSLA"),
    ],
)
def test_conditions_on_stocks(text: str, symbols: str) -> None:
    known = board()
    condition = parse(text)
    assert [known.symbols[row] for row in np.flatnonzero(condition.mask(known))] == symbols.split()
    assert parse(str(condition)) == condition


def test_a_column_that_is_no_flag_still_needs_a_comparison() -> None:
    with pytest.raises(ConditionError, match="comparison"):
        parse("gap")
    with pytest.raises(ConditionError, match="expected closed or pre or rth or post or overnight, was premarket"):
        parse('session == "premarket"')


# -- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_that_is_not_listed_any_more_has_no_figures_and_comes_back_empty() -> None:
    known = board()
    row = known.find(Market.IBKR_STOCK, "AAPL")
    assert row is not None
    known.set_listed(row, False)
    known.refresh(START_S * NS_PER_S)
    assert not known.listed[row]
    assert np.isnan(known.values[Field.GAP_PCT, row])
    assert not parse("gap > 0").mask(known)[row]
    known.set_listed(row, True)
    assert known.listed[row]
    assert known.updated_ns[row] == 0


def test_annotations_are_no_news() -> None:
    known = board()
    before = known.updated_ns[0]
    known.annotate(0, {Field.PHASE: float(Phase.RTH)})
    assert known.updated_ns[0] == before
    assert known.text("session", 0) == "rth"
    assert known.text("session", 3) == ""


def test_listing_outlives_the_growth_of_the_table() -> None:
    known = Board()
    known.set_listed(known.row(Market.IBKR_STOCK, "A"), False)
    for number in range(3000):
        known.row(Market.IBKR_STOCK, f"S{number}")
    assert not known.listed[0]
    assert known.listed[1 : known.count].all()
