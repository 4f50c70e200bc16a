"""Carries the simulated Hyperliquid's news to whoever subscribed: one channel per subscription, encoded once.

Books are pushed whole when half a second has passed since the last push and something changed; best prices and trades
with every block; contexts and mids once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.sim.connection import SimConnection, data_frame
from app.sim.hyperliquid import encoders
from app.sim.hyperliquid.info import InfoDesk
from app.sim.hyperliquid.market import HyperMarket, Trade
from app.sim.hyperliquid.subscriptions import PER_COIN, Subscription
from app.sim.hyperliquid.universe import BUILDER_DEX, Kind

BOOK_EVERY_STEPS = 5
SLOW_EVERY_STEPS = 10
_BOOKS = frozenset({"l2Book", "bbo", "trades"})


class Channel:
    """One subscription with its subscribers, and what was said last."""

    def __init__(self, subscription: Subscription) -> None:
        """Start without subscribers."""
        self.subscription = subscription
        self.subscribers: dict[SimConnection, None] = {}
        self.pushed_at_step = -BOOK_EVERY_STEPS
        self.version = -1
        self.said = ""

    def send(self, text: str) -> None:
        """Queue a frame for every subscriber."""
        frame = data_frame(text.encode())
        for connection in self.subscribers:
            connection.queue(frame)


class Hub:
    """All channels."""

    def __init__(self, market: HyperMarket, info: InfoDesk, now_ms: Callable[[], int]) -> None:
        """Take the market; `now_ms` is UTC ms."""
        self._market = market
        self._info = info
        self._now_ms = now_ms
        self._channels: dict[Subscription, Channel] = {}

    def __len__(self) -> int:
        return sum(len(channel.subscribers) for channel in self._channels.values())

    def subscribe(self, connection: SimConnection, subscription: Subscription) -> None:
        """Note a subscription and queue its first message for the newcomer."""
        channel = self._channels.get(subscription)
        if channel is None:
            channel = self._channels[subscription] = Channel(subscription)
            if subscription.kind in _BOOKS:
                self._market.follow(subscription.coin)
        channel.subscribers[connection] = None
        connection.queue(data_frame(self._first(channel).encode()))

    def unsubscribe(self, connection: SimConnection, subscription: Subscription) -> bool:
        """Take a subscription away; False when there was none."""
        channel = self._channels.get(subscription)
        if channel is None or channel.subscribers.pop(connection, self) is self:
            return False
        if not channel.subscribers:
            del self._channels[subscription]
            if subscription.kind in _BOOKS:
                self._market.unfollow(subscription.coin)
        return True

    def has(self, connection: SimConnection, subscription: Subscription) -> bool:
        """Tell whether a connection has a subscription."""
        channel = self._channels.get(subscription)
        return channel is not None and connection in channel.subscribers

    def forget(self, connection: SimConnection) -> None:
        """Take every subscription from a connection that is gone."""
        for subscription in [key for key, channel in self._channels.items() if connection in channel.subscribers]:
            self.unsubscribe(connection, subscription)

    def publish(self, trades: Sequence[Trade]) -> None:
        """Queue what is due at the end of a step."""
        step = self._market.step_number
        by_coin: dict[str, list[Trade]] = {}
        for trade in trades:
            by_coin.setdefault(trade.coin.name, []).append(trade)
        slow = step % SLOW_EVERY_STEPS == 0
        for subscription, channel in self._channels.items():
            kind = subscription.kind
            if kind == "l2Book":
                if step - channel.pushed_at_step >= BOOK_EVERY_STEPS:
                    self._push_if_changed(channel)
            elif kind == "bbo":
                self._push_if_changed(channel)
            elif kind == "trades":
                if subscription.coin in by_coin:
                    channel.send(encoders.message("trades", encoders.trades(by_coin[subscription.coin])))
            elif slow:
                channel.send(self._slow(subscription))

    def _push_if_changed(self, channel: Channel) -> None:
        subscription = channel.subscription
        book = self._market.books[subscription.coin]
        if book.version == channel.version:
            return
        channel.version = book.version
        said = self._book_part(subscription)
        if said == channel.said:
            return
        channel.said = said
        channel.pushed_at_step = self._market.step_number
        channel.send(self._book_message(subscription, said))

    def _book_part(self, subscription: Subscription) -> str:
        book = self._market.book(subscription.coin)
        if subscription.kind == "bbo":
            return encoders.bbo(book)
        return encoders.book_levels(book, subscription.figures, subscription.mantissa)

    def _book_message(self, subscription: Subscription, said: str) -> str:
        coin = self._market.by_name[subscription.coin]
        return encoders.message(subscription.kind, encoders.l2_book(coin, said, self._now_ms()))

    def _first(self, channel: Channel) -> str:
        subscription = channel.subscription
        if subscription.kind == "trades":
            trades = list(self._market.recent_trades(subscription.coin, self._now_ms()))
            return encoders.message("trades", encoders.trades(trades))
        if subscription.kind in _BOOKS:
            if not channel.said:
                channel.said = self._book_part(subscription)
                channel.version = self._market.book(subscription.coin).version
                channel.pushed_at_step = self._market.step_number
            return self._book_message(subscription, channel.said)
        return self._slow(subscription)

    def _slow(self, subscription: Subscription) -> str:
        market, now, kind, dex = self._market, self._now_ms(), subscription.kind, subscription.dex
        if kind == "allMids":
            tail = f',"dex":"{dex}"' if dex else ""
            return encoders.message(kind, f'{{"mids":{encoders.all_mids(market, dex)}{tail}}}')
        if kind == "spotAssetCtxs":
            return encoders.message(kind, self._info.spot_contexts())
        if kind in PER_COIN:
            coin = market.by_name[subscription.coin]
            channel = "activeSpotAssetCtx" if coin.kind is Kind.SPOT else kind
            return encoders.message(channel, f'{{"coin":"{coin.name}","ctx":{encoders.context(market, coin, now)}}}')
        first = encoders.contexts(market, market.perps(Kind.BUILDER if dex else Kind.PERP), now)
        if kind == "assetCtxs":
            return encoders.message(kind, f'{{"dex":"{dex}","ctxs":{first}}}')
        second = encoders.contexts(market, market.perps(Kind.BUILDER), now)
        return encoders.message(kind, f'{{"ctxs":[["",{first}],["{BUILDER_DEX}",{second}]]}}')
