"""Alerts of a run: rules judged a few times a second, firings bundled into notifications, everything kept on disk.

One burst is one notification: firings are collected for a moment, and two notifications are some seconds apart. The
history holds every firing by itself.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from app.domain.coverage import Known
from app.domain.health import FeedHealth, LinkState
from app.domain.ids import Market
from app.domain.units import NS_PER_S
from app.scanner.alerts import AlertBook, AlertKind, AlertRule, FeedTrouble, Firing, IndicatorTerm
from app.scanner.board import Board
from app.scanner.conditions import Condition, ConditionError, parse
from app.scanner.events import ScanEvent
from app.settings.files import set_aside, write_atomic

_log = logging.getLogger("fathom.alerts")

VERSION: Final = 1
HISTORY: Final = 1000
_JUDGE_NS: Final = NS_PER_S // 4
_COLLECT_NS: Final = NS_PER_S
_APART_NS: Final = 5 * NS_PER_S
_SAVE_NS: Final = 2 * NS_PER_S
_NAMED: Final = 3
_ALERTED: Final = 50
_WORDS: Final = {Known.PARTIAL: "≈", Known.FLOOR: ">= ", Known.EXACT: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What is shown to the person at once: one firing, or the sum of a burst."""

    title: str
    text: str
    count: int
    sound: bool
    notify: bool


class IndicatorReader(Protocol):
    """Gives an indicator's newest value."""

    def __call__(self, term: IndicatorTerm) -> tuple[float, Known] | None:
        """Return value and how well it is known, None when the term names nothing that is measured."""
        ...


