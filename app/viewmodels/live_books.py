"""Order books of the running engines as `BookView`s."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.books.keeper import BookState
from app.domain.clock import Clock
from app.domain.ids import Market
from app.domain.units import ASK, BID
from app.services.pipeline import MarketEngine
from app.viewmodels.sources import BookView


class LiveBooks:
    """`BookSource` over the engines of a run, live or replayed; `clock` gives the time of that run."""

    def __init__(self, engines: Mapping[Market, MarketEngine], clock: Clock) -> None:
        self._engines = engines
        self._clock = clock

    def symbols(self, market: Market) -> Sequence[str]:
        """Return the market's symbols, most important first."""
        engine = self._engines.get(market)
        return () if engine is None else engine.symbols

    def book_revision(self, market: Market, symbol: str) -> int:
        """Return a number that moves whenever the view of that book may have changed."""
        found = self._find(market, symbol)
        return -1 if found is None else found[0].revisions[found[1]]

    def watch_book(self, market: Market, symbol: str) -> None:
        """Sample this symbol every 50 ms while it is on screen."""
        found = self._find(market, symbol)
        if found is not None:
            found[0].watch(found[1])

    def unwatch_book(self, market: Market, symbol: str) -> None:
        """Undo one `watch_book`."""
        found = self._find(market, symbol)
        if found is not None:
            found[0].unwatch(found[1])

    def book(self, market: Market, symbol: str, levels: int) -> BookView | None:
        """Return the book with at most `levels` rows per side, or None for an unknown symbol."""
        found = self._find(market, symbol)
        if found is None:
            return None
        engine, index = found
        row, table = engine.rows[index], engine.table
        sync = row.sync
        live = sync.state is BookState.LIVE and row.streaming
        hidden = sync.state is BookState.WAITING
        state, reason = _words(engine, index)
        none = (np.empty(0), np.empty(0), np.empty(0, np.int64))
        bids, asks = (none, none) if hidden else (sync.levels(BID, levels), sync.levels(ASK, levels))
        one = slice(index, index + 1)
        counters = sync.counters
        return BookView(
            market=market,
            symbol=symbol,
            state=state,
            reason=reason,
            live=live,
            price=(bids[0], asks[0]),
            qty=(bids[1], asks[1]),
            since=(bids[2], asks[2]),
            best=table.best[index].copy(),
            known_to_pct=table.known_to_pct[index].copy(),
            usd=table.usd[index].copy(),
            coins=table.coins[index].copy(),
            threshold=table.threshold(one)[0],
            unconfirmed=table.unconfirmed(one)[0],
            coverage=table.coverage[index].copy(),
            tick_size=engine.instruments[index].tick_size,
            last_update_id=sync.last_id,
            sampled_ns=int(table.sampled_ns[index]),
            age_ns=None if not row.last_input_ns else max(0, self._clock.wall_ns() - row.last_input_ns),
            event_ns=row.painted_event_ns,
            bucket_pct=table.bucket_pct[index].copy(),
            counters={
                "applied": counters.applied,
                "gaps": counters.gaps,
                "resyncs": counters.resyncs,
                "dropped": counters.dropped,
                "crossed": counters.crossed,
                "snapshots": counters.snapshots,
                "refused snapshots": counters.refused_snapshots,
                "quotes checked": counters.checked,
                "quotes contradicted": counters.contradicted,
            },
        )

    def _find(self, market: Market, symbol: str) -> tuple[MarketEngine, int] | None:
        engine = self._engines.get(market)
        index = None if engine is None else engine.index_of(symbol)
        return None if engine is None or index is None else (engine, index)


def _words(engine: MarketEngine, index: int) -> tuple[str, str]:
    """Return the state of a book as a word and, when it is not live, a sentence."""
    row = engine.rows[index]
    state = row.sync.state
    if state is BookState.POLLED:
        return "polled", "No stream: the book is read by REST now and then and is as old as its last snapshot."
    if state is BookState.LIVE:
        if not row.streaming:
            return "replayed", ""
        for side in (BID, ASK):
            if not math.isnan(engine.table.best[index, side]):
                return "live", ""
        return "empty", "The venue lists no order at all."
    if not row.streaming:
        return "no stream", "The stream is down; the book is shown again after it is back and a snapshot is loaded."
    return "waiting for snapshot", "Updates arrive; the book is shown when a snapshot is loaded."
