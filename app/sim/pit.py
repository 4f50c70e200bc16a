"""Everything of the simulated Binance that happens beside the books: prices of instruments without one, the day's
figures of all, liquidations, and rare events that move prices and turnover.

It draws from generators of its own: books are the same with and without it, but for the events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.domain.ids import Market, Venue
from app.sim.day import Day, Floats
from app.sim.liquidations import ForcedOrder, Liquidations
from app.sim.sidelines import quoted_listing, quoted_strangers, sideline_bases, sideline_listings
from app.sim.surges import Surges
from app.sim.universe import Listing

_SIGMA = 6.0e-5  # of log prices per step


class Pit:
    """Prices are kept by pair: first the pairs with books, then those without, then what is no pair at all."""

    def __init__(self, seed: int, listings: Mapping[Market, Sequence[Listing]], sidelines: int) -> None:
        """Take the listings with books and how many instruments a market shall have besides."""
        self.listings: dict[Market, list[Listing]] = {}
        self.days: dict[Market, Day] = {}
        self.forced_orders: list[ForcedOrder] = []
        self._pairs = len(listings[Market.BINANCE_SPOT])
        bases = sideline_bases(sidelines, {listing.base for listing in listings[Market.BINANCE_SPOT]})
        pairs = self._pairs + len(bases)
        prices: list[float] = [0.0] * pairs
        for market in Venue.BINANCE.markets:
            self.listings[market] = aside = sideline_listings(market, bases, self._pairs)
            strangers = quoted_strangers(market, len(prices))
            rows = [quoted_listing(listing) for listing in (*listings[market], *aside)] + strangers
            self.days[market] = Day(market, rows, seed)
            for listing in aside:
                prices[listing.pair] = listing.price / listing.units
            prices += [stranger.price for stranger in strangers]
        self.surges = Surges(seed, pairs)
        self._events = np.zeros(len(prices)), np.ones(len(prices))
        self._dice = np.random.default_rng([seed, 0x517])
        self._log_price: Floats = np.log(prices[self._pairs :])
        self._liquidations = Liquidations(self.days[Market.BINANCE_USDM], seed)

    @property
    def drift_of_pairs(self) -> Floats:
        """What events add to the log prices of pairs with books."""
        return self.surges.drift[: self._pairs]

    def step(self) -> None:
        """Move prices without books by 100 ms."""
        self.surges.step()
        drift, turnover = self._events
        drift[: len(self.surges.drift)] = self.surges.drift
        turnover[: len(self.surges.turnover)] = self.surges.turnover
        own = self._dice.normal(0.0, _SIGMA, len(self._log_price))
        self._log_price = self._log_price + own + drift[self._pairs :]

    def second(self, mids: Mapping[Market, Sequence[float]]) -> None:
        """End a second: move every day on; `mids` are the pairs' prices in USD a coin."""
        drift, turnover = self._events
        aside = np.exp(self._log_price)
        for market, day in self.days.items():
            day.advance(np.concatenate((mids[market], aside)), turnover)
        self.forced_orders = self._liquidations.draw(drift)
