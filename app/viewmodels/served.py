"""What other programs may see: the sources behind the screens as plain values, ready for the local server's JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from app.domain.clock import Clock
from app.domain.coverage import Known
from app.domain.ids import Market, Venue
from app.domain.units import ASK, BID, MS_PER_MINUTE, NS_PER_MS
from app.indicators.groups import SubjectMarket
from app.scanner.board import Board
from app.server.ports import BookKey, IndicatorKey, Json
from app.storage.ticks import TickSource
from app.viewmodels.chart_words import KNOWN_WORDS, exact_count
from app.viewmodels.naming import symbol_of
from app.viewmodels.served_depth import depth_of, line_now, lines_of, points, reach, ticks_of
from app.viewmodels.served_rows import DeltaKnown, ServedRows
from app.viewmodels.sources import BookSource, BookView, SeriesSource, StatusSource
from app.viewmodels.status import StatusModel

_NEWEST_MS: Final = 2_000
_WORDS: Final = np.array([KNOWN_WORDS[known] for known in Known])


class AlertRecord(Protocol):
    """One alert that fired."""

    @property
    def ts_ns(self) -> int:
        """When, UTC ns."""
        ...

    @property
    def rule(self) -> str:
        """Name of its rule."""
        ...

    @property
    def subject(self) -> str:
        """What it is about."""
        ...

    @property
    def text(self) -> str:
        """What happened, in words."""
        ...


class AlertHistory(Protocol):
    """Alerts that fired, oldest first; the revision grows by one with each."""

    @property
    def history(self) -> Sequence[AlertRecord]:
        """The newest of them."""
        ...

    @property
    def history_revision(self) -> int:
        """How many fired in this run."""
        ...


class Served:
    """`ServerData` over the live sources.

    model: a status model of its own (mode and feed lights). table and alerts may come later or never. account gives
    the account as it may be shown, None when none is connected. delta_known: how well a row's Delta is known.
    """

    def __init__(
        self,
        books: BookSource,
        series: SeriesSource,
        status: StatusSource,
        ticks: TickSource,
        clock: Clock,
        model: StatusModel,
        *,
        version: str,
        table: Board | None = None,
        alerts: AlertHistory | None = None,
        account: Callable[[], Json | None] = lambda: None,
        delta_known: DeltaKnown = lambda _market, _symbol: Known.PARTIAL,
    ) -> None:
        self._books = books
        self._series = series
        self._status = status
        self._ticks = ticks
        self._clock = clock
        self._model = model
        self._version = version
        self._delta_known = delta_known
        self._rows = None if table is None else ServedRows(table, delta_known)
        self.alerts = alerts
        self._account = account

    @property
    def table(self) -> Board | None:
        """The scanner's board, None while there is none."""
        return None if self._rows is None else self._rows.table

    @table.setter
    def table(self, table: Board | None) -> None:
        self._rows = None if table is None else ServedRows(table, self._delta_known)

    # -- the program ---------------------------------------------------------------------------------------------

    def about(self) -> Json:
        """Return program, version and mode."""
        return {
            "program": "Fathom",
            "version": self._version,
            "mode": self._model.mode.value,
            "mode_detail": self._model.mode_detail,
        }

    def now_ms(self) -> int:
        """Return the time of the run."""
        return self._clock.wall_ns() // NS_PER_MS

    def status(self) -> Json:
        """Return feeds and notes."""
        self._model.attach(self._status)
        feeds = [
            {
                "feed": light.feed,
                "title": light.title,
                "light": light.light,
                "word": light.word,
                "reason": light.reason,
                "age_ms": None if light.last_frame_age_ns is None else light.last_frame_age_ns // NS_PER_MS,
                "latency_ms": light.latency_ms,
                "books_primed": light.books_primed,
                "books_total": light.books_total,
                "gaps": light.gaps,
                "resyncs": light.resyncs,
                "drops": light.drops,
                "reconnects": light.reconnects,
            }
            for light in self._model.lights
        ]
        return {"feeds": feeds, "notes": list(self._model.notes)}

    # -- rows ----------------------------------------------------------------------------------------------------

    def symbol_counts(self) -> Mapping[Venue, int]:
        """Return how many instruments have a row, else a book, per venue."""
        if self._rows is not None and self._rows.table.count:
            return Counter(market.venue for market in self._rows.table.markets if market.has_books)
        counts: Counter[Venue] = Counter()
        for feed in self._status.feeds():
            counts[feed.feed.venue] += len(self._books.symbols(feed.feed.market))
        return counts

    def find_row(self, market: Market, symbol: str) -> int | None:
        """Return the row of a symbol, however it is spelled, or of a pair."""
        return None if self._rows is None else self._rows.find(market, symbol)

    def top_rows(self, markets: Sequence[Market], limit: int) -> list[int]:
        """Return the most traded rows of these markets."""
        return [] if self._rows is None else self._rows.top(markets, limit)

    def row_market(self, row: int) -> Market:
        """Return the market of a row."""
        if self._rows is None:
            raise LookupError(f"expected a table with row {row}")
        return self._rows.table.markets[row]

    def row_revisions(self, rows: Sequence[int]) -> list[int]:
        """Return the revision of each row."""
        return [-1] * len(rows) if self._rows is None else self._rows.revisions(rows)

    def rows(self, rows: Sequence[int]) -> list[Json]:
        """Return each row with its age."""
        return [] if self._rows is None else self._rows.plain(rows, self.now_ms())

    # -- depth ---------------------------------------------------------------------------------------------------

    def find_book(self, market: Market, symbol: str) -> str | None:
        """Return the market's own spelling of a symbol or pair."""
        symbols = self._books.symbols(market)
        if symbol in symbols:
            return symbol
        upper = symbol.upper()
        same = next((each for each in symbols if each.upper() == upper), None)
        return same if same is not None else symbol_of(upper, symbols)

    def book_revision(self, key: BookKey) -> int:
        """Return the revision of a book's depth."""
        return self._books.book_revision(key.market, key.symbol)

    def tick(self, key: BookKey) -> Json:
        """Return the newest depth of a book."""
        return depth_of(self._view(key, 0))

    def ticks(self, key: BookKey, last_s: float) -> list[Json]:
        """Return the depth ticks of the last so many seconds."""
        window = self._ticks.window(key.market, key.symbol, self.now_ms() - round(last_s * 1000))
        if window is None:
            return []
        return ticks_of(window)

    def snapshot(self, key: BookKey, levels: int) -> Json:
        """Return the book with its best levels."""
        view = self._view(key, levels)
        return {
            **depth_of(view),
            **reach(view),
            "reason": view.reason,
            "bid_coins": view.coins[BID].tolist(),
            "ask_coins": view.coins[ASK].tolist(),
            "last_update_id": view.last_update_id,
            "bids": np.column_stack((view.price[BID], view.qty[BID])).tolist(),
            "asks": np.column_stack((view.price[ASK], view.qty[ASK])).tolist(),
        }

    def validation(self, key: BookKey) -> Json:
        """Return what the numbers of a book rest on."""
        view = self._view(key, 1)
        bid, ask = view.best.tolist()
        return {
            **depth_of(view),
            **reach(view),
            "reason": view.reason,
            "live": view.live,
            "mid": (bid + ask) / 2,
            "bid_bucket_pct": view.bucket_pct[BID].tolist(),
            "ask_bucket_pct": view.bucket_pct[ASK].tolist(),
            "tick_size": view.tick_size,
            "last_update_id": view.last_update_id,
            "counters": {name.replace(" ", "_"): count for name, count in view.counters.items()},
            "formula": "bid band d: bids with price >= best bid x (1 - d); ask band d: asks with price <= best ask x "
            "(1 + d); volume = sum of price x quantity",
        }

    def _view(self, key: BookKey, levels: int) -> BookView:
        view = self._books.book(key.market, key.symbol, levels)
        if view is None:
            raise LookupError(f"expected a book of {key.market} {key.symbol}")
        return view

    # -- indicators ----------------------------------------------------------------------------------------------

    def indicator_revision(self, key: IndicatorKey) -> int:
        """Return the revision of an indicator."""
        return self._series.series_revision(SubjectMarket(key.subject, key.market))

    def indicator(self, key: IndicatorKey) -> Json:
        """Return the newest value of each line."""
        now_ms = self.now_ms()
        window = self._series.live(SubjectMarket(key.subject, key.market), now_ms - _NEWEST_MS)
        newest = window.slice(max(0, len(window) - 1), len(window))
        at = int(newest.ts_ms[-1]) if len(newest) else None
        lines = lines_of(key)
        return {
            "indicator": key.indicator.value,
            "heading": key.indicator.heading,
            "category": str(key.subject),
            "venue": key.market.venue.value,
            "marketType": key.market.kind.value,
            "depth": key.depth_pct,
            "time": at,
            "age_ms": None if at is None else max(0, now_ms - at),
            "included": int(newest.included[-1]) if len(newest) else 0,
            "total": newest.total,
            "exact": min((exact_count(line, newest) for line in lines), default=0) if len(newest) else 0,
            "lines": [line_now(line, newest) for line in lines],
        }

    def indicator_points(self, key: IndicatorKey, last_s: float) -> Json:
        """Return the lines over the last so many seconds."""
        since_ms = self.now_ms() - round(last_s * 1000)
        return points(key, self._series.live(SubjectMarket(key.subject, key.market), since_ms))

    async def indicator_minutes(self, key: IndicatorKey, minutes: int) -> Json:
        """Return the lines over stored minutes; raise StorageError when the store is away."""
        end_ms = self.now_ms() // MS_PER_MINUTE * MS_PER_MINUTE
        start_ms = end_ms - minutes * MS_PER_MINUTE
        return points(key, await self._series.minutes(SubjectMarket(key.subject, key.market), start_ms, end_ms))

    # -- alerts and account --------------------------------------------------------------------------------------

    def alerts_since(self, seq: int) -> list[Json]:
        """Return the alerts after that number."""
        if self.alerts is None:
            return []
        newest = self.alerts.history_revision
        fired = list(self.alerts.history)[-(newest - seq) :] if newest > seq else []
        return [
            {
                "seq": newest - len(fired) + 1 + n,
                "time": alert.ts_ns // NS_PER_MS,
                "rule": alert.rule,
                "subject": alert.subject,
                "text": alert.text,
            }
            for n, alert in enumerate(fired)
        ]

    def alerts_seq(self) -> int:
        """Return the number of the newest alert."""
        return 0 if self.alerts is None else self.alerts.history_revision

    def portfolio(self) -> Json | None:
        """Return the account as it may be shown."""
        return self._account()
