"""Turns the scanner's board into the ordered, filtered rows of one table, which hold still while they are pointed at.

Rows are those of the board; a position is a place in the order on screen. The order is worked out by numpy, at most
once a second, and not at all while it is held: then values go on changing in place and new rows come at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from app.domain.ids import BOOK_KINDS, BOOK_VENUES, Market, MarketKind, Venue
from app.domain.units import DEPTHS_PCT, NS_PER_S
from app.scanner.board import MARKETS, Board
from app.scanner.columns import BY_KEY, COLUMNS, Column
from app.scanner.events import EventKind
from app.scanner.ranking import BoolArray, RowArray, ordered
from app.services.scanning import Scanning
from app.viewmodels.broker_lines import BrokerLines
from app.viewmodels.linking import DEFAULT_GROUP, LINK_GROUPS, LinkBus
from app.viewmodels.naming import pair_of
from app.viewmodels.scanner_books import BooksPort
from app.viewmodels.scanner_budget import ScannerBudget
from app.viewmodels.scanner_cells import ScannerCells
from app.viewmodels.scanner_events import EXTREMES, MINUTES, ScannerEvents
from app.viewmodels.scanner_filter import FilterFault, RowFilter, read_filter
from app.viewmodels.scanner_lists import LISTS, ScanList, listed
from app.viewmodels.scanner_scans import (
    DEFAULT_COLUMNS,
    MAX_FAVOURITES,
    MAX_SCANS,
    MAX_TEXT,
    STOCK_COLUMNS,
    Scan,
    Sorting,
    columns_of,
    scan_name,
    scans_of,
    sorting_of,
    sorting_to_json,
    texts_of,
)

SORT_EVERY_NS: Final = NS_PER_S


class ScannerModel:
    """One scanner table. revision moves with what the user chooses and with the order; values are the board's.

    order: int64, the board's rows in the order shown. is_held: the order is kept although values have moved on.
    """

    def __init__(
        self,
        scanning: Scanning,
        books: BooksPort,
        links: LinkBus,
        *,
        link_group: str | None = DEFAULT_GROUP,
        lines: BrokerLines | None = None,
    ) -> None:
        """Prepare. lines: the market data lines of brokers, None where there are none."""
        self.lines = lines
        self.scanning = scanning
        self.books = books
        self.cells = ScannerCells(scanning.board, books, scanning.detectors.thresholds.stale_s)
        self.events = ScannerEvents(scanning.board)
        self.budget = ScannerBudget(scanning)
        self._links = links
        self.link_group = link_group
        self.columns: tuple[str, ...] = DEFAULT_COLUMNS
        self.sorting = Sorting()
        self.quick = ScanList.ALL
        self.venues: frozenset[Venue] = frozenset(Venue)
        self.kinds: frozenset[MarketKind] = frozenset(BOOK_KINDS)
        self.favourites: set[tuple[Market, str]] = set()
        self.scans: dict[str, Scan] = {}
        self.filter_text = ""
        self.fault: FilterFault | None = None
        self._filter = RowFilter()
        self.order: RowArray = np.empty(0, np.int64)
        self._places: RowArray = np.empty(0, np.int64)
        self.is_held = False
        self.revision = 0
        self.order_revision = 0
        self._sorted_ns: int | None = None
        self._wanted = True
        self._listing = -1
        self._picked: tuple[Market, str] | None = None
        self._left_pair: str | None = None
        """The group's pair when a stock was picked, which leaves the group as it is."""
        self._knows_stocks = False
        """Whether the columns of stocks have been shown once; after that the choice of columns is the user's."""
        self._sought: tuple[str, int] | None = None
        """The pair picked elsewhere that was last looked for, and in which order."""

    @property
    def board(self) -> Board:
        """Return the table of all instruments."""
        return self.scanning.board

    # -- rows ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.order.size)

    @property
    def total(self) -> int:
        """Return how many instruments there are without lists, chips and filter."""
        return int(np.count_nonzero(self.board.listed[: self.board.count]))

    def row_at(self, position: int) -> int:
        """Return the board's row at a position."""
        return int(self.order[position])

    def instrument(self, row: int) -> tuple[Market, str]:
        """Return market and symbol of a row."""
        return self.board.markets[row], self.board.symbols[row]

    def has_rows(self, venue: Venue) -> bool:
        """Tell whether there is any instrument of a venue."""
        return any(self.board.has_rows(market) for market in venue.markets)

    def position_of(self, row: int) -> int | None:
        """Return where a row is shown, None when it is not."""
        if not 0 <= row < self._places.size:
            return None
        position = int(self._places[row])
        return position if position >= 0 else None

    def advance(self, now_ns: int, *, hold: bool = False) -> bool:
        """Bring rows and order up to now (UTC ns); return whether the order has changed.

        hold keeps the order unless the user has just asked for another; rows that pass only now come at the end.
        """
        self._meet_stocks()
        self.events.take(self.scanning.events, self.scanning.events_revision, now_ns)
        last_ns = self._sorted_ns
        released = self.is_held and not hold
        due = last_ns is None or released or not 0 <= now_ns - last_ns < SORT_EVERY_NS
        if not (self._wanted or due or self._listing != self.board.listing_revision):
            self._note_held(hold)
            return False
        self._sorted_ns = now_ns
        self._listing = self.board.listing_revision
        asked, self._wanted = self._wanted, False
        mask = self._mask()
        changed = self._append(mask) if hold and not asked else self._show(self._ordered(mask))
        self._note_held(hold)
        return changed

    def _meet_stocks(self) -> None:
        """Show the columns of stocks when the first ones come, unless other columns were chosen."""
        if not self._knows_stocks and self.has_rows(Venue.IBKR):
            self._knows_stocks = True
            if self.columns == DEFAULT_COLUMNS:
                self.set_columns(STOCK_COLUMNS)

    def resort(self) -> None:
        """Ask for a fresh order at the next chance, even if it is held."""
        self._wanted = True
        self.revision += 1

    def _note_held(self, hold: bool) -> None:
        if hold != self.is_held:
            self.is_held = hold
            self.revision += 1

    def _append(self, mask: BoolArray) -> bool:
        fresh = mask.copy()
        fresh[self.order] = False
        rows = np.flatnonzero(fresh)
        return self._show(np.concatenate((self.order, rows))) if rows.size else False

    def _show(self, order: RowArray) -> bool:
        if np.array_equal(order, self.order):
            if self._places.size != self.board.count:
                self._place()
            return False
        self.order = order
        self._place()
        self.order_revision += 1
        return True

    def _place(self) -> None:
        self._places = np.full(self.board.count, -1, np.int64)
        self._places[self.order] = np.arange(self.order.size)

    def _ordered(self, mask: BoolArray) -> RowArray:
        if self.sorting.key != "events":
            return ordered(self.board, self.sorting.key, descending=self.sorting.descending, among=mask)
        rows = np.flatnonzero(mask)
        newest_ns = self.events.newest_ns()[rows]
        return rows[np.argsort(-newest_ns if self.sorting.descending else newest_ns, kind="stable")]

    def _mask(self) -> BoolArray:
        board = self.board
        allowed = np.array([self._is_allowed(market) for market in MARKETS])
        mask: BoolArray = allowed[board.market_codes[: board.count]] & board.listed[: board.count]
        passing = self._filter.mask(board)
        if passing is not None:
            mask &= passing
        rows = self._listed_rows()
        if rows is not None:
            among = np.zeros(board.count, np.bool_)
            among[list(rows)] = True
            mask &= among
        return listed(self.quick, board, mask)

    def _is_allowed(self, market: Market) -> bool:
        """Tell whether the chips let a market through; a venue without books has one market, which is all there is."""
        return market.venue in self.venues and (market.kind in self.kinds or not market.has_books)

    def _listed_rows(self) -> Iterable[int] | None:
        if self.quick is ScanList.FAVOURITES:
            return self._known(self.favourites)
        if self.quick is ScanList.EVENTS:
            return self.events.rows()
        if self.quick is ScanList.EXTREMES:
            return self.events.rows(EXTREMES)
        return self._known(self.budget.hot()) if self.quick is ScanList.HOT else None

    def _known(self, instruments: Iterable[tuple[Market, str]]) -> list[int]:
        found = (self.board.find(market, symbol) for market, symbol in instruments)
        return [row for row in found if row is not None]

    # -- choices -------------------------------------------------------------------------------------------------

    def shown_columns(self) -> list[Column]:
        """Return the visible columns in their order."""
        return [BY_KEY[key] for key in self.columns]

    def set_columns(self, keys: Iterable[str]) -> None:
        """Show these columns in this order; the symbol always stays."""
        columns = columns_of(list(keys)) or DEFAULT_COLUMNS
        if columns != self.columns:
            self.columns = columns
            self.revision += 1

    def toggle_column(self, key: str) -> None:
        """Show or hide a column; a shown one comes where it stands among all columns."""
        if key in self.columns:
            self.set_columns(each for each in self.columns if each != key)
            return
        ranks = {column.key: rank for rank, column in enumerate(COLUMNS)}
        before = [i for i, each in enumerate(self.columns) if ranks[each] < ranks[key]]
        at = before[-1] + 1 if before else len(self.columns)
        self.set_columns((*self.columns[:at], key, *self.columns[at:]))

    def set_sorting(self, key: str, descending: bool) -> None:
        """Order by a column; unknown figures always come last."""
        if key not in BY_KEY:
            raise ValueError(f"expected a column, was {key!r}")
        self.sorting = Sorting(key, descending)
        self.resort()

    def set_filter(self, text: str) -> FilterFault | None:
        """Show rows that pass; return what is wrong with the text, in which case the last good filter stays."""
        self.filter_text = text[:MAX_TEXT]
        found = read_filter(self.filter_text)
        if isinstance(found, FilterFault):
            self.fault = found
            self.revision += 1
        else:
            self.fault, self._filter = None, found
            self.resort()
        return self.fault

    @property
    def filter_in_force(self) -> str:
        """Return the text of the filter the rows have passed."""
        return self._filter.text

    def set_quick(self, chosen: ScanList) -> None:
        """Choose a quick list; a ranked one brings its own order."""
        self.quick = chosen
        kind = LISTS[chosen]
        if kind.column:
            self.sorting = Sorting(kind.column, kind.descending)
        self.resort()

    def set_minutes(self, minutes: int) -> None:
        """Choose for how long an event is recent."""
        self.events.set_minutes(minutes)
        self.resort()

    def set_markets(self, venues: Iterable[Venue], kinds: Iterable[MarketKind]) -> None:
        """Show instruments of these venues and kinds; none means all."""
        self.venues = frozenset(venues) or frozenset(Venue)
        self.kinds = frozenset(kinds) or frozenset(BOOK_KINDS)
        self.resort()

    def set_depth(self, depth_pct: float) -> None:
        """Choose the depth of the Delta column, one of `DEPTHS_PCT`; it holds for every scanner on screen."""
        if depth_pct not in DEPTHS_PCT:
            raise ValueError(f"expected one of {DEPTHS_PCT}, was {depth_pct}")
        self.books.set_depth_pct(depth_pct)
        self.revision += 1

    def is_favourite(self, row: int) -> bool:
        """Tell whether a row has a star."""
        return self.instrument(row) in self.favourites

    def toggle_favourite(self, row: int) -> None:
        """Mark a row as favourite or take the mark away."""
        self.favourites ^= {self.instrument(row)}
        if self.quick is ScanList.FAVOURITES:
            self.resort()
        self.revision += 1

    # -- saved scans ---------------------------------------------------------------------------------------------

    def save_scan(self, text: str) -> str:
        """Keep columns, sorting and filter under a name (replacing one of that name); return why not, "" if done."""
        name = scan_name(text)
        if not name:
            return "A scan needs a name."
        if self.fault is not None:
            return "The filter cannot be read; it can be saved once it can."
        if name not in self.scans and len(self.scans) >= MAX_SCANS:
            return f"There are {MAX_SCANS} saved scans already; delete one first."
        self.scans[name] = Scan(columns=self.columns, sorting=self.sorting, filter=self.filter_in_force)
        self.revision += 1
        return ""

    def apply_scan(self, name: str) -> None:
        """Bring back a saved scan."""
        scan = self.scans[name]
        self.set_columns(scan.columns)
        self.sorting = scan.sorting
        self.set_filter(scan.filter)
        self.resort()

    def delete_scan(self, name: str) -> None:
        """Forget a saved scan."""
        self.scans.pop(name, None)
        self.revision += 1

    def current_scan(self) -> str:
        """Return the name of the saved scan that is on screen, "" when none is."""
        now = Scan(columns=self.columns, sorting=self.sorting, filter=self.filter_text.strip())
        return next((name for name, scan in self.scans.items() if scan == now), "")

    # -- link group ----------------------------------------------------------------------------------------------

    @property
    def picked(self) -> int | None:
        """Return the picked row: the last one picked here, or one of the pair that was picked elsewhere."""
        if self._picked is not None and not self._picked[0].has_books and self._group_pair() == self._left_pair:
            return self.board.find(*self._picked)
        wanted = pair_of(self._picked[1]) if self._picked is not None else None
        pair = self._links.current(self.link_group) if self.link_group is not None else wanted
        if pair is not None and pair != wanted and self._sought != (pair, self.order_revision):
            self._sought = (pair, self.order_revision)
            self._picked = self._of_pair(pair)
        return self.board.find(*self._picked) if self._picked is not None else None

    def _group_pair(self) -> str | None:
        return self._links.current(self.link_group) if self.link_group is not None else None

    def _of_pair(self, pair: str) -> tuple[Market, str] | None:
        """Return the instrument of a pair that is shown, in the market last picked if it is there."""
        market = self._picked[0] if self._picked is not None else None
        found = [self.instrument(row) for row in self.order.tolist() if pair_of(self.board.symbols[row]) == pair]
        return next((each for each in found if each[0] is market), found[0] if found else None)

    def pick(self, row: int) -> tuple[Market, str]:
        """Show a row's pair in every panel of the link group; return market and symbol of the row.

        Stocks have no books, and no other panel of the group could show one.
        """
        self._picked = self.instrument(row)
        self._left_pair = self._group_pair()
        if self.link_group is not None and self._picked[0].has_books:
            self._links.publish(self.link_group, pair_of(self._picked[1]))
        self.revision += 1
        return self._picked

    # -- layout --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """Return everything chosen here as JSON values."""
        return {
            "columns": list(self.columns),
            "knows_stocks": self._knows_stocks,
            "sort": sorting_to_json(self.sorting),
            "filter": self.filter_in_force,
            "list": self.quick.value,
            "minutes": self.events.minutes,
            "venues": sorted(self.venues),
            "hidden_venues": sorted(set(Venue) - self.venues),
            "kinds": sorted(self.kinds),
            "depth_pct": self.books.depth_pct,
            "favourites": sorted(f"{market.value}:{symbol}" for market, symbol in self.favourites),
            "scans": {name: scan.to_json() for name, scan in self.scans.items()},
            "event_kinds": sorted(kind.name for kind in self.events.kinds),
            "link_group": self.link_group,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        self.set_columns(texts_of(state.get("columns"), len(COLUMNS)))
        self._knows_stocks = state.get("knows_stocks") is True
        chosen = state.get("list")
        if isinstance(chosen, str) and chosen in {each.value for each in ScanList}:
            self.quick = ScanList(chosen)
        self.sorting = sorting_of(state.get("sort")) or self.sorting
        text = state.get("filter")
        if isinstance(text, str):
            self.set_filter(text)
        minutes = state.get("minutes")
        if isinstance(minutes, int) and minutes in MINUTES:
            self.events.set_minutes(minutes)
        venues = _venues_of(state)
        kinds = [
            MarketKind(word) for word in texts_of(state.get("kinds"), 9) if word in {each.value for each in BOOK_KINDS}
        ]
        self.set_markets(venues, kinds)
        depth_pct = state.get("depth_pct")
        if isinstance(depth_pct, int | float) and float(depth_pct) in DEPTHS_PCT:
            self.set_depth(float(depth_pct))
        if isinstance(state.get("favourites"), list):
            self.favourites = set(filter(None, map(_instrument, texts_of(state["favourites"], MAX_FAVOURITES))))
        self.scans.update(scans_of(state.get("scans")))
        names = texts_of(state.get("event_kinds"), len(EventKind))
        self.events.kinds = frozenset(kind for kind in EventKind if kind.name in names) or frozenset(EventKind)
        if "link_group" in state:
            group = state["link_group"]
            self.link_group = group if isinstance(group, str) and group in LINK_GROUPS else None
        self.resort()


def _venues_of(state: dict[str, object]) -> list[Venue]:
    """Return the venues of a stored state; one that was not there yet when it was stored is shown."""
    words = texts_of(state.get("venues"), 9)
    hidden = texts_of(state["hidden_venues"], 9) if "hidden_venues" in state else [venue.value for venue in BOOK_VENUES]
    return [venue for venue in Venue if venue.value in words or (words and venue.value not in hidden)]


def _instrument(text: str) -> tuple[Market, str] | None:
    market, _, symbol = text.partition(":")
    return (Market(market), symbol) if symbol and market in {each.value for each in Market} else None
