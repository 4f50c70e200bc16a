"""Which instruments get streams of their own: a bounded number of places per market, given by score.

Places go to what is looked at, what alerts watch, what something happened to, what trades and moves most. Pinned
instruments always have one. An instrument keeps its place for a while and against those that are hardly better; it
loses it when nothing is heard of it any more. Every change is kept with its time and reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import NS_PER_S
from app.scanner.baselines import BoolArray, FloatArray, IntArray
from app.scanner.board import MARKETS, Board
from app.scanner.words import span

ON_SCREEN: Final = 3.0
EVENT: Final = 2.0
WATCHED: Final = 2.0
TURNOVER: Final = 1.0
CHANGE: Final = 0.5
"""The most that each reason adds to a score."""
_EVENT_FADES_S: Final = 600.0
_FULL_CHANGE_PCT: Final = 20.0
_MARGIN: Final = 0.25
"""How much better an instrument must be than the one whose place it takes."""
_LOG: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known of rows besides the board, each [count]: UTC ns of the newest event (0: none), and who looks."""

    event_ns: IntArray
    on_screen: BoolArray
    watched: BoolArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One change: when (UTC ns), which instrument, whether it got or lost its place, why, and its score then."""

    ts_ns: int
    market: Market
    symbol: str
    got: bool
    reason: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The places of one market. waiting: pinned instruments for which there is none."""

    market: Market
    used: int
    capacity: int
    pinned: int
    waiting: int


class HotBudget:
    """The places of all markets. `revision` moves with every change, `lost` counts instruments that lost theirs."""

    def __init__(self, *, stay_s: float = 60.0, stale_s: float = 60.0) -> None:
        self.log: deque[Turn] = deque(maxlen=_LOG)
        self.revision = 0
        self.lost = 0
        self._stay_ns = round(stay_s * NS_PER_S)
        self._stale_s = stale_s
        self._capacity = dict.fromkeys(MARKETS, 0)
        self._covered: dict[Market, frozenset[str]] = dict.fromkeys(MARKETS, frozenset())
        self._pins: dict[Market, dict[str, None]] = {market: {} for market in MARKETS}
        self._held: dict[Market, dict[str, int]] = {market: {} for market in MARKETS}
        """By market and symbol: since when (UTC ns)."""

    # -- what it is told -----------------------------------------------------------------------------------------

    def set_capacity(self, market: Market, places: int) -> None:
        """Tell how many places a market has."""
        self._capacity[market] = max(0, places)

    def set_covered(self, market: Market, symbols: Collection[str]) -> None:
        """Tell which instruments have full streams anyway, because their books are kept: they need no place."""
        self._covered[market] = frozenset(symbols)

    def pin(self, market: Market, symbol: str) -> None:
        """Always give this instrument a place."""
        self._pins[market].setdefault(symbol)
        self.revision += 1

    def unpin(self, market: Market, symbol: str) -> None:
        """Let this instrument compete with the others."""
        self._pins[market].pop(symbol, None)
        self.revision += 1

    # -- what it tells -------------------------------------------------------------------------------------------

    def is_pinned(self, market: Market, symbol: str) -> bool:
        """Tell whether an instrument is pinned."""
        return symbol in self._pins[market]

    def hot(self, market: Market) -> frozenset[str]:
        """Return the instruments that have a place."""
        return frozenset(self._held[market])

    def usage(self, market: Market) -> Usage:
        """Return how the places of a market are used."""
        held, pins = self._held[market], self._pins[market]
        pinned = sum(symbol in held for symbol in pins)
        waiting = sum(symbol not in held and symbol not in self._covered[market] for symbol in pins)
        return Usage(market=market, used=len(held), capacity=self._capacity[market], pinned=pinned, waiting=waiting)

    # -- time goes on --------------------------------------------------------------------------------------------

    def advance(self, board: Board, signals: Signals, now_ns: int) -> dict[Market, frozenset[str]]:
        """Give and take places as of now (UTC ns); return the markets whose hot instruments changed."""
        n = board.count
        age_s = np.where(board.updated_ns[:n] > 0, (now_ns - board.updated_ns[:n]) / NS_PER_S, np.inf)
        changed = {}
        for code, market in enumerate(MARKETS):
            if not self._capacity[market] and not self._held[market]:
                continue
            rows = np.flatnonzero(board.market_codes[:n] == code)
            before = self.hot(market)
            _Round(self, market, board, signals, rows, age_s, now_ns).run()
            if self.hot(market) != before:
                changed[market] = self.hot(market)
                self.revision += 1
        return changed


