"""What watches the market beside the screens: the scanner's board with its detectors, and the alerts.

News comes from the engines as it arrives; five times a second books are copied to the board, detectors and alerts look.
The same inputs at the same times give the same events, so a replay scans as the live run did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from app.domain.clock import Clock
from app.domain.coverage import Coverage, Known
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.market import Liquidation, TickerUpdate
from app.domain.units import ASK, BID, NS_PER_S, depth_index
from app.indicators.formulas import LINE_BY_KEY, evaluate
from app.indicators.groups import GROUPS, Subject
from app.scanner.alerts import IndicatorTerm
from app.scanner.events import ScanEvent
from app.services.alerting import Alerting, Notification
from app.services.now import coin_now, group_now
from app.services.pipeline import MarketEngine
from app.services.scanning import Scanning
from app.settings.store import Settings

STEP_NS: Final = NS_PER_S // 5


class Watch:
    """Scanner and alerts of one run. Everything but `run` is synchronous; times are UTC ns."""

    def __init__(
        self,
        settings: Settings,
        engines: Mapping[Market, MarketEngine],
        feeds: Callable[[], Sequence[FeedHealth]],
        alerts_file: Path,
        *,
        deliver: Callable[[Notification], None] = lambda _notification: None,
        on_hot: Callable[[Market, frozenset[str]], None] = lambda _market, _symbols: None,
        on_notice: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._engines = engines
        self._on_notice = on_notice
        self._band = depth_index(settings.number("scanner.depth"))
        self.scanning = Scanning(settings, on_event=self._on_scan_event, on_hot=on_hot)
        self.alerting = Alerting(
            self.scanning.board, alerts_file, indicator=self.indicator, feeds=feeds, deliver=deliver
        )
        self._rows = {
            (market, instrument.pair): index
            for market, engine in engines.items()
            for index, instrument in enumerate(engine.instruments)
        }
        self._found: list[ScanEvent] = []
        self._next_ns = 0
        self._alerts_seen = 0

    # -- input ---------------------------------------------------------------------------------------------------

    def on_news(self, market: Market, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        """Take what is new about instruments."""
        self.scanning.on_news(market, recv_ns, updates)

    def on_liquidations(self, market: Market, recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        """Take positions closed by force."""
        self.scanning.on_liquidations(market, recv_ns, liquidations)

    @property
    def band(self) -> int:
        """Return the band of the board's Delta."""
        return self._band

    def set_band(self, band: int) -> None:
        """Show Delta of another depth on the board."""
        self._band = band

    # -- looking -------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Look at everything when a fifth of a second has passed."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns - now_ns % STEP_NS + STEP_NS
        for market, engine in self._engines.items():
            self._copy_books(market, engine)
        self.scanning.advance(now_ns)
        if self._found:
            found, self._found = self._found, []
            self.alerting.on_scan_events(found, now_ns)
        self.alerting.advance(now_ns)
        if self._alerts_seen != self.alerting.history_revision:
            self._alerts_seen = self.alerting.history_revision
            self.scanning.set_watched(set(self.alerting.alerted_rows))

    def _copy_books(self, market: Market, engine: MarketEngine) -> None:
        """Put best prices and Delta of the books on the board; a Delta that rests on a floor is shown all the same."""
        if not engine.symbols:
            return
        table = engine.table
        usd, coverage = table.usd[:, :, self._band], table.coverage[:, :, self._band]
        bid, ask = usd[:, BID], usd[:, ASK]
        known = (coverage != Coverage.NONE).all(axis=1) & (ask > 0)
        delta = np.full(bid.size, np.nan)
        np.divide(bid, ask, out=delta, where=known)
        self.scanning.set_depth(market, engine.symbols, delta, table.best)

    def _on_scan_event(self, event: ScanEvent) -> None:
        self._found.append(event)

    def indicator(self, term: IndicatorTerm) -> tuple[float, Known] | None:
        """Return an indicator's newest value and how well it is known, None when nothing of that name is measured."""
        engine, line = self._engines.get(term.market), LINE_BY_KEY.get(term.line)
        if engine is None or line is None or not term.subject.strip():
            return None
        subject = Subject.parse(term.subject)
        if subject.group is not None:
            window = group_now(engine, GROUPS.index(subject.group))
        else:
            index = self._rows.get((term.market, str(subject.pair)))
            if index is None:
                return None
            window = coin_now(engine, index)
        if not len(window):
            return float("nan"), Known.MISSING
        curve = evaluate(line, window)
        return float(curve.values[-1]), Known(int(curve.known[-1]))

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self, clock: Clock) -> None:
        """Look five times a second until cancelled; keep rules and history on disk."""
        await asyncio.to_thread(self.alerting.load)
        for sentence in self.alerting.notes:
            self._on_notice(sentence)
        writing: asyncio.Future[None] | None = None
        try:
            while True:
                await asyncio.sleep(STEP_NS / NS_PER_S)
                now_ns = clock.wall_ns()
                self.advance(now_ns)
                if self.alerting.due_to_save(now_ns):
                    writing = asyncio.ensure_future(asyncio.to_thread(self.alerting.save(now_ns)))
                    await asyncio.shield(writing)
        finally:
            if writing is not None:
                await writing  # a thread goes on when its task ends; two writers would spoil the file
            now_ns = clock.wall_ns()
            if self.alerting.due_to_save(now_ns + 60 * NS_PER_S):
                self.alerting.save(now_ns)()
