"""Which day's close a source means: what is believed, what is uncertain, and the gaps that follow."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.market import Phase
from app.portfolio.closes import Closes, day_at
from app.portfolio.hours import NEW_YORK, utc_ns


def ny(text: str) -> int:
    return utc_ns(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=NEW_YORK))


MONDAY_NOON, MONDAY_POST, MONDAY_NIGHT = ny("23 12:00"), ny("23 17:00"), ny("23 23:00")
TUESDAY_PRE, TUESDAY_NOON = ny("24 07:00"), ny("24 12:00")


def test_a_close_told_before_or_in_the_session_is_that_of_the_trading_day_before() -> None:
    for told_ns in (ny("23 04:00"), ny("23 09:30"), ny("23 15:59:59")):
        closes = Closes()
        closes.on_close(200.0, told_ns)
        assert closes.previous(MONDAY_NOON).value == 200.0
        assert closes.previous(MONDAY_NOON).why == "close of 20 Nov"
        assert closes.gap_pct(MONDAY_NOON, Phase.PRE, 206.0, is_live=True).value == pytest.approx(3.0)


def test_a_close_first_told_after_the_session_is_shown_but_makes_no_gap() -> None:
    for told_ns in (MONDAY_POST, MONDAY_NIGHT):
        closes = Closes()
        closes.on_close(200.0, told_ns)
        assert closes.previous(told_ns).value == 200.0
        assert "uncertain" in closes.previous(told_ns).why
        assert not closes.gap_pct(told_ns, Phase.POST, 210.0, is_live=True).is_known
        assert "uncertain" in closes.previous(TUESDAY_PRE).why
        gap = closes.gap_pct(TUESDAY_PRE, Phase.PRE, 210.0, is_live=True)
        assert not gap.is_known
        assert gap.why == "the close of 23 Nov is not certain"
        assert closes.needs_bar(TUESDAY_PRE)


def test_a_close_that_changes_after_the_session_is_the_days_own() -> None:
    closes = Closes()
    closes.on_close(200.0, MONDAY_NOON)
    closes.on_close(200.0, MONDAY_POST)
    assert not closes.gap_pct(MONDAY_POST, Phase.POST, 210.0, is_live=True).is_known, "not rolled yet"
    closes.on_close(205.0, MONDAY_POST + 1)
    assert closes.gap_pct(MONDAY_POST, Phase.POST, 210.0, is_live=True).value == pytest.approx(100 * 5 / 205)
    assert closes.previous(MONDAY_POST).value == 200.0, "the change of the day stays against the day before"
    assert closes.previous(TUESDAY_PRE).value == 205.0
    assert closes.gap_pct(TUESDAY_PRE, Phase.PRE, 215.25, is_live=True).value == pytest.approx(5.0)


def test_yesterdays_previous_close_is_no_measure_today() -> None:
    closes = Closes()
    closes.on_close(200.0, MONDAY_NOON)
    held = closes.previous(TUESDAY_PRE)
    assert math.isnan(held.value)
    assert held.why == "the close of 23 Nov was not told"
    assert not closes.gap_pct(TUESDAY_PRE, Phase.PRE, 210.0, is_live=True).is_known


def test_a_daily_bar_ends_the_doubt_but_not_while_its_day_goes_on() -> None:
    closes = Closes()
    closes.on_close(200.0, MONDAY_NIGHT)
    closes.on_bar("20261123", 207.0, MONDAY_NOON)
    assert closes.needs_bar(TUESDAY_PRE), "the bar of a day that was not over"
    closes.on_bar("20261123", 208.0, TUESDAY_PRE)
    assert closes.previous(TUESDAY_PRE).value == 208.0
    assert not closes.needs_bar(TUESDAY_PRE)
    for wrong in ("", "2026112", "20261399", "20261121"):
        closes.on_bar(wrong, 1.0, TUESDAY_PRE)
    assert closes.previous(TUESDAY_PRE).value == 208.0


def test_in_the_session_the_open_is_held_against_the_close_before() -> None:
    closes = Closes()
    closes.on_close(200.0, ny("24 08:00"))
    closes.on_open(190.0, ny("24 08:00"))
    assert closes.gap_pct(TUESDAY_NOON, Phase.RTH, 230.0, is_live=True).why == "the open price is not known"
    closes.on_open(210.0, ny("24 09:30"))
    gap = closes.gap_pct(TUESDAY_NOON, Phase.RTH, 230.0, is_live=True)
    assert gap.value == pytest.approx(5.0)
    assert gap.why == "open 210 against the close of 23 Nov, 200"
    assert not closes.gap_pct(ny("25 12:00"), Phase.RTH, 230.0, is_live=True).is_known, "the open of the day before"


def test_delayed_quotes_and_closed_markets_have_no_gap() -> None:
    closes = Closes()
    closes.on_close(200.0, TUESDAY_PRE)
    assert "delayed" in closes.gap_pct(TUESDAY_PRE, Phase.PRE, 210.0, is_live=False).why
    for phase in (Phase.CLOSED, Phase.OVERNIGHT):
        assert not closes.gap_pct(TUESDAY_PRE, phase, 210.0, is_live=True).is_known


def test_a_late_close_never_becomes_certain() -> None:
    closes = Closes()
    closes.on_late_close(200.0, TUESDAY_PRE)
    assert closes.previous(TUESDAY_PRE).value == 200.0
    assert "uncertain" in closes.previous(TUESDAY_PRE).why
    assert closes.needs_bar(TUESDAY_PRE)
    closes.on_close(205.0, TUESDAY_NOON)
    assert closes.previous(TUESDAY_NOON).value == 205.0


@pytest.mark.parametrize("value", [math.nan, -1.0, 0.0, math.inf])
def test_what_is_no_price_is_no_close(value: float) -> None:
    closes = Closes()
    closes.on_close(value, TUESDAY_PRE)
    closes.on_late_close(value, TUESDAY_PRE)
    closes.on_open(value, TUESDAY_NOON)
    closes.on_bar("20261123", value, TUESDAY_PRE)
    assert not closes.previous(TUESDAY_PRE).is_known


def test_days_change_at_four_in_new_york_over_weekends_and_half_days() -> None:
    assert day_at(ny("24 03:59:59")).day.day == 23
    assert day_at(ny("24 04:00")).day.day == 24
    assert day_at(ny("22 12:00")).day.day == 20
    assert day_at(ny("26 12:00")).day.day == 25
    closes = Closes()
    closes.on_close(100.0, ny("27 12:59"))
    closes.on_close(101.0, ny("27 13:00"))
    assert closes.gap_pct(ny("27 14:00"), Phase.POST, 102.01, is_live=True).value == pytest.approx(1.0)


MOMENTS = st.integers(ny("16 00:00"), ny("30 00:00"))
PRICES = st.floats(1.0, 1000.0)


@given(st.lists(st.tuples(MOMENTS, PRICES), max_size=20), MOMENTS, PRICES, st.sampled_from(Phase))
def test_any_history_gives_a_finite_gap_or_a_reason(
    told: list[tuple[int, float]], now_ns: int, last: float, phase: Phase
) -> None:
    closes = Closes()
    for told_ns, price in sorted(told):
        closes.on_close(price, told_ns)
        closes.on_open(price, told_ns)
    for held in (closes.gap_pct(now_ns, phase, last, is_live=True), closes.previous(now_ns)):
        assert held.is_known == math.isfinite(held.value)
        assert held.why
