"""One market's engine: frames and snapshots in; books, samples, groups, ticks and minutes out.

The engine is synchronous and knows no loop, socket or clock: every input carries its receive time, and `advance` moves
time on. Samples lie on a fixed grid of 50 ms: the sample at grid time T shows the books as of every input received
before T, because an input stamped T or later first advances the grid. A replay of the same inputs therefore gives the
same samples and minutes as the live run did.

Each symbol is sampled once per interval (200 ms by default) at its own phase of the grid, so that the work is spread;
what is on screen (single symbols, or all of them while a group is drawn) is sampled at every grid point as well, when
it has changed, without entering ticks or minutes a second time. A single symbol on screen does not even wait for the
grid when its last measurement is old enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.books.depth import DepthTable
from app.books.keeper import BookState, Keeper
from app.domain.coverage import Coverage
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth
from app.domain.ids import FeedId, Market
from app.domain.instruments import Instrument
from app.domain.market import Liquidation, TickerUpdate
from app.domain.units import ASK, BID, NS_PER_MS, NS_PER_S
from app.indicators.aggregate import GroupDepth, aggregate
from app.indicators.groups import membership
from app.services.minutes import MinuteMeans
from app.storage.rows import GroupTick, MinuteBlock, TickBatch
from app.storage.ticks import TickSink
from app.venues.feed import Desk, Intake, Urgency

GRID_NS: Final = 50 * NS_PER_MS
_MAX_CATCH_UP_NS: Final = 5 * NS_PER_S
_CROSSED_STRIKES: Final = 3
_FAST_PAUSE_NS: Final = 40 * NS_PER_MS
_CHECK_PAUSE_NS: Final = 2 * NS_PER_S
"""Looking at the top merges what is queued: every two seconds finds a wrong book as surely as every time."""
_HOUSEKEEPING_NS: Final = NS_PER_S
_REFRESH_PAUSE_NS: Final = 30 * NS_PER_S
_DEEPEN_PAUSE_NS: Final = 120 * NS_PER_S
_EXPIRE_EVERY_NS: Final = 60 * NS_PER_S


@dataclass(slots=True, kw_only=True)
class EngineOutputs:
    """Where an engine's results go; all calls are synchronous. on_watched: a book on screen was measured anew."""

    ticks: Sequence[TickSink] = ()
    on_minute: Callable[[MinuteBlock], None] = lambda _block: None
    on_event: Callable[[FeedEvent], None] = lambda _event: None
    ask_snapshot: Callable[[str, Urgency], None] = lambda _symbol, _urgency: None
    on_watched: Callable[[], None] = lambda: None
    on_news: Callable[[Market, int, Sequence[TickerUpdate]], None] = lambda _market, _recv_ns, _updates: None
    on_liquidations: Callable[[Market, int, Sequence[Liquidation]], None] = lambda _market, _recv_ns, _all: None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """sample_ms: tick interval, a multiple of 50. unconfirmed_hours: age at which unconfirmed levels are dropped."""

    sample_ms: int = 200
    unconfirmed_hours: float = 24.0


@dataclass(slots=True)
class _Row:
    """What the engine keeps beside each book."""

    symbol: str
    sync: Keeper
    dirty: bool = False
    streaming: bool = False
    strikes: int = 0
    quote_id: int = -1
    quote_bid: float = float("nan")
    quote_ask: float = float("nan")
    event_ns: int = 0
    """Event time of the first input since the last sample (0: none)."""
    painted_event_ns: int | None = None
    """The same for what the newest sample took in."""
    last_input_ns: int = 0
    asked_ns: int = 0
    fast_ns: int = 0
    """From when a change of a book on screen is measured at once."""
    check_ns: int = 0
    """From when the book's top may be held against a quote again."""
    exact_bands: list[int] = field(default_factory=lambda: [0, 0])
    """Most bands per side that were EXACT since the last snapshot."""
    reach_pct: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """How far each side was known right after the last snapshot."""