class Alerting:
    """Judges rules over a board, scan events, indicators and feeds. Everything is synchronous; times are UTC ns."""

    def __init__(
        self,
        board: Board,
        path: Path,
        *,
        indicator: IndicatorReader,
        feeds: Callable[[], Sequence[FeedHealth]],
        deliver: Callable[[Notification], None],
    ) -> None:
        self.book = AlertBook()
        self.history: deque[Firing] = deque(maxlen=HISTORY)
        self.history_revision = 0
        self.notes: list[str] = []
        self.alerted_rows: deque[int] = deque(maxlen=_ALERTED)
        """Rows of the board for which conditions fired last: somebody is interested in them."""
        self.suppressed = 0
        """Firings that reached the person only as a part of a burst."""
        self._board = board
        self._path = path
        self._indicator = indicator
        self._feeds = feeds
        self._deliver = deliver
        self._conditions: dict[str, tuple[str, Condition | None]] = {}
        self._faults: dict[str, str] = {}
        self._down_since: dict[str, int] = {}
        self._seen_down: set[str] = set()
        self._pending: list[Firing] = []
        self._pending_since_ns = 0
        self._notified_ns = -_APART_NS
        self._next_judge_ns = 0
        self._saved: tuple[int, int] = (0, 0)
        self._next_save_ns = 0

    # -- rules ---------------------------------------------------------------------------------------------------

    def put(self, rule: AlertRule) -> None:
        """Add or replace a rule. Raises RuleError, and ConditionError for a condition that cannot be read."""
        if rule.condition.strip():
            parse(rule.condition)
        self.book.put(rule)

    def fault_of(self, rule_id: str) -> str:
        """Return why a rule cannot be judged, "" when it can."""
        return self._faults.get(rule_id, "")

    # -- judging -------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Judge what lasts, and hand over the notification that is due."""
        if now_ns >= self._next_judge_ns:
            self._next_judge_ns = now_ns + _JUDGE_NS
            for rule in tuple(self.book.rules.values()):
                if rule.enabled:
                    self._judge(rule, now_ns)
        self._flush(now_ns)

    def on_scan_events(self, events: Sequence[ScanEvent], now_ns: int) -> None:
        """Judge the rules that wait for events."""
        for rule in tuple(self.book.rules.values()):
            if rule.enabled and rule.kind is AlertKind.EVENT:
                chosen = {
                    _name(event.market, event.symbol): event for event in events if event.kind.name in rule.events
                }
                if chosen and rule.condition.strip():
                    limits = self._condition(rule)
                    if limits is None:
                        continue
                    mask = limits.mask(self._board)
                    chosen = {name: event for name, event in chosen.items() if self._holds(mask, event)}
                for subject in self.book.strike(rule.id, tuple(chosen), now_ns):
                    self._fire(rule, subject, f"{subject}: {chosen[subject].text}", now_ns)

    def _holds(self, mask: np.typing.NDArray[np.bool_], event: ScanEvent) -> bool:
        row = self._board.find(event.market, event.symbol)
        return row is not None and row < mask.size and bool(mask[row])

    def _judge(self, rule: AlertRule, now_ns: int) -> None:
        if rule.kind is AlertKind.CONDITION:
            self._judge_condition(rule, now_ns)
        elif rule.kind is AlertKind.INDICATOR and rule.indicator is not None:
            self._judge_indicator(rule, rule.indicator, now_ns)
        elif rule.kind is AlertKind.FEED:
            self._judge_feeds(rule, now_ns)

    def _judge_condition(self, rule: AlertRule, now_ns: int) -> None:
        condition = self._condition(rule)
        if condition is None:
            return
        board = self._board
        rows = np.flatnonzero(condition.mask(board)).tolist()
        row_of = {_name(board.markets[row], board.symbols[row]): row for row in rows}
        for subject in self.book.judge(rule.id, row_of, now_ns):
            self.alerted_rows.append(row_of[subject])
            figures = ", ".join(
                f"{key} {_number(value)}" for key, value in condition.figures(board, row_of[subject]).items()
            )
            self._fire(rule, subject, f"{subject}: {rule.condition.strip()} ({figures})", now_ns)

    def _condition(self, rule: AlertRule) -> Condition | None:
        held = self._conditions.get(rule.id)
        if held is None or held[0] != rule.condition:
            try:
                held = (rule.condition, parse(rule.condition))
                self._faults.pop(rule.id, None)
            except ConditionError as error:
                held = (rule.condition, None)
                self._faults[rule.id] = str(error)
            self._conditions[rule.id] = held
        return held[1]

    def _judge_indicator(self, rule: AlertRule, term: IndicatorTerm, now_ns: int) -> None:
        found = self._indicator(term)
        if found is None:
            self._faults[rule.id] = f"{term.subject} is not measured on {term.market.full_name}"
            self.book.judge(rule.id, (), now_ns)
            return
        self._faults.pop(rule.id, None)
        value, known = found
        subject = f"{term.subject} {term.market.label}"
        holds = _proves(term, value, known)
        for _ in self.book.judge(rule.id, (subject,) if holds else (), now_ns):
            word, sign = _WORDS.get(known, ""), ">" if term.above else "<"
            text = (
                f"{subject} {term.line} is {word}{_number(value)}, {sign} {_number(term.level)} ({known.name.lower()})"
            )
            self._fire(rule, subject, text, now_ns)

    def _judge_feeds(self, rule: AlertRule, now_ns: int) -> None:
        holding: dict[str, str] = {}
        for health in self._feeds():
            name = str(health.feed)
            up = health.state in (LinkState.LIVE, LinkState.SYNCING)
            if not up:
                self._seen_down.add(name)
            since_ns = self._down_since.setdefault(name, now_ns)
            if up:
                self._down_since[name] = now_ns
            if rule.feed and rule.feed != name:
                continue
            if rule.trouble is FeedTrouble.UP:
                if up and name in self._seen_down:
                    holding[name] = f"{health.feed.market.full_name} is {health.state.value}"
            elif not up and now_ns - since_ns >= rule.after_s * NS_PER_S:
                seconds = (now_ns - since_ns) / NS_PER_S
                holding[name] = f"{health.feed.market.full_name} has been {health.state.value} for {seconds:.0f} s"
        for subject in self.book.judge(rule.id, holding, now_ns):
            self._fire(rule, subject, holding[subject], now_ns)

    # -- telling -------------------------------------------------------------------------------------------------

    def _fire(self, rule: AlertRule, subject: str, text: str, now_ns: int) -> None:
        firing = Firing(
            ts_ns=now_ns,
            rule_id=rule.id,
            rule=rule.name,
            subject=subject,
            text=text,
            sound=rule.sound,
            notify=rule.notify,
        )
        self.history.append(firing)
        self.history_revision += 1
        if not self._pending:
            self._pending_since_ns = now_ns
        if len(self._pending) < HISTORY:
            self._pending.append(firing)

    def _flush(self, now_ns: int) -> None:
        due_ns = max(self._pending_since_ns + _COLLECT_NS, self._notified_ns + _APART_NS)
        if not self._pending or now_ns < due_ns:
            return
        firings, self._pending = self._pending, []
        self._notified_ns = now_ns
        self.suppressed += len(firings) - 1
        self._deliver(bundle(firings))

    # -- on disk -------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Take rules and history of the last run; a damaged file is set aside and said in `notes`."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(document, dict) or document.get("version") != VERSION:
                raise ValueError("expected a version 1 document")
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            aside = set_aside(self._path)
            where = f"; it was kept as {aside.name}" if aside is not None else ""
            self.notes.append(f"The alerts of the last run could not be read ({error}){where}.")
            return
        self.notes += self.book.load(document.get("rules") or ())
        for row in document.get("history") or ():
            firing = _firing_of(row)
            if firing is not None:
                self.history.append(firing)
        self._saved = self._state()

    def document(self) -> bytes:
        """Return rules and history as the bytes of a file."""
        return json.dumps(
            {"version": VERSION, "rules": self.book.to_json(), "history": [asdict(firing) for firing in self.history]}
        ).encode()

    def due_to_save(self, now_ns: int) -> bool:
        """Tell whether something is not on disk yet and the last writing is a while ago."""
        return self._state() != self._saved and now_ns >= self._next_save_ns

    def save(self, now_ns: int) -> Callable[[], None]:
        """Return the work of writing the file as it is now; it may be done in another thread."""
        self._next_save_ns = now_ns + _SAVE_NS
        state, data = self._state(), self.document()

        def write() -> None:
            try:
                write_atomic(self._path, data)
            except OSError as error:
                _log.warning("the alerts could not be saved: %s", error.strerror or error)
                self._next_save_ns = now_ns + 30 * NS_PER_S
            else:
                self._saved = state

        return write

    def _state(self) -> tuple[int, int]:
        return self.book.revision, self.history_revision


