"""Alert rules: arming, cooldown, once and again, and what is remembered over a restart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.scanner.alerts import AlertBook, AlertKind, AlertRule, IndicatorTerm, RuleError

S = 1_000_000_000


def rule(**changes: object) -> AlertRule:
    base = AlertRule(id="r", name="wide", kind=AlertKind.CONDITION, condition="spread_bp > 20", cooldown_s=60.0)
    return replace(base, **changes)


def book_of(*rules: AlertRule) -> AlertBook:
    book = AlertBook()
    for each in rules:
        book.put(each)
    return book


def test_a_rule_fires_when_it_begins_to_hold_and_is_armed_again_when_it_ceases() -> None:
    book = book_of(rule())
    assert book.judge("r", ["A"], 0) == ["A"]
    assert book.judge("r", ["A"], 1 * S) == []
    assert book.judge("r", ["A"], 100 * S) == [], "it still holds"
    assert book.judge("r", [], 101 * S) == []
    assert book.judge("r", ["A"], 102 * S) == ["A"]


def test_no_subject_fires_again_within_its_cooldown_but_others_do() -> None:
    book = book_of(rule())
    assert book.judge("r", ["A"], 0) == ["A"]
    book.judge("r", [], 1 * S)
    assert book.judge("r", ["A", "B"], 2 * S) == ["B"]
    book.judge("r", [], 59 * S)
    assert book.judge("r", ["A"], 60 * S) == ["A"]


def test_a_rule_that_repeats_fires_after_each_cooldown_while_it_holds() -> None:
    book = book_of(rule(repeat=True))
    fired = [t for t in range(0, 200, 10) if book.judge("r", ["A"], t * S)]
    assert fired == [0, 60, 120, 180]


def test_a_rule_that_fires_once_is_off_afterwards_and_can_be_armed_anew() -> None:
    book = book_of(rule(once=True))
    assert book.judge("r", ["A", "B"], 0) == ["A"]
    assert not book.rules["r"].enabled
    assert book.judge("r", ["C"], 100 * S) == []
    book.enable("r", True)
    assert book.judge("r", ["C"], 101 * S) == ["C"]


def test_events_strike_without_lasting() -> None:
    book = book_of(rule(kind=AlertKind.EVENT, events=("GAP",)))
    assert book.strike("r", ["A", "A", "B"], 0) == ["A", "B"]
    assert book.strike("r", ["A"], 10 * S) == []
    assert book.strike("r", ["A"], 60 * S) == ["A"]


def test_rules_and_what_they_remember_survive_a_restart() -> None:
    term = IndicatorTerm(
        subject="TOTAL", market=Market.BYBIT_LINEAR, line="delta:5", above=False, level=0.8, strict=True
    )
    book = book_of(rule(), rule(id="i", kind=AlertKind.INDICATOR, indicator=term), rule(id="f", kind=AlertKind.FEED))
    book.judge("r", ["A"], 5 * S)
    again = AlertBook()
    assert again.load(json.loads(json.dumps(book.to_json()))) == []
    assert again.rules == book.rules
    assert again.judge("r", ["A"], 500 * S) == [], "what held before the restart is not news"
    assert again.last_fired_ns("r") == 5 * S
    again.judge("r", [], 501 * S)
    assert again.judge("r", ["A"], 502 * S) == ["A"]


def test_a_changed_rule_starts_anew_but_a_new_name_changes_nothing() -> None:
    book = book_of(rule())
    book.judge("r", ["A"], 0)
    book.put(rule(name="other name"))
    assert book.judge("r", ["A"], 1 * S) == []
    book.put(rule(condition="spread_bp > 30"))
    assert book.judge("r", ["A"], 2 * S) == ["A"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"condition": ""},
        {"kind": AlertKind.EVENT},
        {"kind": AlertKind.INDICATOR},
        {"cooldown_s": -1.0},
        {"cooldown_s": float("nan")},
    ],
)
def test_a_rule_that_lacks_something_is_refused_with_a_sentence(changes: dict[str, object]) -> None:
    with pytest.raises(RuleError, match="expected"):
        AlertBook().put(rule(**changes))


@pytest.mark.parametrize("document", [None, 3, {}, {"id": "x"}, {"id": "x", "name": "n", "kind": "none"}])
def test_one_damaged_rule_never_loses_the_others(document: object) -> None:
    book = AlertBook()
    notes = book.load([document, rule().to_json()])
    assert len(notes) == 1
    assert list(book.rules) == ["r"]


@given(st.lists(st.tuples(st.integers(1, 90), st.sets(st.sampled_from("ABC"))), max_size=60))
def test_a_subject_never_fires_twice_within_the_cooldown_nor_while_it_holds(
    steps: list[tuple[int, set[str]]],
) -> None:
    book = book_of(rule())
    now, before, fired_at = 0, set[str](), dict[str, int]()
    for pause, holding in steps:
        now += pause
        for subject in book.judge("r", holding, now * S):
            assert subject in holding
            assert subject not in before
            assert now - fired_at.get(subject, -1000) >= 60
            fired_at[subject] = now
        before = holding
