"""Turns a quote of the simulated world into ticks of the TWS protocol: all of them at first, later what changed.

Tick ids: the TWS API's list of tick types. Delayed quotes have ids of their own (66 to 76, 83, 88, 90).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from app.sim.ibkr.instruments import SimContract
from app.sim.ibkr.records import SimQuote
from app.sim.tws.wire import field_text, frame, price

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
BBO_EXCHANGE = "9c0001"
_NO_PRICE = "-1.0"
_CROSSED_BY = 3


class Tick(IntEnum):
    """Ids of ticks."""

    BID_SIZE = 0
    BID = 1
    ASK = 2
    ASK_SIZE = 3
    LAST = 4
    LAST_SIZE = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    CLOSE = 9
    BID_OPTION = 10
    ASK_OPTION = 11
    LAST_OPTION = 12
    MODEL_OPTION = 13
    OPEN = 14
    LOW_52_WEEK = 19
    HIGH_52_WEEK = 20
    AVERAGE_VOLUME = 21
    HISTORICAL_VOLATILITY = 23
    IMPLIED_VOLATILITY = 24
    CALL_OPEN_INTEREST = 27
    PUT_OPEN_INTEREST = 28
    CALL_VOLUME = 29
    PUT_VOLUME = 30
    MARK = 37
    LAST_TIMESTAMP = 45
    SHORTABLE = 46
    RT_VOLUME = 48
    HALTED = 49
    TRADE_COUNT = 54
    RT_HISTORICAL_VOLATILITY = 58
    FUTURES_OPEN_INTEREST = 86
    SHORTABLE_SHARES = 89


_DELAYED = {
    Tick.BID: 66,
    Tick.ASK: 67,
    Tick.LAST: 68,
    Tick.BID_SIZE: 69,
    Tick.ASK_SIZE: 70,
    Tick.LAST_SIZE: 71,
    Tick.HIGH: 72,
    Tick.LOW: 73,
    Tick.VOLUME: 74,
    Tick.CLOSE: 75,
    Tick.OPEN: 76,
    Tick.MODEL_OPTION: 83,
    Tick.LAST_TIMESTAMP: 88,
    Tick.HALTED: 90,
}
_GENERIC = {
    "100": (Tick.CALL_VOLUME, Tick.PUT_VOLUME),
    "101": (Tick.CALL_OPEN_INTEREST, Tick.PUT_OPEN_INTEREST),
    "104": (Tick.HISTORICAL_VOLATILITY,),
    "106": (Tick.IMPLIED_VOLATILITY,),
    "165": (Tick.LOW_52_WEEK, Tick.HIGH_52_WEEK, Tick.AVERAGE_VOLUME),
    "221": (Tick.MARK,),
    "232": (Tick.MARK,),
    "233": (Tick.RT_VOLUME,),
    "236": (Tick.SHORTABLE, Tick.SHORTABLE_SHARES),
    "293": (Tick.TRADE_COUNT,),
    "411": (Tick.RT_HISTORICAL_VOLATILITY,),
    "588": (Tick.FUTURES_OPEN_INTEREST,),
}
GENERIC_KNOWN = frozenset(_GENERIC) | {"105", "225", "258", "292", "294", "295", "318", "375", "456", "595", "619"}
_PRICES = frozenset({Tick.HIGH, Tick.LOW, Tick.CLOSE, Tick.OPEN, Tick.MARK, Tick.LOW_52_WEEK, Tick.HIGH_52_WEEK})
_SIZES = frozenset(
    {
        Tick.VOLUME,
        Tick.AVERAGE_VOLUME,
        Tick.CALL_OPEN_INTEREST,
        Tick.PUT_OPEN_INTEREST,
        Tick.CALL_VOLUME,
        Tick.PUT_VOLUME,
        Tick.FUTURES_OPEN_INTEREST,
        Tick.SHORTABLE_SHARES,
    }
)
_TEXTS = frozenset({Tick.LAST_TIMESTAMP, Tick.RT_VOLUME})
_ALWAYS = (Tick.HIGH, Tick.LOW, Tick.VOLUME, Tick.CLOSE, Tick.OPEN, Tick.LAST_TIMESTAMP, Tick.HALTED)


@dataclass(frozen=True, slots=True)
class Spoil:
    """What a fault does to quotes: no prices at all (-1), the bid above the ask, Greeks that are not computed."""

    no_prices: bool = False
    crossed: bool = False
    unset: bool = False


CLEAN = Spoil()


@dataclass(slots=True)
class TickWriter:
    """Ticks of one request. kind is LIVE to DELAYED_FROZEN; `told` is what the client knows."""

    req_id: int
    contract: SimContract
    kind: int
    generic: frozenset[str]
    told: dict[int, str] = field(default_factory=dict)
    told_sizes: dict[int, str] = field(default_factory=dict)
    trade: tuple[float, float] = (0.0, 0.0)

    def begin(self, tick_size: float) -> list[bytes]:
        """Return what comes before the first tick."""
        return [
            frame(58, 1, self.req_id, self.kind),
            frame(81, self.req_id, price(tick_size), BBO_EXCHANGE, 3),
        ]

    def write(self, quote: SimQuote, spoil: Spoil = CLEAN) -> list[bytes]:
        """Return ticks for what differs from what was told."""
        out: list[bytes] = []
        bid, ask = quote.bid, quote.ask
        if spoil.no_prices:
            bid = ask = None
        elif spoil.crossed and bid is not None and ask is not None:
            bid = ask + _CROSSED_BY * self.contract.tick_size
        self._price_size(out, Tick.BID, Tick.BID_SIZE, bid, quote.bid_size, mask=1)
        self._price_size(out, Tick.ASK, Tick.ASK_SIZE, ask, quote.ask_size, mask=1)
        if not spoil.no_prices:
            self._price_size(out, Tick.LAST, Tick.LAST_SIZE, quote.last, quote.last_size, mask=0)
        for tick in _ALWAYS:
            self._tick(out, tick, quote)
        if self.kind <= FROZEN:
            for name in self.generic:
                for tick in _GENERIC.get(name, ()):
                    self._tick(out, tick, quote)
        if self.contract.is_option:
            self._greeks(out, quote, spoil)
        self.trade = (quote.last_s, quote.volume)
        return out

    def _id(self, tick: Tick) -> int:
        return _DELAYED.get(tick, tick) if self.kind >= DELAYED else tick

    def _price_size(
        self, out: list[bytes], tick: Tick, size_tick: Tick, value: float | None, size: float, *, mask: int
    ) -> None:
        number = self._id(tick)
        text = _NO_PRICE if value is None else price(value)
        size_text = field_text(0.0 if value is None else size)
        if self.told.get(number) != text:
            self.told[number] = text
            out.append(frame(1, 6, self.req_id, number, text, size_text, mask))
        elif self.told_sizes.get(number) != size_text:
            out.append(frame(2, 6, self.req_id, self._id(size_tick), size_text))
        self.told_sizes[number] = size_text

    def _tick(self, out: list[bytes], tick: Tick, quote: SimQuote) -> None:
        text = self._text(tick, quote)
        number = self._id(tick)
        if text is None or self.told.get(number) == text:
            return
        self.told[number] = text
        if tick in _PRICES:
            out.append(frame(1, 6, self.req_id, number, text, "0", 0))
        else:
            kind = 2 if tick in _SIZES else 46 if tick in _TEXTS else 45
            out.append(frame(kind, 6, self.req_id, number, text))

    def _text(self, tick: Tick, quote: SimQuote) -> str | None:
        if tick is Tick.LAST_TIMESTAMP:
            return str(int(quote.last_s))
        if tick is Tick.RT_VOLUME:
            return self._rt_volume(quote)
        value = _VALUES[tick](quote)
        if tick in (Tick.CALL_OPEN_INTEREST, Tick.PUT_OPEN_INTEREST) and self.contract.is_option:
            mine = Tick.CALL_OPEN_INTEREST if self.contract.right == "C" else Tick.PUT_OPEN_INTEREST
            value = quote.open_interest if tick is mine else 0.0
        if tick is Tick.AVERAGE_VOLUME:
            value = self.contract.volume / 100.0
        if tick is Tick.FUTURES_OPEN_INTEREST:
            value = 2_104_331.0 if self.contract.sec_type == "FUT" else None
        if value is None:
            return None
        return price(value) if tick in _PRICES else field_text(round(value, 10))

    def _rt_volume(self, quote: SimQuote) -> str | None:
        if (quote.last_s, quote.volume) == self.trade:
            return None
        shares = field_text(quote.last_size)
        total = field_text(quote.volume)
        return f"{price(quote.last)};{shares};{int(quote.last_s * 1000)};{total};{price(quote.vwap)};true"

    def _greeks(self, out: list[bytes], quote: SimQuote, spoil: Spoil) -> None:
        assert quote.iv is not None
        assert quote.delta is not None
        number = self._id(Tick.MODEL_OPTION)
        if spoil.unset:
            # not computed: -1 for what cannot be negative, -2 for what can
            figures = ("-1", "-2", "-1", "-1", "-2", "-2", "-2", "-1")
        else:
            figures = (
                price(quote.iv),
                price(quote.delta),
                price(quote.model_price or 0.0),
                "0.0",
                price(quote.gamma or 0.0),
                price(quote.vega or 0.0),
                price(quote.theta or 0.0),
                price(quote.underlying or 0.0),
            )
        text = ";".join(figures)
        if self.told.get(number) == text:
            return
        self.told[number] = text
        out.append(frame(21, self.req_id, number, 0, *figures))
        if self.kind <= FROZEN and not spoil.unset:
            for side, value in ((Tick.BID_OPTION, quote.bid), (Tick.ASK_OPTION, quote.ask)):
                own = (figures[0], figures[1], "-1" if value is None else price(value), *figures[3:])
                out.append(frame(21, self.req_id, side, 0, *own))


_VALUES: dict[Tick, Callable[[SimQuote], float | None]] = {
    Tick.HIGH: lambda quote: quote.high,
    Tick.LOW: lambda quote: quote.low,
    Tick.VOLUME: lambda quote: quote.volume,
    Tick.CLOSE: lambda quote: quote.close,
    Tick.OPEN: lambda quote: quote.open,
    Tick.HALTED: lambda quote: float(quote.halted),
    Tick.MARK: lambda quote: quote.mark,
    Tick.LOW_52_WEEK: lambda quote: quote.week_52_low,
    Tick.HIGH_52_WEEK: lambda quote: quote.week_52_high,
    Tick.AVERAGE_VOLUME: lambda quote: None,
    Tick.HISTORICAL_VOLATILITY: lambda quote: quote.hist_vol,
    Tick.RT_HISTORICAL_VOLATILITY: lambda quote: quote.hist_vol,
    Tick.IMPLIED_VOLATILITY: lambda quote: quote.iv,
    Tick.CALL_OPEN_INTEREST: lambda quote: quote.call_open_interest,
    Tick.PUT_OPEN_INTEREST: lambda quote: quote.put_open_interest,
    Tick.CALL_VOLUME: lambda quote: quote.call_volume,
    Tick.PUT_VOLUME: lambda quote: quote.put_volume,
    Tick.FUTURES_OPEN_INTEREST: lambda quote: None,
    Tick.SHORTABLE: lambda quote: quote.shortable,
    Tick.SHORTABLE_SHARES: lambda quote: None if quote.shortable is None else max(0.0, quote.shortable - 1.0) * 1e6,
    Tick.TRADE_COUNT: lambda quote: float(quote.trades),
}
