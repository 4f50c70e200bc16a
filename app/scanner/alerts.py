"""Alert rules, and when they fire: what holds now, per subject, into firings.

A rule watches subjects (instruments, an indicator, feeds), each by itself. A subject fires when what the rule asks for
begins to hold; it is armed again when that has ceased, and fires again no sooner than the cooldown after its last
firing. A rule that repeats fires again after each cooldown while it holds. A rule that fires once is switched off by
its first firing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from app.domain.ids import Market

NS_PER_S: Final = 1_000_000_000
_MAX_SUBJECTS: Final = 5000


class AlertKind(StrEnum):
    """What a rule watches."""

    CONDITION = "condition"
    EVENT = "event"
    INDICATOR = "indicator"
    FEED = "feed"


class FeedTrouble(StrEnum):
    """What about a feed a rule waits for."""

    DOWN = "down"
    UP = "up"


class RuleError(ValueError):
    """A rule is not complete; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorTerm:
    """A depth indicator against a level.

    subject: a group or a pair; line: key of an indicator's line; above: fires at value > level, else at value < level.
    strict: only wholly known values count.
    """

    subject: str
    market: Market
    line: str
    above: bool
    level: float
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule. Which of condition, events, indicator and feed counts depends on `kind`.

    condition: a scanner condition; with EVENT it limits the instruments ("" for all). events: names of `EventKind`.
    feed: a feed's name or "" for any. cooldown_s and after_s (how long a feed must be down) in seconds.
    """

    id: str
    name: str
    kind: AlertKind
    condition: str = ""
    events: tuple[str, ...] = ()
    indicator: IndicatorTerm | None = None
    feed: str = ""
    trouble: FeedTrouble = FeedTrouble.DOWN
    after_s: float = 10.0
    enabled: bool = True
    once: bool = False
    repeat: bool = False
    cooldown_s: float = 300.0
    sound: bool = True
    notify: bool = True

    def check(self) -> None:
        """Raise RuleError when the rule lacks what its kind needs."""
        if not self.name.strip():
            raise RuleError("expected a name, was nothing")
        if self.kind is AlertKind.CONDITION and not self.condition.strip():
            raise RuleError("expected a condition such as spread_bp > 20, was nothing")
        if self.kind is AlertKind.EVENT and not self.events:
            raise RuleError("expected at least one event, were none")
        if self.kind is AlertKind.INDICATOR and self.indicator is None:
            raise RuleError("expected an indicator, was none")
        if not 0 <= self.cooldown_s <= 7 * 86_400:
            raise RuleError(f"expected a cooldown of 0 s to 7 days, was {self.cooldown_s:g} s")

    def to_json(self) -> dict[str, Any]:
        """Return the rule as plain data."""
        document: dict[str, Any] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("indicator", "events")
        }
        document["events"] = list(self.events)
        term = self.indicator
        document["indicator"] = (
            None if term is None else {name: getattr(term, name) for name in IndicatorTerm.__dataclass_fields__}
        )
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> AlertRule:
        """Return the rule of such data. Raises RuleError when it is none."""
        try:
            term = document.get("indicator")
            rule = cls(
                id=str(document["id"]),
                name=str(document["name"])[:120],
                kind=AlertKind(document["kind"]),
                condition=str(document.get("condition", ""))[:2000],
                events=tuple(str(word) for word in document.get("events", ())),
                indicator=None
                if term is None
                else IndicatorTerm(
                    subject=str(term["subject"]),
                    market=Market(term["market"]),
                    line=str(term["line"]),
                    above=term["above"] is True,
                    level=float(term["level"]),
                    strict=term.get("strict") is True,
                ),
                feed=str(document.get("feed", "")),
                trouble=FeedTrouble(document.get("trouble", "down")),
                after_s=float(document.get("after_s", 10.0)),
                enabled=document.get("enabled", True) is True,
                once=document.get("once") is True,
                repeat=document.get("repeat") is True,
                cooldown_s=float(document.get("cooldown_s", 300.0)),
                sound=document.get("sound", True) is True,
                notify=document.get("notify", True) is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RuleError(f"expected an alert rule, was something else ({error})") from None
        rule.check()
        return rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One alert: when (UTC ns), which rule, about what, in words."""

    ts_ns: int
    rule_id: str
    rule: str
    subject: str
    text: str
    sound: bool
    notify: bool


@dataclass(slots=True)
class _Memory:
    """What is remembered of a rule: subjects that hold, and when each fired last."""

    holding: set[str] = field(default_factory=set)
    fired_ns: dict[str, int] = field(default_factory=dict)


