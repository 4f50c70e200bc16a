"""The board at one time, as detectors see it: what can be believed, and NaN for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from app.domain.market import Field, Phase
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_S
from app.scanner.baselines import BoolArray, FloatArray
from app.scanner.board import Board
from app.scanner.events import EventKind, ScanEvent

_OFF_QUOTE: Final = 0.2
"""A last price farther outside bid and ask than this share is not believed."""
CEASED: Final = 0.75
"""Share of a threshold under which its condition has clearly ceased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All rows at a time (UTC ns), which lies in a time slot.

    fresh: bool [rows], told about not long ago and, of stocks, live and not halted while the market is open. prices:
    float64 [rows], believable last prices, NaN elsewhere. valid: bool [rows], where there is one. stocks: bool [rows],
    what has sessions. begun: bool [rows], where another session began with this moment: what was before is no measure.
    """

    board: Board
    now_ns: int
    slot: int
    fresh: BoolArray
    prices: FloatArray
    valid: BoolArray
    stocks: BoolArray
    begun: BoolArray

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return self.prices.size

    def figure(self, field: int) -> FloatArray:
        """Return a figure of every row as the board has it."""
        return self.board.values[field, : self.prices.size]

    def event(self, row: int, kind: EventKind, text: str, numbers: Mapping[str, float]) -> ScanEvent:
        """Return an event of a row at this time."""
        board = self.board
        return ScanEvent(
            ts_ns=self.now_ns,
            market=board.markets[row],
            symbol=board.symbols[row],
            kind=kind,
            text=text,
            numbers=numbers,
        )


def look(board: Board, now_ns: int, stale_s: float, slot_s: float, sessions: Sessions | None = None) -> Moment:
    """Return the board as of now. sessions: remembers the sessions of the moment before."""
    n = board.count
    updated_ns = board.updated_ns[:n]
    fresh: BoolArray = (updated_ns > 0) & (now_ns - updated_ns <= round(stale_s * NS_PER_S))
    values = board.values[:, :n]
    phase = values[Field.PHASE]
    stocks: BoolArray = ~np.isnan(phase)
    if stocks.any():
        is_live = (values[Field.DATA_KIND] == DataKind.LIVE) & ~(values[Field.HALTED] > 0.0) & (phase > Phase.CLOSED)
        fresh &= ~stocks | is_live
    begun = np.zeros(n, np.bool_) if sessions is None else sessions.begun(phase)
    last, bid, ask = values[Field.LAST], values[Field.BID], values[Field.ASK]
    off = (bid > 0) & (ask >= bid) & ((last < bid * (1.0 - _OFF_QUOTE)) | (last > ask * (1.0 + _OFF_QUOTE)))
    valid: BoolArray = fresh & (last > 0.0) & np.isfinite(last) & ~off
    return Moment(
        board=board,
        now_ns=now_ns,
        slot=now_ns // round(slot_s * NS_PER_S),
        fresh=fresh,
        prices=np.where(valid, last, np.nan),
        valid=valid,
        stocks=stocks,
        begun=begun,
    )


class Sessions:
    """The session each row was in, to tell when another one begins."""

    def __init__(self) -> None:
        self._phase: FloatArray = np.empty(0)

    def begun(self, phase: FloatArray) -> BoolArray:
        """Return where the phase [rows], NaN for none, is another than at the last call; new rows begin nothing."""
        held, self._phase = self._phase, phase.copy()
        begun: BoolArray = np.zeros(phase.size, np.bool_)
        both = min(held.size, phase.size)
        begun[:both] = (phase[:both] != held[:both]) & ~np.isnan(phase[:both]) & ~np.isnan(held[:both])
        return begun


class Detector(Protocol):
    """One kind of detector over all rows."""

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        ...

    def advance(self, moment: Moment) -> list[ScanEvent]:
        """Take the next moment and return what fires."""
        ...


class Stretches:
    """Tells when a stretch of time is over; stretches begin at whole multiples of their length."""

    def __init__(self, length_ns: int) -> None:
        self._length_ns = length_ns
        self._at: int | None = None

    def turned(self, now_ns: int) -> bool:
        """Return whether another stretch began since the last call; the first call only begins to count."""
        at, self._at = self._at, now_ns // self._length_ns
        return at is not None and at != self._at


def slots_of(window_s: float, slot_s: float) -> int:
    """Return how many slots make a window, at least one."""
    return max(1, round(window_s / slot_s))
