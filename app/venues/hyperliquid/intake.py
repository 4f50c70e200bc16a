"""Hyperliquid's inputs into books and market news: snapshots of every resolution to the keepers, figures to the desk.

Books carry no update ids and their frames do not say at which resolution they are: the connection they came on does.
The venue tells nobody of other people's liquidations, so none are passed on.
"""

from __future__ import annotations

from app.books.buckets import BucketBook
from app.books.keeper import BookState
from app.domain.errors import BadFrameError
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_MS
from app.venues.feed import Desk
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.figures import Figures
from app.venues.hyperliquid.messages import ActiveContext, ActiveSpotContext, BookData, QuoteData, WireLevel
from app.venues.hyperliquid.protocol import BOOK_LINES, FULL, MAX_LEVELS, Mids, PerpTable, SpotTable


class HyperliquidIntake:
    """`Intake` of perpetuals or spot."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._books: list[BucketBook] = []
        self._row_of: dict[str, int] = {}
        self.figures = Figures(desk, self._row_of)

    def open_book(self, instrument: Instrument) -> BucketBook:
        """Return the keeper of one book."""
        keeper = BucketBook(BOOK_LINES, MAX_LEVELS)
        self._row_of[instrument.symbol] = len(self._books)
        self._books.append(keeper)
        return keeper

    # -- streams -------------------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: bytes, line: str) -> None:
        """Take one frame; `line` tells the resolution of books. Raises BadFrameError (counted here)."""
        try:
            message = protocol.decode(raw)
        except BadFrameError:
            self._desk.health.bad_frames += 1
            raise
        match message:
            case BookData():
                self._on_book(recv_ns, message, line if line in BOOK_LINES else FULL, polled=False)
            case QuoteData():
                self.figures.on_quote(recv_ns, message)
            case list():
                self.figures.on_trades(recv_ns, message)
            case Mids():
                self.figures.on_mids(recv_ns, message)
            case PerpTable():
                self.figures.on_perp_table(recv_ns, message)
            case SpotTable():
                self.figures.on_spot_table(recv_ns, message)
            case ActiveContext():
                self.figures.on_perps(recv_ns, [(message.coin, message.ctx)])
            case ActiveSpotContext():
                self.figures.on_spots(recv_ns, [(message.coin, message.ctx)])
            case _:
                pass  # an answer to a control frame: the session's affair

    def _on_book(self, recv_ns: int, data: BookData, line: str, *, polled: bool) -> None:
        desk = self._desk
        index = self._row_of.get(data.coin)
        if index is None:
            desk.health.dropped += 1
            return
        keeper = self._books[index]
        state, resyncs = keeper.state, keeper.counters.resyncs
        bids, asks = (_levels(side) for side in data.levels)
        changed = keeper.on_snapshot(line, data.time, bids, asks, recv_ns, polled=polled)
        desk.health.resyncs += keeper.counters.resyncs - resyncs
        if not changed:
            desk.health.dropped += changed is None
            desk.on_heard(index, recv_ns)
        elif keeper.state is BookState.POLLED:
            desk.on_polled(index)
        elif state is not BookState.LIVE:
            desk.on_loaded(index, recv_ns, f"{len(bids)} bids and {len(asks)} asks ({line})")
        else:
            desk.on_applied(index, recv_ns, data.time * NS_PER_MS)

    def on_streams(self, index: int, recv_ns: int, *, up: bool, line: str) -> bool:
        """Note that one of a book's lines begins or is lost; the book is read while any of them runs."""
        keeper = self._books[index]
        if up:
            keeper.on_up(recv_ns, line or None)
        else:
            keeper.on_down(recv_ns, line or None)
        return keeper.streaming

    # -- answers -------------------------------------------------------------------------------------------------

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Nothing has to be kept for an answer: snapshots stand for themselves."""

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Nothing was kept for it."""

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        """Take a table of the whole market, or a book; a bad answer is counted and said."""
        index = None
        try:
            request = protocol.parse_info_path(path)
            if request.type == "l2Book":
                index = self._row_of.get(request.coin)
                book = protocol.decode_book(raw)
                if book.coin != request.coin:
                    raise BadFrameError(f"expected the book of {request.coin}, was that of {book.coin[:20]}")
                self._on_book(recv_ns, book, request.line, polled=polled)
            elif request.type == "meta":
                self.figures.learn_perps(protocol.decode_meta(raw))
            elif request.type == "metaAndAssetCtxs":
                perps, perp_table = protocol.decode_perp_market(raw)
                self.figures.learn_perps(perps)
                self.figures.on_perp_table(recv_ns, perp_table)
            elif request.type == "spotMetaAndAssetCtxs":
                spots, spot_table = protocol.decode_spot_market(raw)
                self.figures.learn_spots(spots)
                self.figures.on_spot_table(recv_ns, spot_table)
        except BadFrameError as error:
            self._desk.health.bad_frames += 1
            if index is None:
                self._desk.on_notice(recv_ns, None, f"answer refused, {error}")
            else:
                self._desk.on_refused(index, recv_ns, f"snapshot refused, {error}", again=False)


def _levels(side: list[WireLevel]) -> list[tuple[float, float]]:
    return [(level.px, level.sz) for level in side]
