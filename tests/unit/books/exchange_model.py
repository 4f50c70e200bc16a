"""A naive exchange that knows everything: the true book after every single update, and what it says of it on the wire.

Prices are whole numbers, so that every sum of this model is exact in floats too.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

Levels = list[tuple[float, float]]
Book = dict[int, int]

DEPTHS = [Fraction(n, 1000) for n in (15, 30, 50, 80, 150, 300, 600)]


@dataclass(frozen=True)
class Diff:
    """One event of the diff stream."""

    first: int
    last: int
    previous: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True)
class Snapshot:
    """One REST answer."""

    last: int
    bids: Levels
    asks: Levels
    limit: int


class Exchange:
    """The venue: `futures` chains events by `pu` and skips ids of other symbols, spot chains them by contiguous ids."""

    def __init__(self, *, futures: bool, bids: Book, asks: Book, first_id: int = 100) -> None:
        self.futures = futures
        self.now_id = first_id
        self.bids, self.asks = dict(bids), dict(asks)
        self._ids = [first_id]
        self._states = [(dict(bids), dict(asks))]
        self._reported = first_id
        self._changed: tuple[dict[int, None], dict[int, None]] = ({}, {})
        self._first_change: int | None = None

    def true_book(self, at: int) -> tuple[Book, Book]:
        """Return the whole book after update `at`."""
        return self._states[bisect_right(self._ids, at) - 1]

    def others_trade(self, count: int) -> None:
        """Use up ids for other symbols; on spot ids are this symbol's own."""
        if self.futures:
            self.now_id += count

    def put(self, side: int, price: int, qty: int) -> None:
        """Set a quantity; an order that would cross takes the other side's levels away first."""
        mine, other = (self.bids, self.asks) if side == 0 else (self.asks, self.bids)
        if qty:
            met = [p for p in other if (p <= price if side == 0 else p >= price)]
            for each in sorted(met, reverse=side == 1):
                self._set(1 - side, other, each, 0)
        self._set(side, mine, price, qty)

    def _set(self, side: int, book: Book, price: int, qty: int) -> None:
        self.now_id += 1
        if qty:
            book[price] = qty
        else:
            book.pop(price, None)
        self._changed[side][price] = None
        if self._first_change is None:
            self._first_change = self.now_id
        self._ids.append(self.now_id)
        self._states.append((dict(self.bids), dict(self.asks)))

    def report(self) -> Diff | None:
        """Return the event that tells what changed since the last one, None when nothing did."""
        if self._first_change is None:
            return None
        first = self._first_change if self.futures else self._reported + 1
        last = self._ids[-1]
        diff = Diff(
            first=first,
            last=last,
            previous=self._reported if self.futures else -1,
            bids=[(float(p), float(self.bids.get(p, 0))) for p in self._changed[0]],
            asks=[(float(p), float(self.asks.get(p, 0))) for p in self._changed[1]],
        )
        self._reported = last
        self._changed = ({}, {})
        self._first_change = None
        return diff

    def snapshot(self, limit: int, at: int | None = None) -> Snapshot:
        """Return the best `limit` levels of each side, as of an earlier update when `at` says so."""
        last = self.now_id if at is None else at
        bids, asks = self.true_book(last)
        best_bids = sorted(bids.items(), reverse=True)[:limit]
        best_asks = sorted(asks.items())[:limit]
        return Snapshot(
            last, [(float(p), float(q)) for p, q in best_bids], [(float(p), float(q)) for p, q in best_asks], limit
        )


def band_sums(book: Book, side: int, depth: Fraction, best: Fraction | None = None) -> tuple[int, int]:
    """Return coins and USD within a depth of the best price (the book's own unless given)."""
    if not book:
        return 0, 0
    if best is None:
        best = Fraction(max(book) if side == 0 else min(book))
    edge = best * (1 - depth) if side == 0 else best * (1 + depth)
    inside = [(p, q) for p, q in book.items() if (p >= edge if side == 0 else p <= edge)]
    return sum(q for _, q in inside), sum(p * q for p, q in inside)
