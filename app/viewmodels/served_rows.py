"""Turns rows of the scanner's board into the plain rows that the local server sends, and tells which have changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.domain.ids import Market
from app.domain.market import Field
from app.domain.units import NS_PER_MS
from app.scanner.board import MARKETS, Board
from app.scanner.columns import Derived
from app.server.ports import Json
from app.viewmodels.chart_words import KNOWN_WORDS
from app.viewmodels.naming import pair_of

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

DeltaKnown = Callable[[Market, str], Known]


class ServedRows:
    """Rows of a board. delta_known: how well the Delta of an instrument is known."""

    def __init__(self, table: Board, delta_known: DeltaKnown) -> None:
        self.table = table
        self._delta_known = delta_known
        self._names: dict[tuple[Market, str], int] = {}
        self._named = 0
        self._revisions = np.zeros(0, np.int64)
        self._seen = np.zeros((len(_ROW_NAMES) + 1, 0), np.int64)

    def find(self, market: Market, symbol: str) -> int | None:
        """Return the row of a symbol, however it is spelled, or of a pair."""
        table = self.table
        found = table.find(market, symbol)
        if found is not None:
            return found
        self._take_names()
        return self._names.get((market, symbol.upper()))

    def _take_names(self) -> None:
        """Take in the names of rows that are new since the last time."""
        table = self.table
        for row in range(self._named, table.count):
            market, symbol = table.markets[row], table.symbols[row]
            for name in (symbol.upper(), pair_of(symbol)):
                self._names.setdefault((market, name), row)
        self._named = table.count

    def top(self, markets: Sequence[Market], limit: int) -> list[int]:
        """Return the most traded rows of these markets."""
        table = self.table
        codes = table.market_codes[: table.count]
        rows = np.flatnonzero(np.isin(codes, [MARKETS.index(market) for market in markets]))
        volume = np.nan_to_num(table.values[Field.VOLUME, rows], nan=-1.0)
        return [int(row) for row in rows[np.argsort(-volume, kind="stable")][:limit]]

    def revisions(self, rows: Sequence[int]) -> list[int]:
        """Return a number per row that grows when a figure of it, or its time, is another than at the last call."""
        table = self.table
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

    def plain(self, rows: Sequence[int], now_ms: int) -> list[Json]:
        """Return each row with its age."""
        table = self.table
        index = np.asarray(rows, np.intp)
        stamps = (table.updated_ns[index] // NS_PER_MS).tolist()
        columns = table.values[_ROW_INDEXES[:, None], index]
        columns[_WORKED_OUT] = columns[_WORKED_OUT].round(6)
        listed: list[Json] = []
        for row, stamp, figures in zip(rows, stamps, columns.T.tolist(), strict=True):
            market = table.markets[row]
            fields: Json = {
                "symbol": table.symbols[row],
                "pair": pair_of(table.symbols[row]),
                "venue": market.venue.value,
                "marketType": market.kind.value,
                **dict(zip(_ROW_NAMES, figures, strict=True)),
            }
            known = self._delta_known(market, table.symbols[row])
            fields["delta_coverage"] = KNOWN_WORDS[known if fields["delta"] == fields["delta"] else Known.MISSING]
            fields["timestamp"] = stamp or None
            fields["age_ms"] = max(0, now_ms - stamp) if stamp else None
            listed.append(fields)
        return listed
