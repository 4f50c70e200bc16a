"""Bybit's inputs into books and market news: book topics and snapshots to the keepers, figures to the desk.

Which kind of book an instrument has is told by the topics that come (`orderbook.full` or `orderbook.N`), not by
settings, so that a recording is replayed as it was made. Quotes (spot: `orderbook.1`, linear: tickers) are held against
the books: at the same sequence of the matching engine both have to show the same top, and a book whose stream has been
silent for seconds while quotes went elsewhere has lost it.
"""

from __future__ import annotations

from typing import Final

from app.books.either import EitherSync
from app.books.keeper import BookState, Keeper
from app.books.sync import Outcome
from app.books.window import WindowSync
from app.domain.errors import BadFrameError
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.market import Field, Liquidation, TickerUpdate
from app.domain.units import NS_PER_S
from app.venues.bybit import protocol
from app.venues.bybit.messages import BookData, TickerData
from app.venues.bybit.protocol import BookNews, ControlAnswer, TickerNews
from app.venues.bybit.urls import BOOK_PATH, FULL_BOOK_PATH, QUOTE, TICKERS_PATH, parse_path
from app.venues.feed import Desk

_FRESH_NS: Final = 15 * NS_PER_S
"""Figures of the slow request for the whole market are not news for an instrument whose own stream is younger."""
_SILENT_NS: Final = 5 * NS_PER_S
"""A quote so much newer (venue time) than the newest update of a book that shows another top refutes the book."""


class _Book:
    """One row: its keeper and the venue time of its newest message."""

    __slots__ = ("event_ns", "keeper", "symbol", "vacant")

    def __init__(self, symbol: str, keeper: WindowSync | EitherSync) -> None:
        self.symbol = symbol
        self.keeper = keeper
        self.event_ns = 0
        self.vacant = False
        """Whether it has been told that the venue holds no orders."""


class _Quote:
    """The newest best prices of one instrument."""

    __slots__ = ("ask", "bid")

    def __init__(self) -> None:
        self.bid = float("nan")
        self.ask = float("nan")


