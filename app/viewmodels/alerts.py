"""Alert rules and their history as a screen shows them, and the choices that an editor of rules offers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.domain.ids import Market
from app.indicators.formulas import Indicator, lines_of
from app.indicators.groups import GROUPS, Subject
from app.scanner.alerts import AlertKind, AlertRule, FeedTrouble, Firing, IndicatorTerm, RuleError
from app.scanner.board import Board
from app.scanner.conditions import ConditionError, parse
from app.scanner.events import EventKind
from app.services.alerting import Alerting
from app.viewmodels import formats


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """One rule in the list: what it asks for in words, how it stands, and why it cannot be judged ("": it can)."""

    rule: AlertRule
    what: str
    state: str
    last_ns: int | None
    fault: str


class AlertsModel:
    """The alerts panel's state. `markets` and `pairs` are what indicators can be about, `feeds` the names of feeds."""

    def __init__(
        self,
        alerting: Alerting,
        board: Board,
        *,
        markets: Callable[[], Sequence[Market]],
        pairs: Callable[[], Sequence[str]],
        feeds: Callable[[], Sequence[str]],
    ) -> None:
        self._alerting = alerting
        self._board = board
        self.markets = markets
        self.pairs = pairs
        self.feeds = feeds
        self._filter = ""

    @property
    def revision(self) -> tuple[int, int, str]:
        """Return a value that moves with rules, history and filter."""
        return self._alerting.book.revision, self._alerting.history_revision, self._filter

    # -- rules ---------------------------------------------------------------------------------------------------

    def rules(self) -> list[RuleLine]:
        """Return every rule in the order they were made."""
        book = self._alerting.book
        lines = []
        for rule in book.rules.values():
            last_ns = book.last_fired_ns(rule.id)
            fault = self._alerting.fault_of(rule.id) if rule.enabled else ""
            spent = not rule.enabled and rule.once and last_ns is not None
            state = "cannot be judged" if fault else "armed" if rule.enabled else "fired, off" if spent else "off"
            lines.append(RuleLine(rule=rule, what=rule_words(rule), state=state, last_ns=last_ns, fault=fault))
        return lines

    def new_rule(self, kind: AlertKind = AlertKind.CONDITION, condition: str = "") -> AlertRule:
        """Return a fresh rule to be edited; it is not in the list yet."""
        return AlertRule(id=uuid.uuid4().hex[:12], name="", kind=kind, condition=condition)

    def put(self, rule: AlertRule) -> str:
        """Add or replace a rule; return why it cannot be taken, "" when it was."""
        named = rule if rule.name.strip() else replace(rule, name=rule_words(rule)[:60])
        try:
            self._alerting.put(named)
        except (RuleError, ConditionError) as error:
            return str(error)
        return ""

    def remove(self, rule_id: str) -> None:
        """Delete a rule; its history stays."""
        self._alerting.book.remove(rule_id)

    def enable(self, rule_id: str, on: bool) -> None:
        """Switch a rule on or off."""
        self._alerting.book.enable(rule_id, on)

    def preview(self, condition: str) -> tuple[str, bool]:
        """Return what a condition means now in words, and whether it can be used."""
        if not condition.strip():
            return "Write a condition, for example  change_24h > 5 and spread_bp < 10", False
        try:
            mask = parse(condition).mask(self._board)
        except ConditionError as error:
            return str(error), False
        rows = np.flatnonzero(mask).tolist()
        names = ", ".join(f"{self._board.symbols[row]} {self._board.markets[row].label}" for row in rows[:3])
        more = f": {names}{', …' if len(rows) > 3 else ''}" if rows else ""
        return f"holds for {len(rows)} of {self._board.count} instruments now{more}", True

    # -- choices -------------------------------------------------------------------------------------------------

    def subjects(self) -> list[str]:
        """Return groups and coins an indicator can be about."""
        return [group.value for group in GROUPS] + list(self.pairs())

    def lines(self, subject: str) -> list[tuple[str, str]]:
        """Return (key, words) of every line that is defined for a subject."""
        group = Subject.parse(subject).is_group if subject.strip() else True
        found = []
        for indicator in Indicator:
            if group or indicator.for_coins:
                found += [(line.key, f"{indicator.heading} {line.label}") for line in lines_of(indicator, group=group)]
        return found

    # -- history -------------------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Show only firings that contain the text."""
        self._filter = text.strip()

    def history(self) -> list[Firing]:
        """Return the firings, newest first."""
        wanted = self._filter.lower()
        return [
            firing
            for firing in reversed(self._alerting.history)
            if not wanted or wanted in f"{firing.rule} {firing.text}".lower()
        ]


def rule_words(rule: AlertRule) -> str:
    """Return what a rule asks for as a phrase."""
    if rule.kind is AlertKind.CONDITION:
        return rule.condition.strip() or "a condition"
    if rule.kind is AlertKind.EVENT:
        names = ", ".join(event_words(name) for name in rule.events) or "an event"
        return f"{names} where {rule.condition.strip()}" if rule.condition.strip() else names
    if rule.kind is AlertKind.INDICATOR:
        return _term_words(rule.indicator)
    what = "is back" if rule.trouble is FeedTrouble.UP else f"is down for {rule.after_s:g} s"
    return f"{rule.feed or 'any feed'} {what}"


def _term_words(term: IndicatorTerm | None) -> str:
    if term is None:
        return "an indicator"
    sign = ">" if term.above else "<"
    known = ", exact only" if term.strict else ""
    level = formats.volume(term.level) if abs(term.level) >= 1000 else f"{term.level:g}"
    return f"{term.line} of {term.subject} {term.market.label} {sign} {level}{known}"


def event_words(name: str) -> str:
    """Return an event kind's name for people: VOLUME_SPIKE -> volume spike."""
    return name.replace("_", " ").lower()


def event_names() -> list[str]:
    """Return the names of all event kinds."""
    return [kind.name for kind in EventKind]
