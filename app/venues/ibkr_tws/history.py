"""Daily bars, asked for at the pace TWS allows, and kept so that the same is not asked twice.

Its limits: 50 questions at once, no identical one within 15 seconds, fewer than 6 for one contract in 2 seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from app.domain.clock import Clock
from app.domain.contracts import Contract, DailyBar, SecType
from app.domain.units import NS_PER_S
from app.venues.broker import BrokerError
from app.venues.ibkr_tws.convert import from_contract, to_daily_bars
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.questions import Questions
from app.venues.ibkr_tws.readonly import TwsRefused

_IDENTICAL_S: Final = 15.0
_BURST: Final = 5
_BURST_S: Final = 2.0
_KEPT: Final = 500
_YEAR_OF_DAYS: Final = 252


@dataclass(slots=True)
class _Entry:
    """An answer (or why there is none) with its time, monotonic ns; `lock` is held while it is asked for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked_ns: int | None = None
    bars: tuple[DailyBar, ...] = ()
    error: str = ""


class History:
    """The queue of questions and its answers."""

    def __init__(self, options: TwsOptions, questions: Questions, clock: Clock) -> None:
        self._options = options
        self._questions = questions
        self._clock = clock
        self._entries: dict[tuple[int, str, str], _Entry] = {}
        self._places = asyncio.Semaphore(options.history_at_once)
        self._asked: dict[int, deque[int]] = {}

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        """Return closes of the last trading days, oldest first. Raises BrokerError."""
        duration, what = duration_of(days), what_of(contract)
        key = (contract.con_id, duration, what)
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        while len(self._entries) > _KEPT:
            self._entries.pop(next(iter(self._entries)))
        async with entry.lock:
            if not self._is_fresh(entry):
                await self._fill(entry, contract, duration, what)
        if entry.error:
            raise BrokerError(entry.error)
        return entry.bars[-days:]

    def _is_fresh(self, entry: _Entry) -> bool:
        if entry.asked_ns is None:
            return False
        age_s = (self._clock.monotonic_ns() - entry.asked_ns) / NS_PER_S
        return age_s < (_IDENTICAL_S if entry.error else max(self._options.history_cache_s, _IDENTICAL_S))

    async def _fill(self, entry: _Entry, contract: Contract, duration: str, what: str) -> None:
        async with self._places:
            routed = await self._questions.routed(contract)
            entry.error = ""
            try:
                try:
                    entry.bars = await self._ask(routed, duration, what)
                except TwsRefused as refused:
                    elsewhere = await self._questions.elsewhere(routed, refused.code)
                    if elsewhere is None:
                        raise
                    entry.bars = await self._ask(elsewhere, duration, what)
            except TwsRefused as error:
                entry.error = str(error)
            entry.asked_ns = self._clock.monotonic_ns()

    async def _ask(self, contract: Contract, duration: str, what: str) -> tuple[DailyBar, ...]:
        await self._pace(contract.con_id)
        tws = self._questions.connected()
        return to_daily_bars(await tws.daily_history(from_contract(contract), duration, what))

    async def _pace(self, con_id: int) -> None:
        times = self._asked.setdefault(con_id, deque(maxlen=_BURST))
        if len(times) == _BURST:
            wait_s = _BURST_S - (self._clock.monotonic_ns() - times[0]) / NS_PER_S
            if wait_s > 0:
                await asyncio.sleep(wait_s)
        times.append(self._clock.monotonic_ns())
        while len(self._asked) > _KEPT:
            self._asked.pop(next(iter(self._asked)))


def duration_of(days: int) -> str:
    """Return TWS' word for so many trading days back."""
    return f"{days} D" if days <= 365 else f"{-(-days // _YEAR_OF_DAYS)} Y"


def what_of(contract: Contract) -> str:
    """Return which prices make the bars: trades, where there are any."""
    if contract.sec_type in (SecType.CASH, SecType.COMMODITY):
        return "MIDPOINT"
    return "AGGTRADES" if contract.sec_type is SecType.CRYPTO else "TRADES"
