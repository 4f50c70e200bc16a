"""What a session wants to be subscribed to: from coins with books, hot symbols and the venue's refusals to topics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from app.domain.ids import Market
from app.venues.hyperliquid.allowance import SUBSCRIPTIONS
from app.venues.hyperliquid.naming import SpotNames
from app.venues.hyperliquid.protocol import Topic, book_topic

WHOLE_MARKET: Final = {
    Market.HYPERLIQUID_PERP: ("assetCtxs", "allDexsAssetCtxs"),
    Market.HYPERLIQUID_SPOT: ("spotAssetCtxs",),
}
"""Subscriptions to all contexts, best first; the last resort is `activeAssetCtx` of each coin."""
MOST_HOT: Final = 100
_PER_COIN: Final = ("bbo", "trades")


class Wishes:
    """The topics of one market's connections. coins: those with books, each at so many resolutions."""

    def __init__(self, market: Market, coins: Sequence[str], resolutions: int) -> None:
        self._market = market
        self._coins = tuple(coins)
        self._resolutions = resolutions
        self._whole = WHOLE_MARKET[market]
        self._form = 0
        """Which form of contexts is asked for: an index of `_whole`, or one beyond it."""
        self._refused: set[Topic] = set()
        self._hot: tuple[str, ...] = ()
        self._listed: tuple[str, ...] = ()
        self._names: SpotNames | None = None
        self.suspended: set[str] = set()
        """Coins with books that do not trade now."""

    @property
    def active(self) -> tuple[str, ...]:
        """The coins whose books are kept and that trade."""
        return tuple(coin for coin in self._coins if coin not in self.suspended)

    @property
    def hot_capacity(self) -> int:
        """How many symbols besides those with books may have live quotes and trades."""
        others = len(self._whole) + 1 + len(self._coins) * (len(_PER_COIN) + self._resolutions)
        return max(0, min(MOST_HOT, (SUBSCRIPTIONS[self._market] - others) // len(_PER_COIN)))

    def set_hot(self, symbols: Collection[str]) -> bool:
        """Take the symbols whose quotes and trades are wanted besides; tell whether that changes anything."""
        wanted = tuple(symbol for symbol in symbols if symbol not in self._coins)[: self.hot_capacity]
        changed = set(wanted) != set(self._hot)
        self._hot = wanted
        return changed

    def set_listed(self, coins: Sequence[str], names: SpotNames | None = None) -> bool:
        """Take what the venue lists, and how spot pairs are called; tell whether that changes anything."""
        changed = tuple(coins) != self._listed
        self._listed, self._names = tuple(coins), names
        return changed

    def books(self, line: str) -> list[Topic]:
        """Return the topics of the line with books of one resolution."""
        return [book_topic(coin, line) for coin in self.active]

    def figures(self) -> list[Topic]:
        """Return the topics of the line of figures."""
        streamed = [*self.active, *self._hot_coins()]
        topics = [Topic(kind, coin) for coin in streamed for kind in _PER_COIN]
        if self._form < len(self._whole):
            topics.append(Topic(self._whole[self._form]))
        else:
            room = SUBSCRIPTIONS[self._market] - len(topics) - 1 - self._resolutions * len(self._coins)
            first_of_all = list(dict.fromkeys((*streamed, *self._listed)))
            topics += [Topic("activeAssetCtx", coin) for coin in first_of_all[: max(0, room)]]
        topics.append(Topic("allMids"))
        return [topic for topic in topics if topic not in self._refused]

    def _hot_coins(self) -> list[str]:
        names = self._names
        if names is not None:
            return [names.coins[symbol] for symbol in self._hot if symbol in names.coins]
        listed = frozenset(self._listed)
        return [symbol for symbol in self._hot if symbol in listed]

    # -- refusals ------------------------------------------------------------------------------------------------

    def refuse(self, topic: Topic) -> str | None:
        """Note that the venue does not take a topic; return what is asked for instead, None: nothing."""
        if self._form < len(self._whole) and topic.type == self._whole[self._form]:
            self._form += 1
            return self._whole[self._form] if self._form < len(self._whole) else "activeAssetCtx of each coin"
        self._refused.add(topic)
        return None

    def refuses_book(self, coin: str) -> bool:
        """Tell whether the venue did not take the book of a coin."""
        return any(topic.type == "l2Book" and topic.coin == coin for topic in self._refused)

    def forgive(self, *, books: bool) -> None:
        """Try again what was refused, of books or of figures: a fresh connection begins."""
        self._refused = {topic for topic in self._refused if (topic.type == "l2Book") is not books}
        if not books:
            self._form = 0
