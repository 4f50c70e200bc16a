"""What other programs may see: the sources behind the screens as plain values, ready for the local server's JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from app.books.depth import side_is_complete
from app.domain.clock import Clock
from app.domain.coverage import Coverage, Known
from app.domain.ids import Market, Venue
from app.domain.market import Field
from app.domain.units import ASK, BID, DEPTHS_PCT, MS_PER_MINUTE, NS_PER_MS
from app.indicators.formulas import LINES, Line, evaluate
from app.indicators.groups import SubjectMarket
from app.indicators.window import CoverageArray, DepthWindow, FloatArray
from app.scanner.board import MARKETS, Board
from app.scanner.columns import Derived
from app.server.ports import BookKey, IndicatorKey, Json
from app.storage.ticks import TickSource
from app.viewmodels.chart_words import KNOWN_WORDS
from app.viewmodels.naming import pair_of, symbol_of
from app.viewmodels.sources import BookSource, BookView, SeriesSource, StatusSource
from app.viewmodels.status import StatusModel

_NEWEST_MS: Final = 2_000
_WORDS: Final = np.array([KNOWN_WORDS[known] for known in Known])
_ROW_FIELDS: Final = {
    "price": Field.LAST,
    "volume_24h": Field.VOLUME,
    "change_24h": Field.CHANGE_PCT,
    "high_24h": Field.HIGH,
    "low_24h": Field.LOW,
    "bid": Field.BID,
    "ask": Field.ASK,
    "funding": Field.FUNDING,
    "funding_hours": Field.FUNDING_HOURS,
    "open_interest_usd": Field.OPEN_INTEREST_USD,
    "funding_year_pct": Derived.FUNDING_YEAR_PCT,
    "spread_bp": Derived.SPREAD_BP,
    "delta": Derived.DEPTH_DELTA,
    "events": Derived.EVENTS,
}
_ROW_INDEXES: Final = np.array(list(_ROW_FIELDS.values()), np.intp)
_WORKED_OUT: Final = [
    list(_ROW_FIELDS).index(name) for name in ("change_24h", "funding_year_pct", "spread_bp", "delta")
]
_ROW_NAMES: Final = tuple(_ROW_FIELDS)


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
    the account as it may be shown, None when none is connected.
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
    ) -> None:
        self._books = books
        self._series = series
        self._status = status
        self._ticks = ticks
        self._clock = clock
        self._model = model
        self._version = version
        self.table = table
        self.alerts = alerts
        self._account = account
        self._names: dict[tuple[Market, str], int] = {}
        self._named = 0
        self._revisions = np.zeros(0, np.int64)
        self._seen = np.zeros((len(_ROW_NAMES) + 1, 0), np.int64)

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
        table = self.table
        if table is not None and table.count:
            return Counter(market.venue for market in table.markets)
        counts: Counter[Venue] = Counter()
        for feed in self._status.feeds():
            counts[feed.feed.venue] += len(self._books.symbols(feed.feed.market))
        return counts

    def find_row(self, market: Market, symbol: str) -> int | None:
        """Return the row of a symbol, however it is spelled, or of a pair."""
        table = self.table
        if table is None:
            return None
        found = table.find(market, symbol)
        if found is not None:
            return found
        self._index(table)
        return self._names.get((market, symbol.upper()))

    def _index(self, table: Board) -> None:
        """Take in the names of rows that are new since the last time."""
        for row in range(self._named, table.count):
            market, symbol = table.markets[row], table.symbols[row]
            for name in (symbol.upper(), pair_of(symbol)):
                self._names.setdefault((market, name), row)
        self._named = table.count

    def top_rows(self, markets: Sequence[Market], limit: int) -> list[int]:
        """Return the most traded rows of these markets."""
        table = self.table
        if table is None:
            return []
        codes = table.market_codes[: table.count]
        rows = np.flatnonzero(np.isin(codes, [MARKETS.index(market) for market in markets]))
        volume = np.nan_to_num(table.values[Field.VOLUME, rows], nan=-1.0)
        return [int(row) for row in rows[np.argsort(-volume, kind="stable")][:limit]]

    def row_market(self, row: int) -> Market:
        """Return the market of a row."""
        assert self.table is not None
        return self.table.markets[row]

    def row_revisions(self, rows: Sequence[int]) -> list[int]:
        """Return a number per row that grows when a figure of it, or its time, is another than at the last call."""
        table = self.table
        if table is None:
            return [-1] * len(rows)
        if self._revisions.size < table.count:
            more = max(1024, 2 * table.count) - self._revisions.size
            self._revisions = np.concatenate((self._revisions, np.zeros(more, np.int64)))
            self._seen = np.concatenate((self._seen, np.zeros((len(_ROW_NAMES) + 1, more), np.int64)), axis=1)
        index = np.asarray(rows, np.intp)
        figures = table.values[_ROW_INDEXES[:, None], index].view(np.int64)  # as bits, so that NaN equals NaN
        now = np.concatenate((figures, table.updated_ns[None, index]))
        self._revisions[index] += (now != self._seen[:, index]).any(axis=0)
        self._seen[:, index] = now
        found: list[int] = self._revisions[index].tolist()
        return found

    def rows(self, rows: Sequence[int]) -> list[Json]:
        """Return each row with its age."""
        table = self.table
        if table is None or not rows:
            return []
        index = np.asarray(rows, np.intp)
        now_ms = self.now_ms()
        stamps = (table.updated_ns[index] // NS_PER_MS).tolist()
        columns = table.values[_ROW_INDEXES[:, None], index]
        columns[_WORKED_OUT] = columns[_WORKED_OUT].round(6)
        listed: list[Json] = []
        for row, stamp, figures in zip(rows, stamps, columns.T.tolist(), strict=True):
            market = table.markets[row]
            fields: Json = {
                "symbol": table.symbols[row],
                "venue": market.venue.value,
                "marketType": market.kind.value,
                **dict(zip(_ROW_NAMES, figures, strict=True)),
            }
            fields["timestamp"] = stamp or None
            fields["age_ms"] = max(0, now_ms - stamp) if stamp else None
            listed.append(fields)
        return listed

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
        return self._depth(self._view(key, 0))

    def ticks(self, key: BookKey, last_s: float) -> list[Json]:
        """Return the depth ticks of the last so many seconds."""
        window = self._ticks.window(key.market, key.symbol, self.now_ms() - round(last_s * 1000))
        if window is None:
            return []
        words = _side_words(window.coverage, window.usd, window.unconfirmed)
        usd, loose = window.usd.tolist(), window.unconfirmed.round(6).tolist()
        return [
            {
                "time": at,
                "bid": best[BID],
                "ask": best[ASK],
                "depths": DEPTHS_PCT,
                "bid_usd": usd[t][BID],
                "ask_usd": usd[t][ASK],
                "bid_coverage": words[t][BID],
                "ask_coverage": words[t][ASK],
                "bid_unconfirmed": loose[t][BID],
                "ask_unconfirmed": loose[t][ASK],
            }
            for t, (at, best) in enumerate(zip(window.ts_ms.tolist(), window.best.tolist(), strict=True))
        ]

    def snapshot(self, key: BookKey, levels: int) -> Json:
        """Return the book with its best levels."""
        view = self._view(key, levels)
        return {
            **self._depth(view),
            **_reach(view),
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
            **self._depth(view),
            **_reach(view),
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

    def _depth(self, view: BookView) -> Json:
        words = _side_words(view.coverage[None], view.usd[None], view.unconfirmed[None])[0]
        sampled_ms = view.sampled_ns // NS_PER_MS
        loose = view.unconfirmed.round(6).tolist()
        return {
            "symbol": view.symbol,
            "venue": view.market.venue.value,
            "marketType": view.market.kind.value,
            "time": sampled_ms or None,
            "age_ms": None if view.age_ns is None else view.age_ns // NS_PER_MS,
            "state": view.state,
            "bid": float(view.best[BID]),
            "ask": float(view.best[ASK]),
            "depths": DEPTHS_PCT,
            "bid_usd": view.usd[BID].tolist(),
            "ask_usd": view.usd[ASK].tolist(),
            "bid_coverage": words[BID],
            "ask_coverage": words[ASK],
            "bid_unconfirmed": loose[BID],
            "ask_unconfirmed": loose[ASK],
        }

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
            "lines": [_line_now(line, newest) for line in _lines_of(key)],
        }

    def indicator_points(self, key: IndicatorKey, last_s: float) -> Json:
        """Return the lines over the last so many seconds."""
        since_ms = self.now_ms() - round(last_s * 1000)
        return _points(key, self._series.live(SubjectMarket(key.subject, key.market), since_ms))

    async def indicator_minutes(self, key: IndicatorKey, minutes: int) -> Json:
        """Return the lines over stored minutes; raise StorageError when the store is away."""
        end_ms = self.now_ms() // MS_PER_MINUTE * MS_PER_MINUTE
        start_ms = end_ms - minutes * MS_PER_MINUTE
        return _points(key, await self._series.minutes(SubjectMarket(key.subject, key.market), start_ms, end_ms))

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


def _lines_of(key: IndicatorKey) -> list[Line]:
    """Return the lines asked for: all, or those that rest on one depth only."""
    lines = LINES[key.indicator]
    if key.depth_pct is None:
        return list(lines)
    return [line for line in lines if line.depths_pct == (key.depth_pct,)]


def _line_now(line: Line, newest: DepthWindow) -> Json:
    named: dict[str, Any] = {"key": line.key, "label": line.label}
    if not len(newest):
        return {**named, "value": None, "coverage": KNOWN_WORDS[Known.MISSING], "unconfirmed": 0.0}
    curve = evaluate(line, newest)
    word = KNOWN_WORDS[Known(int(curve.known[-1]))]
    return {
        **named,
        "value": float(curve.values[-1]),
        "coverage": word,
        "unconfirmed": round(float(curve.unconfirmed[-1]), 6),
    }


def _points(key: IndicatorKey, window: DepthWindow) -> Json:
    lines = []
    for line in _lines_of(key):
        curve = evaluate(line, window)
        lines.append(
            {
                "key": line.key,
                "label": line.label,
                "values": curve.values.tolist(),
                "coverage": _WORDS[curve.known].tolist(),
            }
        )
    return {"times": window.ts_ms.tolist(), "lines": lines}


def _side_words(
    coverage: CoverageArray, usd: FloatArray, unconfirmed: npt.NDArray[np.floating[Any]]
) -> list[list[list[str]]]:
    """Return how well each volume is known, [t, 2, 7] words."""
    known = np.full(coverage.shape, Known.MISSING, np.uint8)
    partial = coverage == Coverage.PARTIAL
    known[partial] = Known.FLOOR
    known[partial & (unconfirmed > 0)] = Known.PARTIAL
    known[coverage == Coverage.EXACT] = Known.EXACT
    known[~np.isfinite(usd)] = Known.MISSING
    words: list[list[list[str]]] = _WORDS[known].tolist()
    return words


def _reach(view: BookView) -> Json:
    """Return band edges and how far each side is proven, in percent of its best price."""
    bid_pct, ask_pct = view.known_to_pct.tolist()
    return {
        "bid_threshold": view.threshold[BID].tolist(),
        "ask_threshold": view.threshold[ASK].tolist(),
        "known_to_pct": [bid_pct, ask_pct],
        "bid_complete": side_is_complete(BID, bid_pct),
        "ask_complete": side_is_complete(ASK, ask_pct),
    }