class AlertBook:
    """The rules and what they remember. `revision` moves with every change of a rule."""

    def __init__(self) -> None:
        self.rules: dict[str, AlertRule] = {}
        self.revision = 0
        self._memory: dict[str, _Memory] = {}

    def put(self, rule: AlertRule) -> None:
        """Add or replace a rule; a changed one starts anew. Raises RuleError."""
        rule.check()
        old = self.rules.get(rule.id)
        self.rules[rule.id] = rule
        if old is None or _what(old) != _what(rule):
            self._memory[rule.id] = _Memory()
        self.revision += 1

    def remove(self, rule_id: str) -> None:
        """Forget a rule."""
        self.rules.pop(rule_id, None)
        self._memory.pop(rule_id, None)
        self.revision += 1

    def enable(self, rule_id: str, on: bool) -> None:
        """Switch a rule on, armed for every subject, or off."""
        rule = self.rules[rule_id]
        if rule.enabled != on:
            self.rules[rule_id] = replace(rule, enabled=on)
            self._memory[rule_id] = _Memory()
            self.revision += 1

    def last_fired_ns(self, rule_id: str) -> int | None:
        """Return when the rule fired last, None for never since it was made."""
        memory = self._memory.get(rule_id)
        return max(memory.fired_ns.values(), default=None) if memory is not None else None

    def judge(self, rule_id: str, holding: Collection[str], now_ns: int) -> list[str]:
        """Take the subjects for which the rule holds now and return those that fire."""
        rule = self.rules[rule_id]
        if not rule.enabled:
            return []
        memory = self._memory[rule_id]
        fresh = set(holding) if rule.repeat else set(holding) - memory.holding
        memory.holding = set(holding)
        fired = [subject for subject in sorted(fresh) if self._may_fire(rule, memory, subject, now_ns)]
        if rule.once:
            fired = fired[:1]
        self._note(rule, memory, fired, now_ns)
        return fired

    def strike(self, rule_id: str, subjects: Collection[str], now_ns: int) -> list[str]:
        """Take subjects to which something happened (an event, which does not last) and return those that fire."""
        rule = self.rules[rule_id]
        if not rule.enabled:
            return []
        memory = self._memory[rule_id]
        fired = [subject for subject in dict.fromkeys(subjects) if self._may_fire(rule, memory, subject, now_ns)]
        if rule.once:
            fired = fired[:1]
        self._note(rule, memory, fired, now_ns)
        return fired

    @staticmethod
    def _may_fire(rule: AlertRule, memory: _Memory, subject: str, now_ns: int) -> bool:
        last = memory.fired_ns.get(subject)
        return last is None or now_ns - last >= rule.cooldown_s * NS_PER_S

    def _note(self, rule: AlertRule, memory: _Memory, fired: Collection[str], now_ns: int) -> None:
        for subject in fired:
            memory.fired_ns[subject] = now_ns
        if len(memory.fired_ns) > _MAX_SUBJECTS:
            for subject in sorted(memory.fired_ns, key=lambda name: memory.fired_ns[name])[: _MAX_SUBJECTS // 2]:
                del memory.fired_ns[subject]
        if fired and rule.once:
            self.rules[rule.id] = replace(rule, enabled=False)
            self.revision += 1

    # -- across restarts -----------------------------------------------------------------------------------------

    def to_json(self) -> list[dict[str, Any]]:
        """Return rules and what they remember as plain data."""
        return [
            {
                **rule.to_json(),
                "holding": sorted(self._memory[rule.id].holding),
                "fired_ns": dict(self._memory[rule.id].fired_ns),
            }
            for rule in self.rules.values()
        ]

    def load(self, documents: Collection[object]) -> list[str]:
        """Take rules from plain data; return sentences about those that could not be taken."""
        notes = []
        for document in documents:
            if not isinstance(document, dict):
                notes.append("an alert rule could not be read and was left out")
                continue
            try:
                rule = AlertRule.from_json(document)
            except RuleError as error:
                notes.append(f"an alert rule could not be read and was left out: {error}")
                continue
            self.rules[rule.id] = rule
            held, fired = document.get("holding"), document.get("fired_ns")
            self._memory[rule.id] = _Memory(
                {name for name in held if isinstance(name, str)} if isinstance(held, list) else set(),
                {str(k): v for k, v in fired.items() if isinstance(v, int)} if isinstance(fired, dict) else {},
            )
        self.revision += 1
        return notes


def _what(rule: AlertRule) -> tuple[object, ...]:
    """Return what a rule asks for; when it changes, what was remembered no longer means anything."""
    return rule.kind, rule.condition, rule.events, rule.indicator, rule.feed, rule.trouble, rule.enabled
