"""The scanner of a run: news of every market in; the board, events and the choice of instruments to stream closely out.

Everything is synchronous and goes by the times it is given, so that a replay finds the same events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

from app.domain.ids import Market
from app.domain.market import Liquidation, TickerUpdate
from app.domain.units import NS_PER_S
from app.scanner.baselines import FloatArray, IntArray, widened
from app.scanner.board import Board
from app.scanner.budget import HotBudget, Signals
from app.scanner.detectors import Detectors
from app.scanner.events import EventKind, ScanEvent
from app.scanner.thresholds import Thresholds
from app.settings.store import Settings

EVENTS_KEPT: Final = 2000
_RECENT: Final = 20_000
_BUDGET_NS: Final = NS_PER_S

OnEvent = Callable[[ScanEvent], None]
OnHot = Callable[[Market, frozenset[str]], None]


class Scanning:
    """Owns board, detectors and budget.

    events: the newest events, oldest first; events_revision counts all there ever were. on_event is called with
    each; on_hot with the instruments of a market that shall have streams of their own.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        thresholds: Thresholds | None = None,
        on_event: OnEvent = lambda _event: None,
        on_hot: OnHot = lambda _market, _symbols: None,
    ) -> None:
        """Prepare. settings: `scanner.*` (None: the defaults); thresholds: instead of those in the settings."""
        known = settings or Settings()
        self.board = Board()
        self.detectors = Detectors(thresholds or Thresholds.of(known))
        self.budget = HotBudget(stay_s=known.number("scanner.hot_stay"), stale_s=self.detectors.thresholds.stale_s)
        self.events: deque[ScanEvent] = deque(maxlen=EVENTS_KEPT)
        self.events_revision = 0
        self.on_event = on_event
        self.on_hot = on_hot
        self._badges_ns = round(known.number("scanner.badges") * NS_PER_S)
        self._recent: deque[tuple[int, int, EventKind]] = deque(maxlen=_RECENT)
        """Time, row and kind of events that still count as recent."""
        self._event_ns: IntArray = np.zeros(self.board.capacity, np.int64)
        self._badges: dict[int, tuple[EventKind, ...]] = {}
        self._on_screen: frozenset[int] = frozenset()
        self._watched: frozenset[int] = frozenset()
        self._next_budget_ns = 0

    # -- what it is told -----------------------------------------------------------------------------------------

    def on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        """Take figures of instruments."""
        self.board.apply(market, updates, recv_ns)

    def on_liquidations(self, market: Market, recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        """Take positions closed by force."""
        self.board.apply_liquidations(market, liquidations, recv_ns)

    def set_depth(
        self, market: Market, symbols: Sequence[str], delta: FloatArray, best: FloatArray | None = None
    ) -> None:
        """Take what books say: delta float64 [k] (bids over asks in USD), best float64 [k, 2]; NaN unknown."""
        unknown = np.full((len(symbols), 2), np.nan)
        self.board.set_books(market, symbols, unknown if best is None else best, delta)

    def set_on_screen(self, rows: Collection[int]) -> None:
        """Tell which rows of the board somebody looks at."""
        self._on_screen = frozenset(rows)

    @property
    def on_screen(self) -> frozenset[int]:
        """Return the rows of the board somebody looks at."""
        return self._on_screen

    @property
    def watched(self) -> frozenset[int]:
        """Return the rows of the board alerts are about."""
        return self._watched

    def set_watched(self, rows: Collection[int]) -> None:
        """Tell which rows of the board alerts are about."""
        self._watched = frozenset(rows)

    # -- time goes on --------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> list[ScanEvent]:
        """Work out everything as of now (UTC ns), about five times a second; return what fired."""
        board = self.board
        board.refresh(now_ns)
        events = self.detectors.advance(board, now_ns)
        self._note(events, now_ns)
        self.events.extend(events)
        self.events_revision += len(events)
        for event in events:
            self.on_event(event)
        if now_ns >= self._next_budget_ns:
            self._next_budget_ns = now_ns + _BUDGET_NS
            for market, symbols in self.budget.advance(board, self._signals(), now_ns).items():
                self.on_hot(market, symbols)
        return events

    def badges(self, row: int) -> tuple[EventKind, ...]:
        """Return the kinds of recent events of a row, the newest first, each once."""
        return self._badges.get(row, ())

    def _note(self, events: Sequence[ScanEvent], now_ns: int) -> None:
        """Keep the count of recent events of each row."""
        board, recent = self.board, self._recent
        if board.capacity > self._event_ns.size:
            self._event_ns = widened(self._event_ns, board.capacity, 0)
        changed = bool(events)
        for event in events:
            row = board.row(event.market, event.symbol)
            self._event_ns[row] = event.ts_ns
            recent.append((event.ts_ns, row, event.kind))
        while recent and now_ns - recent[0][0] > self._badges_ns:
            recent.popleft()
            changed = True
        if changed:
            kinds: dict[int, list[EventKind]] = {}
            for _, row, kind in reversed(recent):
                kinds.setdefault(row, []).append(kind)
            self._badges = {row: tuple(dict.fromkeys(found)) for row, found in kinds.items()}
            board.set_events({row: len(found) for row, found in kinds.items()})

    def _signals(self) -> Signals:
        n = self.board.count
        on_screen, watched = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        on_screen[[row for row in self._on_screen if row < n]] = True
        watched[[row for row in self._watched if row < n]] = True
        return Signals(event_ns=self._event_ns[:n], on_screen=on_screen, watched=watched)