class MarketEngine:
    """Books and measurements of one market: `FeedSink` of its session, `Desk` of its intake. All times are UTC ns."""

    def __init__(
        self,
        feed: FeedId,
        instruments: Sequence[Instrument],
        options: EngineOptions,
        outputs: EngineOutputs,
        health: FeedHealth,
        make_intake: Callable[[Desk], Intake],
    ) -> None:
        self.feed = feed
        self.market: Market = feed.market
        self.instruments = tuple(instruments)
        self.symbols = tuple(instrument.symbol for instrument in instruments)
        self.outputs = outputs
        self.health = health
        self._intake = make_intake(self)
        self.rows = [_Row(instrument.symbol, self._intake.open_book(instrument)) for instrument in instruments]
        self._row_of = {symbol: row for row, symbol in enumerate(self.symbols)}
        self.table = DepthTable(len(self.rows))
        self._regular = DepthTable(len(self.rows))
        """The same as of regular samples only: what ticks and minutes of groups rest on, whatever is on screen."""
        self.members = membership([instrument.base for instrument in instruments])
        self.groups: GroupDepth | None = None
        self.groups_ns = 0
        self.groups_event_ns = 0
        self.grid_ns = 0
        self.revision = 0
        self.revisions = [0] * len(self.rows)
        self._interval_ns = max(GRID_NS, options.sample_ms * NS_PER_MS // GRID_NS * GRID_NS)
        self._phases = self._interval_ns // GRID_NS
        self._rows_of_phase = [
            np.arange(phase, len(self.rows), self._phases, dtype=np.int64) for phase in range(self._phases)
        ]
        self._expire_ns = int(options.unconfirmed_hours * 3600 * NS_PER_S)
        self._watched: dict[int, int] = {}
        self.groups_watched = 0
        self._minutes = MinuteMeans(self.market, self.symbols)
        self._next_keep_ns = 0
        self._next_expire_ns = 0
        health.books_total = len(self.rows)

    # -- time ----------------------------------------------------------------------------------------------------

    def begin(self, now_ns: int) -> None:
        """Start the sampling grid."""
        self.grid_ns = now_ns - now_ns % GRID_NS + GRID_NS

    def advance(self, now_ns: int) -> None:
        """Take every sample that is due at or before `now_ns`; a hole of seconds was not observed and is left out."""
        if now_ns - self.grid_ns > _MAX_CATCH_UP_NS:
            self.skip(now_ns)
        while self.grid_ns <= now_ns:
            self._sample(self.grid_ns)
            self.grid_ns += GRID_NS

    def skip(self, now_ns: int) -> None:
        """Leave out the grid until `now_ns`: the program slept. The minutes touched by the hole are partial."""
        self.grid_ns = max(self.grid_ns, now_ns - now_ns % GRID_NS + GRID_NS)
        self._minutes.mark_hole()

    def finish(self, now_ns: int) -> None:
        """Take what is due and hand over the running minute, marked partial."""
        self.advance(now_ns)
        block = self._minutes.finish()
        if block is not None:
            self.outputs.on_minute(block)

    # -- input (FeedSink) ----------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: bytes, line: str = "") -> None:
        """Take one WebSocket frame. Raises BadFrameError for a frame that is not as documented."""
        if recv_ns >= self.grid_ns:
            self.advance(recv_ns)
        self._intake.on_frame(recv_ns, raw, line)

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Note that a depth request leaves."""
        self._intake.on_rest_asked(recv_ns, path)

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that a depth request brought nothing."""
        self._intake.on_rest_failed(recv_ns, path, reason)

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool = False) -> None:
        """Take an answer that carries market data."""
        if recv_ns >= self.grid_ns:
            self.advance(recv_ns)
        self._intake.on_rest(recv_ns, path, raw, polled=polled)

    def on_streams(self, recv_ns: int, symbols: tuple[str, ...], *, up: bool, line: str = "") -> None:
        """Note that book streams begin or are lost; a lost stream leaves its books unread."""
        if recv_ns >= self.grid_ns:
            self.advance(recv_ns)
        for symbol in symbols:
            index = self._row_of.get(symbol)
            if index is not None:
                row = self.rows[index]
                row.streaming = self._intake.on_streams(index, recv_ns, up=up, line=line)
                row.dirty = True

    def on_event(self, event: FeedEvent) -> None:
        """Pass a rare fact on."""
        self.outputs.on_event(event)

    # -- what the intake tells (Desk) ----------------------------------------------------------------------------

    def on_applied(self, index: int, recv_ns: int, event_ns: int) -> None:
        """Note that an update changed a book; one on screen is measured at once when its measurement is old."""
        row = self.rows[index]
        row.last_input_ns = recv_ns
        self.health.applied += 1
        row.dirty = True
        if not row.event_ns:
            row.event_ns = event_ns
        if index in self._watched and recv_ns >= row.fast_ns:
            row.fast_ns = recv_ns + _FAST_PAUSE_NS
            self._measure(index, recv_ns, regular=False)
            self.outputs.on_watched()
        if row.quote_id >= 0 and row.sync.last_id == row.quote_id and recv_ns >= row.check_ns:
            self._check_top(index, recv_ns)

    def on_heard(self, index: int, recv_ns: int) -> None:
        """Note that something came for a book which did not change it."""
        self.rows[index].last_input_ns = recv_ns

    def on_gap(self, index: int, recv_ns: int, text: str) -> None:
        """Count a gap, say it, and ask for a snapshot."""
        row = self.rows[index]
        row.last_input_ns = recv_ns
        row.dirty = True
        self.health.gaps += 1
        self._event(recv_ns, FeedEventKind.GAP_DETECTED, row.symbol, text)
        self._ask(index, Urgency.RESYNC, recv_ns)

    def on_loaded(self, index: int, recv_ns: int, text: str) -> None:
        """Note that a snapshot is in the book."""
        row = self.rows[index]
        self._renew(row)
        row.exact_bands = [0, 0]
        row.reach_pct = [0.0, 0.0]
        self.health.snapshots_loaded += 1
        self._event(recv_ns, FeedEventKind.SNAPSHOT_LOADED, row.symbol, text)

    def on_polled(self, index: int) -> None:
        """Note that a snapshot which stands in for streams is in the book."""
        row = self.rows[index]
        self._renew(row)
        row.exact_bands = [0, 0]
        row.reach_pct = [0.0, 0.0]

    def on_refused(self, index: int, recv_ns: int, text: str, *, again: bool) -> None:
        """Say that a snapshot could not be used, and perhaps ask for another."""
        row = self.rows[index]
        self._renew(row)
        self._event(recv_ns, FeedEventKind.UPDATE_FAILED, row.symbol, text)
        if again:
            self._ask(index, Urgency.RESYNC, recv_ns)

    @staticmethod
    def _renew(row: _Row) -> None:
        row.dirty = True
        row.strikes = 0

    def on_quote(self, index: int, recv_ns: int, update_id: int, bid: float, ask: float) -> None:
        """Keep the venue's quote, and hold the book's top against it when the book stands at its update."""
        row = self.rows[index]
        row.quote_id, row.quote_bid, row.quote_ask = update_id, bid, ask
        row.last_input_ns = recv_ns
        if update_id == row.sync.last_id and recv_ns >= row.check_ns:
            self._check_top(index, recv_ns)

    def _check_top(self, index: int, recv_ns: int) -> None:
        """Hold the book's top against the venue's quote of the same update id."""
        row = self.rows[index]
        sync = row.sync
        if sync.state is not BookState.LIVE:
            return
        sync.counters.checked += 1
        row.check_ns = recv_ns + _CHECK_PAUSE_NS
        bid, ask = sync.best()
        if _same(bid, row.quote_bid) and _same(ask, row.quote_ask):
            return
        sync.counters.contradicted += 1
        text = (
            f"the book's top {bid:g} / {ask:g} contradicts the venue's quote "
            f"{row.quote_bid:g} / {row.quote_ask:g} at update {row.quote_id}; the book is being loaded again"
        )
        self._invalidate(index, recv_ns, text)

    def on_news(self, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        """Pass on what is new about instruments."""
        self.outputs.on_news(self.market, recv_ns, updates)

    def on_liquidations(self, recv_ns: int, liquidations: Sequence[Liquidation]) -> None:
        """Pass on positions closed by force."""
        self.outputs.on_liquidations(self.market, recv_ns, liquidations)

    def on_notice(self, recv_ns: int, symbol: str | None, text: str) -> None:
        """Pass on a rare fact."""
        self._event(recv_ns, FeedEventKind.NOTICE, symbol, text)

    # -- sampling ------------------------------------------------------------------------------------------------

    def _sample(self, ts_ns: int) -> None:
        phase = (ts_ns // GRID_NS) % self._phases
        regular = self._rows_of_phase[phase]
        block = self._minutes.roll(ts_ns // NS_PER_MS)
        if block is not None:
            self.outputs.on_minute(block)
        fast = range(len(self.rows)) if self.groups_watched else tuple(self._watched)
        if self.groups_watched:
            self.groups_event_ns = self._mean_event()
        readable = [index for index in regular.tolist() if self._measure(index, ts_ns, regular=True)]
        self._regular.take(regular, self.table)
        for index in fast:
            if self.rows[index].dirty:
                self._measure(index, ts_ns, regular=False)
        if readable:
            self._put(np.array(readable, np.int64), ts_ns)
        if phase == 0:
            depth = self._aggregate(self._regular, ts_ns)
            self._minutes.add_groups(depth)
            tick = GroupTick(ts_ms=ts_ns // NS_PER_MS, market=self.market, depth=depth)
            for ticks in self.outputs.ticks:
                ticks.put_groups(tick)
        if self.groups_watched:
            self._aggregate(self.table, ts_ns)
        self.revision += 1
        if ts_ns >= self._next_keep_ns:
            self._next_keep_ns = ts_ns + _HOUSEKEEPING_NS
            self._housekeeping(ts_ns)

    def _mean_event(self) -> int:
        """Return the mean event time of what this sample takes in, 0 when nothing is new."""
        times = [row.event_ns for row in self.rows if row.event_ns]
        return sum(times) // len(times) if times else 0

    def _measure(self, index: int, ts_ns: int, *, regular: bool) -> bool:
        """Bring one row of the table up to `ts_ns`; tell whether it may be read."""
        row, table = self.rows[index], self.table
        sync = row.sync
        if sync.state is BookState.WAITING:
            if row.dirty:
                row.dirty = False
                row.event_ns = 0
                table.clear_row(index, ts_ns)
                self.revisions[index] += 1
            return False
        if not row.dirty:
            table.sampled_ns[index] = ts_ns
            return bool(table.coverage[index, BID, 0] != Coverage.NONE)
        row.dirty = False
        sync.measure(table, index, ts_ns)
        self.revisions[index] += 1
        bid, ask = table.best[index].tolist()
        if bid > ask:
            # Levels are dropped at regular samples only, so that a replay which nobody watches repeats the run.
            if regular and not sync.crossed():  # levels that proven prices refute are gone now
                sync.measure(table, index, ts_ns)
            else:
                self._on_crossed(index, ts_ns, regular=regular)
                return False
        if regular:
            row.strikes = 0
        row.painted_event_ns = row.event_ns or None
        row.event_ns = 0
        return True

    def _on_crossed(self, index: int, ts_ns: int, *, regular: bool) -> None:
        """Hide a crossed book; when it stays crossed over some regular samples load it again."""
        row = self.rows[index]
        row.strikes += regular
        row.sync.counters.crossed += 1
        self.health.crossed += 1
        self.table.clear_row(index, ts_ns)
        row.dirty = True
        if row.strikes >= _CROSSED_STRIKES:
            row.strikes = 0
            text = "best bid above best ask; the book is being loaded again"
            self._invalidate(index, ts_ns, text)

    def _invalidate(self, index: int, now_ns: int, text: str) -> None:
        row = self.rows[index]
        row.sync.invalidate(now_ns)
        row.dirty = True
        self._event(now_ns, FeedEventKind.UPDATE_FAILED, row.symbol, text)
        self._ask(index, Urgency.RESYNC, now_ns)

    def _put(self, rows: np.typing.NDArray[np.int64], ts_ns: int) -> None:
        table = self.table
        self._minutes.add(rows, table)
        if not self.outputs.ticks:
            return
        batch = TickBatch(
            ts_ms=ts_ns // NS_PER_MS,
            market=self.market,
            rows=rows,
            symbols=tuple(self.symbols[index] for index in rows.tolist()),
            best=table.best[rows],
            usd=table.usd[rows],
            coins=table.coins[rows],
            coverage=table.coverage[rows],
            unconfirmed=table.unconfirmed(rows),
            last_update_id=table.last_id[rows],
        )
        for ticks in self.outputs.ticks:
            ticks.put(batch)

    def _aggregate(self, table: DepthTable, ts_ns: int) -> GroupDepth:
        mid = table.best.mean(axis=1)
        self.groups = aggregate(self.members, table.usd, table.coverage, table.loose, mid)
        self.groups_ns = ts_ns
        return self.groups

    # -- upkeep --------------------------------------------------------------------------------------------------

    def _housekeeping(self, now_ns: int) -> None:
        """Each second: count primed books, ask for snapshots where bands stopped being exact, expire old levels."""
        self.health.books_primed = sum(row.sync.state is not BookState.WAITING for row in self.rows)
        exact = (self.table.coverage == Coverage.EXACT).sum(axis=2).tolist()
        known = self.table.known_to_pct.tolist()
        for index, row in enumerate(self.rows):
            if row.sync.state is BookState.LIVE:
                self._refresh_if_worn(index, row, exact[index], known[index], now_ns)
        if now_ns >= self._next_expire_ns:
            self._next_expire_ns = now_ns + _EXPIRE_EVERY_NS
            for row in self.rows:
                if row.sync.expire(now_ns - self._expire_ns):
                    row.dirty = True

    def _refresh_if_worn(self, index: int, row: _Row, exact: list[int], known: list[float], now_ns: int) -> None:
        age = now_ns - max(row.sync.loaded_ns, row.asked_ns)
        if age < _REFRESH_PAUSE_NS:
            if age >= 0:
                row.exact_bands = [max(a, b) for a, b in zip(row.exact_bands, exact, strict=True)]
                row.reach_pct = [max(a, b) if b == b else a for a, b in zip(row.reach_pct, known, strict=True)]
            return
        lost = any(exact[side] < row.exact_bands[side] for side in (BID, ASK))
        top_unproven = any(known[side] == 0.0 for side in (BID, ASK))
        worn = age >= _DEEPEN_PAUSE_NS and any(
            known[side] < 0.5 * row.reach_pct[side] for side in (BID, ASK) if known[side] == known[side]
        )
        if top_unproven:
            self._ask(index, Urgency.RESYNC, now_ns)
        elif lost or worn:
            self._ask(index, Urgency.REFRESH, now_ns)

    def _ask(self, index: int, urgency: Urgency, now_ns: int) -> None:
        row = self.rows[index]
        row.asked_ns = now_ns
        if index in self._watched and urgency > Urgency.VISIBLE and row.sync.state is not BookState.LIVE:
            urgency = Urgency.VISIBLE
        self.outputs.ask_snapshot(row.symbol, urgency)

    def _event(self, ts_ns: int, kind: FeedEventKind, symbol: str | None, text: str) -> None:
        self.outputs.on_event(FeedEvent(ts_ns=ts_ns, source=str(self.feed), kind=kind, symbol=symbol, text=text))

    # -- readers -------------------------------------------------------------------------------------------------

    def index_of(self, symbol: str) -> int | None:
        """Return the row of a symbol, None when it is not in the universe."""
        return self._row_of.get(symbol)

    def watch(self, index: int) -> None:
        """Sample this row at every grid point (counted)."""
        self._watched[index] = self._watched.get(index, 0) + 1
        if self.rows[index].sync.wants_snapshot and self.rows[index].streaming:
            self.outputs.ask_snapshot(self.symbols[index], Urgency.VISIBLE)

    def unwatch(self, index: int) -> None:
        """Undo one `watch`."""
        count = self._watched.get(index, 0) - 1
        if count > 0:
            self._watched[index] = count
        else:
            self._watched.pop(index, None)


def _same(top: float, quoted: float) -> bool:
    """Compare the top of a side (NaN: empty) with the venue's quote (0: empty)."""
    return top == quoted or (top != top and quoted == 0.0)
