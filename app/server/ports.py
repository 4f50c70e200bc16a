"""What the server reads from: one port, implemented over the live sources and stood in for by tests.

Every method is synchronous and cheap unless marked async, gives plain dicts and lists ready for JSON (NaN and None mean
unknown and go out as null), and never waits for a venue. Revisions are numbers that move whenever the thing they stand
for may have changed; -1 means that there is no such thing. Times are UTC epoch milliseconds, ages milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from app.domain.ids import Market, Venue
from app.indicators.formulas import Indicator
from app.indicators.groups import Subject

Json = dict[str, Any]


class BookKey(NamedTuple):
    """One order book."""

    market: Market
    symbol: str


class IndicatorKey(NamedTuple):
    """One indicator of a group or coin on one market; depth_pct None: all its depths."""

    indicator: Indicator
    subject: Subject
    market: Market
    depth_pct: float | None = None


class ServerData(Protocol):
    """Everything other programs may see."""

    # -- the program ---------------------------------------------------------------------------------------------

    def about(self) -> Json:
        """Return program, version, mode ("LIVE", "DEMO", "REPLAY") and mode_detail."""
        ...

    def now_ms(self) -> int:
        """Return the time of the run (a replay has its own) that ages are counted from."""
        ...

    def status(self) -> Json:
        """Return feeds (feed, title, light, word, reason, age_ms, latency_ms, books, gaps, ...) and notes."""
        ...

    # -- rows of instruments -------------------------------------------------------------------------------------

    def symbol_counts(self) -> Mapping[Venue, int]:
        """Return how many instruments have a row, for every venue of this run."""
        ...

    def find_row(self, market: Market, symbol: str) -> int | None:
        """Return the lasting number of an instrument's row, None when there is none."""
        ...

    def top_rows(self, markets: Sequence[Market], limit: int) -> list[int]:
        """Return the rows of the most traded instruments of these markets, the largest turnover first."""
        ...

    def row_market(self, row: int) -> Market:
        """Return the market of a row."""
        ...

    def row_revisions(self, rows: Sequence[int]) -> list[int]:
        """Return the revision of each row."""
        ...

    def rows(self, rows: Sequence[int]) -> list[Json]:
        """Return each row: symbol, marketType, price, volume_24h, change_24h, high_24h, low_24h, bid, ask, timestamp
        and age_ms, and what else is known of the instrument."""
        ...

    # -- depth of single books -----------------------------------------------------------------------------------

    def find_book(self, market: Market, symbol: str) -> str | None:
        """Return the market's own spelling of a symbol or pair, None when it keeps no such book."""
        ...

    def book_revision(self, key: BookKey) -> int:
        """Return the revision of a book's depth."""
        ...

    def tick(self, key: BookKey) -> Json:
        """Return the newest depth: state, time, age_ms, bid, ask; per band volume, coverage, unconfirmed share."""
        ...

    def ticks(self, key: BookKey, last_s: float) -> list[Json]:
        """Return the depth ticks of the last so many seconds (at most 120), oldest first."""
        ...

    def snapshot(self, key: BookKey, levels: int) -> Json:
        """Return the book: what `tick` says, volumes in coins, thresholds, reach and so many levels a side."""
        ...

    def validation(self, key: BookKey) -> Json:
        """Return what the numbers rest on: prices, thresholds, coverage, update ids, counters, reason."""
        ...

    # -- indicators ----------------------------------------------------------------------------------------------

    def indicator_revision(self, key: IndicatorKey) -> int:
        """Return the revision of an indicator, -1 for an unknown market or coin."""
        ...

    def indicator(self, key: IndicatorKey) -> Json:
        """Return the newest value of each line with its coverage and unconfirmed share, time and age_ms."""
        ...

    def indicator_points(self, key: IndicatorKey, last_s: float) -> Json:
        """Return `times` and, per line, `values` and `coverage` over the last so many seconds (at most 120)."""
        ...

    async def indicator_minutes(self, key: IndicatorKey, minutes: int) -> Json:
        """Return the same over stored minutes; raise StorageError when the store is away."""
        ...

    # -- alerts and account --------------------------------------------------------------------------------------

    def alerts_since(self, seq: int) -> list[Json]:
        """Return alerts with a `seq` above this one, oldest first, from a bounded history."""
        ...

    def alerts_seq(self) -> int:
        """Return the `seq` of the newest alert, 0 for none."""
        ...

    def portfolio(self) -> Json | None:
        """Return the account as it may be shown, None when there is none; asked only when sharing is on."""
        ...