class _Round:
    """One round of one market."""

    def __init__(
        self,
        budget: HotBudget,
        market: Market,
        board: Board,
        signals: Signals,
        rows: IntArray,
        age_s: FloatArray,
        now_ns: int,
    ) -> None:
        self._budget = budget
        self._market = market
        self._board = board
        self._signals = signals
        self._now_ns = now_ns
        self._age_s = age_s
        self._rows = rows
        self._held = budget._held[market]
        self._pins = budget._pins[market]
        self._covered = budget._covered[market]
        self._capacity = budget._capacity[market]
        self._entitled = [symbol for symbol in self._pins if symbol not in self._covered][: self._capacity]
        """Pins in the order they were made, as many as there are places."""
        scores = score(board, signals, rows, now_ns)
        self._score = {board.symbols[row]: float(value) for row, value in zip(rows.tolist(), scores, strict=True)}
        fresh = age_s[rows] <= budget._stale_s
        self._is_silent = not fresh.any()  # the feed is away, which says nothing about its instruments
        best = rows[np.argsort(-scores, kind="stable")]
        self._candidates = [
            board.symbols[row]
            for row in best.tolist()
            if age_s[row] <= budget._stale_s and board.symbols[row] not in self._covered
        ]

    def run(self) -> None:
        """Take places from what should not have them, give them to pins, fill what is free, swap what is worse."""
        self._drop()
        for symbol in self._entitled:
            if symbol not in self._held:
                self._make_room(symbol)
                self._give(symbol, "pinned")
        outsiders = iter([symbol for symbol in self._candidates if symbol not in self._held])
        for symbol in outsiders:
            if len(self._held) < self._capacity:
                self._give(symbol, self._why(symbol))
            elif not self._swap(symbol):
                break

    def _drop(self) -> None:
        for symbol in tuple(self._held):
            row = self._board.find(self._market, symbol)
            age_s = float(self._age_s[row]) if row is not None else float("inf")
            if symbol in self._covered:
                self._take(symbol, "its book is kept now")
            elif age_s > self._budget._stale_s and symbol not in self._pins and not self._is_silent:
                self._take(symbol, f"nothing heard for {span(age_s)}" if row is not None else "nothing heard")
        while len(self._held) > self._capacity:
            self._take(self._least(), f"only {self._capacity} places")

    def _make_room(self, symbol: str) -> None:
        while len(self._held) >= self._capacity:
            self._take(self._least(), f"{symbol} was pinned")

    def _least(self) -> str:
        """Return who gives way first: the lowest score, pins after others, and of pins those that came too late."""
        free = [held for held in self._held if held not in self._pins]
        late = [held for held in self._held if held not in self._entitled]
        return min(free or late or self._held, key=self._rank)

    def _swap(self, symbol: str) -> bool:
        """Give a symbol the place of the worst one that may lose its own; False when it is not much better."""
        stay_ns = self._budget._stay_ns
        free = [
            held
            for held, since_ns in self._held.items()
            if held not in self._pins and self._now_ns - since_ns >= stay_ns
        ]
        if not free:
            return False
        worst = min(free, key=self._rank)
        if self._score[symbol] <= self._rank(worst)[0] + _MARGIN:
            return False
        self._take(worst, f"{symbol} scores {self._score[symbol]:.2f}, it {self._rank(worst)[0]:.2f}")
        self._give(symbol, self._why(symbol))
        return True

    def _rank(self, symbol: str) -> tuple[float, str]:
        return self._score.get(symbol, 0.0), symbol

    def _give(self, symbol: str, reason: str) -> None:
        self._held[symbol] = self._now_ns
        self._note(symbol, True, reason)

    def _take(self, symbol: str, reason: str) -> None:
        del self._held[symbol]
        self._budget.lost += 1
        self._note(symbol, False, reason)

    def _note(self, symbol: str, got: bool, reason: str) -> None:
        score = self._rank(symbol)[0]
        self._budget.log.append(
            Turn(ts_ns=self._now_ns, market=self._market, symbol=symbol, got=got, reason=reason, score=score)
        )

    def _why(self, symbol: str) -> str:
        row = self._board.find(self._market, symbol)
        assert row is not None
        if self._signals.on_screen[row]:
            return "on screen"
        if self._signals.watched[row]:
            return "an alert watches it"
        event_ns = int(self._signals.event_ns[row])
        if event_ns and self._now_ns - event_ns <= _EVENT_FADES_S * NS_PER_S:
            return f"an event {span((self._now_ns - event_ns) / NS_PER_S)} ago"
        return f"turnover and change, score {self._score[symbol]:.2f}"


def score(board: Board, signals: Signals, rows: IntArray, now_ns: int) -> FloatArray:
    """Return how much each of these rows (of one market) deserves a place: float64 [rows], 0 and more."""
    volume = np.nan_to_num(board.values[Field.VOLUME, rows], nan=-1.0)
    place = np.empty(rows.size)
    place[np.argsort(volume, kind="stable")] = np.arange(1, rows.size + 1)
    turnover = np.where(volume > 0.0, place / max(1, rows.size), 0.0)
    change = np.minimum(np.abs(np.nan_to_num(board.values[Field.CHANGE_PCT, rows])), _FULL_CHANGE_PCT)
    event_ns = signals.event_ns[rows]
    since_s = np.maximum(now_ns - event_ns, 0) / NS_PER_S
    event = np.where(event_ns > 0, np.exp(-since_s / _EVENT_FADES_S), 0.0)
    total: FloatArray = (
        TURNOVER * turnover
        + CHANGE * change / _FULL_CHANGE_PCT
        + EVENT * event
        + ON_SCREEN * signals.on_screen[rows]
        + WATCHED * signals.watched[rows]
    )
    return total
