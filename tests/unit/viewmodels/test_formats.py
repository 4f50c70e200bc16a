"""Numbers as text: units, ticks, ages, and the signs that say how well a number is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.coverage import Coverage, Known
from app.domain.units import NS_PER_S
from app.viewmodels import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.25e6, "1.25 M"),
        (41.2e6, "41.2 M"),
        (999_600, "1.00 M"),
        (999_499, "999 K"),
        (999.6, "1.00 K"),
        (0, "0"),
        (12, "12.0"),
        (0.0125, "0.0125"),
        (-3.5e9, "-3.50 B"),
        (2e12, "2.00 T"),
        (None, "—"),
        (math.nan, "—"),
        (math.inf, "—"),
    ],
)
def test_volumes_have_three_digits_and_a_unit(value: float | None, text: str) -> None:
    assert formats.volume(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_number_ever_reads_nan_or_inf(value: float) -> None:
    texts = [
        formats.volume(value),
        formats.price(value, "0.01"),
        formats.price(value),
        formats.percent(value),
        formats.ratio(value),
        formats.signed(value),
        formats.milliseconds(value),
        formats.full(value),
        formats.known_text(value, Known.PARTIAL),
    ]
    assert not any(word in text.lower() for text in texts for word in ("nan", "inf"))


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_a_volume_reads_back_within_half_a_percent(value: float) -> None:
    text = formats.volume(value)
    number, _, unit = text.partition(" ")
    factor = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[unit]
    assert float(number) * factor == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("tick", "text"), [("0.01", "64,213.50"), ("0.10", "64,213.5"), ("1", "64,214"), ("1e-3", "64,213.500")]
)
def test_prices_follow_their_tick(tick: str, text: str) -> None:
    assert formats.price(64213.5, tick) == text


def test_a_price_without_a_usable_tick_keeps_about_six_digits() -> None:
    assert formats.price(64213.5) == "64,213.50"
    assert formats.price(0.00001732, "rubbish") == "0.000017320"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (42, "42 s"), (192, "3 m 12 s"), (11_520, "3 h 12 m"), (187_200, "2 d 4 h"), (9.96, "10 s")],
)
def test_ages_use_at_most_two_units(seconds: float, text: str) -> None:
    assert formats.age(round(seconds * NS_PER_S)) == text


def test_an_age_of_nothing_is_never() -> None:
    assert formats.age(None) == "never"


@pytest.mark.parametrize(
    ("known", "unconfirmed", "text"),
    [
        (Coverage.PARTIAL, 0.0, "≥ 41.2 M"),
        (Coverage.PARTIAL, 0.3, "≈ 41.2 M"),
        (Coverage.EXACT, 0.0, "41.2 M"),
        (Coverage.NONE, 0.0, "—"),
        (Known.FLOOR, 0.0, "≥ 41.2 M"),
        (Known.FLOOR, 0.1, "≈ 41.2 M"),
        (Known.PARTIAL, 0.0, "≈ 41.2 M"),
        (Known.EXACT, 0.0, "41.2 M"),
        (Known.MISSING, 0.0, "—"),
    ],
)
def test_a_number_says_how_well_it_is_known(known: Known | Coverage, unconfirmed: float, text: str) -> None:
    assert formats.known_text(41.2e6, known, unconfirmed) == text


def test_pending_is_an_ellipsis_and_unknown_a_dash() -> None:
    assert formats.known_text(None, Coverage.NONE, pending=True) == "…"
    assert formats.known_text(math.nan, Known.EXACT) == "—"
    assert formats.known_text(0.8437, Known.PARTIAL, formatter=formats.ratio) == "≈ 0.84"


@pytest.mark.parametrize(
    ("side", "value", "text"),
    [
        ("bid", 3.8, "bid known to 3.8 %"),
        ("bid", 100.0, "bid wholly known"),
        ("ask", math.inf, "ask wholly known"),
        ("ask", 120.0, "ask known to 120 %"),
        ("ask", math.nan, "ask not known yet"),
    ],
)
def test_reach_in_words(side: str, value: float, text: str) -> None:
    assert formats.known_to(side, value) == text
