"""The simulated market: turns a seed into 100 pairs on two markets whose books change every 100 ms.

Spot counts update ids per symbol without holes; USD-M futures share one counter, so that a symbol's ids jump and only
`previous_id` chains its diffs (shared/protocols of the venue: "How to manage a local order book correctly").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from app.domain.ids import Market, Venue
from app.sim.book import Changes, SimBook
from app.sim.factors import Factors
from app.sim.liquidations import ForcedOrder
from app.sim.pit import Pit
from app.sim.universe import Listing, build_listings, by_symbol

BURSTS_PER_STEP = 5
FASTEST_RATE = 20.0
RESTART_ID_JUMP = 5_000_000
STEPS_PER_SECOND = 10

_MAJOR_EDITS = (20, 60)
_MINOR_EDITS = (2, 12)


class BookTruth(NamedTuple):
    """A whole book as it stands after the diff that ended at `last_update_id`; (price, quantity) texts, best first."""

    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


@dataclass(slots=True)
class _Pace:
    """How often a book changes and by how much."""

    chance: float
    fewest_edits: int
    most_edits: int


class SimMarket:
    """All books, moved in bursts: five bursts make one 100 ms step, each touching a fifth of the books."""

    def __init__(
        self, *, seed: int = 1, symbols: Sequence[str] | None = None, rate: float = 1.0, sidelines: int = 0
    ) -> None:
        """Fill the books; equal arguments give equal markets for ever. `rate` scales how often books change.

        `sidelines` instruments of each market have prices and turnover, but no books.
        """
        if not 0.0 < rate <= FASTEST_RATE:
            raise ValueError(f"expected a rate above 0 and at most {FASTEST_RATE:g}, was {rate}")
        self.listings = build_listings(symbols)
        self.rate = rate
        self.step_number = 0
        self._generator = np.random.default_rng(seed)
        self._random = Random(int(self._generator.integers(2**63)))
        prices = np.array([listing.price / listing.units for listing in self.listings[Market.BINANCE_SPOT]])
        self._factors = Factors(self._generator, prices)
        self._futures_id = 9_100_000_000_000 + int(self._generator.integers(10**9))
        self._spot_ids = {
            listing.symbol: int(self._generator.integers(2_000_000_000, 90_000_000_000))
            for listing in self.listings[Market.BINANCE_SPOT]
        }
        self.books: dict[Market, dict[str, SimBook]] = {}
        self._paces: dict[Market, dict[str, _Pace]] = {}
        self._fill(Venue.BINANCE.markets)
        self.pit = Pit(seed, self.listings, sidelines)

    def _fill(self, markets: Sequence[Market]) -> None:
        for market in markets:
            listings = self.listings[market]
            self.books[market] = {}
            self._paces[market] = {}
            for symbol, listing in by_symbol(listings).items():
                first = self._spot_ids[symbol] if market is Market.BINANCE_SPOT else self._futures_id
                mid = self._factors.mid(market, listing.pair) * listing.units
                self.books[market][symbol] = SimBook(listing, mid, self._generator, first)
                self._paces[market][symbol] = self._pace(listing)

    def _pace(self, listing: Listing) -> _Pace:
        if listing.major:
            return _Pace(min(1.0, 0.97 * self.rate), *_MAJOR_EDITS)
        chance = (0.64 - 0.0036 * listing.pair) * self.rate
        return _Pace(min(1.0, max(0.05, chance)), *_MINOR_EDITS)

    def restart(self, markets: Sequence[Market] = Venue.BINANCE.markets) -> None:
        """Throw the books of some markets away and fill new ones at today's prices; ids go on far above the old."""
        if Market.BINANCE_USDM in markets:
            self._futures_id += RESTART_ID_JUMP
        if Market.BINANCE_SPOT in markets:
            for symbol, book in self.books[Market.BINANCE_SPOT].items():
                self._spot_ids[symbol] = book.update_id + RESTART_ID_JUMP
        self._fill(markets)

    def move(self, burst: int | None = None) -> Iterator[tuple[Market, SimBook, Changes]]:
        """Move one burst of the step (None: all of them) and yield the diffs, bookTicker states inside.

        Burst 0 begins a new step. Iterate to the end: books move as they are reached.
        """
        if burst in (None, 0):
            self.pit.step()
            self._factors.step(self.pit.drift_of_pairs)
            self.step_number += 1
            if self.step_number % STEPS_PER_SECOND == 0:
                self.pit.second({market: self._factors.mids(market) for market in self.books})
        dice = self._random
        for market, books in self.books.items():
            paces = self._paces[market]
            for place, (symbol, book) in enumerate(books.items()):
                if burst is not None and place % BURSTS_PER_STEP != burst:
                    continue
                pace = paces[symbol]
                if dice.random() >= pace.chance or not book.trading:
                    continue
                changes = self._move_book(market, book, dice.randint(pace.fewest_edits, pace.most_edits))
                if changes is not None:
                    yield market, book, changes
                    if dice.random() < 0.4:
                        self._begin_window(market, book)

    def settle(self) -> Iterator[tuple[Market, SimBook, Changes]]:
        """Yield the diffs that end every window already begun, so that no snapshot is ahead of the stream any more."""
        for market, books in self.books.items():
            for book in books.values():
                if book.pending_id > book.update_id:
                    changes = self._move_book(market, book, 0)
                    if changes is not None:
                        yield market, book, changes

    def _move_book(self, market: Market, book: SimBook, edits: int) -> Changes | None:
        listing = book.listing
        pressure = self._factors.pressure(market, listing.pair)
        mid = self._factors.mid(market, listing.pair) * listing.units
        begun = book.pending_id > book.update_id
        changes = book.move(mid, pressure, edits)
        count = len(changes.bids) + len(changes.asks)
        if not count:
            return None
        if market is Market.BINANCE_SPOT:
            changes.first_id = book.update_id + 1
            changes.last_id = max(book.pending_id, book.update_id + count + self._random.randint(0, 3))
        else:
            changes.first_id = book.pending_first_id if begun else self._futures_id + self._random.randint(1, 4)
            self._futures_id = max(self._futures_id, changes.first_id, book.pending_id) + count
            changes.last_id = self._futures_id
        book.update_id = changes.last_id
        book.pending_first_id = book.pending_id = 0
        for top in changes.tops[:-1]:
            top.update_id = max(changes.first_id, changes.last_id - 1)
        for top in changes.tops[-1:]:
            top.update_id = changes.last_id
        return changes

    def _begin_window(self, market: Market, book: SimBook) -> None:
        pressure = self._factors.pressure(market, book.listing.pair)
        count = book.look_ahead(pressure, self._random.randint(1, 2))
        if not count:
            return
        if market is Market.BINANCE_SPOT:
            book.pending_first_id = book.update_id + 1
        else:
            book.pending_first_id = self._futures_id + self._random.randint(1, 4)
        book.pending_id = book.pending_first_id + count

    def book(self, market: Market, symbol: str) -> SimBook:
        """Return one book by the venue's symbol; KeyError for an unknown one."""
        return self.books[market][symbol]

    @property
    def forced_orders(self) -> list[ForcedOrder]:
        """Liquidations on futures in the second that ended last."""
        return self.pit.forced_orders

    def truth(self, market: Market, symbol: str) -> BookTruth:
        """Return the whole book as of its last diff."""
        book = self.book(market, symbol)
        update_id, bids, asks = book.snapshot(None, ahead=False)
        return BookTruth(update_id, format_levels(book.listing, bids), format_levels(book.listing, asks))


def format_levels(listing: Listing, levels: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    """Return (price, quantity) texts for levels in ticks and steps."""
    return [(format_price(listing, price), format_quantity(listing, quantity)) for price, quantity in levels]


def format_price(listing: Listing, ticks: int) -> str:
    """Return a price with exactly the tick's decimals."""
    return fixed(ticks, listing.price_decimals)


def format_quantity(listing: Listing, steps: int) -> str:
    """Return a quantity with the decimals the market writes."""
    return fixed(steps, listing.quantity_decimals, listing.wire_decimals)


def fixed(value: int, decimals: int, written: int | None = None) -> str:
    """Return `value` x 10^-decimals, written with at least that many decimals (`written`: zeros are added up to it)."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    padding = max(0, (written or 0) - decimals)
    if decimals == 0:
        return f"{sign}{value}." + "0" * padding if padding else f"{sign}{value}"
    scale = 10**decimals
    return f"{sign}{value // scale}.{value % scale:0{decimals}d}" + "0" * padding