class BybitIntake:
    """`Intake` of one Bybit category."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._spot = desk.feed.market is Market.BYBIT_SPOT
        self._books: list[_Book] = []
        self._row_of: dict[str, int] = {}
        self._fresh_ns: dict[str, int] = {}
        """Receive time of each instrument's newest ticker frame."""
        self._quotes: dict[str, _Quote] = {}

    def open_book(self, instrument: Instrument) -> Keeper:
        """Return the keeper of one book; on spot it takes the full book as well as a window."""
        keeper = EitherSync() if self._spot else WindowSync()
        self._row_of[instrument.symbol] = len(self._books)
        self._books.append(_Book(instrument.symbol, keeper))
        return keeper

    # -- streams -------------------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: bytes, line: str) -> None:
        """Take one frame. Raises BadFrameError (counted here) for one that is not as documented."""
        try:
            message = protocol.decode(raw)
        except BadFrameError:
            self._desk.health.bad_frames += 1
            raise
        if message is None or isinstance(message, ControlAnswer):
            return
        if isinstance(message, BookNews):
            if message.levels == 1:
                self._on_top(recv_ns, message)
            else:
                self._on_book(recv_ns, message)
        elif isinstance(message, TickerNews):
            self._on_ticker(recv_ns, message)
        else:
            self._on_liquidations(recv_ns, message)

    def on_streams(self, index: int, recv_ns: int, *, up: bool, line: str) -> bool:
        """Note that a book's stream begins or is lost; a lost one leaves its book unread."""
        book = self._books[index]
        book.event_ns = 0
        if up:
            book.keeper.on_up(recv_ns)
        else:
            book.keeper.on_down(recv_ns)
            self._quotes.pop(book.symbol, None)
        return up

    # -- books ---------------------------------------------------------------------------------------------------

    def _on_book(self, recv_ns: int, news: BookNews) -> None:
        index = self._row_of.get(news.data.s)
        if index is None:
            self._desk.health.dropped += 1
            return
        book = self._books[index]
        keeper = book.keeper
        resyncs = keeper.counters.resyncs
        outcome = _take(keeper, news, recv_ns)
        self._desk.health.resyncs += keeper.counters.resyncs - resyncs
        book.event_ns = max(book.event_ns, news.event_ns)
        if outcome is Outcome.APPLIED:
            self._desk.on_applied(index, recv_ns, news.event_ns)
            if book.vacant and keeper.state is BookState.LIVE:
                book.vacant = False
        elif outcome is Outcome.GAP:
            self._desk.on_gap(index, recv_ns, _gap_text(keeper, news))
        elif outcome is Outcome.LOADED:
            self._loaded(index, recv_ns, news.data)
        else:
            if outcome is Outcome.IGNORED or outcome is None:
                self._desk.health.dropped += 1
            self._desk.on_heard(index, recv_ns)

    def _loaded(self, index: int, recv_ns: int, data: BookData) -> None:
        """Tell that a snapshot is in a book; of an instrument without orders once only."""
        book = self._books[index]
        if data.b or data.a:
            book.vacant = False
            self._desk.on_loaded(index, recv_ns, f"{len(data.b)} bids and {len(data.a)} asks")
            return
        self._desk.on_loaded(index, recv_ns, "no orders")
        if not book.vacant:
            book.vacant = True
            text = f"{book.symbol}: the venue holds no orders (suspended, in an auction, or delisted)"
            self._desk.on_notice(recv_ns, book.symbol, text)

    # -- quotes and figures --------------------------------------------------------------------------------------

    def _on_top(self, recv_ns: int, news: BookNews) -> None:
        """Take best prices; the same ones are sent again every few seconds with the same number."""
        data = news.data
        bid, bid_size = data.b[0] if data.b and data.b[0][1] > 0.0 else (float("nan"), float("nan"))
        ask, ask_size = data.a[0] if data.a and data.a[0][1] > 0.0 else (float("nan"), float("nan"))
        values: dict[int, float] = {}
        if news.is_snapshot or data.b:
            values |= {Field.BID: bid, Field.BID_SIZE: bid_size}
        if news.is_snapshot or data.a:
            values |= {Field.ASK: ask, Field.ASK_SIZE: ask_size}
        if not values:
            return
        self._desk.on_news(recv_ns, (TickerUpdate(data.s, news.event_ns, values),))
        index = self._row_of.get(data.s)
        if index is not None and self._note_quote(data.s, values):
            quote = self._quotes[data.s]
            if data.seq:
                self._desk.on_quote(index, recv_ns, data.seq, _or_zero(quote.bid), _or_zero(quote.ask))
            self._hold_against(index, recv_ns, news.event_ns, quote)

    def _on_ticker(self, recv_ns: int, news: TickerNews) -> None:
        values = protocol.figures(news.data)
        symbol = news.data.symbol
        self._fresh_ns[symbol] = recv_ns
        told = values
        if news.is_snapshot:
            told = protocol.with_unknown(values, protocol.SPOT_FIELDS if self._spot else protocol.LINEAR_FIELDS)
        if told:
            self._desk.on_news(recv_ns, (TickerUpdate(symbol, news.event_ns, told),))
        index = self._row_of.get(symbol)
        if index is not None and self._note_quote(symbol, values):
            self._hold_against(index, recv_ns, news.event_ns, self._quotes[symbol])

    def _note_quote(self, symbol: str, values: dict[int, float]) -> bool:
        """Merge best prices; return whether there were some."""
        if Field.BID not in values and Field.ASK not in values:
            return False
        quote = self._quotes.get(symbol)
        if quote is None:
            quote = self._quotes[symbol] = _Quote()
        quote.bid = values.get(Field.BID, quote.bid)
        quote.ask = values.get(Field.ASK, quote.ask)
        return True

    def _hold_against(self, index: int, recv_ns: int, event_ns: int, quote: _Quote) -> None:
        """Give up a book whose own stream is silent while quotes show another top."""
        book = self._books[index]
        keeper = book.keeper
        if not book.event_ns or event_ns - book.event_ns < _SILENT_NS or keeper.state is not BookState.LIVE:
            return
        bid, ask = keeper.best()
        if (bid == quote.bid or quote.bid != quote.bid) and (ask == quote.ask or quote.ask != quote.ask):
            return
        silent_s = (event_ns - book.event_ns) / NS_PER_S
        keeper.invalidate(recv_ns)
        keeper.counters.contradicted += 1
        book.event_ns = 0
        text = f"no update came for {silent_s:.0f} s while quotes moved; the book is being loaded again"
        self._desk.on_gap(index, recv_ns, text)

    def _on_liquidations(self, recv_ns: int, liquidations: list[Liquidation]) -> None:
        if liquidations:
            self._desk.on_liquidations(recv_ns, liquidations)

    # -- REST ----------------------------------------------------------------------------------------------------

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Keep deltas of the symbol for the snapshot that was asked for."""
        book = self._full_book_of(path)
        if book is not None:
            book.on_snapshot_asked()

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that the snapshot did not come."""
        book = self._full_book_of(path)
        if book is not None:
            book.on_snapshot_failed()
            self._desk.on_refused(self._row_of[parse_path(path)[1]["symbol"]], recv_ns, reason, again=False)

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        """Take an answer: figures of the whole market, or a snapshot."""
        bare = parse_path(path)[0]
        if bare == TICKERS_PATH:
            self._on_all_tickers(recv_ns, raw)
        elif bare in (FULL_BOOK_PATH, BOOK_PATH):
            self._on_snapshot(recv_ns, path, raw, polled=polled)

    def _full_book_of(self, path: str) -> EitherSync | None:
        bare, query = parse_path(path)
        index = self._row_of.get(query.get("symbol", ""))
        if bare != FULL_BOOK_PATH or index is None:
            return None
        keeper = self._books[index].keeper
        return keeper if isinstance(keeper, EitherSync) else None

    def _on_snapshot(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        desk = self._desk
        bare, query = parse_path(path)
        index = self._row_of.get(query.get("symbol", ""))
        if index is None:
            desk.health.dropped += 1
            return
        full = self._full_book_of(path)
        try:
            data = protocol.decode_book(raw)
            if data.s != query["symbol"]:
                raise BadFrameError(f"expected the book of {query['symbol']}, was that of {data.s}")
        except BadFrameError as error:
            desk.health.bad_frames += 1
            if full is not None:
                full.on_snapshot_failed()
            desk.on_refused(index, recv_ns, f"snapshot refused, {error}", again=not polled)
            return
        keeper = self._books[index].keeper
        if polled:
            if keeper.on_polled(_limit(bare, query), data.seq, data.b, data.a, recv_ns) is Outcome.LOADED:
                desk.on_polled(index)
            return
        if full is None:
            desk.health.dropped += 1
            return
        resyncs, applied = full.counters.resyncs, full.counters.applied
        outcome = full.on_full_snapshot(data.u, data.seq, data.b, data.a, recv_ns)
        desk.health.resyncs += full.counters.resyncs - resyncs
        desk.health.applied += full.counters.applied - applied
        if outcome is Outcome.TOO_OLD:
            text = "the snapshot does not fit the updates kept for it; asking again"
            desk.on_refused(index, recv_ns, text, again=keeper.wants_snapshot)
        elif outcome is not Outcome.IGNORED:
            self._loaded(index, recv_ns, data)

    def _on_all_tickers(self, recv_ns: int, raw: bytes) -> None:
        """Take figures of the whole market for instruments that no stream of their own keeps fresher."""
        desk = self._desk
        try:
            rows, bad, event_ns = protocol.decode_tickers(raw)
        except BadFrameError as error:
            desk.health.bad_frames += 1
            desk.on_notice(recv_ns, None, f"the list of all tickers could not be used: {error}")
            return
        desk.health.bad_frames += bad
        oldest_ns = recv_ns - _FRESH_NS
        fresh = self._fresh_ns
        updates = [
            TickerUpdate(row.symbol, event_ns, protocol.figures(row))
            for row in rows
            if is_followed(row) and fresh.get(row.symbol, 0) < oldest_ns
        ]
        if updates:
            desk.on_news(recv_ns, updates)


def is_followed(row: TickerData) -> bool:
    """Tell by its name whether an instrument is a coin or a perpetual against USDT: BTCUSDT, not BTCUSDT-26SEP26."""
    return row.symbol.endswith(QUOTE) and row.symbol.isalnum()


def _take(keeper: WindowSync | EitherSync, news: BookNews, recv_ns: int) -> Outcome | None:
    """Hand a message to its keeper; None when it cannot be of use to that one."""
    data, size = news.data, news.levels
    if isinstance(keeper, WindowSync):
        if not size:
            return None
        take = keeper.on_snapshot if news.is_snapshot else keeper.on_delta
        return take(size, data.u, data.seq, data.b, data.a, recv_ns)
    if not size:
        return None if news.is_snapshot else keeper.on_full_delta(data.u, data.seq, data.b, data.a, recv_ns)
    take = keeper.on_window_snapshot if news.is_snapshot else keeper.on_window_delta
    return take(size, data.u, data.seq, data.b, data.a, recv_ns)


def _gap_text(keeper: WindowSync | EitherSync, news: BookNews) -> str:
    number, again = news.data.u, "the book is being loaded again"
    if number == 1:
        return f"the venue began its book anew; {again}"
    if not news.levels:
        return f"updates are missing before {number}; {again}"
    window = keeper if isinstance(keeper, WindowSync) else keeper.window
    bids, asks = window.counts()
    if news.is_snapshot:
        return f"a snapshot of {len(news.data.b)} bids and {len(news.data.a)} asks where {news.levels} fit; {again}"
    if window.number == number:
        return f"{bids} bids and {asks} asks where {news.levels} have to be at update {number}; {again}"
    return f"updates are missing before {number}; {again}"


def _limit(path: str, query: dict[str, str]) -> int:
    """Return how many levels per side a request asked for."""
    if path == FULL_BOOK_PATH:
        return 10_000
    text = query.get("limit", "")
    return int(text) if text.isdecimal() else 1


def _or_zero(price: float) -> float:
    return price if price == price else 0.0
