"""From ib_async's tickers, which hold the present state, to the figures that changed since they were last told.

A side without a quote is -1 with size 0 and becomes NaN; a bid above the ask is passed on as it is: the two come one
tick at a time, and hiding the state between would hide real ones too. Delay is told by marketDataType only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import ib_async

from app.domain.contracts import Contract, Right, SecType
from app.domain.quotes import QuoteField
from app.venues.ibkr_tws.numbers import UNSET_DOUBLE, epoch_ns

NAN: Final = float("nan")
_Q = QuoteField
_READ: Final = attrgetter(
    *("bid", "bidSize", "ask", "askSize", "last", "lastSize", "volume", "open", "high", "low", "close"),
    *("markPrice", "halted", "delayedHalted", "marketDataType", "impliedVolatility", "histVolatility"),
    *("callOpenInterest", "putOpenInterest", "callVolume", "putVolume", "high52week", "low52week", "shortable"),
    *("futuresOpenInterest", "modelGreeks", "rtTime", "lastTimestamp"),
)
_PLAIN: Final = (
    *((0, _Q.BID), (1, _Q.BID_SIZE), (2, _Q.ASK), (3, _Q.ASK_SIZE), (4, _Q.LAST), (5, _Q.LAST_SIZE)),
    *((6, _Q.VOLUME), (7, _Q.OPEN), (8, _Q.HIGH), (9, _Q.LOW), (10, _Q.CLOSE), (11, _Q.MARK)),
    *((14, _Q.KIND), (15, _Q.IV), (16, _Q.HIST_VOL), (17, _Q.CALL_OPEN_INTEREST), (18, _Q.PUT_OPEN_INTEREST)),
    *((19, _Q.CALL_VOLUME), (20, _Q.PUT_VOLUME), (21, _Q.WEEK_52_HIGH), (22, _Q.WEEK_52_LOW), (23, _Q.SHORTABLE)),
    (24, _Q.OPEN_INTEREST),
)
_GREEKS_AT: Final = 25
_POSITIVE: Final = frozenset((_Q.OPEN, _Q.HIGH, _Q.LOW, _Q.CLOSE, _Q.IV, _Q.HIST_VOL, _Q.WEEK_52_HIGH, _Q.WEEK_52_LOW))
"""Figures of which 0 (or less) means that there is none."""
_COUNTS: Final = frozenset(
    (_Q.VOLUME, _Q.CALL_OPEN_INTEREST, _Q.PUT_OPEN_INTEREST, _Q.CALL_VOLUME, _Q.PUT_VOLUME, _Q.OPEN_INTEREST)
)
_NO_GREEK: Final = -2.0
_NO_PRICE: Final = -1.0


class TickerReader:
    """What was last told of one ticker.

    before: figures that an earlier line told; those that do not come with the first news of this one are told as NaN,
    so that no old price passes for a new one.
    """

    __slots__ = ("_before", "_contract", "_greeks", "_raw", "_told")

    def __init__(self, contract: Contract, before: Iterable[int] = ()) -> None:
        self._contract = contract
        self._before = frozenset(before)
        self._raw: tuple[Any, ...] = ()
        self._told: dict[int, float] = {}
        self._greeks: object = None

    def read(self, ticker: ib_async.Ticker) -> tuple[int, Mapping[int, float]]:
        """Return the time of the last trade (UTC ns, 0: none came with this) and the figures that are new."""
        raw = _READ(ticker)
        before, self._raw = self._raw, raw
        news: dict[int, float] = {}
        told = self._told
        for index, quote_field in _PLAIN:
            value = raw[index]
            if before and (value is before[index] or value == before[index]):
                continue
            self._note(quote_field, self._clean(quote_field, value, raw), told, news)
        halted = raw[12] if raw[12] == raw[12] else raw[13]  # the delayed feed has a tick of its own for halts
        self._note(_Q.HALTED, self._clean(_Q.HALTED, halted, raw), told, news)
        if before and (raw[1], raw[3], raw[5]) != (before[1], before[3], before[5]):
            self._sides(raw, told, news)
        if raw[_GREEKS_AT] is not self._greeks:
            self._greeks = raw[_GREEKS_AT]
            for greek, value in greeks(raw[_GREEKS_AT]).items():
                self._note(greek, value, told, news)
        if self._contract.sec_type.is_option and (_Q.CALL_OPEN_INTEREST in news or _Q.PUT_OPEN_INTEREST in news):
            own = _Q.CALL_OPEN_INTEREST if self._contract.right is Right.CALL else _Q.PUT_OPEN_INTEREST
            self._note(_Q.OPEN_INTEREST, told.get(own, NAN), told, news)
        if self._before and news:
            news = dict.fromkeys(self._before, NAN) | news
            self._before = frozenset()
        return (trade_ns(raw[26], raw[27]) if _Q.LAST in news else 0), news

    @property
    def fields(self) -> frozenset[int]:
        """Return the figures that are known at the other end, from this line or an earlier one."""
        return self._before | self._told.keys()

    @staticmethod
    def _note(quote_field: int, value: float, told: dict[int, float], news: dict[int, float]) -> None:
        known = told.get(quote_field, NAN)
        if value == known or (value != value and known != known):
            return
        told[quote_field] = news[quote_field] = value

    def _sides(self, raw: tuple[Any, ...], told: dict[int, float], news: dict[int, float]) -> None:
        """A price and whether there is one at all may change with the size alone."""
        for index, quote_field in ((0, _Q.BID), (2, _Q.ASK), (4, _Q.LAST)):
            self._note(quote_field, self._clean(quote_field, raw[index], raw), told, news)

    def _clean(self, quote_field: int, value: Any, raw: tuple[Any, ...]) -> float:
        if value is None or value != value or value >= UNSET_DOUBLE:
            return NAN
        if quote_field in _POSITIVE:
            return float(value) if value > 0 else NAN
        if quote_field in _COUNTS:
            return float(value) if value >= 0 else NAN
        if quote_field == _Q.HALTED:
            return float(value) if value in (0, 1, 2) else NAN
        if quote_field == _Q.BID or quote_field == _Q.BID_SIZE:
            return self._side(value, raw[0], raw[1])
        if quote_field == _Q.ASK or quote_field == _Q.ASK_SIZE:
            return self._side(value, raw[2], raw[3])
        if quote_field == _Q.LAST or quote_field == _Q.LAST_SIZE:
            real = self._contract.sec_type is SecType.INDEX and raw[10] != raw[10]  # TICK-NYSE has values below 0
            return float(value) if real else self._side(value, raw[4], raw[5])
        if quote_field == _Q.MARK and value == _NO_PRICE:
            return NAN
        return float(value)

    @staticmethod
    def _side(value: Any, price: Any, size: Any) -> float:
        return NAN if price == _NO_PRICE and (size == 0 or size != size) else float(value)


def greeks(raw: ib_async.OptionComputation | None) -> dict[int, float]:
    """Return what the broker's model says; -1 and -2 mean "not computed", also where the library lets them through
    (vega, theta)."""
    if raw is None:
        return {}
    return {
        _Q.IV: _greek(raw.impliedVol, _NO_PRICE),
        _Q.DELTA: _greek(raw.delta, _NO_GREEK),
        _Q.GAMMA: _greek(raw.gamma, _NO_GREEK),
        _Q.VEGA: _greek(raw.vega, _NO_GREEK),
        _Q.THETA: _greek(raw.theta, _NO_GREEK),
        _Q.MODEL_PRICE: _greek(raw.optPrice, _NO_PRICE),
        _Q.UNDERLYING: _greek(raw.undPrice, _NO_PRICE),
    }


def _greek(value: float | None, none: float) -> float:
    if value is None or value != value or value == none or abs(value) >= UNSET_DOUBLE:
        return NAN
    return float(value)


def trade_ns(precise: datetime | None, rough: datetime | None) -> int:
    """Return UTC ns of the last trade: the time with milliseconds, or the later one in whole seconds; 0 for none."""
    times = [epoch_ns(moment) for moment in (precise, rough) if moment is not None]
    return max(times, default=0)
