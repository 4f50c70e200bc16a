"""From Hyperliquid's figures to market news: quotes, trades, middle prices and asset contexts, each under its name.

Perpetuals in `assetCtxs` are known by their position only, spot pairs by a number: `metaAndAssetCtxs` and
`spotMetaAndAssetCtxs` give them names. Before that, and for what is delisted, figures are left out. The venue tells no
high and low of the day.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_MS, NS_PER_S
from app.venues.feed import Desk
from app.venues.hyperliquid.messages import (
    PerpContext,
    PerpMeta,
    QuoteData,
    SpotContext,
    SpotMeta,
    TradeData,
)
from app.venues.hyperliquid.naming import SpotNames
from app.venues.hyperliquid.protocol import FUNDING_HOURS, Mids, PerpTable, SpotTable
from app.venues.hyperliquid.trades import FreshTrades

_TRADED_NS: Final = 60 * NS_PER_S
"""A coin's last price is that of its trades while they come, and the middle of its book otherwise."""
_HOUR_MS: Final = 3_600_000
_STRANGERS: Final = 1000


class Figures:
    """The figures of one market; told to the desk. followed: coins with books, whose names need no list."""

    def __init__(self, desk: Desk, followed: Collection[str]) -> None:
        self._desk = desk
        self._followed = followed
        self._perps_wanted = desk.feed.market is Market.HYPERLIQUID_PERP
        self._universe: list[str | None] = []
        """Perpetuals by position, None: delisted."""
        self._trading: frozenset[str] = frozenset()
        self._spot_symbols: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._previous: dict[str, float] = {}
        self._mids: dict[str, float] = {}
        """As `allMids` last had them: where a book is empty the price of the last trade."""
        self._traded: dict[str, tuple[int, int]] = {}
        """Receive time and venue time (ms) of the newest trade."""
        self._surplus = 0
        self.fresh_trades = FreshTrades()

    def learn_perps(self, meta: PerpMeta) -> None:
        """Take the names of perpetuals by position."""
        self._universe = [None if listing.isDelisted else listing.name for listing in meta.universe]
        self._trading = frozenset(name for name in self._universe if name is not None)

    def learn_spots(self, meta: SpotMeta) -> None:
        """Take the names of spot pairs by number."""
        self._spot_symbols = SpotNames(meta).symbols

    def on_quote(self, recv_ns: int, data: QuoteData) -> None:
        """Tell the best prices; NaN for a side without orders."""
        symbol = self._symbol(data.coin)
        if symbol is None:
            self._desk.health.dropped += 1
            return
        bid, ask = data.bbo
        values: dict[int, float] = {
            Field.BID: bid.px if bid else math.nan,
            Field.BID_SIZE: bid.sz if bid else math.nan,
            Field.ASK: ask.px if ask else math.nan,
            Field.ASK_SIZE: ask.sz if ask else math.nan,
        }
        self._desk.on_news(recv_ns, [TickerUpdate(symbol, data.time * NS_PER_MS, values)])

    def on_trades(self, recv_ns: int, trades: Sequence[TradeData]) -> None:
        """Tell the last price of each coin; what a new subscription repeats is old."""
        newest: dict[str, TradeData] = {}
        for trade in self.fresh_trades.of(trades):
            if trade.time >= self._traded.get(trade.coin, (0, 0))[1]:
                self._traded[trade.coin] = (recv_ns, trade.time)
                newest[trade.coin] = trade
        updates = []
        for coin, trade in newest.items():
            symbol = self._symbol(coin)
            if symbol is None:
                self._leave_out(coin)
            else:
                updates.append(TickerUpdate(symbol, trade.time * NS_PER_MS, {Field.LAST: trade.px}))
        self._news(recv_ns, updates)

    def on_mids(self, recv_ns: int, mids: Mids) -> None:
        """Tell the middle prices that have changed."""
        self._desk.health.dropped += mids.bad
        updates = []
        for coin, mid in mids.prices.items():
            if self._mids.get(coin) != mid and (symbol := self._symbol(coin)) is not None:
                self._mids[coin] = mid
                if values := self._price(recv_ns, coin, mid):
                    updates.append(TickerUpdate(symbol, 0, values))
        self._news(recv_ns, updates)

    def on_perp_table(self, recv_ns: int, table: PerpTable) -> None:
        """Name the figures by position; more of them than names are of perpetuals listed since."""
        self._desk.health.dropped += table.bad
        surplus = len(table.contexts) - len(self._universe)
        if surplus > 0:
            self._desk.health.dropped += surplus
            if self._universe and surplus != self._surplus:
                text = f"the venue lists {surplus} more perpetuals than its list had; the list is being read again"
                self._desk.on_notice(recv_ns, None, text)
        self._surplus = surplus if self._universe else 0
        named = zip(self._universe, table.contexts, strict=False)
        self.on_perps(recv_ns, ((name, ctx) for name, ctx in named if name is not None and ctx is not None))

    def on_spot_table(self, recv_ns: int, table: SpotTable) -> None:
        """Tell the figures of all spot pairs."""
        self._desk.health.dropped += table.bad
        self.on_spots(recv_ns, ((ctx.coin, ctx) for ctx in table.contexts))

    def on_perps(self, recv_ns: int, rows: Iterable[tuple[str, PerpContext]]) -> None:
        """Tell the figures of perpetuals; the next funding is at the next full hour."""
        next_funding_ms = float((recv_ns // NS_PER_MS // _HOUR_MS + 1) * _HOUR_MS)
        updates = []
        for coin, ctx in rows:
            if self._symbol(coin) is None:
                self._leave_out(coin)
                continue
            values = self._common(recv_ns, coin, ctx)
            values[Field.INDEX] = ctx.oraclePx or math.nan
            values[Field.FUNDING] = ctx.funding
            values[Field.FUNDING_HOURS] = FUNDING_HOURS
            values[Field.NEXT_FUNDING_MS] = next_funding_ms
            values[Field.OPEN_INTEREST] = ctx.openInterest
            values[Field.OPEN_INTEREST_USD] = ctx.openInterest * (ctx.markPx or math.nan)
            updates.append(TickerUpdate(coin, 0, values))
        self._news(recv_ns, updates)

    def on_spots(self, recv_ns: int, rows: Iterable[tuple[str, SpotContext]]) -> None:
        """Tell the figures of spot pairs."""
        updates = []
        for coin, ctx in rows:
            symbol = self._symbol(coin)
            if symbol is None:
                self._desk.health.dropped += 1
            else:
                updates.append(TickerUpdate(symbol, 0, self._common(recv_ns, coin, ctx)))
        self._news(recv_ns, updates)

    def _leave_out(self, coin: str) -> None:
        """Count a coin that the venue's list does not name: once, for its table comes every second."""
        if coin not in self._strangers and len(self._strangers) < _STRANGERS:
            self._strangers.add(coin)
            self._desk.health.dropped += 1

    def _common(self, recv_ns: int, coin: str, ctx: PerpContext | SpotContext) -> dict[int, float]:
        """Return the figures that perpetuals and spot pairs share."""
        self._previous[coin] = previous = ctx.prevDayPx or math.nan
        values: dict[int, float] = {
            Field.PREVIOUS: previous,
            Field.VOLUME: ctx.dayNtlVlm,
            Field.MARK: ctx.markPx or math.nan,
        }
        if ctx.dayBaseVlm is not None:
            values[Field.BASE_VOLUME] = ctx.dayBaseVlm
        price = ctx.midPx or self._mids.get(coin) or ctx.markPx
        if price:
            values |= self._price(recv_ns, coin, price)
        return values

    def _price(self, recv_ns: int, coin: str, price: float) -> dict[int, float]:
        """Return what a middle price says: the change of the day, and the last price where no trades are told."""
        values: dict[int, float] = {}
        traded = self._traded.get(coin)
        if traded is None or recv_ns - traded[0] > _TRADED_NS:
            values[Field.LAST] = price
        previous = self._previous.get(coin)
        if previous is not None:
            values[Field.CHANGE_PCT] = (price / previous - 1.0) * 100.0
        return values

    def _symbol(self, coin: str) -> str | None:
        """Return under which name figures of a coin are told, None while it has none."""
        if not self._perps_wanted:
            return self._spot_symbols.get(coin)
        return coin if coin in self._trading or coin in self._followed else None

    def _news(self, recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        if updates:
            self._desk.on_news(recv_ns, updates)