def bundle(firings: Sequence[Firing]) -> Notification:
    """Return the one notification of a burst."""
    first = firings[0]
    sound, notify = any(each.sound for each in firings), any(each.notify for each in firings)
    if len(firings) == 1:
        return Notification(title=first.rule, text=first.text, count=1, sound=sound, notify=notify)
    named = [each.text for each in firings[:_NAMED]]
    if len(firings) > _NAMED:
        named.append(f"and {len(firings) - _NAMED} more")
    rules = list(dict.fromkeys(each.rule for each in firings))
    title = f"{len(firings)} alerts: {rules[0]}" + (f" and {len(rules) - 1} other rules" if len(rules) > 1 else "")
    return Notification(title=title, text="\n".join(named), count=len(firings), sound=sound, notify=notify)


def _proves(term: IndicatorTerm, value: float, known: Known) -> bool:
    """Tell whether a value as well known as this satisfies the term; a floor proves only that more is there."""
    if known is Known.MISSING or value != value or (term.strict and known is not Known.EXACT):
        return False
    if known is Known.FLOOR and not term.above:
        return False
    return value > term.level if term.above else value < term.level


def _firing_of(row: Any) -> Firing | None:
    try:
        return Firing(
            ts_ns=int(row["ts_ns"]),
            rule_id=str(row["rule_id"]),
            rule=str(row["rule"]),
            subject=str(row["subject"]),
            text=str(row["text"]),
            sound=row["sound"] is True,
            notify=row["notify"] is True,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _name(market: Market, symbol: str) -> str:
    return f"{symbol} {market.label}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:.6g}"
