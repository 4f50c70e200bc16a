"""Binance's inputs into books and market news: diffs, quotes and snapshots to the keepers, the rest to the desk."""

from __future__ import annotations

from app.books.sync import BookSync, Outcome, Rule
from app.domain.errors import BadFrameError
from app.domain.ids import MarketKind
from app.domain.instruments import Instrument
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_MS
from app.venues.binance import protocol
from app.venues.binance.messages import DepthData, QuoteData
from app.venues.binance.news_protocol import DEFAULT_FUNDING_HOURS, News, decode_rest, quote_update
from app.venues.feed import Desk


class BinanceIntake:
    """`Intake` of one Binance market."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._market = desk.feed.market
        self._rule = Rule.SPOT if self._market.kind is MarketKind.SPOT else Rule.FUTURES
        self._books: list[BookSync] = []
        self._row_of: dict[str, int] = {}
        self._funding_hours: dict[str, float] = {}

    def open_book(self, instrument: Instrument) -> BookSync:
        """Return the keeper of one book."""
        keeper = BookSync(self._rule)
        self._row_of[instrument.symbol] = len(self._books)
        self._books.append(keeper)
        return keeper

    # -- streams -------------------------------------------------------------------------------------------------

    def on_frame(self, recv_ns: int, raw: bytes, line: str) -> None:
        """Take one frame. Raises BadFrameError (counted here) for one that is not as documented."""
        try:
            message = protocol.decode(raw)
        except BadFrameError:
            self._desk.health.bad_frames += 1
            raise
        kind = type(message)
        if kind is DepthData:
            self._on_depth(recv_ns, message)  # type: ignore[arg-type] # `type() is` is the fast test
        elif kind is QuoteData:
            self._on_quote(recv_ns, message)  # type: ignore[arg-type]
        elif kind is News:
            self._on_news(recv_ns, message)  # type: ignore[arg-type]

    def _on_depth(self, recv_ns: int, data: DepthData) -> None:
        index = self._row_of.get(data.s)
        if index is None:
            self._desk.health.dropped += 1
            return
        outcome = self._books[index].on_diff(data.U, data.u, data.pu, data.b, data.a, recv_ns)
        if outcome is Outcome.APPLIED:
            self._desk.on_applied(index, recv_ns, data.E * NS_PER_MS)
        elif outcome is Outcome.GAP:
            text = f"updates are missing before {data.U}; the book is being loaded again"
            self._desk.on_gap(index, recv_ns, text)
        elif outcome is Outcome.IGNORED:
            self._desk.health.dropped += 1
            self._desk.on_heard(index, recv_ns)
        else:
            self._desk.on_heard(index, recv_ns)

    def _on_quote(self, recv_ns: int, data: QuoteData) -> None:
        index = self._row_of.get(data.s)
        if index is None:
            self._desk.on_news(recv_ns, (quote_update(data),))
        else:
            self._desk.on_quote(index, recv_ns, data.u, data.b, data.a)

    def _on_news(self, recv_ns: int, news: News) -> None:
        if news.updates:
            self._desk.on_news(recv_ns, [self._with_interval(update) for update in news.updates])
        if news.liquidations:
            self._desk.on_liquidations(recv_ns, news.liquidations)

    def _with_interval(self, update: TickerUpdate) -> TickerUpdate:
        """Add the funding interval to a rate: the venue lists only those that are not the usual 8 hours."""
        hours = update.values.get(Field.FUNDING_HOURS)
        if hours is not None:
            self._funding_hours[update.symbol] = hours
        elif Field.FUNDING in update.values:
            hours = self._funding_hours.get(update.symbol, DEFAULT_FUNDING_HOURS)
            return TickerUpdate(update.symbol, update.event_ns, {**update.values, Field.FUNDING_HOURS: hours})
        return update

    def on_streams(self, index: int, recv_ns: int, *, up: bool, line: str) -> bool:
        """Note that the diff stream of a book begins or is lost; a lost one leaves its book unconfirmed and unread."""
        keeper = self._books[index]
        if up:
            keeper.on_up(recv_ns)
        else:
            keeper.on_down(recv_ns)
        return up

    # -- snapshots -----------------------------------------------------------------------------------------------

    def on_rest_asked(self, recv_ns: int, path: str) -> None:
        """Keep diffs of the symbol for the snapshot that was asked for."""
        index = self._row_of.get(protocol.parse_depth_path(self._market, path).symbol)
        if index is not None:
            self._books[index].on_snapshot_asked()

    def on_rest_failed(self, recv_ns: int, path: str, reason: str) -> None:
        """Note that the snapshot did not come."""
        index = self._row_of.get(protocol.parse_depth_path(self._market, path).symbol)
        if index is not None:
            self._books[index].on_snapshot_failed()
            self._desk.on_refused(index, recv_ns, reason, again=False)

    def on_rest(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        """Take an answer; a bad one is counted, said, and asked for again."""
        if protocol.is_depth_path(path):
            self._on_snapshot(recv_ns, path, raw, polled=polled)
            return
        try:
            news = decode_rest(path, raw)
        except BadFrameError as error:
            self._desk.health.bad_frames += 1
            self._desk.on_notice(recv_ns, None, f"an answer was refused, {error}")
            return
        if news is not None:
            self._on_news(recv_ns, news)

    def _on_snapshot(self, recv_ns: int, path: str, raw: bytes, *, polled: bool) -> None:
        desk = self._desk
        request = protocol.parse_depth_path(self._market, path)
        index = self._row_of.get(request.symbol)
        if index is None:
            desk.health.dropped += 1
            return
        keeper = self._books[index]
        try:
            body = protocol.decode_snapshot(raw)
        except BadFrameError as error:
            desk.health.bad_frames += 1
            keeper.on_snapshot_failed()
            desk.on_refused(index, recv_ns, f"snapshot refused, {error}", again=True)
            return
        load = keeper.on_polled if polled else keeper.on_snapshot
        resyncs, applied = keeper.counters.resyncs, keeper.counters.applied
        outcome = load(body.lastUpdateId, body.bids, body.asks, request.limit, recv_ns)
        desk.health.resyncs += keeper.counters.resyncs - resyncs
        desk.health.applied += keeper.counters.applied - applied
        if polled:
            if outcome is not Outcome.TOO_OLD:
                desk.on_polled(index)
        elif outcome is Outcome.TOO_OLD:
            text = "the snapshot is older than the first update kept for it; asking again"
            desk.on_refused(index, recv_ns, text, again=keeper.wants_snapshot)
        else:
            desk.on_loaded(index, recv_ns, f"{len(body.bids)} bids and {len(body.asks)} asks")
