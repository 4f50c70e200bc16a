"""Turns one order book into the rows of a ladder: levels grouped by price, cumulated, with the band edges marked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market, Venue
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.indicators.window import FloatArray, IntArray
from app.viewmodels.linking import DEFAULT_GROUP, LinkBus
from app.viewmodels.naming import pair_of, symbol_of
from app.viewmodels.sources import BookSource, BookView

MAX_LEVELS: Final = 5000
FINE_LEVELS: Final = 200
AUTO_REACH: Final = 0.055
"""The automatic price step lets the rows reach about this share of the best price: past the edge of the 5 % band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderSide:
    """One side of the ladder, best row first; arrays of length k.

    price: the bucket's edge away from the best price (bids round down, asks up). qty, usd: in the bucket. cum_qty,
    cum_usd: from the best price to the end of the bucket. unconfirmed: share 0..1 of the quantity that is
    unconfirmed; since_ns: the oldest of its stamps (0: all confirmed). band: int64, index of the band that holds the
    row, 7 beyond 60 %. edges: (row before which the edge lies, band index) for each edge within the rows. known_row:
    the first row that reaches beyond what is proven, k when all rows are proven.
    """

    price: FloatArray
    qty: FloatArray
    usd: FloatArray
    cum_qty: FloatArray
    cum_usd: FloatArray
    unconfirmed: FloatArray
    since_ns: IntArray
    band: npt.NDArray[np.int64]
    edges: tuple[tuple[int, int], ...]
    known_row: int

    def __len__(self) -> int:
        return int(self.price.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderView:
    """What the ladder paints: the book it came from, the price step in use and both sides."""

    book: BookView
    step: float
    sides: tuple[LadderSide, LadderSide]

    @property
    def spread(self) -> float | None:
        """Return best ask - best bid, None when a side is missing."""
        value = float(self.book.best[ASK] - self.book.best[BID])
        return value if math.isfinite(value) else None

    @property
    def spread_bp(self) -> float | None:
        """Return the spread in hundredths of a percent of the mid price."""
        spread = self.spread
        middle = float(self.book.best.sum()) / 2
        return spread / middle * 10_000 if spread is not None and middle > 0 else None


class LadderModel:
    """The state of one order-book panel. `changed_symbol` is called after another symbol was chosen."""

    def __init__(self, books: BookSource, links: LinkBus, market: Market = Market.BINANCE_SPOT) -> None:
        self._books = books
        self._links = links
        self._market = market
        self._symbol: str | None = None
        self._pair: str | None = None
        self._step: float | None = None
        self._tick: float | None = None
        self._link_group: str | None = None
        self._unlink: Callable[[], None] | None = None
        self._active = False
        self._watched: tuple[Market, str] | None = None
        self._choice = 0
        self.changed_symbol: Callable[[], None] | None = None
        self.set_link_group(DEFAULT_GROUP)
        if self._pair is None:
            symbols = books.symbols(market)
            if symbols:
                self.show_pair(pair_of(symbols[0]))

    @property
    def market(self) -> Market:
        """Return the market shown."""
        return self._market

    def venues(self) -> tuple[Venue, ...]:
        """Return the venues that have books."""
        return tuple(dict.fromkeys(market.venue for market in Market if self._books.symbols(market)))

    @property
    def symbol(self) -> str | None:
        """Return the market's symbol of the pair, None when the market does not list it."""
        return self._symbol

    @property
    def pair(self) -> str | None:
        """Return the pair shown."""
        return self._pair

    @property
    def step(self) -> float | None:
        """Return the chosen price step, None for the automatic one."""
        return self._step

    @property
    def link_group(self) -> str | None:
        """Return the link group the panel follows, None when it stands alone."""
        return self._link_group

    @property
    def is_led(self) -> bool:
        """Whether the link group has picked a pair, which then counts more than a remembered one."""
        return self._link_group is not None and self._links.current(self._link_group) is not None

    @property
    def revision(self) -> tuple[int, int]:
        """Return a value that moves when the view may have changed."""
        if self._symbol is None:
            return self._choice, -1
        return self._choice, self._books.book_revision(self._market, self._symbol)

    def set_link_group(self, group: str | None) -> None:
        """Follow a link group, or none."""
        if self._unlink is not None:
            self._unlink()
            self._unlink = None
        self._link_group = group
        self._choice += 1
        if group is not None:
            self._unlink = self._links.subscribe(group, self.show_pair)
            pair = self._links.current(group)
            if pair is not None:
                self.show_pair(pair)

    def choose_pair(self, pair: str) -> None:
        """Show a pair here and in every panel of the link group."""
        self.show_pair(pair)
        if self._link_group is not None:
            self._links.publish(self._link_group, pair)

    def show_pair(self, pair: str) -> None:
        """Show a pair here only."""
        self._pair = pair
        self._take(self._market, symbol_of(pair, self._books.symbols(self._market)))

    def show_market(self, market: Market) -> None:
        """Show the same pair on another market."""
        symbol = symbol_of(self._pair, self._books.symbols(market)) if self._pair is not None else None
        self._take(market, symbol)

    def _take(self, market: Market, symbol: str | None) -> None:
        if (market, symbol) == (self._market, self._symbol):
            return
        self._market, self._symbol = market, symbol
        self._step = None
        self._choice += 1
        self._follow()
        if self.changed_symbol is not None:
            self.changed_symbol()

    def set_step(self, step: float | None) -> None:
        """Group levels by a price step; None: choose it automatically."""
        self._step = step if step is not None and step > 0 and math.isfinite(step) else None
        self._choice += 1

    def set_active(self, active: bool) -> None:
        """Ask for fast sampling while the panel is on screen."""
        self._active = active
        self._follow()

    def _follow(self) -> None:
        wanted = (self._market, self._symbol) if self._active and self._symbol is not None else None
        if wanted == self._watched:
            return
        if self._watched is not None:
            self._books.unwatch_book(*self._watched)
        self._watched = wanted
        if wanted is not None:
            self._books.watch_book(*wanted)

    def shut(self) -> None:
        """Let go of the link group and of the fast sampling."""
        self.changed_symbol = None
        self.set_active(False)
        if self._unlink is not None:
            self._unlink()
            self._unlink = None

    def steps(self) -> tuple[float, ...]:
        """Return the price steps worth offering for the symbol, finest first."""
        if self._symbol is None:
            return ()
        book = self._books.book(self._market, self._symbol, 1)
        return price_steps(book) if book is not None else ()

    def view(self, rows: int) -> LadderView | None:
        """Return the ladder with at most `rows` rows per side, None when there is no such book."""
        if self._symbol is None:
            return None
        fine = self._step is not None and self._step == self._tick
        book = self._books.book(self._market, self._symbol, max(rows, FINE_LEVELS) if fine else MAX_LEVELS)
        if book is None:
            return None
        self._tick = tick_of(book)
        step = self._step if self._step is not None else auto_step(book, rows)
        return LadderView(
            book=book,
            step=step,
            sides=(group_side(book, BID, step, rows), group_side(book, ASK, step, rows)),
        )


def tick_of(book: BookView) -> float:
    """Return the price step of the instrument; without one, a step that keeps six digits of the best price."""
    try:
        tick = float(book.tick_size) if book.tick_size is not None else 0.0
    except ValueError:
        tick = 0.0
    if math.isfinite(tick) and tick > 0:
        return tick
    reference = float(np.nanmax(book.best)) if np.isfinite(book.best).any() else 1.0
    return float(10.0 ** (math.floor(math.log10(reference)) - 5)) if reference > 0 else 1.0


def price_steps(book: BookView) -> tuple[float, ...]:
    """Return the tick times 1, 2, 5, 10, ... up to 5 % of the price."""
    tick = tick_of(book)
    reference = float(np.nanmax(book.best)) if np.isfinite(book.best).any() else 0.0
    steps = [tick]
    power = 1.0
    while len(steps) < 40:
        for factor in (2.0, 5.0, 10.0):
            step = tick * power * factor
            if step > reference * 0.05:
                return tuple(steps)
            steps.append(float(f"{step:.12g}"))
        power *= 10.0
    return tuple(steps)


def auto_step(book: BookView, rows: int) -> float:
    """Return the offered step with which `rows` rows reach about `AUTO_REACH` of the best price."""
    steps = price_steps(book)
    finite = book.best[np.isfinite(book.best)]
    if not finite.size or rows <= 0:
        return steps[0]
    wanted = float(finite[0]) * AUTO_REACH / rows
    return next((step for step in steps if step >= wanted), steps[-1])


def group_side(book: BookView, side: int, step: float, rows: int) -> LadderSide:
    """Return one side of a book grouped by a price step, at most `rows` rows."""
    price, qty, since = book.price[side], book.qty[side], book.since[side]
    if not price.size or rows <= 0:
        return _empty_side()
    # half a millionth of a step forgives the binary form of decimal prices
    bucket = np.floor(price / step + 5e-7) if side == BID else np.ceil(price / step - 5e-7)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1))
    stops = np.append(starts[1:], price.size)[:rows]
    starts = starts[:rows]
    end = int(stops[-1])
    price, qty, since, bucket = price[:end], qty[:end], since[:end], bucket[:end]
    usd = price * qty
    old = since > 0
    edges_price = bucket[starts] * step
    group_qty = np.add.reduceat(qty, starts)
    group_usd = np.add.reduceat(usd, starts)
    group_old = np.add.reduceat(np.where(old, qty, 0.0), starts)
    oldest = np.minimum.reduceat(np.where(old, since, np.iinfo(np.int64).max), starts)
    share = np.zeros(group_qty.shape)
    np.divide(group_old, group_qty, out=share, where=group_qty > 0)
    last = price[stops - 1]
    best = float(book.best[side])
    thresholds = np.array([best * (1 - d / 100 if side == BID else 1 + d / 100) for d in DEPTHS_PCT])
    distance, limits = (-last, -thresholds) if side == BID else (last, thresholds)
    band = np.searchsorted(limits, distance, side="left")
    first_outside = np.searchsorted(distance, limits, side="right")
    edges = tuple((int(row), index) for index, row in enumerate(first_outside) if row < last.size)
    return LadderSide(
        price=edges_price,
        qty=group_qty,
        usd=group_usd,
        cum_qty=np.cumsum(group_qty),
        cum_usd=np.cumsum(group_usd),
        unconfirmed=share,
        since_ns=np.where(group_old > 0, oldest, 0),
        band=band,
        edges=edges,
        known_row=int(np.searchsorted(distance, _known_limit(book, side), side="right")),
    )


def _known_limit(book: BookView, side: int) -> float:
    """Return the signed distance key (as in `group_side`) of the furthest proven price."""
    known, best = float(book.known_to_pct[side]), float(book.best[side])
    if math.isnan(known) or math.isnan(best):
        return -math.inf
    if math.isinf(known) or (side == BID and known >= 100):
        return math.inf
    price = best * (1 - known / 100 if side == BID else 1 + known / 100)
    return -price * (1 - 1e-12) if side == BID else price * (1 + 1e-12)


def _empty_side() -> LadderSide:
    none, numbers = np.empty(0), np.empty(0, np.int64)
    return LadderSide(
        price=none,
        qty=none,
        usd=none,
        cum_qty=none,
        cum_usd=none,
        unconfirmed=none,
        since_ns=numbers,
        band=numbers,
        edges=(),
        known_row=0,
    )
