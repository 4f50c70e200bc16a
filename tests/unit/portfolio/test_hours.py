"""Sessions of US stocks against facts the exchange has published."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contracts import Contract, ContractDetails, Session
from app.domain.market import Phase
from app.domain.units import NS_PER_S
from app.portfolio.hours import (
    NEW_YORK,
    Basis,
    ContractHours,
    calendar_spell,
    half_days_of,
    phases,
    spells_of,
    trading_day,
    trading_day_before,
    trading_day_from,
    utc_ns,
)

AAPL = Contract(con_id=265598, symbol="AAPL")


def ny(text: str) -> int:
    """Return a New York time such as `2026-11-20 09:30` as UTC ns."""
    return utc_ns(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("2026-11-20 03:59:59", Phase.CLOSED),
        ("2026-11-20 04:00:00", Phase.PRE),
        ("2026-11-20 09:29:59", Phase.PRE),
        ("2026-11-20 09:30:00", Phase.RTH),
        ("2026-11-20 15:59:59", Phase.RTH),
        ("2026-11-20 16:00:00", Phase.POST),
        ("2026-11-20 19:59:59", Phase.POST),
        ("2026-11-20 20:00:00", Phase.CLOSED),
        ("2026-11-21 12:00:00", Phase.CLOSED),
        ("2026-11-22 12:00:00", Phase.CLOSED),
    ],
)
def test_a_common_day_has_its_four_edges(text: str, phase: Phase) -> None:
    assert calendar_spell(ny(text)).phase is phase


@pytest.mark.parametrize(
    ("day", "note"), [("2026-11-27", "Thanksgiving"), ("2026-12-24", "Christmas Eve"), ("2025-07-03", "Independence")]
)
def test_half_days_close_at_one_and_trade_on_until_five(day: str, note: str) -> None:
    assert calendar_spell(ny(f"{day} 12:59:59")).phase is Phase.RTH
    late = calendar_spell(ny(f"{day} 13:00:00"))
    assert late.phase is Phase.POST
    assert note in late.note
    assert calendar_spell(ny(f"{day} 16:59:59")).phase is Phase.POST
    assert calendar_spell(ny(f"{day} 17:00:00")).phase is Phase.CLOSED


HOLIDAYS = """
2020-01-01 2020-01-20 2020-02-17 2020-04-10 2020-05-25 2020-07-03 2020-09-07 2020-11-26 2020-12-25
2021-01-01 2021-01-18 2021-02-15 2021-04-02 2021-05-31 2021-07-05 2021-09-06 2021-11-25 2021-12-24
2022-01-17 2022-02-21 2022-04-15 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-11-24 2022-12-26
2023-01-02 2023-01-16 2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23 2023-12-25
2024-01-01 2024-01-15 2024-02-19 2024-03-29 2024-05-27 2024-06-19 2024-07-04 2024-09-02 2024-11-28 2024-12-25
2025-01-01 2025-01-09 2025-01-20 2025-02-17 2025-04-18 2025-05-26 2025-06-19 2025-07-04 2025-09-01 2025-11-27 2025-12-25
2026-01-01 2026-01-19 2026-02-16 2026-04-03 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-11-26 2026-12-25
2027-01-01 2027-01-18 2027-02-15 2027-03-26 2027-05-31 2027-06-18 2027-07-05 2027-09-06 2027-11-25 2027-12-24
"""
HALF_DAYS = """
2020-11-27 2020-12-24 2021-11-26 2022-11-25 2023-07-03 2023-11-24 2024-07-03 2024-11-29 2024-12-24
2025-07-03 2025-11-28 2025-12-24 2026-11-27 2026-12-24 2027-11-26
"""


def test_eight_years_of_days_without_trading_are_those_the_exchange_published() -> None:
    days = [date(2020, 1, 1) + timedelta(days=n) for n in range((date(2028, 1, 1) - date(2020, 1, 1)).days)]
    closed = {day.isoformat() for day in days if day.weekday() < 5 and trading_day(day) is None}
    assert closed == set(HOLIDAYS.split())
    half = {day.isoformat() for day in days if (found := trading_day(day)) is not None and found.half}
    assert half == set(HALF_DAYS.split())


def test_the_exchange_keeps_its_local_hours_when_clocks_change() -> None:
    before, after = trading_day(date(2026, 3, 6)), trading_day(date(2026, 3, 9))
    assert before is not None
    assert after is not None
    assert datetime.fromtimestamp(before.open_ns // NS_PER_S, UTC).hour == 14
    assert datetime.fromtimestamp(after.open_ns // NS_PER_S, UTC).hour == 13
    autumn = trading_day(date(2026, 11, 2))
    assert autumn is not None
    assert datetime.fromtimestamp(autumn.pre_ns // NS_PER_S, UTC).hour == 9


def test_a_weekend_over_a_change_of_clocks_is_one_closed_stretch() -> None:
    spell = calendar_spell(ny("2026-03-08 12:00"))
    assert (spell.start_ns, spell.end_ns) == (ny("2026-03-06 20:00"), ny("2026-03-09 04:00"))
    assert spell.note == "weekend"
    assert spell.basis is Basis.CALENDAR


def test_a_holiday_is_named() -> None:
    spell = calendar_spell(ny("2026-11-26 11:00"))
    assert spell.phase is Phase.CLOSED
    assert spell.note == "Thanksgiving Day"
    assert (spell.start_ns, spell.end_ns) == (ny("2026-11-25 20:00"), ny("2026-11-27 04:00"))


@given(st.integers(utc_ns(datetime(2020, 1, 1, tzinfo=UTC)), utc_ns(datetime(2027, 12, 30, tzinfo=UTC))))
def test_every_moment_lies_in_its_stretch_and_the_next_stretch_begins_where_it_ends(now_ns: int) -> None:
    spell = calendar_spell(now_ns)
    assert spell.holds(now_ns)
    following = calendar_spell(spell.end_ns)
    assert following.start_ns == spell.end_ns
    assert following.phase is not spell.phase
    assert calendar_spell(spell.start_ns) == spell or spell.phase is Phase.CLOSED


@given(
    st.lists(
        st.integers(utc_ns(datetime(2026, 2, 1, tzinfo=UTC)), utc_ns(datetime(2026, 12, 30, tzinfo=UTC))), max_size=30
    )
)
def test_many_moments_at_once_are_judged_like_each_alone(times: list[int]) -> None:
    found = phases(np.array(times, np.int64))
    assert found.tolist() == [calendar_spell(now_ns).phase for now_ns in times]


def test_days_before_and_from_skip_what_is_closed() -> None:
    assert trading_day_before(date(2026, 11, 27)).day == date(2026, 11, 25)
    assert trading_day_from(date(2026, 11, 26)).day == date(2026, 11, 27)
    assert date(2026, 11, 27) in half_days_of(2026)


def details(*, zone: str = "US/Eastern", night: bool = False, half: bool = False) -> ContractDetails:
    close, end = ("12:00", "15:00") if half else ("16:00", "20:00")
    trading = [Session(ny("2026-11-23 04:00"), ny(f"2026-11-23 {end}"))]
    trading.append(Session(ny("2026-11-24 04:00"), ny("2026-11-24 20:00")))
    if night:
        trading.append(Session(ny("2026-11-23 20:00"), ny("2026-11-24 03:50")))
    liquid = (
        Session(ny("2026-11-23 09:30"), ny(f"2026-11-23 {close}")),
        Session(ny("2026-11-24 09:30"), ny("2026-11-24 16:00")),
    )
    return ContractDetails(contract=AAPL, zone=zone, trading=tuple(trading), liquid=liquid)


def test_a_contracts_own_hours_go_before_the_calendar() -> None:
    hours = ContractHours(details(half=True))
    for text, phase in (
        ("2026-11-23 01:00", Phase.CLOSED),
        ("2026-11-23 04:00", Phase.PRE),
        ("2026-11-23 11:59", Phase.RTH),
        ("2026-11-23 12:00", Phase.POST),
        ("2026-11-23 15:00", Phase.CLOSED),
        ("2026-11-24 05:00", Phase.PRE),
        ("2026-11-24 19:59", Phase.POST),
    ):
        spell = hours.at(ny(text))
        assert (text, spell.phase, spell.basis) == (text, phase, Basis.CONTRACT)


def test_beyond_its_own_hours_the_calendar_speaks_for_a_contract() -> None:
    hours = ContractHours(details())
    assert hours.at(ny("2026-11-24 20:00")).basis is Basis.CALENDAR
    assert hours.at(ny("2026-11-27 13:30")).phase is Phase.POST
    early = hours.at(ny("2026-11-20 10:00"))
    assert (early.phase, early.basis) == (Phase.RTH, Basis.CALENDAR)


def test_the_night_before_a_contracts_first_session_ends_where_its_hours_begin() -> None:
    spell = ContractHours(details()).at(ny("2026-11-22 12:00"))
    assert (spell.phase, spell.basis) == (Phase.CLOSED, Basis.CALENDAR)
    assert spell.end_ns == ny("2026-11-23 00:00")


def test_overnight_trading_is_known_from_the_contract_only() -> None:
    hours = ContractHours(details(night=True))
    assert hours.at(ny("2026-11-23 22:00")).phase is Phase.OVERNIGHT
    assert hours.at(ny("2026-11-24 03:49")).phase is Phase.OVERNIGHT
    assert hours.at(ny("2026-11-24 03:55")).phase is Phase.CLOSED
    assert hours.at(ny("2026-11-24 04:00")).phase is Phase.PRE
    assert calendar_spell(ny("2026-11-23 22:00")).phase is Phase.CLOSED


def test_one_session_through_the_night_is_divided_by_the_clock() -> None:
    whole = ContractDetails(
        contract=AAPL,
        zone="US/Eastern",
        trading=(Session(ny("2026-11-22 20:00"), ny("2026-11-23 20:00")),),
        liquid=(Session(ny("2026-11-23 09:30"), ny("2026-11-23 16:00")),),
    )
    found = [(spell.phase, spell.start_ns) for spell in spells_of(whole)]
    assert found == [
        (Phase.OVERNIGHT, ny("2026-11-22 20:00")),
        (Phase.PRE, ny("2026-11-23 04:00")),
        (Phase.RTH, ny("2026-11-23 09:30")),
        (Phase.POST, ny("2026-11-23 16:00")),
    ]


def test_an_exchange_elsewhere_is_judged_by_its_own_regular_hours() -> None:
    def utc(text: str) -> int:
        return utc_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))

    xetra = ContractDetails(
        contract=AAPL,
        zone="Europe/Berlin",
        trading=(Session(utc("2026-11-23 06:30"), utc("2026-11-23 21:00")),),
        liquid=(Session(utc("2026-11-23 08:00"), utc("2026-11-23 16:30")),),
    )
    hours = ContractHours(xetra)
    assert hours.at(utc("2026-11-23 07:00")).phase is Phase.PRE
    assert hours.at(utc("2026-11-23 14:00")).phase is Phase.RTH
    assert hours.at(utc("2026-11-23 20:00")).phase is Phase.POST
    assert hours.at(utc("2026-11-22 23:30")).basis is Basis.CONTRACT


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Nowhere"])
def test_a_zone_that_does_not_exist_is_no_harm(zone: str) -> None:
    assert ContractHours(details(zone=zone)).at(ny("2026-11-23 10:00")).phase is Phase.RTH


def test_hours_that_are_not_listed_or_empty_leave_the_calendar() -> None:
    bare = ContractDetails(contract=AAPL, trading=(Session(5, 5),), liquid=(Session(9, 3),))
    assert spells_of(bare) == []
    assert ContractHours(None).at(ny("2026-11-23 10:00")).phase is Phase.RTH


MOMENTS = st.integers(ny("2026-11-20 00:00"), ny("2026-11-27 00:00"))


@given(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=5), st.lists(st.tuples(MOMENTS, MOMENTS), max_size=5), MOMENTS)
def test_any_listed_hours_give_stretches_without_holes_that_contain_the_moment(
    trading: list[tuple[int, int]], liquid: list[tuple[int, int]], now_ns: int
) -> None:
    listed = ContractDetails(
        contract=AAPL,
        zone="US/Eastern",
        trading=tuple(Session(*pair) for pair in trading),
        liquid=tuple(Session(*pair) for pair in liquid),
    )
    spells = spells_of(listed)
    assert all(one.end_ns == two.start_ns for one, two in pairwise(spells))
    assert ContractHours(listed).at(now_ns).holds(now_ns)
