"""The simulated Hyperliquid market: turns a seed into prices, books, trades and contexts of all its coins.

All prices move every 100 ms as arrays. A book is only kept for coins somebody asks about; its touch is a function of
the coin's price, so that mids agree everywhere whether there is a book or not.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.sim.factors import Wander
from app.sim.hyperliquid import lattice
from app.sim.hyperliquid.book import SimBook
from app.sim.hyperliquid.history import History
from app.sim.hyperliquid.lattice import Floats, Ints
from app.sim.hyperliquid.universe import CROSSING_COIN, Coin, Kind, build_coins, perp, seed_of
from app.sim.surges import Surges

STEP_S = 0.1
DAY_S = 86_400.0
_SIGMA_ALL = 2.5e-5  # of log prices per step
_SIGMA_OWN = 3.5e-5
_HALF_SPREAD = 6.0e-5
_SWING_S = 40.0
_SWING = 0.012
_MOVE_CHANCE = 0.2  # of a followed book, per step
_TRADE_CHANCE = 0.25
_RECENT_TRADES = 100
_FIRST_TRADES = 30
_USUAL_FUNDING = 0.0000125
_CALM = 0.0005
_PREMIUM = 0.0003
_BEFORE_EVERY_STEPS = 100


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade: price in atoms, size in steps; `buys` tells who came to take."""

    coin: Coin
    buys: bool
    price: int
    size: int
    time_ms: int
    number: int


