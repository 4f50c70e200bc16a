"""Turns all order books into one sorted list of pairs, reading only a few books per call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from app.domain.coverage import Coverage, Known
from app.domain.ids import Market, MarketKind, Venue
from app.domain.units import ASK, BID, depth_index
from app.indicators.window import FloatArray, IntArray
from app.viewmodels.linking import DEFAULT_GROUP, LinkBus
from app.viewmodels.naming import pair_of
from app.viewmodels.sources import BookSource, BookView

BAND: Final = depth_index(5.0)


class Column(IntEnum):
    """What a list can be sorted by; the values of spot and futures differ by one."""

    RANK = 0
    PAIR = 1
    SPOT_MID = 2
    FUTURES_MID = 3
    SPOT_DELTA = 4
    FUTURES_DELTA = 5
    SPOT_KNOWN = 6
    FUTURES_KNOWN = 7
    SPOT_STATE = 8
    FUTURES_STATE = 9


@dataclass(slots=True, kw_only=True)
class Cell:
    """One pair on one market. mid, delta5, known_pct: NaN when unknown; known_pct is the lesser side, 100: whole."""

    symbol: str | None
    revision: int = -1
    mid: float = float("nan")
    delta5: float = float("nan")
    delta5_known: Known = Known.MISSING
    bid_known_pct: float = float("nan")
    ask_known_pct: float = float("nan")
    known_pct: float = float("nan")
    tick_size: str | None = None
    state: str = "not listed"
    reason: str = ""
    live: bool = False

    def take(self, book: BookView) -> None:
        """Copy what the list shows from a book."""
        bid, ask = float(book.usd[BID, BAND]), float(book.usd[ASK, BAND])
        coverage = (int(book.coverage[BID, BAND]), int(book.coverage[ASK, BAND]))
        if Coverage.NONE in coverage or not ask > 0:
            self.delta5, self.delta5_known = float("nan"), Known.MISSING
        else:
            self.delta5 = bid / ask
            self.delta5_known = Known.EXACT if min(coverage) == Coverage.EXACT else Known.PARTIAL
        self.mid = float(book.best[BID] + book.best[ASK]) / 2
        self.bid_known_pct, self.ask_known_pct = (float(value) for value in book.known_to_pct)
        self.known_pct = min(100.0, self.bid_known_pct, self.ask_known_pct)
        if np.isnan(book.known_to_pct).any():
            self.known_pct = float("nan")
        self.tick_size = book.tick_size
        self.state, self.reason, self.live = book.state, book.reason, book.live


@dataclass(slots=True)
class Row:
    """One pair on both markets of the venue."""

    pair: str
    rank: int
    cells: tuple[Cell, ...]


class SymbolsModel:
    """The rows, their order, the filter and the favourites of the symbol list of one venue at a time."""

    def __init__(self, books: BookSource, links: LinkBus, link_group: str | None = DEFAULT_GROUP) -> None:
        self._books = books
        self._links = links
        self._link_group = link_group
        self._venue = Venue.BINANCE
        self._rows: list[Row] = []
        self._listing: tuple[tuple[str, ...], ...] = ()
        self._next = 0
        self._next_shown = 0
        self._filter = ""
        self._column = Column.RANK
        self._descending = False
        self._order: IntArray = np.empty(0, np.int64)
        self.favourites: set[str] = set()
        self.only_favourites = False
        self.revision = 0
        self.order_revision = 0
        self.reload()

    @property
    def link_group(self) -> str | None:
        """Return the link group a picked pair goes to."""
        return self._link_group

    def set_link_group(self, group: str | None) -> None:
        """Send picked pairs to another group."""
        self._link_group = group

    @property
    def picked(self) -> str | None:
        """Return the pair of the link group."""
        return self._links.current(self._link_group) if self._link_group is not None else None

    def pick(self, pair: str) -> None:
        """Show a pair in every panel of the link group."""
        if self._link_group is not None:
            self._links.publish(self._link_group, pair)

    @property
    def venue(self) -> Venue:
        """Return the venue whose books are listed."""
        return self._venue

    @property
    def markets(self) -> tuple[Market, Market]:
        """Return the venue's spot and futures, in the order of a row's cells."""
        return Market.of(self._venue, MarketKind.SPOT), Market.of(self._venue, MarketKind.FUTURES)

    def venues(self) -> tuple[Venue, ...]:
        """Return the venues that have books."""
        return tuple(dict.fromkeys(market.venue for market in Market if self._books.symbols(market)))

    def set_venue(self, venue: Venue) -> None:
        """List the books of another venue."""
        if venue is not self._venue:
            self._venue = venue
            self._rows = []
            self.reload()

    def reload(self) -> bool:
        """Read which symbols there are; return whether that has changed."""
        listing = tuple(tuple(self._books.symbols(market)) for market in self.markets)
        if listing == self._listing:
            return False
        self._listing = listing
        by_pair: dict[str, dict[Market, str]] = {}
        for market, symbols in zip(self.markets, listing, strict=True):
            for symbol in symbols:
                by_pair.setdefault(pair_of(symbol), {}).setdefault(market, symbol)
        known = {row.pair: row for row in self._rows}
        self._rows = []
        for rank, (pair, symbols_of) in enumerate(by_pair.items()):
            old = known.get(pair)
            cells = tuple(
                old.cells[index]
                if old is not None and old.cells[index].symbol == symbols_of.get(market)
                else Cell(symbol=symbols_of.get(market))
                for index, market in enumerate(self.markets)
            )
            self._rows.append(Row(pair, rank, cells))
        self._next = 0
        self.revision += 1
        self.sort()
        return True

    def poll(self, first: Iterable[int] = (), budget: int = 24) -> int:
        """Read at most `budget` books, those of the shown rows `first` before the others; return how many moved.

        A book whose revision stands still costs nothing but the question.
        """
        shown = [int(self._order[row]) for row in first if row < self._order.size]
        moved, self._next_shown = self._read_round(shown, self._next_shown, budget // 2)
        more, self._next = self._read_round(range(len(self._rows)), self._next, budget - moved)
        if moved or more:
            self.revision += 1
        return moved + more

    def _read_round(self, indexes: Sequence[int], start: int, budget: int) -> tuple[int, int]:
        """Read rows in turn until the budget is used up; return how many books moved and where to go on."""
        moved = 0
        for step in range(len(indexes)):
            if moved >= budget:
                return moved, start + step
            moved += self._read(self._rows[indexes[(start + step) % len(indexes)]])
        return moved, start

    def _read(self, row: Row) -> int:
        moved = 0
        for market, cell in zip(self.markets, row.cells, strict=True):
            if cell.symbol is None:
                continue
            revision = self._books.book_revision(market, cell.symbol)
            if revision == cell.revision:
                continue
            book = self._books.book(market, cell.symbol, 1)
            cell.revision = revision
            moved += 1
            if book is None:
                cell.state, cell.live, cell.reason = "delisted", False, "the venue no longer lists it"
                cell.mid = cell.delta5 = cell.known_pct = float("nan")
            else:
                cell.take(book)
        return moved

    def __len__(self) -> int:
        return int(self._order.size)

    @property
    def total(self) -> int:
        """Return how many pairs there are without the filter."""
        return len(self._rows)

    def row(self, position: int) -> Row:
        """Return the row shown at a position."""
        return self._rows[int(self._order[position])]

    def position_of(self, pair: str) -> int | None:
        """Return where a pair is shown, None when the filter hides it."""
        for position, index in enumerate(self._order):
            if self._rows[int(index)].pair == pair:
                return position
        return None

    def ranked_pairs(self) -> Sequence[str]:
        """Return all pairs, favourites first, then the most important."""
        return sorted((row.pair for row in self._rows), key=lambda pair: pair not in self.favourites)

    @property
    def sorting(self) -> tuple[Column, bool]:
        """Return the column and whether it runs downwards."""
        return self._column, self._descending

    def set_sorting(self, column: Column, descending: bool) -> None:
        """Sort by a column; unknown values always come last."""
        self._column, self._descending = column, descending
        self.sort()

    def set_filter(self, text: str, only_favourites: bool) -> None:
        """Show only pairs that contain the text (and, on demand, only favourites)."""
        self._filter, self.only_favourites = text.strip().upper(), only_favourites
        self.sort()

    def toggle_favourite(self, pair: str) -> None:
        """Mark a pair as favourite or take the mark away."""
        self.favourites ^= {pair}
        self.revision += 1
        self.sort()

    def sort(self) -> bool:
        """Bring the rows into order with one stable argsort; return whether the order has changed."""
        shown = np.array(
            [
                self._filter in row.pair and (not self.only_favourites or row.pair in self.favourites)
                for row in self._rows
            ],
            dtype=np.bool_,
        )
        indexes = np.flatnonzero(shown)
        keys = self._keys()[indexes]
        unknown = np.isnan(keys)
        value = np.where(unknown, 0.0, -keys if self._descending else keys)
        order: IntArray = indexes[np.lexsort((value, unknown))].astype(np.int64)
        if np.array_equal(order, self._order):
            return False
        self._order = order
        self.order_revision += 1
        self.revision += 1
        return True

    def _keys(self) -> FloatArray:
        column = self._column
        if column is Column.RANK:
            return np.array([row.rank - 1e6 * (row.pair in self.favourites) for row in self._rows], dtype=np.float64)
        if column is Column.PAIR:
            ranks = {pair: rank for rank, pair in enumerate(sorted(row.pair for row in self._rows))}
            return np.array([ranks[row.pair] for row in self._rows], dtype=np.float64)
        side = int(column) % 2
        cells = [row.cells[side] for row in self._rows]
        if column in (Column.SPOT_STATE, Column.FUTURES_STATE):
            return np.array([0.0 if cell.live else 1.0 for cell in cells])
        if column in (Column.SPOT_MID, Column.FUTURES_MID):
            return np.array([cell.mid for cell in cells])
        if column in (Column.SPOT_DELTA, Column.FUTURES_DELTA):
            return np.array([cell.delta5 for cell in cells])
        return np.array([cell.known_pct for cell in cells])
