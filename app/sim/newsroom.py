"""What the simulated Binance's streams beside the books say at the end of a step.

Mini tickers every second for what changed, mark prices every second or every third, liquidation orders as they come,
best prices of instruments without a book. Spot's `!ticker@arr` is gone since 2026-03-26: it is acknowledged and silent.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.ids import Market
from app.sim import encoders, news_texts
from app.sim.book import Top
from app.sim.day import Day
from app.sim.market import STEPS_PER_SECOND, SimMarket
from app.sim.sidelines import USD_MARGINED

_SLOW_MARK_SECONDS = 3
_TRADITIONAL = "TRADIFI_PERPETUAL"
_WHOLE_SPOT = frozenset({"!miniTicker@arr"})
_WHOLE_USDM = frozenset({"!miniTicker@arr", "!markPrice@arr", "!markPrice@arr@1s", "!forceOrder@arr"})
_OWN_SPOT = frozenset({"miniTicker"})
_OWN_USDM = frozenset({"miniTicker", "markPrice", "markPrice@1s", "forceOrder"})


class Newsroom:
    """Writes the news of one market."""

    def __init__(self, market: Market, source: SimMarket, now_ms: Callable[[], int]) -> None:
        """Take the market; `now_ms` is UTC ms."""
        self._source = source
        self._now_ms = now_ms
        self._market = market
        spot = market is Market.BINANCE_SPOT
        self._whole = _WHOLE_SPOT if spot else _WHOLE_USDM
        self._own = _OWN_SPOT if spot else _OWN_USDM

    @property
    def _day(self) -> Day:
        return self._source.pit.days[self._market]

    def offers(self, name: str) -> bool:
        """Tell whether a stream of this name is news."""
        if name in self._whole:
            return True
        symbol, at, kind = name.partition("@")
        if not at or symbol != symbol.lower() or symbol.upper() not in self._day.places:
            return False
        return kind in self._own or (kind == "bookTicker" and symbol.upper() not in self._source.books[self._market])

    def payloads(self, name: str) -> list[str]:
        """Return what a stream says now; nothing unless a second has just ended."""
        if self._source.step_number % STEPS_PER_SECOND:
            return []
        if name in self._whole:
            return self._of_all(name)
        symbol, _, kind = name.partition("@")
        place = self._day.places[symbol.upper()]
        return [] if not self._trades(place) else self._of_one(place, kind)

    def _trades(self, place: int) -> bool:
        row = self._day.rows[place]
        book = self._source.books[self._market].get(row.symbol)
        return self._day.trading(place) and (book is None or book.trading)

    def _of_all(self, name: str) -> list[str]:
        day, now = self._day, self._now_ms()
        places = [place for place in range(len(day.rows)) if self._trades(place)]
        if name == "!forceOrder@arr":
            return [news_texts.force_order(day, order, now) for order in self._source.forced_orders]
        if name == "!miniTicker@arr":
            return _arrays([[news_texts.mini_ticker(day, place, now) for place in places if day.changed[place]]])
        if name == "!markPrice@arr" and not self._slow_mark_is_due():
            return []
        usual: list[str] = []
        traditional: list[str] = []
        for place in places:
            row = day.rows[place]
            if row.margin == USD_MARGINED:
                (traditional if row.contract == _TRADITIONAL else usual).append(news_texts.mark_price(day, place, now))
        return _arrays([usual, traditional])

    def _of_one(self, place: int, kind: str) -> list[str]:
        day, now = self._day, self._now_ms()
        if kind == "forceOrder":
            orders = [order for order in self._source.forced_orders if order.place == place]
            return [news_texts.force_order(day, order, now) for order in orders]
        if kind.startswith("markPrice"):
            due = kind == "markPrice@1s" or self._slow_mark_is_due()
            return [news_texts.mark_price(day, place, now)] if due else []
        if not day.changed[place]:
            return []
        if kind == "miniTicker":
            return [news_texts.mini_ticker(day, place, now)]
        listing = day.rows[place].listing
        if listing is None:
            return []
        return [encoders.book_ticker(listing, Top(self._source.step_number, *day.touch(place)), now)]

    def _slow_mark_is_due(self) -> bool:
        return self._source.step_number % (STEPS_PER_SECOND * _SLOW_MARK_SECONDS) == 0


def _arrays(groups: list[list[str]]) -> list[str]:
    return [f"[{','.join(group)}]" for group in groups if group]