class HyperMarket:
    """All coins. `step` moves the market by 100 ms."""

    def __init__(
        self, *, seed: int, now_ms: int, perps: int | None = None, spots: int | None = None, rate: float = 1.0
    ) -> None:
        """Build the coins at `now_ms` (UTC); equal arguments and equal questions give equal markets."""
        self.coins: list[Coin] = []
        self.by_name: dict[str, Coin] = {}
        self.step_number = 0
        self.listing_revision = 0
        self.books: dict[str, SimBook] = {}
        self.followed: dict[str, int] = {}
        self._seed = seed
        self._rate = rate
        self._generator = np.random.default_rng(seed)
        self._book_dice: dict[str, np.random.Generator] = {}
        self._trades: dict[str, deque[Trade]] = {}
        self._trade_number = 0
        self._before: dict[str, tuple[int, float]] = {}
        for coin in build_coins(perps, spots):
            self.coins.append(coin)
            self.by_name[coin.name] = coin
        count = len(self.coins)
        prices = np.array([coin.price for coin in self.coins])
        dice = self._generator
        self._log_price: Floats = np.log(prices)
        self._jump: Floats = np.zeros(count)
        self._beta: Floats = dice.uniform(0.7, 1.5, count)
        self._trend = Wander(dice, 1, 1.5e-5, 30.0)
        self._depth = Wander(dice, count * 6, 0.35, 40.0)
        self._depth_all = Wander(dice, 6, 0.25, 25.0)
        self._premium = Wander(dice, count, _PREMIUM, 120.0)
        self._interest = Wander(dice, count, 0.05, 600.0)
        self._turnover: Floats = np.zeros(count)
        self.surges = Surges(seed, count)
        self.history = History(seed, now_ms)
        self._refresh_static()
        self._spread: Floats = dice.uniform(0.5, 3.0, count) * _HALF_SPREAD
        self._spread[: min(count, 5)] = _HALF_SPREAD / 4
        self.step()
        self.step_number = 0

    def _refresh_static(self) -> None:
        self._decimals: Ints = np.array([coin.price_decimals for coin in self.coins], dtype=np.int64)
        self._atoms_per_usd: Floats = np.asarray(10.0**self._decimals, dtype=np.float64)
        self._volume_per_step: Floats = np.array([coin.volume_usd for coin in self.coins]) * STEP_S / DAY_S
        crossing = self.by_name.get(CROSSING_COIN)
        self._crossing = None if crossing is None else crossing.place

    # Time

    def step(self) -> None:
        """Move every price by 100 ms."""
        self.step_number += 1
        dice = self._generator
        count = len(self.coins)
        common = dice.normal(0.0, _SIGMA_ALL) + float(self._trend.step()[0])
        self.surges.step()
        own = dice.normal(0.0, _SIGMA_OWN, count)
        self._log_price = self._log_price + self._beta * common + own + self.surges.drift
        if self._crossing is not None:
            phase = 2 * math.pi * self.step_number * STEP_S / _SWING_S
            centre = math.log(self.coins[self._crossing].price)
            self._log_price[self._crossing] = centre + _SWING * math.sin(phase)
        prices = np.exp(self._log_price + self._jump)
        self.prices: Floats = prices
        atoms = prices * self._atoms_per_usd
        spread = np.maximum(1.0, atoms * self._spread)
        self.bids: Ints = lattice.round_down(np.maximum(1, (atoms - spread).astype(np.int64)), self._decimals)
        self.asks: Ints = lattice.round_up(np.maximum(self.bids + 1, (atoms + spread).astype(np.int64)), self._decimals)
        self._depth.step()
        self._depth_all.step()
        self._premium.step()
        self._interest.step()
        busy = self.surges.turnover * dice.exponential(1.0, count)
        self._turnover = self._turnover + self._volume_per_step * busy

    def move_books(self, now_ms: int) -> list[Trade]:
        """Move books somebody follows and return the trades that happened."""
        trades: list[Trade] = []
        dice = self._generator.random((2, len(self.followed)))
        for place, name in enumerate(self.followed):
            coin = self.by_name[name]
            if coin.delisted:
                continue
            book = self.book(name)
            chance = _MOVE_CHANCE * self._rate
            if dice[0, place] < chance:
                self._settle(book)
            if coin.has_mid and dice[1, place] < _TRADE_CHANCE * self._rate * min(
                4.0, self.surges.turnover[coin.place]
            ):
                trades.append(self._trade(book, now_ms))
        return trades

    def follow(self, name: str) -> None:
        """Keep a coin's book moving, once more."""
        self.followed[name] = self.followed.get(name, 0) + 1

    def unfollow(self, name: str) -> None:
        """Undo one `follow`."""
        self.followed[name] -= 1
        if not self.followed[name]:
            del self.followed[name]

    # Books and trades

    def book(self, name: str) -> SimBook:
        """Return a coin's book as of now; KeyError for an unknown coin."""
        coin = self.by_name[name]
        book = self.books.get(name)
        if book is None:
            dice = self._book_dice.setdefault(name, np.random.default_rng(seed_of(self._seed, name)))
            bid, ask = int(self.bids[coin.place]), int(self.asks[coin.place])
            book = self.books[name] = SimBook(coin, bid, ask, dice, self._pressure(coin))
        elif name not in self.followed:
            self._settle(book)
        return book

    def _settle(self, book: SimBook) -> None:
        place = book.coin.place
        book.move(int(self.bids[place]), int(self.asks[place]), self._pressure(book.coin))

    def _pressure(self, coin: Coin) -> Floats:
        own = self._depth.values[coin.place * 6 : coin.place * 6 + 6]
        return np.asarray(np.exp(own + self._depth_all.values).reshape(2, 3), dtype=np.float64)

    def recent_trades(self, name: str, now_ms: int) -> Iterable[Trade]:
        """Return the latest trades of a coin, newest last."""
        if name not in self._trades:
            self._trades[name] = deque(maxlen=_RECENT_TRADES)
            coin = self.by_name[name]
            if coin.has_mid:
                book = self.book(name)
                for place in range(_FIRST_TRADES):
                    self._trade(book, now_ms - 700 * (_FIRST_TRADES - place))
        return self._trades[name]

    def _trade(self, book: SimBook, now_ms: int) -> Trade:
        dice = self._generator
        buys = bool(dice.random() < 0.5)
        side = book.asks if buys else book.bids
        size = max(1, int(side.sizes[0] * dice.uniform(0.005, 0.4)))
        self._trade_number += 1
        number = (self._trade_number * 0x9E3779B97F4A7C15) & (2**50 - 1)
        trade = Trade(book.coin, buys, int(side.prices[0]), size, now_ms, number)
        self._trades.setdefault(book.coin.name, deque(maxlen=_RECENT_TRADES)).append(trade)
        return trade

    # Contexts

    def perps(self, kind: Kind = Kind.PERP) -> list[Coin]:
        """Return the perpetuals in universe order."""
        return [coin for coin in self.coins if coin.kind is kind]

    def spots(self) -> list[Coin]:
        """Return the spot pairs."""
        return [coin for coin in self.coins if coin.kind is Kind.SPOT]

    def day_volume_usd(self, coin: Coin) -> float:
        """Return the turnover of a day, which grows with everything that is traded."""
        return 0.0 if coin.delisted else coin.volume_usd + float(self._turnover[coin.place])

    def previous_day_price(self, coin: Coin, now_ms: int) -> float:
        """Return the price 24 h ago, looked up every 10 s."""
        known = self._before.get(coin.name)
        if known is None or self.step_number >= known[0]:
            then_ms = now_ms - int(DAY_S * 1000)
            price = self.history.price(coin, then_ms, now_ms, float(self.prices[coin.place]))
            known = self._before[coin.name] = (self.step_number + _BEFORE_EVERY_STEPS, price)
        return known[1]

    def premium(self, coin: Coin) -> float:
        """Return mark against oracle, as a share."""
        return float(self._premium.values[coin.place])

    def funding(self, coin: Coin) -> float:
        """Return the hourly funding rate: the usual one while the premium is small, within 4 % an hour."""
        premium = self.premium(coin)
        extra = (premium - math.copysign(_CALM, premium)) / 8.0 if abs(premium) > _CALM else 0.0
        return max(-0.04, min(0.04, _USUAL_FUNDING + extra))

    def open_interest(self, coin: Coin) -> float:
        """Return the open interest in coins."""
        if coin.delisted:
            return 0.0
        return 0.4 * coin.volume_usd / coin.price * math.exp(float(self._interest.values[coin.place]))

    # Peculiarities on demand

    def list_new(self) -> Coin:
        """Add a perpetual at the end of the universe, as a listing does, and return it."""
        index = len(self.perps())
        coin = perp(f"NEW{index}", index, len(self.coins), 3.7, 5e6)
        self.coins.append(coin)
        self.by_name[coin.name] = coin
        dice = self._generator
        self._log_price = np.append(self._log_price, math.log(coin.price))
        self._jump = np.append(self._jump, 0.0)
        self._beta = np.append(self._beta, 1.0)
        self._spread = np.append(self._spread, _HALF_SPREAD)
        self._turnover = np.append(self._turnover, 0.0)
        self._depth.values = np.append(self._depth.values, dice.normal(0.0, 0.35, 6))
        self._premium.values = np.append(self._premium.values, 0.0)
        self._interest.values = np.append(self._interest.values, 0.0)
        self.surges.resize(len(self.coins))
        self._refresh_static()
        self.listing_revision += 1
        self.step()
        return coin

    def delist(self, coin: Coin) -> None:
        """Take a coin out of trading; it stays in the universe."""
        coin.delisted = True
        self.listing_revision += 1
        self._touch(coin)

    def take_mid(self, coin: Coin) -> None:
        """Take all asks away, or put them back."""
        coin.has_asks = not coin.has_asks
        self._touch(coin)

    def cross_power_of_ten(self, coin: Coin) -> None:
        """Let a price jump over the nearest power of ten."""
        now = float(self._log_price[coin.place] + self._jump[coin.place])
        power = math.log(10.0) * round(now / math.log(10.0))
        self._jump[coin.place] += power + (0.002 if now < power else -0.002) - now
        self.step()
        if coin.name in self.books:
            self._settle(self.books[coin.name])

    def _touch(self, coin: Coin) -> None:
        book = self.books.get(coin.name)
        if book is not None:
            book.version += 1
