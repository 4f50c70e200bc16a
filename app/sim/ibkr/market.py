"""Moves the simulated prices: one market factor, every instrument's own, options priced from their underlyings.

A price is previous close x (1 + gap) x exp(beta x market + own); both factors wander and come back within hours. Every
instrument ticks by its own beat, about `ticks_per_s` times a second, so that quotes do not come in one lump. All of it
depends on the seed and the steps alone, also which options are looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from app.sim.ibkr.hours import HOURS, Phase, Venue, phase_at
from app.sim.ibkr.instruments import Catalogue, SimContract
from app.sim.ibkr.pricing import smile, value_option
from app.sim.ibkr.records import SimQuote

_YEAR_S = 252.0 * 6.5 * 3600.0
_CALENDAR_YEAR_S = 365.0 * 86400.0
_MEMORY_S = 7200.0
_MARKET_VOLATILITY = 0.14
_MOST_SHIFT = 0.25
_DAY_S = 6.5 * 3600.0


@dataclass(slots=True)
class _Underlying:
    contract: SimContract
    random: Random
    beat: float
    base: float
    moved_s: float
    quote: SimQuote
    money: float = 0.0
    own: float = 0.0
    own_volatility: float = 0.2
    open_interest: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True)
class _Option:
    contract: SimContract
    underlying: _Underlying
    random: Random
    beat: float
    expires_s: float
    quote: SimQuote
    due: bool = True
    money: float = 0.0
    sizes: tuple[float, float] = field(default=(10.0, 10.0))


class Market:
    """Quotes of everything in a catalogue. `step` moves them; options tick from when they were first asked for."""

    def __init__(
        self, catalogue: Catalogue, seed: int, start_s: float, *, ticks_per_s: float, always_open: bool
    ) -> None:
        """Open with what has been traded so far on the day of `start_s`."""
        self.now_s = start_s
        self.always_open = always_open
        self.ticks_per_s = ticks_per_s
        self._seed = seed
        self._catalogue = catalogue
        self._random = Random(f"{seed}:market")
        self._factor = 0.0
        self._underlyings: dict[int, _Underlying] = {}
        self._options: dict[int, _Option] = {}
        for contract in catalogue.contracts.values():
            if not contract.is_option:
                self._underlyings[contract.con_id] = self._open(contract)

    # Reading

    def quote(self, con_id: int) -> SimQuote:
        """Return the quote of a contract; KeyError for an unknown one. It is changed in place by later steps."""
        found = self._underlyings.get(con_id)
        if found is not None:
            return found.quote
        option = self._options.get(con_id)
        if option is None:
            option = self._options[con_id] = self._open_option(self._catalogue.contracts[con_id])
        if option.due:
            self._price(option)
        return option.quote

    def phase(self, contract: SimContract) -> Phase:
        """Return which part of its trading day it is."""
        return phase_at(contract.venue, self.now_s)

    def volatility(self, con_id: int) -> float:
        """Return the implied volatility of the 30-day options of an underlying."""
        contract = self._catalogue.contracts[con_id]
        return contract.volatility * 1.1 * min(2.5, max(0.5, 1.0 - 4.0 * self._factor))

    # Moving

    def step(self, dt_s: float) -> set[int]:
        """Move on by `dt_s` seconds and return whose quotes changed."""
        before, self.now_s = self.now_s, self.now_s + dt_s
        kick = _MARKET_VOLATILITY * math.sqrt(dt_s / _YEAR_S)
        self._factor = self._factor * math.exp(-dt_s / _MEMORY_S) + self._random.gauss(0.0, kick)
        moving = {venue: self.always_open or phase_at(venue, self.now_s) is not Phase.CLOSED for venue in Venue}
        changed: set[int] = set()
        for each in self._underlyings.values():
            if self._is_due(each.beat, before) and moving[each.contract.venue] and not each.quote.halted:
                self._move(each)
                changed.add(each.contract.con_id)
        for option in self._options.values():
            if self._is_due(option.beat, before) and moving[Venue.US_OPTIONS] and not option.underlying.quote.halted:
                option.due = True
                changed.add(option.contract.con_id)
        return changed

    def roll_day(self) -> None:
        """Begin a new trading day: what was last is the previous close."""
        for option in self._options.values():
            if option.due:
                self._price(option)
        states: list[_Underlying | _Option] = [*self._underlyings.values(), *self._options.values()]
        for state in states:
            quote = state.quote
            quote.close = quote.open = quote.high = quote.low = quote.vwap = quote.mark
            quote.volume, quote.trades, state.money = 0.0, 0, 0.0

    def halt(self, con_id: int, kind: int) -> None:
        """Stop (1, 2) or resume (0) trading of a contract."""
        self._underlyings[con_id].quote.halted = kind

    def _is_due(self, beat: float, before_s: float) -> bool:
        rate = self.ticks_per_s
        return math.floor(self.now_s * rate + beat) > math.floor(before_s * rate + beat)

    # Underlyings

    def _open(self, contract: SimContract) -> _Underlying:
        random = Random(f"{self._seed}:{contract.con_id}")
        base = contract.start_price * (1.0 + contract.gap)
        price = _on_tick(base, contract.tick_size)
        swing = contract.volatility / math.sqrt(252.0) * random.uniform(0.3, 0.9)
        opened = _on_tick(base * (1.0 + random.gauss(0.0, swing / 2)), contract.tick_size)
        volume = float(round(contract.volume * random.uniform(0.3, 0.6)))
        quote = SimQuote(
            con_id=contract.con_id,
            bid=price,
            ask=price,
            bid_size=0.0,
            ask_size=0.0,
            last=price,
            last_size=100.0,
            last_s=self.now_s,
            volume=volume,
            open=opened,
            high=_on_tick(max(price, opened) * (1.0 + swing), contract.tick_size),
            low=_on_tick(min(price, opened) * (1.0 - swing), contract.tick_size),
            close=contract.start_price,
            mark=price,
            vwap=round((price + opened) / 2.0, 4),
            trades=int(volume / 180.0),
            halted=contract.halted,
            shortable=contract.shortable if contract.sec_type == "STK" else None,
        )
        state = _Underlying(contract, random, random.random(), base, self.now_s, quote)
        state.money = volume * quote.vwap
        state.own_volatility = math.sqrt(
            max(contract.volatility**2 - (contract.beta * _MARKET_VOLATILITY) ** 2, (0.3 * contract.volatility) ** 2)
        )
        calls = float(round(contract.volume / 40.0 * random.uniform(0.5, 1.5)))
        state.open_interest = (calls, float(round(calls * random.uniform(0.5, 1.2))))
        self._set_prices(state, trade=False)
        return state

    def _move(self, state: _Underlying) -> None:
        elapsed, state.moved_s = self.now_s - state.moved_s, self.now_s
        kick = state.own_volatility * math.sqrt(elapsed / _YEAR_S)
        state.own = state.own * math.exp(-elapsed / _MEMORY_S) + state.random.gauss(0.0, kick)
        self._set_prices(state, trade=state.random.random() < 0.6)

    def _set_prices(self, state: _Underlying, *, trade: bool) -> None:
        contract, quote, random = state.contract, state.quote, state.random
        shift = contract.beta * self._factor + state.own
        price = state.base * math.exp(min(_MOST_SHIFT, max(-_MOST_SHIFT, shift)))
        tick = contract.tick_size
        regular = phase_at(contract.venue, self.now_s) is Phase.REGULAR
        width = max(1, round(price * (4e-5 if regular else 1.5e-4) / tick)) + (random.random() < 0.3)
        bid = max(tick, math.floor(price / tick - width / 2.0 + 0.5) * tick)
        quote.bid = _on_tick(bid, tick)
        quote.ask = _on_tick(bid + width * tick, tick)
        quote.mark = round((quote.bid + quote.ask) / 2.0, 8)
        lot = 25_000.0 if contract.sec_type == "CASH" else 1.0 if contract.sec_type == "FUT" else 100.0
        quote.bid_size = lot * random.randint(1, 18)
        quote.ask_size = lot * random.randint(1, 18)
        if trade:
            self._trade(state, quote.ask if random.random() < 0.5 else quote.bid, self._trade_size(state))
        if contract.sec_type == "STK":
            quote.iv = self.volatility(contract.con_id)
            quote.hist_vol = contract.volatility * 0.97
            quote.call_open_interest, quote.put_open_interest = state.open_interest
            quote.call_volume = float(round(state.open_interest[0] * 0.3 * quote.volume / contract.volume))
            quote.put_volume = float(round(state.open_interest[1] * 0.3 * quote.volume / contract.volume))

    def _trade_size(self, state: _Underlying) -> float:
        usual = state.contract.volume / _DAY_S / self.ticks_per_s
        return float(max(1, round(usual * state.random.expovariate(1.0))))

    def _trade(self, state: _Underlying | _Option, price: float, size: float) -> None:
        quote = state.quote
        quote.last, quote.last_size, quote.last_s = price, size, self.now_s
        quote.volume += size
        quote.trades += 1
        state.money += price * size
        quote.vwap = round(state.money / quote.volume, 4)
        quote.high, quote.low = max(quote.high, price), min(quote.low, price)

    # Options

    def _open_option(self, contract: SimContract) -> _Option:
        random = Random(f"{self._seed}:{contract.con_id}")
        underlying = self._underlyings[contract.underlying_con_id]
        expires_s = expiry_s(contract)
        spot = underlying.quote.close
        years = (expires_s - self.now_s) / _CALENDAR_YEAR_S + 1.0 / 365.0
        sigma = smile(underlying.contract.volatility * 1.1, spot=spot, strike=contract.strike, years=years)
        call = contract.right == "C"
        worth = value_option(spot=spot, strike=contract.strike, years=years, volatility=sigma, call=call).price
        close = max(0.01, _on_tick(worth, option_tick(worth)))
        quote = SimQuote(
            con_id=contract.con_id,
            bid=None,
            ask=None,
            bid_size=0.0,
            ask_size=0.0,
            last=close,
            last_size=1.0,
            last_s=self.now_s,
            volume=float(random.randint(5, 900)),
            open=close,
            high=close,
            low=close,
            close=close,
            mark=close,
            vwap=close,
            trades=random.randint(3, 90),
            halted=0,
            open_interest=float(random.randint(40, 9000)),
        )
        option = _Option(contract, underlying, random, random.random(), expires_s, quote)
        option.money = close * quote.volume
        self._price(option)
        mid = _on_tick(quote.mark, option_tick(quote.mark))
        self._trade(option, mid if mid > 0.0 else 0.01, 1.0)
        return option

    def _price(self, option: _Option) -> None:
        option.due = False
        contract, quote, random = option.contract, option.quote, option.random
        spot = option.underlying.quote.mark
        years = max(0.0, option.expires_s - self.now_s) / _CALENDAR_YEAR_S
        base = self.volatility(contract.underlying_con_id)
        sigma = smile(base, spot=spot, strike=contract.strike, years=years)
        worth = value_option(
            spot=spot, strike=contract.strike, years=years, volatility=sigma, call=contract.right == "C"
        )
        tick = option_tick(worth.price)
        half = max(tick / 2.0, worth.price * 0.006)
        bid = _on_tick(math.floor((worth.price - half) / tick + 1e-9) * tick, tick)
        ask = _on_tick(max(bid + tick, math.ceil((worth.price + half) / tick - 1e-9) * tick), tick)
        quote.bid = bid if bid > 0.0 else None
        quote.ask = ask
        quote.bid_size = float(random.randint(1, 120)) if bid > 0.0 else 0.0
        quote.ask_size = float(random.randint(1, 120))
        quote.mark = round((bid + ask) / 2.0, 8)
        quote.halted = option.underlying.quote.halted
        quote.iv, quote.model_price, quote.underlying = sigma, worth.price, spot
        quote.delta, quote.gamma = worth.delta, worth.gamma
        quote.vega, quote.theta = worth.vega, worth.theta
        if random.random() < 0.05:
            self._trade(option, ask if random.random() < 0.5 or bid <= 0.0 else bid, float(random.randint(1, 12)))


def option_tick(price: float) -> float:
    """Return the price step of an option: 5 cents from 3 on, else 1 cent."""
    return 0.05 if price >= 3.0 else 0.01


def expiry_s(contract: SimContract) -> float:
    """Return when an option expires in UTC seconds: 16:00 New York of its day."""
    zone = ZoneInfo(HOURS[Venue.US_OPTIONS].zone)
    return datetime.strptime(contract.expiry, "%Y%m%d").replace(hour=16, tzinfo=zone).timestamp()


def _on_tick(price: float, tick: float) -> float:
    return round(round(price / tick) * tick, 6)
